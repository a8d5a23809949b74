"""How often the intervals hold the truth, task by task."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from . import style
from ._estimators import NAMES
from ._marks import distinct, rows

ID = "mi-calibration"
TITLE = "Intervals hold the truth as often as they say where the estimator's bias is small against their width"
CAPTION = (
    "a: share of the intervals at 90 % that hold the true mutual information, over tasks and seeds, with Clopper-Pearson "
    "intervals at 95 %; shaded: what the automatic choice is meant to reach in each half. b: the same share for each task"
    " against the ratio of the mean error to the mean width of its intervals: coverage is lost through bias. Hard: "
    "Student, asinh, spiral, additive, swiss roll. The quick profile has four tasks and the estimators without training, "
    "the paper profile the automatic choice on all 40 tasks. Reproduce: drocl figures mi-calibration."
)
SIMULATION = "sim_mi_calibration"
CLAIMS = ("dv-is-a-lower-bound", "kl-read-out-of-a-phi-critic")
HALVES = {"gaussian": "Gaussian half", "hard": "hard half"}


def draw(result: dict[str, Any]) -> tuple[Figure, dict[str, list[Any]]]:
    """Coverage by half and by task.

    Args:
        result: of `SIMULATION`.

    Returns:
        The figure and its data: the table by task.
    """
    shares, tasks = result["coverage"], result["by_task"]
    fig, axes = style.figure(1, 2, height=3.0, sharey=True)
    first, second = axes[0]
    tools = distinct(shares["estimator"])
    halves = [half for half in HALVES if half in shares["half"]]
    for place, half in enumerate(halves):
        some = rows(shares, half=half)
        low, high = float(some["must_from"][0]), float(some["must_to"][0])
        first.fill_between([place - 0.45, place + 0.45], low, high, color=style.COLORS["band"], linewidth=0)
        for k, tool in enumerate(tools):
            one = rows(some, estimator=tool)
            color, marker, label = NAMES[tool]
            at = place + 0.5 * ((k + 0.5) / len(tools) - 0.5)
            error = [one["share"] - one["low"], one["high"] - one["share"]]
            first.errorbar([at], one["share"], error, fmt=marker, color=color, label=label if place == 0 else None)
    for tool in tools:
        for half in halves:
            one = rows(tasks, estimator=tool, half=half)
            color, marker, _ = NAMES[tool]
            ratio = np.abs(one["bias"]) / np.maximum(one["width"], 1e-12)
            fill = color if half == "gaussian" else "white"
            second.plot(
                np.maximum(ratio, 1e-2),
                one["held"] / one["seeds"],
                marker,
                color=color,
                markerfacecolor=fill,
                alpha=0.9,
            )
    level = float(shares["level"][0])
    for ax in (first, second):
        ax.axhline(level, **style.line("muted"))
    first.set_xticks(range(len(halves)), [HALVES[half] for half in halves])
    first.set_xlim(-0.6, len(halves) - 0.4)
    first.set_ylim(-0.03, 1.03)
    first.set_xlabel("tasks")
    first.set_ylabel("share that holds the truth")
    first.legend(loc="lower left")
    style.log_axes(second, "x")
    second.set_xlabel(r"$|$mean error$|$ / mean width of the interval")
    second.set_title("open: hard half")
    return fig, {name: list(values) for name, values in tasks.items()}
