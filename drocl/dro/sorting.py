"""Total variation and CVaR: piecewise linear, solved exactly by one sort."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drocl.divergences import CVaR
from drocl.dro.rows import column

if TYPE_CHECKING:
    from drocl.dro.solve import Prepared, Problem

Array = Any


@dataclass
class Sorted:
    """Atoms in order: scores from the maximum in units of the range, base, mass up to and including each atom."""

    xp: Any
    order: Array
    d: Array  # 0 at -inf atoms, see `dead`
    base: Array
    total: Array
    dead: Array  # True at -inf atoms, which come where the lowest do

    @classmethod
    def read(cls, problem: "Problem", ready: "Prepared", *, descending: bool) -> "Sorted":
        xp, rows = problem.xp, ready.rows
        q = _full(problem) if ready.any_dead or bool(xp.any(ready.infinite)) else None
        if q is None:
            q = xp.ones_like(rows.scores) / rows.scores.shape[-1] if rows.base is None else rows.base * xp.ones_like(rows.d)
        dead = (problem.scores == -xp.inf) & (q > 0.0)
        d = xp.where(dead, xp.zeros_like(q), rows.d)
        order = xp.argsort(xp.where(dead, -2.0 + 0.0 * q, d), axis=-1, descending=descending, stable=True)
        d, q, dead = (xp.take_along_axis(a, order, axis=-1) for a in (d, q, dead))
        return cls(xp, order, d, q, xp.cumulative_sum(q, axis=-1), dead)

    @property
    def rounding(self) -> float:
        """Relative error of the running sum of masses, about."""
        return 1e-15 * self.base.shape[-1] ** 0.5

    def restore(self, a: Array) -> Array:
        """Undo the sort."""
        return self.xp.take_along_axis(a, self.xp.argsort(self.order, axis=-1), axis=-1)


def _full(problem: "Problem") -> Array:
    """Base, spelled out, of all atoms."""
    f = problem.scores
    return problem.xp.ones_like(f) / f.shape[-1] if problem.base is None else problem.base * problem.xp.ones_like(f)


def solve_block(problem: "Problem", ready: "Prepared") -> dict[str, Array]:
    """Outputs of a block, weights and gap included."""
    xp, scale = problem.xp, ready.lo_scale
    solver = _cvar if isinstance(problem.divergence, CVaR) else _tv
    out = solver(problem, ready)
    zero = xp.zeros_like(ready.rows.highest)
    forced = out.pop("forced") | ready.empty
    # from units of the range to the user's
    spread = ready.rows.spread
    highest = ready.rows.highest
    for key, shift in (("value", highest), ("normalizer", highest), ("multiplier", zero), ("excess", zero), ("gap", zero)):
        out[key] = (shift + spread * out[key]) / scale
    if problem.temperature is not None:
        out["multiplier"] = problem.temperature * (zero + 1.0)
    for mask, changes in (
        (ready.dead > 0.0, {"excess": xp.inf}),
        (forced, {"value": -xp.inf, "excess": xp.nan, "gap": 0.0, "radius": 0.0, "multiplier": xp.inf}),
        (ready.infinite, {"value": xp.inf, "excess": 0.0, "gap": 0.0, "radius": 0.0, "multiplier": 0.0}),
    ):
        for key, new in changes.items():
            if key != "multiplier" or problem.temperature is None:
                out[key] = xp.where(mask, zero + new, out[key])
    odd = forced | ready.infinite
    if bool(xp.any(odd)):
        out["weights"] = xp.where(column(odd), _full(problem), out["weights"])
    out["state"] = zero
    return out


def _tv(problem: "Problem", ready: "Prepared") -> dict[str, Array]:
    """Move mass from the lowest atoms to the argmax: eta of it, or all that lies more than tau below."""
    s = Sorted.read(problem, ready, descending=False)
    xp = s.xp
    zero = xp.zeros_like(ready.rows.highest)
    none = xp.zeros_like(s.base)
    top = (s.d == 0.0) & ~s.dead
    if problem.radius is not None:
        budget = column(problem.radius * (zero + 1.0))
        moved = xp.minimum(s.base, xp.maximum(budget - (s.total - s.base), none))
        # an atom is used up at a breakpoint that the radius meets to the rounding of the running sum: the right derivative
        spent = xp.abs(s.total - budget) <= s.rounding * budget
    else:
        tau = problem.temperature * (zero + 1.0) * ready.lo_scale / ready.rows.spread
        moved = xp.where((-s.d > column(tau)) | s.dead, s.base, none)
        spent = moved > 0.0
    moved = xp.where(top, none, moved)
    left = s.base - moved
    gained = xp.sum(moved, axis=-1)
    forced = xp.any(s.dead & (left > 0.0), axis=-1)
    top_mass = xp.sum(xp.where(top, s.base, none), axis=-1)
    weights = xp.where(top, s.base * column(1.0 + gained / xp.where(top_mass > 0.0, top_mass, zero + 1.0)), left)
    value = xp.sum(weights * s.d, axis=-1)
    # the next atom to move is the lowest with something left
    price = xp.max(xp.where((left > 0.0) & ~spent & ~s.dead, -s.d, none), axis=-1)
    if problem.radius is not None:
        cost = price * gained
        dual = cost + _tv_dual(s, price)
    else:
        price, value = tau, value - tau * gained
        dual = _tv_dual(s, tau)
    return {
        "value": value,
        "multiplier": price,
        "normalizer": -0.5 * price,
        "radius": gained,
        "excess": xp.sum(moved * -s.d, axis=-1),
        "weights": s.restore(weights),
        "gap": xp.abs(dual - value),
        "forced": forced,
    }


def _tv_dual(s: Sorted, price: Array) -> Array:
    """beta + alpha E phi*((f - beta)/alpha) at beta = max f - alpha/2, which is E max(d, -alpha)."""
    floor = column(-price) + 0.0 * s.d
    return s.xp.sum(s.base * s.xp.where(s.dead, floor, s.xp.maximum(s.d, floor)), axis=-1)


def _cvar(problem: "Problem", ready: "Prepared") -> dict[str, Array]:
    """The top tail of mass a, with a fractional atom; the multiplier is the derivative in 1/a."""
    s = Sorted.read(problem, ready, descending=True)
    xp = s.xp
    level = problem.divergence.params["level"]
    zero = xp.zeros_like(ready.rows.highest)
    none = xp.zeros_like(s.base)
    taken = xp.minimum(s.base, xp.maximum(level - (s.total - s.base), none))
    if level >= 1.0:
        taken = s.base
    used = taken > s.rounding * level
    weights = taken / level
    value = xp.sum(weights * s.d, axis=-1)
    var = xp.min(xp.where(used, s.d, none), axis=-1)  # the largest value at risk, so the least multiplier
    over = xp.sum(xp.where(s.dead, none, s.base * xp.maximum(s.d - column(var), none)), axis=-1)
    return {
        "value": value,
        "multiplier": over,
        "normalizer": var,
        "radius": zero,
        "excess": value - xp.sum(s.base * s.d, axis=-1),
        "weights": s.restore(weights),
        "gap": xp.abs(var + over / level - value),
        "forced": xp.any(s.dead & used, axis=-1),
    }
