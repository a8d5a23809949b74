"""STL-10 as its authors distribute it: raw bytes, in a folder or in the tar.gz."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from drocl.encoders._types import UNLABELLED, Dataset, Split
from drocl.encoders.data._archive import holder, members
from drocl.encoders.data._images import Options, assemble, resized

CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
_FILES = ("train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin")
_UNLABELLED = "unlabeled_X.bin"
_FOLDER, _ARCHIVE = "stl10_binary", "stl10_binary.tar.gz"
_SIDE, _CHANNELS = 96, 3
_BLOCK = 1000  # images turned at once


def recognises(path: Path) -> bool:
    """Whether the path is STL-10 in binary files: the archive, its folder, or a folder with either."""
    return holder(path, _FOLDER, _ARCHIVE, _FILES) is not None


def read(path: Path, options: Options | None = None) -> Dataset:
    """STL-10: 5000 labelled training images, 8000 test images of 96 x 96 pixels, and 100,000 unlabelled ones when asked for.

    Args:
        path: `stl10_binary.tar.gz`, the folder inside it, or a folder that has either.
        options: `image_size`; with `unlabelled` the unlabelled images follow the labelled ones in the training split, label -1.

    Raises:
        ValueError: names the file that is missing or has a wrong length, or the row with a label out of range.

    Source: Coates, Lee and Ng 2011.
    """
    options = options or Options()
    place = holder(path, _FOLDER, _ARCHIVE, _FILES)
    if place is None:
        raise ValueError(f"{path} is no STL-10: {_ARCHIVE}, or a folder with {', '.join(_FILES)} is expected there")
    wanted = {*_FILES, _UNLABELLED} if options.unlabelled else set(_FILES)
    files = members(place, wanted.__contains__)
    missing = sorted(wanted - files.keys())
    if missing:
        raise ValueError(f"{place} lacks {', '.join(missing)}")
    train, test = (_split(files, part, place, options) for part in ("train", "test"))
    if options.unlabelled:
        more = _images(files.pop(_UNLABELLED), f"{place}/{_UNLABELLED}", options)
        labels = torch.full((len(more),), UNLABELLED)
        assert train.labels is not None
        train = Split(torch.cat([train.inputs, more]), torch.cat([train.labels, labels]))
    return assemble("stl10", train, test, CLASSES, path)


def _split(files: dict[str, bytes], part: str, place: Path, options: Options) -> Split:
    images = _images(files.pop(f"{part}_X.bin"), f"{place}/{part}_X.bin", options)
    where = f"{place}/{part}_y.bin"
    labels = np.frombuffer(files[f"{part}_y.bin"], np.uint8).astype(np.int64)
    if len(labels) != len(images):
        raise ValueError(f"{where} has {len(labels)} labels for {len(images)} images")
    if len(labels) and not (labels.min() >= 1 and labels.max() <= len(CLASSES)):
        row = int(np.flatnonzero((labels < 1) | (labels > len(CLASSES)))[0])
        raise ValueError(f"{where}, row {row}: label {labels[row]} must be 1 to {len(CLASSES)}")
    return Split(images, torch.from_numpy(labels - 1))


def _images(content: bytes, where: str, options: Options) -> Tensor:
    size = _CHANNELS * _SIDE * _SIDE
    if len(content) % size:
        raise ValueError(f"{where} has {len(content)} bytes, and an image takes {size}: the file is cut")
    columns = np.frombuffer(content, np.uint8).reshape(-1, _CHANNELS, _SIDE, _SIDE)  # column by column
    rows = np.empty_like(columns)
    for start in range(0, len(columns), _BLOCK):
        rows[start : start + _BLOCK] = columns[start : start + _BLOCK].swapaxes(2, 3)
        if options.progress is not None:
            options.progress(where, min(start + _BLOCK, len(columns)), len(columns))
    return resized(torch.from_numpy(rows), options)
