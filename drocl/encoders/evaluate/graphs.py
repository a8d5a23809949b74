"""How well a support vector machine tells classes of graphs from their features."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import Tensor

GRID = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
INNER = 5  # folds in which C is chosen
MOST_STEPS = 1_000_000  # of the linear machine, which may not end at a large C


def svm_folds(
    features: Tensor,
    labels: Tensor,
    *,
    folds: int = 10,
    seed: int = 0,
    grid: Sequence[float] = GRID,
    kernel: str = "rbf",
) -> dict[str, Any]:
    """Accuracy of a support vector machine, cross-validated in stratified folds.

    The held-out fold serves nothing but the accuracy: features are standardised, and C is chosen by cross-validation, in the others.

    Args:
        features: (n, width), finite.
        labels: integers (n,), none of them -1.
        folds: 2 or more, at most the examples of the rarest class.
        seed: of the folds.
        grid: values of C > 0 to choose from.
        kernel: "rbf" (with scale 1 / (width * variance)) or "linear".

    Returns:
        accuracy: mean over the folds; std: standard deviation over the folds (n - 1), which is no error of the mean: folds share
        their training examples; folds: the accuracy of each.

    Raises:
        ValueError: for what is said above.
    """
    x, y = _checked(features, labels, folds)
    if kernel not in ("rbf", "linear"):
        raise ValueError(f"kernel={kernel!r} must be rbf or linear")
    values = [float(c) for c in grid]
    if not values or not all(np.isfinite(c) and c > 0.0 for c in values):
        raise ValueError(f"grid={tuple(grid)!r} must hold positive numbers")
    machine = make_pipeline(StandardScaler(), SVC(kernel=kernel, max_iter=MOST_STEPS if kernel == "linear" else -1))
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for train, held in StratifiedKFold(folds, shuffle=True, random_state=seed).split(x, y):
            rarest = int(np.unique(y[train], return_counts=True)[1].min())
            inner = StratifiedKFold(max(2, min(INNER, rarest)), shuffle=True, random_state=seed)
            search = GridSearchCV(machine, {"svc__C": values}, cv=inner).fit(x[train], y[train])
            found.append(float(search.score(x[held], y[held])))
    return {"accuracy": float(np.mean(found)), "std": float(np.std(found, ddof=1)), "folds": found}


def _checked(features: Tensor, labels: Tensor, folds: int) -> tuple[Any, Any]:
    """Both as arrays, if they can be told apart in so many folds."""
    x, y = features.detach().double().cpu().numpy(), labels.detach().cpu().numpy()
    if x.ndim != 2 or y.shape != x.shape[:1]:
        raise ValueError(f"features {x.shape} and labels {y.shape} must have shapes (n, width) and (n,)")
    if not np.isfinite(x).all():
        raise ValueError(f"features must be finite; graph {int(np.argmin(np.isfinite(x).all(1)))} has others")
    if (y < 0).any():
        raise ValueError("labels must be known: some are -1")
    counts = np.unique(y, return_counts=True)[1]
    if len(counts) < 2:
        raise ValueError(f"labels must have two classes or more, got {len(counts)}")
    least = int(counts.min())
    if isinstance(folds, bool) or not isinstance(folds, int) or not 2 <= folds <= least:
        raise ValueError(f"folds={folds!r} must be in 2..{least}, the graphs of the rarest class")
    if least - -(-least // folds) < 2:
        raise ValueError(f"labels: the rarest class has {least} graphs, too few to choose C inside {folds} folds")
    return x, y
