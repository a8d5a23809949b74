"""Donsker-Varadhan on one batch, all off-diagonal pairs used: exact bias, and exact variance of its normaliser."""

import itertools
import math

import numpy as np
from scipy.special import gammaln

from drocl.latent.kinds import Array, Numbers, Whole
from drocl.mi._exact_laws import checked_joint, finite
from drocl.population.quadrature import log_sum

_MOST = 200_000  # compositions of a batch

__all__ = ["dv_batch", "normaliser_variance", "singular_values"]


def dv_batch(joint: Numbers, batch: Whole, critic: Numbers | None = None) -> float:
    r"""Expectation of Donsker-Varadhan on a batch of B pairs whose off-diagonal pairs stand for $P_XP_Y$.

    $$ E\Bigl[\frac1B\sum_i g(x_i,y_i) - \log\frac1{B(B-1)}\sum_{i\ne j}e^{g(x_i,y_j)}\Bigr] $$

    The pairs of one batch share rows and columns. Given $x_1..x_B$ the columns are independent: with c the counts of
    the anchors' symbols, column j adds $h(y_j) = \sum_a (c_a - 1\{a = x_j\})e^{g(a, y_j)}$, $y_j\sim P_{Y|x_j}$. So
    the expectation is a sum over the counts of integrals of `drocl.population`.

    Args:
        joint: (kx, ky), as in `finite`; few anchors' symbols kx, since compositions of B into kx parts are enumerated.
        batch: B >= 2.
        critic: (kx, ky), finite; the optimal one by default.

    Returns:
        The expectation in nats; +inf where e^g can be 0 on a whole batch.

    Raises:
        ValueError: if an argument is outside its range, or there are too many compositions.

    >>> round(dv_batch([[0.4, 0.1], [0.1, 0.4]], 16) - finite([[0.4, 0.1], [0.1, 0.4]]).truth, 6)
    0.000959
    """
    law = finite(joint, critic)
    kx, ky = law.scores.shape
    size = _batch(batch)
    if math.comb(size + kx - 1, kx - 1) > _MOST:
        raise ValueError(f"batch={size} has more than {_MOST} compositions into {kx} symbols of x: take fewer")
    if np.isneginf(law.scores).any():
        return math.inf
    counts = _compositions(size, kx)
    log_mass = gammaln(size + 1) - gammaln(counts + 1.0).sum(axis=1) + counts @ np.log(law.weights)
    lifted = np.exp(law.scores - law.scores.max())
    # h of a column of symbol b at y: kx x ky values for each composition, on one common support
    others = counts[:, None, :] - np.eye(kx)
    values = np.where(others.min(axis=2, keepdims=True) < 0.0, 1.0, others @ lifted)  # b absent: never drawn
    sources = np.zeros((kx, kx, ky))
    sources[np.arange(kx), np.arange(kx)] = law.positive
    rows = len(counts)
    sums = log_sum(
        np.log(values).reshape(rows, kx * ky),
        np.broadcast_to(sources.reshape(kx, kx * ky), (rows, kx, kx * ky)),
        counts[:, None, :],
        np.full((rows, 1), -np.inf),
        reference="mean",
    ).value[:, 0]
    mean = float(np.exp(log_mass) @ sums) + float(law.scores.max()) - math.log(size * (size - 1.0))
    return law.mean() - mean


def singular_values(joint: Numbers) -> Array:
    r"""Singular values of $p(x,y)/\sqrt{p(x)p(y)}$, falling from 1: $r = \sum_i\sigma_iu_i(x)v_i(y)$.

    $\sum\sigma_i^2 = 1+\chi^2$, and $\sum\sigma_i^4 = E\,r(x_1,y_2)\,r(x_2,y_1)$ over two independent pairs. For
    Gaussian pairs of correlation rho they are $\rho^k$.

    Args:
        joint: (kx, ky), as in `finite`.

    Returns:
        (min(kx, ky),).
    """
    p = checked_joint(joint)
    return np.asarray(np.linalg.svd(p / np.sqrt(np.outer(p.sum(axis=1), p.sum(axis=0))), compute_uv=False))


def normaliser_variance(joint: Numbers, batch: Whole) -> float:
    r"""Variance of the mean of $r = e^{g^*}$ over a batch's off-diagonal pairs.

    $$ Var\,U_B = \frac{\sum\sigma_i^2+\sum\sigma_i^4-2}{B(B-1)} $$

    Pairs that share one row or column are uncorrelated at the optimal critic, since $E_yr(x,y)=1$; the pair (i, j) is
    correlated with (j, i) only.

    Args:
        joint: (kx, ky), as in `finite`.
        batch: B >= 2.

    Returns:
        The variance; half of it is to first order the upward bias of Donsker-Varadhan on the batch.

    Source: derived here.
    """
    size = _batch(batch)
    squares = singular_values(joint)[1:] ** 2
    return float((squares + squares**2).sum()) / (size * (size - 1.0))


def _batch(batch: Whole) -> int:
    if int(batch) != batch or batch < 2:
        raise ValueError(f"batch={batch!r} must be an integer of at least 2")
    return int(batch)


def _compositions(total: int, parts: int) -> Array:
    """All counts (S, parts) that sum to `total`, by stars and bars."""
    bars = np.array(list(itertools.combinations(range(total + parts - 1), parts - 1)), dtype=np.int64)
    edges = np.column_stack(
        [np.full(len(bars), -1), bars.reshape(len(bars), -1), np.full(len(bars), total + parts - 1)]
    )
    return np.diff(edges, axis=1).astype(np.float64) - 1.0
