"""Certificates of a worst case: feasible primal points, weak duality, brackets of the multiplier.

Nothing here finds an answer. A solver proposes (t, alpha, beta); what follows says how wrong it can be:

* t is pulled to a feasible point, so its objective is a lower bound of the value;
* alpha eta + beta + alpha sum_i w_i phi*((g_i - beta)/alpha) is an upper bound, whatever alpha >= 0 and beta are;
* D(tilt at alpha) falls as alpha grows, so two of its values on either side of eta enclose the multiplier.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from drocl.dro.reference._kinds import Cap, Floats, Kind

__all__ = ["Canonical"]

_WIDTHS = (*(10.0 ** (0.2 * step) for step in range(-70, -1)), 0.5)  # relative half-widths tried for a multiplier
_EDGE = 1e-14  # masses closer than this are one break point of a piecewise linear value


@dataclass(frozen=True)
class Canonical:
    """Scores centred and scaled to range 1, on the atoms that can carry mass.

    Attributes:
        kind: the generator.
        g: scores (m,), max - min = 1.
        w: base weights (m,), all positive; they sum to 1 - dead.
        dead: base mass of the atoms whose score is -inf, where t = 0.
    """

    kind: Kind
    g: Floats
    w: Floats
    dead: float = 0.0

    @property
    def flat(self) -> float:
        """The constant t of the law nearest to the base: the base itself where no atom is dead."""
        return 1.0 / float(self.w.sum()) if self.dead > 0.0 else 1.0

    @property
    def floor(self) -> float:
        """Smallest radius of a ball that holds a law with a finite value."""
        return self.spent(np.full(self.g.size, self.flat)) if self.dead > 0.0 else 0.0

    @property
    def top_law(self) -> Floats:
        """The t of the base law conditioned on the highest score."""
        top = self.g == self.g.max()
        return np.where(top, 1.0 / float(self.w[top].sum()), 0.0)

    def spent(self, t: Floats) -> float:
        """D of the law with density ratio t."""
        fixed = self.dead * self.kind.at_zero if self.dead > 0.0 else 0.0
        return fixed + float(self.w @ self.kind.phi(t))

    def reach(self, t: Floats) -> float:
        """E_Q g, centred so that a tiny excess keeps its digits."""
        return float((self.w * self.g) @ (t - self.flat)) + self.flat * float(self.w @ self.g)

    def pull(self, t: Floats, radius: float | None) -> Floats:
        """Nearest point to t, along the segment to the flat law, that is a law inside the ball (no ball if None)."""
        t = np.maximum(t, 0.0)
        t = t / float(self.w @ t)
        if radius is None or self.spent(t) <= radius:
            return t
        inside, outside = 0.0, 1.0
        for _ in range(60):
            middle = 0.5 * (inside + outside)
            if self.spent(self.flat + middle * (t - self.flat)) <= radius:
                inside = middle
            else:
                outside = middle
        return self.flat + inside * (t - self.flat)

    def bound(self, alpha: float, beta: float, radius: float) -> float:
        """Dual objective at (alpha, beta): an upper bound of the value in the ball, +inf outside the dual domain."""
        if not (0.0 < alpha < math.inf and math.isfinite(beta)):
            return math.inf
        if not self.kind.smooth and math.isfinite(self.kind.slope):
            # the best beta sits on the edge of the dual domain: rounding must not push it out
            edge = float(self.g.max()) - alpha * self.kind.slope
            beta = max(beta, edge + 1e-15) if beta > edge - 1e-13 else beta
        rest = radius - (self.dead * self.kind.at_zero if self.dead > 0.0 else 0.0)
        value = alpha * rest + beta + alpha * float(self.w @ self.kind.conjugate((self.g - beta) / alpha))
        return value if value == value else math.inf

    def tilt(self, alpha: float) -> tuple[float, Floats]:
        """The beta that makes the tilt at temperature alpha a law, and its t; smooth kinds only.

        The unknown is the distance of beta from its lowest admissible value (finite slope) or from max g, so that
        the largest t keeps its relative accuracy.
        """
        top = float(self.g.max())
        below = top - self.g
        lightest = float(self.w[below == 0.0].sum())
        span = self.kind.span(1.0 / lightest)

        def ratios(v: float) -> Floats:
            if finite:
                return self.kind.ratio_below((v + below) / alpha)
            return self.kind.ratio((v - below) / alpha)

        def surplus(v: float) -> float:
            total = float(self.w @ ratios(v))
            return math.log(total) if 0.0 < total < math.inf else math.copysign(700.0, total - 1.0)

        finite = math.isfinite(self.kind.slope)
        if finite:
            # the top atom alone gives mass 1 at the lower end; s = 0 there, and mass 1 - dead at most, at the upper
            ends = math.log(alpha * span * (1.0 - 1e-9)), math.log(alpha * self.kind.slope * (1.0 + 1e-9))
            v = math.exp(brentq(lambda x: surplus(math.exp(x)), *ends, xtol=1e-15, rtol=1e-15))
            return top - alpha * self.kind.slope + v, ratios(v)
        high = alpha * span
        v = float(brentq(surplus, -1e-9 * high, high * (1.0 + 1e-9), xtol=1e-300, rtol=1e-15)) if high > 0.0 else 0.0
        return top - v, ratios(v)

    def enclose(self, alpha: float, radius: float) -> tuple[float, float]:
        """Interval that holds every optimal multiplier; (nan, nan) where alpha is not within a factor of 2 of one."""
        if not 0.0 < alpha < math.inf:
            return math.nan, math.nan

        def brackets(delta: float) -> bool:
            try:
                high, low = (self.spent(self.tilt(alpha * (1.0 + sign * delta))[1]) for sign in (-1.0, 1.0))
            except ValueError:
                return False
            return low <= radius <= high

        bad, good = -1, len(_WIDTHS) - 1
        if not brackets(_WIDTHS[good]):
            return math.nan, math.nan
        while good - bad > 1:
            middle = (good + bad) // 2
            bad, good = (bad, middle) if brackets(_WIDTHS[middle]) else (middle, good)
        return alpha * (1.0 - _WIDTHS[good]), alpha * (1.0 + _WIDTHS[good])

    def break_point(self, radius: float) -> tuple[float, float, float]:
        """Linear kinds: the smallest and largest optimal multiplier, and the normalizer at the smallest.

        Total variation moves the lowest `radius` of mass to the top, so its multipliers are max g minus the quantiles
        at that mass; the cap's are E (g - VaR)_+ over the quantiles VaR at tail fraction 1/cap.
        """
        order = np.argsort(self.g, kind="stable")
        g, top = self.g[order], float(self.g.max())
        below = np.concatenate(([0.0], np.cumsum(self.w[order])))  # mass strictly below atom j, in order
        if isinstance(self.kind, Cap):

            def excess(var: float) -> float:
                return float(self.w @ np.maximum(self.g - var, 0.0))

            tail = below[-1] - below  # mass from atom j on
            share = 1.0 / self.kind.cap
            highest = float(g[np.flatnonzero(tail[:-1] >= share - _EDGE)[-1]])
            lowest = -math.inf if tail[0] <= share + _EDGE else float(g[np.flatnonzero(tail[1:] <= share + _EDGE)[0]])
            return excess(highest), excess(lowest) if math.isfinite(lowest) else math.inf, highest
        moved = radius - self.dead
        smallest = top - float(g[np.flatnonzero(below[1:] > moved + _EDGE)[0]])
        beyond = np.flatnonzero(below[1:] >= moved - _EDGE)
        largest = math.inf if moved <= _EDGE else top - float(g[beyond[0]])
        return smallest, largest, top - 0.5 * smallest
