"""Inner problems with their exact answers: high-precision roots, exact rationals, and closed forms.

Nothing here shares code with the library. Each high-precision answer carries its own certificate: the dual objective
at the root, in the generator's own formula, equals the primal one to 25 digits, or the answer is refused.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import mpmath
import numpy as np
from mpmath import mpf

from drocl import divergences

# name -> (k, c) with D = c CR_k, written out again from the table of conventions
POWERS = {"kl": (1, 1), "reverse_kl": (0, 1), "chi2": (2, 2), "neyman": (-1, 2), "hellinger": (mpf("0.5"), mpf("0.5"))}


@dataclass(frozen=True)
class Exact:
    """The answer, rounded to double at the end; `condition`: elasticity of the multiplier in the radius, at least 1."""

    value: float
    excess: float
    multiplier: float
    normalizer: float
    radius: float
    weights: np.ndarray
    condition: float

    def allowed(self):
        """Relative error allowed to excess and multiplier."""
        return max(1e-10, 100.0 * 2.0**-52 * self.condition)


def member(divergence):
    """(k or "js", scale, renyi order or None) of a smooth divergence."""
    name, params = divergence.name, divergence.params
    if name == "js":
        return "js", 1, None
    if name == "renyi":
        return mpf(params["order"]), 1, mpf(params["order"])
    if name == "cressie_read":
        return mpf(params["k"]), 1, None
    k, c = POWERS[name]
    return mpf(k), mpf(c), None


def generator(k, t):
    """phi of CR_k or of Jensen-Shannon."""
    if k == "js":
        log_t = t * mpmath.log(t) if t > 0 else mpf(0)
        return (log_t - (t + 1) * mpmath.log((t + 1) / 2)) / 2
    if k == 1:
        return (t * mpmath.log(t) if t > 0 else mpf(0)) - t + 1
    if k == 0:
        return -mpmath.log(t) + t - 1
    return ((t**k if t > 0 or k > 0 else mpmath.inf) - k * t + k - 1) / (k * (k - 1))


def conjugate(k, s):
    """phi* of CR_k or of Jensen-Shannon."""
    if k == "js":
        return -mpmath.log(2 - mpmath.exp(2 * s)) / 2
    if k == 1:
        return mpmath.exp(s) - 1
    if k == 0:
        return -mpmath.log(1 - s)
    inside = 1 + (k - 1) * s
    return ((inside ** (k / (k - 1)) if inside > 0 else mpf(0)) - 1) / k


class Pool:
    """Atoms with base mass in high precision: scores measured from the maximum in units of the range."""

    def __init__(self, scores, base=None):
        scores = [float(f) for f in scores]
        base = [1.0] * len(scores) if base is None else [float(q) for q in base]
        self.kept = [i for i, q in enumerate(base) if q > 0]
        self.n = len(scores)
        f = [mpf(scores[i]) for i in self.kept]
        total = mpmath.fsum(mpf(base[i]) for i in self.kept)
        self.q = [mpf(base[i]) / total for i in self.kept]
        self.highest, self.spread = max(f), max(f) - min(f)
        self.d = [(a - self.highest) / self.spread for a in f]
        self.mass = mpmath.fsum(q for q, d in zip(self.q, self.d, strict=True) if d == 0)
        self.mean_d = self.mean(self.d)

    def mean(self, values):
        return mpmath.fsum(q * v for q, v in zip(self.q, values, strict=True))

    def radius_max(self, k):
        """Radius of the conditional law of the argmax."""
        if k != "js" and k <= 0:
            return mpmath.inf
        at_zero = mpmath.log(2) / 2 if k == "js" else 1 / mpf(k)
        return self.mass * generator(k, 1 / self.mass) + (1 - self.mass) * at_zero

    def at(self, k, x):
        """(t, alpha, beta) of the curve at x, per unit of range and from the maximum."""
        if k == "js":
            lo, hi = mpmath.log(1 + self.mass), mpmath.log(2)
            z, lift = lo, [mpmath.exp(-2 * x * d) for d in self.d]
            for _ in range(400):
                up = mpmath.exp(z)
                t = [1 / (up * a - 1) for a in lift]
                off = self.mean(t) - 1
                lo, hi = (z, hi) if off > 0 else (lo, z)
                step = off * (1 + off) / self.mean([a * (1 + a) for a in t])
                new = z + step
                new = new if lo <= new <= hi else (lo + hi) / 2
                if abs(new - z) <= mpf(10) ** (10 - mpmath.mp.dps):
                    break
                z = new
            return t, 1 / x, z / (2 * x) - mpmath.log(2) / (2 * x)
        if k == 1:
            w = [mpmath.exp(x * d) for d in self.d]
            norm = self.mean(w)
            return [a / norm for a in w], 1 / x, mpmath.log(norm) / x
        lin = [1 + (k - 1) * x * d for d in self.d]
        w = [a ** (1 / (k - 1)) if a > 0 else mpf(0) for a in lin]
        norm = self.mean(w)
        alpha = norm ** (k - 1) / x
        return [a / norm for a in w], alpha, -alpha * (norm ** (1 - k) - 1) / (k - 1)

    def radius(self, k, x):
        return self.mean([generator(k, t) for t in self.at(k, x)[0]])

    def upper(self, k):
        """x from which only the argmax is left."""
        if k == "js" or k <= 1:
            return mpmath.inf
        return 1 / ((k - 1) * -max(d for d in self.d if d < 0))


def _root(function, start, upper):
    """Root of an increasing function on (0, upper): bracket from `start`, bisect a little, then Ridders; 30 digits."""

    def place(z):  # the whole line onto (0, upper)
        return mpmath.exp(z) if upper == mpmath.inf else upper / (1 + mpmath.exp(-z))

    z = mpmath.log(start) if upper == mpmath.inf else mpmath.log(start / upper)
    width, lo, hi = mpf("0.3"), z, z
    f_lo = f_hi = function(place(z))
    while f_lo > 0:
        lo -= width
        width *= 2
        f_lo = function(place(lo))
    width = mpf("0.3")
    while f_hi < 0:
        hi += width
        width *= 2
        f_hi = function(place(hi))
    for turn in range(400):
        if abs(hi - lo) <= mpf(10) ** -30 * max(1, abs(hi)) or f_lo == 0 or f_hi == 0:
            break
        mid = (lo + hi) / 2
        f_mid = function(place(mid))
        points = [(mid, f_mid)]
        if turn > 4:
            root = mpmath.sqrt(f_mid**2 - f_lo * f_hi)
            if root > 0:
                guess = mid - (mid - lo) * f_mid / root
                near = abs(guess - mid) * mpf(10) ** -6
                for point in (guess, guess - near, guess + near):
                    if lo < point < hi:
                        points.append((point, function(place(point))))
        for point, height in points:
            if lo < point < hi:
                if height <= 0:
                    lo, f_lo = point, height
                if height >= 0:
                    hi, f_hi = point, height
    else:
        raise AssertionError("the oracle did not converge")
    return place(hi if abs(f_hi) < abs(f_lo) else lo)


def _digits(budget):
    """Working digits: a divergence of 1e-300 comes out of terms of size 1, squared."""
    return 70 + int(1.3 * max(0.0, -math.log10(budget)))


def worst_case(scores, divergence, base=None, *, radius=None, temperature=None):
    """Exact answer for a smooth divergence and a ball that is neither empty nor slack; or for a temperature."""
    divergence = divergences.get(divergence)
    k, scale, order = member(divergence)
    digits = _digits(float(radius)) if radius is not None else 120
    digits += 130 if k != "js" and k > 2 else 0  # t = lin^{1/(k-1)}: a small t needs a far smaller lin
    with mpmath.workdps(digits):
        pool = Pool(scores, base)
        upper = pool.upper(k)
        curvature = mpf("0.25") if k == "js" else 1
        variance = pool.mean([(d - pool.mean_d) ** 2 for d in pool.d])
        if radius is not None:
            eta = mpf(radius)
            own = eta / scale if order in (None, 1) else mpmath.expm1((order - 1) * eta) / (order * (order - 1))
            ceiling = pool.radius_max(k)
            assert 0 < own < ceiling, "slack or empty: not for this oracle"
            guess = mpmath.sqrt(2 * own * curvature / variance)
            if upper != mpmath.inf:
                guess = min(guess, upper / 2)
            x = _root(lambda x: _height(pool.radius(k, x), own, ceiling), guess, upper)
        else:
            tau = mpf(temperature) * scale / pool.spread
            guess = 1 / tau if upper == mpmath.inf else min(1 / tau, upper / 2)

            def short(x):
                t, alpha, _ = pool.at(k, x)
                price = alpha
                if order is not None and order != 1:
                    price = alpha * (1 + order * (order - 1) * pool.mean([generator(k, a) for a in t])) / order
                return mpmath.log(tau / price)

            x = _root(short, guess, upper)
        t, alpha, beta = pool.at(k, x)
        own = pool.mean([generator(k, a) for a in t]) if radius is None else own
        excess = pool.mean([(a - 1) * d for a, d in zip(t, pool.d, strict=True)])
        slopes = [(d - beta) / alpha for d in pool.d]
        dual = beta + alpha * (own + pool.mean([conjugate(k, s) for s in slopes])) - pool.mean_d
        assert abs(dual - excess) <= mpf(10) ** -25 * excess, "the oracle's own certificate fails"
        omega = [2 * a * (1 + a) if k == "js" else (a ** (2 - k) if a > 0 else mpf(0)) for a in t]
        total = pool.mean(omega)
        middle = pool.mean([o * s for o, s in zip(omega, slopes, strict=True)]) / total
        curve = pool.mean([o * (s - middle) ** 2 for o, s in zip(omega, slopes, strict=True)])
        eta, price = own * scale, alpha / scale
        if order is not None and order != 1:
            eta = mpmath.log(1 + order * (order - 1) * own) / (order - 1)
            price = alpha * mpmath.exp((order - 1) * eta) / order
        weights = np.zeros(pool.n)
        for i, q, a in zip(pool.kept, pool.q, t, strict=True):
            weights[i] = float(q * a)
        gain, price = excess * pool.spread, price * pool.spread
        value = pool.highest + pool.spread * pool.mean_d + gain
        if radius is None:
            value -= mpf(temperature) * eta
        return Exact(
            float(value), float(gain), float(price), float(pool.highest + beta * pool.spread), float(eta), weights,
            max(1.0, float(own / curve)),
        )  # fmt: skip


def _height(radius, goal, ceiling):
    """Increasing in the radius and zero at the goal, near-linear at both ends of the curve."""
    if radius <= 0:
        return mpf(-(10**6))
    if goal > ceiling / 2:
        return mpmath.log((ceiling - goal) / (ceiling - radius)) if radius < ceiling else mpf(10**6)
    return mpmath.log(radius / goal)


def ceiling(scores, divergence, base=None):
    """eta_max in the divergence's own units, as a high-precision number."""
    k, scale, order = member(divergences.get(divergence))
    with mpmath.workdps(120):
        pool = Pool(scores, base)
        return -mpmath.log(pool.mass) if order is not None else scale * pool.radius_max(k)


def total_variation(scores, radius, base=None):
    """Exact rationals: value, excess, multiplier (right derivative), weights. `radius` may be a Fraction."""
    f = [Fraction(a) for a in scores]
    q = [Fraction(a) for a in (base if base is not None else [1] * len(f))]
    q = [a / sum(q) for a in q]
    eta, top = Fraction(radius), max(a for a, w in zip(f, q, strict=True) if w > 0)
    order = sorted((i for i in range(len(f)) if q[i] > 0), key=lambda i: f[i])
    weights, left, price = list(q), eta, Fraction(0)
    for i in order:
        if f[i] == top:
            break
        taken = min(left, weights[i])
        weights[i] -= taken
        left -= taken
        if weights[i] > 0:
            price = top - f[i]
            break
    moved = 1 - sum(weights)
    mass = sum(q[i] for i in order if f[i] == top)
    weights = [w * (1 + moved / mass) if q[i] > 0 and f[i] == top else w for i, w in enumerate(weights)]
    mean, value = (sum(a * w for a, w in zip(f, law, strict=True)) for law in (q, weights))
    return float(value), float(value - mean), float(price), np.array([float(w) for w in weights])


def value_at_risk(scores, level, base=None):
    """Exact rationals for cvar: value, derivative in 1/level from the right, value at risk, weights."""
    f = [Fraction(a) for a in scores]
    q = [Fraction(a) for a in (base if base is not None else [1] * len(f))]
    q = [a / sum(q) for a in q]
    level, left = Fraction(level), Fraction(level)
    weights, risk = [Fraction(0)] * len(f), None
    for i in sorted((i for i in range(len(f)) if q[i] > 0), key=lambda i: -f[i]):
        if left == 0:
            break
        taken = min(left, q[i])
        weights[i], risk, left = taken / level, f[i], left - taken
    value = sum(a * w for a, w in zip(f, weights, strict=True))
    over = sum(w * max(a - risk, 0) for a, w in zip(f, q, strict=True))
    return float(value), float(over), float(risk), np.array([float(w) for w in weights])


def two_point_kl(p, tilt):
    """Scores (0, 1), mass p on 1: (radius, value, multiplier) of the law with log-odds raised by `tilt`."""
    with mpmath.workdps(60):
        p, tilt = mpf(p), mpf(tilt)
        odds = p / (1 - p) * mpmath.exp(tilt)
        q = odds / (1 + odds)
        radius = q * mpmath.log(q / p) + (1 - q) * mpmath.log((1 - q) / (1 - p))
        return float(radius), float(q), float(1 / tilt)


def unclipped_pearson(scores, radius, base=None):
    """(excess, multiplier) = (sqrt(eta Var), sqrt(Var / 4 eta)), valid while no weight reaches 0."""
    with mpmath.workdps(60):
        pool = Pool(scores, base)
        variance = pool.mean([(d - pool.mean_d) ** 2 for d in pool.d]) * pool.spread**2
        return float(mpmath.sqrt(mpf(radius) * variance)), float(mpmath.sqrt(variance / (4 * mpf(radius))))


SMOOTH = (
    "kl", "reverse_kl", "chi2", "neyman", "hellinger", "js",
    divergences.get("cressie_read", k=3), divergences.get("cressie_read", k=1.5), divergences.get("cressie_read", k=-2),
    divergences.get("cressie_read", k=0.3), divergences.get("renyi", order=0.5), divergences.get("renyi", order=2),
)  # fmt: skip
LIMITS = tuple(divergences.get("cressie_read", k=k) for k in (1e-9, -1e-9, 1 - 1e-9, 1 + 1e-9, 1.01, 0.99, 1e-3))
ALL = (*SMOOTH, "tv", divergences.get("cvar", level=0.3))


def label(divergence):
    """Readable test id."""
    return divergence if isinstance(divergence, str) else divergence.label


def _ordinary():
    rng = np.random.default_rng(5)
    return rng.normal(size=10), rng.exponential(size=10) + 0.05


def pools():
    """Every hazard a named pool: scores and base (None: uniform)."""
    f, q = _ordinary()
    return {
        "ordinary": (f, q),
        "uniform": (f, None),
        "all negative": (f - 50.0, None),
        "offset 1e8": (f + 1e8, q),
        "scale 1e150": (f * 1e150, q),
        "scale 1e-150": (f * 1e-150, q),
        "ties at the maximum": (np.array([0.0, 1.0, 1.0, 3.0, 3.0, 3.0]), None),
        "near-tie 2^-40": (np.array([-1.0, 0.0, 0.5, 1.0, 1.0 + 2.0**-40]), None),
        "outlier 1000 of mass 2^-40": (np.append(f, 1000.0), np.append(q / q.sum(), 2.0**-40)),
        "zero base": (np.append(f, [7.0, -9.0]), np.append(q, [0.0, 0.0])),
        "two atoms": (np.array([0.0, 1.0]), np.array([0.3, 0.7])),
        "skewed": (np.array([0.0] * 6 + [1.0, 5.0]), None),
    }
