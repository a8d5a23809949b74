"""Axis overrides: `--n 64 --radius 0.1` read as what the claims' axes hold."""

import difflib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from drocl.claims.declare import RESERVED, Claim


def parse_overrides(tokens: Sequence[str], claims: Sequence[Claim]) -> dict[str, tuple[Any, ...]]:
    """Read `--axis value` pairs of a command line; an axis named twice takes both values.

    Args:
        tokens: the words, for example ["--n", "64", "--radius=0.1"].
        claims: the claims selected, whose axes say what kind a value is.

    Returns:
        Axis -> values.

    Raises:
        ValueError: if a word is no option, a value is missing or of the wrong kind, or an axis is unknown.
    """
    found: dict[str, tuple[Any, ...]] = {}
    words = list(tokens)
    while words:
        word = words.pop(0)
        if not word.startswith("--") or len(word) < 3:
            raise ValueError(f"{word!r} is neither a claim id nor an option (ids come before axis options)")
        name, joined, value = word[2:].partition("=")
        axis = name.replace("-", "_")
        check_overrides(claims, {axis: ()})
        if not joined:
            if not words or words[0].startswith("--"):
                raise ValueError(f"option --{name} needs a value")
            value = words.pop(0)
        found[axis] = (*found.get(axis, ()), _read(axis, value, claims))
    return found


def _read(axis: str, word: str, claims: Sequence[Claim]) -> Any:
    """Read a value as the kind that the axis already holds (so that 1 and 1.0 address the same stored result)."""
    held = [value for made in claims for values in _known_values(made, axis) for value in values]
    if word.lower() == "none" and None in held:
        return None
    kinds = {type(value) for value in held} - {type(None)}
    if kinds == {str}:
        return word
    if kinds == {bool} and word.lower() in ("true", "false"):
        return word.lower() == "true"
    for kind in (int, float):
        try:
            number = kind(word)
        except ValueError:
            continue
        return float(number) if kinds == {float} else number
    if not kinds or str in kinds:
        return word
    raise ValueError(f"{axis}={word!r} must be {' or '.join(sorted(kind.__name__ for kind in kinds))}, as {held[0]}")


def _known_values(made: Claim, axis: str) -> Iterable[Sequence[Any]]:
    yield from (axes[axis] for axes in (made.grid, made.standard, made.paper) if axis in axes)
    yield [case[axis] for case in made.cases if axis in case]
    default = inspect.signature(made.check).parameters[axis].default
    yield [] if default is inspect.Parameter.empty else [default]


def check_overrides(chosen: Sequence[Claim], overrides: Mapping[str, Sequence[Any]]) -> None:
    """Check that each axis is one of each claim.

    Args:
        chosen: the claims selected.
        overrides: axis -> values.

    Raises:
        ValueError: naming the axis, and those that the claim has.
    """
    for axis in overrides:
        for made in chosen:
            if axis not in made.axes:
                near = difflib.get_close_matches(axis, [*made.axes, *RESERVED, "seed"], n=1)
                raise ValueError(f"option --{axis.replace('_', '-')}: claim {made.id!r} has no such axis, it has "
                                 f"{', '.join(made.axes) or 'none'}"
                                 + (f"; did you mean --{near[0]}?" if near else ""))  # fmt: skip
