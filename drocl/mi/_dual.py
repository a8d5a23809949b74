r"""The variational form of a phi-divergence, tight and loose, on weighted samples in torch.

$$ D_\phi(P\|Q) = \max_f \; E_P f - \lambda - E_Q\,\phi^{*}(f - \lambda) , $$

with the $\lambda$ that minimises (tight) or 0 (loose). The critic enters as an estimate g of $\log dP/dQ$ through
$f = \phi'(e^g)$, which stays in the domain of $\phi^{*}$, or directly as f. Both kinds of divergence below write the density
$t = (\phi^{*})'(f-\lambda)$ through one carrier of g, so that nothing cancels where $\phi'$ has an asymptote.
"""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from drocl import divergences
from drocl.divergences import CressieRead, Divergence, JensenShannon

LOWEST = math.log(
    1e-4
)  # floor of a log-ratio where the density is clipped to zero: any log-ratio keeps a bound a bound


class Dual(ABC):
    """One divergence with the carrier of its critic; `direct` says that the critic is f itself."""

    tame: tuple[float, float] = (math.inf, math.inf)  # log-ratios in [-a, b] are taken as they are

    def __init__(self, divergence: Divergence, direct: bool) -> None:
        self.divergence, self.direct = divergence, direct

    @abstractmethod
    def carrier(self, g: Tensor) -> Tensor:
        """What the density is a function of."""

    @abstractmethod
    def slope(self, g: Tensor) -> Tensor:
        """f at the critic's value."""

    @abstractmethod
    def log_density(self, carried: Tensor, shift: float) -> Tensor:
        """log t at a shift (this class's own parameter of lambda); -inf where clipped."""

    @abstractmethod
    def conjugate(self, carried: Tensor, shift: float) -> Tensor:
        """phi*(f - lambda)."""

    @abstractmethod
    def to_lambda(self, shift: float) -> float:
        """lambda of a shift."""

    @abstractmethod
    def bracket(self, carried: Tensor, least: float) -> tuple[float, float]:
        """Shifts (a, b): E t <= 1 at a and E t >= 1 at b; `least` is the smallest weight of an atom."""

    @abstractmethod
    def newton(self, carried: Tensor, shift: float, weights: Tensor | None) -> tuple[float, float]:
        """E t - 1 and the Newton step of a transform of it that is linear for one atom."""

    def ratio(self, g: Tensor, shift: float) -> Tensor:
        """log t of a critic's values, floored at log 1e-4."""
        return self.log_density(self.carrier(g), shift).clamp_min(LOWEST)

    def limited(self, g: Tensor) -> Tensor:
        """A log-ratio as it is where its carrier is tame, logarithmic beyond: the carrier then grows linearly, not exponentially."""
        low, high = self.tame
        if low < math.inf and float(g.detach().min()) < -low:
            g = torch.where(g < -low, -low - torch.log1p((-low - g).clamp_min(0.0)), g)
        if high < math.inf and float(g.detach().max()) > high:
            g = torch.where(g > high, high + torch.log1p((g - high).clamp_min(0.0)), g)
        return g

    def best_shift(self, g: Tensor, weights: Tensor | None = None, start: float = 0.0) -> float:
        """The shift at which the density has mean one: the minimiser of lambda + E phi*(f - lambda)."""
        with torch.no_grad():
            return self.solve(self.carrier(g.detach()), weights, start)

    def solve(self, carried: Tensor, weights: Tensor | None = None, start: float = 0.0) -> float:
        """`best_shift` from carriers, by safeguarded Newton steps inside a bracket."""
        with torch.no_grad():
            carried = carried.detach().flatten()
            flat = None if weights is None else weights.flatten() / weights.sum()
            least = 1.0 / carried.numel() if flat is None else float(flat[flat > 0].min())
            under, over = self.bracket(carried, least)
            tolerance = 1e-13 if carried.dtype == torch.float64 else 1e-4  # the value sees its square
            shift = min(max(start, min(under, over)), max(under, over))
            for _ in range(60):
                excess, step = self.newton(carried, shift, flat)
                if excess > 0.0:
                    over = shift
                else:
                    under = shift
                if abs(excess) <= tolerance or abs(under - over) <= tolerance * (1.0 + abs(shift)):
                    break
                inside = min(under, over) < shift + step < max(under, over)
                shift = shift + step if inside else 0.5 * (under + over)
            return shift

    def objective(
        self, positives: Tensor, negatives: Tensor, shift: float | None, p: Tensor | None = None, q: Tensor | None = None,
        start: float = 0.0,
    ) -> tuple[Tensor, float]:  # fmt: skip
        """E_P f - lambda - E_Q phi*(f - lambda) and the shift; None for the best one, held fixed in the gradient (envelope theorem)."""
        carried = self.carrier(negatives)
        if shift is None:
            shift = self.solve(carried, q, start)
        inner = _mean(self.conjugate(carried, shift), q)
        return _mean(self.slope(positives), p) - self.to_lambda(shift) - inner, shift


def _mean(values: Tensor, weights: Tensor | None) -> Tensor:
    return values.mean() if weights is None else (values * weights).sum() / weights.sum()


class KLDual(Dual):
    """KL: lambda is a log-mean-exp, and direct and through the log-ratio are the same."""

    def carrier(self, g: Tensor) -> Tensor:
        return g

    def slope(self, g: Tensor) -> Tensor:
        return g

    def log_density(self, carried: Tensor, shift: float) -> Tensor:
        return carried - shift

    def conjugate(self, carried: Tensor, shift: float) -> Tensor:
        return torch.expm1(carried - shift)

    def to_lambda(self, shift: float) -> float:
        return shift

    def solve(self, carried: Tensor, weights: Tensor | None = None, start: float = 0.0) -> float:
        flat = carried.detach().flatten()
        if weights is not None:
            return float(torch.logsumexp(flat + torch.log(weights.flatten() / weights.sum()), 0))
        return float(torch.logsumexp(flat, 0)) - math.log(flat.numel())

    def bracket(self, carried: Tensor, least: float) -> tuple[float, float]:
        raise NotImplementedError  # closed form above

    def newton(self, carried: Tensor, shift: float, weights: Tensor | None) -> tuple[float, float]:
        raise NotImplementedError


class PowerDual(Dual):
    r"""Scaled Cressie-Read, k != 1: $t = (u - m)_+^{1/\epsilon}$, $\epsilon = k - 1$, $u = e^{\epsilon g}$, $m = \epsilon\lambda/c$."""

    def __init__(self, divergence: CressieRead, direct: bool) -> None:
        super().__init__(divergence, direct)
        self.k, self.c, self.eps = divergence.power, divergence.scale, divergence.power - 1.0
        self.plain = min(abs(self.k), abs(self.eps)) > 0.05  # powers that lose no digits
        self.tame = (math.inf, math.inf) if direct else (8.0, math.inf) if self.eps < 0.0 else (math.inf, 12.0)

    def carrier(self, g: Tensor) -> Tensor:
        return 1.0 + self.eps / self.c * g if self.direct else torch.exp(self.eps * self.limited(g))

    def slope(self, g: Tensor) -> Tensor:
        return g if self.direct else self.c / self.eps * torch.expm1(self.eps * self.limited(g))

    def log_density(self, carried: Tensor, shift: float) -> Tensor:
        base = carried - shift
        inside = base > 0.0
        safe = torch.where(inside, base, torch.ones_like(base))
        return torch.where(
            inside, torch.log(safe) / self.eps, math.copysign(math.inf, -self.eps) * torch.ones_like(base)
        )

    def conjugate(self, carried: Tensor, shift: float) -> Tensor:
        if self.k == 2.0:
            return 0.5 * self.c * (torch.clamp(carried - shift, min=0.0).square() - 1.0)
        base = carried - shift
        if self.plain and float(base.detach().min()) > 0.0:
            return self.c / self.k * (torch.pow(base, self.k / self.eps) - 1.0)
        inside = base > 0.0
        safe = torch.where(inside, base, torch.ones_like(base))  # on both sides of the kink, for the gradient
        if self.plain:
            value = self.c / self.k * (torch.pow(safe, self.k / self.eps) - 1.0)
            return torch.where(inside, value, (-self.c / self.k if self.k > 1.0 else math.inf) * torch.ones_like(value))
        log_t = torch.log(safe) / self.eps
        value = self.c * (torch.expm1(self.k * log_t) / self.k if self.k else log_t)
        return torch.where(inside, value, (-self.c / self.k if self.k > 1.0 else math.inf) * torch.ones_like(value))

    def to_lambda(self, shift: float) -> float:
        return self.c * shift / self.eps

    def bracket(self, carried: Tensor, least: float) -> tuple[float, float]:
        top = float(carried.max() if self.eps > 0.0 else carried.min())  # the atom of the largest density
        return top - 1.0, top - least**-self.eps

    def newton(self, carried: Tensor, shift: float, weights: Tensor | None) -> tuple[float, float]:
        base = carried - shift
        if self.eps > 0.0:
            base = base.clamp_min(0.0)
        t = base if self.eps == 1.0 else torch.pow(base, 1.0 / self.eps)
        # dt / dshift = - t^{1 - eps} / eps; no density, no slope
        steep = (base > 0.0).to(t.dtype) if self.eps == 1.0 else torch.where(base > 0.0, t / base, torch.zeros_like(t))
        mean, fall = float(_mean(t, weights)), float(_mean(steep, weights))
        if not (mean > 0.0 and fall > 0.0 and math.isfinite(mean) and math.isfinite(fall)):
            return (mean - 1.0 if mean == mean else math.inf), math.nan
        return mean - 1.0, (mean - mean ** (1.0 - self.eps)) / fall


class ShannonDual(Dual):
    r"""Jensen-Shannon: $1/t = (1+\ell)w + \ell$ with $w = e^{-g}$ and $\ell = e^{2\lambda} - 1$."""

    def __init__(self, divergence: JensenShannon, direct: bool) -> None:
        super().__init__(divergence, direct)
        self.tame = (math.inf if direct else 20.0, math.inf)

    def carrier(self, g: Tensor) -> Tensor:
        return 2.0 * torch.exp(-2.0 * g) - 1.0 if self.direct else torch.exp(-self.limited(g))

    def slope(self, g: Tensor) -> Tensor:
        return g if self.direct else 0.5 * (math.log(2.0) - torch.nn.functional.softplus(-self.limited(g)))

    def log_density(self, carried: Tensor, shift: float) -> Tensor:
        below = (1.0 + shift) * carried + shift
        inside = below > 0.0
        return torch.where(
            inside, -torch.log(torch.where(inside, below, torch.ones_like(below))), math.inf * torch.ones_like(below)
        )

    def conjugate(self, carried: Tensor, shift: float) -> Tensor:
        below = (1.0 + shift) * carried + shift  # 1 / t, and phi* = log((1 + t) / 2) / 2
        return 0.5 * (torch.log1p(below) - torch.log(below) - math.log(2.0))

    def to_lambda(self, shift: float) -> float:
        return 0.5 * math.log1p(shift)

    def bracket(self, carried: Tensor, least: float) -> tuple[float, float]:
        low = float(carried.min())
        return (1.0 - low) / (1.0 + low), (least - low) / (1.0 + low)

    def newton(self, carried: Tensor, shift: float, weights: Tensor | None) -> tuple[float, float]:
        t = 1.0 / ((1.0 + shift) * carried + shift)
        mean, fall = float(_mean(t, weights)), float(_mean(t * t * (1.0 + carried), weights))
        return mean - 1.0, (mean * mean - mean) / fall if fall > 0.0 else math.nan


def make(divergence: str | Divergence = "kl", *, direct: bool = False, k: float | None = None) -> Dual:
    """The dual of a divergence that has one.

    Args:
        divergence: name or object of `drocl.divergences.get`: kl, chi2, reverse_kl, hellinger, neyman, js, cressie_read.
        direct: the critic is f rather than an estimate of the log-ratio.
        k: the power of cressie_read.

    Raises:
        ValueError: unknown, or not smooth (tv, cvar), or no phi-divergence (renyi).

    >>> make("cressie_read", k=1.0).divergence.label
    'cressie_read(k=1)'
    """
    chosen = divergences.get(divergence, **({} if k is None else {"k": k}))
    if isinstance(chosen, JensenShannon):
        return ShannonDual(chosen, direct)
    if isinstance(chosen, CressieRead):
        return KLDual(chosen, direct) if chosen.power == 1.0 and chosen.scale == 1.0 else PowerDual(chosen, direct)
    raise ValueError(
        f"divergence={chosen.label!r} has no smooth variational form with a density; choose kl, chi2, reverse_kl, hellinger, "
        "neyman, js or cressie_read with k"
    )
