"""Run one simulation, keep its finished parts, and print its report.

python -m simulations._run sim_mi_tasks [--profile quick|standard|paper] [--set n=2000 seeds=0,1] [--jobs 1] [--out drocl-results]

The tables go to OUT/simulations/NAME-PROFILE.json. A run that was stopped goes on where it was; `drocl figures` finds the same parts.
"""

import argparse
import ast
import dataclasses
import importlib
import sys
from pathlib import Path
from typing import Any

from drocl import parts, results


def changed(config: Any, words: list[str]) -> Any:
    """A configuration with fields replaced: "n=2000", "estimators=auto,ksg", "seeds=0,1," (a trailing comma makes a tuple of one)."""
    fields = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    new = {}
    for word in words:
        name, _, text = word.partition("=")
        if name not in fields:
            raise ValueError(f"--set {word!r}: the fields are {', '.join(fields)}")
        entries = [_value(entry) for entry in text.split(",") if entry]
        new[name] = tuple(entries) if isinstance(fields[name], tuple) else entries[0]
    return dataclasses.replace(config, **new)


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def show(title: str, rows: list[dict[str, Any]]) -> None:
    """Print rows as a table."""
    from rich.console import Console
    from rich.table import Table

    if not rows:
        return
    drawn = Table(title=title)
    for name in rows[0]:
        drawn.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        drawn.add_row(*(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()))
    Console(width=None if sys.stdout.isatty() else 160).print(drawn)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("simulation", help="file name without suffix, e.g. sim_mi_staircase")
    parser.add_argument("--profile", choices=("quick", "standard", "paper"), default="quick")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="FIELD=VALUE", help="replace fields of the configuration"
    )
    parser.add_argument("--jobs", type=int, default=1, help="worker processes")
    parser.add_argument("--fresh", action="store_true", help="run parts again that are stored")
    parser.add_argument("--out", type=Path, default=Path("drocl-results"))
    given = parser.parse_args()
    module = importlib.import_module(f"simulations.{given.simulation}")
    config = changed(module.PROFILES[given.profile], given.set)

    def progress(done: int, total: int, name: str) -> None:
        print(f"{given.simulation}: {name} {done}/{total}", file=sys.stderr, flush=True)

    with parts.kept(results.Store(given.out / "store"), jobs=given.jobs, fresh=given.fresh, progress=progress):
        tables = module.run(config)
    held = {"config": dataclasses.asdict(config), "tables": tables}
    path = given.out / "simulations" / f"{given.simulation}-{given.profile}.json"
    results.write_json(path, held)
    show(f"{given.simulation}, {given.profile}", module.report(tables))
    print(f"tables: {path}")


if __name__ == "__main__":
    main()
