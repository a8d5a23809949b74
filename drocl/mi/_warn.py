"""When an estimate should not be taken at face value, and the sentence that says so."""

import math
from dataclasses import dataclass

import numpy as np

from drocl.mi import _interval
from drocl.mi._objective import Objective
from drocl.mi._readout import HeldOut
from drocl.mi._types import Array
from drocl.mi.preprocess import transform


@dataclass(frozen=True)
class Look:
    """What the warnings are decided from."""

    label: str
    value: float
    error: float
    seen: float
    readout: str
    objective: Objective
    ceiling: float
    bound: float
    batch: int
    n: int
    held: list[HeldOut]

    @property
    def effective(self) -> float:
        """Smallest effective number of product pairs over the folds; nan where none has one."""
        known = [one.effective for one in self.held if one.effective == one.effective]
        return min(known) if known else math.nan


def texts(look: Look, x: Array, y: Array) -> tuple[str, ...]:
    """The warnings that apply, one sentence each."""
    found = [
        _broken(look),
        _log_n_ceiling(look),
        _saturated(look),
        _few_pairs(look),
        _moments(look, x, y),
        _gap(look),
        _interval.near_log_n(look.value, look.n),
    ]
    return tuple(text for text in found if text)


def _broken(look: Look) -> str:
    if math.isfinite(look.value):
        return ""
    return f"the read-out is {look.value}: the mean over product pairs overflowed; use another divergence, read-out or preprocessing"


def _log_n_ceiling(look: Look) -> str:
    top = min(math.log(look.batch), look.ceiling)
    if look.objective.name != "infonce" or look.readout != "own" or look.value < 0.7 * top:
        return ""
    return (
        f"the estimate {look.value:.2f} is near the ceiling log N = {top:.2f} of InfoNCE with batches of {look.batch}: the truth may "
        "be far larger; raise batch_size or read out by 'kl'"
    )


def _saturated(look: Look) -> str:
    if not math.isfinite(look.bound):
        return ""
    top = float(np.median(np.concatenate([one.positives for one in look.held])))
    near = look.readout == "own" and look.objective.rows and top > 0.8 * 0.5 * look.bound
    if not (near or look.value > 0.8 * look.bound):
        return ""
    return (
        f"the bounded critic is saturated: no bound read from it exceeds 2/tau = {look.bound:.2f} nats; lower the temperature or use "
        "another critic"
    )


def _few_pairs(look: Look) -> str:
    if look.readout == "plugin" or not look.effective < 100.0:
        return ""
    return (
        f"the mean over product pairs rests on about {look.effective:.0f} of them: the variance of this read-out grows exponentially "
        "with the information, and the interval may be too short"
    )


def _moments(look: Look, x: Array, y: Array) -> str:
    power = float(getattr(look.objective, "moment", 1.0))
    if power <= 1.0:
        return ""
    limit = 1.0 / (2.0 * power - 1.0)
    rho = _largest_correlation(x, y)
    tail = max((one.tail for one in look.held if one.tail == one.tail), default=0.0)
    if rho < limit and 2.0 * power * tail < 1.0:
        return ""
    return (
        f"the moments of {look.label} are likely infinite: its variance is finite only for |rho| < {limit:.2f} on Gaussian pairs, and "
        f"the largest canonical correlation of the normal scores is {rho:.2f} (tail index {tail:.2f}, limit {0.5 / power:.2f})"
    )


def _largest_correlation(x: Array, y: Array) -> float:
    left, right = (np.linalg.qr(z - z.mean(0))[0] for z in (transform(x, "copula"), transform(y, "copula")))
    return float(np.linalg.svd(left.T @ right, compute_uv=False)[0]) if len(x) > x.shape[1] + y.shape[1] else 0.0


def _gap(look: Look) -> str:
    gap = look.seen - look.value
    if not gap > max(0.05, 0.15 * abs(look.seen), 3.0 * look.error):
        return ""
    return (
        f"train/test gap: {look.seen:.2f} nats on pairs the critic was fitted on, {look.value:.2f} on new ones; more pairs, a smaller "
        "critic or fewer steps would help, and the truth likely lies between"
    )
