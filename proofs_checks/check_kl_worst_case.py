"""wu2023, Theorem 3.2: the worst case of the KL ball is the exponential tilt, the softmax weights of the negatives."""

from collections.abc import Callable

import numpy as np

from drocl import dro
from drocl.claims import Evidence, agree, claim
from drocl.dro import reference

from ._pools import Floats, log_mean_exp, moments, pool

Tilt = Callable[[Floats, Floats, float], Floats]


def exponential(f: Floats, q0: Floats, alpha: float) -> Floats:
    """Q0 e^{f / alpha}, normalised."""
    return np.asarray(q0 * np.exp(f / alpha - log_mean_exp(f / alpha, q0)))


def linear(f: Floats, q0: Floats, alpha: float) -> Floats:
    """Q0 (1 + (f - m) / alpha)_+, normalised: the mean-variance weights."""
    weights = q0 * np.maximum(1.0 + (f - moments(f, q0)[0]) / alpha, 0.0)
    return np.asarray(weights / weights.sum())


@claim(
    "kl-worst-case-is-tilt",
    title="The worst case of a KL ball is the exponential tilt",
    says=r"Q^{*}(y)=Q_0(y)\,\frac{e^{f(y)/\alpha^{*}}}{\mathbb{E}_{Q_0}e^{f/\alpha^{*}}}",
    source="wu2023, Theorem 3.2 (as we state it)",
    asserts="identity",
    assumes=("finite pool", "0 < eta < eta_max"),
    uses=("kl-cl-dro-is-infonce",),
    grid={"n": (8, 100), "radius": (0.01, 0.1, 1.0), "scores": ("gaussian", "skewed", "digits"), "seed": (0,)},
    standard={"n": (8, 100, 300), "seed": (0, 1, 2)},
    paper={"seed": tuple(range(10))},
    control={"tilt": linear},
    control_says="the linear (mean-variance) weights at the same temperature",
    tolerance="alpha* KL(Q||Q*) is at most the reference's certified gap g, so by Pinsker's inequality the total "
    "variation is at most sqrt(g / (2 alpha*)); a further 1e-9 is for rounding",
    figure="worst-case-weights",
)
def kl_worst_case_is_tilt(n: int, radius: float, scores: str, seed: int, tilt: Tilt = exponential) -> Evidence:
    f, q0 = pool(scores, n, seed)
    certified = reference.worst_case(f, radius=radius, base=q0)
    alpha = float(dro.temperature_of(f, radius, base=q0))
    expected = tilt(f, q0, alpha)
    distance = 0.5 * float(np.abs(certified.weights - expected).sum())
    pinsker = float(np.sqrt(max(certified.gap, 0.0) / (2.0 * alpha)))
    return agree(
        distance, 0.0, atol=pinsker + 1e-9,
        status="ok" if certified.status == "optimal" else f"inconclusive: {certified.message}",
        solver=certified.solver, alpha=alpha, certificate=certified.gap,
        largest_ratio=float((expected / q0).max()), effective_size=float(1.0 / (expected @ expected)),
    )  # fmt: skip
