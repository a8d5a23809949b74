"""Tight against loose phi-duals in training, seed by seed, and the duals against closed forms."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from . import style
from ._estimators import DASH
from ._marks import distinct, rows, ticks

ID = "mi-tight-loose"
TITLE = "The same phi, pairs and read-out: what minimising lambda in training changes"
CAPTION = (
    "Critics trained on the staircase by the tight (lambda minimised on every batch) and the loose dual of one phi, on "
    "the same pairs from the same weights. a: mean of the read-outs of the last steps of each level less the truth, read "
    "out by Donsker-Varadhan (KL); solid: tight, broken: loose, mean of the seeds. b: sum over the levels of the mean "
    "squared errors, loose divided by tight, a point a seed and a bar their median: right of the line the tight form is "
    "better. c: relative error of the tight dual's own read-out against the closed form of that information on a Gaussian"
    r" pair with $\rho=0.75$, a sample a seed; band: 5 %; crosses: informations whose plug-in has infinite variance there,"
    " of which no sample shows the size of the error. The quick profile has 4 dimensions, small networks and two "
    "divergences. Reproduce: drocl figures mi-tight-loose."
)
SIMULATION = "sim_mi_tight_loose"
CLAIMS = ("tight-dual-at-least-loose", "kl-read-out-of-a-phi-critic", "phi-dual-is-mutual-information")
NAMES = {"kl": "KL", "hellinger": "Hellinger", "js": "JS", "chi2": r"$\chi^2$"}
MOST = 0.3  # relative errors beyond are drawn at the edge


def draw(result: dict[str, Any]) -> tuple[Figure, dict[str, list[Any]]]:
    """Biases, ratios, closed forms.

    Args:
        result: of `SIMULATION`.

    Returns:
        The figure and its data: the table of pairs.
    """
    fig, axes = style.figure(1, 3, height=2.9)
    _biases(axes[0, 0], result["pairs"])
    _ratios(axes[0, 1], result["pairs"])
    _forms(axes[0, 2], result["closed_forms"])
    return fig, {name: list(values) for name, values in result["pairs"].items()}


def _biases(ax: Axes, pairs: dict[str, Any]) -> None:
    ax.axhline(0.0, color="#444444", linewidth=0.8)
    for name in distinct(pairs["divergence"]):
        one = rows(pairs, divergence=name, parametrise="log_ratio", read_out="kl")
        levels = sorted(set(one["mi"].tolist()))
        color = style.DIVERGENCES[name][0]
        for form, line in (("tight_mean", "-"), ("loose_mean", DASH)):
            gaps = [np.mean(one[form][one["mi"] == level].astype(float)) - level for level in levels]
            label = NAMES[name] if form == "tight_mean" else None
            ax.plot(levels, np.clip(gaps, -12.0, 12.0), color=color, linestyle=line, marker=".", label=label)
    ax.set_xlabel(r"true $I(X;Y)$, nats")
    ax.set_ylabel("mean read-out less truth, nats")
    ax.legend(loc="best")


def _ratios(ax: Axes, pairs: dict[str, Any]) -> None:
    kinds = [(name, read) for name in distinct(pairs["divergence"]) for read in distinct(pairs["read_out"])]
    ax.axvline(1.0, **style.line("muted"))
    for place, (name, read) in enumerate(reversed(kinds)):
        one = rows(pairs, divergence=name, parametrise="log_ratio", read_out=read)
        seeds = distinct(one["seed"].tolist())
        sums = [[float(one[form][one["seed"] == s].astype(float).sum()) for form in ("loose", "tight")] for s in seeds]
        ratio = np.clip([loose / tight for loose, tight in sums], 1e-2, 1e2)
        color = style.DIVERGENCES[name][0]
        ax.plot(ratio, np.full(ratio.size, place), "o", color=color, markerfacecolor="white", markersize=3.6)
        ax.plot([np.median(ratio)] * 2, [place - 0.3, place + 0.3], color=color, linewidth=2.2)
    labels = [f"{NAMES[name]}, {'DV' if read == 'kl' else 'mean'}" for name, read in reversed(kinds)]
    ax.set_yticks(range(len(kinds)), labels)
    ax.set_ylim(-0.6, len(kinds) - 0.4)
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    low, high = min(low, 0.7), max(high, 1.5)
    ax.set_xlim(low, high)
    places = [place for place in (0.01, 0.03, 0.1, 0.3, 0.5, 1, 2, 4, 10, 30, 100) if low < place < high]
    ticks(ax.xaxis, places if len(places) < 6 else [p for p in places if p in (0.01, 0.1, 1, 10, 100)])
    ax.set_xlabel("squared error, loose / tight")


def _forms(ax: Axes, forms: dict[str, Any]) -> None:
    names = list(reversed(forms["information"]))
    ax.axvspan(-0.05, 0.05, color=style.COLORS["band"], linewidth=0)
    ax.axvline(0.0, color="#444444", linewidth=0.8)
    for place, name in enumerate(names):
        one = rows(forms, information=name)
        error, worst = float(one["error"][0]), float(one["worst"][0])
        marker = "o" if one["finite_variance"][0] else "X"
        ax.plot(np.clip([-worst, worst], -MOST, MOST), [place, place], color=style.COLORS["muted"], linewidth=0.8)
        ax.plot(np.clip(error, -MOST, MOST), place, marker, color=style.COLORS["exact"])
    ax.set_yticks(range(len(names)), [_short(name) for name in names])
    ax.set_xlim(-1.05 * MOST, 1.05 * MOST)
    ax.set_ylim(-0.6, len(names) - 0.4)
    ax.set_xlabel("relative error")


def _short(name: str) -> str:
    words = {"alpha (Cressie-Read ": r"$\alpha=$", "chi2": r"$\chi^2$", "Jensen-Shannon": "JS", ")": ""}
    for long, short in words.items():
        name = name.replace(long, short)
    return name
