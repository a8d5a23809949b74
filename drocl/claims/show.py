"""What `drocl verify` prints."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from drocl.claims.declare import Claim
from drocl.claims.ledger import describe, repairs_of
from drocl.claims.plan import Request, command
from drocl.claims.runner import Progress as Tell
from drocl.claims.runner import Run

WIDTH = 160  # of output that goes to a file or a pipe
STYLES = {"holds": "green", "holds (certified)": "green", "violated": "red", "inconclusive": "yellow", "not run": "dim"}
MARKS = {"holds": "✓", "holds (certified)": "✓", "violated": "✗", "inconclusive": "?", "not run": "-"}


def console(stderr: bool = False) -> Console:
    """A console that wraps nothing when its output goes to a file.

    Args:
        stderr: write there.
    """
    made = Console(stderr=stderr, highlight=False)
    return made if made.is_terminal else Console(stderr=stderr, highlight=False, width=WIDTH)


@contextmanager
def progress() -> Iterator[Tell | None]:
    """A progress bar on standard error, or nothing where that is not a terminal."""
    screen = Console(stderr=True)
    if not screen.is_terminal:
        yield None
        return
    columns = (TextColumn("{task.description:40.40}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=screen, transient=True) as bar:
        task = bar.add_task("cases", total=None)

        def tell(done: int, total: int, name: str) -> None:
            bar.update(task, completed=done, total=total, description=name)

        yield tell


def summary(screen: Console, done: Run) -> None:
    """Print what a run found and where it is.

    Args:
        screen: where to print.
        done: the run.
    """
    screen.print(table(done.records))
    for line in notes(done.records):
        screen.print(line, soft_wrap=True)  # commands stay whole
    counts = ", ".join(f"{count} {name}" for name, count in done.meta["counts"].items())
    controls = ", ".join(f"{count} {name}" for name, count in done.meta["controls"].items())
    screen.print(f"[bold]{counts}[/]; controls: {controls}")
    for difference in done.differences:
        style = "red" if difference in done.changed else "yellow"
        screen.print(f"[{style}]CLAIMS.md: {escape(str(difference))}[/]")
    if done.meta["compared"] and not done.differences:
        screen.print("[green]all verdicts as recorded[/] in CLAIMS.md")
    screen.print(
        f"{done.loaded + done.computed} cases ({done.loaded} loaded, {done.computed} computed) "
        f"in {done.meta['wall_seconds']:.1f} s; results: {escape(str(done.folder / 'claims.json'))}"
    )


def table(records: Sequence[Mapping[str, Any]]) -> Table:
    """The verdicts, a row a claim.

    Args:
        records: records of a run.

    Returns:
        A table for `Console.print`.
    """
    made = Table(box=None, pad_edge=False, header_style="bold")
    made.add_column("verdict", no_wrap=True)
    made.add_column("claim", overflow="fold")
    for name in ("cases", "worst gap", "allowed"):
        made.add_column(name, justify="right", no_wrap=True)
    made.add_column("control", no_wrap=True)
    made.add_column("seconds", justify="right", no_wrap=True)
    for entry in records:
        style, worst = STYLES[entry["verdict"]], entry["worst"] or {}
        made.add_row(
            f"[{style}]{MARKS[entry['verdict']]} {entry['verdict']}[/]",
            escape(entry["id"]),
            f"{entry['cases'][0]}/{entry['cases'][1]}",
            _short(worst.get("gap")),
            _short(worst.get("allowed")),
            f"[{'red' if entry['control'] == 'blind' else 'default'}]{_control(entry)}[/]",
            f"{entry['seconds']:.2f}",
        )
    return made


def notes(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Counterexamples, what is blind, and why a claim is not settled.

    Args:
        records: records of a run.

    Yields:
        Lines with rich markup.
    """
    for entry in records:
        name = escape(entry["id"])
        if case := entry["counterexample"]:
            repaired = ", ".join(repairs_of(entry["id"], records))
            yield f"[red]✗ {name}[/] ({escape(entry['source'])}): {escape(describe(case))}"
            yield f"    {escape(case['command'])}" + (f"    repaired: {escape(repaired)}" if repaired else "")
        if entry["verdict"] in ("inconclusive", "not run"):
            yield f"[{STYLES[entry['verdict']]}]{MARKS[entry['verdict']]} {name}[/]: {escape(entry['reason'])}"
        if entry["control"] == "blind":
            words = f"claim {entry['verdict']}, control {entry['control_verdict']} (must be {entry['control_expects']})"
            says = f"; control: {escape(entry['control_says'])}" if entry["control_says"] else ""
            yield f"[red]! {name}[/]: blind on these cases: {words}{says}"


def explain(made: Claim, request: Request) -> str:
    """What a claim says and how it is checked, without running it.

    Args:
        made: the claim.
        request: what was asked.

    Returns:
        Lines with rich markup.
    """
    cases = made.grid_at(request.profile)
    expected = "must hold" if made.control_expects == "holds" else "must be violated"
    told = {
        "source": made.source,
        "asserts": made.asserts,
        "says": made.statement,
        "assumes": "; ".join(made.assumes) or "nothing further",
        "uses": ", ".join(made.uses) or "no other claim",
        "cases": "; ".join(f"{name} in {', '.join(map(str, values))}" for name, values in cases.items()),
        "tolerance": made.tolerance or "no reason given",
        "control": f"{made.control_says or ', '.join(made.control)} ({expected})",
        "attack": "a search for the smallest slack" if made.attack else "none",
        "repairs": made.repairs or "",
        "needs": ", ".join(made.needs),
        "file": f"{made.file.name}:{made.line}",
        "command": command(made, request),
    }
    lines = [f"  [dim]{name:<10}[/]{escape(words)}" for name, words in told.items() if words]
    return "\n".join([f"[bold]{escape(made.id)}[/]  {escape(made.title)}", *lines])


def _control(entry: Mapping[str, Any]) -> str:
    told, total = entry["control_cases"]
    return f"{entry['control']} {told}/{total}" if total else str(entry["control"])


def _short(value: Any) -> str:
    return "" if value is None else f"{float(value):.2g}"
