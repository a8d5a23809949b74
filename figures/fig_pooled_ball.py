"""A shared temperature is one pooled budget, not one ball an anchor."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from . import style
from ._marks import distinct, note, rows, solved, ticks

ID = "pooled-ball"
TITLE = "A shared temperature is one pooled budget, not one ball an anchor"
CAPTION = (
    r"Digits, PCA embeddings on the sphere. a: radius $\eta_x(\tau)=\mathrm{KL}(Q^\star_{x,\tau}\|Q_0)$ that one "
    "temperature gives each anchor, anchors sorted by it; dotted: their mean, the pooled radius. b: temperature "
    r"that would give every anchor the pooled radius of $\tau=0.2$: one ball an anchor needs one temperature an "
    r"anchor. c: multiplier of the pooled problem (6 anchors) $\max\,E_xE_{Q_x}f$, "
    r"$E_x\mathrm{KL}(Q_x\|Q_0)\leq\eta$: cvxpy's dual (circles) is the shared temperature; the multipliers of one "
    "ball of that radius an anchor (dashed: mean, shaded: range) are not. Reproduce: drocl figures pooled-ball."
)
SIMULATION = "sim_pooled_ball"
CLAIMS = ("shared-temperature-is-pooled-ball", "shared-temperature-is-one-ball-an-anchor")


def draw(result: dict[str, Any]) -> tuple[Figure, dict[str, list[Any]]]:
    """Three panels: radii, temperatures, the pooled multiplier.

    Args:
        result: of `SIMULATION`.

    Returns:
        The figure and its data: one row a shared temperature and anchor.
    """
    fig, axes = style.figure(1, 3, height=2.9)
    radii, apart, price = axes[0]
    temperatures = distinct(result["anchors"]["tau"])
    colors = style.ramp(len(temperatures), high=0.7)[::-1]
    for tau, color in zip(temperatures, colors, strict=True):
        table = rows(result["anchors"], tau=tau)
        rank = (np.arange(len(table["radius"])) + 0.5) / len(table["radius"])
        radii.plot(rank, np.sort(table["radius"]), color=color, marker=".", markersize=3.5, linewidth=0.9)
        radii.axhline(table["pooled"][0], **style.line("muted", color=color))
        style.direct_label(radii, 0.0, table["pooled"][0], rf"$\tau={tau:g}$", color=color, xytext=(1, 2))
    style.log_axes(radii, "y")
    ticks(radii.yaxis, (0.1, 0.2, 0.5, 1.0, 2.0))
    radii.set_xlim(0, 1)
    radii.set_xlabel("anchors, sorted (quantile)")
    radii.set_ylabel(r"implied radius $\eta_x$ (nats)")
    tau = temperatures[len(temperatures) // 2]
    table = rows(result["anchors"], tau=tau)
    apart.plot(table["radius"], table["equal"], **style.points("exact", markersize=3.6))
    apart.axhline(tau, **style.line("muted"))
    apart.axvline(table["pooled"][0], **style.line("muted"))
    style.direct_label(
        apart, float(table["radius"].max()), tau, rf"$\tau={tau:g}$", "muted", ha="right", va="top", xytext=(0, -4)
    )
    style.direct_label(
        apart, table["pooled"][0], float(table["equal"].min()), "pooled radius", "muted", va="bottom", xytext=(4, 0)
    )
    apart.set_xlabel(r"radius at the shared $\tau$ (nats)")
    apart.set_ylabel(r"temperature at equal radius")
    style.log_axes(price, "x")
    curve, points = rows(result["curve"]), rows(result["points"])
    price.axhline(1.0, **style.line("exact"))
    price.fill_between(
        curve["tau"], curve["least"], curve["most"], color=style.COLORS["printed"], alpha=0.18, linewidth=0
    )
    price.plot(curve["tau"], curve["equal"], **style.line("printed"))
    solved(price, points["tau"], points["dual"] / points["tau"], points["status"])
    price.set_ylim(0, 1.05 * max(1.3, float(curve["most"].max())))
    price.set_xlabel(r"shared temperature $\tau$")
    price.set_ylabel(r"multiplier $/\,\tau$")
    worst = float(np.abs(points["dual"] / points["tau"] - 1.0).max())
    note(
        price,
        0.05,
        0.30,
        f"pooled ball:\n1, cvxpy within $10^{{{int(np.ceil(np.log10(worst)))}}}$",
        color=style.COLORS["exact"],
    )
    note(price, 0.05, 0.13, "one ball an anchor", color=style.COLORS["printed"])
    return fig, {name: list(values) for name, values in result["anchors"].items()}
