"""Latent-class models with exact p, p+ and p- on finite supports, and score laws for the inner problem.

`build("mub", dimension=64)` or the function of that name makes a model; `Empirical` and `build("file:PATH.npz")` make
one of any embeddings; `scores("skewed", n=300)` makes a pool of scores.
"""

import inspect
from collections.abc import Callable
from typing import Any

from drocl.latent.builders import (
    antipodal,
    contaminated,
    mutually_unbiased_bases,
    noisy_views,
    random_embeddings,
    simplex,
)
from drocl.latent.model import Empirical, LatentModel
from drocl.latent.real import digits, from_file
from drocl.latent.score_laws import SCORE_LAWS, scores
from drocl.latent.vmf import VonMisesFisher, log_sphere_mean, vmf_log_normalizer, vmf_mixture

__all__ = [
    "MODELS",
    "SCORE_LAWS",
    "Empirical",
    "LatentModel",
    "VonMisesFisher",
    "antipodal",
    "build",
    "contaminated",
    "digits",
    "from_file",
    "log_sphere_mean",
    "mutually_unbiased_bases",
    "noisy_views",
    "random_embeddings",
    "scores",
    "simplex",
    "vmf_log_normalizer",
    "vmf_mixture",
]

MODELS: dict[str, Callable[..., LatentModel]] = {
    "simplex": simplex,
    "antipodal": antipodal,
    "mub": mutually_unbiased_bases,
    "random": random_embeddings,
    "vmf": vmf_mixture,
    "digits": digits,
    "contaminated": contaminated,
    "noisy-views": noisy_views,
}


def build(spec: str, **params: Any) -> LatentModel:
    """Make a model from its name.

    Args:
        spec: simplex, antipodal, mub, random, vmf, digits, contaminated, noisy-views, or file:PATH.npz.
        params: keywords of the function of that name (`MODELS`; `from_file` for a file). `seed` is taken by every spec,
            and plays no part where nothing is random. For "contaminated" and "noisy-views", what is not theirs goes to
            the random model below.

    Returns:
        The model.

    Raises:
        ValueError: for an unknown spec or parameter, or one out of range; the message lists what is known.

    >>> build("mub", dimension=4, seed=1).name
    'mub(dimension=4)'
    """
    name, _, path = spec.partition(":")
    if name == "file" and path:
        return from_file(path, **_accepted(from_file, spec, params))
    if spec not in MODELS:
        raise ValueError(f"spec={spec!r} must be one of {', '.join(MODELS)}, file:PATH.npz")
    if spec in ("contaminated", "noisy-views") and "model" not in params:
        own = {key: params.pop(key) for key in ("rate",) if key in params}
        below = random_embeddings(**{"cluster": 1.0, **_accepted(random_embeddings, spec, params)})
        return MODELS[spec](below, **own)
    return MODELS[spec](**_accepted(MODELS[spec], spec, params))


def _accepted(builder: Callable[..., LatentModel], spec: str, params: dict[str, Any]) -> dict[str, Any]:
    known = [key for key in inspect.signature(builder).parameters if key != "path"]
    for key, value in params.items():
        if key not in known and key != "seed":
            raise ValueError(
                f"{key}={value!r} is no parameter of spec {spec!r}, which takes: {', '.join(known) or 'none'}"
            )
    return {key: value for key, value in params.items() if key in known}
