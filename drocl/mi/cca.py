r"""Mutual information of Gaussian pairs, by their canonical correlations."""

import math
import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from drocl.mi._canonical import Canonical, gaussian_bias
from drocl.mi._classical import finish
from drocl.mi._types import Array, MIEstimate
from drocl.mi.gaussian import mutual_information

HEAVY = 0.15  # excess of the fourth moment of a mean coordinate, relative to the Gaussian's


@dataclass(kw_only=True)
class CCA:
    r"""$\hat I = -\frac12\sum_i\log(1-\hat\rho_i^2)$ less its bias; right for Gaussian pairs only.

    Args:
        bias_correct: take off the bias, which is exact for Gaussian pairs at every n and dimension (`gaussian_bias`), about dx dy / 2n.

    The interval's standard error is $\sqrt{\sum\rho_i^2/n}$ to first order (the deviation of the log-ratios), for the Gaussian law.

    Source: the log-determinant of a Wishart matrix, see Cai, Liang and Zhou 2015.
    """

    name: ClassVar[str] = "cca"
    default_preprocess: ClassVar[str] = "none"

    bias_correct: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.bias_correct, (bool, np.bool_)):
            raise ValueError(f"bias_correct={self.bias_correct!r} must be True or False")

    def estimate(
        self, x: Array, y: Array, *, level: float = 0.9, folds: int | None = None, seed: int = 0, device: str = "cpu",
        progress: bool = False,
    ) -> MIEstimate:  # fmt: skip
        """Estimate from x (n, dx), y (n, dy), float64.

        Raises:
            ValueError: fewer than dx + dy + 2 pairs.
        """
        began, n, least = time.perf_counter(), len(x), x.shape[1] + y.shape[1] + 2
        if n < least:
            raise ValueError(f"n={n} pairs are too few for {least - 2} dimensions: at least {least} are needed")
        x, y = x - x.mean(0), y - y.mean(0)
        x, y = x / x.std(0), y / y.std(0)
        fitted = Canonical.of(x, y, float(n))
        rho, (dx, dy) = fitted.rho, fitted.dims
        bias = gaussian_bias(n - 1.0, dx, dy)
        first = max(float((rho**2).sum()) - dx * dy / n, 0.0)  # of the population; noise adds about dx dy / n
        error = math.sqrt((first + 0.5 * dx * dy / n) / n)
        value = mutual_information(rho)
        kurtosis = float(np.square(np.sum(fitted.forms(x, y, rho), axis=0)).mean()) / ((dx + dy) * (dx + dy + 2.0))
        warnings = []
        if rho[0] > 1.0 - 1e-10:
            warnings.append(
                "a combination of the columns of x is one of the columns of y: the information between them is infinite"
            )
        if abs(kurtosis - 1.0) > HEAVY:
            warnings.append(
                f"the pairs are not Gaussian: their fourth moment is {kurtosis:.2f} times that of Gaussian ones"
            )
        details = {"correlations": rho, "bias": bias, "kurtosis": kurtosis}
        value = value - bias if self.bias_correct else value
        return finish(
            "cca" if self.bias_correct else "cca(uncorrected)", value, error, level, n, began, tuple(warnings), details
        )
