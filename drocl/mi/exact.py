r"""Exact expectations of the variational estimators of mutual information at a fixed critic: no sampling, any N.

A `CriticLaw` is the law of a critic's values on positive and on independent pairs: `finite` makes one of a finite joint
law (`joint_of` a latent-class model), `gaussian` of d i.i.d. Gaussian pairs with the optimal critic or that of a wrong
correlation, `bilinear_gaussian` of the same with a bilinear critic. With the optimal critic what is left is the
estimator's own bias: the ceiling of its population form, and its finite batch.

>>> law = gaussian(0.8, 5)
>>> f"{law.truth:.3f} {info_nce(law, 63):.3f} {decoupled(law, 63):.3f}"
'2.554 2.279 2.854'
"""

import math
from collections.abc import Sequence

import numpy as np

from drocl import divergences, dro
from drocl.divergences import Divergence
from drocl.latent.kinds import Array, Numbers, Real, Whole
from drocl.mi._exact_batch import dv_batch, normaliser_variance, singular_values
from drocl.mi._exact_bias import BiasPart, BiasParts, bias_parts
from drocl.mi._exact_laws import CriticLaw, bilinear_gaussian, finite, gaussian, joint_of
from drocl.mi._exact_tails import gaussian_smile, log_ratio_tails
from drocl.mi._exact_variance import chi2_information, dv_variance, half_chi2, nwj_variance
from drocl.population.quadrature import log_sum

__all__ = [
    "BiasPart",
    "BiasParts",
    "CriticLaw",
    "bias_parts",
    "bilinear_gaussian",
    "chi2_information",
    "decoupled",
    "dv",
    "dv_batch",
    "dv_variance",
    "finite",
    "gaussian",
    "gaussian_smile",
    "half_chi2",
    "info_nce",
    "joint_of",
    "log_ratio_tails",
    "normaliser_variance",
    "nwj",
    "nwj_variance",
    "phi_dual",
    "phi_log_ratio",
    "plug_in",
    "singular_values",
    "smile",
]

Value = Array | float


def info_nce(law: CriticLaw, n_negatives: Whole | Sequence[int] | Array) -> Value:
    r"""Expectation of InfoNCE, the positive counted in the denominator.

    $$ I_N(g) = E\log\frac{e^{g(x,y_0)}}{\frac1{N+1}\sum_{j=0}^N e^{g(x,y_j)}} \le \min\{I,\ \log(N+1)\},\qquad
       y_0\sim P_{Y|x},\ y_j\sim P_Y. $$

    A batch of B pairs is N = B - 1. At the optimal critic $I - I_N = E_x E[\bar R\log\bar R]$, $\bar R$ the mean of N+1
    independent density ratios, which is $\chi^2(P_{XY}\|P_XP_Y)/(2(N+1)) + O(N^{-2})$.

    Args:
        law: of the critic.
        n_negatives: N >= 0, an integer or several (r,).

    Returns:
        The expectation in nats, a float or (r,).

    Raises:
        ValueError: if N is no such integer.

    Source: vandenoord2018 and poole2019; the expectation by `drocl.population`.

    >>> round(info_nce(finite([[0.5, 0.0], [0.0, 0.5]]), 1), 10)  # log 2 - (log 2) / 2
    0.3465735903
    """
    n = _counts(n_negatives, least=0)
    sources = np.stack([law.positive, law.base], axis=1)
    counts = np.stack([np.ones(n.size), n.ravel()], axis=1)[None]
    sums = _expected_logs(law.weights, law.beside_positive(float(n.max())), sources, counts)
    return _shaped(law.mean() + np.log1p(n.ravel()) - sums, n)


def decoupled(law: CriticLaw, n_negatives: Whole | Sequence[int] | Array) -> Value:
    r"""Expectation of the row-wise Donsker-Varadhan form: no positive in the denominator.

    $$ D_N(g) = E\log\frac{e^{g(x,y_0)}}{\frac1N\sum_{j=1}^N e^{g(x,y_j)}},\qquad
       D_N(g^*) = I + \frac{\chi^2}{2N} + O(N^{-2}) \ge I. $$

    Args:
        law: of the critic.
        n_negatives: N >= 1, an integer or several (r,).

    Returns:
        The expectation in nats, a float or (r,); +inf where a row of negatives can have e^g = 0 throughout.

    Raises:
        ValueError: if N is no such integer, or the critic spans thousands of nats (see `CriticLaw.among`).

    Source: wu2023, Eq 1, for finitely many negatives.
    """
    n = _counts(n_negatives, least=1)
    if np.isneginf(law.scores[law.base > 0.0]).any():
        return _shaped(np.full(n.size, math.inf), n)
    sums = np.full(n.size, float(law.weights @ (law.base * law.scores).sum(axis=1)))  # of one negative
    several = n.ravel() > 1.0
    if several.any():
        scores = law.among(float(n.ravel()[several].min()))
        sums[several] = _expected_logs(law.weights, scores, law.base[:, None, :], n.ravel()[several].reshape(1, -1, 1))
    return _shaped(law.mean() + np.log(n.ravel()) - sums, n)


def dv(law: CriticLaw, n_independent: Whole | None = None) -> float:
    r"""Donsker-Varadhan: in the population, or with m independent pairs of $P_XP_Y$ in place of the expectation.

    $$ DV(g) = E_P\,g - \log E_Q e^g \le I,\qquad E\,DV_m(g) = E_P\,g - E\log\frac1m\sum_{i\le m}e^{g_i} \ge DV(g). $$

    All off-diagonal pairs of one batch are not independent: `dv_batch` is exact for them.

    Args:
        law: of the critic.
        n_independent: m >= 1, or None for the population.

    Returns:
        The value in nats; +inf where all m values of e^g can be 0.

    Raises:
        ValueError: if m is no such integer.

    Source: donsker1975; belghazi2018.

    >>> law = finite([[0.4, 0.1], [0.1, 0.4]])
    >>> bool(abs(dv(law) - law.truth) < 1e-15), dv(law, 64) > law.truth
    (True, True)
    """
    return smile(law, math.inf, n_independent)


def smile(law: CriticLaw, clip: Real, n_independent: Whole | None = None) -> float:
    r"""SMILE: the critic clipped in the normaliser only. No bound: above I wherever the clip takes mass away.

    $$ SMILE_c(g) = E_P\,g - \log E_Q e^{\mathrm{clip}(g,-c,c)},\qquad
       SMILE_c(g^*) - I = -\log\{e^{-c}Q(g^*<-c) + P(|g^*|\le c) + e^{c}Q(g^*>c)\}. $$

    Args:
        law: of the critic.
        clip: c > 0, nats; inf for Donsker-Varadhan.
        n_independent: m >= 1 independent pairs in place of E_Q, or None for the population.

    Returns:
        The value in nats.

    Raises:
        ValueError: if an argument is outside its range.

    Source: song2020 (as we state it). For Gaussian pairs `gaussian_smile` has no grid.
    """
    if not clip > 0.0:
        raise ValueError(f"clip={clip!r} must be positive")
    values = np.clip(law.scores, -clip, clip)
    if n_independent is None:
        return law.mean() - law.log_normalizer(values)
    # all independent pairs as the negatives of one anchor
    base = law.product.reshape(1, -1)
    pooled = CriticLaw(np.ones(1), values.reshape(1, -1), base, base, law.truth)
    return law.mean() + float(decoupled(pooled, n_independent)) - pooled.mean()


def nwj(law: CriticLaw) -> float:
    r"""Nguyen-Wainwright-Jordan, in the population and, being linear in both samples, for any batch on average.

    $$ NWJ(g) = 1 + E_P\,g - E_Q e^{g} \le DV(g) \le I,\qquad\text{with } f = 1+g:\ E_P f - E_Q e^{f-1}. $$

    Args:
        law: of the critic as a log-ratio g; equality with I at $g^*$.

    Returns:
        The value in nats.

    Source: nguyen2010; poole2019.
    """
    return 1.0 + law.mean() - math.exp(law.log_normalizer())


def plug_in(law: CriticLaw) -> float:
    """E_P g: the mean of a critic read as a log-ratio, as a critic of the JS form is; I at the optimum, no bound."""
    return law.mean()


def phi_dual(law: CriticLaw, divergence: str | Divergence, *, tight: bool = True) -> float:
    r"""Dual form of a phi-divergence at a fixed critic f = `law.scores`: with its inner minimum, or without.

    $$ E_P f - \min_\lambda\{\lambda + E_Q\phi^*(f-\lambda)\} \quad\text{or}\quad E_P f - E_Q\phi^*(f)\quad(\lambda=0),
       \qquad \le D_\phi(P_{XY}\|P_XP_Y). $$

    Args:
        law: of the critic, finite scores.
        divergence: a phi-divergence by name, or an object of `divergences.get`.
        tight: minimise over lambda (the penalised robust value, multiplier 1), or leave lambda = 0.

    Returns:
        The value; -inf where the loose form leaves phi*'s domain.

    Raises:
        ValueError: for an unknown divergence, or renyi, which has no such form.

    Source: wu2023, Definition 4.1 and Theorem 4.2 (penalised form, as we state it); nguyen2010 for the loose form, agrawal2020
        and birrell2022 for the tight one.

    >>> law = finite([[0.4, 0.1], [0.1, 0.4]]).with_scores(np.array([[3.0, 2.0], [2.0, 3.0]]))
    >>> phi_dual(law, "kl") > phi_dual(law, "kl", tight=False)
    True
    """
    phi = _phi(divergence)
    if not tight:
        with np.errstate(over="ignore", invalid="ignore"):
            lost = np.where(law.base > 0.0, law.base * np.asarray(phi.conjugate(law.scores)), 0.0).sum(axis=1)
        return law.mean() - float(law.weights @ lost)
    return law.mean() - float(_inner(law, phi).value)


def phi_log_ratio(law: CriticLaw, divergence: str | Divergence) -> CriticLaw:
    r"""The critic that a phi-dual's critic is as a log-ratio, $\log(\phi^*)'(f - \lambda^*)$: read it out by `dv`.

    Args:
        law: of the critic f.
        divergence: as in `phi_dual`.

    Returns:
        The same pairs with the log-ratio as the critic; a value of -inf where the ratio is 0.
    """
    phi = _phi(divergence)
    with np.errstate(divide="ignore"):
        shifted = np.asarray(phi.conjugate_derivative(law.scores - float(_inner(law, phi).normalizer)))
        return law.with_scores(np.log(shifted))


def _inner(law: CriticLaw, phi: Divergence) -> dro.WorstCase:
    """The penalised worst case over the pairs of P_X P_Y, whose value is min_lambda {lambda + E_Q phi*(f - lambda)}."""
    return dro.worst_case(law.scores.ravel(), temperature=1.0, divergence=phi, base=law.product.ravel())


def _phi(divergence: str | Divergence) -> Divergence:
    phi = divergences.get(divergence)
    if not phi.is_phi:
        raise ValueError(f"divergence={phi.label!r} must be a phi-divergence: it has no variational form of this kind")
    return phi


def _expected_logs(weights: Array, scores: Array, sources: Array, counts: Array) -> Array:
    """E over anchors (k,) of E log sum e^g, at each of R counts: (k, m), (k, M, m), (1, R, M) -> (R,)."""
    none = np.full((len(scores), counts.shape[1]), -np.inf)
    return np.asarray(weights @ log_sum(scores, sources, counts, none, reference="mean").value)


def _counts(given: Numbers, least: int) -> Array:
    n = np.asarray(given, dtype=np.float64)
    if not ((n >= least) & (n == np.floor(n)) & (n < math.inf)).all():
        raise ValueError(f"n={given!r} must be an integer of at least {least}")
    return n


def _shaped(values: Array, like: Array) -> Value:
    return float(values[0]) if like.ndim == 0 else np.asarray(values).reshape(like.shape)
