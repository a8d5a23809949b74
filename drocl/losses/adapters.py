"""The call shapes of other libraries' losses around a loss of drocl, so that a training step stays as it is.

A loss of drocl already is a `loss(out0, out1)` as in lightly. `MetricLearningLoss` reads pairs from labels, `QueryLoss`
takes explicit negatives, `MemoryBankLoss` keeps its own queue. None of the peers is imported.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from drocl.losses._module import ContrastiveLoss
from drocl.losses._options import read_labels
from drocl.losses.queue import Queue
from drocl.losses.supervised import Supervised, Unbiased

__all__ = ["MemoryBankLoss", "MetricLearningLoss", "QueryLoss"]


class MetricLearningLoss(nn.Module):
    r"""A loss called as in pytorch-metric-learning: `loss(embeddings, labels)`.

    Rows of one label are views of each other: each label twice for a loss of pairs; any even number of times for
    `Unbiased` and `Supervised`, which get the labels. If the second half of the labels repeats the first, rows i and
    i + n/2 are a pair (concatenated views); else the rows of a label pair up in the order in which they stand. With
    `ref_emb`, embeddings are anchors and references candidates: the one-sided layout. The call chooses the layout, not
    the `symmetric` of the loss.

    Args:
        loss: a module of `drocl.losses`, such as `InfoNCE(temperature=0.07)`.

    Raises:
        ValueError: `loss` is something else.

    >>> from drocl.losses import InfoNCE
    >>> z, y = torch.eye(4, dtype=torch.float64), torch.tensor([5, 7, 7, 5])
    >>> loss = InfoNCE(temperature=0.5)
    >>> bool(MetricLearningLoss(loss)(z, y) == loss(z[[0, 1]], z[[3, 2]]))
    True
    """

    def __init__(self, loss: ContrastiveLoss) -> None:
        super().__init__()
        self.loss = _module(loss)

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: Any = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
    ) -> Tensor:
        """Loss of a labelled batch.

        Args:
            embeddings: (n, d), both views of every pair; with `ref_emb` the anchors.
            labels: (n,) whole numbers.
            indices_tuple: None; a miner's choice of pairs is refused.
            ref_emb, ref_labels: candidates (n, d) and labels (n,), the same labels as often as in `labels`, in any order.

        Returns:
            Loss in nats, (), or (n,) in the order of `embeddings` with `reduction="none"`.

        Raises:
            ValueError: `indices_tuple` given; labels that do not form pairs, or more than pairs for a loss that takes no labels;
                references without labels, or with others.
        """
        if indices_tuple is not None:
            raise ValueError(
                "indices_tuple must be None: these losses weigh all negatives of the batch, and a miner's selection has no "
                "place in them (HardNegative and DRO put weight on the hard ones)"
            )
        classes = read_labels(labels, embeddings.shape[0], embeddings)
        if ref_emb is None:
            if ref_labels is not None:
                raise ValueError("ref_labels without ref_emb")
            first, second = _halves(classes)
            others = embeddings[second]
        else:
            if ref_labels is None:
                raise ValueError("ref_labels must be given with ref_emb: pairs are read from the labels")
            first, second = _matches(classes, read_labels(ref_labels, ref_emb.shape[0], embeddings, "ref_labels"))
            others = ref_emb[second]
        of_pairs = classes[first]
        labelled = isinstance(self.loss, Supervised | Unbiased)
        if not labelled:
            _once(of_pairs, type(self.loss).__name__)
        two_sided = ref_emb is None
        given = {"labels": of_pairs} if labelled else {}
        value = _call(self.loss, embeddings[first], others, {"symmetric": two_sided}, **given)
        rows = torch.cat((first, second)) if two_sided else first
        return value[rows.argsort()] if value.ndim else value


class QueryLoss(nn.Module):
    r"""A loss called as in info-nce-pytorch: `loss(query, positive_key, negative_keys=None)`.

    One-sided: queries are the anchors. Without negative keys the positives of the other queries are the negatives;
    explicit negative keys replace them. Shared keys ("unpaired") are (m, d), keys of each query ("paired") (n, m, d): the
    shape tells.

    Args:
        loss: a module of `drocl.losses` that needs no labels, such as `InfoNCE(temperature=0.1)`.

    Raises:
        ValueError: `loss` is something else.

    >>> from drocl.losses import InfoNCE
    >>> q = torch.eye(3, dtype=torch.float64)
    >>> round(float(QueryLoss(InfoNCE(temperature=1.0))(q, q, -q[:1])), 5)   # mean of log(1 + e^-2) and twice log(1 + e^-1)
    0.25115
    """

    def __init__(self, loss: ContrastiveLoss) -> None:
        super().__init__()
        if isinstance(loss, Supervised | Unbiased):
            raise ValueError(f"loss must need no labels, got {loss!r}: queries and keys have none")
        self.loss = _module(loss)

    def forward(self, query: Tensor, positive_key: Tensor, negative_keys: Tensor | None = None) -> Tensor:
        """Loss of queries (n, d), their positives (n, d), and negatives (m, d) or (n, m, d).

        Returns:
            Loss in nats, (), or (n,) with `reduction="none"`.

        Raises:
            ValueError: shapes that do not fit.
        """
        given = {} if negative_keys is None else {"negatives": negative_keys}
        return _call(self.loss, query, positive_key, {"symmetric": False, "in_batch": negative_keys is None}, **given)


class MemoryBankLoss(nn.Module):
    """A loss that stores its own keys, as lightly's do with `memory_bank_size`: out1 enters the queue after each training call.

    As in lightly nothing is stored when out0 requires no gradient (evaluation). A loss with `in_batch=False` needs keys
    for its first call: fill the queue, `queue.push(torch.randn(size, dim))`.

    Args:
        loss: a module of `drocl.losses` built with `queue=Queue(size, dim)`.

    Raises:
        ValueError: `loss` is something else, or has no `Queue`.

    >>> from drocl.losses import InfoNCE
    >>> queue = Queue(8, 3)
    >>> z = torch.eye(3, requires_grad=True)
    >>> loss = MemoryBankLoss(InfoNCE(temperature=0.1, symmetric=False, queue=queue))(z, z)
    >>> queue.filled
    3
    """

    def __init__(self, loss: ContrastiveLoss) -> None:
        super().__init__()
        self.loss = _module(loss)
        queue = getattr(loss, "queue", None)
        if not isinstance(queue, Queue):
            raise ValueError(f"loss must be built with queue=Queue(size, dim), got queue={queue!r}")
        self.queue = queue

    def forward(self, out0: Tensor, out1: Tensor) -> Tensor:
        """Loss of two views (B, d) against the keys stored so far; then out1 is stored."""
        value: Tensor = self.loss(out0, out1)
        if out0.requires_grad:
            self.queue.push(out1.detach())
        return value


def _module(loss: Any) -> ContrastiveLoss:
    if not isinstance(loss, ContrastiveLoss):
        raise ValueError(f"loss must be a module of drocl.losses such as InfoNCE(), got {loss!r}")
    return loss


def _call(loss: ContrastiveLoss, z1: Tensor, z2: Tensor, options: dict[str, Any], **given: Tensor) -> Tensor:
    """The loss with other options: what the call shape decides is not left to the constructor."""
    changed = copy.copy(loss)  # shares parameters and buffers
    changed.options = {**loss.options, **options}
    value: Tensor = changed(z1, z2, **given)
    loss.last = changed.last
    return value


def _halves(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Indices (B,), (B,) of the rows that pair up."""
    n = labels.shape[0]
    places = torch.arange(n, device=labels.device)
    if n % 2 == 0 and torch.equal(labels[: n // 2], labels[n // 2 :]):
        return places[: n // 2], places[n // 2 :]
    names, counts = torch.unique(labels, return_counts=True)
    odd = counts % 2 == 1
    if odd.any():
        raise ValueError(
            f"labels do not form pairs: {int(names[odd][0])} occurs {int(counts[odd][0])} times; every label must occur an "
            "even number of times (two views of each sample, or an even number of samples a class)"
        )
    order = labels.argsort(stable=True)
    return order[0::2], order[1::2]


def _matches(labels: Tensor, references: Tensor) -> tuple[Tensor, Tensor]:
    """Indices (n,), (n,) of anchors and of the references of the same label."""
    if labels.shape == references.shape and torch.equal(labels, references):
        places = torch.arange(labels.shape[0], device=labels.device)
        return places, places
    first, second = labels.argsort(stable=True), references.argsort(stable=True)
    if labels.shape != references.shape or not torch.equal(labels[first], references[second]):
        raise ValueError(
            "ref_labels must hold every label as often as labels does, so that each anchor has its positive "
            f"(further negatives: queue= or negatives= of the loss); got {references.shape[0]} references for {labels.shape[0]} anchors"
        )
    return first, second


def _once(of_pairs: Tensor, name: str) -> None:
    """Refuse classes where the loss knows pairs only."""
    names, counts = torch.unique(of_pairs, return_counts=True)
    if (counts > 1).any():
        worst = counts.argmax()
        raise ValueError(
            f"labels: {int(names[worst])} names {int(counts[worst])} pairs, and {name} would take the others for negatives; "
            "number the pairs (labels of samples, not of classes), or use Unbiased or Supervised"
        )
