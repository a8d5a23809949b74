"""ADNCE against InfoNCE at the temperature that matches its weights: the control that tells a new loss from a new temperature."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drocl import parts

from ._encoders import (
    LEVEL,
    OK,
    PAPER,
    QUICK,
    STANDARD,
    TAU0,
    Row,
    Training,
    attempt,
    blank,
    cell,
    difference,
    fields,
    gather,
    logged,
    means,
    measured,
    negatives,
    shown,
    where,
)  # fmt: skip
from ._tables import by_row, table

COST = "minutes"
MEASURES = ("probe",)
#: name -> tau0, mu, sigma; the published settings of image encoders, and ones that spare the hardest: sigma^2 < tau (1 - mu)
SETTINGS: dict[str, tuple[float, float, float]] = {
    "default": (TAU0, 0.7, 0.5),
    "CIFAR-10": (0.4, 0.7, 0.5),
    "CIFAR-100": (0.3, 0.5, 1.0),
    "STL-10": (0.2, 0.8, 1.0),
    "narrow": (TAU0, 0.3, 0.3),
}
MATCH = ("matched", "left", "matched_radius", "radius_adnce", "mass_adnce", "mass_matched")


@dataclass(frozen=True)
class Config(Training):
    """Settings.

    Args:
        settings: names of `SETTINGS`.
        batches: of training pairs on whose negatives the temperatures are matched.

    The others are those of `_encoders.Training`.
    """

    settings: tuple[str, ...] = tuple(SETTINGS)
    batches: int = 8


PROFILES = {
    "quick": Config(**QUICK, settings=("default", "narrow"), batches=2),
    "standard": Config(**STANDARD, settings=("default", "CIFAR-10", "narrow")),
    "paper": Config(**PAPER),
}


def run(config: Config) -> dict[str, Any]:
    """ADNCE, InfoNCE at its temperature, InfoNCE at the matched one, with the same seeds.

    Args:
        config: sizes.

    Returns:
        Tables `runs` (setting, method, tau, seed, status, probe, and of ADNCE's runs: matched, left, ...), `means` (of setting and
        method), `gains` (paired differences: "adnce less info_nce" (gain), "matched less info_nce" (kept), "adnce less matched" (own)).
    """
    keys = [(name, seed) for name in config.settings for seed in config.seeds]
    first = parts.gather(adnce_part, [_adnce(config, name, seed) for name, seed in keys])
    runs = [
        {"setting": name, "method": "adnce", "tau": SETTINGS[name][0], "seed": seed, **row}
        for (name, seed), row in zip(keys, first, strict=True)
    ]
    later = []
    for name in config.settings:
        matched = _shared([row["matched"] for row in where(runs, setting=name) if row["status"] == OK])
        later += [(name, "info_nce", SETTINGS[name][0], seed) for seed in config.seeds]
        later += [(name, "matched", matched or SETTINGS[name][0], seed) for seed in config.seeds]
    items = [
        (fields(config, seed, "info_nce", {"temperature": tau}), MEASURES, config.penalties) for _, _, tau, seed in later
    ]
    for (name, method, tau, seed), row in zip(later, gather(items), strict=True):
        runs.append({"setting": name, "method": method, "tau": tau, "seed": seed, **dict.fromkeys(MATCH, math.nan), **row})
    gains = [row for name in config.settings for row in _gains(where(runs, setting=name), name)]
    return {"runs": table(runs), "means": table(_means(runs)), "gains": table(gains)}


def _means(runs: list[Row]) -> list[Row]:
    found = means(runs, ("setting", "method"), ("probe", "tau", *MATCH))
    return [{**row, "mu": SETTINGS[row["setting"]][1], "sigma": SETTINGS[row["setting"]][2]} for row in found]


def _adnce(config: Config, name: str, seed: int) -> tuple[Any, ...]:
    tau, mu, sigma = SETTINGS[name]
    given = fields(config, seed, "adnce", {"temperature": tau, "mu": mu, "sigma": sigma})
    return given, config.penalties, config.batches


def _shared(values: Sequence[float]) -> float | None:
    """One temperature for all seeds: the geometric mean, to four digits."""
    good = [value for value in values if math.isfinite(value)]
    return float(f"{math.exp(sum(map(math.log, good)) / len(good)):.4g}") if good else None


def _gains(runs: list[Row], name: str) -> list[Row]:
    methods = {method: where(runs, method=method) for method in ("adnce", "info_nce", "matched")}
    pairs = {"gain": ("adnce", "info_nce"), "kept": ("matched", "info_nce"), "own": ("adnce", "matched")}
    return [
        {"setting": name, "kind": kind, **difference(methods[first], methods[second])}
        for kind, (first, second) in pairs.items()
    ]


def adnce_part(given: Mapping[str, Any], penalties: Sequence[float], batches: int) -> Row:
    """An ADNCE run, and the InfoNCE whose weights on its negatives are closest.

    Returns:
        As `_encoders.part`, and: matched (tau' of least mean total variation), left (that total variation), matched_radius (tau' of the
        same mean KL radius), radius_adnce (that radius), mass_adnce and mass_matched (weight on negatives of the anchor's class).
    """
    return blank(MEASURES) | dict.fromkeys(MATCH, math.nan) | attempt(lambda: _adnce_run(given, penalties, batches))


def _adnce_run(given: Mapping[str, Any], penalties: Sequence[float], batches: int) -> Row:
    from drocl.encoders import TrainConfig, train

    config = TrainConfig(**given)
    result = train(config, None, measure=False)
    scores, same = negatives(config, result.model, batches)
    options = config.loss_options
    found = match(scores, same, options["temperature"], options["mu"], options["sigma"])
    held = {"seconds": result.seconds, **logged(result.history), **measured(config, result.model, MEASURES, penalties)}
    return held | found


def match(scores: Any, same: Any, tau: float, mu: float, sigma: float) -> Row:
    """The softmax closest to ADNCE's weights.

    Args:
        scores: cosines (anchors, negatives), double.
        same: which negatives are of the anchor's class.
        tau, mu, sigma: of ADNCE.
    """
    import numpy as np
    import torch
    from scipy.optimize import brentq, minimize_scalar

    weights = torch.softmax(scores / tau - (scores - mu) ** 2 / (2.0 * sigma**2), dim=1)
    target = float(_radius(weights))

    def softmax(log_tau: float) -> Any:
        return torch.softmax(scores / math.exp(log_tau), dim=1)

    def variation(log_tau: float) -> float:
        return float((softmax(log_tau) - weights).abs().sum(1).mean()) / 2.0

    grid = np.log(tau) + np.linspace(-4.0, 4.0, 33)
    best = int(np.argmin([variation(place) for place in grid]))
    ends = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = minimize_scalar(variation, bounds=ends, method="bounded", options={"xatol": 1e-4})
    alike = brentq(lambda place: float(_radius(softmax(place))) - target, np.log(tau) - 6.0, np.log(tau) + 8.0, xtol=1e-6)
    near = softmax(float(found.x))
    return {
        "matched": math.exp(found.x), "left": float(found.fun), "matched_radius": math.exp(alike), "radius_adnce": target,
        "mass_adnce": float((weights * same).sum(1).mean()), "mass_matched": float((near * same).sum(1).mean()),
    }  # fmt: skip


def _radius(weights: Any) -> Any:
    """Mean over anchors of KL(weights || uniform), nats."""
    import torch

    return (torch.special.xlogy(weights, weights).sum(1) + math.log(weights.shape[1])).mean()


def report(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Gain over InfoNCE at tau0, what InfoNCE at the matched temperature keeps of it, and what is ADNCE's own (% accuracy)."""
    rows, gains = by_row(result["means"]), by_row(result["gains"])
    found = []
    for name in dict.fromkeys(row["setting"] for row in rows):
        own = {row["method"]: row for row in where(rows, setting=name)}
        tau, mu, sigma = SETTINGS[name]
        line = {"setting": name, "tau0, mu, sigma": f"{tau:g}, {mu:g}, {sigma:g}", "matched tau": own["matched"]["tau"]}
        line["matched by radius"] = shown(own["adnce"]["matched_radius"], math.nan, math.nan, digits=3, scale=1.0)
        line["variation left"] = cell(own["adnce"], "left", digits=3, scale=1.0)
        line |= {f"accuracy {method}": cell(own[method], "probe") for method in ("info_nce", "adnce", "matched")}
        line |= {row["kind"]: cell(row, "gain") for row in where(gains, setting=name)}
        found.append(line)
    return [{**line, "interval": f"{LEVEL:.0%}"} for line in found]
