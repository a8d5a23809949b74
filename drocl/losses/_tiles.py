r"""The streaming core in plain torch: row statistics and their pullback, tile by tile, no pair matrix in memory.

Scores are s = a b^T. A pair with equal ids is not a negative (an anchor itself, its partner, its class). `b = None` is the
symmetric case b = a: tiles of the upper triangle serve rows and columns, and one product gives the gradient.

Where every |h| is below `EASY`, e^h needs no shift: one exponential a pair serves both directions (`_shared`). Elsewhere each
row keeps a running maximum.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from drocl.losses._kernels import Kernel

EASY = {torch.float32: 40.0, torch.float64: 300.0}  # e^{2h}, summed over a tile, stays inside the type
# Rows and columns of a tile. On a CPU its buffers stay in the cache, and a small batch has enough of them to skip the lower half.
SIDES = {"cpu": (256, 512), "elsewhere": (2048, 4096)}
FEW = 1024
KEPT = 1 << 19  # exponentials of a small batch that are kept for the backward pass, 2 MiB in single precision


def wide(like: Tensor) -> torch.dtype:
    """The type of what there is one of a row: double, where the device has it."""
    return torch.float32 if like.device.type == "mps" else torch.float64


def side_of(chunk: int, like: Tensor) -> int:
    """Side of a tile: what was asked for, or what suits the device (`chunk` 0)."""
    small, large = SIDES["cpu" if like.device.type == "cpu" else "elsewhere"]
    return chunk or (small if like.shape[0] <= FEW else large)


@dataclass
class Pairs:
    """Anchors a (m, d) and candidates b (n, d) or None for b = a; kappa (1,), (m,), or (m + n,) for rows and columns as anchors."""

    a: Tensor
    b: Tensor | None
    kappa: Tensor
    ids_a: Tensor
    ids_b: Tensor | None
    kernels: Sequence[Kernel]
    side: int
    labels_a: Tensor | None = None
    labels_b: Tensor | None = None
    period: int = 0  # ids are i % period, known without looking; 0 for any ids
    kept: Tensor | None = None  # (r, m, n), room for the exponentials of an easy batch
    filled: bool = False  # they are in it

    def __post_init__(self) -> None:
        self.uniform = self.kappa.numel() == 1
        self.k = float(self.kappa.max()) if self.kappa.numel() else 0.0  # the one kappa, or the largest
        self.plain = all(kernel.plain for kernel in self.kernels)
        bound = _reach(self.a) * _reach(self.columns)
        self.easy = self.uniform and max(q.largest(bound, self.k) for q in self.kernels) <= EASY[self.a.dtype]
        self._spans_a = self._spans_b = []
        if not self.period:
            self._spans_a = _spans(self.ids_a, self.side)
            self._spans_b = self._spans_a if self.ids_b is None else _spans(self.ids_b, self.side)
        self._buffers: dict[str, Tensor] = {}
        self.kept = self.kept if self.easy else None

    @property
    def columns(self) -> Tensor:
        return self.a if self.b is None else self.b

    def scale(self, side: int) -> Tensor:
        """What v of `Tile.exponent` is multiplied by, for the rows (1) or columns (0) as anchors: (1, r), or one a row."""
        kappa = kappa_of(self.kappa, self.a.shape[0], side == 0 and self.b is not None).to(wide(self.a))
        return torch.stack([kappa * k.tilt if k.multiple else torch.ones_like(kappa) for k in self.kernels], 1)

    def tiles(self) -> Iterator["Tile"]:
        """All tiles, or those on and above the diagonal."""
        m, n, side = self.a.shape[0], self.columns.shape[0], self.side
        filled = self.kept is not None and self.filled
        known = filled and all(kernel.constant_slope for kernel in self.kernels)  # no score is asked for again
        for i in range(0, m, side):
            head = self.a[i : i + side]
            head = head * self.k if self.easy and self.plain else head
            for j in range(i if self.b is None else 0, n, side):
                rows, cols = slice(i, min(i + side, m)), slice(j, min(j + side, n))
                raw = self.buffer("s", rows, cols)
                yield Tile(self, rows, cols, raw if known else torch.mm(head, self.columns[cols].mT, out=raw))

    def buffer(self, name: str, rows: slice, cols: slice) -> Tensor:
        """Scratch memory of a tile's shape, the same for every tile."""
        shape = (rows.stop - rows.start, cols.stop - cols.start)
        held = self._buffers.get(name)
        if held is None or held.numel() < shape[0] * shape[1]:
            held = self._buffers[name] = self.a.new_empty(shape[0] * shape[1])
        return held[: shape[0] * shape[1]].view(shape)

    def blank(self, tile: Tensor, rows: slice, cols: slice, fill: float) -> Tensor:
        """Write `fill` at the pairs that do not count."""
        if not self.period:
            mask = self.mask(rows, cols)
            return tile if mask is None else tile.masked_fill_(mask, fill)
        height, width = tile.shape
        first = -(height - 1) + (rows.start - cols.start + height - 1) % self.period
        for offset in range(first, width, self.period):  # the diagonals on which i = j mod period
            torch.diagonal(tile, offset).fill_(fill)
        return tile

    def mask(self, rows: slice, cols: slice) -> Tensor | None:
        """True at pairs that do not count; None where the tile has none."""
        (low, high), (first, last) = self._spans_a[rows.start // self.side], self._spans_b[cols.start // self.side]
        if high < first or last < low:
            return None
        ids_b = self.ids_a if self.ids_b is None else self.ids_b
        return self.ids_a[rows, None] == ids_b[None, cols]

    def same(self, rows: slice, cols: slice) -> Tensor | None:
        """True at pairs of one class, where labels are given."""
        if self.labels_a is None:
            return None
        labels_b = self.labels_a if self.labels_b is None else self.labels_b
        return self.labels_a[rows, None] == labels_b[None, cols]


def kept_shape(r: int, m: int, n: int) -> tuple[int, int, int]:
    """Room for the exponentials of a batch: (r, m, n) for a small one, nothing for others."""
    return (r, m, n) if r * m * n <= KEPT else (0, 0, 0)


def kappa_of(kappa: Tensor, m: int, of_b: bool) -> Tensor:
    """kappa of the anchors a (m rows), or of the rows of b as anchors."""
    if kappa.numel() == 1:
        return kappa
    return kappa[m:] if of_b else kappa[:m]


def _reach(rows: Tensor) -> float:
    """The largest norm of a row."""
    return float(torch.linalg.vector_norm(rows, dim=1).amax()) if rows.numel() else 0.0


def _spans(ids: Tensor, side: int) -> list[tuple[int, int]]:
    """Smallest and largest id of each block of rows."""
    blocks = [ids[i : i + side] for i in range(0, ids.shape[0], side)]
    if not blocks:
        return []
    ends = torch.stack([torch.stack((block.amin(), block.amax())) for block in blocks])
    return [(int(low), int(high)) for low, high in ends.tolist()]


@dataclass
class Tile:
    """Scores of a block of rows against a block of columns; `raw` holds kappa s where all rows share an easy kappa."""

    pairs: Pairs
    rows: slice
    cols: slice
    raw: Tensor

    @property
    def mirrored(self) -> bool:
        """Off the diagonal of the symmetric case: the columns are anchors as well."""
        return self.pairs.b is None and self.rows != self.cols

    def scores(self) -> Tensor:
        """s itself."""
        scaled = self.pairs.easy and self.pairs.plain
        return self.raw / self.pairs.k if scaled else self.raw

    def exponentials(self, live: bool = False) -> dict[int, Tensor]:
        """e^{h_k} of an easy tile by k, 0 at pairs that do not count; `live` leaves out what has no gradient."""
        p = self.pairs
        if p.kept is not None and p.filled:
            return {i: e[self.rows, self.cols] for i, e in enumerate(p.kept) if not (live and p.kernels[i].fixed)}
        out: dict[int, Tensor] = {}
        for index in sorted(range(len(p.kernels)), key=lambda at: abs(p.kernels[at].tilt)):
            if not (live and p.kernels[index].fixed):
                out[index] = self._exponential(index, out)
        return {index: p.blank(e, self.rows, self.cols, 0.0) for index, e in out.items()}

    def _exponential(self, index: int, done: dict[int, Tensor]) -> Tensor:
        p = self.pairs
        kernel = p.kernels[index]
        held = None if p.kept is None else p.kept[index, self.rows, self.cols]
        buffer = p.buffer(f"e{index}", self.rows, self.cols) if held is None else held
        half = [at for at in done if p.plain and kernel.tilt and p.kernels[at].tilt * 2.0 == kernel.tilt]
        if half:
            return torch.square(done[half[0]], out=buffer)
        if p.plain:
            return torch.exp(self.raw if kernel.tilt == 1.0 else torch.mul(self.raw, kernel.tilt, out=buffer), out=buffer)
        if kernel.power:
            return torch.exp(kernel.value(self.raw, p.k), out=buffer)
        # -width s^2 + (tilt kappa + 2 width centre) s - width centre^2, in Horner's form
        torch.mul(self.raw, -kernel.width, out=buffer).add_(kernel.tilt * p.k + 2.0 * kernel.width * kernel.centre)
        return buffer.mul_(self.raw).sub_(kernel.width * kernel.centre**2).exp_()

    def exponent(self, index: int, side: int) -> Tensor:
        """v with h_k = `scale` v, and -inf at pairs that do not count; `side` 1 takes the rows as anchors, 0 the columns.

        Where h is a multiple of s, v is s itself: measured from a maximum and only then scaled, it keeps the digits that h
        would round away at low temperatures.
        """
        p = self.pairs
        v = self.raw.clone() if p.kernels[index].multiple else p.kernels[index].value(self.raw, self._kappa(side))
        return p.blank(v, self.rows, self.cols, -torch.inf)

    def slope(self, index: int, side: int) -> Tensor | float:
        """h_k'(s), what is differentiated of it."""
        kernel, p = self.pairs.kernels[index], self.pairs
        scaled = p.easy and p.plain
        return kernel.slope(self.raw if not scaled else self.raw / p.k, self._kappa(side))

    def _kappa(self, side: int) -> Tensor | float:
        p = self.pairs
        if p.uniform:
            return p.k
        if side:
            return p.kappa[self.rows, None].to(p.a.dtype)
        return kappa_of(p.kappa, p.a.shape[0], p.b is not None)[None, self.cols].to(p.a.dtype)


class _Sums:
    """Running sums of one set of anchors: e^{scale (v - top)} and, by `moments`, what the diagnostics need."""

    def __init__(self, pairs: Pairs, size: int, moments: int, scale: Tensor) -> None:
        r, like = len(pairs.kernels), pairs.a
        zeros = torch.zeros((size, r), dtype=wide(like), device=like.device)
        self.scale = scale
        self.top = torch.full_like(zeros, 0.0 if pairs.easy else -torch.inf)
        self.sums = zeros
        self.score = torch.zeros_like(zeros) if moments else None
        self.more = zeros.new_zeros((size, 3)) if moments > 1 else None

    def add(self, at: slice, index: int, tile: Tile, e: Tensor, side: int) -> None:
        """Take in e^{h_k} of a tile, measured from the running maximum."""
        self.sums[at, index] += e.sum(side)
        if self.score is not None:
            s = tile.scores()
            self.score[at, index] += (e * s).sum(side)
        if self.more is not None and index == 0:
            self.more[at, 0] += (e * e).sum(side, dtype=self.more.dtype)
            h = tile.pairs.kernels[0].value(tile.scores(), tile._kappa(side))
            self.more[at, 1] += (e * h).sum(side)
            same = tile.pairs.same(tile.rows, tile.cols)
            if same is not None:
                self.more[at, 2] += (e * same).sum(side)

    def raise_top(self, at: slice, index: int, v: Tensor, side: int) -> Tensor:
        """Lift the running maximum over a tile; returns e^{scale (v - top)}."""
        old, scale = self.top[at, index], self.scale[at, index] if len(self.scale) > 1 else self.scale[0, index]
        top = torch.maximum(old, v.amax(side).to(old.dtype))
        shift = torch.where(top > -torch.inf, top, torch.zeros_like(top))
        fade = torch.exp(torch.where(old > -torch.inf, (old - shift) * scale, torch.full_like(old, -torch.inf)))
        self.sums[at, index] *= fade
        if self.score is not None:
            self.score[at, index] *= fade
        if self.more is not None and index == 0:
            self.more[at, 0] *= fade * fade
            self.more[at, 1:] *= fade[:, None]
        self.top[at, index] = top
        scale = scale.to(v.dtype)
        return torch.sub(v, shift.to(v.dtype).unsqueeze(side)).mul_(scale.unsqueeze(side) if scale.ndim else scale).exp_()

    def finish(self) -> tuple[Tensor, Tensor]:
        """lse (size, r) and the extra columns: E_k s, log sum e^{2 h_0}, E_0 h_0, log sum over one's own class."""
        top = self.top * self.scale
        lse = top + torch.log(self.sums)
        held = torch.where(self.sums > 0.0, self.sums, torch.ones_like(self.sums))
        columns = [] if self.score is None else [self.score / held]
        if self.more is not None:
            top = torch.where(top[:, 0] > -torch.inf, top[:, 0], torch.zeros_like(top[:, 0]))
            columns.append(
                torch.stack(
                    (2.0 * top + torch.log(self.more[:, 0]), self.more[:, 1] / held[:, 0], top + torch.log(self.more[:, 2])),
                    dim=1,
                )
            )
        return lse, torch.cat(columns, dim=1) if columns else lse.new_empty((lse.shape[0], 0))


def statistics(pairs: Pairs, moments: int, both: bool = False) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Row statistics of the anchors a, and with `both` of the rows of b as anchors against a.

    Returns:
        lse (m, r), extra (m, q), and the same of b: (n, r), (n, q) or empty. q = 0, r or r + 3 for moments 0, 1, 2.
    """
    m, n = pairs.a.shape[0], pairs.columns.shape[0]
    rows = _Sums(pairs, m, moments, pairs.scale(1))
    cols = _Sums(pairs, n if both else 0, moments, pairs.scale(0) if both else pairs.scale(1)[:0])
    for tile in pairs.tiles():
        mirror = rows if tile.mirrored else cols if both else None
        if pairs.easy:
            for index, e in tile.exponentials().items():
                rows.add(tile.rows, index, tile, e, 1)
                if mirror is not None:
                    mirror.add(tile.cols, index, tile, e, 0)
            continue
        for index in range(len(pairs.kernels)):
            v = tile.exponent(index, 1)
            rows.add(tile.rows, index, tile, rows.raise_top(tile.rows, index, v, 1), 1)
            if mirror is not None:
                v = v if pairs.uniform or pairs.kernels[index].multiple else tile.exponent(index, 0)
                mirror.add(tile.cols, index, tile, mirror.raise_top(tile.cols, index, v, 0), 0)
    return (*rows.finish(), *cols.finish())


@dataclass
class Pull:
    """What is pulled back to a set of anchors: their statistics lse (m, r) and the gradients grad (m, r) with respect to them."""

    lse: Tensor
    grad: Tensor


def gradient(
    pairs: Pairs, rows: Pull | None, cols: Pull | None, out_a: Tensor | None, out_b: Tensor | None
) -> None:
    """Add W b to out_a and W^T a to out_b, W_ij = sum_k h_k' (grad_ik e^{h_k - lse_ik} + grad_jk e^{h_k - lse_jk}).

    `rows` holds the anchors a; `cols`, if given, the rows of b as anchors. In the symmetric case out_a alone is filled.
    """
    cols = rows if pairs.b is None else cols
    sides = [(1, rows), (0, cols)]
    scales = [pairs.scale(0), pairs.scale(1)]
    easy = [(side, _linear_weights(pairs, pull)) for side, pull in sides if pull is not None] if pairs.easy else []
    for tile in pairs.tiles():
        lone = pairs.b is None and not tile.mirrored  # on the diagonal the rows' half and its transpose are both inside
        if pairs.easy:
            weights = _shared(tile, easy)
        else:
            weights = _shifted(tile, [(side, pull) for side, pull in sides if pull is not None], scales)
        at, to = tile.rows, tile.cols
        if out_a is not None:
            out_a[at].addmm_(weights, pairs.columns[to])
        if pairs.b is None and not lone and out_a is not None:
            out_a[to].addmm_(weights.mT, pairs.a[at])
        elif pairs.b is not None and out_b is not None:
            out_b[to].addmm_(weights.mT, pairs.a[at])


def _linear_weights(pairs: Pairs, pull: Pull) -> Tensor:
    """grad e^{-lse}, times h' where that is constant, (m, r) in the working type."""
    alive = pull.lse > -torch.inf
    u = torch.where(alive, pull.grad * torch.exp(-torch.where(alive, pull.lse, torch.zeros_like(pull.lse))), 0.0)
    slopes = [k.slope(u[:0, 0], pairs.k) if k.constant_slope else 1.0 for k in pairs.kernels]
    return (u * u.new_tensor([float(slope) for slope in slopes])).to(pairs.a.dtype)


def _shared(tile: Tile, sides: Sequence[tuple[int, Tensor]]) -> Tensor:
    """Weights of an easy tile: one exponential a pair and kernel serves both directions."""
    pairs, total = tile.pairs, None
    outer = pairs.buffer("w", tile.rows, tile.cols)
    for index, e in tile.exponentials(live=True).items():
        kernel = pairs.kernels[index]
        u = [weights[tile.rows if side else tile.cols, index] for side, weights in sides]
        factor = torch.add(u[0][:, None], u[1][None, :], out=outer) if len(u) == 2 else u[0].unsqueeze(sides[0][0])
        e = torch.mul(e, factor, out=pairs.buffer(f"e{index}", tile.rows, tile.cols) if pairs.kept is not None else e)
        if not kernel.constant_slope:
            e.mul_(tile.slope(index, 1))
        total = e if total is None else total.add_(e)
    return outer.zero_() if total is None else total


def _shifted(tile: Tile, sides: Sequence[tuple[int, Pull]], scales: Sequence[Tensor]) -> Tensor:
    """Weights of a tile with shifted exponentials: safe at any temperature. `scales` of the columns and of the rows."""
    pairs, total = tile.pairs, None
    for index, kernel in enumerate(pairs.kernels):
        if kernel.fixed:
            continue
        for side, pull in sides:
            at = tile.rows if side else tile.cols
            lse, grad = pull.lse[at, index], pull.grad[at, index]
            alive = lse > -torch.inf
            scale = scales[side][at, index] if len(scales[side]) > 1 else scales[side][0, index]
            level, grad = torch.where(alive, lse, 0.0) / scale, torch.where(alive, grad, 0.0)
            w = tile.exponent(index, side).sub_(level.to(tile.raw.dtype).unsqueeze(side))
            w.mul_(scale.to(w.dtype).unsqueeze(side) if scale.ndim else float(scale)).exp_()
            w.mul_(grad.to(w.dtype).unsqueeze(side)).mul_(tile.slope(index, side))
            total = w if total is None else total.add_(w)
    return torch.zeros_like(tile.raw) if total is None else total
