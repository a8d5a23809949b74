"""Invertible maps of X and of Y alone, which change every sample and no information."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import expm
from scipy.special import ndtr, ndtri

from drocl.divergences import Divergence
from drocl.mi._types import Array
from drocl.mi.tasks._task import Task

Function = Callable[[Array], Array]


@dataclass(frozen=True)
class Map:
    """An invertible map of points (n, d), its inverse, and how many dimensions it adds."""

    forward: Function
    inverse: Function
    added: int = 0


class Transformed(Task):
    r"""The law of (f(X), g(Y)) of another task, f and g invertible.

    $I_\phi(f(X); g(Y)) = I_\phi(X;Y)$, and the log-ratio is that of the preimages.

    Args:
        name: of the task.
        base: the task below.
        map_x, map_y: f and g.
    """

    def __init__(self, name: str, base: Task, map_x: Map, map_y: Map) -> None:
        self.name, self.base, self.map_x, self.map_y = name, base, map_x, map_y
        self.dim_x, self.dim_y = base.dim_x + map_x.added, base.dim_y + map_y.added

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x, y = self.base._sample(n, rng)
        return self.map_x.forward(x), self.map_y.forward(y)

    def _information(self, divergence: Divergence) -> float | None:
        return self.base._information(divergence)

    def _log_ratio(self, x: Array, y: Array) -> Array:
        return self.base._log_ratio(self.map_x.inverse(x), self.map_y.inverse(y))

    def __reduce__(self) -> tuple[object, tuple[str]]:
        from drocl.mi.tasks._names import parse  # the maps are closures, which do not pickle: the name says it all

        return parse, (self.name,)


def solve_increasing(function: Function, slope: Function, target: Array, low: Array, high: Array) -> Array:
    """The z in [low, high] with function(z) = target, elementwise, by Newton steps kept inside a shrinking bracket."""
    z = 0.5 * (low + high)
    for _ in range(60):  # bisection alone would need 53
        value = function(z) - target
        low, high = np.where(value < 0.0, z, low), np.where(value > 0.0, z, high)
        step = z - value / slope(z)
        new = np.where((step >= low) & (step <= high), step, 0.5 * (low + high))
        moved = np.abs(new - z) / (1.0 + np.abs(z))
        z = new
        if np.all(moved <= 1e-14):
            break
    return z


def _same(points: Array) -> Array:
    return points


def _quantile(points: Array) -> Array:
    if not np.all((points > 0.0) & (points < 1.0)):
        raise ValueError("x and y must lie inside (0, 1): beyond 8 standard deviations the normal cdf rounds to 1")
    return np.asarray(ndtri(points))


IDENTITY = Map(_same, _same)
NORMAL_CDF = Map(ndtr, _quantile)
ASINH = Map(np.arcsinh, np.sinh)
CUBIC = Map(lambda z: z**3, np.cbrt)
HALF_CUBE = Map(lambda z: z * np.sqrt(np.abs(z)), lambda z: np.sign(z) * np.cbrt(np.abs(z)) ** 2)


def power(exponent: float) -> Map:
    """z -> sign(z) |z|^exponent, exponent > 0."""
    if not 0.0 < exponent < np.inf:
        raise ValueError(f"exponent={exponent!r} must be a positive number")
    return Map(
        lambda z: np.sign(z) * np.abs(z) ** exponent,
        lambda z: np.sign(z) * np.abs(z) ** (1.0 / exponent),
    )


def _wiggle(terms: tuple[tuple[float, float, float], ...]) -> Map:
    """z + sum a sin(w z + p), increasing because sum |a| w < 1."""
    reach = sum(abs(a) for a, _, _ in terms)

    def forward(z: Array) -> Array:
        return np.asarray(z + sum(a * np.sin(w * z + p) for a, w, p in terms))

    def slope(z: Array) -> Array:
        return np.asarray(1.0 + sum(a * w * np.cos(w * z + p) for a, w, p in terms))

    return Map(forward, lambda z: solve_increasing(forward, slope, z, z - reach, z + reach))


WIGGLY_X = _wiggle(((0.4, 1.0, 0.0), (0.2, 1.7, 1.0), (0.03, 3.3, -2.5)))
WIGGLY_Y = _wiggle(((-0.4, 0.4, 0.0), (0.17, 1.3, 3.5), (0.02, 4.3, -2.5)))


def bimodal(weights: tuple[float, float], means: tuple[float, float]) -> Map:
    """From a standard normal coordinate to one that is a mixture of two unit normals, by F^{-1}(Phi(z))."""
    first, second = weights
    low, high = min(means), max(means)

    def below(z: Array) -> Array:
        return np.asarray(first * ndtr(z - means[0]) + second * ndtr(z - means[1]))

    def above(z: Array) -> Array:
        return np.asarray(first * ndtr(means[0] - z) + second * ndtr(means[1] - z))

    def to_normal(z: Array) -> Array:  # through the smaller tail, which is the one that floats resolve
        under, over = below(z), above(z)
        return np.asarray(np.where(under < over, ndtri(under), -ndtri(over)))

    def slope(z: Array) -> Array:
        density = first * np.exp(-0.5 * (z - means[0]) ** 2) + second * np.exp(-0.5 * (z - means[1]) ** 2)
        return np.asarray(density * np.exp(0.5 * to_normal(z) ** 2))

    # the quantile at Phi(z) lies between those of the two components
    return Map(lambda z: solve_increasing(to_normal, slope, z, z + low, z + high), to_normal)


def spiral(dimension: int, plane: tuple[int, int], speed: float) -> Map:
    """Rotation of one coordinate plane by the angle speed |z|^2, which keeps |z|."""
    i, j = plane
    if dimension <= max(plane):
        raise ValueError(f"dimension={dimension!r} must be at least {max(plane) + 1} for a spiral in the plane {plane}")

    def turned(z: Array, sign: float) -> Array:
        angle = sign * speed * np.einsum("ij,ij->i", z, z)
        out = z.copy()
        out[:, i] = np.cos(angle) * z[:, i] - np.sin(angle) * z[:, j]
        out[:, j] = np.sin(angle) * z[:, i] + np.cos(angle) * z[:, j]
        return out

    return Map(lambda z: turned(z, 1.0), lambda z: turned(z, -1.0))


def wave(amplitude: float, frequency: float) -> Map:
    """Shear of the plane along a sine, then a change of units: (0.1 (z1 + a sin(f z2)) - 0.8, 0.5 z2)."""

    def forward(z: Array) -> Array:
        first, second = z[:, :1], z[:, 1:]
        return np.hstack([0.1 * (first + amplitude * np.sin(frequency * second)) - 0.8, 0.5 * second])

    def inverse(z: Array) -> Array:
        second = 2.0 * z[:, 1:]
        return np.hstack([10.0 * (z[:, :1] + 0.8) - amplitude * np.sin(frequency * second), second])

    return Map(forward, inverse)


def rotation(dimension: int, generator: tuple[tuple[int, int, float], ...]) -> Map:
    """Points (rows) times the matrix exp(G), where G is skew with G[i, j] = -g, G[j, i] = g for each (i, j, g)."""
    if dimension < 3:
        raise ValueError(f"dimension={dimension!r} must be at least 3 for the benchmark's rotation")
    skew = np.zeros((dimension, dimension))
    for i, j, rate in generator:
        skew[i, j], skew[j, i] = -rate, rate
    matrix = np.asarray(expm(skew))
    return Map(lambda z: z @ matrix, lambda z: z @ matrix.T)


def _roll(z: Array) -> Array:
    angle = 1.5 * np.pi * (1.0 + 2.0 * z)
    return np.hstack([angle * np.cos(angle), angle * np.sin(angle)]) / 21.0


def _unroll(points: Array) -> Array:
    angle = 21.0 * np.hypot(points[:, :1], points[:, 1:])
    z = np.asarray((angle / (1.5 * np.pi) - 1.0) / 2.0)
    if not (np.allclose(_roll(z), points, atol=1e-6) and np.all((z > -1e-9) & (z < 1.0 + 1e-9))):
        raise ValueError("x must lie on the swiss roll, the support")
    return z


SWISS_ROLL = Map(_roll, _unroll, added=1)
