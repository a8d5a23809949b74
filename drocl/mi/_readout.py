"""Held-out read-outs of a fitted critic: the value, the influence of every pair, and how many pairs the mean over Q rests on."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from drocl.mi._objective import Functional, Objective, split
from drocl.mi._types import Array

ROWS = 1024  # rows of a block of the matrix
MOST_PAIRS = 2**26  # all pairs of a fold up to here, blocks on the diagonal beyond


@dataclass(frozen=True)
class HeldOut:
    """A read-out on one sample.

    Attributes:
        value: nats.
        influence: (n,), centred or not.
        effective: (sum w)^2 / sum w^2 of the weights in the mean over Q; nan where it has none.
        positives: critic values or log-ratios at the pairs, (n,).
        tail: Hill estimate of the tail index of e^r over product pairs; nan where not looked at.
    """

    value: float
    influence: Array
    effective: float
    positives: Array
    tail: float = math.nan


Scorer = Callable[[Tensor, Tensor], Tensor]  # indices of rows and of columns -> values (rows, columns)


def by_rows(objective: Objective, matrix: Scorer, n: int, batch: int, generator: torch.Generator) -> HeldOut:
    """Own read-out of a row objective on batches of `batch` pairs, every pair once an anchor."""
    batch = min(batch, n)
    order = torch.randperm(n, generator=generator)
    value, influence, positives = (torch.zeros(n, dtype=torch.float64) for _ in range(3))
    for start in range(0, n, batch):
        stop = min(start + batch, n)
        block = order[stop - batch : stop]  # the last one reaches back: its early rows are there for company
        fresh = slice(batch - (stop - start), batch)
        pairs = split(matrix(block, block).double().cpu())
        rows, weights = objective.row_values(pairs)
        # a column counts in all other rows: the derivative of their sum in its weight
        pull = _columns(weights) + 1.0 - weights.sum(1)
        value[block[fresh]], influence[block[fresh]] = rows[fresh], (rows - pull)[fresh]
        positives[block[fresh]] = pairs.positives[fresh]
    return HeldOut(float(value.mean()), influence.numpy(), math.nan, positives.numpy())


def _columns(off: Tensor) -> Tensor:
    """Column sums of the matrix whose off-diagonal, row by row, is (B, B - 1)."""
    size = off.shape[0]
    flat = torch.cat([off.reshape(size - 1, size), off.new_zeros(size - 1, 1)], 1).flatten()
    return torch.cat([off.new_zeros(1), flat]).view(size, size).sum(0)


def by_functional(
    make: Callable[[float], Functional],
    positives: Tensor,
    matrix: Scorer,
    generator: torch.Generator,
    block: int,
    tail: bool,
) -> HeldOut:
    """Read-out F(A, U) over all product pairs of the sample, or over those within blocks of `block` pairs.

    Args:
        make: the functional for a shift that keeps exponentials in range.
        positives: (n,) values at the pairs.
        matrix: values at products of pairs.
        generator: assigns pairs to blocks.
        block: at least n for all pairs.
        tail: also estimate the tail index of the weights.
    """
    n = positives.shape[0]
    shift = float(positives.double().max())
    functional = make(shift)
    a = functional.positive(positives.double()).cpu()
    if functional.negative is None:
        influence = (a - a.mean()).numpy()
        return HeldOut(functional.combine(float(a.mean()), 0.0), influence, math.nan, positives.double().cpu().numpy())
    sums = _product_sums(functional, matrix, n, block, generator, tail)
    if not (math.isfinite(sums.total) and sums.total > 0.0):  # product pairs far above, or far below, every joint pair
        functional = make(_highest(matrix, n))
        sums = _product_sums(functional, matrix, n, block, generator, tail)
    mean_a, u = float(a.mean()), sums.total / sums.count
    slope_a, slope_u = functional.slopes(mean_a, u)
    sides = (sums.row + sums.column) * (n / sums.count)
    moved = slope_a * (a - mean_a) + slope_u * (sides - 2.0 * u)
    effective = sums.total**2 / sums.squares if sums.squares > 0.0 else math.nan
    return HeldOut(functional.combine(mean_a, u), moved.numpy(), effective, positives.double().cpu().numpy(), sums.tail)


@dataclass
class _Sums:
    row: Tensor
    column: Tensor
    count: int = 0
    squares: float = 0.0
    tail: float = math.nan

    @property
    def total(self) -> float:
        return float(self.row.sum())


def _product_sums(
    functional: Functional, matrix: Scorer, n: int, block: int, generator: torch.Generator, tail: bool
) -> _Sums:
    assert functional.negative is not None
    sums = _Sums(torch.zeros(n, dtype=torch.float64), torch.zeros(n, dtype=torch.float64))
    tops: list[Tensor] = []
    groups = [torch.arange(n)] if block >= n else torch.randperm(n, generator=generator).tensor_split(-(-n // block))
    for group in groups:
        for rows in group.split(ROWS):
            raw = matrix(rows, group)
            where = (rows[:, None] == group[None, :]).to(raw.device)
            weight = functional.negative(raw).masked_fill_(where, 0.0)
            sums.row[rows] = weight.sum(1, dtype=torch.float64).cpu()
            sums.column[group] += weight.sum(0, dtype=torch.float64).cpu()
            sums.squares += float(weight.double().square().sum()) if block < n else float(weight.square().sum())
            if tail:
                tops.append(
                    raw.masked_fill(where, -math.inf).flatten().topk(min(2000, raw.numel())).values.double().cpu()
                )
        sums.count += group.numel() * (group.numel() - 1)
    if tail:
        sums.tail = hill(torch.cat(tops).numpy(), sums.count)
    return sums


def _highest(matrix: Scorer, n: int) -> float:
    """Largest value over product pairs, or over some rows of them."""
    columns = torch.arange(n)
    rows = columns[: min(n, ROWS)]
    raw = matrix(rows, columns)
    return float(raw.masked_fill((rows[:, None] == columns).to(raw.device), -math.inf).max())


def hill(logs: Array, total: int) -> float:
    """Hill estimate of the tail index of e^v from the largest values v: mean excess of v over the top 1e-4 or 50 of `total`.

    >>> round(hill(np.array([3.0, 2.0, 1.0] + [0.0] * 20), 23), 2)
    0.6
    """
    k = int(min(max(10, min(50, total // 50)), len(logs) - 1))
    top = np.sort(logs)[::-1][: k + 1]
    return float(np.mean(top[:k] - top[k]))
