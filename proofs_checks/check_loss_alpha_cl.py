"""tian2022alpha: weights set aside leave the gradient of the worst case, Danskin's theorem as a loss."""

import dataclasses

import numpy as np

from drocl.claims import Evidence, claim

from ._losses import TORCH, Graded, agree_graded, of_views, views_of


@claim(
    "alpha-cl-is-danskin-gradient",
    title="alpha-CL with power 1 has tau times the gradient of the decoupled loss",
    says=r"w=\mathrm{softmax}(s/\tau)\;\mathrm{fixed}\;\Rightarrow\;\nabla\sum_j w_j(s_j-s^{+})=\tau\,\nabla\left[-\frac{s^{+}}{\tau}"
    r"+\log\sum_j e^{s_j/\tau}\right]",
    source="tian2022alpha, its direct form of a contrastive loss (as we state it)",
    asserts="identity",
    assumes=("power p = 1 in softmax(-(1 - s)^p / tau)",),
    uses=("kl-danskin-gradient", "decoupled-is-kl-dro"),
    grid={"pairs": (3, 16, 128), "temperature": (0.07, 0.5), "model": ("random", "digits"),
          "symmetric": (True, False), "seed": (0,)},
    standard={"temperature": (0.05, 0.07, 0.1, 0.2, 0.5, 1.0), "seed": (0, 1, 2)},
    paper={"pairs": (3, 16, 128, 512), "seed": tuple(range(10))},
    control={"power": 4.0},
    control_says="power 4",
    control_grid={"pairs": (16,)},
    tolerance="the same softmax from other sums: rounding, relative to the largest derivative",
    needs=TORCH,
    figure="",
)  # fmt: skip
def alpha_cl_is_danskin_gradient(
    pairs: int, temperature: float, model: str, symmetric: bool, seed: int, power: float = 1.0
) -> Evidence:
    views, common = views_of(model, pairs, seed), {"temperature": temperature, "symmetric": symmetric}
    linear = of_views("alpha_cl", views, power=power, **common)
    robust = of_views("decoupled", views, **common).scaled(temperature)
    return agree_graded(_slopes_only(linear), _slopes_only(robust), rtol=1e-11,
                        values_differ_by=float(np.abs(linear.values - robust.values).max()))  # fmt: skip


def _slopes_only(loss: Graded) -> Graded:
    return dataclasses.replace(loss, values=np.zeros(0))
