"""Implied radius and false-negative mass on real scores."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from . import style
from ._marks import distinct, rows, ticks

ID = "implied-radius-digits"
TITLE = "On real digits one temperature means many radii, and a low one means false negatives"
CAPTION = (
    "scikit-learn's digits, 16 principal components on the sphere, every other image a negative. a: share of the "
    r"anchors whose implied radius $\eta_x(\tau)=\mathrm{KL}(Q^\star_{x,\tau}\|Q_0)$ is below $\eta$, at four "
    r"temperatures; dotted: the largest radius there is, $\log n$. b: the radius against Corollary 3.4's "
    r"$V_x/2\tau^2$: at low temperatures the formula goes beyond the largest radius there is. c: mass of the worst "
    "case on false negatives (same digit), mean and 10-90 % of the anchors; dotted: their share of the negatives. "
    "Reproduce: drocl figures implied-radius-digits."
)
SIMULATION = "sim_digits"
CLAIMS = ("radius-is-cumulant-gap", "radius-falls-with-temperature", "shared-temperature-is-one-ball-an-anchor")


def draw(result: dict[str, Any]) -> tuple[Figure, dict[str, list[Any]]]:
    """Radii, their formula, masses.

    Args:
        result: of `SIMULATION`.

    Returns:
        The figure and its data: one row a temperature and anchor.
    """
    fig, axes = style.figure(1, 3, height=3.0)
    shares, formula, mass = axes[0]
    temperatures = distinct(result["anchors"]["tau"])
    size = 0
    for tau, color in zip(temperatures, style.ramp(len(temperatures), high=0.75)[::-1], strict=True):
        case = rows(result["anchors"], tau=tau)
        size = len(case["radius"])
        eta = np.sort(case["radius"])
        shares.plot(eta, (np.arange(size) + 1.0) / size, color=color)
        text = rf"$\tau={tau:g}$" if tau == temperatures[0] else f"{tau:g}"
        style.direct_label(shares, float(np.median(eta)), 1.0, text, color=color, ha="center", xytext=(0, 2))
        formula.plot(
            case["variance"] / (2.0 * tau**2), case["radius"], linestyle="none", marker=".", markersize=3, color=color
        )
    for ax in (shares, formula):
        style.log_axes(ax, "x" if ax is shares else "xy")
    shares.axvline(np.log(size), **style.line("muted"))
    style.direct_label(shares, float(np.log(size)), 0.05, r"$\log n$", "muted", ha="right", xytext=(-2, 0), rotation=90)
    shares.set_ylim(0, 1)
    shares.set_xlabel(r"implied radius $\eta_x$ (nats)")
    shares.set_ylabel("share of anchors below")
    ends = np.array([0.02, 50.0])
    formula.plot(ends, ends, **style.line("printed"))
    formula.axhline(np.log(size), **style.line("muted"))
    style.direct_label(formula, 0.5, 0.25, "Cor. 3.4", "printed", ha="left", va="top", xytext=(2, 0))
    style.direct_label(formula, 0.03, float(np.log(size)), r"$\log n$", "muted", xytext=(0, 2))
    formula.set_ylim(0.02, 20)
    formula.set_xlabel(r"$V_x/2\tau^2$ (nats)")
    formula.set_ylabel(r"implied radius $\eta_x$ (nats)")
    curve = rows(result["masses"])
    style.log_axes(mass, "x")
    mass.fill_between(curve["tau"], curve["low"], curve["high"], color=style.COLORS["band"], linewidth=0)
    mass.plot(curve["tau"], curve["mean"], **style.line("exact"))
    mass.axhline(curve["share"][0], **style.line("muted"))
    ticks(mass.xaxis, (0.05, 0.1, 0.2, 0.5, 1.0, 2.0))
    mass.set_xlim(curve["tau"][0], curve["tau"][-1])
    mass.set_ylim(0, 1)
    style.direct_label(mass, 0.035, float(curve["share"][0]), "share in $Q_0$", "muted", va="top", xytext=(0, -3))
    mass.set_xlabel(r"temperature $\tau$")
    mass.set_ylabel("mass on false negatives")
    return fig, {name: list(values) for name, values in result["anchors"].items()}
