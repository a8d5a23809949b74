"""Encoders of the user's own, by import path or file, and what is asked of them before they are used."""

import difflib
import importlib
import importlib.util
import sys
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from drocl.encoders._types import Dataset

PROBE = 2  # examples of the forward pass that finds the width


def make(name: str, dataset: Dataset, options: dict[str, Any]) -> nn.Module:
    """The encoder of "package.module:Name" or "path/to/file.py:Name", with `width` found where it does not say it.

    Raises:
        ValueError: it cannot be imported, is missing, cannot be called, is no `torch.nn.Module`, or its features of two
            examples are not of shape (2, width).
    """
    from drocl.encoders.models._registry import call

    where, _, symbol = name.rpartition(":")
    if not where or not symbol.isidentifier():
        raise ValueError(f"name={name!r} must have the form 'package.module:Name' or 'path/to/file.py:Name'")
    module = _import(name, where)
    if not hasattr(module, symbol):
        raise ValueError(f"name={name!r}: {where} has no {symbol!r}; it defines {_defined(module, symbol)}")
    kind = getattr(module, symbol)
    if not callable(kind):
        raise ValueError(f"name={name!r}: {symbol} must be a class or a function, got {type(kind).__name__}")
    made = call(name, kind, {}, dataset, options)
    if not isinstance(made, nn.Module):
        raise ValueError(f"name={name!r} must give a torch.nn.Module, got {type(made).__name__}")
    return _with_width(name, made, dataset)


def _defined(module: ModuleType, symbol: str) -> str:
    """What a module itself defines and one could call, the closest names first, at most eight."""
    own = [
        key
        for key, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", "") == module.__name__
    ]
    public = [key for key in own if not key.startswith("_")]
    close = difflib.get_close_matches(symbol, public, 8, 0.5)
    return ", ".join([*close, *(key for key in public if key not in close)][:8]) or "nothing to call"


def _import(name: str, where: str) -> ModuleType:
    """The module of an import path, or of a file, which is read anew each time."""
    try:
        if not where.endswith(".py"):
            return importlib.import_module(where)
        path = Path(where).expanduser()
        if not path.is_file():
            raise ValueError(f"name={name!r}: there is no file {path}")
        alias = f"_drocl_own_{zlib.crc32(str(path.resolve()).encode()):08x}"
        spec = importlib.util.spec_from_file_location(alias, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[alias] = module  # dataclasses and pickles look a module up by its name
        spec.loader.exec_module(module)
        return module
    except ModuleNotFoundError as missing:
        root = where.split(".")[0]
        hint = f"; is it installed? A file goes as 'path/to/{root}.py:Name'" if missing.name == root else ""
        raise ValueError(f"name={name!r}: importing {where} failed: {missing}{hint}") from missing
    except (Exception, SystemExit) as error:
        if isinstance(error, ValueError) and str(error).startswith("name="):
            raise
        raise ValueError(f"name={name!r}: importing {where} failed: {type(error).__name__}: {error}") from error


def _with_width(name: str, module: nn.Module, dataset: Dataset) -> nn.Module:
    """The module after one forward pass of two examples, with its `width`."""
    declared = getattr(module, "width", None)
    if declared is not None and (not isinstance(declared, int) or declared < 1):
        raise ValueError(f"name={name!r}: its attribute width={declared!r} must be a whole number of at least 1")
    modes = [(layer, layer.training) for layer in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            found = module(_examples(dataset))
    except Exception as error:
        raise ValueError(
            f"name={name!r}: a forward pass of {PROBE} examples of {dataset.name} failed: {type(error).__name__}: {error}"
        ) from error
    finally:
        for layer, training in modes:
            layer.training = training
    expected = f"({PROBE}, {'width' if declared is None else declared})"
    if not isinstance(found, Tensor):
        raise ValueError(f"name={name!r} must return features {expected} as a tensor, got {type(found).__name__}")
    good = found.ndim == 2 and len(found) == PROBE and found.numel() and declared in (None, found.shape[1])
    if not good or not found.is_floating_point():
        raise ValueError(
            f"name={name!r} must return floating point features {expected} for {PROBE} examples, got "
            f"{found.dtype} {tuple(found.shape)}"
        )
    module.width = int(found.shape[1])  # type: ignore[assignment]
    return module


def _examples(dataset: Dataset) -> Any:
    """Two examples in the form that encoders read; one twice where there is only one."""
    rows = [i % len(dataset.train) for i in range(PROBE)]
    inputs = dataset.train.take(rows).inputs
    if dataset.kind == "image":
        return inputs.to(torch.float32) / 255.0
    if dataset.kind == "graph":
        from torch_geometric.data import Batch

        return Batch.from_data_list(inputs)
    return inputs
