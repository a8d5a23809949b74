"""phi-divergences by name: generator, conjugate, their derivatives, limits.

D_phi(Q || Q0) = sum_i q0_i phi(q_i / q0_i), natural logarithms, phi(1) = 0 and phi'(1) = 0 where smooth, Q << Q0
always. Five of the named divergences are scaled members of one family, the Cressie-Read powers CR_k, and share its code.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

from drocl._special import as_float, cressie_read_of_log, entropy_of_log, namespace

Array = Any

__all__ = ["NAMES", "CVaR", "CressieRead", "Divergence", "JensenShannon", "Renyi", "TotalVariation", "get"]


@dataclass(frozen=True)
class Divergence:
    r"""One divergence: $D_\phi(Q\|Q_0) = \sum_i q_{0i}\,\phi(q_i/q_{0i})$.

    Attributes:
        name: the name `get` knows it by.
        params: the parameters it was made with.
        second_at_one, third_at_one: $\phi''(1)$, $\phi'''(1)$; nan where phi has a kink.
        slope_at_infinity: $\lim \phi(t)/t$; the conjugate is infinite above it.
        at_zero: $\phi(0)$, possibly infinite.
        domain: the closed interval of t on which phi is finite (an end may be excluded: see `at_zero`).
        power, scale: k and c where $D = c\,\mathrm{CR}_k$, else None.
        smooth: False where phi has kinks.
        is_phi: False for renyi, which is a function of a phi-divergence.
    """

    name: str
    params: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    second_at_one: float = math.nan
    third_at_one: float = math.nan
    slope_at_infinity: float = math.inf
    at_zero: float = math.inf
    domain: tuple[float, float] = (0.0, math.inf)
    power: float | None = None
    scale: float = 1.0
    smooth: ClassVar[bool] = True
    is_phi: ClassVar[bool] = True

    def __reduce__(self) -> tuple[Callable[..., "Divergence"], tuple[str, dict[str, float]]]:
        return _again, (self.name, dict(self.params))  # the params themselves are a read-only view, which does not pickle

    @property
    def label(self) -> str:
        """Name with parameters, e.g. `cressie_read(k=3)`."""
        inner = ", ".join(f"{key}={value:g}" for key, value in self.params.items())
        return f"{self.name}({inner})" if inner else self.name

    def phi(self, t: Array) -> Array:
        """Generator phi(t), elementwise; +inf outside the domain."""
        raise NotImplementedError

    def derivative(self, t: Array) -> Array:
        """phi'(t), elementwise; a subgradient at kinks."""
        raise NotImplementedError

    def conjugate(self, s: Array) -> Array:
        """Convex conjugate phi*(s) = sup_{t >= 0} s t - phi(t), elementwise."""
        raise NotImplementedError

    def conjugate_derivative(self, s: Array) -> Array:
        """(phi*)'(s), the maximising t, elementwise; +inf above `slope_at_infinity`."""
        raise NotImplementedError

    def conjugate_second_derivative(self, s: Array) -> Array:
        """(phi*)''(s), elementwise: the sensitivity of the maximising t."""
        raise NotImplementedError

    def between(self, q: Array, q0: Array, axis: int = -1) -> Array:
        r"""Divergence of Q from Q0.

        Args:
            q, q0: distributions (..., n), broadcast against each other; each sums to 1 along `axis`.
            axis: the axis of the atoms.

        Returns:
            $D(Q\|Q_0)$, shape (...); +inf where Q charges an atom that Q0 does not.

        >>> round(float(get("kl").between([0.75, 0.25], [0.5, 0.5])), 6)
        0.130812
        """
        xp = namespace(q, q0)
        q, q0 = as_float(q, xp), as_float(q0, xp)
        return xp.sum(self._terms(xp, q, q0), axis=axis)

    def _terms(self, xp: Any, q: Array, q0: Array) -> Array:
        inside = q0 > 0.0
        ratio = q / xp.where(inside, q0, xp.ones_like(q0))
        outside = xp.where(q > 0.0, xp.inf, 0.0 * q)
        return xp.where(inside, q0 * self.phi(xp.where(inside, ratio, xp.ones_like(ratio))), outside)

    def radius_max(self, mass: float) -> float:
        """Radius from which the ball holds the law Q0 conditioned on a set of Q0-mass `mass`, in (0, 1].

        >>> get("kl").radius_max(0.5) == math.log(2)
        True
        """
        if not 0.0 < mass <= 1.0:
            raise ValueError(f"mass={mass!r} must lie in (0, 1]")
        xp = namespace()
        inside = mass * float(self.phi(xp.asarray(1.0 / mass)))
        return inside + ((1.0 - mass) * self.at_zero if mass < 1.0 else 0.0)


def _again(name: str, params: dict[str, float]) -> Divergence:
    return get(name, **params)


def _on_support(function: Callable[[Any, Array], Array], t: Array, outside: float) -> Array:
    """Apply `function(xp, t)` where t >= 0, `outside` elsewhere."""
    xp = namespace(t)
    t = as_float(t, xp)
    good = t >= 0.0
    value = function(xp, xp.where(good, t, xp.ones_like(t)))
    return xp.where(good, value, xp.where(t < 0.0, outside + 0.0 * t, t))  # nan stays nan


def _log(xp: Any, t: Array) -> Array:
    positive = t > 0.0
    return xp.where(positive, xp.log(xp.where(positive, t, xp.ones_like(t))), -xp.inf + 0.0 * t)


class CressieRead(Divergence):
    r"""Scaled power divergence $c\,(t^k - kt + k - 1)/(k(k-1))$; limits $t\log t-t+1$ at k = 1, $-\log t+t-1$ at k = 0.

    With $y = s/c$: $\phi^{*}(s) = c\,[(1+(k-1)y)_+^{k/(k-1)} - 1]/k$ and $(\phi^{*})'(s) = (1+(k-1)y)_+^{1/(k-1)}$.
    """

    power: float

    def __init__(self, name: str, power: float, scale: float = 1.0, params: Mapping[str, float] | None = None) -> None:
        k = float(power)
        super().__init__(
            name,
            MappingProxyType(dict(params or {})),
            second_at_one=scale,
            third_at_one=scale * (k - 2.0),
            slope_at_infinity=scale / (1.0 - k) if k < 1.0 else math.inf,
            at_zero=scale / k if k > 0.0 else math.inf,
            power=k,
            scale=scale,
        )

    def log_density(self, y: Array) -> Array:
        """log of the maximising t at the unscaled slope y = s / scale; -inf where clipped, +inf beyond the slope."""
        xp = namespace(y)
        eps = self.power - 1.0
        if eps == 0.0:
            return y
        inside = 1.0 + eps * y > 0.0
        good = xp.log1p(xp.where(inside, eps * y, xp.zeros_like(y))) / eps
        return xp.where(inside, good, xp.where(y == y, math.copysign(math.inf, -eps) + 0.0 * good, y))

    def phi(self, t: Array) -> Array:
        return _on_support(lambda xp, x: self.scale * cressie_read_of_log(_log(xp, x), self.power), t, math.inf)

    def derivative(self, t: Array) -> Array:
        eps = self.power - 1.0

        def slope(xp: Any, x: Array) -> Array:
            log_t = _log(xp, x)
            return self.scale * (xp.expm1(eps * log_t) / eps if eps else log_t)

        return _on_support(slope, t, math.nan)

    def conjugate(self, s: Array) -> Array:
        xp = namespace(s)
        log_t = self.log_density(as_float(s, xp) / self.scale)
        value = self.scale * (xp.expm1(self.power * log_t) / self.power if self.power else log_t)
        beyond = as_float(s, xp) > self.slope_at_infinity
        return xp.where(beyond, xp.full_like(value, xp.inf), value) if self.power < 1.0 else value

    def conjugate_derivative(self, s: Array) -> Array:
        xp = namespace(s)
        return xp.exp(self.log_density(as_float(s, xp) / self.scale))

    def conjugate_second_derivative(self, s: Array) -> Array:
        xp = namespace(s)
        log_t = self.log_density(as_float(s, xp) / self.scale)
        kept = log_t > -xp.inf
        rest = xp.exp((2.0 - self.power) * xp.where(kept, log_t, xp.zeros_like(log_t))) / self.scale
        return xp.where(kept, rest, xp.zeros_like(rest))


class JensenShannon(Divergence):
    r"""Jensen-Shannon: $\phi(t) = \frac12[t\log t - (t+1)\log\frac{t+1}2]$, range [0, log 2).

    $\phi^{*}(s) = -\frac12\log(2-e^{2s})$ and $(\phi^{*})'(s) = 1/(2e^{-2s}-1)$ for $s < \frac12\log 2$.
    """

    def __init__(self) -> None:
        half = 0.5 * math.log(2.0)
        super().__init__("js", second_at_one=0.25, third_at_one=-0.375, slope_at_infinity=half, at_zero=half)

    def phi(self, t: Array) -> Array:
        # h(t) - 2 h((t + 1) / 2) with h = t log t - t + 1: at most half of it cancels near t = 1
        def value(xp: Any, x: Array) -> Array:
            middle = xp.log1p(0.5 * (x - 1.0))
            near = 0.5 * (entropy_of_log(_log(xp, x)) - 2.0 * entropy_of_log(middle))
            big = xp.where(x > 4.0, x, 4.0 * xp.ones_like(x))
            far = 0.5 * (xp.log1p(-1.0 / (big + 1.0)) * big - xp.log1p(big) + (big + 1.0) * math.log(2.0))
            return xp.where(x > 4.0, far, near)

        return _on_support(value, t, math.inf)

    def derivative(self, t: Array) -> Array:
        # (1/2) log(2 t / (1 + t)), through log1p on the side where the ratio is near 1
        def slope(xp: Any, x: Array) -> Array:
            positive = x > 0.0
            safe = xp.where(positive, x, xp.ones_like(x))
            return xp.where(positive, 0.5 * xp.log1p((safe - 1.0) / (safe + 1.0)), -xp.inf + 0.0 * x)

        return _on_support(slope, t, math.nan)

    def _gap(self, xp: Any, s: Array) -> Array:
        return -xp.expm1(2.0 * s - math.log(2.0))  # 1 - e^{2s}/2, > 0 inside the domain

    def conjugate(self, s: Array) -> Array:
        xp = namespace(s)
        s = as_float(s, xp)
        inside = s < self.slope_at_infinity
        safe = xp.where(inside, s, xp.zeros_like(s))
        near = -0.5 * xp.log1p(-xp.expm1(2.0 * safe))
        far = -0.5 * (math.log(2.0) + xp.log(self._gap(xp, safe)))
        value = xp.where(safe > 0.2, far, near)
        return xp.where(inside, value, xp.where(s == s, xp.inf + 0.0 * safe, s))

    def conjugate_derivative(self, s: Array) -> Array:
        xp = namespace(s)
        s = as_float(s, xp)
        inside = s < self.slope_at_infinity
        safe = xp.where(inside, s, xp.zeros_like(s))
        value = xp.exp(2.0 * safe - math.log(2.0)) / self._gap(xp, safe)
        return xp.where(inside, value, xp.where(s == s, xp.inf + 0.0 * safe, s))

    def conjugate_second_derivative(self, s: Array) -> Array:
        t = self.conjugate_derivative(s)
        return 2.0 * t * (1.0 + t)


class TotalVariation(Divergence):
    r"""Total variation: $\phi(t) = \frac12|t-1|$, range [0, 1); no second derivative at 1."""

    smooth: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__("tv", slope_at_infinity=0.5, at_zero=0.5)

    def phi(self, t: Array) -> Array:
        return _on_support(lambda xp, x: 0.5 * xp.abs(x - 1.0), t, math.inf)

    def derivative(self, t: Array) -> Array:
        return _on_support(lambda xp, x: 0.5 * xp.sign(x - 1.0), t, math.nan)

    def conjugate(self, s: Array) -> Array:
        xp = namespace(s)
        s = as_float(s, xp)
        return xp.where(s > 0.5, xp.inf + 0.0 * s, xp.where(s < -0.5, -0.5 + 0.0 * xp.exp(s), s))

    def conjugate_derivative(self, s: Array) -> Array:
        xp = namespace(s)
        s = as_float(s, xp)
        one = xp.ones_like(s)
        return xp.where(s > 0.5, xp.inf * one, xp.where(s < -0.5, 0.0 * one, xp.where(s == s, one, s)))

    def conjugate_second_derivative(self, s: Array) -> Array:
        xp = namespace(s)
        return xp.zeros_like(as_float(s, xp))


class CVaR(Divergence):
    r"""Conditional value at risk at tail fraction a: $\phi = 0$ on $[0, 1/a]$, +inf beyond; $\phi^{*}(s) = s_+/a$."""

    smooth: ClassVar[bool] = False

    def __init__(self, level: float) -> None:
        if not 0.0 < level <= 1.0:
            raise ValueError(f"level={level!r} must lie in (0, 1]: it is the tail fraction of cvar")
        params = MappingProxyType({"level": float(level)})
        super().__init__("cvar", params, at_zero=0.0, domain=(0.0, 1.0 / level))

    @property
    def level(self) -> float:
        """Tail fraction a, in (0, 1]."""
        return self.params["level"]

    def phi(self, t: Array) -> Array:
        # a ratio that overshoots 1/a by rounding alone is still inside
        cap = self.domain[1] * (1.0 + 1e-12)
        return _on_support(lambda xp, x: xp.where(x > cap, xp.inf + 0.0 * x, xp.zeros_like(x)), t, math.inf)

    def derivative(self, t: Array) -> Array:
        return _on_support(lambda xp, x: xp.zeros_like(x), t, math.nan)

    def conjugate(self, s: Array) -> Array:
        xp = namespace(s)
        s = as_float(s, xp)
        return xp.where(s > 0.0, s / self.level, 0.0 * xp.exp(-xp.abs(s)))

    def conjugate_derivative(self, s: Array) -> Array:
        xp = namespace(s)
        s = as_float(s, xp)
        return xp.where(s > 0.0, xp.ones_like(s) / self.level, 0.0 * xp.exp(-xp.abs(s)))

    def conjugate_second_derivative(self, s: Array) -> Array:
        xp = namespace(s)
        return xp.zeros_like(as_float(s, xp))


class Renyi(Divergence):
    r"""Renyi divergence of order a: $\log\big(\sum q^a q_0^{1-a}\big)/(a-1)$, KL at a = 1.

    Not a phi-divergence, but an increasing function of CR_a, $\mathrm{CR} = (e^{(a-1)\eta}-1)/(a(a-1))$, so the balls
    and their worst cases are the same.
    """

    is_phi: ClassVar[bool] = False

    def __init__(self, order: float) -> None:
        if not (order > 0.0 and math.isfinite(order)):
            raise ValueError(f"order={order!r} must be a positive finite number")
        params = MappingProxyType({"order": float(order)})
        super().__init__("renyi", params, second_at_one=float(order), power=None)

    @property
    def order(self) -> float:
        """Order a > 0."""
        return self.params["order"]

    @property
    def carrier(self) -> CressieRead:
        """The Cressie-Read divergence with the same balls."""
        return CressieRead("cressie_read", self.order, params={"k": self.order})

    def to_carrier(self, radius: Array) -> Array:
        """Radius of the same ball in the carrier divergence."""
        xp = namespace(radius)
        a = self.order
        return as_float(radius, xp) if a == 1.0 else xp.expm1((a - 1.0) * as_float(radius, xp)) / (a * (a - 1.0))

    def from_carrier(self, radius: Array) -> Array:
        """Renyi radius of a ball whose carrier radius is given; inverse of `to_carrier`."""
        xp = namespace(radius)
        a = self.order
        return as_float(radius, xp) if a == 1.0 else xp.log1p(a * (a - 1.0) * as_float(radius, xp)) / (a - 1.0)

    def _not_phi(self) -> TypeError:
        return TypeError(
            "renyi is not a phi-divergence: it has no generator (see `carrier` for one with the same balls)"
        )

    def phi(self, t: Array) -> Array:
        """Not defined."""
        raise self._not_phi()

    def derivative(self, t: Array) -> Array:
        """Not defined."""
        raise self._not_phi()

    def conjugate(self, s: Array) -> Array:
        """Not defined."""
        raise self._not_phi()

    def conjugate_derivative(self, s: Array) -> Array:
        """Not defined."""
        raise self._not_phi()

    def conjugate_second_derivative(self, s: Array) -> Array:
        """Not defined."""
        raise self._not_phi()

    def between(self, q: Array, q0: Array, axis: int = -1) -> Array:
        """Renyi divergence of Q from Q0; see `Divergence.between`."""
        return self.from_carrier(self.carrier.between(q, q0, axis=axis))

    def radius_max(self, mass: float) -> float:
        """-log(mass), whatever the order."""
        if not 0.0 < mass <= 1.0:
            raise ValueError(f"mass={mass!r} must lie in (0, 1]")
        return -math.log(mass)


def _cressie_read(k: float) -> Divergence:
    if not math.isfinite(k):
        raise ValueError(f"k={k!r} must be a finite number")
    return CressieRead("cressie_read", k, params={"k": float(k)})


_MAKERS: dict[str, tuple[tuple[str, ...], Callable[..., Divergence]]] = {
    "kl": ((), lambda: CressieRead("kl", 1.0)),
    "reverse_kl": ((), lambda: CressieRead("reverse_kl", 0.0)),
    "chi2": ((), lambda: CressieRead("chi2", 2.0, 2.0)),
    "neyman": ((), lambda: CressieRead("neyman", -1.0, 2.0)),
    "hellinger": ((), lambda: CressieRead("hellinger", 0.5, 0.5)),
    "cressie_read": (("k",), _cressie_read),
    "js": ((), JensenShannon),
    "tv": ((), TotalVariation),
    "cvar": (("level",), CVaR),
    "renyi": (("order",), Renyi),
}

NAMES: tuple[str, ...] = tuple(_MAKERS)


def get(name: "str | Divergence", **params: float) -> Divergence:
    r"""Divergence by name.

    Args:
        name: one of `NAMES`, or a Divergence, which is returned as it is.
        **params: `k` for cressie_read (any finite number), `level` in (0, 1] for cvar, `order` > 0 for renyi.

    Returns:
        The divergence.

    Raises:
        ValueError: for an unknown name (the message lists the known ones) or missing, unknown or bad parameters.

    >>> get("chi2").second_at_one, get("cressie_read", k=3).label
    (2.0, 'cressie_read(k=3)')
    """
    if isinstance(name, Divergence):
        if params:
            raise ValueError(f"parameters {sorted(params)} cannot be added to the divergence {name.label}")
        return name
    if not isinstance(name, str) or name not in _MAKERS:
        raise ValueError(f"divergence={name!r} is unknown; the known ones are {', '.join(NAMES)}")
    wanted, make = _MAKERS[name]
    if set(params) != set(wanted):
        takes = f"takes exactly {', '.join(wanted)}" if wanted else "takes no parameters"
        raise ValueError(f"divergence {name!r} {takes}; got {sorted(params) if params else 'none'}")
    for key, value in params.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            try:
                params[key] = float(value)
            except (TypeError, ValueError):
                raise ValueError(f"{key}={value!r} must be a number") from None
    return make(**params)
