"""The temperature that a KL budget buys, against the budget: exact root, independent solver, expansions."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from drocl import dro, latent
from drocl.dro import reference

from ._tables import records, table

COST = "seconds"
LAWS: dict[str, dict[str, float]] = {"gaussian": {"scale": 0.25}, "uniform": {}, "skewed": {}, "digits": {}}


@dataclass(frozen=True)
class Config:
    """A pool of `n` negatives for each of LAWS; budgets log-spaced from `least` to just below the largest that binds.

    Args:
        n: atoms a pool.
        grid: budgets a curve.
        points: budgets at which cvxpy solves the same problem.
        least: smallest budget in nats.
        seed: of the pools.
    """

    n: int = 128
    grid: int = 120
    points: int = 8
    least: float = 1e-3
    seed: int = 0


PROFILES = {
    "quick": Config(),
    "standard": Config(n=256, grid=240, points=14, least=1e-4),
    "paper": Config(n=512, grid=480, points=20, least=1e-5),
}


def run(config: Config) -> dict[str, Any]:
    """Curves and solver points for each law.

    Args:
        config: the sizes.

    Returns:
        Tables `curves` (law, eta, exact, variance, skew), `points` (law, eta, tau, root, status) and `laws` (law, n,
        sd, skewness, eta_max).
    """
    curves, points, laws = [], [], []
    for name, params in LAWS.items():
        scores, base = latent.scores(name, n=config.n, seed=config.seed, **params)
        top = float(-np.log(base[scores == scores.max()].sum()))
        # the last steps towards the largest budget take the temperature to 0
        eta = np.append(
            np.geomspace(config.least, 0.97 * top, config.grid), top * (1.0 - np.geomspace(0.028, 1e-7, 16))
        )
        batch = np.broadcast_to(scores, (eta.size, scores.size))
        kinds: tuple[Any, ...] = (None, "variance", "skew")
        exact, plain, skew = (dro.temperature_of(batch, eta, base=base, approximation=kind) for kind in kinds)
        curves += records(law=name, eta=eta, exact=exact, variance=plain, skew=skew)
        sweep = reference.Sweep(scores, "kl", base)
        for radius in np.geomspace(config.least, 0.9 * top, config.points):
            found = sweep.solve(float(radius))
            root = float(dro.temperature_of(scores, float(radius), base=base))
            points.append(
                {"law": name, "eta": float(radius), "tau": found.multiplier, "root": root, "status": found.status}
            )
        mean = float(base @ scores)
        sd = float(np.sqrt(base @ (scores - mean) ** 2))
        skewness = float(base @ (scores - mean) ** 3) / sd**3
        laws.append({"law": name, "n": int(scores.size), "sd": sd, "skewness": skewness, "eta_max": top})
    return {"curves": table(curves), "points": table(points), "laws": table(laws)}
