"""From two views to the statistics of every anchor: layouts, queues, other ranks, streaming or dense."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd import forward_ad

from drocl.losses import _dense, _ops
from drocl.losses._kernels import Kernel, encode
from drocl.losses._options import Options, check_views, read_labels
from drocl.losses._tiles import kappa_of, wide
from drocl.losses.queue import Queue


@dataclass
class Batch:
    """Checked, joined and normalised views, and who is whose negative.

    Attributes:
        unit: rows of both views, (2B, d).
        pairs: B.
        ids: id of each of the 2B rows; equal ids are no negatives of each other.
        classes: labels of the 2B rows, for the mass on false negatives.
        bank: rows of queue and shared negatives, (n, d), or None.
        own: negatives of each pair, (B, n, d), or None.
        period: B where ids are those of the pairs themselves, else 0.
        extra: columns of the row statistics, once there are any.
    """

    unit: Tensor
    pairs: int
    ids: Tensor
    classes: Tensor | None
    bank: Tensor | None
    own: Tensor | None
    options: Options
    period: int
    extra: Tensor | None = None

    @property
    def first(self) -> Tensor:
        """Rows of z1."""
        return self.unit[: self.pairs]

    @property
    def second(self) -> Tensor:
        """Rows of z2."""
        return self.unit[self.pairs :]

    @property
    def anchors(self) -> Tensor:
        """Rows that have a loss: 2B, or B in the one-sided layout with one direction."""
        return self.unit if self.options.symmetric or self.options.both else self.first

    @property
    def triton(self) -> bool:
        """The streaming core runs in Triton."""
        if self.options.backend == "torch" or self.options.dense:
            return False
        from drocl.losses import _triton_path

        return _triton_path.chosen(self.unit, self.options.backend)

    def positive_scores(self) -> Tensor:
        """<z1_i, z2_i> of every anchor, in double, by plain operations."""
        score = (self.first.to(wide(self.unit)) * self.second.to(wide(self.unit))).sum(1)
        return score.repeat(2) if self.anchors is self.unit else score


@dataclass
class Rows:
    """Statistics of the anchors.

    Attributes:
        positive: s+ (m,), a cosine (double).
        lse: log sums over the negatives (m, r) (double); -inf without negatives.
        count: number of negatives K of each anchor, (m,) or (1,).
        extra: columns for the diagnostics, (m, q).
    """

    positive: Tensor
    lse: Tensor
    count: Tensor
    extra: Tensor


def prepare(z1: Tensor, z2: Tensor, options: Options, *, ids: Tensor | None = None) -> Batch:
    """Check and join the views; `ids` (B,) names what is no negative of what, by default the pairs themselves.

    Args:
        z1, z2: (B, d).
        options: checked options.
        ids: (B,) integers, or None.

    Raises:
        ValueError: views, queue or negatives of the wrong shape, not finite, or zero.
    """
    check_views(z1, z2, options)
    b = z1.shape[0]
    dtype = torch.promote_types(z1.dtype, z2.dtype)
    views = [z1.to(dtype), z2.to(dtype)]
    unit = units(views, "z1,z2", options)
    device = z1.device
    offset = 0
    if options.gather:
        from drocl.losses import _distributed

        offset = _distributed.rank(options.group) * b
    names = (torch.arange(b, device=device) + offset if ids is None else ids).repeat(2)
    classes = None if options.labels is None else read_labels(options.labels, b, unit).repeat(2)
    bank, own = _extra(options, unit, b)
    return Batch(unit, b, names, classes, bank, own, options, b if ids is None else 0)


def refuse_tangents(tensors: list[Tensor]) -> None:
    """For what has no forward-mode derivative.

    Raises:
        ValueError: a tensor that carries a tangent.
    """
    forward = not torch.compiler.is_compiling() and forward_ad._current_level >= 0
    if forward and any(forward_ad.unpack_dual(tensor).tangent is not None for tensor in tensors):
        raise ValueError("forward-mode derivatives need the dense path (chunk_size=None), and no worst case but penalised KL")


def units(views: list[Tensor], names: str, options: Options) -> Tensor:
    """Rows of the views, joined and normalised: one operator, or plain operations on the dense path.

    Raises:
        ValueError: rows that are not finite, or zero; a forward-mode derivative on the streaming path, which has none.
    """
    if options.dense and not torch.compiler.is_compiling():
        _ops.unit_rows([view.detach() for view in views], names, options.normalize)  # for its errors
        rows = torch.cat([view.to(_ops.working(view.dtype)) for view in views])
        if not options.normalize:
            return rows
        scaled = rows / rows.detach().abs().amax(1, keepdim=True)
        length: Tensor = torch.linalg.vector_norm(scaled, dim=1, keepdim=True)
        return scaled / length
    refuse_tangents(views)
    unit: Tensor = _ops.unit_rows(views, names, options.normalize)[0]
    return unit


def _extra(options: Options, unit: Tensor, pairs: int) -> tuple[Tensor | None, Tensor | None]:
    """Rows of queue and negatives, normalised as the views are."""
    d, shared, own = unit.shape[1], [], None
    queue = options.queue
    if queue is not None:
        keys = queue.valid() if isinstance(queue, Queue) else queue
        _check_bank("queue", keys, d, unit)
        if keys.shape[0]:
            shared.append(units([keys.detach().to(unit)], "queue", options))
    given = options.negatives
    if given is not None:
        if isinstance(given, Tensor) and given.ndim == 3:
            if given.shape[0] != pairs or given.shape[2] != d:
                raise ValueError(f"negatives must have shape (n, {d}) or ({pairs}, n, {d}), got {tuple(given.shape)}")
            if given.device != unit.device:
                raise ValueError(f"negatives must be on {unit.device}, as the views, got {given.device}")
            flat = given.reshape(-1, d).to(unit)
            own = units([flat], "negatives", options).view(pairs, -1, d) if flat.shape[0] else None
        else:
            _check_bank("negatives", given, d, unit)
            if given.shape[0]:
                shared.append(units([given.to(unit)], "negatives", options))
    if not shared and own is None and not options.in_batch:
        raise ValueError("in_batch=False leaves no negatives: give queue or negatives that are not empty")
    if not shared and own is None and pairs * _world(options) < 2:
        raise ValueError("B = 1 leaves no negatives: give queue or negatives that are not empty, or more rows")
    return (torch.cat(shared) if len(shared) > 1 else shared[0] if shared else None), own


def _world(options: Options) -> int:
    """Processes whose candidates count."""
    if not options.gather:
        return 1
    from drocl.losses import _distributed

    return _distributed.size(options.group)


def _check_bank(name: str, rows: Tensor, d: int, unit: Tensor) -> None:
    if not isinstance(rows, Tensor) or rows.ndim != 2 or rows.shape[1] != d:
        shape = tuple(rows.shape) if isinstance(rows, Tensor) else type(rows).__name__
        raise ValueError(f"{name} must have shape (n, {d}), the width of the views, got {shape}")
    if not rows.is_floating_point():
        raise ValueError(f"{name} must hold floating point numbers, got {rows.dtype}")
    if rows.device != unit.device:
        raise ValueError(f"{name} must be on {unit.device}, as the views, got {rows.device}")


def statistics(batch: Batch, kappa: Tensor, kernels: Sequence[Kernel], moments: int) -> Rows:
    """Row statistics over all negatives of every anchor: in the batch, on other ranks, in the bank, of its own.

    Args:
        batch: from `prepare`.
        kappa: 1 / temperature, (1,) or one an anchor.
        kernels: the sums.
        moments: 0, 1 (E_k s) or 2 (and what the diagnostics need).
    """
    options = batch.options
    parts: list[tuple[Tensor, Tensor]] = []
    if options.in_batch:
        lse, extra, positive = _inside(batch, kappa, kernels, moments)
        parts.append((lse, extra))
    else:
        positive = batch.positive_scores()
    if options.gather:
        from drocl.losses import _distributed

        parts.extend(_distributed.remote(batch, kappa, kernels, moments))
    if batch.bank is not None:
        parts.append(_banked(batch, kappa, kernels, moments))
    if batch.own is not None:
        parts.append(_owned(batch, kappa, kernels, moments))
    lse, extra = combine(parts, len(kernels))
    return Rows(positive, lse, count(batch), extra)


def _inside(batch: Batch, kappa: Tensor, kernels: Sequence[Kernel], moments: int) -> tuple[Tensor, Tensor, Tensor]:
    options, b = batch.options, batch.pairs
    classes = batch.classes
    if options.dense:
        lse, extra = _dense_inside(batch, kappa, kernels, moments)
        return lse, extra, batch.positive_scores()
    backend = "triton" if batch.triton else "torch"
    if options.symmetric:
        labels = [] if classes is None else [classes]
        lse, extra, _, _, positive, _ = _ops.row_statistics(
            batch.unit, None, kappa, [batch.ids], labels, encode(kernels), batch.period, options.chunk, moments, False, True, backend
        )
        return lse, extra, positive
    labels = [] if classes is None else [classes[:b], classes[b:]]
    first, second = batch.first, batch.second
    lse, extra, lse_b, extra_b, positive, _ = _ops.row_statistics(
        first, second, kappa, [batch.ids[:b], batch.ids[b:]], labels, encode(kernels), batch.period, options.chunk, moments,
        options.both, True, backend,
    )  # fmt: skip
    if options.both:
        return torch.cat((lse, lse_b)), torch.cat((extra, extra_b)), positive.repeat(2)
    return lse, extra, positive


def _dense_inside(batch: Batch, kappa: Tensor, kernels: Sequence[Kernel], moments: int) -> tuple[Tensor, Tensor]:
    b, options = batch.pairs, batch.options
    a, columns = (batch.unit, batch.unit) if options.symmetric else (batch.first, batch.second)
    ids_a, ids_b = (batch.ids, batch.ids) if options.symmetric else (batch.ids[:b], batch.ids[b:])
    s = a @ columns.mT
    away = ids_a[:, None] == ids_b[None, :]
    same = None
    if batch.classes is not None:
        classes = batch.classes[: a.shape[0]]
        same = classes[:, None] == classes[None, :]
    found = _dense.statistics(s, kappa_of(kappa, a.shape[0], False), kernels, away, moments, same)
    if not options.both:
        return found
    back = _dense.statistics(s.mT, kappa_of(kappa, b, True), kernels, away.mT, moments, same)
    return torch.cat((found[0], back[0])), torch.cat((found[1], back[1]))


def _banked(batch: Batch, kappa: Tensor, kernels: Sequence[Kernel], moments: int) -> tuple[Tensor, Tensor]:
    anchors, bank, options = batch.anchors, batch.bank, batch.options
    assert bank is not None
    if options.dense:
        return _dense.statistics(anchors @ bank.mT, kappa, kernels, None, moments, None)
    here = torch.zeros(anchors.shape[0], dtype=torch.int64, device=anchors.device)
    there = torch.ones(bank.shape[0], dtype=torch.int64, device=anchors.device)
    backend = "triton" if batch.triton else "torch"
    lse, extra, *_ = _ops.row_statistics(
        anchors, bank, kappa, [here, there], [], encode(kernels), 0, options.chunk, moments, False, False, backend
    )
    return lse, extra


def _owned(batch: Batch, kappa: Tensor, kernels: Sequence[Kernel], moments: int) -> tuple[Tensor, Tensor]:
    """Negatives of the pair's own: (B, n, d) against the anchors of the pair."""
    anchors, own = batch.anchors, batch.own
    assert own is not None
    views = anchors.view(-1, batch.pairs, anchors.shape[1])
    s = torch.einsum("vbd,bnd->vbn", views, own).reshape(anchors.shape[0], -1)
    return _dense.statistics(s, kappa, kernels, None, moments, None)


def combine(parts: Sequence[tuple[Tensor, Tensor]], r: int) -> tuple[Tensor, Tensor]:
    """Statistics over the union of disjoint sets of negatives."""
    if len(parts) == 1:
        return parts[0]
    stacked = torch.stack([lse for lse, _ in parts])
    lse = _logsumexp(stacked)
    extra = torch.stack([extra for _, extra in parts])
    if not extra.shape[2]:
        return lse, extra[0]
    share = torch.exp(stacked - torch.where(lse > -torch.inf, lse, torch.zeros_like(lse))).detach()
    columns = [(share * extra[:, :, :r]).sum(0)]
    if extra.shape[2] > r:
        columns += [
            torch.logsumexp(extra[:, :, r], 0)[:, None],
            (share[:, :, 0] * extra[:, :, r + 1]).sum(0)[:, None],
            torch.logsumexp(extra[:, :, r + 2], 0)[:, None],
        ]
    return lse, torch.cat(columns, 1)


def _logsumexp(stacked: Tensor) -> Tensor:
    """Over the first axis; where all terms are -inf, -inf with gradient 0."""
    empty = (stacked == -torch.inf).all(0)
    safe = torch.where(empty, torch.zeros_like(stacked), stacked)
    return torch.where(empty, torch.full_like(stacked[0], -torch.inf), torch.logsumexp(safe, 0))


def count(batch: Batch) -> Tensor:
    """Number of negatives, (1,) or (m,), as a double."""
    options, anchors = batch.options, batch.anchors.shape[0]
    more = (0 if batch.bank is None else batch.bank.shape[0]) + (0 if batch.own is None else batch.own.shape[1])
    if not options.in_batch:
        return torch.full((1,), float(more), dtype=wide(batch.unit), device=batch.unit.device)
    columns = batch.ids if options.symmetric else batch.ids[batch.pairs :]
    if batch.period:  # every anchor leaves out its own pair
        rest = _world(options) * columns.shape[0] - columns.shape[0] // batch.pairs + more
        return torch.full((1,), float(rest), dtype=wide(batch.unit), device=batch.unit.device)
    if options.gather:
        from drocl.losses import _distributed

        columns = _distributed.gathered_ids(columns, options.group)
    rows = batch.ids[:anchors]
    ordered = torch.sort(columns).values
    equal = torch.searchsorted(ordered, rows, right=True) - torch.searchsorted(ordered, rows)
    return (columns.shape[0] - equal + more).to(wide(batch.unit))
