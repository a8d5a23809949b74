r"""Kraskov, Stoegbauer and Grassberger: mutual information from nearest neighbours in the maximum norm."""

import math
import time
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from scipy.special import digamma

from drocl.mi import _neighbours as near
from drocl.mi._classical import finish
from drocl.mi._types import Array, MIEstimate
from drocl.mi.preprocess import Preprocessor, check_mode, transform

JITTER = 1e-8  # of a column's standard deviation
LEAST = 4  # parts, for a standard error


def local_values(x: Array, y: Array, k: int = 5, variant: int = 1, method: str = "auto") -> Array:
    r"""Log-ratio at each pair by its neighbours, whose mean is the estimate.

    Variant 1: $\psi(k)+\psi(n)-\psi(n_x+1)-\psi(n_y+1)$, with $n_x$ the other points closer in x than the k-th neighbour is in (x, y).
    Variant 2: $\psi(k)-\frac1k+\psi(n)-\psi(n_x)-\psi(n_y)$, with $n_x$ those not farther in x than any of the k neighbours.

    Args:
        x, y: (n, dx), (n, dy), as they are compared.
        k: neighbours, 1..n-1.
        variant: 1 or 2.
        method: of `drocl.mi._neighbours.nearest`.

    Returns:
        (n,), nats; nan where the k-th neighbour is a copy of the pair.

    Raises:
        ValueError: for another variant, or k outside its range.

    >>> z = np.array([[0.0], [1.0], [2.0], [4.0]])
    >>> local_values(z, z, k=1).round(3).tolist()
    [1.833, 1.833, 1.833, 1.833]
    """
    n = len(x)
    _check_k(k, n)
    if variant not in (1, 2):
        raise ValueError(f"variant={variant!r} must be 1 or 2")
    z = np.concatenate([x, y], axis=1)
    far, index = near.nearest(z, z, k + 1, method)
    radius = far[:, -1]
    copies = radius == 0.0
    if variant == 1:
        inside = [np.maximum(near.count(side, side, radius) - 1, 0) for side in (x, y)]
        found = digamma(k) + digamma(n) - digamma(inside[0] + 1.0) - digamma(inside[1] + 1.0)
    else:
        inside = []
        for side in (x, y):
            widest = np.stack([np.abs(side[index[:, j]] - side).max(1) for j in range(k + 1)]).max(0)
            inside.append(near.count(side, side, widest, strict=False) - 1)
        found = digamma(k) - 1.0 / k + digamma(n) - digamma(inside[0]) - digamma(inside[1])
    return np.where(copies, np.nan, found)


@dataclass(frozen=True)
class KSGRatio:
    r"""Log-ratio at new points by their neighbours in a training sample: the local value of a point added to it.

    It is noisy, with a standard deviation of about $\sqrt{\psi'(k)}$ a point, and lies within $\pm(\psi(n+1) - \psi(k))$.
    """

    x: Array
    y: Array
    k: int
    sides: tuple[Preprocessor, Preprocessor]

    @classmethod
    def fit(cls, x: Array, y: Array, k: int = 5, preprocess: str = "standardize") -> Self:
        """Fit on x (n, dx), y (n, dy).

        Args:
            x, y: the pairs.
            k: neighbours, 1..n-1.
            preprocess: none, standardize, ranks or copula.

        Raises:
            ValueError: another preprocessing; k outside its range.
        """
        _check_mode(preprocess)
        _check_k(k, len(x))
        sides = (Preprocessor.fit(x, preprocess), Preprocessor.fit(y, preprocess))
        return cls(sides[0](x), sides[1](y), k, sides)

    def log_ratio(self, x: Array, y: Array) -> Array:
        """At new points x (m, dx), y (m, dy), none of them in the training sample: (m,), nats."""
        a, b = self.sides[0](x), self.sides[1](y)
        radius = near.nearest(np.concatenate([self.x, self.y], axis=1), np.concatenate([a, b], axis=1), self.k)[0][
            :, -1
        ]
        nx, ny = near.count(self.x, a, radius), near.count(self.y, b, radius)
        return np.asarray(digamma(self.k) + digamma(len(self.x) + 1) - digamma(nx + 1.0) - digamma(ny + 1.0))


@dataclass(kw_only=True)
class KSG:
    r"""Mutual information by nearest neighbours, $\hat I = \psi(k)+\psi(n)-\langle\psi(n_x+1)+\psi(n_y+1)\rangle$.

    Args:
        k: neighbours. Few: less bias; many: less variance.
        variant: 1 or 2 (see `local_values`).
        preprocess: none, standardize, ranks or copula (normal scores).
        parts: the standard error is taken from the estimates of so many parts of the sample, each with its own neighbours, and
            their mean shows whether the estimate moves with n: then a warning says so, and the interval reaches as much farther.
            0: local values as if independent, which is quicker, and too short by 20 to 40 %. Parts keep at least 4 k pairs.
        method: how neighbours are found; "auto", or "tree", "bits", "brute", which agree.

    Nearest neighbours are biased towards independence in more than a few dimensions, and for strong dependence.

    Copies: where the k-th neighbour of some pair is a copy of it, all columns get noise of 1e-8 of their deviation, from the seed, with
    a warning; where that is so for more than half of the pairs the data are discrete and are refused.

    Source: Kraskov et al. 2004; parts: Holmes and Nemenman 2019.
    """

    name: ClassVar[str] = "ksg"

    k: int = 5
    variant: int = 1
    preprocess: str = "standardize"
    parts: int = 10
    method: str = "auto"

    def __post_init__(self) -> None:
        _check_mode(self.preprocess)
        _check_k(self.k, None)
        if self.variant not in (1, 2):
            raise ValueError(f"variant={self.variant!r} must be 1 or 2")
        if isinstance(self.parts, bool) or not (
            self.parts == 0 or (isinstance(self.parts, int) and self.parts >= LEAST)
        ):
            raise ValueError(f"parts={self.parts!r} must be 0 or an integer of at least {LEAST}")
        if self.method not in ("auto", "tree", "bits", "brute"):
            raise ValueError(f"method={self.method!r} must be one of auto, tree, bits, brute")

    def estimate(
        self, x: Array, y: Array, *, level: float = 0.9, folds: int | None = None, seed: int = 0, device: str = "cpu",
        progress: bool = False,
    ) -> MIEstimate:  # fmt: skip
        """Estimate from x (n, dx), y (n, dy), float64.

        Raises:
            ValueError: k >= n; pairs that mostly repeat each other.
        """
        began, n = time.perf_counter(), len(x)
        _check_k(self.k, n)
        rng = np.random.default_rng(seed)
        x, y = transform(x, self.preprocess), transform(y, self.preprocess)
        values = local_values(x, y, self.k, self.variant, self.method)
        warnings: list[str] = []
        copies = float(np.isnan(values).mean())
        if copies > 0.5:
            raise ValueError(
                f"x and y: {copies:.0%} of the pairs have {self.k} copies or more, the data are discrete: "
                "use estimator='histogram' (rows coded as one or two labels a side), or a larger k"
            )
        if copies > 0.0:
            warnings.append(
                f"{copies:.1%} of the pairs have {self.k} copies or more: noise of {JITTER:g} of the deviation was added"
            )
            x, y = (side + JITTER * side.std(0) * rng.uniform(-1.0, 1.0, side.shape) for side in (x, y))
            values = local_values(x, y, self.k, self.variant, self.method)
        value, error = float(values.mean()), float(values.std(ddof=1)) / math.sqrt(n)
        details: dict[str, Any] = {"local_values": values}
        warnings += _ties(x, y)
        drift, count = 0.0, min(self.parts, n // (4 * self.k))
        if count >= LEAST:
            split = np.array_split(rng.permutation(n), count)
            means = [local_values(x[p], y[p], self.k, self.variant, self.method).mean() for p in split]
            error = max(error, float(np.std(means, ddof=1)) / math.sqrt(count))
            drift = value - float(np.mean(means))
            details["drift"] = drift
        label = f"ksg-{self.variant}(k={self.k}, {self.preprocess})"
        found = finish(label, value, error, level, n, began, tuple(warnings), details)
        return found if abs(drift) <= 2.0 * error else _moved(found, drift)


def _moved(found: MIEstimate, drift: float) -> MIEstimate:
    lo, hi = found.interval
    text = (
        f"the estimate moves with n: {found.value - drift:.3f} nats from parts of the sample, {found.value:.3f} from all; "
        "nearest neighbours are biased here, and the truth likely lies farther in the same direction"
    )
    wider = (lo + min(drift, 0.0), hi + max(drift, 0.0))
    return replace(found, interval=wider, warnings=(*found.warnings, text))


def _ties(x: Array, y: Array) -> list[str]:
    """A warning for each side whose every column repeats most of its values."""
    found = []
    for name, side in (("x", x), ("y", y)):
        distinct = max(np.unique(column).size for column in side.T) / len(side)
        if distinct < 0.5:
            found.append(
                f"every column of {name} repeats values ({distinct:.1%} distinct): nearest neighbours assume a density"
            )
    return found


def _check_mode(mode: str) -> None:
    check_mode(mode)
    if mode == "rich":
        raise ValueError("preprocess='rich' must be one of none, standardize, ranks, copula: it adds redundant columns")


def _check_k(k: int, n: int | None) -> None:
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise ValueError(f"k={k!r} must be a positive number of neighbours")
    if n is not None and k >= n:
        raise ValueError(f"k={k} must be smaller than the number of pairs, n={n}")
