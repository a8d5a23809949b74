"""Sampled evidence: intervals, a shared error probability, and a rule that samples more before it accuses."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
from scipy.special import stdtrit

from drocl.claims.evidence import Evidence, Number

_MEMBERS: ContextVar[int | None] = ContextVar("sampled cases of the run", default=None)


@contextmanager
def sampled_cases(count: int) -> Iterator[None]:
    """Tell the checks run inside how many sampled cases share the error probability (the runner's part).

    Args:
        count: the number of them; 0 for a claim that is not declared `sampled`.
    """
    token = _MEMBERS.set(count)
    try:
        yield
    finally:
        _MEMBERS.reset(token)


def family(alpha: Number = 0.01) -> float:
    r"""The error probability of one sampled case, so that all of the run together err with probability at most alpha.

    $$ \alpha_{\text{case}} = \alpha / m \qquad \text{(Bonferroni, } m \text{ sampled cases in the profile)} $$

    Args:
        alpha: error probability of the whole run, in (0, 1).

    Returns:
        alpha / m inside a run; alpha where the check is called by hand.

    Raises:
        ValueError: if alpha is out of range, or the claim is not declared `sampled=True`.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha={alpha:g} must lie in (0, 1)")
    members = _MEMBERS.get()
    if members == 0:
        raise ValueError("family() shares the run's error probability: declare the claim sampled=True")
    return alpha / (members or 1)


def sample_until(
    sampler: Callable[[int, int], Any],
    allowed: Number,
    alpha: Number,
    start: int,
    limit: int,
    *,
    bounds: tuple[Number, Number] | None = None,
    **detail: Any,
) -> Evidence:
    r"""Sample a mean gap until an interval decides it; sample on before saying "violated".

    $$ \text{looks at } n = \text{start}, 2\,\text{start}, 4\,\text{start}, \dots, \text{limit}, \qquad
       \bar g \pm t_{1 - \alpha / (2 L),\, n-1}\, s/\sqrt n \quad (L \text{ looks}) $$

    With `bounds` the interval is the empirical Bernstein bound, which needs no normality. The gap is said to be within
    `allowed` at the first look whose interval says so; beyond it only if two successive looks say so, or the last.

    Args:
        sampler: `sampler(draws, look)` returns `draws` independent samples of the gap, or the pair
            (estimate, standard error) of as many; `look` = 0, 1, ... must make the draws independent.
        allowed: largest mean gap that passes.
        alpha: error probability of the whole rule, in (0, 1); pass `family(alpha)`.
        start: draws of the first look, at least 2.
        limit: draws in all, at least `start`.
        bounds: known range (lo, hi) of a sample.
        detail: kept with the evidence.

    Returns:
        Evidence with lhs the mean gap, rhs 0, and the interval that decides.

    Raises:
        ValueError: if an argument is out of range.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha={alpha:g} must lie in (0, 1)")
    if not 2 <= start <= limit:
        raise ValueError(f"start={start}, limit={limit}: need 2 <= start <= limit")
    totals = [start]
    while totals[-1] < limit:
        totals.append(min(2 * totals[-1], limit))
    share, pool, accused = alpha / len(totals), _Pool(), False
    for look, total in enumerate(totals):
        pool.add(sampler(total - pool.draws, look), total - pool.draws)
        lo, hi = pool.interval(share, bounds)
        if hi <= allowed or (lo > allowed and (accused or total == limit)):
            break
        accused = lo > allowed
    kept = {"draws": pool.draws, "looks": look + 1, "alpha": alpha, "standard_error": pool.error, **detail}
    return Evidence(pool.mean, 0.0, pool.mean, allowed, interval=(lo, hi), detail=kept)


class _Pool:
    """Mean and spread of all draws so far, merged batch by batch (Chan, Golub and LeVeque 1983)."""

    def __init__(self) -> None:
        self.draws, self.mean, self.squares = 0, 0.0, 0.0

    @property
    def error(self) -> float:
        return math.sqrt(self.squares / (self.draws - 1) / self.draws)

    def add(self, batch: Any, draws: int) -> None:
        if isinstance(batch, tuple):
            mean, squares = float(batch[0]), float(batch[1]) ** 2 * draws * (draws - 1)
        else:
            values = np.asarray(batch, dtype=np.float64).ravel()
            if values.size != draws:
                raise ValueError(f"sampler returned {values.size} samples, asked for {draws}")
            mean = float(values.mean())
            squares = float(((values - mean) ** 2).sum())
        if not (math.isfinite(mean) and math.isfinite(squares)):
            raise ValueError(f"sampler returned a mean of {mean} with squares {squares}: must be finite")
        total = self.draws + draws
        self.squares += squares + (mean - self.mean) ** 2 * self.draws * draws / total
        self.mean += (mean - self.mean) * draws / total
        self.draws = total

    def interval(self, alpha: Number, bounds: tuple[Number, Number] | None) -> tuple[float, float]:
        if bounds is None:
            half = float(stdtrit(self.draws - 1, 1 - alpha / 2)) * self.error
        else:  # Maurer and Pontil 2009, Theorem 4, on both sides
            log_term = math.log(4 / alpha)
            half = math.sqrt(2 * log_term) * self.error
            half += 7 * (bounds[1] - bounds[0]) * log_term / (3 * (self.draws - 1))
        return self.mean - half, self.mean + half
