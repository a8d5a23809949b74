"""The part of the examples that is held out where a data set comes without a test split."""

import numpy as np
import torch
from torch import Tensor

from drocl.encoders._types import Split

HELD_OUT = 0.2  # share of each class
SEED = 0


def stratified(labels: Tensor | None, count: int, share: float = HELD_OUT, seed: int = SEED) -> tuple[Tensor, Tensor]:
    """Rows to train on and rows held out: `round(share * n_c)` of each class, the same ones whenever it is asked.

    Args:
        labels: int64 (count,), or None: one class.
        count: number of examples.
        share: in (0, 1).
        seed: of the permutation of each class.

    Returns:
        Two int64 tensors of rows, each ascending, that share none and together have all.

    Raises:
        ValueError: where a side would be empty.

    >>> train, held = stratified(torch.tensor([0, 0, 0, 0, 0, 1, 1, 1, 1, 1]), 10)
    >>> len(train), len(held)
    (8, 2)
    """
    values = np.zeros(count, np.int64) if labels is None else labels.numpy()
    # RandomState's stream is frozen for good, a Generator's is not: a split must outlive the next numpy.
    random = np.random.RandomState(seed)
    held = np.zeros(count, bool)
    for label in np.unique(values):
        rows = np.flatnonzero(values == label)
        held[random.permutation(rows)[: round(share * len(rows))]] = True
    if held.all() or not held.any():
        raise ValueError(f"{count} examples are too few to hold out {share:.0%} of each class as the test split")
    return torch.from_numpy(np.flatnonzero(~held)), torch.from_numpy(np.flatnonzero(held))


def hold_out(whole: Split) -> tuple[Split, Split]:
    """A split in two: to train on and to test on, by `stratified`."""
    train, test = stratified(whole.labels, len(whole))
    return whole.take(train), whole.take(test)
