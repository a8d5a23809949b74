"""Checkpoints that survive a crash: whole or not there, the last good one kept, read without running anything."""

import hashlib
import io
import os
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from drocl import results

SCHEMA = 1
LAST, PREVIOUS, NEXT, WEIGHTS = "last.ckpt", "previous.ckpt", "next.ckpt", "weights.safetensors"
OF_LOSS = "loss."
MAGIC = b"drocl checkpoint\n"  # then 64 hexadecimal digits of sha256, a line end, and what torch.save wrote


@dataclass(frozen=True)
class Checkpoint:
    """What a run goes on from.

    Attributes:
        step: steps that were made.
        config: the resolved configuration, plain.
        data: fingerprint of the training examples.
        model, loss, optimizer, precision: state dicts.
        path: where it was read.
    """

    step: int
    config: dict[str, Any]
    data: str
    model: dict[str, Any]
    loss: dict[str, Any]
    optimizer: dict[str, Any]
    precision: dict[str, Any]
    path: Path | None = None


def save(folder: Path, held: Checkpoint) -> Path:
    """Write `last.ckpt` into a run's folder; the one before becomes `previous.ckpt`.

    The new file is complete on the disk before any name changes, so a crash or a full disk at any moment leaves a good one.

    Raises:
        OSError: what the file system says (a full disk), with both old checkpoints as they were.
    """
    buffer = io.BytesIO()
    parts = ("step", "config", "data", "model", "loss", "optimizer", "precision")
    torch.save({"schema": SCHEMA, **{name: getattr(held, name) for name in parts}}, buffer)
    body = buffer.getvalue()
    last, fresh = folder / LAST, folder / NEXT
    sweep(folder)
    results.write_atomically(fresh, MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    if last.exists():
        os.replace(last, folder / PREVIOUS)
    os.replace(fresh, last)
    _sync_folder(folder)
    return last


def load(path: Path) -> Checkpoint:
    """Read one checkpoint. Nothing in it is run: torch's weights-only reader.

    Raises:
        ValueError: damaged, cut short, or no checkpoint of drocl; it says which good one lies beside it.
        FileNotFoundError: no such file.
    """
    content = path.read_bytes()
    try:
        return _parse(content, path)
    except ValueError as error:
        other = path.with_name(PREVIOUS if path.name != PREVIOUS else LAST)
        raise ValueError(f"checkpoint={str(path)!r} {error}{_advice(other)}") from None


def newest(folder: Path) -> Checkpoint | None:
    """The newest good checkpoint of a run's folder; None where there is none. A damaged one is passed over with a warning.

    Raises:
        ValueError: checkpoints, and none of them good.
    """
    problem: ValueError | None = None
    for name in (LAST, PREVIOUS):
        try:
            found = load(folder / name)
        except FileNotFoundError:
            continue
        except ValueError as error:
            problem = problem or error
            continue
        if problem is not None:
            warnings.warn(f"going on from step {found.step}: {problem}", RuntimeWarning, stacklevel=3)
        return found
    if problem is not None:
        raise problem
    return None


def save_weights(folder: Path, model: Mapping[str, Any], loss: Mapping[str, Any]) -> Path:
    """The weights of encoder and projector as `weights.safetensors`, written whole or not at all.

    Args:
        folder: of the run.
        model: state dict; what is no tensor is left to the checkpoint.
        loss: state dict of the loss (a learned temperature), stored with the prefix "loss.".
    """
    from safetensors.torch import save as pack

    whole = {**model, **{f"{OF_LOSS}{key}": value for key, value in loss.items()}}
    tensors = {key: value.detach().cpu().contiguous().clone() for key, value in whole.items() if isinstance(value, torch.Tensor)}
    path = folder / WEIGHTS
    results.write_atomically(path, pack(tensors))
    return path


def sweep(folder: Path) -> None:
    """Remove what a killed run left half written; the caller holds the folder."""
    for left in folder.glob(f".*{results.PARTIAL_SUFFIX}"):
        left.unlink(missing_ok=True)


def fit(module: torch.nn.Module, state: Mapping[str, Any], what: str) -> None:
    """Put stored weights into a module.

    Raises:
        ValueError: they are of another module; the message begins with `what`.
    """
    try:
        module.load_state_dict(state)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{what}: {' '.join(str(error).split())[:300]}") from None


def _sync_folder(folder: Path) -> None:
    """Bring the new names to the disk, where the system can."""
    try:
        number = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _parse(content: bytes, path: Path) -> Checkpoint:
    if not content.startswith(MAGIC):
        raise ValueError("is no checkpoint of drocl (its first bytes differ)")
    start = len(MAGIC) + 65
    digest, body = content[len(MAGIC) : start - 1].decode("ascii", "replace"), content[start:]
    if hashlib.sha256(body).hexdigest() != digest:
        raise ValueError("is damaged: its contents do not match their checksum")
    try:
        held = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"cannot be read: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(held, dict) or held.get("schema") != SCHEMA:
        raise ValueError(f"is of another version of drocl; schema {SCHEMA} is known")
    return Checkpoint(**{name: held[name] for name in held if name != "schema"}, path=path)


def _advice(other: Path) -> str:
    try:
        good = _parse(other.read_bytes(), other)
    except (OSError, ValueError):
        return ""
    return f"; {other} is good, at step {good.step}: resume from it"
