"""chuang2020, Lemma 1: the biased loss is at least the unbiased one, up to a min-term and a constant in N."""

from collections.abc import Callable

from drocl.claims import Evidence, at_most, claim
from drocl.latent import LatentModel
from drocl.population import lemma1_gap, lemma1_published

from ._classes import model_of, search, shortfall

Constant = Callable[[int, float], float]

SAYS = (
    r"L_{Bias}^{N}\geq L_{Unb}^{N}"
    r"+\mathbb{E}_x\,\min\{0,\log\frac{\mathbb{E}_{p^{+}_x}e^{s}}{\mathbb{E}_{p^{-}_x}e^{s}}\}"
)
SETTING = ("unit embeddings, s = <x, y> / t", "x and x+ independent given the class, so that x+ may be x")


def printed(n: int, temperature: float) -> float:
    """e^{3/2} sqrt(pi / 2N), at any temperature."""
    return lemma1_published(n)


def nothing(n: int, temperature: float) -> float:
    """No constant at all."""
    return 0.0


def attack_unit(seed: int, budget: int, constant: Constant = printed) -> Evidence:
    """The largest share of the constant that a search finds used at t = 1."""
    model, t, n = search(lambda model, t, n: -shortfall(model, t, n) / lemma1_published(n), seed, budget)
    return at_most(shortfall(model, t, n), constant(n, t), atol=1e-12, n_negatives=n, embeddings=model.embeddings,
                   probs=model.probs)  # fmt: skip


@claim(
    "lemma1-at-unit-temperature",
    title="Lemma 1 as printed, at t = 1",
    says=SAYS + r"-e^{3/2}\sqrt{\frac{\pi}{2N}}\quad(t=1)",
    source="chuang2020, Lemma 1",
    asserts="bound",
    assumes=(*SETTING, "t = 1", "classes equally likely"),
    uses=("frullani-engine", "lemma1-printed-range"),
    grid={
        "n_negatives": (1, 2, 16, 256),
        "model": ("simplex", "cross:2", "opposite:4", "mub:16", "random", "vmf", "digits"),
        "temperature": (1.0,),
        "seed": (0,),
    },
    standard={"n_negatives": (1, 2, 4, 16, 64, 256, 1024, 4096), "seed": (0, 1, 2)},
    paper={"seed": tuple(range(10))},
    control={"constant": nothing},
    control_says="no constant: the octagon with alternating classes already breaks that, at t = 1 and N = 1",
    control_grid={"n_negatives": (1, 2)},
    tolerance="both losses are exact to 1e-12; what the constant must cover is at most 5 % of it (kappa_N(1)), so "
    "nothing hangs on the tolerance except the control's 4e-4",
    figure="lemma1-gap",
    attack=attack_unit,
)
def lemma1_at_unit_temperature(
    n_negatives: int, model: str, temperature: float, seed: int, constant: Constant = printed
) -> Evidence:
    needed = shortfall(model_of(model, seed, equal_classes=True), temperature, n_negatives)
    return at_most(needed, constant(n_negatives, temperature), atol=1e-12)


@claim(
    "lemma1-at-every-temperature",
    title="Lemma 1 as printed, with a constant that knows no temperature",
    says=SAYS + r"-e^{3/2}\sqrt{\frac{\pi}{2N}}\quad\mathrm{for\;every}\;t",
    source="chuang2020, Lemma 1",
    asserts="bound",
    assumes=(*SETTING, "classes equally likely"),
    uses=("frullani-engine",),
    grid={"n_negatives": (1, 2), "model": ("opposite:4", "mub:64"), "temperature": (0.01, 0.0055), "seed": (0,)},
    standard={"n_negatives": (1, 2, 4, 8), "temperature": (0.02, 0.01, 0.0055, 0.004)},
    cases=(
        {"n_negatives": 2, "model": "mub:64", "temperature": 0.004, "seed": 0},
        {"n_negatives": 2, "model": "cross:8", "temperature": 0.011, "seed": 0},
        {"n_negatives": 8, "model": "cross:8x6", "temperature": 0.016, "seed": 0},
        {"n_negatives": 64, "model": "cross:4x64", "temperature": 0.027, "seed": 0},
    ),
    control={"constant": lemma1_gap},
    control_says="the sharp constant kappa_N(t), which holds in the same cases",
    control_expects="holds",
    control_grid={"n_negatives": (1, 2, 8)},
    tolerance="the violations are 0.007 to 5.5, the losses exact to 1e-12 relative",
    figure="lemma1-gap",
)
def lemma1_at_every_temperature(
    n_negatives: int, model: str, temperature: float, seed: int, constant: Constant = printed
) -> Evidence:
    needed = shortfall(model_of(model, seed, equal_classes=True), temperature, n_negatives)
    return at_most(needed, constant(n_negatives, temperature), atol=1e-9)


@claim(
    "lemma1-unequal-classes",
    title="Lemma 1's printed constant where classes are not equally likely",
    says=SAYS + r"-e^{3/2}\sqrt{\frac{\pi}{2N}}\quad\mathrm{for\;any\;class\;prior}\;(t\geq 0.1)",
    source="chuang2020, Lemma 1 (without its assumption that classes are equally likely)",
    asserts="bound",
    assumes=SETTING,
    uses=("frullani-engine",),
    grid={
        "n_negatives": (1, 16, 64),
        "model": ("fan:16", "fan:512", "digits"),
        "temperature": (0.5, 0.1),
        "seed": (0,),
    },
    standard={"n_negatives": (1, 4, 16, 64, 256)},
    control={"constant": lemma1_gap},
    control_says="the sharp constant kappa_N(t), which holds in the same cases",
    control_expects="holds",
    cases=({"n_negatives": 64, "model": "fan:256", "temperature": 0.14, "seed": 0},),
    control_grid={"model": ("fan:16", "fan:512")},
    tolerance="the violations are 0.02 and 0.5, the losses are exact to 1e-12 relative",
    figure="lemma1-gap",
)
def lemma1_unequal_classes(
    n_negatives: int, model: str, temperature: float, seed: int, constant: Constant = printed
) -> Evidence:
    needed = shortfall(model_of(model, seed), temperature, n_negatives)
    return at_most(needed, constant(n_negatives, temperature), atol=1e-9)


def attack_sharp(seed: int, budget: int) -> Evidence:
    """The largest share of the sharp constant that a search finds used, at any temperature and class prior."""

    def slack(model: LatentModel, t: float, n: int) -> float:
        return -shortfall(model, t, n) / lemma1_gap(n, t)

    model, t, n = search(slack, seed, budget, temperatures=(0.02, 1.0), equal_classes=False)
    bound = lemma1_gap(n, t)
    return at_most(shortfall(model, t, n), bound, atol=1e-9, scale=bound, n_negatives=n, temperature=t,
                   embeddings=model.embeddings, probs=model.probs)  # fmt: skip


@claim(
    "lemma1-sharp",
    title="Lemma 1 with the sharp constant of its proof, at every temperature",
    says=SAYS + r"-\kappa_N(t),\quad\kappa_N(t)=\max_p\{\log(1+N(1+p(h-1)))"
    r"-\mathbb{E}_{B\sim Bin(N,p)}\log(1+N+B(h-1))\},\;h=e^{2/t}",
    source="chuang2020, Lemma 1 (repaired here)",
    asserts="bound",
    assumes=SETTING,
    uses=("frullani-engine",),
    repairs="lemma1-at-every-temperature",
    grid={
        "n_negatives": (1, 16, 256),
        "model": ("simplex", "cross:2", "opposite:4", "mub:16", "fan:16", "random", "digits"),
        "temperature": (1.0, 0.2, 0.05),
        "seed": (0,),
    },
    standard={
        "n_negatives": (1, 4, 16, 64, 256, 1024, 4096),
        "temperature": (1.0, 0.5, 0.2, 0.1, 0.05, 0.02),
        "seed": (0, 1),
    },
    paper={"seed": tuple(range(10))},
    control={"constant": nothing},
    control_says="no constant: the min-term alone does not carry the inequality",
    control_grid={"n_negatives": (1,), "model": ("cross:2", "opposite:4", "mub:16")},
    tolerance="the losses are exact to 1e-12, kappa_N(t) to 1e-12 relative; the smallest constant of the grid is 1e-4",
    figure="lemma1-gap",
    attack=attack_sharp,
)
def lemma1_sharp(
    n_negatives: int, model: str, temperature: float, seed: int, constant: Constant = lemma1_gap
) -> Evidence:
    needed = shortfall(model_of(model, seed), temperature, n_negatives)
    return at_most(needed, constant(n_negatives, temperature), atol=1e-11)
