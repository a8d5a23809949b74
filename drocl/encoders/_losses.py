"""A loss of the family from its name and the parameters of a configuration."""

import difflib
import inspect
from collections.abc import Mapping
from typing import Any

from drocl import divergences, losses
from drocl.losses import ContrastiveLoss, Temperature

LOSSES: dict[str, type[ContrastiveLoss]] = {
    "info_nce": losses.InfoNCE, "decoupled": losses.Decoupled, "debiased": losses.Debiased,
    "hard_negative": losses.HardNegative, "rince": losses.RINCE, "adnce": losses.ADNCE, "dro": losses.DRO,
    "mean_variance": losses.MeanVariance, "alpha_cl": losses.AlphaCL, "unbiased": losses.Unbiased,
    "supervised": losses.Supervised, "clip": losses.Clip,
}  # fmt: skip
LABELLED = ("unbiased", "supervised")
LEARNED = "learned"
OF_DIVERGENCE = ("k", "level", "order")  # parameters of a divergence, given beside its name
OF_RUN = ("gather", "group", "labels", "queue", "negatives", "positives", "diagnostics", "reduction", "in_batch")


def make(name: str, options: Mapping[str, Any], *, gather: bool = False) -> ContrastiveLoss:
    """The loss module.

    Args:
        name: a key of `LOSSES`.
        options: its parameters; temperature "learned" or "learned:0.2" for one that is trained; divergence by name, with k,
            level or order beside it.
        gather: each rank's anchors against the candidates of all ranks.

    Raises:
        ValueError: an unknown loss or parameter (with close names); a value that the loss refuses.
    """
    if name not in LOSSES:
        raise ValueError(f"loss={name!r} must be one of {', '.join(LOSSES)}{_near(name, list(LOSSES))}")
    made = LOSSES[name]
    allowed = parameters(name)
    given = dict(options)
    inner = {key: given.pop(key) for key in OF_DIVERGENCE if key in given and key not in allowed}
    for key in given:
        if key not in allowed:
            raise ValueError(f"loss_options: {name} has no {key!r}; it takes {', '.join(allowed)}{_near(key, allowed)}")
    try:
        if isinstance(given.get("divergence"), str):
            given["divergence"] = divergences.get(given["divergence"], **inner)
        elif inner:
            raise ValueError(f"loss_options: {', '.join(inner)} belong to a divergence, and none is given by name")
        if isinstance(given.get("temperature"), str):
            given["temperature"] = _learned(given["temperature"])
        return made(**given, **({"gather": True} if gather else {}))
    except (TypeError, ValueError) as error:
        raise ValueError(f"loss={name}: {error}") from None


def parameters(name: str) -> list[str]:
    """Names of the parameters that a configuration may give to a loss.

    >>> parameters("rince")[:3]
    ['temperature', 'q', 'lam']
    """
    signature = inspect.signature(LOSSES[name].function)
    own = [p.name for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD and p.name not in ("z1", "z2")]
    shared = [key for key in losses.Common.__annotations__ | losses.Layout.__annotations__ if key not in own]
    return [key for key in (*own, *shared) if key not in OF_RUN]


def takes_positives(name: str) -> bool:
    """Whether the loss knows extra positives of each pair."""
    return "positives" in inspect.signature(LOSSES[name].function).parameters


def budget_of(loss: ContrastiveLoss, default: float = 0.5) -> dict[str, Any]:
    """What the worst case of a loss costs: `temperature` or `radius`, and its `divergence`, for statistics of trained embeddings.

    A number a pair stands for its mean. A loss whose worst case has neither (cvar) is read as KL at the temperature `default`.
    """
    held = loss.temperature if hasattr(loss, "temperature") else loss.options.get("temperature")
    radius, divergence = loss.options.get("radius"), loss.options.get("divergence", "kl")
    if radius is not None:
        return {"radius": _mean(radius), "divergence": divergence}
    if held is None:
        return {"temperature": default, "divergence": "kl"}
    return {"temperature": _mean(held() if isinstance(held, Temperature) else held), "divergence": divergence}


def _mean(value: Any) -> float:
    return float(value.detach().double().mean()) if hasattr(value, "detach") else float(value)


def _learned(text: str) -> Temperature:
    word, _, start = text.partition(":")
    if word != LEARNED:
        raise ValueError(f"temperature={text!r} must be a number, or {LEARNED}, or {LEARNED}:START")
    try:
        return Temperature(float(start)) if start else Temperature()
    except ValueError as error:
        raise ValueError(f"temperature={text!r}: {error}") from None


def _near(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=2, cutoff=0.6)
    return f"; did you mean {', '.join(near)}?" if near else ""
