"""The public functions: validation, array types, and the result."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import array_api_compat
import numpy as np

from drocl import divergences
from drocl._special import namespace
from drocl.divergences import CVaR, Divergence, Renyi
from drocl.dro.solve import OUTPUTS, Curve, Problem, in_blocks, solve_block

Array = Any
Late = Callable[[], tuple[Array, Array]]


@dataclass(frozen=True, eq=False)
class WorstCase:
    r"""Solutions of a batch of inner problems; shapes without the axis of the atoms except `weights`.

    Attributes:
        value: the optimum, (...); in the penalised form $E_Q f - \tau D$.
        multiplier: right derivative of the optimum in the radius, (...); the temperature in the penalised form.
        normalizer: dual variable $\beta$ of $\sum q = 1$, (...): $q_i = q_{0i}\,(\phi^{*})'((f_i-\beta)/\alpha)$.
        radius: $D(Q^\star\|Q_0)$, (...).
        excess: $E_{Q^\star} f - E_{Q_0} f$, (...), accurate also where it is far below the rounding of `value`.
        weights: $Q^\star$, (..., n); computed when first asked for.
        gap: absolute primal-dual gap in units of the scores, (...); computed with the weights.
    """

    value: Array
    multiplier: Array
    normalizer: Array
    radius: Array
    excess: Array
    _late: Late = field(repr=False)

    @cached_property
    def _pair(self) -> tuple[Array, Array]:
        return self._late()

    @property
    def weights(self) -> Array:
        """Worst-case law, (..., n)."""
        return self._pair[0]

    @property
    def gap(self) -> Array:
        """Primal-dual gap, (...)."""
        return self._pair[1]


def worst_case(
    scores: Array,
    *,
    radius: Array | None = None,
    temperature: Array | None = None,
    divergence: str | Divergence = "kl",
    base: Array | None = None,
    dim: int = -1,
) -> WorstCase:
    r"""Solve the inner problem of phi-divergence DRO, exactly and for any batch.

    $$ \sup_{Q:\,D_\phi(Q\|Q_0)\le\eta} \mathbb E_Q f \qquad\text{or}\qquad \sup_Q \mathbb E_Q f - \tau D_\phi(Q\|Q_0). $$

    Args:
        scores: f, (..., n) along `dim`; numpy, torch (any device) or nested lists. -inf is never chosen unless forced,
            +inf makes the value +inf. Half and single precision are solved in double and returned as they came.
        radius: eta >= 0 in nats, broadcast against the batch shape.
        temperature: tau > 0 in units of the scores, likewise. Exactly one of the two, neither for cvar.
        divergence: a name of `drocl.divergences.NAMES` without parameters, or an object of `divergences.get`.
        base: Q0, (n,) or broadcast against `scores`, nonnegative, normalised here; uniform if None.
        dim: the axis of the atoms.

    Returns:
        A `WorstCase`. Torch inputs that require gradients get differentiable outputs (Danskin for the value,
        implicit differentiation for multiplier and weights).

    Raises:
        ValueError: nan scores, a negative radius, a non-positive temperature, a negative or all-zero base, shapes that
            do not broadcast, an unknown divergence.

    Source: wu2023, Theorem 3.2 (KL); dual of Ben-Tal et al. 2013 for general phi.

    >>> best = worst_case([0.0, 1.0], radius=0.130812)
    >>> [round(float(w), 4) for w in best.weights], round(float(best.multiplier), 4)
    ([0.25, 0.75], 0.9102)
    """
    chosen = divergences.get(divergence) if not isinstance(divergence, Divergence) else divergence
    problem = _Request.read(scores, radius, temperature, chosen, base, dim)
    if problem.wants_gradient:
        from drocl.dro import autograd

        return autograd.worst_case(problem)
    return problem.solve()


def radius_of(
    scores: Array, temperature: Array, *, divergence: str | Divergence = "kl", base: Array | None = None, dim: int = -1
) -> Array:
    r"""Radius that a temperature spends: $\eta(\tau) = D_\phi(Q^\star_\tau\|Q_0)$, exactly.

    Args:
        scores: (..., n) along `dim`.
        temperature: tau > 0, broadcast against the batch shape.
        divergence, base, dim: as in `worst_case`; not cvar.

    Returns:
        Radius in nats, (...).

    Raises:
        ValueError: as `worst_case`.

    Source: wu2023, Theorem 3.2; $\eta(\tau) = tK'(t) - K(t)$ at $t = 1/\tau$ for KL.

    >>> round(float(radius_of([0.0, 1.0], 0.91024)), 4)
    0.1308
    """
    return worst_case(scores, temperature=temperature, divergence=divergence, base=base, dim=dim).radius


def temperature_of(
    scores: Array,
    radius: Array,
    *,
    divergence: str | Divergence = "kl",
    base: Array | None = None,
    dim: int = -1,
    approximation: Literal["variance", "skew", "gaussian"] | None = None,
) -> Array:
    r"""Temperature that a radius buys: the multiplier of the constraint, exactly or by an expansion.

    Args:
        scores: (..., n) along `dim`.
        radius: eta >= 0 in nats, broadcast against the batch shape.
        divergence, base, dim: as in `worst_case`.
        approximation: None for the exact root; "variance" for $\sigma/\sqrt{2\eta\phi''(1)}$ (Corollary 3.4); "skew" adds
            $-\phi'''(1)\gamma_1\sigma/(3\phi''(1)^2)$; "gaussian" is the exact law for Gaussian scores of the same
            variance under KL (equal to "variance"; other divergences have no closed form and are refused).

    Returns:
        Temperature in units of the scores, (...).

    Raises:
        ValueError: as `worst_case`; an unknown approximation; one that the divergence does not have.

    Source: wu2023, Theorem 3.2 and Corollary 3.4; the correction: Lam 2016 for KL, derived here for general phi.

    >>> round(float(temperature_of([0.0, 1.0], 0.130812, approximation="variance")), 4)
    0.9775
    """
    if approximation is None:
        return worst_case(scores, radius=radius, divergence=divergence, base=base, dim=dim).multiplier
    chosen = divergences.get(divergence) if not isinstance(divergence, Divergence) else divergence
    if approximation not in ("variance", "skew", "gaussian"):
        raise ValueError(f"approximation={approximation!r} must be None, 'variance', 'skew' or 'gaussian'")
    if approximation == "gaussian" and chosen.name != "kl":
        raise ValueError(f"approximation='gaussian' has a closed form for kl only, not for {chosen.label}")
    if not chosen.smooth:
        raise ValueError(f"approximation={approximation!r} needs phi''(1), which {chosen.label} has not")
    problem = _Request.read(scores, radius, None, chosen, base, dim)
    return problem.expansion(approximation)


def _third(divergence: Divergence) -> tuple[float, float]:
    """phi''(1), phi'''(1) of the divergence, or of the expansion that a Renyi ball has."""
    if isinstance(divergence, Renyi):
        carrier = divergence.carrier
        # alpha_R = alpha_CR (1 + O(eta)) / a at eta_CR = eta / a + O(eta^2): same two terms as CR rescaled by a
        a = divergence.order
        return a, a * carrier.third_at_one
    return divergence.second_at_one, divergence.third_at_one


@dataclass
class _Request:
    """Validated arguments, in the shapes and the array library of the solver."""

    problem: Problem
    batch: tuple[int, ...]
    dim: int
    back: Callable[[Array], Array]
    tensors: dict[str, Any]

    @classmethod
    def read(
        cls,
        scores: Array,
        radius: Array | None,
        temperature: Array | None,
        divergence: Divergence,
        base: Array | None,
        dim: int,
    ) -> "_Request":
        if not isinstance(divergence, Divergence):
            raise ValueError(f"divergence={divergence!r} must be a name or an object of drocl.divergences.get")
        _one_budget(radius, temperature, divergence)
        tensors = {"scores": scores, "radius": radius, "temperature": temperature, "base": base}
        native, back = _arrays(scores)
        xp = namespace(native)
        if native.ndim == 0:
            raise ValueError("scores must have at least one axis, got a number")
        if not -native.ndim <= dim < native.ndim:
            raise ValueError(
                f"dim={dim} must lie in [{-native.ndim}, {native.ndim - 1}] for scores of shape {tuple(native.shape)}"
            )
        native = xp.moveaxis(native, dim, -1)
        *lead, n = (int(size) for size in native.shape)
        batch = tuple(lead)
        if n == 0:
            raise ValueError("scores must hold at least one atom along dim")
        if bool(xp.any(native != native)):
            raise ValueError("scores must not hold nan; give an atom base weight 0 to mask it")
        total = math.prod(batch)
        budget = {
            name: _budget(xp, native, value, name, batch, total)
            for name, value in (("radius", radius), ("temperature", temperature))
        }
        flat = xp.reshape(native, (total, n))
        weights = _base(xp, native, base, batch, n, total, dim)
        problem = Problem(xp, flat, weights, divergence, budget["radius"], budget["temperature"])
        return cls(problem, batch, dim, back, tensors)

    @property
    def wants_gradient(self) -> bool:
        asked = [t for t in self.tensors.values() if getattr(t, "requires_grad", False)]
        if not asked:
            return False
        import torch

        return torch.is_grad_enabled()

    def solve(self) -> WorstCase:
        """Numbers without gradients."""
        if self.problem.scores.shape[0] == 0:
            return self._empty()
        solved = in_blocks(self.problem, solve_block)
        value, multiplier, normalizer, radius, excess = (self.scalar(solved[name]) for name in OUTPUTS)

        def late() -> tuple[Array, Array]:
            weights, gap = self.late(solved)
            return self.per_atom(weights), self.scalar(gap)

        return WorstCase(value, multiplier, normalizer, radius, excess, late)

    def late(self, solved: dict[str, Array]) -> tuple[Array, Array]:
        """Weights and gap in solver shape."""
        if "weights" in solved:
            return solved["weights"], solved["gap"]

        def again(block: Problem, rows: slice) -> dict[str, Array]:
            return Curve(block).late({key: a[rows] for key, a in solved.items()})

        done = in_blocks(self.problem, again)
        return done["weights"], done["gap"]

    def _empty(self) -> WorstCase:
        xp, flat = self.problem.xp, self.problem.scores
        nothing = xp.astype(flat[:, 0], xp.float64)
        none = self.scalar(nothing)
        return WorstCase(none, none, none, none, none, lambda: (self.per_atom(xp.astype(flat, xp.float64)), none))

    def scalar(self, a: Array) -> Array:
        """(rows,) in the caller's batch shape, type and precision."""
        return self.back(self.problem.xp.reshape(a, self.batch))

    def per_atom(self, a: Array) -> Array:
        """(rows, n) in the caller's shape, type and precision."""
        xp = self.problem.xp
        full = xp.reshape(a, (*self.batch, a.shape[-1]))
        return self.back(xp.moveaxis(full, -1, self.dim))

    def expansion(self, order: str) -> Array:
        """sigma / sqrt(2 eta phi''), plus the skewness term for "skew"."""
        from drocl.dro.rows import column
        from drocl.dro.solve import prepare

        second, third = _third(self.problem.divergence)

        def work(block: Problem, _: slice) -> dict[str, Array]:
            xp = block.xp
            ready = prepare(block, keep_total=False)
            rows, zero = ready.rows, xp.zeros_like(ready.rows.highest)
            variance = rows.mean_with(rows.e, rows.e)
            sigma = xp.sqrt(variance)
            eta = block.radius * (zero + 1.0)
            tau = sigma / xp.sqrt(2.0 * eta * second)
            if order == "skew":
                cubic = rows.mean(rows.e**3) / xp.where(variance > 0.0, variance, zero + 1.0)  # gamma1 sigma
                tau = tau - third / (3.0 * second**2) * cubic
            tau = tau * rows.spread / ready.lo_scale
            odd = ready.infinite | (ready.dead > 0.0)
            return {"tau": xp.where(ready.constant, zero, xp.where(odd, zero + xp.nan, tau)) + 0.0 * column(zero)[:, 0]}

        return self.scalar(in_blocks(self.problem, work)["tau"])


def _one_budget(radius: Array | None, temperature: Array | None, divergence: Divergence) -> None:
    if isinstance(divergence, CVaR):
        if radius is not None or temperature is not None:
            given = "radius" if radius is not None else "temperature"
            raise ValueError(
                f"{given} plays no part for cvar: its level is its size; give neither radius nor temperature"
            )
    elif (radius is None) == (temperature is None):
        state = "both" if radius is not None else "neither"
        raise ValueError(f"exactly one of radius and temperature must be given, got {state}")
    if isinstance(divergence, Renyi) and divergence.order > 1.0 and temperature is not None:
        raise ValueError(
            f"temperature cannot be used with renyi of order {divergence.order:g} > 1: the penalised problem is not concave; "
            "give radius, or cressie_read with k = order"
        )


def _arrays(scores: Array) -> tuple[Array, Callable[[Array], Array]]:
    """The solver's view of `scores`, and the way back to the caller's type, device and precision."""
    if array_api_compat.is_torch_array(scores):
        import torch

        dtype = scores.dtype if scores.dtype.is_floating_point else torch.float64
        plain = scores.detach()
        if plain.device.type == "cpu":
            ready = plain if plain.dtype in (torch.float32, torch.float64) else plain.to(torch.float64)
            return ready.numpy(), lambda a: torch.from_numpy(np.ascontiguousarray(a)).to(dtype)
        return plain.to(torch.float64) if not plain.dtype.is_floating_point else plain, lambda a: a.to(dtype)
    if array_api_compat.is_array_api_obj(scores) and not isinstance(scores, np.ndarray):
        xp = array_api_compat.array_namespace(scores)
        dtype = scores.dtype if xp.isdtype(scores.dtype, "real floating") else xp.float64
        return xp.astype(scores, dtype), lambda a: xp.astype(a, dtype)
    try:
        array = np.asarray(scores)
        kept = array.dtype if array.dtype.kind == "f" else np.dtype(np.float64)
        array = array if array.dtype.kind == "f" and array.dtype.itemsize >= 4 else array.astype(np.float64)
    except (TypeError, ValueError) as problem:
        raise ValueError(f"scores must be numbers of a regular shape: {problem}") from None
    if array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    return array, lambda a: np.asarray(a).astype(kept, copy=False)[()]


def _like(xp: Any, native: Array, value: Array, name: str) -> Array:
    """`value` as a float64 array beside `native`."""
    if array_api_compat.is_torch_array(value):
        value = value.detach()
        if isinstance(native, np.ndarray):
            value = value.cpu().double().numpy()
    try:
        if isinstance(native, np.ndarray):
            return np.asarray(value, dtype=np.float64)
        return xp.astype(xp.asarray(value, device=native.device), xp.float64)
    except (TypeError, ValueError) as problem:
        raise ValueError(f"{name}={value!r} must be a number or an array of numbers: {problem}") from None


def _budget(xp: Any, native: Array, value: Array | None, name: str, batch: tuple[int, ...], total: int) -> Array | None:
    if value is None:
        return None
    given = _like(xp, native, value, name)
    low = 0.0 if name == "radius" else None
    bad = ~(given >= 0.0) if low is not None else ~(given > 0.0)
    if bool(xp.any(bad)):
        shown = float(xp.reshape(given[bad] if given.ndim else given, (-1,))[0])
        allowed = "be a number >= 0" if low is not None else "be a number > 0"
        raise ValueError(f"{name}={shown!r} must {allowed}")
    if name == "temperature" and bool(xp.any(given == xp.inf)):
        raise ValueError("temperature=inf must be finite; radius=0 gives the base law")
    try:
        return xp.reshape(xp.broadcast_to(given, batch), (total,))
    except (ValueError, RuntimeError):
        raise ValueError(
            f"{name} of shape {tuple(given.shape)} does not broadcast against the batch shape {batch} of scores"
        ) from None


def _base(
    xp: Any, native: Array, base: Array | None, batch: tuple[int, ...], n: int, total: int, dim: int
) -> Array | None:
    if base is None:
        return None
    q = _like(xp, native, base, "base")
    if q.ndim == 0:
        raise ValueError("base must have an axis of atoms, got a number")
    bad = ~((q >= 0.0) & (q < xp.inf))
    if bool(xp.any(bad)):
        raise ValueError(f"base={float(q[bad][0])!r} must be nonnegative and finite")
    if q.ndim > 1:
        lead = (1,) * (len(batch) + 1 - q.ndim)
        q = xp.moveaxis(xp.reshape(q, lead + tuple(q.shape)), dim, -1)
    shared = q.ndim == 1 or math.prod(q.shape[:-1]) == 1
    try:
        full = (
            xp.broadcast_to(xp.reshape(q, (q.shape[-1],)), (n,))[None, :] if shared else xp.broadcast_to(q, (*batch, n))
        )
    except (ValueError, RuntimeError):
        raise ValueError(
            f"base of shape {tuple(q.shape)} does not broadcast against scores of shape {(*batch, n)}"
        ) from None
    biggest = xp.max(full, axis=-1, keepdims=True)
    if not bool(xp.all(biggest > 0.0)):
        raise ValueError("base must give some atom positive weight; it is all zero along dim")
    full = full / biggest
    full = full / xp.sum(full, axis=-1, keepdims=True)
    return full if shared else xp.reshape(full, (total, n))
