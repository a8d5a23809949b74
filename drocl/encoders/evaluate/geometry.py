"""How close the views of one example lie, and how evenly all examples fill the sphere."""

import math

import torch
from torch import Tensor

from drocl.encoders.evaluate import _check


def alignment(z1: Tensor, z2: Tensor, power: float = 2.0) -> float:
    r"""Mean distance of the two views of an example, to a power: $\mathbb E\,\lVert z_1 - z_2\rVert^{p}$, 0 if all agree.

    Args:
        z1, z2: (n, d), row i of both from one example; brought to norm 1.
        power: p > 0.

    Returns:
        In [0, 2^p].

    Raises:
        ValueError: views of different shapes, a row of zeros, a power that is not positive.

    Source: wang2020hypersphere, Section 4.1.

    >>> z = torch.eye(3)
    >>> alignment(z, z), alignment(z, -z)
    (0.0, 4.0)
    """
    if not (power > 0.0 and math.isfinite(power)):
        raise ValueError(f"power={power!r} must be a positive number")
    first, second = (_check.units(name, z) for name, z in (("z1", z1), ("z2", z2)))
    if first.shape != second.shape or not len(first):
        raise ValueError(
            f"z1 and z2 must have one shape (n, d) with n >= 1, got {tuple(first.shape)} and {tuple(second.shape)}"
        )
    far = torch.linalg.vector_norm(first - second, dim=1).to(_check.wide(first))
    return float((far**power).mean())


@_check.full_precision()
def uniformity(z: Tensor, t: float = 2.0, *, chunk: int | None = None) -> float:
    r"""Logarithm of the mean Gaussian potential of two different rows: $\log \mathbb E_{i\ne j}\, e^{-t\lVert z_i-z_j\rVert^2}$.

    Exact over all pairs, by blocks of rows. The lower, the more uniform; 0 if all rows are the same.

    Args:
        z: (n, d) with n >= 2, brought to norm 1.
        t: > 0.
        chunk: rows that are compared with all at a time; None for about 4 million pairs.

    Returns:
        In [-4 t, 0].

    Raises:
        ValueError: fewer than two rows, a row of zeros, a t that is not positive.

    Source: wang2020hypersphere, Section 4.1.

    >>> uniformity(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
    -8.0
    """
    if not (t > 0.0 and math.isfinite(t)):
        raise ValueError(f"t={t!r} must be a positive number")
    z = _check.units("z", z)
    n = len(z)
    if n < 2:
        raise ValueError(f"z must have at least two rows, got {n}")
    rows = []
    for at in _check.blocks(n, n, chunk):
        potential = (z[at] @ z.mT).sub_(1.0).mul_(2.0 * t)  # -t |a - b|^2 of unit rows
        potential.diagonal(at.start).fill_(-math.inf)
        rows.append(torch.logsumexp(potential, 1))
    every = torch.cat(rows).to(_check.wide(z))
    return min(float(torch.logsumexp(every, 0)) - math.log(n * (n - 1)), 0.0)
