"""What a run writes while it trains: rows of metrics.csv, and the same numbers for TensorBoard."""

import csv
import io
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drocl import results

METRICS = "metrics.csv"
COLUMNS = (
    "step", "epoch", "loss", "learning_rate", "temperature", "radius", "effective_negatives", "false_negative_mass",
    "clamp_fraction", "quality", "examples_per_second",
)  # fmt: skip


class Log:
    """Rows of numbers: in memory, in metrics.csv, and for TensorBoard.

    Args:
        folder: of the run; None keeps them in memory.
        step: of the checkpoint that the run goes on from: rows after it are cut away, as if they had not been.
        board: also for TensorBoard, where it is installed.
        before: folder with the rows up to that step; None is `folder`.

    Raises:
        ValueError: a metrics.csv that is none.
    """

    def __init__(self, folder: Path | None, step: int, *, board: bool = True, before: Path | None = None) -> None:
        self.rows: list[dict[str, float]] = []
        self.path = None if folder is None else folder / METRICS
        self.board: Any = None
        if folder is None:
            return
        assert self.path is not None
        old = (before or folder) / METRICS
        if step > 0 and old.exists():
            self.rows = [row for row in read(old) if row["step"] <= step]
        results.write_atomically(self.path, _text([], header=True) + _text(self.rows))
        if step == 0:
            shutil.rmtree(folder / "tensorboard", ignore_errors=True)  # of a run that left no checkpoint
        if board:
            self.board = _board(folder / "tensorboard", step)

    def write(self, row: Mapping[str, float]) -> None:
        """Add a row; the columns are `COLUMNS`, and what is unknown stays empty."""
        held = {name: float(row[name]) for name in COLUMNS if name in row}
        self.rows.append(held)
        if self.path is not None:
            with open(self.path, "a", encoding="utf-8", newline="") as file:
                file.write(_text([held]))
        if self.board is not None:
            for name, value in held.items():
                if name not in ("step", "epoch"):
                    self.board.add_scalar(name, value, int(held["step"]))

    def keep(self) -> None:
        """Bring what was written to the disk: before a checkpoint says that it is there."""
        if self.board is not None:
            self.board.flush()
        if self.path is not None:
            with open(self.path, "rb") as file:
                os.fsync(file.fileno())

    def close(self) -> None:
        """Close the files."""
        if self.board is not None:
            self.board.close()


def read(path: Path) -> list[dict[str, float]]:
    """The rows of a metrics.csv; a last line that a crash cut short is left out.

    Raises:
        ValueError: other columns.
    """
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    lines = csv.DictReader(io.StringIO(whole, newline=""))
    if tuple(lines.fieldnames or ()) != COLUMNS:
        raise ValueError(f"{path} holds other columns than a run of drocl: {lines.fieldnames}")
    try:
        return [{name: float(value) for name, value in row.items() if value} for row in lines]
    except (ValueError, TypeError):
        raise ValueError(f"{path} holds a row that is no numbers: mend it, or begin again with --fresh") from None


def _text(rows: list[dict[str, Any]], *, header: bool = False) -> str:
    out = io.StringIO(newline="")
    made = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    if header:
        made.writeheader()
    made.writerows({name: repr(value) if isinstance(value, float) else value for name, value in row.items()} for row in rows)
    return out.getvalue()


def _board(folder: Path, step: int) -> Any:
    """TensorBoard's writer; None where tensorboard is not installed (metrics.csv holds the same numbers)."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)  # type: ignore[no-untyped-call]
