"""Worst-case weights as the temperature moves."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from . import style
from ._marks import distinct, note, rows

ID = "worst-case-weights"
TITLE = "Low temperatures spend the budget on false negatives"
CAPTION = (
    r"KL worst case $Q^\star_\tau\propto Q_0e^{f/\tau}$ on negatives of which 10 % are false: scores "
    r"$0.9\,N(0,0.1)+0.1\,N(0.7,0.1)$. a: weights $q/q_0$ of the solver's atoms (circles) lie on the exponential "
    r"$e^{(f-\beta)/\tau}$ (lines). b: densities of $Q_0$ (grey) and $Q^\star_\tau$: the mass leaves the true "
    r"negatives for the false ones. c: share of false negatives in $Q^\star_\tau$ from the solver (circles) and in "
    r"closed form, $\pi e^{0.7/\tau}/(1-\pi+\pi e^{0.7/\tau})$ with $\pi=0.1$: half of all weight at $\tau=0.32$. "
    "Reproduce: drocl figures worst-case-weights."
)
SIMULATION = "sim_worst_case_weights"
CLAIMS = ("kl-worst-case-is-tilt",)


def draw(result: dict[str, Any]) -> tuple[Figure, dict[str, list[Any]]]:
    """Three panels: weights, densities, mass.

    Args:
        result: of `SIMULATION`.

    Returns:
        The figure and its data: the share of false negatives against temperature, solver and closed form.
    """
    fig, axes = style.figure(1, 3, height=2.9)
    weights, density, mass = axes[0]
    temperatures = distinct(result["atoms"]["tau"])
    colors = dict(zip(temperatures, style.ramp(len(temperatures), high=0.72)[::-1], strict=True))
    style.log_axes(weights, "y")
    for tau in temperatures:
        atoms, curve = rows(result["atoms"], tau=tau), rows(result["density"], tau=tau)
        weights.plot(curve["score"], curve["q"] / curve["q0"], color=colors[tau], linewidth=1.3)
        order = np.argsort(atoms["score"])
        shown = order[:: max(1, len(order) // 14)]
        weights.plot(
            atoms["score"][shown],
            atoms["ratio"][shown],
            **style.points("solver", markersize=3.2, markeredgecolor=colors[tau]),
        )
        density.plot(curve["score"], curve["q"], color=colors[tau])
        peak = int(np.argmax(np.where(curve["score"] > 0.45, curve["q"], 0)))
        style.direct_label(
            density,
            curve["score"][peak],
            curve["q"][peak],
            rf"$\tau={tau:g}$",
            color=colors[tau],
            ha="center",
            xytext=(0, 2),
        )
    fixed = rows(result["density"], tau=temperatures[0])
    density.fill_between(fixed["score"], fixed["q0"], color="#D0D0D0", linewidth=0, zorder=0)
    note(density, 0.30, 0.93, r"$Q_0$", color=style.COLORS["muted"])
    weights.set_ylim(1e-4, 1e3)
    weights.set_ylabel(r"weight $q/q_0$")
    density.set_ylabel("density")
    density.set_ylim(0, None)
    for ax in (weights, density):
        ax.set_xlabel("score $f$ (cosine)")
        ax.set_xlim(-0.35, 1.05)
    style.log_axes(mass, "x")
    table = rows(result["mass"])
    mass.plot(table["tau"], table["closed_form"], **style.line("exact"))
    step = max(1, len(table["tau"]) // 15)
    mass.plot(table["tau"][::step], table["false_negative"][::step], **style.points("solver", markersize=3.6))
    share = float(result["law"]["share"][0])
    mass.axhline(share, **style.line("muted"))
    style.direct_label(mass, 0.055, share, "share in $Q_0$", "muted", xytext=(0, 3))
    mass.set_ylim(0, 1.03)
    mass.set_xlabel(r"temperature $\tau$")
    mass.set_ylabel("mass on false negatives")
    return fig, {name: list(values) for name, values in result["mass"].items()}
