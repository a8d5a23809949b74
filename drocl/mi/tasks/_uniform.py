"""Uniform signal with additive uniform noise."""

import numpy as np
from scipy.integrate import quad

from drocl.divergences import Divergence
from drocl.mi._moments import from_moments
from drocl.mi._types import Array
from drocl.mi.tasks._task import Task


class AdditiveUniform(Task):
    r"""X uniform on [0, 1], Y = X + N with N uniform on [-eps, eps].

    With $\ell(y)$ the length of $[y-\epsilon, y+\epsilon]\cap[0,1]$, the ratio is $1/\ell(y)$ where
    $|x-y|\le\epsilon$ and 0 elsewhere: every divergence that is infinite at t = 0 is infinite, and
    $I = \epsilon - \log 2\epsilon$ for $\epsilon\le 1/2$, $1/(4\epsilon)$ above.

    Args:
        name: of the task.
        epsilon: eps > 0.

    Raises:
        ValueError: outside that range.
    """

    dim_x = dim_y = 1

    def __init__(self, name: str, epsilon: float) -> None:
        if not 0.0 < epsilon < np.inf:
            raise ValueError(f"epsilon={epsilon!r} must be a positive number")
        self.name, self.epsilon = name, float(epsilon)

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x = rng.random((n, 1))
        return x, x + rng.uniform(-self.epsilon, self.epsilon, size=(n, 1))

    def _overlap(self, y: Array) -> Array:
        return np.minimum(1.0, y + self.epsilon) - np.maximum(0.0, y - self.epsilon)

    def _log_ratio(self, x: Array, y: Array) -> Array:
        overlap = self._overlap(y)[:, 0]
        if not (np.all((x >= 0.0) & (x <= 1.0)) and np.all(overlap > 0.0)):
            ends = f"(-{self.epsilon:g}, {1 + self.epsilon:g})"
            raise ValueError(f"x must lie in [0, 1] and y in {ends}, the support")
        # the rounding of y = x + noise must not turn a possible pair into an impossible one
        near = np.abs(x - y)[:, 0] <= self.epsilon + 1e-12
        return np.where(near, -np.log(overlap), -np.inf)

    def _information(self, divergence: Divergence) -> float | None:
        eps = self.epsilon
        widest, plateau = min(1.0, 2.0 * eps), abs(1.0 - 2.0 * eps)

        def log_moment(k: float) -> float:  # E_Y overlap^(1-k): a plateau and two ramps of the trapezoid
            if k <= 0.0 or k >= 3.0:
                return np.inf
            return float(np.log((widest ** (2.0 - k) * plateau + 2.0 * widest ** (3.0 - k) / (3.0 - k)) / (2.0 * eps)))

        def kl() -> float:
            return eps - float(np.log(2.0 * eps)) if eps <= 0.5 else 0.25 / eps

        closed = from_moments(divergence, log_moment, kl, lambda: np.inf)
        if closed is not None:
            return closed
        if divergence.domain[1] < np.inf:
            return np.inf  # the ratio is unbounded, near the ends of the support of y

        def given(overlap: float) -> float:
            return overlap * float(divergence.phi(1.0 / overlap)) + (1.0 - overlap) * divergence.at_zero

        # the ramps, overlap = widest * s^2, which smooths the logarithm at 0
        ramps = quad(lambda s: given(widest * s * s) * 2.0 * widest**2 * s**3, 0.0, 1.0, epsabs=1e-13, epsrel=1e-13)[0]
        return float((widest * plateau * given(widest) + 2.0 * ramps) / (2.0 * eps))
