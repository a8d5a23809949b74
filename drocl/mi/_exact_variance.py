"""Variances of the normaliser of Donsker-Varadhan and NWJ, and the chi2 information that they are at the optimum."""

import math

import numpy as np

from drocl.latent.kinds import Whole
from drocl.mi._exact_laws import CriticLaw

__all__ = ["chi2_information", "dv_variance", "half_chi2", "nwj_variance"]


def chi2_information(law: CriticLaw) -> float:
    r"""$\chi^2(P_{XY}\|P_XP_Y) = E_Q r^2 - 1$, nats do not apply; `law` must have the optimal critic.

    It is the variance of r under Q, twice the constant of InfoNCE's and the decoupled form's bias, and $e^{2I}-1$ for
    Gaussian pairs (closed form; quadratures lose it where $E_x$ of it sits far in the tail).
    """
    return math.expm1(law.log_normalizer(2.0 * law.scores))


def half_chi2(law: CriticLaw) -> float:
    r"""Limit of N (D_N - I) and of (N+1)(I - I_N) at the optimal critic: $\chi^2/2$."""
    return 0.5 * chi2_information(law)


def nwj_variance(law: CriticLaw, n_positive: Whole, n_independent: Whole) -> float:
    r"""Variance of NWJ from n positive and m independent pairs: $Var_P(g)/n + Var_Q(e^g)/m$, exactly.

    Args:
        law: of the critic.
        n_positive: n >= 1.
        n_independent: m >= 1.

    Returns:
        The variance. At the optimal critic the second term is $\chi^2/m \ge (e^{I}-1)/m$ (song2020, Theorem 2).
    """
    return _positive_variance(law) / _whole(n_positive) + _ratio_variance(law, 0.0) / _whole(n_independent)


def dv_variance(law: CriticLaw, n_positive: Whole, n_independent: Whole) -> float:
    r"""Variance of Donsker-Varadhan to first order: $Var_P(g)/n + Var_Q(e^g/E_Qe^g)/m$ (delta method)."""
    return _positive_variance(law) / _whole(n_positive) + _ratio_variance(law, law.log_normalizer()) / _whole(
        n_independent
    )


def _positive_variance(law: CriticLaw) -> float:
    with np.errstate(invalid="ignore"):
        return law.mean(np.where(law.positive > 0.0, (law.scores - law.mean()) ** 2, 0.0))


def _ratio_variance(law: CriticLaw, log_scale: float) -> float:
    first, second = law.log_normalizer() - log_scale, law.log_normalizer(2.0 * law.scores) - 2.0 * log_scale
    return math.exp(2.0 * first) * math.expm1(second - 2.0 * first)


def _whole(n: Whole) -> float:
    if int(n) != n or n < 1:
        raise ValueError(f"n={n!r} must be an integer of at least 1")
    return float(n)
