"""What the readers of images share: options, decoding in threads, one shape for all, labels that are in range."""

import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drocl.encoders._types import UNLABELLED, Dataset, Split

Progress = Callable[[str, int, int], None]
Item = tuple[str, bytes | Path]  # what an error calls the image; its file, or the bytes of it
Pixels = NDArray[np.uint8]
A = TypeVar("A")
B = TypeVar("B")

_CHUNK = 64  # images a task: one image is too little work for a thread to be handed


@dataclass(frozen=True)
class Options:
    """What a reader of images may be asked.

    Args:
        image_size: pixels >= 1; every image becomes a square of that side: the largest square in its middle, resized (bicubic).
            None: images stay as they are, and all must have one size.
        unlabelled: also the images without labels, which join the training split with label -1 (STL-10).
        progress: called with (what, done, total) now and then.
    """

    image_size: int | None = None
    unlabelled: bool = False
    progress: Progress | None = None

    def __post_init__(self) -> None:
        size = self.image_size
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
            raise ValueError(f"image_size={size!r} must be a whole number of pixels >= 1, or None")


def pillow() -> Any:
    """The module `PIL.Image`.

    Raises:
        ImportError: without pillow.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("images are decoded by pillow: pip install 'drocl[train]'") from error
    return Image


def decode_one(item: Item, size: int | None) -> Pixels:
    """An encoded image as uint8 (h, w) if grey, else (h, w, 3); alpha is dropped, the camera's orientation applied.

    Raises:
        ValueError: names the image that cannot be decoded, or that has more than 8 bits a channel.
    """
    image_module = pillow()
    where, content = item
    try:
        with image_module.open(io.BytesIO(content) if isinstance(content, bytes) else content) as image:
            image.load()
            pixels, mode = _upright(image), image.mode
            if mode not in ("L", "RGB"):
                pixels = pixels.convert("L" if mode in ("1", "LA", "La") else "RGB")
    except Exception as error:  # a decoder on broken bytes raises whatever it likes
        raise ValueError(f"{where} is no image that can be decoded: {error or type(error).__name__}") from error
    if mode[0] in "IF":
        raise ValueError(f"{where} has pixels of mode {mode!r}; 8 bits a channel are allowed")
    return np.asarray(pixels if size is None else _square(pixels, size))


def _upright(image: Any) -> Any:
    from PIL import ImageOps

    return ImageOps.exif_transpose(image) if image.getexif() else image


def _square(image: Any, size: int) -> Any:
    """The square in the middle, cut out before it is resized so that nothing from outside shines in."""
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    image = image.crop((left, top, left + side, top + side))
    return image if side == size else image.resize((size, size), pillow().Resampling.BICUBIC)


class _Stack:
    """Images (count, c, h, w), filled in order; the first one says how large all are, the first coloured one that all are."""

    def __init__(self, count: int) -> None:
        self.count, self.done = count, 0
        self.images: Pixels = np.empty((count, 1, 0, 0), np.uint8)
        self.first = ""

    def add(self, where: str, pixels: Pixels) -> None:
        if self.done == 0:
            self.first = where
            self.images = np.empty((self.count, 1, *pixels.shape[:2]), np.uint8)
        if pixels.shape[:2] != self.images.shape[2:]:
            (h, w), (height, width) = pixels.shape[:2], self.images.shape[2:]
            raise ValueError(
                f"{where} has {w} x {h} pixels and {self.first} {width} x {height}: "
                "images must have one size; image_size resizes them"
            )
        if pixels.ndim == 3 and self.images.shape[1] == 1:
            self.images = np.repeat(self.images, 3, axis=1)
        self.images[self.done] = pixels if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        self.done += 1


def decode(items: Iterable[Item], count: int, options: Options, what: str) -> Tensor:
    """Encoded images as one uint8 tensor (count, 1 or 3, h, w), decoded in threads; grey ones among coloured ones get three channels.

    Args:
        items: count of them, in order.
        count: at least 1.
        options: size and progress.
        what: what progress calls it.

    Raises:
        ValueError: names the image that cannot be decoded or has another size; fewer items than count.
    """
    pillow()
    stack = _Stack(count)
    workers = _workers()
    with ThreadPoolExecutor(workers) as pool:

        def work(chunk: list[Item]) -> list[tuple[str, Pixels]]:
            return [(item[0], decode_one(item, options.image_size)) for item in chunk]

        for decoded in _in_flight(pool, work, _chunks(items), 2 * workers):
            for where, pixels in decoded:
                stack.add(where, pixels)
            if options.progress is not None:
                options.progress(what, stack.done, count)
    if stack.done != count:
        raise ValueError(f"{what} has {stack.done} images and should have {count}")
    return torch.from_numpy(stack.images)


def _workers() -> int:
    return min(16, os.cpu_count() or 1)


def _chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    stream = iter(items)
    while chunk := list(islice(stream, _CHUNK)):
        yield chunk


def _in_flight(pool: ThreadPoolExecutor, work: Callable[[A], B], inputs: Iterable[A], ahead: int) -> Iterator[B]:
    """Results in order, with no more than `ahead` inputs read before their turn (`map` of a pool would read them all)."""
    waiting = []
    try:
        for each in inputs:
            waiting.append(pool.submit(work, each))
            if len(waiting) >= ahead:
                yield waiting.pop(0).result()
        while waiting:
            yield waiting.pop(0).result()
    finally:
        for future in waiting:
            future.cancel()


def resized(images: Tensor, options: Options) -> Tensor:
    """Images (n, c, h, w) uint8 at the size that the options ask for, by the road that decoded images take."""
    size = options.image_size
    if size is None or images.shape[2:] == (size, size):
        return images
    module = pillow()
    out = np.empty((len(images), images.shape[1], size, size), np.uint8)
    pixels = images.numpy()

    def work(start: int) -> None:
        for row in range(start, min(start + _CHUNK, len(pixels))):
            each = pixels[row]
            image = module.fromarray(each[0] if len(each) == 1 else np.ascontiguousarray(each.transpose(1, 2, 0)))
            square = np.asarray(_square(image, size))
            out[row] = square if square.ndim == 2 else square.transpose(2, 0, 1)

    with ThreadPoolExecutor(_workers()) as pool:
        list(pool.map(work, range(0, len(pixels), _CHUNK)))
    return torch.from_numpy(out)


def check_labels(labels: NDArray[Any], classes: int | None, where: str) -> Tensor:
    """Labels as int64, each a class or -1 for unknown.

    Args:
        labels: (n,) integers.
        classes: how many there are; None: not known.
        where: what an error calls them; the row is added.

    Raises:
        ValueError: names the first label out of range and its row.
    """
    wrong = labels < UNLABELLED
    if classes is not None:
        wrong |= labels >= classes
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        allowed = "-1 (unknown) or more" if classes is None else f"-1 (unknown) to {classes - 1}"
        raise ValueError(f"{where}, row {row}: label {labels[row]} must be {allowed}")
    return torch.from_numpy(labels.astype(np.int64))


def assemble(name: str, train: Split, test: Split, classes: Sequence[str], source: Path) -> Dataset:
    """A data set of images whose splits have one shape; grey images of one split get the other one's three channels.

    Raises:
        ValueError: an empty split, or images of different sizes.
    """
    for part, split in (("training", train), ("test", test)):
        if len(split) == 0:
            raise ValueError(f"{source} has no {part} images")
    (h, w), (height, width) = test.inputs.shape[2:], train.inputs.shape[2:]
    if (h, w) != (height, width):
        raise ValueError(
            f"{source}: test images have {w} x {h} pixels and training images {width} x {height}; image_size resizes them"
        )
    channels = max(train.inputs.shape[1], test.inputs.shape[1])
    train, test = (_coloured(split, channels) for split in (train, test))
    return Dataset(name, "image", train, test, tuple(classes), source=source)


def _coloured(split: Split, channels: int) -> Split:
    if split.inputs.shape[1] == channels:
        return split
    return Split(split.inputs.repeat(1, channels, 1, 1), split.labels)
