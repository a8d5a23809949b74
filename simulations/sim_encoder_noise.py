"""Wrong positives: labels or views replaced at random, against losses made for them."""

from dataclasses import dataclass
from typing import Any

from ._encoders import PAPER, QUICK, STANDARD, TAU0, Training, cell, difference, fields, gather, loss_of, means, where
from ._tables import by_row, table

COST = "minutes"
MEASURES = ("probe",)
BASE = "info_nce"
#: kind of noise -> the field of `TrainConfig` that holds its rate, and how positives are made
KINDS: dict[str, tuple[str, str]] = {"label": ("label_noise", "class"), "view": ("view_noise", "view")}


@dataclass(frozen=True)
class Config(Training):
    """Losses and rates.

    Args:
        losses: names of `_encoders.LOSSES`.
        label_rates: shares of wrong labels, where positives are of the anchor's class.
        view_rates: shares of pairs whose second view is of another example, where positives are views.
        temperature: of all losses.

    The others are those of `_encoders.Training`.
    """

    losses: tuple[str, ...] = (BASE, "rince 0.1", "rince", "rince 1", "rince invariant", "adnce")
    label_rates: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6)
    view_rates: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6)
    temperature: float = TAU0


PROFILES = {
    "quick": Config(**QUICK, losses=(BASE, "rince", "rince invariant"), label_rates=(0.0, 0.6), view_rates=(0.0, 0.6)),
    "standard": Config(**STANDARD, label_rates=(0.0, 0.4), view_rates=(0.0, 0.4)),
    "paper": Config(**PAPER),
}  # fmt: skip


def run(config: Config) -> dict[str, Any]:
    """Every loss at every rate of both kinds.

    Args:
        config: sizes.

    Returns:
        Tables `runs` (kind, loss, rate, seed, status, probe, ...), `curves` (means over seeds), `drops` (of each loss at each
        rate above 0: paired differences `drop` to its own accuracy without noise and `gain` to InfoNCE at the rate).
    """
    rates = {"label": config.label_rates, "view": config.view_rates}
    keys = [
        (kind, loss, rate, seed) for kind in KINDS for loss in config.losses for rate in rates[kind] for seed in config.seeds
    ]
    items = [
        (
            fields(
                config, seed, *loss_of(loss, config.temperature, config.batch_size), positives=KINDS[kind][1],
                **{KINDS[kind][0]: rate},
            ),
            MEASURES, config.penalties,
        )
        for kind, loss, rate, seed in keys
    ]  # fmt: skip
    runs = [
        {"kind": kind, "loss": loss, "rate": rate, "seed": seed, **row}
        for (kind, loss, rate, seed), row in zip(keys, gather(items), strict=True)
    ]
    drops = []
    for kind in KINDS:
        for loss in config.losses:
            for rate in rates[kind]:
                own, clean = (where(runs, kind=kind, loss=loss, rate=r) for r in (rate, min(rates[kind])))
                drop, gain = difference(own, clean), difference(own, where(runs, kind=kind, loss=BASE, rate=rate))
                held = {f"drop{end}": drop[f"gain{end}"] for end in ("", "_low", "_high")}
                drops.append({"kind": kind, "loss": loss, "rate": rate, **held, **gain})
    return {"runs": table(runs), "curves": table(means(runs, ("kind", "loss", "rate"), MEASURES)), "drops": table(drops)}


def report(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Accuracy (%) by rate, one row a kind of noise and loss; at the highest rate, differences to none and to InfoNCE."""
    drops, found = by_row(result["drops"]), {}
    for row in by_row(result["curves"]):
        key = row["kind"], row["loss"]
        line = found.setdefault(key, {"noise": row["kind"], "loss": row["loss"]})
        line[f"rate {row['rate']:g}"] = cell(row, "probe")
        own = where(drops, kind=row["kind"], loss=row["loss"], rate=row["rate"])[0]
        line |= {"noise less none": cell(own, "drop"), "less InfoNCE": cell(own, "gain")}
    return list(found.values())
