r"""Nearest neighbours and counts in the maximum norm, exact in double precision.

A range $|z_c - q_c| < r$ in one coordinate is an interval of ranks. In one dimension its length is the count; in two, a wavelet matrix
counts ranks in a rectangle; in more, the points of an interval are the exclusive or of two prefix sets held as bits, and those of a box
the conjunction over coordinates: 64 pairs an operation, whatever the dimension. Nearest neighbours are taken from a k-d tree in up to
four dimensions; in more, from the points within an upper bound of their distance, which a subset gives.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from drocl.mi._types import Array

Whole = npt.NDArray[np.int64]

TREE = 4  # dimensions up to which a tree finds neighbours faster than sets of bits
BRUTE = 1500  # points up to which all distances are taken
BLOCK = 1024  # points of one table of prefix sets: 1,025 of 128 bytes, which stays in cache
ROWS = 8192  # query points at a time
STRIP = 512
PAIRS = 4096


def interval(s: Array, v: Array, radius: Array, strict: bool) -> tuple[Whole, Whole]:
    """First and one past the last index of s (n,), rising, with |s - v| < radius (<= if not strict), for each of v (m,).

    The difference is rounded as in a comparison of pairs, so that points at the radius itself fall on the right side.
    """

    def inside(index: Whole) -> npt.NDArray[np.bool_]:
        gap = np.abs(s[np.clip(index, 0, s.size - 1)] - v)
        near = gap < radius if strict else gap <= radius
        return near & (index >= 0) & (index < s.size)

    first, last = np.searchsorted(s, v - radius, "left"), np.searchsorted(s, v + radius, "right")
    while (move := inside(first - 1)).any():
        first = first - move
    while (move := (first < last) & ~inside(first)).any():
        first = first + move
    while (move := inside(last)).any():
        last = last + move
    while (move := (first < last) & ~inside(last - 1)).any():
        last = last - move
    return first, last


@dataclass(frozen=True)
class Boxes:
    """Intervals of ranks of boxes around query points.

    Attributes:
        rank: (d, n) rank of each point in each coordinate.
        first, last: (d, m) interval of ranks of each query.
    """

    rank: Whole
    first: Whole
    last: Whole

    @classmethod
    def around(cls, points: Array, queries: Array, radius: Array, strict: bool) -> "Boxes":
        rank, first, last = [], [], []
        for c in range(points.shape[1]):
            order = np.argsort(points[:, c], kind="stable")
            place = np.empty(len(order), dtype=np.int64)
            place[order] = np.arange(len(order))
            lo, hi = interval(points[order, c], queries[:, c], radius, strict)
            rank.append(place)
            first.append(lo)
            last.append(hi)
        return cls(np.stack(rank), np.stack(first), np.stack(last))

    def counts(self) -> Whole:
        """Points in each box, (m,)."""
        d, m = self.first.shape
        if d == 1:
            return np.asarray(self.last[0] - self.first[0])
        if d == 2:
            return _rectangles(self.rank, self.first, self.last)
        total = np.zeros(m, dtype=np.int64)
        for start in range(0, m, ROWS):
            rows = slice(start, start + ROWS)
            for block in _blocks(self.rank.shape[1]):
                total[rows] += np.bitwise_count(self.sets(rows, block)).sum(1, dtype=np.int64)
        return total

    def sets(self, rows: slice, block: slice) -> npt.NDArray[np.uint64]:
        """Bits of the points of `block` that lie in the boxes of `rows`: (rows, words)."""
        size = block.stop - block.start
        words = -(-size // 64)
        m = self.first[0, rows].size
        kept = np.empty((m, words), dtype=np.uint64)
        low, high = (np.empty((STRIP, words), dtype=np.uint64) for _ in range(2))
        for c in range(len(self.rank)):
            table, below = _prefixes(self.rank[c], block)
            first, last = below[self.first[c, rows]], below[self.last[c, rows]]
            for start in range(0, m, STRIP):
                part = slice(start, min(start + STRIP, m))
                count = part.stop - start
                a, b = low[:count], high[:count]
                table.take(first[part], 0, a, "clip")
                table.take(last[part], 0, b, "clip")
                if c == 0:
                    np.bitwise_xor(a, b, out=kept[part])
                else:
                    np.bitwise_xor(a, b, out=a)
                    np.bitwise_and(kept[part], a, out=kept[part])
        return kept


def _blocks(n: int) -> list[slice]:
    count = -(-n // BLOCK)
    edges = [n * i // count for i in range(count + 1)]
    return [slice(a, b) for a, b in pairwise(edges)]


def _prefixes(rank: Whole, block: slice) -> tuple[npt.NDArray[np.uint64], Whole]:
    """Set of the first r points of a block by rank, for r = 0..size, as bits; and how many of the block have a smaller rank than r."""
    own = rank[block]
    size = own.size
    order = np.argsort(own)
    table = np.zeros((size + 1, -(-size // 64)), dtype=np.uint64)
    table[np.arange(1, size + 1), order >> 6] = np.uint64(1) << (order & 63).astype(np.uint64)
    np.bitwise_or.accumulate(table, axis=0, out=table)
    member = np.zeros(rank.size + 1, dtype=np.int64)
    member[own + 1] = 1
    return table, np.cumsum(member)


def _rectangles(rank: Whole, first: Whole, last: Whole) -> Whole:
    """Points in rectangles of ranks, by a wavelet matrix: bit after bit of the second rank, stably sorted."""
    n = rank.shape[1]
    values = np.empty(n, dtype=np.int64)
    values[rank[0]] = rank[1]  # second rank, in the order of the first
    total = np.zeros(first.shape[1], dtype=np.int64)
    sides = [[first[0], last[0], first[1], -1], [first[0], last[0], last[1], 1]]
    bit = 1 << (n.bit_length() - 1)  # the highest of n: a bound may be n itself, which no rank is
    while bit:
        zero = (values & bit) == 0
        before = np.concatenate([[0], np.cumsum(zero)])
        for side in sides:
            a, b, bound, sign = side
            a0, b0, up = before[a], before[b], (bound & bit) != 0
            total += sign * np.where(up, b0 - a0, 0)
            side[0] = np.where(up, a - a0 + before[-1], a0)
            side[1] = np.where(up, b - b0 + before[-1], b0)
        values = np.concatenate([values[zero], values[~zero]])
        bit >>= 1
    return total


def count(points: Array, queries: Array, radius: Array, strict: bool = True) -> Whole:
    """Points (n, d) with max-norm distance below radius (m,), or at most it, from queries (m, d): (m,), a query itself included."""
    return Boxes.around(points, queries, radius, strict).counts()


def nearest(points: Array, queries: Array, k: int, method: str = "auto") -> tuple[Array, Whole]:
    """Distances (m, k), rising, and indices (m, k) of the k nearest points (n, d) of queries (m, d) in the max-norm.

    Args:
        points, queries: where the queries are the points, each is its own nearest.
        k: neighbours, at most n.
        method: "tree", "bits" or "brute", which agree; "auto" takes the fastest.
    """
    n, d = points.shape
    if method == "auto":
        method = "tree" if d <= TREE else "brute" if n <= BRUTE else "bits"
    if method == "tree":
        return _by_tree(points, queries, k)
    if method == "brute":
        return _brute(points, queries, k)
    parts = [_by_bits(points, queries[start : start + ROWS], k) for start in range(0, len(queries), ROWS)]
    return np.concatenate([one[0] for one in parts]), np.concatenate([one[1] for one in parts])


def _by_tree(points: Array, queries: Array, k: int) -> tuple[Array, Whole]:
    tree = cKDTree(points)
    if queries is not points:
        far, index = tree.query(queries, k=np.arange(1, k + 1), p=np.inf)
        return far, index
    order = tree.indices  # neighbours one after the other find the same nodes in cache
    found = tree.query(points[order], k=np.arange(1, k + 1), p=np.inf)
    far, index = np.empty_like(found[0]), np.empty_like(found[1])
    far[order], index[order] = found
    return far, index


def _brute(points: Array, queries: Array, k: int) -> tuple[Array, Whole]:
    distances, indices = [], []
    for start in range(0, len(queries), STRIP):
        far = cdist(queries[start : start + STRIP], points, "chebyshev")
        value, index = _smallest(far, k)
        distances.append(value)
        indices.append(index)
    return np.concatenate(distances), np.concatenate(indices)


def _smallest(table: Array, k: int) -> tuple[Array, Whole]:
    """The k smallest of each row of a table, rising, and their columns: (rows, k) each."""
    index = np.argpartition(table, k - 1, axis=1)[:, :k]
    value = np.take_along_axis(table, index, 1)
    order = np.argsort(value, axis=1, kind="stable")
    return np.take_along_axis(value, order, 1), np.take_along_axis(index, order, 1)


def _by_bits(points: Array, queries: Array, k: int) -> tuple[Array, Whole]:
    n = len(points)
    subset = min(n, max(4 * k, int(3.0 * math.sqrt(k * n))))
    some = points[np.linspace(0, n - 1, subset).astype(int)]
    bound = np.concatenate(
        [
            np.partition(cdist(q, some, "chebyshev"), k - 1, axis=1)[:, k - 1]
            for q in np.array_split(queries, -(-len(queries) // STRIP))
        ]
    )
    row, column = _members(Boxes.around(points, queries, bound, strict=False))
    starts = range(0, len(row), PAIRS)
    far = np.concatenate([np.abs(points[column[s : s + PAIRS]] - queries[row[s : s + PAIRS]]).max(1) for s in starts])
    size = np.bincount(row, minlength=len(queries))
    place = np.arange(len(row)) - np.repeat(np.cumsum(size) - size, size)
    table = np.full((len(queries), size.max()), np.inf)
    table[row, place] = far
    which = np.zeros(table.shape, dtype=np.int64)
    which[row, place] = column
    value, index = _smallest(table, k)
    return value, np.take_along_axis(which, index, 1)


def _members(boxes: Boxes) -> tuple[Whole, Whole]:
    """Pairs (query, point) with the point in the box of the query, by queries; the bits are looked for in bytes that are not 0."""
    everything, blocks = slice(0, boxes.first.shape[1]), _blocks(boxes.rank.shape[1])
    sets = [boxes.sets(everything, block).view(np.uint8) for block in blocks]
    base = np.concatenate([block.start + 8 * np.arange(one.shape[1]) for block, one in zip(blocks, sets, strict=True)])
    octets = np.concatenate(sets, axis=1)
    row, octet = np.divmod(np.flatnonzero(octets), octets.shape[1])
    bits = np.flatnonzero(np.unpackbits(octets[row, octet], bitorder="little"))
    return row[bits >> 3], base[octet][bits >> 3] + (bits & 7)
