"""A forest plot: one estimate a row with its interval, the truth and the ceilings where they are known."""

import math
import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from drocl import catalogue
from drocl.report import estimate_table, figures

PICTURES = ("png", "svg", "pdf")
# the colours "exact", "solver", "muted" and "printed" of figures/style.py
TRUTH, POINT, GUIDE, WARNED = "#0072B2", "#1A1A1A", "#767676", "#D55E00"
LABEL = 30  # letters a line
Row = Mapping[str, Any]


def clear(out: Path) -> None:
    """Remove the pictures of an earlier run: they would show other numbers than the tables beside them."""
    for suffix in PICTURES:
        (out / f"mi.{suffix}").unlink(missing_ok=True)


def draw(out: Path, document: Mapping[str, Any]) -> list[Path]:
    """Draw `mi.png`, `mi.svg` and `mi.pdf`: a point and an interval an estimator, the truth and ceilings where they are known.

    Args:
        out: folder.
        document: as `write_tables`.

    Returns:
        The files; none where no estimator gave a finite number.
    """
    if not any(_finite(row) for row in document["results"]):
        return []
    with _style():
        drawing = _forest(document)
        figures._check_text(drawing)
        title = f"Mutual information, {document['source']}"
        pictures = figures._pictures(drawing, figures.FigureFile("mi", title, "", "", (), out))
    for suffix in PICTURES:
        figures._write(out / f"mi.{suffix}", pictures[suffix])
    return [out / f"mi.{suffix}" for suffix in PICTURES]


def _style() -> Any:
    """The house style of the catalogue; matplotlib's where there is none, which is no reason not to draw."""
    try:
        return figures._style(catalogue.find())
    except catalogue.CatalogueError:
        return nullcontext()


def _finite(row: Row) -> bool:
    return "value" in row and math.isfinite(row["value"])


def _forest(document: Mapping[str, Any]) -> Any:
    from matplotlib.figure import Figure

    rows: Sequence[Row] = document["results"]
    shown, labels = [row for row in rows if _finite(row)], [_label(row) for row in rows]
    pitch = 0.14 + 0.13 * max(label.count("\n") + 1 for label in labels)
    figure = Figure(figsize=(7.0, 0.8 + pitch * len(rows)), layout="constrained")
    ax = figure.subplots()
    low, high = _span(shown)
    ax.set_xlim(low, high)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    if low < 0.0:
        ax.axvline(0.0, color=GUIDE, linestyle=(0, (1, 1.5)), linewidth=0.9)
    for place, row in enumerate(rows):
        _line(ax, place, row, (low, high))
    truth = document.get("truth")
    if truth is not None and low <= truth <= high:
        ax.axvline(truth, color=TRUTH, linewidth=1.3, zorder=1)
        ax.annotate(
            f"truth {truth:.3f}", (truth, 1.0), (0, 2), xycoords=("data", "axes fraction"), textcoords="offset points",
            color=TRUTH, fontsize=8, ha="center", va="bottom", annotation_clip=False,
        )  # fmt: skip
    ax.set_yticks(range(len(rows)), labels, parse_math=False)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(f"nats, with {document['settings']['level']:.0%} intervals" + _key(shown, high))
    ax.set_title(
        f"{document['source']}, n = {document['n']:,}", loc="left", pad=16 if truth is not None else 6, parse_math=False
    )
    return figure


def _line(ax: Any, place: int, row: Row, span: tuple[float, float]) -> None:
    """One estimator: interval, point, own truth and ceiling, and the numbers at the right."""
    if not _finite(row):
        words = "failed" if "error" in row else f"{row['value']}"
        ax.annotate(words, (0.01, place), xycoords=("axes fraction", "data"), color=WARNED, fontsize=8, va="center")
        return
    color = WARNED if row["warnings"] else POINT
    inside = [min(max(end, span[0]), span[1]) for end in (row["lo"], row["hi"])]  # an end may be infinite, or far off
    ax.plot(inside, [place, place], color=color, linewidth=1.6, solid_capstyle="butt", zorder=3)
    face, at = "white" if row["warnings"] else color, min(max(row["value"], span[0]), span[1])
    mark = "o" if at == row["value"] else "<" if at == span[0] else ">"
    ax.plot([at], [place], marker=mark, color=color, markerfacecolor=face, zorder=4, clip_on=False)
    if row["quantity"] != "kl" and row["truth"] is not None:
        ax.plot([row["truth"]], [place], marker="|", markersize=11, markeredgewidth=1.3, color=TRUTH, zorder=2)
    if row["ceiling"] <= span[1]:
        ax.plot([row["ceiling"]] * 2, [place - 0.35, place + 0.35], color=GUIDE, linewidth=2.4, zorder=2)
    ax.annotate(
        estimate_table.words(row, 3), (1.0, place), (8, 0), xycoords=("axes fraction", "data"),
        textcoords="offset points", fontsize=8, va="center", annotation_clip=False,
    )  # fmt: skip


def _span(shown: Sequence[Row]) -> tuple[float, float]:
    """Limits that hold intervals, truths, near ceilings, and zero if it is near; estimates far off the others get an arrow."""
    main = [row for row in shown if row["quantity"] == "kl"] or shown
    truths = [row["truth"] for row in main if row["truth"] is not None and math.isfinite(row["truth"])]
    scale = max([0.05, float(np.median([abs(row["value"]) for row in main])), *map(abs, truths)])
    ends = [end for row in main for end in (row["lo"], row["value"], row["hi"])] + truths
    ends = [end for end in ends if -2.0 * scale <= end <= 4.0 * scale]
    low, high = min(ends), max(ends)
    if high - low > 0.5 * low:
        low = min(low, 0.0)
    high = max([high, *(row["ceiling"] for row in shown if row["ceiling"] <= high + 0.5 * (high - low))])
    margin = 0.04 * (high - low) or 0.05
    return low - margin, high + margin


def _label(row: Row) -> str:
    """What the table says, broken at options where it is long."""
    lines = [""]
    for piece in re.split(r"(?<=[:,])|(?= \()", estimate_table.label(row)):
        if len(lines[-1]) + len(piece) > LABEL and lines[-1]:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.strip() for line in lines)


def _key(shown: Sequence[Row], high: float) -> str:
    words = []
    if any(row["warnings"] for row in shown):
        words.append("open and orange: with a warning")
    if any(row["ceiling"] <= high for row in shown):
        words.append("grey bar: ceiling of the estimator")
    return f" ({'; '.join(words)})" if words else ""
