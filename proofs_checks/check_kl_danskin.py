"""wu2023, Theorem 3.2: the gradient of the robust value is that of alpha* InfoNCE with alpha* frozen (Danskin)."""

from collections.abc import Callable

import numpy as np

from drocl import dro
from drocl.claims import Evidence, agree, claim

from ._pools import Floats, central, complex_step, critic, log_mean_exp

STEP = 3e-4


def small_budget(f: Floats, radius: float) -> float:
    """Corollary 3.4's temperature."""
    return float(dro.temperature_of(f, radius, approximation="variance"))


def exact(f: Floats, radius: float) -> float:
    """The temperature that spends the budget."""
    return float(dro.temperature_of(f, radius))


@claim(
    "kl-danskin-gradient",
    title="The robust gradient is InfoNCE's with the temperature frozen",
    says=r"\nabla_\theta\max_{KL(Q\|Q_0)\leq\eta}\mathbb{E}_Q f_\theta=\mathbb{E}_{Q^{*}}[\nabla_\theta f_\theta]"
    r"=\alpha\nabla_\theta\log\mathbb{E}_{Q_0}e^{f_\theta/\alpha}\;\mathrm{at}\;\alpha=\alpha^{*}",
    source="wu2023, Theorem 3.2 (as we state it)",
    asserts="identity",
    assumes=("finite pool", "0 < eta < eta_max", "f differentiable in theta", "alpha* held fixed (stop-gradient)"),
    uses=("kl-worst-case-is-tilt",),
    grid={"n": (8, 100), "radius": (1e-3, 0.1, 1.0), "model": ("random", "digits"), "seed": (0, 1)},
    standard={"n": (8, 100, 1000), "seed": tuple(range(5))},
    paper={"seed": tuple(range(20))},
    control={"temperature": small_budget},
    control_says="InfoNCE at the small-budget temperature of Corollary 3.4",
    tolerance="fourth-order differences of the robust value, step 3e-4: the gap falls as the fourth power of the "
    "step until rounding, 1e-11, takes over; the right-hand sides are exact to rounding (complex steps)",
)
def kl_danskin_gradient(
    n: int, radius: float, model: str, seed: int, temperature: Callable[[Floats, float], float] = exact
) -> Evidence:
    scores, theta = critic(model, n, seed), np.zeros(4)
    robust = central(lambda at: dro.worst_case(scores(at)[1:], radius=radius).value, theta, STEP)
    f = scores(theta)[1:]
    alpha, uniform = temperature(f, radius), np.full(f.size, 1.0 / f.size)
    frozen = complex_step(lambda at: alpha * log_mean_exp(scores(at)[1:] / alpha, uniform), theta)
    tilt = np.exp(f / alpha - log_mean_exp(f / alpha, uniform)) * uniform
    expected = complex_step(lambda at: scores(at)[1:], theta) @ tilt
    return agree(
        np.stack([robust, robust]), np.stack([expected, frozen]), rtol=1e-8, scale=np.abs(robust).max(),
        alpha=alpha, robust_gradient=robust, frozen_gradient=frozen,
    )  # fmt: skip
