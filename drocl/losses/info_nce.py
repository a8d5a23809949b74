"""InfoNCE (NT-Xent) and its clip-style pair of directions."""

from typing import Any, Unpack

from torch import Tensor

from drocl.losses._evaluate import evaluate
from drocl.losses._kernels import Kernel
from drocl.losses._margin import softplus
from drocl.losses._module import ContrastiveLoss
from drocl.losses._options import Common, Options
from drocl.losses._rows import Batch
from drocl.losses.diagnostics import Head


def softmax_head(batch: Batch, tau: Tensor) -> Head:
    """-x + log(e^x + e^R) as the softplus of the log-odds: tiny losses keep their digits."""
    return lambda positive, lse, count, t: (softplus(lse[:, 0] - positive / t), None)


def info_nce(z1: Tensor, z2: Tensor, temperature: float | Tensor = 0.5, **common: Unpack[Common]) -> Any:
    r"""InfoNCE, the NT-Xent loss of SimCLR.

    $$ \ell_i = -x_i + \log\Big(e^{x_i} + \sum_{j\in Neg(i)} e^{a_{ij}}\Big),\quad a = s/\tau,\; x_i = s_{i,p(i)}/\tau. $$

    Gradient: $\partial\ell/\partial a_j = (1-p^+) q_j$, $\partial\ell/\partial x = -(1-p^+)$, with q the softmax over the negatives
    and $p^+$ the softmax probability of the positive.

    Args:
        z1, z2: views (B, d), float; half precision is computed in single.
        temperature: tau > 0: a number, or a tensor of one, one a pair (B,) or one an anchor; may require gradients.
        common: see `drocl.losses.Common`.

    Returns:
        Loss in nats, () or one an anchor; with `diagnostics=True` a pair (loss, `Diagnostics`).

    Raises:
        ValueError: views of different shapes, fewer than two rows without other negatives, nan, zero rows, a temperature that is
            not positive, an option that is not allowed.

    Source: chen2020simclr, Eq 1; wu2023, Theorem 3.2 for its DRO reading.

    >>> import torch
    >>> z = torch.eye(4, dtype=torch.float64)
    >>> round(float(info_nce(z, z, temperature=0.5)), 6)   # log(1 + 6 e^-2)
    0.594438
    """
    return evaluate(z1, z2, temperature, [Kernel()], softmax_head, Options.read(common))


def clip(
    z1: Tensor, z2: Tensor, temperature: float | Tensor = 0.07, weights: tuple[float, float] = (0.5, 0.5),
    **common: Unpack[Common],
) -> Any:  # fmt: skip
    r"""The pair of one-sided InfoNCE losses that CLIP averages, from one pass over the scores.

    $$ \ell_i = w_{12}\,\ell_i(z_1\to z_2) + w_{21}\,\ell_i(z_2\to z_1), $$

    each with the B - 1 other rows of the other side as negatives. Any other loss takes `direction_weights` for the same.

    Args:
        z1, z2: (B, d), such as images and texts.
        temperature: tau > 0.
        weights: (w12, w21) >= 0.
        common: see `drocl.losses.Common`; `symmetric` is False.

    Returns:
        Loss in nats, () or (B,).

    Raises:
        ValueError: as `info_nce`; weights that are negative or both 0; `symmetric=True`.

    Source: radford2021clip, Figure 3.

    >>> import torch
    >>> z = torch.eye(4, dtype=torch.float64)
    >>> round(float(clip(z, z, temperature=0.5)), 6)   # log(1 + 3 e^-2)
    0.340753
    """
    _one_sided(weights, common)
    return info_nce(z1, z2, temperature, **common)


def _one_sided(weights: tuple[float, float], common: Any) -> None:
    """Options of clip: one-sided, with its weights."""
    if common.get("symmetric", False):
        raise ValueError("symmetric=True contradicts clip, which reads one-sided scores in both directions")
    if common.get("direction_weights", weights) != weights:
        raise ValueError("direction_weights of clip are its weights: give weights")
    common["symmetric"], common["direction_weights"] = False, weights


class InfoNCE(ContrastiveLoss):
    """`info_nce` as a module."""

    function = info_nce


class Clip(ContrastiveLoss):
    """`clip` as a module."""

    function = clip

    @classmethod
    def defaults(cls, values: dict[str, Any], common: dict[str, Any]) -> None:
        """One-sided, with the weights as those of the directions."""
        _one_sided(values["weights"], common)
