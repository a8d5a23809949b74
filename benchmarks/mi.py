"""Mutual information against its peers: CPU time of one thread and accuracy, in one run; peers in environments of their own.

python benchmarks/mi.py [--bmi-python PATH] [--mist-python PATH] [--quick] [--tasks N] [--table] [--out benchmarks/results/mi.json]

PATH is the Python of an environment that holds benchmark-mi (it imports with jax==0.4.25 jaxlib==0.4.25) or torch-mist; also from
$DROCL_BMI_PYTHON and $DROCL_MIST_PYTHON. Without it the rows of that peer say so. Times are CPU seconds, the first call apart
(compilers, caches). --table adds bmi's six on all 40 tasks: hours.
"""

import argparse
import json
import os
import shlex
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
import torch
from _measure import apart, save, show

from drocl import mi
from drocl.mi import tasks

HERE = Path(__file__).parent
SIX = {
    "cca": "bmi-cca",
    "ksg": "bmi-ksg",
    "infonce": "bmi-neural",
    "mine": "bmi-neural",
    "dv": "bmi-neural",
    "nwj": "bmi-neural",
}
FAST_TASKS = (
    "1v1-normal-0.75", "multinormal-sparse-3-3-2-2.0", "multinormal-dense-5-5-0.5", "asinh-student-identity-2-2-1",
    "student-identity-2-2-2", "spiral-multinormal-sparse-3-3-2-2.0", "half_cube-multinormal-sparse-5-5-2-2.0", "1v1-additive-0.75",
)  # fmt: skip
Data = tuple[np.ndarray, np.ndarray]


def peer(python: str | None, job: dict[str, Any], data: Data, longest: float) -> dict[str, Any]:
    """Result of a job in a peer's environment, or {"status": why not}."""
    if not python:
        return {"status": f"not run: no environment given for {job['peer'].split('-')[0]} (see --help)"}
    with tempfile.TemporaryDirectory() as folder:
        pairs, note = Path(folder, "pairs.npz"), Path(folder, "job.json")
        np.savez(pairs, x=data[0], y=data[1])
        note.write_text(json.dumps({**job, "data": str(pairs)}))
        found = apart([python, str(HERE / "_mi_peers.py"), str(note)], longest, json.loads, folder)
    return {"status": found} if isinstance(found, str) else {"status": "ok", **found}


def ours(call: Callable[[], float], repeats: int) -> dict[str, Any]:
    """Value and CPU seconds of each call but the first."""
    seconds = []
    for _ in range(repeats + 1):
        start = time.process_time()
        value = float(call())
        seconds.append(time.process_time() - start)
    return {"value": value, "seconds": seconds[1:]}


def compared(
    what: str, case: str, mine: dict[str, Any], theirs: dict[str, Any], truth: float = float("nan")
) -> dict[str, Any]:
    """One row: both values, median seconds, their ratio."""
    row = {
        "comparison": what,
        "case": case,
        "truth": truth,
        "drocl": mine["value"],
        "peer": theirs.get("value", float("nan")),
    }
    own = statistics.median(mine["seconds"])
    other = statistics.median(theirs["seconds"]) if "seconds" in theirs else float("nan")
    return {**row, "drocl_s": own, "peer_s": other, "ratio": other / own, "status": theirs["status"]}


def estimate(x: np.ndarray, y: np.ndarray, name: str, **options: Any) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mi.MIWarning)
        return mi.estimate(x, y, name, **options).value


def neighbours(given: argparse.Namespace) -> list[dict[str, Any]]:
    """KSG with the same k and metric."""
    rows, n = [], 2000 if given.quick else 10_000
    for name in ("1v1-normal-0.75", "multinormal-dense-2-2-0.5", "multinormal-dense-25-25-0.5"):
        task = tasks.get(name)
        x, y = task.sample(n, 7)
        mine = ours(lambda x=x, y=y: estimate(x, y, "ksg", k=5, parts=0), 3)
        theirs = peer(given.bmi_python, {"peer": "bmi-ksg", "k": 5, "repeats": 1}, (x, y), given.longest)
        case = f"{task.dim_x}+{task.dim_y} dimensions, n={n}"
        rows.append(compared("ksg, k=5, against bmi, chebyshev", case, mine, theirs, task.mutual_information))
    return rows


def fast(given: argparse.Namespace) -> list[dict[str, Any]]:
    """The fast presets against bmi's InfoNCE at its defaults."""
    rows, n = [], 2000 if given.quick else 10_000
    for name in FAST_TASKS[: given.tasks]:
        task = tasks.get(name)
        x, y = task.sample(n, 7)
        job = {"peer": "bmi-neural", "estimator": "infonce", "warm": False}
        theirs = peer(given.bmi_python, job, (x, y), given.longest)
        contenders = {
            "auto": ("auto", {}),
            "infonce": ("infonce", {}),
            "dro hellinger": ("dro", {"divergence": "hellinger"}),
        }
        for label, (estimator, options) in contenders.items():
            mine = ours(lambda x=x, y=y, e=estimator, o=options: estimate(x, y, e, preset="fast", **o), 1)
            rows.append(
                compared(f"{label}, fast preset, against bmi's InfoNCE", name, mine, theirs, task.mutual_information)
            )
    return rows


def summed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean absolute error of both and ratio of the total times, a comparison a row."""
    found = []
    for what in dict.fromkeys(row["comparison"] for row in rows):
        some = [row for row in rows if row["comparison"] == what]
        errors = {k: float(np.mean([abs(row[k] - row["truth"]) for row in some])) for k in ("drocl", "peer")}
        total = {k: sum(row[k] for row in some) for k in ("drocl_s", "peer_s")}
        found.append({
            "comparison": what + ": mean absolute error", "case": f"{len(some)} tasks", "truth": 0.0, **errors, **total,
            "ratio": total["peer_s"] / total["drocl_s"], "status": some[0]["status"],
        })  # fmt: skip
    return found


def steps(given: argparse.Namespace) -> list[dict[str, Any]]:
    """The same separable InfoNCE for the same number of steps against torch-mist: seconds of a step from two lengths of training."""
    rows, task = [], tasks.get("multinormal-dense-5-5-0.5")
    x, y = task.sample(5000, 7)
    x, y = (x - x.mean(0)) / x.std(0), (y - y.mean(0)) / y.std(0)
    short, long = (100, 400) if given.quick else (200, 1200)
    for batch, hidden, embed in ((128, [64, 64], 16), (64, [256, 256, 256], 32)):

        def train(count: int, batch: int = batch, hidden: list[int] = hidden, embed: int = embed) -> float:
            tool = mi.make(
                "infonce", critic="separable", hidden=tuple(hidden), embed=embed, steps=count, batch_size=batch, preprocess="none",
                average=0.0, weight_decay=0.0, learning_rate=5e-4, eval_every=10**6, patience=10**6,
            )  # fmt: skip
            fitted = tool.fit(x, y)
            return fitted.history[-1]["train"]

        job = {"peer": "mist-infonce", "batch": batch, "hidden": hidden, "embed": embed, "rate": 5e-4, "repeats": 2}
        mine = {count: ours(lambda c=count: train(c), 2) for count in (short, long)}
        theirs = {c: peer(given.mist_python, {**job, "steps": c}, (x, y), given.longest) for c in (short, long)}
        bad = next((t for t in theirs.values() if t["status"] != "ok"), None)
        slope = {"value": mine[long]["value"], "seconds": [_slope(mine, short, long)]}
        other = bad or {"status": "ok", "value": theirs[long]["value"], "seconds": [_slope(theirs, short, long)]}
        case = f"batch {batch}, {'-'.join(map(str, hidden))}-{embed}, s a step"
        rows.append(compared("separable InfoNCE against torch-mist", case, slope, other, task.mutual_information))
    return rows


def _slope(runs: dict[int, dict[str, Any]], short: int, long: int) -> float:
    return (statistics.median(runs[long]["seconds"]) - statistics.median(runs[short]["seconds"])) / (long - short)


def table(given: argparse.Namespace) -> list[dict[str, Any]]:
    """bmi's six and "auto" on all 40 tasks, a row a task and peer; how often auto is nearest of all (a tie within .01: half)."""
    rows, wins = [], 0.0
    for name in tasks.BENCHMARK:
        task = tasks.get(name)
        x, y = task.sample(2000 if given.quick else 10_000, 7)
        mine = {**ours(lambda x=x, y=y: estimate(x, y, "auto"), 0), "seconds": [float("nan")]}  # one call, not timed
        gaps = []
        for estimator, job in SIX.items():
            asked = {"peer": job, "estimator": estimator, "k": 10, "warm": False}
            theirs = peer(given.bmi_python, asked, (x, y), given.longest)
            rows.append(compared(f"auto against bmi's {estimator}", name, mine, theirs, task.mutual_information))
            if theirs["status"] == "ok":
                gaps.append(abs(theirs["value"] - task.mutual_information))
        own = abs(mine["value"] - task.mutual_information)
        wins += 0.0 if not gaps or own > min(gaps) + 0.01 else 1.0 if own < min(gaps) - 0.01 else 0.5
    print(f"auto nearer than every one of bmi's six: {wins:g} of {len(tasks.BENCHMARK)} tasks (must: 28)")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bmi-python", default=os.environ.get("DROCL_BMI_PYTHON"), help="Python with benchmark-mi")
    parser.add_argument("--mist-python", default=os.environ.get("DROCL_MIST_PYTHON"), help="Python with torch-mist")
    parser.add_argument("--quick", action="store_true", help="n = 2,000 and short trainings")
    parser.add_argument("--tasks", type=int, default=len(FAST_TASKS), help="tasks of the fast presets, at least 1")
    parser.add_argument("--only", choices=("ksg", "fast", "steps", "table"), help="one comparison; all by default")
    parser.add_argument("--table", action="store_true", help="also bmi's six on all 40 tasks")
    parser.add_argument("--longest", type=float, default=600.0, help="seconds that a peer may take for a job")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/mi.json"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    wanted = {"ksg": neighbours, "fast": fast, "steps": steps, "table": table}
    if given.only:
        wanted = {given.only: wanted[given.only]}
    elif not given.table:
        del wanted["table"]
    hidden = ("--bmi-python", "--mist-python", "--out")  # machine paths stay out of the record
    words, rows = [], []
    for before, word in zip(["", *sys.argv[1:]], sys.argv[1:], strict=False):
        if before not in hidden:
            words.append(f"{word} ..." if word in hidden[:2] else "" if word == "--out" else word)
    command = " ".join(
        ["python", "benchmarks/mi.py", *(w if w.endswith("...") else shlex.quote(w) for w in words if w)]
    )
    for name, measure in wanted.items():
        found = measure(given)
        rows += found + (summed(found) if name == "fast" else [])
        save(given.out, command, rows, ("numpy", "scipy", "torch", "scikit-learn"))
    versions = {}
    for name, python, data in (("bmi", given.bmi_python, "bmi-cca"), ("mist", given.mist_python, "mist-infonce")):
        if python:
            pairs = tasks.get("1v1-normal-0.75").sample(64, 0)
            probe = {"peer": data, "warm": False, "steps": 2, "batch": 16, "hidden": [8], "embed": 4, "rate": 1e-3}
            found = peer(python, probe, pairs, given.longest).get("versions", {})
            versions.update({f"{name}: {k}": v for k, v in found.items()})
    held = json.loads(given.out.read_text())
    held["about"]["peers"] = versions
    given.out.write_text(json.dumps(held, indent=1) + "\n")
    brief = [row for row in rows if row["case"] not in tasks.NAMES]  # the rows of single tasks are in the file
    show("mutual information, against the peers", brief or rows)
    print(f"results: {given.out}")


if __name__ == "__main__":
    main()
