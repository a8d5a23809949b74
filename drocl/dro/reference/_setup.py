"""Reading a problem: validation, the support, centring and scaling, and the cases that need no solver."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from drocl import divergences
from drocl.dro.reference._certificate import Canonical
from drocl.dro.reference._kinds import Cap, Floats, Kind, kind_of
from drocl.dro.reference._program import SOLVERS
from drocl.dro.reference._types import ReferenceSolution

__all__ = ["Problem", "check_level", "check_solver", "read"]


def _vector(name: str, data: ArrayLike) -> Floats:
    try:
        array = np.asarray(data)
        if np.iscomplexobj(array):
            raise TypeError
        array = array.astype(np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be real numbers, got {type(data).__name__}") from None
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}; it must be one problem of shape (n,) with n >= 1")
    if np.isnan(array).any():
        raise ValueError(f"{name} holds nan; it must be numbers")
    return array


def check_level(radius: float | None, temperature: float | None, divergence: divergences.Divergence) -> float | None:
    """The one of radius and temperature that was given, as a float; None for cvar."""
    given = {"radius": radius, "temperature": temperature}
    named = {name: value for name, value in given.items() if value is not None}
    if divergence.name == "cvar":
        if named:
            name, value = next(iter(named.items()))
            raise ValueError(
                f"{name}={value!r} plays no part in cvar: give neither radius nor temperature, only a level"
            )
        return None
    if len(named) != 1:
        raise ValueError(f"exactly one of radius and temperature must be given, got {given}")
    ((name, value),) = named.items()
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name}={value!r} must be one number") from None
    if name == "radius" and not number >= 0.0:
        raise ValueError(f"radius={value!r} must be at least 0")
    if name == "temperature" and not 0.0 < number < math.inf:
        raise ValueError(f"temperature={value!r} must lie in (0, inf)")
    return number


def check_solver(
    solver: str | None, tolerance: float | None, options: Mapping[str, Any] | None, kind: Kind
) -> tuple[str | None, float]:
    """The solver's name in lower case, and the tolerance with its default."""
    if options and solver is None:
        raise ValueError(f"solver_options={dict(options)!r} need a named solver: no two share their options")
    name = solver.lower() if isinstance(solver, str) else solver
    if name is not None and name not in SOLVERS:
        raise ValueError(f"solver={solver!r} is unknown; the known ones are {', '.join(SOLVERS)}")
    if name == "highs" and not kind.linear:
        raise ValueError(f"solver={solver!r} solves linear programmes only (tv, cvar)")
    eps = 1e-7 if tolerance is None else tolerance
    if isinstance(eps, bool) or not isinstance(eps, int | float) or not 0.0 < eps < 1.0:
        raise ValueError(f"tolerance={tolerance!r} must lie in (0, 1)")
    return name, float(eps)


@dataclass(frozen=True)
class Problem:
    """A problem read: scores = shift + spread * canonical.g on the atoms `live`; the other atoms get no mass.

    `canonical` is None where the value is infinite whatever the ball: +inf on the support, or nothing but -inf.
    """

    divergence: divergences.Divergence
    kind: Kind
    scores: Floats
    base: Floats
    live: NDArray[np.intp]
    shift: float
    spread: float
    canonical: Canonical | None

    @property
    def renyi(self) -> divergences.Renyi | None:
        """The divergence if it is renyi, whose radius is a function of its kind's."""
        return self.divergence if isinstance(self.divergence, divergences.Renyi) else None

    def kind_radius(self, radius: float) -> float:
        """The same ball's radius in the divergence of the kind."""
        return radius if self.renyi is None else float(self.renyi.to_carrier(radius))

    def report(
        self, t: Floats, *, multiplier: float, normalizer: float, temperature: float | None = None, **rest: Any
    ) -> ReferenceSolution:
        """A solution in the units of the scores; multiplier, normalizer, gap, interval come in those of `canonical`."""
        canonical, spread = self.canonical, self.spread
        weights = np.zeros(self.scores.size)
        weights[self.live] = self.base[self.live] * t
        if canonical is None:
            raise AssertionError("an infinite value has no canonical problem")
        spent = 0.0 if isinstance(self.kind, Cap) else canonical.spent(t)
        value = self.shift + spread * canonical.reach(t)
        excess = spread * float((canonical.w * canonical.g) @ (t - 1.0)) if canonical.dead == 0.0 else math.inf
        radius = spent if self.renyi is None else float(self.renyi.from_carrier(spent))
        value -= temperature * radius if temperature is not None else 0.0
        low, high = rest.pop("multiplier_interval", (multiplier, multiplier))
        return ReferenceSolution(
            value=value,
            weights=weights,
            multiplier=spread * multiplier if temperature is None else temperature,
            normalizer=self.shift + spread * normalizer,
            radius=radius,
            gap=spread * rest.pop("gap", 0.0),
            excess=excess,
            multiplier_interval=(spread * low, spread * high) if temperature is None else (temperature, temperature),
            **rest,
        )

    def closed(
        self, t: Floats, multiplier: float, normalizer: float, message: str, temperature: float | None = None
    ) -> ReferenceSolution:
        """A solution that needed no solver."""
        return self.report(
            t,
            multiplier=multiplier,
            normalizer=normalizer,
            temperature=temperature,
            status="optimal",
            solver="closed form",
            seconds=0.0,
            message=message,
        )


def read(scores: ArrayLike, divergence: str | divergences.Divergence, base: ArrayLike | None) -> Problem:
    """Validate scores and base, and centre and scale what is left of them."""
    f = _vector("scores", scores)
    known = divergences.get(divergence)
    kind = kind_of(known)
    q0 = np.ones(f.size) if base is None else _vector("base", base)
    if q0.shape != f.shape:
        raise ValueError(f"base has shape {q0.shape}; it must be that of scores, {f.shape}")
    if not (np.isfinite(q0).all() and (q0 >= 0.0).all() and q0.max() > 0.0):
        raise ValueError("base must be finite, non-negative and not all zero")
    q0 = q0 / q0.max()
    q0 = q0 / q0.sum()
    support = q0 > 0.0
    live = np.flatnonzero(support & (f > -math.inf))
    if live.size == 0 or math.isinf(f[live].max()):
        return Problem(known, kind, f, q0, live, 0.0, 1.0, None)
    g, w = f[live], q0[live]
    low, high = float(g.min()), float(g.max())
    if not math.isfinite(high - low):
        raise ValueError(f"scores span [{low!r}, {high!r}]: the spread must be a finite float")
    shift = low + float(w @ (g - low)) / float(w.sum())
    spread = high - low or 1.0  # constant scores keep their unit
    dead = max(1.0 - float(w.sum()), 0.0) if live.size < np.count_nonzero(support) else 0.0
    return Problem(known, kind, f, q0, live, shift, spread, Canonical(kind, (g - shift) / spread, w, dead))
