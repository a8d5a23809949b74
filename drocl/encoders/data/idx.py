"""idx files, the format of MNIST, Fashion-MNIST and their like; plain or gzipped."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from drocl.encoders._types import Dataset, Split
from drocl.encoders.data._images import Options, assemble, check_labels, resized
from drocl.encoders.data._known import class_names

_PARTS = {"train": ("train",), "test": ("t10k", "test")}
_UBYTE = 8  # the code of unsigned bytes in the magic number


def _file(folder: Path, part: str, kind: str) -> Path | None:
    """The images or labels of a split: names as `train-images-idx3-ubyte.gz`, and with a dot before idx as some copies have it."""
    dimensions = {"images": 3, "labels": 1}[kind]
    for place in (folder, folder / "raw"):
        for prefix in _PARTS[part]:
            for joint in ("-", "."):
                for ending in ("", ".gz"):
                    path = place / f"{prefix}-{kind}{joint}idx{dimensions}-ubyte{ending}"
                    if path.is_file():
                        return path
    return None


def recognises(path: Path) -> bool:
    """Whether the path is a folder (or has a folder `raw`) with the images of both splits."""
    return path.is_dir() and all(_file(path, part, "images") is not None for part in _PARTS)


def read(path: Path, options: Options | None = None) -> Dataset:
    """Grey images with labels from four idx files.

    Args:
        path: folder with `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte`,
            `t10k-labels-idx1-ubyte`, or the same with `.gz`.
        options: `image_size`.

    Raises:
        ValueError: names the file that is missing, or whose magic number, length or labels are wrong.

    Source: LeCun, Cortes and Burges 1998 (the format); Xiao et al. 2017 (Fashion-MNIST).
    """
    options = options or Options()
    train, test = (_split(path, part, options) for part in _PARTS)
    assert train.labels is not None
    assert test.labels is not None
    found = int(torch.cat([train.labels, test.labels]).max()) + 1
    name = path.resolve().name
    return assemble(name, train, test, class_names(name, found), path)


def _split(folder: Path, part: str, options: Options) -> Split:
    paths = [_file(folder, part, kind) for kind in ("images", "labels")]
    if paths[0] is None or paths[1] is None:
        kind, dimensions = ("images", 3) if paths[0] is None else ("labels", 1)
        raise ValueError(f"{folder} lacks {_PARTS[part][0]}-{kind}-idx{dimensions}-ubyte[.gz]")
    images, labels = read_idx(paths[0], 3), read_idx(paths[1], 1)
    if len(images) != len(labels):
        raise ValueError(f"{paths[1]} has {len(labels)} labels for {len(images)} images")
    if not images.size:
        raise ValueError(f"{paths[0]} has no images")
    return Split(resized(torch.from_numpy(images)[:, None], options), check_labels(labels, None, str(paths[1])))


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The array of unsigned bytes in an idx file.

    Raises:
        ValueError: another type or number of dimensions than asked for; a length that does not fit the header; a damaged gzip.
    """
    content = path.read_bytes()
    if path.suffix == ".gz":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path} is no gzip file that can be read: {error}") from error
    head = 4 + 4 * dimensions
    magic = content[:4]
    if magic != bytes((0, 0, _UBYTE, dimensions)):
        raise ValueError(f"{path} starts with {magic.hex() or 'nothing'}, and 0000080{dimensions} is expected")
    if len(content) < head:
        raise ValueError(f"{path} ends in its header, after {len(content)} bytes")
    shape = struct.unpack(f">{dimensions}I", content[4:head])
    if len(content) - head != math.prod(shape):
        raise ValueError(f"{path} says {shape} in its header and has {len(content) - head} bytes after it")
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape).copy()
