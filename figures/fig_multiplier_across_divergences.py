"""The multiplier of each divergence's ball, raw and in the unit that makes them one law."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from . import style
from ._marks import distinct, note, rows, solved, ticks

ID = "multiplier-across-divergences"
TITLE = "The multiplier of every divergence's budget"
CAPTION = (
    r"Multiplier $\alpha^\star(\eta)$ of nine balls around one pool of negatives with a false-negative cluster; "
    "curves: the fast root, circles: the dual variable that cvxpy reports. a: each smooth divergence starts as "
    r"$\sigma/\sqrt{2\eta\phi''(1)}$, so those with one curvature start together; total variation has no curvature "
    "and no such law. b: in that unit all start at 1 and leave it by their third derivative, "
    r"$-\phi'''(1)\gamma_1/3\phi''(1)^2$ at first, and drop to 0 where the ball reaches the largest score. "
    "Reproduce: drocl figures multiplier-across-divergences."
)
SIMULATION = "sim_divergence_multipliers"
CLAIMS = ("tau-is-multiplier", "temperature-spends-the-radius", "chi2-variance-law")
NAMES = {
    "kl": "KL",
    "reverse_kl": "reverse KL",
    "chi2": r"$\chi^2$",
    "neyman": "Neyman",
    "hellinger": "Hellinger",
    "cressie_read": "CR, k = 3",
    "js": "JS",
    "renyi": "Rényi 2",
    "tv": "TV",
}

LISTED = (
    "js",
    "neyman",
    "reverse_kl",
    "hellinger",
    "kl",
    "renyi",
    "chi2",
    "cressie_read",
    "tv",
)  # as they lie in panel b


def draw(result: dict[str, Any]) -> tuple[Figure, dict[str, list[Any]]]:
    """Two panels on one budget axis.

    Args:
        result: of `SIMULATION`.

    Returns:
        The figure and its data, one row a divergence and budget; `source` says whether alpha is the root's or
        cvxpy's.
    """
    fig, axes = style.figure(1, 2, height=3.5)
    raw, unit = axes[0]
    order = distinct(result["curves"]["divergence"])
    curves = {name: rows(result["curves"], divergence=name) for name in order}
    points = {name: rows(result["points"], divergence=name) for name in order}
    least = min(result["curves"]["eta"])
    for ax in (raw, unit):
        style.log_axes(ax)
    raw.set_xlim(least * 0.18, 12)
    raw.set_ylim(0.04, 1.8 * max(result["curves"]["alpha"]))
    unit.set_xlim(0.9 * least, 12)
    unit.set_ylim(0.2, 6)
    ticks(unit.yaxis, (0.25, 0.5, 1.0, 2.0, 4.0), ("1/4", "1/2", "1", "2", "4"))
    unit.axhline(1.0, **style.line("muted", linewidth=1.1))
    for name in order:
        curve, found = curves[name], points[name]
        raw.plot(curve["eta"], np.where(curve["alpha"] > 0, curve["alpha"], np.nan), **style.divergence(name))
        solved(raw, found["eta"], found["alpha"], found["status"], markersize=3.2)
        if name != "tv":
            unit.plot(curve["eta"], curve["scaled"], **style.divergence(name))
            solved(unit, found["eta"], found["scaled"], found["status"], markersize=3.2)
    for second in distinct(result["curves"]["second"]):
        lead = next(curve for curve in curves.values() if np.array_equal(curve["second"][0], second, equal_nan=True))
        text = "TV" if np.isnan(second) else f"{second:g}"
        style.direct_label(
            raw, lead["eta"][0], lead["alpha"][0], text, "solver", ha="right", va="center", xytext=(-5, 0)
        )
    note(raw, 0.0, 1.0, r"$\phi''(1)=$", va="bottom")
    handles = [raw.plot([], [], **style.divergence(name, label=NAMES[name]))[0] for name in LISTED]
    handles.append(raw.plot([], [], **style.points("solver", markersize=3.2, label="cvxpy"))[0])
    fig.legend(handles=handles, loc="outside right center")
    about = {name: values[0] for name, values in result["law"].items()}
    note(unit, 0.03, 0.97, rf"$n={about['n']}$, $\sigma={about['sd']:.2f}$, $\gamma_1={about['skewness']:.1f}$")
    raw.set_ylabel(r"multiplier $\alpha$ (score units per nat)")
    unit.set_ylabel(r"$\alpha\,\sqrt{2\eta\,\phi''(1)}\,/\,\sigma$")
    for ax in (raw, unit):
        ax.set_xlabel(r"budget $\eta$ (nats)")
    keep = ("divergence", "label", "eta", "alpha")
    data = {name: [*result["curves"][name], *result["points"][name]] for name in keep}
    data["source"] = ["root"] * len(result["curves"]["eta"]) + ["cvxpy"] * len(result["points"]["eta"])
    return fig, data
