"""The radius that a temperature implies while an encoder is trained."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from . import style
from ._losses import LOSSES, not_run
from ._marks import distinct, rows, ticks

ID = "encoder-radius"
TITLE = "A fixed temperature is no fixed radius: what it implies moves as the encoder learns"
CAPTION = (
    r"Implied radius $\eta = KL(Q^\star\,\|\,Q_0)$ of the worst case over the negatives, mean over the anchors of a "
    "batch, over training. a: InfoNCE at several temperatures. b: the worst case's mass on negatives of the anchor's "
    r"class (dotted: their share). c: several losses at $\tau = 0.5$, each by its own weights (hard negatives and "
    r"ADNCE weigh more steeply than a softmax at $\tau$). d: after training, among test examples, against the "
    r"temperature: the radius, and $V/(2\tau^2)$, which it would be if scores were Gaussian. Mean over seeds, bands "
    "and bars: 90 % t-intervals. The quick profile trains a two-layer network on the digits for a few steps. "
    "Reproduce: drocl figures encoder-radius."
)
SIMULATION = "sim_encoder_radius"
CLAIMS = (
    "radius-falls-with-temperature",
    "radius-is-cumulant-gap",
    "corollary-3-4-gaussian",
    "corollary-3-4-equality",
    "tau-is-multiplier",
)
MARKS = [factor * 10.0**power for power in range(-3, 3) for factor in (1.0, 2.0, 5.0)]  # of the logarithmic axis, nats
RATE = 10.0  # per cent; ten classes of about one size


def draw(result: dict[str, Any]) -> tuple[Figure, dict[str, list[Any]]]:
    """Two panels of temperatures, one of losses, one of ends.

    Args:
        result: of `SIMULATION`.

    Returns:
        The figure and its data: the histories.
    """
    history, ends = result["history"], result["ends"]
    if not history:  # nothing was run
        fig, axes = style.figure(1, 1, height=2.0)
        not_run(axes[0, 0], ends)
        axes[0, 0].set_xlabel("step")
        return fig, {name: list(values) for name, values in ends.items()}
    fig, axes = style.figure(2, 2, height=4.9)
    taus = sorted(distinct(rows(history, series="temperature")["tau"].tolist()))
    colors = style.ramp(max(1, len(taus)))
    for tau, color in zip(taus, colors, strict=False):
        own = rows(history, series="temperature", tau=tau)
        _band(axes[0, 0], own, "radius", color, "-", f"{tau:g}")
        _band(axes[0, 1], own, "false_negative_mass", color, "-", f"{tau:g}", 100.0)
    axes[0, 1].axhline(RATE, **style.line("muted"))
    for loss in distinct(rows(history, series="loss")["loss"].tolist()):
        color, _, line, label = LOSSES[loss]
        _band(axes[1, 0], rows(history, series="loss", loss=loss), "radius", color, line, label)
    _ends(axes[1, 1], rows(ends, loss="info_nce"))
    labels = ("implied radius, nats", "mass on false negatives, %", "implied radius, nats", "radius, nats")
    for ax, label in zip(axes.flat, labels, strict=True):
        ax.set_ylabel(label)
        ax.set_xlabel("step")
        if ax is not axes[1, 1]:
            ax.set_ylim(bottom=0.0)
            ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes[1, 1].set_xlabel(r"temperature $\tau$")
    axes[1, 1].set(xscale="log", yscale="log")
    ticks(axes[1, 1].xaxis, taus or [1.0])
    low, high = axes[1, 1].get_ylim()
    ticks(axes[1, 1].yaxis, [value for value in MARKS if low <= value <= high])
    axes[1, 1].minorticks_off()
    axes[0, 0].legend(title=r"$\tau$", loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=1.4)
    axes[1, 0].legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, handlelength=1.6, columnspacing=1.0)
    axes[1, 1].legend(loc="upper right")
    return fig, {name: list(values) for name, values in history.items()}


def _band(ax: Any, table: dict[str, Any], name: str, color: str, line: Any, label: str, scale: float = 1.0) -> None:
    mean, low, high = (scale * np.asarray(table[f"{name}{end}"], dtype=float) for end in ("", "_low", "_high"))
    ax.fill_between(table["step"], low, high, color=color, alpha=0.18, linewidth=0)
    ax.plot(table["step"], mean, color=color, linestyle=line, label=label)


def _ends(ax: Any, table: dict[str, Any]) -> None:
    for name, meaning, label in (("gaussian_radius", "approximation", r"$V/(2\tau^2)$, Gaussian scores"), ("radius", "exact", "exact")):
        order = np.argsort(table["tau"].astype(float))
        mean, low, high = (np.asarray(table[f"{name}{end}"], dtype=float)[order] for end in ("", "_low", "_high"))
        low = np.maximum(low, mean / 20.0)  # an interval that reaches zero has no end on a logarithmic axis
        gaps = np.nan_to_num(np.stack([mean - low, high - mean]))
        look = {**style.line(meaning), "marker": "o", "capsize": 1.8, "elinewidth": 0.9, "label": label}
        ax.errorbar(table["tau"].astype(float)[order], mean, gaps, **look)
