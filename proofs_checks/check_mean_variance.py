"""wu2023, Eqs 7 and 8: where the penalised robust value is mean + variance / (2 tau phi''(1)), and where it is not."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

from drocl.claims import Evidence, agree, claim
from drocl.divergences import Divergence

from ._pools import Floats, gained, hermite_pool, mean_variance, moments, named, pool

Law = Callable[[Floats, Floats, float, Divergence], float]


def dual(f: Floats, q0: Floats, tau: float, phi: Divergence) -> float:
    """min over beta of beta + tau E phi*((f - beta) / tau), above the mean, by a bracketed root in plain scipy."""
    lowest = max(float(f.min()), float(f.max()) - tau * phi.slope_at_infinity * (1.0 - 1e-12))

    def surplus(beta: float) -> float:
        return float(q0 @ phi.conjugate_derivative((f - beta) / tau)) - 1.0

    beta = float(brentq(surplus, lowest, float(f.max()), xtol=1e-15))
    return beta + tau * float(q0 @ phi.conjugate((f - beta) / tau)) - moments(f, q0)[0]


@claim(
    "mean-variance-equality",
    title="The penalised robust value is mean plus variance, read as an equality",
    says=r"\max_Q\;\mathbb{E}_Q f-\tau D_\phi(Q\|Q_0)=\mathbb{E}_{Q_0}f+\frac{V_{Q_0}[f]}{2\tau\phi''(1)}",
    source="wu2023, Eqs 7 and 8 (as we state them, with the equality sign)",
    asserts="identity",
    assumes=("finite pool", "tau > 0"),
    grid={"n": (16, 256), "temperature": (0.1, 0.5, 1.0), "scores": ("uniform", "skewed", "digits"), "seed": (0,),
          "divergence": ("kl", "reverse_kl", "chi2", "hellinger", "js")},
    standard={"n": (16, 256, 4096), "temperature": (0.1, 0.2, 0.5, 1.0, 2.0), "seed": (0, 1)},
    paper={"seed": tuple(range(10))},
    control={"right_side": dual},
    control_says="the exact value, by minimising the dual in plain scipy",
    control_expects="holds",
    control_grid={"n": (16,)},
    tolerance="in units of the range of the scores; both exact values agree to 1e-13",
    figure="mean-variance-error",
)  # fmt: skip
def mean_variance_equality(
    n: int, temperature: float, scores: str, seed: int, divergence: str, right_side: Law = mean_variance
) -> Evidence:
    f, q0 = pool(scores, n, seed)
    phi, mean = named(divergence), moments(f, q0)[0]
    return agree(mean + gained(f, q0, temperature, phi), mean + right_side(f, q0, temperature, phi), atol=1e-9,
                 scale=np.ptp(f), largest_score=f.max())  # fmt: skip


def range_end(mean: float, lowest: float, phi: Divergence) -> float:
    """Smallest tau at which no weight 1 + (f - m) / (tau phi''(1)) is negative."""
    return (mean - lowest) / phi.second_at_one


def halved_end(mean: float, lowest: float, phi: Divergence) -> float:
    """Half of it: the range of one normalisation of chi2 with the value of the other."""
    return range_end(mean, lowest, phi) / 2.0


@claim(
    "mean-variance-exact-chi2",
    title="For chi2 mean plus variance is exact while no weight is negative",
    says=r"f_{min}\geq m-\tau\phi''(1)\;\Rightarrow\;\max_Q\;\mathbb{E}_Q f-\tau D_{\chi^2}(Q\|Q_0)"
    r"=m+\frac{V}{2\tau\phi''(1)}",
    source="wu2023, Eq 7 (repaired here by its range)",
    asserts="identity",
    assumes=("finite pool", "chi2 as (t - 1)^2, phi'' = 2, or as (t - 1)^2 / 2, which is cressie_read(k=2)"),
    repairs="mean-variance-equality",
    grid={"n": (8, 256), "above": (1.0, 1.5, 10.0), "scores": ("uniform", "skewed", "digits"), "seed": (0,),
          "divergence": ("chi2", "cressie_read(k=2)")},
    standard={"n": (8, 256, 10_000), "seed": (0, 1, 2)},
    paper={"seed": tuple(range(10))},
    control={"edge": halved_end},
    control_says="half the smallest temperature: the range of one normalisation of chi2 with the value of the other",
    control_grid={"above": (1.0,)},
    tolerance="closed form against a root at 1e-13, relative to V / (2 tau phi'')",
    figure="mean-variance-error",
)  # fmt: skip
def mean_variance_exact_chi2(
    n: int, above: float, scores: str, seed: int, divergence: str,
    edge: Callable[[float, float, Divergence], float] = range_end,
) -> Evidence:  # fmt: skip
    f, q0 = pool(scores, n, seed)
    phi = named(divergence)
    tau = above * edge(moments(f, q0)[0], float(f[q0 > 0].min()), phi)
    return agree(gained(f, q0, tau, phi), mean_variance(f, q0, tau, phi), rtol=1e-10, temperature=tau)


@claim(
    "mean-variance-exact-gaussian",
    title="For KL and Gaussian scores mean plus variance is exact",
    says=r"f\sim N(m,\sigma^{2})\;\Rightarrow\;\max_Q\;\mathbb{E}_Q f-\tau KL(Q\|Q_0)=m+\frac{\sigma^{2}}{2\tau}",
    source="wu2023, Eq 8 (repaired here by its assumption)",
    asserts="identity",
    assumes=("Gaussian scores under Q0 (Gauss-Hermite nodes: the law of n points with 2 n - 1 Gaussian moments)",),
    repairs="mean-variance-equality",
    grid={"n": (24, 48, 96), "temperature": (0.5, 1.0, 5.0), "deviation": (0.1, 1.0)},
    standard={"temperature": (0.5, 0.7, 1.0, 2.0, 5.0)},
    paper={"n": (24, 48, 96, 180)},
    control={"divergence": "hellinger"},
    control_says="squared Hellinger in place of KL",
    tolerance="the error of n Gauss-Hermite nodes is about n! (sigma / tau)^(2n) / (2 n)!, below 1e-15 here (the "
    "gap at n / 3 nodes is in the evidence); E f - tau D cancels by a factor 2 only",
    figure="mean-variance-error",
)
def mean_variance_exact_gaussian(n: int, temperature: float, deviation: float, divergence: str = "kl") -> Evidence:
    phi = named(divergence)

    def ratio(size: int) -> float:
        f, q0 = hermite_pool(size, 0.2, deviation)
        return gained(f, q0, temperature, phi) / mean_variance(f, q0, temperature, phi)

    return agree(ratio(n), 1.0, rtol=1e-10, gap_with_a_third_of_the_nodes=abs(ratio(n // 3) - 1.0))
