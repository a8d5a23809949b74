"""Theorem 3 of chuang2020: exact error of the debiased loss on binomial models, printed and corrected bound."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from drocl import population

from ._tables import records, table

COST = "seconds"
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Config:
    """Two classes at +-v, collapsed or with a share `flip` of labels exchanged; Q = N.

    Args:
        temperatures: high to low.
        log2_sizes: N = 2^k from k = 0 to this one.
        rate_sizes: log2 of the sizes over which rates are taken, first and last.
        flip: share of each class that sits at the other's place, in the generic model.
        grid: temperatures of the ratio to the bounds.
    """

    temperatures: tuple[float, ...] = (1.0, 0.5, 0.2)
    log2_sizes: int = 18
    rate_sizes: tuple[int, int] = (4, 13)
    flip: float = 0.2
    grid: int = 25


PROFILES = {
    "quick": Config(),
    "standard": Config(log2_sizes=20, rate_sizes=(4, 16), grid=60),
    "paper": Config(log2_sizes=22, rate_sizes=(4, 18), grid=160),
}


def run(config: Config) -> dict[str, Any]:
    """Exact errors and bounds.

    Args:
        config: the sizes.

    Returns:
        Tables `two_point` (t, n, error, printed: with M = N, printed_no_m: with M infinite, corrected: with M = N),
        `ratios` (t, printed, printed_no_m, corrected: largest error over bound, over N) and `rates` (t, vary: "N" or
        "M", size, error: of the generic model, the other size infinite).
    """
    sizes = [2**k for k in range(config.log2_sizes + 1)]
    rows, ratios, rates = [], [], []
    for t in config.temperatures:
        rows += records(t=t, n=sizes, error=[two_point_error(n, t) for n in sizes], **bounds(sizes, t))
        low, high = config.rate_sizes
        for size in (2**k for k in range(low, high + 1)):
            rates.append({"t": t, "vary": "N", "size": size, "error": error_of(size, inf, t, config.flip)})
            rates.append({"t": t, "vary": "M", "size": size, "error": error_of(inf, size, t, config.flip)})
    for t in np.geomspace(1.0, 0.1, config.grid).tolist():
        error = np.array([two_point_error(n, t) for n in sizes])
        over = {name: float((error / bound).max()) for name, bound in bounds(sizes, t).items()}
        ratios.append({"t": t, **over})
    return {"two_point": table(rows), "ratios": table(ratios), "rates": table(rates)}


def bounds(sizes: Sequence[int], temperature: float) -> dict[str, Array]:
    """The printed bound with M = N and with M infinite, and the corrected one with M = N, at tau+ = 1/2."""
    return {
        "printed": np.array([population.theorem3_published(n, n, 0.5) for n in sizes]),
        "printed_no_m": np.array([population.theorem3_published(n, None, 0.5) for n in sizes]),
        "corrected": np.array([population.theorem3_corrected(n, n, temperature, 0.5) for n in sizes]),
    }


def two_point_error(n: int, temperature: float) -> float:
    """Error of collapsed classes, whatever M: all positives have one score, and the true g is the clamp itself."""
    return error_of(n, inf, temperature, 0.0)


def error_of(n: float, m: float, temperature: float, flip: float) -> float:
    r"""L^{N,M} - L~^N, exactly, for two classes of which a share `flip` sits at the other's place.

    In units of e^{-1/t}, with h = e^{2/t}: an anchor meets its own place with chance 1/2 among the negatives and pi
    among the positives, where pi = 1 - flip, or flip for an anchor that sits at the other's place itself.

    $$ \hat g = \max\{2 (1 + \tfrac{U}{N}(h-1)) - (1 + \tfrac{V}{M}(h-1)),\ 1\},
       \quad U \sim Bin(N, 1/2),\ V \sim Bin(M, \pi). $$

    Args:
        n: N, or inf (then the loss's ratio is log g^ - log g).
        m: M, or inf.
        temperature: t > 0.
        flip: in [0, 1).

    Returns:
        The error in nats.
    """
    h = float(np.exp(2.0 / temperature))
    u, u_law = _binomial(n, 0.5)
    total = 0.0
    for weight, pi in ((1.0 - flip, 1.0 - flip), (flip, flip)):
        v, v_law = _binomial(m, pi)
        raw = 1.0 + (h - 1.0) * (2.0 * u[:, None] - v)
        true = 1.0 + (h - 1.0) * (1.0 - pi)
        for positive, chance in ((h, pi), (1.0, 1.0 - pi)):
            offset = 0.0 if np.isinf(n) else positive / n
            logs = np.log((offset + np.maximum(raw, 1.0)) / (offset + true))
            total += weight * chance * float(u_law @ logs @ v_law)
    return total


def _binomial(size: float, p: float) -> tuple[Array, Array]:
    """Shares k / size and their probabilities, without those below 1e-25; the mean alone for an infinite size."""
    if np.isinf(size) or p in (0.0, 1.0):
        return np.array([p]), np.array([1.0])
    reach = 11.0 * np.sqrt(size * p * (1.0 - p)) + 11.0
    k = np.arange(max(0, int(size * p - reach)), min(int(size), int(size * p + reach)) + 1)
    return k / size, np.asarray(binom.pmf(k, int(size), p))
