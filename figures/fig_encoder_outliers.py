"""Accuracy of encoders trained with outliers."""

from itertools import pairwise
from typing import Any

from matplotlib.figure import Figure

from . import style
from ._losses import bars, legend_above, not_run, spread, zero
from ._marks import distinct, rows

ID = "encoder-outliers"
TITLE = "Outliers among the training images, against losses that weigh the hardest negatives more or less"
CAPTION = (
    "A share of the training images is replaced by uniform noise; probe and test see none of it. a: test accuracy of "
    "a linear probe. b: paired difference to the same loss without outliers. c: paired difference to InfoNCE at the "
    r"same share. The loss over a $\chi^2$ ball has a radius (0.7), the others the temperature 0.5. Mean and 90 % "
    "t-interval over seeds. The quick profile trains a two-layer network on the digits for 24 steps with three "
    "seeds. Reproduce: drocl figures encoder-outliers."
)
SIMULATION = "sim_encoder_outliers"
CLAIMS = ("kl-worst-case-is-tilt", "chi2-dro-loss-is-mean-variance", "rince-limit-is-infonce", "adnce-mode")


def draw(result: dict[str, Any]) -> tuple[Figure, dict[str, list[Any]]]:
    """Accuracy and two differences.

    Args:
        result: of `SIMULATION`.

    Returns:
        The figure and its data: means over seeds.
    """
    curves, drops = result["curves"], result["drops"]
    names, rates = distinct(curves["loss"]), sorted(distinct(curves["rate"]))
    fig, axes = style.figure(1, 3, height=3.0)
    shifts = spread(len(names), 0.14 * min((b - a for a, b in pairwise(rates)), default=1.0))
    zero(axes[0, 1])
    zero(axes[0, 2])
    for loss, shift in zip(names, shifts, strict=True):
        own, gap = rows(curves, loss=loss), rows(drops, loss=loss)
        places = own["rate"].astype(float) + shift
        bars(axes[0, 0], places, own, "probe", loss, scale=100.0)
        bars(axes[0, 1], places, gap, "drop", loss, scale=100.0)
        if loss != "info_nce":
            bars(axes[0, 2], places, gap, "gain", loss, scale=100.0)
    not_run(axes[0, 0], curves)
    for ax, label in zip(axes[0], ("probe accuracy, %", "less no outliers, %", "less InfoNCE, %"), strict=True):
        ax.set_xticks(rates, [f"{rate:g}" for rate in rates])
        ax.set_xlabel("share of outliers")
        ax.set_ylabel(label)
    legend_above(fig, axes[0, 0], len(names))
    return fig, {name: list(values) for name, values in curves.items()}
