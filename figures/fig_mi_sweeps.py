"""Error against the number of pairs, and against the dimension."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from . import style
from ._estimators import NAMES
from ._marks import distinct, rows, ticks

ID = "mi-sweeps"
TITLE = "Nearest neighbours lose the dependence as the dimension grows; a fitted family does not where it holds"
CAPTION = (
    "Mean of estimate less truth (nats) over seeds, with the range of the seeds. First panels: against the number of "
    "pairs, on one task each. Last: against the dimension d of X and of Y, one nat spread evenly over d Gaussian pairs, "
    "the number of pairs fixed. The quick profile has the estimators without training. Reproduce: drocl figures "
    "mi-sweeps."
)
SIMULATION = "sim_mi_sweeps"
CLAIMS = ("dv-is-a-lower-bound", "infonce-is-a-lower-bound")


def draw(result: dict[str, Any]) -> tuple[Figure, dict[str, list[Any]]]:
    """A panel a task, and one of dimensions.

    Args:
        result: of `SIMULATION`.

    Returns:
        The figure and its data: every estimate of both sweeps.
    """
    tasks = distinct(result["samples"]["task"])
    fig, axes = style.figure(1, len(tasks) + 1, height=2.9)
    for ax, task in zip(axes[0], tasks, strict=False):
        _panel(ax, rows(result["samples"], task=task), "n")
        ax.set_title(task.replace("multinormal-", "normal-").replace("-2-2.0", "").replace("identity-", ""))
        ax.set_xlabel("pairs")
    _panel(axes[0, -1], rows(result["dimensions"]), "d")
    n = int(result["dimensions"]["n"][0])
    axes[0, -1].set_title(f"one nat, {n:,} pairs")
    axes[0, -1].set_xlabel("dimension d")
    axes[0, 0].set_ylabel("estimate less truth, nats")
    axes[0, 0].legend(loc="best")
    first, second = result["samples"], result["dimensions"]
    data = {name: [*first[name], *second[name]] for name in first}
    return fig, {**data, "d": [-1] * len(first["n"]) + list(second["d"])}


def _panel(ax: Axes, table: dict[str, Any], along: str) -> None:
    places = sorted(set(table[along].tolist()))
    ax.axhline(0.0, color="#444444", linewidth=0.8)
    for tool in distinct(table["estimator"].tolist()):
        color, marker, label = NAMES[tool]
        gaps = [
            one["value"].astype(float) - one["truth"].astype(float)
            for one in (rows(table, estimator=tool, **{along: place}) for place in places)
        ]
        mean = np.array([gap.mean() for gap in gaps])
        ends = np.array([[gap.min(), gap.max()] for gap in gaps])
        ax.fill_between(places, ends[:, 0], ends[:, 1], color=color, alpha=0.15, linewidth=0)
        ax.plot(places, mean, color=color, marker=marker, label=label)
    ax.set_xscale("log")
    ticks(ax.xaxis, places, [f"{p / 1000:g}k" if p >= 1000 else f"{p:g}" for p in places])
