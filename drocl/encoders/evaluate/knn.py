"""Accuracy of the nearest neighbours in the training set, weighted by their similarity."""

import math

import torch
from torch import Tensor

from drocl.encoders._types import UNLABELLED
from drocl.encoders.evaluate import _check


@_check.full_precision()
def knn_accuracy(
    train_x: Tensor, train_y: Tensor, test_x: Tensor, test_y: Tensor, *, k: int = 200, temperature: float = 0.1,
    chunk: int | None = None, leave_one_out: bool = False,
) -> float:  # fmt: skip
    r"""Share of test rows whose class has the largest vote among the k training rows of largest cosine s.

    $$ \hat y(x) = \arg\max_c \sum_{i \in N_k(x)} e^{s_i / T}\,[y_i = c]. $$

    Rows with label -1 are left out on both sides. Equal votes go to the smallest label. A row of zeros has cosine 0 with all.

    Args:
        train_x, train_y: features (n, d), labels (n,).
        test_x, test_y: features (m, d), labels (m,).
        k: neighbours, at least 1; at most all rows vote.
        temperature: T in (0, inf]; inf counts heads.
        chunk: test rows that are compared at a time; None for about 16 million similarities.
        leave_one_out: the test rows are the training rows in their order, and none is a neighbour of itself.

    Returns:
        Accuracy in [0, 1].

    Raises:
        ValueError: features or labels of another shape, no labelled row, a k or temperature that is not
            allowed; leave_one_out with test rows that are not as many as the training rows, or with one row.

    Source: wu2018instance, Section 3.4.

    >>> x = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> knn_accuracy(x, torch.tensor([0, 1]), torch.tensor([[2.0, 0.1]]), torch.tensor([0]), k=1)
    1.0
    """
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise ValueError(f"k={k!r} must be a whole number of at least 1")
    if not temperature > 0.0:
        raise ValueError(f"temperature={temperature!r} must lie in (0, inf]")
    if leave_one_out and len(train_x) != len(test_x):
        raise ValueError(
            f"leave_one_out=True needs the training rows as test rows, got {len(train_x)} and {len(test_x)}"
        )
    train_x, train_y = _check.labelled(("train_x", "train_y"), train_x, train_y)
    test_x, test_y = _check.labelled(("test_x", "test_y"), test_x, test_y)
    _check.same_width(train_x, test_x, ("train_x", "test_x"))
    if leave_one_out and (len(train_x) < 2 or not torch.equal(train_y, test_y)):
        raise ValueError(
            "leave_one_out=True needs two labelled rows or more, with the same labels in train_y and test_y"
        )
    bank, queries = _check.units("train_x", train_x, zeros=True), _check.units("test_x", test_x, zeros=True)
    k, right = min(k, len(bank) - leave_one_out), 0
    for at in _check.blocks(len(queries), len(bank), chunk, 1 << 24):
        similarity = queries[at] @ bank.mT
        if leave_one_out:
            similarity.diagonal(at.start).fill_(-math.inf)
        near, index = similarity.topk(k, dim=1)
        right += int((_vote(near, train_y[index], temperature) == test_y[at]).sum())
    return right / len(queries)


def _vote(near: Tensor, classes: Tensor, temperature: float) -> Tensor:
    """Winning class of each row, from the similarities (m, k) and labels of its neighbours; sums in one fixed order."""
    weights = torch.exp((near - near[:, :1]).to(_check.wide(near)) / temperature)  # the nearest has weight 1
    best = torch.full_like(weights[:, 0], -math.inf)
    winner = torch.full_like(classes[:, 0], UNLABELLED)
    for label in classes.unique().tolist():
        votes = torch.where(classes == label, weights, 0.0).sum(1)
        ahead = votes > best
        best, winner = torch.where(ahead, votes, best), torch.where(ahead, label, winner)
    return winner
