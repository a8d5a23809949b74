r"""Closed forms for Gaussian pairs: every divergence of the joint law from the product of its margins.

X and Y jointly normal are, after invertible linear maps of each, independent pairs with correlations
$\rho_1, \rho_2, \dots$ (the canonical correlations), and no phi-divergence sees the maps. With
$t = dP_{XY}/d(P_XP_Y)$ and one pair,

$$ \log t = -\tfrac12\log(1-\rho^2) + \frac{\rho}{2}\Big(\frac{u^2}{1+\rho} - \frac{v^2}{1-\rho}\Big),\qquad
   E_Q t^k = \frac{(1-\rho^2)^{(1-k)/2}}{\sqrt{1-(k-1)^2\rho^2}}\ \text{ if } |k-1||\rho| < 1, \text{ else } \infty, $$

u, v = (x ± y)/√2. Moments of independent pairs multiply, and everything here follows from them.
"""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, kve

from drocl.divergences import Divergence
from drocl.divergences import get as get_divergence
from drocl.mi._moments import from_moments
from drocl.mi._types import Array

__all__ = [
    "canonical_correlations",
    "chi2_plugin_variance",
    "correlation_of",
    "equal_pairs",
    "information",
    "log_moment",
    "log_ratio_variance",
    "mutual_information",
    "ratio_moment",
    "reverse_kl",
]


def canonical_correlations(covariance: npt.ArrayLike, dim_x: int) -> Array:
    r"""Canonical correlations of X, the first coordinates, with Y, the others.

    The singular values of $L_X^{-1}\Sigma_{XY}L_Y^{-\top}$, with $\Sigma_X = L_XL_X^\top$ and the same for Y.

    Args:
        covariance: (dx + dy, dx + dy), symmetric positive definite.
        dim_x: dx, 1..dx + dy - 1.

    Returns:
        (min(dx, dy),), in [0, 1), falling.

    Raises:
        ValueError: if the matrix is not one of that kind.

    >>> canonical_correlations([[4.0, 1.0], [1.0, 1.0]], 1).tolist()
    [0.5]
    """
    matrix = np.asarray(covariance, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not np.allclose(matrix, matrix.T, rtol=1e-10):
        raise ValueError(f"covariance must be square and symmetric, got shape {matrix.shape}")
    if not 1 <= dim_x < len(matrix):
        raise ValueError(f"dim_x={dim_x!r} must lie in 1..{len(matrix) - 1}, so that X and Y have coordinates")
    try:
        np.linalg.cholesky(matrix)
        lower_x, lower_y = np.linalg.cholesky(matrix[:dim_x, :dim_x]), np.linalg.cholesky(matrix[dim_x:, dim_x:])
    except np.linalg.LinAlgError:
        raise ValueError(
            f"covariance must be positive definite, its least eigenvalue is {np.linalg.eigvalsh(matrix)[0]:.3g}"
        ) from None
    half = np.linalg.solve(lower_x, matrix[:dim_x, dim_x:])
    return np.asarray(np.linalg.svd(np.linalg.solve(lower_y, half.T).T, compute_uv=False))


def correlation_of(mutual_information: float, dimension: int = 1) -> float:
    r"""Correlation of each of d equal pairs that carry this much together: $\rho = \sqrt{1-e^{-2I/d}}$.

    Args:
        mutual_information: I >= 0, nats.
        dimension: d >= 1.

    Raises:
        ValueError: outside those ranges.

    >>> round(correlation_of(2.0, 20), 6)
    0.425757
    """
    if not 0.0 <= mutual_information < math.inf:
        raise ValueError(f"mutual_information={mutual_information!r} must be finite and at least 0, nats")
    if dimension < 1:
        raise ValueError(f"dimension={dimension!r} must be at least 1")
    return math.sqrt(-math.expm1(-2.0 * mutual_information / dimension))


def mutual_information(correlations: npt.ArrayLike) -> float:
    r"""$I(X;Y) = -\tfrac12\sum_i\log(1-\rho_i^2)$ in nats.

    Args:
        correlations: (m,), canonical correlations, in (-1, 1).

    >>> round(mutual_information([0.75]), 6)
    0.413339
    """
    return float(-0.5 * np.log1p(-(_checked(correlations) ** 2)).sum())


def reverse_kl(correlations: npt.ArrayLike) -> float:
    r"""$D_{KL}(P_XP_Y\|P_{XY}) = \sum_i \frac{\rho_i^2}{1-\rho_i^2} + \tfrac12\log(1-\rho_i^2)$ in nats.

    Args:
        correlations: (m,), in (-1, 1).
    """
    square = _checked(correlations) ** 2
    return float((square / (1.0 - square) + 0.5 * np.log1p(-square)).sum())


def log_moment(correlations: npt.ArrayLike, k: float) -> float:
    """log E_Q t^k, inf where the moment is infinite; accurate relative to itself also near k = 0 and k = 1."""
    square = _checked(correlations) ** 2
    if not np.all(abs(k - 1.0) * np.sqrt(square) < 1.0):
        return math.inf
    if k > 0.5:
        return float(-0.5 * ((k - 1.0) * np.log1p(-square) + np.log1p(-((k - 1.0) ** 2) * square)).sum())
    # the same with the root of the moment at k = 0, one, taken out by hand
    return float(-0.5 * (k * np.log1p(-square) + np.log1p(square * k * (2.0 - k) / (1.0 - square))).sum())


def ratio_moment(correlations: npt.ArrayLike, k: float) -> float:
    r"""$E_Q t^k$ of the density ratio $t = dP_{XY}/d(P_XP_Y)$ under $Q = P_XP_Y$; $E_P t^{k}$ is the moment k + 1.

    Args:
        correlations: (m,), in (-1, 1).
        k: any real power.

    Returns:
        The moment; inf unless $|k-1||\rho_i| < 1$ for all i. For k >= 2 that is |rho| < 1/(k-1): k = 4, and with it the
        variance of the plug-in chi2, needs |rho| < 1/3.

    >>> ratio_moment([0.5], 2), ratio_moment([0.4], 4)
    (1.3333333333333333, inf)
    """
    exponent = log_moment(correlations, k)
    return math.exp(exponent) if exponent < 709.0 else math.inf


def chi2_plugin_variance(correlations: npt.ArrayLike) -> float:
    r"""Variance of one term of the plug-in chi2, $Var_Q (t-1)^2 = E_Q(t-1)^4 - \chi^4$.

    The plug-in averages $(t-1)^2$, t the true ratio, over independent pairs of Q: its variance is this over the number
    of pairs.

    Args:
        correlations: (m,), in (-1, 1).

    Returns:
        The variance; inf unless every |rho| < 1/3.
    """
    second, third, fourth = (ratio_moment(correlations, k) for k in (2, 3, 4))
    if not math.isfinite(fourth):
        return math.inf
    return fourth - 4.0 * third + 6.0 * second - 3.0 - (second - 1.0) ** 2


def log_ratio_variance(correlations: npt.ArrayLike, law: str = "joint") -> float:
    r"""Variance of the log-ratio: $\sum\rho_i^2$ under P, $\sum\rho_i^2(1+\rho_i^2)/(1-\rho_i^2)^2$ under Q.

    Args:
        correlations: (m,), in (-1, 1).
        law: "joint" (P) or "product" (Q).

    Raises:
        ValueError: for another law.
    """
    square = _checked(correlations) ** 2
    if law not in ("joint", "product"):
        raise ValueError(f"law={law!r} must be 'joint' or 'product'")
    return float((square if law == "joint" else square * (1.0 + square) / (1.0 - square) ** 2).sum())


def information(correlations: npt.ArrayLike, divergence: "str | Divergence" = "kl", **params: float) -> float:
    r"""Any divergence $D_\phi(P_{XY}\|P_XP_Y)$ of a Gaussian pair.

    Powers in closed form: $c\,(E_Qt^k - 1)/(k(k-1))$ for Cressie-Read, so $\chi^2 = \prod(1-\rho_i^2)^{-1} - 1$ and
    $H^2 = 2 - 2\prod(1-\rho_i^2)^{1/4}(1-\rho_i^2/4)^{-1/2}$. Jensen-Shannon and total variation are integrals over the
    law of log t, to 1e-10, where the correlations other than 0 are equal.

    Args:
        correlations: (m,), canonical correlations, in (-1, 1).
        divergence: a name of `drocl.divergences` or a Divergence.
        params: its parameters.

    Returns:
        The divergence, nats; inf outside its range.

    Raises:
        ValueError: for an unknown divergence, or js and tv of several different correlations.

    >>> round(information([0.6], "chi2"), 10), information([0.6], "neyman")
    (0.5625, inf)
    """
    chosen = get_divergence(divergence, **params)
    rho = _checked(correlations)
    closed = from_moments(
        chosen, lambda k: log_moment(rho, k), lambda: mutual_information(rho), lambda: reverse_kl(rho)
    )
    if closed is not None:
        return closed
    active = np.abs(rho[np.abs(rho) > 1e-12])
    if active.size == 0:
        return 0.0
    if chosen.name == "cvar":
        return math.inf  # t is unbounded
    if np.ptp(active) > 1e-9:
        raise ValueError(
            f"divergence={chosen.label!r} has no closed form for different correlations {active.round(4).tolist()}; "
            "kl, reverse_kl, chi2, neyman, hellinger, cressie_read and renyi have one"
        )
    return equal_pairs(float(active.mean()), active.size, chosen.phi)


def equal_pairs(rho: float, count: int, generator: Callable[[Array], Array]) -> float:
    """E_Q g(t) for `count` pairs of correlation `rho` in (0, 1), to 1e-10.

    Under P, log t = c + rho W / 2 with W = A - B, where A and B are chi-square with `count` degrees of freedom: a
    variance-gamma variable, with density proportional to |w|^a K_a(|w|/2), a = (count - 1)/2. E_Q g(t) = E_P g(t)/t is
    a composite Gauss-Legendre sum in log |w| on each side of 0, with a panel's edge where t = 1, where g may have a
    kink.

    Args:
        rho, count: of the pairs.
        generator: g, with a finite g(0) and at most t log t at infinity.
    """
    centre = -0.5 * count * math.log1p(-rho * rho)
    kink = math.log(2.0 * centre / rho)
    # where t is small the law of (1 - rho) w has the tail of a chi-square with `count` degrees: below 1e-60 at the top
    top = max(math.log((4.0 * count + 400.0) / (1.0 - rho)), kink + 1.0)
    # panels as wide as the law of log |w|, graded towards the kink, around which log t turns over 1 / centre
    wide = min(0.5, 4.0 / math.sqrt(count))
    graded = kink + np.outer([-1.0, 1.0], 0.5 ** np.arange(2.0, 6.0 + math.log2(1.0 + centre))).ravel()
    edges = np.concatenate(
        [np.arange(kink - 60.0, kink, wide), [kink], graded, np.linspace(kink, top, 2 + int((top - kink) / wide))]
    )
    edges = np.unique(edges)
    nodes, weights = np.polynomial.legendre.leggauss(24)
    half = 0.5 * np.diff(edges)[:, None]
    s = (edges[:-1, None] + half + half * nodes).ravel()
    w, order = np.exp(s), 0.5 * (count - 1.0)
    constant = -0.5 * math.log(math.pi) - float(gammaln(0.5 * count)) - (order + 0.5) * math.log(4.0)
    log_mass = constant + (order + 1.0) * s + _log_bessel(order, 0.5 * w) - 0.5 * w + np.log((half * weights).ravel())
    above, below = centre + 0.5 * rho * w, centre - 0.5 * rho * w
    capped = np.minimum(above, 600.0)  # where g(t)/t has long been as good as linear in log t
    upper = np.exp(log_mass - capped) * generator(np.exp(capped))
    lower = np.exp(log_mass - below) * generator(np.exp(np.maximum(below, -600.0)))
    return float(np.sum(upper) + np.sum(lower))


def _log_bessel(order: float, x: Array) -> Array:
    """log of e^x K_order(x), order a multiple of 1/2, by the recurrence of ratios: stable upwards, no overflow."""
    base = order % 1.0
    ratio = kve(base + 1.0, x) / kve(base, x)  # K_(nu+1) / K_nu
    total = np.log(kve(base, x))
    for step in range(int(order - base)):
        total = total + np.log(ratio)
        ratio = 1.0 / ratio + 2.0 * (base + 1.0 + step) / x
    return np.asarray(total)


def _checked(correlations: npt.ArrayLike) -> Array:
    rho = np.atleast_1d(np.asarray(correlations, dtype=np.float64))
    if rho.ndim != 1 or not np.all(np.abs(rho) < 1.0):
        raise ValueError(f"correlations={correlations!r} must be a list of numbers in (-1, 1)")
    return rho
