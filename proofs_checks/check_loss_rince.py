"""chuang2022: RINCE at the two ends of q, and the first term on the way from one to the other."""

from collections.abc import Callable

import numpy as np
from scipy.special import logsumexp

from drocl.claims import Evidence, agree, claim, slope

from ._losses import POSITIVES, TORCH, Floats, of_scores, pools

Term = Callable[[Floats, Floats], Floats]


def parts(loss: str, s: Floats, **params: float) -> dict[str, Floats]:
    """Values (5, 1) and derivatives (5, 1 + n) in the scores over the temperature."""
    value, at_positive, at_negatives = of_scores(loss, POSITIVES, s, **params)
    slopes = np.column_stack([at_positive, at_negatives])
    return {"value": value[:, None], "gradient": params["temperature"] * slopes}


def log_lambda(lam: float) -> float:
    """log lambda."""
    return float(np.log(lam))


def nothing(lam: float) -> float:
    """No constant."""
    return 0.0


@claim(
    "rince-limit-is-infonce",
    title="As q falls to 0 RINCE becomes InfoNCE + log lambda, with an error of order q",
    says=r"L_{RINCE}^{q,\lambda}=L_{InfoNCE}+\log\lambda+O(q),\quad\nabla L_{RINCE}^{q,\lambda}=\nabla L_{InfoNCE}+O(q)",
    source="chuang2022, Lemma 1 (its order derived here)",
    asserts="limit",
    assumes=("fixed scores",),
    grid={"n": (16, 510), "temperature": (0.1, 0.5), "lam": (0.01, 0.1, 1.0), "part": ("value", "gradient"),
          "scores": ("uniform", "digits"), "seed": (0,)},
    standard={"n": (16, 510, 4094), "temperature": (0.07, 0.1, 0.2, 0.5, 1.0), "seed": (0, 1, 2)},
    paper={"seed": tuple(range(10))},
    control={"constant": nothing},
    control_says="InfoNCE without log lambda",
    control_grid={"lam": (0.01, 0.1), "part": ("value",)},
    tolerance="the second order bends the slope by about q log(lambda Z) / 3, below 1 % up to q = 1e-3",
    needs=TORCH,
    figure="",
)  # fmt: skip
def rince_limit_is_infonce(
    n: int, temperature: float, lam: float, part: str, scores: str, seed: int,
    constant: Callable[[float], float] = log_lambda,
) -> Evidence:  # fmt: skip
    orders, s = np.geomspace(1e-5, 1e-3, 4), pools(scores, n, seed)
    limit = parts("info_nce", s, temperature=temperature)[part] + (constant(lam) if part == "value" else 0.0)
    rows = [parts("rince", s, temperature=temperature, q=q, lam=lam)[part] for q in orders]
    return slope(orders, [np.linalg.norm(row - limit) for row in rows], expected=1.0, within=0.02)


def both_squares(log_z: Floats, x: Floats) -> Floats:
    """(log^2(lambda Z) - x^2) / 2."""
    return 0.5 * (log_z**2 - x**2)


def square_of_the_sum(log_z: Floats, x: Floats) -> Floats:
    """log^2(lambda Z) / 2: the positive's own power forgotten."""
    return 0.5 * log_z**2


@claim(
    "rince-first-order",
    title="The first term in q is half the difference of two squares",
    says=r"L_{RINCE}^{q,\lambda}=L_{InfoNCE}+\log\lambda+\frac{q}{2}\left[\log^{2}(\lambda Z)-x^{2}\right]+O(q^{2}),"
    r"\quad Z=e^{x}+\sum_j e^{a_j}",
    source="chuang2022, Lemma 1 (its first term, derived here)",
    asserts="rate",
    assumes=("fixed scores",),
    uses=("rince-limit-is-infonce",),
    grid={"n": (16, 510), "temperature": (0.1, 0.5), "lam": (0.01, 0.1, 1.0), "scores": ("uniform", "digits"),
          "seed": (0,)},
    standard={"n": (16, 510, 4094), "temperature": (0.07, 0.1, 0.2, 0.5, 1.0), "seed": (0, 1, 2)},
    paper={"seed": tuple(range(10))},
    control={"term": square_of_the_sum},
    control_says="log^2(lambda Z) alone",
    tolerance="the third order bends the slope by about q log(lambda Z) / 4, below 1 % up to q = 1e-3; rounding is "
    "1e-15 against residuals of 1e-9 and more",
    needs=TORCH,
    figure="",
)  # fmt: skip
def rince_first_order(
    n: int, temperature: float, lam: float, scores: str, seed: int, term: Term = both_squares
) -> Evidence:
    orders, s = np.geomspace(1e-4, 1e-3, 4), pools(scores, n, seed)
    x = POSITIVES / temperature
    log_z = np.log(lam) + logsumexp(np.column_stack([x, s / temperature]), axis=1)
    limit = of_scores("info_nce", POSITIVES, s, temperature=temperature)[0] + np.log(lam)
    values = np.stack([of_scores("rince", POSITIVES, s, temperature=temperature, q=q, lam=lam)[0] for q in orders])
    error = values - limit - orders[:, None] * term(log_z, x)
    return slope(orders, np.linalg.norm(error, axis=1), expected=2.0, within=0.02)


def kept_below(lam: float) -> float:
    """Weight 1 - lambda of the positive: it stands in the denominator too."""
    return 1.0 - lam


def left_out(lam: float) -> float:
    """Weight 1."""
    return 1.0


@claim(
    "rince-at-one",
    title="At q = 1 RINCE is a weighted difference of exponentials",
    says=r"L_{RINCE}^{1,\lambda}=-(1-\lambda)\,e^{x}+\lambda\sum_j e^{a_j}",
    source="chuang2022, Eq 8 (at q = 1, its symmetric loss)",
    asserts="identity",
    grid={"n": (16, 510), "temperature": (0.1, 0.5, 1.0), "lam": (0.01, 0.5, 1.0), "scores": ("uniform", "digits"),
          "seed": (0,)},
    standard={"n": (16, 510, 4094), "temperature": (0.05, 0.07, 0.1, 0.2, 0.5, 1.0), "seed": (0, 1, 2)},
    paper={"seed": tuple(range(10))},
    control={"weight": left_out},
    control_says="weight 1 for the positive, as without it in the denominator",
    tolerance="relative to the largest of the terms, which may cancel: the rounding of exponents up to 1 / temperature, "
    "a few units of 1e-14",
    needs=TORCH,
    figure="",
)  # fmt: skip
def rince_at_one(
    n: int, temperature: float, lam: float, scores: str, seed: int, weight: Callable[[float], float] = kept_below
) -> Evidence:
    s = pools(scores, n, seed)
    up, down = np.exp(POSITIVES / temperature)[:, None], lam * np.exp(s / temperature)
    found = parts("rince", s, temperature=temperature, q=1.0, lam=lam)
    whole = down.sum(axis=1, keepdims=True)
    expected = np.hstack([whole - weight(lam) * up, -weight(lam) * up, down])
    return agree(np.hstack([found["value"], found["gradient"]]), expected, rtol=1e-12, scale=np.maximum(up, whole))
