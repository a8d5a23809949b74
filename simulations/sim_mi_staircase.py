"""The staircase of mutual information: all estimators, and one configuration of the library, on 2 to 10 nats at a batch of 64."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from drocl import parts

from . import _staircase
from ._staircase import POINTS, Setting
from ._tables import table

COST = "minutes"


@dataclass(frozen=True)
class Config(Setting):
    """Sizes, trainings and seeds.

    Args:
        trainings: names of `_staircase.TRAININGS`.
        shapes: "gauss", "cubic" (Y to the third power).
        seeds: of every training.
        favoured: seeds of the recommended configuration, which come on top.
        (the others): of `Setting`.
    """

    trainings: tuple[str, ...] = tuple(_staircase.TRAININGS)
    shapes: tuple[str, ...] = ("gauss", "cubic")
    seeds: tuple[int, ...] = (0,)
    favoured: tuple[int, ...] = (0,)


MAIN = ("infonce", "js", "dv", "nwj", "hellinger, tight", "hellinger, loose")
PROFILES = {
    # the machinery on an easy ground: four pairs of coordinates, small informations and networks, one shape, the main trainings
    "quick": Config(
        dimension=4, levels=(1.0, 2.0, 3.0), steps=150, tail=50, hidden=(64, 64), embed=16, learning_rate=3e-3,
        trainings=("drocl", *MAIN), shapes=("gauss",),
    ),
    # the full staircase, one seed, Gaussian pairs, four trainings
    "standard": Config(trainings=("infonce", "js", "hellinger, tight", "drocl"), shapes=("gauss",)),
    "paper": Config(seeds=(0, 1, 2, 3, 4), favoured=(0, 1, 2, 3, 4)),
}  # fmt: skip


def part(setting: dict[str, Any], training: str, shape: str, seed: int) -> dict[str, list[Any]]:
    """One critic through all levels: see `_staircase.climb`."""
    return _staircase.climb(_staircase.sizes(setting), _staircase.TRAININGS[training], shape == "cubic", seed)


def items(config: Config) -> list[tuple[dict[str, Any], str, str, int]]:
    """The independent parts, the recommended configuration first."""
    setting = _staircase.plain(config)
    favoured = [name for name in config.trainings if name == "drocl"]
    others = [name for name in config.trainings if name != "drocl"]
    return [
        (setting, name, shape, seed)
        for names, seeds in ((favoured, config.favoured), (others, config.seeds))
        for seed in seeds
        for shape in config.shapes
        for name in names
    ]


def run(config: Config) -> dict[str, Any]:
    """All trainings through all levels.

    Args:
        config: the sizes.

    Returns:
        Tables `levels` (shape, training, label, mi, seeds, mean, bias, variance: within a seed's tail, mse), `sums` (shape, training,
        label, seeds, total: sum of the mse over the levels, low, high: over seeds, floor), `courses` (shape, training, label, step,
        value: of the first seed).
    """
    asked = items(config)
    found = list(zip(asked, parts.gather(part, asked), strict=True))
    levels, sums, courses = [], [], []
    for shape in config.shapes:
        for training in config.trainings:
            runs = [rows for (_, name, kind, _), rows in found if name == training and kind == shape]
            for label in dict.fromkeys(runs[0]["label"]):
                one = _read(runs, label)
                about = {"shape": shape, "training": training, "label": label, "seeds": len(runs)}
                levels += [{**about, **row} for row in _levels(config, one)]
                totals = one["error"].sum(axis=1)
                spread = {"total": totals.mean(), "low": totals.min(), "high": totals.max()}
                sums.append({**about, **spread, "floor": _staircase.floor(config)})
                course = np.concatenate([np.asarray(curve, dtype=float) for curve in one["curve"]])
                steps = config.steps / POINTS * (np.arange(course.size) + 0.5)
                courses += [{**about, "step": float(s), "value": float(v)} for s, v in zip(steps, course, strict=True)]
    return {"levels": table(levels), "sums": table(sums), "courses": table(courses)}


def _read(runs: list[dict[str, list[Any]]], label: str) -> dict[str, Any]:
    """Columns of one read-out, (seeds, levels); the curves of the first seed."""
    kept = [i for i, name in enumerate(runs[0]["label"]) if name == label]
    columns: dict[str, Any] = {
        name: np.array([[float(rows[name][i]) for i in kept] for rows in runs])
        for name in ("mean", "variance", "error")
    }
    columns["curve"] = [[float(v) for v in runs[0]["curve"][i]] for i in kept]
    return columns


def _levels(config: Config, one: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "mi": mi, "mean": one["mean"][:, i].mean(), "bias": one["mean"][:, i].mean() - mi,
            "variance": one["variance"][:, i].mean(), "mse": one["error"][:, i].mean(),
        }
        for i, mi in enumerate(config.levels)
    ]  # fmt: skip


def report(result: dict[str, Any]) -> list[dict[str, Any]]:
    """One row a shape and read-out: mean (variance) at each level, and the sum of the mean squared errors."""
    levels, rows = result["levels"], []
    for i, label in enumerate(result["sums"]["label"]):
        about = {name: result["sums"][name][i] for name in ("shape", "training", "seeds")}
        row = {"shape": about["shape"], "training": about["training"], "read_out": label, "seeds": about["seeds"]}
        for j, name in enumerate(levels["label"]):
            if name == label and (levels["shape"][j], levels["training"][j]) == (about["shape"], about["training"]):
                row[f"{levels['mi'][j]:g}"] = f"{levels['mean'][j]:.2f} ({levels['variance'][j]:.2g})"
        rows.append({**row, "sum_of_mse": f"{result['sums']['total'][i]:.2f}"})
    return rows
