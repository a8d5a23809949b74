"""Real scores: digits embedded on the sphere, their implied radii, false-negative mass, losses and Lemma 1."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from drocl import dro, latent, population

from . import _lemma1
from ._tables import records, table

COST = "seconds"


@dataclass(frozen=True)
class Config:
    """A sample of scikit-learn's digits as a latent-class model, all other points being the negatives of an anchor.

    Args:
        points: digits kept for radii.
        temperatures: at which radii are shown anchor by anchor, high to low.
        grid: temperatures of the curves.
        loss_points: digits kept for the exact losses, whose cost grows with their square.
        loss_temperatures: of the losses.
        negatives: N of the losses.
        seed: of the choice of digits.
    """

    points: int = 300
    temperatures: tuple[float, ...] = (1.0, 0.5, 0.2, 0.07)
    grid: int = 24
    loss_points: int = 120
    loss_temperatures: tuple[float, ...] = (0.5, 0.1)
    negatives: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
    seed: int = 0


PROFILES = {
    "quick": Config(),
    "standard": Config(points=900, grid=60, loss_points=300),
    "paper": Config(points=1797, grid=120, loss_points=600, negatives=tuple(2**k for k in range(15))),
}


def run(config: Config) -> dict[str, Any]:
    """Radii, masses and losses.

    Args:
        config: the sizes.

    Returns:
        Tables `anchors` (tau, anchor, label, radius, false_negative: mass of Q* on the anchor's class, variance: of
        its scores), `masses` (tau, mean, low, high: mean and 10 % and 90 % quantiles over anchors of that mass;
        share: in Q0), and `losses` (t, n, biased, unbiased, cost: difference of their limits, floor: E min(0, .),
        printed, sharp).
    """
    model = latent.build("digits", n=config.points, seed=config.seed)
    size = len(model)
    others = ~np.eye(size, dtype=bool)
    scores = model.cosines[others].reshape(size, size - 1)
    same = np.equal.outer(model.classes, model.classes)[others].reshape(size, size - 1)
    anchors, masses = [], []
    for tau in config.temperatures:
        found = dro.worst_case(scores, temperature=tau)
        mass = np.where(same, found.weights, 0.0).sum(axis=1)
        about = {"anchor": np.arange(size), "label": model.classes, "variance": scores.var(axis=1)}
        anchors += records(tau=tau, radius=found.radius, false_negative=mass, **about)
    for tau in np.geomspace(0.03, 2.0, config.grid).tolist():
        mass = np.where(same, dro.worst_case(scores, temperature=tau).weights, 0.0).sum(axis=1)
        low, high = np.quantile(mass, (0.1, 0.9))
        masses.append({"tau": tau, "mean": mass.mean(), "low": low, "high": high, "share": same.mean()})
    losses = []
    few = latent.build("digits", n=config.loss_points, seed=config.seed)
    for t in config.loss_temperatures:
        least = _lemma1.floor(few, t)
        for n in config.negatives:
            exact = {"biased": population.biased_loss(few, t, n), "unbiased": population.unbiased_loss(few, t, n)}
            cost = population.limit_loss(few, t, float(n), negatives="sampled") - population.limit_loss(
                few, t, float(n)
            )
            bounds = {
                "cost": float(cost),
                "floor": least,
                "printed": population.lemma1_published(n),
                "sharp": population.lemma1_gap(n, t),
            }
            losses.append({"t": t, "n": n, **{name: float(value) for name, value in exact.items()}, **bounds})
    return {"anchors": table(anchors), "masses": table(masses), "losses": table(losses)}
