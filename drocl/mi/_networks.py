"""Small fully connected networks, without the cost of a module call per layer and without the global generator."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu, "gelu": functional.gelu, "silu": functional.silu, "elu": functional.elu, "tanh": torch.tanh,
}  # fmt: skip


class MLP(nn.Module):
    """Linear layers of the given sizes with an activation between them; He-scaled weights from `generator`, zero biases.

    Layers are applied without the call of a module each: at these sizes the calls would cost as much as the sums.
    """

    def __init__(
        self, sizes: Sequence[int], activation: str = "relu", generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        if activation not in _ACTIVATIONS:
            raise ValueError(f"activation={activation!r} must be one of {', '.join(_ACTIVATIONS)}")
        self.activation = activation
        last = len(sizes) - 2
        gains = [1.0 if i == last else math.sqrt(2.0) for i in range(last + 1)]
        pairs = zip(pairwise(sizes), gains, strict=True)
        self.layers = nn.ModuleList([linear(a, b, gain, generator) for (a, b), gain in pairs])

    def forward(self, x: Tensor, first: int = 0) -> Tensor:
        """Layers from `first` on."""
        act = _ACTIVATIONS[self.activation]
        for i, layer in enumerate(self.layers):
            if i < first:
                continue
            x = functional.linear(act(x) if i else x, cast(Tensor, layer.weight), cast(Tensor, layer.bias))
        return x


def linear(a: int, b: int, gain: float = 1.0, generator: torch.Generator | None = None) -> nn.Linear:
    """A linear layer with weights N(0, gain^2 / a), made without the global generator."""
    layer = nn.utils.skip_init(nn.Linear, a, b)
    with torch.no_grad():
        layer.weight.normal_(0.0, gain / math.sqrt(a), generator=generator)
        layer.bias.zero_()
    return cast(nn.Linear, layer)
