"""The independent parts of a long simulation: run through the engine, and the finished ones kept, so that a run can go on."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drocl import catalogue, engine, results

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class _Keeping:
    store: results.Store | None = None
    jobs: int | None = 1
    fresh: bool = False
    progress: Progress | None = None


_KEEPING: ContextVar[_Keeping | None] = ContextVar("drocl_parts", default=None)


@contextmanager
def kept(
    store: results.Store | None, *, jobs: int | None = 1, fresh: bool = False, progress: Progress | None = None
) -> Iterator[None]:
    """Where `gather` keeps finished parts inside, and on how many workers it runs the others.

    Args:
        store: where; None keeps nothing.
        jobs: workers, at least 1; None lets the engine choose.
        fresh: run parts again that are stored.
        progress: called as `progress(done, total, name)` after each part.

    Raises:
        ValueError: if `jobs` < 1.
    """
    engine.check(jobs=jobs)
    token = _KEEPING.set(_Keeping(store, jobs, fresh, progress))
    try:
        yield
    finally:
        _KEEPING.reset(token)


def gather(task: Callable[..., Any], items: Sequence[tuple[Any, ...]]) -> list[Any]:
    """What `task(*item)` returns for every item, in their order, as JSON holds it; stored parts are not run again.

    Args:
        task: a function at the top of a file; its results and arguments are plain (see `drocl.results.jsonable`). It takes
            its random numbers from its arguments alone.
        items: its arguments, one tuple a part.

    Returns:
        One result an item; a stored part is one of the same arguments, the same file and the same shared files of its folder.
        Outside `kept` every part is run, in this process, and nothing is stored.

    >>> gather(len, [((1, 2),), ((),)])
    [2, 0]
    """
    keeping = _KEEPING.get() or _Keeping()
    addresses = [""] * len(items)
    found: dict[int, Any] = {}
    if keeping.store is not None:
        library = results.library_fingerprint()
        about = {"kind": "part", "task": task.__name__, "sources": _sources(task), "library": library}
        addresses = [results.key(item=item, **about) for item in items]
        held = {} if keeping.fresh else {i: keeping.store.get(address) for i, address in enumerate(addresses)}
        found = {i: value for i, value in held.items() if value is not None}
    left = [i for i in range(len(items)) if i not in found]
    alone = keeping.jobs == 1 or len(left) <= 1
    sent = task if alone else (inspect.getfile(task), task.__name__)
    jobs = [(i, sent, items[i]) for i in left]
    for i, value in engine.run(_part, jobs, jobs=1 if alone else keeping.jobs):
        plain = results.jsonable(value)
        found[i] = plain if keeping.store is None else keeping.store.put(addresses[i], plain)
        if keeping.progress is not None:
            keeping.progress(len(found), len(items), task.__name__)
    return [found[i] for i in range(len(items))]


def _sources(task: Callable[..., Any]) -> str:
    own = Path(inspect.getfile(task))
    return results.digest_of({own, *own.parent.glob("_*.py")})


def _part(index: int, task: Callable[..., Any] | tuple[str, str], item: tuple[Any, ...]) -> tuple[int, Any]:
    """One part. A worker is told file and name of the task: a catalogue's files are no package there."""
    if not isinstance(task, tuple):
        return index, task(*item)
    path = Path(task[0])
    house = catalogue.Catalogue(path.parent.parent, "given")
    return index, getattr(house.load(path.parent.name, path), task[1])(*item)
