"""The projector between features and embeddings, the model that training sees, and batch statistics that stay as they are."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from drocl.encoders.models.convnet import at_least_one


class Projector(nn.Module):
    """Linear layers from features to embeddings, with a norm and a ReLU between them.

    Args:
        width: of the features.
        hidden: of the layers between.
        out: of the embeddings.
        layers: linear layers; 1 is a linear map.
        norm: "batch" or "none", before each ReLU.

    Raises:
        ValueError: a size below 1; another norm.

    Source: chen2020simclr, Section 2.1.

    >>> import torch
    >>> Projector(512, 128, 64)(torch.zeros(5, 512)).shape
    torch.Size([5, 64])
    """

    def __init__(
        self, width: int, hidden: int, out: int, layers: int = 2, norm: Literal["batch", "none"] = "batch"
    ) -> None:
        super().__init__()
        at_least_one(width=width, hidden=hidden, out=out, layers=layers)
        if norm not in ("batch", "none"):
            raise ValueError(f"norm={norm!r} must be 'batch' or 'none'")
        self.width, self.out = width, out
        sizes = [width, *[hidden] * (layers - 1), out]
        made: list[nn.Module] = []
        for i, (a, b) in enumerate(pairwise(sizes)):
            if i and norm == "batch":
                made.append(nn.BatchNorm1d(a))
            if i:
                made.append(nn.ReLU(inplace=True))
            made.append(nn.Linear(a, b, bias=i == layers - 1 or norm == "none"))  # a norm takes the bias out again
        self.layers = nn.Sequential(*made)

    def forward(self, features: Tensor) -> Tensor:
        """Features (n, width) to embeddings (n, out), not normalised."""
        embeddings: Tensor = self.layers(features)
        return embeddings


class ContrastiveModel(nn.Module):
    """An encoder with its projector: what a loss trains, and what is kept of it.

    Args:
        encoder: from a batch to features (n, width), with an attribute `width`.
        projector: from features to embeddings; None: the features are the embeddings.

    Raises:
        ValueError: an encoder without a width, or a projector that expects another.
    """

    def __init__(self, encoder: nn.Module, projector: nn.Module | None = None) -> None:
        super().__init__()
        width = getattr(encoder, "width", None)
        if not isinstance(width, int):
            raise ValueError(
                f"encoder of type {type(encoder).__name__} must have an attribute width, the number of features"
            )
        expected = getattr(projector, "width", width)
        if expected != width:
            raise ValueError(f"projector expects {expected} features, the encoder has {width}")
        self.encoder, self.width = encoder, width
        self.projector = nn.Identity() if projector is None else projector

    def features(self, batch: Any) -> Tensor:
        """What evaluation uses, (n, width)."""
        found: Tensor = self.encoder(batch)
        return found

    def forward(self, batch: Any) -> Tensor:
        """Embeddings (n, out), not normalised: the losses do that."""
        embeddings: Tensor = self.projector(self.features(batch))
        return embeddings


@contextmanager
def frozen_statistics(model: nn.Module) -> Iterator[None]:
    """Inside, batch norms in training mode normalise by their batch and leave their running statistics as they are.

    For a pass that is repeated later (micro-batches), so that each example counts once. Batch norms in evaluation mode go on
    using their running statistics. Every attribute is as it was on leaving, also after an error.
    """
    tracking = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    for layer in tracking:
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer in tracking:
            layer.track_running_stats = True
