"""Slow, certified robust expectations through cvxpy: the yardstick of the fast solver.

`worst_case` hands one problem to an interior-point or first-order solver, with the density ratio q/q0 as its variable,
and then checks the answer by itself: a feasible lower bound, a weak-duality upper bound, a bracket of the multiplier.
Only an answer that passes is called `optimal`. It shares no formula with `drocl.dro`'s solver, and does not call it.
"""

from drocl.dro.reference._solve import Sweep, worst_case
from drocl.dro.reference._types import ReferenceSolution

__all__ = ["ReferenceSolution", "Sweep", "worst_case"]
