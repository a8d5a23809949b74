"""The separable critic of the staircase with its gradient by hand: the same numbers as autograd in half the time."""

import math

import torch
from torch import Tensor

from drocl.mi.critics import Separable


class Flat:
    """All weights of a `Separable` with ReLU in one vector, so that Adam and averages are one call each.

    Args:
        critic: whose weights are copied.
    """

    def __init__(self, critic: Separable) -> None:
        layers = [layer for side in (critic.left, critic.right) for layer in side.layers]
        shapes = [(tuple(layer.weight.shape), tuple(layer.bias.shape)) for layer in layers]
        pieces = [piece.detach().flatten() for layer in layers for piece in (layer.weight, layer.bias)]
        self.weights = torch.cat(pieces)
        self.gradient = torch.zeros_like(self.weights)
        self.shapes = [shape for pair in shapes for shape in pair]

    def _views(self, vector: Tensor) -> tuple[list[tuple[Tensor, Tensor]], ...]:
        parts = vector.split([math.prod(shape) for shape in self.shapes])
        shaped = [part.view(shape) for part, shape in zip(parts, self.shapes, strict=True)]
        layers = list(zip(shaped[::2], shaped[1::2], strict=True))
        return layers[: len(layers) // 2], layers[len(layers) // 2 :]

    def bind(self, weights: Tensor) -> "Sides":
        """The two networks at a weight vector, which later changes in place are seen through."""
        return Sides(self._views(weights), self._views(self.gradient))


class Sides:
    """Scores of a batch and the gradient of a function of them."""

    def __init__(self, layers: tuple, gradients: tuple) -> None:
        self.layers, self.gradients = layers, gradients

    def matrix(self, x: Tensor, y: Tensor) -> Tensor:
        """(B, B) scores; what `backward` needs is remembered."""
        self.inner = []
        ends = []
        for side, values in zip(self.layers, (x, y), strict=True):
            kept = []
            for i, (weight, bias) in enumerate(side):
                values = values.relu_() if i else values
                kept.append(values)
                values = torch.addmm(bias, values, weight.T)
            self.inner.append(kept)
            ends.append(values)
        self.ends = ends
        return ends[0] @ ends[1].T

    def backward(self, slope: Tensor) -> None:
        """Write the gradient of the weights for the gradient `slope` (B, B) of the scores."""
        left, right = self.ends
        for side, kept, grads, flow in zip(
            self.layers, self.inner, self.gradients, (slope @ right, slope.T @ left), strict=True
        ):
            for i in range(len(side) - 1, -1, -1):
                torch.mm(flow.T, kept[i], out=grads[i][0])
                torch.sum(flow, 0, out=grads[i][1])
                if i:
                    flow = (flow @ side[i][0]).mul_(kept[i] > 0)


def open_up(critic: Separable, shift: float = 2.0) -> None:
    """Start a ReLU critic as nearly linear maps: pre-activations of mean `shift` and deviation one, taken off again a layer later.

    Inputs are meant to have deviation one. With a shift of 2 all but 2 % of the units are open at first.
    """
    with torch.no_grad():
        for side in (critic.left, critic.right):
            last = len(side.layers) - 1
            for i, layer in enumerate(side.layers):
                if i < last:
                    layer.weight.mul_(2.0**-0.5)  # the ReLU halves no variance
                layer.bias.fill_(0.0 if i == last else shift)
                if i:
                    layer.bias.sub_(shift * layer.weight.sum(1))
