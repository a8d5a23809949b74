"""poole2019, donsker1975, nguyen2010, vandenoord2018: which estimators of mutual information are lower bounds."""

import math
from collections.abc import Callable

import numpy as np

from drocl.claims import Evidence, at_least, at_most, claim
from drocl.mi import exact
from drocl.mi.exact import CriticLaw

from ._mi import CRITICS, LAWS, law_of, search

Loss = Callable[[CriticLaw], float]


def log_mean_exp(law: CriticLaw) -> float:
    """log E_Q e^g."""
    return law.log_normalizer()


def plain_mean(law: CriticLaw) -> float:
    """E_Q g, which Jensen puts below log E_Q e^g."""
    kept = np.where(law.base > 0.0, np.maximum(law.scores, -50.0), 0.0)
    return float(law.weights @ (law.base * kept).sum(axis=1))


def attack_dv(seed: int, budget: int, normalizer: Loss = log_mean_exp) -> Evidence:
    """The case of least slack under I that a search over laws and critics finds."""
    law, _ = search(lambda law, n: law.truth - law.mean() + normalizer(law), seed, budget)
    return at_most(law.mean() - normalizer(law), law.truth, atol=1e-12)


@claim(
    "dv-is-a-lower-bound",
    title="Donsker-Varadhan is a lower bound of mutual information at every critic",
    says=r"\mathbb{E}_P\,g-\log\mathbb{E}_Q e^{g}\leq I(X;Y)\quad\mathrm{for\;every\;critic}\;g,\quad"
    r"P=P_{XY},\;Q=P_XP_Y",
    source="donsker1975, variational formula (as belghazi2018 uses it)",
    asserts="bound",
    assumes=("the expectations are those of the laws, not of a batch",),
    grid={"law": LAWS, "critic": CRITICS, "seed": (0, 1)},
    standard={"seed": tuple(range(10))},
    paper={"seed": tuple(range(50))},
    control={"normalizer": plain_mean},
    control_says="the mean of the critic in place of the log of the mean of its exponential",
    tolerance="finite sums, right to 1e-15; equality at the optimal critic",
    figure="mi-ceilings",
    attack=attack_dv,
)
def dv_is_a_lower_bound(law: str, critic: str, seed: int, normalizer: Loss = log_mean_exp) -> Evidence:
    given = law_of(law, critic, seed)
    return at_most(given.mean() - normalizer(given), given.truth, atol=1e-12)


def one(law: CriticLaw) -> float:
    """1 + E_P g - E_Q e^g: the form for a critic that is a log-ratio."""
    return exact.nwj(law)


def mixed(law: CriticLaw) -> float:
    """1 + E_P g - E_Q e^{g-1}: the constant of one convention with the exponent of the other."""
    return 1.0 + law.mean() - math.exp(law.log_normalizer() - 1.0)


@claim(
    "nwj-below-dv",
    title="Nguyen-Wainwright-Jordan is at most Donsker-Varadhan, at every critic",
    says=r"1+\mathbb{E}_P\,g-\mathbb{E}_Q e^{g}\leq\mathbb{E}_P\,g-\log\mathbb{E}_Q e^{g}\leq I(X;Y)",
    source="nguyen2010, variational form for KL (as poole2019 states it, with f = 1 + g; log t <= t - 1)",
    asserts="bound",
    assumes=("the expectations are those of the laws; being linear, NWJ keeps its expectation on any batch",),
    uses=("dv-is-a-lower-bound",),
    grid={"law": LAWS, "critic": CRITICS, "seed": (0, 1)},
    standard={"seed": tuple(range(10))},
    paper={"seed": tuple(range(50))},
    control={"form": mixed},
    control_says="the constant of one convention with the exponent of the other, 1 - 1/e too high at the optimum",
    tolerance="finite sums, right to 1e-15 of the terms; equality at the optimal critic",
    figure="mi-ceilings",
)
def nwj_below_dv(law: str, critic: str, seed: int, form: Loss = one) -> Evidence:
    given = law_of(law, critic, seed)
    value = form(given)
    return at_most(value, min(exact.dv(given), given.truth), atol=1e-12, scale=1.0 + abs(value))


def counted(law: CriticLaw, n: int) -> float:
    """InfoNCE: the positive is one of the N + 1 in the denominator."""
    return float(exact.info_nce(law, n))


def not_counted(law: CriticLaw, n: int) -> float:
    """The mean of the N negatives alone in the denominator."""
    return float(exact.decoupled(law, n))


Contrast = Callable[[CriticLaw, int], float]


def attack_infonce(seed: int, budget: int, value: Contrast = counted) -> Evidence:
    """The least slack under I that a search over laws, critics and N finds."""
    law, n = search(lambda law, n: law.truth - value(law, n), seed, budget)
    return at_most(value(law, n), law.truth, atol=1e-11, n_negatives=n)


@claim(
    "infonce-is-a-lower-bound",
    title="InfoNCE is a lower bound of mutual information at every critic and with any number of negatives",
    says=r"\mathbb{E}\log\frac{e^{g(x,y_0)}}{\frac{1}{N+1}\sum_{j=0}^{N}e^{g(x,y_j)}}\leq I(X;Y)",
    source="vandenoord2018, bound of InfoNCE (as poole2019 states it)",
    asserts="bound",
    assumes=("negatives drawn from the marginal of y, independent of the pair",),
    uses=("frullani-engine",),
    repairs="infonce-without-positive-is-a-lower-bound",
    grid={"n_negatives": (1, 7, 63, 4095), "law": LAWS, "critic": CRITICS, "seed": (0,)},
    standard={"n_negatives": (1, 2, 3, 7, 15, 63, 255, 1023, 4095), "seed": (0, 1, 2)},
    paper={"seed": tuple(range(10))},
    control={"value": not_counted},
    control_says="the positive left out of the denominator",
    tolerance="the expectation over the negatives is an integral, right to 1e-12",
    figure="mi-ceilings",
    attack=attack_infonce,
)
def infonce_is_a_lower_bound(n_negatives: int, law: str, critic: str, seed: int, value: Contrast = counted) -> Evidence:
    given = law_of(law, critic, seed)
    return at_most(value(given, n_negatives), given.truth, atol=1e-11)


@claim(
    "infonce-without-positive-is-a-lower-bound",
    title="InfoNCE without the positive in the denominator is still a lower bound",
    says=r"\mathbb{E}\log\frac{e^{g(x,y_0)}}{\frac{1}{N}\sum_{j=1}^{N}e^{g(x,y_j)}}\leq I(X;Y)",
    source="wu2023, Eq 1 (for finitely many negatives, read as an estimate of mutual information)",
    asserts="bound",
    assumes=("negatives drawn from the marginal of y, independent of the pair",),
    uses=("frullani-engine",),
    grid={"n_negatives": (1, 7, 63, 4095), "law": ("random", "channel", "latent"), "critic": ("noisy", "random"),
          "seed": (0,)},
    standard={"seed": (0, 1, 2)},
    cases=({"n_negatives": 63, "law": "channel", "critic": "optimal", "seed": 0},),
    control={"value": counted},
    control_says="the positive counted: InfoNCE",
    control_expects="holds",
    tolerance="the excess at the optimal critic is about chi2 / 2N, here 1e-4 to 1",
    figure="mi-ceilings",
)  # fmt: skip
def infonce_without_positive_is_a_lower_bound(
    n_negatives: int, law: str, critic: str, seed: int, value: Contrast = not_counted
) -> Evidence:
    given = law_of(law, critic, seed)
    return at_most(value(given, n_negatives), given.truth, atol=1e-11)


@claim(
    "decoupled-overshoots",
    title="Without the positive in the denominator the estimate is too high at the optimal critic, at every N",
    says=r"\mathbb{E}\log\frac{e^{g^{*}(x,y_0)}}{\frac{1}{N}\sum_{j=1}^{N}e^{g^{*}(x,y_j)}}\geq I(X;Y)",
    source="wu2023, Eq 1 (for finitely many negatives; Jensen, derived here)",
    asserts="bound",
    assumes=("optimal critic, negatives drawn from the marginal of y",),
    uses=("frullani-engine",),
    grid={"n_negatives": (1, 7, 63, 4095), "law": ("random", "channel", "classes", "latent"), "seed": (0, 1)},
    standard={"seed": tuple(range(10))},
    control={"value": counted},
    control_says="the positive counted: InfoNCE, which is too low",
    control_grid={"n_negatives": (1, 7)},
    tolerance="the expectation is an integral, right to 1e-12; the excess falls as chi2 / 2N",
    figure="mi-ceilings",
)
def decoupled_overshoots(n_negatives: int, law: str, seed: int, value: Contrast = not_counted) -> Evidence:
    given = law_of(law, "optimal", seed)
    found = value(given, n_negatives)
    return at_least(min(found, 1e300), given.truth, atol=1e-12)  # +inf where all negatives can have ratio 0
