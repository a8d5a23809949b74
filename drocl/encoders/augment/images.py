r"""Views of images, in batches and on their device: crop, flip, rotation, colours, blur, erasing.

A view is a function of one image and of one row of uniform numbers. What each number is for does not depend on which steps are on,
so that two settings see the same crops where they share them.

| numbers | step |
|---|---|
| 0..3 | crop: area, aspect, place (x, y) |
| 4 | horizontal flip |
| 5 | rotation |
| 6, 7 | translation (x, y) |
| 8..12 | jitter: whether, brightness, contrast, saturation, hue |
| 13 | grey |
| 14, 15 | blur: whether, width |
| 16..20 | erasing: whether, area, aspect, place (x, y) |

Source: Chen et al. 2020 (SimCLR); the differences are stated at `ImageAugmentation`.
"""

import math
from dataclasses import dataclass, fields
from typing import Any, Literal, Self

import torch
from torch import Tensor
from torch.nn import functional

from drocl.encoders.augment import _colours

SLOTS = 21
PADDINGS = ("border", "zeros", "reflection")
PRESETS = ("simclr", "digits", "none")
LARGE = 64  # pixels from which SimCLR's strength and blur for large images are the preset

Range = tuple[float, float]
_Padding = Literal["border", "zeros", "reflection"]
_MOST = {  # largest value of a field
    "flip": 1.0, "rotation": 180.0, "translation": 1.0, "jitter": 2.5, "jitter_probability": 1.0,
    "grey": 1.0, "blur": 1.0, "erase": 1.0,
}  # fmt: skip


@dataclass(frozen=True)
class ImageAugmentation:
    r"""The law of a view: SimCLR's augmentations, and the small ones that digits bear. Called as (images, uniforms) -> images.

    Crop, flip, rotation and translation are one affine map, read bilinearly once; a crop is never reduced in size, so nothing
    aliases. The area of a crop is uniform in its range, and the logarithm of its aspect in the part of its range with which the crop
    fits (torchvision draws both until it fits, which favours small crops). Brightness, contrast, saturation and hue (a rotation of
    the chroma plane of YIQ, which keeps the luma) are one affine map of each image's colours, cut to [0, 1] once at the end: before
    the cut the four commute, so they have no order. The blur's kernel reaches as far as the image, and is renormalised at its edges.

    Args:
        crop: range of the crop's share of the area, 0 < low <= high <= 1.
        aspect: range of the crop's width / height in pixels, 0 < low <= high.
        flip: probability of a horizontal flip.
        rotation: degrees; the angle is uniform in [-rotation, rotation], in [0, 180].
        translation: share of the side; shifts are uniform in [-translation, translation], in [0, 1).
        padding: what lies outside the image: its border, zeros, or its reflection.
        jitter: strength s: factors of brightness, contrast and saturation uniform in [max(0, 1 - 0.8 s), 1 + 0.8 s], hue in
            [-0.2 s, 0.2 s] turns; in [0, 2.5].
        jitter_probability: of all four together.
        grey: probability of no colour.
        blur: probability of a Gaussian blur.
        blur_sigma: range of its standard deviation in pixels, 0 < low <= high.
        erase: probability that a rectangle gets the image's mean colour.
        erase_area: range of its share of the area, 0 < low <= high < 1; its aspect is log-uniform in [0.3, 1 / 0.3] as far as it fits.

    Raises:
        ValueError: names the field that is out of range.

    Source: Chen et al. 2020, Appendix A; erasing: Zhong et al. 2020.

    >>> images = torch.rand(2, 3, 8, 8)
    >>> view = ImageAugmentation.preset("simclr")
    >>> view(images, torch.rand(2, view.width)).shape
    torch.Size([2, 3, 8, 8])
    """

    crop: Range = (1.0, 1.0)
    aspect: Range = (0.75, 4.0 / 3.0)
    flip: float = 0.0
    rotation: float = 0.0
    translation: float = 0.0
    padding: _Padding = "border"
    jitter: float = 0.0
    jitter_probability: float = 0.8
    grey: float = 0.0
    blur: float = 0.0
    blur_sigma: Range = (0.1, 2.0)
    erase: float = 0.0
    erase_area: Range = (0.02, 0.33)

    def __post_init__(self) -> None:
        for name in ("crop", "aspect", "blur_sigma", "erase_area"):
            object.__setattr__(self, name, _range(name, getattr(self, name)))
        for name, most in _MOST.items():
            _number(name, getattr(self, name), most)
        for name, most, closed in (("crop", 1.0, True), ("erase_area", 1.0, False)):
            high = getattr(self, name)[1]
            if high > most or (high == most and not closed):
                raise ValueError(f"{name}={getattr(self, name)} must end at {'most' if closed else 'less than'} {most}")
        if self.translation >= 1.0:
            raise ValueError(f"translation={self.translation} must lie in [0, 1)")
        if self.padding not in PADDINGS:
            raise ValueError(f"padding={self.padding!r} must be one of {', '.join(PADDINGS)}")

    @classmethod
    def preset(cls, name: str, size: int = 32, **changes: Any) -> Self:
        """A law by its name, with single fields changed.

        Args:
            name: "simclr": crops of 8 % or more, flips, jitter of strength 0.5 (1 from 64 pixels on), 20 % grey, and from 64 pixels on
                half of them blurred. "digits": crops of 60 % or more, 15 degrees, shifts by a tenth, zeros outside, no flip, jitter of
                strength 0.5. "none": the image itself.
            size: pixels of the smaller side.
            changes: fields, e.g. jitter=1.0.

        Raises:
            ValueError: another name; a field that is not one, or out of range.
        """
        large = size >= LARGE
        simclr = {
            "crop": (0.08, 1.0),
            "flip": 0.5,
            "jitter": 1.0 if large else 0.5,
            "grey": 0.2,
            "blur": 0.5 if large else 0.0,
        }
        digits = {"crop": (0.6, 1.0), "rotation": 15.0, "translation": 0.1, "padding": "zeros", "jitter": 0.5}
        presets: dict[str, dict[str, Any]] = {"simclr": simclr, "digits": digits, "none": {}}
        if name not in presets:
            raise ValueError(f"augmentation={name!r} must be one of {', '.join(PRESETS)}")
        allowed = [field.name for field in fields(cls)]
        unknown = sorted(set(changes) - set(allowed))
        if unknown:
            raise ValueError(f"augmentation has no field {', '.join(unknown)}; it has {', '.join(allowed)}")
        return cls(**{**presets[name], **changes})

    @property
    def width(self) -> int:
        """Uniform numbers that a view takes: 21, or 0 where a view is the image itself."""
        return SLOTS if self._warps or self._jitters or self.grey or self.blur or self.erase else 0

    @property
    def _warps(self) -> bool:
        return self.crop != (1.0, 1.0) or self.flip > 0.0 or self.rotation > 0.0 or self.translation > 0.0

    @property
    def _jitters(self) -> bool:
        return self.jitter > 0.0 and self.jitter_probability > 0.0

    def __call__(self, images: Tensor, uniforms: Tensor) -> Tensor:
        """One view of each image.

        Numbers are single precision inside (double for double), whatever the images are; autocast does not reach them. On the CPU a
        view is the same to the bit in any batch, on other devices to rounding.

        Args:
            images: float (n, c, h, w) in [0, 1]; colour steps need c = 3, and luma is the mean of the channels otherwise.
            uniforms: (n, width) in [0, 1).

        Returns:
            (n, c, h, w) in [0, 1], of the type of the images.

        Raises:
            ValueError: another type or shape.
        """
        self._check(images, uniforms)
        if self.width == 0:
            return images
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            work = torch.promote_types(images.dtype, torch.float32)
            u, x = uniforms.to(work), images.to(work)
            if self._warps:
                grid = functional.affine_grid(self.affine(u, *x.shape[2:]), list(x.shape), align_corners=False)
                x = functional.grid_sample(x, grid, mode="bilinear", padding_mode=self.padding, align_corners=False)
            if self._jitters or self.grey > 0.0:
                x = _colours.recolour(x, *self.colours(u))
            if self.blur > 0.0:
                low, high = self.blur_sigma
                x = _colours.blur(x, u[:, 14] < self.blur, low + (high - low) * u[:, 15])
            if self.erase > 0.0:
                x = self._erased(x, u[:, 16:21])
            return x.clamp(0.0, 1.0).to(images.dtype)

    def _check(self, images: Tensor, uniforms: Tensor) -> None:
        if images.ndim != 4 or not images.is_floating_point():
            raise ValueError(f"images must be float (n, c, h, w), got {images.dtype} {tuple(images.shape)}")
        if uniforms.shape != (len(images), self.width):
            raise ValueError(f"uniforms must have shape ({len(images)}, {self.width}), got {tuple(uniforms.shape)}")

    def crops(self, uniforms: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Width and height of the crops, as shares (n,) of the image's.

        Args:
            uniforms: (n, 2 or more): of the area, of the aspect.
            height, width: pixels.
        """
        return _rectangle(uniforms[:, 0], uniforms[:, 1], self.crop, self.aspect, height / width)

    def affine(self, uniforms: Tensor, height: int, width: int) -> Tensor:
        """Where each point of a view lies in the image: maps (n, 2, 3) of coordinates in [-1, 1], as `affine_grid` takes them.

        Args:
            uniforms: (n, width).
            height, width: pixels.
        """
        u, ratio = uniforms, height / width
        w, h = self.crops(u, height, width)
        x = (2.0 * u[:, 2] - 1.0) * (1.0 - w) + 2.0 * self.translation * (2.0 * u[:, 6] - 1.0)
        y = (2.0 * u[:, 3] - 1.0) * (1.0 - h) + 2.0 * self.translation * (2.0 * u[:, 7] - 1.0)
        mirror = torch.where(u[:, 4] < self.flip, -1.0, 1.0).to(u)
        angle = math.radians(self.rotation) * (2.0 * u[:, 5] - 1.0)
        cos, sin = torch.cos(angle), torch.sin(angle)
        rows = [w * mirror * cos, -w * sin * ratio, x, h * mirror * sin / ratio, h * cos, y]
        return torch.stack(rows, 1).view(-1, 2, 3)

    def colours(self, uniforms: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Factors (n,) of brightness, contrast and chroma, and the turn (n,) of the chroma in radians.

        Args:
            uniforms: (n, width).
        """
        on = uniforms[:, 8] < self.jitter_probability
        low, high = max(0.0, 1.0 - 0.8 * self.jitter), 1.0 + 0.8 * self.jitter
        brightness, contrast, saturation = (
            torch.where(on, low + (high - low) * uniforms[:, i], 1.0) for i in (9, 10, 11)
        )
        turn = torch.where(on, 2.0 * math.pi * 0.2 * self.jitter * (2.0 * uniforms[:, 12] - 1.0), 0.0)
        return brightness, contrast, torch.where(uniforms[:, 13] < self.grey, 0.0, saturation), turn

    def _erased(self, images: Tensor, uniforms: Tensor) -> Tensor:
        rows, columns = images.shape[2:]
        w, h = _rectangle(uniforms[:, 1], uniforms[:, 2], self.erase_area, (0.3, 1.0 / 0.3), rows / columns)
        on = uniforms[:, 0] < self.erase
        return _colours.erase(images, on, w, h, uniforms[:, 3], uniforms[:, 4])


def _number(name: str, value: Any, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= most:
        raise ValueError(f"{name}={value!r} must be a number in [0, {most:g}]")


def _range(name: str, value: Any) -> Range:
    """Two numbers 0 < low <= high, as a tuple (a configuration file gives a list)."""
    good = isinstance(value, list | tuple) and len(value) == 2
    good = good and all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in value)
    if not good or not 0.0 < value[0] <= value[1]:
        raise ValueError(f"{name}={value!r} must be two numbers, 0 < low <= high")
    return float(value[0]), float(value[1])


def _rectangle(area: Tensor, shape: Tensor, areas: Range, aspects: Range, ratio: float) -> tuple[Tensor, Tensor]:
    """Width and height, as shares of the image's, of a rectangle that fits.

    With a share `a` of the area and r = (width / height in pixels) * ratio, width is sqrt(a r) and height sqrt(a / r), and both are at
    most 1 for |log r| <= -log a.
    """
    a = areas[0] + (areas[1] - areas[0]) * area
    room = -torch.log(a)
    low, high = (torch.maximum(-room, room.clamp(max=math.log(aspect * ratio))) for aspect in aspects)
    log_r = low + (high - low) * shape
    side = torch.sqrt(a)
    return side * torch.exp(0.5 * log_r), side * torch.exp(-0.5 * log_r)
