"""merhav2020: the expected logarithm of a random sum is one integral, whatever the number of terms."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from drocl.claims import Evidence, agree, claim
from drocl.population import expected_log_sum

Floats = NDArray[np.float64]
Expectation = Callable[[Floats, Floats, int, float], float]


def outcomes(n: int, probs: Floats) -> tuple[Floats, Floats]:
    """All counts (S, k) of n draws, and their probabilities (S,): a chain of exact binomials, without log-gamma."""
    counts, mass, left = np.zeros((1, 0)), np.ones(1), np.array([n])
    for j, p in enumerate(probs[:-1]):
        share = p / probs[j:].sum()
        grown = [(counts[i], mass[i], b) for i in range(len(mass)) for b in range(left[i] + 1)]
        factor = np.concatenate([binom.pmf(np.arange(rest + 1), rest, share) for rest in left])
        left = np.concatenate([rest - np.arange(rest + 1) for rest in left])
        counts = np.array([[*row, b] for row, _, b in grown])
        mass = np.array([weight for _, weight, _ in grown]) * factor
    return np.column_stack([counts, left]), mass


def enumerated(values: Floats, probs: Floats, n: int, offset: float) -> float:
    """E log(a + sum X_i) as a sum over all outcomes."""
    counts, mass = outcomes(n, probs)
    return float(mass @ np.log(offset + counts @ values) / mass.sum())


def scale_forgotten(values: Floats, probs: Floats, n: int, offset: float) -> float:
    """The integral rescaled by c = a + N E X so that it converges, without adding log c back."""
    scale = offset + n * float(probs @ values)
    return float(expected_log_sum(values / scale, probs, n, offset / scale))


@claim(
    "frullani-engine",
    title="The expected logarithm of a sum is an integral: exact for any number of negatives",
    says=r"\mathbb{E}\log(a+\sum_{i\leq N}X_i)=\int_{-\infty}^{\infty}[e^{-e^{u}}-e^{-ae^{u}}\varphi(e^{u})^{N}]\,du,"
    r"\quad\varphi(z)=\mathbb{E}e^{-zX}",
    source="merhav2020, section 2 (with z = e^u)",
    asserts="identity",
    assumes=("X i.i.d., positive, on a finite support", "a >= 0"),
    grid={"n": (1, 4, 16), "atoms": (4,), "temperature": (1.0, 0.2, 0.05), "seed": (0, 1)},
    standard={"n": (1, 2, 4, 8, 16, 24), "temperature": (1.0, 0.5, 0.2, 0.1, 0.05, 0.02), "seed": tuple(range(5))},
    paper={"seed": tuple(range(20))},
    cases=tuple({"n": n, "atoms": 2, "temperature": t, "seed": 0} for n in (1024, 65536) for t in (1.0, 0.05)),
    control={"expectation": scale_forgotten},
    control_says="the integral rescaled by the mean, and the logarithm of the scale forgotten",
    tolerance="the trapezoid rule of step 1/4 errs by less than 1e-15, rounding of the enumeration's probabilities by "
    "1e-14; the gaps do not grow with N",
    figure="",
)
def frullani_engine(
    n: int, atoms: int, temperature: float, seed: int, expectation: Expectation = expected_log_sum
) -> Evidence:
    rng = np.random.default_rng(seed)
    values = np.exp(rng.uniform(-1.0, 1.0, size=atoms) / temperature)
    probs = rng.dirichlet(np.ones(atoms))
    offset = float(np.exp(rng.uniform(-1.0, 1.0) / temperature))
    exact = enumerated(values, probs, n, offset)
    return agree(expectation(values, probs, n, offset), exact, atol=1e-12, scale=1.0 + abs(exact))
