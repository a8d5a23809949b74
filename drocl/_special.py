"""Elementary functions that keep their relative accuracy where the textbook form cancels.

Everything works on any array-API array (numpy, torch, ...), elementwise.
"""

import math
from typing import Any

import array_api_compat
import numpy as np

Array = Any

_EXP_TERMS = tuple(1.0 / math.factorial(j + 2) for j in range(14))
_ATANH_TERMS = tuple(1.0 / (2 * j + 3) for j in range(12))


def namespace(*arrays: Array) -> Any:
    """Array-API namespace of the arrays; numpy when all are Python numbers or lists."""
    found = [a for a in arrays if array_api_compat.is_array_api_obj(a)]
    return array_api_compat.array_namespace(*found) if found else array_api_compat.array_namespace(np.empty(0))


def as_float(x: Array, xp: Any) -> Array:
    """`x` as a floating array of namespace `xp`; integers and lists become float64."""
    out = x if array_api_compat.is_array_api_obj(x) else xp.asarray(x, dtype=xp.float64)
    return out if xp.isdtype(out.dtype, "real floating") else xp.astype(out, xp.float64)


def _horner(u: Array, terms: tuple[float, ...]) -> Array:
    total = u * 0.0 + terms[-1]
    for coefficient in reversed(terms[:-1]):
        total = total * u + coefficient
    return total


def exp_remainder(u: Array) -> Array:
    """(e^u - 1 - u) / u^2 to full relative accuracy, 1/2 at 0."""
    xp = namespace(u)
    near = xp.abs(u) <= 0.5
    safe = xp.where(near, xp.ones_like(u), u)
    return xp.where(
        near, _horner(xp.where(near, u, xp.zeros_like(u)), _EXP_TERMS), (xp.expm1(safe) / safe - 1.0) / safe
    )


def log1p_remainder(v: Array) -> Array:
    """(v - log(1 + v)) / v^2 to full relative accuracy for v > -1, 1/2 at 0.

    With r = v / (2 + v), log(1 + v) = 2 artanh r, so v - log(1 + v) = 2 r^2 / (1 - r) - 2 r^3 (1/3 + r^2/5 + ...).
    """
    xp = namespace(v)
    near = xp.abs(v) <= 0.3
    small = xp.where(near, v, xp.zeros_like(v))
    r = small / (2.0 + small)
    series = 2.0 * (1.0 / (1.0 - r) - r * _horner(r * r, _ATANH_TERMS)) / (2.0 + small) ** 2
    safe = xp.where(near, xp.ones_like(v), v)
    return xp.where(near, series, (1.0 - xp.log1p(safe) / safe) / safe)


def entropy_of_log(u: Array) -> Array:
    """t log t - t + 1 at t = e^u, to full relative accuracy near t = 1; 1 at u = -inf."""
    xp = namespace(u)
    finite = xp.where(u > -700.0, u, xp.zeros_like(u))
    return xp.where(u > -700.0, finite * finite * xp.exp(finite) * exp_remainder(-finite), xp.ones_like(u))


def cressie_read_of_log(u: Array, power: float) -> Array:
    """(t^k - k t + k - 1) / (k (k - 1)) at t = e^u, to full relative accuracy near t = 1 and for every real k.

    Two groupings of the same expression, each free of cancellation on its side of k = 1/2, the removable
    singularities at k = 0 and k = 1 included.
    """
    xp = namespace(u)
    at_zero = 1.0 / power if power > 0.0 else math.inf
    at_infinity = 1.0 / (1.0 - power) if power < 1.0 else math.inf  # the slope, times an infinite t
    low, high = u == -xp.inf, u == xp.inf
    v = xp.where(low | high, xp.zeros_like(u), u)
    if power > 0.5:
        eps = power - 1.0
        # e^u is folded into each remainder so that a large negative u cannot make 0 * inf
        value = v * v * xp.exp(xp.where(v > -700.0, v, -700.0 * xp.ones_like(v)))
        value = value * (eps * exp_remainder(eps * v) + exp_remainder(-v)) / power
        far = xp.abs(v) > 2.0
        w = xp.where(far, v, xp.ones_like(v))
        value = xp.where(far, _far(xp, w, power), value)
    else:
        near = xp.abs(v) <= 1.0
        w = xp.where(near, v, xp.ones_like(v))
        value = w * w * (power * exp_remainder(power * w) - exp_remainder(w)) / (power - 1.0)
        value = xp.where(near, value, _far(xp, xp.where(near, xp.ones_like(v), v), power))
    value = xp.where(low, at_zero * xp.ones_like(u), value)
    return xp.where(high, (math.inf if at_infinity else 0.0) * xp.ones_like(u), value)


def _far(xp: Any, u: Array, k: float) -> Array:
    """The same away from t = 1, where only the removable singularities need care."""
    if k > 0.5:
        eps = k - 1.0
        growth = xp.expm1(eps * u) / eps if eps else u
        return (xp.exp(u) * (growth - 1.0) + 1.0) / k
    shrink = xp.expm1(k * u) / k if k else u
    return (shrink - xp.expm1(u)) / (k - 1.0)
