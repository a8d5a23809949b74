"""The hard-negative loss attracts easy negatives unless its weights are set aside."""

from typing import Any

from matplotlib.figure import Figure

from . import style
from ._marks import VIOLATION, distinct, name_ends, note, rows

ID = "loss-hard-negative-sign"
TITLE = "Hard-negative weights in the graph attract the easy negatives"
CAPTION = (
    r"Negatives in uniform directions, $\tau=0.5$. (a) Derivative of $\log E_{q_\beta}e^{s/\tau}$ (robinson2021) in the "
    "score of one negative, relative to its probability, in dimension 8: with the weights in the graph (solid) it is "
    "negative, so the negative is pulled closer, for every score below the circle, "
    r"$e^{s/\tau}=\frac{\beta}{\beta+1}E_{q_\beta}e^{s/\tau}$; with the weights set aside (dashed) never. (b) Share of the "
    "negatives that are attracted: lines, all directions; circles, 510 sampled ones, mean over anchors. In many dimensions "
    "cosines are too alike for it to happen. Reproduce: drocl figures loss-hard-negative-sign."
)
SIMULATION = "sim_loss_hard_negative_sign"
CLAIMS = ("hard-negative-repels-every-negative", "hard-negative-detached-repels", "hard-negative-sign-threshold")


def draw(result: dict[str, Any]) -> tuple[Figure, dict[str, list[Any]]]:
    """Two panels.

    Args:
        result: of `SIMULATION`.

    Returns:
        The figure and its data: one row a dimension and concentration.
    """
    fig, axes = style.figure(1, 2, height=2.7)
    left, right = axes[0]
    low = -1.2
    left.axhspan(low, 0.0, color=VIOLATION, alpha=0.1, linewidth=0)
    left.axhline(0.0, color=style.COLORS["muted"], linewidth=0.8)
    betas = distinct(result["slopes"]["beta"])
    for color, beta in zip(style.ramp(len(betas), high=0.75), betas, strict=True):
        case = rows(result["slopes"], beta=beta)
        left.plot(case["score"], case["full"], color=color, label=rf"$\beta={beta:g}$")
        left.plot(case["score"], case["detached"], color=color, linestyle=style.LINES["printed"], linewidth=1.0)
        left.plot(rows(result["zeros"], beta=beta)["score"], [0.0], **style.points("solver", color=color, markeredgecolor=color))
    left.set_xlim(-1.0, 1.0)
    left.set_ylim(low, 3.0)
    left.set_xlabel(r"score $s$ of a negative")
    left.set_ylabel("derivative over probability")
    left.legend(loc="upper left")
    note(left, 0.04, 0.68, "dashed: weights set aside")
    note(left, 0.97, 0.04, "attracted", ha="right", va="bottom", color=VIOLATION)
    dimensions, ends = distinct(result["shares"]["dimension"]), []
    for color, dimension in zip(style.ramp(len(dimensions), high=0.75), dimensions, strict=True):
        case, drawn = rows(result["shares"], dimension=dimension), rows(result["sampled"], dimension=dimension)
        right.plot(case["beta"], case["share"], color=color)
        right.plot(drawn["beta"], drawn["share"], **style.points("solver", color=color, markeredgecolor=color, markersize=3.6),
                   clip_on=False)  # fmt: skip
        ends.append((float(case["beta"][-1]), float(case["share"][-1]), f"d = {dimension}", color))
    right.set_xlim(0.0, 4.0)
    right.set_ylim(0.0, 1.0)
    name_ends(right, ends)
    right.set_xlabel(r"concentration $\beta$")
    right.set_ylabel("share of negatives attracted")
    return fig, {name: list(values) for name, values in result["sampled"].items()}
