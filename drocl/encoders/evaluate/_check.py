"""What the measurements ask of features and labels."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from drocl.encoders._types import UNLABELLED
from drocl.losses._tiles import wide as wide


def features(name: str, x: Tensor) -> Tensor:
    """Rows (n, d) as a float tensor without its graph; half precision becomes single.

    Raises:
        ValueError: another type or shape; a number that is not finite.
    """
    if not isinstance(x, Tensor) or x.ndim != 2 or x.shape[1] == 0 or not x.is_floating_point():
        got = f"{x.dtype} {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(f"{name} must be a floating point tensor (n, d) with d >= 1, got {got}")
    x = x.detach()
    if not bool(torch.isfinite(x).all()):
        raise ValueError(
            f"{name} must hold finite numbers; row {int((~torch.isfinite(x)).any(1).nonzero()[0])} does not"
        )
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def units(name: str, x: Tensor, *, zeros: bool = False) -> Tensor:
    """Rows of norm 1; rows of zeros stay as they are if `zeros`.

    Raises:
        ValueError: as `features`; a row of zeros.
    """
    x = features(name, x)
    largest = x.abs().amax(1, keepdim=True)
    nothing = largest == 0.0
    if not zeros and bool(nothing.any()):
        raise ValueError(f"{name}: row {int(nothing[:, 0].nonzero()[0])} is all zeros and has no direction")
    scaled = x / torch.where(nothing, 1.0, largest)  # squares then neither overflow nor vanish
    length: Tensor = torch.linalg.vector_norm(scaled, dim=1, keepdim=True).clamp_(min=1.0)
    return scaled / length


def labels(name: str, y: Tensor, x: Tensor) -> Tensor:
    """Labels (n,) of the rows of x, int64 on their device.

    Raises:
        ValueError: another shape, no whole numbers, or a label below -1.
    """
    if not isinstance(y, Tensor) or y.shape != (len(x),) or y.is_floating_point() or y.is_complex():
        got = f"{y.dtype} {tuple(y.shape)}" if isinstance(y, Tensor) else type(y).__name__
        raise ValueError(f"{name} must be a tensor of whole numbers ({len(x)},), one a row, got {got}")
    y = y.to(device=x.device, dtype=torch.int64)
    if bool((y < UNLABELLED).any()):
        raise ValueError(f"{name} must hold labels >= 0, or {UNLABELLED} where unknown, got {int(y.min())}")
    return y


def labelled(names: tuple[str, str], x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The rows whose label is known, and the labels.

    Raises:
        ValueError: as `features` and `labels`; no such row.
    """
    x = features(names[0], x)
    y = labels(names[1], y, x)
    known = y != UNLABELLED
    if not bool(known.any()):
        raise ValueError(f"{names[1]} must hold at least one label that is not {UNLABELLED}")
    return (x, y) if bool(known.all()) else (x[known], y[known])


def same_width(x: Tensor, other: Tensor, names: tuple[str, str]) -> None:
    """Features of one width on one device.

    Raises:
        ValueError: if they are not.
    """
    if x.shape[1] != other.shape[1] or x.device != other.device:
        raise ValueError(
            f"{names[0]} and {names[1]} must have the same width and device, "
            f"got {x.shape[1]} on {x.device} and {other.shape[1]} on {other.device}"
        )


def blocks(n: int, width: int, chunk: int | None, entries: int = 1 << 22) -> list[slice]:
    """Rows 0..n-1 in blocks of `chunk` rows, or of as many as keep rows times width to about `entries`.

    Raises:
        ValueError: a chunk below 1.

    >>> blocks(5, 10, 2)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    if chunk is not None and (not isinstance(chunk, int) or chunk < 1):
        raise ValueError(f"chunk={chunk!r} must be a whole number of at least 1, or None")
    height = chunk or max(1, entries // max(width, 1))
    return [slice(i, min(i + height, n)) for i in range(0, n, height)]


@contextmanager
def full_precision() -> Iterator[None]:
    """Single precision products in single precision, whatever the process lets them be (TF32 on CUDA, bf16 on some CPUs)."""
    homes: list[Any] = [torch.backends.cuda.matmul, getattr(torch.backends.mkldnn, "matmul", None)]
    found = [(home, getattr(home, "fp32_precision", "ieee")) for home in homes]  # absent before torch 2.9
    reduced = [(home, was) for home, was in found if was not in ("ieee", "none")]
    for home, _ in reduced:
        home.fp32_precision = "ieee"
    try:
        yield
    finally:
        for home, was in reduced:
            home.fp32_precision = was
