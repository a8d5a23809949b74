"""Multivariate Student-t tasks: dependent even where the dispersion says they are not."""

import numpy as np
import numpy.typing as npt
from scipy.special import betaln

from drocl.divergences import Divergence
from drocl.mi import _student
from drocl.mi._types import Array
from drocl.mi.tasks._normal import Normal
from drocl.mi.tasks._task import Task


class Student(Task):
    r"""(X, Y) = Z / sqrt(S/nu) with Z normal of covariance `dispersion` and S chi-square with nu degrees of freedom.

    $I = I_{normal} + h_\nu(d_x) + h_\nu(d_y) - h_\nu(d_x+d_y)$ with the entropies
    $h_\nu(k) = \frac{\nu+k}{2}[\psi(\frac{\nu+k}2)-\psi(\frac\nu2)] + \log\Gamma(\frac\nu2) - \log\Gamma(\frac{\nu+k}2)
    + \frac k2\log(\nu\pi)$. Powers of at least 2, chi2 among them, are infinite for every nu and every dispersion.

    Args:
        name: of the task.
        dispersion: (dim_x + dim_y, dim_x + dim_y), positive definite; not the covariance.
        dim_x: dimension of X.
        freedom: nu > 0.

    Raises:
        ValueError: outside those ranges.

    Source: arellanovalle2013, the entropies.
    """

    def __init__(self, name: str, dispersion: npt.ArrayLike, dim_x: int, freedom: float) -> None:
        if not 0.0 < freedom < np.inf:
            raise ValueError(f"freedom={freedom!r} must be a positive number of degrees of freedom")
        self.name, self.freedom = name, float(freedom)
        self._normal = Normal(name, dispersion, dim_x)
        self.dispersion = self._normal.covariance
        self.dim_x, self.dim_y = self._normal.dim_x, self._normal.dim_y

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x, y = self._normal._sample(n, rng)
        scale = np.sqrt(rng.chisquare(self.freedom, size=(n, 1)) / self.freedom)
        return x / scale, y / scale

    def _information(self, divergence: Divergence) -> float | None:
        if divergence.power == 1.0:
            radial = _student.radial_information(self.freedom, self.dim_x, self.dim_y)
            return divergence.scale * (self._normal.mutual_information + radial)
        if divergence.domain[1] < np.inf or (divergence.power or 0.0) >= 2.0:
            return np.inf  # both tails at once: t grows as R^(nu/2) where Q decays as R^(-nu)
        if divergence.power is not None and divergence.power <= -self.freedom / max(self.dim_x, self.dim_y):
            return np.inf  # one tail alone: t falls as R^(-d/2) where Q decays as R^(-nu/2)
        if not divergence.smooth or not divergence.is_phi or self._normal.correlations.max() > 1e-12:
            return None
        return self._by_trapezoid(divergence)

    def _by_trapezoid(self, divergence: Divergence) -> float | None:
        r"""E_Q phi(t) for an identity dispersion, where t is a function of two independent beta variables.

        With $u = 1/(1+|x|^2/\nu) \sim Beta(\nu/2, d_x/2)$ and v the same of y,
        $t = c\,(u+v-uv)^{-(\nu+d_x+d_y)/2}u^{d_y/2}v^{d_x/2}$. In the logits of u and v the integrand is analytic in a
        strip and decays exponentially: the trapezoid rule is exact to 1e-10.
        """
        nu, dx, dy = self.freedom, self.dim_x, self.dim_y
        k = divergence.power if divergence.power is not None else 1.0
        growing = nu * (1.0 - 0.5 * max(k, 0.0))  # both tails
        single = 0.5 * nu + 0.5 * min(k, 0.0) * max(dx, dy)  # one tail
        step, reach = 0.125, 38.0 / min(growing, single)
        if reach > 400.0:
            return None
        a = np.arange(-reach, 80.0 / min(dx, dy), step)
        log_u, log_rest = -np.logaddexp(0.0, -a), -np.logaddexp(0.0, a)
        mass_x = np.exp(0.5 * nu * log_u + 0.5 * dx * log_rest - betaln(0.5 * nu, 0.5 * dx)) * step
        mass_y = np.exp(0.5 * nu * log_u + 0.5 * dy * log_rest - betaln(0.5 * nu, 0.5 * dy)) * step
        constant = _student.log_ratio_constant(nu, dx, dy)
        total = 0.0
        for lu, lr, mass in zip(log_u, log_rest, mass_x, strict=True):
            both = np.logaddexp(lu, lr + log_u)  # u + v - uv = u + (1 - u) v
            log_t = constant - 0.5 * (nu + dx + dy) * both + 0.5 * dy * lu + 0.5 * dx * log_u
            total += mass * float(mass_y @ np.asarray(divergence.phi(np.exp(log_t))))
        return total

    def _log_ratio(self, x: Array, y: Array) -> Array:
        nu, dx, dy = self.freedom, self.dim_x, self.dim_y
        joint, own_x, own_y = self._normal.quadratic_forms(x, y)
        shape = (
            _student.log_shape(nu, dx + dy, joint)
            - _student.log_shape(nu, dx, own_x)
            - _student.log_shape(nu, dy, own_y)
        )
        return np.asarray(self._normal.mutual_information + _student.log_ratio_constant(nu, dx, dy) + shape)
