"""The penalised worst case of every smooth divergence against its mean-variance form."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from drocl import divergences, dro

from . import _laws
from ._tables import records, table

COST = "seconds"
FAMILY: tuple[tuple[str, dict[str, float]], ...] = (
    ("kl", {}),
    ("reverse_kl", {}),
    ("chi2", {}),
    ("neyman", {}),
    ("hellinger", {}),
    ("cressie_read", {"k": 1.5}),
    ("js", {}),
)


@dataclass(frozen=True)
class Config:
    """A symmetric and a skewed law by quadrature; temperatures log-spaced in units of the law's standard deviation.

    Args:
        nodes: quadrature nodes a component.
        grid: temperatures a curve.
        least: smallest temperature, in standard deviations.
        most: largest.
    """

    nodes: int = 32
    grid: int = 64
    least: float = 0.3
    most: float = 300.0


PROFILES = {
    "quick": Config(),
    "standard": Config(nodes=64, grid=160),
    "paper": Config(nodes=96, grid=400, least=0.1, most=1000.0),
}


def run(config: Config) -> dict[str, Any]:
    """Exact value minus mean-variance form for each law and divergence.

    Args:
        config: the sizes.

    Returns:
        Tables `errors` (law, symmetric, divergence, label, tau, error, third: the predicted third-order term; all in
        units of the standard deviation) and `laws` (law, symmetric, sd, skewness, chi2_from: the temperature from
        which Pearson's mean-variance form is exact).
    """
    rows, about = [], []
    # not the uniform law: there Neyman's mean-variance form happens to be exact
    for law in (_laws.sphere(config.nodes, 8), _laws.bounded_cluster(config.nodes)):
        unit = np.geomspace(config.least, config.most, config.grid)
        tau = unit * law.sd
        batch = np.broadcast_to(law.scores, (tau.size, law.scores.size))
        for name, params in FAMILY:
            ball = divergences.get(name, **params)
            found = dro.worst_case(batch, temperature=tau, divergence=ball, base=law.base)
            # value - mean without the rounding of the mean: the error is far below it at large temperatures
            above = np.asarray(found.excess) - tau * np.asarray(found.radius)
            error = above - law.sd**2 / (2.0 * ball.second_at_one * tau)
            third = -ball.third_at_one * law.skewness / (6.0 * ball.second_at_one**3 * unit**2)
            names = {"law": law.name, "symmetric": law.symmetric, "divergence": name, "label": ball.label}
            rows += records(**names, tau=unit, error=error / law.sd, third=third)
        start = 0.5 * (law.mean - float(law.scores.min())) / law.sd
        about.append(
            {"law": law.name, "symmetric": law.symmetric, "sd": law.sd, "skewness": law.skewness, "chi2_from": start}
        )
    return {"errors": table(rows), "laws": table(about)}
