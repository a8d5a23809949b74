"""`drocl mi`: estimators on a file or a task, one after the other; what they find as JSON, CSV, plot and table."""

import csv
import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

import drocl
from drocl import results
from drocl.mi import _survey
from drocl.mi._files import Sample, draw, load
from drocl.report import estimate_table, forest

SCHEMA = 1
PAIRS = 2000
COLUMNS = (
    "estimator", "value", "lo", "hi", "level", "quantity", "truth", "ceiling", "n_train", "n_test", "seconds", "warnings", "error",
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """The words of the command line; see `drocl mi --help`."""

    file: Path | None = None
    x: str | None = None
    y: str | None = None
    header: bool | None = None
    task: str | None = None
    n: int | None = None
    estimators: str = "auto"
    options: tuple[str, ...] = ()
    level: float = 0.9
    preprocess: str | None = None
    folds: int | None = None
    seed: int = 0
    device: str = "cpu"

    def sample(self) -> Sample:
        """The pairs.

        Raises:
            ValueError: neither file nor task, or both; what cannot be read or drawn.
        """
        if (self.file is None) == (self.task is None):
            raise ValueError(
                "file, task: give one of them" + ("" if self.file else ", e.g. pairs.npz or --task 1v1-normal-0.75")
            )
        if self.file is None:
            if given := [name for name in ("x", "y", "header") if getattr(self, name) is not None]:
                raise ValueError(f"{given[0]}: is for a file; a task brings its own x and y")
            return draw(str(self.task), PAIRS if self.n is None else self.n, self.seed)
        if self.n is not None:
            raise ValueError(f"n={self.n} is for a task; a file is taken whole")
        return load(self.file, self.x, self.y, self.header)

    def settings(self) -> _survey.Settings:
        """What all estimators share."""
        return _survey.Settings(self.level, self.preprocess, self.folds, self.seed, self.device)


def survey(asked: Asked, out: Path, screen: Console, *, fresh: bool = False) -> bool:
    """Run the estimators, print the table and the paths of what was written.

    Each result is in `out/store`, and in `out/mi.json`, before the next estimator begins.

    Args:
        asked: of the command line.
        out: folder of the results.
        screen: where the table goes.
        fresh: compute also what is stored.

    Returns:
        Whether every estimator gave a number, and the picture could be drawn.

    Raises:
        ValueError: wrong input or options, before any estimator runs.
        OSError: a folder that cannot be written.
    """
    settings = asked.settings()
    choices = _survey.parse(asked.estimators, asked.options)
    sample = asked.sample()
    notes = (*sample.notes, *_survey.check(sample, settings))
    _writable(out)
    document = {
        "source": sample.source, "n": len(sample.x), "columns": dict(zip("xy", sample.names, strict=True)), "notes": notes,
        "data_sha256": sample.digest, "truth": None if sample.task is None else sample.task.mutual_information,
        "settings": asdict(settings), "asked": asdict(asked), "complete": False,
    }  # fmt: skip
    rows = _rows(sample, choices, settings, out, document, fresh)
    document = {**document, "complete": True, "results": rows}
    files, undrawn = write_tables(out, document), ""
    try:
        files += forest.draw(out, document)
    except Exception as problem:  # the numbers are worth having without a picture
        undrawn = f"the picture could not be drawn: {type(problem).__name__}: {problem}"
    estimate_table.show(screen, document)
    for path in files:
        screen.print(f"{path}", soft_wrap=True, highlight=False, markup=False)
    if undrawn:
        print(f"drocl: {undrawn}", file=sys.stderr)
    return not (undrawn or any("error" in row or row["value"] != row["value"] for row in rows))


def _rows(
    sample: Sample, choices: Sequence[_survey.Choice], settings: _survey.Settings, out: Path, document: Mapping[str, Any], fresh: bool
) -> list[_survey.Row]:  # fmt: skip
    forest.clear(out)
    rows: list[_survey.Row] = []

    def begins(place: int, label: str) -> None:
        print(f"{place + 1}/{len(choices)} {label}", file=sys.stderr, flush=True)

    store = results.Store(out / "store")
    store.sweep()
    try:
        for row in _survey.run(
            sample, choices, settings, store, fresh=fresh, progress=sys.stderr.isatty(), begins=begins
        ):
            rows.append(row)
            write_tables(out, {**document, "results": rows})
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"stopped after {len(rows)} of {len(choices)} estimators; what finished is stored, the same command resumes"
        ) from None
    return rows


def _writable(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    if not os.access(out, os.W_OK | os.X_OK):
        raise PermissionError(13, "Permission denied", str(out))


def write_tables(out: Path, document: Mapping[str, Any]) -> list[Path]:
    """Write `mi.json` and `mi.csv`, whole or not at all.

    Args:
        out: folder.
        document: what was asked and found: `source`, `n`, `truth`, `settings`, `results` and more.

    Returns:
        The files.
    """
    rows: Sequence[_survey.Row] = document["results"]
    whole = {"schema": SCHEMA, "drocl": drocl.__version__, "libraries": results.library_versions(), **document}
    written = json.dumps(results.jsonable(whole), indent=1, ensure_ascii=False, allow_nan=False)
    results.write_atomically(out / "mi.json", written + "\n")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        cells = {**row, "warnings": " | ".join(row.get("warnings", ()))}
        writer.writerow(["" if cells.get(name) is None else cells.get(name, "") for name in COLUMNS])
    results.write_atomically(out / "mi.csv", text.getvalue())
    return [out / "mi.json", out / "mi.csv"]
