"""The look of every figure, in one place: sizes, fonts, colours by meaning, and a few drawing helpers.

A figure file says `from . import style`, makes its axes with `fig, axes = style.figure(...)`, and takes its colours by
meaning:

>>> sorted(COLORS)[:3]
['accent', 'approximation', 'band']

All sizes are print sizes: a figure of width 7 inch fills the text block of a page, and no text in it is smaller than
8 pt. Colours are those of Okabe and Ito, which stay apart for colour-blind readers; line style and marker repeat the
distinction.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterSciNotation, LogLocator

SINGLE, WIDE = 3.4, 7.0
"""Widths in inch: one column, and the whole text block."""

COLORS: Mapping[str, str] = {
    "exact": "#0072B2",  # the truth: exact value, exact root
    "printed": "#D55E00",  # a bound or formula as the source prints it
    "repaired": "#009E73",  # the corrected or sharp form
    "solver": "#1A1A1A",  # points of an independent solver
    "approximation": "#CC79A7",  # expansions, Gaussian or small-budget formulas
    "sampled": "#56B4E9",  # Monte Carlo estimates, drawn with their interval
    "accent": "#E69F00",
    "muted": "#767676",  # references, guides, zero lines
    "band": "#DCE6EE",  # shaded ranges
}

LINES: Mapping[str, Any] = {
    "exact": "-",
    "printed": (0, (6, 2)),
    "repaired": (0, (6, 2, 1.2, 2)),
    "approximation": (0, (2, 1.4)),
    "sampled": "none",
    "solver": "none",
    "accent": "-",
    "muted": (0, (1, 1.5)),
}

DIVERGENCES: Mapping[str, tuple[str, Any, str]] = {  # name -> (colour, line style, marker)
    "kl": ("#0072B2", "-", "o"),
    "reverse_kl": ("#56B4E9", (0, (6, 2)), "s"),
    "chi2": ("#D55E00", "-", "^"),
    "neyman": ("#B37400", (0, (6, 2)), "v"),
    "hellinger": ("#009E73", "-", "D"),
    "cressie_read": ("#CC79A7", (0, (6, 2, 1.2, 2)), "P"),
    "js": ("#6A5ACD", (0, (2, 1.4)), "X"),
    "tv": ("#1A1A1A", "-", "h"),
    "cvar": ("#767676", (0, (6, 2)), "<"),
    "renyi": ("#8C510A", (0, (2, 1.4)), ">"),
}

RC: Mapping[str, Any] = {
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib: the same glyphs on every machine
    "mathtext.fontset": "dejavusans",
    "font.size": 8.5,
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "axes.titleweight": "regular",
    "axes.titlelocation": "left",
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.edgecolor": "#444444",
    "axes.grid": False,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "xtick.labelcolor": "#1A1A1A",
    "ytick.labelcolor": "#1A1A1A",
    "xtick.direction": "out",
    "ytick.direction": "out",
    "xtick.major.width": 0.8,
    "ytick.major.width": 0.8,
    "xtick.minor.width": 0.5,
    "ytick.minor.width": 0.5,
    "xtick.minor.size": 1.8,
    "ytick.minor.size": 1.8,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "lines.markeredgewidth": 0.9,
    "svg.fonttype": "path",  # the same picture where the font is missing
    "pdf.fonttype": 42,
    "axes.formatter.useoffset": False,
}


@contextmanager
def applied() -> Iterator[None]:
    """Draw under the house style; the figure runner opens it around `draw` and around saving."""
    with mpl.rc_context(cast(Any, dict(RC))):  # its keys are a closed set to the type checker
        yield


def figure(
    rows: int = 1,
    cols: int = 1,
    *,
    width: float = WIDE,
    height: float | None = None,
    letters: bool | None = None,
    **subplots: Any,
) -> tuple[Figure, np.ndarray]:
    """Make a figure of print size with a (rows, cols) array of axes.

    Args:
        rows: number of rows of panels, at least 1.
        cols: number of columns of panels, at least 1.
        width: width in inch at print size, in (0, 7.2]; `SINGLE` or `WIDE`.
        height: height in inch; by default panels three quarters as high as they are wide.
        letters: whether panels carry letters a, b, ...; by default where there is more than one.
        subplots: further arguments of `Figure.subplots`, such as `sharey=True`.

    Returns:
        The figure (constrained layout, no pyplot state) and its axes, shape (rows, cols).

    Raises:
        ValueError: for an empty grid of panels or a width outside (0, 7.2].
    """
    if rows < 1 or cols < 1:
        raise ValueError(f"rows={rows}, cols={cols} must both be at least 1")
    if not 0 < width <= 7.2:
        raise ValueError(f"width={width:g} must lie in (0, 7.2] inch: larger figures shrink their text in print")
    tall = height if height is not None else rows * min(0.75 * width / cols, 2.9) + 0.1
    with applied():
        fig = Figure(figsize=(width, tall), layout="constrained")
        axes = fig.subplots(rows, cols, squeeze=False, **subplots)
        if letters if letters is not None else axes.size > 1:
            for letter, ax in zip("abcdefghijklmnopqrstuvwxyz", axes.flat, strict=False):
                panel_letter(ax, letter)
    return fig, axes


def panel_letter(ax: Axes, letter: str) -> None:
    """Put a bold letter above the upper left corner of a panel, left of any title."""
    ax.annotate(
        letter,
        xy=(0, 1),
        xycoords="axes fraction",
        xytext=(-22, 6),
        textcoords="offset points",
        fontsize=10,
        fontweight="bold",
        va="baseline",
        ha="left",
        annotation_clip=False,
    )


def line(meaning: str, **changes: Any) -> dict[str, Any]:
    """Keyword arguments of a curve by its meaning, a key of `COLORS`: colour, line style, label left to the caller.

    >>> line("exact")["color"]
    '#0072B2'
    """
    if meaning not in LINES:
        raise ValueError(f"meaning={meaning!r} must be one of {', '.join(LINES)}")
    return {"color": COLORS[meaning], "linestyle": LINES[meaning], **changes}


def points(meaning: str = "solver", **changes: Any) -> dict[str, Any]:
    """Keyword arguments of open markers by meaning (by default points of an independent solver), above the curves."""
    if meaning not in COLORS:
        raise ValueError(f"meaning={meaning!r} must be one of {', '.join(COLORS)}")
    color = COLORS[meaning]
    look = {"color": color, "linestyle": "none", "marker": "o", "markerfacecolor": "white", "zorder": 4}
    return {**look, "markeredgecolor": color, **changes}


def divergence(name: str, **changes: Any) -> dict[str, Any]:
    """Keyword arguments of a curve of one divergence, by its library name: colour and line style."""
    if name not in DIVERGENCES:
        raise ValueError(f"name={name!r} must be one of {', '.join(DIVERGENCES)}")
    color, style, _ = DIVERGENCES[name]
    return {"color": color, "linestyle": style, **changes}


def ramp(count: int, *, low: float = 0.05, high: float = 0.85) -> list[str]:
    """Colours for an ordered parameter, dark to light, even in lightness and printable in grey.

    >>> len(ramp(4))
    4
    """
    if count < 1:
        raise ValueError(f"count={count} must be at least 1")
    places = np.linspace(low, high, count) if count > 1 else np.array([0.4])
    return [to_hex(mpl.colormaps["viridis"](place)) for place in places]


class _LogLabels(LogFormatterSciNotation):
    """Powers of ten; plain numbers where the axis is so short that it also labels its minor ticks."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        assert self.axis is not None  # matplotlib sets it
        low, high = sorted(self.axis.get_view_interval())
        label: str = super().__call__(x, pos)
        plain = 0 < low < high < 21 * low and 1e-3 <= x < 1e4
        return f"{x:g}" if label and plain else label


def log_axes(ax: Axes, which: str = "xy", *, grid: bool = True) -> None:
    """Set logarithmic axes ("x", "y" or "xy") with one label a decade at most and a light grid."""
    if which not in ("x", "y", "xy"):
        raise ValueError(f"which={which!r} must be 'x', 'y' or 'xy'")
    for name in which:
        axis = ax.xaxis if name == "x" else ax.yaxis
        (ax.set_xscale if name == "x" else ax.set_yscale)("log")
        axis.set_major_locator(LogLocator(base=10, numticks=8))
        axis.set_minor_locator(LogLocator(base=10, subs=tuple(np.arange(2, 10)), numticks=8))  # none on long axes
        axis.set_major_formatter(_LogLabels(10))
        axis.set_minor_formatter(_LogLabels(10, labelOnlyBase=False, minor_thresholds=(1.3, 0.5)))
    if grid:
        ax.grid(True, which="major", axis="both" if which == "xy" else which)  # type: ignore[arg-type]


def direct_label(ax: Axes, x: float, y: float, text: str, meaning: str = "exact", **changes: Any) -> None:
    """Write a label at data point (x, y), in the colour of its meaning (or `color=`), on a white halo."""
    from matplotlib.patheffects import withStroke

    options: dict[str, Any] = {
        "color": COLORS.get(meaning, COLORS["solver"]),
        "fontsize": 8,
        "xytext": (4, 4),
        "textcoords": "offset points",
        "ha": "left",
        "va": "bottom",
        "path_effects": [withStroke(linewidth=2.5, foreground="white")],
    }
    ax.annotate(text, xy=(x, y), **{**options, **changes})


def label_ends(ax: Axes, ends: Sequence[tuple[float, float, str, str]], *, gap: float = 10.0) -> None:
    """Label curves at their right ends, moved apart so that no two labels overlap.

    Args:
        ax: axes whose limits and scales are final.
        ends: for each curve (x, y, text, colour), in data coordinates.
        gap: least distance between the centres of two labels, in points.
    """
    fig = ax.figure
    at = np.array([ax.transData.transform((x, y))[1] for x, y, _, _ in ends]) * 72 / fig.dpi  # pixels to points
    order = np.argsort(at)
    place = at[order].copy()
    for _ in range(200):  # push neighbours apart symmetrically until none overlap
        close = np.diff(place) < gap - 1e-9
        if not close.any():
            break
        for i in np.flatnonzero(close):
            push = (gap - (place[i + 1] - place[i])) / 2
            place[i], place[i + 1] = place[i] - push, place[i + 1] + push
    for where, i in zip(place, order, strict=True):
        x, y, text, color = ends[i]
        direct_label(ax, x, y, text, color=color, xytext=(5, where - at[i]), va="center", annotation_clip=False)


def guide(ax: Axes, x: Sequence[float], y0: float, order: float, text: str = "") -> None:
    """Draw a grey line of slope `order` on log-log axes from (x[0], y0) to x[1], with its label in the middle."""
    lo, hi = float(x[0]), float(x[1])
    ax.plot([lo, hi], [y0, y0 * (hi / lo) ** order], **line("muted", linewidth=1.1))
    if text:
        direct_label(ax, (lo * hi) ** 0.5, y0 * (hi / lo) ** (order / 2), text, "muted")
