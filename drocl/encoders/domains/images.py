"""Images: bytes on the device, augmented and normalised there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from drocl.encoders._types import Dataset, Kind, Split
from drocl.encoders.augment.images import ImageAugmentation

_BLOCK = 1 << 22  # bytes counted at once
_SHARE = 0.5  # of the device's free memory that images may take
_DIGITS = 28  # pixels up to which grey images are taken for digits or letters


@dataclass(frozen=True)
class Placed:
    """Images of a split as bytes, with what normalises them.

    Attributes:
        images: uint8 (n, c, h, w); on the device, or on the CPU where the device has no room for them.
        labels: int64 (n,) on the device, or None.
        mean, deviation: of each channel over the training split, in [0, 1], (c, 1, 1), on the device.
    """

    images: Tensor
    labels: Tensor | None
    mean: Tensor
    deviation: Tensor

    def __len__(self) -> int:
        return len(self.images)

    @property
    def device(self) -> torch.device:
        """Where batches are."""
        return self.mean.device


class ImageDomain:
    """The `Domain` of images: batches are float (n, c, h, w), normalised by the training split's mean and deviation of each channel.

    Args:
        dataset: of kind "image".
        augmentation: the law of a view, a preset of `ImageAugmentation`, or its fields as a mapping, where "preset" names what the
            others change. None: "digits" for grey images of at most 28 pixels, those of Fashion-MNIST excepted; else "simclr".
        channels_last: memory format of the batches.
        dtype: of the batches.

    Attributes:
        width: uniform numbers a view takes.
        mean, deviation: of each channel, in [0, 1], float64 (c,).

    Raises:
        ValueError: another kind of data; images that are no uint8 (n, c, h, w); a bad augmentation; a dtype that is no float.
    """

    kind: Kind = "image"

    def __init__(
        self,
        dataset: Dataset,
        augmentation: ImageAugmentation | str | Mapping[str, Any] | None = None,
        channels_last: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if dataset.kind != self.kind:
            raise ValueError(f"dataset {dataset.name!r} is of kind {dataset.kind!r}, must be {self.kind!r}")
        for split in (dataset.train, dataset.test):
            if split is not None:
                _check(split, dataset.name)
        if not dtype.is_floating_point:
            raise ValueError(f"dtype={dtype} must be a floating-point type")
        self.augmentation = _augmentation(augmentation, dataset)
        self.width = self.augmentation.width
        self.channels_last, self.dtype = channels_last, dtype
        self.mean, self.deviation = moments(dataset.train.inputs)

    def place(self, split: Split, device: torch.device) -> Placed:
        """The images of a split as bytes on the device, if they take at most half of its free memory; else they stay on the CPU."""
        _check(split, "split")
        device = torch.device(device)
        images = split.inputs.to(device if _fits(split.inputs, device) else "cpu")
        labels = None if split.labels is None else split.labels.to(device)
        mean, deviation = (v.to(torch.float32)[:, None, None].to(device) for v in (self.mean, self.deviation))
        return Placed(images, labels, mean, deviation)

    def views(self, source: Placed, rows: Tensor, uniforms: Tensor) -> Tensor:
        """One view of each of the rows (n,), from uniforms (n, width) in [0, 1): float (n, c, h, w), normalised."""
        return self._batch(source, self.augmentation(_unit(source, rows), uniforms.to(source.device)))

    def plain(self, source: Placed, rows: Tensor) -> Tensor:
        """The images of the rows (n,) as they are: float (n, c, h, w), normalised."""
        return self._batch(source, _unit(source, rows))

    def _batch(self, source: Placed, images: Tensor) -> Tensor:
        batch = ((images - source.mean) / source.deviation).to(self.dtype)
        return batch.contiguous(memory_format=torch.channels_last if self.channels_last else torch.contiguous_format)


def moments(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel of bytes (n, c, h, w), divided by 255: float64 (c,), exact but for rounding.

    A channel that is constant has deviation 1/255.

    >>> mean, deviation = moments(torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1))
    >>> mean.tolist(), deviation.tolist()
    ([0.5], [0.5])
    """
    channels = images.shape[1]
    counts = torch.zeros(channels, 256, dtype=torch.float64)
    step = max(1, _BLOCK // max(1, images[0].numel()))
    for start in range(0, len(images), step):
        block = images[start : start + step].cpu()
        for channel in range(channels):
            counts[channel] += torch.bincount(block[:, channel].reshape(-1), minlength=256)
    values, share = torch.arange(256, dtype=torch.float64) / 255.0, counts / counts.sum(1, keepdim=True)
    mean = share @ values
    variance = (share * (values - mean[:, None]) ** 2).sum(1)
    return mean, variance.sqrt().clamp(min=1.0 / 255.0)


def _unit(source: Placed, rows: Tensor) -> Tensor:
    """Images of the rows, float in [0, 1], on the device."""
    images = source.images[rows.to(source.images.device)].to(source.device)
    return images.to(torch.float32) / 255.0


def _fits(images: Tensor, device: torch.device) -> bool:
    if device.type != "cuda" or images.device.type == "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return images.numel() <= _SHARE * free


def _check(split: Split, name: str) -> None:
    images = split.inputs
    if not isinstance(images, Tensor) or images.dtype != torch.uint8 or images.ndim != 4 or images.numel() == 0:
        found = f"{images.dtype} {tuple(images.shape)}" if isinstance(images, Tensor) else type(images).__name__
        raise ValueError(f"{name}: images must be uint8 (n, channels, height, width), got {found}")


def _augmentation(given: ImageAugmentation | str | Mapping[str, Any] | None, dataset: Dataset) -> ImageAugmentation:
    if isinstance(given, ImageAugmentation):
        return given
    channels, *sides = dataset.train.inputs.shape[1:]
    grey = channels == 1 and max(sides) <= _DIGITS and "fashion" not in dataset.name.lower()
    default = "digits" if grey else "simclr"
    if given is None or isinstance(given, str):
        return ImageAugmentation.preset(given or default, min(sides))
    if not isinstance(given, Mapping):
        raise ValueError(f"augmentation={given!r} must be an ImageAugmentation, a preset, its fields by name, or None")
    changes = dict(given)
    return ImageAugmentation.preset(changes.pop("preset", default), min(sides), **changes)
