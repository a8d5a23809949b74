"""The temperature against the budget it prices."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from . import style
from ._marks import LAWS, note, rows, signed, solved

ID = "tau-against-eta"
TITLE = "The temperature is the price of the KL budget"
CAPTION = (
    r"Temperature $\tau^\star(\eta)$ that spends a KL budget $\eta$ on four finite pools of negatives: the exact "
    "root, the dual variable that cvxpy reports for the budget constraint (circles; a grey cross where it cannot "
    r"certify its answer), Corollary 3.4 as printed, $\sqrt{V/2\eta}$, and with its skewness term, "
    r"$+\gamma_1\sigma/3$. The root is the multiplier everywhere; the printed formula follows it for small budgets "
    r"only and knows nothing of $\eta_{\max}=\log(n/\mathrm{ties})$, where the temperature is zero. Reproduce: "
    "drocl figures tau-against-eta."
)
SIMULATION = "sim_temperature_radius"
CLAIMS = ("tau-is-slope", "tau-is-multiplier", "kl-cl-dro-is-infonce", "slack-radius")


def draw(result: dict[str, Any]) -> tuple[Figure, dict[str, list[Any]]]:
    """One panel a pool, log-log.

    Args:
        result: of `SIMULATION`.

    Returns:
        The figure and its data, one row a budget and pool; `source` says whether tau is the root's or cvxpy's.
    """
    names = result["laws"]["law"]
    fig, axes = style.figure(2, 2, height=4.9, sharex=True, sharey=True)
    data: dict[str, list[Any]] = {name: [] for name in ("law", "source", "eta", "tau")}
    for ax, name in zip(axes.flat, names, strict=True):
        about = rows(result["laws"], law=name)
        curve, points = rows(result["curves"], law=name), rows(result["points"], law=name)
        top, least = float(about["eta_max"][0]), float(curve["eta"][0])
        style.log_axes(ax)
        ax.set_xlim(0.8 * least, 4.0 * top)
        ax.set_ylim(1e-3, 2.5 * max(result["curves"]["exact"]))
        ax.axvspan(top, 10 * top, color=style.COLORS["band"], linewidth=0)
        ax.plot(curve["eta"], np.where(curve["skew"] > 0, curve["skew"], np.nan), **style.line("repaired"))
        ax.plot(curve["eta"], curve["variance"], **style.line("printed"))
        ax.plot(curve["eta"], curve["exact"], **style.line("exact", linewidth=1.9))
        solved(ax, points["eta"], points["tau"], points["status"])
        ax.set_title(LAWS.get(name, name))
        skewness = signed(float(about["skewness"][0]), 1)
        shape = rf"$n={int(about['n'][0])}$, $\sigma={about['sd'][0]:.2f}$, $\gamma_1={skewness}$"
        note(ax, 0.04, 0.10, shape, va="bottom")
        for source, eta, tau in (("root", curve["eta"], curve["exact"]), ("cvxpy", points["eta"], points["tau"])):
            data["law"] += [name] * len(eta)
            data["source"] += [source] * len(eta)
            data["eta"] += eta.tolist()
            data["tau"] += tau.tolist()
    for meaning, text in (("exact", "exact root"), ("printed", "Cor. 3.4"), ("repaired", "with skewness")):
        axes[0, 0].plot([], [], **style.line(meaning, label=text))
    axes[0, 0].plot([], [], **style.points("solver", label="cvxpy dual"))
    axes[0, 0].legend(loc="upper right", bbox_to_anchor=(0.87, 1.0))
    for ax in axes[1]:
        ax.set_xlabel(r"budget $\eta$ (nats)")
    for ax in axes[:, 0]:
        ax.set_ylabel(r"temperature $\tau$ (score units)")
    top = result["laws"]["eta_max"][0]
    style.direct_label(axes[0, 1], top, 10.0, r"$\eta_{\max}$", "muted", xytext=(3, 0))
    return fig, data
