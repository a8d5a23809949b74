"""How much of ADNCE's difference to InfoNCE is a difference of temperature."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from . import style
from ._losses import bars, not_run, zero
from ._marks import distinct, rows

ID = "encoder-adnce-matched"
TITLE = "ADNCE against InfoNCE at the temperature that matches its weights: the control for a new temperature in disguise"
CAPTION = (
    r"After each ADNCE run the temperature $\tau'$ is found whose softmax over the negatives of training batches "
    "comes closest to ADNCE's weights (least mean total variation); InfoNCE is then trained at ADNCE's own "
    r"temperature $\tau_0$ and at $\tau'$, with the same seeds. a: test accuracy of a linear probe. b: paired "
    "differences of accuracy: ADNCE's gain, what InfoNCE at the matched temperature keeps of it, and what is ADNCE's "
    r"own. c: the total variation that no temperature takes away, with $\tau'$ beside it. Mean and 90 % t-interval "
    r"over seeds. Settings: $(\tau_0, \mu, \sigma)$ below; the one called narrow has $\sigma^2 < \tau_0(1-\mu)$, "
    "which spares the hardest negatives. The quick profile trains a two-layer network on the digits for a few steps. "
    "Reproduce: drocl figures encoder-adnce-matched."
)
SIMULATION = "sim_encoder_adnce_matched"
CLAIMS = (
    "adnce-mode",
    "adnce-spares-the-hardest",
    "adnce-narrow-spares-the-hardest",
    "adnce-wide-is-infonce",
    "adnce-first-order",
)
KINDS = {
    "gain": ("#D55E00", "d", r"b: ADNCE less InfoNCE at $\tau_0$"),
    "kept": ("#56B4E9", "v", r"b: InfoNCE at $\tau'$ less at $\tau_0$"),
    "own": ("#1A1A1A", "s", r"b: ADNCE less InfoNCE at $\tau'$"),
}
METHODS = {"info_nce": r"a: InfoNCE at $\tau_0$", "matched": r"a: InfoNCE at $\tau'$", "adnce": "a: ADNCE"}


def draw(result: dict[str, Any]) -> tuple[Figure, dict[str, list[Any]]]:
    """Accuracies, differences, and what matching leaves.

    Args:
        result: of `SIMULATION`.

    Returns:
        The figure and its data: the paired differences.
    """
    means, gains = result["means"], result["gains"]
    fig, axes = style.figure(1, 3, height=3.3, width_ratios=[1.0, 1.25, 0.8])
    names = distinct(means["setting"])
    if not not_run(axes[0, 0], means):
        for k, method in enumerate(("info_nce", "matched", "adnce")):
            own = rows(means, method=method)
            places = [names.index(name) + 0.2 * (k - 1) for name in own["setting"]]
            bars(axes[0, 0], places, own, "probe", method, scale=100.0, join=False, label=METHODS[method])
    zero(axes[0, 1])
    for k, (kind, (color, marker, label)) in enumerate(KINDS.items()):
        own = rows(gains, kind=kind)
        places = [names.index(name) + 0.22 * (k - 1) for name in own["setting"]]
        bars(axes[0, 1], places, own, "gain", "adnce", scale=100.0, join=False, color=color, marker=marker, label=label)
    left = rows(means, method="adnce")
    bars(axes[0, 2], [names.index(name) for name in left["setting"]], left, "left", "adnce", join=False)
    for name, variation, high in zip(left["setting"], left["left"], left["left_high"], strict=True):
        tau = rows(means, method="matched", setting=name)["tau"][0]
        if variation is not None and np.isfinite(float(variation)):
            top = float(high) if np.isfinite(float(high)) else float(variation)
            axes[0, 2].annotate(
                rf"$\tau'$ = {float(tau):.2f}", (names.index(name), top), xytext=(0, 4), textcoords="offset points",
                ha="center", fontsize=8,
            )  # fmt: skip
    axes[0, 2].set_ylim(0.0, 1.25 * max([float(v) for v in left["left_high"] if np.isfinite(float(v))] or [1.0]))
    for ax, label in zip(axes[0], ("probe accuracy, %", "paired difference, %", "total variation left"), strict=True):
        ax.set_ylabel(label)
        ax.set_xticks(range(len(names)), [_setting(name, rows(means, setting=name, method="adnce")) for name in names])
        ax.set_xlim(-0.5, len(names) - 0.5)
    axes[0, 1].set_xlabel(r"setting: $\tau_0, \mu, \sigma$")
    axes[0, 0].set_xlabel(" ")
    axes[0, 2].set_xlabel(" ")
    both = [list(zip(*ax.get_legend_handles_labels(), strict=True)) for ax in axes[0, :2]]
    handles = [pair for pairs in zip(*both, strict=False) for pair in pairs] or both[1]
    fig.legend([h for h, _ in handles], [t for _, t in handles], loc="outside upper center", ncols=3, columnspacing=1.4)
    return fig, {name: list(values) for name, values in gains.items()}


def _setting(name: str, own: dict[str, Any]) -> str:
    return f"{name}\n" + ",\N{THIN SPACE}".join(f"{float(own[part][0]):g}" for part in ("tau", "mu", "sigma"))
