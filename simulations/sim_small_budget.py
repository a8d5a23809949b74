"""Corollary 3.4's relative error against the budget, with and without the skewness term."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from drocl import dro

from . import _laws
from ._tables import records, table

COST = "seconds"


@dataclass(frozen=True)
class Config:
    """Laws by Gauss quadrature with `nodes` nodes a component; budgets log-spaced.

    Args:
        nodes: quadrature nodes.
        grid: budgets a law.
        least: smallest budget in nats.
        most: largest budget in nats.
    """

    nodes: int = 48
    grid: int = 60
    least: float = 1e-6
    most: float = 1.0


PROFILES = {
    "quick": Config(),
    "standard": Config(nodes=96, grid=160, least=1e-7, most=2.0),
    "paper": Config(nodes=128, grid=320, least=1e-8, most=2.0),
}


def run(config: Config) -> dict[str, Any]:
    """Errors of the two expansions for each law.

    Args:
        config: the sizes.

    Returns:
        Tables `errors` (law, symmetric, eta, tau, printed, corrected: signed relative errors) and `laws` (law,
        symmetric, sd, skewness).
    """
    positive = _laws.cluster(config.nodes)
    laws = (
        _laws.gaussian(config.nodes),
        _laws.uniform(config.nodes),
        _laws.sphere(config.nodes, 8),
        _laws.sphere(config.nodes, 128),
        positive,
        _laws.mirrored(positive, "mirrored cluster"),
    )
    eta = np.geomspace(config.least, config.most, config.grid)
    rows, about = [], []
    for law in laws:
        batch = np.broadcast_to(law.scores, (eta.size, law.scores.size))
        exact, plain, skew = (
            dro.temperature_of(batch, eta, base=law.base, approximation=kind) for kind in (None, "variance", "skew")
        )
        rows += records(
            law=law.name,
            symmetric=law.symmetric,
            eta=eta,
            tau=exact,
            printed=plain / exact - 1.0,
            corrected=skew / exact - 1.0,
        )
        about.append({"law": law.name, "symmetric": law.symmetric, "sd": law.sd, "skewness": law.skewness})
    return {"errors": table(rows), "laws": table(about)}
