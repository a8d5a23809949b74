"""The cvxpy problems: the density ratio t = q/q0 as the variable, radius or temperature a DPP parameter."""

import contextlib
import importlib
import io
import math
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from drocl.dro.reference._certificate import Canonical
from drocl.dro.reference._kinds import Cap, Floats, Power

__all__ = ["SOLVERS", "Form", "Program", "Proposal", "Recipe", "recipes"]

Form = Literal["ball", "norm", "price"]

# Interior points at 1e-13 give KL multipliers to 1e-12; second-order cones stall earlier, where SCS goes on.
_TIGHT: Mapping[str, Any] = {"tol_gap_abs": 1e-13, "tol_gap_rel": 1e-13, "tol_feas": 1e-13, "max_iter": 500}
_SCS: Mapping[str, Any] = {"eps_abs": 1e-10, "eps_rel": 1e-10, "max_iters": 10_000}
_SCS_TIGHT: Mapping[str, Any] = {**_SCS, "eps_abs": 1e-12, "eps_rel": 1e-12}
_HIGHS: Mapping[str, Any] = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
SOLVERS = ("clarabel", "scs", "highs")


@dataclass(frozen=True)
class Recipe:
    """One way to solve: which form of the problem, which solver, with which options."""

    form: Form
    solver: str
    options: Mapping[str, Any]


def recipes(canonical: Canonical, penalised: bool, solver: str | None, options: Mapping[str, Any]) -> list[Recipe]:
    """Ways to try, in order; those of one solver if it is named."""
    kind = canonical.kind
    form: Form = "price" if penalised else "ball"
    power = kind.k if isinstance(kind, Power) else 0.0
    ways: list[tuple[Form, str, Mapping[str, Any]]]
    if kind.linear:
        ways = [(form, "highs", _HIGHS), (form, "clarabel", _TIGHT), (form, "scs", _SCS)]
    elif penalised or power <= 1.0:
        ways = [(form, "clarabel", _TIGHT), (form, "scs", _SCS), (form, "scs", _SCS_TIGHT), (form, "clarabel", {})]
    elif power == 2.0:
        ways = [("norm", "clarabel", _TIGHT), ("norm", "scs", _SCS), ("norm", "scs", _SCS_TIGHT), (form, "scs", _SCS)]
    else:
        ways = [("norm", "clarabel", _TIGHT), (form, "clarabel", _TIGHT), ("norm", "scs", _SCS), (form, "scs", _SCS)]
        if power < 1.25:  # the norm is nearly linear there
            ways[:2] = ways[1::-1]
    chosen = [Recipe(f, s, {**o, **options}) for f, s, o in ways if s == (solver or s)]
    # given options can make two ways the same
    return [way for place, way in enumerate(chosen) if way not in chosen[:place]]


@dataclass(frozen=True)
class Proposal:
    """What a solver says: t (m,), multiplier and normalizer."""

    t: Floats
    alpha: float
    beta: float


class Program:
    """One convex programme, canonicalised once.

    Forms: "ball" is D <= radius; "price" takes temperature D off the objective; "norm" is the ball of a power k > 1 as
    (E t^k)^(1/k) <= (1 + k (k-1) radius/c)^(1/k), which stays well scaled where E t^k is large.
    """

    def __init__(self, canonical: Canonical, form: Form) -> None:
        cp: Any = importlib.import_module("cvxpy")  # here, so that importing the reference stays cheap
        kind, g, w = canonical.kind, canonical.g, canonical.w
        self._kind, self._form = kind, form
        self._t = t = cp.Variable(g.size)
        self._parameter = level = cp.Parameter(nonneg=True)
        fixed = canonical.dead * kind.at_zero if canonical.dead > 0.0 else 0.0
        self._mass = w @ t == 1.0
        loss, constraints = -(w * g) @ t, [self._mass]
        if form == "price":
            loss = loss + level * (w @ kind.atom(cp, t))
        elif form == "norm" and isinstance(kind, Power):
            x = cp.multiply(w ** (1.0 / kind.k), t)
            norm = cp.norm(x, 2) if kind.k == 2.0 else cp.pnorm(x, kind.k, approx=False)
            self._ball = norm <= level
        elif isinstance(kind, Cap):
            self._ball = t <= level
        else:
            self._ball = w @ kind.atom(cp, t) + fixed <= level
        if form != "price":
            constraints.append(self._ball)
        if kind.restrict or form == "norm":
            constraints.append(t >= 0.0)
        self._problem = cp.Problem(cp.Minimize(loss), constraints)
        if not self._problem.is_dpp():
            raise AssertionError("the reference programme must be DPP: each radius would be canonicalised again")

    def propose(self, level: float, recipe: Recipe) -> tuple[Proposal | None, str, float]:
        """Solve at one radius, temperature or cap.

        Returns:
            The proposal (None where the solver left none), the solver's own status, and the seconds it took.
        """
        cp: Any = importlib.import_module("cvxpy")
        self._parameter.value = self._bound(level)
        start = time.perf_counter()
        try:
            # solvers warn ("may be inaccurate", SCS on stdout): here the certificate decides
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                # a cold start, so that a sweep returns what single problems return
                self._problem.solve(solver=recipe.solver.upper(), warm_start=False, **recipe.options)
        except (cp.error.SolverError, ArithmeticError, ValueError) as error:
            return None, f"failed ({str(error).splitlines()[0]})", time.perf_counter() - start
        seconds, status = time.perf_counter() - start, str(self._problem.status)
        dual = None if self._form == "price" else self._ball.dual_value
        if self._t.value is None or self._mass.dual_value is None or (dual is None and self._form != "price"):
            return None, status, seconds
        t, beta = np.asarray(self._t.value, dtype=np.float64), float(np.squeeze(self._mass.dual_value))
        alpha = level if dual is None else float(np.sum(dual))
        if self._form == "norm" and isinstance(self._kind, Power):
            # chain rule from the norm to the radius; the linear part of phi, left out of the norm, goes into beta
            k, scale = self._kind.k, self._kind.scale
            alpha *= self._bound(level) ** (1.0 - k) * (k - 1.0) / scale
            beta += alpha * scale / (k - 1.0)
        good = bool(np.isfinite(t).all()) and math.isfinite(alpha) and math.isfinite(beta)
        return Proposal(t, alpha, beta) if good else None, status, seconds

    def _bound(self, level: float) -> float:
        """The parameter's value at a level."""
        if self._form != "norm" or not isinstance(self._kind, Power):
            return level
        k = self._kind.k
        return float((1.0 + k * (k - 1.0) * level / self._kind.scale) ** (1.0 / k))
