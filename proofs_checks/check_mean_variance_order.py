"""wu2023, Eqs 7 and 8: the order of the mean-variance expansion, its third-order term, and its constrained form."""

from collections.abc import Callable

import numpy as np

from drocl import dro
from drocl.claims import Evidence, claim, slope
from drocl.divergences import Divergence

from ._pools import CURVED, Floats, mean_variance, moments, named, pool, skewness

POOLS = 5  # the next coefficient may vanish on one pool by accident, not on all
Law = Callable[[Floats, Floats, float, Divergence], float]


def third_order(f: Floats, q0: Floats, tau: float, phi: Divergence) -> float:
    """V / (2 tau phi''(1)) - phi'''(1) k3 / (6 phi''(1)^3 tau^2)."""
    return mean_variance(f, q0, tau, phi) - phi.third_at_one * moments(f, q0)[2] / (6.0 * phi.second_at_one**3 * tau**2)


def unit_curvature(f: Floats, q0: Floats, tau: float, phi: Divergence) -> float:
    """V / (2 tau) whatever phi."""
    return moments(f, q0)[1] / (2.0 * tau)


def wrong_sign(f: Floats, q0: Floats, tau: float, phi: Divergence) -> float:
    """The third-order term with the other sign."""
    return 2.0 * mean_variance(f, q0, tau, phi) - third_order(f, q0, tau, phi)


def errors(f: Floats, q0: Floats, taus: Floats, phi: Divergence, law: Law) -> Floats:
    """|exact - law| at several temperatures."""
    best = dro.worst_case(np.broadcast_to(f, (taus.size, f.size)), temperature=taus, divergence=phi, base=q0)
    exact = np.asarray(best.excess) - taus * np.asarray(best.radius)
    return np.abs(exact - np.array([law(f, q0, float(tau), phi) for tau in taus]))


@claim(
    "mean-variance-rate",
    title="Mean plus variance is right to second order: its error goes as tau^-2, for symmetric scores as tau^-3",
    says=r"\max_Q\;\mathbb{E}_Q f-\tau D_\phi(Q\|Q_0)=m+\frac{V}{2\tau\phi''(1)}+O(\tau^{-2}),"
    r"\quad O(\tau^{-3})\;\mathrm{if}\;k_3=0",
    source="wu2023, Eq 7 (repaired here: an expansion)",
    asserts="rate",
    assumes=("finite pool", "phi'''(1) not 0", "tau far above the range of the scores"),
    repairs="mean-variance-equality",
    grid={
        "n": (64, 1000),
        "divergence": CURVED,
        "scores": ("skewed", "digits"),
        "symmetric": (False, True),
        "seed": (0,),
    },
    standard={"n": (64, 1000, 10_000), "scores": ("skewed", "two-point", "digits"), "seed": (0, 1)},
    paper={"n": (64, 1000, 10_000, 100_000), "seed": tuple(range(10))},
    control={"law": unit_curvature},
    control_says="V / (2 tau) for every phi, as for KL",
    control_grid={"divergence": ("neyman", "hellinger", "js")},
    tolerance="the next term bends the fitted slope by its share of the error at the smallest temperature, 1 %, "
    "less at larger ones",
    figure="mean-variance-error",
)
def mean_variance_rate(
    n: int, divergence: str, scores: str, symmetric: bool, seed: int, law: Law = mean_variance
) -> Evidence:
    f, q0 = pool(scores, n, seed, symmetric)
    gamma = skewness(f, q0)
    start = max(200.0, 200.0 / abs(gamma)) if gamma else 50.0
    taus = np.sqrt(moments(f, q0)[1]) * start * np.geomspace(1.0, 10.0, 5)
    error = errors(f, q0, taus, named(divergence), law)
    return slope(taus, error, expected=-2.0 if gamma else -3.0, within=0.1, skewness=gamma)


@claim(
    "mean-variance-third-order",
    title="With the third-order term the error goes as tau^-3",
    says=r"\max_Q\;\mathbb{E}_Q f-\tau D_\phi=m+\frac{V}{2\tau\phi''(1)}"
    r"-\frac{\phi'''(1)k_3}{6\phi''(1)^{3}\tau^{2}}+O(\tau^{-3})",
    source="wu2023, Eq 7 (extended here)",
    asserts="rate",
    assumes=("finite pool", "tau far above the range of the scores"),
    uses=("mean-variance-rate",),
    repairs="mean-variance-equality",
    grid={
        "n": (64, 1000),
        "divergence": CURVED,
        "scores": ("skewed", "digits"),
        "symmetric": (False, True),
        "seed": (0,),
    },
    standard={"scores": ("skewed", "two-point", "digits"), "seed": (0, 1)},
    paper={"n": (64, 1000, 10_000, 100_000), "seed": tuple(range(10))},
    control={"law": wrong_sign},
    control_says="the third-order term with the other sign",
    control_grid={"scores": ("skewed",), "symmetric": (False,)},
    tolerance="the next term bends the fitted slope by its share of the error at the smallest temperature, 2 %, "
    "less at larger ones",
    figure="mean-variance-error",
)
def mean_variance_third_order(
    n: int, divergence: str, scores: str, symmetric: bool, seed: int, law: Law = third_order
) -> Evidence:
    pools = [pool(scores, n, POOLS * seed + index, symmetric) for index in range(POOLS)]
    units = np.geomspace(200.0, 2000.0, 5)  # tau / sigma
    sigma = [float(np.sqrt(moments(f, q0)[1])) for f, q0 in pools]
    error = [errors(f, q0, s * units, named(divergence), law) / s for s, (f, q0) in zip(sigma, pools, strict=True)]
    return slope(units, np.sqrt(np.mean(np.square(error), axis=0)), expected=-3.0, within=0.1)


def of_phi(phi: Divergence) -> float:
    """phi''(1)."""
    return phi.second_at_one


def of_kl(phi: Divergence) -> float:
    """1, as for KL, whatever phi."""
    return 1.0


@claim(
    "constrained-mean-variance",
    title="The constrained robust value is mean plus sqrt(2 eta V / phi''), up to O(eta)",
    says=r"\max_{D_\phi(Q\|Q_0)\leq\eta}\mathbb{E}_Q f=m+\sqrt{\frac{2\eta V}{\phi''(1)}}+O(\eta),"
    r"\quad O(\eta^{3/2})\;\mathrm{if}\;\gamma_1=0",
    source="wu2023, Eq 7 (its constrained form, derived here)",
    asserts="rate",
    assumes=("finite pool", "phi'''(1) not 0", "eta far below the square of the skewness, where it is not 0"),
    uses=("corollary-3-4-rate",),
    grid={
        "n": (64, 1000),
        "divergence": CURVED,
        "scores": ("skewed", "digits"),
        "symmetric": (False, True),
        "seed": (0,),
    },
    standard={"n": (64, 1000, 10_000), "scores": ("skewed", "two-point", "digits"), "seed": (0, 1)},
    paper={"n": (64, 1000, 10_000, 100_000), "seed": tuple(range(10))},
    control={"curvature": of_kl},
    control_says="phi''(1) = 1 for every phi",
    control_grid={"divergence": ("neyman", "hellinger", "js")},
    tolerance="the next term bends the fitted slope by its share of the error at the largest radius, 1 %, less at "
    "smaller ones",
    figure="mean-variance-error",
)
def constrained_mean_variance(
    n: int, divergence: str, scores: str, symmetric: bool, seed: int, curvature: Callable[[Divergence], float] = of_phi
) -> Evidence:
    f, q0 = pool(scores, n, seed, symmetric)
    gamma, phi = skewness(f, q0), named(divergence)
    radii = (min(1e-5, 1e-4 * gamma**2) if gamma else 1e-4) * np.geomspace(1e-3, 1.0, 6)
    rows = np.broadcast_to(f, (radii.size, f.size))
    exact = np.asarray(dro.worst_case(rows, radius=radii, divergence=phi, base=q0).excess)
    error = np.abs(exact - np.sqrt(2.0 * radii * moments(f, q0)[1] / curvature(phi)))
    return slope(radii, error, expected=1.0 if gamma else 1.5, within=0.03, skewness=gamma)
