"""SimCLR's gradient is the DRO gradient times 1 - p+."""

from typing import Any

from matplotlib.figure import Figure

from . import style
from ._marks import distinct, note, rows, ticks

ID = "simclr-gradient-scale"
TITLE = "SimCLR keeps the share 1 - p+ of the DRO gradient"
CAPTION = (
    "With the positive in the denominator, the gradient of an anchor is $1-p^+$ times the DRO gradient, $p^+$ "
    "being the softmax share of the positive. scikit-learn's digits; positive: the nearest image of the same "
    "digit. Line and band: mean and 10-90 % of the anchors; circles: ratio of the two derivatives by complex "
    "steps, for two anchors, on their own curves (thin). At low temperature easy anchors stop learning. "
    "Reproduce: drocl figures simclr-gradient-scale."
)
SIMULATION = "sim_simclr_gradient"
CLAIMS = ("simclr-gradient-is-scaled-dro",)


def draw(result: dict[str, Any]) -> tuple[Figure, dict[str, list[Any]]]:
    """One panel.

    Args:
        result: of `SIMULATION`.

    Returns:
        The figure and its data: one row a temperature and checked anchor.
    """
    fig, axes = style.figure(1, 1, width=style.SINGLE, height=2.7)
    ax = axes[0, 0]
    curve = rows(result["shares"])
    style.log_axes(ax, "x")
    ax.fill_between(curve["tau"], curve["low"], curve["high"], color=style.COLORS["band"], linewidth=0)
    ax.plot(curve["tau"], curve["mean"], **style.line("exact", linewidth=1.9))
    for anchor in distinct(result["checks"]["anchor"]):
        check = rows(result["checks"], anchor=anchor)
        ax.plot(check["tau"], check["share"], **style.line("muted", linestyle="-", linewidth=0.8))
        ax.plot(check["tau"], check["ratio"], **style.points("solver", markersize=3.4))
    ax.set_ylim(0, 1.02)
    ax.set_xlim(curve["tau"][0], curve["tau"][-1])
    ticks(ax.xaxis, (0.05, 0.1, 0.2, 0.5, 1.0, 2.0))
    ax.set_xlabel(r"temperature $\tau$")
    ax.set_ylabel(r"gradient over DRO gradient, $1-p^+$")
    note(ax, 0.97, 0.06, "line: mean of anchors\ncircles: two anchors,\nby differentiation", ha="right", va="bottom")
    return fig, {name: list(values) for name, values in result["checks"].items()}
