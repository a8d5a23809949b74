r"""Von Mises-Fisher classes: exact exponential moments, exact one-dimensional quadrature, and finite supports.

The law on the sphere of R^d with density C_d(kappa) e^{kappa <mu, z>}. With F_d(kappa) = 0F1(d/2, kappa^2/4), the mean
of e^{kappa <mu, z>} over the sphere, C_d(kappa) = 1 / (area F_d(kappa)); all below is written with log F_d, which stays
a small and accurate number where C_d overflows.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, ive, roots_legendre

from drocl.latent.builders import _at_least, _masses
from drocl.latent.kinds import Array, Indices, Numbers, Prior, Real
from drocl.latent.model import LatentModel, normalised

__all__ = ["VonMisesFisher", "log_sphere_mean", "vmf_log_normalizer", "vmf_mixture"]


def log_sphere_mean(dimension: int, concentration: Numbers) -> Array:
    r"""Log of the mean of $e^{\kappa \langle \mu, z \rangle}$ over the uniform sphere of $R^d$.

    $$ \log F_d(\kappa) = \log\, {}_0F_1\bigl(; \tfrac d2; \tfrac{\kappa^2}{4}\bigr)
       = \log \Gamma(\tfrac d2) + (\tfrac d2 - 1) \log \tfrac{2}{\kappa} + \log I_{d/2-1}(\kappa). $$

    Args:
        dimension: d >= 2.
        concentration: kappa >= 0, any shape.

    Returns:
        The logarithm, of the shape of kappa, to full relative accuracy (it is kappa^2 / 2d near 0).

    Raises:
        ValueError: if an argument is outside the ranges above.
    """
    _at_least(dimension=(dimension, 2))
    kappa = np.asarray(concentration, dtype=np.float64)
    if not ((kappa >= 0.0) & (kappa < math.inf)).all():
        raise ValueError(
            f"concentration must be finite and at least 0, got {kappa[~((kappa >= 0.0) & (kappa < math.inf))][0]}"
        )
    flat = kappa.ravel()
    out = np.empty_like(flat)
    order = 0.5 * dimension - 1.0
    scaled = ive(order, flat)
    series = (flat**2 <= 40.0 * dimension) | (scaled < 1e-290)  # the Bessel function underflows at large d
    out[series] = _series(0.5 * dimension, 0.25 * flat[series] ** 2)
    big = flat[~series]
    out[~series] = gammaln(0.5 * dimension) + order * np.log(2.0 / big) + np.log(scaled[~series]) + big
    return out.reshape(kappa.shape)


def _series(b: float, x: Array) -> Array:
    """log 0F1(; b; x) for x >= 0: all terms are positive, so that nothing cancels."""
    total, term = np.zeros_like(x), np.ones_like(x)
    shift = np.zeros_like(x)  # total and term are in units of e^shift
    one = np.ones_like(x)
    j = 0
    while np.any(term > 1e-18 * total):
        j += 1
        term = term * x / (j * (b + j - 1.0))
        total = total + term
        huge = total > 1e200
        factor = np.where(huge, 1e-200, 1.0)
        total, term, one = total * factor, term * factor, one * factor
        shift = shift + np.where(huge, 200.0 * math.log(10.0), 0.0)
    return np.asarray(np.where(shift > 0.0, np.log(total + one) + shift, np.log1p(total)))


def vmf_log_normalizer(dimension: int, concentration: Numbers) -> Array:
    r"""Log normaliser $\log C_d(\kappa)$ of the von Mises-Fisher density on the sphere of $R^d$.

    $$ C_d(\kappa) = \frac{\kappa^{d/2-1}}{(2\pi)^{d/2} I_{d/2-1}(\kappa)} $$

    Args:
        dimension: d >= 2.
        concentration: kappa >= 0, any shape; 0 gives one over the area of the sphere.

    >>> round(float(vmf_log_normalizer(3, 0.0)), 8)  # -log(4 pi)
    -2.53102425
    """
    area = math.log(2.0) + 0.5 * dimension * math.log(math.pi) - math.lgamma(0.5 * dimension)
    return np.asarray(-area - log_sphere_mean(dimension, concentration))


@dataclass(frozen=True, eq=False)
class VonMisesFisher:
    r"""A mixture of von Mises-Fisher classes, on the sphere itself rather than on finitely many points.

    $$ E_{z \sim \mathrm{vMF}(\mu, \kappa)}\, e^{k \langle x, z \rangle} = \frac{F_d(\|\kappa \mu + k x\|)}{F_d(\kappa)}
       = \frac{C_d(\kappa)}{C_d(\|\kappa \mu + k x\|)}. $$

    Args:
        means: (K, d), rows of any length but 0; normalised here.
        concentration: kappa >= 0, of all classes.
        class_prior: (K,) probabilities of the classes.

    Raises:
        ValueError: if an argument is outside the ranges above.

    Source: the latent classes of chuang2020, section 3, with von Mises-Fisher laws.
    """

    means: Array
    concentration: Real
    class_prior: Array

    def __post_init__(self) -> None:
        means = normalised(self.means)
        prior = np.asarray(self.class_prior, dtype=np.float64)
        if prior.shape != means.shape[:1] or not (prior > 0.0).all() or not abs(prior.sum() - 1.0) <= 1e-9:
            raise ValueError(f"class_prior={self.class_prior!r} must be {len(means)} positive numbers that sum to 1")
        if not 0.0 <= self.concentration < math.inf:
            raise ValueError(f"concentration={self.concentration!r} must be finite and at least 0")
        _at_least(dimension=(means.shape[1], 2))
        object.__setattr__(self, "means", means)
        object.__setattr__(self, "class_prior", prior)

    def log_moment(self, x: Array, k: Real) -> Array:
        """log E e^{k <x, z>} for z of each class, (m, K), at unit vectors x, (m, d)."""
        tilted = np.linalg.norm(self.concentration * self.means + k * np.asarray(x)[:, None, :], axis=2)
        dimension = self.means.shape[1]
        return np.asarray(log_sphere_mean(dimension, tilted) - log_sphere_mean(dimension, self.concentration))

    def cosine_rule(self) -> tuple[Array, Array]:
        r"""Quadrature for the law of $w = \langle x, \mu \rangle$, density $\propto (1 - w^2)^{(d-3)/2} e^{\kappa w}$.

        With w = tanh v the density is $\mathrm{sech}^{d-1}(v)\, e^{\kappa \tanh v}$, analytic and decaying at both
        ends, so that the trapezoid rule converges exponentially; Gauss rules lose digits in their end weights, where
        all the mass is.

        Returns:
            Nodes in (-1, 1) and weights that sum to 1, each (q,). They integrate e^{k w} to about 1e-12 relative for
            |k| <= 10,000.
        """
        power = self.means.shape[1] - 1.0
        step = min(0.08, 0.5 / math.sqrt(power))
        reach = 2.0 + 40.0 / power
        v = np.arange(-reach, reach + 0.5 * math.log1p(2.0 * self.concentration + 1e4), step)
        below_one = 2.0 / (1.0 + np.exp(2.0 * v))  # 1 - tanh v, with all its digits
        log_weights = -power * np.logaddexp(v, -v) - self.concentration * below_one
        with np.errstate(under="ignore"):
            weights = np.exp(log_weights - log_weights.max())
        return np.tanh(v), weights / weights.sum()

    def sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Indices]:
        """Draw n points, (n, d), and their classes, (n,)."""
        labels = rng.choice(len(self.means), size=n, p=self.class_prior)
        return self.sample_given(labels, rng), labels

    def sample_given(self, labels: Indices, rng: np.random.Generator) -> Array:
        """Draw one point of each given class, (n, d): Wood's rejection for the cosine, then a uniform direction."""
        dimension = self.means.shape[1]
        cosine = _wood(dimension, self.concentration, labels.size, rng)
        mu = self.means[labels]
        across = rng.normal(size=mu.shape)
        across = across - (across * mu).sum(axis=1, keepdims=True) * mu
        across = across / np.linalg.norm(across, axis=1, keepdims=True)
        return np.asarray(cosine[:, None] * mu + np.sqrt(np.maximum(0.0, 1.0 - cosine**2))[:, None] * across)


def _wood(dimension: int, kappa: float, n: int, rng: np.random.Generator) -> Array:
    m = dimension - 1.0
    b = m / (2.0 * kappa + math.sqrt(4.0 * kappa**2 + m**2))
    x0 = (1.0 - b) / (1.0 + b)
    c = kappa * x0 + m * math.log1p(-(x0**2))
    out = np.empty(0)
    while out.size < n:
        beta = rng.beta(0.5 * m, 0.5 * m, size=n + 16)
        w = (1.0 - (1.0 + b) * beta) / (1.0 - (1.0 - b) * beta)
        keep = kappa * w + m * np.log1p(-x0 * w) - c >= np.log(rng.random(w.size))
        out = np.concatenate([out, w[keep]])
    return out[:n]


def vmf_mixture(
    n_classes: int = 4,
    points: int = 16,
    dimension: int = 8,
    concentration: Real = 10.0,
    class_prior: Prior = None,
    support: str = "sample",
    seed: int = 0,
) -> LatentModel:
    """A finite support for a mixture of von Mises-Fisher classes with random mean directions.

    Args:
        n_classes: K >= 2.
        points: points a class; with support "nodes" the resolution: 2 m points of the circle, or m x 2 m of the sphere.
        dimension: d >= 2.
        concentration: kappa >= 0.
        class_prior: (K,) probabilities, equal if None.
        support: "sample" draws the points; "nodes" (d = 2 or 3) takes quadrature nodes around each mean, weighted, so
            that sums over the model converge exponentially to integrals over the sphere.
        seed: of the mean directions and the draws.

    Raises:
        ValueError: if an argument is outside the ranges above.
    """
    _at_least(n_classes=(n_classes, 2), points=(points, 1), dimension=(dimension, 2))
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(n_classes, dimension))
    law = VonMisesFisher(means, concentration, np.full(n_classes, 1.0 / n_classes))
    name = f"vmf(n_classes={n_classes}, dimension={dimension}, concentration={concentration:g})"
    if support == "sample":
        labels = np.repeat(np.arange(n_classes), points)
        return LatentModel(normalised(law.sample_given(labels, rng)), labels, _masses(labels, class_prior), name)
    if support != "nodes" or dimension not in (2, 3):
        raise ValueError(
            f"support={support!r} must be 'sample', or 'nodes' with dimension 2 or 3 (dimension={dimension})"
        )
    local, weights = _nodes(points, dimension)
    weights = np.exp(concentration * (local[:, 0] - 1.0)) * weights
    kept = weights > 1e-18 * weights.max()
    rows = np.concatenate([local[kept] @ _frame(mu) for mu in law.means])
    labels = np.repeat(np.arange(n_classes), int(kept.sum()))
    return LatentModel(normalised(rows), labels, _masses(labels, class_prior, np.tile(weights[kept], n_classes)), name)


def _nodes(points: int, dimension: int) -> tuple[Array, Array]:
    """Nodes on the circle or sphere, first coordinate along the mean, and weights of the uniform law."""
    angle = np.pi * (np.arange(2 * points) + 0.5) / points
    if dimension == 2:
        return np.stack([np.cos(angle), np.sin(angle)], axis=1), np.ones(2 * points)
    w, weights = roots_legendre(points)
    w, angle = np.repeat(w, angle.size), np.tile(angle, points)
    across = np.sqrt(1.0 - w**2)
    return np.stack([w, across * np.cos(angle), across * np.sin(angle)], axis=1), np.repeat(weights, 2 * points)


def _frame(mu: Array) -> Array:
    """Orthonormal rows, the first along mu."""
    q, r = np.linalg.qr(np.column_stack([mu, np.eye(mu.size)[:, np.argsort(np.abs(mu))[: mu.size - 1]]]))
    return np.asarray((q * np.sign(np.diag(r))).T)
