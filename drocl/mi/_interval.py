r"""An interval from influence values of held-out pairs.

A read-out F(A, U) has A a mean over pairs and U a U-statistic over products of pairs, so that the influence of pair i is
$F_A(a_i - A) + F_U(\bar u_{i\cdot} + \bar u_{\cdot i} - 2U)$: it enters the product law once with its x and once with its y.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

from drocl.mi._types import Array


def fold_mean(values: Sequence[float], parts: Sequence[Array]) -> float:
    """Mean of one value a fold, weighted by the size of its part."""
    return float(np.average(values, weights=[len(one) for one in parts]))


def over_folds(values: Sequence[float], influence: Sequence[Array]) -> tuple[float, float]:
    """`fold_mean` and its standard error, from the influence values of each fold."""
    return fold_mean(values, influence), standard_error(values, influence)


def standard_error(values: Sequence[float], influence: Sequence[Array]) -> float:
    """Of `fold_mean`: sampling within folds, and what folds differ beyond it (their critics)."""
    sizes = np.array([len(one) for one in influence], dtype=float)
    within = np.array([float(np.sum((one - one.mean()) ** 2)) for one in influence])
    sampling = within.sum() / sizes.sum() ** 2
    folds = len(values)
    if not np.isfinite([sampling, *values]).all():
        return math.nan
    if folds < 2:
        return math.sqrt(sampling)
    spread = float(np.var(np.asarray(values), ddof=1)) - float(np.mean(within / sizes**2))
    return math.sqrt(sampling + max(0.0, spread) / folds)


def normal_interval(value: float, error: float, level: float) -> tuple[float, float]:
    """value -+ quantile * error."""
    half = float(ndtri(0.5 + 0.5 * level)) * error
    return value - half, value + half


def near_log_n(value: float, n: int) -> str:
    """What to say of an estimate that n pairs cannot certify, or nothing."""
    if value < 0.8 * math.log(n):
        return ""
    return (
        f"the estimate {value:.2f} is near log n = {math.log(n):.2f}: no distribution-free lower bound from {n} pairs can "
        "certify more than about that"
    )


CORRECTIONS = ("none", "interval", "value")


def corrected(value: float, error: float, level: float, seen: float, mode: str) -> tuple[float, tuple[float, float]]:
    r"""Value and interval, normal, with the train/test gap taken into account.

    A critic fitted by maximum likelihood gains on its own sample what it loses on a new one (to first order, if the truth is within
    its reach): the truth then lies halfway between the two read-outs.

    Args:
        value, error: held-out read-out and its standard error.
        level: nominal coverage.
        seen: the read-out on pairs the critic was fitted on.
        mode: "none"; "interval": the upper end moves by half the gap; "value": the value moves by it, and a quarter of the gap is
            added to the error in quadrature, as the correction is a rule of first order.

    >>> value, (lo, hi) = corrected(1.0, 0.1, 0.9, seen=1.2, mode="interval")
    >>> value, round(lo, 3), round(hi, 3)
    (1.0, 0.836, 1.264)
    """
    gap = max(0.0, seen - value) if math.isfinite(seen) and mode != "none" else 0.0
    if mode == "value":
        value, error = value + 0.5 * gap, math.hypot(error, 0.25 * gap)
    low, high = normal_interval(value, error, level)
    return value, (low, high + (0.5 * gap if mode == "interval" else 0.0))
