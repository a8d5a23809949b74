"""Copulas of elliptical laws, fitted to the ranks of two blocks of columns: `drocl.mi.copula` is their public place."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from drocl.mi import _student
from drocl.mi._canonical import Canonical, gaussian_bias, shrunk
from drocl.mi._margins import Margins
from drocl.mi._types import Array
from drocl.mi.gaussian import mutual_information

SEARCH = 1_000_000  # numbers that the search for the degrees of freedom looks at, at most


@dataclass(frozen=True)
class Elliptical:
    """A fitted copula of (x, y); `GaussianCopula` and `StudentCopula` are made by their `fit`.

    Attributes:
        margins: of x and of y.
        table: scores at the levels of the sample.
        canonical: of the fitted scatter.
        rho: canonical correlations less their noise, which `log_ratio` uses; those of `canonical` are as fitted.
        nu: degrees of freedom, inf for the Gaussian.
        n: pairs it was fitted on.
        center: (1, dx), (1, dy): mean scores, other than 0 only where values are tied.
    """

    margins: tuple[Margins, Margins]
    table: Array
    canonical: Canonical
    rho: Array
    nu: float
    n: int
    center: tuple[Array, Array]

    @classmethod
    def fit(cls, x: Array, y: Array) -> Self:
        """Fit on x (n, dx), y (n, dy)."""
        raise NotImplementedError

    def scores(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Scores of new points; beyond the sample, those of its ends."""
        a, b = (m.new_scores(self.table, v) for m, v in zip(self.margins, (x, y), strict=True))
        return a - self.center[0], b - self.center[1]

    def log_ratio(self, x: Array, y: Array) -> Array:
        r"""$\log\frac{p(x,y)}{p(x)p(y)}$ at new points x (m, dx), y (m, dy): (m,), nats."""
        return self.of_scores(*self.scores(x, y))

    def sides(self, x: Array, y: Array) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """The scores, as what each side contributes to a log-ratio."""
        a, b = self.scores(x, y)
        return (a,), (b,)

    def joined(self, x: tuple[Array, ...], y: tuple[Array, ...]) -> Array:
        """`log_ratio` of the `sides`."""
        return self.of_scores(x[0], y[0])

    def of_scores(self, x: Array, y: Array) -> Array:
        """`log_ratio` at the scores x (m, dx), y (m, dy) of points: (m,)."""
        form_x, form_y, extra = self.canonical.forms(x, y, self.rho)
        (dx, dy), nu = self.canonical.dims, self.nu
        constant = _student.log_ratio_constant(nu, dx, dy)
        joint = _student.log_shape(nu, dx + dy, form_x + form_y + extra)
        single = _student.log_shape(nu, dx, form_x) + _student.log_shape(nu, dy, form_y)
        return np.asarray(constant + mutual_information(self.rho) + joint - single)

    def log_density(self, x: Array, y: Array) -> Array:
        """Log of the copula's density at new points, all coordinates together: (m,), for the comparison of families."""
        zx, zy = self.scores(x, y)
        form_x, form_y, extra = self.canonical.forms(zx, zy, self.rho)
        d, nu = sum(self.canonical.dims), self.nu
        maps = (self.canonical.map_x, self.canonical.map_y)
        scale = sum(
            float(np.log(np.linalg.svd(one, compute_uv=False)).sum()) for one in maps
        )  # of 1/sqrt(det) of the blocks
        constant = _student.log_constant(nu, d) + scale + mutual_information(self.rho)
        joint = constant + _student.log_shape(nu, d, form_x + form_y + extra)
        single = sum(
            _student.log_constant(nu, 1) * z.shape[1] + _student.log_shape(nu, 1, z**2).sum(1) for z in (zx, zy)
        )
        return np.asarray(joint - single)

    def standard_error(self, x: Array, y: Array) -> float:
        """Of `mutual_information` on the sample of the fit: log-ratios as influence values, and all there is without dependence."""
        dx, dy = self.canonical.dims
        noise = 0.5 * dx * dy / len(x)  # second order
        return math.sqrt((float(self.log_ratio(x, y).var()) + noise) / len(x))

    def mutual_information(self, correct: bool = True) -> float:
        r"""Of the fitted law, nats: $-\frac12\sum_i\log(1-\rho_i^2)$ and, for finite nu, what the common radius adds.

        Args:
            correct: take off the bias of the first part. For the Gaussian it is that of a Wishart matrix, exact; for t the sample
                counts as if it were smaller by $(\nu+d)/(\nu+d+2)$, the efficiency of the t scatter.
        """
        dx, dy = self.canonical.dims
        value = mutual_information(self.canonical.rho) + _student.radial_information(self.nu, dx, dy)
        if not correct:
            return value
        share = _student.efficiency(self.nu, dx + dy)
        return value - gaussian_bias(max((self.n - 1.0) * share, dx + dy), dx, dy)


class GaussianCopula(Elliptical):
    """The Gaussian copula by normal scores of mid-ranks."""

    @classmethod
    def fit(cls, x: Array, y: Array) -> Self:
        """Fit on x (n, dx), y (n, dy).

        Raises:
            ValueError: fewer than dx + dy + 2 pairs.
        """
        return cls(*_fitted(_margins(x, y), math.inf))


class StudentCopula(Elliptical):
    """The t copula: nu by maximum likelihood of the copula over the ranks, scatter by EM; nu = inf is the Gaussian copula."""

    @classmethod
    def fit(cls, x: Array, y: Array, nu: float | None = None) -> Self:
        """Fit on x (n, dx), y (n, dy).

        Args:
            x, y: the pairs.
            nu: degrees of freedom, where they are known.

        Raises:
            ValueError: fewer than dx + dy + 2 pairs; nu that is not positive.
        """
        if nu is not None and not nu > 0.0:
            raise ValueError(f"nu={nu!r} must be positive degrees of freedom, inf for the Gaussian, or None")
        margins = _margins(x, y)
        if nu is None:
            step = max(1, len(x) * (x.shape[1] + y.shape[1]) // SEARCH)

            def scores(trial: float) -> Array:
                table = margins[0].table(_student.quantile(trial))
                return np.concatenate([m.scores(table)[::step] for m in margins], axis=1)

            nu = _student.freedom(scores)
        return cls(*_fitted(margins, nu))


def _margins(x: Array, y: Array) -> tuple[Margins, Margins]:
    n, d = len(x), x.shape[1] + y.shape[1]
    if n < d + 2:
        raise ValueError(f"n={n} pairs are too few for a copula of {d} coordinates: at least {d + 2} are needed")
    return Margins.fit(x), Margins.fit(y)


def _fitted(
    margins: tuple[Margins, Margins], nu: float
) -> tuple[tuple[Margins, Margins], Array, Canonical, Array, float, int, tuple[Array, Array]]:
    n = margins[0].n
    table = margins[0].table(_student.quantile(nu))
    zx, zy = (m.scores(table) for m in margins)
    center, total = (np.zeros((1, 1)), np.zeros((1, 1))), float(n)
    if math.isinf(nu):
        center = zx.mean(0)[None], zy.mean(0)[None]
        zx, zy = zx - center[0], zy - center[1]
    else:
        z = np.concatenate([zx, zy], axis=1)
        size = np.median(np.abs(z), 0)
        fitted = _student.scatter(z, nu, np.diag(size**2), 1e-7)
        weight = np.sqrt(_student.weights(z, nu, fitted))[:, None]
        zx, zy, total = zx * weight, zy * weight, float((weight**2).sum())
    canonical = Canonical.of(zx, zy, total)
    counted = n * _student.efficiency(nu, zx.shape[1] + zy.shape[1])
    return margins, table, canonical, shrunk(canonical.rho, counted, *canonical.dims), nu, n, center
