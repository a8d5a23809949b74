r"""A critic trained by Hellinger's dual with a free scale, and its constant: what the library's choice on a stream is made of.

$$ \Big(\int\!\sqrt{dP\,dQ}\Big)^2 = \min_g\; E_P e^{-g/2}\; E_Q e^{g/2} , $$

by Cauchy and Schwarz, with $g = \log\frac{dP}{dQ}$ plus any constant as the minimisers. It is the loose Hellinger dual with the scale
of the ratio as its dual variable, and the variational form of the Renyi divergence of order 1/2. At the constant that makes both
means equal, g is the log-ratio. Pairs weigh with $r^{-1/2}$ under P and $r^{1/2}$ under Q, so neither saturates as logistic weights
do, and neither has the variance of $e^g$.
"""

from torch import Tensor

from drocl.mi._objective import Objective, Pairs, blended, log_mean_exp, split


class FreeScale(Objective):
    r"""$-\log\langle e^{-S_{ii}/2}\rangle - \log\langle e^{S_{ij}/2}\rangle$, to be maximised: at most the Renyi-1/2 information."""

    name = "free scale"
    quantity = "renyi"

    def training(self, scores: Tensor | Pairs | tuple[Tensor, Tensor]) -> Tensor:
        positives, negatives = split(scores)
        return -log_mean_exp(-0.5 * positives, 0) - log_mean_exp(0.5 * negatives.flatten(), 0)


class Bridge:
    r"""Mean log-ratio of a batch, $\langle g\rangle_P + c$ with $c = \log E_Pe^{-g/2} - \log E_Qe^{g/2}$ from past batches.

    c is the estimate of a ratio of two normalising constants by the geometric bridge between the laws: less variable than
    $-\log E_Qe^g$, which only the largest critic values decide.

    Args:
        horizon: batches over which the two means are remembered. The constant of the critic is free and may drift in training: a long
            memory lags behind it.
    """

    def __init__(self, horizon: float) -> None:
        self.horizon, self.count = horizon, 0
        self.logs = [0.0, 0.0]

    def watch(self, scores: Tensor) -> None:
        """Take a batch (B, B) into the running means."""
        positives, negatives = split(scores.detach().double())
        new = (float(log_mean_exp(-0.5 * positives, 0)), float(log_mean_exp(0.5 * negatives.flatten(), 0)))
        self.count += 1
        weight = max(1.0 / self.count, 1.0 / self.horizon)
        self.logs = [blended(old, value, weight) for old, value in zip(self.logs, new, strict=True)]

    def value(self, scores: Tensor, readout: str = "plugin") -> float:
        """Read-out of a batch (B, B), nats; `watch` it first."""
        return float(split(scores).positives.double().mean()) + self.logs[0] - self.logs[1]
