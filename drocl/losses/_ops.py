r"""The streaming core as two torch operators, opaque to torch.compile and differentiable to any order.

`unit_rows` checks, joins and normalises the views; `row_statistics` gives $R_k = \log\sum_{Neg} e^{h_k(s)}$ of every anchor and
the positive's score. First derivatives stream; a second derivative goes through the dense formula of the first.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from drocl.losses import _dense, _tiles
from drocl.losses._kernels import decode
from drocl.losses._tiles import Pairs, Pull, wide

ROWS = 4096  # rows that are copied to double precision at a time


def working(dtype: torch.dtype) -> torch.dtype:
    """The type scores are computed in: half precision is computed in single."""
    return dtype if dtype == torch.float64 else torch.float32


@torch.library.custom_op("drocl::unit_rows", mutates_args=())
def unit_rows(views: Sequence[Tensor], names: str, normalize: bool) -> tuple[Tensor, Tensor]:
    """Rows of all views, joined, of norm 1 if `normalize`, and their norms (rows, 1).

    Raises:
        ValueError: a row that is not finite, or zero where it has to be normalised.
    """
    first = views[0]
    total = sum(view.shape[0] for view in views)
    joined = first.new_empty((total, first.shape[1]), dtype=working(first.dtype))
    norms = joined.new_ones((total, 1))
    start = 0
    for view, name in zip(views, names.split(","), strict=True):
        for at in range(0, view.shape[0], ROWS):
            rows = view[at : at + ROWS].to(joined.dtype)
            here = slice(start + at, start + at + rows.shape[0])
            biggest = rows.abs().amax(1, keepdim=True)
            if not bool(torch.isfinite(biggest).all()):
                bad = at + int(torch.nonzero(~torch.isfinite(biggest))[0, 0])
                raise ValueError(f"{name} must hold finite numbers; row {bad} holds nan or inf")
            if normalize:
                if not bool((biggest > 0.0).all()):
                    bad = at + int(torch.nonzero(biggest == 0.0)[0, 0])
                    raise ValueError(f"{name} must have no zero rows: row {bad} is zero and has no direction")
                scaled = rows / biggest  # squares of very large or small entries stay in range
                length = torch.linalg.vector_norm(scaled, dim=1, keepdim=True)
                torch.div(scaled, length, out=scaled)
                norms[here] = length * biggest
                rows = scaled
            joined[here] = rows
        start += view.shape[0]
    return joined, norms


@unit_rows.register_fake
def _(views: Sequence[Tensor], names: str, normalize: bool) -> tuple[Tensor, Tensor]:
    first = views[0]
    total = sum(view.shape[0] for view in views)
    joined = first.new_empty((total, first.shape[1]), dtype=working(first.dtype))
    return joined, joined.new_empty((total, 1))


def _keep_views(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.views = [(view.shape[0], view.dtype) for view in inputs[0]]
    ctx.normalize = inputs[2]
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*output)


def _pull_views(ctx: Any, grad: Tensor | None, grad_norm: Tensor | None) -> tuple[list[Any], None, None]:
    unit, norm = ctx.saved_tensors
    if grad is None and (grad_norm is None or not ctx.normalize):
        return [None] * len(ctx.views), None, None
    grad = torch.zeros_like(unit) if grad is None else grad
    if ctx.normalize:
        with torch.autocast(unit.device.type, enabled=False):
            along = torch.bmm(unit.unsqueeze(1), grad.unsqueeze(2)).squeeze(2)
        grad = torch.addcmul(grad, unit, along, value=-1.0).div_(norm)
        grad = grad if grad_norm is None else grad + unit * grad_norm
    parts = grad.split([rows for rows, _ in ctx.views])
    return [part.to(dtype) for part, (_, dtype) in zip(parts, ctx.views, strict=True)], None, None


unit_rows.register_autograd(_pull_views, setup_context=_keep_views)


def _pairs(
    a: Tensor, b: Tensor | None, kappa: Tensor, ids: Sequence[Tensor], labels: Sequence[Tensor], kernels: Sequence[float],
    period: int, chunk: int, kept: Tensor, filled: bool,
) -> Pairs:  # fmt: skip
    labels_a, labels_b = (*labels, None, None)[:2]
    return Pairs(
        a, b, kappa, ids[0], ids[1] if b is not None else None, decode(kernels), _tiles.side_of(chunk, a), labels_a,
        labels_b if b is not None else None, period, kept if kept.numel() else None, filled,
    )  # fmt: skip


def _kept_shape(a: Tensor, b: Tensor | None, kernels: Sequence[float], backend: str) -> tuple[int, int, int]:
    columns = a if b is None else b
    return _tiles.kept_shape(len(decode(kernels)), a.shape[0], columns.shape[0]) if backend == "torch" else (0, 0, 0)


def _partner(a: Tensor, b: Tensor | None) -> tuple[Tensor, Tensor]:
    """Each anchor beside its positive: the other half in the symmetric case, the same row of b else."""
    if b is not None:
        return a, b
    half = a.shape[0] // 2
    return a[:half], a[half:]


def _positive_scores(a: Tensor, b: Tensor | None) -> Tensor:
    left, right = _partner(a, b)
    parts = [
        torch.bmm(x.to(wide(a)).unsqueeze(1), y.to(wide(a)).unsqueeze(2)).view(-1)
        for x, y in zip(left.split(ROWS), right.split(ROWS), strict=True)
    ]
    score = torch.cat(parts)
    return score if b is not None else score.repeat(2)


@torch.library.custom_op("drocl::row_statistics", mutates_args=())
def row_statistics(
    a: Tensor, b: Tensor | None, kappa: Tensor, ids: Sequence[Tensor], labels: Sequence[Tensor], kernels: Sequence[float],
    period: int, chunk: int, moments: int, both: bool, positives: bool, backend: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """lse (m, r) and extra (m, q) of the anchors a, the same of b as anchors with `both` (else no rows), positive scores (m,).

    These are double where the device has it; extra is not differentiable. Last, for the backward pass, the exponentials
    (r, m, n) of a small batch, else nothing.
    """
    with torch.autocast(a.device.type, enabled=False):
        score = _positive_scores(a, b) if positives else kappa.new_empty(0, dtype=wide(a))
        if backend == "triton":
            from drocl.losses import _triton_path

            found = _triton_path.statistics(a, b, kappa, ids, labels, decode(kernels), moments, both)
            return (*found, score, a.new_empty(_kept_shape(a, b, kernels, backend)))
        kept = a.new_empty(_kept_shape(a, b, kernels, backend))
        pairs = _pairs(a, b, kappa, ids, labels, kernels, period, chunk, kept, filled=False)
        return (*_tiles.statistics(pairs, moments, both), score, kept)


@row_statistics.register_fake
def _(
    a: Tensor, b: Tensor | None, kappa: Tensor, ids: Sequence[Tensor], labels: Sequence[Tensor], kernels: Sequence[float],
    period: int, chunk: int, moments: int, both: bool, positives: bool, backend: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    r, m, n = len(decode(kernels)), a.shape[0], b.shape[0] if both and b is not None else 0
    q = (0, r, r + 3)[moments]
    shapes = ((m, r), (m, q), (n, r), (n, q), (m * positives,))
    kept = a.new_empty(_kept_shape(a, b, kernels, backend))
    return (*(a.new_empty(shape, dtype=wide(a)) for shape in shapes), kept)  # type: ignore[return-value]


@torch.library.custom_op("drocl::row_statistics_pull", mutates_args=())
def row_statistics_pull(
    a: Tensor, b: Tensor | None, kappa: Tensor, ids: Sequence[Tensor], kernels: Sequence[float], period: int, chunk: int, backend: str,
    lse: Sequence[Tensor], grads: Sequence[Tensor], means: Sequence[Tensor], grad_positive: Tensor | None,
    kept: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients with respect to a, b (no rows in the symmetric case) and kappa.

    `lse`, `grads` and `means` (E_k s, or empty) hold one tensor for the anchors a and, with `both`, one for b.
    """
    with torch.autocast(a.device.type, enabled=False):
        # Weights far below the smallest number of the type would be lost: bring the largest gradient to 1.
        scale = max((float(g.abs().amax()) for g in grads if g.numel()), default=0.0)
        scale = scale if 0.0 < scale < math.inf else 1.0
        rows = Pull(lse[0], grads[0] / scale)
        cols = Pull(lse[1], grads[1] / scale) if len(lse) > 1 else None
        out_a = torch.zeros_like(a)
        out_b = a.new_zeros((0, a.shape[1])) if b is None else torch.zeros_like(b)
        if backend == "triton":
            from drocl.losses import _triton_path

            _triton_path.pull(a, b, kappa, ids, decode(kernels), rows, cols, out_a, out_b)
        else:
            pairs = _pairs(a, b, kappa, ids, (), kernels, period, chunk, kept, filled=True)
            _tiles.gradient(pairs, rows, cols, out_a, out_b)
        out_a.mul_(scale)
        out_b.mul_(scale)
        if grad_positive is not None:
            _pull_positive(a, b, grad_positive, out_a, out_b)
        return out_a, out_b, pull_kappa(kappa, kernels, grads, means)


def _pull_positive(a: Tensor, b: Tensor | None, grad: Tensor, out_a: Tensor, out_b: Tensor) -> None:
    left, right = _partner(a, b)
    if b is None:
        weight = (grad[: left.shape[0]] + grad[left.shape[0] :]).to(a.dtype)[:, None]
        to_left, to_right = _partner(out_a, None)
    else:
        weight, to_left, to_right = grad.to(a.dtype)[:, None], out_a, out_b
    to_left.addcmul_(right, weight)
    to_right.addcmul_(left, weight)


def pull_kappa(kappa: Tensor, kernels: Sequence[float], grads: Sequence[Tensor], means: Sequence[Tensor]) -> Tensor:
    """dR_k / dkappa = c_k E_k s, with c_k kappa s the differentiable part of h_k."""
    if not means:
        return torch.zeros_like(kappa)
    carried = means[0].new_tensor([kernel.carried for kernel in decode(kernels)])
    rows = torch.cat([(grad * mean * carried).sum(1) for grad, mean in zip(grads, means, strict=True)])
    return (rows if kappa.numel() > 1 else rows.sum().reshape(1)).to(kappa.dtype)


@row_statistics_pull.register_fake
def _(
    a: Tensor, b: Tensor | None, kappa: Tensor, ids: Sequence[Tensor], kernels: Sequence[float], period: int, chunk: int, backend: str,
    lse: Sequence[Tensor], grads: Sequence[Tensor], means: Sequence[Tensor], grad_positive: Tensor | None,
    kept: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    return torch.empty_like(a), a.new_empty((0, a.shape[1])) if b is None else torch.empty_like(b), torch.empty_like(kappa)


def _keep_rows(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    a, b, kappa, ids, labels, kernels, period, chunk, moments, both, positives, backend = inputs
    lse_a, extra_a, lse_b, extra_b, _, kept = output
    ctx.kernels, ctx.period, ctx.chunk, ctx.backend, ctx.both = kernels, period, chunk, backend, both
    ctx.labels = len(labels)
    ctx.with_b, ctx.ids, ctx.moments, ctx.positives = b is not None, len(ids), moments, positives
    ctx.set_materialize_grads(False)
    aside = (extra_a.detach(), extra_b.detach(), kept.detach())
    ctx.save_for_backward(a, *(() if b is None else (b,)), kappa, *ids, lse_a, lse_b, *aside)


def _pull_rows(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
    saved = list(ctx.saved_tensors)
    a, b = saved.pop(0), saved.pop(0) if ctx.with_b else None
    kappa, ids = saved.pop(0), [saved.pop(0) for _ in range(ctx.ids)]
    lse_a, lse_b, extra_a, extra_b, kept = saved
    r = lse_a.shape[1]
    lse = [lse_a, lse_b] if ctx.both else [lse_a]
    given = [grads[0], grads[2]] if ctx.both else [grads[0]]
    pulled = [torch.zeros_like(x) if g is None else g for g, x in zip(given, lse, strict=True)]
    means = [extra[:, :r] for extra, _ in zip((extra_a, extra_b), lse, strict=False)] if ctx.moments else []
    positive = grads[4] if ctx.positives else None
    da, db, dkappa = row_statistics_pull(
        a, b, kappa, ids, ctx.kernels, ctx.period, ctx.chunk, ctx.backend, lse, pulled, means, positive, kept
    )
    return da, db if ctx.with_b else None, dkappa if ctx.moments else None, [None] * ctx.ids, [None] * ctx.labels, *[None] * 7


row_statistics.register_autograd(_pull_rows, setup_context=_keep_rows)


def _keep_pull(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    a, b, kappa, ids, kernels, _, _, _, lse, grads, means, positive, _ = inputs
    ctx.kernels = kernels
    ctx.counts = (b is not None, len(ids), len(lse), positive is not None, len(means))
    ctx.save_for_backward(
        a, *(() if b is None else (b,)), kappa, *lse, *grads, *(() if positive is None else (positive,)), *ids
    )


def _pull_pull(ctx: Any, *cotangents: Tensor) -> tuple[Any, ...]:
    """Second derivatives, from the dense formula of the first: memory grows with the pairs here, and only here."""
    with_b, n_ids, n_lse, with_positive, n_means = ctx.counts
    counts = (1, with_b, 1, n_lse, n_lse, with_positive)  # a, b, kappa, lse, grads, positive
    *inputs, ids = _cut(ctx.saved_tensors, (1, with_b, 1, n_lse, n_lse, with_positive, n_ids))
    create = torch.is_grad_enabled()
    with torch.enable_grad():
        # views, for inputs may be parts or functions of each other: each shall have its own part of the derivative
        leaves = [x.view_as(x) if create and x.requires_grad else x.detach().requires_grad_() for part in inputs for x in part]
        a, b, kappa, lse, grads, positive = _cut(leaves, counts)
        outputs = _dense.pull(a, b, kappa, lse, grads, positive, ids, decode(ctx.kernels))
        live = [(out, seed) for out, seed in zip(outputs, cotangents, strict=True) if out.numel() and out.requires_grad]
        outs, seeds = zip(*live, strict=True)
        found = torch.autograd.grad(outs, leaves, seeds, allow_unused=True, create_graph=create)
    da, db, dkappa, dlse, dgrads, dpositive = _cut(found, counts)
    return (
        da[0], db[0] if db else None, dkappa[0], [None] * n_ids, None, None, None, None, dlse, dgrads, [None] * n_means,
        dpositive[0] if dpositive else None, None,
    )  # fmt: skip


def _cut(items: Sequence[Any], counts: Sequence[int]) -> list[list[Any]]:
    """A flat sequence in pieces of the given lengths."""
    rest = iter(items)
    return [[next(rest) for _ in range(count)] for count in counts]


row_statistics_pull.register_autograd(_pull_pull, setup_context=_keep_pull)
