"""Biased, debiased and unbiased losses against the number of negatives and of extra positives."""

from dataclasses import dataclass
from typing import Any

from ._encoders import PAPER, QUICK, STANDARD, TAU0, Row, Training, cell, difference, fields, gather, means, where
from ._tables import by_row, table

COST = "minutes"
MEASURES = ("probe", "worst")
BASE = "biased"


@dataclass(frozen=True)
class Config(Training):
    """Sizes.

    Args:
        batches: batch sizes B; a view has N = 2 (B - 1) negatives.
        positives: numbers M of extra views that the debiased loss takes its correction from.
        temperature: of all losses.
        class_prior: tau+ of the debiased loss.

    The others are those of `_encoders.Training`. All runs make the same number of steps, so that N changes what a step
    estimates and not how many there are; larger batches therefore see more views. Losses are compared at one B, where they see
    the same views.
    """

    batches: tuple[int, ...] = (32, 64, 128, 256, 512)
    positives: tuple[int, ...] = (1, 2, 4)
    temperature: float = TAU0
    class_prior: float = 0.1


PROFILES = {
    "quick": Config(**QUICK, batches=(16, 128), positives=(4,)),
    "standard": Config(**{**STANDARD, "epochs": None, "steps": 200}, batches=(32, 128, 256), positives=(1, 4)),
    "paper": Config(**{**PAPER, "epochs": None, "steps": 20_000}),
}


def run(config: Config) -> dict[str, Any]:
    """Every variant at every batch size.

    Args:
        config: sizes.

    Returns:
        Tables `runs` (variant, batch_size, n_negatives, seed, status, probe, false_negative_mass, ...), `curves` (means over seeds) and
        `gains` (paired differences of accuracy to the biased loss with the same batch size and seed).
    """
    variants = _variants(config)
    keys = [(name, size, seed) for name in variants for size in config.batches for seed in config.seeds]
    items = [
        (fields(config, seed, *variants[name][:2], batch_size=size, n_positives=variants[name][2]), MEASURES, config.penalties)
        for name, size, seed in keys
    ]
    runs = [
        {"variant": name, "batch_size": size, "n_negatives": 2 * (size - 1), "seed": seed, **row}
        for (name, size, seed), row in zip(keys, gather(items), strict=True)
    ]
    curves = means(runs, ("variant", "batch_size", "n_negatives"), ("probe", "false_negative_mass", "mean_clamp_fraction"))
    gains = [
        {"variant": name, "batch_size": size, "n_negatives": 2 * (size - 1)}
        | difference(where(runs, variant=name, batch_size=size), where(runs, variant=BASE, batch_size=size))
        for name in variants
        if name != BASE
        for size in config.batches
    ]
    return {"runs": table(runs), "curves": table(curves), "gains": table(gains)}


def _variants(config: Config) -> dict[str, tuple[str, Row, int]]:
    """Name -> loss, parameters, extra positives."""
    shared = {"temperature": config.temperature}
    debiased = {**shared, "class_prior": config.class_prior}
    found: dict[str, tuple[str, Row, int]] = {BASE: ("info_nce", shared, 0)}
    found |= {f"debiased M={m}": ("debiased", debiased, m) for m in config.positives}
    return found | {"unbiased": ("unbiased", shared, 0)}


def report(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Accuracy (%), its paired difference to the biased loss, and the worst case's mass on false negatives (%)."""
    gains, found = by_row(result["gains"]), []
    for row in by_row(result["curves"]):
        own = where(gains, variant=row["variant"], batch_size=row["batch_size"])
        found.append(
            {
                "variant": row["variant"], "B": row["batch_size"], "N": row["n_negatives"], "accuracy": cell(row, "probe"),
                "less biased": cell(own[0], "gain") if own else "", "mass on false negatives": cell(row, "false_negative_mass"),
                "clamped": cell(row, "mean_clamp_fraction"),
            }
        )  # fmt: skip
    return found
