"""Contrastive losses with their exact answers: each formula as the conventions print it, in 120 digits, with its gradient.

Nothing here shares code with the library. The naive exponentials are safe because an mpf has no largest exponent, and
the differences of logarithms because the smallest loss on the unit sphere, e^{-2/tau} = 1e-87 at tau = 0.01, leaves 33
of the 120 digits; rows that are not normalised get more digits, by the spread of their logits.

A loss is written as a function of the scores of one anchor; it returns its value, the natural scale of the terms that
were subtracted to form it, and its partial derivatives in the scores. The chain through the scores and through the
normalisation of the rows is done once, for all losses.
"""

import functools
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import mpmath
import numpy as np
from mpmath import exp, fdot, fsum, log, mpf
from scipy.optimize import brentq

DIGITS = 120
NUDGE = mpf(10) ** -40  # relative size of the perturbations that measure a condition number


# ---------------------------------------------------------------------------------------------------------------- scores


@dataclass
class Scores:
    """Scores <anchor, atom> of one anchor: the partner, atoms of its own label, the negatives, the extra positives."""

    partner: mpf
    same: list
    negatives: list
    positives: list


@dataclass
class Slopes:
    """Partial derivatives of one anchor's loss, in the layout of `Scores`; an empty list is a list of zeros."""

    partner: mpf
    negatives: list
    same: list = field(default_factory=list)
    positives: list = field(default_factory=list)


# ------------------------------------------------------------------------------------------- losses, one anchor at a time
# Each takes (scores, params) and returns (value, scale, slopes). `scale` is the size at which relative accuracy is asked
# for: the value itself for a loss that is a sum of positive terms, the size of what is subtracted for one that can be 0.


def info_nce(s, p):
    """-x + log(e^x + sum_Neg e^a)."""
    tau = p["temperature"]
    pos, neg = exp(s.partner / tau), [exp(a / tau) for a in s.negatives]
    total = pos + fsum(neg)
    value = -s.partner / tau + log(total)
    return value, value, Slopes((-1 + pos / total) / tau, [e / total / tau for e in neg])


def decoupled(s, p):
    """-x + log sum_Neg e^a."""
    tau = p["temperature"]
    neg = [exp(a / tau) for a in s.negatives]
    x, lse = s.partner / tau, log(fsum(neg))
    return -x + lse, abs(x) + abs(lse), Slopes(-1 / tau, [e / fsum(neg) / tau for e in neg])


def _with_floor(s, p, total, d_total, plus, d_plus):
    """-x + log(e^x + g), g = max{(total - K tau+ plus) / (1 - tau+), K e^{-1/tau}}; d_plus: in x, or in the positives."""
    tau, prior, k = p["temperature"], p["class_prior"], len(s.negatives)
    g, floor = (total - k * prior * plus) / (1 - prior), k * exp(-1 / tau)
    if g <= floor:
        return _over(s, p, floor, [mpf(0)] * k, [mpf(0)] * len(d_plus))
    return _over(s, p, g, [d / (1 - prior) for d in d_total], [-k * prior * d / (1 - prior) for d in d_plus])


def _over(s, p, g, d_negatives, d_plus):
    """-x + log(e^x + g) with the slopes of g given; those of the positives are in x where no positives are given."""
    tau = p["temperature"]
    pos = exp(s.partner / tau)
    value = -s.partner / tau + log(pos + g)
    d_partner = -1 / tau + pos / tau / (pos + g)
    positives = [d / (pos + g) for d in d_plus]
    if not s.positives:
        d_partner, positives = d_partner + positives[0], []
    return value, value, Slopes(d_partner, [d / (pos + g) for d in d_negatives], positives=positives)


def _plus(s):
    """Scores over which E+ is the mean."""
    return s.positives or [s.partner]


def debiased(s, p):
    """-x + log(e^x + g), g = max{(sum_Neg e^a - K tau+ E+ e^v) / (1 - tau+), K e^{-1/tau}}."""
    tau = p["temperature"]
    neg, plus = [exp(a / tau) for a in s.negatives], [exp(v / tau) for v in _plus(s)]
    m = len(plus)
    return _with_floor(s, p, fsum(neg), [e / tau for e in neg], fsum(plus) / m, [e / tau / m for e in plus])


def hard_negative(s, p):
    """As debiased with sum_Neg e^a replaced by K sum_Neg e^{(1+b)a} / sum_Neg e^{ba}; or the consistent ratio."""
    if p["prior"] == "exact":
        return _hard_negative_exact(s, p)
    tau, b, k, detach = p["temperature"], p["concentration"], len(s.negatives), p["detach_weights"]
    light, heavy = [exp(b * a / tau) for a in s.negatives], [exp((1 + b) * a / tau) for a in s.negatives]
    low, high = fsum(light), fsum(heavy)
    if detach:  # e^{ba} / sum e^{ba} constant: only e^a moves
        slopes = [k * h / low / tau for h in heavy]
    else:
        slopes = [k * ((1 + b) * h / low - high * b * l / low**2) / tau for h, l in zip(heavy, light, strict=True)]
    plus = [exp(v / tau) for v in _plus(s)]
    m = len(plus)
    return _with_floor(s, p, k * high / low, slopes, fsum(plus) / m, [e / tau / m for e in plus])


def _hard_negative_exact(s, p):
    """g = max(K num / den, K e^{-1/tau}); num, den: the debiased means of e^{(1+b)a}, e^{ba}, each over its own floor."""
    tau, b, k, prior = p["temperature"], p["concentration"], len(s.negatives), p["class_prior"]
    m, free = len(_plus(s)), not p["detach_weights"]

    def side(power, slope):
        """Debiased mean of e^{power a} over its floor, its slopes in the negatives and in the positives."""
        neg, plus = [exp(power * a / tau) for a in s.negatives], [exp(power * v / tau) for v in _plus(s)]
        mean, floor = (fsum(neg) / k - prior * fsum(plus) / m) / (1 - prior), exp(-power / tau)
        if mean <= floor:
            return floor, [mpf(0)] * k, [mpf(0)] * m
        rate = slope / tau / (1 - prior)
        return mean, [rate * e / k for e in neg], [-prior * rate * e / m for e in plus]

    num, num_neg, num_plus = side(1 + b, 1 + b if free else mpf(1))
    den, den_neg, den_plus = side(b, b if free else mpf(0))
    g, floor = k * num / den, k * exp(-1 / tau)
    if g <= floor:
        return _over(s, p, floor, [mpf(0)] * k, [mpf(0)] * m)

    def quotient(upper, lower):
        return [k * (u / den - num * v / den**2) for u, v in zip(upper, lower, strict=True)]

    return _over(s, p, g, quotient(num_neg, den_neg), quotient(num_plus, den_plus))


def rince(s, p):
    """-e^{qx}/q + (lam (e^x + sum_Neg e^a))^q / q."""
    tau, q, lam = p["temperature"], p["q"], p["lam"]
    pos, neg = exp(s.partner / tau), [exp(a / tau) for a in s.negatives]
    total = pos + fsum(neg)
    first, second = pos**q, (lam * total) ** q
    value = (second - first) / q
    # The two terms are each as large as max/q, and equally the value is max times log lam + log(total / e^x), two
    # logarithms of either sign: no algorithm can be asked for more than relative accuracy in the smaller of the two.
    scale = max(abs(value), max(first, second) * min(1 / q, abs(log(lam)) + log(total / pos)))
    rate = second / total / tau
    return value, scale, Slopes(-first / tau + rate * pos, [rate * e for e in neg])


def adnce(s, p):
    """-x + log(e^x + sum_Neg w e^a), w the Gaussian of the score over its mean; the graph and sentence forms."""
    tau, mu, sigma, variant = p["temperature"], p["mu"], p["sigma"], p["variant"]
    atoms = [s.partner, *s.negatives] if variant == "sentence" else s.negatives
    density = [exp(-((a - mu) ** 2) / (2 * sigma**2)) for a in atoms]
    mean = fsum(density) / len(atoms)
    terms = [d / mean * exp(a / tau) for d, a in zip(density, atoms, strict=True)]
    weighted = fsum(terms)
    slopes = [t / tau for t in terms]
    if not p["detach_weights"]:  # d log w_j / d s_i = rate_i ([i = j] - density_i / sum density)
        rates = [-(a - mu) / sigma**2 for a in atoms]
        slopes = [
            d + r * (t - weighted * e / (mean * len(atoms)))
            for d, r, t, e in zip(slopes, rates, terms, density, strict=True)
        ]
    x = s.partner / tau
    if variant == "image":
        total = exp(x) + weighted
        value = -x + log(total)
        return value, value, Slopes((-1 + exp(x) / total) / tau, [d / total for d in slopes])
    level = log(weighted / len(atoms)) if variant == "graph" else log(weighted)
    slopes = [d / weighted for d in slopes]
    own = slopes.pop(0) if variant == "sentence" else mpf(0)
    return -x + level, abs(x) + abs(level), Slopes(-1 / tau + own, slopes)


def mean_variance(s, p):
    """-s+ + mean_Neg s + Var_Neg s / (2 tau phi''(1)), raw cosines, the variance over K."""
    tau, k = p["temperature"], len(s.negatives)
    mean = fsum(s.negatives) / k
    off = [a - mean for a in s.negatives]
    price = 2 * tau * CURVATURE[p["divergence"]]
    spread = fsum(o**2 for o in off) / k / price
    value = -s.partner + mean + spread
    return value, abs(s.partner) + abs(mean) + spread, Slopes(mpf(-1), [(1 + 2 * o / price) / k for o in off])


def alpha_cl(s, p):
    """sum_j w_j (s_j - s+), w = softmax_Neg(-(1 - s)^power / tau), detached."""
    tau, power = p["temperature"], p["power"]
    gaps = [max(1 - a, mpf(0)) for a in s.negatives]  # a duplicate's score is 1 up to the last of the 120 digits
    heights = [exp(-(gap**power) / tau) for gap in gaps]
    w = [h / fsum(heights) for h in heights]
    middle = fdot(w, s.negatives)
    slopes = list(w)
    if not p["detach_weights"]:  # not part of the loss: the sensitivity of its value to the scores
        rates = [power * gap ** (power - 1) / tau if gap > 0 else mpf(0) for gap in gaps]
        slopes = [c + r * c * (a - middle) for c, r, a in zip(w, rates, s.negatives, strict=True)]
    return middle - s.partner, abs(s.partner) + fdot(w, [abs(a) for a in s.negatives]), Slopes(mpf(-1), slopes)


def unbiased(s, p):
    """info_nce without the atoms of the anchor's own label."""
    value, scale, slopes = info_nce(s, p)
    slopes.same = [mpf(0)] * len(s.same)
    return value, scale, slopes


def supervised(s, p):
    """-1/|P| sum_{p in P} log(e^{a_p} / sum_{j != i} e^{a_j}), P: the partner and every other atom of the label."""
    tau = p["temperature"]
    chosen = [s.partner, *s.same]
    pos, neg = [exp(a / tau) for a in chosen], [exp(a / tau) for a in s.negatives]
    total = fsum(pos) + fsum(neg)
    value = -fsum(log(e / total) for e in pos) / len(pos)
    slopes = [(e / total - mpf(1) / len(pos)) / tau for e in pos]
    return value, value, Slopes(slopes[0], [e / total / tau for e in neg], same=slopes[1:])


# -------------------------------------------------------------------------------------------------------- robust losses
# name -> (phi, phi', phi'^{-1} (0 below its range), derivative of phi'^{-1} as a function of its value t); `m` is the
# arithmetic: mpmath.mp, or mpmath.fp for the first guess. The table of the conventions, differentiated by hand.

PHI = {
    "kl": (lambda m, t: t * m.log(t) - t + 1, lambda m, t: m.log(t), lambda m, y: m.exp(y), lambda m, t: t),
    "reverse_kl": (lambda m, t: -m.log(t) + t - 1, lambda m, t: 1 - 1 / t, lambda m, y: 1 / (1 - y), lambda m, t: t**2),
    "chi2": (
        lambda m, t: (t - 1) ** 2, lambda m, t: 2 * (t - 1),
        lambda m, y: max(0 * y, 1 + y / 2), lambda m, t: m.mpf(t > 0) / 2,
    ),
    "neyman": (
        lambda m, t: (t - 1) ** 2 / t, lambda m, t: 1 - 1 / t**2,
        lambda m, y: 1 / m.sqrt(1 - y), lambda m, t: t**3 / 2,
    ),
    "hellinger": (
        lambda m, t: (m.sqrt(t) - 1) ** 2, lambda m, t: 1 - 1 / m.sqrt(t),
        lambda m, y: 1 / (1 - y) ** 2, lambda m, t: 2 * t * m.sqrt(t),
    ),
    "cressie_read(k=3)": (
        lambda m, t: (t**3 - 3 * t + 2) / 6, lambda m, t: (t**2 - 1) / 2,
        lambda m, y: m.sqrt(max(0 * y, 1 + 2 * y)), lambda m, t: 1 / t if t > 0 else t,
    ),
    "js": (
        lambda m, t: (t * m.log(t) - (t + 1) * m.log((t + 1) / 2)) / 2, lambda m, t: m.log(2 * t / (t + 1)) / 2,
        lambda m, y: m.exp(2 * y) / (2 - m.exp(2 * y)), lambda m, t: 2 * t * (1 + t),
    ),
}  # fmt: skip
CURVATURE = {
    "kl": 1, "reverse_kl": 1, "chi2": 2, "neyman": 2, "hellinger": mpf("0.5"), "cressie_read(k=3)": 1, "js": mpf("0.25"),
}  # fmt: skip


def _guess(name, scores, temperature, radius):
    """(alpha, beta) of the optimal weights t = phi'^{-1}((s - beta) / alpha), to double precision."""
    phi, slope, inverse, _ = PHI[name]
    m, f = mpmath.fp, [float(s) for s in scores]
    n, top, width = len(f), max(f), max(f) - min(f)

    def beta_at(alpha):  # a weight is at most n, so beta lies between top - alpha phi'(n) and top
        return brentq(
            lambda beta: sum(inverse(m, (s - beta) / alpha) for s in f) / n - 1,
            top - alpha * slope(m, n * (1 + 1e-6)), top + alpha * 1e-6, xtol=1e-300, rtol=1e-15,
        )  # fmt: skip

    def over(z):
        alpha = math.exp(z)
        beta = beta_at(alpha)
        t = [inverse(m, (s - beta) / alpha) for s in f]
        return sum(phi(m, max(a, 1e-300)) for a in t) / n - float(radius)

    alpha = float(temperature) if radius is None else math.exp(
        brentq(over, math.log(width) - 12, math.log(width) + 12, xtol=1e-13)
    )  # fmt: skip
    return alpha, beta_at(alpha)


def _tilted(name, scores, temperature, radius):
    """Optimal weights t (mean 1) of the penalised or of the constrained problem, by Newton's method from the guess."""
    phi, _, inverse, rate = PHI[name]
    n, mp = len(scores), mpmath.mp
    alpha, beta = map(mpf, _guess(name, scores, temperature, radius))
    alpha = alpha if radius is not None else temperature
    for _ in range(12):
        y = [(s - beta) / alpha for s in scores]
        t = [inverse(mp, a) for a in y]
        r = [rate(mp, a) for a in t]
        short = fsum(t) / n - 1
        over = fsum(phi(mp, a) for a in t) / n - radius if radius is not None else mpf(0)
        if max(abs(short), abs(over)) <= mpf(10) ** (15 - mp.dps):
            return t
        # y moves by -(d beta + y d alpha) / alpha, phi(t) by y times the move of t where t > 0
        s0, s1, s2 = (fsum(c * a**k for c, a in zip(r, y, strict=True)) / n for k in (0, 1, 2))
        if radius is None:
            beta += alpha * short / s0
        else:
            step = mpmath.lu_solve(mpmath.matrix([[s0, s1], [s1, s2]]), mpmath.matrix([short, over]))
            beta, alpha = beta + alpha * step[0], alpha + alpha * step[1]
    raise AssertionError("the oracle did not converge")


def _total_variation(scores, temperature, radius):
    """Weights relative to the uniform law: mass goes from the lowest scores to the highest, radius of it in all, or
    from every atom that lies more than the price below the highest."""
    n, top = len(scores), max(scores)
    t, left = [mpf(1)] * n, radius if radius is not None else mpf(1)
    for i in sorted(range(n), key=lambda i: scores[i]):
        if scores[i] == top or (radius is None and top - scores[i] <= temperature):
            break
        taken = min(left, mpf(1) / n)
        t[i] -= n * taken
        left -= taken
    moved = n - fsum(t)
    t[max(range(n), key=lambda i: scores[i])] += moved
    return t, fsum(abs(a - 1) for a in t) / n / 2


def _tail(scores, level):
    """Weights of cvar: the highest `level` of the mass, spread over itself."""
    n, left = len(scores), level
    t = [mpf(0)] * n
    for i in sorted(range(n), key=lambda i: -scores[i]):
        taken = min(left, mpf(1) / n)
        t[i] = n * taken / level
        left -= taken
    return t


def dro(s, p):
    """-s+ + sup {mean w s - tau D}, or sup {mean w s : D <= eta}; the slopes are the weights (Danskin)."""
    name, tau, radius, n = p["divergence"], p.get("temperature"), p.get("radius"), len(s.negatives)
    paid = mpf(0)
    if name == "tv":
        t, distance = _total_variation(s.negatives, tau, radius)
        paid = tau * distance if radius is None else paid
    elif name.startswith("cvar"):
        t = _tail(s.negatives, p["level"])
    else:
        t = _tilted(name, s.negatives, tau, radius)
        paid = tau * fsum(PHI[name][0](mpmath.mp, a) for a in t) / n if radius is None else paid
    worst = fdot(t, s.negatives) / n - paid
    return worst - s.partner, abs(s.partner) + abs(worst), Slopes(mpf(-1), [a / n for a in t])


LOSSES: dict[str, Callable] = {
    f.__name__: f
    for f in (
        info_nce, decoupled, debiased, hard_negative, rince, adnce, dro, mean_variance, alpha_cl, unbiased, supervised,
    )
} | {"clip": info_nce}  # fmt: skip


# ------------------------------------------------------------------------------------------------- from scores to batches


@dataclass(frozen=True)
class Case:
    """A call of a loss: `loss(z1, z2, **params, **extras, symmetric=..., normalize=..., reduction=...)`.

    The arrays are float64 with float32 values, so the same numbers are the inputs in both precisions. `extras` holds the
    further arrays: positives, negatives, queue, labels, and temperature or radius where they are one an anchor.
    """

    id: str
    loss: str
    params: dict
    z1: np.ndarray
    z2: np.ndarray
    extras: dict = field(default_factory=dict)
    symmetric: bool = True
    normalize: bool = True
    reduction: str = "mean"

    @property
    def temperature(self):
        """Smallest temperature of the case; 1 where there is none."""
        given = self.extras.get("temperature", self.params.get("temperature"))
        return 1.0 if given is None else float(np.min(given))


@dataclass(frozen=True)
class Exact:
    """Per-anchor values, their natural scales and condition numbers, the reduced value, the gradient by argument.

    `weights`: those of the per-anchor values in `total`, whose gradient is `gradient`.

    `condition`: relative change of the value, per relative change of every score in the worst direction. It counts the
    detached weights too, for they are computed from the same scores.
    """

    values: list
    scales: list
    conditions: list
    weights: list
    total: mpf
    gradient: dict

    @property
    def fits_float32(self):
        """Value and gradient lie in the range of float32, with a factor of ten to spare."""
        largest = max(abs(float(v)) for v in [*self.values, self.total])
        return max(largest, *(float(np.abs(g).max()) for g in self.gradient.values())) < 3e37


@dataclass
class Atoms:
    """The rows of a case as high-precision vectors, normalised or not, and where they came from."""

    rows: list
    lengths: list  # of the rows as used in the scores
    norms: list  # divided out; 1 for rows that are not normalised
    sources: list  # (argument, index into it)
    normalize: bool

    @classmethod
    def empty(cls, normalize):
        return cls([], [], [], [], normalize)

    def add(self, argument, array):
        """Adds the rows of an array of any shape (..., d); returns their numbers, in the array's shape."""
        numbers = np.zeros(array.shape[:-1], dtype=int)
        for index in np.ndindex(*numbers.shape):
            row = [mpf(a) for a in array[index]]
            norm = mpmath.sqrt(fdot(row, row))
            numbers[index] = len(self.rows)
            self.rows.append([a / norm for a in row] if self.normalize else row)
            self.lengths.append(mpf(1) if self.normalize else norm)
            self.norms.append(norm if self.normalize else mpf(1))
            self.sources.append((argument, index))
        return numbers


def _passes(case):
    """(weight, anchors' argument, candidates' argument) of each one-sided pass; None for the two-sided layout."""
    if case.loss == "clip":
        first, second = case.params.get("weights", (0.5, 0.5))
        return [(first, "z1", "z2"), (second, "z2", "z1")]
    if "direction_weights" in case.params:
        first, second = case.params["direction_weights"]
        return [(first, "z1", "z2"), (second, "z2", "z1")]
    return None if case.symmetric else [(1, "z1", "z2")]


def _layout(case, atoms):
    """(weight, anchor, partner, same, negatives, positives) of every anchor and pass, as numbers of atoms."""
    numbers = {"z1": atoms.add("z1", case.z1), "z2": atoms.add("z2", case.z2)}
    extra = {name: atoms.add(name, case.extras[name]) for name in ARRAYS if name in case.extras}
    labels, size = case.extras.get("labels"), len(case.z1)
    passes = _passes(case)
    if passes is None:
        both = np.concatenate([numbers["z1"], numbers["z2"]])
        passes = [(1, both, both)]
    else:
        passes = [(weight, numbers[a], numbers[b]) for weight, a, b in passes]
    out = []
    for weight, anchors, candidates in passes:
        for i, anchor in enumerate(anchors):
            pair = i % size
            partner = candidates[(i + size) % len(candidates)] if len(anchors) > size else candidates[i]
            others = [(c, j % size) for j, c in enumerate(candidates) if c not in (anchor, partner)]
            alike = [c for c, j in others if labels is not None and labels[j] == labels[pair]]
            negatives = [c for c, _ in others if c not in alike] if case.params.get("in_batch", True) else []
            for name in ("queue", "negatives"):
                if name in extra:
                    negatives += list(extra[name] if extra[name].ndim == 1 else extra[name][pair])
            positives = []
            if "positives" in extra:
                positives = list(extra["positives"][i if len(extra["positives"]) > size else pair])
            out.append((weight, anchor, partner, alike, negatives, positives))
    return out


ARRAYS = ("positives", "negatives", "queue")


def _params(case, i):
    """Parameters of anchor i as high-precision numbers."""
    out = {"detach_weights": case.loss in ("adnce", "alpha_cl"), "prior": "implemented", "variant": "image"}
    for name, given in (
        case.params | {k: case.extras[k][i] for k in ("temperature", "radius") if k in case.extras}
    ).items():
        out[name] = mpf(float(given)) if isinstance(given, float | int) and not isinstance(given, bool) else given
    return out


def _digits(case):
    """Digits that survive the spread of the logits: that of the unit sphere is counted in `DIGITS`."""
    if case.normalize:
        return DIGITS
    rows = [case.z1, case.z2, *(case.extras[a] for a in ARRAYS if a in case.extras)]
    longest = max(float((a**2).sum(-1).max()) for a in rows)
    return DIGITS + int(2 * longest / case.temperature / math.log(10))


def reduction_weights(reduction, n):
    """Weights of the per-anchor values in the scalar whose gradient is taken; "none": unequal ones, exact in binary."""
    if reduction == "none":
        return [mpf(1 + i % 4) / 4 for i in range(n)]
    return [mpf(1) / (n if reduction == "mean" else 1)] * n


def evaluate(case, *, rng=None):
    """Exact answer of a case.

    `rng` (a random.Random) perturbs each score and each term of the gradient's sums by a relative 1e-40: the change of
    the answer is a sample of what the rounding of any algorithm must do to it.
    """
    with mpmath.workdps(_digits(case)):
        return _evaluate(case, rng)


def _evaluate(case, rng):
    atoms = Atoms.empty(case.normalize)
    layout = _layout(case, atoms)
    formula, known = LOSSES[case.loss], {}

    def nudge():
        return NUDGE * mpf(rng.uniform(-1, 1)) if rng else 0

    def score(i, j):
        key = (min(i, j), max(i, j))
        if key not in known:
            known[key] = fdot(atoms.rows[i], atoms.rows[j]) + nudge() * atoms.lengths[i] * atoms.lengths[j]
        return known[key]

    n_anchors = len(layout) // len(_passes(case) or [1])
    cotangent = reduction_weights(case.reduction, n_anchors)
    values, scales, bends = ([mpf(0)] * n_anchors for _ in range(3))
    coefficients = [{} for _ in atoms.rows]
    for place, (weight, anchor, partner, same, negatives, positives) in enumerate(layout):
        i, params = place % n_anchors, _params(case, place % n_anchors)
        scores = Scores(
            score(anchor, partner), *([score(anchor, j) for j in group] for group in (same, negatives, positives))
        )
        columns = [partner, *same, *negatives, *positives]
        value, scale, slopes = formula(scores, params)
        flat = _flat(slopes, scores)
        full = flat
        if params["detach_weights"] and case.loss in ("hard_negative", "adnce", "alpha_cl"):
            full = _flat(formula(scores, params | {"detach_weights": False})[2], scores)
        weight = mpf(float(weight))
        values[i] += weight * value
        scales[i] += weight * scale
        bends[i] += weight * fsum(
            abs(c) * atoms.lengths[anchor] * atoms.lengths[j] for c, j in zip(full, columns, strict=True)
        )
        for c, j in zip(flat, columns, strict=True):
            c *= weight * cotangent[i]
            coefficients[anchor][j] = coefficients[anchor].get(j, 0) + c
            coefficients[j][anchor] = coefficients[j].get(anchor, 0) + c
    shapes = {"z1": case.z1.shape, "z2": case.z2.shape} | {a: case.extras[a].shape for a in ARRAYS if a in case.extras}
    gradient = {name: np.zeros(shape, dtype=object if rng else float) for name, shape in shapes.items()}
    for i, row in enumerate(coefficients):
        used = [(c * (1 + nudge()), atoms.rows[j]) for j, c in row.items()]
        pulled = [fsum(c * (b[k] + nudge() * b[k]) for c, b in used) for k in range(case.z1.shape[-1])]
        if case.normalize:  # d(z / |z|) = (dz - o <o, dz>) / |z|
            along = fdot(pulled, atoms.rows[i])
            pulled = [(g - along * o) / atoms.norms[i] for g, o in zip(pulled, atoms.rows[i], strict=True)]
        name, index = atoms.sources[i]
        gradient[name][index] = pulled if rng else [float(g) for g in pulled]
    conditions = [max(1.0, float(b / s)) if s > 0 else 1.0 for b, s in zip(bends, scales, strict=True)]
    return Exact(values, scales, conditions, cotangent, fdot(cotangent, values), gradient)


def _flat(slopes, scores):
    """Slopes in the order partner, same, negatives, positives, with the zeros that were left out."""
    out = [slopes.partner]
    for name in ("same", "negatives", "positives"):
        given, wanted = getattr(slopes, name), len(getattr(scores, name))
        assert len(given) in (0, wanted)
        out += given or [mpf(0)] * wanted
    return out


def norm(arrays):
    """Frobenius norm of several float arrays together, of entries of any size."""
    flat = np.concatenate([np.asarray(a, dtype=float).ravel() for a in arrays])
    top = float(np.abs(flat).max(initial=0.0))
    return top * float(np.linalg.norm(flat / top)) if 0 < top < math.inf else top


def gradient_condition(case, samples=3):
    """Relative change of the gradient (Frobenius) per unit of relative change of scores and terms, largest of a few."""
    worst = 0.0
    with mpmath.workdps(_digits(case)):
        base = _evaluate(case, _Still()).gradient
        for seed in range(samples):
            moved = _evaluate(case, random.Random(seed)).gradient
            change = norm([((moved[a] - base[a]) / NUDGE).astype(float) for a in base])
            worst = max(worst, change / max(norm([base[a].astype(float) for a in base]), 1e-300))
    return worst


class _Still:
    """A generator of no perturbation: keeps the gradient in high precision."""

    def uniform(self, low, high):
        return 0.0


# ------------------------------------------------------------------------------------------------------------------ cases

TEMPERATURES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def single(array):
    """Float64 array of float32 values."""
    return np.asarray(array, dtype=np.float32).astype(np.float64)


def random_views(rng, b, d):
    """Independent directions: losses of order 1 / tau."""
    return rng.normal(size=(b, d)), rng.normal(size=(b, d))


def aligned(rng, b, d):
    """Partners nearly equal, the other rows far off: losses down to e^{-2/tau}."""
    axis = rng.normal(size=d)
    signs = np.where(np.arange(b) % 2, 1.0, -1.0)[:, None]
    z = signs * axis + 0.1 * rng.normal(size=(b, d)) if b == 2 else rng.normal(size=(b, d))
    return z, z + 1e-3 * rng.normal(size=(b, d))


def collapsed(rng, b, d):
    """All rows nearly equal: the gradient is a small difference of large terms."""
    axis = rng.normal(size=d)
    return axis + 1e-3 * rng.normal(size=(b, d)), axis + 1e-3 * rng.normal(size=(b, d))


def antipodal(rng, b, d):
    """The partner is the opposite point."""
    z = rng.normal(size=(b, d))
    return z, -z


def duplicated(rng, b, d):
    """Rows that occur twice, within a view and across views."""
    z1, z2 = random_views(rng, b, d)
    z1[1], z2[-1] = z1[0], z1[0]
    return z1, z2


def large(rng, b, d):
    """Norms from 1e-6 to 1e15, divided out inside."""
    z1, z2 = random_views(rng, b, d)
    return z1 * 10.0 ** rng.uniform(-6, 15, size=(b, 1)), z2 * 10.0 ** rng.uniform(-6, 15, size=(b, 1))


KINDS = {f.__name__: f for f in (random_views, aligned, collapsed, antipodal, duplicated, large)}
KINDS["opposed"] = functools.partial(aligned)  # two pairs at opposite points: the smallest losses there are


class _Builder:
    """Collects cases; sizes, kinds and reductions rotate, so that each loss meets each at several temperatures."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.cases = []

    def views(self, kind, size=None):
        b, d = size or (int(self.rng.integers(3, 6)), int(self.rng.integers(2, 7)))
        if kind == "opposed":
            b, d = 2, 3
        if kind == "unnormalised":
            z1, z2 = random_views(self.rng, b, d)
            z1, z2 = (
                z / np.linalg.norm(z, axis=1, keepdims=True) * self.rng.uniform(0.5, 1.5, (b, 1)) for z in (z1, z2)
            )
        else:
            z1, z2 = KINDS[kind](self.rng, b, d)
        return single(z1), single(z2)

    def add(self, loss, kind, *, views=None, extras=None, symmetric=True, size=None, note="", **params):
        z1, z2 = views if views is not None else self.views(kind, size)
        n = len(self.cases)
        shown = ",".join(f"{k}={v:.6g}" if isinstance(v, float) else f"{k}={v}" for k, v in params.items())
        side = "" if symmetric else " one-sided"
        self.cases.append(
            Case(
                f"{n:03d} {loss}({shown}) {kind}{side}{' ' + note if note else ''}",
                loss,
                params,
                z1,
                z2,
                extras or {},
                symmetric,
                kind != "unnormalised",
                ("mean", "sum", "none")[n % 3],
            )
        )

    def array(self, *shape):
        return single(self.rng.normal(size=shape))


COMMON = ("random_views", "aligned", "collapsed", "antipodal", "duplicated", "large", "unnormalised", "opposed")


def _turns(names):
    while True:
        yield from names


def at_the_clamp(rng, temperature, concentration=None):
    """Views, and the class prior at which their first anchor reaches the floor."""
    while True:
        b, d = 4, 3
        axis, wide = rng.normal(size=d), 0.6 * math.sqrt(temperature)
        z1, z2 = (single(axis + wide * rng.normal(size=(b, d))) for _ in range(2))
        rows = np.concatenate([z1, z2])
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        s = rows[0] @ rows.T / temperature
        x, a = s[b], np.delete(s, [0, b])
        beta = concentration or 0.0
        mean = np.exp((1 + beta) * (a - x)).sum() / np.exp(beta * (a - x)).sum()
        floor = math.exp(-1 / temperature - x)
        prior = (mean - floor) / (1 - floor)
        if 0.02 < prior < 0.9:
            return (z1, z2), prior


@functools.cache
def cases():
    """Every case, from a fixed seed."""
    make = _Builder(20240917)
    _plain(make)
    _debiased(make)
    _rince(make)
    _adnce(make)
    _dro(make)
    _others(make)
    _extras(make)
    return tuple(make.cases)


def _plain(make):
    one_sided = _turns(("random_views", "aligned", "unnormalised", "large"))
    for tau in TEMPERATURES:
        for kind in COMMON:
            make.add("info_nce", kind, temperature=tau)
        for kind in ("random_views", "aligned", "collapsed", "duplicated", "unnormalised"):
            make.add("decoupled", kind, temperature=tau)
        make.add("info_nce", next(one_sided), temperature=tau, symmetric=False)
        make.add("decoupled", next(one_sided), temperature=tau, symmetric=False)
    for loss in ("info_nce", "decoupled"):
        make.add(loss, "random_views", temperature=0.1, size=(8, 8))
        make.add(loss, "random_views", temperature=0.5, size=(2, 2))


def _debiased(make):
    kinds, sides = _turns(COMMON), _turns((True, True, False))
    variants = _turns(
        (("implemented", False), ("exact", False), ("implemented", True), ("exact", True), ("exact", False))
    )
    concentrations = _turns((0.5, 6.0, 0.0, 1.0, 2.0))
    for tau in TEMPERATURES:
        for prior in (0.0, 0.05, 0.1, 0.3, 0.5, 0.9):
            # with two duplicates of the partner among four negatives a prior of 1/2 cancels to nothing: no condition number
            kind = next(kinds)
            kind = "random_views" if (kind, prior) == ("duplicated", 0.5) else kind
            make.add("debiased", kind, temperature=tau, class_prior=prior, symmetric=next(sides))
        for prior in (0.0, 0.05, 0.1, 0.3, 0.5, 0.9, 0.1, 0.05, 0.3, 0.1, 0.5):
            form, detach = next(variants)
            make.add(
                "hard_negative", next(kinds), temperature=tau, class_prior=prior, concentration=next(concentrations),
                prior=form, detach_weights=detach, symmetric=next(sides),
            )  # fmt: skip
        for step in (-1e-3, 1e-3, -1e-1):  # a prior below the critical one leaves the row just above the floor
            note = "just above the floor" if step < 0 else "just below the floor"
            views, prior = at_the_clamp(make.rng, tau)
            prior *= 1 + step
            make.add("debiased", "clamp", views=views, temperature=tau, class_prior=prior, note=note)
            views, prior = at_the_clamp(make.rng, tau, 1.0)
            prior *= 1 + step
            make.add(
                "hard_negative", "clamp", views=views, temperature=tau, class_prior=prior, concentration=1.0, note=note
            )
    make.add("debiased", "random_views", temperature=0.2, class_prior=0.1, size=(8, 8))
    make.add("hard_negative", "random_views", temperature=0.2, class_prior=0.1, concentration=2.0, size=(8, 8))


def _rince(make):
    kinds, lams, sides = _turns(COMMON), _turns((0.001, 0.01, 0.5, 1.0)), _turns((True, True, False))
    for tau in TEMPERATURES:
        for q in (1e-8, 1e-3, 0.1, 0.5, 1.0):
            for _ in range(2):
                make.add("rince", next(kinds), temperature=tau, q=q, lam=next(lams), symmetric=next(sides))
            next(lams)
        next(kinds)
    make.add("rince", "random_views", temperature=0.2, q=0.5, lam=0.01, size=(8, 8))


def _adnce(make):
    kinds, mus, detach = _turns(COMMON), _turns((-0.5, 0.1, 0.7, 1.5)), _turns((True, False, True))
    sides = _turns((True, True, False))
    for tau in TEMPERATURES:
        for sigma in (0.02, 0.1, 0.5, 1.0, 100.0):
            for variant in ("image", "graph", "sentence"):
                kind = next(kinds)
                # opposite partners at a low temperature pull along the radius only: nothing is left to compare
                kind = "random_views" if kind == "antipodal" and tau < 0.05 and sigma < 0.5 else kind
                make.add(
                    "adnce", kind, temperature=tau, mu=next(mus), sigma=sigma, variant=variant,
                    detach_weights=next(detach), symmetric=next(sides) if variant == "image" else False,
                )  # fmt: skip
            next(mus)
        next(kinds)
    make.add("adnce", "random_views", temperature=0.2, mu=0.7, sigma=0.5, variant="image", size=(8, 8))


def _dro(make):
    kinds = _turns(("random_views", "aligned", "random_views", "antipodal", "unnormalised", "large"))
    sides = _turns((True, True, False))
    for tau in TEMPERATURES:
        for name in (*PHI, "tv"):
            make.add("dro", next(kinds), divergence=name, temperature=tau, symmetric=next(sides))
    make.add("dro", "collapsed", divergence="kl", temperature=0.05)
    make.add("dro", "duplicated", divergence="chi2", temperature=0.2)
    for radius in (0.01, 0.1, 0.3):
        for name in (*PHI, "tv"):
            make.add(
                "dro", next(kinds), divergence=name, radius=radius, symmetric=next(sides), size=(5, 3)
            )  # five pairs: the smallest ball of one side, of four atoms, holds every radius here
    for level in (0.2, 0.5, 0.9):
        make.add("dro", "random_views", divergence=f"cvar(level={level:g})", level=level, symmetric=next(sides))
    for name in ("kl", "chi2", "js"):
        views = make.views("random_views", (4, 3))
        make.add(
            "dro", "random_views", views=views, divergence=name, note="a temperature an anchor",
            extras={"temperature": single(make.rng.uniform(0.1, 0.6, 8))},
        )  # fmt: skip
        make.add(
            "dro", "random_views", views=views, divergence=name, note="a radius an anchor",
            extras={"radius": single(make.rng.uniform(0.05, 0.2, 8))},
        )  # fmt: skip
    make.add("dro", "random_views", divergence="kl", temperature=0.3, size=(8, 8))
    make.add("dro", "random_views", divergence="kl", radius=0.3, size=(8, 8))


def _others(make):
    kinds = _turns(("random_views", "aligned", "collapsed", "antipodal", "duplicated", "large", "unnormalised"))
    sides, names, powers = _turns((True, False)), _turns(CURVATURE), _turns((1.0, 2.0, 0.5, 3.0))
    labels = _turns(([0, 1, 0, 2], [0, 1, 2, 3], [0, 0, 0, 1]))
    weights = _turns(((0.5, 0.5), (1.0, 0.25), (0.5, 0.5), (0.0, 1.0)))
    for tau in TEMPERATURES:
        for _ in range(3):
            make.add("mean_variance", next(kinds), temperature=tau, divergence=next(names), symmetric=next(sides))
        for _ in range(3):
            power = next(powers)
            # (1 - s)^{1/2} has no derivative at a duplicate, whose score every arithmetic but the exact one misses
            kind = next(kinds) if power >= 1 else "random_views"
            make.add("alpha_cl", kind, temperature=tau, power=power, symmetric=next(sides))
        for loss in ("unbiased", "supervised"):
            for _ in range(4):
                given = np.array(next(labels))
                make.add(
                    loss, next(kinds), temperature=tau, extras={"labels": given}, symmetric=next(sides), size=(4, 3),
                    note=f"labels {given.tolist()}",
                )  # fmt: skip
        for _ in range(3):
            make.add("clip", next(kinds), temperature=tau, weights=next(weights))
    for loss, params in (("mean_variance", {"divergence": "chi2"}), ("alpha_cl", {"power": 2.0}), ("clip", {})):
        make.add(loss, "random_views", temperature=0.2, **params, size=(8, 8))
    for loss in ("unbiased", "supervised"):
        make.add(
            loss, "random_views", temperature=0.2, size=(8, 8), extras={"labels": np.array([0, 1, 2, 0, 1, 2, 0, 3])}
        )


PLAIN_PARAMS = {
    "info_nce": {},
    "decoupled": {},
    "debiased": {"class_prior": 0.1},
    "hard_negative": {"class_prior": 0.1, "concentration": 1.0},
    "rince": {"q": 0.5, "lam": 0.01},
    "adnce": {"mu": 0.7, "sigma": 0.5, "variant": "image"},
    "dro": {"divergence": "chi2"},
    "mean_variance": {"divergence": "kl"},
    "alpha_cl": {"power": 1.0},
}


def _extras(make):
    taus, sides = _turns((0.05, 0.5, 0.2)), _turns((True, False))
    b, d = 3, 4
    for loss, params in PLAIN_PARAMS.items():
        params = dict(params)
        for note in ("queue", "shared negatives", "negatives a pair", "negatives alone", "queue and negatives"):
            extras = {}
            if "queue" in note:
                extras["queue"] = make.array(4, d)
            if "negatives" in note:
                # a pair's own negatives leave no common pool for a mean or a robust weight other than the closed KL one
                own = note in ("negatives a pair", "negatives alone") and loss not in ("dro", "mean_variance")
                extras["negatives"] = make.array(b, 3, d) if own else make.array(4, d)
            alone = {"in_batch": False} if note == "negatives alone" else {}
            make.add(
                loss, "random_views", temperature=next(taus), **params, **alone, size=(b, d), extras=extras, note=note,
                symmetric=next(sides),
            )  # fmt: skip
        make.add(
            loss, "random_views", temperature=next(taus), **params, size=(4, d), symmetric=False,
            direction_weights=(0.75, 0.5),
        )  # fmt: skip
    kl = {"divergence": "kl", "temperature": 0.2}
    pair = "negatives a pair"
    make.add("dro", "random_views", **kl, size=(b, d), extras={"negatives": make.array(b, 3, d)}, note=pair)
    make.add("clip", "random_views", temperature=0.1, size=(b, d), extras={"negatives": make.array(3, d)})
    labels = np.array([0, 1, 0])
    make.add(
        "unbiased", "random_views", temperature=0.1, size=(b, d), extras={"labels": labels, "queue": make.array(3, d)}
    )
    for loss in ("debiased", "hard_negative"):
        forms = [{}]
        if loss == "hard_negative":
            forms = [{"prior": "implemented"}, {"prior": "exact"}, {"prior": "exact", "detach_weights": True}]
        for form in forms:
            for tau in (0.02, 0.1, 0.5, 1.0):
                for rows, symmetric in ((b, True), (2 * b, True), (b, False)):
                    make.add(
                        loss, "random_views", temperature=tau, **PLAIN_PARAMS[loss], **form, size=(b, d),
                        extras={"positives": make.array(rows, 2, d)}, symmetric=symmetric, note=f"{rows} rows of positives",
                    )  # fmt: skip
