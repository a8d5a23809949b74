r"""Invertible changes of coordinates, fitted on one sample and applied to another; mutual information does not see them.

none          as given
standardize   mean 0, variance 1
ranks         uniform scores: the empirical distribution function, mapped to [-sqrt 3, sqrt 3]
copula        normal scores: the same through the normal quantile
rich          normal scores, with robustly scaled values and their log-norm beside them (for critics)
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri

from drocl.mi._margins import Margins
from drocl.mi._types import Array

MODES = ("none", "standardize", "ranks", "copula", "rich")
FEW = (3, 32)  # a column with so many distinct values also gets indicator columns


def check_mode(mode: str) -> str:
    """The mode, or an error that lists the known ones."""
    if mode not in MODES:
        raise ValueError(f"preprocess={mode!r} must be one of {', '.join(MODES)}")
    return mode


@dataclass(frozen=True)
class Preprocessor:
    """A fitted change of coordinates of one side.

    Attributes:
        mode: of `MODES`.
        width: number of columns that are the coordinates themselves; what follows is redundant (rich features, indicators).
    """

    mode: str
    width: int
    center: Array
    scale: Array
    margins: Margins | None
    norm: tuple[float, float]
    categories: tuple[tuple[int, Array], ...]

    @classmethod
    def fit(cls, x: Array, mode: str, indicators: bool = False) -> "Preprocessor":
        """Fit on x (n, d).

        Args:
            x: the sample.
            mode: of `MODES`.
            indicators: append 0/1 columns for each value of a column with 3 to 32 distinct values (in at most 4 dimensions), so that a
                critic can treat labels as labels.
        """
        check_mode(mode)
        robust = mode == "rich"
        center = np.median(x, 0) if robust else x.mean(0)
        scale = np.subtract(*np.percentile(x, [75, 25], axis=0)) / 1.349 if robust else x.std(0)
        scale = np.where(scale > 0.0, scale, np.where(x.std(0) > 0.0, x.std(0), 1.0))
        norm = (0.0, 1.0)
        if robust:
            length = _log_norm((x - center) / scale)
            norm = (float(length.mean()), float(length.std()) or 1.0)
        margins = Margins.fit(x) if mode in ("ranks", "copula", "rich") else None
        return cls(
            mode, x.shape[1], center, scale, margins, norm, categories(x) if indicators and x.shape[1] <= 4 else ()
        )

    def __call__(self, x: Array) -> Array:
        """New coordinates of x (m, d): (m, d') with d' >= d."""
        parts: list[Any] = [self._main(x)]
        if self.mode == "rich":
            unit = (x - self.center) / self.scale
            length = (_log_norm(unit) - self.norm[0]) / self.norm[1]
            parts += [np.arcsinh(unit), np.clip(length, -8.0, 8.0)[:, None]] if x.shape[1] > 1 else [np.arcsinh(unit)]
        parts += [(x[:, column, None] == value) * 1.0 for column, value in self.categories]
        return np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]

    def _main(self, x: Array) -> Array:
        if self.mode == "none":
            return x
        if self.margins is None:
            return (x - self.center) / self.scale
        level = self.margins.levels(x)
        return np.sqrt(3.0) * (2.0 * level - 1.0) if self.mode == "ranks" else np.asarray(ndtri(level))


def _log_norm(unit: Array) -> Array:
    return np.asarray(np.log(np.sqrt((unit**2).mean(1)) + 1e-6))


def categories(x: Array) -> tuple[tuple[int, Array], ...]:
    """Columns of x (n, d) with 3 to 32 distinct values, each ten times or more on average, and those values."""
    found = [(i, np.unique(column)) for i, column in enumerate(x.T)]
    return tuple((i, v) for i, v in found if FEW[0] <= v.size <= FEW[1] and v.size * 10 <= x.shape[0])


def transform(x: Array, mode: str) -> Array:
    """Fit and apply on one sample, for estimators without a test part.

    >>> transform(np.array([[1.0], [5.0], [100.0]]), "ranks").ravel().round(3).tolist()
    [-1.155, 0.0, 1.155]
    """
    if mode == "rich":
        raise ValueError("preprocess='rich' adds redundant columns and is for the neural estimators alone")
    return Preprocessor.fit(x, mode)(x)
