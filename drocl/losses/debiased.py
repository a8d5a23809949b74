"""Debiased contrastive loss: the false negatives' share is taken out of the sum."""

import math
from collections.abc import Callable
from typing import Any, Unpack

import torch
from torch import Tensor

from drocl.losses._check import in_range
from drocl.losses._evaluate import evaluate
from drocl.losses._kernels import Kernel
from drocl.losses._margin import log_difference, softplus
from drocl.losses._module import ContrastiveLoss
from drocl.losses._options import Common, Options, number, per_anchor
from drocl.losses._rows import Batch, units
from drocl.losses._tiles import wide
from drocl.losses.diagnostics import Head

PRIOR = "[0, 1)"


def check_prior(class_prior: float | Tensor) -> None:
    """class_prior in [0, 1), a number or a tensor."""
    if isinstance(class_prior, Tensor):
        in_range(class_prior.detach().to(torch.float64), "class_prior", 0.0, 1.0, True, PRIOR)
    else:
        number("class_prior", class_prior, 0.0, 1.0, closed=(True, False), says=PRIOR)


def read_prior(class_prior: float | Tensor, batch: Batch) -> Tensor:
    """tau+ as a double tensor (1,) or one an anchor."""
    m = batch.anchors.shape[0]
    return per_anchor("class_prior", class_prior, m, batch.pairs, batch.unit, 0.0, 1.0, PRIOR)


def positive_cosines(positives: Tensor | None, batch: Batch) -> Tensor | None:
    """Scores of the extra positives (m, M), in double; None where the positive itself is the sample.

    Raises:
        ValueError: a shape other than (B, M, d), or one set an anchor.
    """
    if positives is None:
        return None
    b, m, d = batch.pairs, batch.anchors.shape[0], batch.unit.shape[1]
    good = isinstance(positives, Tensor) and positives.ndim == 3 and positives.shape[0] in (b, m) and positives.shape[2] == d
    if not good or positives.shape[1] < 1:
        shape = tuple(positives.shape) if isinstance(positives, Tensor) else type(positives).__name__
        raise ValueError(f"positives must have shape ({b}, M, {d}) or ({m}, M, {d}) with M >= 1, got {shape}")
    if positives.device != batch.unit.device:
        raise ValueError(f"positives must be on {batch.unit.device}, as the views, got {positives.device}")
    flat = positives.reshape(-1, d).to(batch.unit)
    rows = units([flat], "positives", batch.options).view(positives.shape[0], -1, d).to(wide(batch.unit))
    anchors = batch.anchors.to(wide(batch.unit))
    if positives.shape[0] == m:
        return torch.einsum("md,mnd->mn", anchors, rows)
    return torch.einsum("vbd,bnd->vbn", anchors.view(-1, b, d), rows).reshape(m, -1)


def mean_positive(cosines: Tensor | None, positive: Tensor, tau: Tensor, power: float = 1.0) -> Tensor:
    """log of the mean of e^{power v / tau} over the samples of the positive."""
    if cosines is None:
        return power * positive / tau
    scaled = power * cosines / tau.reshape(-1, 1)
    return torch.logsumexp(scaled, 1) - math.log(cosines.shape[1])


def corrected_head(
    class_prior: float | Tensor, positives: Tensor | None, log_sum: Callable[[Tensor, Tensor], Tensor]
) -> Callable[[Batch, Tensor], Head]:
    """Softplus of log g - x, g = max{(e^S - K tau+ e^v) / (1 - tau+), K e^{-1/tau}} with S = log_sum(lse, log K)."""

    def make(batch: Batch, tau: Tensor) -> Head:
        prior, cosines = read_prior(class_prior, batch), positive_cosines(positives, batch)
        # Without correction no sum of unit rows lies below the floor; the maximum would only cut a tie's gradient.
        free = not isinstance(class_prior, Tensor) and class_prior == 0.0 and batch.options.normalize

        def head(positive: Tensor, lse: Tensor, count: Tensor, t: Tensor) -> tuple[Tensor, Tensor | None]:
            x, log_k = positive / t, torch.log(count)
            total = log_sum(lse, log_k)
            if free:
                return softplus(total - x), None
            share = mean_positive(cosines, positive, t) + log_k + torch.log(prior)
            scale = torch.log1p(-prior)
            log_g, clamped = log_difference(total, share, log_k - 1.0 / t + scale)
            return softplus(log_g - scale - x), clamped

        return head

    return make


def debiased(
    z1: Tensor, z2: Tensor, temperature: float | Tensor = 0.5, class_prior: float | Tensor = 0.1, *,
    positives: Tensor | None = None, **common: Unpack[Common],
) -> Any:  # fmt: skip
    r"""The debiased loss (DCL of Chuang et al.): negatives corrected for those of the anchor's own class.

    $$ \ell_i = -x_i + \log(e^{x_i} + g_i),\quad
       g_i = \max\Big\{\frac{\sum_{Neg} e^{a} - K\tau^+ \bar e_i}{1-\tau^+},\; K e^{-1/\tau}\Big\}, $$

    with $\bar e_i = e^{x_i}$ (M = 1, as in the reference code), or the mean of $e^{v/\tau}$ over the extra positives.
    Gradient: that of InfoNCE with the negatives' weights scaled by $\sum e^a / ((1-\tau^+) g)$; nothing flows through a floor.

    Args:
        z1, z2: views (B, d).
        temperature: tau > 0.
        class_prior: tau+ in [0, 1), a number or one a pair (B,) or one an anchor.
        positives: extra samples of each pair's class, (B, M, d), shared by both views, or one set an anchor; they take the
            place of the positive in the correction.
        common: see `drocl.losses.Common`.

    Returns:
        Loss in nats, () or one an anchor.

    Raises:
        ValueError: as `info_nce`; class_prior outside [0, 1); positives of another shape.

    Source: chuang2020, Eqs 7 and 8.

    >>> import torch
    >>> z = torch.eye(4, dtype=torch.float64)
    >>> round(float(debiased(z, z, temperature=0.5, class_prior=0.0)), 6)
    0.594438
    """
    check_prior(class_prior)
    head = corrected_head(class_prior, positives, lambda lse, log_k: lse[:, 0])
    return evaluate(z1, z2, temperature, [Kernel()], head, Options.read(common))


class Debiased(ContrastiveLoss):
    """`debiased` as a module."""

    function = debiased
    check = staticmethod(check_prior)
