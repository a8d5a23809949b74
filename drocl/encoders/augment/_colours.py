"""What is done to the pixels of a view after it has been cut out: colours, blur, erasing; every image by its own numbers."""

import numpy as np
import torch
from torch import Tensor

_LUMA = (0.299, 0.587, 0.114)  # of red, green and blue, ITU-R BT.601
_YIQ = np.array([_LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)])  # luma, two axes of the chroma plane
# A quarter turn of the chroma plane, in red, green and blue.
_QUARTER: list[list[float]] = (np.linalg.inv(_YIQ) @ np.array([[0, 0, 0], [0, 0, -1], [0, 1, 0]]) @ _YIQ).tolist()


def luma(images: Tensor) -> Tensor:
    """Grey value (n, 1, h, w) of images (n, c, h, w): weighted as the eye does for 3 channels, else the mean."""
    if images.shape[1] != 3:
        return images.mean(1, keepdim=True)
    red, green, blue = images.unbind(1)
    return (_LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue)[:, None]


def average(images: Tensor) -> Tensor:
    """Mean over the pixels of each channel, (n, c, 1, 1)."""
    # Rows first: one long sum is cut among threads where there is no other one, and then depends on the number of images.
    return images.mean(3, keepdim=True).mean(2, keepdim=True)


def turned(colour: Tensor, angle: Tensor) -> Tensor:
    """Distances from grey (n, 3, h, w), whose luma is 0, turned by an angle (n,) in the chroma plane of YIQ; their luma stays 0."""
    # Sums of products instead of a matrix product: the same bits in any batch, full precision whatever is set for products, and
    # no constants to be copied to a device.
    red, green, blue = colour.unbind(1)
    quarter = torch.stack([r * red + g * green + b * blue for r, g, b in _QUARTER], 1)
    angle = angle.view(-1, 1, 1, 1)
    return torch.cos(angle) * colour + torch.sin(angle) * quarter


def recolour(images: Tensor, brightness: Tensor, contrast: Tensor, chroma: Tensor, turn: Tensor) -> Tensor:
    r"""Brightness, contrast, saturation and hue at once: $b\,(m + c\,(Y - m) + c\,s\,R_\theta(x - Y))$, cut to [0, 1].

    Y is a pixel's luma and m the image's mean of it. On 3 channels; on others the same with chroma 1 and turn 0.

    Args:
        images: (n, c, h, w).
        brightness, contrast, chroma: factors b, c, s >= 0, (n,).
        turn: theta in radians, (n,).
    """
    b, c, s = (factor.view(-1, 1, 1, 1) for factor in (brightness, contrast, chroma))
    grey = luma(images)
    mean = average(grey)
    if images.shape[1] != 3:
        return (b * (mean + c * (images - mean))).clamp(0.0, 1.0)
    return (b * (mean + c * (grey - mean) + c * s * turned(images - grey, turn))).clamp(0.0, 1.0)


def blur(images: Tensor, on: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur of some images, one product along each side; rows of the kernel sum to 1 in the image, so it keeps constants.

    Args:
        images: (n, c, h, w).
        on: bool (n,).
        sigma: standard deviation in pixels > 0, (n,).
    """
    down, across = (_kernel(side, sigma) for side in images.shape[2:])
    blurred = torch.einsum("nij,ncjk,nlk->ncil", down, images, across)
    return torch.where(on.view(-1, 1, 1, 1), blurred, images)


def _kernel(side: int, sigma: Tensor) -> Tensor:
    """Weights (n, side, side): row i averages around pixel i."""
    place = torch.arange(side, device=sigma.device, dtype=sigma.dtype)
    distance = (place[:, None] - place) / sigma.view(-1, 1, 1)
    return torch.softmax(-0.5 * distance * distance, dim=-1)


def erase(images: Tensor, on: Tensor, width: Tensor, height: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The mean colour of an image in a rectangle of it.

    Args:
        images: (n, c, h, w).
        on: bool (n,).
        width, height: of the rectangle, as shares of the image's, in (0, 1], (n,).
        x, y: its place, from 0 (left, top) to 1 (right, bottom), (n,).
    """
    inside = on.view(-1, 1, 1)
    for axis, size, place in ((1, height, y), (2, width, x)):
        pixels = images.shape[axis + 1]
        centre = (torch.arange(pixels, device=images.device, dtype=images.dtype) + 0.5) / pixels
        start = (place * (1.0 - size)).view(-1, 1)
        within = (centre >= start) & (centre < start + size.view(-1, 1))
        inside = inside & within.unsqueeze(3 - axis)
    return torch.where(inside[:, None], average(images), images)
