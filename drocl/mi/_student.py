"""The multivariate t law: its dependence in closed form, and its scatter and degrees of freedom by maximum likelihood."""

import math
from collections.abc import Callable

import numpy as np
from scipy.linalg import solve_triangular
from scipy.optimize import minimize_scalar
from scipy.special import digamma, gammaln, ndtri, stdtrit

from drocl.mi._types import Array

LEAST, MOST = 0.2, 500.0  # degrees of freedom that are looked at; above, the law is as good as Gaussian
RIDGE = 1e-10  # of the diagonal: columns that copy each other leave the scatter singular


def quantile(nu: float) -> Callable[[Array], Array]:
    """Quantile function of t with nu degrees of freedom, of the standard normal for nu = inf."""
    return (
        (lambda level: np.asarray(ndtri(level))) if math.isinf(nu) else (lambda level: np.asarray(stdtrit(nu, level)))
    )


def log_constant(nu: float, d: int) -> float:
    """Log of the density at 0 for a scatter of determinant 1."""
    if math.isinf(nu):
        return -0.5 * d * math.log(2.0 * math.pi)
    return float(gammaln(0.5 * (nu + d)) - gammaln(0.5 * nu)) - 0.5 * d * math.log(nu * math.pi)


def log_shape(nu: float, d: int, form: Array) -> Array:
    """Log of the density over its value at 0, at points with that quadratic form."""
    return -0.5 * form if math.isinf(nu) else -0.5 * (nu + d) * np.log1p(form / nu)


def radial_information(nu: float, dim_x: int, dim_y: int) -> float:
    r"""What the common radius says: $h(d_x) + h(d_y) - h(d_x+d_y)$, the information for a block-diagonal scatter, nats.

    $h(d) = \frac{\nu+d}2\big[\psi(\frac{\nu+d}2)-\psi(\frac\nu2)\big] - \log\Gamma(\frac{\nu+d}2) + \log\Gamma(\frac\nu2)$,
    up to terms linear in d. Zero for nu = inf.

    >>> round(radial_information(1.0, 1, 1), 3), round(radial_information(2.0, 5, 5), 3)
    (0.224, 0.448)
    """
    if math.isinf(nu):
        return 0.0

    def entropy(d: int) -> float:
        half = 0.5 * (nu + d)
        return float(half * (digamma(half) - digamma(0.5 * nu)) - gammaln(half) + gammaln(0.5 * nu))

    return entropy(dim_x) + entropy(dim_y) - entropy(dim_x + dim_y)


def log_ratio_constant(nu: float, dim_x: int, dim_y: int) -> float:
    """Log-ratio of the joint law to its blocks at 0, for scatters of determinant 1."""
    return log_constant(nu, dim_x + dim_y) - log_constant(nu, dim_x) - log_constant(nu, dim_y)


def forms(z: Array, scatter: Array) -> tuple[Array, float]:
    """Quadratic forms (n,) of z (n, d) and log-determinant at a scatter (d, d)."""
    lower = np.linalg.cholesky(scatter + RIDGE * np.diag(np.diag(scatter)))
    form = np.square(solve_triangular(lower, z.T, lower=True, check_finite=False)).sum(0)
    return form, 2.0 * float(np.log(np.diag(lower)).sum())


def weights(z: Array, nu: float, scatter: Array) -> Array:
    """EM weights (n,) of z (n, d) at a scatter (d, d), for finite nu."""
    return np.asarray((nu + z.shape[1]) / (nu + forms(z, scatter)[0]))


def efficiency(nu: float, d: int) -> float:
    """Of the t scatter: the share of a sample that it counts for, 1 for nu = inf."""
    return 1.0 if math.isinf(nu) else (nu + d) / (nu + d + 2.0)


def scatter(z: Array, nu: float, start: Array, tolerance: float, steps: int = 200) -> Array:
    """Maximum-likelihood scatter (d, d) of z (n, d) about 0 by EM, weights normalised to sum n (Kent, Tyler and Vardi 1994)."""
    current = start
    for _ in range(steps):
        weight = weights(z, nu, current)
        new = (z * weight[:, None]).T @ z / weight.sum()
        size = np.sqrt(np.diag(new))
        moved = np.abs((new - current) / np.outer(size, size)).max()
        current = new
        if moved < tolerance:
            break
    return current


def log_likelihood(z: Array, nu: float, fitted: Array) -> float:
    """Of the copula, a row: joint log-density at scores z over the product of its margins, the scatter scaled to correlations."""
    size = np.sqrt(np.diag(fitted))
    d = z.shape[1]
    form, log_det = forms(z, fitted / np.outer(size, size))
    joint = log_constant(nu, d) - 0.5 * log_det + float(log_shape(nu, d, form).mean())
    single = d * log_constant(nu, 1) + float(log_shape(nu, 1, z**2).sum(1).mean())
    return float(joint - single)


def freedom(scores: Callable[[float], Array]) -> float:
    """Degrees of freedom with the largest profile likelihood; inf where the gain over the Gaussian does not pay for a parameter.

    Args:
        scores: from nu to the scores (n, d) of the sample under t margins.
    """
    normal = scores(math.inf)
    start = normal.T @ normal / len(normal)
    gaussian = log_likelihood(normal, math.inf, start)
    state = start / np.outer(np.sqrt(np.diag(start)), np.sqrt(np.diag(start)))

    def loss(log_nu: float) -> float:
        nonlocal state
        nu = math.exp(log_nu)
        z = scores(nu)
        state = scatter(z, nu, state, 1e-3)
        return -log_likelihood(z, nu, state)

    found = minimize_scalar(loss, bounds=(math.log(LEAST), math.log(MOST)), method="bounded", options={"xatol": 0.01})
    gain = -float(found.fun) - gaussian
    return math.exp(float(found.x)) if gain * len(normal) > 1.0 else math.inf
