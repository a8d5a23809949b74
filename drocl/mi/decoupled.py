r"""Decoupled InfoNCE: a log-mean-exp per row over the negatives alone, no positive in the denominator."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from drocl.mi._crossfit import Neural
from drocl.mi._objective import Objective, Pairs, log_mean_exp, split


class DecoupledObjective(Objective):
    r"""$\frac1B\sum_i\big[S_{ii} - \log\frac1{B-1}\sum_{j\neq i} e^{S_{ij}}\big]$: Donsker-Varadhan, one row at a time.

    A lower bound of I for infinitely many negatives only: at a finite number the log of a mean is too small on average, and the value
    too large (at the best critic, without limit as I grows).
    """

    name: ClassVar[str] = "decoupled"
    rows: ClassVar[bool] = True

    def training(self, scores: Tensor | Pairs | tuple[Tensor, Tensor]) -> Tensor:
        positives, negatives = split(scores)
        return (positives - log_mean_exp(negatives, 1)).mean()

    def row_values(self, pairs: Pairs) -> tuple[Tensor, Tensor]:
        return pairs.positives - log_mean_exp(pairs.negatives, 1), torch.softmax(pairs.negatives, 1)


@dataclass(kw_only=True)
class Decoupled(Neural):
    r"""Mutual information by the row-wise Donsker-Varadhan form, $E\big[g(x,y) - \log\frac1{N-1}\sum_j e^{g(x,y_j)}\big]$.

    No ceiling, and no bound at a finite N (biased up). Read-outs as `InfoNCE`.

    Args:
        options: see `drocl.mi._options.Options`.

    Source: the decoupled contrastive loss, Yeh et al. 2022, read as an estimator; wu2023, Equation 1.
    """

    name: ClassVar[str] = "decoupled"

    def objective(self) -> DecoupledObjective:
        return DecoupledObjective()
