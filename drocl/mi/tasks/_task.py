"""What a task with known truth offers."""

from abc import ABC, abstractmethod
from functools import cached_property

import numpy as np
import numpy.typing as npt

from drocl.divergences import Divergence
from drocl.divergences import get as get_divergence
from drocl.mi._types import Array

Seed = int | np.random.SeedSequence | np.random.Generator


class Task(ABC):
    r"""A law of pairs (X, Y) whose information is known exactly.

    Attributes:
        name: the name `get` knows it by.
        dim_x, dim_y: dimensions of X and Y.
    """

    name: str
    dim_x: int
    dim_y: int

    def sample(self, n: int, seed: Seed = 0) -> tuple[Array, Array]:
        """Draw n independent pairs.

        Args:
            n: number of pairs, at least 1.
            seed: an integer or a seed sequence, with which the draw can be repeated; or a generator, which is advanced.

        Returns:
            x (n, dim_x) and y (n, dim_y), float64.

        Raises:
            ValueError: if n is not a positive integer.
        """
        if isinstance(n, bool) or int(n) != n or n < 1:
            raise ValueError(f"n={n!r} must be an integer of at least 1")
        x, y = self._sample(int(n), np.random.default_rng(seed))
        return np.ascontiguousarray(x, dtype=np.float64), np.ascontiguousarray(y, dtype=np.float64)

    @cached_property
    def mutual_information(self) -> float:
        """I(X; Y) in nats, exact."""
        return self.information("kl")

    def information(self, divergence: "str | Divergence" = "kl", **params: float) -> float:
        r"""$D_\phi(P_{XY}\|P_XP_Y)$, exact.

        Args:
            divergence: a name of `drocl.divergences` or a Divergence.
            params: its parameters.

        Returns:
            The divergence, nats; inf where it is infinite.

        Raises:
            ValueError: if the divergence is unknown, or has no closed form, finite sum or accurate integral here.
        """
        chosen = get_divergence(divergence, **params)
        value = self._information(chosen)
        if value is None:
            raise ValueError(f"divergence={chosen.label!r} is not known exactly for task {self.name!r}")
        return float(value)

    def log_ratio(self, x: npt.ArrayLike, y: npt.ArrayLike) -> Array:
        r"""$\log\frac{p(x,y)}{p(x)p(y)}$ at given points: the optimal critic.

        Args:
            x: (m, dim_x), or (m,) where dim_x = 1.
            y: (m, dim_y), or (m,) where dim_y = 1.

        Returns:
            (m,), nats; -inf where the pair is impossible though x and y are not.

        Raises:
            ValueError: for other shapes, for points outside the support, or if the task has no known ratio.
        """
        return np.asarray(self._log_ratio(self._points("x", x, self.dim_x), self._points("y", y, self.dim_y)))

    def _points(self, argument: str, values: npt.ArrayLike, dimension: int) -> Array:
        points = np.asarray(values, dtype=np.float64)
        if points.ndim == 1 and dimension == 1:
            points = points[:, None]
        if points.ndim != 2 or points.shape[1] != dimension:
            raise ValueError(f"{argument} must have shape (m, {dimension}) for task {self.name!r}, got {points.shape}")
        return points

    @abstractmethod
    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]: ...

    @abstractmethod
    def _information(self, divergence: Divergence) -> float | None: ...

    @abstractmethod
    def _log_ratio(self, x: Array, y: Array) -> Array: ...

    def __repr__(self) -> str:
        return f"<task {self.name}: dim_x={self.dim_x}, dim_y={self.dim_y}>"
