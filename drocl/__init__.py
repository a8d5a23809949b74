"""drocl: the laboratory of contrastive learning seen as distributionally robust optimisation.

`drocl.dro` solves robust expectations, `drocl.claims` checks printed statements, `drocl verify` runs them all.
"""

import importlib
from importlib import metadata
from typing import Any

try:
    __version__ = metadata.version("drocl")
except metadata.PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0.1.0"

# Loaded when first used: a plain `import drocl` must not pay for torch, cvxpy or matplotlib.
_PARTS = (
    "catalogue", "claims", "divergences", "dro", "encoders", "engine", "latent", "losses", "mi", "population", "report", "results",
)  # fmt: skip

__all__ = ["__version__", *_PARTS]


def __getattr__(name: str) -> Any:
    if name in _PARTS:
        return importlib.import_module(f"drocl.{name}")
    raise AttributeError(f"module 'drocl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
