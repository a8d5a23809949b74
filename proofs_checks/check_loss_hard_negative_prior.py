"""robinson2021, Eq 2: which share of the tilted law q_beta belongs to the anchor's class."""

from collections.abc import Callable

import numpy as np

from drocl.claims import Evidence, agree, claim
from drocl.latent import LatentModel

from ._classes import log_mean_exp, model_of
from ._losses import TORCH, Floats, of_scores

Share = Callable[[LatentModel, float, float], Floats]
GRID = {"concentration": (0.5, 1.0, 2.0), "temperature": (0.5, 1.0), "model": ("random", "vmf", "mub:16", "digits"), "seed": (0,)}
STANDARD = {"concentration": (0.1, 0.5, 1.0, 2.0, 5.0), "temperature": (0.3, 0.5, 1.0), "seed": (0, 1, 2)}


def log_tilted(model: LatentModel, temperature: float, beta: float, law: Floats) -> Floats:
    """log E_{q_beta} e^s for q_beta the law in each row tilted by e^{beta s}, (n,)."""
    # e^{(1 + beta) s} is the critic at temperature / (1 + beta)
    both = log_mean_exp(model, temperature / (1.0 + beta), law)
    return both - log_mean_exp(model, temperature / beta, law)


def rounding(model: LatentModel, temperature: float, beta: float) -> float:
    """What is lost where the class is subtracted from both sums: the rounding of exponents, times a sum over what is left."""
    every = np.broadcast_to(model.probs, (len(model), len(model)))
    lost = [log_mean_exp(model, temperature / power, every) - log_mean_exp(model, temperature / power, model.p_minus)
            for power in (1.0 + beta, beta)]  # fmt: skip
    condition = np.exp(lost).sum(axis=0) / (1.0 - model.tau_plus)
    exponents = 1.0 + (1.0 + beta) / temperature
    return float(1e-12 + 4.0 * np.finfo(np.float64).eps * exponents * condition.max())


def untilted_share(model: LatentModel, temperature: float, beta: float) -> Floats:
    """tau+: the share of the class under p."""
    return model.tau_plus


def tilted_share(model: LatentModel, temperature: float, beta: float) -> Floats:
    """tau+ Z+ / Z: its share under q_beta."""
    every = np.broadcast_to(model.probs, (len(model), len(model)))
    log_z = log_mean_exp(model, temperature / beta, every)
    return np.asarray(model.tau_plus * np.exp(log_mean_exp(model, temperature / beta, model.p_plus) - log_z))


@claim(
    "hard-negative-decomposition",
    title="The tilted law splits into its classes with the class prior as the weight",
    says=r"q_\beta=\tau^{-}q_\beta^{-}+\tau^{+}q_\beta^{+}\;\Rightarrow\;\mathbb{E}_{q_\beta^{-}}e^{s}="
    r"\frac{1}{\tau^{-}}\left(\mathbb{E}_{q_\beta}e^{s}-\tau^{+}\,\mathbb{E}_{q_\beta^{+}}e^{s}\right)",
    source="robinson2021, Eq 2",
    asserts="identity",
    assumes=("q_beta, q_beta^+, q_beta^-: p, p+, p- tilted by e^{beta s}", "beta > 0"),
    grid=GRID, standard=STANDARD,
    control={"share": tilted_share},
    control_says="the share of the class under q_beta, tau+ Z+ / Z, which depends on the anchor",
    control_expects="holds",
    tolerance="1e-12 for the sums; the difference cancels: eps times the exponents, (1 + beta) / t, grows by (E_p / tau- "
    "E_{p-}) of e^{(1 + beta) s}, at most e^{2 (1 + beta) / t}, and four times that is allowed",
    figure="",
)  # fmt: skip
def hard_negative_decomposition(
    concentration: float, temperature: float, model: str, seed: int, share: Share = untilted_share
) -> Evidence:
    built = model_of(model, seed)
    every = np.broadcast_to(built.probs, (len(built), len(built)))
    whole, plus, minus = (np.exp(log_tilted(built, temperature, concentration, law))
                          for law in (every, built.p_plus, built.p_minus))  # fmt: skip
    weight = share(built, temperature, concentration)
    return agree((whole - weight * plus) / (1.0 - weight), minus, rtol=rounding(built, temperature, concentration),
                 tilted_share=float(tilted_share(built, temperature, concentration).mean()),
                 class_prior=float(built.tau_plus.mean()))  # fmt: skip


@claim(
    "hard-negative-ratio-is-consistent",
    title="Taking the class out of both sums gives the mean over the tilted true negatives",
    says=r"\frac{\mathbb{E}_p e^{(1+\beta)s}-\tau^{+}\mathbb{E}_{p^{+}}e^{(1+\beta)s}}{\mathbb{E}_p e^{\beta s}-\tau^{+}"
    r"\mathbb{E}_{p^{+}}e^{\beta s}}=\mathbb{E}_{q_\beta^{-}}e^{s}",
    source="robinson2021, Eq 2 (repaired here: both sums corrected)",
    asserts="identity",
    assumes=("every point of the model once among the negatives, every point of the class among the positives",),
    repairs="hard-negative-decomposition",
    grid=GRID, standard=STANDARD,
    control={"prior": "implemented"},
    control_says="the estimate of the reference code, which corrects one sum, by tau+",
    tolerance="as for the decomposition: the same two sums, those of the batch",
    needs=TORCH,
    figure="",
)  # fmt: skip
def hard_negative_ratio_is_consistent(
    concentration: float, temperature: float, model: str, seed: int, prior: str = "exact"
) -> Evidence:
    built = model_of(model, seed)
    if np.ptp(built.probs) > 1e-12:
        raise ValueError(f"model={model!r} must have points of equal probability: a batch counts each once")
    found = np.empty(len(built))
    for label in range(built.class_prior.size):  # anchors of a class have the same number of positives
        members = np.flatnonzero(built.classes == label)
        loss, *_ = of_scores(
            "hard_negative", np.zeros(members.size), built.cosines[members], built.cosines[np.ix_(members, members)],
            temperature=temperature, concentration=concentration, class_prior=float(built.class_prior[label]), prior=prior,
        )  # fmt: skip
        found[members] = np.expm1(loss) / len(built)  # the loss is log(1 + g) at s+ = 0, and g = K times the mean
    return agree(found, np.exp(log_tilted(built, temperature, concentration, built.p_minus)),
                 rtol=rounding(built, temperature, concentration))  # fmt: skip
