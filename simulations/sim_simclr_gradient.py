"""How much of the DRO gradient SimCLR keeps: 1 - p+, on real digits as the temperature falls."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logsumexp

from drocl import latent

from ._tables import table

COST = "seconds"
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Config:
    """Anchors of the digits, each with its nearest image of the same digit as the positive and all others as negatives.

    Args:
        points: digits kept.
        grid: temperatures of the curve.
        checks: of them, every so many is checked by differentiation.
        seed: of the choice of digits.
    """

    points: int = 300
    grid: int = 41
    checks: int = 5
    seed: int = 0


PROFILES = {
    "quick": Config(),
    "standard": Config(points=900, grid=81),
    "paper": Config(points=1797, grid=161),
}


def run(config: Config) -> dict[str, Any]:
    """Shares of the gradient over temperatures.

    Args:
        config: the sizes.

    Returns:
        Tables `shares` (tau, mean, low, high: mean, 10 % and 90 % quantiles over anchors of 1 - p+) and `checks`
        (tau, anchor, ratio: SimCLR's derivative over the DRO loss's in one score, by complex steps; share: 1 - p+).
    """
    model = latent.build("digits", n=config.points, seed=config.seed)
    size = len(model)
    same = np.equal.outer(model.classes, model.classes) & ~np.eye(size, dtype=bool)
    partner = np.where(same, model.cosines, -2.0).argmax(axis=1)
    positive = model.cosines[np.arange(size), partner]
    kept = ~np.eye(size, dtype=bool)
    kept[np.arange(size), partner] = False
    negatives = model.cosines[kept].reshape(size, size - 2)
    shares, checks = [], []
    for index, tau in enumerate(np.geomspace(0.03, 2.0, config.grid).tolist()):
        share = expit(logsumexp(negatives / tau, axis=1) - positive / tau)
        low, high = np.quantile(share, (0.1, 0.9))
        shares.append({"tau": tau, "mean": share.mean(), "low": low, "high": high})
        if index % config.checks == 0:
            for anchor in (0, size // 2):
                ratio = gradient_ratio(float(positive[anchor]), negatives[anchor], tau)
                checks.append({"tau": tau, "anchor": anchor, "ratio": ratio, "share": float(share[anchor])})
    return {"shares": table(shares), "checks": table(checks)}


def gradient_ratio(positive: float, negatives: Array, tau: float) -> float:
    """Derivative of SimCLR's loss over that of the loss without the positive below, in the hardest negative's score."""
    step = 1e-30j
    hardest = int(negatives.argmax())
    moved = negatives.astype(complex)
    moved[hardest] += step
    top = max(float(negatives.max()), positive) / tau
    below = np.exp(moved / tau - top).sum()
    simclr = np.log(np.exp(positive / tau - top) + below)
    decoupled = np.log(below)
    return float(simclr.imag / decoupled.imag)
