"""`estimate`: check, treat, dispatch, warn."""

import dataclasses
import time
import warnings
from typing import Any

from drocl.mi import _check, _registry
from drocl.mi._types import Estimator, MIEstimate, MIWarning
from drocl.mi.preprocess import MODES, check_mode, transform


def estimate(
    x: Any, y: Any, estimator: str | Estimator = "auto", *, level: float = 0.9, preprocess: str | None = None,
    folds: int | None = None, seed: int = 0, device: str = "cpu", progress: bool = False, **options: Any,
) -> MIEstimate:  # fmt: skip
    r"""Mutual information of pairs, nats: $I(X;Y) = D_{KL}(P_{XY}\|P_XP_Y)$.

    Neural estimators are cross-fitted: every pair is evaluated once, by a critic that saw neither it nor the other pairs of its fold.

    Args:
        x, y: (n, dx) or (n,), and (n, dy) or (n,); numpy, torch or nested lists; numbers. Labels as integers or one-hot columns.
            Constant columns are dropped, with a note in `details["notes"]`.
        estimator: a name of `drocl.mi.ESTIMATORS`, or an object with the `Estimator` protocol.
        level: nominal coverage of the interval, in (0, 1).
        preprocess: "none", "standardize", "ranks" (uniform scores), "copula" (normal scores), "rich" (neural only); None for the
            estimator's own. Neural estimators fit it on training parts.
        folds: number of folds, in [2, n // 10]; None for the estimator's own.
        seed: integer >= 0; the same seed gives the same result, and no global generator moves.
        device: torch device of the neural estimators.
        progress: a progress bar on stderr.
        **options: of the estimator, e.g. `divergence="hellinger", critic="separable", hidden=(256, 256), steps=4000`, or
            `preset="fast"`.

    Returns:
        An `MIEstimate`. What a reader must know is in its `warnings`, and issued as `MIWarning`.

    Raises:
        ValueError: bad input or options, each by name, before any work.

    >>> import numpy as np
    >>> z = np.random.default_rng(0).standard_normal((2, 500))
    >>> found = estimate(z[0], z[0] + z[1], "bilinear")
    Traceback (most recent call last):
    ValueError: estimator='bilinear' is unknown; the known ones are auto, infonce, ...
    """
    began = time.perf_counter()
    left, right, notes = _check.pairs(x, y)
    _check.options(level, folds, seed, len(left))
    if preprocess is not None:
        check_mode(preprocess)
    chosen, outside = _resolve(estimator, preprocess, options)
    if outside != "none":
        left, right = transform(left, outside), transform(right, outside)
    found = chosen.estimate(
        left, right, level=float(level), folds=folds, seed=int(seed), device=device, progress=progress
    )
    details = {**found.details, "notes": (*found.details.get("notes", ()), *notes)}
    found = dataclasses.replace(found, seconds=time.perf_counter() - began, details=details)
    for text in found.warnings:
        warnings.warn(text, MIWarning, stacklevel=2)
    return found


def _resolve(estimator: str | Estimator, preprocess: str | None, options: dict[str, Any]) -> tuple[Estimator, str]:
    """The estimator, and the preprocessing that is not its own affair."""
    if not isinstance(estimator, str):
        if not isinstance(estimator, Estimator):
            raise ValueError(
                f"estimator={estimator!r} must be a name or have `name` and `estimate`; see drocl.mi.Estimator"
            )
        if options:
            raise ValueError(f"options {sorted(options)} cannot be added to an estimator that is already made")
        if preprocess is not None and hasattr(estimator, "preprocess"):
            raise ValueError(
                f"preprocess={preprocess!r} is an option of this estimator itself: give it where it is made"
            )
        return estimator, preprocess or ("none" if hasattr(estimator, "preprocess") else _default(estimator))
    kind = _registry._load(estimator)
    inside = "preprocess" in _registry.accepted(kind)
    if inside and preprocess is not None:
        options = {**options, "preprocess": preprocess}
    made = _registry.make(estimator, **options)
    return made, "none" if inside else preprocess or _default(made)


def _default(estimator: Estimator) -> str:
    mode = str(getattr(estimator, "default_preprocess", "none"))
    assert mode in MODES, mode
    return mode
