"""Eq. 4 in floating point."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from . import style
from ._marks import distinct, name_ends, rows

ID = "eq4-condition"
TITLE = "Eq. 4 is an identity that floating point cannot use"
CAPTION = (
    "Relative error of the unbiased loss by the alternating sum of Eq. 4 (chuang2020) in double precision, "
    r"against the number of negatives, for $K$ uniform classes ($\tau^+=1/K$), and the rounding that its condition "
    r"number $((1+\tau^+)/(1-\tau^+))^N$ predicts, times $10^{-16}$ (dotted). The identity holds to rounding where "
    "$N$ is small; beyond, its terms cancel to nothing. Reproduce: drocl figures eq4-condition."
)
SIMULATION = "sim_eq4_condition"
EPS = 1.1e-16  # half a unit in the last place: where an error of 0 is drawn
TOP = 1e2
CLAIMS = ("unbiased-is-binomial-sum",)


def draw(result: dict[str, Any]) -> tuple[Figure, dict[str, list[Any]]]:
    """One panel.

    Args:
        result: of `SIMULATION`.

    Returns:
        The figure and its data: one row a number of classes and N.
    """
    fig, axes = style.figure(1, 1, width=style.SINGLE, height=2.7)
    ax = axes[0, 0]
    style.log_axes(ax, "y")
    classes = distinct(result["errors"]["classes"])
    ends = []
    for color, count in zip(style.ramp(len(classes), high=0.7), classes, strict=True):
        case = rows(result["errors"], classes=count)
        ax.plot(case["n"], 1e-16 * case["condition"], **style.line("muted", color=color, linewidth=1.1))
        ax.plot(case["n"], np.maximum(case["error"], EPS), color=color, marker="o", markersize=3, linewidth=1.0)
        last = int(np.flatnonzero(1e-16 * case["condition"] < TOP)[-1])
        ends.append((float(case["n"][last]), 1e-16 * float(case["condition"][last]), f"K = {count}", color))
    ax.set_ylim(2e-17, TOP)
    ax.set_xlim(0, max(result["errors"]["n"]))
    name_ends(ax, ends)
    ax.set_xlabel(r"negatives $N$")
    ax.set_ylabel("relative error of Eq. 4")
    return fig, {name: list(values) for name, values in result["errors"].items()}
