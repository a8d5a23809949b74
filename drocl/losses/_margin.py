"""Logarithms of sums and differences that keep their digits, for vectors with one entry an anchor."""

import torch
from torch import Tensor


def softplus(y: Tensor) -> Tensor:
    """log(1 + e^y) with full relative accuracy and finite derivatives of any order, from -inf on.

    torch's own switches to y above 20, and the derivative of logaddexp divides by e^{-y}.
    """
    zero = torch.zeros_like(y)
    up = y > 0.0
    above, below = torch.where(up, y, zero), torch.where(up, zero, y)
    return torch.where(up, above + torch.log1p(torch.exp(-above)), torch.log1p(torch.exp(below)))


def log1mexp(x: Tensor) -> Tensor:
    """log(1 - e^{-x}) for x > 0."""
    near = x < 0.6931471805599453
    small, large = torch.where(near, x, torch.ones_like(x)), torch.where(near, torch.ones_like(x), x)
    return torch.where(near, torch.log(-torch.expm1(-small)), torch.log1p(-torch.exp(-large)))


def log_difference(big: Tensor, small: Tensor, floor: Tensor) -> tuple[Tensor, Tensor]:
    """log max(e^big - e^small, e^floor), and where the floor is active; no gradient flows there."""
    gap = big - small
    above = (gap > 0.0) & (big > -torch.inf)
    safe_gap = torch.where(above, torch.where(small > -torch.inf, gap, torch.ones_like(gap)), torch.ones_like(gap))
    lost = torch.where(small > -torch.inf, log1mexp(safe_gap), torch.zeros_like(gap))
    value = torch.where(above, big, torch.zeros_like(big)) + lost
    above = above & (value > floor)
    return torch.where(above, value, floor), ~above
