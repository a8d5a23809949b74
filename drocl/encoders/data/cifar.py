"""CIFAR-10 and CIFAR-100 as their author distributes them: python pickles, in a folder or in the tar.gz."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drocl.encoders._types import Dataset, Split
from drocl.encoders.data._archive import holder, members
from drocl.encoders.data._images import Options, assemble, check_labels, resized
from drocl.encoders.data._pickles import read_pickle

_FORMS = (  # folder, archive, files that tell it
    ("cifar-10-batches-py", "cifar-10-python.tar.gz", ("data_batch_1", "test_batch")),
    ("cifar-100-python", "cifar-100-python.tar.gz", ("train", "test", "meta")),
)
_FILES = re.compile(r"data_batch_[1-5]|test_batch|batches\.meta|train|test|meta")
_SIDE, _CHANNELS = 32, 3


def recognises(path: Path) -> bool:
    """Whether the path is CIFAR in pickles: the archive, its folder, or a folder with either."""
    return _place(path) is not None


def _place(path: Path) -> Path | None:
    places = (holder(path, folder, archive, marks) for folder, archive, marks in _FORMS)
    return next((place for place in places if place is not None), None)


def read(path: Path, options: Options | None = None) -> Dataset:
    """CIFAR-10, or CIFAR-100 with its 100 fine labels.

    The pickles are read by `drocl.encoders.data._pickles`, which runs nothing that they name; of an archive no file is extracted.

    Args:
        path: `cifar-10-python.tar.gz` or `cifar-100-python.tar.gz`, the folder inside it, or a folder that has either.
        options: `image_size`.

    Raises:
        ValueError: names the file or member that is missing, damaged, or not what it should be.

    Source: Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images".
    """
    options = options or Options()
    place = _place(path)
    if place is None:
        raise ValueError(
            f"{path} is no CIFAR: {' or '.join(form[1] for form in _FORMS)} or its folder is expected there"
        )
    files = members(place, lambda name: _FILES.fullmatch(name) is not None)
    if "data_batch_1" in files:
        batches = [f"data_batch_{i}" for i in range(1, 6)]
        name, test, meta, labels, names = "cifar10", "test_batch", "batches.meta", "labels", "label_names"
    else:
        batches, name, test, meta, labels, names = (
            ["train"],
            "cifar100",
            "test",
            "meta",
            "fine_labels",
            "fine_label_names",
        )
    missing = [file for file in (*batches, test, meta) if file not in files]
    if missing:
        raise ValueError(f"{place} lacks {', '.join(missing)}")
    classes = _field(read_pickle(files[meta], f"{place}/{meta}"), names, list, f"{place}/{meta}")
    parts = [_batch(files[file], labels, len(classes), f"{place}/{file}") for file in (*batches, test)]
    train = Split(*(torch.cat(column) for column in zip(*((p.inputs, p.labels) for p in parts[:-1]), strict=True)))
    train, held = (Split(resized(split.inputs, options), split.labels) for split in (train, parts[-1]))
    return assemble(name, train, held, classes, path)


def _field(content: dict[str, Any], key: str, kind: type, where: str) -> Any:
    value = content.get(key)
    if not isinstance(value, kind):
        found = "missing" if key not in content else f"a {type(value).__name__}"
        raise ValueError(f"{where}: {key!r} is {found}; it has {', '.join(sorted(content))}")
    return value


def _batch(content: bytes, key: str, classes: int, where: str) -> Split:
    fields = read_pickle(content, where)
    pixels: NDArray[np.uint8] = _field(fields, "data", np.ndarray, where)
    width = _CHANNELS * _SIDE * _SIDE
    if pixels.ndim != 2 or pixels.shape[1] != width:
        raise ValueError(f"{where}: data has shape {pixels.shape}, and (n, {width}) is expected")
    labels = _field(fields, key, list, where)
    if len(labels) != len(pixels) or not all(isinstance(label, int) for label in labels):
        raise ValueError(f"{where}: {key} must be {len(pixels)} integers, one an image, got {len(labels)} values")
    checked = check_labels(np.asarray(labels, np.int64), classes, where)
    images = np.ascontiguousarray(pixels).reshape(-1, _CHANNELS, _SIDE, _SIDE)
    return Split(torch.from_numpy(images.copy()), checked)
