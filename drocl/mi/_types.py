"""What an estimate of mutual information is, and what an estimator must offer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class MIWarning(UserWarning):
    """An estimate that its reader should not take at face value; the text says why."""


@dataclass(frozen=True)
class MIEstimate:
    r"""An estimate of $I(X;Y) = D_{KL}(P_{XY}\|P_XP_Y)$ with an interval.

    Attributes:
        value: the estimate, nats. Not clipped at zero: a negative value says that nothing was found.
        interval: (lo, hi) at `level`, nats.
        level: nominal coverage of the interval, in (0, 1).
        history: one mapping a recorded step: training step, held-out value and what the estimator keeps.
        estimator: name, with the options that matter.
        n_train, n_test: pairs a critic was fitted on and pairs it was evaluated on (smallest fold, all folds together).
        seconds: wall time.
        warnings: what a reader must know, one sentence each; also issued as `MIWarning`.
        details: numbers of the estimator's own, e.g. the choice that "auto" made.
    """

    value: float
    interval: tuple[float, float]
    level: float
    history: Sequence[Mapping[str, float]]
    estimator: str
    n_train: int
    n_test: int
    seconds: float
    warnings: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        lo, hi = self.interval
        lines = [f"{self.value:.4f} nats [{lo:.4f}, {hi:.4f}] at {self.level:.0%} by {self.estimator}"]
        return "\n".join([*lines, *(f"  warning: {text}" for text in self.warnings)])


@runtime_checkable
class DensityRatio(Protocol):
    r"""A fitted model of $\log\frac{p(x,y)}{p(x)p(y)}$."""

    def log_ratio(self, x: Array, y: Array) -> Array:
        """Log-ratio at points x (m, dx), y (m, dy): shape (m,), nats."""
        ...


@runtime_checkable
class Estimator(Protocol):
    """One way to estimate mutual information from checked, preprocessed pairs."""

    name: str

    def estimate(
        self, x: Array, y: Array, *, level: float, folds: int | None, seed: int, device: str, progress: bool
    ) -> MIEstimate:
        """Estimate from x (n, dx), y (n, dy), float64."""
        ...
