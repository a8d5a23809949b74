"""CPU time of calls in one process, as ratios; results with versions and date."""

import datetime
import json
import platform
import time
from importlib.metadata import version
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


def save(path: Path, command: str, rows: list[dict[str, Any]]) -> None:
    """Write the rows with what they were measured on; CPU ratios, one thread."""
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {
        "command": command,
        "date": datetime.date.today().isoformat(),
        "device": f"{platform.machine()} {platform.system()}, one thread",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
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
