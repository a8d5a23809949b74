"""An attack on a bound: search for the case with the smallest slack."""

from collections.abc import Callable
from typing import Any

import numpy as np

METHODS = {"nelder-mead": "Nelder-Mead", "powell": "Powell"}
STARTS = 3


class _Spent(Exception):
    """The budget is used up."""


def minimise_slack(
    slack: Callable[[np.ndarray], Any],
    sample: Callable[[np.random.Generator], Any],
    *,
    seed: int,
    budget: int,
    refine: str | None = "nelder-mead",
) -> tuple[np.ndarray, float]:
    r"""Search for the parameters at which a bound is tightest, or broken.

    $$ \min_\theta\ \mathrm{slack}(\theta), \qquad \mathrm{slack} < 0 \text{ where the bound fails} $$

    Half of the budget goes to random draws, the rest to a derivative-free descent from the best three.

    Args:
        slack: the slack at theta (any real scalar); a value that is not finite, or a ValueError, counts as a draw that
            does not apply.
        sample: draws a theta, an array of any one shape, from a generator.
        seed: seed of the generator.
        budget: evaluations of `slack`, at least 2; never exceeded.
        refine: "nelder-mead", "powell", or None to draw only.

    Returns:
        The best theta found, in the shape that `sample` gives, and its slack.

    Raises:
        ValueError: if `budget` or `refine` is out of range, or no draw gave a finite slack.

    >>> theta, value = minimise_slack(lambda t: (t[0] - 1) ** 2 - 1, lambda rng: rng.normal(size=1), seed=0, budget=200)
    >>> bool(abs(theta[0] - 1) < 1e-3), value < -0.999
    (True, True)
    """
    if budget < 2:
        raise ValueError(f"budget={budget} must be at least 2")
    if refine is not None and refine not in METHODS:
        raise ValueError(f"refine={refine!r} must be None or one of {', '.join(METHODS)}")
    search = _Search(slack, budget)
    rng = np.random.default_rng(seed)
    for _ in range(budget if refine is None else max(1, budget // 2)):
        theta = np.asarray(sample(rng), dtype=np.float64)
        search.shape = theta.shape
        search(theta.ravel())
    if not search.tried:
        raise ValueError(f"no finite slack among {search.spent} draws")
    if refine is not None:
        _descend(search, METHODS[refine])
    best = min(search.tried, key=lambda pair: pair[1])
    return best[0].reshape(search.shape), best[1]


class _Search:
    """Counts evaluations and keeps those that apply."""

    def __init__(self, slack: Callable[[np.ndarray], Any], budget: int) -> None:
        self.slack, self.budget, self.spent = slack, budget, 0
        self.shape: tuple[int, ...] = ()
        self.tried: list[tuple[np.ndarray, float]] = []

    def __call__(self, theta: np.ndarray) -> float:
        if self.spent >= self.budget:
            raise _Spent
        self.spent += 1
        try:
            value = float(self.slack(theta.reshape(self.shape).copy()))
        except ValueError:  # the descent stepped out of the domain
            return float("inf")
        if not np.isfinite(value):
            return float("inf")
        self.tried.append((theta.copy(), value))
        return value


def _descend(search: _Search, method: str) -> None:
    """Refine the best draws, with steps in proportion to the spread of what was drawn."""
    from scipy.optimize import minimize  # slow to import, and most claims have no attack

    drawn = np.stack([theta for theta, _ in search.tried])
    spread = drawn.std(axis=0)
    step = 0.2 * np.where(spread > 0, spread, np.maximum(0.1 * np.abs(drawn[0]), 1e-3))
    starts = [theta for theta, _ in sorted(search.tried, key=lambda pair: pair[1])[:STARTS]]
    for done, start in enumerate(starts):
        share = (search.budget - search.spent) // (len(starts) - done)
        options: dict[str, Any] = {"maxfev": share, "xatol": 1e-10, "fatol": 1e-14}
        if method == "Nelder-Mead":
            options["initial_simplex"] = np.vstack([start, start + np.diag(step)])
            options["adaptive"] = start.size > 4
        else:
            options = {"maxfev": share, "direc": np.diag(step), "xtol": 1e-10, "ftol": 1e-14}
        if share < 2:
            return
        try:
            minimize(search, start, method=method, options=options)
        except _Spent:
            return
