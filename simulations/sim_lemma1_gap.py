"""What Lemma 1's constant must cover, exactly, against the printed constant and the sharp one."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from drocl import population

from . import _lemma1
from ._tables import records, table

COST = "seconds"


@dataclass(frozen=True)
class Config:
    """Designs of `_lemma1.designs`, at temperatures and numbers of negatives.

    Args:
        temperatures: high to low.
        negatives: N.
        grid: temperatures between 0.002 and 1 at which the largest ratio to the printed constant is sought.
    """

    temperatures: tuple[float, ...] = (1.0, 0.1, 0.01)
    negatives: tuple[int, ...] = tuple(2**k for k in range(12))
    grid: int = 20


PROFILES = {
    "quick": Config(),
    "standard": Config(negatives=tuple(2**k for k in range(14)), grid=48),
    "paper": Config(negatives=tuple(2**k for k in range(17)), grid=120),
}


def run(config: Config) -> dict[str, Any]:
    """Both sides of the lemma.

    Args:
        config: the sizes.

    Returns:
        Table `gaps` (t, n, design, shortfall: L_Unb + min(0, .) - L_Bias, jensen: the proof's Jensen gap), table
        `bounds` (t, n, printed, sharp), table `ratios` (t, shortfall, design, sharp: largest over N of each over the
        printed constant).
    """
    sizes = np.array(config.negatives)
    printed = np.array([population.lemma1_published(n) for n in config.negatives])
    gaps, bounds, ratios = [], [], []
    for t in config.temperatures:
        sharp = [population.lemma1_gap(n, t) for n in config.negatives]
        bounds += records(t=t, n=sizes, printed=printed, sharp=sharp)
        for design in _lemma1.designs():
            biased, unbiased, jensen = design.losses(t, sizes)
            gaps += records(
                t=t, n=sizes, design=design.name, shortfall=unbiased + design.floor(t) - biased, jensen=jensen
            )
    for t in np.geomspace(1.0, 0.002, config.grid).tolist():
        worst = {design.name: float((design.shortfall(t, sizes) / printed).max()) for design in _lemma1.designs()}
        name = max(worst, key=lambda key: worst[key])
        needed = max(
            population.lemma1_gap(int(n), t) / bound for n, bound in zip(sizes[::2], printed[::2], strict=True)
        )
        ratios.append({"t": t, "shortfall": worst[name], "design": name, "sharp": needed})
    return {"gaps": table(gaps), "bounds": table(bounds), "ratios": table(ratios)}
