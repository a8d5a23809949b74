"""The constants of chuang2020's Lemma 1 and Theorem 3: as printed, and sharp or repaired."""

import math

import numpy as np
from scipy.optimize import minimize_scalar

from drocl.latent.kinds import Array, Real, Whole
from drocl.population.losses import _sizes, _temperature
from drocl.population.quadrature import log_sum

__all__ = [
    "lemma1_gap",
    "lemma1_hoeffding",
    "lemma1_published",
    "lemma1_specht",
    "lemma1_variance",
    "theorem3_corrected",
    "theorem3_published",
]


def lemma1_gap(n_negatives: Whole, temperature: Real) -> float:
    r"""The sharp constant of Lemma 1's proof: the largest Jensen gap of the biased loss.

    $$ \kappa_N(t) = \max_p \bigl\{ \log(1 + N(1 + p(h-1))) - E_{B \sim \mathrm{Bin}(N,p)} \log(1 + N + B(h-1)) \bigr\},
       \qquad h = e^{2/t}. $$

    Args:
        n_negatives: N >= 1.
        temperature: t > 0.

    Returns:
        kappa_N(t) > 0, to about 1e-12 relative or 1e-15 absolute; N kappa_N tends to sinh(1/t)^2 / 2.

    Raises:
        ValueError: if an argument is outside the ranges above.

    Source: chuang2020, Lemma 1, repaired.

    >>> round(lemma1_gap(1, 1.0), 3)
    0.25
    """
    n = _sizes(n_negatives, None)[0]
    top = 2.0 / _temperature(temperature)

    def gap(log_p: Array) -> Array:
        p = np.exp(np.atleast_1d(log_p))
        sources = np.stack([-np.expm1(np.atleast_1d(log_p)), p], axis=1)[:, None, :]
        scores = np.broadcast_to(np.array([0.0, top]), (p.size, 2))
        return log_sum(
            scores, sources, np.full((1, 1, 1), float(n)), np.zeros((p.size, 1)), reference="mean"
        ).jensen_gap[:, 0]

    # For large N the maximum is where Var/mean^2 of one term has it, p = 1/(h+1); for small N nearer to 1/log h.
    deepest = float(np.logaddexp(0.0, top)) + 1.0
    grid = -np.concatenate([np.geomspace(1e-3, deepest, 64), np.linspace(1e-3, deepest, 64)[1:-1]])
    grid = np.sort(grid)
    best = int(gap(grid).argmax())
    low, high = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, grid.size - 1)])
    found = minimize_scalar(
        lambda x: -float(gap(np.array(x))[0]), bounds=(low, high), method="bounded", options={"xatol": 1e-9}
    )
    return float(-found.fun)


def lemma1_published(n_negatives: Whole) -> float:
    r"""Lemma 1's constant as printed, $e^{3/2} \sqrt{\pi / 2N}$.

    Source: chuang2020, Lemma 1.
    """
    return math.exp(1.5) * math.sqrt(0.5 * math.pi / _sizes(n_negatives, None)[0])


def lemma1_hoeffding(n_negatives: Whole, temperature: Real) -> float:
    r"""What Hoeffding's inequality gives in Lemma 1's proof, $(h - 1) \sqrt{\pi / 2N}$ with $h = e^{2/t}$; inf where h
    overflows.

    Source: chuang2020, Lemma 1, with the constant its proof yields.
    """
    return _range(temperature) * math.sqrt(0.5 * math.pi / _sizes(n_negatives, None)[0])


def lemma1_variance(n_negatives: Whole, temperature: Real) -> float:
    r"""Lemma 1 through the variance rather than the range, $(h - 1)^2 / 8N$: the right rate in N; inf where h
    overflows.

    Source: chuang2020, Lemma 1, repaired.
    """
    return _range(temperature) ** 2 / 8.0 / _sizes(n_negatives, None)[0] if _range(temperature) < 1e150 else math.inf


def lemma1_specht(temperature: Real) -> float:
    r"""Bound for all N at once, the log of Specht's ratio of means.

    $$ \log S(h) = \log(h - 1) + \frac{\log h}{h - 1} - 1 - \log \log h, \qquad h = e^{2/t}. $$

    Source: Specht's inequality, in chuang2020, Lemma 1.
    """
    log_h = 2.0 / _temperature(temperature)
    if log_h < 0.05:  # the terms cancel to log_h^2 / 8
        return log_h**2 / 8.0 * (1.0 - log_h**2 / 72.0 + log_h**4 / 3240.0)
    log_range = log_h + math.log(-math.expm1(-log_h))
    return log_range + log_h * math.exp(-log_range) - 1.0 - math.log(log_h)


def theorem3_published(n_negatives: Whole, n_positives: Whole | None, class_prior: Real) -> float:
    r"""Theorem 3's bound on the error of the debiased loss as printed.

    $$ \frac{e^{3/2}}{\tau^-} \sqrt{\frac{\pi}{2N}} + \frac{e^{3/2} \tau^+}{\tau^-} \sqrt{\frac{\pi}{2M}} $$

    Args:
        n_negatives: N >= 1.
        n_positives: M >= 1; None for infinitely many.
        class_prior: tau+ in [0, 1).

    Source: chuang2020, Theorem 3.
    """
    return math.exp(1.5) * math.sqrt(0.5 * math.pi) * _rate(n_negatives, n_positives, class_prior)


def theorem3_corrected(n_negatives: Whole, n_positives: Whole | None, temperature: Real, class_prior: Real) -> float:
    r"""Theorem 3 with a constant that holds at any temperature, through the variance.

    $$ \frac{e^{2/t} - 1}{2 \tau^-} \Bigl( N^{-1/2} + \tau^+ M^{-1/2} \Bigr) $$

    Args:
        n_negatives: N >= 1.
        n_positives: M >= 1; None for infinitely many.
        temperature: t > 0.
        class_prior: tau+ in [0, 1).

    Source: chuang2020, Theorem 3, repaired.
    """
    return 0.5 * _range(temperature) * _rate(n_negatives, n_positives, class_prior)


def _rate(n_negatives: Whole, n_positives: Whole | None, class_prior: Real) -> float:
    if not 0.0 <= class_prior < 1.0:
        raise ValueError(f"class_prior={class_prior!r} must lie in [0, 1)")
    n = float(_sizes(n_negatives, None)[0])
    if n_positives is not None and n_positives < 1:
        raise ValueError(f"n_positives={n_positives!r} must be at least 1, or None for infinitely many")
    inverse = 0.0 if n_positives is None else 1.0 / math.sqrt(n_positives)
    return (1.0 / math.sqrt(n) + class_prior * inverse) / (1.0 - class_prior)


def _range(temperature: Real) -> float:
    """h - 1 = e^{2/t} - 1."""
    log_h = 2.0 / _temperature(temperature)
    return math.expm1(log_h) if log_h < 709.0 else math.inf
