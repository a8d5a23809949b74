"""wu2023, Theorem 3.2 on SimCLR: the positive in the denominator scales the DRO gradient by 1 - p+."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from drocl import dro
from drocl.claims import Evidence, agree, claim

from ._pools import complex_step, critic, log_mean_exp


def share_left(left: float) -> float:
    """1 - p+, the softmax probability that the positive leaves to the negatives."""
    return left


def ignored(left: float) -> float:
    """No factor."""
    return 1.0


@claim(
    "simclr-gradient-is-scaled-dro",
    title="SimCLR's gradient is (1 - p+) times the DRO gradient",
    says=r"\nabla\left[-\log\frac{e^{f^{+}/\tau}}{e^{f^{+}/\tau}+\sum_j e^{f_j/\tau}}\right]"
    r"=\frac{1-p^{+}}{\tau}\,\nabla\left[-f^{+}+\max_{KL(Q\|Q_0)\leq\eta(\tau)}\mathbb{E}_Q f\right]",
    source="wu2023, Theorem 3.2 (for the loss that is used in practice)",
    asserts="identity",
    assumes=("per anchor", "eta(tau) the radius that tau spends", "p+ the softmax probability of the positive"),
    uses=("kl-danskin-gradient",),
    grid={"n": (8, 254, 510), "temperature": (0.07, 0.2, 1.0), "model": ("random", "digits"), "seed": (0, 1)},
    standard={"temperature": (0.05, 0.07, 0.1, 0.2, 0.5, 1.0), "seed": tuple(range(5))},
    paper={"n": (8, 254, 510, 4094), "seed": tuple(range(20))},
    control={"factor": ignored},
    control_says="no factor: SimCLR taken for the DRO loss itself",
    tolerance="complex steps are exact to rounding and the worst case is a root at 1e-13: nothing but rounding is "
    "allowed",
    figure="simclr-gradient-scale",
)
def simclr_gradient_is_scaled_dro(
    n: int, temperature: float, model: str, seed: int, factor: Callable[[float], float] = share_left
) -> Evidence:
    scores, theta = critic(model, n, seed), np.zeros(4)
    f = scores(theta)

    def log_odds(at: NDArray[Any]) -> Any:  # of the negatives against the positive
        s = scores(at) / temperature
        return log_mean_exp(s[1:], np.ones(s.size - 1)) - s[0]

    simclr = complex_step(lambda at: np.log1p(np.exp(log_odds(at))), theta)  # keeps its digits where the loss is tiny
    radius = float(dro.radius_of(f[1:], temperature))
    slopes = complex_step(scores, theta)
    robust = -slopes[:, 0] + slopes[:, 1:] @ dro.worst_case(f[1:], radius=radius).weights
    left = float(expit(log_odds(theta)))
    return agree(simclr, factor(left) / temperature * robust, rtol=1e-10, scale=np.abs(simclr).max(),
                 left=left, radius=radius)  # fmt: skip
