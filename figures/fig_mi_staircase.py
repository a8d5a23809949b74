"""The staircase: what estimators read while the information of the pairs rises, and their errors."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from . import style
from ._estimators import READS
from ._marks import distinct, rows, ticks

ID = "mi-staircase"
TITLE = "On the staircase InfoNCE stops at the log of the batch, and the choice of divergence and read-out decides what is left"
CAPTION = (
    "Gaussian pairs (and with Y cubed, where drawn) in 20 dimensions, their information raised in steps (grey); a "
    "separable ReLU critic is trained on a fresh batch of 64 at every step and read out on it before the step. a (and b):"
    " means over a twentieth of a level, first seed. Last panel: mean squared error of single batches over the last steps"
    " of each level, summed over the levels, mean of the seeds (line: all seeds). Dotted: the error of the exact "
    "log-ratio averaged over a batch, which no estimate from single batches that is right on average can undercut by "
    "much. Hellinger's critic is read out by KL: tight (lambda minimised) and loose. The quick profile has 4 dimensions, "
    "3 short levels and small networks. Reproduce: drocl figures mi-staircase."
)
SIMULATION = "sim_mi_staircase"
CLAIMS = ("infonce-log-n-cap", "kl-read-out-of-a-phi-critic", "tight-dual-at-least-loose", "smile-is-a-lower-bound")
SHAPES = {"gauss": "Gaussian", "cubic": "Y cubed"}
SHOWN = (
    ("drocl", "drocl"), ("infonce", "infonce"), ("js", "smile 5"), ("dv", "dv"), ("nwj", "nwj"),
    ("hellinger, tight", "dro, kl"), ("hellinger, loose", "dro, kl"),
)  # fmt: skip


def draw(result: dict[str, Any]) -> tuple[Figure, dict[str, list[Any]]]:
    """Courses, and sums of errors.

    Args:
        result: of `SIMULATION`.

    Returns:
        The figure and its data: the courses, with the sums repeated at step -1.
    """
    shapes = distinct(result["courses"]["shape"])
    count = len({(t, label) for t, label in zip(result["sums"]["training"], result["sums"]["label"], strict=True)})
    fig, axes = style.figure(
        1, len(shapes) + 1, height=max(3.2, 0.7 + 0.165 * count), gridspec_kw={"width_ratios": [1.0] * len(shapes) + [0.62]}
    )  # fmt: skip
    for ax, shape in zip(axes[0], shapes, strict=False):
        _courses(ax, result, shape)
    axes[0, 0].set_ylabel("nats")
    axes[0, 0].legend(loc="upper left", handlelength=1.8, labelspacing=0.25)
    _sums(axes[0, -1], result, shapes)
    courses, sums = result["courses"], result["sums"]
    size = len(sums["label"])
    data = {name: [*courses[name], *sums[name]] for name in ("shape", "training", "label", "seeds")}
    return fig, {**data, "step": [*courses["step"], *[-1.0] * size], "value": [*courses["value"], *sums["total"]]}


def _courses(ax: Axes, result: dict[str, Any], shape: str) -> None:
    levels = distinct(result["levels"]["mi"])
    courses = rows(result["courses"], shape=shape)
    places = np.unique(courses["step"])
    length = (places[-1] + places[0]) / len(levels)  # the first point stands half a window from zero
    edges = length * np.arange(len(levels) + 1)
    ax.stairs(levels, edges, baseline=None, color=style.COLORS["muted"], linewidth=1.2, zorder=1)
    for key in SHOWN:
        kept = (courses["training"] == key[0]) & (courses["label"] == key[1])
        color, line, name = READS[key]
        if kept.any():
            wide = 2.0 if key[0] == "drocl" else 1.3
            values = np.clip(courses["value"][kept], -1.0, 1.5 * levels[-1])
            ax.plot(courses["step"][kept], values, color=color, linestyle=line, linewidth=wide, label=name)
    ax.set_ylim(0.0, 1.25 * levels[-1])
    ax.set_xlim(0.0, edges[-1])
    ax.set_title(SHAPES[shape])
    ax.set_xlabel("step")
    ax.set_xticks(edges)
    ax.set_xticklabels([f"{edge / 1000:g}k" if edge and edge % 1000 == 0 else f"{edge:g}" for edge in edges])


def _sums(ax: Axes, result: dict[str, Any], shapes: list[str]) -> None:
    sums = result["sums"]
    first = rows(sums, shape=shapes[0])
    order = np.argsort(-first["total"])
    names = [(first["training"][i], first["label"][i]) for i in order]
    ax.axvline(float(first["floor"][0]), **style.line("muted"))
    for shape in shapes:
        some = rows(sums, shape=shape)
        at = {key: i for i, key in enumerate(zip(some["training"], some["label"], strict=True))}
        for place, key in enumerate(names):
            i, color = at[key], READS[key][0]
            ax.plot([some["low"][i], some["high"][i]], [place, place], color=color, linewidth=1.2)
            fill = color if shape == "gauss" else "white"
            ax.plot(some["total"][i], place, "o", color=color, markerfacecolor=fill)
    ax.set_yticks(range(len(names)), [READS[key][2] for key in names])
    ax.yaxis.tick_right()
    ax.spines["right"].set_visible(True)
    ax.spines["left"].set_visible(False)
    ax.set_xscale("log")
    low, high = 0.8 * float(first["floor"][0]), 1.3 * float(min(max(sums["high"]), 200.0))
    ax.set_xlim(low, high)
    ticks(ax.xaxis, [place for place in (0.02, 0.1, 0.5, 1, 2, 5, 10, 20, 50, 100) if low < place < high])
    ax.set_ylim(-0.7, len(names) - 0.3)
    ax.set_xlabel("sum of squared errors")
    ax.set_title("filled: Gaussian" if len(shapes) > 1 else "")
