"""RINCE: a contrastive loss between InfoNCE and a symmetric, noise-robust one."""

import math
from typing import Any, Unpack

import torch
from torch import Tensor

from drocl.losses._evaluate import evaluate
from drocl.losses._kernels import Kernel
from drocl.losses._margin import softplus
from drocl.losses._module import ContrastiveLoss
from drocl.losses._options import Common, Options, number
from drocl.losses._rows import Batch
from drocl.losses.diagnostics import Head


def _check(q: float, lam: float) -> tuple[float, float]:
    unit = {"closed": (False, True), "says": "(0, 1]"}
    return number("q", q, 0.0, 1.0, **unit), number("lam", lam, 0.0, 1.0, **unit)  # type: ignore[arg-type]


def rince(
    z1: Tensor, z2: Tensor, temperature: float | Tensor = 0.5, q: float = 0.5, lam: float = 0.01, **common: Unpack[Common]
) -> Any:
    r"""Robust InfoNCE (RINCE of Chuang et al.).

    $$ \ell_i = -\frac{e^{q x_i}}{q} + \frac{(\lambda(e^{x_i} + \sum_{Neg} e^{a}))^{q}}{q}; \qquad
       q\to 0:\; \ell \to InfoNCE + \log\lambda, \quad q = 1:\; -(1-\lambda)e^{x} + \lambda\sum e^{a}. $$

    Gradient, with $Z = e^x + \sum e^a$, $P = e^x/Z$: $\partial\ell/\partial x = -e^{qx}[1-\lambda^q P^{1-q}]$,
    $\partial\ell/\partial a_j = \lambda^q Z^{q-1} e^{a_j}$.

    Args:
        z1, z2: views (B, d).
        temperature: tau > 0.
        q: in (0, 1]; computed through expm1, so that a tiny q is exact too.
        lam: lambda in (0, 1], the weight of the denominator.
        common: see `drocl.losses.Common`.

    Returns:
        Loss, () or one an anchor; it may be negative. inf where it exceeds the type: at q = 1 it grows as e^{1/tau}, beyond
        float32 for tau < 0.0113.

    Raises:
        ValueError: as `info_nce`; q or lam outside (0, 1].

    Source: chuang2022, Eq 8.

    >>> import torch
    >>> z = torch.eye(4, dtype=torch.float64)
    >>> round(float(rince(z, z, temperature=0.5, q=1.0, lam=0.5)), 6)   # -e^2 / 2 + 6 / 2
    -0.694528
    """
    q, lam = _check(q, lam)
    log_lam = math.log(lam)

    def make(batch: Batch, tau: Tensor) -> Head:
        def head(positive: Tensor, lse: Tensor, count: Tensor, t: Tensor) -> tuple[Tensor, Tensor | None]:
            x = positive / t
            lift = log_lam + softplus(lse[:, 0] - x)  # log of lam Z / e^x
            up = lift >= 0.0
            # the larger of the two powers times 1 - e^{-q |lift|}: neither overflows before the value does
            rise, fall = torch.where(up, lift, torch.zeros_like(lift)), torch.where(up, torch.zeros_like(lift), lift)
            above = torch.exp(q * torch.where(up, x + rise, x)) * -torch.expm1(-q * rise)
            below = torch.exp(q * x) * torch.expm1(q * fall)
            return torch.where(up, above, below) / q, None

        return head

    return evaluate(z1, z2, temperature, [Kernel()], make, Options.read(common))


class RINCE(ContrastiveLoss):
    """`rince` as a module."""

    function = rince
    check = staticmethod(_check)
