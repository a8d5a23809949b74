"""Run the cases of claims: stored results are loaded, the rest computed, and each is stored as it finishes."""

import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from drocl import engine as engines
from drocl import results
from drocl.catalogue import Catalogue, find
from drocl.claims import junit, ledger, registry
from drocl.claims import plan as planning
from drocl.claims import record as recording
from drocl.claims.embeddings import validate
from drocl.claims.evidence import Evidence
from drocl.claims.plan import Case, Plan, Request
from drocl.claims.sequential import sampled_cases

MOST_WARNINGS = 5

#: Called with (cases done, cases in all, the case's claim) as a run goes on.
Progress = Callable[[int, int, str], None]


class Interrupted(Exception):
    """The run was stopped; what had finished is stored."""

    def __init__(self, done: int, total: int) -> None:
        super().__init__(f"stopped after {done} of {total} cases; what finished is stored, the same command resumes")


@dataclass(frozen=True)
class Run:
    """What a run found.

    Args:
        records: a record a claim, as in claims.json.
        meta: version, profile, libraries, counts, as in claims.json.
        request: what was asked.
        folder: where claims.json and junit.xml are.
        recorded: verdicts of CLAIMS.md by id, or None where there is no such file.
        differences: how the run and CLAIMS.md differ; empty where the run is not of the recorded grid.
        loaded: cases read from the store.
        computed: cases computed.
    """

    records: list[dict[str, Any]]
    meta: dict[str, Any]
    request: Request
    folder: Path
    recorded: dict[str, str] | None
    differences: list[ledger.Difference]
    loaded: int
    computed: int

    @property
    def changed(self) -> list[ledger.Difference]:
        """The verdicts that are on record and are now others."""
        return [one for one in self.differences if None not in (one.recorded, one.found)]

    @property
    def blind(self) -> list[str]:
        """The claims whose control passes."""
        return [entry["id"] for entry in self.records if entry["control"] == "blind"]


def run(
    ids: Sequence[str] | None = None,
    request: Request | None = None,
    *,
    out: Path | str = "drocl-results",
    root: Path | str | None = None,
    jobs: int | None = None,
    engine: str = "loky",
    fresh: bool = False,
    compare: bool | None = None,
    write: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Run claims, compare their verdicts with CLAIMS.md, and write `claims.json` and `junit.xml`.

    Args:
        ids: ids of the claims; None runs all.
        request: profile, seed, overrides, embeddings; the quick profile if None.
        out: folder of the results: `store/`, `claims.json` and `junit.xml`.
        root: folder of the catalogue; None finds it.
        jobs: workers; None takes the cores available.
        engine: "loky".
        fresh: compute again what is stored.
        compare: True compares with CLAIMS.md, which must be there; None does so where it is there, and the run is of
            the recorded grid and seeds.
        write: write CLAIMS.md from this run, which must be of the whole catalogue.
        progress: told of each case as it finishes.

    Returns:
        The records and what is known of the run.

    Raises:
        ValueError: if an argument, the catalogue or the embeddings file is wrong; nothing has run then.
        Interrupted: if the user stops the run.
    """
    started = time.perf_counter()
    request = request or Request()
    engines.check(engine, jobs)
    catalogue = find(root)
    claims = registry.load(root)
    if unknown := [name for name in ids or () if name not in claims]:
        raise ValueError(f"ids={unknown}: no such claim in {catalogue.root}")
    must_compare, compare = bool(compare), _may_compare(request, compare)
    if write:
        _check_writable(catalogue, request, ids)
    recorded = None if write else ledger.read(catalogue.ledger)
    if must_compare and recorded is None:
        raise ValueError(f"check: there is no {catalogue.ledger} to compare with; write it with `drocl verify --write`")
    labelled = True
    if request.embeddings is not None:
        path, labelled = validate(request.embeddings)
        request = replace(request, embeddings=path)
    plans = planning.make(catalogue, claims, list(claims if ids is None else ids), request, no_labels=not labelled)
    store = results.Store(Path(out) / "store")
    store.sweep()
    cases = [case for plan in plans for case in plan.cases]
    rows, loaded = execute(catalogue, cases, store, jobs=jobs, engine=engine, fresh=fresh, progress=progress)
    records = [recording.record(plan, _rows_of(plan, rows), request, catalogue) for plan in plans]
    if write:
        ledger.write(catalogue.ledger, records, request.profile)
        recorded = {entry["id"]: entry["verdict"] for entry in records}
    differences = ledger.differences(records, recorded, claims) if compare and recorded is not None else []
    for entry in records:
        entry["recorded"] = (recorded or {}).get(entry["id"])
    meta = recording.meta(catalogue, request, records, loaded, len(cases) - loaded, time.perf_counter() - started)
    meta |= {"compared": compare and recorded is not None, "differences": [str(one) for one in differences]}
    recording.write(Path(out), meta, records)
    junit.write(Path(out) / "junit.xml", records, recorded, bool(meta["compared"]))
    return Run(records, meta, request, Path(out), recorded, differences, loaded, len(cases) - loaded)


def _may_compare(request: Request, compare: bool | None) -> bool:
    if compare and (request.overrides or request.embeddings is not None):
        raise ValueError("check: CLAIMS.md records the grid, not other axes or other embeddings: leave those out")
    return request.recorded if compare is None else compare


def _check_writable(catalogue: Catalogue, request: Request, ids: Sequence[str] | None) -> None:
    if ids is not None or not request.recorded:
        raise ValueError("write: CLAIMS.md records all claims on their own grids: no ids, axes, seed or embeddings")
    if catalogue.kind == "shipped":
        raise ValueError("write: no checkout to write CLAIMS.md into")


def execute(
    catalogue: Catalogue,
    cases: Sequence[Case],
    store: results.Store,
    *,
    jobs: int | None = None,
    engine: str = "loky",
    fresh: bool = False,
    progress: Progress | None = None,
) -> tuple[dict[str, dict[str, Any]], int]:
    """Load or compute cases.

    Args:
        catalogue: where the claims are.
        cases: the cases.
        store: where results are kept.
        jobs: workers.
        engine: "loky".
        fresh: compute again what is stored.
        progress: told of each case as it finishes.

    Returns:
        Evidence rows by address, and how many were loaded.

    Raises:
        Interrupted: if the user stops the run.
    """
    rows = {} if fresh else {case.address: row for case in cases if (row := store.get(case.address)) is not None}
    loaded, names = len(rows), {case.address: case.claim_id for case in cases}
    # attacks first: they are the longest tasks, and the last to start should be short
    pending = sorted((case for case in cases if case.address not in rows), key=lambda case: case.budget is None)
    try:
        for address, row in _finished(catalogue, pending, store, jobs, engine):
            rows[address] = row
            if progress:
                progress(len(rows), len(cases), names[address])
    except KeyboardInterrupt:
        stored = sum(store.get(case.address) is not None for case in cases)  # workers may have finished more
        raise Interrupted(stored, len(cases)) from None
    return rows, loaded


def _finished(
    catalogue: Catalogue, pending: Sequence[Case], store: results.Store, jobs: int | None, engine: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    items = [(catalogue.root, case, store.folder) for case in pending]
    left = {case.address: case for case in pending}
    try:
        for address, row in engines.run(run_case, items, engine=engine, jobs=jobs):
            left.pop(address)
            yield address, row
    except Exception as error:  # a worker died (memory, a crash in a library): the other claims keep their verdicts
        for address, case in left.items():
            stored = store.get(address)
            yield address, stored or _failed(case, f"error: the worker stopped ({type(error).__name__})")


def run_case(root: Path, case: Case, folder: Path) -> tuple[str, dict[str, Any]]:
    """Run one case and store its row; what a worker does.

    Args:
        root: folder of the catalogue.
        case: the case.
        folder: folder of the store.

    Returns:
        Its address and its row. A case that raised has the status "error: ..." and is not stored.
    """
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught, sampled_cases(case.members):
        warnings.simplefilter("always")
        try:
            _seed_everything(case.seed)
            made = registry.load_one(root, case.file, case.claim_id)
            wrong = made.control if case.role.startswith("control") else {}
            if case.budget is None:
                found = made.check(**case.params, **wrong)
            else:
                assert made.attack is not None
                found = made.attack(case.seed, case.budget, **wrong)
            if not isinstance(found, Evidence):
                raise TypeError(f"the check returned {type(found).__name__}, not Evidence")
        except Exception as error:
            return case.address, _failed(case, f"error: {_in_one_line(error)}")
    row = {
        **vars(found),
        "role": case.role,
        "params": dict(case.params),
        "seed": case.seed,
        "seconds": time.perf_counter() - started,
        "warnings": _messages(caught),
    }
    return case.address, results.Store(folder).put(case.address, row)


def _rows_of(plan: Plan, rows: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [rows[case.address] for case in plan.cases]


def _failed(case: Case, status: str) -> dict[str, Any]:
    row = Evidence(float("nan"), float("nan"), float("nan"), float("nan"), status, params=case.params, seed=case.seed)
    plain: dict[str, Any] = results.jsonable({**vars(row), "role": case.role})
    return plain


def _in_one_line(error: Exception) -> str:
    where = traceback.extract_tb(error.__traceback__)[-1]
    words = (str(error).strip() or "no message").splitlines()[0]
    return f"{type(error).__name__}: {words} ({Path(where.filename).name}:{where.lineno})"


def _messages(caught: Iterable[warnings.WarningMessage]) -> list[str]:
    messages = dict.fromkeys(f"{warning.category.__name__}: {warning.message}" for warning in caught)
    return list(messages)[:MOST_WARNINGS]


def _seed_everything(seed: int) -> None:
    """A check that draws from a global generator still repeats, on any number of workers."""
    import random
    import sys

    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 (the old global generator is what is seeded here)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed)
