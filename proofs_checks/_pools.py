"""What the wu2023 checks share: pools of scores, moments, divergences by label, critics and derivatives."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from drocl import divergences, dro

Floats = NDArray[np.float64]
Map = Callable[[NDArray[Any]], NDArray[Any]]

LABELS = ("kl", "reverse_kl", "chi2", "neyman", "hellinger", "cressie_read(k=3)", "cressie_read(k=1.5)",
          "cressie_read(k=-0.5)", "js", "tv", "renyi(order=0.5)", "renyi(order=2)")  # fmt: skip
# those with a third derivative at 1 that is not 0
CURVED = ("kl", "reverse_kl", "neyman", "hellinger", "cressie_read(k=3)", "cressie_read(k=-0.5)", "js")
CAPPED = ("cvar(level=0.1)", "cvar(level=0.35)")  # no radius: the level a is the size, and the derivative is in 1/a


def pool(scores: str, n: int, seed: int, symmetric: bool = False) -> tuple[Floats, Floats]:
    """Scores (n,) of the negatives of one anchor and their base law (n,); the digits or a file may have fewer.

    With `symmetric`, half of that law and half of its mirror image about the mean: the same variance, no skewness.
    """
    from drocl import latent

    f, q0 = latent.scores(scores, n=n, seed=seed)
    if symmetric:
        f, q0 = np.concatenate([f, 2.0 * float(q0 @ f) - f]), np.concatenate([q0, q0]) / 2.0
    return f, q0


def hermite_pool(n: int, mean: float, deviation: float) -> tuple[Floats, Floats]:
    """The n-point law whose first 2 n - 1 moments are those of a Gaussian."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(n)
    return mean + deviation * nodes, weights / weights.sum()


def legendre_pool(n: int, mean: float, deviation: float) -> tuple[Floats, Floats]:
    """The n-point law whose first 2 n - 1 moments are those of a uniform law."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    return mean + deviation * np.sqrt(3.0) * nodes, weights / 2.0


def moments(f: Floats, q0: Floats) -> tuple[float, float, float]:
    """Mean, variance and third central moment."""
    mean = float(q0 @ f)
    centred = f - mean
    return mean, float(q0 @ centred**2), float(q0 @ centred**3)


def skewness(f: Floats, q0: Floats) -> float:
    """Third central moment in units of the deviation; exactly 0 where it is rounding."""
    _, variance, third = moments(f, q0)
    gamma = third / variance**1.5
    return gamma if abs(gamma) > 1e-6 else 0.0


def named(label: str) -> divergences.Divergence:
    """A divergence from its label, such as "cressie_read(k=3)"."""
    name, _, inner = label.rstrip(")").partition("(")
    params = {key: float(value) for key, value in re.findall(r"(\w+)=([^,\s]+)", inner)}
    return divergences.get(name, **params)


def log_mean_exp(x: NDArray[Any], q0: Floats) -> Any:
    """log E_{Q0} e^x, for complex x near the real axis too."""
    if np.iscomplexobj(x):
        top = x.real.max()
        return top + np.log(q0 @ np.exp(x - top))
    return logsumexp(x, b=q0)


def critic(model: str, n: int, seed: int, parameters: int = 4) -> Map:
    """An embedding that theta deforms: theta (p,) -> cosines (1 + n,) of an anchor with a positive and n negatives.

    Points of a latent model; the positive is a noisy view of the anchor. Analytic in theta, so that a complex step
    differentiates it to rounding.
    """
    from drocl import latent

    enough = {"random": {"points": n // 4 + 1}, "digits": {"n": min(1797, max(10, n + 1))}}
    points = np.asarray(latent.build(model, **enough.get(model, {})).embeddings)
    rng = np.random.default_rng(seed)
    d = points.shape[1]
    order = rng.permutation(len(points))
    anchor, others = points[order[0]], points[order[1 + np.arange(n) % (len(points) - 1)]]
    rows = np.stack([anchor, anchor + 0.5 * rng.normal(size=d) / np.sqrt(d), *others])
    shifts = np.tanh(np.sqrt(d) * rows) @ rng.normal(size=(parameters, d, d)) / d

    def scores(theta: NDArray[Any]) -> NDArray[Any]:
        moved = rows + np.einsum("k,kni->ni", theta, shifts)
        unit = moved / np.sqrt((moved**2).sum(axis=1, keepdims=True))
        return np.asarray(unit[1:] @ unit[0])

    return scores


def complex_step(function: Callable[[NDArray[Any]], Any], theta: Floats) -> NDArray[Any]:
    """Derivatives (p, ...) of an analytic function, to rounding: Im f(theta + i h e_k) / h."""
    h = 1e-30
    return np.stack([np.imag(function(theta + 1j * h * axis)) / h for axis in np.eye(theta.size)])


def central(function: Callable[[Floats], Any], theta: Floats, h: float) -> Floats:
    """Derivatives (p, ...) by fourth-order central differences."""

    def along(axis: Floats) -> Any:
        near = function(theta + h * axis) - function(theta - h * axis)
        far = function(theta + 2 * h * axis) - function(theta - 2 * h * axis)
        return (8.0 * near - far) / (12.0 * h)

    return np.stack([along(axis) for axis in np.eye(theta.size)])


def gained(f: Floats, q0: Floats, temperature: float, phi: divergences.Divergence) -> float:
    """max_Q E_Q f - tau D(Q || Q0), above the mean, by the fast solver."""
    best = dro.worst_case(f, temperature=temperature, divergence=phi, base=q0)
    return float(best.excess) - temperature * float(best.radius)


def mean_variance(f: Floats, q0: Floats, temperature: float, phi: divergences.Divergence) -> float:
    """V / (2 tau phi''(1)): what the penalised robust value adds to the mean, to second order (wu2023, Eq 7)."""
    return moments(f, q0)[1] / (2.0 * temperature * phi.second_at_one)
