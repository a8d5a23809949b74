"""Other divergences than KL, and one ball an anchor against one temperature for all."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from . import style
from ._losses import LOSSES, not_run, spread, zero
from ._marks import distinct, rows

ID = "encoder-dro"
TITLE = "The loss as Definition 3.1 writes it: other divergences, and one ball an anchor against one shared temperature"
CAPTION = (
    "a: test accuracy of a linear probe on encoders trained with the worst case in a ball of each divergence, of "
    r"about the size of KL's of radius $\eta$ (the same to second order; tv and cvar as Gaussian scores would have "
    "it). b: paired difference of KL's one ball an anchor to one temperature for all anchors at which the mean "
    "implied radius over training comes closest to it. c, d: what each of the two means for the anchors of training "
    "batches after training: mean radius and temperature, bars from the 5 to the 95 % quantile over anchors. Means "
    "and 90 % t-intervals (a, b) over seeds. The quick profile trains a two-layer network on the digits for a few "
    "steps. Reproduce: drocl figures encoder-dro."
)
SIMULATION = "sim_encoder_dro"
CLAIMS = (
    "shared-temperature-is-one-ball-an-anchor",
    "shared-temperature-is-pooled-ball",
    "decoupled-is-kl-dro",
    "kl-danskin-gradient",
    "chi2-dro-loss-is-mean-variance",
)
SHOWN = {"kl": "KL", "chi2": r"$\chi^2$", "hellinger": "Hell.", "js": "JS", "tv": "TV", "cvar": "CVaR"}


def draw(result: dict[str, Any]) -> tuple[Figure, dict[str, list[Any]]]:
    """Divergences, the difference, and the spread over anchors.

    Args:
        result: of `SIMULATION`.

    Returns:
        The figure and its data: means over seeds of every divergence and budget.
    """
    table, anchors = result["means"], result["anchors"]
    fig, axes = style.figure(1, 4, height=3.0, width_ratios=[2.1, 1.0, 0.9, 0.9])
    _divergences(axes[0, 0], rows(table, form="constrained"), rows(table, form="penalised"))
    ways = distinct(anchors["method"])
    for k, way in enumerate(ways):
        own, (color, marker, _, _) = rows(anchors, method=way), LOSSES[way]
        if k == 0:
            _mean(axes[0, 1], k, own, "gain", color, marker, 100.0)
        for ax, name in zip(axes[0, 2:], ("anchor_radius", "anchor_temperature"), strict=True):
            low, mean, high = (float(own[f"{name}{end}"][0]) for end in ("_q05", "", "_q95"))
            ax.plot([k, k], [low, high], color=color, linewidth=3.0, alpha=0.45, solid_capstyle="butt")
            ax.plot([k], [mean], color=color, marker=marker, linestyle="none", markersize=6)
    zero(axes[0, 1])
    axes[0, 1].set_xticks([0], ["own ball less\n" r"shared $\tau$"])
    axes[0, 1].set_ylabel("accuracy difference, %")
    axes[0, 1].set_xlim(-1.0, 1.0)
    axes[0, 1].set_xlabel("KL")
    for ax, label in zip(axes[0, 2:], (r"radius $\eta$, nats", r"temperature $\tau$"), strict=True):
        ax.set_ylabel(label)
        ax.set_xticks(range(len(ways)), ["own\nball" if way.startswith("one") else "shared\n" r"$\tau$" for way in ways])
        ax.set_xlim(-0.6, len(ways) - 0.4)
        ax.set_xlabel("KL")
    for ax in axes[0, 2:]:
        ax.set_ylim(bottom=0.0)
    return fig, {name: list(values) for name, values in table.items()}


def _divergences(ax: Any, balls: dict[str, Any], penalties: dict[str, Any]) -> None:
    names = distinct(balls["divergence"].tolist())
    budgets = sorted(distinct(balls["budget"].tolist()))
    for budget, shift, color in zip(budgets, spread(len(budgets), 0.4), style.ramp(len(budgets)), strict=True):
        for k, name in enumerate(names):
            own = rows(balls, divergence=name, budget=budget)
            label = rf"$\eta$ = {budget:g}" if k == 0 else None
            _mean(ax, k + shift, own, "probe", color, style.DIVERGENCES[name][2], 100.0, label)
    for budget, place in zip(sorted(distinct(penalties["budget"].tolist())), (-0.42, -0.34, -0.26), strict=False):
        own = rows(penalties, divergence="kl", budget=budget)
        _mean(ax, place, own, "probe", style.COLORS["muted"], "o", 100.0, rf"KL, $\tau$ = {budget:g}")
    not_run(ax, balls)
    ax.set_xticks(range(len(names)), [SHOWN.get(name, name) for name in names])
    ax.set_ylabel("probe accuracy, %")
    ax.set_xlabel("divergence of the ball")
    if len(budgets) + len(penalties["budget"]) > 1:
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, handletextpad=0.2, columnspacing=0.9)
    else:
        ax.set_title(rf"balls of KL's $\eta$ = {budgets[0]:g}")


def _mean(ax: Any, x: float, own: dict[str, Any], name: str, color: str, marker: str, scale: float, label: str | None = None) -> None:
    mean, low, high = (scale * float(own[f"{name}{end}"][0]) for end in ("", "_low", "_high"))
    gaps = np.nan_to_num(np.array([[mean - low], [high - mean]]))
    ax.errorbar([x], [mean], gaps, color=color, marker=marker, linestyle="none", capsize=1.8, elinewidth=0.9, label=label)
