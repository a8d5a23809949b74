"""One estimate on one sample of a task with known truth, as a part of several simulations; and scores of many."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from drocl import mi
from drocl.mi import tasks

HARD_WORDS = ("student", "asinh", "spiral", "additive", "swissroll")
HARD: tuple[str, ...] = tuple(name for name in tasks.BENCHMARK if any(word in name for word in HARD_WORDS))
FAST = {"preset": "fast"}
#: name in the tables -> estimator, options
ESTIMATORS: dict[str, tuple[str, dict[str, Any]]] = {
    "auto": ("auto", {}),
    "copula": ("copula", {}),
    "cca": ("cca", {}),
    "ksg": ("ksg", {}),
    "infonce": ("infonce", {}),
    "infonce, fast": ("infonce", FAST),
    "infonce, separable": ("infonce", {**FAST, "critic": "separable", "preprocess": "standardize"}),
    "dro hellinger": ("dro", {"divergence": "hellinger"}),
    "dro hellinger, fast": ("dro", {**FAST, "divergence": "hellinger"}),
    "smile": ("smile", {}),
    "dv": ("dv", {}),
    "nwj": ("nwj", {}),
    "mine": ("mine", {}),
}
Row = dict[str, Any]


def part(task: str, n: int, seed: int, name: str, level: float) -> Row:
    """One estimate by a name of `ESTIMATORS`; see `estimate`."""
    estimator, options = ESTIMATORS[name]
    return {**estimate(task, n, seed, estimator, options, level), "estimator": name}


def estimate(task: str, n: int, seed: int, estimator: str, options: Mapping[str, Any], level: float) -> Row:
    """Estimate on n pairs drawn with a seed that the estimator does not see.

    Args:
        task: a name of `drocl.mi.tasks`.
        n: pairs.
        seed: of the sample; the estimator's own is 0.
        estimator, options: as `drocl.mi.estimate` takes them.
        level: of the interval.

    Returns:
        task, estimator, n, seed, truth, value, low, high, seconds, warned (how many warnings), chose (what "auto" chose).
    """
    law = tasks.get(task)
    x, y = law.sample(n, np.random.SeedSequence([20_250, seed]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mi.MIWarning)
        found = mi.estimate(x, y, estimator, level=level, **options)
    return {
        "task": task, "estimator": estimator, "n": n, "seed": seed, "truth": law.mutual_information, "value": found.value,
        "low": found.interval[0], "high": found.interval[1], "seconds": found.seconds, "warned": len(found.warnings),
        "chose": found.estimator,
    }  # fmt: skip


def errors(rows: Sequence[Row]) -> dict[str, float]:
    """Absolute errors, nats: n, median, mean, max, within (how many are within 10 % of the truth).

    >>> errors([{"value": 1.0, "truth": 1.05}, {"value": 0.0, "truth": 1.0}])["within"]
    1
    """
    value, truth = (np.array([float(row[name]) for row in rows]) for name in ("value", "truth"))
    gap = np.abs(value - truth)
    return {
        "n": len(rows), "median": float(np.median(gap)), "mean": float(gap.mean()), "max": float(gap.max()),
        "within": int((gap <= 0.1 * truth).sum()),
    }  # fmt: skip


def covered(row: Row) -> bool:
    """Whether the interval holds the truth."""
    return bool(float(row["low"]) <= float(row["truth"]) <= float(row["high"]))
