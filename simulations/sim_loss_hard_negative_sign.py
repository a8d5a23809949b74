"""How many negatives the hard-negative loss attracts: uniform directions, by concentration and dimension."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, softmax

from drocl.latent import log_sphere_mean

from ._tables import records, table

COST = "seconds"
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Config:
    """Uniform directions as negatives of one anchor, infinitely many and `negatives` of them.

    Args:
        dimensions: of the sphere.
        temperature: of the loss.
        grid: concentrations of the curves.
        negatives: K of the sampled rows.
        rows: anchors sampled.
        seed: of the directions.
    """

    dimensions: tuple[int, ...] = (4, 8, 16, 32, 128)
    temperature: float = 0.5
    grid: int = 61
    negatives: int = 510
    rows: int = 40
    seed: int = 0


PROFILES = {
    "quick": Config(),
    "standard": Config(grid=121, rows=200),
    "paper": Config(grid=241, rows=1000),
}


def run(config: Config) -> dict[str, Any]:
    """Derivatives along the score, and shares of attracted negatives.

    Args:
        config: the sizes.

    Returns:
        Tables `slopes` (beta, score, full, detached: the derivative of log E_{q_beta} e^s in one negative's score over its
        probability, in dimension 8, with the weights in the graph and set aside), `zeros` (beta, score: where `full`
        changes sign), `shares` (dimension, beta, share: of all directions) and `sampled` (dimension, beta, share: mean over
        rows of the share of the sampled negatives with a negative derivative).
    """
    slopes, zeros, shares, sampled = [], [], [], []
    score = np.linspace(-1.0, 1.0, 201)
    for beta in (0.5, 1.0, 2.0):
        full, detached = densities(8, beta, score, config.temperature)
        slopes += records(beta=beta, score=score, full=full, detached=detached)
        zeros.append({"beta": beta, "score": threshold(8, np.array([beta]), config.temperature)[0]})
    for dimension in config.dimensions:
        beta = np.linspace(0.0, 4.0, config.grid)[1:]
        least = np.clip(threshold(dimension, beta, config.temperature), -1.0, 1.0)
        half = 0.5 * (dimension - 1)
        shares += records(dimension=dimension, beta=beta, share=betainc(half, half, 0.5 * (1.0 + least)))
        rng = np.random.default_rng([config.seed, dimension])
        rows = rng.normal(size=(config.rows, config.negatives, dimension))
        a = rows[:, :, 0] / np.linalg.norm(rows, axis=2) / config.temperature
        for one in (0.5, 1.0, 1.5, 2.0, 3.0, 4.0):
            derivative = (1.0 + one) * softmax((1.0 + one) * a, axis=1) - one * softmax(one * a, axis=1)
            sampled.append({"dimension": dimension, "beta": one, "share": float((derivative < 0.0).mean())})
    return {"slopes": table(slopes), "zeros": table(zeros), "shares": table(shares), "sampled": table(sampled)}


def threshold(dimension: int, beta: Array, temperature: float) -> Array:
    """Score below which a negative is attracted: tau log(beta / (beta + 1) E_{q_beta} e^{s / tau})."""
    above, below = (log_sphere_mean(dimension, power / temperature) for power in (1.0 + beta, beta))
    return np.asarray(temperature * (np.log(beta / (1.0 + beta)) + above - below))


def densities(dimension: int, beta: float, score: Array, temperature: float) -> tuple[Array, Array]:
    """(1 + beta) q_{1+beta} - beta q_beta, and q_{1+beta}, over the law of the negatives."""
    tilted = {power: np.exp(power * score / temperature - log_sphere_mean(dimension, np.array(power / temperature)))
              for power in (beta, 1.0 + beta)}  # fmt: skip
    return (1.0 + beta) * tilted[1.0 + beta] - beta * tilted[beta], tilted[1.0 + beta]
