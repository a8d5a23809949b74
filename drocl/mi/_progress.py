"""A progress bar on stderr, or nothing; closed also when interrupted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def ticker(label: str, total: int, show: bool) -> Iterator[Callable[[int], None]]:
    """A function to tell of steps done."""
    if not show:
        yield lambda steps: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda steps: bar.advance(task, steps)
