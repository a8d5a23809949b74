"""Time of calls in one process, as ratios, and memory of calls in processes of their own; results with versions and date."""

import contextlib
import datetime
import json
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("numpy", "scipy", "torch", "cvxpy", "clarabel", "scs", "highspy")


def cpu(call: Any, repeats: int = 5) -> float:
    """Median CPU seconds of `call()` after one warm-up."""
    call()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return sorted(times)[len(times) // 2]


def interleaved(
    timers: dict[str, Callable[[], float]], rounds: int, budget: float = 60.0, watch: Callable[..., Iterable] = iter
) -> dict[str, list[float] | str]:
    """Seconds of every contender, one call each in every round, after a warm-up; or why there are none.

    Noise that lasts longer than a round meets all contenders alike. One that would take more than `budget` seconds in all sits out
    the later rounds, but not the first three.
    """
    found: dict[str, list[float] | str] = {}
    turns = {}
    for name, timer in timers.items():
        warm = attempt(lambda: max(timer(), 1e-9))
        if isinstance(warm, str):
            found[name] = warm
        else:
            found[name], turns[name] = [], max(3, min(rounds, int(budget / warm)))
    for turn in watch(range(rounds)):
        for name in [name for name, last in turns.items() if turn < last]:
            found[name].append(timers[name]())
    return found


def attempt(call: Callable[[], Any]) -> Any:
    """What `call()` returns, or what a row says when a contender refuses or finds no memory."""
    try:
        return call()
    except Exception as error:
        return f"not run: {type(error).__name__}: {(str(error).splitlines() or [''])[0][:120]}"


def timer(call: Callable[[], Any], device: str, threads: int) -> Callable[[], float]:
    """Seconds of one call: CUDA events; CPU time of one thread, wall time of more."""

    def on_cuda() -> float:
        import torch

        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        call()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1e3

    def on_cpu() -> float:
        clock = time.process_time if threads == 1 else time.perf_counter
        start = clock()
        call()
        return clock() - start

    return on_cuda if device == "cuda" else on_cpu


def ratios(times: list[float], base: list[float]) -> tuple[float, float]:
    """Ratio of the medians, and of the minima."""
    return statistics.median(times) / statistics.median(base), min(times) / min(base)


def peak(call: Callable[[], Any], device: str = "cpu") -> float:
    """MB by which the peak of the memory rises in `call()`; on the CPU a fresh process is needed: old blocks hide new ones."""
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark falls to what is resident now
    before = _high_water()
    call()
    return _high_water() - before


def apart(command: list[str], longest: float, read: Callable[[str], Any] = float, cwd: str | None = None) -> Any:
    """What `read` makes of the last line that another process prints, or why there is none."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=longest, cwd=cwd)
    except subprocess.TimeoutExpired:
        return f"not run: takes more than {longest:.0f} s"
    except OSError as error:
        return f"not run: {type(error).__name__}"
    if done.returncode:
        return f"not run: {(done.stderr.strip().splitlines() or [f'exit status {done.returncode}'])[-1][:120]}"
    return read(done.stdout.strip().splitlines()[-1])


def _high_water() -> float:
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if platform.system() == "Darwin" else 1024)


def installed(package: str) -> str | None:
    """Version of a package, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def save(
    path: Path, command: str, rows: list[dict[str, Any]], packages: tuple[str, ...] = PACKAGES, threads: int = 1,
    device: str | None = None,
) -> None:  # fmt: skip
    """Write the rows with what they were measured on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    width = "one thread" if threads == 1 else f"{threads} threads"
    about = {
        "command": command,
        "date": datetime.date.today().isoformat(),
        "device": device or f"{platform.machine()} {platform.system()}, {width}",
        "python": platform.python_version(),
        "versions": {name: installed(name) for name in packages},
    }
    clean = [{k: None if isinstance(v, float) and v != v else v for k, v in row.items()} for row in rows]
    path.write_text(json.dumps({"about": about, "rows": clean}, indent=1) + "\n")


def show(title: str, rows: list[dict[str, Any]]) -> None:
    """Print the rows as a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title)
    for name in rows[0]:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*("" if v != v else f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()))
    screen = Console()
    (screen if screen.is_terminal else Console(width=160)).print(table)


def markdown(rows: list[dict[str, Any]]) -> str:
    """One table for each baseline, temperature and type: contenders down, sizes across, ratio (peak memory) in the cells."""
    text = []
    for key in dict.fromkeys((r["baseline"], r["temperature"], r["dtype"]) for r in rows):
        part = [r for r in rows if (r["baseline"], r["temperature"], r["dtype"]) == key]
        at = {(r["contender"], r["B"]): _cell(r) for r in part}
        sizes = list(dict.fromkeys(r["B"] for r in part))
        text += [f"Ratio to {key[0]} (peak memory), tau = {key[1]:g}, {key[2]}", ""]
        text += ["| | " + " | ".join(f"B = {b}" for b in sizes) + " |", "|---" * (len(sizes) + 1) + "|"]
        for name in dict.fromkeys(r["contender"] for r in part):
            text.append(f"| {name} | " + " | ".join(at.get((name, b), "") for b in sizes) + " |")
        text.append("")
    return "\n".join(text)


def _cell(row: dict[str, Any]) -> str:
    """Ratio (peak), with the time where the ratio is 1 by definition or the baseline was not run."""
    if row["status"] != "ok":
        return row["status"]
    clock = f"{row['median_ms']:.3g} ms" if row["median_ms"] < 1e3 else f"{row['median_ms'] / 1e3:.3g} s"
    alone = row["ratio"] is None
    inside = [] if row["peak_mb"] is None else [f"{row['peak_mb']:.0f} MB"]
    inside = [clock, *inside] if row["contender"] == row["baseline"] and not alone else inside
    return (clock if alone else f"{row['ratio']:.2f}") + (f" ({', '.join(inside)})" if inside else "")
