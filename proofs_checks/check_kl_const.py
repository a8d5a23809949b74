"""wu2023, Theorem 3.2: "Const" is alpha* eta, which is no constant once alpha* follows the parameters."""

from collections.abc import Callable
from typing import Any

import numpy as np

from drocl import dro
from drocl.claims import Evidence, agree, claim

from ._pools import Floats, Map, central, complex_step, critic, log_mean_exp

STEP = 3e-4
Loss = Callable[[Floats, float, float], float]
STATED: dict[str, Any] = {
    "source": "wu2023, Theorem 3.2 (Eq 4, as we state it)",
    "asserts": "identity",
    "grid": {"n": (8, 100), "radius": (0.01, 0.3), "model": ("random", "digits"), "seed": (0, 1)},
    "standard": {"n": (8, 100, 1000), "seed": tuple(range(5))},
    "paper": {"seed": tuple(range(20))},
    "tolerance": "fourth-order differences, step 3e-4: the gap falls as the fourth power of the step until "
    "rounding, 1e-10, takes over",
}


def dropped(f: Floats, alpha: float, radius: float) -> float:
    """alpha log E e^{f/alpha}, the part of alpha InfoNCE that depends on the negatives."""
    return alpha * float(log_mean_exp(f / alpha, np.full(f.size, 1.0 / f.size)))


def kept(f: Floats, alpha: float, radius: float) -> float:
    """The same with alpha eta."""
    return dropped(f, alpha, radius) + alpha * radius


def compare(scores: Map, radius: float, loss: Loss) -> Evidence:
    """Gradient of a loss whose temperature is re-solved at each theta, against E_{Q*}[grad f]."""
    theta = np.zeros(4)

    def alpha(at: Floats) -> float:
        return float(dro.temperature_of(scores(at)[1:], radius))

    total = central(lambda at: loss(scores(at)[1:], alpha(at), radius), theta, STEP)
    robust = complex_step(lambda at: scores(at)[1:], theta) @ dro.worst_case(scores(theta)[1:], radius=radius).weights
    moved = central(alpha, theta, STEP)
    return agree(total, robust, rtol=1e-8, scale=np.abs(robust).max(), gradient=total, robust_gradient=robust,
                 gradient_of_alpha=moved)  # fmt: skip


@claim(
    "infonce-const-is-constant",
    title="InfoNCE with a temperature that follows the parameters has the robust gradient",
    says=r"\nabla_\theta\left[\alpha^{*}(\theta)\log\mathbb{E}_{Q_0}e^{f_\theta/\alpha^{*}(\theta)}\right]"
    r"=\nabla_\theta\max_{KL(Q\|Q_0)\leq\eta}\mathbb{E}_Q f_\theta",
    assumes=("the equivalence read as one of losses, with alpha* a function of theta and Const dropped",),
    control={"loss": kept},
    control_says="alpha* eta kept in the loss",
    control_expects="holds",
    **STATED,
)
def infonce_const_is_constant(n: int, radius: float, model: str, seed: int, loss: Loss = dropped) -> Evidence:
    return compare(critic(model, n, seed), radius, loss)


@claim(
    "infonce-const-kept",
    title="With alpha* eta kept, a temperature that follows the parameters has the robust gradient",
    says=r"\nabla_\theta\left[\alpha^{*}(\theta)\log\mathbb{E}_{Q_0}e^{f_\theta/\alpha^{*}(\theta)}"
    r"+\alpha^{*}(\theta)\eta\right]=\nabla_\theta\max_{KL(Q\|Q_0)\leq\eta}\mathbb{E}_Q f_\theta",
    assumes=("finite pool", "0 < eta < eta_max"),
    uses=("kl-danskin-gradient",),
    repairs="infonce-const-is-constant",
    control={"loss": dropped},
    control_says="alpha* eta left out",
    **STATED,
)
def infonce_const_kept(n: int, radius: float, model: str, seed: int, loss: Loss = kept) -> Evidence:
    return compare(critic(model, n, seed), radius, loss)
