"""Accuracy of trained encoders against the temperature, and what is left of a loss's gain when all are tuned."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from . import style
from ._losses import LOSSES, bars, legend_above, not_run, zero
from ._marks import distinct, rows, ticks

ID = "encoder-temperature"
TITLE = "Accuracy against the temperature: compare losses where each is tuned, not at one temperature for all"
CAPTION = (
    "a: test accuracy of a linear probe on the features of trained encoders, against the temperature; star: where "
    "the training split alone would set it (kNN among training examples, each left out in turn; mean over seeds). b: "
    r"paired differences to InfoNCE, at $\tau_0 = 0.5$ and with both losses at their own chosen temperature. Mean and "
    "90 % t-interval over seeds; runs with one seed share examples, order, views and initial weights. The quick "
    "profile trains sixteen features of a two-layer network on the digits for a few steps: it shows the shape of the "
    "curve, not an order of the losses. Reproduce: drocl figures encoder-temperature."
)
SIMULATION = "sim_encoder_temperature"
CLAIMS = (
    "temperature-spends-the-radius",
    "radius-falls-with-temperature",
    "hard-negative-at-zero-is-debiased",
    "adnce-wide-is-infonce",
)


def draw(result: dict[str, Any]) -> tuple[Figure, dict[str, list[Any]]]:
    """Curves, and differences.

    Args:
        result: of `SIMULATION`.

    Returns:
        The figure and its data: means over seeds of every loss and temperature.
    """
    curves, choices = result["curves"], result["choices"]
    fig, axes = style.figure(1, 2, height=3.3, width_ratios=[1.45, 1.0])
    left, right = axes[0]
    names = distinct(curves["loss"])
    if not not_run(left, curves):
        _curves(left, curves, choices, names)
    left.set_xlabel(r"temperature $\tau$")
    left.set_ylabel("probe accuracy, %")
    _differences(right, choices, names)
    legend_above(fig, left, 5)
    return fig, {name: list(values) for name, values in curves.items()}


def _curves(ax: Any, curves: dict[str, Any], choices: dict[str, Any], names: list[str]) -> None:
    taus = sorted(distinct(curves["tau"]))
    for k, loss in enumerate(names):
        own = rows(curves, loss=loss)
        shift = 1.025 ** (k - (len(names) - 1) / 2)
        bars(ax, own["tau"].astype(float) * shift, own, "probe", loss, scale=100.0)
        tuned = rows(choices, loss=loss)
        ax.plot(
            tuned["tau"].astype(float) * shift, 100.0 * tuned["probe"].astype(float), linestyle="none", marker="*", markersize=9.5,
            color=LOSSES[loss][0], markeredgecolor="white", zorder=5,
        )  # fmt: skip
    ax.set_xscale("log")
    ticks(ax.xaxis, taus)
    ax.minorticks_off()


def _differences(ax: Any, choices: dict[str, Any], names: list[str]) -> None:
    shown = [name for name in names if name != "info_nce"]
    zero(ax)
    for k, loss in enumerate(shown):
        own = rows(choices, loss=loss)
        for shift, column, face in ((-0.13, "over_base", "white"), (0.13, "over_base_tuned", LOSSES[loss][0])):
            bars(ax, [k + shift], own, column, loss, scale=100.0, join=False, markerfacecolor=face, markeredgecolor=LOSSES[loss][0])
    looks = (("white", r"both at $\tau_0$"), ("#444444", "both tuned"))
    marks = [Line2D([], [], linestyle="none", marker="o", color="#444444", markerfacecolor=face, label=label) for face, label in looks]
    ax.legend(handles=marks, loc="lower left", bbox_to_anchor=(0.0, 0.99), ncols=2, handletextpad=0.1)
    ax.set_xticks(np.arange(len(shown)), [LOSSES[name][3].replace(" ", "\n", 1).replace(", ", ",\n") for name in shown])
    ax.set_xlim(-0.5, len(shown) - 0.5)
    ax.set_ylabel("accuracy less InfoNCE's, %")
    ax.set_xlabel("loss")
