"""The row statistics and their pullback with the whole score matrix in memory, in plain differentiable operations.

`chunk_size=None` takes this path: derivatives of any order, reverse and forward mode. The streaming core must agree with it to
rounding.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from drocl.losses._kernels import Kernel
from drocl.losses._tiles import kappa_of, wide


def exponent(kernel: Kernel, s: Tensor, kappa: Tensor) -> Tensor:
    """h(s) with gradients through what is not detached; kappa broadcasts against s."""
    h = kernel.value(s, kappa)
    if kernel.linear:
        return h.detach()
    if kernel.free is None:
        return h
    carried = s * (kernel.free * kappa)
    return (h - carried).detach() + carried


def statistics(
    s: Tensor, kappa: Tensor, kernels: Sequence[Kernel], away: Tensor | None, moments: int, same: Tensor | None
) -> tuple[Tensor, Tensor]:
    """lse (m, r) and extra (m, q) of the rows of s (m, n); `away` is True at pairs that do not count.

    Args:
        s: scores, in the working type.
        kappa: (1,) or (m,).
        kernels: r of them.
        away: (m, n) or None.
        moments: 0, 1 or 2: what `extra` holds, as in `drocl.losses._tiles.statistics`.
        same: True at pairs of one class, or None.
    """
    exact = kappa.reshape(-1, 1)
    kappa = exact.to(s.dtype)
    rows, means, more = [], [], []
    for index, kernel in enumerate(kernels):
        simple = kernel.multiple and kernel.free is None and not kernel.linear
        if simple and not moments:  # h itself is not needed
            rows.append(_log_multiple(kernel, s, exact, away))
            continue
        h = exponent(kernel, s, kappa)
        h = h if away is None else h.masked_fill(away, -torch.inf)
        lse = _log_multiple(kernel, s, exact, away) if simple else _log_sum(kernel, s, exact, h, away)
        empty = lse.detach() == -torch.inf
        fixed = torch.where(empty, torch.zeros_like(lse), lse)
        if kernel.linear:
            p = torch.exp(h - fixed[:, None].detach().to(s.dtype))
            lse = lse.detach() + (p * (s - s.detach())).sum(1)
        rows.append(lse)
        if moments:
            p, flat = torch.exp(h.detach() - fixed.detach()[:, None].to(s.dtype)), s.detach()
            means.append((p * flat).sum(1))
            if moments > 1 and index == 0:
                level = torch.where(p > 0.0, h.detach(), torch.zeros_like(p))
                own = h.new_full((h.shape[0],), -torch.inf)
                if same is not None and h.shape[1]:
                    own = torch.logsumexp(h.detach().masked_fill(~same, -torch.inf), 1)
                twice = torch.logsumexp(2.0 * h.detach(), 1) if h.shape[1] else own
                more = [twice, (p * level).sum(1), own]
    extra = torch.stack(means + more, 1).to(wide(s)) if moments else s.new_empty((s.shape[0], 0), dtype=wide(s))
    return torch.stack(rows, 1), extra


def _log_sum(kernel: Kernel, s: Tensor, kappa: Tensor, h: Tensor, away: Tensor | None) -> Tensor:
    """log sum e^h of each row, in double, with the gradient of h (which may be detached in part)."""
    if not h.shape[1]:
        return h.new_full((h.shape[0],), -torch.inf, dtype=wide(s))
    graph = torch.logsumexp(h, 1).to(wide(s))
    if not kernel.multiple:
        return graph
    level = _log_multiple(kernel, s.detach(), kappa.detach(), away)
    return torch.where(level > -torch.inf, level + (graph - graph.detach()), level)


def _log_multiple(kernel: Kernel, s: Tensor, kappa: Tensor, away: Tensor | None) -> Tensor:
    """log sum e^{tilt kappa s}, measured from the row's maximum before it is scaled: no digit of s is rounded away."""
    if not s.shape[1]:
        return s.new_full((s.shape[0],), -torch.inf, dtype=wide(s))
    top = (s.detach() if away is None else s.detach().masked_fill(away, -torch.inf)).amax(1, keepdim=True)
    top = torch.where(top > -torch.inf, top, torch.zeros_like(top))
    scaled = (s - top) * (kernel.tilt * kappa.to(s.dtype))
    scaled = scaled if away is None else scaled.masked_fill(away, -torch.inf)
    return torch.logsumexp(scaled, 1).to(wide(s)) + (top.to(wide(s)) * kappa.to(wide(s)))[:, 0] * kernel.tilt


def pull(
    a_: Sequence[Tensor], b_: Sequence[Tensor], kappa_: Sequence[Tensor], lse: Sequence[Tensor], grads: Sequence[Tensor],
    positive: Sequence[Tensor], ids: Sequence[Tensor], kernels: Sequence[Kernel],
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """What `row_statistics_pull` computes, as a differentiable function of all its inputs."""
    a, b, kappa = a_[0], b_[0] if b_ else None, kappa_[0]
    columns = a if b is None else b
    s = a @ columns.mT
    away = ids[0][:, None] == ids[1 if b is not None else 0][None, :]
    weights, shares = torch.zeros_like(s), []
    sides = [(1, lse[0], grads[0])]
    if b is None:
        sides.append((0, lse[0], grads[0]))
    elif len(lse) > 1:
        sides.append((0, lse[1], grads[1]))
    for side, rows, grad in sides:
        k = kappa_of(kappa, a.shape[0], side == 0 and b is not None).to(s.dtype).unsqueeze(side)
        share = torch.zeros_like(rows[:, 0])
        for index, kernel in enumerate(kernels):
            level = rows[:, index].to(s.dtype)
            level = torch.where(level > -torch.inf, level, torch.zeros_like(level)).unsqueeze(side)
            h = exponent(kernel, s, k).masked_fill(away, -torch.inf)
            p = torch.exp(h - (level.detach() if kernel.linear else level)) * grad[:, index].to(s.dtype).unsqueeze(side)
            weights = weights + p * kernel.slope(s, k)
            share = share + (p * s).sum(side) * kernel.carried
        if side == 1 or b is not None:
            shares.append(share)
    dkappa = torch.cat(shares)
    dkappa = (dkappa if kappa.numel() > 1 else dkappa.sum().reshape(1)).to(kappa.dtype)
    da = weights @ columns
    db = a.new_zeros((0, a.shape[1])) if b is None else weights.mT @ a
    if positive:
        g = positive[0].to(a.dtype)[:, None]
        if b is None:
            half = a.shape[0] // 2
            g = g[:half] + g[half:]
            da = da + torch.cat((g * a[half:], g * a[:half]))
        else:
            da, db = da + g * b, db + g * a
    return da, db, dkappa
