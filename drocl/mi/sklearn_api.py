"""`MutualInformation`: `estimate` in the manner of scikit-learn."""

from typing import Any

from sklearn.base import BaseEstimator

from drocl.mi._types import Estimator
from drocl.mi.api import estimate

_OWN = ("estimator", "level", "preprocess", "folds", "seed", "device", "progress")


class MutualInformation(BaseEstimator):  # type: ignore[misc]
    r"""Mutual information of pairs with `fit(x, y)`; the arguments of `drocl.mi.estimate`.

    Attributes:
        estimate_: the value, nats.
        interval_: (lo, hi).
        result_: the `MIEstimate`.

    >>> MutualInformation("dro", divergence="hellinger", steps=100).get_params()["divergence"]
    'hellinger'
    """

    def __init__(
        self, estimator: str | Estimator = "auto", *, level: float = 0.9, preprocess: str | None = None, folds: int | None = None,
        seed: int = 0, device: str = "cpu", progress: bool = False, **options: Any,
    ) -> None:  # fmt: skip
        self.estimator, self.level, self.preprocess, self.folds = estimator, level, preprocess, folds
        self.seed, self.device, self.progress, self.options = seed, device, progress, options

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Arguments and options, by name."""
        return {**{name: getattr(self, name) for name in _OWN}, **self.options}

    def set_params(self, **params: Any) -> "MutualInformation":
        """Change arguments and options; unknown ones are refused by `fit`, as they depend on the estimator."""
        for name, value in params.items():
            if name in _OWN:
                setattr(self, name, value)
            else:
                self.options = {**self.options, name: value}
        return self

    def fit(self, x: Any, y: Any) -> "MutualInformation":
        """Estimate; x (n, dx), y (n, dy)."""
        own = {name: getattr(self, name) for name in _OWN}
        self.result_ = estimate(x, y, **own, **self.options)
        self.estimate_, self.interval_ = self.result_.value, self.result_.interval
        return self
