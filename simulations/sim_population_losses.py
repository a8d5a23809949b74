"""Biased and unbiased contrastive loss against the number of negatives, exactly, on latent-class models."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from drocl import latent, population
from drocl.latent import LatentModel

from ._tables import table

COST = "seconds"
BLOCK = 4000  # draws held at a time


@dataclass(frozen=True)
class Config:
    """Models, temperatures and numbers of negatives.

    Args:
        temperature: of the losses.
        low_temperature: of the differences on mutually unbiased bases.
        negatives: N.
        draws: Monte Carlo draws of the sampled points, a check that shares no formula with the exact values.
        sampled: N at which they are drawn.
        seed: of models and draws.
    """

    temperature: float = 0.5
    low_temperature: float = 0.05
    negatives: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
    draws: int = 4000
    sampled: tuple[int, ...] = (1, 8, 64, 512)
    seed: int = 0


PROFILES = {
    "quick": Config(),
    "standard": Config(negatives=tuple(2**k for k in range(17)), draws=40_000),
    "paper": Config(negatives=tuple(2**k for k in range(21)), draws=400_000, sampled=(1, 4, 16, 64, 256, 1024)),
}


def run(config: Config) -> dict[str, Any]:
    """Exact losses, their limits, and a sampled check.

    Args:
        config: the sizes.

    Returns:
        Tables `losses` (model, t, n, biased, unbiased, biased_limit, unbiased_limit: of Lemma 2 at Q = N) and
        `sampled` (model, t, n, loss: "biased" or "unbiased", value, error: standard error, exact).
    """
    models = {
        "clustered": latent.build("random", n_classes=10, points=4, dimension=16, cluster=1.0, seed=config.seed),
        "simplex": latent.build("simplex", n_classes=10),
        "unbiased bases": latent.build("mub", dimension=16),
    }
    rows = []
    for name, model in models.items():
        for t in (config.temperature, config.low_temperature):
            rows += [_row(name, model, t, n) for n in config.negatives]
    sampled = []
    model = models["clustered"]
    for n in config.sampled:
        for true in (False, True):
            value, error = _sample(model, config.temperature, n, config.draws, true, config.seed + n)
            loss = population.unbiased_loss if true else population.biased_loss
            exact = float(loss(model, config.temperature, n))
            kind = "unbiased" if true else "biased"
            entry = {"model": "clustered", "t": config.temperature, "n": n, "loss": kind}
            sampled.append({**entry, "value": value, "error": error, "exact": exact})
    return {"losses": table(rows), "sampled": table(sampled)}


def _row(name: str, model: LatentModel, t: float, n: int) -> dict[str, Any]:
    return {
        "model": name,
        "t": t,
        "n": n,
        "biased": float(population.biased_loss(model, t, n)),
        "unbiased": float(population.unbiased_loss(model, t, n)),
        "biased_limit": float(population.limit_loss(model, t, float(n), negatives="sampled")),
        "unbiased_limit": float(population.limit_loss(model, t, float(n))),
    }


def _sample(model: LatentModel, t: float, n: int, draws: int, true: bool, seed: int) -> tuple[float, float]:
    """Mean and standard error of the loss over independent draws of anchor, positive and n negatives."""
    random = np.random.default_rng([seed, true])
    scores = model.scores(t)
    parts = []
    for start in range(0, draws, BLOCK):
        anchors, positives = model.sample_pairs(min(BLOCK, draws - start), random)
        negatives = model.sample_negatives(n, random, anchors=anchors, true=true)
        odds = scores[anchors[:, None], negatives] - scores[anchors, positives][:, None]
        parts.append(np.log1p(np.exp(odds).sum(axis=1)))
    values = np.concatenate(parts)
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(draws))
