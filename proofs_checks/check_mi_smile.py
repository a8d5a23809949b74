"""song2020: SMILE clips the critic in the normaliser only, and so is no bound."""

import math
from collections.abc import Callable

import numpy as np

from drocl.claims import Evidence, agree, at_most, claim
from drocl.mi import exact
from drocl.mi.exact import CriticLaw

from ._mi import Floats, joint, law_of, search

Clip = Callable[[float, CriticLaw], float]


def as_set(clip: float, law: CriticLaw) -> float:
    """The clip as it is set."""
    return clip


def wide_enough(clip: float, law: CriticLaw) -> float:
    """A clip beyond the critic's largest value: it changes nothing."""
    return max(clip, float(np.abs(law.scores).max()))


@claim(
    "smile-is-a-lower-bound",
    title="SMILE is a lower bound of mutual information",
    says=r"\mathbb{E}_P\,g-\log\mathbb{E}_Q e^{\mathrm{clip}(g,-c,c)}\leq I(X;Y)\quad\mathrm{for\;every\;critic}\;g",
    source="song2020, SMILE (read as the lower bound of its name, which its authors put in quotation marks)",
    asserts="bound",
    assumes=("the expectations are those of the laws",),
    uses=("dv-is-a-lower-bound",),
    grid={"clip": (0.5, 1.0, 5.0), "law": ("random", "channel", "latent"), "critic": ("optimal", "scaled"),
          "seed": (0, 1)},
    standard={"seed": tuple(range(10))},
    cases=({"clip": 1.0, "law": "independent", "critic": "constant", "seed": 0},),
    control={"width": wide_enough},
    control_says="a clip at least as wide as the critic's range, with which SMILE is Donsker-Varadhan",
    control_expects="holds",
    tolerance="finite sums, right to 1e-14; the excess is 0.01 to 9 nats, and without limit in the critic's level",
    figure="mi-ceilings",
)  # fmt: skip
def smile_is_a_lower_bound(clip: float, law: str, critic: str, seed: int, width: Clip = as_set) -> Evidence:
    if law == "independent":  # a constant critic of 10 nats, where there is nothing to find
        given = exact.finite(np.full((2, 2), 0.25), np.full((2, 2), 10.0))
    else:
        given = law_of(law, critic, seed)
    return at_most(exact.smile(given, width(clip, given)), given.truth, atol=1e-12)


def attack_inside(seed: int, budget: int, clip: float = 1.0) -> Evidence:
    """The least slack that a search finds among critics within one nat."""
    law, _ = search(lambda law, n: law.truth - exact.smile(law, clip), seed, budget, reach=1.0)
    return at_most(exact.smile(law, clip), law.truth, atol=1e-12)


@claim(
    "smile-within-its-clip",
    title="SMILE is a lower bound for critics that its clip leaves alone",
    says=r"|g|\leq c\;\Rightarrow\;\mathbb{E}_P\,g-\log\mathbb{E}_Q e^{\mathrm{clip}(g,-c,c)}=DV(g)\leq I(X;Y)",
    source="song2020, SMILE (repaired here by its range)",
    asserts="bound",
    assumes=("the expectations are those of the laws",),
    uses=("dv-is-a-lower-bound",),
    repairs="smile-is-a-lower-bound",
    grid={"reach": (0.5, 1.0, 5.0), "law": ("random", "channel", "latent"), "critic": ("optimal", "scaled"),
          "seed": (0, 1)},
    standard={"seed": tuple(range(10))},
    control={"clip": 0.1},
    control_says="a clip of 0.1 nats with critics of the same range",
    tolerance="finite sums, right to 1e-14",
    figure="mi-ceilings",
    attack=attack_inside,
)  # fmt: skip
def smile_within_its_clip(reach: float, law: str, critic: str, seed: int, clip: float = math.inf) -> Evidence:
    given = law_of(law, critic, seed)
    given = given.with_scores(np.clip(given.scores, -reach, reach))
    return at_most(exact.smile(given, min(clip, reach)), given.truth, atol=1e-12)


def by_tails(rho: float, pairs: int, clip: float) -> float:
    """E_Q of the clipped ratio from the tails of the log-ratio."""
    return math.exp(exact.gaussian(rho, pairs).truth - exact.gaussian_smile(rho, pairs, clip))


def middle_alone(rho: float, pairs: int, clip: float) -> float:
    """P(|g*| <= c): the clipped tails forgotten."""
    high, low = (exact.log_ratio_tails(rho, pairs, level)[0] for level in (clip, -clip))
    return low - high


@claim(
    "smile-excess-at-the-optimum",
    title="At the optimal critic SMILE misses by the logarithm of what its clip leaves of the normaliser",
    says=r"SMILE_c(g^{*})-I=-\log\left[e^{-c}Q(g^{*}<-c)+P(|g^{*}|\leq c)+e^{c}Q(g^{*}>c)\right]",
    source="song2020, SMILE (its value at the optimal critic, derived here)",
    asserts="identity",
    assumes=("d independent Gaussian pairs", "P(A) = E_Q[r; A]"),
    grid={"clip": (1.0, 5.0), "pairs": (1, 4), "mutual_information": (0.5, 2.0), "nodes": (801,)},
    standard={"pairs": (1, 2, 4, 20), "mutual_information": (0.5, 1.0, 2.0, 4.0)},
    control={"value": middle_alone},
    control_says="the two tails of the clipped critic forgotten",
    tolerance="a product trapezoid rule over the two chi-squares sees the clip's kinks with an error of step squared, "
    "here below 2e-4",
    figure="mi-ceilings",
)
def smile_excess_at_the_optimum(
    clip: float,
    pairs: int,
    mutual_information: float,
    nodes: int,
    value: Callable[[float, int, float], float] = by_tails,
) -> Evidence:
    rho = math.sqrt(-math.expm1(-2.0 * mutual_information / pairs))
    a, mass = log_chi_square(pairs, nodes)
    ratio = mutual_information + 0.5 * (rho / (1.0 + rho) * a[:, None] - rho / (1.0 - rho) * a[None, :])
    found = float(mass @ np.exp(np.clip(ratio, -clip, clip)) @ mass)
    return agree(value(rho, pairs, clip), found, atol=2e-4, scale=found)


def log_chi_square(degrees: int, nodes: int) -> tuple[Floats, Floats]:
    """A chi-square on equidistant points of its logarithm, (n,), with probabilities."""
    t = np.linspace(-80.0 / degrees, math.log(degrees + 60.0 + 15.0 * math.sqrt(degrees)), nodes)
    log_mass = 0.5 * degrees * t - 0.5 * np.exp(t)
    mass = np.exp(log_mass - log_mass.max())
    return np.exp(t), mass / mass.sum()


def clips_of(p: Floats) -> Floats:
    """Clips that widen beyond the log-ratio's range."""
    return np.array([1.0, 2.0, 4.0]) * float(np.abs(exact.finite(p).scores).max())


@claim(
    "smile-widens-to-dv",
    title="SMILE becomes Donsker-Varadhan once its clip is as wide as the critic",
    says=r"c\geq\max|g|\;\Rightarrow\;SMILE_c(g)=DV(g);\quad SMILE_c(g^{*})=I",
    source="song2020, SMILE (its limit, exact on finite supports)",
    asserts="identity",
    assumes=("finite support, no zero of the joint law",),
    uses=("dv-is-a-lower-bound",),
    grid={"law": ("random", "channel", "latent"), "seed": (0, 1, 2)},
    standard={"seed": tuple(range(10))},
    control={"shrink": 0.2},
    control_says="a clip of a fifth of that width",
    tolerance="finite sums, right to 1e-14",
    figure="",
)
def smile_widens_to_dv(law: str, seed: int, shrink: float = 1.0) -> Evidence:
    p = joint(law, seed)
    given = exact.finite(p)
    return agree([exact.smile(given, float(shrink * clip)) for clip in clips_of(p)], given.truth, atol=1e-12)
