r"""Gaussian and Student copulas: the dependence by ranks, so that monotone changes of the coordinates do not matter.

    law = StudentCopula.fit(x, y)
    law.mutual_information(), law.nu, law.log_ratio(x_new, y_new)

The margins become scores $z = F^{-1}(rank)$ with F normal or t; the log-ratio is that of the joint law of the scores to its two blocks.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import chdtr, fdtr

from drocl.mi import _interval
from drocl.mi._classical import finish
from drocl.mi._elliptical import Elliptical, GaussianCopula, StudentCopula
from drocl.mi._held import Held, splits
from drocl.mi._types import Array, MIEstimate

__all__ = ["Copula", "Elliptical", "GaussianCopula", "StudentCopula", "misfit"]

FAMILIES: dict[str, Callable[[Array, Array], Elliptical]] = {
    "gaussian": GaussianCopula.fit,
    "student": StudentCopula.fit,
}
READOUTS = ("model", "plugin", "kl")
SHIFTS = 32  # products a held-out pair takes part in, for the kl read-out
TIED = 0.1
MISFIT = 0.005  # distance of distribution functions that is still no misfit, beyond 1.5 / sqrt n and d / n


@dataclass(kw_only=True)
class Copula:
    r"""Mutual information by a copula that is fitted, not trained.

    Args:
        family: "gaussian", "student", or "auto": the one with the larger likelihood on a third of the pairs held out.
        readout: "model": that of the fitted law, its bias taken off; right if the family is. "plugin": mean log-ratio of
            held-out pairs. "kl": that less the log-mean of the ratio over held-out products, which tends to a lower bound
            for any family.

    The interval takes the log-ratios as influence values. Where margins and law are estimated together that is exact for Gaussian
    pairs, and for t somewhat too wide.

    Source: Gaussian copulas: Ince et al. 2017; normal scores: Klaassen and Wellner 1997; t copulas: Demarta and McNeil 2005.
    """

    name: ClassVar[str] = "copula"
    default_preprocess: ClassVar[str] = "none"

    family: str = "auto"
    readout: str = "model"

    def __post_init__(self) -> None:
        if self.family not in (*FAMILIES, "auto"):
            raise ValueError(f"family={self.family!r} must be one of {', '.join(FAMILIES)}, auto")
        if self.readout not in READOUTS:
            raise ValueError(f"readout={self.readout!r} must be one of {', '.join(READOUTS)}")

    def estimate(
        self, x: Array, y: Array, *, level: float = 0.9, folds: int | None = None, seed: int = 0, device: str = "cpu",
        progress: bool = False,
    ) -> MIEstimate:  # fmt: skip
        """Estimate from x (n, dx), y (n, dy), float64; `folds` (5) is of the held-out read-outs.

        Raises:
            ValueError: fewer than dx + dy + 2 pairs (in two thirds, or in the training part of a fold, where pairs are held out).
        """
        began = time.perf_counter()
        order = np.random.default_rng(seed).permutation(len(x))
        family, gain = self._choose(x, y, order)
        law = FAMILIES[family](x, y)
        details = {
            "family": family, "nu": law.nu, "gain_of_student": gain, "correlations": law.canonical.rho,
            "model": law.mutual_information(), "uncorrected": law.mutual_information(correct=False),
        }  # fmt: skip
        if self.readout == "model":
            value, error, n_train = law.mutual_information(), law.standard_error(x, y), len(x)
        else:
            value, error, log_ratios, n_train = self._held_out(x, y, order, family, folds or 5)
            details["log_ratios"] = log_ratios
        label, warnings = f"copula({family}, {self.readout})", _warnings(law, x, y)
        return finish(label, value, error, level, len(x), began, warnings, details, n_train)

    def _choose(self, x: Array, y: Array, order: np.ndarray) -> tuple[str, float]:
        """Family, and by how much the t copula is more likely a held-out pair (nan where nobody asked)."""
        if self.family != "auto":
            return self.family, math.nan
        test, train = np.split(order, [len(x) // 3])
        student = StudentCopula.fit(x[train], y[train])
        if math.isinf(student.nu):
            return "gaussian", 0.0
        gaussian = GaussianCopula.fit(x[train], y[train])
        gain = float((student.log_density(x[test], y[test]) - gaussian.log_density(x[test], y[test])).mean())
        return "student" if gain > 0.0 else "gaussian", gain

    def _held_out(
        self, x: Array, y: Array, order: np.ndarray, family: str, folds: int
    ) -> tuple[float, float, Array, int]:
        """Value, standard error, cross-fitted log-ratio of every pair, size of the smallest training part."""
        ratios, values, influence = np.empty(len(x)), [], []
        for train, test in splits(order, folds):
            law = FAMILIES[family](x[train], y[train])
            if self.readout == "kl":
                held = Held.of(law, x[test], y[test], len(test) - np.arange(1, min(SHIFTS, len(test) - 1) + 1))
                ratios[test], value, own = held.pairs, held.value, held.influence
            else:
                ratios[test] = law.log_ratio(x[test], y[test])
                value, own = float(ratios[test].mean()), ratios[test] - ratios[test].mean()
            values.append(value)
            influence.append(own)
        return *_interval.over_folds(values, influence), ratios, len(x) - max(map(len, influence))


def misfit(law: Elliptical, x: Array, y: Array) -> float:
    """Distance between the distribution functions of the radius of the scores: of the sample, and under the fitted law."""
    d, nu = sum(law.canonical.dims), law.nu
    form = np.sum(law.canonical.forms(*law.scores(x, y), law.canonical.rho), axis=0)
    level = np.sort(chdtr(d, form) if math.isinf(nu) else fdtr(d, nu, form / d))
    steps = np.arange(len(x) + 1) / len(x)
    return float(max((steps[1:] - level).max(), (level - steps[:-1]).max()))


def _warnings(law: Elliptical, x: Array, y: Array) -> tuple[str, ...]:
    texts, n = [], len(x)
    for name, margin in zip("xy", law.margins, strict=True):
        if margin.tied > TIED:
            texts.append(
                f"{margin.tied:.0%} of the values of a column of {name} are tied: ranks assume continuous columns"
            )
    if law.canonical.rho[0] > 1.0 - 1e-10:
        texts.append(
            "a combination of the columns of x is one of the columns of y: the information between them is infinite"
        )
    distance = misfit(law, x, y)
    if distance > MISFIT + 1.5 / math.sqrt(n) + sum(law.canonical.dims) / n:
        kind = "Gaussian" if math.isinf(law.nu) else f"t (nu = {law.nu:.2g})"
        texts.append(
            f"the pairs do not follow a {kind} copula (their radii differ by {distance:.2f} in distribution): the estimate "
            "describes the fitted law and may be far off"
        )
    return tuple(texts)
