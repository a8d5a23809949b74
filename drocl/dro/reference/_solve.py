"""The public reference: closed forms at the edges, cvxpy in between, a certificate for both."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from drocl.divergences import Divergence
from drocl.dro.reference._certificate import Canonical
from drocl.dro.reference._judge import Answer, Judge
from drocl.dro.reference._kinds import Cap
from drocl.dro.reference._renyi import penalised_renyi
from drocl.dro.reference._setup import Problem, check_level, check_solver, read
from drocl.dro.reference._types import ReferenceSolution

__all__ = ["Sweep", "worst_case"]

_ROUND = 1e-15  # relative room for the rounding of a radius at which the ball turns slack or empty


class Sweep:
    r"""One problem at many radii or temperatures: cvxpy canonicalises it once (the radius is a DPP parameter).

    Every `solve` starts cold, so the answers are those of `worst_case`.

    Args:
        scores, divergence, base, solver, tolerance, solver_options: as in `worst_case`.

    Raises:
        ValueError: as `worst_case`.

    >>> sweep = Sweep([0.0, 1.0], "chi2")
    >>> [round(sweep.solve(radius).value, 6) for radius in (0.01, 0.04)]
    [0.55, 0.6]
    """

    def __init__(
        self,
        scores: ArrayLike,
        divergence: str | Divergence = "kl",
        base: ArrayLike | None = None,
        *,
        solver: str | None = None,
        tolerance: float | None = None,
        solver_options: Mapping[str, Any] | None = None,
    ) -> None:
        self._problem = read(scores, divergence, base)
        name, eps = check_solver(solver, tolerance, solver_options, self._problem.kind)
        canonical = self._problem.canonical
        self._judge = None if canonical is None else Judge(canonical, name, eps, dict(solver_options or {}))

    def solve(self, radius: float | None = None, *, temperature: float | None = None) -> ReferenceSolution:
        """Worst case at one radius or temperature (neither for cvar); see `worst_case`."""
        problem = self._problem
        given = check_level(radius, temperature, problem.divergence)
        level = problem.kind.cap if isinstance(problem.kind, Cap) else float(given or 0.0)
        penalised = temperature is not None
        edge = _edge(problem, level, penalised)
        if edge is not None:
            return edge
        if self._judge is None:
            raise AssertionError("an infinite value is an edge case")
        renyi = problem.renyi
        if penalised:
            tau = level / problem.spread
            answer = self._judge.penalised(tau) if renyi is None else penalised_renyi(self._judge, renyi, tau)
            return _report(problem, answer, temperature=level)
        if renyi is None:
            return _report(problem, self._judge.constrained(level))
        # dD_CR/dD_Renyi turns the multiplier of the carrier's ball into that of the Renyi ball
        answer = self._judge.constrained(float(renyi.to_carrier(level)))
        price = math.exp((renyi.order - 1.0) * level) / renyi.order
        low, high = answer.interval
        return _report(problem, replace(answer, alpha=answer.alpha * price, interval=(low * price, high * price)))


def worst_case(
    scores: ArrayLike,
    *,
    radius: float | None = None,
    temperature: float | None = None,
    divergence: str | Divergence = "kl",
    base: ArrayLike | None = None,
    solver: str | None = None,
    tolerance: float | None = None,
    solver_options: Mapping[str, Any] | None = None,
) -> ReferenceSolution:
    r"""Robust expectation of one problem by a general convex solver, with a certificate.

    $$ \sup_Q\ E_Q f \ \text{ s.t. } D(Q\|Q_0) \le \eta \qquad\text{or}\qquad \sup_Q\ E_Q f - \tau D(Q\|Q_0). $$

    The multiplier is the dual variable of the divergence constraint. Whatever the solver says of itself, the answer is
    `optimal` only if a feasible law and a weak-duality bound computed here agree, and D of the tilt at slightly smaller
    and larger multipliers encloses the radius.

    Args:
        scores: f, (n,), any finite spread. -inf is never chosen unless forced; +inf makes the value +inf.
            Meant for n up to some hundreds; above n = 2000 a solve takes seconds to minutes and may well end
            inconclusive.
        radius: budget $\eta \ge 0$ in nats (the constrained form).
        temperature: price $\tau > 0$ of a nat (the penalised form). Exactly one of the two; neither for cvar.
        divergence: a name, or an object from `drocl.divergences.get`.
        base: Q0, (n,), non-negative, normalised here; uniform if None.
        solver: "clarabel", "scs" or (tv, cvar) "highs" alone; None tries Clarabel then SCS, for tv and cvar HiGHS then
            Clarabel, and keeps the answer with the best certificate.
        tolerance: what `optimal` promises: the value to `tolerance` times the spread of the scores, and the multiplier
            (in the penalised form, the radius) to `tolerance` relative, both as measured by the certificate. Default
            1e-7. Most answers are better: see `gap` and `multiplier_interval`.
        solver_options: handed to `solver`, which must then be named, over the reference's own options.

    Returns:
        The solution; `status` is "optimal" or "inconclusive", and `message` says why.

    Raises:
        ValueError: naming the argument, for nan scores, shapes other than (n,), a negative radius, a temperature
            that is not positive, both or neither of the two, a bad base, an unknown divergence or solver.

    Source: wu2023, Theorem 3.2 (KL); bental2013 (general phi).

    >>> found = worst_case([0.0, 1.0], radius=0.04, divergence="chi2")
    >>> round(found.value, 6), round(found.multiplier, 6), found.status
    (0.6, 1.25, 'optimal')
    """
    sweep = Sweep(scores, divergence, base, solver=solver, tolerance=tolerance, solver_options=solver_options)
    return sweep.solve(radius, temperature=temperature)


def _report(problem: Problem, answer: Answer, temperature: float | None = None) -> ReferenceSolution:
    return problem.report(
        answer.t,
        multiplier=answer.alpha,
        normalizer=answer.beta,
        temperature=temperature,
        gap=answer.gap,
        status=answer.status,
        solver=answer.solver,
        seconds=answer.seconds,
        multiplier_interval=answer.interval,
        message=answer.message,
    )


def _edge(problem: Problem, level: float, penalised: bool) -> ReferenceSolution | None:
    """Problems whose answer is known without a solver; None for the others. `level` is the cap for cvar."""
    canonical, kind = problem.canonical, problem.kind
    radius = math.inf if penalised or isinstance(kind, Cap) else problem.kind_radius(level)
    temperature = level if penalised else None
    above = bool(np.isposinf(problem.scores[problem.base > 0.0]).any())
    if canonical is None or above or _forced(canonical, radius):
        price = level if penalised else 0.0 if above else math.inf
        return ReferenceSolution(
            value=math.inf if above else -math.inf,
            weights=problem.base,
            multiplier=price,
            normalizer=math.nan,
            radius=0.0,
            gap=0.0,
            status="optimal",
            solver="closed form",
            seconds=0.0,
            multiplier_interval=(price, price),
            message="infinite whatever the ball",
        )
    flat = np.full(canonical.g.size, canonical.flat)
    top, top_law = float(canonical.g.max()), canonical.top_law
    if top == float(canonical.g.min()):
        return problem.closed(flat, 0.0, 0.0, "constant scores", temperature)
    if penalised:
        return None
    if isinstance(kind, Cap):
        slack = kind.cap >= float(top_law.max()) * (1.0 - _ROUND)
    else:
        slack = radius >= canonical.spent(top_law) * (1.0 - _ROUND)
    if slack:
        return problem.closed(top_law, 0.0, top, "the ball is slack")
    if radius > canonical.floor * (1.0 + _ROUND):
        return None
    smallest, _, beta = (math.inf, math.inf, 0.0) if kind.smooth else canonical.break_point(radius)
    return problem.closed(flat, smallest, beta, "only the base itself is in the ball")


def _forced(canonical: Canonical, radius: float) -> bool:
    """Does every law that is allowed charge an atom at -inf?"""
    if isinstance(canonical.kind, Cap):
        return canonical.kind.cap < canonical.flat * (1.0 - _ROUND)
    return canonical.floor == math.inf or radius < canonical.floor * (1.0 - _ROUND)
