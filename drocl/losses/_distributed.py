r"""Each rank's anchors against the candidates of every rank.

The value that a rank returns is the mean over its own anchors; gradients are those of the sum over ranks, so that what DDP does (the
mean over ranks) gives the gradient of the single-process loss. Every score is computed by the rank whose anchor it belongs to.

In the backward pass a rank receives the statistics of the other anchors, not gradients: with them it forms the whole gradient of its
own rows. `gather=True` collects the other ranks' rows at once; `"ring"` passes one block round, so that a rank holds two at a time.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from drocl.losses import _ops, _rows, _tiles
from drocl.losses._kernels import Kernel, decode, encode
from drocl.losses._tiles import Pairs, Pull


def _ready(group: Any) -> None:
    if not (dist.is_available() and dist.is_initialized()):
        raise ValueError("gather needs torch.distributed: call torch.distributed.init_process_group first, or give gather=False")


def rank(group: Any) -> int:
    """This process's place in the group."""
    _ready(group)
    return dist.get_rank(group)


def size(group: Any) -> int:
    """Processes in the group."""
    _ready(group)
    return dist.get_world_size(group)


def _of_all(x: Tensor, group: Any) -> list[Tensor]:
    """The same tensor of every rank, in the order of ranks, without gradients."""
    parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(size(group))]
    dist.all_gather(parts, x.contiguous(), group=group)
    return parts


def check_shapes(rows: Tensor, group: Any) -> None:
    """Refuse batches of different shapes before any rank waits for rows that do not come.

    Raises:
        ValueError: on every rank, with the shapes.
    """
    shapes = [tuple(shape.tolist()) for shape in _of_all(torch.tensor([*rows.shape], device=rows.device), group)]
    if len(set(shapes)) > 1:
        raise ValueError(f"gather needs the same shape (B, d) on every rank, got {shapes}; drop the last, smaller batch")


def gathered_ids(ids: Tensor, group: Any) -> Tensor:
    """Whole numbers of all ranks, in the order of ranks."""
    return torch.cat(_of_all(ids, group))


def _refuse_second() -> None:
    """Grad mode is on in a backward pass only for create_graph."""
    if torch.is_grad_enabled():
        raise RuntimeError("gather: losses across ranks have first derivatives only; leave create_graph out")


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, group: Any) -> Tensor:  # type: ignore[override]
        ctx.group, ctx.rows = group, rows.shape[0]
        return torch.cat(_of_all(rows, group))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        _refuse_second()
        total = grad.contiguous().clone()
        dist.all_reduce(total, group=ctx.group)
        start = rank(ctx.group) * ctx.rows
        return total[start : start + ctx.rows], None


def gathered_rows(rows: Tensor, group: Any) -> Tensor:
    """Rows of all ranks, with gradients back to the rank they came from."""
    check_shapes(rows, group)
    return _Gather.apply(rows, group)  # type: ignore[no-any-return]


def others(tensors: Sequence[Tensor], group: Any, ring: bool) -> Iterator[list[Tensor]]:
    """The same tensors of each other rank: all gathered, or one rank's at a time while the next travels."""
    world, me = size(group), rank(group)
    sent = [x.contiguous() for x in tensors]
    if not ring:
        parts = [_of_all(x, group) for x in sent]
        for other in range(world):
            if other != me:
                yield [part[other] for part in parts]
        return
    to, source = (_global(group, (me + step) % world) for step in (1, -1))
    pending, arriving = _exchange(sent, to, source, group)
    for step in range(world - 1):
        for request in pending:
            request.wait()
        block = arriving
        if step < world - 2:
            pending, arriving = _exchange(block, to, source, group)
        yield block


def _global(group: Any, place: int) -> int:
    return place if group is None else dist.get_global_rank(group, place)


def _exchange(tensors: Sequence[Tensor], to: int, source: int, group: Any) -> tuple[list[Any], list[Tensor]]:
    arriving = [torch.empty_like(x) for x in tensors]
    moves = [dist.P2POp(dist.isend, x, to, group=group) for x in tensors]
    moves += [dist.P2POp(dist.irecv, x, source, group=group) for x in arriving]
    return dist.batch_isend_irecv(moves), arriving


def remote(
    batch: "_rows.Batch", kappa: Tensor, kernels: Sequence[Kernel], moments: int
) -> list[tuple[Tensor, Tensor]]:
    """Row statistics of the batch's anchors over the candidates of the other ranks; [] on one rank."""
    options, b = batch.options, batch.pairs
    check_shapes(batch.unit, options.group)
    if size(options.group) == 1:
        return []
    plan = (encode(kernels), moments, options.group, options.gather == "ring", options.chunk, batch.triton)
    first, second, names = batch.first, batch.second, batch.ids
    known = batch.classes
    if options.symmetric:
        return [_Remote.apply(batch.unit, None, kappa, names, names, known, known, *plan)]
    one, two = (None, None) if known is None else (known[:b], known[b:])
    forth = _Remote.apply(first, second, _tiles.kappa_of(kappa, b, False), names[:b], names[b:], one, two, *plan)
    if not options.both:
        return [forth]
    back = _Remote.apply(second, first, _tiles.kappa_of(kappa, b, True), names[b:], names[:b], two, one, *plan)
    return [(torch.cat((forth[0], back[0])), torch.cat((forth[1], back[1])))]


class _Remote(torch.autograd.Function):
    """lse (m, r) and extra (m, q) of the anchors a over the other ranks' candidates: their b, or their a where b is None."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, a: Tensor, b: Tensor | None, kappa: Tensor, ids_a: Tensor, ids_b: Tensor, labels_a: Tensor | None,
        labels_b: Tensor | None, kernels: list[float], moments: int, group: Any, ring: bool, chunk: int, triton: bool,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        candidates = a if b is None else b
        travelling = [candidates, ids_b] if labels_b is None else [candidates, ids_b, labels_b]
        backend = "triton" if triton else "torch"
        total: tuple[Tensor, Tensor] | None = None
        r = len(decode(kernels))
        for rows, names, *known in others(travelling, group, ring):
            labels = [labels_a, known[0]] if labels_a is not None else []
            lse, extra, *_ = _ops.row_statistics(
                a, rows, kappa, [ids_a, names], labels, kernels, 0, chunk, moments, False, False, backend
            )
            total = (lse, extra) if total is None else _rows.combine([total, (lse, extra)], r)
        assert total is not None
        ctx.plan = (kernels, moments, group, ring, chunk, backend)
        ctx.with_b = b is not None
        ctx.save_for_backward(a, *(() if b is None else (b,)), kappa, ids_a, ids_b, *total)
        ctx.mark_non_differentiable(total[1])
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Any) -> tuple[Any, ...]:
        _refuse_second()
        a, *rest = ctx.saved_tensors
        b = rest.pop(0) if ctx.with_b else None
        kappa, ids_a, ids_b, lse, extra = rest
        kernels, moments, group, ring, chunk, backend = ctx.plan
        # every rank scales by the same number, the largest gradient of all
        scale = grad.abs().amax() if grad.numel() else grad.new_zeros(())
        dist.all_reduce(scale, op=dist.ReduceOp.MAX, group=group)
        scale = torch.where((scale > 0.0) & torch.isfinite(scale), scale, torch.ones_like(scale))
        mine = Pull(lse, grad / scale)
        out_a, out_b = torch.zeros_like(a), None if b is None else torch.zeros_like(b)
        args = (decode(kernels), chunk, backend)
        if out_b is None:
            for rows, names, k, their_lse, their_grad in others([a, ids_a, kappa, lse, mine.grad], group, ring):
                _pull(a, rows, kappa, k, [ids_a, names], mine, Pull(their_lse, their_grad), out_a, *args)
        else:
            assert b is not None
            for rows, names in others([b, ids_b], group, ring):
                _pull(a, rows, kappa, kappa, [ids_a, names], mine, None, out_a, *args)
            for rows, names, k, their_lse, their_grad in others([a, ids_a, kappa, lse, mine.grad], group, ring):
                _pull(b, rows, k, k, [ids_b, names], None, Pull(their_lse, their_grad), out_b, *args)
            out_b = out_b * scale.to(b.dtype)
        out_a = out_a * scale.to(a.dtype)
        means = [extra[:, : lse.shape[1]]] if moments else []
        dkappa = _ops.pull_kappa(kappa, kernels, [grad], means) if moments else None
        return out_a, out_b, dkappa, *[None] * 10


def _pull(
    a: Tensor, rows: Tensor, kappa: Tensor, kappa_rows: Tensor, ids: Sequence[Tensor], mine: Pull | None, theirs: Pull | None,
    out: Tensor, kernels: Sequence[Kernel], chunk: int, backend: str,
) -> None:  # fmt: skip
    """Add W rows to out, W from the statistics of a's anchors, of the rows' anchors, or of both."""
    if kappa.numel() > 1 or kappa_rows.numel() > 1:
        one, two = (k.expand(n) if k.numel() == 1 else k for k, n in ((kappa, a.shape[0]), (kappa_rows, rows.shape[0])))
        one = one if mine is not None else one.new_ones(a.shape[0])
        two = two if theirs is not None else two.new_ones(rows.shape[0])
        kappa = torch.cat((one, two))
    if backend == "triton":
        from drocl.losses import _triton_path

        _triton_path.pull_one(a, rows, kappa, ids, kernels, mine, theirs, out)
        return
    pairs = Pairs(a, rows, kappa, ids[0], ids[1], kernels, _tiles.side_of(chunk, a))
    _tiles.gradient(pairs, mine, theirs, out, None)
