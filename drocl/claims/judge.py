"""Verdicts: pure functions of the evidence, never written by an author."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

CONCLUSIVE = ("ok", "certified")


def passed(row: Mapping[str, Any]) -> bool | None:
    r"""Say whether one row of evidence passes, fails, or decides nothing.

    $$ \text{pass: } \mathrm{gap} \le \mathrm{allowed}, \qquad
       \text{with an interval: pass if } hi \le \mathrm{allowed},\ \text{fail if } lo > \mathrm{allowed} $$

    Args:
        row: keys `gap`, `allowed`, `status`, `interval` (None or a pair).

    Returns:
        True, False, or None where the status is not conclusive, a number is not finite, or the interval straddles.
    """
    gap, allowed, interval = float(row["gap"]), float(row["allowed"]), row.get("interval")
    if row["status"] not in CONCLUSIVE or not math.isfinite(allowed):
        return None
    if interval is not None:
        lo, hi = float(interval[0]), float(interval[1])
        return True if hi <= allowed else False if lo > allowed else None
    return gap <= allowed if math.isfinite(gap) else None


def verdict(rows: Sequence[Mapping[str, Any]]) -> str:
    """Judge a claim by its rows.

    Args:
        rows: evidence rows, as `passed` reads them.

    Returns:
        "violated" if a conclusive row fails; else "inconclusive" if a row decides nothing; "not run" without rows;
        else "holds", or "holds (certified)" where each row's status is "certified".
    """
    outcomes = [passed(row) for row in rows]
    if not rows:
        return "not run"
    if False in outcomes:
        return "violated"
    if None in outcomes:
        return "inconclusive"
    return "holds (certified)" if all(row["status"] == "certified" for row in rows) else "holds"


def control_outcome(claim_verdict: str, control_verdict: str, expects: str) -> str:
    """Say whether the check tells the claim from its control.

    Args:
        claim_verdict: verdict of the claim's rows.
        control_verdict: verdict of the control's rows.
        expects: what the control should get, "violated" or "holds".

    Returns:
        "rejected" if the control got what it should and the claim got something else; "not run" if either was not
        run; else "blind".
    """
    if "not run" in (claim_verdict, control_verdict):
        return "not run"
    as_expected = _plain(control_verdict) == expects
    return "rejected" if as_expected and _plain(claim_verdict) != expects else "blind"


def worst(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The row nearest to failing, or furthest beyond it; conclusive rows first.

    Gaps are measured against what is allowed where that makes sense, that is where no row is a signed slack and each
    allows something; else they are compared as they are.

    Args:
        rows: evidence rows.

    Returns:
        One of them, or None if there are none.
    """
    relative = all(not float(row["gap"]) < 0 and float(row["allowed"]) > 0 for row in rows if _finite(row))

    def beyond(row: Mapping[str, Any]) -> tuple[bool, float]:
        if not _finite(row):
            return passed(row) is not None, -math.inf
        gap, allowed = float(row["gap"]), float(row["allowed"])
        return passed(row) is not None, gap / allowed if relative else gap - allowed

    return max(rows, key=beyond, default=None)


def smallest_counterexample(rows: Sequence[Mapping[str, Any]], axis: str | None) -> Mapping[str, Any] | None:
    """The first failing row by size, then in the order given; what a search found comes after the grid.

    Args:
        rows: evidence rows in grid order, each with `params` and `role`.
        axis: the parameter that measures size; None keeps the order.

    Returns:
        The row, or None if no row fails.
    """
    failing = [row for row in rows if passed(row) is False]
    return min(failing, key=lambda row: (row.get("role") == "attack", _size(row, axis)), default=None)


def vacuity(rows: Iterable[Mapping[str, Any]]) -> tuple[float, float, float] | None:
    """Smallest, median and largest bound / truth over the rows that state one.

    Args:
        rows: evidence rows whose `detail` may hold "vacuity".

    Returns:
        The three numbers, or None if no row states a finite one.
    """
    stated = (row.get("detail", {}).get("vacuity") for row in rows)
    ratios = sorted(float(ratio) for ratio in stated if ratio is not None and math.isfinite(float(ratio)))
    if not ratios:
        return None
    half = len(ratios) // 2
    median = ratios[half] if len(ratios) % 2 else 0.5 * (ratios[half - 1] + ratios[half])
    return ratios[0], median, ratios[-1]


def _finite(row: Mapping[str, Any]) -> bool:
    return math.isfinite(float(row["gap"])) and math.isfinite(float(row["allowed"]))


def _size(row: Mapping[str, Any], axis: str | None) -> float:
    value = row["params"].get(axis)
    return float(value) if isinstance(value, (int, float)) else 0.0


def _plain(name: str) -> str:
    return name.removesuffix(" (certified)")
