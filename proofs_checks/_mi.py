"""What the checks on mutual information share: joint laws and critics by name, and a search over both."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drocl import latent
from drocl.claims import minimise_slack
from drocl.mi import exact
from drocl.mi.exact import CriticLaw

from ._pools import named

Floats = NDArray[np.float64]

#: divergences with a variational form that `drocl.mi` trains by
DUALS = ("kl", "chi2", "reverse_kl", "hellinger", "js", "cressie_read(k=1.5)")
LAWS = ("random", "channel", "classes", "latent")
CRITICS = ("optimal", "noisy", "scaled", "opposite", "random")
_LEAST = -8.0  # nats, in place of -inf


def joint(law: str, seed: int) -> Floats:
    """A joint law by name, its symbols few.

    "random": 4 x 5, Dirichlet. "channel": 4 symbols, one sent in ten replaced at random. "classes": 8 equally likely
    classes, y = x. "latent": an anchor and its positive of a latent-class model whose views are noisy.
    """
    rng = np.random.default_rng(seed)
    if law == "random":
        return rng.dirichlet(np.full(20, 0.5)).reshape(4, 5)
    if law == "channel":
        return 0.25 * (0.9 * np.eye(4) + 0.025)
    if law == "classes":
        return np.eye(8) / 8.0
    if law == "latent":
        model = latent.build("noisy-views", n_classes=3, points=3, dimension=3, seed=seed, rate=0.2)
        return exact.joint_of(model)
    raise ValueError(f"law={law!r} must be one of {', '.join(LAWS)}")


def optimal(p: Floats) -> Floats:
    """The log-ratio, at least -8 nats."""
    return np.maximum(exact.finite(p).scores, _LEAST)


def critic(kind: str, p: Floats, seed: int) -> Floats:
    """A critic by name: the log-ratio itself, with noise, three times it, its opposite, or noise alone."""
    rng = np.random.default_rng(seed + 1000)
    noise = rng.normal(size=p.shape)
    best = exact.finite(p).scores if kind == "optimal" else optimal(p)
    made = {"optimal": best, "noisy": best + noise, "scaled": 3.0 * best, "opposite": -best, "random": 2.0 * noise}
    if kind not in made:
        raise ValueError(f"kind={kind!r} must be one of {', '.join(CRITICS)}")
    return made[kind]


def law_of(law: str, kind: str, seed: int) -> CriticLaw:
    """A joint law with a critic, both by name."""
    p = joint(law, seed)
    return exact.finite(p, critic(kind, p, seed))


def uneven(size: int = 3, seed: int = 0) -> Floats:
    """A channel with no zero and no symmetry, (size, size)."""
    rng = np.random.default_rng(seed)
    p = np.eye(size) + 0.3 * rng.random((size, size)) + 0.05
    return p / p.sum()


def search(
    slack: Callable[[CriticLaw, int], float], seed: int, budget: int, reach: float = 6.0
) -> tuple[CriticLaw, int]:
    """The joint law of 3 x 3 symbols, the critic within +-`reach` nats and the N up to 1024 of smallest slack."""

    def read(theta: Floats) -> tuple[CriticLaw, int]:
        logits, g = theta[:9].reshape(3, 3), theta[9:18].reshape(3, 3)
        p = np.exp(logits - logits.max()) + 1e-9
        n = round(2.0 ** float(np.clip(theta[18], 0.0, 10.0)))
        return exact.finite(p / p.sum(), np.clip(g, -reach, reach)), n

    def draw(rng: np.random.Generator) -> Floats:
        logits = 4.0 * rng.random() * np.eye(3).ravel() + rng.normal(size=9)
        p = np.exp(logits)
        g = optimal((p / p.sum()).reshape(3, 3)).ravel() * rng.choice([1.0, 3.0]) + rng.normal(size=9) * rng.random()
        return np.concatenate([logits, g, [10.0 * rng.random()]])

    theta, _ = minimise_slack(lambda theta: slack(*read(theta)), draw, seed=seed, budget=budget)
    return read(theta)


@dataclass(frozen=True)
class Dual:
    """A critic of a phi-dual on a finite pair of laws: f and Q flattened."""

    f: Floats
    base: Floats
    label: str

    @classmethod
    def of(cls, law: CriticLaw, f: Floats, label: str) -> "Dual":
        """From a law of pairs and a critic (k, m)."""
        base = law.product.ravel()
        keep = base > 0.0
        return cls(np.asarray(f, dtype=np.float64).ravel()[keep], base[keep], label)

    @property
    def normalizer(self) -> float:
        """The minimising lambda, by a bracketed root of E_Q (phi*)'(f - lambda) = 1 or the end of the domain."""
        from scipy.optimize import brentq

        phi = named(self.label)
        low, high = float(self.f.min()), float(self.f.max())
        if math.isfinite(phi.slope_at_infinity):
            low = max(low, high - phi.slope_at_infinity * (1.0 - 1e-13))

        def surplus(shift: float) -> float:
            return float(self.base @ np.asarray(phi.conjugate_derivative(self.f - shift))) - 1.0

        if high - low < 1e-15 or surplus(low) <= 0.0:
            return low
        return float(brentq(surplus, low, high + 1e-9, xtol=1e-15, rtol=1e-15))


def within_domain(f: Floats, label: str) -> Floats:
    """A critic shifted down, where it has to be, so that phi* is finite on it."""
    end = named(label).slope_at_infinity
    return f - max(0.0, float(f.max()) - (end - 0.05 if math.isfinite(end) else math.inf))


def best_dual_critic(p: Floats, label: str) -> Floats:
    """phi'(dP/dQ), which attains D_phi; the law must have no zero where phi'(0) is -inf."""
    return np.asarray(named(label).derivative(np.exp(exact.finite(p).scores)))


def information(p: Floats, label: str) -> float:
    """D_phi(P_XY || P_X P_Y) of a finite joint law."""
    product = np.outer(p.sum(axis=1), p.sum(axis=0))
    return float(named(label).between(p.ravel(), product.ravel()))
