"""chuang2020, Lemma 2: many negatives at a fixed weight turn the unbiased loss into one of means."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from drocl.claims import Evidence, at_most, claim, slope
from drocl.latent import LatentModel
from drocl.population import unbiased_loss

from ._classes import model_of

Floats = NDArray[np.float64]
Limit = Callable[[LatentModel, float, float], float]

ASSUMES = ("fixed weight Q", "unit embeddings, s = <x, y> / t", "finite support")
LIMIT = (
    r"\mathbb{E}[-\log\frac{e^{s^{+}}}{e^{s^{+}}+\frac{Q}{\tau^{-}}"
    r"(\mathbb{E}_p e^{s}-\tau^{+}\mathbb{E}_{p^{+}_x}e^{s})}]"
)


def averages(model: LatentModel, temperature: float) -> tuple[Floats, Floats, Floats]:
    """In units of e^{1/t}: e^s (n, n), and E_p e^s, E_{p+} e^s at each anchor (n,)."""
    values = np.exp(model.scores(temperature) - 1.0 / temperature)
    return values, values @ model.probs, (values * model.p_plus).sum(axis=1)


def over_positives(model: LatentModel, values: Floats, mean: Floats) -> float:
    """E log(1 + e^{-s+} mean) over x and x+."""
    return float(model.probs @ (model.p_plus * np.log1p(mean[:, None] / values)).sum(axis=1))


def as_printed(model: LatentModel, temperature: float, weight: float) -> float:
    """The limit, with Q / tau-."""
    values, marginal, positive = averages(model, temperature)
    tau = model.tau_plus
    return over_positives(model, values, weight / (1.0 - tau) * (marginal - tau * positive))


def without_prior(model: LatentModel, temperature: float, weight: float) -> float:
    """The limit with the weight Q in place of Q / tau-."""
    values, marginal, positive = averages(model, temperature)
    return over_positives(model, values, weight * (marginal - model.tau_plus * positive))


def proved_error(model: LatentModel, temperature: float, weight: float, n: int) -> float:
    """E[Q^2 Var_{p-}(e^s) / (e^{s+} + Q min e^s)^2] / 2N, from Taylor's theorem at the mean."""
    values, _, _ = averages(model, temperature)
    mean = (values * model.p_minus).sum(axis=1)
    variance = ((values - mean[:, None]) ** 2 * model.p_minus).sum(axis=1)
    least = np.where(model.p_minus > 0.0, values, np.inf).min(axis=1)
    ratio = weight**2 * variance[:, None] / (values + weight * least[:, None]) ** 2
    return float(model.probs @ (model.p_plus * ratio).sum(axis=1)) / (2.0 * n)


MODELS = ("random", "cross:2", "vmf", "digits")


@claim(
    "lemma2-limit",
    title="The unbiased loss tends to a loss of means, with an explicit error",
    says=r"|L_{Unb}^{N,Q}-" + LIMIT + r"|\leq"
    r"\frac{1}{2N}\mathbb{E}\frac{Q^{2}\,Var_{p^{-}_x}e^{s}}{(e^{s^{+}}+Q\min e^{s})^{2}}",
    source="chuang2020, Lemma 2 (its error derived here)",
    asserts="limit",
    assumes=ASSUMES,
    uses=("frullani-engine",),
    grid={
        "n_negatives": (1, 256, 2**20),
        "model": MODELS,
        "temperature": (1.0, 0.2),
        "weight": (1.0, 64.0),
        "seed": (0,),
    },
    standard={
        "n_negatives": (1, 8, 64, 512, 4096, 2**16, 2**20, 2**24),
        "temperature": (1.0, 0.5, 0.2, 0.1),
        "seed": (0, 1, 2),
    },
    control={"limit": without_prior},
    control_says="the weight Q in place of Q / tau-",
    control_grid={"model": ("random", "digits")},
    tolerance="rounding of the loss, 1e-13; the error allowed falls to 1e-7 at N = 2^20: a wrong limit cannot hide",
    figure="biased-unbiased-against-n",
)
def lemma2_limit(
    n_negatives: int, model: str, temperature: float, weight: float, seed: int, limit: Limit = as_printed
) -> Evidence:
    built = model_of(model, seed)
    loss = float(unbiased_loss(built, temperature, n_negatives, weight))
    bound = proved_error(built, temperature, weight, n_negatives)
    return at_most(abs(loss - limit(built, temperature, weight)), bound, atol=1e-11, loss=loss)


@claim(
    "lemma2-from-below",
    title="The unbiased loss approaches its limit from below",
    says=r"L_{Unb}^{N,Q}\leq" + LIMIT + r"\quad\mathrm{for\;every}\;N",
    source="chuang2020, Lemma 2 (the sign, by Jensen)",
    asserts="bound",
    assumes=ASSUMES,
    uses=("lemma2-limit",),
    grid={
        "n_negatives": (1, 64),
        "model": ("simplex", *MODELS),
        "temperature": (1.0, 0.2, 0.05),
        "weight": (1.0, 64.0),
        "seed": (0,),
    },
    standard={"n_negatives": (1, 4, 16, 64, 256, 4096), "temperature": (1.0, 0.5, 0.2, 0.1, 0.05), "seed": (0, 1, 2)},
    control={"limit": without_prior},
    control_says="the weight Q in place of Q / tau-, a smaller limit that the loss overtakes",
    control_grid={"model": ("random", "digits")},
    tolerance="rounding of the loss, 1e-13 (equality where the negatives do not vary: the simplex)",
    figure="biased-unbiased-against-n",
)
def lemma2_from_below(
    n_negatives: int, model: str, temperature: float, weight: float, seed: int, limit: Limit = as_printed
) -> Evidence:
    built = model_of(model, seed)
    loss = float(unbiased_loss(built, temperature, n_negatives, weight))
    return at_most(loss, limit(built, temperature, weight), atol=1e-12 * max(1.0, loss))


@claim(
    "lemma2-rate",
    title="The error of Lemma 2 goes as 1/N",
    says=r"L_{Unb}^{N,Q}-" + LIMIT + r"\sim\frac{c}{N}",
    source="chuang2020, Lemma 2 (its order, derived here)",
    asserts="rate",
    assumes=(*ASSUMES, "e^s not constant under p-", "N from 64 times the largest e^s / E_{p-} e^s on"),
    uses=("lemma2-limit",),
    grid={"spreads": (64,), "model": MODELS, "temperature": (1.0, 0.2), "weight": (1.0, 64.0), "seed": (0,)},
    standard={"spreads": (64, 512, 4096), "temperature": (1.0, 0.5, 0.2, 0.1), "seed": (0, 1, 2)},
    control={"limit": without_prior},
    control_says="the weight Q in place of Q / tau-: the difference does not fall at all",
    control_grid={"model": ("random", "digits")},
    tolerance="the next term is at most (largest e^s / its mean) / N relative, so it bends the slope by less than 1/64",
    figure="biased-unbiased-against-n",
)
def lemma2_rate(
    spreads: int, model: str, temperature: float, weight: float, seed: int, limit: Limit = as_printed
) -> Evidence:
    built = model_of(model, seed)
    values, _, _ = averages(built, temperature)
    largest = np.where(built.p_minus > 0.0, values, 0.0).max(axis=1) / (values * built.p_minus).sum(axis=1)
    sizes = int(np.ceil(spreads * largest.max())) * 2 ** np.arange(5)
    target = limit(built, temperature, weight)
    error = [abs(float(unbiased_loss(built, temperature, int(n), weight)) - target) for n in sizes]
    return slope(sizes, error, expected=-1.0, within=0.02)
