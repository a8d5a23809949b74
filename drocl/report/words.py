"""How the report writes numbers and parameters."""

import math
import re
from collections.abc import Mapping
from typing import Any


def number(value: Any) -> float:
    """Read a number of claims.json, where nan and infinities are words; nan for what is none.

    >>> number("inf"), number(2), number(None)
    (inf, 2.0, nan)
    """
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def short(value: Any, digits: int = 3) -> str:
    """Write a number in few characters; words and None ("–") pass.

    >>> short(2.6041e-6), short(0.25), short(1e-8), short(123456.0), short(None), short(8)
    ('2.6e-6', '0.25', '1e-8', '1.23e5', '–', '8')
    """
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    if 1e-3 <= abs(value) < 1e5:
        return f"{value:.{digits}g}" if abs(value) < 10**digits else f"{value:.0f}"
    mantissa, _, exponent = f"{value:.{digits - 1 if abs(value) > 1 else digits - 2}e}".partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(exponent)}"


def exact(value: Any) -> str:
    """Write a number with all its digits, for a counterexample."""
    return repr(value) if isinstance(value, float) else str(value)


def parameters(params: Mapping[str, Any]) -> str:
    """Write parameters as "n = 8, radius = 0.1".

    >>> parameters({"n": 8, "radius": 0.1})
    'n = 8, radius = 0.1'
    """
    return ", ".join(f"{name} = {short(value, 6)}" for name, value in params.items())


def duration(seconds: Any) -> str:
    """Write a duration.

    >>> duration(0.004), duration(41.3), duration(125.0), duration(7320), duration(None)
    ('4 ms', '41 s', '2 min 5 s', '2 h 2 min', '–')
    """
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{max(1, round(seconds * 1000))} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def options(line: str) -> list[str]:
    """Cut a command line where it may break: an option stays with its value.

    >>> options("drocl verify some-claim --n 8 --fresh")
    ['drocl', 'verify', 'some-claim', '--n 8', '--fresh']
    """
    return re.findall(r"--\S+ (?!--)\S+|\S+", line)


def axes(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """For each parameter of the cases, its values in words: at most eight, else the range.

    >>> axes([{"params": {"n": 8, "seed": 0}}, {"params": {"n": 64, "seed": 0}}])
    [('n', '8, 64'), ('seed', '0')]
    """
    values: dict[str, list[Any]] = {}
    for row in rows:
        for name, value in row["params"].items():
            if value not in values.setdefault(name, []):
                values[name].append(value)
    words = []
    for name, found in values.items():
        if len(found) > 8 and all(isinstance(value, (int, float)) for value in found):
            words.append((name, f"{short(min(found), 4)} to {short(max(found), 4)} ({len(found)} values)"))
        else:
            more = f" and {len(found) - 8} more" if len(found) > 8 else ""
            words.append((name, ", ".join(short(value, 4) for value in found[:8]) + more))
    return words
