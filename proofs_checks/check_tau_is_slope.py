"""wu2023, Theorem 3.2, for every divergence: the temperature is the slope of the robust value in the budget."""

from collections.abc import Callable

import numpy as np

from drocl import divergences, dro
from drocl.claims import Evidence, agree, claim
from drocl.divergences import Divergence

from ._pools import CAPPED, LABELS, Floats, named, pool

STEP = 1e-5


def root(f: Floats, q0: Floats, size: float, divergence: Divergence) -> float:
    """The multiplier of the fast solver; `size` is the radius, for cvar c = 1/a."""
    if divergence.name == "cvar":
        return float(dro.worst_case(f, divergence=divergences.get("cvar", level=1.0 / size), base=q0).multiplier)
    return float(dro.worst_case(f, radius=size, divergence=divergence, base=q0).multiplier)


def slipped(f: Floats, q0: Floats, size: float, divergence: Divergence) -> float:
    """The multiplier of twice the size: a factor 2 lost in the normalisation of the divergence."""
    return root(f, q0, 2.0 * size, divergence)


def bought(f: Floats, q0: Floats, sizes: Floats, divergence: Divergence) -> Floats:
    """E_Q* f - E_Q0 f at several sizes of the ball."""
    if divergence.name == "cvar":
        laws = [divergences.get("cvar", level=1.0 / size) for size in sizes]
        return np.array([float(dro.worst_case(f, divergence=law, base=q0).excess) for law in laws])
    rows = np.broadcast_to(f, (sizes.size, f.size))
    return np.asarray(dro.worst_case(rows, radius=sizes, divergence=divergence, base=q0).excess)


@claim(
    "tau-is-slope",
    title="The temperature is the slope of the robust value in the budget, for every divergence",
    says=r"\tau^{*}(\eta)=\frac{d}{d\eta}\max_{D_\phi(Q\|Q_0)\leq\eta}\mathbb{E}_Q f",
    source="wu2023, Theorem 3.2 (as we state it; stated there for KL)",
    asserts="identity",
    assumes=("finite pool", "0 < eta < eta_max", "the right derivative where the value has a kink (tv, cvar)"),
    uses=("tau-is-multiplier",),
    grid={"n": (16, 200), "divergence": LABELS, "radius": (0.1, 0.5), "scores": ("gaussian", "digits"),
          "seed": (0,)},
    standard={"n": (16, 200, 2000), "radius": (1e-4, 0.01, 0.1, 0.5),
              "scores": ("gaussian", "skewed", "ties", "digits"), "seed": (0, 1)},
    paper={"seed": tuple(range(10))},
    cases=tuple({"n": n, "divergence": label, "radius": None, "scores": scores, "seed": 0}
                for n in (16, 200) for label in CAPPED for scores in ("gaussian", "digits")),
    control={"multiplier": slipped},
    control_says="the multiplier of twice the radius: a factor 2 lost in the normalisation of the divergence",
    control_grid={"radius": (0.1,), "scores": ("gaussian",)},
    tolerance="central differences of relative step 1e-5 leave 1e-10 by curvature and 1e-11 by rounding; the gap "
    "falls as the square of the step until rounding takes over. Where the value is piecewise linear (tv, cvar) a "
    "forward difference is exact",
    figure="tau-against-eta",
)  # fmt: skip
def tau_is_slope(
    n: int, divergence: str, radius: float | None, scores: str, seed: int,
    multiplier: Callable[[Floats, Floats, float, Divergence], float] = root,
) -> Evidence:  # fmt: skip
    f, q0 = pool(scores, n, seed)
    phi = named(divergence)
    size = radius if radius is not None else 1.0 / phi.params["level"]
    steps = STEP * (np.array([-1.0, 1.0]) if phi.smooth else np.array([0.0, 1.0]))
    low, high = bought(f, q0, size * (1.0 + steps), phi)
    difference = (high - low) / (size * float(np.ptp(steps)))
    return agree(multiplier(f, q0, size, phi), difference, rtol=1e-7, step=STEP, bought=(low + high) / 2)
