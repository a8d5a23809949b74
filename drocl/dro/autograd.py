r"""Gradients of `worst_case` in torch: Danskin for the value, implicit differentiation for the rest, nothing unrolled.

The solver gives alpha and beta as numbers. `_Root` puts them into the graph: its backward solves the 2 x 2 linearised
optimality system E t = 1, D = eta, and is itself written in differentiable operations, so that derivatives of any order exist.
The value then is the Lagrange dual at (alpha, beta), whose gradient is Q* because the dual is stationary there.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from drocl.divergences import CVaR, JensenShannon, Renyi
from drocl.dro.solve import OUTPUTS, in_blocks, solve_block

if TYPE_CHECKING:
    from drocl.dro.api import WorstCase, _Request


class _Curve:
    """t(s), phi*(s) and omega(s) = phi*''(s) of the family member, in torch."""

    def __init__(self, request: "_Request") -> None:
        divergence = request.problem.divergence
        self.renyi = divergence if isinstance(divergence, Renyi) else None
        member = divergence.carrier if isinstance(divergence, Renyi) else divergence
        self.is_js = isinstance(member, JensenShannon)
        self.power = 1.0 if member.power is None else float(member.power)
        self.scale = 1.0 if self.is_js else member.scale

    def log_density(self, s: Tensor) -> Tensor:
        """log t; -inf where clipped."""
        if self.is_js:
            return -torch.log(2.0 * torch.exp(-2.0 * s) - 1.0)
        y, eps = s / self.scale, self.power - 1.0
        if eps == 0.0:
            return y
        inside = 1.0 + eps * y > 0.0
        value = torch.log1p(torch.where(inside, eps * y, torch.zeros_like(y))) / eps
        return torch.where(inside, value, torch.full_like(y, -torch.inf))

    def density(self, s: Tensor) -> Tensor:
        """t = (phi*)'(s), with a gradient that is 0, not nan, where clipped."""
        log_t = self.log_density(s)
        alive = log_t > -torch.inf
        return torch.where(
            alive, torch.exp(torch.where(alive, log_t, torch.zeros_like(log_t))), torch.zeros_like(log_t)
        )

    def conjugate(self, s: Tensor) -> Tensor:
        """phi*(s)."""
        if self.is_js:
            return -0.5 * torch.log1p(-torch.expm1(2.0 * s))
        log_t = self.log_density(s)
        alive = log_t > -torch.inf
        safe = torch.where(alive, log_t, torch.zeros_like(log_t))
        k = self.power
        value = torch.expm1(k * safe) / k if k else safe
        return self.scale * torch.where(alive, value, torch.full_like(value, -1.0 / k if k else -torch.inf))

    def sensitivity(self, t: Tensor) -> Tensor:
        """omega = phi*''(s) as a function of t."""
        if self.is_js:
            return 2.0 * t * (1.0 + t)
        alive = t > 0.0
        safe = torch.where(alive, t, torch.ones_like(t))
        return torch.where(alive, safe ** (2.0 - self.power), torch.zeros_like(t)) / self.scale


class _Root(torch.autograd.Function):
    """(alpha, beta) of the regular rows as functions of scores, base and budget."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, f: Tensor, q: Tensor, budget: Tensor, alpha: Tensor, beta: Tensor, curve: _Curve, constrained: bool
    ) -> tuple[Tensor, Tensor]:
        ctx.curve, ctx.constrained = curve, constrained
        out = alpha.clone(), beta.clone()
        ctx.save_for_backward(f, q, *out)
        return out

    @staticmethod
    def backward(ctx: Any, grad_alpha: Tensor, grad_beta: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        f, q, alpha, beta = ctx.saved_tensors
        curve: _Curve = ctx.curve
        s = (f - beta[:, None]) / alpha[:, None]
        t = curve.density(s)
        omega = q * curve.sensitivity(t)
        total = omega.sum(-1)
        middle = (omega * s).sum(-1) / total
        off = s - middle[:, None]
        if not ctx.constrained:  # alpha is the temperature itself
            grad_f = grad_beta[:, None] * omega / total[:, None]
            return (
                grad_f,
                (grad_beta * alpha / total)[:, None] * t,
                grad_alpha - middle * grad_beta,
                None,
                None,
                None,
                None,
            )
        spread = (omega * off * off).sum(-1)
        lean = (grad_alpha - middle * grad_beta) / spread
        grad_f = omega * (lean[:, None] * off + (grad_beta / total)[:, None])
        phi = s * t - curve.conjugate(s)
        first = alpha * (grad_beta / total - middle * lean)
        grad_q = first[:, None] * t + (alpha * lean)[:, None] * phi
        return grad_f, grad_q, -alpha * lean, None, None, None, None


class _Slope(torch.autograd.Function):
    """Zero, with gradient `slope` to x; lets an infinite slope through without making a nan of the value."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(slope)
        return torch.zeros_like(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (slope,) = ctx.saved_tensors
        return torch.where(grad == 0.0, torch.zeros_like(grad), grad * slope), None


def _exact(number: Tensor, graph: Tensor) -> Tensor:
    """The solver's number with the graph's gradient."""
    return number + (graph - graph.detach())


def worst_case(request: "_Request") -> "WorstCase":
    """Solve and attach gradients; see `drocl.dro.worst_case`."""
    from drocl.dro.api import WorstCase

    solved = in_blocks(request.problem, solve_block)
    weights_raw, gap_raw = request.late(solved)
    scores = _tensor(request.tensors["scores"], None)
    device, dtype = scores.device, scores.dtype
    f = torch.moveaxis(scores, request.dim, -1).reshape(request.problem.scores.shape).double()
    if bool((f == -torch.inf).any() | (f == torch.inf).any()):
        raise ValueError("scores with infinite entries have no gradient: mask an atom by base weight 0, or detach them")
    rows, n = f.shape
    number = {key: _number(value, device) for key, value in solved.items() if key in (*OUTPUTS, "state")}
    weights, gap = _number(weights_raw, device), _number(gap_raw, device)
    q = _base(request, f)
    if q.requires_grad and not request.problem.divergence.smooth:
        raise ValueError(
            f"base: gradients with respect to base exist for smooth divergences only, not {request.problem.divergence.label}"
        )
    constrained = request.problem.radius is not None
    budget = _budget(request, rows, f)
    centre = number["value"].detach().clone()
    centre = torch.where(torch.isfinite(centre), centre, torch.zeros_like(centre))
    f = f - centre[:, None]
    outputs = _kinked(request, f, q, budget, number, weights) if not request.problem.divergence.smooth else None
    if outputs is None:
        outputs = _smooth(request, f, q, budget, number, weights, centre, constrained)
    value, multiplier, normalizer, radius, excess = (outputs[key].reshape(request.batch).to(dtype) for key in OUTPUTS)
    full = torch.moveaxis(outputs["weights"].reshape(*request.batch, n), -1, request.dim).to(dtype)
    shaped_gap = gap.reshape(request.batch).to(dtype)
    return WorstCase(value, multiplier, normalizer, radius, excess, lambda: (full, shaped_gap))


def _smooth(
    request: "_Request", f: Tensor, q: Tensor, budget: Tensor, number: dict[str, Tensor], weights: Tensor, centre: Tensor,
    constrained: bool,
) -> dict[str, Tensor]:  # fmt: skip
    curve = _Curve(request)
    regular = torch.nonzero(number["state"] == 0.0)[:, 0]
    # edges: the law does not move, so the value is linear in the scores
    still = torch.where((number["state"] == 2.0)[:, None], weights, q)
    graph_value = (still * f).sum(-1)
    if constrained and budget.requires_grad:
        graph_value = graph_value + _Slope.apply(budget, torch.where(number["state"] == 0.0, 0.0, number["multiplier"]))
    elif budget.requires_grad:
        graph_value = graph_value - budget * number["radius"]
    graph = {
        "value": graph_value,
        "multiplier": number["multiplier"].clone() if constrained else budget + 0.0,
        "normalizer": (weights * f).sum(-1),
        "radius": torch.zeros_like(centre),
        "excess": graph_value - (q * f).sum(-1),
        "weights": still if still.requires_grad else weights.clone(),
    }
    if regular.numel():
        part = _regular(curve, f[regular], q[regular], budget[regular], number, regular, constrained, centre)
        for key, value in part.items():
            graph[key] = graph[key].index_put((regular,), value)
    out = {}
    for key in OUTPUTS:
        finite = torch.isfinite(number[key])
        out[key] = torch.where(
            finite, _exact(torch.where(finite, number[key], 0.0), graph[key].nan_to_num()), number[key]
        )
    out["weights"] = _exact(weights, graph["weights"])
    return out


def _regular(
    curve: _Curve,
    f: Tensor,
    q: Tensor,
    budget: Tensor,
    number: dict[str, Tensor],
    index: Tensor,
    constrained: bool,
    centre: Tensor,
) -> dict[str, Tensor]:
    beta0 = number["normalizer"][index] - centre[index]
    multiplier = number["multiplier"][index]
    renyi = curve.renyi
    # the carrier's own multiplier and budget, where the divergence is a function of another
    if renyi is None:
        alpha0, eta = multiplier, budget
    else:
        a = renyi.order
        stretch = torch.exp((a - 1.0) * number["radius"][index]) / a  # d carrier radius / d radius
        alpha0 = multiplier / stretch
        if constrained:
            eta = budget if a == 1.0 else torch.expm1((a - 1.0) * budget) / (a * (a - 1.0))
        else:
            raise ValueError(
                "gradients of the penalised renyi problem are not implemented: use cressie_read with k = order"
            )
    alpha, beta = _Root.apply(f, q, eta, alpha0, beta0, curve, constrained)
    if not constrained:
        alpha = eta
    s = (f - beta[:, None]) / alpha[:, None]
    t = curve.density(s)
    conjugate = (q * curve.conjugate(s)).sum(-1)
    dual = beta + alpha * conjugate + (alpha * eta if constrained else 0.0)
    radius = eta if constrained else (q * (s * t)).sum(-1) - conjugate
    if renyi is not None and renyi.order != 1.0:
        a = renyi.order
        user = torch.log1p(a * (a - 1.0) * radius) / (a - 1.0)
        multiplier_out = alpha * torch.exp((a - 1.0) * user) / a
    else:
        user, multiplier_out = radius, alpha
    gain = (q * t * f).sum(-1) - (q * f).sum(-1)
    return {
        "value": dual, "multiplier": multiplier_out, "normalizer": beta, "radius": user, "excess": gain, "weights": q * t,
    }  # fmt: skip


def _kinked(
    request: "_Request", f: Tensor, q: Tensor, budget: Tensor, number: dict[str, Tensor], weights: Tensor
) -> dict[str, Tensor]:
    """tv and cvar: piecewise linear, so gradients are those of the active piece."""
    top = f.max(-1, keepdim=True).values
    fixed = weights.detach()
    value = (fixed * f).sum(-1)
    penalised = request.problem.temperature is not None
    if penalised:
        value = value - budget * number["radius"]
    elif budget.requires_grad:
        value = value + _Slope.apply(budget, number["multiplier"])
    # the price atom: the one whose score sets the multiplier (tv) or is the value at risk (cvar)
    is_cvar = isinstance(request.problem.divergence, CVaR)
    if is_cvar:
        shift = number["value"] - (fixed * f.detach()).sum(-1)  # what was taken off the scores
        price = torch.argmin((f.detach() - (number["normalizer"] - shift)[:, None]).abs(), dim=-1)
        var = f.gather(-1, price[:, None])
        above = (f.detach() > var.detach()).to(f.dtype)
        multiplier = (q * above * (f - var)).sum(-1)
        normal = var[:, 0]
    else:
        reach = top.detach() - f.detach()
        price = torch.argmin((reach - number["multiplier"][:, None]).abs(), dim=-1)
        multiplier = top[:, 0] - f.gather(-1, price[:, None])[:, 0]
        normal = top[:, 0] - 0.5 * multiplier
        if penalised:
            multiplier, normal = budget + 0.0, top[:, 0] - 0.5 * budget
    out = {
        "value": value,
        "multiplier": multiplier,
        "normalizer": normal,
        "radius": torch.zeros_like(value),
        "excess": value - (q * f).sum(-1),
    }
    done = {key: _exact(number[key], out[key]) for key in OUTPUTS}
    done["weights"] = weights
    return done


def _number(a: Any, device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(a)).to(device) if isinstance(a, np.ndarray) else a.detach()


def _tensor(a: Any, like: Tensor | None) -> Tensor:
    if isinstance(a, Tensor):
        return a if a.dtype.is_floating_point else a.double()
    return torch.as_tensor(a, dtype=torch.float64, device=None if like is None else like.device)


def _budget(request: "_Request", rows: int, f: Tensor) -> Tensor:
    name = "radius" if request.problem.radius is not None else "temperature"
    given = request.tensors[name]
    if given is None:
        return torch.zeros(rows, dtype=f.dtype, device=f.device)
    return torch.broadcast_to(_tensor(given, f).to(f.device).double(), request.batch).reshape(rows)


def _base(request: "_Request", f: Tensor) -> Tensor:
    given = request.tensors["base"]
    rows, n = f.shape
    if given is None:
        return torch.full_like(f, 1.0 / n)
    q = _tensor(given, f).to(f.device).double()
    if q.ndim > 1:
        lead = (1,) * (len(request.batch) + 1 - q.ndim)
        q = torch.moveaxis(q.reshape(lead + tuple(q.shape)), request.dim, -1)
    q = q / q.sum(-1, keepdim=True)
    return torch.broadcast_to(q, (*request.batch, n)).reshape(rows, n)
