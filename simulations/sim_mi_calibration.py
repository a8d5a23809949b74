"""How often the 90 % interval of the automatic choice holds the truth: tasks by seeds, Gaussian and hard half apart."""

from dataclasses import dataclass
from typing import Any

from scipy.stats import beta

from drocl import parts
from drocl.mi import tasks

from ._estimates import HARD, covered, part
from ._tables import by_row, table

COST = "hours"
TARGETS = {"gaussian": (0.85, 0.97), "hard": (0.60, 1.0)}  # share that must be covered at 90 %, from, to


@dataclass(frozen=True)
class Config:
    """Tasks, seeds, estimators.

    Args:
        tasks: names.
        n: pairs.
        seeds: samples of every task.
        estimators: names of `_estimates.ESTIMATORS`.
        level: nominal coverage, in (0, 1).
    """

    tasks: tuple[str, ...] = tasks.BENCHMARK
    n: int = 10_000
    seeds: int = 10
    estimators: tuple[str, ...] = ("auto",)
    level: float = 0.9


FEW = ("1v1-normal-0.75", "multinormal-sparse-3-3-2-2.0", "1v1-additive-0.75", "student-identity-2-2-2")
LIGHT = tuple(
    name for name in tasks.BENCHMARK if "25" not in name and "50" not in name
)  # without the 25 and 50 dimensions
PROFILES = {
    # estimators without training, small samples: the form of the table
    "quick": Config(tasks=FEW, n=300, seeds=8, estimators=("cca", "ksg")),
    "standard": Config(tasks=LIGHT, n=1000, seeds=10, estimators=("copula", "ksg")),
    "paper": Config(),
}


def run(config: Config) -> dict[str, Any]:
    """All intervals.

    Args:
        config: tasks, seeds, estimators.

    Returns:
        Tables `coverage` (estimator, half: gaussian or hard, intervals, held, share, low, high: Clopper-Pearson 95 %, level, must_from,
        must_to), `by_task` (estimator, task, half, seeds, held, bias: mean error, width: mean, truth) and `estimates`.
    """
    items = [
        (task, config.n, 100 + seed, name, config.level)
        for name in config.estimators
        for task in config.tasks
        for seed in range(config.seeds)
    ]
    rows = [{**row, "half": half(row["task"])} for row in parts.gather(part, items)]
    by_task = [
        _task([r for r in rows if r["task"] == task and r["estimator"] == name])
        for name in config.estimators
        for task in config.tasks
    ]
    shares = [
        _share([r for r in rows if r["half"] == group and r["estimator"] == name], config.level)
        for name in config.estimators
        for group in TARGETS
        if any(r["half"] == group for r in rows)
    ]
    return {"coverage": table(shares), "by_task": table(by_task), "estimates": table(rows)}


def half(task: str) -> str:
    """ "hard" for Student, asinh, spiral, additive and swiss roll; "gaussian" for the others (Gaussian up to maps)."""
    return "hard" if task in HARD else "gaussian"


def _task(rows: list[dict[str, Any]]) -> dict[str, Any]:
    gaps = [float(row["value"]) - float(row["truth"]) for row in rows]
    widths = [float(row["high"]) - float(row["low"]) for row in rows]
    about = {name: rows[0][name] for name in ("estimator", "task", "half", "truth")}
    held = sum(map(covered, rows))
    return {
        **about, "seeds": len(rows), "held": held, "bias": sum(gaps) / len(gaps), "width": sum(widths) / len(widths)
    }  # fmt: skip


def _share(rows: list[dict[str, Any]], level: float) -> dict[str, Any]:
    count, held = len(rows), sum(map(covered, rows))
    low = float(beta.ppf(0.025, held, count - held + 1)) if held else 0.0
    high = float(beta.ppf(0.975, held + 1, count - held)) if held < count else 1.0
    least, most = TARGETS[rows[0]["half"]]
    return {
        "estimator": rows[0]["estimator"], "half": rows[0]["half"], "intervals": count, "held": held, "share": held / count,
        "low": low, "high": high, "level": level, "must_from": least, "must_to": most,
    }  # fmt: skip


def report(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The coverage table."""
    return by_row(result["coverage"])
