"""E log of a random sum on a finite support, for any number of terms: the public face of the quadrature."""

import math
from typing import TypeAlias

import numpy as np

from drocl.latent.kinds import Array, Numbers
from drocl.population.quadrature import Reference, log_sum

__all__ = ["expected_log_sum", "expected_log_sum_exp", "expected_log_sum_mixed"]

Result: TypeAlias = Array | float


def expected_log_sum(values: Numbers, probs: Numbers, n: Numbers, offset: Numbers) -> Result:
    r"""Expected logarithm of an offset plus a sum of i.i.d. positive terms, exactly, for any number of terms.

    $$ E \log\Bigl(a + \sum_{i \le N} X_i\Bigr)
       = \int_{-\infty}^{\infty} \bigl[e^{-e^u} - e^{-a e^u}\, \varphi(e^u)^N\bigr]\,du, \qquad \varphi(z) = E e^{-zX}.
       $$

    All four arguments broadcast. A law that stays the same along an axis of `n` or `offset` is transformed only once.

    Args:
        values: (..., k), the values of X, positive and finite.
        probs: (..., k), their probabilities; each row sums to 1.
        n: number N >= 0 of terms, an integer (or integers, shape (...)).
        offset: (...), a >= 0; positive where n = 0.

    Returns:
        The expectation, shape (...), a float where all are scalars. Its relative error is below 1e-12, except where the
        answer is so near 0 (the sum so near 1) that the last digit of `values` moves it more: then its absolute error
        is below 1e-15.

    Raises:
        ValueError: if an argument is outside the ranges above, or shapes do not broadcast.
        ArithmeticError: if the quadrature's own check fails, which is not known to happen.

    Source: Frullani's integral; the expectation is the one in chuang2020, Eq. 2.

    >>> round(expected_log_sum([1.0, 3.0], [0.5, 0.5], 2, 1.0), 12)  # (log 3 + 2 log 5 + log 7) / 4
    1.565849565648
    """
    scores, log_offset = _logs(values, offset)
    return expected_log_sum_exp(scores, probs, n, log_offset)


def expected_log_sum_exp(scores: Numbers, probs: Numbers, n: Numbers, log_offset: Numbers) -> Result:
    r"""`expected_log_sum` in the log domain, where the values would overflow.

    $$ E \log\Bigl(e^{b} + \sum_{i \le N} e^{s_i}\Bigr) $$

    Args:
        scores: (..., k), s, finite.
        probs: (..., k), their probabilities; each row sums to 1.
        n: number N >= 0 of terms, an integer (or integers, shape (...)).
        log_offset: (...), b; -inf for no offset (then n >= 1).

    Returns:
        The expectation, shape (...), a float where all are scalars; accurate as `expected_log_sum` is.

    Raises:
        ValueError: if an argument is outside the ranges above, or shapes do not broadcast.

    >>> expected_log_sum_exp([-1000.0, 1000.0], [0.5, 0.5], 1, 0.0)
    500.0
    """
    scores, log_offset = _array(scores, "scores"), _array(log_offset, "log_offset")
    probs, n = _probabilities(probs, "probs"), _integers(n, "n")
    return _evaluate(scores, probs[..., None, :], n[..., None], log_offset)


def expected_log_sum_mixed(values: Numbers, sources: Numbers, counts: Numbers, offset: Numbers) -> Result:
    r"""Expected logarithm of an offset plus independent terms that come from several laws on one support.

    $$ E \log\Bigl(a + \sum_m \sum_{i \le N_m} X^{(m)}_i\Bigr): \quad
       \varphi^N \text{ in `expected_log_sum` becomes } \textstyle\prod_m \varphi_m^{N_m}. $$

    Args:
        values: (..., k), the common support, positive and finite.
        sources: (..., M, k), the law of source m in row m; each row sums to 1.
        counts: (..., M), numbers N_m >= 0 of terms, integers.
        offset: (...), a >= 0; positive where all counts are 0.

    Returns:
        The expectation, shape (...), a float where nothing is batched.

    Raises:
        ValueError: if an argument is outside the ranges above, or shapes do not broadcast.

    Source: chuang2020, Eq. 4, mixes the marginal and the positive law in this way.

    >>> round(expected_log_sum_mixed([1.0, 2.0], [[1.0, 0.0], [0.0, 1.0]], [2, 3], 0.0), 11)  # log(2 + 6)
    2.07944154168
    """
    scores, log_offset = _logs(values, offset)
    sources, counts = _probabilities(sources, "sources"), _integers(counts, "counts")
    if sources.ndim < 2 or counts.ndim < 1 or counts.shape[-1] != sources.shape[-2]:
        raise ValueError(
            f"sources (..., M, k) and counts (..., M) must agree in M, got {sources.shape} and {counts.shape}"
        )
    return _evaluate(scores, sources, counts, log_offset)


def _evaluate(
    scores: Array, sources: Array, counts: Array, log_offset: Array, reference: Reference = "nearest"
) -> Result:
    """Split the broadcast axes into laws and variants of a law, integrate, and put the axes back."""
    if scores.ndim < 1 or scores.shape[-1] != sources.shape[-1]:
        raise ValueError(f"values and probs must end in the same length k, got {scores.shape} and {sources.shape}")
    if not np.isfinite(scores).all():
        raise ValueError(f"scores must be finite, got {scores[~np.isfinite(scores)][0]}")
    if not (log_offset < math.inf).all():
        raise ValueError(f"log_offset must be a number below inf, got {log_offset[~(log_offset < math.inf)][0]}")
    try:
        law_shape = np.broadcast_shapes(scores.shape[:-1], sources.shape[:-2])
        variant_shape = np.broadcast_shapes(counts.shape[:-1], log_offset.shape)
        shape = np.broadcast_shapes(law_shape, variant_shape)
    except ValueError as error:
        raise ValueError(
            f"batch shapes must broadcast, got values {scores.shape[:-1]}, probs {sources.shape[:-2]}, "
            f"n {counts.shape[:-1]}, offset {log_offset.shape}"
        ) from error
    if (np.isneginf(log_offset) & (counts.sum(axis=-1) == 0)).any():
        raise ValueError("n=0 with offset=0 has no logarithm: n must be at least 1 or offset positive")
    law_shape = (1,) * (len(shape) - len(law_shape)) + law_shape
    axes = [i for i, size in enumerate(law_shape) if size == shape[i]]
    laws = math.prod(shape[i] for i in axes)
    axes += [i for i in range(len(shape)) if i not in axes]
    k, m = scores.shape[-1], counts.shape[-1]
    moved = tuple(shape[i] for i in axes)
    variants = math.prod(moved) // max(laws, 1)
    if not math.prod(shape):
        return np.zeros(shape)
    answer = log_sum(
        np.broadcast_to(scores, (*law_shape, k)).reshape(laws, k),
        np.broadcast_to(sources, (*law_shape, m, k)).reshape(laws, m, k),
        np.broadcast_to(counts, (*shape, m)).transpose(*axes, len(shape)).reshape(laws, variants, m),
        np.broadcast_to(log_offset, shape).transpose(axes).reshape(laws, variants),
        reference=reference,
    ).value
    back = answer.reshape(moved).transpose(np.argsort(axes)) if axes else answer.reshape(())
    return float(back) if back.ndim == 0 else np.ascontiguousarray(back)


def _logs(values: Numbers, offset: Numbers) -> tuple[Array, Array]:
    values, offset = _array(values, "values"), _array(offset, "offset")
    good = (values > 0.0) & (values < math.inf)
    if not good.all():
        raise ValueError(f"values must be positive and finite, got {values[~good][0]}")
    good = (offset >= 0.0) & (offset < math.inf)
    if not good.all():
        raise ValueError(f"offset must be finite and at least 0, got {offset[~good][0]}")
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(values)), np.asarray(np.log(offset))


def _array(x: Numbers, name: str) -> Array:
    try:
        return np.asarray(x, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of real numbers, got {type(x).__name__}") from error


def _probabilities(x: Numbers, name: str) -> Array:
    probs = _array(x, name)
    if probs.ndim < 1 or probs.shape[-1] == 0:
        raise ValueError(f"{name} must have a last axis of at least one atom, got shape {probs.shape}")
    if not (probs >= 0.0).all():
        raise ValueError(f"{name} must be at least 0, got {probs[~(probs >= 0.0)][0]}")
    total = probs.sum(axis=-1, keepdims=True)
    if not (np.abs(total - 1.0) <= 1e-6).all():
        raise ValueError(f"{name} must sum to 1 along the last axis, got {total[~(np.abs(total - 1.0) <= 1e-6)][0]}")
    return np.asarray(probs / total)


def _integers(x: Numbers, name: str) -> Array:
    counts = _array(x, name)
    if not ((counts >= 0.0) & (counts == np.floor(counts)) & (counts < math.inf)).all():
        raise ValueError(f"{name} must be an integer of at least 0, got {x!r}")
    return counts
