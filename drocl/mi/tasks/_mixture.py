"""Mixtures of Gaussians with truth by quadrature in two dimensions."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from drocl.divergences import Divergence
from drocl.mi._types import Array
from drocl.mi.tasks._task import Task


class Mixture(Task):
    r"""A finite mixture of Gaussians whose log-ratio depends on x only through one direction, and y in one dimension.

    $I = h(X) + h(Y) - h(X,Y)$, each entropy a sum over components by the trapezoid rule in their whitened coordinates,
    halved until two levels agree to 1e-11: the integrands are analytic and decay as a normal density, so the error
    falls exponentially.

    Args:
        name: of the task.
        weights: (m,), positive, summing to 1.
        means: (m, dim_x + 1).
        covariances: (m, dim_x + 1, dim_x + 1).
        direction: (dim_x,), a unit vector: given y, x depends on y through its product with this only.
    """

    dim_y = 1

    def __init__(
        self,
        name: str,
        weights: npt.ArrayLike,
        means: npt.ArrayLike,
        covariances: npt.ArrayLike,
        direction: Sequence[float] = (1.0,),
    ) -> None:
        self.name, self.dim_x = name, len(direction)
        self.weights: Array = np.asarray(weights, dtype=np.float64)
        self.means: Array = np.asarray(means, dtype=np.float64)
        self.covariances: Array = np.asarray(covariances, dtype=np.float64)
        reduce = np.zeros((2, self.dim_x + 1))
        reduce[0, :-1], reduce[1, -1] = direction, 1.0
        self._means = self.means @ reduce.T
        self._covariances = reduce @ self.covariances @ reduce.T

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        which = rng.choice(len(self.weights), size=n, p=self.weights)
        noise = rng.standard_normal((n, self.dim_x + 1))
        both = self.means[which] + np.einsum("nij,nj->ni", np.linalg.cholesky(self.covariances)[which], noise)
        return both[:, :-1], both[:, -1:]

    def _log_ratio(self, x: Array, y: Array) -> Array:
        both = np.hstack([x, y])
        joint = self._log_density(both, self.means, self.covariances)
        own_x = self._log_density(x, self.means[:, :-1], self.covariances[:, :-1, :-1])
        own_y = self._log_density(y, self.means[:, -1:], self.covariances[:, -1:, -1:])
        return joint - own_x - own_y

    def _log_density(self, points: Array, means: Array, covariances: Array) -> Array:
        roots = np.linalg.cholesky(covariances)
        terms = []
        for weight, mean, root in zip(self.weights, means, roots, strict=True):
            white = np.linalg.solve(root, (points - mean).T)
            scale = np.log(np.diag(root)).sum() + 0.5 * len(mean) * math.log(2.0 * math.pi)
            terms.append(math.log(weight) - scale - 0.5 * np.einsum("ij,ij->j", white, white))
        return np.asarray(logsumexp(terms, axis=0))

    def _information(self, divergence: Divergence) -> float | None:
        if divergence.power != 1.0:
            return None
        margins = sum(self._entropy(self._means[:, [i]], self._covariances[:, [i]][:, :, [i]]) for i in range(2))
        return divergence.scale * (margins - self._entropy(self._means, self._covariances))

    def _entropy(self, means: Array, covariances: Array) -> float:
        """Differential entropy of a mixture in one dimension or two, by trapezoid rules of halving steps."""
        last, step = math.inf, 0.1
        while step > 0.005:
            value = self._trapezoid(step, means, covariances)
            if abs(value - last) < 1e-11:
                return value
            last, step = value, 0.5 * step
        raise ArithmeticError(f"the entropy of task {self.name!r} has not converged: its components are too unlike")

    def _trapezoid(self, step: float, means: Array, covariances: Array) -> float:
        axis = np.arange(-math.ceil(8.5 / step), math.ceil(8.5 / step) + 1) * step
        mass = np.exp(-0.5 * axis**2) * step / math.sqrt(2.0 * math.pi)
        roots, total = np.linalg.cholesky(covariances), 0.0
        for weight, mean, root in zip(self.weights, means, roots, strict=True):
            # the density on the grid of this component's own coordinates, where its own term keeps it positive
            density: Array | float = 0.0
            for other, at, own in zip(self.weights, means, roots, strict=True):
                offset, turn = np.linalg.solve(own, mean - at), np.linalg.solve(own, root)  # lower triangular
                scale = other / (np.prod(np.diag(own)) * (2.0 * math.pi) ** (0.5 * len(at)))
                first = scale * np.exp(-0.5 * (offset[0] + turn[0, 0] * axis) ** 2)
                if len(at) == 2:
                    shifts = (offset[1] + turn[1, 0] * axis)[:, None]
                    first = first[:, None] * np.exp(-0.5 * (shifts + turn[1, 1] * axis) ** 2)
                density = density + first
            logs = np.log(density)
            total -= weight * float(mass @ logs @ mass if logs.ndim == 2 else mass @ logs)
        return total


def cross(name: str, rho: float) -> Mixture:
    """X: equal parts of two bivariate normals of correlation rho and -rho ("1v1-X")."""
    if not -1.0 < rho < 1.0:
        raise ValueError(f"correlation={rho!r} must lie in (-1, 1)")
    return Mixture(name, [0.5, 0.5], np.zeros((2, 2)), [[[1.0, r], [r, 1.0]] for r in (rho, -rho)])


def letters(name: str) -> Mixture:
    """The letters A and I, six strokes ("1v1-AI")."""
    slant = 0.95 * math.sqrt(0.04 * 0.2)
    strokes = [
        ((1.0, 0.0), (0.01, 0.0, 0.2)), ((1.0, 1.0), (0.05, 0.0, 0.001)), ((1.0, -1.0), (0.05, 0.0, 0.001)),
        ((-0.8, -0.2), (0.03, 0.0, 0.001)), ((-1.2, 0.0), (0.04, slant, 0.2)), ((-0.4, 0.0), (0.04, -slant, 0.2)),
    ]  # fmt: skip
    return Mixture(name, np.full(6, 1.0 / 6.0), [m for m, _ in strokes], [[[a, b], [b, c]] for _, (a, b, c) in strokes])


def balls(name: str, distance: float) -> Mixture:
    """Two unit balls in three dimensions, at ±(1, 1, 1) distance/2: what the galaxy is before it spirals."""
    centre = np.ones(3) * distance / 2.0
    side = math.sqrt(0.5)
    return Mixture(name, [0.5, 0.5], [-centre, centre], [np.eye(3)] * 2, (side, side))


def stripes(name: str, count: int) -> Mixture:
    """Stripes whose position x_1 says which of four heights y has: what the waves are before they bend."""
    if count < 1:
        raise ValueError(f"count={count!r} must be at least 1")
    means = [[1.5 * i, 0.0, 1.5 * (i % 4)] for i in range(count)]
    return Mixture(name, np.full(count, 1.0 / count), means, [np.diag([0.1, 1.0, 0.1])] * count, (1.0, 0.0))
