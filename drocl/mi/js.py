r"""Jensen-Shannon: logistic regression of joint pairs against product pairs."""

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import softplus

from drocl.mi._crossfit import Neural
from drocl.mi._objective import Constants, Functional, Objective, Pairs, split


class JSObjective(Objective):
    r"""$\log 2 - \tfrac12\langle\log(1+e^{-S_{ii}})\rangle - \tfrac12\langle\log(1+e^{S_{ij}})\rangle$: the Jensen-Shannon dual.

    The best critic is $\log r$. The own read-out is that information (at most log 2), not mutual information.
    """

    name: ClassVar[str] = "js"
    quantity = "js"

    def training(self, scores: Tensor | Pairs | tuple[Tensor, Tensor]) -> Tensor:
        positives, negatives = split(scores)
        return math.log(2.0) - 0.5 * (softplus(-positives).mean() + softplus(negatives).mean())

    def own(self, constants: Constants, shift: float = 0.0) -> Functional:
        return Functional(
            lambda g: -softplus(-g), softplus,
            lambda a, u: math.log(2.0) + 0.5 * (a - u), lambda a, u: (0.5, -0.5),
        )  # fmt: skip


@dataclass(kw_only=True)
class JS(Neural):
    r"""Mutual information with a critic trained by the Jensen-Shannon form and read out by the KL dual of its log-ratio.

    Args:
        readout: "kl" (default), "plugin", "nwj", or "own": the Jensen-Shannon information itself, in [0, log 2).
        options: see `drocl.mi._options.Options`.

    Source: Nowozin et al. 2016; Hjelm et al. 2019; Poole et al. 2019.
    """

    name: ClassVar[str] = "js"
    default_readout: ClassVar[str] = "kl"

    def objective(self) -> JSObjective:
        return JSObjective()
