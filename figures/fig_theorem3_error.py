"""Theorem 3: exact error of the debiased loss, the printed bound, the corrected bound, and the rates."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from . import style
from ._marks import VIOLATION, distinct, name_ends, note, rows, signed, slope, ticks, triangle, violated

ID = "theorem3-error"
TITLE = "Theorem 3's bound holds at t = 1 and fails at the reference code's t = 0.5"
CAPTION = (
    r"Two classes, $\tau^+=1/2$, $Q=N$; all errors $|\tilde L^N-L^{N,M}|$ are finite binomial sums, exact. a-c: "
    r"collapsed classes at $\pm v$, where the true $g$ sits on the clamp and the error falls as $N^{-1/2}$; "
    "printed bound with $M=N$ (orange) and without its $M$ term (thin), corrected bound (green), violations "
    "crossed. d: largest ratio of error to bound over N; the printed constant knows no $t$ and fails below "
    r"$t=0.53$ ($M=N$) or $0.59$ ($M=\infty$). e, f: a model whose clamp is inactive (20 % of each class at the "
    "other's place): the error falls as $1/N$ and as $1/M$, twice the order of the bound. Reproduce: drocl "
    "figures theorem3-error."
)
SIMULATION = "sim_theorem3"
CLAIMS = (
    "theorem3-at-unit-temperature",
    "theorem3-at-reference-temperature",
    "theorem3-corrected",
    "theorem3-rate-in-n",
    "theorem3-rate-in-m",
    "theorem3-rate-at-the-clamp",
)


def draw(result: dict[str, Any]) -> tuple[Figure, dict[str, list[Any]]]:
    """Three panels of bounds, three of ratios and rates.

    Args:
        result: of `SIMULATION`.

    Returns:
        The figure and its data: one row a case, model and size; bounds are nan for the rates' model.
    """
    temperatures = distinct(result["two_point"]["t"])
    fig, axes = style.figure(2, 3, height=4.9)
    for ax, t in zip(axes[0], temperatures, strict=True):
        _bounds(ax, rows(result["two_point"], t=t), t)
        ax.set_ylim(1e-3, 1e5)
    axes[0, 0].set_ylabel("nats")
    first = axes[0, 0]
    _name(axes[0, 1], rows(result["two_point"], t=temperatures[1], n=64), "error", "exact", "exact", below=True)
    for column, meaning, text, n in (
        ("corrected", "repaired", "corrected", 64),
        ("printed_no_m", "printed", "printed", 4096),
    ):
        place = rows(result["two_point"], t=temperatures[2], n=n)
        _name(axes[0, 2], place, column, meaning, text, below=column == "printed_no_m")
    tail = rows(result["two_point"], t=temperatures[0])
    late = tail["n"] >= 4096
    note(
        first,
        0.04,
        0.04,
        f"fitted order {signed(slope(tail['n'][late], tail['error'][late]))}",
        color=style.COLORS["exact"],
        va="bottom",
    )
    triangle(first, 30, 4e2, -0.5, r"$-\frac{1}{2}$", width=1e3, below=False)
    _ratios(axes[1, 0], rows(result["ratios"]))
    orders = {}
    for ax, vary in zip(axes[1, 1:], ("N", "M"), strict=True):
        orders[vary] = _rates(ax, {t: rows(result["rates"], t=t, vary=vary) for t in temperatures}, vary)
    axes[1, 1].set_ylabel("|error| (nats)")
    return fig, _data(result, orders)


def _name(ax: Axes, place: dict[str, Any], column: str, meaning: str, text: str, *, below: bool) -> None:
    """Write the name of a curve at one of its points."""
    look: dict[str, Any] = {"ha": "center", "va": "top", "xytext": (-8, -6)} if below else {"xytext": (3, 4)}
    style.direct_label(ax, float(place["n"][0]), float(place[column][0]), text, meaning, **look)


def _bounds(ax: Axes, case: dict[str, Any], t: float) -> None:
    style.log_axes(ax)
    ax.set_xlim(1, 1.5 * case["n"][-1])
    ax.plot(case["n"], case["corrected"], **style.line("repaired"))
    ax.plot(case["n"], case["printed_no_m"], **style.line("printed", linewidth=0.9))
    ax.plot(case["n"], case["printed"], **style.line("printed"))
    ax.plot(case["n"], case["error"], **style.line("exact", linewidth=1.9))
    if violated(ax, case["n"], case["printed_no_m"], case["error"]):
        note(ax, 0.04, 0.06, "printed bound fails", color=VIOLATION, va="bottom")
    ax.set_title(rf"$t={t:g}$")
    ax.xaxis.set_major_locator(LogLocator(base=100))
    ax.set_xlabel(r"negatives $N$")


def _ratios(ax: Axes, ratios: dict[str, Any]) -> None:
    style.log_axes(ax)
    ax.set_xlim(1.05, 0.095)
    ticks(ax.xaxis, (1.0, 0.5, 0.2, 0.1))
    ax.axhline(1.0, **style.line("muted", linewidth=1.1))
    ax.plot(ratios["t"], ratios["corrected"], **style.line("repaired"))
    ax.plot(ratios["t"], ratios["printed_no_m"], **style.line("printed", linewidth=0.9))
    ax.plot(ratios["t"], ratios["printed"], **style.line("printed"))
    violated(ax, ratios["t"], np.ones(len(ratios["t"])), ratios["printed"], every=max(1, len(ratios["t"]) // 12))
    ax.set_xlabel("temperature $t$")
    ax.set_ylabel("largest error / bound")
    style.direct_label(ax, 0.95, 0.1, "corrected", "repaired", va="top", xytext=(0, 0))
    style.direct_label(ax, 0.3, 10.0, "printed", "printed", ha="right", xytext=(-8, 0))


def _rates(ax: Axes, cases: dict[float, dict[str, Any]], vary: str) -> dict[float, float]:
    style.log_axes(ax)
    ends, orders = [], {}
    for color, (t, case) in zip(style.ramp(len(cases), high=0.7), cases.items(), strict=True):
        tail = case["size"] >= case["size"][-1] / 32
        orders[t] = slope(case["size"][tail], case["error"][tail])
        ax.plot(case["size"], np.abs(case["error"]), color=color)
        ends.append((float(case["size"][-1]), float(abs(case["error"][-1])), f"t = {t:g}: {signed(orders[t])}", color))
    ax.set_xlim(case["size"][0], case["size"][-1])
    ax.set_xlabel(rf"{'negatives' if vary == 'N' else 'positives'} ${vary}$")
    name_ends(ax, ends)
    triangle(ax, case["size"][1], 3e-4, -1.0, r"$-1$", width=16)
    return orders


def _data(result: dict[str, Any], orders: dict[str, dict[float, float]]) -> dict[str, list[Any]]:
    two, rates = result["two_point"], result["rates"]
    nan = [float("nan")] * len(rates["t"])
    return {
        "model": ["collapsed"] * len(two["t"]) + ["generic"] * len(rates["t"]),
        "t": [*two["t"], *rates["t"]],
        "vary": ["N"] * len(two["t"]) + list(rates["vary"]),
        "size": [*two["n"], *rates["size"]],
        "error": [*two["error"], *rates["error"]],
        **{name: [*two[name], *nan] for name in ("printed", "printed_no_m", "corrected")},
        "order": [float("nan")] * len(two["t"])
        + [orders[v][t] for v, t in zip(rates["vary"], rates["t"], strict=True)],
    }
