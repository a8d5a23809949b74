"""Safeguarded Newton on a positive unknown, many rows at once."""

from collections.abc import Callable
from typing import Any

Array = Any

# (x, rows still open as integer index or None for all) -> (residual, step): the residual increases with x; `step` is the
# Newton proposal, an x
Proposal = Callable[[Array, "Array | None"], tuple[Array, Array]]


def increasing_root(
    xp: Any, propose: Proposal, start: Array, upper: Array, *, settle: float = 1e-10, limit: int = 300
) -> tuple[Array, int]:
    """Root of an increasing residual on (0, upper), to the last digits.

    Newton's proposal is taken while it stays inside the bracket and the residual keeps halving; otherwise the bracket is
    bisected geometrically. A row is done once a Newton step is below `settle` relative (the next one would be its square), the
    residual is zero or the bracket has closed.

    Args:
        xp: array namespace.
        propose: evaluates residual and Newton proposal at x for the open rows.
        start: (rows,) first guess, inside (0, upper).
        upper: (rows,) exclusive upper limit, may be inf.
        settle: relative size of the last Newton step.
        limit: most evaluations.

    Returns:
        The root, (rows,), and the number of evaluations.
    """
    x = start
    lo, hi = xp.zeros_like(x), upper
    index = None
    cx, clo, chi = x, lo, hi
    older = before = xp.full_like(x, xp.inf)
    for count in range(1, limit + 1):
        residual, proposal = propose(cx, index)
        size = xp.abs(residual)
        below = residual < 0.0
        clo = xp.where(below, cx, clo)
        chi = xp.where(below, chi, cx)
        good = (proposal > clo) & (proposal < chi) & (proposal == proposal)
        stuck = size > 0.5 * older
        newton = good & ~stuck
        step = xp.abs(proposal - cx)
        done = (residual == 0.0) | ((step <= settle * cx) & good)
        tight = (chi - clo) <= 4e-16 * cx
        new = proposal
        older, before = before, size
        if not bool(xp.all(newton)):
            split = _split(xp, cx, clo, chi, below)
            new = xp.where(residual == 0.0, cx, xp.where(newton | (done & good), proposal, split))
            # after a bisection the two last residuals are no measure of progress
            older = xp.where(newton, older, xp.inf)
        cx = xp.where(tight & ~done, cx, new)
        finished = done | tight
        if bool(xp.all(finished)):
            return _put(xp, x, index, cx), count
        open_rows = ~finished
        if finished.shape[0] > 1 and int(xp.count_nonzero(open_rows)) * 2 < finished.shape[0]:
            x = _put(xp, x, index, cx)
            keep = xp.nonzero(open_rows)[0]
            index = keep if index is None else xp.take(index, keep)
            cx, clo, chi, older, before = (xp.take(a, keep) for a in (cx, clo, chi, older, before))
    return _put(xp, x, index, cx), limit


def _split(xp: Any, x: Array, lo: Array, hi: Array, below: Array) -> Array:
    """Geometric middle of the bracket, where its ends are known."""
    floor = xp.where(lo > 0.0, lo, x * 1e-4)
    ceiling = xp.where(hi < xp.inf, hi, x * 1e4)
    # a bracket within a factor of 4 is halved arithmetically: sqrt would lose nothing, but costs range at the extremes
    split = xp.where(ceiling < 4.0 * floor, 0.5 * (floor + ceiling), xp.sqrt(floor) * xp.sqrt(ceiling))
    return xp.where((lo == 0.0) & below, xp.minimum(ceiling, x * 1e4), split)


def _put(xp: Any, x: Array, index: Array | None, part: Array) -> Array:
    if index is None:
        return part
    out = xp.asarray(x, copy=True)
    out[index] = part
    return out
