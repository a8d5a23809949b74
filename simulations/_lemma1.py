"""Lemma 1 of chuang2020 on designs whose anchors are all alike: both sides exact, from one anchor's similarities."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from drocl import population
from drocl.latent import LatentModel

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Design:
    """Two equally likely classes of unit vectors, every anchor seeing the same law of cosines.

    Args:
        name: how figures call it.
        plus: (2, k), cosines to the anchor's class and their probabilities.
        minus: (2, k), to the other class.
    """

    name: str
    plus: Array
    minus: Array

    def floor(self, t: float) -> float:
        """min(0, log E_{p+} e^s / E_{p-} e^s)."""
        return min(0.0, _log_mean(self.plus, t) - _log_mean(self.minus, t))

    def losses(self, t: float, n: Array) -> tuple[Array, Array, Array]:
        """Biased loss, unbiased loss, and the biased loss's Jensen gap, at each N of (r,)."""
        marginal = np.concatenate([self.plus, self.minus], axis=1) * [[1.0], [0.5]]
        biased, unbiased, gap = np.zeros((3, n.size))
        for cosine, chance in self.plus.T:
            log_sums = [
                population.expected_log_sum_exp(law[0] / t, law[1], n, cosine / t) for law in (marginal, self.minus)
            ]
            biased += chance * (log_sums[0] - cosine / t)
            unbiased += chance * (log_sums[1] - cosine / t)
            gap += chance * (np.logaddexp(cosine / t, np.log(n) + _log_mean(marginal, t)) - log_sums[0])
        return biased, unbiased, gap

    def shortfall(self, t: float, n: Array) -> Array:
        """L_Unb + floor - L_Bias, which the lemma's constant must cover, at each N of (r,)."""
        biased, unbiased, _ = self.losses(t, n)
        return unbiased + self.floor(t) - biased


def _log_mean(law: Array, t: float) -> float:
    return float(logsumexp(law[0] / t, b=law[1]))


def cube() -> Design:
    """The vertices of a cube, alternating between the classes."""
    return Design("cube", np.array([[1.0, -1 / 3], [0.25, 0.75]]), np.array([[-1.0, 1 / 3], [0.25, 0.75]]))


def unbiased_bases(order: int) -> Design:
    """Two mutually unbiased bases of R^order with equal row sums, order a power of 4."""
    root = np.sqrt(order)
    signs = np.array([[1.0 / root, -1.0 / root], [0.5 + 0.5 / root, 0.5 - 0.5 / root]])
    return Design(f"unbiased bases, n = {order}", np.array([[1.0, 0.0], [1.0 / order, 1.0 - 1.0 / order]]), signs)


def cross_polytopes(order: int, copies: int) -> Design:
    """Two mutually unbiased cross-polytopes of R^order, in orthogonal copies; order is one of a Hadamard matrix."""
    own = 0.5 / (order * copies)
    near = 0.5 / copies
    plus = np.array([[1.0, -1.0, 0.0], [own, own, 1.0 - 2.0 * own]])
    minus = np.array([[order**-0.5, -(order**-0.5), 0.0], [near, near, 1.0 - 2.0 * near]])
    kept = minus[1] > 0.0
    return Design(f"cross-polytopes, n = {order} x {copies}", plus, minus[:, kept])


def designs() -> list[Design]:
    """Designs whose positives beat their negatives by hitting themselves, which the lemma's constant must cover."""
    crosses = [cross_polytopes(order, copies) for order in (2, 4) for copies in (1, 4, 16, 64, 256, 1024)]
    return [cube(), *(unbiased_bases(order) for order in (16, 64)), *crosses]


def floor(model: LatentModel, t: float) -> float:
    """E min(0, log E_{p+} e^s / E_{p-} e^s) of any model."""
    plus, minus = (logsumexp(model.scores(t), b=law, axis=1) for law in (model.p_plus, model.p_minus))
    return float(model.probs @ np.minimum(0.0, plus - minus))
