"""robinson2021, Eq 4 at beta = 0 and near it: the debiased loss, and the first term that hardness adds."""

from collections.abc import Callable

import numpy as np

from drocl.claims import Evidence, claim, slope

from ._losses import POOLS, TORCH, Floats, agree_graded, of_scores, of_views, pools, views_of

Term = Callable[[Floats, Floats, float, str], Floats]


@claim(
    "hard-negative-at-zero-is-debiased",
    title="At concentration 0 the hard-negative loss is the debiased one; without a class prior it is InfoNCE",
    says=r"\beta=0\;\Rightarrow\;K\frac{\sum_j e^{(1+\beta)a_j}}{\sum_j e^{\beta a_j}}=\sum_j e^{a_j},\quad"
    r"L_{HCL}=L_{debiased}\quad(=L_{InfoNCE}\;\mathrm{if}\;\tau^{+}=0)",
    source="robinson2021, Eq 4",
    asserts="identity",
    uses=("debiased-without-prior-is-infonce",),
    grid={"pairs": (2, 16, 128), "temperature": (0.07, 0.5), "class_prior": (0.0, 0.1), "model": ("random", "digits"),
          "prior": ("implemented", "exact"), "seed": (0,)},
    standard={"temperature": (0.05, 0.07, 0.1, 0.2, 0.5, 1.0), "seed": (0, 1, 2)},
    paper={"pairs": (2, 16, 128, 512), "seed": tuple(range(10))},
    control={"concentration": 1e-3},
    control_says="a concentration of 1/1000: small is not zero",
    control_grid={"pairs": (16, 128)},
    tolerance="rounding; beta = 1/1000 moves the losses by 1e-6 of themselves or more",
    needs=TORCH,
    figure="",
)  # fmt: skip
def hard_negative_at_zero_is_debiased(
    pairs: int, temperature: float, class_prior: float, model: str, prior: str, seed: int, concentration: float = 0.0
) -> Evidence:
    views = views_of(model, pairs, seed)
    found = of_views("hard_negative", views, temperature=temperature, class_prior=class_prior, prior=prior,
                     concentration=concentration)  # fmt: skip
    if class_prior == 0.0:
        expected = of_views("info_nce", views, temperature=temperature)
    else:
        expected = of_views("debiased", views, temperature=temperature, class_prior=class_prior)
    return agree_graded(found, expected, rtol=1e-12)


def own_term(a: Floats, x: Floats, class_prior: float, prior: str) -> Floats:
    """dg / dbeta at 0 over K: a covariance, with the class taken out of it where the estimator is consistent."""
    if prior == "implemented":
        weighted = np.mean(a * np.exp(a), axis=1) - np.mean(a, axis=1) * np.mean(np.exp(a), axis=1)
        return np.asarray(weighted / (1.0 - class_prior))
    pairs = ((a, x), (np.exp(a), np.exp(x)), (a * np.exp(a), x * np.exp(x)))
    mean_a, mean_e, both = ((u.mean(axis=1) - class_prior * v) / (1.0 - class_prior) for u, v in pairs)
    return np.asarray(both - mean_a * mean_e)


def other_term(a: Floats, x: Floats, class_prior: float, prior: str) -> Floats:
    """The term of the other estimator."""
    return own_term(a, x, class_prior, {"implemented": "exact", "exact": "implemented"}[prior])


@claim(
    "hard-negative-first-order",
    title="A small concentration adds beta times the covariance of the scores with their exponentials",
    says=r"L_{HCL}(\beta)-L_{HCL}(0)=\beta\,\frac{K\,c}{e^{x}+g}+O(\beta^{2}),\quad"
    r"c=\frac{Cov(a,e^{a})}{1-\tau^{+}}\;\mathrm{or,\;with\;the\;consistent\;prior,}\;Cov^{-}(a,e^{a})",
    source="robinson2021, Eq 4 (its order at beta = 0, derived here)",
    asserts="rate",
    assumes=("g above its floor",),
    uses=("hard-negative-at-zero-is-debiased",),
    grid={"n": (16, 510), "temperature": (0.2, 1.0), "class_prior": (0.1,), "scores": ("uniform", "digits"),
          "prior": ("implemented", "exact"), "seed": (0,)},
    standard={"n": (16, 510, 4094), "seed": (0, 1, 2)},
    paper={"seed": tuple(range(10))},
    control={"term": other_term},
    control_says="the term of the other estimator: the two differ from the first order on, where tau+ > 0",
    tolerance="the third order bends the slope by about its share of the error at the largest beta, below 1 %",
    needs=TORCH,
    figure="",
)  # fmt: skip
def hard_negative_first_order(
    n: int, temperature: float, class_prior: float, scores: str, prior: str, seed: int, term: Term = own_term
) -> Evidence:
    betas, positive = np.geomspace(1e-4, 1e-3, 4), 0.4 * np.ones(POOLS)
    s = pools(scores, n, seed)
    a, x = s / temperature, positive / temperature
    g = (np.exp(a).sum(axis=1) - a.shape[1] * class_prior * np.exp(x)) / (1.0 - class_prior)
    rate = a.shape[1] * term(a, x, class_prior, prior) / (np.exp(x) + g)
    common = {"temperature": temperature, "class_prior": class_prior}
    base = of_scores("debiased", positive, s, **common)[0]
    moved = [of_scores("hard_negative", positive, s, concentration=beta, prior=prior, **common)[0] for beta in betas]
    error = np.stack(moved) - base - betas[:, None] * rate
    return slope(betas, np.linalg.norm(error, axis=1), expected=2.0, within=0.02)
