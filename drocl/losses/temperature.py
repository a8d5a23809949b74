"""A temperature that is learned with the encoder."""

import math

import torch
from torch import Tensor, nn

from drocl.losses._options import number, positive


class Temperature(nn.Module):
    r"""Learnable temperature $\tau = e^{\theta}$, kept inside bounds.

    theta is brought back between the logarithms of the bounds each time the temperature is read, so that an optimiser's step
    beyond a bound is undone, never a gradient lost.

    Args:
        initial: starting value, inside the bounds.
        bounds: smallest and largest temperature, 0 < low < high.

    Raises:
        ValueError: bounds that are not ordered or not positive; a start outside.

    >>> tau = Temperature(0.5)
    >>> round(float(tau()), 6)
    0.5
    """

    def __init__(self, initial: float = 0.5, bounds: tuple[float, float] = (0.01, 1.0)) -> None:
        super().__init__()
        low, high = (positive("bounds", bound) for bound in bounds)
        if not low < high:
            raise ValueError(f"bounds={bounds!r} must be (low, high) with low < high")
        start = number("initial", initial, low, high, closed=(True, True), says=f"[{low:g}, {high:g}]")
        self.bounds = (low, high)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(start)))

    def forward(self) -> Tensor:
        """tau, a tensor () that carries the gradient."""
        low, high = (math.log(bound) for bound in self.bounds)
        with torch.no_grad():
            self.log_temperature.clamp_(low, high)
        return self.log_temperature.exp()

    def extra_repr(self) -> str:
        """Bounds, for print."""
        return f"bounds={self.bounds}"
