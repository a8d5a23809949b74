"""chuang2020, section 3: what false negatives do to the loss, and that they need not raise it."""

from collections.abc import Callable

import numpy as np

from drocl.claims import Evidence, at_least, at_most, claim
from drocl.latent import LatentModel
from drocl.population import lemma1_gap, limit_loss

from ._classes import log_ratio, losses, model_of

Correction = Callable[[LatentModel, float, int], float]


def nothing(model: LatentModel, temperature: float, n: int) -> float:
    """No correction."""
    return 0.0


def lemma1_correction(model: LatentModel, temperature: float, n: int) -> float:
    """The min-term of Lemma 1 and its sharp constant."""
    return float(model.probs @ np.minimum(0.0, log_ratio(model, temperature))) - lemma1_gap(n, temperature)


@claim(
    "biased-at-least-unbiased",
    title="The biased loss is an upper bound of the unbiased one",
    says=r"L_{Bias}^{N}\geq L_{Unb}^{N}\quad\mathrm{for\;every\;model}",
    source="chuang2020, section 3 (how Lemma 1 is often read)",
    asserts="bound",
    assumes=("unit embeddings, s = <x, y> / t", "x and x+ independent given the class"),
    uses=("frullani-engine",),
    grid={
        "n_negatives": (1, 2, 16),
        "model": ("simplex", "cross:2", "mub:16", "random", "digits"),
        "temperature": (1.0, 0.5, 0.05),
        "seed": (0,),
    },
    standard={"n_negatives": (1, 2, 4, 16, 64), "temperature": (1.0, 0.5, 0.2, 0.1, 0.05), "seed": (0, 1, 2)},
    control={"correction": lemma1_correction},
    control_says="the min-term and the sharp constant of Lemma 1 added: then it holds in the same cases",
    control_expects="holds",
    tolerance="the smallest violation, of eight points on a circle at t = 1, is 4e-4; the losses are exact to 1e-12",
    figure="biased-unbiased-against-n",
)
def biased_at_least_unbiased(
    n_negatives: int, model: str, temperature: float, seed: int, correction: Correction = nothing
) -> Evidence:
    built = model_of(model, seed)
    biased, unbiased = losses(built, temperature, n_negatives)
    return at_least(biased, unbiased + correction(built, temperature, n_negatives), atol=1e-11)


def no_constant(n: int, temperature: float) -> float:
    """Neither loss has a Jensen gap."""
    return 0.0


@claim(
    "biased-unbiased-sandwich",
    title="The biased loss lies between two repairs of the unbiased one",
    says=r"\mathbb{E}_x\min\{0,\log r_x\}-\kappa_N(t)\leq L_{Bias}^{N}-L_{Unb}^{N}"
    r"\leq\mathbb{E}_x\max\{0,\log r_x\}+\kappa_N(t),"
    r"\quad r_x=\frac{\mathbb{E}_{p^{+}_x}e^{s}}{\mathbb{E}_{p^{-}_x}e^{s}}",
    source="chuang2020, Lemma 1 (repaired here, with its other side)",
    asserts="bound",
    assumes=("unit embeddings, s = <x, y> / t", "x and x+ independent given the class"),
    uses=("lemma1-sharp",),
    repairs="biased-at-least-unbiased",
    grid={
        "n_negatives": (1, 16, 256),
        "model": ("simplex", "cross:2", "mub:16", "fan:16", "random", "digits"),
        "temperature": (1.0, 0.5, 0.05),
        "seed": (0,),
    },
    standard={"n_negatives": (1, 2, 4, 16, 64, 256), "temperature": (1.0, 0.5, 0.2, 0.1, 0.05), "seed": (0, 1, 2)},
    control={"constant": no_constant},
    control_says="the two ratio terms without kappa_N(t)",
    control_grid={"n_negatives": (1, 2), "model": ("cross:2", "mub:16", "fan:16")},
    tolerance="the losses are exact to 1e-12, kappa_N(t) to 1e-12 relative",
    figure="biased-unbiased-against-n",
)
def biased_unbiased_sandwich(
    n_negatives: int, model: str, temperature: float, seed: int, constant: Callable[[int, float], float] = lemma1_gap
) -> Evidence:
    built = model_of(model, seed)
    biased, unbiased = losses(built, temperature, n_negatives)
    ratio, kappa = log_ratio(built, temperature), constant(n_negatives, temperature)
    lower = float(built.probs @ np.minimum(0.0, ratio)) - kappa
    upper = float(built.probs @ np.maximum(0.0, ratio)) + kappa
    difference = biased - unbiased
    return at_most(
        [lower, difference], [difference, upper], atol=1e-11, difference=difference, lower=lower, upper=upper
    )


def limit_cost(model: LatentModel, temperature: float, n: int) -> float:
    """E log((e^{s+} + N E_p e^s) / (e^{s+} + N E_{p-} e^s)): the losses' difference without their Jensen gaps."""
    sampled, true = (float(limit_loss(model, temperature, n, negatives=law)) for law in ("sampled", "true"))
    return sampled - true


def cost_of_averages(model: LatentModel, temperature: float, n: int) -> float:
    """The logarithm of the two averages over anchors and positives, in place of the average of the logarithms."""
    values = np.exp(model.scores(temperature) - 1.0 / temperature)
    positive = float(model.probs @ (values * model.p_plus).sum(axis=1))
    sampled, true = (float(model.probs @ (values * law).sum(axis=1)) for law in (model.p_negative, model.p_minus))
    return float(np.log((positive + n * sampled) / (positive + n * true)))


@claim(
    "false-negative-cost",
    title="What false negatives cost: the difference of two limits, up to the sharp constant",
    says=r"|L_{Bias}^{N}-L_{Unb}^{N}-\mathbb{E}\log\frac{e^{s^{+}}+N\,\mathbb{E}_{p}e^{s}}{e^{s^{+}}+N\,\mathbb{E}_{p^{-}_x}e^{s}}|"
    r"\leq\kappa_N(t)",
    source="chuang2020, Lemma 1 (from its repaired proof, derived here)",
    asserts="bound",
    assumes=("unit embeddings, s = <x, y> / t", "x and x+ independent given the class"),
    uses=("lemma1-sharp",),
    grid={
        "n_negatives": (1, 16, 256, 4096),
        "model": ("digits", "random", "mub:16"),
        "temperature": (1.0, 0.5, 0.2),
        "seed": (0,),
    },
    standard={
        "n_negatives": (1, 4, 16, 64, 256, 1024, 4096),
        "model": ("digits", "random", "vmf", "simplex", "mub:16", "cross:2"),
        "temperature": (1.0, 0.5, 0.2, 0.1),
        "seed": (0, 1, 2),
    },
    control={"cost": cost_of_averages},
    control_says="the logarithm of averages over anchors in place of the average of logarithms",
    control_grid={"n_negatives": (4096, 2**16), "model": ("digits",)},
    tolerance="the losses are exact to 1e-12, kappa_N(t) to 1e-12 relative; it is 2e-4 at t = 1, N = 4096",
    figure="lemma1-digits",
)
def false_negative_cost(
    n_negatives: int, model: str, temperature: float, seed: int, cost: Correction = limit_cost
) -> Evidence:
    built = model_of(model, seed)
    biased, unbiased = losses(built, temperature, n_negatives)
    expected, kappa = cost(built, temperature, n_negatives), lemma1_gap(n_negatives, temperature)
    return at_most(
        abs(biased - unbiased - expected), kappa, atol=1e-11, biased=biased, unbiased=unbiased, cost=expected
    )
