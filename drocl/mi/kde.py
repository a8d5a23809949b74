r"""Mutual information by kernel densities, with one bandwidth for the joint law and its margins; for few dimensions."""

import math
import time
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from drocl.mi._classical import finish
from drocl.mi._types import Array, MIEstimate

MOST = 6
STRIP = 256
LEAST = 1e-6
GRID = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4)  # of Scott's bandwidth, for "likelihood"
SEARCH = 2000


@dataclass(frozen=True)
class KDERatio:
    r"""$\log\frac{n\sum_i K_h(x-x_i)K_h(y-y_i)}{\sum_iK_h(x-x_i)\sum_iK_h(y-y_i)}$, K Gaussian, each side made white.

    Attributes:
        x, y: training points in those coordinates.
        maps: (center, matrix) of x and of y.
        bandwidth: h, in standard deviations.
    """

    x: Array
    y: Array
    maps: tuple[tuple[Array, Array], tuple[Array, Array]]
    bandwidth: float

    @classmethod
    def fit(cls, x: Array, y: Array, bandwidth: "str | float" = "scott") -> Self:
        """Fit on x (n, dx), y (n, dy); `bandwidth` as in `KDE`.

        Raises:
            ValueError: more than six dimensions together, another bandwidth, columns that are combinations of others.
        """
        _check(bandwidth)
        d = x.shape[1] + y.shape[1]
        if d > MOST:
            raise ValueError(f"x and y have {d} dimensions together: kernel densities serve up to {MOST}; use 'copula'")
        maps = (_white("x", x), _white("y", y))
        a, b = ((side - center) @ matrix for side, (center, matrix) in zip((x, y), maps, strict=True))
        scott = len(x) ** (-1.0 / (d + 4.0))
        if isinstance(bandwidth, str):
            factor = {"scott": 1.0, "silverman": (4.0 / (d + 2.0)) ** (1.0 / (d + 4.0))}.get(bandwidth)
            h = scott * factor if factor is not None else scott * _by_likelihood(a, b, scott)
        else:
            h = float(bandwidth)
        return cls(a, b, maps, h)

    def log_ratio(self, x: Array, y: Array) -> Array:
        """At new points x (m, dx), y (m, dy): (m,), nats."""
        a, b = ((side - center) @ matrix for side, (center, matrix) in zip((x, y), self.maps, strict=True))
        joint, left, right = _sums(self.x, self.y, a, b, self.bandwidth, own=False)
        return joint + math.log(len(self.x)) - left - right

    def left_out(self) -> Array:
        """At each training point, by the others: (n,), nats."""
        joint, left, right = _sums(self.x, self.y, self.x, self.y, self.bandwidth, own=True)
        return joint + math.log(len(self.x) - 1) - left - right


@dataclass(kw_only=True)
class KDE:
    r"""Mean over pairs of the log-ratio of kernel densities, each pair left out of its own.

    Args:
        bandwidth: "scott" ($n^{-1/(d+4)}$, d = dx + dy), "silverman", "likelihood" (the multiple of Scott's with the largest joint
            likelihood of pairs left out) or a number of standard deviations, 1e-6 or more, after each side is made white.

    Raises:
        ValueError: more than six dimensions together; another bandwidth.

    The smoothing biases towards independence, so that the interval, which is of the mean's sampling error, is too low for strong
    dependence.

    Source: Moon, Rajagopalan and Lall 1995.
    """

    name: ClassVar[str] = "kde"
    default_preprocess: ClassVar[str] = "copula"  # outliers would widen the bandwidth of the others

    bandwidth: str | float = "scott"

    def __post_init__(self) -> None:
        _check(self.bandwidth)

    def estimate(
        self, x: Array, y: Array, *, level: float = 0.9, folds: int | None = None, seed: int = 0, device: str = "cpu",
        progress: bool = False,
    ) -> MIEstimate:  # fmt: skip
        """Estimate from x (n, dx), y (n, dy), float64, dx + dy <= 6."""
        began, n = time.perf_counter(), len(x)
        fitted = KDERatio.fit(x, y, self.bandwidth)
        values = fitted.left_out()
        error = float(values.std(ddof=1)) / math.sqrt(n)
        label, details = f"kde({self.bandwidth})", {"bandwidth": fitted.bandwidth}
        return finish(label, float(values.mean()), error, level, n, began, (), details)


def _sums(px: Array, py: Array, x: Array, y: Array, h: float, own: bool) -> tuple[Array, Array, Array]:
    """Log-sums of kernels over training points, joint and of the two margins, at the points x, y: (m,) each."""
    parts: list[list[Array]] = [[], [], []]
    for start in range(0, len(x), STRIP):
        rows = slice(start, start + STRIP)
        left, right = (_log_kernel(p, q[rows], h) for p, q in ((px, x), (py, y)))
        if own:
            index = np.arange(len(left))
            left[index, start + index] = right[index, start + index] = -np.inf
        tops = [_finite_max(left), _finite_max(right)]
        one, two = (np.exp(values - top) for values, top in zip((left, right), tops, strict=True))
        sums = [np.einsum("ij,ij->i", one, two), one.sum(1), two.sum(1)]
        with np.errstate(divide="ignore"):
            logs = [np.log(total) for total in sums]
        logs = [logs[0] + tops[0][:, 0] + tops[1][:, 0], logs[1] + tops[0][:, 0], logs[2] + tops[1][:, 0]]
        for i in np.flatnonzero(sums[0] < 1e-280):  # products that underflow: no point is near in both
            top = _finite_max(left[i : i + 1] + right[i : i + 1])
            with np.errstate(divide="ignore"):
                logs[0][i] = np.log(np.exp(left[i] + right[i] - top[0]).sum()) + top[0, 0]
        for kept, values in zip(parts, logs, strict=True):
            kept.append(values)
    return np.concatenate(parts[0]), np.concatenate(parts[1]), np.concatenate(parts[2])


def _finite_max(values: Array) -> Array:
    top = values.max(1, keepdims=True)
    return np.where(np.isfinite(top), top, 0.0)


def _log_kernel(points: Array, queries: Array, h: float) -> Array:
    """-|q - p|^2 / 2 h^2, (m, n), without the constant: it cancels in the ratio."""
    total = np.zeros((len(queries), len(points)))
    for p, q in zip(points.T, queries.T, strict=True):
        total -= np.square((q[:, None] - p[None, :]) / h)
    return 0.5 * total


def _by_likelihood(x: Array, y: Array, scott: float) -> float:
    step = max(1, len(x) // SEARCH)
    some = slice(None, None, step)
    x, y = x[some], y[some]
    d = x.shape[1] + y.shape[1]
    scale = (len(x) * step) ** (1.0 / (d + 4.0)) * len(x) ** (-1.0 / (d + 4.0))  # the subset's own Scott bandwidth
    found = [float(_sums(x, y, x, y, f * scott * scale, own=True)[0].mean()) - d * math.log(f) for f in GRID]
    return GRID[int(np.argmax(found))]


def _white(name: str, side: Array) -> tuple[Array, Array]:
    center = side.mean(0)
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(side - center, rowvar=False)))
    if values[0] <= 1e-12 * values[-1]:
        raise ValueError(
            f"{name}: its columns are combinations of each other, so that it has no density; drop the redundant ones"
        )
    return center, vectors / np.sqrt(values)


def _check(bandwidth: str | float) -> None:
    names = ("scott", "silverman", "likelihood")
    if isinstance(bandwidth, str):
        if bandwidth not in names:
            raise ValueError(f"bandwidth={bandwidth!r} must be one of {', '.join(names)} or a positive number")
    elif isinstance(bandwidth, bool) or not LEAST <= float(bandwidth) < math.inf:
        raise ValueError(
            f"bandwidth={bandwidth!r} must be a number of standard deviations, {LEAST:g} or more, or one of {', '.join(names)}"
        )
