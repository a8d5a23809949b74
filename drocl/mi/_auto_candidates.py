"""The candidates of `auto`: how each is fitted on a training part, and what it reads out if it is chosen."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from drocl.mi import _interval
from drocl.mi._auto_canonical import CanonicalCopula
from drocl.mi._held import Held
from drocl.mi._types import Array, DensityRatio
from drocl.mi.copula import GaussianCopula, StudentCopula
from drocl.mi.ksg import KSGRatio

NEIGHBOURS = 20  # of the ratio that is scored; the estimate itself uses fewer
KSG_DIMENSION = 3  # of each block, at most
KSG_PAIRS = 100_000
SIMPLE_FIRST = ("gaussian", "student", "ksg", "canonical", "network", "plain network")


@dataclass(frozen=True)
class Independent:
    """The ratio of independent blocks: zero."""

    def log_ratio(self, x: Array, y: Array) -> Array:
        """Zeros (m,)."""
        return np.zeros(len(x))

    def sides(self, x: Array, y: Array) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """Nothing but the number of rows."""
        return (np.zeros(len(x)),), (np.zeros(len(y)),)

    def joined(self, x: tuple[Array, ...], y: tuple[Array, ...]) -> Array:
        """Zeros (m,)."""
        return np.zeros(len(x[0]))


@dataclass
class Candidate:
    """One candidate over the folds.

    Attributes:
        models: fitted ratio of each fold.
        held: its log-ratios on the fold held out.
        seen: the same read-out on as many pairs of the training part, nats.
        seconds: for fitting and scoring.
        credit: nats that its noise costs the score and not its own estimate.
    """

    name: str
    models: list[DensityRatio] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)
    seconds: float = 0.0
    credit: float = 0.0
    error: str = ""

    @property
    def score(self) -> float:
        """Held-out bound over the folds, nats, with the credit; -inf if it could not be fitted."""
        return self.value + self.credit if self.held and not self.error else -math.inf

    @property
    def value(self) -> float:
        """Held-out bound: mean over folds weighted by their size."""
        return self._mean([h.value for h in self.held])

    @property
    def gap(self) -> float:
        """By how much the read-out falls from training to held-out pairs, at least 0."""
        if any(math.isnan(s) for s in self.seen):
            return 0.0
        return max(0.0, self._mean(self.seen) - self.value)

    def _mean(self, values: Sequence[float]) -> float:
        return _interval.fold_mean(values, [h.pairs for h in self.held])

    @property
    def influence(self) -> Array:
        """(n,) influence values, folds one after the other."""
        return np.concatenate([h.influence for h in self.held])

    @property
    def effective(self) -> float:
        """Smallest effective number of products over the folds."""
        return min(h.effective for h in self.held)

    def add(
        self,
        fit: Callable[[], DensityRatio | None],
        x: Array,
        y: Array,
        train: np.ndarray,
        test: np.ndarray,
        look_back: bool,
    ) -> None:
        """Fit on one fold and score; an error, or None in place of a model, takes the candidate out."""
        if self.error:
            return
        began = time.perf_counter()
        try:
            model = fit()
        except (ValueError, np.linalg.LinAlgError) as reason:
            self.error = str(reason) or type(reason).__name__
            return
        if model is None:
            self.error = "does not apply: too few pairs for its features, or one dimension"
            return
        held = Held.of(model, x[test], y[test])
        if not math.isfinite(held.value):
            self.error = f"its held-out bound is {held.value}"
            return
        self.models.append(model)
        self.held.append(held)
        again = train[: len(test)]
        self.seen.append(Held.of(model, x[again], y[again]).value if look_back else math.nan)
        self.seconds += time.perf_counter() - began

    def summary(self) -> dict[str, Any]:
        """For `details`."""
        if self.error:
            return {"not_used": self.error}
        n = len(self.influence)
        return {
            "held_out": self.value, "standard_error": float(self.influence.std() / math.sqrt(n)), "gap": self.gap,
            "credit": self.credit, "effective_products": self.effective, "seconds": self.seconds,
        }  # fmt: skip


def fits(
    x: Array, y: Array, train: np.ndarray, seed: int, names: tuple[str, ...]
) -> dict[str, Callable[[], DensityRatio | None]]:
    """Fitting functions of the candidates without a network, on one training part."""
    a, b = x[train], y[train]
    table: dict[str, Callable[[], DensityRatio | None]] = {
        "gaussian": lambda: GaussianCopula.fit(a, b),
        "student": lambda: StudentCopula.fit(a, b),
        "canonical": lambda: CanonicalCopula.fit(a, b, seed),
    }
    if max(x.shape[1], y.shape[1]) <= KSG_DIMENSION and NEIGHBOURS < len(train) <= KSG_PAIRS:
        table["ksg"] = lambda: KSGRatio.fit(a, b, k=NEIGHBOURS)
    return {name: fit for name, fit in table.items() if name in names}


def choose(candidates: dict[str, Candidate], quantile: float = 1.645) -> Candidate:
    """The simplest candidate whose score is within sampling noise of the best.

    The difference of two scores has the standard error of the difference of their influence values, pair by pair.
    """
    best = max(candidates.values(), key=lambda c: c.score)
    for name in SIMPLE_FIRST:
        one = candidates.get(name)
        if one is None or not math.isfinite(one.score):
            continue
        difference = best.influence - one.influence
        if best.score - one.score <= quantile * float(difference.std()) / math.sqrt(len(difference)):
            return one
    return best
