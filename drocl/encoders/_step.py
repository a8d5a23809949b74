"""One step of training: the loss of a whole batch, however the batch is cut into micro-batches and ranks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from drocl.encoders._order import number
from drocl.encoders.models.projector import frozen_statistics
from drocl.losses import ContrastiveLoss


@dataclass(frozen=True)
class Batch:
    """This rank's share of a batch.

    Attributes:
        micro: calls that make the views of each micro-batch: a batch of v * m examples for the encoder, view by view.
        views: v: 2, and the extra positives.
        labels: (rows of the rank,), or None.
        seed: of dropout in this step on this rank.
    """

    micro: Sequence[Callable[[], Any]]
    views: int
    labels: Tensor | None
    seed: int


def step(model: nn.Module, loss: ContrastiveLoss, batch: Batch, fabric: Any) -> Tensor:
    """Gradients of one batch, added to those of the parameters.

    With several micro-batches the embeddings of all are made first without a graph; the loss of the whole batch gives the
    gradient of each embedding; then each micro-batch goes through the encoder once more and takes its share. So the memory
    is that of one micro-batch, and every anchor has the negatives of the whole batch. Batch normalisation sees a micro-batch.

    Returns:
        Value of the loss on this rank, ().
    """
    if len(batch.micro) == 1:
        value = _loss(loss, _embed(model, batch, 0), batch)
        fabric.backward(value)
        _share_gradient(loss, fabric)
        return value.detach()
    with torch.no_grad(), frozen_statistics(model):
        parts = [_embed(model, batch, i) for i in range(len(batch.micro))]
    whole = torch.cat(parts, dim=1).requires_grad_()  # (views, rows, d)
    learned = [p for p in loss.parameters() if p.requires_grad]
    value = _loss(loss, whole, batch)
    slopes = torch.autograd.grad(value, [whole, *learned])
    start = 0
    for i, part in enumerate(parts):
        last = i == len(parts) - 1
        with fabric.no_backward_sync(model, enabled=not last):
            again = _embed(model, batch, i)
            along = (again * slopes[0][:, start : start + part.shape[1]]).sum()
            if last:  # through the same backward call, for the scale of half precision
                along = along + sum((p * slope).sum() for p, slope in zip(learned, slopes[1:], strict=True))
            fabric.backward(along)
        start += part.shape[1]
    _share_gradient(loss, fabric)
    return value.detach()


def _embed(model: nn.Module, batch: Batch, i: int) -> Tensor:
    """Embeddings of a micro-batch, (views, m, d)."""
    torch.manual_seed(number(batch.seed, "dropout", i))  # the second pass drops what the first dropped
    made = model(batch.micro[i]())
    return made.unflatten(0, (batch.views, -1))  # type: ignore[no-any-return]


def _loss(loss: ContrastiveLoss, embeddings: Tensor, batch: Batch) -> Tensor:
    extra = {"positives": embeddings[2:].transpose(0, 1)} if batch.views > 2 else {}
    return loss(embeddings[0], embeddings[1], labels=batch.labels, **extra)  # type: ignore[no-any-return]


def _share_gradient(loss: ContrastiveLoss, fabric: Any) -> None:
    """The mean over ranks of the gradient of what the loss learns, which no wrapper does."""
    if fabric.world_size > 1:
        for weight in loss.parameters():
            if weight.grad is not None:
                weight.grad = fabric.all_reduce(weight.grad, reduce_op="mean")
