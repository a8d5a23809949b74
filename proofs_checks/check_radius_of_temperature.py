"""wu2023, Theorem 3.2: the radius that a temperature spends, its slope, and the budget that makes the ball slack."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax

from drocl import dro
from drocl.claims import Evidence, agree, claim

from ._pools import Floats, central, complex_step, log_mean_exp, moments, named, pool


def cumulant_gap(f: Floats, q0: Floats, temperature: float) -> float:
    """t K'(t) - K(t) at t = 1/tau, K the cumulant generating function of the centred scores."""
    centred = f - moments(f, q0)[0]
    at = np.array([1.0 / temperature])
    slope = complex_step(lambda t: log_mean_exp(t[0] * centred, q0), at)[0]
    return float(at[0] * slope - log_mean_exp(at[0] * centred, q0))


def gaussian_radius(f: Floats, q0: Floats, temperature: float) -> float:
    """V / (2 tau^2), Corollary 3.4 solved for the radius."""
    return moments(f, q0)[1] / (2.0 * temperature**2)


@claim(
    "radius-is-cumulant-gap",
    title="A temperature spends the radius t K'(t) - K(t)",
    says=r"KL(Q^{*}_\tau\|Q_0)=t\,K'(t)-K(t),\quad t=\frac{1}{\tau},\quad K(t)=\log\mathbb{E}_{Q_0}e^{t(f-m)}",
    source="wu2023, Theorem 3.2 (a consequence)",
    asserts="identity",
    assumes=("finite pool", "tau > 0"),
    uses=("kl-worst-case-is-tilt",),
    grid={"n": (8, 1000), "temperature": (0.05, 0.2, 1.0, 5.0), "scores": ("gaussian", "skewed", "digits"),
          "seed": (0,)},
    standard={"n": (8, 1000, 100_000), "seed": (0, 1, 2)},
    paper={"n": (8, 1000, 1_000_000), "seed": tuple(range(10))},
    control={"radius": gaussian_radius},
    control_says="V / (2 tau^2), Corollary 3.4 solved for the radius",
    tolerance="both sides are exact; t K' - K cancels to eta, which costs 1e-16 / eta, 1e-12 at the largest "
    "temperature",
    figure="implied-radius-digits",
)  # fmt: skip
def radius_is_cumulant_gap(
    n: int, temperature: float, scores: str, seed: int, radius: Callable[[Floats, Floats, float], float] = cumulant_gap
) -> Evidence:
    f, q0 = pool(scores, n, seed)
    weights = np.asarray(dro.worst_case(f, temperature=temperature, base=q0).weights)
    spent = float(named("kl").between(weights, q0))
    return agree([spent, float(dro.radius_of(f, temperature, base=q0))], radius(f, q0, temperature), rtol=1e-10,
                 ceiling=-float(np.log(q0[f == f.max()].sum())))  # fmt: skip


def under_worst_case(f: Floats, q0: Floats, temperature: float) -> float:
    """Variance of the scores under the tilt."""
    tilt = q0 * np.exp(f / temperature - log_mean_exp(f / temperature, q0))
    return moments(f, tilt / tilt.sum())[1]


def under_base(f: Floats, q0: Floats, temperature: float) -> float:
    """Variance of the scores under Q0."""
    return moments(f, q0)[1]


@claim(
    "radius-falls-with-temperature",
    title="The radius falls with the temperature at the rate Var / tau^3",
    says=r"\frac{d}{d\tau}KL(Q^{*}_\tau\|Q_0)=-\frac{Var_{Q^{*}_\tau}(f)}{\tau^{3}}",
    source="wu2023, Theorem 3.2 (a consequence)",
    asserts="identity",
    assumes=("finite pool", "tau > 0"),
    uses=("radius-is-cumulant-gap",),
    grid={"n": (8, 1000), "temperature": (0.05, 0.2, 1.0, 5.0), "scores": ("gaussian", "skewed", "digits"),
          "seed": (0,)},
    standard={"n": (8, 1000, 100_000), "seed": (0, 1, 2)},
    paper={"seed": tuple(range(10))},
    control={"variance": under_base},
    control_says="the variance under Q0 in place of that under the worst case",
    tolerance="fourth-order differences, relative step 5e-4: the gap falls as the fourth power of the step until "
    "rounding takes over, 1e-10 of radius / tau",
)  # fmt: skip
def radius_falls_with_temperature(
    n: int, temperature: float, scores: str, seed: int,
    variance: Callable[[Floats, Floats, float], float] = under_worst_case,
) -> Evidence:  # fmt: skip
    f, q0 = pool(scores, n, seed)
    slope = central(lambda tau: dro.radius_of(f, tau[0], base=q0), np.array([temperature]), 5e-4 * temperature)[0]
    expected = -variance(f, q0, temperature) / temperature**3
    noise = 1e-2 * float(dro.radius_of(f, temperature, base=q0)) / temperature  # a difference sees nothing smaller
    return agree(slope, expected, rtol=1e-8, scale=abs(expected) + noise)


def together(masses: Floats) -> float:
    """The mass of all ties."""
    return float(masses.sum())


def one_of_them(masses: Floats) -> float:
    """The mass of the heaviest maximiser alone."""
    return float(masses.max())


@claim(
    "slack-radius",
    title="The ball is slack from the divergence of Q0 conditioned on the argmax",
    says=r"\eta_{max}=\min_{Q(argmax\,f)=1}D_\phi(Q\|Q_0)=D_\phi(Q_0(\cdot|argmax\,f)\,\|\,Q_0),"
    r"\quad\mathrm{KL:}\;-\log Q_0(argmax\,f)",
    source="wu2023, Theorem 3.2 (an edge case)",
    asserts="identity",
    assumes=("finite pool", "phi(0) finite: for reverse KL and Neyman no ball is slack"),
    grid={"n": (8, 100), "ties": (1, 3), "seed": (0, 1),
          "divergence": ("kl", "chi2", "hellinger", "cressie_read(k=3)", "cressie_read(k=1.5)", "js", "tv",
                         "renyi(order=2)")},
    standard={"n": (8, 100, 1000), "ties": (1, 2, 3, 7), "seed": (0, 1, 2)},
    paper={"seed": tuple(range(10))},
    control={"mass": one_of_them},
    control_says="ties counted as one: log N in place of log(N / ties)",
    control_grid={"ties": (3,)},
    tolerance="the minimum over laws on the ties is found by BFGS, and its value is second order in where it stops: "
    "1e-9 relative. The solver's multiplier is 0 just above the radius, positive just below",
)  # fmt: skip
def slack_radius(n: int, ties: int, seed: int, divergence: str, mass: Callable[[Floats], float] = together) -> Evidence:
    rng = np.random.default_rng(seed)
    f, q0, phi = rng.normal(size=n), rng.dirichlet(np.ones(n)), named(divergence)
    f[:ties] = f.max() + 0.1

    def spent(theta: Floats) -> float:
        return float(np.log(phi.between(np.concatenate([softmax(theta), np.zeros(n - ties)]), q0)))

    least = float(np.exp(minimize(spent, np.zeros(ties), method="BFGS", options={"gtol": 1e-9}).fun))
    expected = phi.radius_max(mass(q0[:ties]))
    around = [float(dro.temperature_of(f, expected * (1.0 + step), divergence=phi, base=q0)) for step in (-1e-3, 1e-3)]
    switch = float(around[0] > 0.0 and around[1] == 0.0)
    return agree([least, switch], [expected, 1.0], rtol=1e-9, multiplier_below=around[0], multiplier_above=around[1])
