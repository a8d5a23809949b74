"""Evidence: what one case of a check found, and the helpers that make it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import betaincinv

Number = float | int  # a type checker reads float as both; a run-time one does not


@dataclass(frozen=True)
class Evidence:
    r"""One case of a check: two numbers, their gap, and how large the gap may be.

    $$ \text{the case passes} \iff \mathrm{gap} \le \mathrm{allowed} $$

    Args:
        lhs: left-hand side (the worst entry, where arrays were compared).
        rhs: right-hand side.
        gap: how far the case is from passing exactly; signed for bounds.
        allowed: largest gap that passes.
        status: "ok", "certified" (both conclusive), or why the case decides nothing ("inconclusive: ...").
        solver: name of the solver behind the numbers, if any.
        interval: (lo, hi), a confidence interval of the gap, where it was sampled; it then decides in place of `gap`.
        detail: further numbers worth keeping (JSON-able; numpy values are converted).
        params: the case's parameters (filled by the runner).
        seed: the case's seed (filled by the runner).
        seconds: wall time (filled by the runner).
        warnings: messages of the warnings raised (filled by the runner).

    Raises:
        ValueError: if a number is not a real scalar, or the interval is reversed.
    """

    lhs: Number
    rhs: Number
    gap: Number
    allowed: Number
    status: str = "ok"
    solver: str = ""
    interval: tuple[Number, Number] | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("lhs", "rhs", "gap", "allowed"):
            object.__setattr__(self, name, _scalar(getattr(self, name), name))
        if self.interval is not None:
            lo, hi = (_scalar(end, "interval") for end in self.interval)
            if lo > hi:
                raise ValueError(f"interval=({lo:g}, {hi:g}) must have its lower end first")
            object.__setattr__(self, "interval", (lo, hi))
        object.__setattr__(self, "detail", dict(self.detail))


def agree(lhs: Any, rhs: Any, rtol: Number = 0.0, atol: Number = 0.0, scale: Any = None, **detail: Any) -> Evidence:
    r"""Say that two numbers or arrays are equal.

    $$ |l - r| \le \mathrm{atol} + \mathrm{rtol}\cdot s, \qquad s = |r| \text{ unless given} $$

    With `rtol` the gap is relative, $|l-r| / (s + \mathrm{atol}/\mathrm{rtol})$ against `rtol`; without it the gap is
    $|l-r|$ (divided by `scale`, if given) against `atol`. The worst entry is kept.

    Args:
        lhs: left-hand side; shapes broadcast.
        rhs: right-hand side.
        rtol: relative tolerance, >= 0.
        atol: absolute tolerance, >= 0.
        scale: positive size to measure the difference by, in place of |rhs|.
        detail: kept with the evidence; `status=` and `solver=` set those fields.

    Returns:
        Evidence of the worst entry.

    Raises:
        ValueError: if a tolerance is negative, an array is empty, or the shapes do not broadcast.

    >>> agree(1.0 + 1e-9, 1.0, rtol=1e-8).gap < 1e-8
    True
    """
    _tolerances(rtol=rtol, atol=atol)
    left, right = _pair(lhs, rhs)
    with np.errstate(all="ignore"):
        difference = np.where(left == right, 0.0, np.abs(left - right))  # equal infinities agree
        size = np.abs(right) if scale is None and rtol > 0 else _size(scale)
        size = size + atol / rtol if rtol > 0 else size
        gap = np.where(difference == 0.0, 0.0, difference / size)
    return _worst(left, right, gap, rtol if rtol > 0 else atol, detail)


def at_most(lhs: Any, rhs: Any, atol: Number = 0.0, scale: Any = None, **detail: Any) -> Evidence:
    r"""Say that a number or array is bounded from above.

    $$ l - r \le \mathrm{atol} \quad (\text{or } (l - r)/s \le \mathrm{atol}) $$

    The gap is signed: minus the slack. `detail["vacuity"]` is bound / truth, $r / l$, where both are positive.

    Args:
        lhs: the bounded quantity.
        rhs: the bound; shapes broadcast.
        atol: rounding allowed, >= 0.
        scale: positive size to divide the gap by.
        detail: kept with the evidence; `status=` and `solver=` set those fields.

    Returns:
        Evidence of the entry with the smallest slack.

    Raises:
        ValueError: if `atol` is negative, an array is empty, or the shapes do not broadcast.

    >>> at_most(1.0, 3.0).gap, at_most(1.0, 3.0).detail["vacuity"]
    (-2.0, 3.0)
    """
    _tolerances(atol=atol)
    left, right = _pair(lhs, rhs)
    with np.errstate(all="ignore"):
        gap = np.asarray((left - right) / _size(scale))
    return _with_vacuity(_worst(left, right, gap, atol, detail), truth="lhs")


def at_least(lhs: Any, rhs: Any, atol: Number = 0.0, scale: Any = None, **detail: Any) -> Evidence:
    r"""Say that a number or array is bounded from below: the mirror of `at_most`.

    $$ r - l \le \mathrm{atol} \quad (\text{or } (r - l)/s \le \mathrm{atol}) $$

    Args:
        lhs: the bounded quantity.
        rhs: the lower bound; shapes broadcast.
        atol: rounding allowed, >= 0.
        scale: positive size to divide the gap by.
        detail: kept with the evidence; `status=` and `solver=` set those fields.

    Returns:
        Evidence of the entry with the smallest slack; `detail["vacuity"]` is truth / bound: larger is emptier here too.

    Raises:
        ValueError: if `atol` is negative, an array is empty, or the shapes do not broadcast.

    >>> at_least(3.0, 1.0).gap
    -2.0
    """
    _tolerances(atol=atol)
    left, right = _pair(lhs, rhs)
    with np.errstate(all="ignore"):
        gap = np.asarray((right - left) / _size(scale))
    return _with_vacuity(_worst(left, right, gap, atol, detail), truth="rhs")


def fitted_slope(x: Any, y: Any) -> float:
    r"""Fit the power in y = c x^s by least squares on the logarithms.

    $$ s = \frac{\sum (\log x - \overline{\log x})\,\log y}{\sum (\log x - \overline{\log x})^2} $$

    Args:
        x: at least three positive values, not all equal.
        y: as many positive values.

    Returns:
        The fitted power s.

    Raises:
        ValueError: if there are fewer than three points, or a value is not positive and finite.

    >>> round(fitted_slope([1, 2, 4], [3, 12, 48]), 12)
    2.0
    """
    log_x, log_y = _log_points(x, y)
    centred = log_x - log_x.mean()
    return float(centred @ log_y / (centred @ centred))


def slope(x: Any, y: Any, expected: Number, within: Number, **detail: Any) -> Evidence:
    r"""Say that y goes as a power of x: the fitted log-log slope against the expected one.

    $$ |s - s_0| \le \mathrm{within} $$

    Args:
        x: at least three positive values, not all equal.
        y: as many positive values.
        expected: the power s_0 claimed.
        within: how far the fit may be from it, >= 0.
        detail: kept with the evidence; `status=` and `solver=` set those fields.

    Returns:
        Evidence with lhs the fitted power and rhs the expected one; x and y are kept in `detail`.

    Raises:
        ValueError: as `fitted_slope`, or if `within` is negative.
    """
    _tolerances(within=within)
    fitted = fitted_slope(x, y)
    points = {"x": _array(x, "x").ravel().tolist(), "y": _array(y, "y").ravel().tolist()}
    return _worst(
        np.asarray(fitted),
        np.asarray(float(expected)),
        np.asarray(abs(fitted - expected)),
        within,
        {**points, **detail},
    )


def coverage(
    hits: int, trials: int, level: Number, within: Number = 0.0, alpha: Number = 0.01, **detail: Any
) -> Evidence:
    r"""Say that an interval or a bound covers at least as often as it promises (Clopper-Pearson).

    $$ \text{gap} = \text{level} - p, \qquad p \in [B_{\alpha/2}(h, n-h+1),\ B_{1-\alpha/2}(h+1, n-h)] $$

    Args:
        hits: number of trials that were covered, 0 <= hits <= trials.
        trials: number of independent trials, >= 1.
        level: promised coverage, in [0, 1].
        within: shortfall that still passes, >= 0 (a rule with exactly the promised coverage can never be *shown* to
            have it, only to be within a margin).
        alpha: error probability of the interval, in (0, 1); pass `family(alpha)` inside a run.
        detail: kept with the evidence; `status=` and `solver=` set those fields.

    Returns:
        Evidence whose interval decides.

    Raises:
        ValueError: if a number is out of its range.

    >>> coverage(960, 1000, 0.95, within=0.02).interval[1] < 0.02
    True
    """
    if trials < 1 or not 0 <= hits <= trials:
        raise ValueError(f"hits={hits}, trials={trials}: need 0 <= hits <= trials and trials >= 1")
    if not 0 <= level <= 1:
        raise ValueError(f"level={level:g} must lie in [0, 1]")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha={alpha:g} must lie in (0, 1)")
    _tolerances(within=within)
    lower = 0.0 if hits == 0 else float(betaincinv(hits, trials - hits + 1, alpha / 2))
    upper = 1.0 if hits == trials else float(betaincinv(hits + 1, trials - hits, 1 - alpha / 2))
    share = hits / trials
    made = _worst(
        np.asarray(share),
        np.asarray(float(level)),
        np.asarray(level - share),
        within,
        {"hits": hits, "trials": trials, "alpha": alpha, **detail},
    )
    return _replace(made, interval=(level - upper, level - lower))


def _worst(left: np.ndarray, right: np.ndarray, gap: np.ndarray, allowed: Number, detail: dict[str, Any]) -> Evidence:
    """Keep the entry with the largest gap (nan counts as largest: it must not hide)."""
    left, right, gap = np.broadcast_arrays(left, right, gap)
    flat = int(np.argmax(np.where(np.isnan(gap), np.inf, gap)))
    where = np.unravel_index(flat, gap.shape)
    kept = dict(detail)
    status, solver = str(kept.pop("status", "ok")), str(kept.pop("solver", ""))
    if gap.size > 1:
        kept = {"entry": [int(i) for i in where], "entries": int(gap.size), **kept}
    return Evidence(
        float(left[where]), float(right[where]), float(gap[where]), float(allowed), status, solver, detail=kept
    )


def _with_vacuity(evidence: Evidence, truth: str) -> Evidence:
    bound, true = (evidence.rhs, evidence.lhs) if truth == "lhs" else (evidence.lhs, evidence.rhs)
    if not (math.isfinite(bound) and math.isfinite(true) and bound > 0 and true > 0):
        return evidence
    return _replace(evidence, detail={"vacuity": bound / true, **evidence.detail})


def _replace(evidence: Evidence, **changes: Any) -> Evidence:
    return Evidence(**{**evidence.__dict__, **changes})


def _array(value: Any, name: str) -> np.ndarray:
    """A float64 numpy array of a number, list, numpy array or torch tensor."""
    value = value.detach().cpu() if hasattr(value, "detach") else value
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}={value!r} must be a real number or an array of them") from error
    if array.size == 0:
        raise ValueError(f"{name} is empty: an empty comparison would always pass")
    return array


def _size(scale: Any) -> np.ndarray:
    size = np.ones(()) if scale is None else _array(scale, "scale")
    if np.any(size < 0):
        raise ValueError(f"scale={size.min():g} must be positive: a negative one would turn the comparison round")
    return size


def _pair(lhs: Any, rhs: Any) -> tuple[np.ndarray, np.ndarray]:
    left, right = _array(lhs, "lhs"), _array(rhs, "rhs")
    try:
        left, right = np.broadcast_arrays(left, right)
    except ValueError as error:
        raise ValueError(f"lhs {left.shape} and rhs {right.shape} do not broadcast") from error
    return left, right


def _log_points(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    first, second = _array(x, "x").ravel(), _array(y, "y").ravel()
    if first.size != second.size or first.size < 3:
        raise ValueError(f"x and y have {first.size} and {second.size} points: need the same number, at least 3")
    for name, values in (("x", first), ("y", second)):
        if not (np.all(np.isfinite(values)) and np.all(values > 0)):
            raise ValueError(f"{name}={values.tolist()} must be positive and finite")
    if np.ptp(first) == 0:
        raise ValueError(f"x={first[0]:g} is the same everywhere: no slope")
    return np.log(first), np.log(second)


def _scalar(value: Any, name: str) -> float:
    array = _array(value, name)
    if array.size != 1:
        raise ValueError(f"{name} has shape {array.shape}: evidence holds one number (agree keeps the worst)")
    return float(array.reshape(()))


def _tolerances(**given: Number) -> None:
    for name, value in given.items():
        if not value >= 0 or math.isinf(value):
            raise ValueError(f"{name}={value} must be finite and >= 0")
