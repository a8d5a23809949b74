"""Mixtures of parts with one centre: Gaussian pairs among independent ones, and concentric Gaussians."""

import math

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, logsumexp

from drocl.divergences import CressieRead, Divergence
from drocl.mi import gaussian
from drocl.mi._types import Array
from drocl.mi.tasks._normal import Normal
from drocl.mi.tasks._task import Task


class Inliers(Task):
    r"""A Gaussian pair at rate 1 - f, an independent pair with the same margins at rate f.

    $t = f + (1-f)t_{normal}$, so that every divergence is an integral over the law of the Gaussian log-ratio.

    Args:
        name: of the task.
        covariance: (dim_x + dim_y, dim_x + dim_y); its canonical correlations other than 0 must be equal.
        dim_x: dimension of X.
        fraction: f in [0, 1].
    """

    def __init__(self, name: str, covariance: npt.ArrayLike, dim_x: int, fraction: float) -> None:
        if not 0.0 <= fraction <= 1.0:
            raise ValueError(f"fraction={fraction!r} must lie in [0, 1]: it is the rate of independent pairs")
        self.name, self.fraction = name, float(fraction)
        self._normal = Normal(name, covariance, dim_x)
        self.dim_x, self.dim_y = self._normal.dim_x, self._normal.dim_y

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x, y = self._normal._sample(n, rng)
        _, other = self._normal._sample(n, rng)
        return x, np.where(rng.random((n, 1)) < self.fraction, other, y)

    def _log_ratio(self, x: Array, y: Array) -> Array:
        with np.errstate(divide="ignore"):
            low, high = np.log(self.fraction), np.log1p(-self.fraction)
        return np.asarray(np.logaddexp(low, high + self._normal._log_ratio(x, y)))

    def _information(self, divergence: Divergence) -> float | None:
        f, rho = self.fraction, self._normal.correlations
        if f == 0.0 or f == 1.0:
            return self._normal._information(divergence) if f == 0.0 else 0.0
        if divergence.name == "chi2":
            return (1.0 - f) ** 2 * gaussian.information(rho, "chi2")
        if not divergence.is_phi or divergence.domain[1] < math.inf:
            return None
        if isinstance(divergence, CressieRead) and divergence.power is not None and divergence.power > 1.0:
            return None
        active = rho[rho > 1e-12]
        if active.size == 0:
            return 0.0
        if np.ptp(active) > 1e-9:
            return None
        return gaussian.equal_pairs(
            float(active.mean()), active.size, lambda t: np.asarray(divergence.phi(f + (1.0 - f) * t))
        )


class Concentric(Task):
    r"""X ~ N(0, i^2 I) and Y ~ N(i, 1e-4) with i uniform on 1..m: X says its scale and Y reads i off.

    Neighbouring values of Y are 100 standard deviations apart, so that I(X;Y) = I(X;i) to far below rounding: an
    integral over |X|.

    Args:
        name: of the task.
        dimension: of X.
        scales: m >= 1.
    """

    dim_y = 1

    def __init__(self, name: str, dimension: int, scales: int) -> None:
        if dimension < 1 or scales < 1:
            raise ValueError(f"dimension={dimension!r} and scales={scales!r} must be at least 1")
        self.name, self.dim_x, self.scales = name, dimension, np.arange(1.0, scales + 1.0)

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        scale = rng.choice(self.scales, size=(n, 1))
        return scale * rng.standard_normal((n, self.dim_x)), scale + 0.01 * rng.standard_normal((n, 1))

    def _log_given(self, square: Array) -> Array:
        """log p(x | i) up to what all i share, (n, m), from |x|^2."""
        return np.asarray(-0.5 * square[:, None] / self.scales**2 - self.dim_x * np.log(self.scales))

    def _log_ratio(self, x: Array, y: Array) -> Array:
        given_x = self._log_given(np.einsum("ij,ij->i", x, x))
        given_y = -0.5 * ((y - self.scales) / 0.01) ** 2
        count = math.log(len(self.scales))
        alone = logsumexp(given_x, axis=1) + logsumexp(given_y, axis=1)
        return np.asarray(logsumexp(given_x + given_y, axis=1) + count - alone)

    def _information(self, divergence: Divergence) -> float | None:
        if divergence.power != 1.0:
            return None
        step, d = 0.01, self.dim_x
        s = np.arange(-80.0, 8.0, step)  # log of |x / i|^2, chi-square: the trapezoid rule converges exponentially
        mass = np.exp(0.5 * d * s - 0.5 * np.exp(s) - 0.5 * d * math.log(2.0) - gammaln(0.5 * d)) * step
        total = 0.0
        for index, scale in enumerate(self.scales):
            given = self._log_given(scale**2 * np.exp(s))
            total += float(mass @ (given[:, index] - logsumexp(given, axis=1)))
        return divergence.scale * (math.log(len(self.scales)) + total / len(self.scales))
