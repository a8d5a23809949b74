"""wu2023, Eqs 10 to 12: where the weight of a negative in ADNCE is largest, and when the hardest one loses weight."""

from collections.abc import Callable

import numpy as np

from drocl.claims import Evidence, agree, at_most, claim

from ._losses import TORCH, Floats, of_scores

READ = "wu2023, Eqs 10 to 12 (as we state them)"
SETTINGS = {"n": (9, 201), "temperature": (0.07, 0.2, 0.5), "mu": (0.1, 0.4, 0.7)}


def weights(n: int, temperature: float, mu: float, sigma: float) -> tuple[Floats, Floats]:
    """Scores (n,) spread over [-1, 1] and the derivatives of the loss in them."""
    s = np.linspace(-1.0, 1.0, n)
    found = of_scores("adnce", np.array([0.5]), s[None], temperature=temperature, mu=mu, sigma=sigma)
    return s, found[2][0]


def tilted(mu: float, sigma: float, temperature: float) -> float:
    """mu + sigma^2 / tau."""
    return mu + sigma**2 / temperature


def untilted(mu: float, sigma: float, temperature: float) -> float:
    """mu: the exponential forgotten."""
    return mu


@claim(
    "adnce-mode",
    title="A negative's weight in ADNCE is a Gaussian around mu + sigma squared / tau, not around mu",
    says=r"\frac{\partial L}{\partial s_j}\propto w(s_j)\,e^{s_j/\tau}\propto e^{-(s_j-m)^{2}/2\sigma^{2}},\quad"
    r"m=\mu+\frac{\sigma^{2}}{\tau}",
    source=f"{READ}; the mode derived here",
    asserts="identity",
    assumes=("weights set aside, as published",),
    grid={**SETTINGS, "sigma": (0.1, 0.5, 1.0)},
    standard={"n": (9, 201, 2001), "temperature": (0.05, 0.07, 0.1, 0.2, 0.5, 1.0)},
    control={"mode": untilted},
    control_says="a Gaussian around mu",
    tolerance="of logarithms, relative to the largest: rounding of exponents up to 200",
    needs=TORCH,
    figure="",
)
def adnce_mode(
    n: int, temperature: float, mu: float, sigma: float, mode: Callable[[float, float, float], float] = tilted
) -> Evidence:
    s, found = weights(n, temperature, mu, sigma)
    m, top = mode(mu, sigma, temperature), int(found.argmax())
    logs = -((s - m) ** 2 - (s[top] - m) ** 2) / (2.0 * sigma**2)
    return agree(np.log(found / found[top]), logs, rtol=1e-11, scale=np.abs(logs).max(), mode=m)


def as_given(temperature: float, mu: float, sigma: float) -> float:
    """Any width."""
    return sigma


def within_range(temperature: float, mu: float, sigma: float) -> float:
    """A width with sigma^2 = tau (1 - mu) / 2."""
    return float(np.sqrt(temperature * (1.0 - mu) / 2.0))


@claim(
    "adnce-spares-the-hardest",
    title="ADNCE never gives the hardest negative the largest weight, whatever its width",
    says=r"\frac{\partial L}{\partial s}(s=1)\leq\max_{s<1}\frac{\partial L}{\partial s}\quad\mathrm{for\;every}\;\mu<1,\;\sigma",
    source=f"{READ}; a reading of what its weights are for",
    asserts="bound",
    assumes=("mu < 1", "a negative at every similarity of a grid up to 1"),
    uses=("adnce-mode",),
    grid={**SETTINGS, "sigma": (0.1, 0.5, 1.0)},
    standard={"n": (9, 201, 2001), "temperature": (0.05, 0.07, 0.1, 0.2, 0.5, 1.0)},
    control={"width": within_range},
    control_says="a width with sigma^2 = tau (1 - mu) / 2",
    control_expects="holds",
    control_grid={"n": (201,)},
    tolerance="the ratio of two weights, no rounding allowed: they are equal only where the mode lies between the two "
    "last points of the grid",
    needs=TORCH,
    figure="",
)
def adnce_spares_the_hardest(
    n: int, temperature: float, mu: float, sigma: float, width: Callable[[float, float, float], float] = as_given
) -> Evidence:
    sigma = width(temperature, mu, sigma)
    _, found = weights(n, temperature, mu, sigma)
    return at_most(found[-1] / found[:-1].max(), 1.0, mode=tilted(mu, sigma, temperature))


def of_its_mode(temperature: float, mu: float) -> float:
    """tau (1 - mu): the largest sigma^2 whose mode lies below 1."""
    return temperature * (1.0 - mu)


def of_mu_alone(temperature: float, mu: float) -> float:
    """(1 - mu)^2: the width at which mu lies one deviation below 1, whatever the temperature."""
    return (1.0 - mu) ** 2


@claim(
    "adnce-narrow-spares-the-hardest",
    title="It does so while sigma squared is below tau (1 - mu)",
    says=r"\sigma^{2}<\tau(1-\mu)\;\Rightarrow\;\frac{\partial L/\partial s\,(s=1)}{\max_s\partial L/\partial s}="
    r"e^{-(1-m)^{2}/2\sigma^{2}}<1,\quad m=\mu+\frac{\sigma^{2}}{\tau}",
    source=f"{READ}; repaired here by its range",
    asserts="identity",
    assumes=("mu < 1", "a negative at the mode m, one at 1, others between -1 and 1"),
    uses=("adnce-mode",),
    repairs="adnce-spares-the-hardest",
    grid={**SETTINGS, "share": (0.1, 0.5, 0.9)},
    standard={"n": (9, 201, 2001), "temperature": (0.05, 0.07, 0.1, 0.2, 0.5, 1.0), "share": (0.1, 0.3, 0.5, 0.7, 0.9, 0.99)},
    control={"largest": of_mu_alone},
    control_says="sigma below 1 - mu: the range of mu alone, whatever the temperature",
    tolerance="of the ratio: rounding of exponents up to 20",
    needs=TORCH,
    figure="",
)
def adnce_narrow_spares_the_hardest(
    n: int, temperature: float, mu: float, share: float, largest: Callable[[float, float], float] = of_its_mode
) -> Evidence:
    sigma = float(np.sqrt(share * largest(temperature, mu)))
    m = tilted(mu, sigma, temperature)
    s = np.append(np.linspace(-1.0, 1.0, n), min(m, 1.0))
    found = of_scores("adnce", np.array([0.5]), s[None], temperature=temperature, mu=mu, sigma=sigma)[2][0]
    return agree(found[n - 1] / found.max(), np.exp(-((1.0 - m) ** 2) / (2.0 * sigma**2)), rtol=1e-11, mode=m)
