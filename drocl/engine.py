"""Where many independent tasks run: in this process, or on joblib's loky workers."""

import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

ENGINES = ("loky",)
ALONE_SECONDS = 1.0  # what fits in this is done before workers could have started
IDLE_SECONDS = 30  # workers whose parent was killed leave after this


def available_cores() -> int:
    """The cores this process may use (less than the machine's in a container).

    Returns:
        At least 1.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def check(engine: str = "loky", jobs: int | None = None) -> None:
    """Validate where to run before anything does.

    Args:
        engine: name of an engine.
        jobs: number of workers, at least 1, or None.

    Raises:
        ValueError: naming what is available.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine={engine!r} is not available: choose from {', '.join(ENGINES)}")
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs={jobs} must be at least 1")


def run(
    task: Callable[..., Any], items: Sequence[tuple[Any, ...]], *, engine: str = "loky", jobs: int | None = None
) -> Iterator[Any]:
    """Run `task(*item)` for each item; results come as they finish, in any order.

    Args:
        task: an importable function.
        items: its arguments.
        engine: "loky".
        jobs: workers; None takes the cores available, after a first second in this process alone, which takes items
            from the end (put the longest first).

    Yields:
        What the task returned.

    Raises:
        ValueError: if the engine is not available, or `jobs` < 1.
    """
    check(engine, jobs)
    left, started = list(items), time.perf_counter()
    while jobs is None and left and time.perf_counter() - started < ALONE_SECONDS:
        yield task(*left.pop())
    workers = min(jobs or available_cores(), len(left))
    if workers <= 1:
        yield from (task(*item) for item in left)
        return
    from joblib import Parallel, delayed, parallel_config

    # one thread a worker: the tasks are the parallelism, and sums then round the same on any number of workers
    with warnings.catch_warnings(), parallel_config(
        backend=engine, n_jobs=workers, inner_max_num_threads=1, idle_worker_timeout=IDLE_SECONDS
    ):
        # a worker that grew is replaced, and its task is not lost
        warnings.filterwarnings("ignore", "A worker stopped while some jobs were given", UserWarning)
        yield from Parallel(return_as="generator_unordered", batch_size=1)(delayed(task)(*item) for item in left)
