"""Margins by their ranks: scores of a sample and of new points under any quantile function."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from drocl.mi._types import Array


@dataclass(frozen=True)
class Margins:
    """Empirical margins of x (n, d).

    Attributes:
        knots: per column, its distinct values, rising.
        places: per column, twice the mid-rank of each knot, less one: integers in 0..2n-2, so that the level is (place + 1) / 2n.
        of_sample: (n, d) index of each value among the knots of its column.
    """

    knots: tuple[Array, ...]
    places: tuple[np.ndarray, ...]
    of_sample: tuple[np.ndarray, ...]
    n: int

    @classmethod
    def fit(cls, x: Array) -> "Margins":
        knots, places, inverse = [], [], []
        for column in x.T:
            value, index, count = np.unique(column, return_inverse=True, return_counts=True)
            upper = np.cumsum(count)
            knots.append(value)
            places.append(2 * upper - count - 1)
            inverse.append(index.ravel())
        return cls(tuple(knots), tuple(places), tuple(inverse), len(x))

    @property
    def tied(self) -> float:
        """Largest share, over columns, of values that are not the first of their kind."""
        return max(1.0 - len(k) / self.n for k in self.knots)

    def table(self, quantile: Callable[[Array], Array]) -> Array:
        """Scores at all 2n - 1 places, by symmetry about 1/2; half of them are only for ties."""
        half = quantile(np.arange(1, self.n) / (2.0 * self.n))
        return np.concatenate([half, [0.0], -half[::-1]])

    def scores(self, table: Array) -> Array:
        """Of the sample, (n, d)."""
        return np.stack([table[p][i] for p, i in zip(self.places, self.of_sample, strict=True)], axis=1)

    def levels(self, x: Array) -> Array:
        """Empirical distribution functions at points x (m, d), in (0, 1): mid-ranks at ties."""
        return self.new_scores(np.arange(1, 2 * self.n) / (2.0 * self.n), x)

    def new_scores(self, table: Array, x: Array) -> Array:
        """Of new points x (m, d): linear between knots; beyond the sample, that of its end."""
        columns = [np.interp(c, k, table[p]) for c, k, p in zip(x.T, self.knots, self.places, strict=True)]
        return np.stack(columns, axis=1)
