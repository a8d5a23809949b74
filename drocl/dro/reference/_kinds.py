"""Generators, conjugates and cvxpy atoms as the reference sees them.

Written apart from `drocl.divergences` on purpose: the reference may share the name of a divergence with the fast
solver, not a formula. A kind is one of the power family c CR_k, Jensen-Shannon, total variation, or the CVaR cap.
"""

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drocl import divergences

Floats = NDArray[np.float64]


class Kind(ABC):
    """A generator phi on t >= 0 with what a certificate needs of it.

    Attributes:
        slope: limit of phi(t)/t; the conjugate is infinite above it.
        at_zero: phi(0).
        smooth: whether the conjugate is differentiable inside its domain.
        linear: whether the worst case is a linear programme.
        restrict: whether the atoms leave t >= 0 to be said.
    """

    slope: float
    at_zero: float
    smooth: bool = True
    linear: bool = False
    restrict: bool = False

    @abstractmethod
    def phi(self, t: Floats) -> Floats:
        """phi(t) for t >= 0."""

    @abstractmethod
    def conjugate(self, s: Floats) -> Floats:
        """sup over t >= 0 of s t - phi(t)."""

    @abstractmethod
    def atom(self, cp: Any, t: Any) -> Any:
        """phi(t) as a cvxpy expression."""

    def span(self, t: float) -> float:
        """phi'(t) if the slope is infinite, slope - phi'(t) if finite; smooth kinds only."""
        raise NotImplementedError

    def ratio(self, s: Floats) -> Floats:
        """The t that attains conjugate(s), smooth kinds with an infinite slope only."""
        raise NotImplementedError

    def ratio_below(self, distance: Floats) -> Floats:
        """The same at s = slope - distance, smooth kinds with a finite slope only: no cancellation near the slope."""
        raise NotImplementedError


class Power(Kind):
    """c (t^k - k t + k - 1) / (k (k - 1)) with its limits at k = 0 and 1."""

    def __init__(self, k: float, scale: float = 1.0) -> None:
        self.k, self.scale = k, scale
        self.slope = scale / (1.0 - k) if k < 1.0 else math.inf
        self.at_zero = scale / k if k > 0.0 else math.inf
        self.restrict = k == 2.0

    def phi(self, t: Floats) -> Floats:
        k, d = self.k, t - 1.0
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            log_t = np.where(np.abs(d) < 0.5, np.log1p(d), np.log(t))
            if k == 0.0:
                value = d - log_t
            elif k == 1.0:
                value = np.where(t > 0.0, t * log_t, 0.0) - d
            elif k == 2.0:
                value = 0.5 * d * d
            elif k == -1.0:
                value = 0.5 * d * d / t
            elif k == 0.5:
                value = 2.0 * (d / (1.0 + np.sqrt(t))) ** 2
            elif k > 0.5:
                value = (t * np.expm1((k - 1.0) * log_t) / (k - 1.0) - d) / k
                value = np.where(t > 0.0, value, 1.0 / k)
            else:
                value = (np.expm1(k * log_t) / k - d) / (k - 1.0)
        return np.where(t >= 0.0, self.scale * value, np.inf)

    def conjugate(self, s: Floats) -> Floats:
        k, y = self.k, s / self.scale
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            if k == 1.0:
                return np.asarray(self.scale * np.expm1(y))
            inside = 1.0 + (k - 1.0) * y
            log_t = np.log1p(np.maximum((k - 1.0) * y, -1.0)) / (k - 1.0)
            value = log_t if k == 0.0 else np.expm1(k * log_t) / k
        beyond = -1.0 / k if k > 1.0 else np.inf
        return np.where(inside > 0.0, self.scale * value, np.where(y == y, self.scale * beyond, y))

    def span(self, t: float) -> float:
        k, u = self.k, math.log(t)
        if k < 1.0:
            return self.slope * math.exp((k - 1.0) * u)
        return self.scale * (u if k == 1.0 else math.expm1((k - 1.0) * u) / (k - 1.0))

    def ratio(self, s: Floats) -> Floats:
        k, y = self.k, s / self.scale
        with np.errstate(over="ignore"):
            if k == 1.0:
                return np.asarray(np.exp(y))
            return np.asarray(np.maximum(1.0 + (k - 1.0) * y, 0.0) ** (1.0 / (k - 1.0)))

    def ratio_below(self, distance: Floats) -> Floats:
        with np.errstate(divide="ignore", over="ignore"):
            return np.asarray((distance / self.slope) ** (-1.0 / (1.0 - self.k)))

    def atom(self, cp: Any, t: Any) -> Any:
        k, c = self.k, self.scale
        if k == 1.0:
            return c * cp.kl_div(t, 1.0)
        if k == 0.0:
            return c * (-cp.log(t) + t - 1.0)
        if k == 2.0:
            return 0.5 * c * cp.square(t - 1.0)
        if k == -1.0:
            return 0.5 * c * (cp.inv_pos(t) + t - 2.0)
        if k == 0.5:
            return 2.0 * c * (t - 2.0 * cp.sqrt(t) + 1.0)
        # approx=True would round k to a fraction, and so solve k = 1 for k = 1.000001
        return c / (k * (k - 1.0)) * (cp.power(t, k, approx=False) - k * t + (k - 1.0))


class JensenShannon(Kind):
    """[t log t - (t + 1) log((t + 1)/2)] / 2."""

    slope = 0.5 * math.log(2.0)
    at_zero = 0.5 * math.log(2.0)

    def phi(self, t: Floats) -> Floats:
        d = np.maximum(t, 0.0) - 1.0
        half = np.log1p(0.5 * d)
        with np.errstate(divide="ignore", invalid="ignore"):
            own = np.where(t > 0.0, t * np.where(np.abs(d) < 0.5, np.log1p(d), np.log(np.maximum(t, 0.0))), 0.0)
        return np.where(t >= 0.0, 0.5 * (own - (2.0 + d) * half), np.inf)

    def conjugate(self, s: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            value = -0.5 * np.log1p(-np.expm1(2.0 * s))
        return np.where(s < self.slope, value, np.where(s == s, np.inf, s))

    def span(self, t: float) -> float:
        return 0.5 * math.log1p(1.0 / t)

    def ratio_below(self, distance: Floats) -> Floats:
        with np.errstate(divide="ignore", over="ignore"):
            return np.asarray(1.0 / np.expm1(2.0 * distance))  # Bose-Einstein

    def atom(self, cp: Any, t: Any) -> Any:
        middle = 0.5 * (t + 1.0)
        return 0.5 * (cp.rel_entr(t, middle) + cp.rel_entr(1.0, middle))


class TotalVariation(Kind):
    """|t - 1| / 2."""

    slope = 0.5
    at_zero = 0.5
    smooth = False
    linear = True
    restrict = True

    def phi(self, t: Floats) -> Floats:
        return np.where(t >= 0.0, 0.5 * np.abs(t - 1.0), np.inf)

    def conjugate(self, s: Floats) -> Floats:
        return np.where(s > 0.5, np.inf, np.maximum(s, -0.5))

    def atom(self, cp: Any, t: Any) -> Any:
        return 0.5 * cp.abs(t - 1.0)


class Cap(Kind):
    """0 on [0, cap], infinite beyond: the CVaR at tail fraction 1/cap."""

    slope = math.inf
    at_zero = 0.0
    smooth = False
    linear = True
    restrict = True

    def __init__(self, cap: float) -> None:
        self.cap = cap

    def phi(self, t: Floats) -> Floats:
        return np.where((t >= 0.0) & (t <= self.cap), 0.0, np.inf)

    def conjugate(self, s: Floats) -> Floats:
        return np.asarray(self.cap * np.maximum(s, 0.0))

    def atom(self, cp: Any, t: Any) -> Any:
        raise NotImplementedError("the cap is a bound on t, not a generator")


_POWERS = {
    "kl": (1.0, 1.0),
    "reverse_kl": (0.0, 1.0),
    "chi2": (2.0, 2.0),
    "neyman": (-1.0, 2.0),
    "hellinger": (0.5, 0.5),
}


def kind_of(divergence: divergences.Divergence) -> Kind:
    """The kind behind a divergence, by its name and parameters; renyi gets the Cressie-Read power of its order."""
    name, params = divergence.name, divergence.params
    if name in _POWERS:
        return Power(*_POWERS[name])
    if name in ("cressie_read", "renyi"):
        return Power(float(params["k" if name == "cressie_read" else "order"]))
    if name == "js":
        return JensenShannon()
    if name == "tv":
        return TotalVariation()
    if name == "cvar":
        return Cap(1.0 / float(params["level"]))
    raise ValueError(f"divergence={name!r} has no reference; the known ones are {', '.join(divergences.NAMES)}")
