"""Tight and loose phi-duals of a critic that is right up to a constant, or a factor."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from . import style
from ._marks import distinct, rows, ticks

ID = "mi-tight"
TITLE = "The tight dual does not see a constant in the critic, and is never below the loose one"
CAPTION = (
    r"A noisy channel of four symbols, $P=P_{XY}$, $Q=P_XP_Y$: share of $D_\phi(P\|Q)$ that a critic attains. Solid: tight "
    r"dual $E_Pf-\min_\lambda\{\lambda+E_Q\phi^*(f-\lambda)\}$; thin, broken: loose dual, $\lambda=0$. a: the optimal critic "
    r"plus a constant, $f=\phi'(dP/dQ)+c$. The tight dual attains all of it (one line for every phi); the loose one loses "
    r"$c^2E_Q[1/2\phi''(dP/dQ)]$ at first. Where phi grows no faster than linearly (reverse KL, Hellinger, JS) $\phi^*$ ends, and a "
    r"critic a little too high has the value $-\infty$: those curves stop. b: the optimal critic times a number. The "
    "divergences themselves differ (in the data), so a dual with a phi other than KL's is read out by KL. "
    "Reproduce: drocl figures mi-tight."
)
SIMULATION = "sim_mi_exact"
CLAIMS = (
    "tight-dual-at-least-loose",
    "tight-is-loose-when-normalised",
    "tight-dual-is-shift-invariant",
    "theorem-4-2-constrained",
    "theorem-4-2-penalised",
    "phi-dual-is-mutual-information",
    "kl-read-out-of-a-phi-critic",
)
NAMES = {"kl": "KL", "chi2": r"$\chi^2$", "reverse_kl": "reverse KL", "hellinger": "Hellinger", "js": "JS"}


LOW = -0.75
LOOSE = (0, (3, 1.5))


def draw(result: dict[str, Any]) -> tuple[Figure, dict[str, list[Any]]]:
    """Shifted critics, scaled critics.

    Args:
        result: of `SIMULATION`.

    Returns:
        The figure and its data: the table of duals.
    """
    table = result["duals"]
    fig, axes = style.figure(1, 2, height=3.1, sharey=True)
    for ax, kind in zip(axes[0], ("shift", "scale"), strict=True):
        ax.axhline(0.0, color="#444444", linewidth=0.8)
        for name in distinct(table["divergence"]):
            curve = rows(table, divergence=name, kind=kind)
            tight, loose = (np.maximum(curve[form] / curve["truth"], -3.0) for form in ("tight", "loose"))
            loose = np.where(curve["loose"] > -np.inf, loose, np.nan)
            color = style.DIVERGENCES[name][0]
            if kind == "scale":
                ax.plot(curve["by"], tight, color=color, label=NAMES[name])
            ax.plot(curve["by"], loose, color=color, linestyle=LOOSE, linewidth=1.1)
    first, second = axes[0]
    first.plot([-1.0, 1.0], [1.0, 1.0], color=style.COLORS["solver"], linewidth=1.8)
    style.direct_label(first, -0.98, 1.0, "tight, every phi", "solver")
    first.set_xlim(-1.0, 1.0)
    first.set_ylim(LOW, 1.15)
    first.set_xticks((-1.0, -0.5, 0.0, 0.5, 1.0))
    first.set_yticks((-0.5, 0.0, 0.5, 1.0))
    first.set_xlabel(r"constant added to the critic, $c$")
    first.set_ylabel(r"share of $D_\phi(P\|Q)$")
    second.set_xscale("log")
    second.set_xlim(0.2, 5.0)
    ticks(second.xaxis, (0.2, 0.5, 1, 2, 5))
    second.set_xlabel("factor of the critic")
    second.legend(loc="lower left")
    return fig, {name: list(values) for name, values in table.items()}
