"""Lemma 1: what its constant must cover, as printed, and the sharp constant."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from . import style
from ._marks import VIOLATION, distinct, note, rows, ticks, triangle, violated

ID = "lemma1-gap"
TITLE = "Lemma 1's constant is loose at t = 1 and too small at t = 0.01"
CAPTION = (
    r"Lemma 1 of chuang2020 says that $L_{\mathrm{Unb}}+E\min(0,\log E_{p^+}e^s/E_{p^-}e^s)-L_{\mathrm{Bias}}$, "
    r"the shortfall, is at most $e^{3/2}\sqrt{\pi/2N}$. Both losses are exact. Solid: largest shortfall of fifteen "
    "designs of points (mutually unbiased bases and their kin), where positive; thin: the largest Jensen gap "
    "among them, all that the proof gives away. The printed constant is far above at $t=1$, and below the truth "
    r"at $t=0.01$ (crosses): it does not know $t$. The sharp constant $\kappa_N(t)$, the largest Jensen gap of any "
    "scores in $[-1/t,1/t]$, covers all, and falls as $1/N$. d: largest ratio to the printed constant over N; the "
    r"printed bound is proved where the sharp one is below it ($t\geq 0.33$) and false for $t\leq 0.03$. "
    "Reproduce: drocl figures lemma1-gap."
)
SIMULATION = "sim_lemma1_gap"
CLAIMS = (
    "lemma1-at-unit-temperature",
    "lemma1-at-every-temperature",
    "lemma1-unequal-classes",
    "lemma1-sharp",
    "lemma1-sharp-rate",
    "lemma1-closed-constants",
    "lemma1-printed-range",
)


def draw(result: dict[str, Any]) -> tuple[Figure, dict[str, list[Any]]]:
    """One log-log panel a temperature.

    Args:
        result: of `SIMULATION`.

    Returns:
        The figure and its data: one row a temperature and N, with the largest shortfall and Jensen gap over the
        designs.
    """
    temperatures = distinct(result["bounds"]["t"])
    shape = {"width_ratios": [1.0] * len(temperatures) + [1.25]}
    fig, axes = style.figure(1, len(temperatures) + 1, height=3.0, gridspec_kw=shape)
    names = ("t", "n", "shortfall", "design", "jensen", "printed", "sharp", "violated")
    data: dict[str, list[Any]] = {name: [] for name in names}
    for ax, t in zip(axes[0, :-1], temperatures, strict=True):
        bound, gaps = rows(result["bounds"], t=t), rows(result["gaps"], t=t)
        n = bound["n"]
        worst = [int(np.argmax(np.where(gaps["n"] == size, gaps["shortfall"], -np.inf))) for size in n]
        shortfall = gaps["shortfall"][worst]
        jensen = np.array([gaps["jensen"][gaps["n"] == size].max() for size in n])
        style.log_axes(ax)
        ax.set_xlim(0.8, 1.3 * n[-1])
        ax.set_ylim(3e-5, 2e3)
        ax.plot(n, bound["sharp"], **style.line("repaired"))
        ax.plot(n, bound["printed"], **style.line("printed"))
        ax.plot(n, jensen, **style.line("exact", linewidth=0.9))
        positive = np.where(shortfall > 0, shortfall, np.nan)
        ax.plot(n, positive, **style.line("exact", linewidth=1.9, marker="o", markersize=3.5))
        fails = violated(ax, n, bound["printed"], positive)
        ax.set_title(rf"$t={t:g}$")
        ax.set_xlabel(r"negatives $N$")
        ticks(ax.xaxis, (1, 10, 100, 1000))
        if fails:
            note(ax, 0.36, 0.42, "printed\nbound fails", color=VIOLATION)
        if ax is not axes[0, 0]:
            ax.tick_params(labelleft=False)
        here = {"shortfall": shortfall, "design": gaps["design"][worst], "jensen": jensen, **bound}
        here["violated"] = shortfall > bound["printed"]
        for name in names:
            data[name] += here[name].tolist()
    first = axes[0, 0]
    style.direct_label(first, 1000, 0.7, "printed", "printed", ha="right", xytext=(4, 2))
    style.direct_label(first, 1.1, 0.26, r"sharp $\kappa_N(t)$", "repaired", xytext=(0, 5))
    style.direct_label(first, 1000, 3e-4, "Jensen gap", "exact", ha="right", va="top", xytext=(4, -8))
    style.direct_label(first, 2.2, 3e-4, "shortfall", "exact", xytext=(4, -4))
    triangle(first, 2, 40, -0.5, r"$-\frac{1}{2}$", width=30, below=False)
    first.set_ylabel("nats")
    _ratios(axes[0, -1], rows(result["ratios"]))
    return fig, data


def _ratios(ax: Axes, ratios: dict[str, Any]) -> None:
    """Where the printed constant is proved, open and false."""
    style.log_axes(ax)
    ax.set_xlim(1.1, 0.9 * ratios["t"].min())
    ax.set_ylim(3e-5, 2e3)
    ax.axhline(1.0, **style.line("printed"))
    ax.plot(ratios["t"], ratios["sharp"], **style.line("repaired"))
    ax.plot(
        ratios["t"],
        np.where(ratios["shortfall"] > 0, ratios["shortfall"], np.nan),
        **style.line("exact", linewidth=1.9),
    )
    violated(
        ax,
        ratios["t"],
        np.ones(len(ratios["t"])),
        np.maximum(ratios["shortfall"], 0.0),
        every=max(1, len(ratios["t"]) // 20),
    )
    ax.set_title("ratio to the printed")
    ax.set_xlabel("temperature $t$")
    ax.tick_params(labelleft=False)
    style.direct_label(ax, 0.07, 40, "sharp", "repaired", ha="right", xytext=(-6, 0))
    style.direct_label(ax, 0.07, 0.12, "shortfall", "exact", ha="left", va="top", xytext=(2, -6))
