r"""Mutual information by cells: bins of continuous columns, values of discrete ones."""

import math
import time
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from drocl.mi._classical import finish
from drocl.mi._types import Array, MIEstimate

MOST = 2
WIDTHS = ("equal", "quantile")
FEW = 64  # a column with at most so many distinct values is taken as discrete: a cell a value
PRIOR = 1.0  # pairs that an independent table adds, for the ratio in cells without pairs

Whole = npt.NDArray[np.int64]


@dataclass(frozen=True)
class HistogramRatio:
    r"""$\log\frac{n_{xy} + c\,p_xp_y}{(n+c)\,p_xp_y}$ of the cell a point falls into, c = 1: finite in cells without pairs.

    Attributes:
        edges: of x and of y, per column: inner edges of bins, or None and the values of a discrete column.
        counts: (cells of x, cells of y).
    """

    edges: tuple[tuple[Array, ...], tuple[Array, ...]]
    counts: Whole

    @classmethod
    def fit(cls, x: Array, y: Array, bins: int | None = None, widths: str = "quantile") -> Self:
        """Fit on x (n, dx), y (n, dy), dx, dy <= 2; options as in `Histogram`."""
        _check(bins, widths)
        for name, side in (("x", x), ("y", y)):
            if side.shape[1] > MOST:
                raise ValueError(
                    f"{name} has {side.shape[1]} dimensions: a histogram serves up to {MOST} a side; use 'copula'"
                )
        d = x.shape[1] + y.shape[1]
        number = bins or max(2, round((len(x) / 10.0) ** (1.0 / d)))
        edges = tuple(tuple(_edges(column, number, widths) for column in side.T) for side in (x, y))
        (left, rows), (right, columns) = (_cells(side, e) for side, e in zip((x, y), edges, strict=True))
        counts = np.bincount(left * columns + right, minlength=rows * columns).reshape(rows, columns)
        return cls((edges[0], edges[1]), counts)

    def log_ratio(self, x: Array, y: Array) -> Array:
        """At new points x (m, dx), y (m, dy): (m,), nats; beyond the sample, that of the outermost cell."""
        left, right = (_cells(side, e)[0] for side, e in zip((x, y), self.edges, strict=True))
        n = self.counts.sum()
        p = (self.counts.sum(1)[left] + 0.5) / (n + 1.0) * (self.counts.sum(0)[right] + 0.5) / (n + 1.0)
        return np.asarray(np.log((self.counts[left, right] + PRIOR * p) / ((n + PRIOR) * p)))


@dataclass(kw_only=True)
class Histogram:
    r"""Plug-in information of the table of cells, $\sum\hat p_{xy}\log\frac{\hat p_{xy}}{\hat p_x\hat p_y}$, with a correction.

    Args:
        bins: of a continuous column; None: $(n/10)^{1/d}$, d = dx + dy. A column with at most 64 distinct values that repeat is
            discrete: a cell a value.
        widths: "quantile" (equally many points) or "equal".
        miller_madow: take off the first-order bias, $(K_{xy} - K_x - K_y + 1)/2n$ with K cells that are not empty.

    The information of cells is at most that of the variables: bins lose some. The interval is of the sampling error alone.

    Raises:
        ValueError: a side with more than two dimensions; bins below 2; unknown widths.

    Source: Miller 1955; Paninski 2003.
    """

    name: ClassVar[str] = "histogram"
    default_preprocess: ClassVar[str] = "none"

    bins: int | None = None
    widths: str = "quantile"
    miller_madow: bool = True

    def __post_init__(self) -> None:
        _check(self.bins, self.widths)

    def estimate(
        self, x: Array, y: Array, *, level: float = 0.9, folds: int | None = None, seed: int = 0, device: str = "cpu",
        progress: bool = False,
    ) -> MIEstimate:  # fmt: skip
        """Estimate from x (n, dx), y (n, dy), float64, dx, dy <= 2."""
        began, n = time.perf_counter(), len(x)
        table = HistogramRatio.fit(x, y, self.bins, self.widths).counts
        p = table / n
        px, py = p.sum(1, keepdims=True), p.sum(0, keepdims=True)
        full = table > 0
        ratio = np.log(p[full] / (px @ py)[full])
        value = float((p[full] * ratio).sum())
        used = int(full.sum()), int((px > 0).sum()), int((py > 0).sum())
        bias = (used[0] - used[1] - used[2] + 1.0) / (2.0 * n)
        spread = float((p[full] * (ratio - value) ** 2).sum())
        error = math.sqrt((spread + 0.5 * (used[1] - 1.0) * (used[2] - 1.0) / n) / n)
        warnings = []
        if used[0] > 0.2 * n:
            warnings.append(
                f"{used[0]} cells hold {n} pairs: too few a cell, the bias correction fails; use fewer bins"
            )
        details = {"cells": used, "bias": bias, "uncorrected": value}
        value -= bias if self.miller_madow else 0.0
        return finish(
            f"histogram({used[1]} x {used[2]} cells)", value, error, level, n, began, tuple(warnings), details
        )


def _edges(column: Array, bins: int, widths: str) -> Array:
    values = np.unique(column)
    if values.size <= FEW and values.size <= column.size // 5:
        return 0.5 * (values[1:] + values[:-1])
    if widths == "equal":
        return np.linspace(values[0], values[-1], bins + 1)[1:-1]
    return np.unique(np.quantile(column, np.arange(1, bins) / bins))


def _cells(side: Array, edges: tuple[Array, ...]) -> tuple[Whole, int]:
    """Cell of each point, and how many there are."""
    index, total = np.zeros(len(side), dtype=np.int64), 1
    for column, inner in zip(side.T, edges, strict=True):
        index = index * (inner.size + 1) + np.searchsorted(inner, column, "right")
        total *= inner.size + 1
    return index, total


def _check(bins: int | None, widths: str) -> None:
    if bins is not None and (isinstance(bins, bool) or not isinstance(bins, (int, np.integer)) or bins < 2):
        raise ValueError(f"bins={bins!r} must be an integer of at least 2, or None")
    if widths not in WIDTHS:
        raise ValueError(f"widths={widths!r} must be one of {', '.join(WIDTHS)}")
