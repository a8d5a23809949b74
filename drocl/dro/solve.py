"""From validated scores to worst cases: blocks of rows, edge cases, roots, assembly."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from drocl.divergences import Divergence, JensenShannon, Renyi
from drocl.dro import sorting
from drocl.dro.bose import Bose
from drocl.dro.roots import Proposal, increasing_root
from drocl.dro.rows import Rows, column
from drocl.dro.tilt import Point, Tilt

Array = Any
BLOCK = 1 << 18  # elements worked on at a time: they and their temporaries stay in the second-level cache
OUTPUTS = ("value", "multiplier", "normalizer", "radius", "excess")


@dataclass
class Problem:
    """Validated input: scores (R, n), base None, (1, n) or (R, n) summing to 1, one budget a row."""

    xp: Any
    scores: Array
    base: Array | None
    divergence: Divergence
    radius: Array | None
    temperature: Array | None

    def block(self, rows: slice) -> "Problem":
        def cut(a: Array | None) -> Array | None:
            return a if a is None or (a.shape[0] == 1 and self.scores.shape[0] != 1) else a[rows]

        scores = self.xp.astype(self.scores[rows, :], self.xp.float64, copy=False)
        base = None if self.base is None else (self.base if self.base.shape[0] == 1 else self.base[rows, :])
        return Problem(self.xp, scores, base, self.divergence, cut(self.radius), cut(self.temperature))


def in_blocks(problem: Problem, work: Callable[["Problem", slice], dict[str, Array]]) -> dict[str, Array]:
    """Run `work` over blocks of rows, on threads where there is enough to do, and join its outputs."""
    xp, (total, n) = problem.xp, problem.scores.shape
    height = max(1, BLOCK // max(n, 1))
    slices = [slice(i, min(i + height, total)) for i in range(0, total, height)]
    is_numpy = isinstance(problem.scores, np.ndarray)
    workers = min(_threads(), len(slices)) if is_numpy and total * n >= 1 << 19 else 1

    def job(rows: slice) -> dict[str, Array]:
        with np.errstate(all="ignore"):
            return work(problem.block(rows), rows)

    if workers > 1:
        with ThreadPoolExecutor(workers) as pool:
            parts = list(pool.map(job, slices))
    else:
        parts = [job(rows) for rows in slices]
    if len(parts) == 1:
        return parts[0]
    return {key: xp.concat([part[key] for part in parts], axis=0) for key in parts[0]}


def _threads() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cores, int(asked))) if asked.isdigit() and int(asked) > 0 else cores


@dataclass
class Prepared:
    """A block with its odd atoms taken out: atoms at -inf (`dead`), atoms at +inf, atoms without base mass."""

    rows: Rows
    dead: Array  # (rows,) base mass at -inf
    infinite: Array  # (rows,) True where some charged atom is at +inf
    constant: Array
    any_dead: bool
    lo_scale: Array  # scores were multiplied by this to keep their range finite
    empty: Array  # (rows,) True where every charged atom is at -inf


def prepare(problem: Problem, *, keep_total: bool) -> Prepared:
    """Centre and scale a block; `keep_total` leaves base summing to 1 - dead instead of renormalising."""
    xp, f, q = problem.xp, problem.scores, problem.base
    highest, lowest = xp.max(f, axis=-1), xp.min(f, axis=-1)
    zero = xp.zeros_like(highest)
    biggest = xp.maximum(xp.abs(highest), xp.abs(lowest))
    plain = bool(xp.all(biggest < 1e300)) and (q is None or bool(xp.all(q > 0.0)))
    dead, infinite, any_dead, scale = zero, zero > 1.0, False, zero + 1.0
    empty = infinite
    if not plain:
        charged = xp.ones_like(f, dtype=xp.bool) if q is None else (q > 0.0) & (f == f)
        weights = xp.where(
            charged, xp.ones_like(f) / f.shape[-1] if q is None else q * xp.ones_like(f), xp.zeros_like(f)
        )
        infinite = xp.any(charged & (f == xp.inf), axis=-1)
        living = charged & (xp.abs(f) < xp.inf)
        dead = xp.sum(xp.where(charged & (f == -xp.inf), weights, xp.zeros_like(f)), axis=-1)
        any_dead = bool(xp.any(dead > 0.0))
        held = xp.sum(xp.where(living, weights, xp.zeros_like(f)), axis=-1)
        some = held > 0.0
        empty = ~some & ~infinite
        finite = xp.where(living, f, xp.zeros_like(f))
        scale = xp.where(xp.max(xp.abs(finite), axis=-1) >= 1e300, zero + 2.0**-60, zero + 1.0)
        finite = finite * column(scale)
        highest = xp.where(some, xp.max(xp.where(living, finite, -xp.inf), axis=-1), zero)
        lowest = xp.where(some, xp.min(xp.where(living, finite, xp.inf), axis=-1), zero)
        f = xp.where(living, finite, column(highest) + 0.0 * finite)
        share = held + dead if keep_total else held
        share = xp.where(some, share, zero + 1.0)
        q = xp.where(living, weights, xp.zeros_like(f)) / column(share)
        q = xp.where(column(some), q, xp.ones_like(f) / f.shape[-1])
    spread = highest - lowest
    constant = spread == 0.0
    safe = xp.where(constant, zero + 1.0, spread)
    rows = Rows(f, q, highest, highest, safe)
    # the mean, from the maximum: no loss at large offsets
    if any_dead and keep_total:
        dead = xp.where(empty, zero, dead)
    total = 1.0 - dead if keep_total else zero + 1.0
    rows.centre = highest + safe * rows.mean_d / total
    rows.lost = dead if keep_total and any_dead else None
    return Prepared(rows, dead, infinite, constant, any_dead, scale, empty)


def solve_block(problem: Problem, _: slice) -> dict[str, Array]:
    """All outputs of a block but weights and gap, plus the curve parameter `x` and a `state` a row (0 regular, 1 base
    law, 2 argmax)."""
    if not problem.divergence.smooth:
        return sorting.solve_block(problem, prepare(problem, keep_total=True))
    curve = Curve(problem)
    return curve.solve()


class Curve:
    """A block on the worst-case curve of a smooth divergence."""

    def __init__(self, problem: Problem) -> None:
        divergence = problem.divergence
        self.renyi = divergence if isinstance(divergence, Renyi) else None
        self.member = divergence.carrier if isinstance(divergence, Renyi) else divergence
        self.is_js = isinstance(self.member, JensenShannon)
        # Jensen-Shannon nears its ceiling as KL does, exponentially in the unknown
        self.k = 1.0 if self.member.power is None else float(self.member.power)
        self.family: Tilt | Bose = Bose() if self.is_js else Tilt(self.k)
        self.scale = 1.0 if self.is_js else self.member.scale
        self.problem, self.xp = problem, problem.xp
        self.ready = prepare(problem, keep_total=self.is_js)
        self.rows = self.ready.rows
        self.zero = self.xp.zeros_like(self.rows.highest)

    @cached_property
    def ceiling(self) -> Array:
        """Carrier radius from which the ball is slack."""
        return self.family.radius_max(self.rows)

    # -- budgets ---------------------------------------------------------------------------------------------------

    def carrier_radius(self, radius: Array) -> Array:
        """The user's radius as one of the living atoms' unscaled family member; negative where -inf is forced."""
        xp = self.xp
        r = radius * (self.zero + 1.0)
        if self.renyi is not None:
            r = self.renyi.to_carrier(r)
        r = r / self.scale
        if not self.ready.any_dead or self.is_js:
            return r
        k, kept = self.k, xp.log1p(-self.ready.dead)
        forced = self.ready.dead > 0.0
        if k <= 0.0:
            return xp.where(forced, self.zero - 1.0, r)
        if k == 1.0:
            return xp.where(forced, r + kept, r)
        return xp.where(forced, ((1.0 + k * (k - 1.0) * r) * xp.exp((k - 1.0) * kept) - 1.0) / (k * (k - 1.0)), r)

    def user_radius(self, radius: Array) -> Array:
        """Inverse of `carrier_radius`."""
        xp, r = self.xp, radius
        if self.ready.any_dead and not self.is_js and self.k > 0.0:
            k, kept = self.k, xp.log1p(-self.ready.dead)
            full = (
                r - kept if k == 1.0 else ((1.0 + k * (k - 1.0) * r) * xp.exp((1.0 - k) * kept) - 1.0) / (k * (k - 1.0))
            )
            r = xp.where(self.ready.dead > 0.0, full, r)
        r = r * self.scale
        return r if self.renyi is None else self.renyi.from_carrier(r)

    def price(self, carrier_radius: Array) -> Array:
        """d (carrier radius) / d (user radius): turns the family's multiplier into the user's."""
        xp = self.xp
        factor = (self.zero + 1.0) / self.scale
        if self.ready.any_dead and not self.is_js and self.k != 1.0:
            factor = factor * xp.exp((self.k - 1.0) * xp.log1p(-self.ready.dead))
        if self.renyi is not None:
            a = self.renyi.order
            factor = factor * xp.exp((a - 1.0) * self.user_radius(carrier_radius)) / a
        return factor

    # -- roots -----------------------------------------------------------------------------------------------------

    def solve(self) -> dict[str, Array]:
        xp, rows, ready = self.xp, self.rows, self.ready
        zero = self.zero
        state = zero
        target = None
        if self.problem.radius is not None:
            target = self.carrier_radius(self.problem.radius)
            if self.is_js and ready.any_dead:
                least = self._js_floor()
            else:
                least = zero
            state = xp.where(target >= self.ceiling * (1.0 - 1e-15), 2.0, state)
            state = xp.where(target <= least, 1.0, state)
            forced = target < least
        else:
            forced = (ready.dead > 0.0) & (zero + self.member.at_zero == xp.inf)
            state = xp.where(self.family.only_top(rows, self._tau(None)), 2.0, state)
        forced = (forced | ready.empty) & ~ready.infinite
        state = xp.where(ready.constant | ready.infinite | forced, 1.0, state)
        regular = xp.nonzero(state == 0.0)[0]
        x, fast, clip = zero, zero, zero
        found: Point | None = None
        if regular.shape[0]:
            part = rows if regular.shape[0] == zero.shape[0] else rows.take(regular)
            goal = None if target is None else target if part is rows else xp.take(target, regular)
            x_part, point, was_fast = self._roots(part, goal, regular)
            found = point
            if part is rows:
                x, fast = x_part, was_fast
            else:
                x, fast = self._spread(zero, regular, x_part), self._spread(zero, regular, was_fast)
            if self.k > 2.0:
                clip = self._spread(zero, regular, part.gap)
        out = self._assemble(state, regular, found, x, fast, target, forced)
        out["clip"] = clip  # the atom from whose clip x is measured, see `_sharpened`
        return out

    def _spread(self, like: Array, index: Array, part: Array) -> Array:
        if part.shape[0] == like.shape[0]:
            return part
        out = self.xp.asarray(like, copy=True)
        out[index] = part
        return out

    def _js_floor(self) -> Array:
        """Least Jensen-Shannon radius that empties the dead atoms."""
        xp, dead = self.xp, self.ready.dead
        from drocl.dro.bose import LOG2, _phi

        return (1.0 - dead) * _phi(xp, dead / (1.0 - dead)) + 0.5 * LOG2 * dead

    def _tau(self, index: Array | None) -> Array:
        """Penalised form: the family's multiplier per unit of range, for the rows `index`."""
        xp = self.xp
        tau = self.problem.temperature * (self.zero + 1.0) * self.ready.lo_scale
        # a Renyi price needs no such factor: it cancels against the one of its carrier's radius
        if self.ready.any_dead and not self.is_js and self.renyi is None:
            tau = tau * xp.exp((1.0 - self.k) * xp.log1p(-self.ready.dead))
        tau = tau * self.scale / self.rows.spread
        return tau if index is None else xp.take(tau, index)

    def _roots(self, rows: Rows, target: Array | None, index: Array) -> tuple[Array, Point, Array]:
        """Root, its point and a 0/1 row flag: were moments enough?"""
        xp, family = self.xp, self.family
        ceiling = self.ceiling if rows is self.rows or target is None else xp.take(self.ceiling, index)
        all_quick = self._quick(rows, target, ceiling)
        evaluate = family.moments if all_quick else family.precise
        flag = xp.ones_like(rows.spread) if all_quick else xp.zeros_like(rows.spread)
        if target is None:
            tau = self._tau(index)
            if self.renyi is None and (self.is_js or self.k == 1.0):
                x = 1.0 / tau
            else:
                x, _ = increasing_root(
                    xp, self._by_temperature(rows, tau, evaluate), family.start(rows, 1.0 / tau), self._no_limit(rows)
                )
            return self._sharpened(rows, x, evaluate(rows, x), flag, tau, None)
        start = self._first_guess(rows, target, rows.fast_deviation if all_quick else rows.deviation)
        # past 1e300 only the argmax is left in double precision; the ball of a k near 0 or below may ask for more
        upper = xp.full_like(start, 1e300)
        proposal, seen = self._by_radius(rows, target, ceiling, evaluate)
        x, _ = increasing_root(xp, proposal, start, upper, settle=1e-9 if all_quick and self.k == 1.0 else 1e-10)
        last = seen["point"]
        if all_quick and self.k <= 1.0 and seen["index"] is None:
            # without kinks, a last step this small needs no evaluation of its own
            near = (xp.abs(x - last.x) <= 1e-9 * x) & (last.slope < xp.inf)
            if bool(xp.all(near)):
                return x, last.nudged(x), flag
        return self._sharpened(rows, x, evaluate(rows, x), flag, target, ceiling)

    def _sharpened(
        self, rows: Rows, x: Array, point: Point, flag: Array, goal: Array, ceiling: Array | None
    ) -> tuple[Array, Point, Array]:
        """Resolve roots that sit where an atom is about to be clipped.

        There a weight moves by h^{1/(k-1)} with the distance h to the clip: for steep powers all of it can lie between two
        neighbouring numbers x. Measured from that atom's own clip, h is the unknown, and nothing is lost.
        """
        xp, family = self.xp, self.family
        if not isinstance(family, Tilt) or self.k <= 2.0:
            return x, point, flag
        reached = point.multiplier if ceiling is None else point.radius
        bad = xp.nonzero(~(xp.abs(xp.log(reached / goal)) <= 1e-13))[0]
        if not bad.shape[0]:
            return x, point, flag
        part, target = rows.take(bad), xp.take(goal, bad)
        clip = family.nearest_clip(part, xp.take(x, bad))
        part.__dict__["gap"] = clip
        start, upper = xp.full_like(clip, 1e10), xp.full_like(clip, 1e300)
        if ceiling is None:
            propose = self._by_temperature(part, target, family.precise)
        else:
            propose, _ = self._by_radius(part, target, xp.take(ceiling, bad), family.precise)
        z, _ = increasing_root(xp, propose, start, upper)
        better = family.precise(part, z)
        again = better.multiplier if ceiling is None else better.radius
        gained = xp.abs(xp.log(again / target)) < xp.abs(xp.log(xp.take(reached, bad) / target))
        rows.__dict__["gap"] = self._spread(rows.gap, bad, xp.where(gained, clip, xp.take(rows.gap, bad)))
        x = self._spread(x, bad, xp.where(gained, z, xp.take(x, bad)))
        return x, family.precise(rows, x), xp.zeros_like(flag)

    def _no_limit(self, rows: Rows) -> Array:
        return self.xp.full_like(rows.spread, self.xp.inf)

    def _first_guess(self, rows: Rows, target: Array, sigma: Array) -> Array:
        """Small-radius expansion, capped where it would leave the curve."""
        xp = self.xp
        # x = range / alpha with alpha = sigma / sqrt(2 eta phi''(1))
        curvature = 0.25 if self.is_js else 1.0
        reach = xp.sqrt(2.0 * curvature * target)
        return self.family.start(rows, reach / xp.where(sigma > 0.0, sigma, 1.0))

    def _quick(self, rows: Rows, target: Array | None, ceiling: Array) -> bool:
        """Do differences of moments lose nothing that matters, in any row?"""
        xp, k = self.xp, self.k
        if target is None or (k != 1.0 and abs(k - 1.0) < 0.02) or (k != 0.0 and abs(k) < 0.02):
            return False
        if rows.lost is not None or not bool(xp.all((target >= 0.01) & (target <= 0.9 * ceiling))):
            return False
        return bool(xp.all(rows.fast_deviation >= 0.02))

    def _by_radius(
        self, rows: Rows, target: Array, ceiling: Array, evaluate: Callable[[Rows, Array], Point]
    ) -> tuple[Proposal, dict[str, Any]]:
        """The Newton proposal, and what it saw last."""
        xp, k = self.xp, self.k
        # near the ceiling the distance to it is the residual; moments know none: their rows stay clear of it
        upper_half = target > 0.5 * ceiling
        climbs = evaluate == self.family.precise and bool(xp.any(upper_half))
        room = ceiling - target if climbs else target
        cache: dict[str, Any] = {"index": None, "rows": rows}

        def propose(x: Array, index: Array | None) -> tuple[Array, Array]:
            if index is not cache["index"]:
                cache.update(index=index, rows=rows.take(index))
            part = cache["rows"]
            goal, high, left = (a if index is None else xp.take(a, index) for a in (target, upper_half, room))
            point = cache["point"] = evaluate(part, x)
            # moments of a tiny tilt can round to a radius of 0 or below it: far too small all the same
            residual = xp.where(point.radius > 0.0, xp.log(point.radius / goal), -xp.inf)
            proposal = x * xp.exp(_clip(xp, -residual * point.radius / point.slope, 4.0))
            if climbs:
                top = xp.log(left / point.slack)
                climb = -top * point.slack / point.slope
                residual = xp.where(high, top, residual)
                proposal = xp.where(high, x + climb * x if k == 1.0 else x * xp.exp(climb), proposal)
            return xp.where(residual == residual, residual, 1.0), proposal

        return propose, cache

    def _by_temperature(self, rows: Rows, tau: Array, evaluate: Callable[[Rows, Array], Point]) -> Proposal:
        xp = self.xp
        cache: dict[str, Any] = {"index": None, "rows": rows}
        order = None if self.renyi is None else self.renyi.order

        def propose(x: Array, index: Array | None) -> tuple[Array, Array]:
            if index is not cache["index"]:
                cache.update(index=index, rows=rows.take(index))
            goal = tau if index is None else xp.take(tau, index)
            point = evaluate(cache["rows"], x)
            residual = xp.log(goal / point.multiplier)
            steep = point.multiplier_slope
            if order is not None:  # the Renyi price of a carrier radius is (1 + a (a-1) r) / a
                inside = 1.0 + order * (order - 1.0) * point.radius
                residual = residual - xp.log(inside / order)
                steep = steep + order * (order - 1.0) * point.slope / inside
            return residual, x * xp.exp(_clip(xp, residual / steep, 40.0))

        return propose

    # -- assembly --------------------------------------------------------------------------------------------------

    def _assemble(
        self,
        state: Array,
        regular: Array,
        point: Point | None,
        x: Array,
        fast: Array,
        target: Array | None,
        forced: Array,
    ) -> dict[str, Array]:
        xp, rows, ready, zero = self.xp, self.rows, self.ready, self.zero
        out: dict[str, Array] = {"state": state, "x": x, "fast": fast, "forced": xp.astype(forced, zero.dtype)}
        # in scaled scores until the end: the user's own may overflow when they are subtracted
        spread, centre, highest = rows.spread, rows.centre, rows.highest
        edges = regular.shape[0] < zero.shape[0]
        # regular rows first, the edges over them
        if point is not None:
            unit = self._spread(zero, regular, point.multiplier)
            radius = self._spread(zero, regular, point.radius)
            excess = self._spread(zero, regular, point.excess) * spread
            centred = self._spread(zero, regular, xp.astype(point.centred, zero.dtype)) > 0.5
            normal = self._spread(zero, regular, point.normalizer) * spread + xp.where(centred, centre, highest)
        else:
            unit, radius, excess, normal = zero, zero, zero, centre
        at_top, at_base = state == 2.0, state == 1.0
        if edges:
            radius = xp.where(at_top, self.ceiling, xp.where(at_base, self._floor(), radius))
            excess = xp.where(at_top, highest - centre, xp.where(at_base, 0.0, excess))
            normal = xp.where(at_top, highest, xp.where(at_base, centre, normal))
        if target is None:
            multiplier = self.problem.temperature * (zero + 1.0)
        else:
            multiplier = unit * spread / ready.lo_scale * self.price(radius)
            if edges:
                free = xp.where(ready.constant & ~forced, zero, zero + xp.inf)
                multiplier = xp.where(at_top | ready.infinite, 0.0, xp.where(at_base, free, multiplier))
        user_radius = self.user_radius(radius)
        if edges:
            user_radius = xp.where(forced | ready.infinite, 0.0, user_radius)
        value = (centre + excess) / ready.lo_scale
        if target is None:
            value = value - multiplier * user_radius
        excess = excess / ready.lo_scale
        if edges or ready.any_dead:
            value = xp.where(forced, -xp.inf, xp.where(ready.infinite, xp.inf, value))
            excess = xp.where(ready.dead > 0.0, xp.where(forced, zero + xp.nan, zero + xp.inf), excess)
            excess = xp.where(ready.infinite, 0.0, excess)
        normal = normal / ready.lo_scale
        out.update(value=value, multiplier=multiplier, normalizer=normal, radius=user_radius, excess=excess)
        return out

    def _floor(self) -> Array:
        return self._js_floor() if self.is_js and self.ready.any_dead else self.zero

    def late(self, solved: dict[str, Array]) -> dict[str, Array]:
        """Weights and primal-dual gap of a solved block."""
        xp, rows, ready, zero = self.xp, self.rows, self.ready, self.zero
        base = (
            xp.ones_like(rows.scores) / rows.scores.shape[-1]
            if rows.base is None
            else rows.base * xp.ones_like(rows.scores)
        )
        if self.is_js and ready.any_dead:
            base = base / xp.sum(base, axis=-1, keepdims=True)
        weights, gap = base, zero
        state = solved["state"]
        regular = state == 0.0
        if self.k > 2.0:
            rows.__dict__["gap"] = xp.where(solved["clip"] > 0.0, solved["clip"], rows.gap)
        if bool(xp.any(regular)):
            # rows that are not on the curve are evaluated at a harmless x and overwritten
            point = self.family.precise(rows, xp.where(regular, solved["x"], xp.ones_like(zero)))
            t = xp.exp(point.log_density)
            inner = rows.base if rows.base is not None else 1.0 / rows.scores.shape[-1]
            tilted = inner * t
            tilted = tilted / xp.sum(tilted, axis=-1, keepdims=True)
            weights = xp.where(column(regular), tilted, weights)
            gap = xp.where(regular, xp.abs(self._gap(point, solved)) * rows.spread / ready.lo_scale, gap)
        on_top = base * xp.astype(rows.is_top, zero.dtype)
        on_top = on_top / xp.sum(on_top, axis=-1, keepdims=True)
        weights = xp.where(column(state == 2.0), on_top, weights)
        odd = (solved["forced"] > 0.5) | ready.infinite
        if bool(xp.any(odd)):
            q = self.problem.base
            full = xp.ones_like(weights) / weights.shape[-1] if q is None else q * xp.ones_like(weights)
            weights = xp.where(column(odd), full, weights)
        return {"weights": weights, "gap": gap}

    def _price_ratio(self, point: Point) -> Array | float:
        """The user's multiplier per unit of the family's, up to the constants that `_tau` holds."""
        if self.renyi is None:
            return 1.0
        a = self.renyi.order
        return (1.0 + a * (a - 1.0) * point.radius) / a

    def _gap(self, point: Point, solved: dict[str, Array]) -> Array:
        """Dual minus primal objective per unit of range, both measured from the mean."""
        xp, rows = self.xp, self.rows
        anchor = xp.where(point.centred, xp.zeros_like(rows.top), rows.top)
        dual = point.normalizer + anchor + point.multiplier * point.conjugate
        if self.problem.radius is None:
            # a multiplier that missed the temperature moves the objective by the radius per unit
            missed = xp.abs(point.multiplier * self._price_ratio(point) - self._tau(None)) * (1.0 + point.radius)
            return xp.abs(dual - (point.excess - point.multiplier * point.radius)) + missed
        return dual + point.multiplier * self.carrier_radius(self.problem.radius) - point.excess


def _clip(xp: Any, jump: Array, most: float) -> Array:
    """`jump` kept within [-most, most]; nan stays nan."""
    return xp.where(jump > most, most, xp.where(jump < -most, -most, jump))
