"""Biased, debiased and unbiased losses against the number of negatives."""

from typing import Any

from matplotlib.figure import Figure

from . import style
from ._losses import bars, legend_above, not_run, zero
from ._marks import distinct, rows, ticks

ID = "encoder-sampling-bias"
TITLE = "Sampling bias in training: correction of the false negatives, by an estimate and by the labels, against their number"
CAPTION = (
    "Encoders trained with the biased loss (InfoNCE), the debiased one with M extra views to estimate the false "
    "negatives' share from, and the unbiased one, which knows the labels, against the number N of an anchor's "
    "negatives; all runs make the same number of steps. a: test accuracy of a linear probe. b: paired difference to "
    "the biased loss with the same N. c: the mass that the worst case at the loss's temperature puts on negatives of "
    "the anchor's class, among test examples (dotted: their share). Mean and 90 % t-interval over seeds. The quick "
    "profile trains a two-layer network on the digits for a few steps. Reproduce: drocl figures "
    "encoder-sampling-bias."
)
SIMULATION = "sim_encoder_sampling_bias"
CLAIMS = (
    "biased-at-least-unbiased",
    "biased-unbiased-sandwich",
    "false-negative-cost",
    "second-view-single-positive",
    "theorem3-rate-in-m",
)
RATE = 10.0  # per cent; ten classes of about one size


def draw(result: dict[str, Any]) -> tuple[Figure, dict[str, list[Any]]]:
    """Accuracy, difference, mass.

    Args:
        result: of `SIMULATION`.

    Returns:
        The figure and its data: means over seeds.
    """
    curves, gains = result["curves"], result["gains"]
    fig, axes = style.figure(1, 3, height=3.0)
    names, sizes = distinct(curves["variant"]), sorted(distinct(curves["n_negatives"]))
    zero(axes[0, 1])
    axes[0, 2].axhline(RATE, **style.line("muted"))
    for k, name in enumerate(names):
        shift = 1.05 ** (k - (len(names) - 1) / 2)
        own, gain = rows(curves, variant=name), rows(gains, variant=name)
        places = own["n_negatives"].astype(float) * shift
        bars(axes[0, 0], places, own, "probe", name, scale=100.0)
        bars(axes[0, 2], places, own, "false_negative_mass", name, scale=100.0)
        if len(gain["gain"]):
            bars(axes[0, 1], gain["n_negatives"].astype(float) * shift, gain, "gain", name, scale=100.0)
    not_run(axes[0, 0], curves)
    for ax, label in zip(axes[0], ("probe accuracy, %", "less the biased loss, %", "mass on false negatives, %"), strict=True):
        ax.set_xscale("log")
        ticks(ax.xaxis, sizes)
        ax.minorticks_off()
        ax.set_xlim(sizes[0] / 1.35, sizes[-1] * 1.35)
        ax.set_xlabel("negatives N")
        ax.set_ylabel(label)
    axes[0, 2].set_ylim(bottom=0.0)
    legend_above(fig, axes[0, 0], 4)
    return fig, {name: list(values) for name, values in curves.items()}
