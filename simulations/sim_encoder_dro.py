"""The loss of Definition 3.1 with other divergences than KL, and one ball an anchor against one temperature for all."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ._encoders import ENDS, OK, PAPER, QUICK, STANDARD, Row, Training, cell, difference, fields, gather, means, where
from ._tables import by_row, table

COST = "minutes"
MEASURES = ("probe", "worst")
OF_ANCHORS = ("probe", "anchors")
HELD = ("anchor_radius", "anchor_temperature")
OWN, SHARED = "one ball an anchor", "shared temperature"
CLOSE = 0.01  # of the mean radius, relative, where matching stops


@dataclass(frozen=True)
class Config(Training):
    """Divergences and sizes of balls.

    Args:
        divergences: of the constrained loss.
        radii: of KL, nats; the others get balls of like size, see `radius_of`.
        penalised: divergences of the penalised loss.
        temperatures: of KL; the others get tau / phi''(1), the same price of a small ball.
        radius: of the comparison with a shared temperature.
        rounds: of the search for the temperature at which the mean implied radius over training is `radius`.

    The others are those of `_encoders.Training`.
    """

    divergences: tuple[str, ...] = ("kl", "chi2", "hellinger", "js", "tv", "cvar")
    radii: tuple[float, ...] = (0.1, 0.3, 1.0)
    penalised: tuple[str, ...] = ("kl", "chi2", "hellinger", "js")
    temperatures: tuple[float, ...] = (0.2, 0.5, 1.0)
    radius: float = 0.5
    rounds: int = 3


PROFILES = {
    # the penalised loss of divergences other than KL is several times as slow as the constrained one
    "quick": Config(
        **{**QUICK, "batch_size": 64}, divergences=("kl", "chi2", "tv", "cvar"), radii=(0.5,), penalised=(), temperatures=(), rounds=2
    ),
    "standard": Config(**{**STANDARD, "batch_size": 128}, radii=(0.1, 0.5), penalised=("kl",), temperatures=(0.2, 0.5)),
    "paper": Config(**PAPER),
}


def radius_of(divergence: str, eta: float) -> dict[str, Any]:
    """Parameters of a ball about as large as KL's of radius eta.

    A divergence with a curvature gets eta phi''(1), which is the same ball to second order. The others get what Gaussian scores would
    give: tv the total variation between the law and its tilt by sqrt(2 eta), 2 Phi(sqrt(eta / 2)) - 1; cvar the share e^{-2 eta} of
    effective negatives.

    >>> radius_of("chi2", 0.5), round(radius_of("tv", 0.5)["radius"], 3), round(radius_of("cvar", 0.5)["level"], 3)
    ({'divergence': 'chi2', 'radius': 1.0}, 0.383, 0.368)
    """
    from drocl import divergences

    if divergence == "cvar":
        return {"divergence": divergence, "level": math.exp(-2.0 * eta)}
    if divergence == "tv":
        return {"divergence": divergence, "radius": math.erf(math.sqrt(eta / 2.0) / math.sqrt(2.0))}
    return {"divergence": divergence, "radius": eta * divergences.get(divergence).second_at_one}


def run(config: Config) -> dict[str, Any]:
    """All divergences, then the two ways to spend one mean radius.

    Args:
        config: sizes.

    Returns:
        Tables `runs` (form "constrained" or "penalised", divergence, budget, seed, status, probe, ...), `means` (over seeds;
        `gain` is the paired difference to KL), `rounds` (temperatures that were tried, and the mean radius over training of
        each), `anchors` (of both ways: probe, its difference, and radius and temperature of anchors in training batches after
        training: mean and quantiles, means over seeds).
    """
    keys, items = [], []
    for form, names, budgets in (
        ("constrained", config.divergences, config.radii), ("penalised", config.penalised, config.temperatures),
    ):  # fmt: skip
        for name in names:
            for budget in budgets:
                for seed in config.seeds:
                    keys.append((form, name, budget, seed))
                    items.append(_item(config, seed, _options(form, name, budget)))
    runs = [
        {"form": form, "divergence": name, "budget": budget, "seed": seed, **row}
        for (form, name, budget, seed), row in zip(keys, gather(items), strict=True)
    ]
    found = means(runs, ("form", "divergence", "budget"), ("probe", "effective_negatives", "false_negative_mass", "seconds"))
    for row in found:
        alike = where(runs, form=row["form"], budget=row["budget"])
        row |= difference(where(alike, divergence=row["divergence"]), where(alike, divergence="kl"))
    rounds, anchors = _anchors(config)
    return {"runs": table(runs), "means": table(found), "rounds": table(rounds), "anchors": table(anchors)}


def _options(form: str, divergence: str, budget: float) -> dict[str, Any]:
    from drocl import divergences

    if form == "constrained":
        return radius_of(divergence, budget)
    return {"divergence": divergence, "temperature": budget / divergences.get(divergence).second_at_one}


def _item(config: Config, seed: int, options: dict[str, Any]) -> tuple[Any, ...]:
    return fields(config, seed, "dro", options), MEASURES, config.penalties


def _seeds(config: Config, method: str, options: dict[str, Any]) -> list[Row]:
    items = [(fields(config, seed, "dro", options), OF_ANCHORS, config.penalties) for seed in config.seeds]
    rows = gather(items)
    return [{"method": method, "seed": seed, **row} for seed, row in zip(config.seeds, rows, strict=True)]


def _anchors(config: Config) -> tuple[list[Row], list[Row]]:
    """Rounds of the search, and both methods."""
    own = _seeds(config, OWN, {"divergence": "kl", "radius": config.radius})
    tau = _mean([row["mean_temperature"] for row in own if row["status"] == OK])
    rounds: list[Row] = []
    best: tuple[float, list[Row]] = math.inf, []
    for number in range(config.rounds if math.isfinite(tau) else 0):
        runs = _seeds(config, SHARED, {"divergence": "kl", "temperature": tau})
        eta = _mean([row["mean_radius"] for row in runs if row["status"] == OK])
        rounds.append({"round": number, "tau": tau, "mean_radius": eta, "wanted": config.radius})
        if not math.isfinite(eta):
            break
        gap = abs(eta / config.radius - 1.0)
        best = min(best, (gap, runs), key=lambda pair: pair[0])
        if gap < CLOSE:
            break
        tau *= math.sqrt(eta / config.radius)  # the radius falls as tau^-2 where scores are Gaussian and do not move
    names = ("probe", "mean_radius", "mean_temperature", *(f"{name}{end}" for name in HELD for end in ENDS))
    found = means([*own, *best[1]], ("method",), names)
    for row in found:
        row |= difference(own if row["method"] == OWN else best[1], best[1])
    return rounds or [{"round": 0, "tau": math.nan, "mean_radius": math.nan, "wanted": config.radius}], found


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def report(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Accuracy (%) by divergence and budget, then of one ball an anchor and of one shared temperature with the same mean radius."""
    look = {"digits": 3, "scale": 1.0}
    found = [
        {
            "loss": f"{row['divergence']}, {row['form']}", "budget (KL's)": row["budget"], "accuracy": cell(row, "probe"),
            "less": "KL", "difference": cell(row, "gain"), "effective negatives": cell(row, "effective_negatives", digits=0, scale=1.0),
            "mean radius": "", "radii 5 to 95 %": "", "temperatures 5 to 95 %": "",
        }
        for row in by_row(result["means"])
    ]  # fmt: skip
    for row in by_row(result["anchors"]):
        spread = {name: f"{row[f'anchor_{name}_q05']:.3g} to {row[f'anchor_{name}_q95']:.3g}" for name in ("radius", "temperature")}
        found.append(
            {
                "loss": row["method"], "budget (KL's)": result["rounds"]["wanted"][0], "accuracy": cell(row, "probe"),
                "less": SHARED, "difference": cell(row, "gain"), "effective negatives": "",
                "mean radius": cell(row, "mean_radius", **look), "radii 5 to 95 %": spread["radius"],
                "temperatures 5 to 95 %": spread["temperature"],
            }
        )  # fmt: skip
    return found
