r"""Features of a block of coordinates: normal scores, and coordinates times harmonics of their distance from a centre.

A map that turns or stretches points by an amount that depends on their distance r from a centre (a spiral, any elliptical
law) is linear in $z_j\cos(\pi k\,t(r))$, so canonical correlations of these features undo it without training.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from drocl.mi import _student
from drocl.mi._margins import Margins
from drocl.mi._types import Array

CLIP = 8.0  # robust standard deviations: one wild point must not carry a direction
MAD = 0.6744897501960817  # median absolute deviation of a normal law
ENDS = (0.005, 0.995)  # quantiles of the radius that the harmonics span


@dataclass(frozen=True)
class Radial:
    """Fitted features of one block.

    Attributes:
        margins, table: ranks of the training sample and their normal scores.
        shift, size: (d,) centre and scale of the coordinates.
        offset: (d,) added after clipping: the median in units of `size` where the centre is the origin, 0 where it is the median.
        span: radii between which the harmonics run.
        harmonics: K >= 0; K = 0 leaves the normal scores alone.
    """

    margins: Margins
    table: Array
    shift: Array
    size: Array
    offset: Array
    span: tuple[float, float]
    harmonics: int

    @classmethod
    def fit(cls, x: Array, harmonics: int, about: str) -> Self:
        """Fit on x (n, d); `about` is "median" or "origin"."""
        margins = Margins.fit(x)
        table = margins.table(_student.quantile(np.inf))
        shift = np.median(x, 0)
        spread = np.median(np.abs(x - shift), 0) / MAD
        size = np.where(spread > 0.0, spread, np.maximum(x.std(0), 1e-300))  # half of the values tied: no robust scale
        if about == "origin":
            size = np.full_like(
                size, float(np.median(size))
            )  # a turn about the origin keeps its form only under one common scale
        offset = shift / size if about == "origin" else np.zeros_like(shift)
        made = cls(margins, table, shift, size, offset, (0.0, 1.0), harmonics)
        low, high = np.quantile(np.sqrt((made.coordinates(x) ** 2).sum(1)), ENDS)
        return cls(margins, table, shift, size, offset, (float(low), float(max(high, low + 1e-12))), harmonics)

    def coordinates(self, x: Array) -> Array:
        """Scaled, clipped coordinates (m, d) about the centre."""
        return np.asarray(np.clip((x - self.shift) / self.size, -CLIP, CLIP) + self.offset)

    def scores(self, x: Array) -> Array:
        """Normal scores (m, d)."""
        return self.margins.new_scores(self.table, x)

    def __call__(self, x: Array) -> Array:
        """Features (m, d (1 + K)) of x (m, d)."""
        parts = [self.scores(x)]
        if self.harmonics:
            z = self.coordinates(x)
            low, high = self.span
            angle = np.pi * np.clip((np.sqrt((z**2).sum(1)) - low) / (high - low), 0.0, 1.1)
            parts += [z * np.cos(k * angle)[:, None] for k in range(self.harmonics)]
        return np.concatenate(parts, axis=1)
