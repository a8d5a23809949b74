"""Accuracy of trained encoders against the temperature, at the usual tau0 and where training data would choose it."""

from dataclasses import dataclass
from typing import Any

from ._encoders import (
    PAPER,
    QUICK,
    STANDARD,
    TAU0,
    Row,
    Training,
    cell,
    difference,
    fields,
    gather,
    loss_of,
    means,
    where,
)
from ._tables import by_row, table

COST = "minutes"
MEASURES = ("probe", "knn_train")
BASE = "info_nce"


@dataclass(frozen=True)
class Config(Training):
    """Losses and temperatures.

    Args:
        losses: names of `_encoders.LOSSES`.
        temperatures: of every loss; tau0 is among them.
        tau0: the temperature that needs no tuning.

    The others are those of `_encoders.Training`.
    """

    losses: tuple[str, ...] = (BASE, "debiased", "hard_negative", "rince", "adnce")
    temperatures: tuple[float, ...] = (0.05, 0.1, 0.2, 0.35, TAU0, 0.7, 1.0)
    tau0: float = TAU0


PROFILES = {
    "quick": Config(**QUICK, losses=(BASE, "hard_negative", "rince", "adnce"), temperatures=(0.2, TAU0, 2.0)),
    "standard": Config(**STANDARD, temperatures=(0.1, 0.2, TAU0, 1.0)),
    "paper": Config(**PAPER),
}


def run(config: Config) -> dict[str, Any]:
    """Every loss at every temperature.

    Args:
        config: sizes.

    Returns:
        Tables `runs` (loss, tau, seed, status, probe, knn_train, ...), `curves` (means over seeds of a loss and tau), `choices`
        (of each loss: `tau`, tuned, with the mean of `knn_train` highest; test accuracy `probe` there and `at_tau0`; `tuning`,
        the paired difference; `over_base`, at tau0, and `over_base_tuned`: paired differences to InfoNCE).
    """
    keys = [(loss, tau, seed) for loss in config.losses for tau in config.temperatures for seed in config.seeds]
    items = [
        (fields(config, seed, *loss_of(loss, tau, config.batch_size)), MEASURES, config.penalties) for loss, tau, seed in keys
    ]
    runs = [
        {"loss": loss, "tau": tau, "seed": seed, **row}
        for (loss, tau, seed), row in zip(keys, gather(items), strict=True)
    ]
    curves = means(runs, ("loss", "tau"), MEASURES)
    return {"runs": table(runs), "curves": table(curves), "choices": table(_choices(config, runs, curves))}


def _choices(config: Config, runs: list[Row], curves: list[Row]) -> list[Row]:
    tuned = {loss: _tuned(where(curves, loss=loss), config.tau0) for loss in config.losses}
    found = []
    for loss in config.losses:
        at = where(runs, loss=loss, tau=tuned[loss]), where(runs, loss=loss, tau=config.tau0)
        base = where(runs, loss=BASE, tau=tuned.get(BASE, config.tau0)), where(runs, loss=BASE, tau=config.tau0)
        row: Row = {"loss": loss, "tau": tuned[loss]}
        for name, which in (("probe", at[0]), ("at_tau0", at[1])):
            mean = means(which, ("loss",), ("probe",))[0]
            row |= {f"{name}{end}": mean[f"probe{end}"] for end in ("", "_low", "_high")}
        for name, pair in (("tuning", at), ("over_base", (at[1], base[1])), ("over_base_tuned", (at[0], base[0]))):
            gap = difference(*pair)
            row |= {f"{name}{end}": gap[f"gain{end}"] for end in ("", "_low", "_high")}
        found.append(row)
    return found


def _tuned(curve: list[Row], default: float) -> float:
    """The temperature that training examples alone would choose; the default where nothing was run."""
    run = [row for row in curve if row["seeds"]]
    return float(max(run, key=lambda row: row["knn_train"])["tau"]) if run else default


def report(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Test accuracy (%) at tau0 and at the temperature that the training split chooses, one row a loss."""
    return [
        {
            "loss": row["loss"], "at tau0": cell(row, "at_tau0"), "tuned tau": row["tau"], "tuned": cell(row, "probe"),
            "tuned less tau0": cell(row, "tuning"), "less InfoNCE at tau0": cell(row, "over_base"),
            "less InfoNCE, both tuned": cell(row, "over_base_tuned"),
        }
        for row in by_row(result["choices"])
    ]  # fmt: skip
