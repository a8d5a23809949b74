"""ADNCE: negatives weighted by a Gaussian in their similarity, in its three published variants."""

import math
from typing import Any, Literal, Unpack

import torch
from torch import Tensor

from drocl.losses._evaluate import evaluate
from drocl.losses._kernels import Kernel
from drocl.losses._margin import softplus
from drocl.losses._module import ContrastiveLoss
from drocl.losses._options import Common, Options, number
from drocl.losses._rows import Batch
from drocl.losses.diagnostics import Head

NARROWEST = 1e-15  # 1 / sigma^2 stays inside single precision
VARIANTS = ("image", "graph", "sentence")


def _check(mu: float, sigma: float, variant: str) -> tuple[float, float]:
    if variant not in VARIANTS:
        raise ValueError(f"variant={variant!r} must be one of {', '.join(map(repr, VARIANTS))}")
    mu = number("mu", mu, -math.inf, math.inf, closed=(False, False), says="(-inf, inf)")
    return mu, number("sigma", sigma, NARROWEST, math.inf, closed=(True, False), says=f"[{NARROWEST:g}, inf)")


def adnce(
    z1: Tensor, z2: Tensor, temperature: float | Tensor = 0.5, mu: float = 0.7, sigma: float = 0.5,
    variant: Literal["image", "graph", "sentence"] = "image", *, detach_weights: bool = True, **common: Unpack[Common],
) -> Any:  # fmt: skip
    r"""Adjusted InfoNCE (ADNCE of Wu et al.), with $w_j \propto e^{-(s_j-\mu)^2/2\sigma^2}$ of mean 1.

    | variant | loss |
    |---|---|
    | image | $-x + \log(e^{x} + \sum_{Neg} w_j e^{a_j})$, w of mean 1 over the negatives |
    | graph | $-x + \log\langle w_j e^{a_j}\rangle_{Neg}$, one-sided |
    | sentence | $-x + \log\sum_{all} w_j e^{a_j}$, one-sided, the positive weighted too, w of mean 1 over all |

    The weight in the sum is a Gaussian with mode $\mu + \sigma^2/\tau$: hard negatives lose weight only if
    $\sigma^2 < \tau(1-\mu)$. Gradient: that of InfoNCE with $q_j \propto w_j e^{a_j}$; with `detach_weights=False` also through w.

    Args:
        z1, z2: views (B, d).
        temperature: tau > 0.
        mu, sigma: centre and width >= 1e-15 of the weight, in units of the cosine; sigma to infinity is InfoNCE.
        variant: "image", "graph" or "sentence"; the last two are one-sided unless `symmetric=True` is given.
        detach_weights: no gradient through w, as published.
        common: see `drocl.losses.Common`.

    Returns:
        Loss in nats, () or one an anchor.

    Raises:
        ValueError: as `info_nce`; sigma below 1e-15; an unknown variant.

    Source: wu2023, Eqs 10 to 12, and the three codes published with it.

    >>> import torch
    >>> z = torch.eye(4, dtype=torch.float64)
    >>> round(float(adnce(z, z, temperature=0.5, mu=0.4, sigma=1.0)), 6)   # all negatives equal: InfoNCE
    0.594438
    """
    mu, sigma = _check(mu, sigma, variant)
    width = 0.5 / sigma / sigma
    free = (1.0, 0.0) if detach_weights else (None, None)
    kernels = [Kernel(1.0, width, mu, free=free[0]), Kernel(0.0, width, mu, free=free[1])]
    if variant != "image":
        common.setdefault("symmetric", False)

    def make(batch: Batch, tau: Tensor) -> Head:
        def head(s: Tensor, lse: Tensor, count: Tensor, t: Tensor) -> tuple[Tensor, Tensor | None]:
            x, weighted = s / t, lse[:, 0] - lse[:, 1]
            if variant == "image":
                return softplus(weighted + torch.log(count) - x), None
            if variant == "graph":
                return weighted - x, None
            own = -width * (s.detach() - mu) ** 2 if detach_weights else -width * (s - mu) ** 2
            mean = torch.logaddexp(lse[:, 1], own) - torch.log1p(count)
            return softplus(lse[:, 0] - x - own) + own - mean, None

        return head

    return evaluate(z1, z2, temperature, kernels, make, Options.read(common))


class ADNCE(ContrastiveLoss):
    """`adnce` as a module."""

    function = adnce
    check = staticmethod(_check)

    @classmethod
    def defaults(cls, values: dict[str, Any], common: dict[str, Any]) -> None:
        """The graph and sentence forms are one-sided unless told otherwise."""
        if values["variant"] != "image":
            common.setdefault("symmetric", False)
