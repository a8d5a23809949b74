"""Both sides of Lemma 1 on real digits."""

from typing import Any

from matplotlib.figure import Figure

from . import style
from ._marks import distinct, note, rows

ID = "lemma1-digits"
TITLE = "Biased and unbiased loss on real digits, between the floors of Lemma 1"
CAPTION = (
    "scikit-learn's digits, 16 principal components on the sphere; both losses exact, no sampling. a: "
    r"$L_{\mathrm{Bias}}$ and $L_{\mathrm{Unb}}$ against the number of negatives at $t=0.5$ and $0.1$: false "
    "negatives cost more the lower the temperature. b, c: their difference (line), the difference of their "
    r"limits (circles), and what Lemma 1 allows it to fall "
    r"to: $E\min(0,\log E_{p^+}e^s/E_{p^-}e^s)$ minus the printed constant $e^{3/2}\sqrt{\pi/2N}$ or the sharp "
    r"one, $\kappa_N(t)$. On real data the difference is positive, far above both floors; at $t=0.1$ the printed "
    "floor is the higher one, and unproved. Reproduce: drocl figures lemma1-digits."
)
SIMULATION = "sim_digits"
CLAIMS = ("false-negative-cost", "lemma1-sharp")


def draw(result: dict[str, Any]) -> tuple[Figure, dict[str, list[Any]]]:
    """Losses, and their difference at each temperature.

    Args:
        result: of `SIMULATION`.

    Returns:
        The figure and its data: one row a temperature and N.
    """
    losses = result["losses"]
    temperatures = distinct(losses["t"])
    fig, axes = style.figure(1, 1 + len(temperatures), height=3.0)
    left = axes[0, 0]
    style.log_axes(left, "x")
    for t, ax in zip(temperatures, axes[0, 1:], strict=True):
        case = rows(losses, t=t)
        for kind, meaning in (("biased", "accent"), ("unbiased", "exact")):
            left.plot(
                case["n"], case[kind], **style.line(meaning, linestyle="-" if t == temperatures[0] else (0, (6, 2)))
            )
        style.log_axes(ax, "x")
        ax.plot(case["n"], case["floor"] - case["sharp"], **style.line("repaired"))
        ax.plot(case["n"], case["floor"] - case["printed"], **style.line("printed"))
        ax.plot(case["n"], case["biased"] - case["unbiased"], **style.line("exact", linewidth=1.9))
        ax.plot(case["n"], case["cost"], **style.points("exact", markersize=3.2, markevery=2))
        ax.axhline(0.0, **style.line("muted", linewidth=1.1))
        ax.set_title(rf"$t={t:g}$")
        ax.set_xlabel(r"negatives $N$")
    left.set_xlabel(r"negatives $N$")
    left.set_ylabel("loss (nats)")
    left.set_ylim(0, None)
    axes[0, 1].set_ylabel(r"$L_{\mathrm{Bias}}-L_{\mathrm{Unb}}$ (nats)")
    case = rows(losses, t=temperatures[0])
    note(left, 0.04, 0.97, "biased", color=style.COLORS["accent"])
    note(left, 0.04, 0.89, "unbiased", color=style.COLORS["exact"])
    note(left, 0.04, 0.81, rf"solid $t={temperatures[0]:g}$" + "\n" + rf"dashed $t={temperatures[-1]:g}$")
    panel = axes[0, 1]
    style.direct_label(
        panel, 2.0, float(case["floor"][1] - case["printed"][1]), "printed floor", "printed", xytext=(8, -4)
    )
    style.direct_label(
        panel, 2.0, float(case["floor"][1] - case["sharp"][1]), "sharp floor", "repaired", va="top", xytext=(12, -2)
    )
    style.direct_label(panel, 60.0, float((case["biased"] - case["unbiased"]).max()), "exact", "exact", xytext=(0, 3))
    return fig, {name: list(values) for name, values in losses.items()}
