"""wu2023, Theorem 3.2, the other way round: at the temperature alpha*(eta) the penalised worst case spends eta."""

from collections.abc import Callable

from drocl import dro
from drocl.claims import Evidence, agree, claim
from drocl.divergences import Divergence

from ._pools import LABELS, Floats, named, pool
from .check_tau_is_multiplier import average, marginal

# tv: a temperature belongs to an interval of radii; renyi of order > 1: the penalised problem is not concave
PENALISED = tuple(label for label in LABELS if label not in ("tv", "renyi(order=2)"))


@claim(
    "temperature-spends-the-radius",
    title="At the temperature alpha*(eta), the penalised worst case spends exactly eta",
    says=r"\tau=\alpha^{*}(\eta)\;\Rightarrow\;D_\phi(Q^{*}_\tau\|Q_0)=\eta,\quad"
    r"\max_Q\{\mathbb{E}_Q f-\tau D_\phi\}+\tau\eta=\max_{D_\phi\leq\eta}\mathbb{E}_Q f",
    source="wu2023, Theorem 3.2 (Eq 4, as we state it; stated there for KL)",
    asserts="identity",
    assumes=("finite pool", "0 < eta < eta_max", "phi smooth, the penalised problem concave"),
    uses=("tau-is-multiplier",),
    grid={"n": (8, 64), "divergence": PENALISED, "radius": (0.01, 0.1, 0.3), "scores": ("gaussian", "digits"), "seed": (0,)},
    standard={"n": (8, 64, 300), "seed": (0, 1)},
    paper={"n": (8, 64, 300, 1000), "scores": ("gaussian", "skewed", "digits"), "seed": tuple(range(5))},
    control={"price": average},
    control_says="the average price of the budget, excess / eta, in place of the marginal one",
    control_grid={"n": (64,), "radius": (0.3,), "scores": ("gaussian",)},
    tolerance="two roots in float64, each to a few units in the last place times the elasticity of the radius in the temperature",
    figure="multiplier-across-divergences",
)
def temperature_spends_the_radius(
    n: int,
    divergence: str,
    radius: float,
    scores: str,
    seed: int,
    price: Callable[[Floats, Floats, float | None, Divergence], float] = marginal,
) -> Evidence:
    f, q0 = pool(scores, n, seed)
    tau = price(f, q0, radius, named(divergence))
    penalised = dro.worst_case(f, temperature=tau, divergence=named(divergence), base=q0)
    ball = dro.worst_case(f, radius=radius, divergence=named(divergence), base=q0)
    return agree(
        [penalised.radius / radius, (penalised.value + tau * radius) / ball.value],
        [1.0, 1.0],
        rtol=1e-10,
        temperature=tau,
        certificate=penalised.gap,
    )
