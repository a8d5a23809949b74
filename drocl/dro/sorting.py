"""Total variation and CVaR: piecewise linear, solved exactly by one sort."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drocl.divergences import CVaR
from drocl.dro.rows import Rows, column

if TYPE_CHECKING:
    from drocl.dro.solve import Prepared, Problem

Array = Any


@dataclass
class Sorted:
    """Atoms to be used up in order of increasing `key`; those at -inf come first for tv, last for cvar."""

    rows: Rows  # all atoms; d is 0 at -inf atoms
    key: Array
    dead: Array | None  # True at charged -inf atoms

    @classmethod
    def read(cls, problem: "Problem", ready: "Prepared", sign: float) -> "Sorted":
        xp, rows = problem.xp, ready.rows
        if not ready.any_dead and not bool(xp.any(ready.infinite)):
            return cls(rows, sign * rows.d, None)
        q = _full(problem)
        dead = (problem.scores == -xp.inf) & (q > 0.0)
        rows = Rows(rows.scores, q, rows.highest, rows.centre, rows.spread)
        return cls(rows, xp.where(dead, -sign * xp.inf, sign * rows.d), dead)

    @property
    def mass(self) -> Array | float:
        """Base mass of each atom."""
        return 1.0 / self.key.shape[-1] if self.rows.base is None else self.rows.base

    @property
    def rounding(self) -> float:
        """Relative error of the running sum of masses, about."""
        return float(1e-15 * self.key.shape[-1] ** 0.5)

    def level(self, limit: Array) -> Array:
        """(rows,) key of the first atom that the running base mass ends above `limit` with; the last one if none does."""
        xp, n = self.rows.xp, self.key.shape[-1]
        if self.rows.base is None:
            keys = xp.sort(self.key, axis=-1, stable=False)
            total = xp.cumulative_sum(xp.ones_like(keys[:1, :]), axis=-1) / n
        else:
            order = xp.argsort(self.key, axis=-1, stable=False)  # ties share alike below
            keys = xp.take_along_axis(self.key, order, axis=-1)
            base = xp.broadcast_to(self.rows.base, keys.shape)
            total = xp.cumulative_sum(xp.take_along_axis(base, order, axis=-1), axis=-1)
        used = xp.count_nonzero(total <= column(limit), axis=-1)
        return xp.take_along_axis(keys, column(xp.where(used < n, used, n - 1)), axis=-1)[:, 0]

    def share(self, level: Array, budget: Array) -> Array:
        """(rows, n) part of each atom that is used: 1 below `level`, 0 above, what is left of the budget at it."""
        xp, dtype = self.rows.xp, self.rows.d.dtype
        before, tie = (xp.astype(a, dtype) for a in (self.key < column(level), self.key == column(level)))
        left, size = budget - self.rows.mean(before), self.rows.mean(tie)
        part = xp.where(left > 0.0, xp.where(left < size, left / xp.where(size > 0.0, size, 1.0), 1.0), 0.0)
        return before + column(part) * tie


def _full(problem: "Problem") -> Array:
    """Base, spelled out, of all atoms."""
    f = problem.scores
    return problem.xp.ones_like(f) / f.shape[-1] if problem.base is None else problem.base * problem.xp.ones_like(f)


def solve_block(problem: "Problem", ready: "Prepared") -> dict[str, Array]:
    """Outputs of a block, weights and gap included."""
    xp, scale = problem.xp, ready.lo_scale
    out = _cvar(problem, ready) if isinstance(problem.divergence, CVaR) else _tv(problem, ready)
    zero = xp.zeros_like(ready.rows.highest)
    forced = out.pop("forced") | ready.empty
    # from units of the range to the user's
    spread, highest = ready.rows.spread, ready.rows.highest
    for key in ("value", "normalizer", "multiplier", "excess", "gap"):
        out[key] = (spread * out[key] + (highest if key in ("value", "normalizer") else 0.0)) / scale
    if problem.temperature is not None:
        out["multiplier"] = problem.temperature * (zero + 1.0)
    out["state"] = zero
    odd = forced | ready.infinite
    if not ready.any_dead and not bool(xp.any(odd)):
        return out
    for mask, changes in (
        (ready.dead > 0.0, {"excess": xp.inf}),
        (forced, {"value": -xp.inf, "excess": xp.nan, "gap": 0.0, "radius": 0.0, "multiplier": xp.inf}),
        (ready.infinite, {"value": xp.inf, "excess": 0.0, "gap": 0.0, "radius": 0.0, "multiplier": 0.0}),
    ):
        for key, new in changes.items():
            if key != "multiplier" or problem.temperature is None:
                out[key] = xp.where(mask, zero + new, out[key])
    out["weights"] = xp.where(column(odd), _full(problem), out["weights"])
    return out


def _tv(problem: "Problem", ready: "Prepared") -> dict[str, Array]:
    """Move mass from the lowest atoms to the argmax: eta of it, or all that lies more than tau below."""
    s = Sorted.read(problem, ready, 1.0)
    rows, xp = s.rows, s.rows.xp
    zero = xp.zeros_like(rows.highest)
    forced = zero > 1.0
    if problem.radius is not None:
        budget = problem.radius * (zero + 1.0)
        # an atom is used up at a breakpoint that the radius meets to the rounding of the running sum: the right derivative
        level = s.level(budget * (1.0 + s.rounding))
        forced = level == -xp.inf
        price = xp.where(forced, 0.0, -level)
        moved = s.share(level, xp.where(level == 0.0, 0.0, budget))  # nothing to gain from moving the argmax
    else:
        price = problem.temperature * (zero + 1.0) * ready.lo_scale / rows.spread
        moved = xp.astype(-s.key > column(price), rows.d.dtype)
    gained = rows.mean(moved)
    top = rows.is_top if s.dead is None else rows.is_top & ~s.dead
    top = xp.astype(top, rows.d.dtype)
    top_mass = rows.mean(top)
    left = 1.0 - moved
    value = rows.mean(left * rows.d)
    dual = rows.mean(
        xp.maximum(s.key, column(-price))
    )  # beta + alpha E phi*((f - beta)/alpha) at beta = max f - alpha/2
    if problem.radius is None:
        value = value - price * gained
    else:
        dual = dual + price * gained
    return {
        "value": value,
        "multiplier": price,
        "normalizer": -0.5 * price,
        "radius": gained,
        "excess": -rows.mean(moved * rows.d),
        "weights": s.mass * (left + column(gained / xp.where(top_mass > 0.0, top_mass, 1.0)) * top),
        "gap": xp.abs(dual - value),
        "forced": forced,
    }


def _cvar(problem: "Problem", ready: "Prepared") -> dict[str, Array]:
    """The top tail of mass a, with a fractional atom; the multiplier is the derivative in 1/a."""
    s = Sorted.read(problem, ready, -1.0)
    rows, xp = s.rows, s.rows.xp
    level = problem.divergence.params["level"]
    zero = xp.zeros_like(rows.highest)
    last = s.level(zero + level * (1.0 - s.rounding))  # the largest value at risk, so the least multiplier
    forced = last == xp.inf
    taken = s.share(last, zero + level) if level < 1.0 else xp.ones_like(rows.d)
    var = xp.where(forced, 0.0, -last)
    value = rows.mean(taken * rows.d) / level
    over = rows.mean(rows.positive(-s.key - column(var)))
    return {
        "value": value,
        "multiplier": over,
        "normalizer": var,
        "radius": zero,
        "excess": rows.mean(taken * rows.e) / level,
        "weights": s.mass * taken / level,
        "gap": xp.abs(var + over / level - value),
        "forced": forced,
    }
