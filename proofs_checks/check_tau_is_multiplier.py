"""wu2023, Theorem 3.2, for every divergence: the temperature is the multiplier of the budget."""

from collections.abc import Callable

import numpy as np

from drocl import dro
from drocl.claims import Evidence, agree, claim, minimise_slack
from drocl.divergences import Divergence
from drocl.dro import reference

from ._pools import CAPPED, LABELS, Floats, named, pool

Price = Callable[[Floats, Floats, float | None, Divergence], float]


def marginal(f: Floats, q0: Floats, radius: float | None, divergence: Divergence) -> float:
    """What the next nat buys: the root of the fast solver."""
    return float(dro.worst_case(f, radius=radius, divergence=divergence, base=q0).multiplier)


def average(f: Floats, q0: Floats, radius: float | None, divergence: Divergence) -> float:
    """What a nat has bought on average, excess / eta (for cvar, excess / (1/a - 1))."""
    size = radius if radius is not None else 1.0 / divergence.params["level"] - 1.0
    return float(dro.worst_case(f, radius=radius, divergence=divergence, base=q0).excess) / size


def against_the_reference(f: Floats, q0: Floats, radius: float | None, label: str, price: Price) -> Evidence:
    """The price against the dual variable of the divergence constraint in cvxpy's solution."""
    certified = reference.worst_case(f, radius=radius, divergence=named(label), base=q0)
    return agree(
        price(f, q0, radius, named(label)), certified.multiplier, rtol=1e-7,
        status="ok" if certified.status == "optimal" else f"inconclusive: {certified.message}",
        solver=certified.solver, enclosure=certified.multiplier_interval, certificate=certified.gap,
        spent=certified.radius,
    )  # fmt: skip


def worst_law(seed: int, budget: int) -> Evidence:
    """Search scores of six atoms, their base, the radius and the divergence for the largest relative gap."""

    def problem(theta: Floats) -> tuple[Floats, Floats, float, str]:
        base = np.exp(theta[6:12] - theta[6:12].max())
        return theta[:6], base / base.sum(), float(np.exp(theta[12])), LABELS[int(abs(theta[13])) % len(LABELS)]

    def slack(theta: Floats) -> float:
        found = against_the_reference(*problem(theta), marginal)
        return -found.gap if found.status == "ok" else np.nan  # an answer without a certificate is no counterexample

    def sample(rng: np.random.Generator) -> Floats:
        return np.concatenate([rng.normal(size=12), [rng.uniform(np.log(1e-3), 0.0)], [rng.uniform(0, len(LABELS))]])

    theta, _ = minimise_slack(slack, sample, seed=seed, budget=budget)
    f, q0, radius, label = problem(theta)
    found = against_the_reference(f, q0, radius, label, marginal)
    return agree(found.lhs, found.rhs, rtol=1e-7, status=found.status, solver=found.solver,
                 scores=f, base=q0, radius=radius, divergence=label)  # fmt: skip


@claim(
    "tau-is-multiplier",
    title="The temperature is the multiplier of the budget, for every divergence",
    says=r"D_\phi(Q^{*}_\tau\|Q_0)=\eta\;\Rightarrow\;\tau=\alpha^{*}(\eta)"
    r"=\mathrm{multiplier\ of}\;D_\phi(Q\|Q_0)\leq\eta",
    source="wu2023, Theorem 3.2 (Eq 4, as we state it; stated there for KL)",
    asserts="identity",
    assumes=("finite pool", "0 < eta < eta_max", "at kinks (tv, cvar) the smallest multiplier"),
    uses=("kl-worst-case-is-tilt",),
    grid={"n": (8, 64), "divergence": LABELS, "radius": (0.1, 0.3), "scores": ("gaussian", "digits"), "seed": (0,)},
    standard={"n": (8, 64, 300), "radius": (0.01, 0.1, 0.3), "scores": ("gaussian", "ties", "digits")},
    paper={"n": (8, 64, 300, 1000), "scores": ("gaussian", "skewed", "ties", "digits"), "seed": tuple(range(5))},
    cases=tuple({"n": n, "divergence": label, "radius": None, "scores": scores, "seed": 0}
                for n in (8, 64) for label in CAPPED for scores in ("gaussian", "digits")),
    control={"price": average},
    control_says="the average price of the budget, excess / eta, in place of the marginal one",
    control_grid={"n": (64,), "radius": (0.3,), "scores": ("gaussian",)},
    tolerance="the reference says optimal only where it encloses the multiplier to 1e-7 (relative); typical gaps "
    "are 1e-10, and fall with the tolerance of the interior-point solver",
    figure="multiplier-across-divergences",
    attack=worst_law,
    attack_budget={"quick": 60, "standard": 600, "paper": 6_000},
)  # fmt: skip
def tau_is_multiplier(
    n: int, divergence: str, radius: float | None, scores: str, seed: int, price: Price = marginal
) -> Evidence:
    return against_the_reference(*pool(scores, n, seed), radius, divergence, price)
