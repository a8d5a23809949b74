"""What all losses take besides their own parameters, read and checked before any work."""

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import torch
from torch import Tensor

from drocl.losses._check import in_range
from drocl.losses._tiles import wide

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

    from drocl.losses.queue import Queue

REDUCTIONS = ("mean", "sum", "none")
COLDEST = 1e-30  # the smallest temperature: its inverse stays inside single precision
BACKENDS = ("auto", "torch", "triton")


class Layout(TypedDict, total=False):
    """Keyword arguments that every loss of `drocl.losses` takes.

    Args:
        symmetric: True: two-sided layout, the 2B rows of both views are anchors; False: rows of z1 against rows of z2.
        normalize: bring rows to norm 1; False takes them as they are.
        reduction: "mean" or "sum" over the anchors, or "none".
        chunk_size: side of the tiles that scores are computed in; "auto" suits it to the device; None keeps the whole score
            matrix (plain torch operations, memory grows with the square of the batch).
        gather: each rank's anchors against the candidates of all ranks of a process group; True gathers the embeddings,
            "ring" passes them round so that no rank ever holds them all (losses that are sums over the negatives only).
        group: the process group; None is the default one.
        queue: more negatives for every anchor, (Q, d) or a `Queue` (memory bank, MoCo); no gradient flows into it.
        negatives: more negatives with gradients: (n, d) for all anchors, or (B, n, d), n for each pair.
        in_batch: False leaves only `queue` and `negatives` as negatives.
        direction_weights: (w12, w21) with symmetric=False: w12 times the loss of z1 against z2 plus w21 times that of z2 against z1.
        diagnostics: True returns (loss, `Diagnostics`).
        backend: "torch"; "triton", kernels for CUDA in single precision; "auto" is "torch" for now.
    """

    symmetric: bool
    normalize: bool
    reduction: Literal["mean", "sum", "none"]
    chunk_size: int | Literal["auto"] | None
    gather: bool | Literal["ring"]
    group: "ProcessGroup | None"
    queue: "Tensor | Queue | None"
    negatives: Tensor | None
    in_batch: bool
    direction_weights: tuple[float, float] | None
    diagnostics: bool
    backend: Literal["auto", "torch", "triton"]


class Common(Layout, total=False):
    """`Layout`, and labels for the diagnostics of the losses that do not know them.

    Args:
        labels: (B,) integers: negatives of the anchor's own class count as false negatives.
    """

    labels: Tensor | None


@dataclass(frozen=True)
class Options:
    """`Common` with its defaults, checked; see there and `Layout`."""

    symmetric: bool = True
    normalize: bool = True
    reduction: str = "mean"
    chunk_size: int | str | None = "auto"
    gather: bool | str = False
    group: Any = None
    queue: Any = None
    negatives: Tensor | None = None
    in_batch: bool = True
    direction_weights: tuple[float, float] | None = None
    labels: Tensor | None = None
    diagnostics: bool = False
    backend: str = "auto"

    def __post_init__(self) -> None:
        if self.reduction not in REDUCTIONS:
            raise ValueError(f"reduction={self.reduction!r} must be one of {', '.join(map(repr, REDUCTIONS))}")
        if self.backend not in BACKENDS:
            raise ValueError(f"backend={self.backend!r} must be one of {', '.join(map(repr, BACKENDS))}")
        whole = isinstance(self.chunk_size, int) and not isinstance(self.chunk_size, bool)
        if not (self.chunk_size in ("auto", None) or (whole and int(self.chunk_size) > 0)):  # type: ignore[arg-type]
            raise ValueError(f"chunk_size={self.chunk_size!r} must be a positive whole number, 'auto' or None")
        if not (isinstance(self.gather, bool) or self.gather == "ring"):
            raise ValueError(f"gather={self.gather!r} must be False, True or 'ring'")
        if self.negatives is not None and not isinstance(self.negatives, Tensor):
            raise ValueError(f"negatives must be a torch tensor (n, d) or (B, n, d), got {type(self.negatives).__name__}")
        if self.direction_weights is not None:
            self._check_directions(self.direction_weights)
        if not self.in_batch and self.gather:
            raise ValueError("in_batch=False leaves nothing to gather: give gather=False")
        if self.gather and self.dense:
            raise ValueError("chunk_size=None (the dense path) works on one process: with gather give 'auto' or a number")
        if self.backend == "triton" and self.dense:
            raise ValueError("backend='triton' streams: give chunk_size 'auto' or a number, not None")

    def _check_directions(self, weights: tuple[float, float]) -> None:
        pair = isinstance(weights, tuple | list) and len(weights) == 2 and all(isinstance(w, int | float) for w in weights)
        good = pair and all(math.isfinite(w) and w >= 0.0 for w in weights) and sum(weights) > 0.0
        if not good:
            raise ValueError(f"direction_weights={weights!r} must be two numbers >= 0, not both 0")
        if self.symmetric:
            raise ValueError("direction_weights weighs z1 -> z2 against z2 -> z1: it needs symmetric=False")

    @property
    def dense(self) -> bool:
        """The whole score matrix is kept."""
        return self.chunk_size is None

    @property
    def both(self) -> bool:
        """One-sided scores, read in both directions."""
        return self.direction_weights is not None

    @property
    def chunk(self) -> int:
        """Side of a tile; 0 for what suits the device."""
        return self.chunk_size if isinstance(self.chunk_size, int) else 0

    @classmethod
    def read(cls, common: Any) -> "Options":
        """From keyword arguments.

        Raises:
            TypeError: an unknown keyword.
            ValueError: a value that is not allowed.
        """
        unknown = [name for name in common if name not in KNOWN]
        if unknown:
            raise TypeError(f"unexpected keyword {unknown[0]!r}; the losses share {', '.join(KNOWN)}")
        return cls(**common)


KNOWN = tuple(field.name for field in fields(Options))


def number(name: str, value: float, low: float, high: float, *, closed: tuple[bool, bool], says: str) -> float:
    """A finite number in an interval, or a ValueError that says what is allowed."""
    try:
        x = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name}={value!r} must be a number in {says}") from None
    above = x >= low if closed[0] else x > low
    below = x <= high if closed[1] else x < high
    if not (math.isfinite(x) and above and below):
        raise ValueError(f"{name}={value!r} must lie in {says}")
    return x


def positive(name: str, value: float) -> float:
    """A number above 0 whose inverse is one."""
    return number(name, value, COLDEST, math.inf, closed=(True, False), says=f"[{COLDEST:g}, inf)")


def refuse_ring(options: Options, what: str) -> None:
    """For what needs the rows of all ranks together."""
    if options.gather == "ring":
        raise ValueError(f"gather='ring' is for sums over the negatives; {what} needs all ranks' rows at once: give gather=True")


def check_views(z1: Any, z2: Any, options: Options) -> None:
    """Two views of one shape (B, d), floating, on one device, with something to contrast.

    Raises:
        ValueError: naming the view, its shape or type, and what is allowed.
    """
    for name, z in (("z1", z1), ("z2", z2)):
        if not isinstance(z, Tensor):
            raise ValueError(f"{name} must be a torch tensor of shape (B, d), got {type(z).__name__}")
        if z.ndim != 2 or z.shape[1] == 0:
            raise ValueError(f"{name} must have shape (B, d) with d >= 1, got {tuple(z.shape)}")
        if not z.is_floating_point():
            raise ValueError(f"{name} must hold floating point numbers, got {z.dtype}")
    if z1.shape != z2.shape:
        raise ValueError(f"z1 and z2 must have the same shape (B, d), got {tuple(z1.shape)} and {tuple(z2.shape)}")
    if z1.device != z2.device:
        raise ValueError(f"z1 and z2 must be on one device, got {z1.device} and {z2.device}")
    rows, elsewhere = z1.shape[0], options.queue is not None or options.negatives is not None or bool(options.gather)
    if rows < 1 or (rows < 2 and not elsewhere):
        raise ValueError(
            f"z1 and z2 must hold B >= 2 rows, got B = {rows}: the negatives of a row are the other rows (or queue, negatives)"
        )


def read_temperature(temperature: Any, anchors: int, pairs: int, like: Tensor) -> Tensor:
    """tau as a double tensor (1,) or (anchors,): a number, a tensor of one, one a pair or one an anchor.

    Raises:
        ValueError: not positive and finite, or of another shape.
    """
    return per_anchor("temperature", temperature, anchors, pairs, like, COLDEST, math.inf, f"[{COLDEST:g}, inf)")


def per_anchor(
    name: str, given: Any, anchors: int, pairs: int, like: Tensor, low: float, high: float, says: str
) -> Tensor:
    """A parameter as a double tensor (1,) or (anchors,): a number, a tensor of one, one a pair or one an anchor.

    Raises:
        ValueError: a value outside [low, high), or another shape.
    """
    if isinstance(given, int | float):
        if not low <= given < high:
            raise ValueError(f"{name}={given!r} must lie in {says}")
        return torch.full((1,), float(given), dtype=wide(like), device=like.device)
    try:
        tensor = given if isinstance(given, Tensor) else torch.as_tensor(given, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{name}={given!r} must be a number in {says}, or a tensor of such numbers") from None
    if tensor.is_complex():
        raise ValueError(f"{name} must hold real numbers in {says}, got {tensor.dtype}")
    if not tensor.is_floating_point():
        raise ValueError(f"{name} must hold floating point numbers in {says}, got {tensor.dtype}; class labels go to labels=")
    values: Tensor = tensor.to(device=like.device, dtype=wide(like)).reshape(-1)
    if values.numel() not in (1, pairs, anchors):
        raise ValueError(
            f"{name} of shape {tuple(tensor.shape)} must hold one number, one a pair ({pairs}) or one an anchor ({anchors})"
        )
    if torch.compiler.is_compiling():
        values = in_range(values, name, low, high, True, says)
    else:  # the same check without an operator in the graph, which forward mode could not pass
        in_range(values.detach(), name, low, high, True, says)
    return values.repeat(2) if 1 < values.numel() == pairs < anchors else values


def read_labels(labels: Any, rows: int, like: Tensor, name: str = "labels") -> Tensor:
    """Class labels (B,) as int64 on the device of the embeddings.

    Raises:
        ValueError: another shape, or not whole numbers.
    """
    try:
        tensor = labels if isinstance(labels, Tensor) else torch.as_tensor(labels)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{name} must hold whole numbers, one a pair, shape ({rows},), got {type(labels).__name__}") from None
    if tensor.shape != (rows,):
        raise ValueError(f"{name} must have shape ({rows},), one a pair, got {tuple(tensor.shape)}")
    if tensor.is_floating_point() or tensor.is_complex():
        raise ValueError(f"{name} must hold whole numbers, got {tensor.dtype}")
    return tensor.to(device=like.device, dtype=torch.int64)
