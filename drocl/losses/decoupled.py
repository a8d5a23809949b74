"""Decoupled contrastive loss: InfoNCE without the positive in the denominator."""

from typing import Any, Unpack

from torch import Tensor

from drocl.losses._evaluate import evaluate
from drocl.losses._kernels import Kernel
from drocl.losses._module import ContrastiveLoss
from drocl.losses._options import Common, Options


def decoupled(z1: Tensor, z2: Tensor, temperature: float | Tensor = 0.5, **common: Unpack[Common]) -> Any:
    r"""The decoupled loss, "DCL" of Yeh et al.: KL-DRO up to scale and constant.

    $$ \ell_i = -x_i + \log\sum_{j\in Neg(i)} e^{a_{ij}}, \qquad
       \tau(\ell_i - \log K) = -s^+ + \sup_w\{\langle w s\rangle - \tau KL\}. $$

    Gradient: $\partial\ell/\partial a_j = q_j$ (softmax over the negatives), $\partial\ell/\partial x = -1$.

    Args:
        z1, z2: views (B, d).
        temperature: tau > 0, as in `info_nce`.
        common: see `drocl.losses.Common`.

    Returns:
        Loss in nats (it may be negative), () or one an anchor; -inf for an anchor without negatives.

    Raises:
        ValueError: as `info_nce`.

    Source: yeh2022decoupled, Eq 6; wu2023, Eq 1.

    >>> import torch
    >>> z = torch.eye(4, dtype=torch.float64)
    >>> round(float(decoupled(z, z, temperature=0.5)), 6)   # log 6 - 2
    -0.208241
    """
    return evaluate(
        z1, z2, temperature, [Kernel()], lambda batch, tau: lambda s, lse, count, t: (lse[:, 0] - s / t, None),
        Options.read(common),
    )  # fmt: skip


class Decoupled(ContrastiveLoss):
    """`decoupled` as a module."""

    function = decoupled
