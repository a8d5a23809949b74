"""What the estimators without training share: the estimate as a mean over pairs, its interval and the bookkeeping."""

import time
from collections.abc import Mapping
from typing import Any

from drocl.mi._interval import normal_interval
from drocl.mi._types import MIEstimate


def finish(
    label: str, value: float, error: float, level: float, n: int, began: float, warnings: tuple[str, ...] = (),
    details: Mapping[str, Any] | None = None, n_train: int | None = None,
) -> MIEstimate:  # fmt: skip
    """The estimate, with a normal interval.

    Args:
        label: of the estimator, with the options that matter.
        value, error: nats, with the standard error.
        level: coverage.
        n: pairs it was evaluated on.
        began: `time.perf_counter()` at the start.
        warnings, details: as they go into the estimate.
        n_train: pairs it was fitted on, n by default.
    """
    seconds = time.perf_counter() - began
    kept = {"standard_error": error, **(details or {})}
    return MIEstimate(
        value, normal_interval(value, error, level), level, (), label, n_train or n, n, seconds, warnings, kept
    )
