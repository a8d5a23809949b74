r"""The quadrature behind every exact finite-N expectation: E log of a random sum, with no sampling.

Frullani's integral writes a logarithm as a mixture of exponentials, log(S/r) = int (e^{-rz} - e^{-Sz}) dz/z, and the
expectation of e^{-Sz} factorises over independent terms. With z = e^u the integrand is analytic and decays at both
ends.

Why the answer needs no tuning. The trapezoid rule of step h makes, for one value of S, an error of exactly
sum_{k != 0} Gamma(i w_k) (r^{-i w_k} - S^{-i w_k}) with w_k = 2 pi k / h, and |Gamma(i w)| = sqrt(pi / (w sinh(pi w)))
does not know S. So one step serves any values, any temperature and any number of terms, and its error is a proved
bound; only the two ends of the grid depend on the data, and they too are chosen by bounds.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from drocl.latent.kinds import Array

Reference: TypeAlias = Literal["offset", "mean", "nearest"]

STEP = 0.25
_TAIL = 1e-17  # what each end of the grid may cut off
_BLOCK = 1 << 20  # elements of the largest temporary: 8 MiB
_GONE = 1e4  # stands for infinity in exponents: e^{-10000} is 0 too, and 10000 - 10000 is no nan
_EPS = float(np.finfo(np.float64).eps)


def aliasing(step: float) -> float:
    r"""Bound on the trapezoid rule's error, $4 \sum_{k \ge 1} |\Gamma(2 \pi i k / h)|$, for any random sum."""
    omegas = [2.0 * math.pi * k / step for k in (1, 2)]
    return 4.0 * sum(math.sqrt(2.0 * math.pi / w) * math.exp(-math.pi * w / 2.0) for w in omegas)


@dataclass(frozen=True)
class LogSum:
    """E log S in parts, arrays (P, R): P laws of the terms, R variants (counts and offset) of each.

    Attributes:
        log_reference: log of the point r that the integral is relative to: the offset a, or the mean of S.
        log_ratio: log of the mean of S over a; +inf where a = 0.
        integral: E log(S / r).
        at_offset: True where r = a.
        error: bound on the absolute error of `integral` (aliasing, the two ends, and a model of rounding).
        nodes: the most quadrature nodes a law took.
    """

    log_reference: Array
    log_ratio: Array
    integral: Array
    at_offset: npt.NDArray[np.bool_]
    error: Array
    nodes: int

    @property
    def value(self) -> Array:
        """E log S."""
        return self.log_reference + self.integral

    @property
    def excess(self) -> Array:
        """E log(S / a), to full relative accuracy also where it is tiny."""
        return np.where(self.at_offset, self.integral, self.log_ratio + self.integral)

    @property
    def jensen_gap(self) -> Array:
        """log E S - E log S >= 0."""
        return np.where(self.at_offset, self.log_ratio, 0.0) - self.integral


def log_sum(
    scores: Array,
    sources: Array,
    counts: Array,
    log_offset: Array,
    *,
    reference: Reference = "nearest",
    step: float = STEP,
    block: int = _BLOCK,
) -> LogSum:
    r"""E log(a + sum_m sum_{i <= N_m} e^{s}) with the i-th term of source m drawn from row m of `sources`.

    Args:
        scores: (P, k), logs of the values; entries without mass in any source may hold anything finite.
        sources: (P, M, k) probabilities, each row summing to 1.
        counts: (P, R, M) or (1, R, M), how many terms each source adds.
        log_offset: (P, R), log a, -inf for a = 0 (then some count is positive).
        reference: what the integral is relative to: "offset" (a > 0; keeps E log(S/a) to full relative accuracy),
            "mean" (keeps the Jensen gap), "nearest" to 1 of the two (keeps E log S).
        step: step of the trapezoid rule in u = log z.
        block: most elements of a temporary array.

    Returns:
        The parts of the answer, each (P, R).

    Raises:
        ArithmeticError: if the even and the odd nodes disagree by more than the theory of the rule allows.
    """
    laws, variants = log_offset.shape
    counts = np.broadcast_to(counts, (laws, variants, sources.shape[1]))
    parts = []
    size = max(1, block // max(scores.shape[1], 4 * variants, 1) // 256)
    for start in range(0, laws, size):
        rows = slice(start, start + size)
        problem = _Problem.of(scores[rows], sources[rows], counts[rows], log_offset[rows], reference)
        parts.append(problem.integrate(step, block))
    reference_points, ratios, integrals, at_offset, errors = (np.concatenate([p[j] for p in parts]) for j in range(5))
    return LogSum(reference_points, ratios, integrals, at_offset, errors, max(p[5] for p in parts))


@dataclass(frozen=True)
class _Problem:
    """A block of laws with its reference points and the ends of its grids."""

    scores: Array
    sources: Array
    counts: Array
    log_a: Array
    log_r: Array
    log_ratio: Array
    at_offset: npt.NDArray[np.bool_]
    low: Array
    high: Array

    @classmethod
    def of(cls, scores: Array, sources: Array, counts: Array, log_a: Array, reference: Reference) -> "_Problem":
        """Choose the reference points and the grids."""
        scores = np.where((sources > 0.0).any(axis=1), scores, -np.inf)
        by_source = np.where(sources > 0.0, scores[:, None, :], -np.inf)
        least = np.where(sources > 0.0, by_source, np.inf).min(axis=2)
        most = by_source.max(axis=2)
        lifted = np.exp(
            by_source - most[:, :, None]
        )  # by hand: scipy's logsumexp would cost a third of a small problem
        with np.errstate(divide="ignore"):
            log_counts = np.log(counts)
            log_mean = _log_total(log_counts, most + np.log((lifted * sources).sum(axis=2)))
            log_square = _log_total(log_counts, 2.0 * most + np.log((lifted**2 * sources).sum(axis=2)))
        log_least = np.logaddexp(log_a, _log_total(log_counts, least))
        log_most = _log_total(log_counts, most) - log_a
        log_ratio = np.logaddexp(0.0, log_mean - log_a)
        log_c = np.logaddexp(log_a, log_mean)
        at_offset = np.full(log_a.shape, reference == "offset")
        if reference == "nearest":
            at_offset = np.abs(log_a) <= np.abs(log_c) + math.log(2.0)
        # Left end. Around the mean: int_{-inf}^{u} <= z^2 Var(S)/4, and <= z E S. Around the offset the integrand is
        # first order in z, and E log(S/a) >= (E S/a - 1) log(1+M)/M, M the largest S/a - 1, makes that a relative
        # bound.
        with np.errstate(divide="ignore", invalid="ignore"):
            concavity = np.where(at_offset & (log_most > -30.0), np.log(np.logaddexp(0.0, log_most)) - log_most, 0.0)
        around_mean = np.maximum(0.5 * (math.log(4.0 * _TAIL) - log_square), math.log(_TAIL) - log_c)
        low = np.where(at_offset, math.log(_TAIL) + concavity - log_a, around_mean).min(axis=1)
        # Right end: E e^{-zS} <= e^{-z min S}, and relative to the excess for r = a.
        cut = -math.log(_TAIL)
        high = np.where(at_offset, np.log(cut - concavity) - log_a, math.log(cut) - log_least).max(axis=1)
        log_r = np.where(at_offset, log_a, log_c)
        whole = cls(scores, sources, counts, log_a, log_r, log_ratio, at_offset, low, high)
        return replace(whole, high=whole.shortened(cut + float(-concavity.min())))

    def exponents(self, u: Array) -> Array:
        """sum_m N_m log E e^{-zX_m} at z = e^u, (P, U) -> (P, U, R)."""
        below_one = np.expm1(-_grow(u, self.scores)) @ self.sources.swapaxes(1, 2)
        with np.errstate(divide="ignore"):
            logs = np.maximum(np.log1p(np.maximum(below_one, -1.0)), -_GONE)
        return np.asarray(logs @ self.counts.swapaxes(1, 2))

    def shortened(self, cut: float) -> Array:
        """The right end brought in to where both terms, which fall with z, are below e^{-cut} over the length left."""
        length = (self.high - self.low)[:, None]
        u = self.low[:, None] + length * np.linspace(0.0, 1.0, 16)
        fall = np.minimum(_grow(u, self.log_a) - self.exponents(u), _grow(u, self.log_r))
        gone = np.asarray((fall >= cut + np.log1p(length)[:, :, None]).all(axis=2))
        first = np.where(gone.any(axis=1), gone.argmax(axis=1), u.shape[1] - 1)
        return np.asarray(u[np.arange(len(u)), first])

    def integrate(self, step: float, block: int) -> tuple[Any, ...]:
        """The fields of `LogSum` for this block."""
        nodes = 2 * (math.ceil(float((self.high - self.low).max()) / step) // 2 + 1)
        even, odd = self.sums(nodes, step, block)
        integral = step * (even + odd)
        size = np.abs(self.log_r) + np.abs(integral)
        rounding = 8.0 * _EPS * np.where(self.at_offset, np.abs(integral), 1.0 + size)
        scale = np.where(self.at_offset, np.abs(integral), 1.0)  # E |1 - (S/a)^{iw}| <= w E log(S/a)
        error = scale * (2.0 * math.pi / step * aliasing(step) + 2.0 * _TAIL) + rounding
        doubled = np.abs(2.0 * step * (even - odd))  # between the two grids of twice the step
        allowed = 2.0 * scale * math.pi / step * aliasing(2.0 * step) + 64.0 * rounding + 1e-300
        if not np.all(doubled <= allowed):
            raise ArithmeticError(
                f"quadrature failed its step-halving check: even and odd nodes differ by {np.max(doubled):.3g}, "
                f"allowed {np.min(allowed):.3g}; please report the input"
            )
        return self.log_r, self.log_ratio, integral, self.at_offset, error, nodes

    def sums(self, nodes: int, step: float, block: int) -> tuple[Array, Array]:
        """Sums of the integrand over the even and the odd nodes."""
        laws, variants = self.log_a.shape
        totals = np.zeros((2, laws, variants))
        chunk = 2 * max(1, block // (laws * max(self.scores.shape[1], 4 * variants)) // 2)
        for start in range(0, nodes, chunk):
            u = self.low[:, None] + step * np.arange(start, min(start + chunk, nodes))
            logs = self.exponents(u)
            at_r = np.minimum(_grow(u, self.log_r), _GONE)
            at_a = np.minimum(_grow(u, self.log_a), _GONE)
            with np.errstate(over="ignore", under="ignore"):
                # e^{-rz} - e^{-az} phi^N; where the two are close, through expm1 of the difference of exponents
                difference = np.where(self.at_offset[:, None, :], logs, (at_r - at_a) + logs)
                close = -np.exp(-at_r) * np.expm1(np.minimum(difference, 1.0))
                terms = np.where(difference <= 1.0, close, np.exp(-at_r) - np.exp(logs - at_a))
            totals[0] += terms[:, 0::2].sum(axis=1)
            totals[1] += terms[:, 1::2].sum(axis=1)
        return totals[0], totals[1]


def _log_total(log_counts: Array, logs: Array) -> Array:
    """log sum_m N_m e^{logs_m}, (P, R, M), (P, M) -> (P, R)."""
    return np.asarray(np.logaddexp.reduce(log_counts + logs[:, None, :], axis=2))


def _grow(u: Array, logs: Array) -> Array:
    """exp(u + logs), shapes (P, U), (P, k) -> (P, U, k); inf and 0 beyond the range of floats."""
    reach = float(np.abs(logs[np.isfinite(logs)]).max(initial=0.0))
    low, high = float(u.min()), float(u.max())
    with np.errstate(over="ignore", under="ignore"):
        if reach < 700.0 and max(-low, high) < 700.0:
            # One exponential a node and one an atom, and e^logs keeps its last digit.
            return np.asarray(np.exp(u)[:, :, None] * np.exp(logs)[:, None, :])
        shift = np.rint(0.5 * (low + high))
        shifted = logs + shift
        if high - low < 1399.0 and np.abs(shifted[np.isfinite(shifted)]).max(initial=0.0) < 700.0:
            return np.asarray(np.exp(u - shift)[:, :, None] * np.exp(shifted)[:, None, :])
        return np.asarray(np.exp(u[:, :, None] + logs[:, None, :]))
