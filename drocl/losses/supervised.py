"""Losses that know the labels: false negatives masked, and SupCon."""

from typing import Any, Unpack

import torch
from torch import Tensor

from drocl.losses._evaluate import evaluate
from drocl.losses._kernels import Kernel
from drocl.losses._margin import softplus
from drocl.losses._module import ContrastiveLoss
from drocl.losses._options import Layout, Options, check_views, read_labels, refuse_ring
from drocl.losses._rows import Batch
from drocl.losses._tiles import wide
from drocl.losses.diagnostics import Head
from drocl.losses.info_nce import softmax_head


def unbiased(z1: Tensor, z2: Tensor, labels: Tensor, temperature: float | Tensor = 0.5, **common: Unpack[Layout]) -> Any:
    r"""InfoNCE over true negatives only: atoms of the anchor's own class are masked.

    $$ \ell_i = -x_i + \log\Big(e^{x_i} + \sum_{j:\, y_j \neq y_i} e^{a_{ij}}\Big). $$

    Gradient as `info_nce`, nothing to the masked atoms. An anchor whose whole batch is of its class has loss 0.

    Args:
        z1, z2: views (B, d).
        labels: y (B,), whole numbers.
        temperature: tau > 0.
        common: see `drocl.losses.Layout`; queue and negatives count as of other classes.

    Returns:
        Loss in nats, () or one an anchor.

    Raises:
        ValueError: as `info_nce`; labels of another shape or type.

    Source: chuang2020, Eq 2, with the labels that its experiments use as the ceiling.

    >>> import torch
    >>> z = torch.eye(4, dtype=torch.float64)
    >>> round(float(unbiased(z, z, torch.tensor([0, 0, 1, 2]), temperature=0.5)), 6)   # 4 or 6 negatives at 0
    0.513545
    """
    options = Options.read(common)
    check_views(z1, z2, options)
    ids = read_labels(labels, z1.shape[0], z1)
    return evaluate(z1, z2, temperature, [Kernel()], softmax_head, options, ids=ids)


def supervised(z1: Tensor, z2: Tensor, labels: Tensor, temperature: float | Tensor = 0.5, **common: Unpack[Layout]) -> Any:
    r"""Supervised contrastive loss (SupCon, the mean outside the logarithm).

    $$ \ell_i = -\frac{1}{|P(i)|}\sum_{p\in P(i)} \log\frac{e^{a_{ip}}}{\sum_{j\neq i} e^{a_{ij}}}, $$

    P(i): every other atom of the anchor's class. The mean over P(i) comes from one sum a class, so the loss streams as the others.
    Gradient: $\partial\ell/\partial a_{ij} = softmax_j - [j\in P(i)]/|P(i)|$.

    Args:
        z1, z2: views (B, d).
        labels: y (B,), whole numbers.
        temperature: tau > 0.
        common: see `drocl.losses.Layout`. `in_batch` must be True; queue and negatives count as of other classes.

    Returns:
        Loss in nats, () or one an anchor.

    Raises:
        ValueError: as `unbiased`; `in_batch=False`; `gather="ring"`.

    Source: khosla2020supcon, Eq 2.

    >>> import torch
    >>> z = torch.eye(4, dtype=torch.float64)
    >>> round(float(supervised(z, z, torch.arange(4), temperature=0.5)), 6)   # a class a pair: InfoNCE
    0.594438
    """
    options = Options.read(common)
    check_views(z1, z2, options)
    classes = read_labels(labels, z1.shape[0], z1)
    if not options.in_batch:
        raise ValueError("in_batch=False leaves the supervised loss no positives: give in_batch=True")

    refuse_ring(options, "the supervised loss")

    def make(batch: Batch, tau: Tensor) -> Head:
        mean, size = _mean_of_class(batch, classes)

        def head(s: Tensor, lse: Tensor, count: Tensor, t: Tensor) -> tuple[Tensor, Tensor | None]:
            # the partner stays apart from the sum: where it is the only positive, this is InfoNCE with all its digits
            rest = torch.where(size > 1.0, s - mean, torch.zeros_like(s))
            return softplus(lse[:, 0] - s / t) + rest / t, None

        return head

    return evaluate(z1, z2, temperature, [Kernel()], make, options)


def _mean_of_class(batch: Batch, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean score of every anchor with its P(i), (m,), from the sum of each class, and the size of P(i)."""
    options, b = batch.options, batch.pairs
    exact = batch.unit.to(wide(batch.unit))
    of_rows = labels.repeat(2) if options.symmetric else labels

    def mean(anchors: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        of_columns = of_rows
        if options.gather:
            from drocl.losses import _distributed

            rows = _distributed.gathered_rows(rows, options.group)
            of_columns = _distributed.gathered_ids(of_columns, options.group)
        names, place = torch.unique(of_columns, return_inverse=True)
        sums = rows.new_zeros((names.shape[0], rows.shape[1])).index_add(0, place, rows)
        size = torch.bincount(place, minlength=names.shape[0]).to(rows.dtype)
        own = torch.searchsorted(names, of_rows)
        total, others = (anchors * sums[own]).sum(1), size[own]
        if options.symmetric:
            total, others = total - (anchors * anchors).sum(1), others - 1.0
        return total / others, others

    if options.symmetric:
        return mean(exact, exact)
    forth = mean(exact[:b], exact[b:])
    if not options.both:
        return forth
    back = mean(exact[b:], exact[:b])
    return torch.cat((forth[0], back[0])), torch.cat((forth[1], back[1]))


class Unbiased(ContrastiveLoss):
    """`unbiased` as a module; labels are given with each call."""

    function = unbiased


class Supervised(ContrastiveLoss):
    """`supervised` as a module; labels are given with each call."""

    function = supervised
