"""wu2023, Corollary 3.4: how fast sqrt(V / 2 eta) becomes right, with and without the skewness term, for any phi."""

from collections.abc import Callable

import numpy as np

from drocl import dro
from drocl.claims import Evidence, agree, claim, slope
from drocl.divergences import Divergence

from ._pools import CURVED, Floats, moments, named, pool, skewness

POOLS = 5  # the next coefficient may vanish on one pool by accident, not on all
Law = Callable[[Floats, Floats, Floats, Divergence], Floats]


def first_order(f: Floats, q0: Floats, radius: Floats, phi: Divergence) -> Floats:
    """sigma / sqrt(2 eta phi''(1)): Corollary 3.4 for any phi."""
    return np.asarray(np.sqrt(moments(f, q0)[1] / (2.0 * radius * phi.second_at_one)))


def second_order(f: Floats, q0: Floats, radius: Floats, phi: Divergence) -> Floats:
    """The same with - phi'''(1) k3 / (3 phi''(1)^2 V)."""
    _, variance, third = moments(f, q0)
    return first_order(f, q0, radius, phi) - phi.third_at_one / (3.0 * phi.second_at_one**2) * third / variance


def with_kl_term(f: Floats, q0: Floats, radius: Floats, phi: Divergence) -> Floats:
    """The same with KL's coefficient, k3 / (3 V), whatever phi."""
    _, variance, third = moments(f, q0)
    return first_order(f, q0, radius, phi) + third / (3.0 * variance)


def relative_error(f: Floats, q0: Floats, radii: Floats, phi: Divergence, law: Law) -> Floats:
    """|law / root - 1| at several radii."""
    rows = np.broadcast_to(f, (radii.size, f.size))
    exact = np.asarray(dro.temperature_of(rows, radii, divergence=phi, base=q0))
    return np.asarray(np.abs(law(f, q0, radii, phi) / exact - 1.0))


@claim(
    "corollary-3-4-rate",
    title="The relative error of sqrt(V / 2 eta) goes as sqrt(eta), for symmetric scores as eta",
    says=r"\frac{\sigma}{\sqrt{2\eta\phi''(1)}}\,/\,\alpha^{*}(\eta)-1=O(\eta^{1/2}),"
    r"\quad O(\eta)\;\mathrm{if}\;\gamma_1=0",
    source="wu2023, Corollary 3.4 (Eq 6, its order derived here)",
    asserts="rate",
    assumes=("finite pool", "phi''' (1) not 0", "eta far below the square of the skewness, where it is not 0"),
    uses=("tau-is-multiplier",),
    grid={
        "n": (64, 1000),
        "divergence": CURVED,
        "scores": ("skewed", "digits"),
        "symmetric": (False, True),
        "seed": (0,),
    },
    standard={"n": (64, 1000, 10_000), "scores": ("skewed", "two-point", "digits"), "seed": (0, 1)},
    paper={"n": (64, 1000, 10_000, 100_000), "seed": tuple(range(10))},
    control={"law": second_order},
    control_says="the formula with its skewness term, whose error is of another order",
    control_grid={"scores": ("skewed",), "symmetric": (False,)},
    tolerance="the next term bends the fitted slope by about its share of the error at the largest radius, 1 %, and "
    "by less where the radii are smaller",
    figure="corollary-3-4-error",
)
def corollary_3_4_rate(
    n: int, divergence: str, scores: str, symmetric: bool, seed: int, law: Law = first_order
) -> Evidence:
    f, q0 = pool(scores, n, seed, symmetric)
    gamma, phi = skewness(f, q0), named(divergence)
    top = min(1e-5, 1e-4 * gamma**2) if gamma else 1e-4
    radii = top * np.geomspace(1e-3, 1.0, 6)
    error = relative_error(f, q0, radii, phi, law)
    return slope(radii, error, expected=0.5 if gamma else 1.0, within=0.03, skewness=gamma)


@claim(
    "corollary-3-4-skew-term",
    title="With the skewness term the relative error goes as eta, for any phi",
    says=r"\alpha^{*}(\eta)=\frac{\sigma}{\sqrt{2\eta\phi''(1)}}-\frac{\phi'''(1)}{3\phi''(1)^{2}}\gamma_1\sigma+O(\sqrt{\eta})",
    source="wu2023, Corollary 3.4 (repaired here; for KL the term is k3 / (3 V))",
    asserts="rate",
    assumes=("finite pool", "phi'''(1) not 0"),
    uses=("corollary-3-4-rate",),
    repairs="corollary-3-4-equality",
    grid={
        "n": (64, 1000),
        "divergence": CURVED,
        "scores": ("skewed", "digits"),
        "symmetric": (False, True),
        "seed": (0,),
    },
    standard={"scores": ("skewed", "two-point", "digits"), "seed": (0, 1)},
    paper={"n": (64, 1000, 10_000, 100_000), "seed": tuple(range(10))},
    control={"law": with_kl_term},
    control_says="KL's coefficient 1/3 for every phi",
    control_grid={"scores": ("skewed",), "symmetric": (False,), "divergence": CURVED[1:]},
    tolerance="the next term, sqrt(eta) times the one fitted, bends the slope by less than 1 %, and by less at "
    "smaller radii",
    figure="corollary-3-4-error",
)
def corollary_3_4_skew_term(
    n: int, divergence: str, scores: str, symmetric: bool, seed: int, law: Law = second_order
) -> Evidence:
    pools = [pool(scores, n, POOLS * seed + index, symmetric) for index in range(POOLS)]
    radii = np.geomspace(1e-8, 1e-6, 6)
    error = [relative_error(f, q0, radii, named(divergence), law) for f, q0 in pools]
    return slope(radii, np.sqrt(np.mean(np.square(error), axis=0)), expected=1.0, within=0.03)


def read_right(mean: float, lowest: float, variance: float) -> float:
    """Largest radius at which no weight 1 + (f - m) / (2 alpha) is negative."""
    return variance / (mean - lowest) ** 2


def read_doubled(mean: float, lowest: float, variance: float) -> float:
    """The same for phi = (t - 1)^2 / 2, mistaken for that of (t - 1)^2."""
    return 2.0 * variance / (mean - lowest) ** 2


@claim(
    "chi2-variance-law",
    title="For chi2 the variance law is exact until a weight is clipped",
    says=r"\eta\leq\frac{V}{(m-f_{min})^{2}}\;\Rightarrow\;\alpha^{*}(\eta)=\sqrt{\frac{V}{4\eta}},"
    r"\quad\max_{\chi^2(Q\|Q_0)\leq\eta}\mathbb{E}_Q f=m+\sqrt{\eta V}",
    source="wu2023, Corollary 3.4 (its analogue for chi2, derived here)",
    asserts="identity",
    assumes=("finite pool", "phi = (t - 1)^2 without the factor 1/2"),
    uses=("tau-is-multiplier",),
    grid={"n": (8, 256), "share": (1e-3, 0.5, 1.0), "scores": ("uniform", "skewed", "digits"), "seed": (0,)},
    standard={"n": (8, 256, 10_000), "seed": (0, 1, 2)},
    paper={"seed": tuple(range(10))},
    control={"edge": read_doubled},
    control_says="the range of phi = (t - 1)^2 / 2 for that of (t - 1)^2",
    control_grid={"share": (1.0,)},
    tolerance="closed form against a root at 1e-13",
    figure="multiplier-across-divergences",
)
def chi2_variance_law(
    n: int, share: float, scores: str, seed: int, edge: Callable[[float, float, float], float] = read_right
) -> Evidence:
    f, q0 = pool(scores, n, seed)
    mean, variance, _ = moments(f, q0)
    radius = share * edge(mean, float(f[q0 > 0].min()), variance)
    best = dro.worst_case(f, radius=radius, divergence="chi2", base=q0)
    expected = [np.sqrt(variance / (4.0 * radius)), np.sqrt(radius * variance)]
    return agree([float(best.multiplier), float(best.excess)], expected, rtol=1e-10, radius=radius)
