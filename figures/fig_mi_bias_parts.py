"""Where the bias of InfoNCE and of Donsker-Varadhan with a bilinear critic comes from."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from . import style
from ._marks import distinct, rows

ID = "mi-bias-parts"
TITLE = "InfoNCE's bias is its ceiling, Donsker-Varadhan's is its critic"
CAPTION = (
    r"Twenty Gaussian pairs, batches of 64, the bilinear critic $\theta\,x\cdot y$: bias in four parts that add up to it "
    "(black marks). Ceiling: population value at the optimal critic, minus the truth. Batch: what a finite batch adds at "
    "the optimal critic. Critic: the best bilinear critic, minus the optimal one. Optimisation: a slope fitted on 128 "
    "pairs, minus the best (sampled fits, exact expectations; InfoNCE only). All but the last are exact; the batch "
    "of Donsker-Varadhan is one of 64 x 63 independent pairs. InfoNCE does not need the marginal terms "
    r"$|x|^2,|y|^2$ that a bilinear critic lacks as much as Donsker-Varadhan does, but no critic lifts its ceiling. "
    "Reproduce: drocl figures mi-bias-parts."
)
SIMULATION = "sim_mi_exact"
CLAIMS = ("infonce-bias-rate", "dv-batch-bias-rate", "infonce-log-n-cap")
PARTS = {
    "ceiling": ("#0072B2", ""),
    "batch": ("#009E73", "..."),
    "critic": ("#E69F00", "///"),
    "optimisation": ("#CC79A7", "xxx"),
}
NAMES = {"infonce": "InfoNCE", "dv": "Donsker-Varadhan"}


def draw(result: dict[str, Any]) -> tuple[Figure, dict[str, list[Any]]]:
    """Stacked parts, one panel an estimator.

    Args:
        result: of `SIMULATION`.

    Returns:
        The figure and its data: the table of parts.
    """
    table = result["parts"]
    fig, axes = style.figure(1, 2, height=2.9, sharey=True)
    for ax, name in zip(axes[0], distinct(table["estimator"]), strict=True):
        places = np.array(distinct(table["mi"]))
        below, above = np.zeros(places.size), np.zeros(places.size)
        for part, (color, hatch) in PARTS.items():
            value = rows(table, estimator=name, part=part)["value"]
            start = np.where(value < 0.0, below, above)
            ax.bar(places, value, 1.1, bottom=start, facecolor=color, edgecolor="white", hatch=hatch, linewidth=0.4,
                   label=part)  # fmt: skip
            below, above = below + np.minimum(value, 0.0), above + np.maximum(value, 0.0)
        ax.plot(places, below + above, **style.points("solver", marker="_", markersize=16, markeredgewidth=2.0))
        ax.axhline(0.0, color="#444444", linewidth=0.8)
        ax.set_ylim(-7.0, 1.8)
        ax.set_title(NAMES[name])
        ax.set_xlabel(r"true $I(X;Y)$, nats")
        ax.set_xticks(places)
    axes[0, 0].set_ylabel("bias, nats")
    axes[0, 0].legend(loc="lower left")
    return fig, {name: list(values) for name, values in table.items()}
