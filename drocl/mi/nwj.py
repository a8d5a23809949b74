r"""Nguyen-Wainwright-Jordan: the loose KL dual."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from drocl.mi._crossfit import Neural
from drocl.mi._objective import Constants, Functional, Objective, Pairs, split


class NWJObjective(Objective):
    r"""$\frac1B\sum_i S_{ii} - \frac1{B(B-1)}\sum_{i\neq j} e^{S_{ij}-1}$. The best critic is $1 + \log r$, without any freedom."""

    name: ClassVar[str] = "nwj"
    steep = True
    offset = 1.0

    def training(self, scores: Tensor | Pairs | tuple[Tensor, Tensor]) -> Tensor:
        positives, negatives = split(scores)
        return positives.mean() - torch.exp(negatives - 1.0).mean()

    def log_ratio(self, scores: Tensor, constants: Constants | None = None) -> Tensor:
        return scores - 1.0

    def own(self, constants: Constants, shift: float = 0.0) -> Functional:
        return Functional(
            lambda g: g, lambda g: torch.exp(g - 1.0), lambda a, u: a - u, lambda a, u: (1.0, -1.0)
        )  # fmt: skip


@dataclass(kw_only=True)
class NWJ(Neural):
    r"""Mutual information by $I \geq E_Pg - E_Qe^{g-1}$: unbiased for the bound at a fixed critic, never above DV at the same critic.

    Args:
        options: see `drocl.mi._options.Options`.

    Source: Nguyen, Wainwright and Jordan 2010.
    """

    name: ClassVar[str] = "nwj"

    def objective(self) -> NWJObjective:
        return NWJObjective()
