"""Pairs from a file or from a task: which columns are x and which are y."""

import difflib
import fnmatch
import hashlib
import re
import sys
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from drocl.mi import _check, _delimited, tasks
from drocl.mi._delimited import Encoded
from drocl.mi._types import Array

TEXT = (".csv", ".tsv", ".txt", ".dat")
KINDS = f".npz, .npy, {', '.join(TEXT)} (these also with .gz)"


@dataclass(frozen=True)
class Sample:
    """Pairs, and where they are from.

    Attributes:
        x, y: (n, dx), (n, dy), as read: not yet checked.
        source: file name or task.
        names: of the columns of x and of y.
        notes: what was done on the way.
        task: the law they were drawn from, where it is known.
    """

    x: Array
    y: Array
    source: str
    names: tuple[tuple[str, ...], tuple[str, ...]]
    notes: tuple[str, ...] = ()
    task: tasks.Task | None = field(default=None, compare=False)

    @cached_property
    def digest(self) -> str:
        """sha256 of shapes and numbers."""
        total = hashlib.sha256()
        for side in (self.x, self.y):
            total.update(str(side.shape).encode() + np.ascontiguousarray(side).tobytes())
        return total.hexdigest()


def draw(name: str, n: int, seed: int) -> Sample:
    """Pairs of a task with known truth.

    Raises:
        ValueError: an unknown task; n that is no integer >= 1, or more pairs than there is memory for; seed below 0.
    """
    _check.check_seed(seed)
    try:
        task = tasks.get(name)
    except ValueError as unknown:
        if "is no task" not in str(unknown):  # a known form, with numbers it cannot have
            raise ValueError(f"task={name!r}: {unknown}") from None
        near = difflib.get_close_matches(name, tasks.NAMES, n=3, cutoff=0.6)
        more = f"; did you mean {', '.join(near)}?" if near else ""
        raise ValueError(
            f"task={name!r} is unknown; --task list prints names, whose numbers may be others{more}"
        ) from None
    try:
        if n * 8 * (task.dim_x + task.dim_y) > sys.maxsize:
            raise MemoryError("more bytes than there are addresses")
        x, y = task.sample(n, seed)
    except MemoryError as large:
        raise ValueError(f"n={n} pairs are too many for the memory of this machine: {large}") from None
    sides = tuple(tuple(f"{side}{i}" for i in range(array.shape[1])) for side, array in (("x", x), ("y", y)))
    return Sample(x, y, f"task {name}", (sides[0], sides[1]), task=task)


def load(path: Path, x: str | None = None, y: str | None = None, header: bool | None = None) -> Sample:
    """Pairs from a file.

    Args:
        path: .npz (arrays by name), .npy (columns by number), or a text table (see `_delimited.read`).
        x, y: columns of each side, separated by commas: names, numbers from 0, ranges such as 0-3, patterns such as x*.
            In .npz the name of an array, or NAME:COLUMNS. By default x and y, or the first and the second of two columns.
        header: whether the first line of a text table holds names; None to see.

    Raises:
        ValueError: what cannot be read, is not there, or is on both sides.
    """
    try:
        return _loaded(path, x, y, header)
    except MemoryError as large:
        raise ValueError(f"file={str(path)!r} is too large for the memory of this machine: {large}") from None
    except OSError as problem:
        raise ValueError(f"file={str(path)!r} cannot be read: {problem.strerror or problem}") from None


def _loaded(path: Path, x: str | None, y: str | None, header: bool | None) -> Sample:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    kind = suffixes[-1] if suffixes else ""
    if not path.is_file():
        raise ValueError(f"file={str(path)!r} is not a file")
    if kind not in (".npz", ".npy", *TEXT):
        raise ValueError(f"file={str(path)!r} must be one of {KINDS}")
    if header is not None and kind not in TEXT:
        raise ValueError(f"header={header} is for text tables alone, not for {kind}")
    if kind == ".npz":
        left, right = _from_npz(path, x or "x", y or "y")
    elif kind == ".npy":
        left, right = _from_npy(path, x, y)
    else:
        left, right = _delimited.read(path, header, lambda names: _sides(path, names, x, y))
    return Sample(left.values, right.values, path.name, (left.names, right.names), (*left.notes, *right.notes))


def _sides(path: Path, names: Sequence[str], x: str | None, y: str | None) -> tuple[list[int], list[int]]:
    """Indices of the columns of x and of y."""
    if x is None and y is None and len(names) == 2:
        x, y = "0", "1"
        if set(names) == {"x", "y"}:
            x, y = "x", "y"
    for side, given in (("x", x), ("y", y)):
        if given is None and side not in names:
            raise ValueError(f"{side}: name the columns with --{side}; {path} has {_shown(names)}")
    left, right = (pick(side, given or side, names, str(path)) for side, given in (("x", x), ("y", y)))
    if both := [names[i] for i in left if i in right]:
        raise ValueError(
            f"x and y share {_shown(both)}: what is on both sides makes the information that of a column with itself"
        )
    return left, right


def pick(side: str, given: str, names: Sequence[str], where: str) -> list[int]:
    """Indices of columns.

    Args:
        side: "x" or "y", for errors.
        given: names, numbers from 0, ranges (both ends included) and patterns, separated by commas.
        names: of all columns.
        where: what holds them, for errors.

    Raises:
        ValueError: a column that is not there, or a name that several have.

    >>> pick("x", "a,2-3,c*", ["a", "b", "c1", "c2"], "table")
    [0, 2, 3]
    """
    tokens = [given] if given in names else [token.strip() for token in given.split(",")]
    found: list[int] = []
    for token in tokens:
        if names.count(token) > 1:
            raise ValueError(
                f"{side}={given!r}: {where} has {names.count(token)} columns named {token!r}; give their numbers, from 0"
            )
        numbers = _numbered(token, names)
        if not numbers:
            near = difflib.get_close_matches(token, names, n=3, cutoff=0.6)
            more = f"; did you mean {', '.join(near)}?" if near else ""
            has = "" if list(names) == [str(i) for i in range(len(names))] else f"{_shown(names)}, or by number "
            raise ValueError(f"{side}={given!r}: {where} has no column {token!r}; it has {has}0-{len(names) - 1}{more}")
        found += numbers
    return list(dict.fromkeys(found))


def _numbered(token: str, names: Sequence[str]) -> list[int]:
    """Indices of one name, number, range or pattern; none where there is no such column."""
    if token in names:
        return [list(names).index(token)]
    if span := re.fullmatch(r"(\d+)(?:-(\d+))?", token):
        low, high = int(span[1]), int(span[2] or span[1])
        return list(range(low, high + 1)) if low <= high < len(names) else []
    if any(mark in token for mark in "*?["):
        return [i for i, name in enumerate(names) if fnmatch.fnmatchcase(name, token)]
    return []


# of a member cut short, altered, encrypted or packed in a way that this Python has not
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)


def _from_npz(path: Path, x: str, y: str) -> tuple[Encoded, Encoded]:
    try:
        zipfile.ZipFile(path).close()  # numpy would leave a damaged one open
        opened = np.load(path, allow_pickle=False)
    except (*DAMAGE, ValueError) as damage:
        raise ValueError(f"file={str(path)!r} is no .npz archive, or a damaged one: {damage}") from None
    sides = []
    with opened as held:
        for side, given in (("x", x), ("y", y)):
            name, _, columns = (given, "", "") if given in held.files else given.partition(":")
            if name not in held.files:
                has = f"it has {_shown(held.files)} (one of them, or NAME:COLUMNS)"
                raise ValueError(f"{side}={given!r}: {path} has no array {name!r}; {has}")
            sides.append((side, name, columns, _member(held, name, f"{side}={given!r}: array {name!r} of {path}")))
    made = [_encoded(path, *one) for one in sides]
    both = [column for column in made[0].names if column in made[1].names]
    if both:
        raise ValueError(
            f"x and y share {_shown(both)}: what is on both sides makes the information that of a column with itself"
        )
    return made[0], made[1]


def _member(held: Any, name: str, where: str) -> Any:
    try:
        array = held[name]
    except DAMAGE as damage:
        raise ValueError(f"{where} is damaged: {damage}") from None
    except ValueError as problem:
        why = "holds objects, not numbers" if "allow_pickle" in str(problem) else f"is damaged: {problem}"
        raise ValueError(f"{where} {why}") from None
    if not isinstance(array, np.ndarray):  # numpy gives the bytes of a file of another kind
        raise ValueError(f"{where} is no .npy array, but a file of another kind")
    return array


def _from_npy(path: Path, x: str | None, y: str | None) -> tuple[Encoded, Encoded]:
    try:
        held = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, EOFError) as problem:
        raise ValueError(f"file={str(path)!r} is no .npy file of numbers: {str(problem).splitlines()[0]}") from None
    if held.ndim != 2:
        raise ValueError(
            f"file={str(path)!r} holds an array {held.shape}, which must be (n, d), with x and y among its columns"
        )
    left, right = _sides(path, [str(i) for i in range(held.shape[1])], x, y)
    return _encoded(path, "x", "", "", held[:, left], left), _encoded(path, "y", "", "", held[:, right], right)


def _encoded(
    path: Path, side: str, name: str, columns: str, array: Any, numbers: Sequence[int] | None = None
) -> Encoded:
    """Columns of an array: numbers as they are, strings as indicators."""
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        raise ValueError(
            f"{side}: array {name!r} of {path} has shape {array.shape}, which must be (n,) or (n, d): one row a pair"
        )
    chosen = (
        pick(side, columns, [str(i) for i in range(array.shape[1])], f"array {name!r}")
        if columns
        else range(array.shape[1])
    )
    labels = tuple(str(i) if numbers else (f"{name}:{i}" if array.shape[1] > 1 else name) for i in numbers or chosen)
    array = array[:, list(chosen)]
    if array.dtype.kind not in "US":
        if array.dtype.kind not in "biuf":
            raise ValueError(
                f"{side}: array {name!r} of {path} has type {array.dtype}, which must be real numbers or text"
            )
        return Encoded(np.ascontiguousarray(array, dtype=np.float64), labels, ())
    text = array.astype(np.str_)
    parts = [_delimited.indicators(f"{path}: {label}", label, text[:, i]) for i, label in enumerate(labels)]
    return _delimited._joined(parts)


def _shown(names: Sequence[str], most: int = 12) -> str:
    rest = f", ... ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + rest
