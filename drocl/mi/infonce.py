r"""InfoNCE: each pair against the other y's of its batch, the pair itself in the denominator."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from drocl.mi._crossfit import Neural
from drocl.mi._objective import Objective, Pairs, split


class InfoNCEObjective(Objective):
    r"""$\frac1B\sum_i \log\frac{e^{S_{ii}}}{\frac1B\sum_j e^{S_{ij}}}$: a lower bound of I in expectation, never above log B.

    The best critic is $\log r(x,y) + c(x)$ with any c: a read-out other than the own needs it normalised over y.
    """

    name: ClassVar[str] = "infonce"
    rows: ClassVar[bool] = True

    def training(self, scores: Tensor | Pairs | tuple[Tensor, Tensor]) -> Tensor:
        if isinstance(scores, Tensor):
            # the library's cross-entropy is the fastest form of diagonal minus log-sum-exp
            own = torch.arange(scores.shape[0], device=scores.device)
            return math.log(scores.shape[0]) - cross_entropy(scores, own)
        positives, negatives = split(scores)
        everything = torch.cat([positives[:, None], negatives], 1)
        return (positives - torch.logsumexp(everything, 1)).mean() + math.log(everything.shape[1])

    def row_values(self, pairs: Pairs) -> tuple[Tensor, Tensor]:
        positives, negatives = pairs
        total = torch.logsumexp(torch.cat([positives[:, None], negatives], 1), 1)
        return positives - total + math.log(negatives.shape[1] + 1), torch.exp(negatives - total[:, None])


@dataclass(kw_only=True)
class InfoNCE(Neural):
    r"""Mutual information by InfoNCE: $I \geq E\big[g(x,y) - \log\frac1N\sum_{j\leq N} e^{g(x,y_j)}\big]$, at most log N.

    N is `batch_size`. Read-outs: "own" on held-out batches of N; "kl", "plugin", "nwj" after the critic is normalised over the y's of
    its own training sample (`normalise="rows"`; "none" is refused there, as the critic is defined only up to a function of x).

    Args:
        options: see `drocl.mi._options.Options`.

    Source: van den Oord et al. 2018; the bound for finite N: Poole et al. 2019.
    """

    name: ClassVar[str] = "infonce"

    def objective(self) -> InfoNCEObjective:
        return InfoNCEObjective()
