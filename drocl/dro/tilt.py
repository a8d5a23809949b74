"""The Cressie-Read family as one-parameter tilts, KL included.

On scores d <= 0 measured from the maximum in units of their range, the worst case of every CR_k ball is

    t_i = q_i / q0_i = w_i / E w,    w_i = (1 + (k - 1) x d_i)_+^{1/(k-1)}    (e^{x d_i} at k = 1),

with one unknown x in (0, inf): x -> 0 is Q0, x -> inf the argmax. The multiplier is range * (E w)^{k-1} / x. The same law is
reached from the mean instead of the maximum, 1 + (k-1) x' e_i with x' = x / (1 - (k-1) x e_max); there nothing cancels as x -> 0.

For k > 1 only the argmax is left from x_slack = 1 / ((k-1) gap) on. There the unknown is z in (0, inf) with x = x_slack z / (1 + z) and
1 + (k-1) x d_i = (1 - |d_i| / gap) + h |d_i| / gap, h = 1 / (1 + z), is used once h < 1/2: full precision at both ends.
"""

from dataclasses import dataclass, replace
from typing import Any

from drocl._special import cressie_read_of_log, exp_remainder, log1p_remainder
from drocl.dro.rows import Rows, column

Array = Any


@dataclass
class Point:
    """A worst case on the curve, a row a problem; scores in units of their range, centred as `centred` says."""

    x: Array  # the unknown: x, or z for k > 1
    radius: Array
    slack: Array  # radius_max - radius, accurate when tiny; not from `moments`
    slope: Array  # d radius / d log of the unknown
    multiplier: Array
    multiplier_slope: Array  # d log multiplier / d log of the unknown
    excess: Array  # E_Q e
    normalizer: Array  # measured from the mean where `centred`, else from the maximum
    centred: Array
    log_density: Array | None = None  # log(q / q0), (rows, n)
    conjugate: Array | None = None  # E phi*(s)
    middle: Array | None = None  # mean score under the sensitivities phi*''(s), from the maximum

    def nudged(self, x: Array) -> "Point":
        """The point at an unknown so close that first order is all there is in double precision."""
        if self.middle is None:
            raise AssertionError("only the points of `moments` can be moved")
        step = (x - self.x) / self.x
        return replace(
            self,
            x=x,
            radius=self.radius + self.slope * step,
            multiplier=self.multiplier * (1.0 + self.multiplier_slope * step),
            excess=self.excess + self.multiplier * self.slope * step,  # the multiplier is the slope in the radius
            normalizer=self.normalizer - self.multiplier_slope * (self.middle - self.normalizer) * step,
        )


class Tilt:
    """Evaluates the CR_k curve at x, exactly (`precise`) or through five moments (`moments`)."""

    def __init__(self, power: float) -> None:
        self.k = power
        self.eps = power - 1.0

    def start(self, rows: Rows, mean_tilt: Array) -> Array:
        """Unknown that belongs to the mean-centred parameter x', kept inside the domain."""
        xp = rows.xp
        reach = 1.0 + self.eps * mean_tilt * rows.top
        x = mean_tilt / xp.where(reach > 0.05, reach, xp.full_like(reach, 0.05))
        if self.eps <= 0.0:
            return x
        share = x * self.eps * rows.gap
        return share / xp.where(share < 0.95, 1.0 - share, xp.full_like(share, 0.05))

    def only_top(self, rows: Rows, multiplier: Array) -> Array:
        """Rows that a temperature (per unit of range) leaves nothing but the argmax."""
        xp = rows.xp
        if self.eps <= 0.0:
            return xp.zeros_like(multiplier) > 1.0
        return multiplier <= xp.exp(self.eps * rows.log_mass) * self.eps * rows.gap

    def _tilt(self, rows: Rows, unknown: Array) -> tuple[Array, Array | float, Array | None]:
        """x, d log x / d log unknown, and h (k > 1)."""
        if self.eps <= 0.0:
            return unknown, 1.0, None
        h = 1.0 / (1.0 + unknown)
        return unknown * h / (self.eps * rows.gap), h, h

    def nearest_clip(self, rows: Rows, unknown: Array) -> Array:
        """|d| of the atom closest to being clipped, (rows,)."""
        xp = rows.xp
        x, *_ = self._tilt(rows, unknown)
        distance = xp.abs(1.0 + self.eps * column(x) * rows.d)
        distance = xp.where(rows.is_top, xp.full_like(distance, xp.inf), distance)
        at = xp.argmin(distance, axis=-1, keepdims=True)
        return -xp.take_along_axis(rows.d, at, axis=-1)[:, 0]

    def _lin(self, rows: Rows, x: Array, h: Array | None) -> Array:
        """1 + (k - 1) x d, clipped at 0 for k > 1."""
        lin = rows.d * column(self.eps * x)
        lin += 1.0
        if h is None:
            return lin
        xp = rows.xp
        late = h < 0.5
        if bool(xp.any(late)):
            ratio = -rows.d / column(rows.gap)
            lin = xp.where(column(late), (1.0 - ratio) + column(h) * ratio, lin)
        return rows.positive(lin)

    def radius_max(self, rows: Rows) -> Array:
        """Radius from which the ball is slack; inf for k <= 0."""
        xp = rows.xp
        if self.k <= 0.0:
            return xp.full_like(rows.mass, xp.inf)
        if self.eps == 0.0:
            return -rows.log_mass
        return xp.expm1(-self.eps * rows.log_mass) / (self.k * self.eps)  # (m^{1-k} - 1) / (k (k - 1))

    def _log_tilt(self, xp: Any, u: Array) -> Array:
        if self.eps == 0.0:
            return u
        inside = self.eps * u > -1.0
        return xp.where(inside, xp.log1p(xp.where(inside, self.eps * u, xp.zeros_like(u))) / self.eps, -xp.inf)

    def precise(self, rows: Rows, unknown: Array) -> Point:
        """The point at the unknown, every sum free of cancellation."""
        xp, k, eps = rows.xp, self.k, self.eps
        x, chain, h = self._tilt(rows, unknown)
        centred = (abs(eps) * x * rows.top <= 0.5) & (x * rows.top <= 30.0)
        if h is not None:  # close to the slack, lin is exact from the maximum only
            centred = centred & (h >= 0.5)
        factor = xp.where(centred, 1.0 / (1.0 - eps * x * xp.where(centred, rows.top, xp.zeros_like(x))), 1.0)
        tilt = x * factor
        u = column(tilt) * xp.where(column(centred), rows.e, rows.d)
        log_w = self._log_tilt(xp, u)
        if h is not None:
            lin = self._lin(rows, x, h)
            alive = lin > 0.0
            late = xp.where(alive, xp.log(xp.where(alive, lin, xp.ones_like(lin))) / eps, -xp.inf)
            log_w = xp.where(column(h >= 0.5), log_w, late)
        finite = xp.where(log_w > -xp.inf, log_w, xp.zeros_like(log_w))
        # E w - 1 from the mean: first-order terms vanish because E e = 0
        bend = finite * finite * exp_remainder(finite)
        if eps:
            inside = xp.where(log_w > -xp.inf, u, xp.zeros_like(u))
            bend = bend - eps * inside * inside * log1p_remainder(eps * inside)
            bend = xp.where(log_w > -xp.inf, bend, -1.0 - u)  # clipped: w - 1 - u at w = 0
        # far rows keep a dummy 0 here: their bend may overflow
        shift = rows.mean(xp.where(column(centred), bend, xp.zeros_like(bend)))
        from_top = xp.log(rows.mean(xp.exp(xp.where(column(centred), xp.zeros_like(log_w), log_w))))
        log_norm = xp.where(centred, xp.log1p(shift), from_top)
        log_t = log_w - column(log_norm)
        t = xp.exp(log_t)
        alive = log_t > -xp.inf
        excess = rows.mean(xp.expm1(log_t) * rows.e)
        radius = rows.mean(cressie_read_of_log(log_t, k))
        # sensitivities: omega = phi*''(s) = t^{2-k}
        omega = t if eps == 0.0 else xp.where(alive, xp.exp((2.0 - k) * xp.where(alive, log_t, 0.0 * log_t)), 0.0 * t)
        total = rows.mean(omega)
        where = xp.where(column(centred), rows.e, rows.d)  # each is 0 where most of omega sits
        if k > 2.0 and h is not None:  # omega = t^{2-k} grows as the runner-up dies
            where = xp.where(column(h < 0.5), rows.d + column(rows.gap), where)
        middle = rows.mean(omega * where) / total
        spread = rows.mean(omega * (where - column(middle)) ** 2)
        multiplier = xp.exp(eps * log_norm) / tilt
        multiplier_slope = -total * xp.exp(-eps * log_norm) * factor  # -W/S0 in each parametrisation, chained to log x
        multiplier_slope = multiplier_slope * chain
        slope = spread / multiplier**2 * -multiplier_slope
        slack = self._slack(rows, t, multiplier)
        lift = -xp.expm1(-eps * log_norm) / eps if eps else log_norm
        conjugate = rows.mean(xp.expm1(k * log_t) / k if k else log_t)
        return Point(
            unknown,
            radius,
            slack,
            slope,
            multiplier,
            multiplier_slope,
            excess,
            multiplier * lift,
            centred,
            log_t,
            conjugate,
        )

    def _slack(self, rows: Rows, t: Array, multiplier: Array) -> Array:
        """radius_max - radius as a sum of nonnegative terms (a Bregman divergence to the argmax law)."""
        xp, k = rows.xp, self.k
        if k <= 0.0:
            return xp.full_like(multiplier, xp.inf)
        away = ~rows.is_top
        price = -rows.mean(t * rows.d) / multiplier
        off = xp.where(away, t, xp.zeros_like(t))
        at_top = xp.max(xp.where(away, xp.zeros_like(t), t), axis=-1)
        ratio = rows.mean(off) / xp.where(at_top > 0.0, rows.mass * at_top, xp.ones_like(at_top))
        last = rows.mass * at_top**k * cressie_read_of_log(xp.log1p(ratio), k)
        return price + rows.mean(off**k) / k + last

    def moments(self, rows: Rows, unknown: Array) -> Point:
        """The point from E w, E w d and three moments of w^{2-k}; good for radii that are not tiny."""
        xp, k, eps = rows.xp, self.k, self.eps
        x, chain, h = self._tilt(rows, unknown)
        d = rows.d
        if eps == 0.0:
            w = omega = rows.exp_into(d * column(x))
        elif k == 2.0:
            w = self._lin(rows, x, h)
            omega = xp.astype(w > 0.0, d.dtype)
        else:
            lin = self._lin(rows, x, h)
            w = 1.0 / lin if k == 0.0 else 1.0 / (lin * lin) if k == 0.5 else 1.0 / xp.sqrt(lin) if k == -1.0 else None
            if w is None:
                w = lin ** (1.0 / eps)
            omega = w / (lin if eps < 0.0 else xp.where(lin > 0.0, lin, 1.0))
        s0, (s1, s2) = rows.mean(w), rows.moments(w)
        total, first, second = (s0, s1, s2) if omega is w else (rows.mean(omega), *rows.moments(omega))
        middle = first / total
        variance = second / total - middle * middle
        mean_d = s1 / s0
        log_s0 = xp.log(s0)
        if eps == 0.0:
            radius = x * mean_d - log_s0
        else:
            radius = ((s0 + eps * x * s1) * s0 ** (-k) - 1.0) / (k * eps) if k else log_s0 + rows.log_mean(lin)
        multiplier = 1.0 / x if eps == 0.0 else xp.exp(eps * log_s0) / x
        # d radius / d log x = x^2 S0^{-k-1} W^2 var
        share = total / s0
        slope = (x * share) ** 2 * variance * (1.0 if eps == 0.0 else s0 ** (1.0 - k))
        lift = -xp.expm1(-eps * log_s0) / eps if eps else log_s0
        excess, normalizer, far = mean_d + rows.top, multiplier * lift, x < 0.0
        none = x  # no slack from here
        return Point(
            unknown, radius, none, slope * chain, multiplier, -share * chain, excess, normalizer, far, middle=middle
        )
