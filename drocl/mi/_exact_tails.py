"""Tails of the log-ratio of Gaussian pairs, and with them the population value of SMILE."""

import math

import numpy as np
from scipy.special import chdtr, chdtrc, gammaln

from drocl.latent.kinds import Array, Real, Whole
from drocl.mi._exact_laws import _correlations
from drocl.mi.gaussian import mutual_information

__all__ = ["gaussian_smile", "log_ratio_tails"]


def log_ratio_tails(correlation: Real, pairs: Whole, level: Real) -> tuple[float, float]:
    r"""P(g* > t) under $P_{XY}$ and under $P_XP_Y$, for d i.i.d. Gaussian pairs.

    $$ g^* = I + \tfrac12(\lambda_1A-\lambda_2B),\quad A,B\sim\chi^2_d,\qquad
       P:\ \lambda_1=\lambda_2=\rho,\qquad Q:\ \lambda_1=\tfrac{\rho}{1+\rho},\ \lambda_2=\tfrac{\rho}{1-\rho} $$

    Args:
        correlation: rho, 0 < |rho| < 1.
        pairs: d >= 1.
        level: t, nats.

    Returns:
        Both probabilities, to 1e-12.

    Raises:
        ValueError: if an argument is outside its range.

    >>> [round(p, 6) for p in log_ratio_tails(0.5, 1, 0.0)]
    [0.717986, 0.533377]
    """
    rho, _ = _correlations(correlation, pairs, None)
    above = 2.0 * (float(level) - pairs * mutual_information([rho]))
    return _above(above, rho, rho, int(pairs)), _above(above, rho / (1.0 + rho), rho / (1.0 - rho), int(pairs))


def gaussian_smile(correlation: Real, pairs: Whole, clip: Real) -> float:
    r"""Population value of SMILE at the optimal critic of d i.i.d. Gaussian pairs.

    $$ I - \log\{e^{-c}\,Q(g^*<-c) + P(|g^*|\le c) + e^{c}\,Q(g^*>c)\} $$

    Args:
        correlation, pairs: as in `log_ratio_tails`.
        clip: c > 0, nats.

    Returns:
        The value in nats, above I (the clip takes more mass away than it adds) or below.

    Raises:
        ValueError: if an argument is outside its range.

    Source: song2020, its expectation derived here.
    """
    if not clip > 0.0:
        raise ValueError(f"clip={clip!r} must be positive")
    (high_p, high_q), (above_p, above_q) = (log_ratio_tails(correlation, pairs, t) for t in (clip, -clip))
    kept = math.exp(-clip) * (1.0 - above_q) + (above_p - high_p) + math.exp(clip) * high_q
    return pairs * mutual_information([correlation]) - math.log(kept)


def _above(level: float, first: float, second: float, degrees: int) -> float:
    """P(first A - second B > level) of two independent chi-squares, as an integral over the one that it frees of kinks."""
    if level >= 0.0:  # A > (level + second B) / first, never below 0
        b, mass = _chi_square_grid(degrees)
        return float(mass @ chdtrc(degrees, (level + second * b) / first))
    a, mass = _chi_square_grid(degrees)
    return float(mass @ chdtr(degrees, (first * a - level) / second))


def _chi_square_grid(degrees: int, step: float = 0.02) -> tuple[Array, Array]:
    """Trapezoid nodes in the logarithm, (n,), with probabilities."""
    low = math.log(2.0) + (float(gammaln(0.5 * degrees + 1.0)) - 39.0) * 2.0 / degrees
    high = math.log(degrees + 2.0 * math.sqrt(39.0 * degrees) + 78.0)
    t = np.arange(low, high, step)
    log_mass = 0.5 * degrees * t - 0.5 * np.exp(t)
    mass = np.exp(log_mass - log_mass.max())
    return np.exp(t), np.asarray(mass / mass.sum())
