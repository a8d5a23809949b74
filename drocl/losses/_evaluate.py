"""The one road from two views to a loss: rows, head, reduction."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from drocl.losses import _rows
from drocl.losses._kernels import Kernel
from drocl.losses._ops import working
from drocl.losses._options import Options, read_temperature
from drocl.losses.diagnostics import Diagnostics, Head, diagnose

Result = Tensor | tuple[Tensor, Diagnostics]
Heads = Callable[["_rows.Batch", Tensor], Head]


def evaluate(
    z1: Tensor, z2: Tensor, temperature: Any, kernels: Sequence[Kernel], make_head: Heads, options: Options, *,
    ids: Tensor | None = None, moments: int = 0,
) -> Any:  # fmt: skip
    """Loss of the views: row statistics of `kernels`, then `make_head(batch, tau)(s+, lse, K, tau)` an anchor.

    Args:
        z1, z2: (B, d).
        temperature: number or tensor.
        kernels: what is summed over the negatives.
        make_head: from the batch and tau to the pointwise part, which returns values (m,) and the clamp (m,) or None.
        options: the shared options.
        ids: as in `drocl.losses._rows.prepare`.
        moments: what the head needs besides the sums; it finds the columns as `batch.extra`.

    Returns:
        The reduced loss, or (loss, Diagnostics).
    """
    with torch.autocast(z1.device.type if isinstance(z1, Tensor) else "cpu", enabled=False):
        batch = _rows.prepare(z1, z2, options, ids=ids)
        tau = read_temperature(temperature, batch.anchors.shape[0], batch.pairs, batch.unit)
        if not options.dense:
            _rows.refuse_tangents([tau])
        moments = 2 if options.diagnostics else max(moments, int(tau.requires_grad))
        rows = _rows.statistics(batch, 1.0 / tau, kernels, moments)
        batch.extra = rows.extra
        head = make_head(batch, tau)
        value, _ = head(rows.positive, rows.lse, rows.count, tau)
        loss = reduce(value, batch, working(torch.promote_types(z1.dtype, z2.dtype)))
        if not options.diagnostics:
            return loss
        carried = [kernel.carried for kernel in kernels]

        def weighted(*row: Tensor) -> tuple[Tensor, Tensor | None]:
            values, clamped = head(*row)
            return combined(values, batch), clamped

        args = (rows.positive, rows.lse, rows.count, rows.extra, tau, carried, options.labels is not None)
        return loss, diagnose(weighted, *args)


def combined(value: Tensor, batch: "_rows.Batch") -> Tensor:
    """Per-anchor values (m,), two directions joined by their weights (B,)."""
    weights = batch.options.direction_weights
    if weights is None:
        return value
    return weights[0] * value[: batch.pairs] + weights[1] * value[batch.pairs :]


def reduce(value: Tensor, batch: "_rows.Batch", dtype: torch.dtype) -> Tensor:
    """Per-anchor values (m,) to what `reduction` asks for, in the type of the inputs."""
    value, reduction = combined(value, batch), batch.options.reduction
    if reduction == "none":
        return value.to(dtype)
    return (value.mean() if reduction == "mean" else value.sum()).to(dtype)
