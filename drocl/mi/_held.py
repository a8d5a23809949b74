r"""Folds, and the held-out worth of a density ratio: the tight KL dual, $E_P\log r - \log E_Q r$, a lower bound in expectation."""

import math
from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable

import numpy as np
from scipy.special import logsumexp

from drocl.mi._types import Array, DensityRatio

SHIFTS = 16  # products a held-out pair takes part in


def splits(order: np.ndarray, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training and held-out indices of `count` folds, as equal as can be.

    >>> [test.tolist() for _, test in splits(np.arange(5), 2)]
    [[0, 1, 2], [3, 4]]
    """
    parts = np.array_split(order, count)
    return [(np.concatenate(parts[:i] + parts[i + 1 :]), test) for i, test in enumerate(parts)]


@runtime_checkable
class Sided(Protocol):
    """A ratio of which most is done for each side alone, so that products cost little."""

    def sides(self, x: Array, y: Array) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """What x (m, dx) and y (m, dy) contribute: arrays (m, ...)."""
        ...

    def joined(self, x: tuple[Array, ...], y: tuple[Array, ...]) -> Array:
        """Log-ratios (m,) of rows paired."""
        ...


def products(n: int, most: int = SHIFTS) -> np.ndarray:
    """Shifts of y against x that make products of held-out pairs: (s,), spread over 1..n-1."""
    count = min(most, n - 1)
    return np.unique(np.linspace(1, n - 1, count + 2)[1:-1].round().astype(int)) if count > 1 else np.ones(1, dtype=int)


@dataclass(frozen=True)
class Held:
    """Log-ratios of one held-out part: `pairs` (m,), and `crossed` (s, m) where row j pairs x_i with y_{i + shift_j}."""

    pairs: Array
    crossed: Array
    shifts: np.ndarray

    @classmethod
    def of(cls, ratio: DensityRatio, x: Array, y: Array, shifts: np.ndarray | None = None) -> Self:
        """Evaluate at x (m, dx), y (m, dy) and at the products of these shifts; `products` of m if None."""
        shifts = products(len(x)) if shifts is None else shifts
        if isinstance(ratio, Sided):
            left, right = ratio.sides(x, y)
            rolled = (tuple(np.roll(part, -s, axis=0) for part in right) for s in shifts)
            return cls(ratio.joined(left, right), np.stack([ratio.joined(left, one) for one in rolled]), shifts)
        crossed = np.stack([ratio.log_ratio(x, np.roll(y, -s, axis=0)) for s in shifts])
        return cls(ratio.log_ratio(x, y), crossed, shifts)

    @property
    def value(self) -> float:
        """The bound, nats."""
        return float(self.pairs.mean() - self.log_mean)

    @property
    def log_mean(self) -> float:
        """log E_Q r."""
        return float(logsumexp(self.crossed) - math.log(self.crossed.size))

    @property
    def influence(self) -> Array:
        """(m,) influence of each pair: once in P, once with its x and once with its y in Q."""
        weight = np.exp(self.crossed - self.log_mean)
        by_y = np.stack([np.roll(row, s) for s, row in zip(self.shifts, weight, strict=True)]).mean(0)
        return np.asarray(self.pairs - self.pairs.mean() - (weight.mean(0) + by_y) + 2.0)

    @property
    def effective(self) -> float:
        """Effective number of products that carry E_Q r: (sum w)^2 / sum w^2."""
        return float(np.exp(2.0 * logsumexp(self.crossed) - logsumexp(2.0 * self.crossed)))


def bound(ratio: DensityRatio, x: Array, y: Array, most: int = SHIFTS) -> tuple[float, float]:
    """Bound and its standard error on held-out pairs x (m, dx), y (m, dy), with `most` products a pair."""
    held = Held.of(ratio, x, y, products(len(x), most))
    return held.value, float(held.influence.std() / math.sqrt(len(x)))
