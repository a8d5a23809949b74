"""Accuracy of encoders trained on wrong positives."""

from itertools import pairwise
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from . import style
from ._losses import bars, legend_above, not_run, spread, zero
from ._marks import distinct, rows

ID = "encoder-noise"
TITLE = "Wrong positives: what label and view noise cost InfoNCE, and losses made for noise"
CAPTION = (
    "Test accuracy of a linear probe on encoders whose positives are wrong at a rate. a: positives are images of the "
    "anchor's class, by labels of which a share is wrong. b: positives are two views of one image, but the second is "
    "of another image at the rate. c, d: paired difference to InfoNCE at the same rate. RINCE runs from InfoNCE (q "
    r"to 0) to a symmetric loss (q = 1); with $\lambda = 1/(K+1)$, K negatives, its loss is symmetric in all its "
    "atoms. All at one temperature; mean and 90 % t-interval over seeds. The quick profile trains a two-layer "
    "network on the digits for a few steps. Reproduce: drocl figures encoder-noise."
)
SIMULATION = "sim_encoder_noise"
CLAIMS = ("rince-limit-is-infonce", "rince-first-order", "rince-at-one")
KINDS = {"label": "share of wrong labels", "view": "share of wrong views"}


def draw(result: dict[str, Any]) -> tuple[Figure, dict[str, list[Any]]]:
    """A column a kind of noise.

    Args:
        result: of `SIMULATION`.

    Returns:
        The figure and its data: means over seeds.
    """
    curves, drops = result["curves"], result["drops"]
    names = distinct(curves["loss"])
    fig, axes = style.figure(2, 2, height=4.7, sharex="col", sharey="row")
    for column, (kind, label) in enumerate(KINDS.items()):
        upper, lower = axes[:, column]
        rates = sorted(distinct(rows(curves, kind=kind)["rate"].tolist()))
        shifts = spread(len(names), 0.12 * min((b - a for a, b in pairwise(rates)), default=1.0))
        zero(lower)
        for loss, shift in zip(names, shifts, strict=True):
            own, gap = rows(curves, kind=kind, loss=loss), rows(drops, kind=kind, loss=loss)
            bars(upper, own["rate"].astype(float) + shift, own, "probe", loss, scale=100.0)
            if loss != "info_nce":
                bars(lower, gap["rate"].astype(float) + shift, gap, "gain", loss, scale=100.0)
        not_run(upper, rows(curves, kind=kind))
        upper.set_title(f"{kind} noise")
        lower.set_xlabel(label)
        lower.set_xticks(rates, [f"{rate:g}" for rate in rates])
    axes[0, 0].set_ylabel("probe accuracy, %")
    axes[1, 0].set_ylabel("less InfoNCE, %")
    for ax in axes[:, 0]:  # labels of one width, whatever the layout makes of the heights
        ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    legend_above(fig, axes[0, 0], 3)
    return fig, {name: list(values) for name, values in curves.items()}
