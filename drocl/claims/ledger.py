"""CLAIMS.md: the verdicts on record, written by `drocl verify --write` and compared by `--check`."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drocl.results import write_atomically

HEADER = ("claim", "source", "statement", "verdict", "control", "command")
DIGITS, MOST_DIGITS = 3, 9  # what another machine's rounding does not change
_UNSAID = "not run"


@dataclass(frozen=True)
class Difference:
    """One way in which a run and the record differ.

    Args:
        id: the claim.
        recorded: its verdict on record, or None where it has none.
        found: its verdict now, or None where the catalogue no longer has it.
    """

    id: str
    recorded: str | None
    found: str | None

    def __str__(self) -> str:
        if self.recorded is None:
            return f"{self.id}: {self.found}, and not on record"
        if self.found is None:
            return f"{self.id}: on record as {self.recorded}, and not in the catalogue"
        return f"{self.id}: on record as {self.recorded}, now {self.found}"


def read(path: Path) -> dict[str, str] | None:
    """Read the verdicts on record.

    Args:
        path: CLAIMS.md.

    Returns:
        id -> verdict, or None if there is no such file.

    Raises:
        ValueError: if the file has no table of claims, or names a claim twice.
    """
    if not path.is_file():
        return None
    verdicts: dict[str, str] = {}
    columns: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if tuple(cells) == HEADER:
            columns = cells
        elif columns and not line.startswith("|"):
            break
        elif columns and len(cells) == len(columns) and cells[0].startswith("`"):
            name = cells[0].strip("`")
            if name in verdicts:
                raise ValueError(f"{path}: claim {name!r} is there twice")
            verdicts[name] = cells[columns.index("verdict")].strip("*")
    if not columns:
        raise ValueError(f"{path}: no table of claims; write it with `drocl verify --write`")
    return verdicts


def differences(
    records: Sequence[Mapping[str, Any]], recorded: Mapping[str, str], catalogue_ids: Collection[str]
) -> list[Difference]:
    """Compare a run with the record; "not run", on either side, says nothing.

    Args:
        records: records of the run.
        recorded: id -> verdict on record.
        catalogue_ids: all ids of the catalogue.

    Returns:
        The differences, in the order of the run; claims that are no longer in the catalogue last.
    """
    found = {entry["id"]: entry["verdict"] for entry in records}
    changed = [
        Difference(name, recorded.get(name), verdict)
        for name, verdict in found.items()
        if name not in recorded or (verdict != recorded[name] and _UNSAID not in (verdict, recorded[name]))
    ]
    return changed + [Difference(name, recorded[name], None) for name in recorded if name not in catalogue_ids]


def write(path: Path, records: Sequence[Mapping[str, Any]], profile: str) -> None:
    """Write the record: the table, then what was found to be violated. No number in it depends on the machine's speed.

    Args:
        path: CLAIMS.md.
        records: the records of all claims.
        profile: the profile they ran at.
    """
    write_atomically(path, text(records, profile))


def text(records: Sequence[Mapping[str, Any]], profile: str) -> str:
    """The text of CLAIMS.md.

    Args:
        records: the records of all claims.
        profile: the profile they ran at.

    Returns:
        Markdown.
    """
    lines = [
        "# Claims",
        "",
        f"Written by `drocl verify --write` (profile {profile}); `drocl verify --check` fails where a verdict differs.",
        "A verdict follows from the evidence; *rejected* means that the check, given a wrong ingredient, says so",
        "(and for a violated claim: that with the repaired ingredient it holds).",
        "",
        f"| {' | '.join(HEADER)} |",
        f"|{'---|' * len(HEADER)}",
        *(_table_row(entry) for entry in records),
        "",
        *_findings(records),
        *_unsettled(records),
    ]
    return "\n".join(lines).rstrip() + "\n"


def describe(row: Mapping[str, Any]) -> str:
    """One evidence row in words.

    Args:
        row: a row of a record.

    Returns:
        Parameters, both sides, gap and what is allowed, to three digits; to more where two sides would look the same.
    """
    names = ", ".join(f"{name} = {_number(value)}" for name, value in row["params"].items())
    if row["role"] in ("attack", "control attack"):
        names = "found by search"
    between = ""
    if row["interval"]:
        between = f", interval [{_number(row['interval'][0])}, {_number(row['interval'][1])}]"
    lhs, rhs = row["lhs"], row["rhs"]
    digits = next((n for n in range(DIGITS, MOST_DIGITS) if _number(lhs, n) != _number(rhs, n)), DIGITS)
    return (
        f"{names or 'the one case'}: {_number(lhs, digits)} against {_number(rhs, digits)}, "
        f"gap {_number(row['gap'])}{between}, allowed {_number(row['allowed'])}"
    )


def _table_row(entry: Mapping[str, Any]) -> str:
    verdict = entry["verdict"] if entry["verdict"].startswith("holds") else f"**{entry['verdict']}**"
    cells = (f"`{entry['id']}`", entry["source"], f"${entry['statement']}$", verdict, entry["control"],
             f"`{entry['command']}`")  # fmt: skip
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _cell(words: str) -> str:
    """A table cell cannot hold a bar or a line break; in TeX a bar has another name."""
    words = re.sub(r"\\\|", r"\\Vert ", words)
    return " ".join(words.replace("|", r"\vert ").split())


def _findings(records: Sequence[Mapping[str, Any]]) -> list[str]:
    violated = [entry for entry in records if entry["verdict"] == "violated"]
    if not violated:
        return []
    lines = ["## Findings", "", "Printed statements that fail, each with the smallest counterexample found.", ""]
    for entry in violated:
        case = entry["counterexample"]
        repaired = repairs_of(entry["id"], records)
        lines += [f"- **{entry['title']}** (`{entry['id']}`; {entry['source']}).",
                  f"  Counterexample: {describe(case)}. `{case['command']}`",
                  *([f"  Repaired: {', '.join(f'`{name}`' for name in repaired)}."] if repaired else [])]  # fmt: skip
    return [*lines, ""]


def repairs_of(name: str, records: Sequence[Mapping[str, Any]]) -> list[str]:
    """The claims that repair one, or, where none says so, those that build on it.

    Args:
        name: id of the violated claim.
        records: all records.

    Returns:
        Their ids.
    """
    stated = [entry["id"] for entry in records if entry["repairs"] == name]
    return stated or [
        entry["id"] for entry in records if name in entry["uses"] and entry["verdict"].startswith("holds")
    ]


def _unsettled(records: Sequence[Mapping[str, Any]]) -> list[str]:
    entries = [entry for entry in records if entry["verdict"] in ("inconclusive", _UNSAID)]
    if not entries:
        return []
    return ["## Not settled", "", *(f"- `{entry['id']}`: {entry['verdict']} ({entry['reason']})" for entry in entries)]


def _number(value: Any, digits: int = DIGITS) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return str(value) if isinstance(value, int) else f"{value:.{digits}g}"
