"""song2020, mcallester2020, wu2023: how the variance of the normaliser grows with the information, and where it ends."""

import itertools
import math
from collections.abc import Callable

import numpy as np

from drocl.claims import Evidence, agree, at_least, claim
from drocl.mi import exact

from ._mi import Floats, information, joint, uneven

Growth = Callable[[float], float]


def exponential(information: float) -> float:
    """e^I - 1."""
    return math.expm1(information)


def doubled(information: float) -> float:
    """e^{2I} - 1, the Gaussian's."""
    return math.expm1(2.0 * information)


@claim(
    "nwj-variance-at-least-exponential",
    title="The variance of the normaliser of NWJ and DV is at least exponential in the mutual information",
    says=r"m\,Var\left(\frac{1}{m}\sum_{i}r_i\right)=\chi^2(P_{XY}\|P_XP_Y)\geq e^{I}-1",
    source="song2020, Theorem 2 (as we state it)",
    asserts="bound",
    assumes=("optimal critic, m independent pairs of the product law",),
    grid={"symbols": (4, 64), "law": ("random", "channel", "classes", "latent"), "seed": (0, 1, 2)},
    standard={"seed": tuple(range(20))},
    control={"growth": doubled},
    control_says="e^{2I} - 1 for every law: deterministic classes are below it",
    tolerance="finite sums; equality where r is constant on the support, as for classes (y = x)",
    figure="mi-ceilings",
)
def nwj_variance_at_least_exponential(symbols: int, law: str, seed: int, growth: Growth = exponential) -> Evidence:
    p = np.eye(symbols) / symbols if law == "classes" else joint(law, seed)
    bound = growth(information(p, "kl"))
    return at_least(exact.chi2_information(exact.finite(p)), bound, atol=1e-12 * (1.0 + bound))


@claim(
    "gaussian-chi2-information",
    title="For Gaussian pairs the variance of the normaliser is e^{2I} - 1, in any dimension",
    says=r"Var_Q\,r=\chi^2(P_{XY}\|P_XP_Y)=(1-\rho^{2})^{-d}-1=e^{2I}-1",
    source="wu2023, section 4 (Gaussian pairs, derived here); mcallester2020 for what it implies",
    asserts="identity",
    assumes=("d independent pairs of correlation rho",),
    grid={"dimension": (1, 5, 20), "mutual_information": (0.05, 0.25, 0.5, 1.0), "nodes": (4001,)},
    standard={"dimension": (1, 2, 5, 10, 20, 50), "mutual_information": (0.05, 0.1, 0.25, 0.5, 0.75, 1.0)},
    control={"growth": exponential},
    control_says="e^I - 1, the lower bound for every law",
    tolerance="the trapezoid rule on the pair's two principal axes up to 60: its step is a sixth of the narrowest "
    "deviation of the grid, its reach eleven times the widest; d multiplies an error of 1e-15",
    figure="mi-ceilings",
)
def gaussian_chi2_information(
    dimension: int, mutual_information: float, nodes: int, growth: Growth = doubled
) -> Evidence:
    rho = math.sqrt(-math.expm1(-2.0 * mutual_information / dimension))
    found = math.expm1(dimension * log_moment(rho, 2.0, 60.0, nodes))
    return agree(found, growth(mutual_information), rtol=1e-9)


def log_truncated(exponent: float, reach: float, nodes: int) -> float:
    """log of the integral over |u| <= reach of e^{exponent u^2} against a standard normal, by the trapezoid rule."""
    u = np.linspace(-reach, reach, nodes)
    logs = (exponent - 0.5) * u**2
    top = float(logs.max())
    return top + math.log(float(np.trapezoid(np.exp(logs - top), u)) / math.sqrt(2.0 * math.pi))


def log_moment(rho: float, power: float, reach: float, nodes: int) -> float:
    """log E_Q[r^power; |u|, |v| <= reach], u = (x + y) / sqrt 2 and v = (x - y) / sqrt 2, of one Gaussian pair."""
    up = log_truncated(0.5 * power * rho / (1.0 + rho), reach, nodes)
    down = log_truncated(-0.5 * power * rho / (1.0 - rho), reach, nodes)
    return -0.5 * power * math.log1p(-(rho**2)) + up + down


def printed_threshold(power: float) -> float:
    """1 / (k - 1)."""
    return 1.0 / (power - 1.0)


def one_lower(power: float) -> float:
    """1 / (k - 2), the moment below."""
    return 1.0 / (power - 2.0)


@claim(
    "chi2-plugin-variance-threshold",
    title="The chi2 plug-in has a finite variance only for |rho| < 1/3",
    says=r"\mathbb{E}_Q[r^{k};|u|\leq R]\sim e^{c R^{2}},\quad"
    r"c=\frac{(|\rho|/\rho_k-1)_{+}}{2(1+|\rho|)},\quad\rho_k=\frac{1}{k-1}:\quad"
    r"\mathbb{E}_Q r^{k}<\infty\;\Longleftrightarrow\;|\rho|<\frac{1}{k-1}",
    source="wu2023, section 4 (the chi2 form's moments, derived here); k = 4 is the variance of r^2 under Q",
    asserts="limit",
    assumes=("one Gaussian pair (d pairs: the d-th power)", "u = (x + y) / sqrt 2, the axis along which r grows"),
    grid={"power": (3, 4, 6), "correlation": (0.1, 0.19, 0.3, 0.33, 0.34, 0.45, 0.55, 0.8)},
    standard={"correlation": (0.05, 0.1, 0.19, 0.21, 0.3, 0.32, 0.33, 0.34, 0.36, 0.45, 0.49, 0.51, 0.55, 0.8, 0.9)},
    control={"threshold": one_lower},
    control_says="the threshold 1 / (k - 2) of the moment below: 1/2 for the variance of the chi2 form",
    tolerance="the exponent between R = 200 and R = 240 from two trapezoid sums along u alone; what is not exponential, a factor "
    "at most R, adds log(1.2) / (240^2 - 200^2) = 1e-5",
    figure="mi-ceilings",
)
def chi2_plugin_variance_threshold(
    power: int, correlation: float, threshold: Callable[[float], float] = printed_threshold
) -> Evidence:
    near, far = (
        log_truncated(0.5 * power * correlation / (1.0 + correlation), reach, 20_001) for reach in (200.0, 240.0)
    )
    rate = max(0.0, correlation / threshold(power) - 1.0) / (2.0 * (1.0 + correlation))
    return agree((far - near) / (240.0**2 - 200.0**2), rate, atol=5e-5)


def with_transposes(p: Floats, batch: int) -> float:
    """(sum sigma^2 + sum sigma^4) / (B (B - 1)) over the singular values below 1."""
    return exact.normaliser_variance(p, batch)


def as_if_independent(p: Floats, batch: int) -> float:
    """chi2 / (B (B - 1))."""
    return exact.chi2_information(exact.finite(p)) / (batch * (batch - 1.0))


@claim(
    "batch-normaliser-variance",
    title="The off-diagonal pairs of a batch are nearly independent at the optimal critic: only transposes correlate",
    says=r"Var\left(\frac{1}{B(B-1)}\sum_{i\neq j}r(x_i,y_j)\right)="
    r"\frac{\sum_{i\geq 1}(\sigma_i^{2}+\sigma_i^{4})}{B(B-1)},\quad r=\sum_i\sigma_i u_i v_i",
    source="song2020, Theorem 2 (for the pairs of one batch, derived here)",
    asserts="identity",
    assumes=("optimal critic", "finite support"),
    grid={"batch": (2, 3, 4), "symbols": (2, 3), "seed": (0, 1)},
    standard={"seed": tuple(range(5))},
    control={"formula": as_if_independent},
    control_says="chi2 / (B (B - 1)), as if the pairs were independent",
    tolerance="a sum over all batches, right to 1e-14",
    figure="mi-ceilings",
)
def batch_normaliser_variance(
    batch: int, symbols: int, seed: int, formula: Callable[[Floats, int], float] = with_transposes
) -> Evidence:
    p = uneven(symbols, seed)
    ratio = np.exp(exact.finite(p).scores)
    cells = np.array(list(itertools.product(range(p.size), repeat=batch)))
    x, y = np.divmod(cells, symbols)
    mass = p.ravel()[cells].prod(axis=1)
    table = ratio[x[:, :, None], y[:, None, :]]
    mean = (table.sum(axis=(1, 2)) - np.trace(table, axis1=1, axis2=2)) / (batch * (batch - 1.0))
    centre = float(mass @ mean)
    return agree(float(mass @ (mean - centre) ** 2), formula(p, batch), rtol=1e-11, mean=centre)
