"""The table over tasks: error of each estimator on each task, easy and hard half."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from . import style
from ._estimators import NAMES
from ._marks import distinct, rows

ID = "mi-tasks"
TITLE = "Error on tasks with known truth: estimators of one idea fail off its ground, the automatic choice is to pick among them"
CAPTION = (
    "Error (estimate less truth, nats) on the tasks of the usual benchmark of mutual information, one fixed configuration"
    " an estimator, a fresh sample a seed. Grey band: within 10 % of the truth. Tasks by name, the hard half (Student, "
    "asinh, spiral, additive, swiss roll) above the line. Lines: intervals at 90 %, drawn where they are shorter than the"
    " axis. The quick profile has four tasks, 500 pairs and the estimators without training. Reproduce: drocl figures "
    "mi-tasks."
)
SIMULATION = "sim_mi_tasks"
CLAIMS = ("dv-is-a-lower-bound", "kl-read-out-of-a-phi-critic")
HARD = ("student", "asinh", "spiral", "additive", "swissroll")
MOST = 0.6  # nats; errors beyond are drawn at the edge
SHORT = (("multinormal", "normal"), ("identity-", ""), ("normal_cdf", "cdf"), ("student", "Student"))


def draw(result: dict[str, Any]) -> tuple[Figure, dict[str, list[Any]]]:
    """A row a task.

    Args:
        result: of `SIMULATION`.

    Returns:
        The figure and its data: the estimates.
    """
    table = result["estimates"]
    names = sorted(distinct(table["task"]), key=lambda name: any(word in name for word in HARD))
    hard = [any(word in name for word in HARD) for name in names]
    fig, axes = style.figure(1, 1, height=min(8.6, 1.3 + 0.178 * len(names)))
    ax, tools = axes[0, 0], [name for name in NAMES if name in table["estimator"]]
    for place, name in enumerate(names):
        truth = float(rows(table, task=name)["truth"][0])
        ax.barh(place, 0.2 * truth, left=-0.1 * truth, height=0.86, color=style.COLORS["band"], zorder=0)
        for k, tool in enumerate(tools):
            one = rows(table, task=name, estimator=tool)
            color, marker, label = NAMES[tool]
            at = place + 0.6 * ((k + 0.5) / len(tools) - 0.5)
            gap = np.clip(np.asarray(one["value"], float) - truth, -MOST, MOST)
            ends = np.asarray([one["low"], one["high"]], dtype=float) - truth
            for low, high in ends.T:
                if high - low < MOST:
                    ax.plot(np.clip([low, high], -MOST, MOST), [at, at], color=color, linewidth=0.8, clip_on=True)
            ax.plot(
                gap, np.full(gap.size, at), linestyle="none", marker=marker, markersize=3.6, color=color,
                label=label if place == 0 else None,
            )  # fmt: skip
    ax.axvline(0.0, color="#444444", linewidth=0.8)
    if any(hard) and not all(hard):
        ax.axhline(hard.index(True) - 0.5, color=style.COLORS["muted"], linewidth=0.8)
    ax.set_yticks(range(len(names)), [_short(name) for name in names])
    ax.set_ylim(-0.6, len(names) - 0.4)
    ax.set_xlim(-1.03 * MOST, 1.03 * MOST)
    ax.set_xlabel("estimate less truth, nats")
    fig.legend(loc="outside upper right", ncols=min(6, len(tools)), handletextpad=0.2, columnspacing=1.0)
    return fig, {name: list(values) for name, values in table.items()}


def _short(name: str) -> str:
    for long, short in SHORT:
        name = name.replace(long, short)
    return name
