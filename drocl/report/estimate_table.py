"""The table that `drocl mi` prints."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

Row = Mapping[str, Any]


def show(screen: Console, document: Mapping[str, Any]) -> None:
    """Print the table, with the truth where it is known, and warnings below.

    Args:
        screen: where to print.
        document: as `write_tables`.
    """
    sides = " and ".join(f"{side} ({_names(document['columns'][side])})" for side in ("x", "y"))
    screen.print(f"[bold]{escape(document['source'])}[/]: {document['n']:,} pairs of {escape(sides)}", soft_wrap=True)
    for note in document["notes"]:
        screen.print(f"  {escape(note)}", style="dim", soft_wrap=True)
    screen.print(_table(document))
    for row in document["results"]:
        for text in row.get("warnings", ()):
            screen.print(f"[yellow]{escape(str(row['estimator']))}[/]: {escape(text)}", soft_wrap=True)
        if "error" in row:
            screen.print(f"[red]{escape(str(row['estimator']))} failed[/]: {escape(row['error'])}", soft_wrap=True)


def _names(names: Sequence[str], most: int = 6) -> str:
    return f"{len(names)}: {', '.join(names[:most])}" + (", ..." if len(names) > most else "")


def _table(document: Mapping[str, Any]) -> Table:
    truth = document.get("truth")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("estimator", overflow="fold")
    interval, error = f"{document['settings']['level']:.0%} interval", ["error"] if truth is not None else []
    for name in ["nats", interval, *error, "pairs", "seconds"]:
        table.add_column(name, justify="right")
    table.add_column("")
    if truth is not None:
        table.add_row("[bold]truth[/]", f"[bold]{truth:.4f}[/]", "", "", "", "", "")
    for row in document["results"]:
        if "error" in row:
            blank = [""] * (5 if truth is not None else 4)
            table.add_row(escape(str(row["estimator"])), *blank, "[red]failed[/]")
            continue
        error = [] if truth is None else ["" if row["truth"] is None else number(row["value"] - row["truth"], sign="+")]
        table.add_row(
            escape(label(row)), number(row["value"]), escape(f"[{number(row['lo'])}, {number(row['hi'])}]"), *error,
            f"{row['n_test']:,}", f"{row['seconds']:.1f}", _remark(row),
        )  # fmt: skip
    return table


def _remark(row: Row) -> str:
    count = len(row["warnings"])
    words = [f"[yellow]{count} warning{'s' if count > 1 else ''}[/]"] if count else []
    return ", ".join([*words, *(["[dim]stored[/]"] if row["loaded"] else [])])


def number(value: float, digits: int = 4, sign: str = "") -> str:
    """Fixed digits, or four significant ones for what is no information any more.

    >>> number(0.41333), number(-8256324.6)
    ('0.4133', '-8.256e+06')
    """
    return f"{value:{sign}.{digits}f}" if abs(value) < 1e4 else f"{value:{sign}.4g}"


def words(row: Row, digits: int) -> str:
    """Value and interval."""
    return f"{number(row['value'], digits)} [{number(row['lo'], digits)}, {number(row['hi'], digits)}]"


def label(row: Row) -> str:
    """The estimator, and what it estimates where that is not mutual information."""
    other = row.get("quantity", "kl")
    return str(row["estimator"]) + ("" if other == "kl" else f" ({other} information)")
