"""Tables of results: columns of equal length, built from rows."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np


def table(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Rows with the same names to columns of plain Python values.

    Args:
        rows: mappings with the same keys.

    Returns:
        One list a name, in the order of the first row's names.

    Raises:
        ValueError: if a row has other names than the first.

    >>> table([{"n": 1, "gap": 0.5}, {"n": 2, "gap": 0.25}])
    {'n': [1, 2], 'gap': [0.5, 0.25]}
    """
    columns: dict[str, list[Any]] = {}
    for row in rows:
        columns = columns or {name: [] for name in row}
        if set(columns) != set(row):
            raise ValueError(f"row with {sorted(row)} in a table of {sorted(columns)}")
        for name, value in row.items():
            columns[name].append(value.item() if isinstance(value, np.generic) else value)
    return columns


def by_row(table: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """The rows of a table: the way back.

    >>> by_row({"n": [1, 2], "gap": [0.5, 0.25]})
    [{'n': 1, 'gap': 0.5}, {'n': 2, 'gap': 0.25}]
    """
    return [dict(zip(table, cells, strict=True)) for cells in zip(*table.values(), strict=True)]


def records(**columns: Any) -> list[dict[str, Any]]:
    """Arrays of one shape, and constants, to rows: one a flat index.

    Args:
        columns: arrays of one length, or scalars and strings, which are repeated.

    Returns:
        The rows.

    >>> records(law="uniform", x=[1, 2])
    [{'law': 'uniform', 'x': 1}, {'law': 'uniform', 'x': 2}]
    """
    arrays = {name: np.asarray(value) for name, value in columns.items()}
    wide = np.broadcast_arrays(*arrays.values())
    return [
        dict(zip(arrays, cells, strict=True)) for cells in zip(*(array.ravel().tolist() for array in wide), strict=True)
    ]
