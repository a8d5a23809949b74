"""alpha-CL: a linear loss under detached weights of the negatives."""

import math
from typing import Any, Unpack

import torch
from torch import Tensor

from drocl.losses._evaluate import evaluate
from drocl.losses._kernels import Kernel
from drocl.losses._module import ContrastiveLoss
from drocl.losses._options import Common, Options, number
from drocl.losses._rows import Batch
from drocl.losses.diagnostics import Head


def _check(power: float) -> float:
    return number("power", power, 0.0, math.inf, closed=(False, False), says="(0, inf)")


def alpha_cl(
    z1: Tensor, z2: Tensor, temperature: float | Tensor = 0.5, power: float = 1.0, **common: Unpack[Common]
) -> Any:
    r"""The direct form of alpha-CL: similarities to the negatives under weights that are set aside.

    $$ \ell_i = \sum_{j\in Neg(i)} w_j (s_j - s^+),\qquad w = \mathrm{softmax}_{Neg}\big(-(1-s)_+^{p}/\tau\big)\ \mathrm{detached}. $$

    At p = 1 its gradient is tau times that of `decoupled`: the Danskin gradient of CL-DRO. Gradient:
    $\partial\ell/\partial s_j = w_j$, $\partial\ell/\partial s^+ = -1$; the second derivative is 0.

    Args:
        z1, z2: views (B, d).
        temperature: tau > 0; no gradient reaches it.
        power: p > 0.
        common: see `drocl.losses.Common`.

    Returns:
        Loss in units of the cosine, () or one an anchor.

    Raises:
        ValueError: as `info_nce`; a power that is not positive.

    Source: tian2022alpha; the branch `a_cl` of the code of wu2023, as it was meant.

    >>> import torch
    >>> z = torch.eye(4, dtype=torch.float64)
    >>> round(float(alpha_cl(z, z, temperature=0.5)), 6)
    -1.0
    """
    power = _check(power)
    options = Options.read(common)
    # at p = 1 the weight of unit rows, s <= 1, is the softmax of s / tau itself
    plain = power == 1.0 and options.normalize
    kernel = Kernel(1.0, linear=True) if plain else Kernel(0.0, power=power, linear=True)

    def make(batch: Batch, tau: Tensor) -> Head:
        def head(s: Tensor, lse: Tensor, count: Tensor, t: Tensor) -> tuple[Tensor, Tensor | None]:
            assert batch.extra is not None
            some = lse[:, 0] > -torch.inf
            level = torch.where(some, lse[:, 0], torch.zeros_like(s))
            mean = batch.extra[:, 0].detach() + (level - level.detach())  # value of the mean, gradient of the log sum
            return torch.where(some, mean - s, torch.zeros_like(s)), None

        return head

    return evaluate(z1, z2, temperature, [kernel], make, options, moments=1)


class AlphaCL(ContrastiveLoss):
    """`alpha_cl` as a module."""

    function = alpha_cl
    check = staticmethod(_check)
