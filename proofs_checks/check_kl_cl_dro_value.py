"""wu2023, Theorem 3.2 (Eq 4): the KL CL-DRO loss is alpha* InfoNCE(alpha*) + alpha* eta."""

from collections.abc import Callable

import numpy as np

from drocl import dro
from drocl.claims import Evidence, agree, claim
from drocl.dro import reference

from ._pools import Floats, log_mean_exp, pool

Loss = Callable[[float, Floats, Floats, float], float]


def scaled_infonce(positive: float, f: Floats, q0: Floats, radius: float) -> float:
    """alpha* InfoNCE(alpha*) + alpha* eta, the positive outside the denominator, mean over the negatives."""
    alpha = float(dro.temperature_of(f, radius, base=q0))
    return -positive + alpha * float(log_mean_exp(f / alpha, q0)) + alpha * radius


def without_constant(positive: float, f: Floats, q0: Floats, radius: float) -> float:
    """The same with the constant left out."""
    return scaled_infonce(positive, f, q0, radius) - float(dro.temperature_of(f, radius, base=q0)) * radius


@claim(
    "kl-cl-dro-is-infonce",
    title="KL CL-DRO is InfoNCE at the temperature its budget buys",
    says=r"-f^{+}+\max_{KL(Q\|Q_0)\leq\eta}\mathbb{E}_Q f"
    r"=-\alpha^{*}\log\frac{e^{f^{+}/\alpha^{*}}}{\mathbb{E}_{Q_0}e^{f/\alpha^{*}}}+\alpha^{*}\eta",
    source="wu2023, Theorem 3.2 (Eq 4, as we state it)",
    asserts="identity",
    assumes=("finite pool", "0 < eta < eta_max", "the mean over negatives, without the positive, in the denominator"),
    grid={"n": (8, 100), "radius": (1e-3, 0.1, 1.0), "scores": ("gaussian", "skewed", "digits"), "seed": (0,)},
    standard={"n": (8, 100, 300), "seed": (0, 1, 2)},
    paper={"seed": tuple(range(10))},
    control={"right_side": without_constant},
    control_says="alpha* InfoNCE(alpha*) without the alpha* eta that the paper calls Const",
    tolerance="the reference certifies its value to 1e-7 of the spread of the scores; the gaps are near 1e-12, and "
    "fall with the tolerance asked of it",
    figure="tau-against-eta",
)
def kl_cl_dro_is_infonce(n: int, radius: float, scores: str, seed: int, right_side: Loss = scaled_infonce) -> Evidence:
    f, q0 = pool(scores, n, seed)
    positive = float(f.max())  # it stands on both sides
    certified = reference.worst_case(f, radius=radius, base=q0)
    return agree(
        certified.value - positive, right_side(positive, f, q0, radius), atol=1e-7, scale=np.ptp(f),
        status="ok" if certified.status == "optimal" else f"inconclusive: {certified.message}",
        solver=certified.solver, alpha=certified.multiplier, constant=certified.multiplier * radius,
        certificate=certified.gap,
    )  # fmt: skip
