"""chuang2020, Lemma 1: how large the sharp constant is, and when the printed one is above it."""

import math
from collections.abc import Callable

import numpy as np

from drocl.claims import Evidence, at_most, claim, slope
from drocl.population import lemma1_gap, lemma1_hoeffding, lemma1_published, lemma1_specht, lemma1_variance


def variance_limit(temperature: float) -> float:
    """sinh(1/t)^2 / 2, the largest Var X / (2 (E X)^2) of a law on [e^{-1/t}, e^{1/t}]."""
    return 0.5 * math.sinh(1.0 / temperature) ** 2


def crude_limit(temperature: float) -> float:
    """(h - 1)^2 / 8, what the crude bound on the variance suggests."""
    return lemma1_variance(1, temperature)


@claim(
    "lemma1-sharp-rate",
    title="The sharp constant of Lemma 1 goes as 1/N, not as 1/sqrt(N)",
    says=r"N\,\kappa_N(t)\to\frac{1}{2}\sinh^{2}(1/t),\quad\mathrm{with\;error\;}O(1/N)",
    source="chuang2020, Lemma 1 (its repaired constant, derived here)",
    asserts="limit",
    assumes=("N above e^{2/t}, where the regime begins",),
    uses=("lemma1-sharp",),
    grid={"decades": (1, 2), "temperature": (1.0, 0.5, 0.33, 0.2)},
    standard={"decades": (1, 2, 3), "temperature": (2.0, 1.0, 0.7, 0.5, 0.4, 0.33, 0.25, 0.2, 0.15)},
    control={"limit": crude_limit},
    control_says="the limit (h - 1)^2 / 8 of the crude bound, from which N kappa_N stays away",
    tolerance="the error is c / N + O(1 / N^2); from N = 100 h on the second term bends the slope by less than 0.02",
    figure="lemma1-gap",
)
def lemma1_sharp_rate(decades: int, temperature: float, limit: Callable[[float], float] = variance_limit) -> Evidence:
    sizes = np.unique(np.rint(100.0 * math.exp(2.0 / temperature) * np.geomspace(1.0, 10.0**decades, 4)))
    error = [abs(n * lemma1_gap(int(n), temperature) / limit(temperature) - 1.0) for n in sizes]
    return slope(sizes, error, expected=-1.0, within=0.02, limit=limit(temperature))


def best_closed_form(n: int, temperature: float) -> float:
    """The smallest of the three constants that have a proof in closed form."""
    return min(lemma1_hoeffding(n, temperature), lemma1_variance(n, temperature), lemma1_specht(temperature))


def with_printed(n: int, temperature: float) -> float:
    """The same with the printed e^{3/2} in place of e^{2/t} - 1 in Hoeffding's."""
    return min(lemma1_published(n), lemma1_variance(n, temperature), lemma1_specht(temperature))


@claim(
    "lemma1-closed-constants",
    title="Constants in closed form that hold at every temperature: Hoeffding's, the variance's, Specht's",
    says=r"\kappa_N(t)\leq\min\{(h-1)\sqrt{\frac{\pi}{2N}},\;\frac{(h-1)^{2}}{8N},\;"
    r"\log(h-1)+\frac{\log h}{h-1}-1-\log\log h\},\quad h=e^{2/t}",
    source="chuang2020, Lemma 1 (the constants its proof gives, derived here)",
    asserts="bound",
    assumes=("N >= 1", "t > 0"),
    uses=("lemma1-sharp",),
    grid={"n_negatives": (1, 16, 256, 4096), "temperature": (10.0, 1.0, 0.5, 0.2, 0.05)},
    standard={
        "n_negatives": tuple(4**k for k in range(11)),
        "temperature": (10.0, 2.0, 1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.01),
    },
    control={"bound": with_printed},
    control_says="the printed e^{3/2} in place of Hoeffding's e^{2/t} - 1, which is below kappa_N at t = 0.2",
    tolerance="kappa_N is a maximum, found to 1e-12 relative; the variance's constant becomes exact as h goes to 1",
    figure="lemma1-gap",
)
def lemma1_closed_constants(
    n_negatives: int, temperature: float, bound: Callable[[int, float], float] = best_closed_form
) -> Evidence:
    upper = bound(n_negatives, temperature)
    return at_most(lemma1_gap(n_negatives, temperature), upper, atol=1e-9, scale=upper)


def printed_factor() -> float:
    """The factor of sqrt(pi / 2N), as printed."""
    return math.exp(1.5)


def lipschitz_factor() -> float:
    """Only the Lipschitz constant at t = 1."""
    return math.e


@claim(
    "lemma1-printed-range",
    title="The printed constant of Lemma 1 is implied for t from 0.33 on",
    says=r"\kappa_N(t)\leq e^{3/2}\sqrt{\frac{\pi}{2N}}\quad\mathrm{for\;all}\;N\;\mathrm{and}\;t\geq 0.33",
    source="chuang2020, Lemma 1 (where its constant follows from the sharp one)",
    asserts="bound",
    assumes=("t >= 0.33",),
    uses=("lemma1-sharp",),
    grid={"n_most": (4096,), "temperature": (0.33, 0.5, 1.0)},
    standard={"n_most": (4096, 2**22), "temperature": (0.33, 0.35, 0.4, 0.5, 0.7, 1.0, 2.0)},
    control={"factor": lipschitz_factor},
    control_says="e in place of e^{3/2}",
    tolerance="none is needed: the largest ratio is 0.92, at t = 0.33 and N = 24; both sides are smooth in log N, "
    "and go as 1/N and 1/sqrt(N)",
    figure="lemma1-gap",
)
def lemma1_printed_range(n_most: int, temperature: float, factor: Callable[[], float] = printed_factor) -> Evidence:
    sizes = np.unique(np.rint(np.geomspace(1, n_most, 4 * int(math.log2(n_most)) + 1))).astype(int)
    sharp = np.array([lemma1_gap(int(n), temperature) for n in sizes])
    bound = factor() * np.sqrt(0.5 * np.pi / sizes)
    return at_most(sharp / bound, 1.0, n_negatives=int(sizes[(sharp / bound).argmax()]))
