"""What comes in: arrays of pairs, checked before any work, with the treatments that are documented rather than refused."""

import numbers
from typing import Any

import numpy as np

from drocl.mi._types import Array

LEAST = 20


def pairs(x: Any, y: Any) -> tuple[Array, Array, tuple[str, ...]]:
    """x (n, dx) and y (n, dy) in float64, and notes on what was done to them.

    Constant columns are dropped (they carry no information), with a note; a side without any other column is refused.

    Raises:
        ValueError: not numbers, more than two axes, lengths that differ, fewer than 20 pairs, nan or inf, nothing but constants.
    """
    left, right = _array("x", x), _array("y", y)
    if left.shape[0] != right.shape[0]:
        raise ValueError(f"x and y must have the same number of rows: x has {left.shape[0]}, y has {right.shape[0]}")
    if left.shape[0] < LEAST:
        raise ValueError(f"n={left.shape[0]} pairs are too few: at least {LEAST} are needed")
    notes: list[str] = []
    left, right = _finite("x", left, notes), _finite("y", right, notes)
    for name, side in (("x", left), ("y", right)):
        discrete = [
            i for i, column in enumerate(side.T) if np.unique(column[:2000]).size <= min(32, side.shape[0] // 10)
        ]
        if discrete:
            notes.append(
                f"{len(discrete)} of {side.shape[1]} columns of {name} take few values and are treated as discrete numbers"
            )
    return left, right, tuple(notes)


def _array(name: str, value: Any) -> Array:
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    array = np.asarray(value)
    if array.dtype.kind == "O":  # a table with numbers only comes as objects at times
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError):
            raise ValueError(
                f"{name} must hold numbers in a regular shape; encode labels as integers or one-hot"
            ) from None
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} of type {array.dtype} must hold real numbers; encode labels as integers or one-hot")
    if array.ndim not in (1, 2):
        raise ValueError(f"{name} of shape {array.shape} must be (n,) or (n, d): one row a pair")
    array = array[:, None] if array.ndim == 1 else array
    if array.shape[1] == 0:
        raise ValueError(f"{name} of shape {array.shape} must have at least one column")
    return np.ascontiguousarray(array, dtype=np.float64)


def _finite(name: str, side: Array, notes: list[str]) -> Array:
    bad = ~np.isfinite(side)
    if bad.any():
        row, column = (int(i[0]) for i in np.nonzero(bad))
        raise ValueError(
            f"{name} holds {int(bad.sum())} values that are nan or infinite, the first in row {row}, column {column}; drop them"
        )
    constant = side.max(0) == side.min(0)
    if constant.all():
        raise ValueError(
            f"{name} is constant: every column takes a single value, and the mutual information is 0 by definition"
        )
    if constant.any():
        notes.append(f"{int(constant.sum())} constant columns of {name} were dropped")
        side = np.ascontiguousarray(side[:, ~constant])
    return side


def options(level: Any, folds: Any, seed: Any, n: int) -> None:
    """Check level, folds and seed.

    Raises:
        ValueError: level outside (0, 1); folds not None and not an integer in [2, n // 10]; a seed that is no integer >= 0.
    """
    if not (isinstance(level, numbers.Real) and 0.0 < float(level) < 1.0):
        raise ValueError(f"level={level!r} must lie in (0, 1): it is the coverage of the interval, e.g. 0.9")
    if folds is not None and not (_whole(folds) and 2 <= folds <= n // 10):
        raise ValueError(
            f"folds={folds!r} must be None or an integer in [2, {n // 10}] for n={n} pairs (10 pairs a fold or more)"
        )
    check_seed(seed)


def check_seed(value: Any) -> None:
    """Refuse a seed that is no integer >= 0."""
    if not (_whole(value) and value >= 0):
        raise ValueError(f"seed={value!r} must be an integer >= 0")


def _whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)
