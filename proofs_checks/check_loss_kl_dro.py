"""wu2023, Theorem 3.2 as losses: the decoupled loss is KL-DRO, penalised or constrained, up to scale and constant."""

import numpy as np

from drocl import dro
from drocl.claims import Evidence, claim

from ._losses import TORCH, Floats, agree_graded, of_views, scores_of, views_of


@claim(
    "decoupled-is-kl-dro",
    title="tau times the decoupled loss is the KL-DRO loss, in value and gradient",
    says=r"\tau\,(L_{decoupled}-\log K)=-s^{+}+\max_{Q}\{\mathbb{E}_Q s-\tau\,KL(Q\|Q_0)\}=-s^{+}+"
    r"\max_{KL(Q\|Q_0)\leq\eta}\mathbb{E}_Q s-\tau\eta,\quad\nabla\;\mathrm{alike}",
    source="wu2023, Theorem 3.2 (as we state it, for the losses over a batch)",
    asserts="identity",
    assumes=("constrained form: each anchor its own radius, the one that tau spends, held fixed in the gradient",),
    uses=("kl-cl-dro-is-infonce", "kl-danskin-gradient"),
    grid={"pairs": (3, 16, 128), "temperature": (0.07, 0.5), "model": ("random", "digits"),
          "symmetric": (True, False), "form": ("temperature", "radius"), "seed": (0,)},
    standard={"temperature": (0.05, 0.07, 0.1, 0.2, 0.5, 1.0), "seed": (0, 1, 2)},
    paper={"pairs": (3, 16, 128, 512), "seed": tuple(range(10))},
    control={"other": "info_nce"},
    control_says="InfoNCE with the positive in its denominator",
    control_grid={"pairs": (16,)},
    tolerance="the worst case of the ball is a root at 1e-13; relative to the largest value and the largest derivative",
    needs=TORCH,
    figure="",
)  # fmt: skip
def decoupled_is_kl_dro(
    pairs: int, temperature: float, model: str, symmetric: bool, form: str, seed: int, other: str = "decoupled"
) -> Evidence:
    views = views_of(model, pairs, seed)
    _, negatives = scores_of(views, symmetric)
    k = negatives.shape[1]
    loss = of_views(other, views, temperature=temperature, symmetric=symmetric).scaled(temperature, -temperature * np.log(k))
    if form == "temperature":
        return agree_graded(of_views("dro", views, temperature=temperature, symmetric=symmetric), loss, rtol=1e-10)
    radius: Floats = np.asarray(dro.radius_of(negatives, temperature))
    robust = of_views("dro", views, radius=radius, symmetric=symmetric)
    return agree_graded(robust.scaled(1.0, -temperature * radius), loss, rtol=1e-10, radii=radius[:8])
