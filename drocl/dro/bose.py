"""The Jensen-Shannon ball: its worst case is a Bose-Einstein law.

    t_i = 1 / expm1(2 (b - f_i) / alpha),

two unknowns, alpha and b. With x = range / alpha as the outer unknown, b is an inner root (E t = 1).
"""

import math
from typing import Any

from drocl._special import entropy_of_log
from drocl.dro.rows import Rows, column
from drocl.dro.tilt import Point

Array = Any
LOG2 = math.log(2.0)


class Bose:
    """Evaluates the Jensen-Shannon curve at x = range / multiplier."""

    k = None

    def start(self, rows: Rows, mean_tilt: Array) -> Array:
        """First guess for x."""
        return mean_tilt

    def only_top(self, rows: Rows, multiplier: Array) -> Array:
        """No temperature leaves the argmax alone."""
        return rows.xp.zeros_like(multiplier) > 1.0

    def radius_max(self, rows: Rows) -> Array:
        """Radius from which the ball is slack."""
        # phi(t) at t = 1/m, times m, plus the rest at phi(0)
        xp, mass = rows.xp, rows.mass
        inside = 0.5 * (-rows.log_mass - (1.0 + mass) * (xp.log1p(mass) - LOG2 - rows.log_mass))
        other = rows.rest if rows.lost is None else rows.rest + rows.lost
        inside = xp.where(other > 1e-3, inside, mass * _phi(xp, other / mass))
        return inside + rows.rest * 0.5 * LOG2 + self._lost_radius(rows)

    def precise(self, rows: Rows, x: Array) -> Point:
        """The point at x."""
        xp = rows.xp
        centred = x * rows.top <= 0.05
        if rows.lost is not None:
            centred = centred & (rows.lost == 0.0)
        near = column(centred)
        u = column(x) * xp.where(near, rows.e, rows.d)
        shift = self._root(rows, x, u, centred)
        excess_t = self._excess(xp, u, shift, centred)
        t = 1.0 + excess_t
        omega = 2.0 * t * (1.0 + t)
        total = rows.mean(omega)
        where = xp.where(column(centred), rows.e, rows.d)  # each is 0 where most of omega sits
        middle = rows.mean(omega * where) / total
        slope = x * x * rows.mean(omega * (where - column(middle)) ** 2)
        radius = rows.mean(_phi(xp, excess_t)) + self._lost_radius(rows)
        excess = rows.mean(excess_t * rows.e)
        # s = (f - beta)/alpha: shift + x e from the mean; (log 2 - z)/2 + x d from the maximum
        normalizer = -xp.where(centred, shift, 0.5 * (LOG2 - shift)) / x
        log_t = xp.log1p(excess_t)
        y = column(shift) - 2.0 * u
        log_t = xp.where(near, log_t, -xp.log(xp.expm1(xp.where(near, xp.ones_like(y), y))))
        conjugate = rows.mean(0.5 * xp.log1p(0.5 * excess_t)) - self._lost_radius(rows)
        minus = -xp.ones_like(x)
        return Point(
            x, radius, self._slack(rows, t, x), slope, 1.0 / x, minus, excess, normalizer, centred, log_t, conjugate
        )

    def moments(self, rows: Rows, x: Array) -> Point:
        """The point from few sums; good for radii that are not tiny and rows that lost nothing."""
        xp = rows.xp
        far = x < 0.0
        u = column(x) * rows.d
        shift = self._root(rows, x, u, far)
        below = xp.expm1(2.0 * u - column(shift))  # -1 / (1 + t)
        t = -1.0 / below - 1.0
        omega = 2.0 * t * (1.0 + t)
        total, (first, second) = rows.mean(omega), rows.moments(omega)
        middle = first / total
        slope = x * x * (second - first * middle)
        mean_d = rows.moments(t)[0]
        rows.hint = (x, shift, 2.0 * middle)
        radius = 0.5 * (rows.log_mean(-below) - shift) + x * mean_d + LOG2
        normalizer = -0.5 * (LOG2 - shift) / x
        one = xp.ones_like(x)
        return Point(x, radius, one, slope, 1.0 / x, -one, mean_d + rows.top, normalizer, far, middle=middle)

    def _lost_radius(self, rows: Rows) -> Array | float:
        return 0.0 if rows.lost is None else 0.5 * LOG2 * rows.lost

    def _excess(self, xp: Any, u: Array, shift: Array, centred: Array) -> Array:
        """t - 1, accurate near 0 in the centred rows."""
        if not bool(xp.any(centred)):
            return 1.0 / xp.expm1(column(shift) - 2.0 * u) - 1.0
        near = column(centred)
        s = column(shift) + u
        bend = xp.expm1(-2.0 * xp.where(near, s, xp.zeros_like(s)))
        y = xp.where(near, xp.ones_like(s), column(shift) - 2.0 * u)
        return xp.where(near, -2.0 * bend / (1.0 + 2.0 * bend), 1.0 / xp.expm1(y) - 1.0)

    def _root(self, rows: Rows, x: Array, u: Array, centred: Array) -> Array:
        """The shift that makes E t = 1: from 0 in centred rows (Newton), in [log1p(mass), log 2] in the others."""
        xp = rows.xp
        lo = xp.where(centred, xp.full_like(rows.top, -0.35), xp.log1p(rows.mass))
        hi = xp.where(centred, xp.full_like(rows.top, 0.3), xp.full_like(rows.top, LOG2))
        shift = xp.where(centred, 0.0, lo)
        if rows.hint is not None:
            before, left, slope = rows.hint
            guess = left + slope * (x - before)
            shift = xp.where(~centred & (guess > lo) & (guess < hi), guess, shift)
        size = xp.max(xp.abs(u), axis=-1)
        for _ in range(100):
            t1 = self._excess(xp, u, shift, centred)
            off = rows.mean(t1) if rows.lost is None else rows.mean(t1) - rows.lost
            steep = 2.0 * (rows.mean_with(t1, t1) + 3.0 * rows.mean(t1)) + 4.0
            lower = xp.where(centred, off < 0.0, off > 0.0)
            lo, hi = xp.where(lower, shift, lo), xp.where(lower, hi, shift)
            # 1/E t is close to linear in z where t ~ 1/z
            step = xp.where(centred, -off / steep, off * (1.0 + off) / (0.5 * steep))
            new = shift + step
            middle = 0.5 * (lo + hi)
            new = xp.where(
                (new <= lo) | (new >= hi), xp.where(xp.abs(step) <= 4e-16 * xp.abs(shift), shift, middle), new
            )
            moved = xp.abs(new - shift)
            shift = new
            scale = xp.where(centred, size, xp.abs(shift))
            if not bool(xp.any(moved > 1e-10 * scale)):  # Newton: the next step would be its square
                break
        return shift

    def _slack(self, rows: Rows, t: Array, x: Array) -> Array:
        """radius_max - radius as a sum of nonnegative terms."""
        xp = rows.xp
        away = ~rows.is_top
        off = xp.where(away, t, xp.zeros_like(t))
        at_top = xp.max(xp.where(away, xp.zeros_like(t), t), axis=-1)
        lost = rows.mean(off)
        ratio = lost / (rows.mass * at_top)
        wide = lost / (rows.mass * (1.0 + at_top))
        last = at_top * entropy_of_log(xp.log1p(ratio)) - (1.0 + at_top) * entropy_of_log(xp.log1p(wide))
        return -rows.mean(t * rows.d) * x + rows.mean(0.5 * xp.log1p(off)) + 0.5 * rows.mass * last


def _phi(xp: Any, excess: Array) -> Array:
    """phi at t = 1 + excess, accurate near 0 and far away."""
    far = excess > 3.0
    e = xp.where(far, xp.zeros_like(excess), excess)
    alive = e > -1.0
    log_t = xp.where(alive, xp.log1p(xp.where(alive, e, 0.0 * e)), -xp.inf)
    near = 0.5 * (entropy_of_log(log_t) - 2.0 * entropy_of_log(xp.log1p(0.5 * e)))
    t = 1.0 + xp.where(far, excess, xp.ones_like(excess))
    return xp.where(far, 0.5 * (t * xp.log1p(-1.0 / (t + 1.0)) - xp.log1p(t) + (t + 1.0) * LOG2), near)
