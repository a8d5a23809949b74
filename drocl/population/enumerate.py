"""Exact laws of empirical means on few atoms: binomials and multinomials, cut where no mass is left."""

import math
from functools import lru_cache

import numpy as np

from drocl.latent.kinds import Array, Indices

_DEPTH = 45.0  # mass below 2 e^{-45} = 6e-20 is cut
_NONE_LEFT = 1e-26


class TooManyOutcomesError(ValueError):
    """An exact enumeration would be too large."""


@lru_cache(maxsize=4096)
def binomial(n: int, p: float) -> tuple[Indices, Array]:
    """Counts that carry the mass of Bin(n, p), and their probabilities, summing to 1.

    The ends are Bernstein's, so that what is cut is below 6e-20. Probabilities are products of the exact ratios of
    neighbours
    outwards from the mode: log-gamma functions of n would lose log10(n log n) digits.
    """
    if p <= 0.0 or p >= 1.0:
        return np.array([0 if p <= 0.0 else n]), np.ones(1)
    mode = min(n, int((n + 1) * p))
    width = math.sqrt(2.0 * _DEPTH * n * p * (1.0 - p)) + 2.0 * _DEPTH / 3.0 + 1.0
    low, high = max(0, math.floor(n * p - width)), min(n, math.ceil(n * p + width))
    low, high = min(low, mode), max(high, mode)
    up, down = np.arange(mode, high, dtype=np.float64), np.arange(mode, low, -1, dtype=np.float64)
    odds = p / (1.0 - p)
    rising = np.cumsum(np.log((n - up) / (up + 1.0) * odds))
    falling = np.cumsum(np.log(down / (n - down + 1.0) / odds))
    mass = np.exp(np.concatenate([falling[::-1], [0.0], rising]))
    counts = np.arange(low, high + 1)
    counts.flags.writeable = mass.flags.writeable = False
    return counts, mass / mass.sum()


def mean_law(values: Array, probs: Array, n: int, limit: int) -> tuple[Array, Array]:
    """Law of the mean of n i.i.d. draws from finitely many values.

    Args:
        values: (k,), the support.
        probs: (k,), their probabilities.
        n: number of draws, at least 1.
        limit: most outcomes to enumerate.

    Returns:
        Means (S,) and their probabilities (S,); outcomes of mass below 1e-26 are left out.

    Raises:
        TooManyOutcomesError: if there are more than `limit`.
    """
    order = np.argsort(-probs)
    values, probs = values[order][probs[order] > 0.0], probs[order][probs[order] > 0.0]
    left, totals, masses = np.array([n]), np.zeros(1), np.ones(1)
    for j in range(values.size - 1):
        share = min(1.0, float(probs[j] / probs[j:].sum()))
        pieces = []
        size = 0
        for remaining in np.unique(left):
            counts, mass = binomial(int(remaining), share)
            here = left == remaining
            size += int(here.sum()) * counts.size
            if size > limit:
                raise TooManyOutcomesError(f"more than {limit} outcomes")
            joint = np.multiply.outer(masses[here], mass)
            keep = joint > _NONE_LEFT
            pieces.append(
                (
                    np.broadcast_to(remaining - counts, joint.shape)[keep],
                    np.add.outer(totals[here], counts * values[j])[keep],
                    joint[keep],
                )
            )
        left, totals, masses = (np.concatenate([piece[i] for piece in pieces]) for i in range(3))
    return (totals + left * values[-1]) / n, masses
