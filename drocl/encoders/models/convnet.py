"""Small encoders of images, for digits and for the quickest runs, and the normalisation layers that all encoders share."""

import math
from typing import Literal, get_args

from torch import Tensor, nn

Norm = Literal["batch", "group"]
NORMS: tuple[str, ...] = get_args(Norm)
GROUPS = 32  # at most
LEAST = 8  # channels of a group, so that small layers are not normalised channel by channel


def normalizer(norm: Norm, channels: int) -> nn.Module:
    """A normalisation layer of images (n, channels, h, w).

    Args:
        norm: "batch": `BatchNorm2d`, whose result depends on the rest of the batch in training; "group": `GroupNorm` with at
            most 32 groups of at least 8 channels, whose result does not.
        channels: channels it acts on.

    Raises:
        ValueError: another norm.

    Source: wu2018group for groups.

    >>> normalizer("group", 64).num_groups
    8
    """
    if norm not in NORMS:
        raise ValueError(f"norm={norm!r} must be one of {', '.join(map(repr, NORMS))}")
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    most = min(GROUPS, max(channels // LEAST, 1))
    return nn.GroupNorm(max(g for g in range(1, most + 1) if channels % g == 0), channels)


def at_least_one(**sizes: int) -> None:
    """Whole numbers >= 1.

    Raises:
        ValueError: naming the first that is none.
    """
    for name, value in sizes.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name}={value!r} must be a whole number of at least 1")


def start(module: nn.Module) -> None:
    """Kaiming-normal weights by fan-out for convolutions, norms at the identity (he2015)."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(layer, nn.BatchNorm2d | nn.GroupNorm):
            nn.init.ones_(layer.weight)
            nn.init.zeros_(layer.bias)


class ConvNet(nn.Module):
    """Convolutions 3x3 of growing width, each with a norm and a ReLU, and the mean over the positions that are left.

    The first convolution keeps the size of the image, each later one halves it: digits of 8 x 8 end at 2 x 2 with depth 3.

    Args:
        channels: of the images.
        width: of the features, the channels of the last convolution; each one before has half of the next.
        depth: convolutions.
        norm: as in `normalizer`; "group" makes the features of an image independent of the rest of its batch.

    Raises:
        ValueError: a size below 1; a width that depth - 1 halvings do not leave whole; another norm.

    >>> import torch
    >>> ConvNet(channels=1)(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 128])
    """

    def __init__(self, channels: int = 1, width: int = 128, depth: int = 3, norm: Norm = "group") -> None:
        super().__init__()
        at_least_one(channels=channels, width=width, depth=depth)
        if width % 2 ** (depth - 1):
            raise ValueError(f"width={width} must be a multiple of {2 ** (depth - 1)} with depth={depth}")
        self.width = width
        sizes = [channels, *(width >> i for i in reversed(range(depth)))]
        layers: list[nn.Module] = []
        for i in range(depth):
            # no bias: the norm that follows would take it out again
            layers.append(nn.Conv2d(sizes[i], sizes[i + 1], 3, stride=2 if i else 1, padding=1, bias=False))
            layers += [normalizer(norm, sizes[i + 1]), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers)
        start(self)

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, channels, h, w) to features (n, width)."""
        features: Tensor = self.layers(images).mean((2, 3))
        return features


class MLP(nn.Module):
    """Two linear layers on the pixels with a ReLU after the first: the encoder that costs next to nothing.

    Args:
        shape: (channels, height, width) of the images.
        width: of the features.
        hidden: of the layer between.

    Raises:
        ValueError: a size below 1.

    >>> import torch
    >>> MLP((1, 8, 8))(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 64])
    """

    def __init__(self, shape: tuple[int, int, int] = (1, 8, 8), width: int = 64, hidden: int = 128) -> None:
        super().__init__()
        at_least_one(width=width, hidden=hidden)
        self.width = width
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(math.prod(shape), hidden), nn.ReLU(inplace=True), nn.Linear(hidden, width)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, channels, h, w) of the given shape to features (n, width)."""
        features: Tensor = self.layers(images)
        return features
