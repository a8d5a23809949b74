"""Tables in text files: delimiter, header, chosen columns as numbers or as categories, and errors that name the line."""

import csv
import gzip
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO, cast

import numpy as np

from drocl.mi._types import Array

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "."})
MOST_LEVELS = 50
DELIMITERS = ("\t", ";", "|", ",")
CHUNK = 20_000  # rows turned into numbers at a time: the cells of a large file do not all stay as text


@dataclass(frozen=True)
class Encoded:
    """Columns of one side: values (n, d), a name for each, and notes on what was done."""

    values: Array
    names: tuple[str, ...]
    notes: tuple[str, ...]


def read(path: Path, header: bool | None, pick: Callable[[Sequence[str]], Sequence[Sequence[int]]]) -> list[Encoded]:
    """Read columns of a text table.

    Args:
        path: comma, semicolon, tab, bar or white space between cells; also gzipped. Empty lines are skipped.
        header: whether the first line holds names; None to see from the first two lines.
        pick: from the names of the columns to the indices of those wanted, side by side.

    Returns:
        One `Encoded` a side, rows in the order of the file.

    Raises:
        ValueError: nothing in it, lines of different lengths, missing or mixed cells, text with too many values; with the line.
    """
    try:
        with _opened(path) as file:
            start = [line for line in islice(file, 50) if line.strip()]
            if not start:
                raise ValueError(f"{path} is empty")
            file.seek(0)
            rows = _rows(path, file, _delimiter(path, start))
            return _columns(path, rows, header, pick)
    except (UnicodeDecodeError, csv.Error, EOFError, gzip.BadGzipFile, zlib.error) as problem:
        raise ValueError(f"{path} is no text table in UTF-8: {problem}") from None


def _opened(path: Path) -> TextIO:
    if path.suffix.lower() == ".gz":
        return cast(TextIO, gzip.open(path, "rt", encoding="utf-8-sig", newline=""))
    return open(path, encoding="utf-8-sig", newline="")


def _delimiter(path: Path, lines: Sequence[str]) -> str | None:
    """What stands equally often in every line; None for white space."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if ".tsv" in suffixes:
        return "\t"
    plain = [re.sub(r'"[^"]*"', "", line) for line in lines[:20]]
    for mark in DELIMITERS:
        counts = {line.count(mark) for line in plain}
        if len(counts) == 1 and 0 not in counts:
            return mark
    return "," if any("," in line for line in plain) or ".csv" in suffixes else None


def _rows(path: Path, file: TextIO, delimiter: str | None) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells; the first row fixes how many."""
    reader = csv.reader(file, delimiter=delimiter or ",", skipinitialspace=True)
    if delimiter is None:  # a first line of names may begin with a sign of comment
        lines = ((i, (line.lstrip("#") if i == 1 else line).split()) for i, line in enumerate(file, 1))
    else:
        lines = ((reader.line_num, row) for row in reader)
    width = 0
    for number, cells in lines:
        row = [cell.strip() for cell in cells]
        if not any(row) and (not width or len(row) != width):
            continue
        width = width or len(row)
        if len(row) != width:
            raise ValueError(
                f"{path}: line {number} has {len(row)} cells, the first one {width}; quote cells that hold the delimiter"
            )
        yield number, row


def _columns(
    path: Path, rows: Iterator[tuple[int, list[str]]], header: bool | None, pick: Callable[[Sequence[str]], Sequence[Sequence[int]]]
) -> list[Encoded]:  # fmt: skip
    first = list(islice(rows, 2))
    if not first:
        raise ValueError(f"{path} holds no rows: all of its cells are empty")
    names = [str(i) for i in range(len(first[0][1]))]
    titled = _is_header([row for _, row in first]) if header is None else header
    if titled:
        names = [cell.lstrip("# ") if i == 0 else cell for i, cell in enumerate(first.pop(0)[1])]
    sides = pick(names)
    wanted = list(dict.fromkeys(i for side in sides for i in side))
    parts: dict[int, list[Array | list[str]]] = {i: [] for i in wanted}
    lines: list[int] = []
    while chunk := first + list(islice(rows, CHUNK)):
        first = []
        lines += [number for number, _ in chunk]
        for i in wanted:
            parts[i].append(_as_numbers([row[i] for _, row in chunk]))
    if not lines:
        raise ValueError(f"{path} holds no rows" + (" below its header" if titled else ""))
    made = {i: _settled(path, names[i], parts[i], lines) for i in wanted}
    return [_joined([made[i] for i in side]) for side in sides]


def _is_header(rows: Sequence[Sequence[str]]) -> bool:
    """Names in the first of two rows: no number in it, numbers below its words, or the column numbers that data frames write."""
    top, below = rows[0], rows[1] if len(rows) > 1 else rows[0]
    if top == [str(i) for i in range(len(top))] and len(top) > 1 and top != below:
        return True
    words = [not _is_number(cell) for cell in top]
    return all(words) or any(
        word and cell and _is_number(under) for word, cell, under in zip(words, top, below, strict=True)
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _as_numbers(cells: list[str]) -> Array | list[str]:
    try:
        return np.array([float(cell) for cell in cells])
    except ValueError:
        return cells


def _settled(path: Path, name: str, parts: Sequence[Array | list[str]], lines: Sequence[int]) -> Encoded:
    """A column of numbers as it is, a column of words as indicators; anything between is refused."""
    where = f"{path}: column {name!r}"
    if all(isinstance(part, np.ndarray) for part in parts):
        values = np.concatenate([np.asarray(part) for part in parts])
        if not np.isfinite(values).all():
            bad = np.flatnonzero(~np.isfinite(values))
            kind = "missing" if np.isnan(values[bad[0]]) else "infinite"
            raise ValueError(
                f"{where} has {bad.size} cells that are nan or infinite, the first one ({kind}) in line {lines[bad[0]]}; "
                "drop these rows or impute them"
            )
        return Encoded(values[:, None], (name,), ())
    cells = [
        str(cell) for part in parts for cell in (part if isinstance(part, list) else [repr(float(v)) for v in part])
    ]
    gaps = [i for i, cell in enumerate(cells) if cell.lower() in MISSING]
    if gaps:
        raise ValueError(
            f"{where} has {len(gaps)} missing cells, the first one in line {lines[gaps[0]]}; drop these rows or impute them"
        )
    words = [i for i, cell in enumerate(cells) if not _is_number(cell)]
    if len(words) < len(cells):
        raise ValueError(
            f"{where} holds {cells[words[0]]!r} in line {lines[words[0]]} and numbers elsewhere; "
            "categories need a letter in every cell" + _hint(cells[words[0]])
        )
    return indicators(where, name, np.asarray(cells))


def _hint(cell: str) -> str:
    return "; decimals need a point, not a comma" if re.fullmatch(r"[-+]?\d+,\d+(e[-+]?\d+)?", cell) else ""


def indicators(where: str, name: str, cells: "np.ndarray[tuple[int], np.dtype[np.str_]]") -> Encoded:
    """A categorical column as 0/1 columns, one for each value but the first: as informative, and no column too many.

    Args:
        where: the column, for errors.
        name: of the column.
        cells: (n,) strings.

    Raises:
        ValueError: more values than `MOST_LEVELS` or a fifth of the rows.
    """
    levels = np.unique(cells)
    if levels.size > min(MOST_LEVELS, len(cells) // 5):
        raise ValueError(
            f"{where} is text with {levels.size} different values, such as {str(levels[0])!r}: more than {MOST_LEVELS} or "
            "a fifth of the rows are too many for categories" + _hint(str(levels[0]))
        )
    kept = levels[1:] if levels.size > 1 else levels
    note = f"column {name!r} is text with {levels.size} values: {len(kept)} columns of 0 and 1"
    return Encoded((cells[:, None] == kept).astype(np.float64), tuple(f"{name}={level}" for level in kept), (note,))


def _joined(columns: Sequence[Encoded]) -> Encoded:
    return Encoded(
        np.concatenate([one.values for one in columns], axis=1),
        tuple(name for one in columns for name in one.names),
        tuple(note for one in columns for note in one.notes),
    )
