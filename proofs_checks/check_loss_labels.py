"""Losses that know the labels, where the labels know nothing: a class for every pair."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from drocl.claims import Evidence, claim

from ._losses import TORCH, agree_graded, of_views, views_of

Labels = NDArray[np.int64]

def one_class_a_pair(pairs: int) -> Labels:
    """Labels 0, 1, 2, ..."""
    return np.arange(pairs)


def two_pairs_a_class(pairs: int) -> Labels:
    """Labels 0, 0, 1, 1, ..."""
    return np.arange(pairs) // 2


@claim(
    "labels-of-pairs-leave-infonce",
    title="With a class for every pair, SupCon and the loss over true negatives are InfoNCE",
    says=r"y_i\neq y_j\;(i\neq j)\;\Rightarrow\;-\frac{1}{|P(i)|}\sum_{p\in P(i)}\log\frac{e^{a_{ip}}}{\sum_{j\neq i}e^{a_{ij}}}"
    r"=-x+\log\Big(e^{x}+\sum_{j:y_j\neq y_i}e^{a_j}\Big)=L_{InfoNCE}",
    source="khosla2020supcon, Eq 2 (and chuang2020, Eq 2 over a batch with known labels)",
    asserts="identity",
    grid={"pairs": (2, 16, 128), "temperature": (0.07, 0.5), "model": ("random", "digits"),
          "symmetric": (True, False), "loss": ("supervised", "unbiased"), "seed": (0,)},
    standard={"temperature": (0.05, 0.07, 0.1, 0.2, 0.5, 1.0), "seed": (0, 1, 2)},
    paper={"pairs": (2, 16, 128, 512), "seed": tuple(range(10))},
    control={"labels": two_pairs_a_class},
    control_says="two pairs a class",
    control_grid={"pairs": (16,)},
    tolerance="the same sums in another order: rounding, relative to the largest value and the largest derivative",
    needs=TORCH,
    figure="",
)  # fmt: skip
def labels_of_pairs_leave_infonce(
    pairs: int, temperature: float, model: str, symmetric: bool, loss: str, seed: int,
    labels: Callable[[int], Labels] = one_class_a_pair,
) -> Evidence:  # fmt: skip
    views, common = views_of(model, pairs, seed), {"temperature": temperature, "symmetric": symmetric}
    found = of_views(loss, views, labels=labels(pairs), **common)
    return agree_graded(found, of_views("info_nce", views, **common), rtol=1e-12)
