"""Biased and unbiased loss against N, and where the biased one is the smaller."""

from typing import Any

from matplotlib.figure import Figure

from . import style
from ._marks import VIOLATION, crosses, name_ends, note, rows, slope, ticks, triangle

ID = "biased-unbiased-against-n"
TITLE = "The biased loss is usually the larger, and not always"
CAPTION = (
    "Exact population losses with $N$ negatives (no sampling), ten classes of unit vectors. a: "
    r"$L_{\mathrm{Bias}}$ and $L_{\mathrm{Unb}}$ at $t=0.5$; circles: Monte Carlo with two standard errors; "
    "dotted: the limit of Lemma 2 at $Q=N$. b: distance to that limit, which falls as $1/N$. c: "
    r"$L_{\mathrm{Bias}}-L_{\mathrm{Unb}}$ at $t=0.05$: two mutually unbiased bases in $R^{16}$ put the biased "
    r"loss below the unbiased one at $N\leq 2$ (crosses; $-0.356$ at $N=1$), so that 'the biased loss is an upper "
    "bound' is no theorem. Reproduce: drocl figures biased-unbiased-against-n."
)
SIMULATION = "sim_population_losses"
CLAIMS = ("biased-at-least-unbiased", "biased-unbiased-sandwich", "lemma2-limit", "lemma2-from-below", "lemma2-rate")


def draw(result: dict[str, Any]) -> tuple[Figure, dict[str, list[Any]]]:
    """Losses, distance to the limit, differences.

    Args:
        result: of `SIMULATION`.

    Returns:
        The figure and its data: one row a model, temperature and N, all losses exact.
    """
    losses = result["losses"]
    high, low = max(losses["t"]), min(losses["t"])
    fig, axes = style.figure(1, 3, height=3.0)
    left, middle, right = axes[0]
    main = rows(losses, model="clustered", t=high)
    for kind, meaning in (("biased", "accent"), ("unbiased", "exact")):
        left.plot(main["n"], main[f"{kind}_limit"], **style.line("muted", linewidth=1.1))
        left.plot(main["n"], main[kind], **style.line(meaning))
        points = rows(result["sampled"], loss=kind)
        look = style.points(
            "sampled", markeredgecolor=style.COLORS[meaning], color=style.COLORS[meaning], markersize=3.5
        )
        left.errorbar(points["n"], points["value"], yerr=2.0 * points["error"], capsize=2.0, elinewidth=0.8, **look)
        gap = main[f"{kind}_limit"] - main[kind]
        middle.plot(main["n"], gap, **style.line(meaning))
        tail = main["n"] >= 256
        text = f"{kind}: {slope(main['n'][tail], gap[tail]):.3f}".replace("-", "\N{MINUS SIGN}")
        place = (0.05, 0.16) if kind == "biased" else (0.05, 0.07)
        note(middle, *place, text, color=style.COLORS[meaning])
    style.log_axes(left, "x")
    style.log_axes(middle)
    style.log_axes(right, "x")
    for ax in (left, middle, right):
        ax.set_xlabel(r"negatives $N$")
        ax.set_xlim(0.8, 1.3 * max(losses["n"]))
    left.set_ylim(0, None)
    left.set_ylabel("loss (nats)")
    at = 64
    row = rows(losses, model="clustered", t=high, n=at)
    style.direct_label(left, at, row["biased"][0], "biased", "accent", ha="right", xytext=(-3, 5))
    style.direct_label(left, at, row["unbiased"][0], "unbiased", "exact", va="top", xytext=(4, -5))
    middle.set_ylabel("limit minus loss (nats)")
    triangle(middle, 40, float(middle.get_ylim()[1]) * 0.35, -1.0, r"$-1$", width=16, below=False)
    ends = []
    shades = {"clustered": "solver", "simplex": "repaired", "unbiased bases": "exact"}
    for name, meaning in shades.items():
        color = style.COLORS[meaning]
        case = rows(losses, model=name, t=low)
        gap = case["biased"] - case["unbiased"]
        right.plot(case["n"], gap, color=color)
        below = gap < 0
        right.plot(case["n"][below], gap[below], **crosses())
        ends.append((float(case["n"][-1]), float(gap[-1]), name, color))
    right.set_yscale("symlog", linthresh=0.1, linscale=0.6)
    places = (-0.2, -0.1, 0.0, 0.1, 0.3, 1.0, 3.0, 10.0)
    ticks(right.yaxis, places, [f"{place:g}".replace("-", "\N{MINUS SIGN}") for place in places])
    right.axhline(0.0, **style.line("muted", linewidth=1.1))
    right.axhspan(-10.0, 0.0, color=VIOLATION, alpha=0.07, linewidth=0)
    right.set_ylim(-0.5, 20)
    note(right, 0.97, 0.04, "biased loss below", ha="right", va="bottom", color=VIOLATION)
    right.set_ylabel(r"$L_{\mathrm{Bias}}-L_{\mathrm{Unb}}$ (nats)")
    right.set_title(rf"$t={low:g}$")
    left.set_title(rf"$t={high:g}$")
    middle.set_title(rf"$t={high:g}$")
    name_ends(right, ends)
    return fig, {name: list(values) for name, values in losses.items()}
