"""Error against the number of pairs, and against the dimension at one nat."""

from dataclasses import dataclass
from typing import Any

from drocl import parts

from ._estimates import part
from ._tables import table

COST = "minutes"
LEVEL = 0.9  # of the intervals


@dataclass(frozen=True)
class Config:
    """Sizes of the sweeps.

    Args:
        samples: numbers of pairs.
        tasks: of the sweep over them.
        dimensions: d of d + d dimensions, the information spread evenly over d pairs.
        information: nats, in every dimension.
        n: pairs of the sweep over dimensions.
        estimators: names of `_estimates.ESTIMATORS`.
        seeds: of the samples.
    """

    samples: tuple[int, ...] = (250, 500, 1000, 2000, 4000, 8000, 16_000)
    tasks: tuple[str, ...] = (
        "multinormal-sparse-5-5-2-2.0", "student-identity-3-3-2", "spiral-multinormal-sparse-3-3-2-2.0"
    )  # fmt: skip
    dimensions: tuple[int, ...] = (1, 2, 5, 10, 20, 50)
    information: float = 1.0
    n: int = 4000
    estimators: tuple[str, ...] = ("auto", "cca", "copula", "ksg", "infonce, separable", "dro hellinger, fast")
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)


NAMED = ("multinormal-sparse-5-5-2-2.0", "student-identity-3-3-2")
PROFILES = {
    # the estimators without training, small samples
    "quick": Config(
        samples=(250, 500, 1000), tasks=NAMED, dimensions=(1, 2, 5, 10), n=500, estimators=("cca", "ksg"), seeds=(0, 1)
    ),
    "standard": Config(
        samples=(250, 1000, 4000), tasks=NAMED, dimensions=(1, 2, 5, 10, 20), n=2000, seeds=(0, 1),
        estimators=("copula", "ksg", "infonce, separable", "dro hellinger, fast"),
    ),
    "paper": Config(),
}  # fmt: skip


def run(config: Config) -> dict[str, Any]:
    """Both sweeps.

    Args:
        config: sizes.

    Returns:
        Tables `samples` (task, estimator, n, seed, truth, value, low, high, seconds, ...) and `dimensions` (the same, with d).
    """
    laws = {f"staircase-{d}-{config.information:g}": d for d in config.dimensions}
    over_n = [
        (task, n, seed, name, LEVEL)
        for task in config.tasks
        for n in config.samples
        for name in config.estimators
        for seed in config.seeds
    ]
    over_d = [
        (task, config.n, seed, name, LEVEL) for task in laws for name in config.estimators for seed in config.seeds
    ]
    found = parts.gather(part, [*over_n, *over_d])
    first, second = found[: len(over_n)], found[len(over_n) :]
    return {
        "samples": table(first),
        "dimensions": table({**row, "d": laws[row["task"]]} for row in second),
    }


def report(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Mean error (estimate less truth) over seeds: one row an estimator and task or dimension."""
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    counts: dict[tuple[str, ...], dict[str, int]] = {}
    for part_, across, along in (("samples", "task", "n"), ("dimensions", "n", "d")):
        columns = result[part_]
        for i, name in enumerate(columns["estimator"]):
            key = (part_, name, str(columns[across][i]))
            row = rows.setdefault(key, {"sweep": part_, "estimator": name, "at": str(columns[across][i])})
            column = f"{along}={columns[along][i]}"
            seen = counts.setdefault(key, {})
            seen[column] = seen.get(column, 0) + 1
            error = float(columns["value"][i]) - float(columns["truth"][i])
            row[column] = row.get(column, 0.0) + (error - row.get(column, 0.0)) / seen[column]
    return list(rows.values())
