"""chuang2020, Eq. 8 as coded: one positive that serves both as x+ and in the estimate of the negatives."""

from collections.abc import Callable
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray
from scipy.special import factorial

from drocl.claims import Evidence, agree, claim
from drocl.latent import LatentModel
from drocl.population import debiased_loss, limit_loss

from ._classes import model_of

Floats = NDArray[np.float64]
Pairs = Callable[[Floats], Floats]


def same_view(law: Floats) -> Floats:
    """Joint law of x+ and v as coded: v = x+."""
    return np.diag(law)


def second_view(law: Floats) -> Floats:
    """Joint law of x+ and v as the paper has it: independent."""
    return np.outer(law, law)


def cancellation(temperature: float) -> float:
    """Rounding of the sums, and of neg - tau+ N pos relative to the clamp."""
    return 1e-12 + 8.0 * float(np.finfo(np.float64).eps) * float(np.exp(2.0 / temperature))


def coded(model: LatentModel, temperature: float, n: float, pairs: Pairs) -> float:
    """Mean of -log(pos / (pos + Ng)) with Ng = max((neg - tau+ n pos_v) / (1 - tau+), n e^{-1/t}), neg at its mean."""
    total = 0.0
    for x, mass in enumerate(model.probs):
        e = np.exp(model.scores(temperature)[x])
        near = np.flatnonzero(model.p_plus[x])
        pos, tau = e[near], model.tau_plus[x]
        ng = np.maximum((n * (e @ model.probs) - tau * n * pos) / (1.0 - tau), n * np.exp(-1.0 / temperature))
        losses = -np.log(pos[:, None] / (pos[:, None] + ng[None, :]))
        total += float(mass * (losses * pairs(model.p_plus[x][near])).sum())
    return total


def as_printed(model: LatentModel, temperature: float, weight: float) -> float:
    """E log(1 + Q g e^{-s+}) with g = max((E_p e^s - tau+ e^{s(x, v)}) / tau-, e^{-1/t}) and v independent of x+."""
    scores, tau = model.scores(temperature), model.tau_plus[:, None]
    values = np.exp(scores)
    floor = np.exp(-1.0 / temperature)
    g = np.maximum(((values @ model.probs)[:, None] - tau * values) / (1.0 - tau), floor)
    by_v = np.log1p(weight * g[:, None, :] * np.exp(-scores)[:, :, None]) * model.p_plus[:, None, :]
    return float(model.probs @ (by_v.sum(axis=2) * model.p_plus).sum(axis=1))


@claim(
    "coded-single-positive",
    title="The coded loss with one positive, v = x+, has the printed loss's expectation",
    says=r"\mathbb{E}\,\ell(x,x^{+},v=x^{+})=\mathbb{E}\,\ell(x,x^{+},v),\quad\ell=-\log\frac{e^{s^{+}}}{e^{s^{+}}+Qg},\;"
    r"g=\max\{\frac{1}{\tau^{-}}(\mathbb{E}_p e^{s}-\tau^{+}e^{s(x,v)}),e^{-1/t}\}",
    source="chuang2020, Eq. 8 (M = 1, against the reference code)",
    asserts="identity",
    assumes=("M = 1", "many negatives: their mean at its limit", "weight Q = N"),
    uses=("lemma2-limit",),
    grid={
        "weight": (16.0, 254.0),
        "model": ("blurred:0.3", "random", "vmf", "digits"),
        "temperature": (1.0, 0.5, 0.2),
        "seed": (0,),
    },
    standard={"weight": (1.0, 16.0, 62.0, 254.0, 1022.0), "temperature": (1.0, 0.5, 0.2, 0.1), "seed": (0, 1, 2)},
    control={"pairs": second_view},
    control_says="v a second view, independent of x+ given the class: the code's formula then has that expectation",
    control_expects="holds",
    tolerance="1e-12 for the sums; the code subtracts tau+ N pos from neg, which cancels: rounding, relative to the "
    "clamp, grows as eps e^{2/t}, and eight times that is allowed; the differences found are above 9e-5",
    figure="",
)
def coded_single_positive(
    weight: float, model: str, temperature: float, seed: int, pairs: Pairs = same_view
) -> Evidence:
    built = model_of(model, seed)
    found, expected = coded(built, temperature, weight, pairs), as_printed(built, temperature, weight)
    limit = float(limit_loss(built, temperature, weight))
    return agree(
        found,
        expected,
        atol=cancellation(temperature),
        limit=limit,
        coded_error=found - limit,
        printed_error=expected - limit,
    )


def sums_of(values: Floats, probs: Floats, n: int) -> tuple[Floats, Floats]:
    """All sums of n draws, and their probabilities."""
    atoms, place = np.unique(values, return_inverse=True)
    mass = np.bincount(place, weights=probs)
    picks = np.array(list(combinations_with_replacement(range(atoms.size), n)))
    counts = (picks[:, :, None] == np.arange(atoms.size)).sum(axis=1)
    ways = factorial(n) / factorial(counts).prod(axis=1)
    return counts @ atoms, ways * np.prod(mass**counts, axis=1)


def coded_batch(model: LatentModel, temperature: float, n: int, pairs: Pairs) -> float:
    """The code's loss with n negatives from p, over all its outcomes."""
    total = 0.0
    for x, mass in enumerate(model.probs):
        e = np.exp(model.scores(temperature)[x])
        near = np.flatnonzero(model.p_plus[x])
        pos, tau = e[near], model.tau_plus[x]
        neg, ways = sums_of(e, model.probs, n)
        ng = np.maximum((neg[:, None] - tau * n * pos) / (1.0 - tau), n * np.exp(-1.0 / temperature))
        losses = -np.log(pos[:, None] / (pos[:, None] + ng[:, None, :]))  # (outcomes, x+, v)
        total += float(mass * (np.tensordot(ways, losses, 1) * pairs(model.p_plus[x][near])).sum())
    return total


@claim(
    "second-view-single-positive",
    title="With an independent second view as v, the coded loss has the printed loss's expectation",
    says=r"\mathbb{E}\,\ell_{code}(x,x^{+},v,u_{1..N})=L^{N,1},\quad v\sim p^{+}_x\;\mathrm{independent\;of}\;x^{+}",
    source="chuang2020, Eq. 7 and 8 (the reference code, repaired here)",
    asserts="identity",
    assumes=("M = 1", "few outcomes, so that all can be counted"),
    uses=("lemma2-limit",),
    repairs="coded-single-positive",
    grid={
        "n_negatives": (1, 2, 3),
        "classes": ("random", "cross:2", "opposite:4"),
        "temperature": (1.0, 0.5, 0.2),
        "seed": (0,),
    },
    standard={"n_negatives": (1, 2, 3, 4), "temperature": (1.0, 0.5, 0.2, 0.1), "seed": (0, 1, 2)},
    cases=tuple({"n_negatives": 64, "classes": "blurred:0.3", "temperature": t, "seed": 0} for t in (1.0, 0.5, 0.2)),
    control={"pairs": same_view},
    control_says="v = x+, as in the reference code",
    tolerance="1e-12 for the sums; the code subtracts tau+ N pos from neg, which cancels: rounding, relative to the "
    "clamp, grows as eps e^{2/t}, and eight times that is allowed",
    figure="",
)
def second_view_single_positive(
    n_negatives: int, classes: str, temperature: float, seed: int, pairs: Pairs = second_view
) -> Evidence:
    built = model_of(classes, seed)
    counted = float(debiased_loss(built, temperature, n_negatives, 1))
    return agree(coded_batch(built, temperature, n_negatives, pairs), counted, atol=cancellation(temperature))
