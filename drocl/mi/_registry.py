"""Estimators and objectives by name; each module is imported when it is first asked for."""

import importlib
import inspect
from typing import TYPE_CHECKING, Any

from drocl.mi._types import Estimator

if TYPE_CHECKING:
    from drocl.mi._objective import Objective

_TABLE = {
    "auto": ("auto", "Auto"),
    "infonce": ("infonce", "InfoNCE"),
    "decoupled": ("decoupled", "Decoupled"),
    "dv": ("dv", "DV"),
    "mine": ("dv", "MINE"),
    "nwj": ("nwj", "NWJ"),
    "js": ("js", "JS"),
    "smile": ("smile", "SMILE"),
    "dro": ("dro", "DRO"),
    "ksg": ("ksg", "KSG"),
    "cca": ("cca", "CCA"),
    "copula": ("copula", "Copula"),
    "kde": ("kde", "KDE"),
    "histogram": ("histogram", "Histogram"),
}
ESTIMATORS: tuple[str, ...] = tuple(_TABLE)
_NEURAL = ESTIMATORS[1:9]


def _load(name: Any) -> Any:
    if not isinstance(name, str) or name not in _TABLE:
        raise ValueError(f"estimator={name!r} is unknown; the known ones are {', '.join(ESTIMATORS)}")
    module, symbol = _TABLE[name]
    try:
        return getattr(importlib.import_module(f"drocl.mi.{module}"), symbol)
    except ModuleNotFoundError as missing:
        if missing.name == "torch":
            raise ImportError(f"estimator={name!r} needs torch: pip install 'drocl[train]'") from missing
        raise


def accepted(kind: Any) -> tuple[str, ...]:
    """Names of the options of an estimator's constructor."""
    return tuple(
        p.name
        for p in inspect.signature(kind).parameters.values()
        if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)
    )


def make(estimator: str = "auto", **options: Any) -> Estimator:
    """An estimator by name.

    Args:
        estimator: of `ESTIMATORS`.
        **options: of its constructor.

    Raises:
        ValueError: an unknown name (the message lists the known ones) or option (likewise); a bad value of an option.
        ImportError: a neural estimator without torch.
    """
    kind = _load(estimator)
    known = accepted(kind)
    unknown = [key for key in options if key not in known]
    if unknown:
        raise ValueError(
            f"estimator {estimator!r} has no option {', '.join(map(repr, unknown))}; it has {', '.join(known) or 'none'}"
        )
    made: Estimator = kind(**options)
    return made


def objective(name: str, **options: Any) -> "Objective":
    """A training objective on score matrices, by the name of its estimator.

    Args:
        name: infonce, decoupled, dv, mine, nwj, js, smile, dro.
        **options: what concerns the objective: `clip` (smile), `rate` (mine), `divergence`, `k`, `tight`, `form`, `radius`,
            `parametrise` (dro).

    Returns:
        An object with `training(scores)`, the scalar to maximise, `value(scores, readout)` in nats and `log_ratio`; see
        `drocl.mi._objective.Objective`.

    Raises:
        ValueError: an unknown name or option.

    >>> import torch
    >>> scores = torch.tensor([[2.0, 0.0], [0.0, 2.0]])
    >>> round(objective("infonce").value(scores), 4), round(objective("dv").value(scores), 4)
    (0.5662, 2.0)
    """
    if name not in _NEURAL:
        raise ValueError(f"objective {name!r} is unknown; the known ones are {', '.join(_NEURAL)}")
    made: Any = make(name, **options)
    found: Objective = made.objective()
    return found
