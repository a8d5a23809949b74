"""Records: what claims.json says of each claim and of the run."""

import json
import platform
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import drocl
from drocl import results
from drocl.catalogue import Catalogue
from drocl.claims.judge import control_outcome, passed, smallest_counterexample, vacuity, verdict, worst
from drocl.claims.plan import Plan, Request, command
from drocl.engine import available_cores

SCHEMA = 1


def record(plan: Plan, rows: Sequence[Mapping[str, Any]], request: Request, catalogue: Catalogue) -> dict[str, Any]:
    """What claims.json says of a claim.

    Args:
        plan: the claim and its cases.
        rows: a row a case, in the same order.
        request: what was asked.
        catalogue: where the claim is (paths are relative to it).

    Returns:
        JSON-able fields.
    """
    made = plan.claim
    told = [{**row, "passed": passed(row), "command": command(made, request, row["params"])} for row in rows]
    own = [row for row in told if row["role"] in ("claim", "attack")]
    control = [row for row in told if row["role"] not in ("claim", "attack")]
    found, control_found = verdict(own), verdict(control)
    nearest, ratios = worst(own), vacuity(own)
    told_apart = made.control_expects == "holds"  # a control row counts as rejected if it shows what it should
    return {
        "id": made.id,
        "title": made.title,
        "source": made.source,
        "asserts": made.asserts,
        "statement": made.statement,
        "assumes": list(made.assumes),
        "uses": list(made.uses),
        "repairs": made.repairs,
        "file": made.file.relative_to(catalogue.root).as_posix(),
        "line": made.line,
        "verdict": found,
        "reason": _why(found, plan.reason, own),
        "control": control_outcome(found, control_found, made.control_expects),
        "control_verdict": control_found,
        "control_expects": made.control_expects,
        "control_says": made.control_says,
        "control_cases": [sum(row["passed"] is told_apart for row in control), len(control)],
        "cases": [sum(row["passed"] is True for row in own), len(own)],
        "worst": nearest,
        "counterexample": smallest_counterexample(own, made.size_axis),
        "allowed": nearest["allowed"] if nearest else None,
        "tolerance": made.tolerance,
        "command": command(made, request),
        "figure": made.figure,
        "cost": made.cost,
        "device": made.device,
        "profiles": list(made.profiles),
        "sampled": made.sampled,
        "seconds": sum(float(row["seconds"]) for row in told),
        "vacuity": ratios[1] if ratios else None,
        "vacuity_range": [ratios[0], ratios[2]] if ratios else None,
        "attack": next((row for row in own if row["role"] == "attack"), None),
        "evidence": own,
        "control_evidence": control,
    }


def meta(
    catalogue: Catalogue,
    request: Request,
    records: Sequence[Mapping[str, Any]],
    loaded: int,
    computed: int,
    seconds: float,
) -> dict[str, Any]:
    """What claims.json says of the run.

    Args:
        catalogue: where the claims are.
        request: what was asked.
        records: the records.
        loaded: cases read from the store.
        computed: cases computed.
        seconds: wall time.

    Returns:
        JSON-able fields.
    """
    commit, dirty = _commit(catalogue)
    return {
        "version": drocl.__version__,
        "commit": commit,
        "dirty": dirty,
        "catalogue": catalogue.kind,
        "profile": request.profile,
        "seed": request.seed,
        "overrides": results.jsonable(request.overrides),
        "embeddings": None if request.embeddings is None else str(request.embeddings),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "libraries": results.library_versions(),
        "device": f"{platform.machine()}, {platform.system()}",
        "cores": available_cores(),
        "wall_seconds": seconds,
        "compute_seconds": sum(float(entry["seconds"]) for entry in records),
        "loaded": loaded,
        "computed": computed,
        "counts": dict(Counter(entry["verdict"] for entry in records)),
        "controls": dict(Counter(entry["control"] for entry in records)),
    }


def write(folder: Path, about: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> Path:
    """Write claims.json.

    Args:
        folder: where.
        about: what `meta` gave.
        records: what `record` gave.

    Returns:
        Its path.
    """
    path = folder / "claims.json"
    whole = results.jsonable({"schema": SCHEMA, "meta": about, "claims": records})
    results.write_atomically(path, json.dumps(whole, indent=1, allow_nan=False) + "\n")
    return path


def read(folder: Path) -> dict[str, Any]:
    """Read claims.json.

    Args:
        folder: where it is.

    Returns:
        Its contents.

    Raises:
        ValueError: if there is none, or it has another schema.
    """
    path = folder / "claims.json"
    try:
        held: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: no readable claims.json; run `drocl verify --out {folder}` first") from error
    if held.get("schema") != SCHEMA:
        raise ValueError(f"{path}: schema {held.get('schema')!r}, this version reads {SCHEMA}")
    return held


def _why(found: str, reason: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """The reason behind "not run" and "inconclusive"; else nothing."""
    if found == "not run":
        return reason or "no cases"
    if found != "inconclusive":
        return ""
    undecided = [row for row in rows if row["passed"] is None]
    status = undecided[0]["status"]
    if status in ("ok", "certified"):
        status = "the interval straddles what is allowed" if undecided[0]["interval"] else "a number is not finite"
    return f"{len(undecided)} of {len(rows)} cases: {status}"


def _commit(catalogue: Catalogue) -> tuple[str | None, bool | None]:
    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(catalogue.root), *words], capture_output=True, text=True, timeout=20)
        if done.returncode:
            raise OSError(done.stderr)
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain"))
    except (OSError, subprocess.SubprocessError):
        return None, None
