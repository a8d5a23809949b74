"""Residual networks, with the stem of small images or that of large ones."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from drocl.encoders.models.convnet import Norm, at_least_one, normalizer, start

Stem = Literal["small", "large"]
SMALL = 64  # pixels of the longer side up to which the small stem is usual


def stem_for(height: int, width: int) -> Stem:
    """The usual stem for images of this size.

    >>> stem_for(32, 32), stem_for(96, 96)
    ('small', 'large')
    """
    return "small" if max(height, width) <= SMALL else "large"


class Block(nn.Module):
    """Convolutions beside a shortcut: two 3x3 ("basic"), or 1x1, 3x3, 1x1 to four times the channels ("bottleneck").

    The last norm starts with weight 0, so that the block starts as its shortcut (goyal2017). A bottleneck strides in its 3x3.
    """

    def __init__(self, before: int, channels: int, stride: int, bottleneck: bool, norm: Norm) -> None:
        super().__init__()
        after = 4 * channels if bottleneck else channels
        if bottleneck:
            sizes = [(before, channels, 1, 1), (channels, channels, 3, stride), (channels, after, 1, 1)]
        else:
            sizes = [(before, channels, 3, stride), (channels, after, 3, 1)]
        layers: list[nn.Module] = []
        for i, (a, b, kernel, step) in enumerate(sizes):
            layers += [nn.ReLU(inplace=True)] * bool(i)
            layers += [nn.Conv2d(a, b, kernel, step, kernel // 2, bias=False), normalizer(norm, b)]
        self.branch = nn.Sequential(*layers)
        self.shortcut = nn.Sequential()
        if stride != 1 or before != after:
            self.shortcut.append(nn.Conv2d(before, after, 1, stride, bias=False))
            self.shortcut.append(normalizer(norm, after))

    def forward(self, images: Tensor) -> Tensor:
        """(n, before, h, w) to (n, after, h / stride, w / stride)."""
        return functional.relu(self.branch(images) + self.shortcut(images), inplace=True)


class ResNet(nn.Module):
    """A residual network without its classifier.

    Args:
        blocks: blocks of each of the four stages.
        bottleneck: the kind of block.
        channels: of the images.
        norm: as in `drocl.encoders.models.convnet.normalizer`.
        stem: "small": one 3x3 convolution that keeps the size; "large": 7x7 with stride 2 and a 3x3 maximum with stride 2.
        base: channels of the first stage, 64 in the standard networks; features have 8 base (bottleneck: 32 base).

    Raises:
        ValueError: another stem or norm; a size below 1.

    Source: he2016; the small stem: chen2020simclr, Appendix B.9.
    """

    def __init__(
        self, blocks: Sequence[int], bottleneck: bool, channels: int = 3, norm: Norm = "batch", stem: Stem = "small",
        base: int = 64,
    ) -> None:  # fmt: skip
        super().__init__()
        at_least_one(channels=channels, base=base)
        if stem not in ("small", "large"):
            raise ValueError(f"stem={stem!r} must be 'small' or 'large'")
        if stem == "small":
            first: list[nn.Module] = [nn.Conv2d(channels, base, 3, 1, 1, bias=False)]
        else:
            first = [nn.Conv2d(channels, base, 7, 2, 3, bias=False)]
        first += [normalizer(norm, base), nn.ReLU(inplace=True)]
        self.stem = nn.Sequential(*first, *([nn.MaxPool2d(3, 2, 1)] if stem == "large" else []))
        stages, before = [], base
        for i, count in enumerate(blocks):
            inside = base * 2**i
            stage = []
            for j in range(count):
                stage.append(Block(before, inside, 2 if i and not j else 1, bottleneck, norm))
                before = 4 * inside if bottleneck else inside
            stages.append(nn.Sequential(*stage))
        self.stages = nn.Sequential(*stages)
        self.width = before
        start(self)
        for block in self.modules():
            if isinstance(block, Block):
                nn.init.zeros_(block.branch[-1].weight)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, channels, h, w) to features (n, width), the mean over the positions."""
        features: Tensor = self.stages(self.stem(images)).mean((2, 3))
        return features


def resnet18(channels: int = 3, norm: Norm = "batch", stem: Stem = "small", base: int = 64) -> ResNet:
    """ResNet-18 without its classifier: 512 features; 11,168,832 parameters with the small stem and 3 channels.

    Args:
        channels, norm, stem, base: as in `ResNet`.

    Raises:
        ValueError: as `ResNet`.

    Source: he2016, Table 1.

    >>> sum(p.numel() for p in resnet18().parameters())
    11168832
    """
    return ResNet((2, 2, 2, 2), False, channels, norm, stem, base)


def resnet50(channels: int = 3, norm: Norm = "batch", stem: Stem = "small", base: int = 64) -> ResNet:
    """ResNet-50 without its classifier: 2048 features; 23,500,352 parameters with the small stem and 3 channels.

    Args:
        channels, norm, stem, base: as in `ResNet`.

    Raises:
        ValueError: as `ResNet`.

    Source: he2016, Table 1, with the stride in the 3x3 convolutions of its blocks (goyal2017).
    """
    return ResNet((3, 4, 6, 3), True, channels, norm, stem, base)
