"""The loss that wu2023 defines: the negatives as the worst law in a ball, for every divergence of the table."""

import math
from typing import Any, Unpack

import torch
from torch import Tensor

from drocl import divergences
from drocl.divergences import CVaR, Divergence, Renyi
from drocl.losses import _rows, _worst
from drocl.losses._evaluate import combined, evaluate, reduce
from drocl.losses._kernels import Kernel
from drocl.losses._module import ContrastiveLoss
from drocl.losses._ops import working
from drocl.losses._options import Common, Options, per_anchor, read_temperature, refuse_ring
from drocl.losses._rows import Batch
from drocl.losses.diagnostics import Diagnostics, Head


def _check(divergence: str | Divergence, temperature: Any, radius: Any) -> Divergence:
    chosen = divergences.get(divergence)
    if isinstance(chosen, CVaR):
        if temperature is not None or radius is not None:
            name = "radius" if radius is not None else "temperature"
            raise ValueError(f"{name} plays no part for cvar: its level is its size; give neither radius nor temperature")
    elif (temperature is None) == (radius is None):
        raise ValueError(f"exactly one of temperature and radius must be given, got {'neither' if radius is None else 'both'}")
    if isinstance(chosen, Renyi) and temperature is not None:
        raise ValueError("temperature cannot be used with renyi: give radius, or cressie_read with k = order")
    if isinstance(radius, int | float) and not (radius >= 0.0 and math.isfinite(radius)):
        raise ValueError(f"radius={radius!r} must lie in [0, inf)")
    return chosen


def dro(
    z1: Tensor, z2: Tensor, divergence: str | Divergence = "kl", *, temperature: float | Tensor | None = None,
    radius: float | Tensor | None = None, **common: Unpack[Common],
) -> Any:  # fmt: skip
    r"""The phi-divergence CL-DRO loss, constrained or penalised; not divided by the temperature.

    $$ \ell_i = -s^+_i + \sup_{w:\,D_\phi(w)\leq\eta} \langle w s\rangle_{Neg(i)} \quad\mathrm{or}\quad
       \ell_i = -s^+_i + \sup_w \{\langle w s\rangle_{Neg(i)} - \tau D_\phi(w)\}, $$

    w relative to the uniform law on the K negatives, s cosines. A radius for every anchor gives every anchor its own temperature, the
    exact multiplier (`Diagnostics.temperature`). Gradient (Danskin): $\partial\ell/\partial s_j = Q^\star_j$,
    $\partial\ell/\partial\eta$ = multiplier, $\partial\ell/\partial\tau = -D_\phi(Q^\star)$.

    Args:
        z1, z2: views (B, d).
        divergence: name, or object of `drocl.divergences.get`; with `cvar` neither temperature nor radius.
        temperature: tau > 0 in units of the cosine, a number, one a pair or one an anchor; may require gradients.
        radius: eta >= 0 in nats, likewise.
        common: see `drocl.losses.Common`. KL with a temperature streams as the other losses; every other problem needs a row of
            scores at a time (blocks of rows), so `gather="ring"` and negatives (B, n, d) are refused for it.

    Returns:
        Loss in units of the cosine, () or one an anchor.

    Raises:
        ValueError: as `info_nce`; both or neither of temperature and radius; an unknown divergence.

    Source: wu2023, Definition 3.1 and Theorem 3.2.

    >>> import torch
    >>> z = torch.eye(4, dtype=torch.float64)
    >>> round(float(dro(z, z, "chi2", radius=0.5)), 6)   # all negatives equal: no ball moves them
    -1.0
    """
    chosen = _check(divergence, temperature, radius)
    options = Options.read(common)
    if chosen.name == "kl" and temperature is not None:
        return evaluate(z1, z2, temperature, [Kernel()], _kl_head, options)
    refuse_ring(options, chosen.label)
    if options.negatives is not None and options.negatives.ndim == 3:
        raise ValueError(f"negatives (B, n, d) of each pair's own are not for {chosen.label}: give (n, d), shared by all")
    with torch.autocast(z1.device.type if isinstance(z1, Tensor) else "cpu", enabled=False):
        batch = _rows.prepare(z1, z2, options)
        budget = _budget(batch, temperature, radius)
        _rows.refuse_tangents([batch.unit, *([] if budget is None else [budget])])
        problem = _worst.Problem(batch, chosen, budget, radius is not None)
        value, found = _worst.solve(problem)
        loss = reduce(value - batch.positive_scores(), batch, working(torch.promote_types(z1.dtype, z2.dtype)))
        if not options.diagnostics:
            return loss
        none = found["radius"].new_zeros(())
        slope = -combined(found["radius"], batch).mean() if radius is None and budget is not None else none
        tau = found["multiplier"]
        mass = found["mass"] if options.labels is not None else None
        return loss, Diagnostics(tau, found["radius"], found["size"], none, mass, slope)


def _kl_head(batch: Batch, tau: Tensor) -> Head:
    """-s+ + tau log <e^{s / tau}>: the worst case of the KL penalty in closed form."""
    return lambda s, lse, count, t: (t * (lse[:, 0] - torch.log(count)) - s, None)


def _budget(batch: Batch, temperature: Any, radius: Any) -> Tensor | None:
    m = batch.anchors.shape[0]
    if temperature is not None:
        return read_temperature(temperature, m, batch.pairs, batch.unit)
    if radius is None:
        return None
    return per_anchor("radius", radius, m, batch.pairs, batch.unit, 0.0, math.inf, "[0, inf)")


class DRO(ContrastiveLoss):
    """`dro` as a module."""

    function = dro
    check = staticmethod(_check)
