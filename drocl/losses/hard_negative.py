"""Hard-negative contrastive loss: negatives reweighted towards the anchor, corrected for its class."""

import math
from typing import Any, Literal, Unpack

import torch
from torch import Tensor

from drocl.losses._evaluate import evaluate
from drocl.losses._kernels import Kernel
from drocl.losses._margin import log_difference, softplus
from drocl.losses._module import ContrastiveLoss
from drocl.losses._options import Common, Options, number
from drocl.losses._rows import Batch
from drocl.losses.debiased import check_prior, corrected_head, debiased, positive_cosines, read_prior
from drocl.losses.diagnostics import Head

PRIORS = ("implemented", "exact")


def _check(class_prior: float | Tensor, concentration: float, prior: str) -> float:
    check_prior(class_prior)
    if prior not in PRIORS:
        raise ValueError(f"prior={prior!r} must be one of {', '.join(map(repr, PRIORS))}")
    beta = number("concentration", concentration, 0.0, math.inf, closed=(True, False), says="[0, inf)")
    return beta if beta > 1e-30 else 0.0  # below it beta / temperature is 0 in single precision


def hard_negative(
    z1: Tensor, z2: Tensor, temperature: float | Tensor = 0.5, class_prior: float | Tensor = 0.1, concentration: float = 1.0, *,
    prior: Literal["implemented", "exact"] = "implemented", detach_weights: bool = False, positives: Tensor | None = None,
    **common: Unpack[Common],
) -> Any:  # fmt: skip
    r"""The hard-negative loss (HCL of Robinson et al.).

    As `debiased` with $\sum_{Neg} e^{a}$ replaced by $K\sum e^{(1+\beta)a} / \sum e^{\beta a}$. `prior="exact"` takes the class out
    of both sums, which estimates the mean over $q_\beta^-$ consistently (the printed decomposition uses tau+ where the share of
    the class under $q_\beta$ belongs):

    $$ g = K\max\Big\{\frac{\max\{(\langle e^{(1+\beta)a}\rangle - \tau^+ e^{(1+\beta)v})/(1-\tau^+),\, e^{-(1+\beta)/\tau}\}}
       {\max\{(\langle e^{\beta a}\rangle - \tau^+ e^{\beta v})/(1-\tau^+),\, e^{-\beta/\tau}\}},\; e^{-1/\tau}\Big\}. $$

    Gradient: of the log of the weighted sum with respect to $a_i$: $(1+\beta)q_{1+\beta,i} - \beta q_{\beta,i}$, negative for easy
    negatives, which are then attracted; with `detach_weights=True` it is $q_{1+\beta,i} \geq 0$.

    Args:
        z1, z2: views (B, d).
        temperature: tau > 0.
        class_prior: tau+ in [0, 1).
        concentration: beta >= 0; 0 is `debiased`.
        prior: "implemented", as in the reference code, or "exact".
        detach_weights: no gradient through e^{beta a}.
        positives: extra positives, as in `debiased`.
        common: see `drocl.losses.Common`.

    Returns:
        Loss in nats, () or one an anchor.

    Raises:
        ValueError: as `debiased`; a negative concentration; an unknown prior.

    Source: robinson2021, Eq 4 and its importance-sampling estimate.

    >>> import torch
    >>> z = torch.eye(4, dtype=torch.float64)
    >>> round(float(hard_negative(z, z, temperature=0.5, class_prior=0.0, concentration=2.0)), 6)
    0.594438
    """
    beta = _check(class_prior, concentration, prior)
    if beta == 0.0:
        return debiased(z1, z2, temperature, class_prior, positives=positives, **common)
    free = (1.0, 0.0) if detach_weights else (None, None)
    kernels = [Kernel(1.0 + beta, free=free[0]), Kernel(beta, free=free[1])]
    if prior == "exact":
        head = _exact_head(class_prior, beta, detach_weights, positives)
    else:
        head = corrected_head(class_prior, positives, lambda lse, log_k: log_k + lse[:, 0] - lse[:, 1])
    return evaluate(z1, z2, temperature, kernels, head, Options.read(common))


def _exact_head(class_prior: float | Tensor, beta: float, detach: bool, positives: Tensor | None) -> Any:
    def make(batch: Batch, tau: Tensor) -> Head:
        prior, cosines = read_prior(class_prior, batch), positive_cosines(positives, batch)

        def log_positive(positive: Tensor, t: Tensor, weighted: bool) -> Tensor:
            """log of the mean of e^{beta v}, times e^v where it is the weighted sum's."""
            v = (positive / t)[:, None] if cosines is None else cosines / t.reshape(-1, 1)
            weight = (beta * v).detach() if detach else beta * v
            return torch.logsumexp(weight + v if weighted else weight, 1) - math.log(v.shape[1])

        def head(positive: Tensor, lse: Tensor, count: Tensor, t: Tensor) -> tuple[Tensor, Tensor | None]:
            log_k, scale = torch.log(count), torch.log1p(-prior)
            parts, clamps = [], []
            for index, power in ((0, 1.0 + beta), (1, beta)):
                share = log_positive(positive, t, index == 0) + torch.log(prior)
                floor = scale - power / t
                part, clamped = log_difference(lse[:, index] - log_k, share, floor + torch.zeros_like(share))
                parts.append(part)
                clamps.append(clamped)
            ratio, least = parts[0] - parts[1], -1.0 / t
            low = ratio <= least
            log_g = log_k + torch.where(low, least + torch.zeros_like(ratio), ratio)
            return softplus(log_g - positive / t), clamps[0] | clamps[1] | low

        return head

    return make


class HardNegative(ContrastiveLoss):
    """`hard_negative` as a module."""

    function = hard_negative
    check = staticmethod(_check)


