"""A model in another mode for a while, each of its modules put back as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def evaluating(model: nn.Module, *, dropout: bool = False) -> Iterator[None]:
    """Evaluation mode inside; with `dropout`, everything but batch norms is in training mode: what is random stays random,
    and no running statistic moves."""
    modes = [(part, part.training) for part in model.modules()]
    for part, _ in modes:
        part.training = dropout and not isinstance(part, _BatchNorm)
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
