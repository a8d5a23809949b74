"""Score laws by Gauss quadrature: a few weighted atoms that carry the moments of a continuous law.

A pool of n draws has a skewness of its own, of order n^(-1/2), which would hide the orders of the small-budget
formulas. A quadrature rule of n nodes has the first 2n - 1 moments of the law exactly, and is as good a finite pool
as any.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Law:
    """A score law on a finite support.

    Args:
        name: how figures call it.
        scores: (n,) atoms, unit-free similarities.
        base: (n,) their probabilities.
        symmetric: whether its third central moment is zero.
    """

    name: str
    scores: Array
    base: Array
    symmetric: bool

    @property
    def mean(self) -> float:
        """First moment."""
        return float(self.base @ self.scores)

    @property
    def sd(self) -> float:
        """Standard deviation."""
        return float(np.sqrt(self.base @ (self.scores - self.mean) ** 2))

    @property
    def skewness(self) -> float:
        """Third central moment in units of the standard deviation."""
        return float(self.base @ (self.scores - self.mean) ** 3) / self.sd**3


def gaussian(nodes: int, mean: float = 0.0, sd: float = 0.25) -> Law:
    """Normal scores, Gauss-Hermite."""
    x, w = special.roots_hermitenorm(nodes)
    return Law("Gaussian", mean + sd * x, w / w.sum(), True)


def uniform(nodes: int) -> Law:
    """Uniform on [-1, 1], Gauss-Legendre."""
    x, w = special.roots_legendre(nodes)
    return Law("uniform", x, w / w.sum(), True)


def sphere(nodes: int, dimension: int) -> Law:
    """Cosine between two independent uniform directions of R^dimension, Gauss-Gegenbauer."""
    x, w = special.roots_gegenbauer(nodes, 0.5 * dimension - 1.0)
    return Law(f"sphere, d = {dimension}", x, w / w.sum(), True)


def cluster(nodes: int, share: float = 0.1, place: float = 0.7, sd: float = 0.1) -> Law:
    """Negatives around 0 with a false-negative cluster: (1 - share) N(0, sd) + share N(place, sd)."""
    x, w = special.roots_hermitenorm(nodes)
    w = w / w.sum()
    scores = np.concatenate([sd * x, place + sd * x])
    return Law("false-negative cluster", scores, np.concatenate([(1.0 - share) * w, share * w]), False)


def bounded_cluster(nodes: int, share: float = 0.1, place: float = 0.7, sd: float = 0.1) -> Law:
    """The same with components of support +-3 sd: divergences of finite slope feel the largest score there is."""
    x, w = special.roots_gegenbauer(nodes, 0.5 * 9.0 - 1.0)  # cosines on the sphere of R^9 have sd 1/3
    scores = np.concatenate([3.0 * sd * x, place + 3.0 * sd * x])
    w = w / w.sum()
    return Law("bounded cluster", scores, np.concatenate([(1.0 - share) * w, share * w]), False)


def mirrored(law: Law, name: str) -> Law:
    """The same law with scores negated."""
    return Law(name, -law.scores[::-1], law.base[::-1].copy(), law.symmetric)
