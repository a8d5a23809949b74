r"""Two blocks of coordinates in canonical form: whitened, rotated so that only the i-th of x meets the i-th of y.

With $a = U^\top W_x x$, $b = V^\top W_y y$ and canonical correlations $\rho_i$, the joint quadratic form is
$q = |W_xx|^2 + |W_yy|^2 + \sum_i \frac{\rho_i^2(a_i^2+b_i^2) - 2\rho_ia_ib_i}{1-\rho_i^2}$, which serves every elliptical law.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma

from drocl.mi._types import Array

RANK = 1e-9  # directions of a block with less of the largest singular value are taken as copies of the others
TOP = 1.0 - 1e-13  # a correlation of one is an infinite information


def gaussian_bias(freedom: float, dim_x: int, dim_y: int) -> float:
    r"""Bias of the plug-in $-\frac12\sum\log(1-\hat\rho_i^2)$, exact for any Gaussian pair.

    $\frac12\big[\sum_{i<d_x} + \sum_{i<d_y} - \sum_{i<d_x+d_y}\big]\psi\big(\frac{m-i}2\big)$, since the log-determinant of a Wishart
    matrix with m degrees of freedom has mean $\log|\Sigma| + \sum_{i<d}\psi(\frac{m-i}{2}) + d\log 2$.

    Args:
        freedom: m > dx + dy - 1; n - 1 where the means are estimated.
        dim_x, dim_y: dimensions.

    Returns:
        nats, about dx dy / 2m.

    >>> round(gaussian_bias(9999.0, 50, 50), 4)
    0.1256
    """

    def total(first: int, last: int) -> float:
        return float(digamma(0.5 * (freedom - np.arange(first, last))).sum())

    return 0.5 * (total(0, min(dim_x, dim_y)) - total(max(dim_x, dim_y), dim_x + dim_y))


def shrunk(rho: Array, n: float, dim_x: int, dim_y: int) -> Array:
    r"""Canonical correlations without what noise of size $n^{-1/2}$ a cell adds: those below the edge of noise become zero.

    $\eta(y) = \frac1y\sqrt{(y^2-\beta-1)^2-4\beta}$ in units of $\sqrt{\max(d_x,d_y)/n}$, $\beta$ the ratio of the dimensions: the
    shrinkage of singular values with the least squared error (Gavish and Donoho 2017).

    >>> shrunk(np.array([0.5, 0.01]), 1000.0, 2, 2).round(3).tolist()
    [0.492, 0.0]
    """
    long, short = max(dim_x, dim_y), min(dim_x, dim_y)
    y, beta = rho * np.sqrt(n / long), short / long
    inside = np.maximum((y**2 - beta - 1.0) ** 2 - 4.0 * beta, 0.0)
    keep = y > 1.0 + np.sqrt(beta)
    return np.where(keep, np.sqrt(inside) / np.where(keep, y, 1.0) * np.sqrt(long / n), 0.0)


@dataclass(frozen=True)
class Canonical:
    """Whitening maps x (dx, rx), y (dy, ry), rotations included, and the canonical correlations (min(rx, ry),), falling."""

    map_x: Array
    map_y: Array
    rho: Array

    @classmethod
    def of(cls, x: Array, y: Array, total: float) -> "Canonical":
        """From centred (or weighted) data x (n, dx), y (n, dy), scatter = x.T x / total, by QR and SVD."""
        (qx, wx), (qy, wy) = _whiten(x, total), _whiten(y, total)
        u, rho, vt = np.linalg.svd(qx.T @ qy)
        return cls(wx @ u, wy @ vt.T, np.minimum(rho, TOP))

    @property
    def dims(self) -> tuple[int, int]:
        """Ranks of the blocks."""
        return self.map_x.shape[1], self.map_y.shape[1]

    def forms(self, x: Array, y: Array, rho: Array) -> tuple[Array, Array, Array]:
        """Quadratic forms of x (m, dx), y (m, dy), and what the dependence rho (r,) adds to their sum: (m,) each."""
        a, b = x @ self.map_x, y @ self.map_y
        live = np.flatnonzero(rho)
        r, a1, b1 = rho[live], a[:, live], b[:, live]
        extra = (r * (r * (a1**2 + b1**2) - 2.0 * a1 * b1) / (1.0 - r**2)).sum(1)
        return (a**2).sum(1), (b**2).sum(1), extra


def _whiten(x: Array, total: float) -> tuple[Array, Array]:
    """Orthonormal columns q (n, r) and the map w (d, r) with x w = sqrt(total) q; copies of columns are dropped."""
    q, upper = np.linalg.qr(x)
    u, s, vt = np.linalg.svd(upper)
    keep = s > RANK * s[0]
    return q @ u[:, keep], vt[keep].T / s[keep] * np.sqrt(total)
