"""Eq. 4's alternating sum in floating point: an identity whose rounding grows like its condition number."""

from dataclasses import dataclass
from typing import Any

from drocl import latent, population

from ._tables import table

COST = "seconds"


@dataclass(frozen=True)
class Config:
    """Uniform classes of random points.

    Args:
        classes: numbers K of classes; the class prior is 1/K.
        negatives: N.
        temperature: t.
        seed: of the points.
    """

    classes: tuple[int, ...] = (2, 4, 10)
    negatives: tuple[int, ...] = (1, 2, 4, 6, 8, 12, 16, 20, 24, 28, 32)
    temperature: float = 0.5
    seed: int = 0


PROFILES = {
    "quick": Config(),
    "standard": Config(negatives=tuple(range(1, 41))),
    "paper": Config(classes=(2, 3, 4, 6, 10, 20), negatives=tuple(range(1, 65))),
}


def run(config: Config) -> dict[str, Any]:
    """Relative errors of the alternating sum.

    Args:
        config: the sizes.

    Returns:
        Table `errors` (classes, n, exact, error: relative, condition).
    """
    rows = []
    for classes in config.classes:
        model = latent.build("random", n_classes=classes, points=3, dimension=8, cluster=1.0, seed=config.seed)
        for n in config.negatives:
            exact = float(population.unbiased_loss(model, config.temperature, n))
            found = population.alternating_unbiased_loss(model, config.temperature, n)
            error = abs(found.value / exact - 1.0)
            rows.append({"classes": classes, "n": n, "exact": exact, "error": error, "condition": found.condition})
    return {"errors": table(rows)}
