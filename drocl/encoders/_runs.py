"""The folder of a run: what lies in it, whether it is finished, how it goes on."""

import errno
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from drocl import results
from drocl.encoders import checkpoint, logs
from drocl.encoders.checkpoint import Checkpoint
from drocl.encoders.config import ELSEWHERE, TrainConfig, make, read

try:
    import fcntl
except ImportError:  # no such locks on this system
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"
CONFIG, RESULT = "config.yaml", "result.json"
MAY_CHANGE = (*ELSEWHERE, "epochs", "max_steps", "evaluate_every")  # of a run that goes on


@dataclass(frozen=True)
class Place:
    """Where a run writes, and what it goes on from.

    Attributes:
        folder: of the run; None writes nothing.
        start: checkpoint to go on from.
        finished: result of a run that is done, in place of training.
    """

    folder: Path | None
    start: Checkpoint | None = None
    finished: dict[str, Any] | None = None


def place(config: TrainConfig, folder: Path | None) -> Place:
    """How far a run got in its folder."""
    if folder is None:
        return Place(None)
    return Place(folder, checkpoint.newest(folder), _finished(folder, config))


def resumed(config: TrainConfig, path: Path) -> Place:
    """A run that goes on from a given checkpoint (or its folder), in that checkpoint's folder.

    Raises:
        ValueError: a damaged checkpoint; a configuration that differs where it may not.
        FileNotFoundError: nothing to resume from.
    """
    start = find(path)
    assert start.path is not None
    _same(config, start)
    return Place(start.path.parent, start)


@contextmanager
def alone(folder: Path | None) -> Iterator[None]:
    """Hold a run's folder: two processes that write one run would spoil it.

    Raises:
        ValueError: another process holds it.
    """
    if folder is None or fcntl is None:
        yield
        return
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"out: {folder} exists and is not a folder")
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):  # a file system without locks
                yield
                return
            raise ValueError(f"out: another process trains in {folder}; wait for it, or give another --out") from None
        try:
            yield  # the kernel lets go when the process ends, however it ends
        finally:
            if [entry.name for entry in folder.iterdir()] == [LOCK]:  # refused before anything was written
                (folder / LOCK).unlink()
                folder.rmdir()


def folder_of(path: Path) -> Path:
    """The run's folder of a checkpoint, or the folder itself.

    Raises:
        FileNotFoundError: nothing there.
    """
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, "no such checkpoint or run", str(path))
    return path if path.is_dir() else path.parent


def find(path: Path) -> Checkpoint:
    """The checkpoint of a path: the file itself, or the newest good one of a run's folder.

    Raises:
        FileNotFoundError, ValueError: none; damaged.
    """
    if not path.is_dir():
        return checkpoint.load(path)
    found = checkpoint.newest(path)
    if found is None:
        if (path / checkpoint.LAST).exists():
            return checkpoint.load(path / checkpoint.LAST)  # says what is wrong with it
        raise FileNotFoundError(2, "no checkpoint in this folder", str(path))
    return found


def clear(folder: Path) -> None:
    """Remove what a run writes, and nothing else."""
    for name in (CONFIG, RESULT, logs.METRICS, checkpoint.LAST, checkpoint.PREVIOUS, checkpoint.WEIGHTS):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "tensorboard", ignore_errors=True)


def config_of(path: Path) -> TrainConfig:
    """The configuration that a run, its checkpoint or its weights belong to.

    Raises:
        ValueError, FileNotFoundError: no checkpoint, or no config.yaml beside the weights.
    """
    if path.suffix == ".safetensors":
        return read(path.with_name(CONFIG))
    found = find(path)
    return make(found.config, f"{found.path}: ")


def write_config(folder: Path, config: TrainConfig) -> None:
    """The resolved configuration, before the first step."""
    results.write_atomically(folder / CONFIG, config.yaml())


def write_result(folder: Path, held: dict[str, Any]) -> Path:
    """The result; its being there says that the run is finished."""
    path = folder / RESULT
    results.write_atomically(path, json.dumps(results.jsonable(held), indent=1) + "\n")
    return path


def _finished(folder: Path, config: TrainConfig) -> dict[str, Any] | None:
    try:
        held = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        return held if held["complete"] and held["config"] == config.plain() | _machine(held["config"]) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _machine(held: dict[str, Any]) -> dict[str, Any]:
    return {name: held[name] for name in ELSEWHERE if name in held}


def _same(config: TrainConfig, start: Checkpoint) -> None:
    before = make(start.config, f"{start.path}: ")
    for entry in fields(TrainConfig):
        old, new = getattr(before, entry.name), getattr(config, entry.name)
        if old != new and entry.name not in MAY_CHANGE:
            raise ValueError(
                f"{entry.name}={new!r} differs from the checkpoint's {old!r}; a run that is resumed may change {', '.join(MAY_CHANGE)}"
            )
