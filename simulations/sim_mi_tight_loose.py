"""Tight against loose phi-duals: the same phi, seeds and read-out, paired; and the duals against closed forms."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest

from drocl import parts
from drocl.mi import tasks

from . import _staircase
from ._estimates import estimate
from ._staircase import Setting, dual
from ._tables import by_row, table

COST = "minutes"
FORMS = (("tight", True), ("loose", False))
#: name of a phi-information in the tables -> divergence and its parameters
INFORMATIONS: dict[str, dict[str, Any]] = {
    "KL": {"divergence": "kl"},
    "reverse KL": {"divergence": "reverse_kl"},
    "Hellinger": {"divergence": "hellinger"},
    "Jensen-Shannon": {"divergence": "js"},
    "alpha (Cressie-Read 1.5)": {"divergence": "cressie_read", "k": 1.5},
    "alpha (Cressie-Read 0.25)": {"divergence": "cressie_read", "k": 0.25},
    "chi2": {"divergence": "chi2"},
}


@dataclass(frozen=True)
class Config(Setting):
    """Paired trainings, and the closed forms.

    Args:
        divergences: of the pairs.
        parametrise: "log_ratio" (both forms, every divergence) and "direct" (where the loose form stays in its domain).
        seeds: of the pairs.
        tasks: on which both forms are also compared on samples, cross-fitted, with the KL read-out; none is left out.
        pairs, sample_steps: size of those samples, steps of a critic on them.
        informations: names of `INFORMATIONS`.
        correlation: of the Gaussian pair whose informations are estimated.
        n, repeats, phi_steps: sample, seeds and training steps of those estimates.
        (the others): of `Setting`.
    """

    divergences: tuple[str, ...] = ("kl", "hellinger", "js", "chi2")
    parametrise: tuple[str, ...] = ("log_ratio",)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4, 5)
    tasks: tuple[str, ...] = ("staircase-10-3.0", "staircase-10-6.0", "asinh-student-identity-3-3-2")
    pairs: int = 4000
    sample_steps: int = 600
    informations: tuple[str, ...] = tuple(INFORMATIONS)
    correlation: float = 0.75
    n: int = 10_000
    repeats: int = 3
    phi_steps: int = 2000


PROFILES = {
    # four pairs of coordinates and small networks; the closed forms on a small sample with a short training, KL and Hellinger alone
    "quick": Config(
        dimension=4, levels=(1.0, 2.0, 3.0), steps=80, tail=40, hidden=(32,), embed=16, learning_rate=5e-3,
        divergences=("kl", "hellinger"), seeds=(0, 1), tasks=(), informations=("KL", "Hellinger"), n=500, repeats=1, phi_steps=50,
    ),
    "standard": Config(
        levels=(2.0, 4.0, 6.0), steps=1000, tail=250, hidden=(128, 128), repeats=1, tasks=("staircase-10-3.0",), pairs=2000,
        sample_steps=300,
    ),
    "paper": Config(parametrise=("log_ratio", "direct"), seeds=tuple(range(10)), repeats=5),
}  # fmt: skip


def climb(setting: dict[str, Any], divergence: str, tight: bool, parametrise: str, seed: int) -> dict[str, list[Any]]:
    """One critic through all levels: see `_staircase.climb`."""
    return _staircase.climb(_staircase.sizes(setting), dual(divergence, tight, parametrise), False, seed)


def sample(task: str, n: int, steps: int, divergence: str, tight: bool, seed: int) -> dict[str, Any]:
    """One cross-fitted estimate, separable critic, no base, read out by KL; the same pairs, weights and folds for both forms."""
    options = {
        "divergence": divergence,
        "tight": tight,
        "readout": "kl",
        "critic": "separable",
        "preprocess": "standardize",
    }
    return estimate(task, n, 200 + seed, "dro", {**options, "steps": steps, "folds": 2, "correct": "none"}, 0.9)


def phi(name: str, correlation: float, n: int, steps: int, seed: int) -> dict[str, Any]:
    """One estimate of a phi-information by the tight dual on a Gaussian pair."""
    options = {**INFORMATIONS[name], "information": "phi", "steps": steps}
    return estimate(f"1v1-normal-{correlation:g}", n, 50 + seed, "dro", options, 0.9)


def run(config: Config) -> dict[str, Any]:
    """Pairs and closed forms.

    Args:
        config: sizes.

    Returns:
        Tables `pairs` (divergence, parametrise, read_out, seed, mi, tight, loose: mean squared errors over the tail, and the means),
        `signs` (on: "stream" or a task, divergence, parametrise, read_out, seeds, tight_better, p: two-sided sign test on the sum over
        levels, tight, loose: mean sums, ratio) and `closed_forms` (information, truth, value: mean over seeds, error: relative, worst,
        seeds, sd, finite_variance).
    """
    setting = _staircase.plain(config)
    kinds = [(d, p) for p in config.parametrise for d in config.divergences if p == "log_ratio" or d in ("kl", "chi2")]
    items = [(setting, d, tight, p, seed) for seed in config.seeds for d, p in kinds for tight in (True, False)]
    runs = dict(zip([item[1:] for item in items], parts.gather(climb, items), strict=True))
    pairs = [row for d, p in kinds for seed in config.seeds for row in _pairs(runs, d, p, seed)]
    asked = [
        (name, config.correlation, config.n, config.phi_steps, seed)
        for name in config.informations
        for seed in range(config.repeats)
    ]
    found = list(zip(asked, parts.gather(phi, asked), strict=True))
    forms = [_form(name, config, [row for item, row in found if item[0] == name]) for name in config.informations]
    signs = [{"on": "stream", **row} for row in _signs(pairs)]
    for task in config.tasks:
        signs += [{"on": task, **row} for row in _signs(_samples(config, task))]
    return {"pairs": table(pairs), "signs": table(signs), "closed_forms": table(forms)}


def _samples(config: Config, task: str) -> list[dict[str, Any]]:
    """Squared errors of both forms on the samples of a task, as rows of pairs."""
    items = [
        (task, config.pairs, config.sample_steps, name, tight, seed)
        for name in config.divergences
        for tight in (True, False)
        for seed in config.seeds
    ]
    found = dict(zip([item[3:] for item in items], parts.gather(sample, items), strict=True))
    truth = tasks.get(task).mutual_information
    return [
        {
            "divergence": name, "parametrise": "log_ratio", "read_out": "kl", "seed": seed, "mi": truth,
            **{form: _finite((float(found[name, tight, seed]["value"]) - truth) ** 2) for form, tight in FORMS},
        }
        for name in config.divergences
        for seed in config.seeds
    ]  # fmt: skip


def _pairs(runs: dict[tuple[Any, ...], Any], divergence: str, parametrise: str, seed: int) -> list[dict[str, Any]]:
    tight, loose = (runs[divergence, form, parametrise, seed] for form in (True, False))
    return [
        {
            "divergence": divergence, "parametrise": parametrise, "read_out": label.removeprefix("dro, "), "seed": seed, "mi": level,
            "tight": _finite(tight["error"][i]), "loose": _finite(loose["error"][i]), "tight_mean": float(tight["mean"][i]),
            "loose_mean": float(loose["mean"][i]),
        }
        for i, (label, level) in enumerate(zip(tight["label"], tight["level"], strict=True))
    ]  # fmt: skip


def _finite(value: Any) -> float:
    """A mean squared error; inf for a critic that was lost."""
    return float(value) if math.isfinite(float(value)) else math.inf


def _signs(pairs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for kind in dict.fromkeys((row["divergence"], row["parametrise"], row["read_out"]) for row in pairs):
        chosen = [row for row in pairs if (row["divergence"], row["parametrise"], row["read_out"]) == kind]
        seeds = list(dict.fromkeys(row["seed"] for row in chosen))
        sums = np.array(
            [[sum(row[f] for row in chosen if row["seed"] == s) for f in ("tight", "loose")] for s in seeds]
        )
        better = int((sums[:, 0] < sums[:, 1]).sum())
        untied = int((sums[:, 0] != sums[:, 1]).sum())
        tight, loose = sums.mean(axis=0)
        rows.append({
            "divergence": kind[0], "parametrise": kind[1], "read_out": kind[2], "seeds": len(seeds), "tight_better": better,
            "p": float(binomtest(better, untied).pvalue) if untied else 1.0, "tight": float(tight), "loose": float(loose),
            "ratio": float(loose / tight),
        })  # fmt: skip
    return rows


def _form(name: str, config: Config, rows: list[dict[str, Any]]) -> dict[str, Any]:
    law = tasks.get(f"1v1-normal-{config.correlation:g}")
    options = dict(INFORMATIONS[name])
    truth = law.information(options.pop("divergence"), **options)
    values = np.array([float(row["value"]) for row in rows])
    # E_Q r^2k is finite for |rho| < 1 / (2k - 1), where k > 1/2 is the power of the ratio that the dual's mean over Q holds
    power = {"chi2": 2.0}.get(name, float(options.get("k", 1.0)))
    finite = power <= 1.0 or abs(config.correlation) < 1.0 / (2.0 * power - 1.0)
    return {
        "information": name, "truth": truth, "value": float(values.mean()), "error": float(values.mean() / truth - 1.0),
        "worst": float(np.abs(values / truth - 1.0).max()), "seeds": len(rows), "sd": float(values.std()), "finite_variance": finite,
    }  # fmt: skip


def report(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The sign tests; the closed forms are printed after them."""
    return by_row(result["signs"])
