"""Training images that are noise, against losses that weigh the hardest negatives more or less."""

from dataclasses import dataclass
from typing import Any

from ._encoders import PAPER, QUICK, STANDARD, TAU0, Training, cell, difference, fields, gather, loss_of, means, where
from ._tables import by_row, table

COST = "minutes"
MEASURES = ("probe", "worst")
BASE = "info_nce"


@dataclass(frozen=True)
class Config(Training):
    """Losses and shares.

    Args:
        losses: names of `_encoders.LOSSES`.
        rates: shares of training images replaced by uniform noise. Probe and test see none of it.
        temperature: of the losses that have one.

    The others are those of `_encoders.Training`.
    """

    losses: tuple[str, ...] = (BASE, "rince", "hard_negative", "adnce", "dro chi2")
    rates: tuple[float, ...] = (0.0, 0.1, 0.2, 0.4)
    temperature: float = TAU0


PROFILES = {
    "quick": Config(**QUICK, losses=(BASE, "hard_negative", "dro chi2"), rates=(0.0, 0.5)),
    "standard": Config(**STANDARD, rates=(0.0, 0.4)),
    "paper": Config(**PAPER),
}


def run(config: Config) -> dict[str, Any]:
    """Every loss at every share.

    Args:
        config: sizes.

    Returns:
        Tables `runs` (loss, rate, seed, status, probe, ...), `curves` (means over seeds) and `drops` (paired differences:
        `drop` to the loss itself without outliers, `gain` to InfoNCE at the same share).
    """
    keys = [(loss, rate, seed) for loss in config.losses for rate in config.rates for seed in config.seeds]
    items = [
        (fields(config, seed, *loss_of(loss, config.temperature, config.batch_size), outliers=rate), MEASURES, config.penalties)
        for loss, rate, seed in keys
    ]
    runs = [
        {"loss": loss, "rate": rate, "seed": seed, **row}
        for (loss, rate, seed), row in zip(keys, gather(items), strict=True)
    ]
    drops = []
    for loss in config.losses:
        for rate in config.rates:
            own = where(runs, loss=loss, rate=rate)
            drop = difference(own, where(runs, loss=loss, rate=min(config.rates)))
            held = {f"drop{end}": drop[f"gain{end}"] for end in ("", "_low", "_high")}
            drops.append({"loss": loss, "rate": rate, **held, **difference(own, where(runs, loss=BASE, rate=rate))})
    curves = means(runs, ("loss", "rate"), ("probe", "radius", "false_negative_mass", "mean_radius"))
    return {"runs": table(runs), "curves": table(curves), "drops": table(drops)}


def report(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Accuracy (%) by share of outliers; at the highest share, differences to none and to InfoNCE."""
    drops, found = by_row(result["drops"]), {}
    for row in by_row(result["curves"]):
        line = found.setdefault(row["loss"], {"loss": row["loss"]})
        line[f"share {row['rate']:g}"] = cell(row, "probe")
        own = where(drops, loss=row["loss"], rate=row["rate"])[0]
        line |= {"outliers less none": cell(own, "drop"), "less InfoNCE": cell(own, "gain")}
    return list(found.values())
