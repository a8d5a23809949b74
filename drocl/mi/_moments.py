"""Divergences that follow from moments of the density ratio, whatever the law."""

import math
from collections.abc import Callable

from drocl.divergences import CressieRead, Divergence, Renyi


def from_moments(
    divergence: Divergence,
    log_moment: Callable[[float], float],
    kl: Callable[[], float],
    reverse_kl: Callable[[], float],
) -> float | None:
    """D_phi(P || Q) of a power divergence or a Renyi one; None for the others.

    Args:
        divergence: any.
        log_moment: log E_Q t^k of the ratio t = dP/dQ, inf where infinite; called with k outside {0, 1} only.
        kl, reverse_kl: the two limits, k = 1 and k = 0.
    """
    if isinstance(divergence, Renyi):
        order = divergence.order
        return kl() if order == 1.0 else log_moment(order) / (order - 1.0)
    if not isinstance(divergence, CressieRead):
        return None
    k = divergence.power
    if k == 1.0:
        return divergence.scale * kl()
    if k == 0.0:
        return divergence.scale * reverse_kl()
    exponent = log_moment(k)
    return divergence.scale * (math.expm1(exponent) if exponent < 709.0 else math.inf) / (k * (k - 1.0))
