"""junit.xml: a test case a claim, for tools that read nothing else."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from drocl.claims.ledger import describe
from drocl.results import write_atomically


def write(path: Path, records: Sequence[Mapping[str, Any]], recorded: Mapping[str, str] | None, compared: bool) -> None:
    """Write junit.xml.

    A claim passes if its verdict is the one on record (a violated one too) and its control is not blind; without a
    record it passes if it holds. What was not run is skipped, with the reason.

    Args:
        path: where.
        records: the records of the run.
        recorded: id -> verdict on record, or None.
        compared: whether the run is of the recorded grid; otherwise only a claim that should hold and does not fails.
    """
    suite = ElementTree.Element("testsuite", name="drocl verify")
    for entry in records:
        case = ElementTree.SubElement(
            suite, "testcase", classname=entry["source"], name=entry["id"], time=f"{entry['seconds']:.3f}"
        )
        if entry["verdict"] == "not run":
            ElementTree.SubElement(case, "skipped", message=entry["reason"])
        elif fault := _fault(entry, (recorded or {}).get(entry["id"]), compared):
            failure = ElementTree.SubElement(case, "failure", message=fault)
            shown = entry["counterexample"] or entry["worst"]
            failure.text = f"{describe(shown)}\n{shown['command']}" if shown else entry["command"]
    for kind, tag in (("tests", "testcase"), ("failures", "testcase/failure"), ("skipped", "testcase/skipped")):
        suite.set(kind, str(len(suite.findall(tag))))
    suite.set("time", f"{sum(float(entry['seconds']) for entry in records):.3f}")
    ElementTree.indent(suite)
    write_atomically(path, '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suite, "unicode") + "\n")


def _fault(entry: Mapping[str, Any], recorded: str | None, compared: bool) -> str:
    """Why a claim fails, or "" if it passes."""
    verdict = entry["verdict"]
    if compared and recorded not in (None, "not run") and verdict != recorded:
        return f"verdict changed from {recorded} to {verdict}"
    if verdict != recorded and not verdict.startswith("holds"):
        return f"{verdict}, and not on record as such"
    if compared and entry["control"] == "blind":
        return f"blind: the control is {entry['control_verdict']}, should be {entry['control_expects']}"
    return ""
