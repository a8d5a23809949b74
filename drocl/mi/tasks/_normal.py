"""Gaussian tasks, and the covariances of the usual benchmark."""

import numpy as np
import numpy.typing as npt

from drocl.divergences import Divergence
from drocl.mi import gaussian
from drocl.mi._types import Array
from drocl.mi.tasks._task import Task


class Normal(Task):
    r"""Jointly normal X and Y with mean zero.

    Args:
        name: of the task.
        covariance: (dim_x + dim_y, dim_x + dim_y), positive definite.
        dim_x: dimension of X, the first coordinates.

    Raises:
        ValueError: if the covariance is no such matrix.
    """

    def __init__(self, name: str, covariance: npt.ArrayLike, dim_x: int) -> None:
        self.name = name
        self.correlations = gaussian.canonical_correlations(covariance, dim_x)
        self.covariance: Array = np.asarray(covariance, dtype=np.float64)
        self.dim_x, self.dim_y = dim_x, len(self.covariance) - dim_x
        self._root = np.linalg.cholesky(self.covariance)

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        both = rng.standard_normal((n, self.dim_x + self.dim_y)) @ self._root.T
        return both[:, : self.dim_x], both[:, self.dim_x :]

    def _information(self, divergence: Divergence) -> float | None:
        try:
            return gaussian.information(self.correlations, divergence)
        except ValueError:
            return None

    def quadratic_forms(self, x: Array, y: Array) -> tuple[Array, Array, Array]:
        """Squared Mahalanobis lengths of (x, y), x and y, each (m,)."""
        cov, d = self.covariance, self.dim_x
        return (
            _mahalanobis(np.hstack([x, y]), cov),
            _mahalanobis(x, cov[:d, :d]),
            _mahalanobis(y, cov[d:, d:]),
        )

    def _log_ratio(self, x: Array, y: Array) -> Array:
        joint, own_x, own_y = self.quadratic_forms(x, y)
        return gaussian.mutual_information(self.correlations) + 0.5 * (own_x + own_y - joint)


def _mahalanobis(points: Array, covariance: Array) -> Array:
    whitened = np.linalg.solve(np.linalg.cholesky(covariance), points.T)
    return np.asarray(np.einsum("ij,ij->j", whitened, whitened))


def equicorrelated(dim_x: int, dim_y: int, off_diagonal: float) -> Array:
    """Ones on the diagonal, one number everywhere else ("dense").

    Raises:
        ValueError: if the matrix is not positive definite.
    """
    total = _dimensions(dim_x, dim_y)
    if not -1.0 / (total - 1) < off_diagonal < 1.0:
        low = -1.0 / (total - 1)
        raise ValueError(f"off_diagonal={off_diagonal!r} must lie in ({low:.4g}, 1) in {total} dimensions")
    return np.asarray((1.0 - off_diagonal) * np.eye(total) + off_diagonal)


def latent_variables(
    dim_x: int, dim_y: int, interacting: int, alpha: float, strength: float, beta: float, eta: float
) -> Array:
    r"""Correlation matrix of a Gaussian latent-variable model.

    $X_i = \alpha U + \beta U_X + \lambda Z_i 1\{i\le K\} + \eta V_i 1\{i>K\} + E_i$, the same for Y with its own
    $U_Y, V, E$ and the same U and Z; all latent variables standard normal. "Sparse" is $\alpha=\beta=0$,
    $\eta=\lambda$: K pairs of correlation $\lambda^2/(1+\lambda^2)$, the rest independent.

    Args:
        dim_x, dim_y: dimensions.
        interacting: K, 0..min(dim_x, dim_y).
        alpha, strength, beta, eta: the weights $\alpha, \lambda, \beta, \eta$.

    Raises:
        ValueError: if K is out of range.

    Source: czyz2023.
    """
    total = _dimensions(dim_x, dim_y)
    if not 0 <= interacting <= min(dim_x, dim_y):
        raise ValueError(f"interacting={interacting!r} must lie in 0..{min(dim_x, dim_y)}")
    block = np.zeros((total, total))
    block[:dim_x, :dim_x] = block[dim_x:, dim_x:] = 1.0
    paired = np.concatenate([np.arange(dim_x) < interacting, np.arange(dim_y) < interacting])
    variance = 1.0 + np.where(paired, strength**2, eta**2)
    covariance = alpha**2 + beta**2 * block + np.diag(variance)
    for i in range(interacting):
        covariance[i, dim_x + i] += strength**2
        covariance[dim_x + i, i] += strength**2
    scale = np.sqrt(np.diag(covariance))
    return np.asarray(covariance / np.outer(scale, scale))


def canonical(correlations: npt.ArrayLike) -> Array:
    """Covariance of pairs (X_i, Y_i) with given correlations, independent of one another."""
    rho = np.diag(np.atleast_1d(np.asarray(correlations, dtype=np.float64)))
    return np.asarray(np.block([[np.eye(len(rho)), rho], [rho, np.eye(len(rho))]]))


def _dimensions(dim_x: int, dim_y: int) -> int:
    if dim_x < 1 or dim_y < 1:
        raise ValueError(f"dim_x={dim_x!r} and dim_y={dim_y!r} must be at least 1")
    return dim_x + dim_y
