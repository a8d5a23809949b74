"""One colour, marker and name for each loss in every figure of trained encoders, and what those figures share."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from . import style
from ._marks import rows

DASH, DOTS = (0, (6, 2)), (0, (2, 1.4))
#: name of the tables -> colour, marker, line style, name
LOSSES: dict[str, tuple[str, str, Any, str]] = {
    "info_nce": ("#0072B2", "o", "-", "InfoNCE"),
    "biased": ("#0072B2", "o", "-", "biased (InfoNCE)"),
    "matched": ("#56B4E9", "v", DASH, r"InfoNCE, matched $\tau$"),
    "debiased": ("#009E73", "s", "-", "debiased"),
    "debiased M=1": ("#009E73", "s", DOTS, "debiased, M = 1"),
    "debiased M=2": ("#009E73", "P", DASH, "debiased, M = 2"),
    "debiased M=4": ("#009E73", "X", "-", "debiased, M = 4"),
    "unbiased": ("#1A1A1A", "D", "-", "unbiased (labels)"),
    "hard_negative": ("#8C510A", "^", "-", "hard negatives"),
    "rince": ("#CC79A7", "v", "-", "RINCE, q = 0.5"),
    "rince 0.1": ("#CC79A7", "<", DOTS, "RINCE, q = 0.1"),
    "rince 1": ("#CC79A7", ">", DASH, "RINCE, q = 1"),
    "rince invariant": ("#6A5ACD", "h", "-", r"RINCE, q = 1, $\lambda = 1/(K+1)$"),
    "adnce": ("#D55E00", "d", "-", "ADNCE"),
    "dro chi2": ("#B37400", "p", "-", r"DRO, $\chi^2$ ball"),
    "one ball an anchor": ("#D55E00", "d", "-", "one ball an anchor"),
    "shared temperature": ("#0072B2", "o", "-", "shared temperature"),
    "untrained": ("#767676", "x", DOTS, "untrained"),
}


def bars(
    ax: Axes, x: Any, table: Mapping[str, Any], name: str, loss: str, *, scale: float = 1.0, join: bool = True, **changes: Any
) -> None:
    """Means with their intervals at places x, joined by a line, in the look of a loss.

    Args:
        ax: axes.
        x: places.
        table: columns `name`, `name_low`, `name_high`.
        name: column of the means; nan is left out.
        loss: a key of `LOSSES`.
        scale: factor of the values, 100 for per cent.
        join: draw the line.
        changes: of the line.
    """
    color, marker, line, label = LOSSES[loss]
    mean, low, high = (scale * np.asarray(table[f"{name}{end}"], dtype=float) for end in ("", "_low", "_high"))
    ends = np.nan_to_num(np.abs(np.stack([mean - low, high - mean])))
    look = {
        "color": color, "marker": marker, "linestyle": line if join else "none", "label": label, "elinewidth": 0.9, "capsize": 1.8,
        "markersize": 4.2, "linewidth": 1.3, "markeredgecolor": "white", "markeredgewidth": 0.5,
    }  # fmt: skip
    if marker in ("x",):
        look["markeredgecolor"] = color
    ax.errorbar(np.asarray(x, dtype=float), mean, ends, **{**look, **changes})


def spread(count: int, width: float) -> np.ndarray:
    """Places around 0 of `count` marks side by side, `width` apart in all.

    >>> spread(3, 1.0).tolist()
    [-0.5, 0.0, 0.5]
    """
    return width * (np.linspace(-0.5, 0.5, count) if count > 1 else np.zeros(1))


def zero(ax: Axes) -> None:
    """The line of no difference, below everything."""
    ax.axhline(0.0, color="#444444", linewidth=0.8, zorder=0)


def legend_above(fig: Any, ax: Axes, columns: int) -> None:
    """One legend for all panels, above them."""
    handles, labels = ax.get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper center", ncols=columns, columnspacing=1.2, handlelength=2.0)


def not_run(ax: Axes, table: Mapping[str, Any]) -> bool:
    """Say in the panel what was not run and why; whether nothing was.

    Args:
        ax: axes.
        table: columns `status` and `why`, and `seeds` where rows are means.
    """
    status = np.asarray(table["status"])
    bad = rows({**table, "bad": status != "ok"}, bad=True)
    if not len(bad["why"]):
        return False
    nothing = len(bad["why"]) == len(status)
    text = textwrap.fill(f"{bad['status'][0]}: {bad['why'][0]}", 40, max_lines=6, placeholder=" ...")
    ax.text(
        0.5, 0.5 if nothing else 0.02, text, transform=ax.transAxes, ha="center", va="center" if nothing else "bottom", fontsize=8,
        color=style.COLORS["muted"],
    )  # fmt: skip
    if nothing:
        ax.plot([0.0, 1.0], [0.0, 1.0], linestyle="none")
    return nothing


def pick(table: Mapping[str, Sequence[Any]], **where: Any) -> dict[str, Any]:
    """`rows` as columns of plain lists."""
    return {name: values.tolist() for name, values in rows(table, **where).items()}


def finite(values: Any) -> list[float]:
    """The finite ones."""
    return [float(value) for value in values if value is not None and math.isfinite(float(value))]
