"""The radius that a temperature implies, over training, for several temperatures and losses."""

from dataclasses import dataclass
from typing import Any

from ._encoders import (
    OK,
    PAPER,
    QUICK,
    STANDARD,
    TAU0,
    Row,
    Training,
    cell,
    fields,
    gather,
    interval,
    loss_of,
    means,
    where,
)
from ._tables import by_row, table

COST = "minutes"
MEASURES = ("worst", "history")
HELD = ("radius", "effective_negatives", "false_negative_mass")
BASE = "info_nce"


@dataclass(frozen=True)
class Config(Training):
    """Losses and temperatures.

    Args:
        temperatures: of InfoNCE.
        losses: names of `_encoders.LOSSES`, at `temperature`.
        temperature: of the losses.

    The others are those of `_encoders.Training`.
    """

    temperatures: tuple[float, ...] = (0.05, 0.1, 0.2, 0.5, 1.0)
    losses: tuple[str, ...] = (BASE, "debiased", "hard_negative", "rince", "adnce")
    temperature: float = TAU0


PROFILES = {
    "quick": Config(**{**QUICK, "log_every": 2}, temperatures=(0.1, TAU0, 1.0), losses=(BASE, "adnce")),
    "standard": Config(**{**STANDARD, "log_every": 5}),
    "paper": Config(**{**PAPER, "log_every": 100}),
}


def run(config: Config) -> dict[str, Any]:
    """InfoNCE at every temperature, and every loss at one.

    Args:
        config: sizes.

    Returns:
        Tables `history` (series "temperature" or "loss", name, tau, step, and of radius, effective_negatives and
        false_negative_mass the mean over seeds with its interval), `ends` (of each name after training, among test examples:
        radius, gaussian_radius V / (2 tau^2), and so on; means over seeds).
    """
    keys = [(BASE, tau, seed) for tau in config.temperatures for seed in config.seeds]
    keys += [(loss, config.temperature, seed) for loss in config.losses for seed in config.seeds]
    keys = list(dict.fromkeys(keys))
    items = [
        (fields(config, seed, *loss_of(loss, tau, config.batch_size)), MEASURES, config.penalties) for loss, tau, seed in keys
    ]
    runs = [
        {"loss": loss, "tau": tau, "seed": seed, **row}
        for (loss, tau, seed), row in zip(keys, gather(items), strict=True)
    ]
    ends = means(runs, ("loss", "tau"), ("radius", "gaussian_radius", "effective_negatives", "false_negative_mass"))
    series = [("temperature", BASE, tau) for tau in config.temperatures]
    series += [("loss", loss, config.temperature) for loss in config.losses]
    history = [row for kind, loss, tau in series for row in _history(where(runs, loss=loss, tau=tau), kind, loss, tau)]
    return {"history": table(history), "ends": table(ends)}


def _history(runs: list[Row], kind: str, loss: str, tau: float) -> list[Row]:
    good = [row["history"] for row in runs if row["status"] == OK]
    found = []
    for i, step in enumerate(good[0]["step"] if good else []):
        row: Row = {"series": kind, "loss": loss, "tau": tau, "step": int(step)}
        for name in HELD:
            row[name], row[f"{name}_low"], row[f"{name}_high"] = interval(held[name][i] for held in good)
        found.append(row)
    return found


def report(result: dict[str, Any]) -> list[dict[str, Any]]:
    """After training, among test examples: implied radius (nats), what Gaussian scores would give, mass on false negatives."""
    look = {"digits": 3, "scale": 1.0}
    return [
        {
            "loss": row["loss"], "tau": row["tau"], "radius": cell(row, "radius", **look),
            "Gaussian radius": cell(row, "gaussian_radius", **look),
            "effective negatives": cell(row, "effective_negatives", digits=0, scale=1.0),
            "mass on false negatives, %": cell(row, "false_negative_mass"),
        }
        for row in by_row(result["ends"])
    ]  # fmt: skip
