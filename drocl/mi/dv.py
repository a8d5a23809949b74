r"""Donsker-Varadhan, plain and with the corrected gradient (MINE)."""

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from drocl.mi._crossfit import Neural
from drocl.mi._objective import (
    Constants,
    Functional,
    Objective,
    Pairs,
    blended,
    donsker_varadhan,
    log_mean_exp,
    split,
)  # fmt: skip


class DVObjective(Objective):
    r"""$\frac1B\sum_i S_{ii} - \log\frac1{B(B-1)}\sum_{i\neq j} e^{S_{ij}}$. The best critic is $\log r$ + any constant."""

    name: ClassVar[str] = "dv"

    def training(self, scores: Tensor | Pairs | tuple[Tensor, Tensor]) -> Tensor:
        positives, negatives = split(scores)
        return positives.mean() - log_mean_exp(negatives.flatten(), 0)

    def constants(self, scores: Tensor | Pairs | tuple[Tensor, Tensor]) -> dict[str, float]:
        return {"level": float(log_mean_exp(split(scores).negatives.detach().double().flatten(), 0))}

    def log_ratio(self, scores: Tensor, constants: Constants | None = None) -> Tensor:
        return scores - (constants or {}).get("level", 0.0)

    def own(self, constants: Constants, shift: float = 0.0) -> Functional:
        return donsker_varadhan(shift)


class MINEObjective(DVObjective):
    r"""`DVObjective` with the gradient of $E_Pg - \log E_Qe^g$ at a running mean of $E_Qe^g$ (the batch's own makes it biased).

    Args:
        rate: weight of a new batch in the running mean, in (0, 1].
    """

    name: ClassVar[str] = "mine"

    def __init__(self, rate: float = 0.01) -> None:
        if not 0.0 < rate <= 1.0:
            raise ValueError(f"rate={rate!r} must lie in (0, 1]: it is a new batch's weight in the running mean")
        self.rate = rate
        self.level: float | None = None  # log of the running mean

    def training(self, scores: Tensor | Pairs | tuple[Tensor, Tensor]) -> Tensor:
        positives, negatives = split(scores)
        log_mean = log_mean_exp(negatives.flatten(), 0)
        if not log_mean.requires_grad:  # looked at, not trained on: the running mean stays
            return positives.mean() - log_mean
        new = float(log_mean.detach())
        self.level = new if self.level is None else blended(self.level, new, self.rate)
        weight = math.exp(new - self.level)  # at most 1 / rate
        # the value of Donsker-Varadhan, the gradient of the running mean
        return positives.mean() - log_mean.detach() - weight * (log_mean - log_mean.detach())


@dataclass(kw_only=True)
class DV(Neural):
    r"""Mutual information by Donsker-Varadhan, $I \geq E_Pg - \log E_Qe^g$.

    Its variance grows as $e^{I}$ in the read-out; a warning says when the mean over Q rests on few pairs.

    Args:
        options: see `drocl.mi._options.Options`.

    Source: Donsker and Varadhan 1983; as an estimator: Belghazi et al. 2018.
    """

    name: ClassVar[str] = "dv"

    def objective(self) -> DVObjective:
        return DVObjective()


@dataclass(kw_only=True)
class MINE(Neural):
    r"""`DV` trained with the bias-corrected gradient: the denominator of $\nabla\log E_Qe^g$ is a running mean.

    Args:
        rate: weight of a new batch in the running mean, in (0, 1].
        options: see `drocl.mi._options.Options`.

    Source: Belghazi et al. 2018, section 3.2.
    """

    name: ClassVar[str] = "mine"
    rate: float = 0.01

    def objective(self) -> MINEObjective:
        return MINEObjective(self.rate)
