"""The mean-variance loss: the second-order form of every smooth phi-divergence loss, without any pair of scores."""

import math
from typing import Any, Unpack

import torch
from torch import Tensor

from drocl import divergences
from drocl.divergences import Divergence
from drocl.losses import _rows
from drocl.losses._evaluate import combined, reduce
from drocl.losses._module import ContrastiveLoss
from drocl.losses._ops import working
from drocl.losses._options import Common, Options, read_temperature, refuse_ring
from drocl.losses._rows import Batch
from drocl.losses._tiles import wide
from drocl.losses.diagnostics import Diagnostics


def _curvature(divergence: str | Divergence) -> float:
    chosen = divergences.get(divergence)
    curvature = chosen.second_at_one
    if not (chosen.smooth and chosen.is_phi and math.isfinite(curvature)):
        raise ValueError(f"divergence={chosen.label!r} has no phi''(1): choose a smooth phi-divergence")
    return float(curvature)


def mean_variance(
    z1: Tensor, z2: Tensor, temperature: float | Tensor = 0.5, divergence: str | Divergence = "kl", **common: Unpack[Common]
) -> Any:
    r"""Mean plus variance of the negatives' scores ("MW"), the expansion of `dro(divergence, temperature)`.

    $$ \ell_i = -s^+_i + \langle s\rangle_{Neg} + \frac{\langle s^2\rangle_{Neg} - \langle s\rangle_{Neg}^2}{2\tau\phi''(1)}. $$

    Exact for chi2 while $s_{min} \geq \langle s\rangle - 2\tau$. The moments of a row are a linear and a quadratic form of its
    embedding, so the loss costs O(B d^2) and never forms the pairs. Gradient:
    $\partial\ell/\partial s_j = [1 + (s_j - \langle s\rangle)/(\tau\phi''(1))]/K$, negative for easy negatives below the range.

    Args:
        z1, z2: views (B, d).
        temperature: tau > 0, in units of the cosine.
        divergence: name or object of `drocl.divergences`; only phi''(1) matters (kl 1, chi2 2).
        common: see `drocl.losses.Common`; `chunk_size` and `backend` play no part. With `gather` the embeddings are gathered.

    Returns:
        Loss in units of the cosine, () or one an anchor. With `diagnostics=True` the weights are the derivatives above, their
        radius is to second order, and the mass on false negatives is not computed.

    Raises:
        ValueError: as `info_nce`; a divergence without phi''(1); negatives (B, n, d) of each pair's own.

    Source: wu2023, Eqs 7 and 8.

    >>> import torch
    >>> z = torch.eye(4, dtype=torch.float64)
    >>> round(float(mean_variance(z, z, temperature=0.5)), 6)
    -1.0
    """
    curvature = _curvature(divergence)
    options = Options.read(common)
    refuse_ring(options, "the mean-variance loss")
    if options.negatives is not None and options.negatives.ndim == 3:
        raise ValueError("negatives (B, n, d) of each pair's own are not for mean_variance: give (n, d), shared by all")
    with torch.autocast(z1.device.type if isinstance(z1, Tensor) else "cpu", enabled=False):
        batch = _rows.prepare(z1, z2, options)
        tau = read_temperature(temperature, batch.anchors.shape[0], batch.pairs, batch.unit)
        positive, mean, variance = _moments(batch)
        value = mean - positive + variance / (2.0 * curvature * tau)
        loss = reduce(value, batch, working(torch.promote_types(z1.dtype, z2.dtype)))
        if not options.diagnostics:
            return loss
        k = _rows.count(batch)
        spread = variance.detach() / (curvature * tau.detach()) ** 2  # of K times the weights, whose mean is 1
        slope = -combined(variance.detach() / (2.0 * curvature * tau.detach() ** 2), batch).mean()
        none = torch.zeros_like(slope)
        return loss, Diagnostics(tau.detach(), curvature * spread / 2.0, k / (1.0 + spread), none, None, slope)


def _moments(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """s+, mean and variance of the scores of every anchor's negatives, (m,) each, in double.

    All candidates are measured from their centre, so that the variance of a collapsed batch is not a difference of large numbers.
    """
    options, b = batch.options, batch.pairs
    exact = batch.unit.to(wide(batch.unit))
    sides = [(exact, exact)] if options.symmetric else [(exact[:b], exact[b:])]
    if options.both:
        sides.append((exact[b:], exact[:b]))
    parts = [_side(batch, anchors, columns) for anchors, columns in sides]
    return tuple(torch.cat(part) for part in zip(*parts, strict=True))  # type: ignore[return-value]


def _side(batch: Batch, anchors: Tensor, columns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    options, b = batch.options, batch.pairs
    partner = torch.roll(anchors, b, 0) if options.symmetric else columns
    positive = (anchors * partner).sum(1)
    taken = [anchors, partner] if options.symmetric else [partner]  # no negatives of the anchor
    if options.gather:
        from drocl.losses import _distributed

        columns = _distributed.gathered_rows(columns, options.group)
    sets = ([columns] if options.in_batch else []) + ([] if batch.bank is None else [batch.bank.to(columns)])
    rows = torch.cat(sets) if len(sets) > 1 else sets[0]
    centre = rows.mean(0)
    centred = rows - centre
    base = anchors @ centre
    first = anchors @ centred.sum(0)
    second = ((anchors @ (centred.mT @ centred)) * anchors).sum(1)
    k = float(rows.shape[0])
    if options.in_batch:
        for row in taken:
            away = (anchors * row).sum(1) - base
            first, second, k = first - away, second - away**2, k - 1.0
    mean = first / k
    return positive, base + mean, (second / k - mean**2).clamp(min=0.0)


class MeanVariance(ContrastiveLoss):
    """`mean_variance` as a module."""

    function = mean_variance
    check = staticmethod(_curvature)
