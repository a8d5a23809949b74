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
    """How far a run got in its folder.

    Raises:
        ValueError: checkpoints there are damaged, or of another configuration.
    """
    if folder is None:
        return Place(None)
    start = checkpoint.newest(folder)
    if start is not None:
        _same(config, start, ELSEWHERE, f"; begin again with --fresh, or give another --out than that of {folder}")
    return Place(folder, start, _finished(folder, config, start))


def resumed(config: TrainConfig, start: Checkpoint, folder: Path) -> Place:
    """A run that goes on from a given checkpoint, in the folder that `folder_of` names.

    Raises:
        ValueError: a configuration that differs where it may not.
    """
    assert start.path is not None
    _same(config, start, MAY_CHANGE, f"; a run that is resumed may change {', '.join(MAY_CHANGE)}")
    if folder != start.path.parent:
        own = checkpoint.newest(folder)
        if own is not None and own.step > start.step:
            start = own
    return Place(folder, start, _finished(folder, config, start))


def folder_of(start: Checkpoint, config: TrainConfig) -> Path:
    """Where a run goes on from a checkpoint: in the checkpoint's folder; with another length in one beside it, so that no folder
    holds rows of two schedules."""
    assert start.path is not None
    own = start.path.parent
    return own if config_in(start).digest() == config.digest() else own.parent / config.label()


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


def find(path: Path) -> Checkpoint:
    """The checkpoint of a path: the file itself, or the newest good one of a run's folder.

    Raises:
        FileNotFoundError, ValueError: none; damaged.
    """
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, "no such checkpoint or run", str(path))
    if not path.is_dir():
        return checkpoint.load(path)
    found = checkpoint.newest(path)
    if found is None:
        raise FileNotFoundError(errno.ENOENT, "no checkpoint in this folder", str(path))
    return found


def clear(folder: Path) -> None:
    """Remove what a run writes, and nothing else."""
    of_checkpoint = (checkpoint.LAST, checkpoint.PREVIOUS, checkpoint.NEXT, checkpoint.WEIGHTS)
    for name in (CONFIG, RESULT, logs.METRICS, *of_checkpoint):
        (folder / name).unlink(missing_ok=True)
    checkpoint.sweep(folder)
    shutil.rmtree(folder / "tensorboard", ignore_errors=True)


def config_in(found: Checkpoint) -> TrainConfig:
    """The configuration that a checkpoint holds."""
    return make(found.config, f"{found.path}: ")


def config_beside(weights: Path) -> TrainConfig:
    """The configuration of the run that weights belong to.

    Raises:
        ValueError, FileNotFoundError: no config.yaml beside the weights; no weights.
    """
    if weights.exists() and not weights.with_name(CONFIG).exists():
        raise ValueError(f"{weights} needs the {CONFIG} of its run beside it")
    return read(weights.with_name(CONFIG))


def write_config(folder: Path, config: TrainConfig) -> None:
    """The resolved configuration, before the first step."""
    results.write_atomically(folder / CONFIG, config.yaml())


def write_result(folder: Path, held: dict[str, Any]) -> Path:
    """The result; its being there says that the run is finished."""
    path = folder / RESULT
    results.write_json(path, held)
    return path


def _finished(folder: Path, config: TrainConfig, start: Checkpoint | None) -> dict[str, Any] | None:
    """The result of a run that is done and whose last checkpoint is there."""
    try:
        held = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        same = make(held["config"]).digest() == config.digest()
        return held if held["complete"] and same and start is not None and start.step == held["steps"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _same(config: TrainConfig, start: Checkpoint, may: tuple[str, ...], advice: str) -> None:
    before = config_in(start)
    for entry in fields(TrainConfig):
        old, new = getattr(before, entry.name), getattr(config, entry.name)
        if old != new and entry.name not in may:
            raise ValueError(f"{entry.name}={new!r} differs from the checkpoint's {old!r}{advice}")
