"""Exact expectations of the estimators of mutual information at fixed critics, on Gaussian pairs and a finite law."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from drocl import divergences
from drocl.mi import exact
from drocl.mi.gaussian import correlation_of

from ._tables import records, table

COST = "seconds"
Array = npt.NDArray[np.float64]
DUALS = ("kl", "chi2", "reverse_kl", "hellinger", "js")


@dataclass(frozen=True)
class Config:
    """The staircase's setting: d Gaussian pairs, a batch, true informations.

    Args:
        dimension: d.
        batch: B; N = B - 1 negatives.
        informations: of the curves, nats.
        stairs: of the sampled points and the bias parts.
        batches: sampled, for the point of each stair.
        negatives: N of the rates.
        training: pairs that the bilinear critic is fitted on, a multiple of the batch.
        seeds: fits.
        shifts: constants added to the critics of the duals.
    """

    dimension: int = 20
    batch: int = 64
    informations: tuple[float, ...] = tuple(np.linspace(0.5, 10.0, 16).tolist())
    stairs: tuple[float, ...] = (2.0, 4.0, 6.0, 8.0, 10.0)
    batches: int = 1000
    negatives: tuple[int, ...] = tuple(4**k for k in range(11))
    training: int = 128
    seeds: int = 6
    shifts: int = 41


PROFILES = {
    "quick": Config(),
    "standard": Config(informations=tuple(np.linspace(0.25, 10.0, 40).tolist()), batches=20_000, seeds=30),
    "paper": Config(informations=tuple(np.linspace(0.25, 12.0, 95).tolist()), batches=200_000, seeds=200, shifts=161),
}


def run(config: Config) -> dict[str, Any]:
    """All of it.

    Args:
        config: the sizes.

    Returns:
        Tables `ceilings` (mi, estimator, value: expectation at the optimal critic), `sampled` (mi, estimator, mean,
        error, sd over batches, sd_error; at the optimal critic), `deviations` (mi, sd: exact, of NWJ on a batch),
        `orders` (mi, n, estimator, bias, constant: half the chi2 information), `parts` (mi, estimator, part, value,
        error, sampled: the bias of a bilinear critic in parts), `duals` (divergence, kind, by, tight, loose, truth:
        critics shifted and scaled).
    """
    return {
        "ceilings": table(ceilings(config)),
        "sampled": table(row for mi in config.stairs for row in sampled(config, mi)),
        "deviations": table(deviations(config)),
        "orders": table(orders(config)),
        "parts": table(row for mi in config.stairs for row in parts(config, mi)),
        "duals": table(duals(config)),
    }


def ceilings(config: Config) -> list[dict[str, Any]]:
    """Expectations at the optimal critic on one batch, exact."""
    rows = []
    for mi in config.informations:
        rho = correlation_of(mi, config.dimension)
        law = exact.gaussian(rho, config.dimension, anchors=12)  # 24 change no digit of these
        found = {
            "infonce": exact.info_nce(law, config.batch - 1),
            "decoupled": exact.decoupled(law, config.batch - 1),
            "dv": exact.dv(law, config.batch * (config.batch - 1)),
            "nwj": exact.nwj(law),
            "smile 1": exact.gaussian_smile(rho, config.dimension, 1.0),
            "smile 5": exact.gaussian_smile(rho, config.dimension, 5.0),
        }
        rows += [{"mi": mi, "estimator": name, "value": float(value)} for name, value in found.items()]
    return rows


def sampled(config: Config, mi: float) -> list[dict[str, Any]]:
    """The same by sampling batches, all off-diagonal pairs used."""
    rng = np.random.default_rng(round(1000 * mi))
    blocks = [batch_values(config, mi, 100, rng) for _ in range(max(1, config.batches // 100))]
    rows = []
    for name in blocks[0]:
        values = np.concatenate([block[name] for block in blocks])
        sd, count = float(values.std(ddof=1)), values.size
        kurtosis = float(((values - values.mean()) ** 4).mean()) / sd**4
        spread = sd * math.sqrt(max(kurtosis - 1.0, 0.0) / count) / 2.0
        rows.append({"mi": mi, "estimator": name, "mean": float(values.mean()), "error": sd / math.sqrt(count),
                     "sd": sd, "sd_error": spread})  # fmt: skip
    return rows


def pairs_of(config: Config, mi: float, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Batches of Gaussian pairs, (count, B, d) each."""
    rho = correlation_of(mi, config.dimension)
    x, noise = rng.standard_normal((2, count, config.batch, config.dimension))
    return x, rho * x + math.sqrt(1.0 - rho**2) * noise


def batch_values(config: Config, mi: float, count: int, rng: np.random.Generator) -> dict[str, Array]:
    """Values of the estimators on batches, (count,), at the optimal critic."""
    x, y = pairs_of(config, mi, count, rng)
    rho = correlation_of(mi, config.dimension)
    squares = (x**2).sum(axis=2)[:, :, None] + (y**2).sum(axis=2)[:, None, :]
    scores = (rho * (x @ y.swapaxes(1, 2)) - 0.5 * rho**2 * squares) / (1.0 - rho**2) + mi
    positive = np.einsum("bii->bi", scores)
    other = np.where(np.eye(config.batch, dtype=bool), -np.inf, scores)
    rows = logsumexp(other, axis=2)
    log_mean = logsumexp(rows, axis=1) - math.log(config.batch * (config.batch - 1.0))
    mean = positive.mean(axis=1)
    return {
        "infonce": (positive - np.logaddexp(positive, rows)).mean(axis=1) + math.log(config.batch),
        "decoupled": (positive - rows).mean(axis=1) + math.log(config.batch - 1.0),
        "dv": mean - log_mean,
        "nwj": 1.0 + mean - np.exp(log_mean),
    }


def deviations(config: Config) -> list[dict[str, Any]]:
    """Standard deviation of NWJ on a batch at the optimal critic, exact: Var_P(g*) / B and that of the normaliser."""
    rows = []
    for mi in np.linspace(config.informations[0], config.informations[-1], 61).tolist():
        square = correlation_of(mi, config.dimension) ** 2
        ratios = math.expm1(2.0 * mi) + math.expm1(-config.dimension * math.log1p(-(square**2)))
        normaliser = ratios / (config.batch * (config.batch - 1.0))
        variance = config.dimension * square / config.batch + normaliser
        rows.append({"mi": mi, "sd": math.sqrt(variance), "normaliser": math.sqrt(normaliser)})
    return rows


def orders(config: Config) -> list[dict[str, Any]]:
    """Bias against the number of negatives at the optimal critic."""
    rows = []
    for mi in config.stairs[:2]:
        law = exact.gaussian(correlation_of(mi, config.dimension), config.dimension)
        n = np.array(config.negatives)
        constant = 0.5 * math.expm1(2.0 * mi)
        for name, estimate, count in (("infonce", exact.info_nce, n + 1), ("decoupled", exact.decoupled, n)):
            bias = np.asarray(estimate(law, n)) - mi
            rows += records(mi=mi, n=n, estimator=name, bias=bias, asymptote=constant / count)
    return rows


def parts(config: Config, mi: float) -> list[dict[str, Any]]:
    """The bias of InfoNCE and of Donsker-Varadhan with a bilinear critic theta x.y, in parts."""
    rho, n = correlation_of(mi, config.dimension), config.batch - 1
    best = exact.gaussian(rho, config.dimension)

    def contrast(slope: float) -> float:
        return float(exact.info_nce(exact.bilinear_gaussian(rho, config.dimension, slope, anchors=16), n))

    top = minimize_scalar(lambda t: -contrast(t), bounds=(0.2 * rho, 3.0), method="bounded", options={"xatol": 5e-3})
    fits = np.array([contrast(fitted(config, mi, seed)) for seed in range(config.seeds)])
    error = float(fits.std(ddof=1) / math.sqrt(fits.size))
    ceiling = float(exact.info_nce(best, n))
    found = {
        "infonce": exact.bias_parts(
            mi, population=ceiling, family=-float(top.fun), achieved=(float(fits.mean()), error)
        )
    }
    independent = config.batch * n
    slope = (math.sqrt(1.0 + 4.0 * rho**2) - 1.0) / (2.0 * rho)  # maximises theta rho d + (d/2) log(1 - theta^2)
    family = exact.dv(exact.bilinear_gaussian(rho, config.dimension, slope), independent)
    found["dv"] = exact.bias_parts(mi, population=exact.dv(best), batch=exact.dv(best, independent), family=family)
    return [
        {"mi": mi, "estimator": name, "part": part, "value": p.value, "error": p.error, "sampled": p.sampled}
        for name, split in found.items()
        for part, p in split.parts.items()
    ]


def fitted(config: Config, mi: float, seed: int) -> float:
    """The slope that maximises InfoNCE on the training batches."""
    x, y = pairs_of(config, mi, config.training // config.batch, np.random.default_rng([seed, round(1000 * mi)]))
    scores = x @ y.swapaxes(1, 2)
    positive = np.einsum("bii->bi", scores)

    def loss(slope: float) -> float:
        return float((logsumexp(slope * scores, axis=2) - slope * positive).mean())

    return float(minimize_scalar(loss, bounds=(1e-3, 5.0), method="bounded").x)


def duals(config: Config) -> list[dict[str, Any]]:
    """Tight and loose duals on a noisy channel of four symbols at phi' of the ratio, shifted and scaled."""
    p = 0.25 * (0.7 * np.eye(4) + 0.075)
    best = exact.finite(p)
    rows = []
    for name in DUALS:
        phi = divergences.get(name)
        critic = np.asarray(phi.derivative(np.exp(best.scores)))
        truth = float(phi.between(p.ravel(), np.full(16, 1.0 / 16.0)))
        for kind, values in (("shift", np.linspace(-1.0, 1.0, config.shifts)), ("scale", np.geomspace(0.2, 5.0, 41))):
            for value in values.tolist():
                law = best.with_scores(critic + value if kind == "shift" else critic * value)
                rows.append({"divergence": name, "kind": kind, "by": value, "tight": exact.phi_dual(law, phi),
                             "loose": exact.phi_dual(law, phi, tight=False), "truth": truth})  # fmt: skip
    return rows
