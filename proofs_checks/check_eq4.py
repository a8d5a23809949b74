"""chuang2020, Eq. 4: the unbiased loss from unlabelled samples and positives only, as an alternating sum."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import comb

from drocl.claims import Evidence, agree, claim
from drocl.latent import LatentModel
from drocl.population import expected_log_sum_mixed, unbiased_loss

from ._classes import model_of

Floats = NDArray[np.float64]
Signs = Callable[[NDArray[np.int64]], Floats]


def alternating(k: NDArray[np.int64]) -> Floats:
    """(-1)^k."""
    return np.where(k % 2, -1.0, 1.0)


def all_plus(k: NDArray[np.int64]) -> Floats:
    """1: the sign of (-tau+)^k dropped."""
    return np.ones(k.shape)


def binomial_sum(model: LatentModel, temperature: float, n: int, signs: Signs) -> tuple[float, float]:
    """Eq. 4 with k negatives from p+ and n - k from p, and the sum of the sizes of its terms."""
    k = np.arange(n + 1)
    counts = np.stack([k, n - k], axis=1)[:, None, :]
    total, size = 0.0, 0.0
    for x, weight in enumerate(model.probs):
        charged = np.flatnonzero(model.p_plus[x])
        values = np.exp(model.scores(temperature)[x] - 1.0 / temperature)
        sources = np.stack([model.p_plus[x], model.probs])
        sums = np.asarray(expected_log_sum_mixed(values, sources, counts, values[charged]))  # (n + 1, positives)
        loss = (sums - np.log(values[charged])) @ model.p_plus[x][charged]
        tau = model.tau_plus[x]
        terms = comb(n, k) * signs(k) * tau**k / (1.0 - tau) ** n * loss
        total, size = total + weight * float(terms.sum()), size + weight * float(np.abs(terms).sum())
    return total, size


@claim(
    "unbiased-is-binomial-sum",
    title="The unbiased loss is an alternating sum over samples of p and p+",
    says=r"L_{Unb}^{N}=(\tau^{-})^{-N}\sum_{k=0}^{N}\binom{N}{k}(-\tau^{+})^{k}\,\mathbb{E}_{k\,from\,p^{+}_x,\,N-k\,from\,p}"
    r"[-\log\frac{e^{s^{+}}}{e^{s^{+}}+\sum_{i}e^{s_i}}]",
    source="chuang2020, Eq. 4",
    asserts="identity",
    assumes=("finite support", "tau+ the probability of the anchor's class, equal or not"),
    uses=("frullani-engine",),
    grid={
        "n_negatives": (1, 4, 12),
        "model": ("antipodal", "cross:2", "random", "simplex"),
        "temperature": (1.0, 0.2),
        "seed": (0,),
    },
    standard={
        "n_negatives": (1, 2, 4, 8, 12, 16),
        "model": ("antipodal", "cross:2", "opposite:4", "random", "vmf", "simplex", "digits"),
        "temperature": (1.0, 0.5, 0.2, 0.05),
        "seed": (0, 1),
    },
    cases=({"n_negatives": 4, "model": "digits", "temperature": 0.5, "seed": 0},),
    control={"signs": all_plus},
    control_says="the sign of (-tau+)^k dropped",
    tolerance="the sum cancels: its condition number is ((1 + tau+) / (1 - tau+))^N, up to 5e5 here, and each term is "
    "exact to 1e-14; the error follows the condition number",
    figure="eq4-condition",
)
def unbiased_is_binomial_sum(
    n_negatives: int, model: str, temperature: float, seed: int, signs: Signs = alternating
) -> Evidence:
    built = model_of(model, seed)
    exact = float(unbiased_loss(built, temperature, n_negatives))
    value, size = binomial_sum(built, temperature, n_negatives, signs)
    tau = float(built.class_prior.max())
    condition = ((1.0 + tau) / (1.0 - tau)) ** n_negatives
    return agree(value, exact, atol=1e-13 * condition, scale=max(1.0, abs(exact)), condition=condition, terms=size)
