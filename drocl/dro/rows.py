"""A block of inner problems in natural units: centred, scaled, weighted."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from drocl._special import namespace

Array = Any


def column(a: Array) -> Array:
    """(rows,) as (rows, 1)."""
    return a[:, None]


@dataclass
class Rows:
    """`scores` (rows, n) finite wherever they carry weight; `base` None (uniform), (1, n) or (rows, n), each row summing to 1.

    Atoms without weight carry the row's maximum as a score, so that no formula needs a mask for them.
    """

    scores: Array
    base: Array | None
    highest: Array  # (rows,)
    centre: Array  # (rows,) mean under base
    spread: Array  # (rows,) range over the support, positive
    lost: Array | None = None  # (rows,) mass of atoms that must get weight 0; base then sums to 1 - lost
    hint: tuple[Array, ...] | None = None  # where an evaluation left off, for the next one to start from

    @cached_property
    def xp(self) -> Any:
        return namespace(self.scores)

    @cached_property
    def d(self) -> Array:
        """(f - max f) / range, in [-1, 0]; exact for near-ties."""
        d = self.scores - column(self.highest)
        d /= column(self.spread)
        return d

    @cached_property
    def mean_d(self) -> Array:
        return self.mean(self.d)

    @cached_property
    def qd(self) -> Array:
        """d times its base mass, in units of 1/n where that is uniform."""
        return self.d if self.base is None else self.base * self.d

    @cached_property
    def qd2(self) -> Array:
        return self.qd * self.d

    @cached_property
    def e(self) -> Array:
        """(f - mean f) / range, with its weighted mean removed to rounding."""
        e = (self.scores - column(self.centre)) / column(self.spread)
        mean_e = self.mean(e)
        return e - column(mean_e if self.lost is None else mean_e / (1.0 - self.lost))

    @cached_property
    def top(self) -> Array:
        """Largest e; positive."""
        return -self.mean_d if self.lost is None else -self.mean_d / (1.0 - self.lost)

    @cached_property
    def is_top(self) -> Array:
        return self.d == 0.0

    @cached_property
    def mass(self) -> Array:
        """Base mass of the argmax."""
        if self.base is None:
            return self._tops / self.d.shape[-1]
        return self.mean(self.xp.astype(self.is_top, self.d.dtype))

    @cached_property
    def rest(self) -> Array:
        """Base mass off the argmax."""
        if self.base is None:
            return (self.d.shape[-1] - self._tops) / self.d.shape[-1]
        return self.mean(self.xp.astype(~self.is_top, self.d.dtype))

    @cached_property
    def _tops(self) -> Array:
        """Number of atoms in the argmax."""
        return self.xp.astype(self.xp.count_nonzero(self.is_top, axis=-1), self.d.dtype)

    @cached_property
    def log_mass(self) -> Array:
        xp = self.xp
        rest = self.rest if self.lost is None else self.rest + self.lost
        small = rest < 0.5
        return xp.where(small, xp.log1p(-xp.where(small, rest, 0.0)), xp.log(self.mass))

    @cached_property
    def gap(self) -> Array:
        """Distance from the maximum to the next score, in units of the range."""
        xp = self.xp
        return -xp.max(xp.where(self.is_top, -1.0, self.d), axis=-1)

    @cached_property
    def deviation(self) -> Array:
        """Standard deviation in units of the range."""
        return self.xp.sqrt(self.mean_with(self.e, self.e))

    @cached_property
    def fast_deviation(self) -> Array:
        """The same from moments about the maximum: one pass less, good where it is not tiny."""
        square = self.moments(self.d)[0] - self.mean_d * self.mean_d
        return self.xp.sqrt(self.xp.where(square > 0.0, square, 0.0))

    def mean(self, a: Array) -> Array:
        """E_Q0 a per row."""
        if self.base is None:
            return self.xp.sum(a, axis=-1) / a.shape[-1]
        if self.base.shape[0] == 1:
            return a @ self.base[0]
        return self._dot(a, self.base)

    def mean_with(self, a: Array, b: Array) -> Array:
        """E_Q0 (a b) per row, without a temporary where the base is uniform."""
        if self.base is None:
            return self._dot(a, b) / a.shape[-1]
        return self.mean(a * b)

    def moments(self, w: Array) -> tuple[Array, Array]:
        """E_Q0 (w d) and E_Q0 (w d^2) per row, without temporaries."""
        first, second = self._dot(w, self.qd), self._dot(w, self.qd2)
        return (first, second) if self.base is not None else (first / w.shape[-1], second / w.shape[-1])

    def log_mean(self, a: Array) -> Array:
        """E_Q0 log a per row."""
        return self.mean(self.xp.log(a))

    def _dot(self, a: Array, b: Array) -> Array:
        if isinstance(a, np.ndarray):
            return np.vecdot(a, b)
        return self.xp.sum(a * b, axis=-1)

    def positive(self, a: Array) -> Array:
        """max(a, 0)."""
        return np.maximum(a, 0.0) if isinstance(a, np.ndarray) else self.xp.where(a > 0.0, a, 0.0)

    def exp_into(self, u: Array) -> Array:
        """exp(u), in place where the library can."""
        if isinstance(u, np.ndarray):
            return np.exp(u, out=u)
        return u.exp_() if hasattr(u, "exp_") else self.xp.exp(u)

    def take(self, index: Array) -> "Rows":
        """The rows `index` (integers) as a block of their own."""

        def pick(a: Array) -> Array:
            return self.xp.take(a, index, axis=0)

        base = self.base if self.base is None or self.base.shape[0] == 1 else pick(self.base)
        part = Rows(pick(self.scores), base, pick(self.highest), pick(self.centre), pick(self.spread))
        part.lost = None if self.lost is None else pick(self.lost)
        for name in ("d", "qd", "qd2", "e", "mean_d", "top", "is_top", "mass", "rest", "log_mass", "gap", "deviation"):
            if name in self.__dict__:
                part.__dict__[name] = pick(self.__dict__[name])
        return part
