"""When the core runs in Triton, and the same calls as `drocl.losses._tiles` on its kernels."""

from collections.abc import Sequence

import torch
from torch import Tensor

from drocl.losses._kernels import Kernel
from drocl.losses._tiles import Pull, kappa_of, wide


def chosen(rows: Tensor, backend: str) -> bool:
    """Whether rows (m, d) go to Triton: where asked for. "auto" stays with the portable path until the kernels have been run on a
    device, not only compiled for one and interpreted.

    Raises:
        ValueError: asked for, and not possible.
    """
    if backend != "triton":
        return False
    from drocl.losses import _triton

    if not _triton.available(rows):
        raise ValueError(
            "backend='triton' needs triton, a CUDA device of compute capability 8 or later (or TRITON_INTERPRET=1); "
            f"got {rows.dtype} on {rows.device}"
        )
    return True


def statistics(
    a: Tensor, b: Tensor | None, kappa: Tensor, ids: Sequence[Tensor], labels: Sequence[Tensor], kernels: Sequence[Kernel],
    moments: int, both: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """As `drocl.losses._tiles.statistics`."""
    from drocl.losses import _triton

    columns, ids_b = (a, ids[0]) if b is None else (b, ids[1])
    known = None if not labels else (labels[0], labels[0] if b is None else labels[1])

    def one(rows: Tensor, cols: Tensor, mine: Tensor, theirs: Tensor, flip: bool) -> tuple[Tensor, Tensor]:
        mine_known, their_known = (None, None) if known is None else known[::-1] if flip else known
        lse, extra = _triton.forward(
            rows, cols, kappa_of(kappa, a.shape[0], flip), mine, theirs, list(kernels), moments=moments,
            row_labels=mine_known, col_labels=their_known,
        )  # fmt: skip
        nothing = lse.new_empty((lse.shape[0], 0))
        return lse.to(wide(a)), (nothing if extra is None else extra).to(wide(a))

    forth = one(a, columns, ids[0], ids_b, False)
    if both:
        return (*forth, *one(columns, a, ids_b, ids[0], True))
    nothing = torch.empty((0, len(kernels)), dtype=wide(a), device=a.device)
    return (*forth, nothing, nothing.new_empty((0, forth[1].shape[1])))


def pull(
    a: Tensor, b: Tensor | None, kappa: Tensor, ids: Sequence[Tensor], kernels: Sequence[Kernel], rows: Pull, cols: Pull | None,
    out_a: Tensor, out_b: Tensor,
) -> None:  # fmt: skip
    """As `drocl.losses._tiles.gradient`."""
    from drocl.losses import _triton

    if b is None:
        mine = _part(a, kappa, rows, False)
        out_a += _triton.pull(a, a, ids[0], ids[0], list(kernels), mine, mine).to(a.dtype)
        return
    pull_one(a, b, kappa, ids, kernels, rows, cols, out_a)
    mine, theirs = _part(a, kappa, rows, False), _part(a, kappa, cols, True)
    out_b += _triton.pull(b, a, ids[1], ids[0], list(kernels), theirs, mine).to(a.dtype)


def pull_one(
    a: Tensor, b: Tensor, kappa: Tensor, ids: Sequence[Tensor], kernels: Sequence[Kernel], rows: Pull | None, cols: Pull | None,
    out_a: Tensor,
) -> None:  # fmt: skip
    """The gradient with respect to a alone."""
    from drocl.losses import _triton

    mine, theirs = _part(a, kappa, rows, False), _part(a, kappa, cols, True)
    out_a += _triton.pull(a, b, ids[0], ids[1], list(kernels), mine, theirs).to(a.dtype)


def _part(a: Tensor, kappa: Tensor, pulled: Pull | None, of_b: bool) -> tuple[Tensor, Tensor, Tensor] | None:
    if pulled is None:
        return None
    return kappa_of(kappa, a.shape[0], of_b), pulled.lse.to(a.dtype), pulled.grad.to(a.dtype)
