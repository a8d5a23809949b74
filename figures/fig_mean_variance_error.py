"""The penalised worst case against its mean-variance form."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from . import style
from ._marks import distinct, name_ends, rows, signed, slope, triangle
from .fig_multiplier_across_divergences import NAMES

ID = "mean-variance-error"
TITLE = "Mean plus variance is right to second order for every smooth divergence, and exact for Pearson's in range"
CAPTION = (
    r"$|\sup_Q\{E_Qf-\tau D_\phi\}-E f-V/(2\phi''(1)\tau)|$ in units of $\sigma$, against $\tau/\sigma$, with the "
    r"orders fitted over $\tau\geq 30\sigma$. Skewed scores (a): order $-2$, with the coefficient "
    r"$\phi'''(1)\gamma_1/6\phi''(1)^3$ (dotted). Symmetric scores (b): order $-3$. $\chi^2$ is exact from "
    r"$\tau=(E f-\min f)/2$ on (triangle on the axis): below it weights would turn negative. At the temperatures "
    r"in use, $\tau<\sigma$, the form is off by a standard deviation. Reproduce: drocl figures "
    "mean-variance-error."
)
SIMULATION = "sim_mean_variance"
CLAIMS = (
    "mean-variance-equality",
    "mean-variance-exact-chi2",
    "mean-variance-exact-gaussian",
    "mean-variance-rate",
    "mean-variance-third-order",
    "constrained-mean-variance",
)
LARGE = 30.0  # standard deviations: where orders are fitted


def draw(result: dict[str, Any]) -> tuple[Figure, dict[str, list[Any]]]:
    """One log-log panel a law.

    Args:
        result: of `SIMULATION`.

    Returns:
        The figure and its data: one row a law, divergence and temperature, with the signed error and the fitted
        order.
    """
    fig, axes = style.figure(1, 2, height=3.6, sharey=True)
    orders: dict[tuple[str, str], float] = {}
    smooth = np.asarray(result["errors"]["divergence"]) != "chi2"
    low = 0.3 * float(np.abs(np.asarray(result["errors"]["error"])[smooth]).min())
    laws = sorted(
        distinct(result["errors"]["law"]), key=lambda name: bool(rows(result["laws"], law=name)["symmetric"][0])
    )
    for ax, law in zip(axes[0], laws, strict=True):
        about = rows(result["laws"], law=law)
        style.log_axes(ax)
        ax.set_xlim(0.93 * min(result["errors"]["tau"]), max(result["errors"]["tau"]))
        ax.set_ylim(low, 8)
        ends = []
        for name in distinct(result["errors"]["divergence"]):
            curve = rows(result["errors"], law=law, divergence=name)
            size = np.abs(curve["error"])
            if name == "chi2":
                start = float(about["chi2_from"][0])
                inside = curve["tau"] < start
                ax.plot(
                    np.append(curve["tau"][inside], start), np.append(size[inside], 1e-12), **style.divergence(name)
                )
                ax.plot(start, low, marker="^", markersize=7, color=style.DIVERGENCES[name][0], clip_on=False, zorder=5)
                style.direct_label(
                    ax, start, low, r"$\chi^2$: exact from here", color=style.DIVERGENCES[name][0], xytext=(7, 2)
                )
                continue
            large = curve["tau"] >= LARGE
            orders[law, name] = slope(curve["tau"][large], curve["error"][large])
            ax.plot(curve["tau"], size, **style.divergence(name))
            text = f"{NAMES[name] if name != 'cressie_read' else 'CR, k = 1.5'}  {signed(orders[law, name])}"
            ends.append((float(curve["tau"][-1]), float(size[-1]), text, style.DIVERGENCES[name][0]))
            if not about["symmetric"][0]:
                ax.plot(
                    curve["tau"][large], np.abs(curve["third"][large]), **style.line("muted", linewidth=1.1, zorder=5)
                )
        name_ends(ax, ends)
        title = "sphere, d = 8" if about["symmetric"][0] else "with a false-negative cluster"
        ax.set_title(rf"{title}: $\gamma_1={round(float(about['skewness'][0]), 1) + 0.0:.1f}$")
        ax.set_xlabel(r"temperature $\tau/\sigma$")
    triangle(axes[0, 0], 6, 8e-5, -2.0, r"$-2$", width=5)
    triangle(axes[0, 1], 4, 3e-6, -3.0, r"$-3$", width=4)
    axes[0, 0].set_ylabel(r"$|$exact $-$ mean-variance$|\,/\,\sigma$")
    errors = result["errors"]
    data = {name: list(errors[name]) for name in ("law", "divergence", "label", "tau", "error", "third")}
    data["order"] = [orders.get(pair, float("nan")) for pair in zip(errors["law"], errors["divergence"], strict=True)]
    return fig, data
