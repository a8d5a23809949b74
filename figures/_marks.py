"""What the figures share beyond style: choosing rows of a table, fitted slopes, and one way to mark a violation."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedFormatter, FixedLocator, NullFormatter

from . import style

Array = npt.NDArray[np.float64]
VIOLATION = "#A50F15"
"""Where a printed statement fails: a filled cross, and a pale red field between what is printed and what is true."""

HALO = withStroke(linewidth=2.5, foreground="white")
LAWS = {
    "gaussian": "Gaussian scores",
    "uniform": "uniform scores",
    "skewed": "false-negative cluster",
    "digits": "digits, one anchor",
}


def rows(table: Mapping[str, Sequence[Any]], **where: Any) -> dict[str, npt.NDArray[Any]]:
    """The rows of a table whose columns have the given values, as arrays.

    >>> rows({"t": [1, 2, 1], "x": [5, 6, 7]}, t=1)["x"].tolist()
    [5, 7]
    """
    columns = {name: np.asarray(values) for name, values in table.items()}
    kept = np.ones(len(next(iter(columns.values()))), dtype=bool)
    for name, value in where.items():
        kept &= columns[name] == value
    return {name: values[kept] for name, values in columns.items()}


def distinct(values: Sequence[Any]) -> list[Any]:
    """Values in order of first appearance."""
    return list(dict.fromkeys(values))


def slope(x: Any, y: Any) -> float:
    """Slope of log |y| against log x by least squares.

    >>> round(slope([1, 10, 100], [3.0, 0.3, 0.03]), 12)
    -1.0
    """
    return float(np.polyfit(np.log(np.asarray(x, dtype=float)), np.log(np.abs(np.asarray(y, dtype=float))), 1)[0])


def signed(value: float, decimals: int = 2) -> str:
    """Decimals with a typographic minus sign, and no minus zero."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def violated(ax: Axes, x: Any, printed: Any, truth: Any, *, above: bool = True, every: int = 1) -> bool:
    """Mark where the truth lies beyond a printed bound: a pale field between the two and crosses on the truth.

    Args:
        ax: axes.
        x: increasing places.
        printed: the bound there.
        truth: what it bounds.
        above: whether larger is worse (the bound is an upper one).
        every: draw one cross in so many.

    Returns:
        Whether the bound fails anywhere.
    """
    x, printed, truth = (np.asarray(a, dtype=float) for a in (x, printed, truth))
    bad = truth > printed if above else truth < printed
    if bad.any():
        ax.fill_between(
            x, printed, truth, where=bad, interpolate=True, color=VIOLATION, alpha=0.16, linewidth=0, zorder=1
        )
        ax.plot(x[bad][::every], truth[bad][::every], **crosses())
    return bool(bad.any())


def crosses(**changes: Any) -> dict[str, Any]:
    """Keyword arguments of the marker of a violation."""
    look = {"linestyle": "none", "marker": "X", "markersize": 5.5, "markeredgewidth": 0.6}
    return {**look, "color": VIOLATION, "markeredgecolor": "white", "zorder": 6, **changes}


def ticks(axis: Axis, places: Sequence[float], labels: Sequence[str] | None = None) -> None:
    """Plain numbers at these places of an axis, none between: for logarithmic axes too short for powers of ten."""
    axis.set_major_locator(FixedLocator(list(places)))
    axis.set_major_formatter(FixedFormatter([f"{place:g}" for place in places] if labels is None else list(labels)))
    axis.set_minor_formatter(NullFormatter())


def note(ax: Axes, x: float, y: float, text: str, **changes: Any) -> None:
    """Write text at axes fractions (x, y), on a white halo."""
    look = {
        "fontsize": 8,
        "color": "#1A1A1A",
        "ha": "left",
        "va": "top",
        "transform": ax.transAxes,
        "path_effects": [HALO],
    }
    ax.text(x, y, text, **{**look, **changes})


def solved(ax: Axes, x: Any, y: Any, status: Any, **changes: Any) -> None:
    """Draw what an independent solver found: open circles; grey crosses where it could not certify its own answer."""
    x, y, sure = np.asarray(x), np.asarray(y, dtype=float), np.asarray(status) == "optimal"
    ax.plot(x[sure], y[sure], **style.points("solver", **changes))
    ax.plot(x[~sure], y[~sure], **style.points("muted", marker="x"))


def name_ends(ax: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """`style.label_ends` before the layout, which would take a second: the heights of panels hardly change by it."""
    ax.get_ylim()  # pending autoscaling happens here
    style.label_ends(ax, ends)


def triangle(ax: Axes, x: float, y: float, order: float, text: str, *, width: float = 4.0, below: bool = True) -> None:
    """Draw a slope triangle on log-log axes with one corner at (x, y).

    Args:
        ax: log-log axes.
        x: its left end.
        y: the value at the left end of its slanted side.
        order: slope of that side.
        text: what to write in it, usually the slope.
        width: ratio of its right end to its left.
        below: whether the right angle lies below the slanted side.
    """
    right, other = x * width, y * width**order
    corner = (right, y) if (order > 0) == below else (x, other)
    ax.fill(
        [x, right, corner[0]],
        [y, other, corner[1]],
        facecolor="#EDEDED",
        edgecolor=style.COLORS["muted"],
        linewidth=0.8,
        zorder=2,
    )
    centre = ((x * right * corner[0]) ** (1 / 3), (y * other * corner[1]) ** (1 / 3))
    ax.text(*centre, text, fontsize=8, color="#444444", ha="center", va="center", path_effects=[HALO], zorder=3)
