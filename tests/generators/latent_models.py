"""Problems with their exact answers, computed another way: in 50 digits, or by listing every outcome."""

import itertools
import math
from dataclasses import dataclass

import mpmath
import numpy as np

from drocl import latent


def exact_log_sum(scores, probs, n, log_offset, digits=50):
    """E log(e^b + sum of n terms e^s) over all multisets of outcomes, in `digits` digits."""
    with mpmath.workdps(digits):
        weights = [mpmath.mpf(float(p)) for p in probs]
        weights = [w / mpmath.fsum(weights) for w in weights]
        values = [mpmath.exp(mpmath.mpf(float(s))) for s in scores]
        offset = mpmath.mpf(0) if log_offset == -math.inf else mpmath.exp(mpmath.mpf(float(log_offset)))
        total = mpmath.mpf(0)
        for chosen in itertools.combinations_with_replacement(range(len(values)), n):
            counts = [chosen.count(j) for j in range(len(values))]
            mass = mpmath.factorial(n)
            for count, weight in zip(counts, weights, strict=True):
                mass *= weight**count / mpmath.factorial(count)
            total += mass * mpmath.log(offset + mpmath.fsum(values[j] for j in chosen))
        return total


def exact_binomial_log_sum(low, high, p, n, offset, digits=30):
    """E log(offset + (n - B) low + B high), B ~ Bin(n, p), in `digits` digits."""
    with mpmath.workdps(digits):
        low, high, p, offset = (mpmath.mpf(float(x)) for x in (low, high, p, offset))
        mass, total = (1 - p) ** n, mpmath.mpf(0)
        for b in range(n + 1):
            total += mass * mpmath.log(offset + (n - b) * low + b * high)
            mass *= mpmath.mpf(n - b) / (b + 1) * p / (1 - p)
        return total


@dataclass(frozen=True)
class Collapsed:
    """Classes collapsed to the vertices of a simplex, where every loss is a binomial sum."""

    model: latent.LatentModel
    prior: np.ndarray
    far: float

    @classmethod
    def of(cls, prior, temperature):
        """Classes with these probabilities; `far` is e^{s-} / e^{s+}."""
        k = len(prior)
        model = latent.simplex(k, class_prior=prior)
        return cls(model, np.asarray(prior), math.exp((-1.0 / (k - 1) - 1.0) / temperature))

    def biased(self, n):
        """sum_c rho_c E log(1 + B + (n - B) far), B ~ Bin(n, rho_c)."""
        return float(sum(r * exact_binomial_log_sum(self.far, 1.0, r, n, 1.0) for r in self.prior))

    def unbiased(self, n):
        """log(1 + n far)."""
        return math.log1p(n * self.far)


def listed_loss(model, temperature, n, law, weight=None):
    """A contrastive loss by listing anchors, positives and all tuples of n negatives drawn from the row law (n, n)."""
    scores, size = model.cosines / temperature, len(model)
    share = (n if weight is None else weight) / n
    total = 0.0
    for x in range(size):
        for drawn in itertools.product(range(size), repeat=n):
            mass = model.probs[x] * np.prod(law[x, list(drawn)])
            for y in np.flatnonzero(model.p_plus[x]):
                ratio = share * np.exp(scores[x, list(drawn)] - scores[x, y]).sum()
                total += mass * model.p_plus[x, y] * math.log1p(ratio)
    return total


def listed_debiased_loss(model, temperature, n, m, coupled=False):
    """The debiased loss, clamp included, by listing anchors, positives and all samples u, v."""
    scores, size = model.cosines / temperature, len(model)
    floor = math.exp(-1.0 / temperature)
    total = 0.0
    for x in range(size):
        tau = model.tau_plus[x]
        mates = np.flatnonzero(model.p_plus[x])
        for u in itertools.product(range(size), repeat=n):
            mass_u = np.prod(model.probs[list(u)]) * model.probs[x]
            mean_u = np.exp(scores[x, list(u)]).mean()
            for v in itertools.product(mates, repeat=m):
                linear = (mean_u - tau * np.exp(scores[x, list(v)]).mean()) / (1.0 - tau)
                g = max(linear, floor)
                mass_v = np.prod(model.p_plus[x, list(v)])
                for y in [v[0]] if coupled else mates:
                    mass = mass_v * (1.0 if coupled else model.p_plus[x, y])
                    total += mass_u * mass * math.log1p(n * g * math.exp(-scores[x, y]))
    return total
