"""The penalised Renyi problem, which is not concave for orders above 1: a certified search along its carrier's curve.

    sup_Q E_Q g - tau R_a(Q) = sup_u V(u) - tau r(u),    r(u) = log(1 + a (a-1) u)/(a-1),

with V(u) the value of the Cressie-Read ball of radius u: concave, and every solved ball gives an upper bound of it that
is linear in u. Between two solved radii r lies above its chord (a > 1, concave) or above a tangent (a < 1, convex), so
the maximum over each interval is bounded, and the interval with the largest bound is split until none can win.
"""

import heapq
import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq

from drocl.divergences import Renyi
from drocl.dro.reference._judge import Answer, Judge

__all__ = ["penalised_renyi"]

_GAP = 1e-9  # of the spread: below it the search hands over to a root of the slope
_LIMIT = 300  # most balls solved


@dataclass(frozen=True)
class _Node:
    """A solved ball: V(u) is at least `answer.lower`, and at most `upper + slope (v - u)` at every radius v."""

    u: float
    answer: Answer
    upper: float
    slope: float


class _Search:
    def __init__(self, judge: Judge, renyi: Renyi, tau: float) -> None:
        self.judge, self.order, self.tau = judge, renyi.order, tau
        self.seconds = 0.0
        self.solved = 0

    def price(self, u: float) -> float:
        """tau r(u)."""
        a = self.order
        return self.tau * (u if a == 1.0 else math.log1p(a * (a - 1.0) * u) / (a - 1.0))

    def price_slope(self, u: float) -> float:
        return self.tau * self.order / (1.0 + self.order * (self.order - 1.0) * u)

    def surplus(self, node: _Node) -> float:
        """Sign and size of the objective's slope at a node: log of marginal value over marginal price."""
        return math.log(node.slope / self.price_slope(node.u)) if node.slope > 0.0 else -math.inf

    def node(self, u: float, value_only: bool = True) -> _Node:
        answer = self.judge.constrained(u, value_only)
        self.seconds += answer.seconds
        self.solved += 1
        # a poor answer makes a weak bound, not a wrong one
        slope = answer.alpha if 0.0 < answer.alpha < math.inf else 0.0
        upper = answer.lower + answer.gap if slope else float(self.judge.canonical.g.max())
        return _Node(u, answer, upper, slope)

    def objective(self, node: _Node) -> float:
        return node.answer.lower - self.price(node.u)

    def bound(self, left: _Node, right: _Node) -> tuple[float, float]:
        """Upper bound of the objective between two nodes, and the radius where it lies."""
        split = left.u
        if math.isfinite(left.slope) and left.slope > right.slope:
            rise = right.upper - right.slope * right.u - left.upper + left.slope * left.u
            split = min(max(rise / (left.slope - right.slope), left.u), right.u)
        if self.order > 1.0:
            steep = (self.price(right.u) - self.price(left.u)) / (right.u - left.u)
            anchor, at = left.u, self.price(left.u)
        else:
            steep, anchor, at = self.price_slope(split), split, self.price(split)

        def above(u: float) -> float:
            first = left.upper + left.slope * (u - left.u) if math.isfinite(left.slope) else math.inf
            return min(first, right.upper + right.slope * (u - right.u)) - at - steep * (u - anchor)

        best = max((left.u, split, right.u), key=above)
        return above(best), split if left.u < split < right.u else 0.5 * (left.u + right.u)


def penalised_renyi(judge: Judge, renyi: Renyi, tau: float) -> Answer:
    """Certified global answer of the penalised Renyi problem at temperature tau, in canonical units."""
    search, canonical = _Search(judge, renyi, tau), judge.canonical
    flat, top = np.full(canonical.g.size, canonical.flat), canonical.top_law
    blank = Answer(flat, math.inf, 0.0, canonical.reach(flat), 0.0, (tau, tau), 0.0, "", "closed form", 0.0, "")
    last = replace(blank, t=top, alpha=0.0, beta=float(canonical.g.max()), lower=canonical.reach(top))
    ends = (
        _Node(canonical.floor, blank, blank.lower, math.inf),
        _Node(canonical.spent(top), last, float(canonical.g.max()), 0.0),
    )
    nodes = list(ends)
    heap: list[tuple[float, int, _Node, _Node, float]] = []

    def push(left: _Node, right: _Node) -> None:
        bound, split = search.bound(left, right)
        heapq.heappush(heap, (-bound, len(nodes) + search.solved, left, right, split))

    push(*ends)
    best = max(nodes, key=search.objective)
    while search.solved < _LIMIT and -heap[0][0] - search.objective(best) > _GAP:
        _, _, left, right, split = heapq.heappop(heap)
        node = search.node(split)
        nodes.append(node)
        best = max(best, node, key=search.objective)
        push(left, node)
        push(node, right)
    ceiling = -heap[0][0]
    best = _polish(search, nodes, best)
    gap = max(ceiling - search.objective(best), 0.0)
    # at an inner maximum the multiplier of the ball is the temperature; at the end of the curve it need not be
    error = 0.0 if best.slope == 0.0 else abs(search.surplus(best))
    good = max(gap, error) <= judge.tolerance
    message = f"gap {gap:.1e} of the spread over all radii, slope there {error:.1e}, {search.solved} balls solved"
    return replace(
        best.answer,
        alpha=tau,
        lower=search.objective(best),
        gap=gap,
        interval=(tau, tau),
        error=error,
        status="optimal" if good else "inconclusive",
        seconds=search.seconds,
        message=("certified: " if good else f"not certified to {judge.tolerance:g}: ") + message,
    )


def _polish(search: _Search, nodes: list[_Node], best: _Node) -> _Node:
    """The maximum is flat, so its radius is refined by the root of the objective's slope next to `best`."""
    if best.slope in (0.0, math.inf):
        return best
    around = sorted(nodes, key=lambda node: node.u)
    place = around.index(best)
    left, right = around[place - 1], around[place + 1]
    found = [best]

    def surplus(log_u: float) -> float:
        found.append(search.node(math.exp(log_u), value_only=False))
        return search.surplus(found[-1])

    low, high = (best.u, right.u) if search.surplus(best) > 0.0 else (left.u, best.u)
    low = max(low, 1e-6 * high)
    high = 0.5 * (best.u + high) if high == around[-1].u else high
    try:
        brentq(surplus, math.log(low), math.log(high), xtol=1e-10, rtol=1e-14, maxiter=40)
    except (ValueError, RuntimeError):
        return best
    # differences of the objective below a node's gap are noise: among these nodes the flattest is the best
    near = [node for node in found if search.objective(node) + node.answer.gap >= search.objective(best) - 1e-12]
    return min(near, key=lambda node: abs(search.surplus(node)))
