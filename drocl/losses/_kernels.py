r"""What an anchor sums over its negatives: $R_k = \log\sum_{j \in Neg} e^{h_k(s_j)}$, one `Kernel` a sum.

Every loss of the family is a function of the positive's score and of one or two of these row statistics; its gradient with
respect to a score is $\sum_k \partial L/\partial R_k\; e^{h_k(s) - R_k}\, h_k'(s)$, pointwise once the rows are known.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

FIELDS = 6  # numbers a kernel is encoded by, for operators that take plain numbers only


@dataclass(frozen=True)
class Kernel:
    r"""$h(s) = \mathrm{tilt}\,\kappa s - \mathrm{width}\,(s - \mathrm{centre})^2 - \kappa\,(1 - s)_+^{\mathrm{power}}$.

    kappa = 1 / temperature, one for all anchors or one an anchor; the last term is there only if power > 0.

    Attributes:
        tilt: coefficient of kappa s.
        width, centre: the Gaussian log-weight of ADNCE, width = 1 / (2 sigma^2).
        power: exponent of alpha-CL's weight; 0 for none.
        free: None if all of h is differentiated; else only free * kappa * s is, and the rest is a detached weight.
        linear: the statistic enters as a mean of scores under detached weights (alpha-CL): h' = 1, h'' = 0.
    """

    tilt: float = 1.0
    width: float = 0.0
    centre: float = 0.0
    power: float = 0.0
    free: float | None = None
    linear: bool = False

    @property
    def carried(self) -> float:
        """Coefficient c of the differentiable part c kappa s."""
        return 0.0 if self.linear else self.tilt if self.free is None else self.free

    @property
    def fixed(self) -> bool:
        """Nothing of h is differentiated."""
        return self.free == 0.0 and not self.linear

    @property
    def plain(self) -> bool:
        """h = tilt kappa s and nothing else."""
        return self.width == 0.0 and self.power == 0.0

    @property
    def multiple(self) -> bool:
        """h is a positive multiple of s."""
        return self.plain and self.tilt > 0.0

    @property
    def constant_slope(self) -> bool:
        """h' does not depend on s."""
        return self.linear or self.free is not None or self.plain

    def value(self, s: Tensor, kappa: Tensor | float) -> Tensor:
        """h(s), elementwise; kappa broadcasts against s."""
        h = s * (self.tilt * kappa)
        if self.width:
            h = h - self.width * (s - self.centre) ** 2
        if self.power:
            h = h - kappa * (1.0 - s).clamp(min=0.0) ** self.power
        return h

    def slope(self, s: Tensor, kappa: Tensor | float) -> Tensor | float:
        """The part of h'(s) that is differentiated; a number or (rows, 1) where it does not depend on s."""
        if self.linear:
            return 1.0
        if self.free is not None:
            return self.free * kappa
        slope = self.tilt * kappa
        if self.width:
            slope = slope - 2.0 * self.width * (s - self.centre)
        if self.power:
            slope = slope + kappa * self.power * (1.0 - s).clamp(min=0.0) ** (self.power - 1.0)
        return slope

    def largest(self, bound: float, kappa: float) -> float:
        """An upper bound of |h(s)| over |s| <= bound."""
        size = abs(self.tilt) * kappa * bound + self.width * (bound + abs(self.centre)) ** 2
        return size + (kappa * (1.0 + bound) ** self.power if self.power else 0.0)


def encode(kernels: Sequence[Kernel]) -> list[float]:
    """Kernels as numbers; nan stands for None."""
    return [
        number
        for k in kernels
        for number in (k.tilt, k.width, k.centre, k.power, torch.nan if k.free is None else k.free, float(k.linear))
    ]


def decode(numbers: Sequence[float]) -> list[Kernel]:
    """Inverse of `encode`."""
    rows = [numbers[i : i + FIELDS] for i in range(0, len(numbers), FIELDS)]
    return [
        Kernel(tilt, width, centre, power, None if free != free else free, bool(linear))
        for tilt, width, centre, power, free, linear in rows
    ]
