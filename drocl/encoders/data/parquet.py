"""Images with labels in Parquet files, as hubs of data sets serve them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drocl.encoders._types import Dataset, Split
from drocl.encoders.data._images import Item, Options, assemble, check_labels, decode
from drocl.encoders.data._known import class_names
from drocl.encoders.data._splits import hold_out

IMAGES = ("img", "image")
LABELS = ("label", "fine_label", "labels")
_TRAIN = ("train",)
_TEST = ("test", "validation", "valid", "val")  # the first that there is
_NAME = re.compile(r"(?P<split>[A-Za-z_]+?)(?:[-_.]\d.*)?\.parquet")
_ROWS = 1024  # rows held in memory at once


def recognises(path: Path) -> bool:
    """Whether the path is a Parquet file, or a folder with a training split of them in it or in one folder of it."""
    if path.is_file():
        return path.suffix == ".parquet"
    return path.is_dir() and any("train" in _shards(place) for place in _places(path))


def _places(path: Path) -> list[Path]:
    return [path, *sorted(entry for entry in path.iterdir() if entry.is_dir())]


def _shards(folder: Path) -> dict[str, list[Path]]:
    """Files by split: `train.parquet`, or `train-00000-of-00002.parquet` and its like, in the order of their names."""
    found: dict[str, list[Path]] = {}
    for file in sorted(folder.glob("*.parquet")):
        match = _NAME.fullmatch(file.name)
        if match is not None and file.is_file():
            found.setdefault(match["split"], []).append(file)
    return found


def read(path: Path, options: Options | None = None) -> Dataset:
    """Images in a column `img` or `image`, labels in `label`, `fine_label` or `labels`.

    An image is the bytes of a PNG, JPEG, ... file, bare or as the field `bytes` of a struct {bytes, path}; nothing is read from `path`.
    Names of classes come from the metadata that hubs write, else from the table of known data sets, else they are numbers.

    Args:
        path: a folder with `train.parquet` and `test.parquet`, or with shards as `train-00000-of-00001.parquet`, or a folder that
            has one folder of those (`data`, `plain_text`); `validation` counts as test where there is no `test`. A single file, or
            no test split: a fixed fifth of each class is held out.
        options: `image_size`, needed where images differ in size; `progress`.

    Raises:
        ValueError: names the file that is no Parquet, the column that is missing, or the row with a bad image or label.
    """
    options = options or Options()
    if path.is_file():
        shards, name = {"train": [path]}, re.sub(r"[-_.]?train.*", "", path.stem) or path.resolve().parent.name
    else:
        shards, name = _folder(path), path.resolve().name
    test_name = next((part for part in _TEST if part in shards), None)
    train, names = _split(shards["train"], options, name)
    if test_name is None:
        train, test = hold_out(train)
    else:
        test, _ = _split(shards[test_name], options, name)
    assert train.labels is not None
    assert test.labels is not None
    count = int(max(train.labels.max(), test.labels.max())) + 1
    return assemble(name, train, test, names or class_names(name, count), path)


def _folder(path: Path) -> dict[str, list[Path]]:
    found = (
        [(place, shards) for place in _places(path) if "train" in (shards := _shards(place))] if path.is_dir() else []
    )
    if not found:
        raise ValueError(f"{path} has no train.parquet or train-*.parquet")
    if len(found) > 1 and found[0][0] != path:
        raise ValueError(
            f"{path} has several data sets, give one of them: {', '.join(str(place) for place, _ in found)}"
        )
    return found[0][1]


def _split(files: list[Path], options: Options, what: str) -> tuple[Split, list[str]]:
    tables = [_Table(file) for file in files]
    counts = [len(table) for table in tables]
    if not sum(counts):
        raise ValueError(f"{', '.join(str(file) for file in files)}: no rows")
    labels: list[NDArray[np.int64]] = []

    def items() -> Iterator[Item]:
        for table in tables:
            yield from table.items(labels)

    images = decode(items(), sum(counts), options, f"{what}: {files[0].name}")
    names = tables[0].names
    parts = [np.concatenate(labels)[end - n : end] for n, end in zip(counts, np.cumsum(counts), strict=True)]
    checked = [
        check_labels(part, len(names) or None, f"{file}, column {table.label!r}")
        for part, file, table in zip(parts, files, tables, strict=True)
    ]
    return Split(images, torch.cat(checked)), names


class _Table:
    """One file, read a block of rows at a time."""

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow.parquet as pq
        except ImportError as error:
            raise ImportError("Parquet files are read by pyarrow: pip install 'drocl[train]'") from error
        self.path = path
        try:
            self.file = pq.ParquetFile(path)
        except (OSError, ValueError) as error:  # pyarrow's errors are either
            raise ValueError(f"{path} is no Parquet file that can be read: {error}") from error
        self.schema = self.file.schema_arrow
        self.image, self.label = self._column(IMAGES), self._column(LABELS)
        self.names = self._names()

    def __len__(self) -> int:
        return int(self.file.metadata.num_rows)

    def _column(self, allowed: tuple[str, ...]) -> str:
        for name in allowed:
            if name in self.schema.names:
                return name
        raise ValueError(
            f"{self.path} has no column {' or '.join(allowed)}; it has {', '.join(self.schema.names) or 'none'}"
        )

    def _names(self) -> list[str]:
        """Names of the classes, from the metadata that the `datasets` library writes; none where they are not as expected."""
        try:
            content = json.loads((self.schema.metadata or {})[b"huggingface"])
            names = content["info"]["features"][self.label]["names"]
        except (KeyError, ValueError, TypeError):
            return []
        return [str(name) for name in names] if isinstance(names, list) else []

    def items(self, labels: list[NDArray[np.int64]]) -> Iterator[Item]:
        """Images in order; the labels of the rows that were read are appended."""
        import pyarrow as pa

        row = 0
        try:
            for block in self.file.iter_batches(_ROWS, columns=[self.image, self.label]):
                labels.append(self._labels(block.column(self.label), row))
                column = block.column(self.image)
                for content in self._bytes(column):
                    if content is None:
                        raise _Fault(f"row {row}: column {self.image!r} has no bytes")
                    yield f"{self.path}, row {row}", content
                    row += 1
        except _Fault as error:
            raise ValueError(f"{self.path}, {error}") from None
        except (OSError, pa.ArrowException) as error:
            raise ValueError(f"{self.path} cannot be read after row {row}: {error}") from error

    def _labels(self, column: Any, row: int) -> NDArray[np.int64]:
        import pyarrow as pa

        if not pa.types.is_integer(column.type):
            raise _Fault(f"column {self.label!r} is of type {column.type}, and integers are expected")
        if column.null_count:
            first = next(i for i, value in enumerate(column) if not value.is_valid)
            raise _Fault(f"row {row + first}: column {self.label!r} is empty")
        return np.asarray(column.to_numpy(zero_copy_only=False)).astype(np.int64)

    def _bytes(self, column: Any) -> list[bytes | None]:
        import pyarrow as pa

        kind = column.type
        if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            column = pa.compute.struct_field(column, "bytes") if column.null_count else column.field("bytes")
            kind = column.type
        if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
            raise _Fault(
                f"column {self.image!r} is of type {kind}, and bytes, or a struct with the field bytes, are expected"
            )
        values: list[bytes | None] = column.to_pylist()
        return values


class _Fault(Exception):
    """What is wrong with a table, still without its path."""
