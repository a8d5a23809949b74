r"""Mutual information from samples: variational estimators and their distributionally robust duals, classical ones, known truths.

    result = estimate(x, y)                                # MIEstimate: value, interval, warnings, ...; nats
    result = estimate(x, y, "dro", divergence="hellinger", tight=True)
    MutualInformation("infonce").fit(x, y).estimate_       # scikit-learn style
    tasks.get("multinormal-dense-2-2-0.5").sample(1000, seed=0)
    objective("smile", clip=5.0).training(scores)          # an objective on a score matrix, for training loops of one's own

`ESTIMATORS` lists the names. Information is in nats throughout.
"""

import importlib
from typing import TYPE_CHECKING, Any

from drocl.mi._registry import ESTIMATORS
from drocl.mi._types import DensityRatio, Estimator, MIEstimate, MIWarning

if TYPE_CHECKING:
    from drocl.mi import critics, tasks
    from drocl.mi._registry import make, objective
    from drocl.mi.api import estimate
    from drocl.mi.sklearn_api import MutualInformation

__all__ = [
    "ESTIMATORS",
    "DensityRatio",
    "Estimator",
    "MIEstimate",
    "MIWarning",
    "MutualInformation",
    "critics",
    "estimate",
    "make",
    "objective",
    "tasks",
]

_LATE = {
    "estimate": "api",
    "MutualInformation": "sklearn_api",
    "make": "_registry",
    "objective": "_registry",
}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(importlib.import_module(f"drocl.mi.{_LATE[name]}"), name)
    if name in ("critics", "tasks"):
        return importlib.import_module(f"drocl.mi.{name}")
    raise AttributeError(f"module 'drocl.mi' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
