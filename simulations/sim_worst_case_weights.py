"""Worst-case weights as the temperature moves, on negatives with a false-negative cluster."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from drocl import dro

from . import _laws
from ._tables import records, table

COST = "seconds"
SHARE, PLACE, SD = 0.1, 0.7, 0.1


@dataclass(frozen=True)
class Config:
    """The law (1 - SHARE) N(0, SD) + SHARE N(PLACE, SD), SHARE of it false negatives.

    Args:
        nodes: quadrature nodes a component.
        temperatures: of the weight curves, high to low.
        grid: temperatures of the curve of the false-negative mass.
        cells: scores at which weights and densities are drawn.
    """

    nodes: int = 64
    temperatures: tuple[float, ...] = (1.0, 0.3, 0.15, 0.1)
    grid: int = 60
    cells: int = 160


PROFILES = {
    "quick": Config(),
    "standard": Config(nodes=96, grid=200, cells=400),
    "paper": Config(nodes=128, grid=400, cells=800),
}


def run(config: Config) -> dict[str, Any]:
    """Weights and masses.

    Args:
        config: the sizes.

    Returns:
        Tables `atoms` (tau, score, ratio: q/q0 at the atoms), `density` (tau, score, q0, q: densities of both laws),
        `mass` (tau, false_negative, closed_form, effective: share of the atoms in use) and `law` (share, place, sd).
    """
    law = _laws.cluster(config.nodes, SHARE, PLACE, SD)
    false_negative = np.arange(law.scores.size) >= config.nodes
    atoms, density = [], []
    scores = np.linspace(-0.4, 1.2, config.cells)
    kernels = [np.exp(-0.5 * ((scores - place) / SD) ** 2) / (SD * np.sqrt(2.0 * np.pi)) for place in (0.0, PLACE)]
    q0 = (1.0 - SHARE) * kernels[0] + SHARE * kernels[1]
    for tau in config.temperatures:
        found = dro.worst_case(law.scores, temperature=tau, base=law.base)
        # atoms of negligible mass carry no information about Q*, and their ratio may be anything
        kept = (law.base > 1e-12) & (law.scores > -0.45) & (law.scores < 1.25)
        ratio = np.asarray(found.weights)[kept] / law.base[kept]
        atoms += records(tau=tau, score=law.scores[kept], ratio=ratio)
        tilt = np.exp((scores - float(found.normalizer)) / tau)
        density += records(tau=tau, score=scores, q0=q0, q=q0 * tilt)
    grid = np.geomspace(0.05, 2.0, config.grid)
    weights = np.asarray(
        dro.worst_case(
            np.broadcast_to(law.scores, (grid.size, law.scores.size)), temperature=grid, base=law.base
        ).weights
    )
    odds = SHARE / (1.0 - SHARE) * np.exp(PLACE / grid)  # both components gain the same factor e^{sd^2 / 2 tau^2}
    effective = 1.0 / (weights**2 / law.base).sum(axis=-1)
    mass = records(
        tau=grid,
        false_negative=weights[:, false_negative].sum(axis=-1),
        closed_form=odds / (1.0 + odds),
        effective=effective,
    )
    return {
        "atoms": table(atoms),
        "density": table(density),
        "mass": table(mass),
        "law": table([{"share": SHARE, "place": PLACE, "sd": SD}]),
    }
