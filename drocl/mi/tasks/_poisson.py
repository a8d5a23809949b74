"""A mixture of a continuous and a discrete margin: zero-inflated Poisson counts of an exponential intensity."""

import math

import numpy as np
from scipy.special import gammaln

from drocl.divergences import Divergence
from drocl.mi._types import Array
from drocl.mi.tasks._task import Task


class ZeroInflated(Task):
    r"""X ~ Exp(1); Y = 0 at rate p, else Poisson(X).

    $p(y) = p\,1\{y=0\} + (1-p)2^{-y-1}$. The counts of at least 1 give
    $(1-p)[2\log 2-\gamma-\sum_k 2^{-k}\log k + \frac14-\frac12\log 2]$; a zero, whose probability given x is
    $a = p+(1-p)e^{-x}$, gives $E\,a\log(a/Ea)$ with a uniform on [p, 1]. The value $(1-p)\,0.3012$ found in the
    literature is $I(X;Y,Z)$, where Z says which of the two laws Y came from: larger unless p = 0, for a zero hides it.

    Args:
        name: of the task.
        rate: p in [0, 1).

    Raises:
        ValueError: outside that range.

    Source: the model of gao2017mixtures; the information is derived here.
    """

    dim_x = dim_y = 1

    def __init__(self, name: str, rate: float) -> None:
        if not 0.0 <= rate < 1.0:
            raise ValueError(f"rate={rate!r} must lie in [0, 1)")
        self.name, self.rate = name, float(rate)

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x = rng.exponential(size=(n, 1))
        return x, np.where(rng.random((n, 1)) < self.rate, 0.0, rng.poisson(x))

    def _log_ratio(self, x: Array, y: Array) -> Array:
        if not (np.all(x > 0.0) and np.all((y >= 0.0) & (y == np.floor(y)))):
            raise ValueError("x must be positive and y a count, 0, 1, 2, ...: the support")
        p = self.rate
        count = y * np.log(x) - x - gammaln(y + 1.0) + (y + 1.0) * math.log(2.0)
        zero = np.log((p + (1.0 - p) * np.exp(-x)) / (p + 0.5 * (1.0 - p)))
        return np.asarray(np.where(y > 0.0, count, zero)[:, 0])

    def _information(self, divergence: Divergence) -> float | None:
        if divergence.power != 1.0:
            return None
        k = np.arange(1.0, 80.0)
        counts = 2.0 * math.log(2.0) - np.euler_gamma - float(np.sum(np.log(k) * 0.5**k)) + 0.25 - 0.5 * math.log(2.0)
        p, mean = self.rate, 0.5 * (1.0 + self.rate)
        # E a log a for a uniform on [p, 1]
        low = 0.5 * p * p * math.log(p) if p > 0.0 else 0.0
        zero = (-low - 0.25 * (1.0 - p * p)) / (1.0 - p) - mean * math.log(mean)
        return divergence.scale * ((1.0 - p) * counts + zero)
