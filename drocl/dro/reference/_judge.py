"""From a solver's proposal to a certified answer."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from drocl.dro.reference._certificate import Canonical
from drocl.dro.reference._kinds import Cap, Floats
from drocl.dro.reference._program import Form, Program, Proposal, recipes

__all__ = ["Answer", "Judge"]

_ENOUGH = 1e-9  # a certificate this good ends the search for a better solver
_READ_OFF = 1e-10  # the normalizer read off is kept while it costs the gap no more than this


@dataclass(frozen=True)
class Answer:
    """A judged proposal, in canonical units.

    Attributes:
        t, alpha, beta: feasible density ratio, multiplier, normalizer.
        lower, gap: the objective at t, and how far the value can lie above it.
        interval: encloses every optimal multiplier.
        error: largest relative distance of alpha from an optimal multiplier; of the radius, in the penalised form.
    """

    t: Floats
    alpha: float
    beta: float
    lower: float
    gap: float
    interval: tuple[float, float]
    error: float
    status: str
    solver: str
    seconds: float
    message: str

    @property
    def score(self) -> float:
        """What the answer guarantees, value and multiplier together; smaller is better."""
        return max(self.gap, self.error)


class Judge:
    """Asks the solvers about one canonical problem, and believes none."""

    def __init__(
        self, canonical: Canonical, solver: str | None, tolerance: float, options: Mapping[str, Any] | None = None
    ) -> None:
        self.canonical = canonical
        self.tolerance = tolerance
        self._solver, self._options = solver, dict(options or {})
        self._programs: dict[Form, Program] = {}

    def constrained(self, level: float, value_only: bool = False) -> Answer:
        """Best certified answer at a radius (the cap, for cvar); `value_only` stops at a good value."""
        return self._best(level, penalised=False, value_only=value_only)

    def penalised(self, temperature: float) -> Answer:
        """Best certified answer at a temperature."""
        return self._best(temperature, penalised=True)

    def _best(self, level: float, penalised: bool, value_only: bool = False) -> Answer:
        best, seconds, said = self._nothing(level, penalised), 0.0, []
        for recipe in recipes(self.canonical, penalised, self._solver, self._options):
            if recipe.form not in self._programs:
                self._programs[recipe.form] = Program(self.canonical, recipe.form)
            proposal, status, spent = self._programs[recipe.form].propose(level, recipe)
            seconds += spent
            said.append(f"{recipe.solver} {status}")
            if proposal is not None:
                best = min(best, self._weigh(proposal, level, penalised, recipe.solver), key=lambda a: (a.score, a.gap))
            if (best.gap if value_only else best.score) <= min(_ENOUGH, self.tolerance):
                break
        return self._label(best, penalised, seconds, "; ".join(said))

    def _label(self, answer: Answer, penalised: bool, seconds: float, said: str) -> Answer:
        low, high = answer.interval
        kink = not self.canonical.kind.smooth and high > low
        good = answer.score <= self.tolerance * (1.0 + 1e-6)
        verdict = "certified" if good else f"not certified to {self.tolerance:g}"
        dual = "radius" if penalised else "multiplier"
        message = f"{verdict}: gap {answer.gap:.1e} of the spread, {dual} to {answer.error:.1e} relative ({said})"
        if kink:
            message += "; at a kink: every multiplier of the interval is optimal, the smallest is given"
        return replace(answer, seconds=seconds, status="optimal" if good else "inconclusive", message=message)

    def _nothing(self, level: float, penalised: bool) -> Answer:
        """What is known without a solver: the base law is feasible, and no law beats the highest score."""
        c = self.canonical
        flat = np.full(c.g.size, c.flat)
        lower = c.reach(flat) - (level * c.spent(flat) if penalised else 0.0)
        gap = float(c.g.max()) - lower
        alpha = level if penalised else math.nan
        return Answer(flat, alpha, math.nan, lower, gap, (alpha, alpha), math.inf, "", "none", 0.0, "")

    def _weigh(self, proposal: Proposal, level: float, penalised: bool, solver: str) -> Answer:
        c, capped = self.canonical, isinstance(self.canonical.kind, Cap)
        radius = 0.0 if capped or penalised else level
        t = c.pull(proposal.t, None if penalised else radius)
        lower = c.reach(t) - (level * c.spent(t) if penalised else 0.0)
        alpha, beta = proposal.alpha, proposal.beta
        if penalised:
            interval, (spare, error) = (alpha, alpha), self._penalised(alpha, t)
        elif c.kind.smooth:
            interval, spare = c.enclose(alpha, radius), self._tilt_beta(alpha)
            error = _distance(alpha, *interval)
        else:
            low, high, spare = c.break_point(radius)
            interval, error = (low, high), max(low - alpha, alpha - high, 0.0) / max(low, 1e-300)
            if high > low and error <= self.tolerance:
                alpha, beta = low, spare
            elif not capped:
                spare = float(c.g.max()) - 0.5 * alpha
        # the cap's conjugate is homogeneous, so any positive alpha does for its bound
        price = 1.0 if capped else alpha
        upper = c.bound(price, beta, radius)
        if not upper - lower <= _READ_OFF:
            other = c.bound(price, spare, radius)
            upper, beta = (other, spare) if other < upper else (upper, beta)
        gap = abs(upper - lower)
        return Answer(t, alpha, beta, lower, gap, interval, error, "", solver.upper(), 0.0, "")

    def _tilt_beta(self, alpha: float) -> float:
        """The normalizer that belongs to alpha, should the one read off lie outside the dual domain."""
        if not 0.0 < alpha < math.inf:
            return math.nan
        try:
            return self.canonical.tilt(alpha)[0]
        except ValueError:
            return math.nan

    def _penalised(self, alpha: float, t: Floats) -> tuple[float, float]:
        """The normalizer that belongs to a temperature, and the relative error of the radius of t."""
        c = self.canonical
        if not c.kind.smooth:  # total variation, whose radius is an interval at ties
            return float(c.g.max()) - 0.5 * alpha, 0.0
        try:
            beta, best = c.tilt(alpha)
        except ValueError:
            return math.nan, math.inf
        spent = c.spent(best)
        return beta, abs(c.spent(t) - spent) / spent if spent > 0.0 else math.inf


def _distance(alpha: float, low: float, high: float) -> float:
    """Relative distance of alpha from the farther end; inf where there is no interval."""
    gap = max(high - alpha, alpha - low)
    return gap / alpha if gap == gap and alpha > 0.0 else math.inf
