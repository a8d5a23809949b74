"""Time of calls in one process, as ratios, and memory of calls in processes of their own; results with versions and date."""

import datetime
import json
import platform
import statistics
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
        try:
            warm = timer()
            warm = timer() if warm < 1.0 else warm
        except Exception as error:  # a peer's own refusal, or no memory: the row says so
            found[name] = f"not run: {type(error).__name__}: {str(error).splitlines()[0][:120]}"
        else:
            found[name], turns[name] = [], max(3, min(rounds, int(budget / warm)))
    for turn in watch(range(rounds)):
        for name in [name for name, last in turns.items() if turn < last]:
            found[name].append(timers[name]())
    return found


def ratios(times: list[float], base: list[float]) -> tuple[float, float]:
    """Ratio of the medians, and of the minima."""
    return statistics.median(times) / statistics.median(base), min(times) / min(base)


def peak(call: Callable[[], Any]) -> float:
    """MB by which the peak of the resident memory rises in `call()`; for a fresh process, or old peaks and free blocks hide it."""
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark falls to what is resident now
    except OSError:
        pass
    before = _high_water()
    call()
    return _high_water() - before


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
    Console().print(table)
