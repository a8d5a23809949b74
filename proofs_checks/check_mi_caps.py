"""vandenoord2018, poole2019, wu2023: what an estimate cannot exceed, whatever the truth: log N and 2 / tau."""

import math
from collections.abc import Callable

import numpy as np

from drocl.claims import Evidence, at_most, claim
from drocl.mi import exact
from drocl.mi.exact import CriticLaw

from ._mi import search

Cap = Callable[[float, int], float]


def separated(classes: int, temperature: float) -> CriticLaw:
    """y = x in equally likely classes, and the critic of cosines +-1: 1/tau on the class, -1/tau off it.

    All anchors see the same law of two values.
    """
    values, off = np.array([[1.0, -1.0]]) / temperature, 1.0 - 1.0 / classes
    return CriticLaw(np.ones(1), values, np.array([[1.0 - off, off]]), np.array([[1.0, 0.0]]), math.log(classes))


def all_of_them(temperature: float, n: int) -> float:
    """log(N + 1): the positive is one of the candidates."""
    return math.log(n + 1.0)


def negatives_alone(temperature: float, n: int) -> float:
    """log N: the negatives alone counted."""
    return math.log(n)


@claim(
    "infonce-log-n-cap",
    title="InfoNCE cannot exceed the log of the number of candidates, the positive included",
    says=r"\mathbb{E}\log\frac{e^{g(x,y_0)}}{\frac{1}{N+1}\sum_{j=0}^{N}e^{g(x,y_j)}}\leq\log(N+1)",
    source="vandenoord2018, bound of InfoNCE (its cap, as poole2019 states it)",
    asserts="bound",
    assumes=("N negatives: a batch of B pairs has N = B - 1",),
    uses=("frullani-engine",),
    grid={"n_negatives": (2, 15, 63, 255), "classes": (16, 1024), "temperature": (1.0, 0.2, 0.05)},
    standard={"n_negatives": (1, 3, 15, 63, 255, 1023)},
    control={"cap": negatives_alone},
    control_says="log N, the negatives alone: with 1,024 classes a sharp critic is above it",
    tolerance="the expectation is an integral, right to 1e-12",
    figure="mi-ceilings",
)
def infonce_log_n_cap(n_negatives: int, classes: int, temperature: float, cap: Cap = all_of_them) -> Evidence:
    found = float(exact.info_nce(separated(classes, temperature), n_negatives))
    return at_most(found, cap(temperature, n_negatives), atol=1e-11)


def both(temperature: float, n: int) -> float:
    """log(N + 1) - log(1 + N e^{-2/tau}): what both limits leave."""
    return math.log((n + 1.0) / (1.0 + n * math.exp(-2.0 / temperature)))


def half_range(temperature: float, n: int) -> float:
    """The same with the critic's largest value 1/tau in place of its range 2/tau."""
    return math.log((n + 1.0) / (1.0 + n * math.exp(-1.0 / temperature)))


def attack_infonce(seed: int, budget: int, cap: Cap = both) -> Evidence:
    """The least slack that a search over laws, critics and N finds at tau = 1."""

    def slack(law: CriticLaw, n: int) -> float:
        return cap(1.0, n) - float(exact.info_nce(law, n))

    law, n = search(slack, seed, budget, reach=1.0)
    return at_most(float(exact.info_nce(law, n)), cap(1.0, n), atol=1e-11, n_negatives=n)


@claim(
    "bounded-critic-caps-infonce",
    title="With a critic of cosines InfoNCE is capped by N and the temperature together",
    says=r"|g|\leq\frac{1}{\tau}\;\Rightarrow\;I_N(g)\leq\log\frac{N+1}{1+N e^{-2/\tau}}"
    r"\leq\min\{\log(N+1),\frac{2}{\tau}\}",
    source="poole2019, cap of InfoNCE (with the temperature, derived here)",
    asserts="bound",
    assumes=("critic of cosines over tau",),
    uses=("infonce-log-n-cap",),
    grid={"n_negatives": (1, 15, 255), "classes": (16, 4096), "temperature": (2.0, 1.0, 0.5, 0.2)},
    standard={"n_negatives": (1, 3, 15, 63, 255, 1023), "temperature": (5.0, 2.0, 1.0, 0.5, 0.2, 0.1)},
    control={"cap": half_range},
    control_says="the critic's largest value 1/tau in place of its range",
    tolerance="the expectation is an integral, right to 1e-12",
    figure="mi-ceilings",
    attack=attack_infonce,
)
def bounded_critic_caps_infonce(n_negatives: int, classes: int, temperature: float, cap: Cap = both) -> Evidence:
    found = float(exact.info_nce(separated(classes, temperature), n_negatives))
    return at_most(found, cap(temperature, n_negatives), atol=1e-11)


def two_over_tau(temperature: float, n: int = 1) -> float:
    """2 / tau, the range of the critic."""
    return 2.0 / temperature


def one_over_tau(temperature: float, n: int = 1) -> float:
    """1 / tau, its largest value."""
    return 1.0 / temperature


def attack_dv(seed: int, budget: int, cap: Cap = two_over_tau) -> Evidence:
    """The least slack that a search over laws and critics of tau = 1 finds."""
    law, _ = search(lambda law, n: cap(1.0, 1) - exact.dv(law), seed, budget, reach=1.0)
    return at_most(exact.dv(law), cap(1.0, 1), atol=1e-12)


@claim(
    "bounded-critic-caps-dv",
    title="With a critic of cosines Donsker-Varadhan cannot exceed 2 / tau",
    says=r"|g|\leq\frac{1}{\tau}\;\Rightarrow\;\mathbb{E}_P\,g-\log\mathbb{E}_Q e^{g}\leq\min\{I,\frac{2}{\tau}\}",
    source="wu2023, Theorem 4.2 (its bounded critics, derived here)",
    asserts="bound",
    assumes=("critic of cosines over tau",),
    uses=("dv-is-a-lower-bound",),
    grid={"classes": (2, 16, 4096), "temperature": (2.0, 1.0, 0.5, 0.3)},
    standard={"classes": (2, 16, 256, 4096), "temperature": (5.0, 2.0, 1.0, 0.5, 0.3, 0.2, 0.1)},
    control={"cap": one_over_tau},
    control_says="1 / tau: the critic's largest value, its sign forgotten",
    tolerance="finite sums; the cap is reached as the number of classes grows",
    figure="mi-ceilings",
    attack=attack_dv,
)
def bounded_critic_caps_dv(classes: int, temperature: float, cap: Cap = two_over_tau) -> Evidence:
    law = separated(classes, temperature)
    return at_most(exact.dv(law), min(law.truth, cap(temperature, 1)), atol=1e-12)
