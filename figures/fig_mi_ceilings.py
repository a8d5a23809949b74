"""Exact expectations of the estimators of mutual information at the optimal critic."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from . import style
from ._marks import distinct, name_ends, note, rows, ticks

ID = "mi-ceilings"
TITLE = (
    "With the optimal critic and 64 pairs InfoNCE stops at log 64, and the estimators above it pay in variance or bias"
)
CAPTION = (
    r"Twenty Gaussian pairs, the exact log-ratio as the critic, one batch of 64: what is left is the estimator's own "
    r"error. a: exact expectations (curves; points: 1,000 sampled batches). InfoNCE is capped by $\log 64$; without "
    "the positive in the denominator it is as far above the truth; Donsker-Varadhan, its curve for 64 x 63 "
    "independent pairs, is biased upwards, NWJ is not, and SMILE (clip 5, population) is no bound. b: both contrastive "
    r"biases fall as $\chi^2/2N$ with $\chi^2=e^{2I}-1$ (dotted), so only from $N\approx e^{2I}$ on. c: exact standard "
    r"deviation of NWJ on the batch, which grows as $e^{I}/64$ (dashed: that of its normaliser alone). Sampled ones (points) fall "
    r"short of it: for $|\rho|>1/3$ the fourth moment of the ratio is infinite, and a sample does not see the variance. "
    "Reproduce: drocl figures mi-ceilings."
)
SIMULATION = "sim_mi_exact"
CLAIMS = (
    "dv-is-a-lower-bound",
    "nwj-below-dv",
    "infonce-is-a-lower-bound",
    "infonce-without-positive-is-a-lower-bound",
    "decoupled-overshoots",
    "infonce-log-n-cap",
    "bounded-critic-caps-infonce",
    "bounded-critic-caps-dv",
    "infonce-ceiling-identity",
    "infonce-bias-rate",
    "decoupled-bias-rate",
    "dv-batch-bias-rate",
    "more-negatives-tighten-every-critic",
    "more-negatives-tighten-the-optimum",
    "nwj-variance-at-least-exponential",
    "gaussian-chi2-information",
    "chi2-plugin-variance-threshold",
    "batch-normaliser-variance",
    "smile-is-a-lower-bound",
    "smile-within-its-clip",
    "smile-excess-at-the-optimum",
)
#: estimator -> colour, line style, name
LOOKS: dict[str, tuple[str, Any, str]] = {
    "infonce": ("#0072B2", "-", "InfoNCE"),
    "decoupled": ("#D55E00", (0, (6, 2)), "no positive below"),
    "dv": ("#009E73", (0, (6, 2, 1.2, 2)), "Donsker-Varadhan"),
    "nwj": ("#1A1A1A", "-", "NWJ = truth"),
    "smile 5": ("#CC79A7", (0, (2, 1.4)), "SMILE, clip 5"),
}


def draw(result: dict[str, Any]) -> tuple[Figure, dict[str, list[Any]]]:
    """Expectations, rates, deviations.

    Args:
        result: of `SIMULATION`.

    Returns:
        The figure and its data: one row a panel, estimator and place (mi or N) with its value.
    """
    fig, axes = style.figure(1, 3, height=3.3, gridspec_kw={"width_ratios": [1.5, 1.0, 1.05]})
    data: dict[str, list[Any]] = {name: [] for name in ("panel", "estimator", "mi", "n", "value", "error")}

    def keep(panel: str, estimator: str, mi: Any, n: Any, value: Any, error: Any = math.nan) -> None:
        for cells in zip(*np.broadcast_arrays(mi, n, value, error), strict=True):
            for name, cell in zip(data, (panel, estimator, *(float(c) for c in cells)), strict=True):
                data[name].append(cell)

    _expectations(axes[0, 0], result, keep)
    _rates(axes[0, 1], result, keep)
    _deviations(axes[0, 2], result, keep)
    return fig, data


def _expectations(ax: Axes, result: dict[str, Any], keep: Any) -> None:
    ends, top = [], max(result["ceilings"]["mi"])
    ax.axhline(math.log(64.0), **style.line("muted"))
    ax.set_xlim(0.0, top)
    ax.set_ylim(0.0, 1.65 * top)
    for name, (color, line, label) in LOOKS.items():
        curve = rows(result["ceilings"], estimator=name)
        ax.plot(curve["mi"], curve["value"], color=color, linestyle=line)
        ends.append((float(curve["mi"][-1]), float(curve["value"][-1]), label, color))
        keep("expectation", name, curve["mi"], math.nan, curve["value"])
    for name in distinct(result["sampled"]["estimator"]):
        dots = rows(result["sampled"], estimator=name)
        color = LOOKS[name][0]
        ax.errorbar(
            dots["mi"], dots["mean"], 3.0 * dots["error"], fmt="o", color=color, markerfacecolor="white", ms=4.0
        )
        keep("sampled", name, dots["mi"], math.nan, dots["mean"], dots["error"])
    name_ends(ax, ends)
    style.direct_label(ax, 0.2, math.log(64.0), r"$\log 64$", "muted")
    ax.set_title("expectation, batch of 64")
    ax.set_xlabel(r"true $I(X;Y)$, nats")
    ax.set_ylabel("nats")


def _rates(ax: Axes, result: dict[str, Any], keep: Any) -> None:
    style.log_axes(ax)
    for mi in distinct(result["orders"]["mi"]):
        for name in ("infonce", "decoupled"):
            curve = rows(result["orders"], mi=mi, estimator=name)
            color, line, _ = LOOKS[name]
            ax.plot(curve["n"], np.abs(curve["bias"]), color=color, linestyle=line)
            keep("bias", name, mi, curve["n"], curve["bias"])
        ax.plot(curve["n"], curve["asymptote"], **style.line("muted", zorder=5))
    ax.set_ylim(1e-5, 30.0)
    ax.set_xlim(1.0, max(result["orders"]["n"]))
    note(ax, 0.95, 0.97, r"$\chi^2/2N$", color=style.COLORS["muted"], ha="right")
    note(ax, 0.97, 0.68, r"$I=4$", ha="right")
    note(ax, 0.4, 0.33, r"$I=2$")
    ticks(ax.xaxis, (1, 100, 10_000, 1_000_000), ("1", "100", r"$10^4$", r"$10^6$"))
    ax.set_title(r"$|$bias$|$, nats")
    ax.set_xlabel(r"negatives $N$")


def _deviations(ax: Axes, result: dict[str, Any], keep: Any) -> None:
    exact, dots = rows(result["deviations"]), rows(result["sampled"], estimator="nwj")
    ax.set_yscale("log")
    style.log_axes(ax, "y")
    color = LOOKS["nwj"][0]
    ax.plot(exact["mi"], exact["sd"], color=color)
    ax.plot(exact["mi"], exact["normaliser"], color=color, linestyle=(0, (6, 2)), linewidth=1.1)
    ax.errorbar(dots["mi"], dots["sd"], 2.0 * dots["sd_error"], fmt="o", color=color, markerfacecolor="white", ms=4.0)
    keep("deviation", "nwj", exact["mi"], math.nan, exact["sd"])
    keep("sampled deviation", "nwj", dots["mi"], math.nan, dots["sd"], dots["sd_error"])
    other = rows(result["sampled"], estimator="infonce")
    look = LOOKS["infonce"][0]
    ax.errorbar(other["mi"], other["sd"], 2.0 * other["sd_error"], fmt="o", color=look, markerfacecolor="white", ms=4.0)
    ax.plot(other["mi"], other["sd"], color=look, linewidth=0.9)
    keep("sampled deviation", "infonce", other["mi"], math.nan, other["sd"], other["sd_error"])
    style.direct_label(ax, 5.2, 12.0, "NWJ", color=color, ha="right")
    style.direct_label(ax, 4.6, 0.05, "InfoNCE", color=look, ha="right", va="top")
    ax.set_xlim(0.0, 10.4)
    ax.set_xticks((0, 5, 10))
    ax.set_title("deviation, nats")
    ax.set_xlabel(r"true $I(X;Y)$, nats")
