"""What a loss knows about its negatives, from the same pass over the scores."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Head = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor | None]]


@dataclass(frozen=True)
class Diagnostics:
    r"""Statistics of the negatives' weights $q_j$: with detached weights, what the gradient in their scores is proportional to.

    $q_j \propto e^{s_j/\tau}$ for the losses built on the softmax (hard negatives: $e^{(1+\beta)s_j/\tau}$, ADNCE with its Gaussian
    weight, alpha-CL its own; `supervised`: all atoms but the partner), the worst case $Q^\star$ for `dro`. All without gradient.

    Attributes:
        temperature: tau of each anchor, (m,) or (1,); for `dro` with a radius the multiplier that the radius buys (cvar:
            its derivative in 1 / level).
        radius: implied eta = KL(q || uniform) of each anchor, (m,), nats; for `dro` its own divergence.
        effective_sample_size: 1 / sum q^2, (m,), from 1 to K.
        clamp_fraction: share of the anchors whose estimate sits at its floor, (); 0 for losses without one.
        false_negative_mass: sum of q over negatives of the anchor's class, (m,); None without labels.
        temperature_gradient: derivative of the mean loss with respect to one temperature shared by all anchors, (); nan in
            inference mode, which has no derivatives.
    """

    temperature: Tensor
    radius: Tensor
    effective_sample_size: Tensor
    clamp_fraction: Tensor
    false_negative_mass: Tensor | None
    temperature_gradient: Tensor


def diagnose(
    head: Head, positive: Tensor, lse: Tensor, count: Tensor, extra: Tensor, tau: Tensor, carried: list[float], labelled: bool
) -> Diagnostics:
    """From the row statistics of moments 2.

    Args:
        head: the loss (directions joined) as a function of (s+, lse, count, tau), and its clamp.
        positive, lse, count, extra, tau: as in `drocl.losses._rows.Rows`.
        carried: c_k of each kernel: dR_k / dkappa = c_k E_k s.
        labelled: labels were given.
    """
    r, extra = lse.shape[1], extra.detach()
    rows, mean = lse.detach(), extra[:, :r]
    twice, level, own = extra[:, r], extra[:, r + 1], extra[:, r + 2]
    first = rows[:, 0]
    some = first > -torch.inf
    zero = torch.zeros_like(first)
    top = torch.where(some, first, zero)
    size = torch.where(some, torch.exp(2.0 * top - torch.where(some, twice, zero)), zero)
    radius = torch.where(some, level - top + torch.log(torch.where(count > 0.0, count, torch.ones_like(count))), zero)
    if torch.is_inference_mode_enabled():
        clamped = head(positive, rows, count, tau)[1]
        slope: Tensor | None = torch.full_like(tau, torch.nan)
    else:
        clamped, slope = _slope(head, positive, rows, mean, count, tau, carried)
    fraction = zero.mean() if clamped is None else clamped.to(zero.dtype).mean()
    mass = torch.where(some, torch.exp(own - top), zero) if labelled else None
    return Diagnostics(
        tau.detach(), radius.clamp(min=0.0), size, fraction, mass, zero.sum() if slope is None else slope.sum()
    )


def _slope(
    head: Head, positive: Tensor, rows: Tensor, mean: Tensor, count: Tensor, tau: Tensor, carried: list[float]
) -> tuple[Tensor | None, Tensor | None]:
    """Clamp and derivative of the mean loss in tau, the sums moving with tau by their own derivative."""
    with torch.enable_grad():
        t = tau.detach().clone().requires_grad_()
        moved = mean * mean.new_tensor(carried) * (1.0 / t - 1.0 / t.detach()).reshape(-1, 1)
        value, clamped = head(positive.detach(), rows + moved, count, t)
        (slope,) = torch.autograd.grad(value.mean(), t, allow_unused=True)
    return clamped, slope
