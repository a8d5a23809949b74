"""Score laws for the inner problem: the pools of similarities that the worst case is taken over."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from drocl.latent.builders import _at_least
from drocl.latent.kinds import Array, Real
from drocl.latent.model import LatentModel
from drocl.latent.real import digits, from_file

__all__ = ["SCORE_LAWS", "scores"]

Pool: TypeAlias = tuple[Array, Array]


def scores(spec: str, *, n: int = 64, seed: int = 0, temperature: Real = 1.0, **params: Any) -> tuple[Array, Array]:
    """Scores of the negatives of one anchor and their base law.

    | spec | law | parameters |
    |---|---|---|
    | gaussian | N(mean, scale) | mean=0, scale=1 |
    | uniform | uniform on [low, high] | low=-1, high=1 |
    | skewed | .9 N(0, .1) + .1 N(.7, .1): a cluster of false negatives | share=.1, centre=.7, scale=.1 |
    | sphere | cosines of uniform directions to an anchor | dimension=8 |
    | two-point | -1, and 1 at a share of the atoms | share=.1 |
    | outlier | N(0, .1), but one score | outlier=1 |
    | ties | equal numbers of each of a few levels in [-1, 1], the top one too | levels=4 |
    | digits | cosines of one digit to digits of other classes | dimension=16 |
    | file:PATH.npz | cosines of one row to the others, of other classes if labelled | |

    Args:
        spec: a name of the table.
        n: atoms; a file or the digits may have fewer to give.
        seed: of the draw, and of the choice of the anchor where there is one.
        temperature: t > 0 that scores are divided by.
        params: of the law, as in the table.

    Returns:
        Scores (n,) and the base law (n,), positive, summing to 1.

    Raises:
        ValueError: for an unknown spec or parameter, or one out of range.

    >>> f, q0 = scores("two-point", n=4, share=0.25)
    >>> f.tolist(), q0.tolist()
    ([1.0, -1.0, -1.0, -1.0], [0.25, 0.25, 0.25, 0.25])
    """
    _at_least(n=(n, 1))
    if not 0.0 < temperature < np.inf:
        raise ValueError(f"temperature={temperature!r} must be positive and finite")
    name, _, rest = spec.partition(":")
    if name == "file" and rest:
        f, q0 = _of_anchor(from_file(Path(rest), n=None), n, seed)
    elif spec in SCORE_LAWS:
        law = SCORE_LAWS[spec]
        allowed = [key for key in inspect.signature(law).parameters if key not in ("n", "rng")]
        for given in params:
            if given not in allowed:
                raise ValueError(
                    f"{given}={params[given]!r} is no parameter of {spec!r}, which has: {', '.join(allowed)}"
                )
        f, q0 = law(n, np.random.default_rng(seed), **params)
    else:
        raise ValueError(f"spec={spec!r} must be one of {', '.join(SCORE_LAWS)}, file:PATH.npz")
    return f / temperature, q0


def _even(f: Array) -> Pool:
    return f, np.full(f.size, 1.0 / f.size)


def _gaussian(n: int, rng: np.random.Generator, *, mean: Real = 0.0, scale: Real = 1.0) -> Pool:
    return _even(rng.normal(mean, _positive("scale", scale), size=n))


def _uniform(n: int, rng: np.random.Generator, *, low: Real = -1.0, high: Real = 1.0) -> Pool:
    if not low < high:
        raise ValueError(f"low={low!r} must be below high={high!r}")
    return _even(rng.uniform(low, high, size=n))


def _skewed(n: int, rng: np.random.Generator, *, share: Real = 0.1, centre: Real = 0.7, scale: Real = 0.1) -> Pool:
    false = rng.random(n) < _unit("share", share)
    return _even(rng.normal(np.where(false, centre, 0.0), _positive("scale", scale)))


def _sphere(n: int, rng: np.random.Generator, *, dimension: int = 8) -> Pool:
    _at_least(dimension=(dimension, 2))
    rows = rng.normal(size=(n, dimension))
    return _even(rows[:, 0] / np.linalg.norm(rows, axis=1))


def _two_point(n: int, rng: np.random.Generator, *, share: Real = 0.1) -> Pool:
    top = min(max(1, round(n * _unit("share", share))), max(1, n - 1))
    return _even(np.where(np.arange(n) < top, 1.0, -1.0))


def _outlier(n: int, rng: np.random.Generator, *, outlier: Real = 1.0) -> Pool:
    f = rng.normal(0.0, 0.1, size=n)
    f[0] = outlier
    return _even(f)


def _ties(n: int, rng: np.random.Generator, *, levels: int = 4) -> Pool:
    _at_least(levels=(levels, 2))
    return _even(np.linspace(1.0, -1.0, levels)[np.arange(n) % levels])


def _digits(n: int, rng: np.random.Generator, *, dimension: int = 16) -> Pool:
    return _of_anchor(digits(n=1797, dimension=dimension), n, int(rng.integers(1 << 31)))


def _of_anchor(model: LatentModel, n: int, seed: int) -> Pool:
    """Negatives of a random anchor: at most n points of other classes, or other points where classes are unknown."""
    rng = np.random.default_rng(seed)
    anchor = int(rng.integers(len(model)))
    others = np.arange(len(model)) != anchor
    if model.labels is not None and (model.labels != model.labels[anchor]).any():
        others = model.labels != model.labels[anchor]
    chosen = np.sort(rng.permutation(np.flatnonzero(others))[:n])
    if not chosen.size:
        raise ValueError(f"model {model.name!r} has one point only, and an anchor needs negatives")
    base = model.probs[chosen]
    return np.clip(model.embeddings[chosen] @ model.embeddings[anchor], -1.0, 1.0), base / base.sum()


def _positive(name: str, value: Real) -> float:
    if not 0.0 < value < np.inf:
        raise ValueError(f"{name}={value!r} must be positive and finite")
    return value


def _unit(name: str, value: Real) -> float:
    if not 0.0 < value < 1.0:
        raise ValueError(f"{name}={value!r} must lie in (0, 1)")
    return value


SCORE_LAWS: dict[str, Callable[..., Pool]] = {
    "gaussian": _gaussian,
    "uniform": _uniform,
    "skewed": _skewed,
    "sphere": _sphere,
    "two-point": _two_point,
    "outlier": _outlier,
    "ties": _ties,
    "digits": _digits,
}
