"""vandenoord2018: how the bias of InfoNCE, of its row-wise form and of Donsker-Varadhan on a batch falls with N."""

from collections.abc import Callable

import numpy as np

from drocl.claims import Evidence, agree, at_most, claim, slope
from drocl.mi import exact
from drocl.mi.exact import CriticLaw

from ._mi import Floats, joint, law_of, uneven
from .check_frullani import outcomes

Constant = Callable[[Floats], float]


def entropy_of_mean(law: CriticLaw, n: int) -> float:
    """E_x E[R log R], R the mean of n independent ratios r(x, y), by enumeration of counts."""
    total = 0.0
    for weight, scores, base in zip(law.weights, law.scores, law.base, strict=True):
        counts, mass = outcomes(n, base)
        mean = counts @ np.exp(scores) / n
        total += weight * float(mass @ (mean * np.log(np.where(mean > 0.0, mean, 1.0))))
    return total


def candidates(n: int) -> int:
    """N + 1: negatives and positive."""
    return n + 1


def negatives(n: int) -> int:
    """N: negatives alone."""
    return n


@claim(
    "infonce-ceiling-identity",
    title="What InfoNCE loses at the optimal critic is the entropy of a mean of N + 1 density ratios",
    says=r"I(X;Y)-I_N(g^{*})=\mathbb{E}_x\mathbb{E}[\bar R\log\bar R]\geq 0,\quad"
    r"\bar R=\frac{1}{N+1}\sum_{j=0}^{N}r(x,y_j),\quad y_j\sim P_Y",
    source="vandenoord2018, bound of InfoNCE (its gap, derived here by exchanging the positive's place)",
    asserts="identity",
    assumes=("optimal critic g* = log r, r the density ratio", "finite support"),
    uses=("frullani-engine",),
    grid={"n_negatives": (1, 3, 9), "law": ("random", "channel", "classes"), "seed": (0, 1)},
    standard={"n_negatives": (1, 2, 3, 5, 9), "seed": tuple(range(5))},
    control={"size": negatives},
    control_says="the mean of N ratios in place of N + 1",
    control_grid={"n_negatives": (1, 3)},
    tolerance="the integral is right to 1e-12, the enumeration to 1e-14",
    figure="mi-ceilings",
)
def infonce_ceiling_identity(
    n_negatives: int, law: str, seed: int, size: Callable[[int], int] = candidates
) -> Evidence:
    p = {"random": uneven(4, seed), "classes": np.eye(3) / 3.0}.get(law)  # few symbols: all counts are enumerated
    given = exact.finite(joint(law, seed) if p is None else p)
    lost = given.truth - float(exact.info_nce(given, n_negatives))
    return agree(lost, entropy_of_mean(given, size(n_negatives)), atol=1e-11)


def half_chi2(p: Floats) -> float:
    """chi2(P_XY || P_X P_Y) / 2."""
    return exact.half_chi2(exact.finite(p))


def information(p: Floats) -> float:
    """I(X; Y) itself, as a rate that would not know chi2."""
    return exact.finite(p).truth


@claim(
    "infonce-bias-rate",
    title="InfoNCE's bias at the optimal critic falls as 1/N, with half the chi2 information as its constant",
    says=r"(N+1)\,(I-I_N(g^{*}))\to\frac{1}{2}\chi^2(P_{XY}\|P_XP_Y),\quad\mathrm{with\;error\;}O(1/N)",
    source="vandenoord2018, bound of InfoNCE (its order, derived here)",
    asserts="limit",
    assumes=("optimal critic", "N above the chi2 information, e^{2I} - 1 for Gaussian pairs"),
    uses=("infonce-ceiling-identity",),
    grid={"decades": (1, 2), "law": ("random", "channel", "latent"), "seed": (0, 1)},
    standard={"decades": (1, 2, 3), "seed": tuple(range(5))},
    control={"constant": information},
    control_says="the mutual information as the constant, from which the limit stays away",
    tolerance="the error is c / N + O(1/N^2); from N = 500 (1 + chi2) on the second term bends the slope by < 0.03",
    figure="mi-ceilings",
)
def infonce_bias_rate(decades: int, law: str, seed: int, constant: Constant = half_chi2) -> Evidence:
    p = joint(law, seed)
    sizes = np.rint(500.0 * (1.0 + 2.0 * half_chi2(p)) * np.geomspace(1.0, 10.0**decades, 4))
    given = exact.finite(p)
    scaled = (sizes + 1.0) * (given.truth - np.asarray(exact.info_nce(given, sizes)))
    return slope(sizes, np.abs(scaled / constant(p) - 1.0), expected=-1.0, within=0.03, constant=constant(p))


@claim(
    "decoupled-bias-rate",
    title="Without the positive the bias is the same size and of the other sign",
    says=r"N\,(D_N(g^{*})-I)\to\frac{1}{2}\chi^2(P_{XY}\|P_XP_Y),\quad\mathrm{with\;error\;}O(1/N)",
    source="wu2023, Eq 1 (for finitely many negatives; its order, derived here)",
    asserts="limit",
    assumes=("optimal critic, finite on the support", "N above the chi2 information"),
    uses=("decoupled-overshoots",),
    grid={"decades": (1, 2), "law": ("random", "channel", "latent"), "seed": (0, 1)},
    standard={"decades": (1, 2, 3), "seed": tuple(range(5))},
    control={"constant": information},
    control_says="the mutual information as the constant",
    tolerance="the error is c / N + O(1/N^2); from N = 500 (1 + chi2) on the second term bends the slope by < 0.03",
    figure="mi-ceilings",
)
def decoupled_bias_rate(decades: int, law: str, seed: int, constant: Constant = half_chi2) -> Evidence:
    p = joint(law, seed)
    sizes = np.rint(500.0 * (1.0 + 2.0 * half_chi2(p)) * np.geomspace(1.0, 10.0**decades, 4))
    given = exact.finite(p)
    scaled = sizes * (np.asarray(exact.decoupled(given, sizes)) - given.truth)
    return slope(sizes, np.abs(scaled / constant(p) - 1.0), expected=-1.0, within=0.03, constant=constant(p))


def with_transposes(p: Floats) -> float:
    """(sum sigma^2 + sum sigma^4 - 2) / 2: pair (i, j) is correlated with (j, i)."""
    return exact.normaliser_variance(p, 2)


@claim(
    "dv-batch-bias-rate",
    title="Donsker-Varadhan on a batch is too high by a constant over B (B - 1) at the optimal critic",
    says=r"B(B-1)\,(\mathbb{E}\,DV_B(g^{*})-I)\to\frac{1}{2}\sum_{i\geq 1}(\sigma_i^{2}+\sigma_i^{4}),"
    r"\quad r=\sum_i\sigma_i u_i v_i,\quad\mathrm{with\;error\;}O(1/B)",
    source="belghazi2018, its batch estimator (the bias of its batch average, its order derived here)",
    asserts="limit",
    assumes=("optimal critic", "the off-diagonal pairs of one batch stand for the product law", "finite support"),
    uses=("batch-normaliser-variance",),
    grid={"largest": (256, 512), "law": ("uneven", "binary"), "seed": (0, 1)},
    standard={"largest": (256, 512, 1024)},
    control={"constant": half_chi2},
    control_says="chi2 / 2, as if the B (B - 1) pairs were independent",
    tolerance="the error is c / B + O(1/B^2); between B = largest / 8 and largest the second term bends the slope by "
    "less than 0.15",
    figure="mi-ceilings",
)
def dv_batch_bias_rate(largest: int, law: str, seed: int, constant: Constant = with_transposes) -> Evidence:
    p = uneven(2, seed) if law == "uneven" else np.array([[0.5 - 0.1 * (seed + 1), 0.1], [0.1, 0.3 + 0.1 * seed]])
    p = p / p.sum()
    sizes = np.array([largest // 8, largest // 4, largest // 2, largest])
    bias = np.array([exact.dv_batch(p, int(size)) - exact.finite(p).truth for size in sizes])
    scaled = sizes * (sizes - 1.0) * bias
    return slope(sizes, np.abs(scaled / constant(p) - 1.0), expected=-1.0, within=0.15)


def best(kind: str) -> str:
    """The optimal critic whatever is asked for."""
    return "optimal"


def given_kind(kind: str) -> str:
    """The critic asked for."""
    return kind


@claim(
    "more-negatives-tighten-every-critic",
    title="InfoNCE becomes tighter with more negatives, whatever the critic",
    says=r"I_N(g)\leq I_{N+1}(g)\quad\mathrm{for\;every\;critic}\;g",
    source="vandenoord2018, bound of InfoNCE (more negatives, tighter bound; read for every critic)",
    asserts="bound",
    assumes=("negatives drawn from the marginal of y",),
    uses=("frullani-engine",),
    grid={"n_negatives": (1, 15, 255), "law": ("random", "channel", "latent"),
          "critic": ("scaled", "opposite", "random"), "seed": (0,)},
    standard={"seed": (0, 1, 2)},
    control={"kind": best},
    control_says="the optimal critic",
    control_expects="holds",
    tolerance="the expectations are integrals, right to 1e-12",
    figure="mi-ceilings",
)  # fmt: skip
def more_negatives_tighten_every_critic(
    n_negatives: int, law: str, critic: str, seed: int, kind: Callable[[str], str] = given_kind
) -> Evidence:
    given = law_of(law, kind(critic), seed)
    fewer, more = np.asarray(exact.info_nce(given, (n_negatives, 2 * n_negatives)))
    return at_most(fewer, more, atol=1e-11)


@claim(
    "more-negatives-tighten-the-optimum",
    title="At the optimal critic InfoNCE rises with every negative",
    says=r"I_N(g^{*})\leq I_{N+1}(g^{*})\leq I(X;Y)",
    source="vandenoord2018, bound of InfoNCE (repaired here by its critic; a mean of more ratios is less in convex order)",
    asserts="bound",
    assumes=("optimal critic", "negatives drawn from the marginal of y"),
    uses=("infonce-ceiling-identity",),
    repairs="more-negatives-tighten-every-critic",
    grid={"n_negatives": (0, 1, 2, 15, 255), "law": ("random", "channel", "classes", "latent"), "seed": (0, 1)},
    standard={"seed": tuple(range(10))},
    control={"kind": "opposite"},
    control_says="the opposite critic, -g*",
    control_grid={"law": ("random", "channel", "latent")},
    tolerance="the expectations are integrals, right to 1e-12; the steps are chi2 / 2N^2",
    figure="mi-ceilings",
)
def more_negatives_tighten_the_optimum(n_negatives: int, law: str, seed: int, kind: str = "optimal") -> Evidence:
    fewer, more = np.asarray(exact.info_nce(law_of(law, kind, seed), (n_negatives, n_negatives + 1)))
    return at_most(fewer, more, atol=1e-12)
