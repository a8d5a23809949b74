r"""A copula of learnt directions: canonical correlations of features, then a Gaussian or t copula of the leading pairs.

By data processing $I(a(X);b(Y))\leq I(X;Y)$, so the ratio of the leading canonical variates a, b is a critic like any other. How many
pairs, which harmonics and which centre are chosen on pairs set aside from the training part.
"""

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from drocl.mi._auto_features import Radial
from drocl.mi._held import bound
from drocl.mi._types import Array
from drocl.mi.copula import Elliptical, GaussianCopula, StudentCopula

RIDGE = 3e-3  # of the mean variance of a block's features
COUNTS = (1, 2, 3, 5, 8, 12, 20, 32, 50)
HARMONICS = (2, 6)
CENTRES = ("median", "origin")
CHEAP = 4  # products a pair that judge a choice
ASIDE = 4  # one pair in so many chooses
PAIRS_A_FEATURE = 12  # at least so many training pairs a feature of a block, or fewer harmonics


@dataclass(frozen=True)
class Directions:
    """Canonical directions of the features of x and y: maps (p, r) and (q, r), and centres."""

    left: Radial
    right: Radial
    means: tuple[Array, Array]
    maps: tuple[Array, Array]

    @classmethod
    def fit(cls, x: Array, y: Array, harmonics: int, about: str, most: int) -> Self:
        """Fit on x (n, dx), y (n, dy); `most` directions."""
        left, right = (
            Radial.fit(x, harmonics if x.shape[1] > 1 else 0, about),
            Radial.fit(y, harmonics if y.shape[1] > 1 else 0, about),
        )
        a, b = left(x), right(y)
        means = (a.mean(0), b.mean(0))
        a, b = a - means[0], b - means[1]
        wa, wb = _whitening(a.T @ a / len(a)), _whitening(b.T @ b / len(b))
        u, _, vt = np.linalg.svd(wa.T @ (a.T @ b / len(a)) @ wb, full_matrices=False)
        return cls(left, right, means, (wa @ u[:, :most], wb @ vt[:most].T))

    def __call__(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Canonical variates (m, r) of x and of y."""
        return (self.left(x) - self.means[0]) @ self.maps[0], (self.right(y) - self.means[1]) @ self.maps[1]


def _whitening(cov: Array) -> Array:
    size, basis = np.linalg.eigh(cov)
    keep = size > 1e-9 * size[-1]
    return np.asarray(basis[:, keep] / np.sqrt(size[keep] + RIDGE * size[keep].mean()))


@dataclass(frozen=True)
class CanonicalCopula:
    """A fitted copula of the leading canonical variates; follows the `DensityRatio` protocol."""

    directions: Directions
    law: Elliptical
    chosen: dict[str, Any]

    def variates(self, x: Array, y: Array) -> tuple[Array, Array]:
        """The leading canonical variates (m, pairs) of x and of y."""
        return self.directions(x, y)

    def log_ratio(self, x: Array, y: Array) -> Array:
        """Log-ratio of the canonical variates at x (m, dx), y (m, dy): (m,), nats."""
        return self.law.log_ratio(*self.variates(x, y))

    def sides(self, x: Array, y: Array) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """Scores of the canonical variates of each side."""
        return self.law.sides(*self.variates(x, y))

    def joined(self, x: tuple[Array, ...], y: tuple[Array, ...]) -> Array:
        """`log_ratio` of the `sides`."""
        return self.law.joined(x, y)

    @classmethod
    def fit(cls, x: Array, y: Array, seed: int) -> Self | None:
        """Fit on x (n, dx), y (n, dy); None where no harmonics fit into so few pairs (the plain copulas are then all there is)."""
        most = len(x) // (PAIRS_A_FEATURE * max(x.shape[1], y.shape[1])) - 1
        if most < min(HARMONICS) or max(x.shape[1], y.shape[1]) < 2:
            return None
        order = np.random.default_rng(seed).permutation(len(x))
        aside, fitted = np.split(order, [len(x) // ASIDE])
        tried = [
            (*_count(x, y, fitted, aside, k, about), k, about) for k in HARMONICS if k <= most for about in CENTRES
        ]
        _, count, harmonics, about = max(tried)
        directions = Directions.fit(x, y, harmonics, about, count)
        a, b = directions(x, y)
        law = StudentCopula.fit(a, b)
        return cls(directions, law, {"about": about, "pairs": count, "harmonics": harmonics, "nu": law.nu})


def _count(x: Array, y: Array, fitted: np.ndarray, aside: np.ndarray, harmonics: int, about: str) -> tuple[float, int]:
    """Best bound on the pairs set aside, and with how many canonical pairs."""
    directions = Directions.fit(x[fitted], y[fitted], harmonics, about, max(COUNTS))
    a, b = directions(x[fitted], y[fitted])
    a_new, b_new = directions(x[aside], y[aside])
    best = (-math.inf, 1)
    for count in (c for c in COUNTS if c <= a.shape[1]):
        law = GaussianCopula.fit(a[:, :count], b[:, :count])
        best = max(best, (bound(law, a_new[:, :count], b_new[:, :count], CHEAP)[0], count))
        if count > 4 * best[1]:
            break  # noise directions only cost more from here on
    return best
