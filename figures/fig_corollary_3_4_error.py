"""The error of the small-budget temperature, and its order."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from . import style
from ._marks import distinct, name_ends, note, rows, slope, triangle

ID = "corollary-3-4-error"
TITLE = "Corollary 3.4 is right to first order, and its order is half an integer where scores are skewed"
CAPTION = (
    r"Relative error of $\tau=\sqrt{V/2\eta}$ (a, as printed) and of $\sqrt{V/2\eta}+\gamma_1\sigma/3$ (b, with "
    "the skewness term) against the exact temperature, on score laws given by Gauss quadrature. Fitted orders "
    r"over $\eta\leq 10^{-3}$ are written at the curves. Symmetric laws: order 1. Skewed laws: order 1/2 as "
    "printed, 1 with the skewness term. Gaussian scores: exact (error below $10^{-9}$, not drawn). Where the law "
    r"holds a false-negative cluster the printed temperature is 30 % off at $\eta=0.5$. Reproduce: drocl figures "
    "corollary-3-4-error."
)
SIMULATION = "sim_small_budget"
CLAIMS = ("corollary-3-4-equality", "corollary-3-4-gaussian", "corollary-3-4-rate", "corollary-3-4-skew-term")
SMALL = 1e-3  # nats: where orders are fitted
LOOKS = ("-", (0, (6, 2)), (0, (2, 1.4)))


def draw(result: dict[str, Any]) -> tuple[Figure, dict[str, list[Any]]]:
    """Two log-log panels on the same axes.

    Args:
        result: of `SIMULATION`.

    Returns:
        The figure and its data: one row a law and budget, with both signed relative errors and both fitted orders.
    """
    fig, axes = style.figure(1, 2, height=3.4, sharey=True)
    laws = [name for name in distinct(result["errors"]["law"]) if name != "Gaussian"]
    orders: dict[tuple[str, str], float] = {}
    low = 0.1 * min(float(np.abs(rows(result["errors"], law=name)["printed"]).min()) for name in laws)
    for ax, column, title in zip(
        axes[0], ("printed", "corrected"), ("as printed", "with the skewness term"), strict=True
    ):
        style.log_axes(ax)
        ax.set_title(title)
        ax.set_xlim(min(result["errors"]["eta"]), max(result["errors"]["eta"]))
        ax.xaxis.set_major_locator(LogLocator(base=100))
        ax.set_ylim(low, 2)
        ends = []
        looks = {True: iter(LOOKS), False: iter(LOOKS)}
        for name in laws:
            curve = rows(result["errors"], law=name)
            small = curve["eta"] <= SMALL
            fitted = slope(curve["eta"][small], curve[column][small])
            orders[name, column] = fitted
            symmetric = bool(curve["symmetric"][0])
            color = style.COLORS["exact" if symmetric else "approximation"]
            ax.plot(curve["eta"], np.abs(curve[column]), color=color, linestyle=next(looks[symmetric]))
            text = f"{name.replace('false-negative ', '')}  {fitted:.2f}"
            ends.append((float(curve["eta"][-1]), float(abs(curve[column][-1])), text, color))
        name_ends(ax, ends)
        ax.set_xlabel(r"budget $\eta$ (nats)")
    triangle(axes[0, 0], 1e-5, 1e-2, 0.5, "1/2", width=60, below=False)
    triangle(axes[0, 1], 2e-4, 3e-9 * 1.2, 1.0, "1", width=20)
    note(axes[0, 0], 0.97, 0.03, "Gaussian: exact", ha="right", va="bottom", color=style.COLORS["muted"])
    axes[0, 0].set_ylabel(r"relative error of $\tau$")
    errors = result["errors"]
    data = {name: list(errors[name]) for name in ("law", "eta", "tau", "printed", "corrected")}
    for column in ("printed", "corrected"):
        data[f"order_{column}"] = [orders.get((name, column), float("nan")) for name in errors["law"]]
    return fig, data
