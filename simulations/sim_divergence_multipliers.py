"""The multiplier of every divergence's ball on one pool: the fast root against an independent solver's dual."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from drocl import divergences, dro, latent
from drocl.dro import reference

from ._tables import records, table

COST = "seconds"
FAMILY: tuple[tuple[str, dict[str, float]], ...] = (
    ("kl", {}),
    ("reverse_kl", {}),
    ("chi2", {}),
    ("neyman", {}),
    ("hellinger", {}),
    ("cressie_read", {"k": 3.0}),
    ("js", {}),
    ("renyi", {"order": 2.0}),
    ("tv", {}),
)


@dataclass(frozen=True)
class Config:
    """One pool of `n` scores of `law`; budgets log-spaced from `least` to `most`, cut at each ball's own largest.

    Args:
        law: a score law of `drocl.latent.scores`.
        n: atoms.
        grid: budgets a curve.
        points: budgets at which cvxpy solves the same problem.
        least: smallest budget in nats.
        most: largest budget in nats.
        seed: of the pool.
    """

    law: str = "skewed"
    n: int = 64
    grid: int = 160
    points: int = 6
    least: float = 1e-3
    most: float = 8.0
    seed: int = 0


PROFILES = {
    "quick": Config(),
    "standard": Config(n=128, grid=320, points=12, least=1e-4),
    "paper": Config(n=256, grid=640, points=16, least=1e-5),
}


def run(config: Config) -> dict[str, Any]:
    """Multipliers over budgets for each divergence.

    Args:
        config: the sizes.

    Returns:
        Tables `curves` (divergence, label, second, eta, alpha, scaled), `points` (the same with cvxpy's dual, and
        status) and `law` (law, n, sd, skewness). `scaled` is alpha sqrt(2 eta phi''(1)) / sd, which tends to 1; nan
        for tv.
    """
    scores, base = latent.scores(config.law, n=config.n, seed=config.seed)
    mean = float(base @ scores)
    sd = float(np.sqrt(base @ (scores - mean) ** 2))
    mass = float(base[scores == scores.max()].sum())
    curves, points = [], []
    for name, params in FAMILY:
        ball = divergences.get(name, **params)
        top = min(config.most, (1.0 - 1e-9) * ball.radius_max(mass))
        eta = np.geomspace(config.least, top, config.grid)
        alpha = dro.worst_case(
            np.broadcast_to(scores, (eta.size, scores.size)), radius=eta, divergence=ball, base=base
        ).multiplier
        unit = np.sqrt(2.0 * ball.second_at_one) / sd
        names = {"divergence": name, "label": ball.label, "second": ball.second_at_one}
        curves += records(**names, eta=eta, alpha=alpha, scaled=alpha * unit * np.sqrt(eta))
        sweep = reference.Sweep(scores, ball, base)
        for radius in np.geomspace(config.least, 0.85 * top, config.points):
            found = sweep.solve(float(radius))
            scaled = found.multiplier * unit * np.sqrt(radius)
            fast = float(dro.worst_case(scores, radius=float(radius), divergence=ball, base=base).multiplier)
            entry = {
                "eta": float(radius),
                "alpha": found.multiplier,
                "scaled": scaled,
                "root": fast,
                "status": found.status,
            }
            points.append({**names, **entry})
    skewness = float(base @ (scores - mean) ** 3) / sd**3
    law = {"law": config.law, "n": int(scores.size), "sd": sd, "skewness": skewness}
    return {"curves": table(curves), "points": table(points), "law": table([law])}
