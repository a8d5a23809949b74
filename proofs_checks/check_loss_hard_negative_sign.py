"""robinson2021: which negatives the hard-negative loss pushes away, and which it pulls closer."""

from collections.abc import Callable

import numpy as np
from scipy.special import logsumexp, softmax

from drocl.claims import Evidence, agree, at_least, claim

from ._losses import POSITIVES, TORCH, of_scores, pools

CODED = "robinson2021, Eq 4 (with its importance weights in the graph, as in the reference code)"
GRID = {"n": (2, 16, 510), "temperature": (0.2, 1.0), "concentration": (0.5, 1.0, 2.0), "class_prior": (0.0, 0.1),
        "scores": ("sphere", "digits"), "seed": (0,)}  # fmt: skip
STANDARD = {"n": (2, 16, 510, 4094), "temperature": (0.07, 0.1, 0.2, 0.5, 1.0), "seed": (0, 1, 2)}
PAPER = {"concentration": (0.1, 0.5, 1.0, 2.0, 5.0), "seed": tuple(range(10))}


def smallest(n: int, scores: str, seed: int, **params: object) -> Evidence:
    """The smallest derivative in a negative's score, relative to that in the positive's, against 0."""
    s = pools(scores, n, seed)
    _, at_positive, at_negatives = of_scores("hard_negative", POSITIVES, s, **params)
    share = at_negatives / np.abs(at_positive)[:, None]
    return at_least(share.min(axis=1), 0.0, attracted=float((share < 0.0).mean()))


@claim(
    "hard-negative-repels-every-negative",
    title="The hard-negative loss pushes every negative away",
    says=r"\frac{\partial L_{HCL}}{\partial s_j}\geq 0\quad\mathrm{for\;every\;negative}\;j",
    source=f"{CODED}; as a contrastive loss is read",
    asserts="bound",
    assumes=("beta > 0",),
    grid=GRID, standard=STANDARD, paper=PAPER,
    control={"detach_weights": True},
    control_says="the weights e^{beta s} set aside",
    control_expects="holds",
    control_grid={"n": (16,)},
    tolerance="a sign: nothing is allowed",
    needs=TORCH,
    figure="loss-hard-negative-sign",
)  # fmt: skip
def hard_negative_repels_every_negative(
    n: int, temperature: float, concentration: float, class_prior: float, scores: str, seed: int,
    detach_weights: bool = False,
) -> Evidence:  # fmt: skip
    return smallest(n, scores, seed, temperature=temperature, concentration=concentration, class_prior=class_prior,
                    detach_weights=detach_weights)  # fmt: skip


@claim(
    "hard-negative-detached-repels",
    title="With its weights set aside the hard-negative loss pushes every negative away",
    says=r"w_j\propto e^{\beta a_j}\;\mathrm{fixed}\;\Rightarrow\;\frac{\partial}{\partial a_j}\log\sum_i w_i e^{a_i}=q_{\beta+1,j}"
    r"\geq 0\quad\mathrm{for\;every}\;j",
    source="robinson2021, Eq 4 (repaired here: no gradient through the importance weights)",
    asserts="bound",
    repairs="hard-negative-repels-every-negative",
    grid={**GRID, "concentration": (0.5, 2.0), "prior": ("implemented", "exact")},
    standard=STANDARD, paper=PAPER,
    control={"detach_weights": False},
    control_says="the weights in the graph",
    control_grid={"n": (16,)},
    tolerance="a sign: nothing is allowed",
    needs=TORCH,
    figure="loss-hard-negative-sign",
)  # fmt: skip
def hard_negative_detached_repels(
    n: int, temperature: float, concentration: float, class_prior: float, scores: str, prior: str, seed: int,
    detach_weights: bool = True,
) -> Evidence:  # fmt: skip
    return smallest(n, scores, seed, temperature=temperature, concentration=concentration, class_prior=class_prior,
                    prior=prior, detach_weights=detach_weights)  # fmt: skip


def through_the_weights(beta: float) -> float:
    """beta / (beta + 1)."""
    return beta / (beta + 1.0)


def of_the_mean(beta: float) -> float:
    """1: easier than the weighted mean."""
    return 1.0


@claim(
    "hard-negative-sign-threshold",
    title="It pulls closer exactly the negatives easier than beta / (beta + 1) of the weighted mean",
    says=r"\frac{\partial}{\partial a_j}\log\mathbb{E}_{q_\beta}e^{a}=(\beta+1)\,q_{\beta+1,j}-\beta\,q_{\beta,j}<0\;"
    r"\Longleftrightarrow\;e^{a_j}<\frac{\beta}{\beta+1}\,\mathbb{E}_{q_\beta}e^{a},\quad q_{\beta,j}\propto e^{\beta a_j}",
    source=f"{CODED}; derived here",
    asserts="identity",
    assumes=("g above its floor, where nothing flows",),
    repairs="hard-negative-repels-every-negative",
    grid={**GRID, "n": (16, 510), "class_prior": (0.0, 0.02)}, standard={**STANDARD, "n": (16, 510, 4094)}, paper=PAPER,
    control={"factor": of_the_mean},
    control_says="the weighted mean itself as the threshold",
    control_grid={"n": (16,)},
    tolerance="of derivatives relative to the largest: rounding of exponents up to (1 + beta) / temperature; the two sets "
    "must be the same, atom by atom",
    needs=TORCH,
    figure="loss-hard-negative-sign",
)  # fmt: skip
def hard_negative_sign_threshold(
    n: int, temperature: float, concentration: float, class_prior: float, scores: str, seed: int,
    factor: Callable[[float], float] = through_the_weights,
) -> Evidence:  # fmt: skip
    s = pools(scores, n, seed)
    a, x, beta = s / temperature, POSITIVES / temperature, concentration
    log_mean = logsumexp((1.0 + beta) * a, axis=1) - logsumexp(beta * a, axis=1)
    formula = (1.0 + beta) * softmax((1.0 + beta) * a, axis=1) - beta * softmax(beta * a, axis=1)
    found = of_scores("hard_negative", POSITIVES, s, temperature=temperature, concentration=beta,
                      class_prior=class_prior)[2]  # fmt: skip
    mean, k = np.exp(log_mean), a.shape[1]
    g = k * (mean - class_prior * np.exp(x)) / (1.0 - class_prior)
    free = g > k * np.exp(-1.0 / temperature)
    outer = k * mean / (1.0 - class_prior) / (np.exp(x) + g)  # d loss / d log of the weighted mean
    formula, slopes = formula[free], (temperature * found / outer[:, None])[free]
    wrong = (slopes < 0.0) != (a < log_mean[:, None] + np.log(factor(beta)))[free]
    size = np.append(np.full(formula.size, np.abs(formula).max()), 1.0)
    return agree(np.append(slopes, wrong.sum()), np.append(formula, 0.0), rtol=1e-11, scale=size,
                 attracted=float((slopes < 0.0).mean()), anchors=int(free.sum()))  # fmt: skip
