"""chuang2020, Eqs 7 and 8 at tau+ = 0: nothing to correct, and the loss is InfoNCE."""

import numpy as np

from drocl.claims import Evidence, claim

from ._losses import TORCH, agree_graded, of_views, views_of


@claim(
    "debiased-without-prior-is-infonce",
    title="At class prior 0 the debiased loss is InfoNCE, in value and gradient",
    says=r"\tau^{+}=0\;\Rightarrow\;g=\max\{\sum_{j}e^{a_j},\,K e^{-1/\tau}\}=\sum_{j}e^{a_j},\quad"
    r"-x+\log(e^{x}+g)=L_{InfoNCE}",
    source="chuang2020, Eqs 7 and 8",
    asserts="identity",
    assumes=("unit embeddings, so that no sum lies below the floor",),
    grid={"pairs": (2, 16, 128), "temperature": (0.07, 0.5), "model": ("random", "digits"),
          "symmetric": (True, False), "prior_as": ("number", "tensor"), "seed": (0,)},
    standard={"temperature": (0.05, 0.07, 0.1, 0.2, 0.5, 1.0), "seed": (0, 1, 2)},
    paper={"pairs": (2, 16, 128, 512), "seed": tuple(range(10))},
    control={"other": "decoupled"},
    control_says="the decoupled loss, which shares the name DCL with the debiased one",
    control_grid={"pairs": (16,)},
    tolerance="the same sums, in another order where the prior is a tensor: rounding, at most 1e-13",
    needs=TORCH,
    figure="",
)  # fmt: skip
def debiased_without_prior_is_infonce(
    pairs: int, temperature: float, model: str, symmetric: bool, prior_as: str, seed: int, other: str = "info_nce"
) -> Evidence:
    views = views_of(model, pairs, seed)
    # a tensor goes through the difference and the floor, the number 0 past both
    prior = 0.0 if prior_as == "number" else np.zeros(1)
    common = {"temperature": temperature, "symmetric": symmetric}
    found = of_views("debiased", views, class_prior=prior, **common)
    return agree_graded(found, of_views(other, views, **common), rtol=1e-12)
