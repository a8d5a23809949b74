"""Encoders by name, fitted to a data set; each module is imported when it is first asked for."""

import difflib
import importlib
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from drocl.encoders._types import Dataset, Kind


@dataclass(frozen=True)
class _Entry:
    """Where an encoder lives, what it reads, and what it must know of the data."""

    module: str
    symbol: str
    kind: Kind
    given: Callable[[Dataset], dict[str, Any]] = lambda dataset: {}


def _shape(dataset: Dataset) -> tuple[int, int, int]:
    _, channels, height, width = dataset.train.inputs.shape
    return int(channels), int(height), int(width)


def _channels(dataset: Dataset) -> dict[str, Any]:
    return {"channels": _shape(dataset)[0]}


def _residual(dataset: Dataset) -> dict[str, Any]:
    from drocl.encoders.models.resnet import stem_for

    channels, height, width = _shape(dataset)
    return {"channels": channels, "stem": stem_for(height, width)}


def _nodes(dataset: Dataset) -> dict[str, Any]:
    return {"features": int(dataset.train.inputs[0].x.shape[1])}


_TABLE = {
    "convnet": _Entry("convnet", "ConvNet", "image", _channels),
    "mlp": _Entry("convnet", "MLP", "image", lambda dataset: {"shape": _shape(dataset)}),
    "resnet18": _Entry("resnet", "resnet18", "image", _residual),
    "resnet50": _Entry("resnet", "resnet50", "image", _residual),
    "gin": _Entry("gin", "GIN", "graph", _nodes),
    "transformer": _Entry("text", "TextTransformer", "text"),
}
NAMES: tuple[str, ...] = ("auto", *_TABLE)
LOCAL = "hf:"
TINY = 32  # pixels up to which images of one channel get the small network
_HOLDS = {"image": "images", "graph": "graphs", "text": "text"}


def auto(dataset: Dataset) -> str:
    """The encoder that suits a data set: "convnet" for small images of one channel, else "resnet18"; "gin"; "transformer"."""
    if dataset.kind != "image":
        return "gin" if dataset.kind == "graph" else "transformer"
    channels, height, width = _shape(dataset)
    return "convnet" if channels == 1 and max(height, width) <= TINY else "resnet18"


def make(name: str, dataset: Dataset, *, seed: int = 0, **options: Any) -> nn.Module:
    """An encoder for a data set.

    Args:
        name: "auto", "convnet", "mlp", "resnet18", "resnet50" (images), "gin" (graphs), "transformer" (text); "hf:PATH", a local
            folder of a Hugging Face model; or one of your own, "package.module:Name" or "path/to/file.py:Name", which is called
            with the options, and with the data set if it has an argument `dataset`.
        dataset: what it will read: channels, size and features are taken from its training examples.
        seed: of the weights. The generator of the CPU is left as it was.
        **options: of the encoder, e.g. `norm`, `stem`, `width`.

    Returns:
        A module from a batch to features (n, width), with the attribute `width`.

    Raises:
        ValueError: an unknown name (with those that are close), an option that the encoder has not, an encoder for another kind
            of data; one of your own that cannot be imported, is no module, or does not give (n, width).
        ImportError: a library that is missing.
    """
    if not isinstance(name, str):
        raise ValueError(
            f"name={name!r} must be a string: one of {', '.join(NAMES)}, 'hf:PATH' or 'package.module:Name'"
        )
    with seeded(seed):
        if name.startswith(LOCAL):
            return _local(name, dataset, options)
        if ":" in name:
            from drocl.encoders.models import _own

            return _own.make(name, dataset, options)
        chosen = auto(dataset) if name == "auto" else name
        if chosen not in _TABLE:
            raise ValueError(_unknown(chosen))
        return _known(chosen, _TABLE[chosen], dataset, options)


def _known(name: str, entry: _Entry, dataset: Dataset, options: dict[str, Any]) -> nn.Module:
    if entry.kind != dataset.kind:
        fitting = [key for key, other in _TABLE.items() if other.kind == dataset.kind]
        raise ValueError(
            f"name={name!r} reads {_HOLDS[entry.kind]}, but {dataset.name} holds {_HOLDS[dataset.kind]}: use {', '.join(fitting)}"
        )
    kind = getattr(importlib.import_module(f"drocl.encoders.models.{entry.module}"), entry.symbol)
    return call(name, kind, entry.given(dataset), dataset, options)


def _local(name: str, dataset: Dataset, options: dict[str, Any]) -> nn.Module:
    path = name.removeprefix(LOCAL)
    if not path:
        raise ValueError(f"name={name!r} must name a folder: hf:PATH")
    if dataset.kind != "text":
        raise ValueError(f"name={name!r} reads text, but {dataset.name} holds {_HOLDS[dataset.kind]}")
    from drocl.encoders.models.huggingface import HuggingFaceEncoder

    return call(name, HuggingFaceEncoder, {"path": path}, dataset, options)


def call(
    name: str, kind: Callable[..., Any], given: dict[str, Any], dataset: Dataset, options: dict[str, Any]
) -> nn.Module:
    """The encoder `kind` made from what the data say and what the user asks, who goes first.

    Raises:
        ValueError: an option that it has not, or one that it needs.
    """
    try:
        signature = inspect.signature(kind)
    except (TypeError, ValueError):
        raise ValueError(f"encoder {name!r} must be a class or a function written in Python, got {kind!r}") from None
    names = {key: p for key, p in signature.parameters.items() if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    known = [key for key in names if key != "dataset" and key not in given] + [key for key in given if key != "path"]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    unknown = [key for key in options if key not in known and not takes_any]
    if unknown:
        close = difflib.get_close_matches(unknown[0], known, 1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ValueError(f"encoder {name!r} has no option {unknown[0]!r}; {hint}it has {', '.join(known) or 'none'}")
    arguments = {**({"dataset": dataset} if "dataset" in names else {}), **given, **options}
    missing = [key for key, p in names.items() if p.default is p.empty and key not in arguments]
    if missing:
        raise ValueError(f"encoder {name!r} needs the option {', '.join(map(repr, missing))}")
    module: nn.Module = kind(**arguments)
    return module


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name, _TABLE, 2, 0.5)
    hint = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
    own = f"{name}:Name" if "." in name or "/" in name else "package.module:Name"
    return f"name={name!r} is no encoder; {hint}there are {', '.join(NAMES)}, 'hf:PATH' for a local model, '{own}' for your own"


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """The generator of the CPU at a seed, and as it was afterwards; `torch.manual_seed` would move those of all devices."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
