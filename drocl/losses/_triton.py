r"""The streaming core as CUDA kernels, written in Triton: row statistics, and the pull of every atom on its candidates.

Shape of the work: a program owns a block of rows, keeps their embeddings on chip and walks over blocks of columns. Scores and
weights live in registers; nothing the size of the pair matrix is ever stored. `forward` keeps a running maximum for each
kernel and rescales its sums when the maximum grows, so that no exponential exceeds 1 at any temperature. `pull` needs no
maximum: with the row sums known, $h - \log\sum e^h \le 0$. When there are fewer row blocks than the device has room for, the
columns are cut into parts and the parts are merged afterwards, in a fixed order: results do not change from run to run.

Precision. Sums are float32 (float64 for float64 inputs), exponentials are powers of two with log2(e) folded into the
temperature. `torch.get_float32_matmul_precision()` decides how float32 embeddings are multiplied: "highest" as float32
("ieee", no tensor cores, slow), "high" as three TF32 products ("tf32x3"), "medium" as one ("tf32"). bfloat16 and float16
scores are exact products summed in float32. In `pull` the weights are not representable in half precision (they are about
1 / n): for bfloat16 they are split into two bfloat16 terms, one product each ("medium": one term only); float16 is widened to
float32 and multiplied in TF32, which holds a float16 exactly.

Width. A d that fits (128 or 256, by dtype and card) is one block, loaded once a tile for both products. A larger one is summed
over chunks for the scores, and each chunk of the output of `pull` has its own program, which computes the scores again: d / 128
times the work of the scores. A d that is no multiple of 16 is masked, correctly but with unaligned loads.

Status. The kernels are tested against float64 by Triton's interpreter on the CPU, and were compiled by Triton 3.7.1, without a
device, for sm_80, 89, 90, 100 and 120. They have not been run or timed on a GPU. Block sizes come from the compiler's counts of
registers and shared memory, not from measurements; with d a multiple of 16, float32 and half precision spill at most a few
registers on sm_90. What the tensor cores round in TF32 and bfloat16 is not modelled by the interpreter either.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, import-not-found, import-untyped, misc, name-defined"

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from drocl.losses._kernels import Kernel

try:
    import triton
    import triton.language as tl
except ImportError:  # the kernels below are then defined as plain functions, and never called
    triton, tl = None, SimpleNamespace(constexpr=float)

_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
_LOG2E = tl.constexpr(1.4426950408889634)
_LN2 = tl.constexpr(0.6931471805599453)
_NONE = tl.constexpr(float("-inf"))  # the logarithm of an empty sum

# how h' enters a weight (SLOPE), and what power is (POWER), for the compiler to drop what a kernel does not use
_LINEAR, _CARRIED, _FULL = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)
_NO_POWER, _ONE, _TWO, _REAL = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2), tl.constexpr(3)


def _jit(function: Any) -> Any:
    return function if triton is None else triton.jit(function)


# ---------------------------------------------------------------------------------------------------------- device functions


@_jit
def _tile(matrix, first, stop, chunk, d, ROWS: tl.constexpr, BD: tl.constexpr):
    """Rows first, first + 1, ... and columns chunk, chunk + 1, ... of a contiguous matrix; zero outside."""
    rows = tl.arange(0, ROWS)
    dims = chunk + tl.arange(0, BD)
    start = matrix + tl.cast(first, tl.int64) * d  # 64 bits once a tile; inside it 32 bits are enough
    inside = (rows < stop - first)[:, None] & (dims < d)[None, :]
    return tl.load(start + rows[:, None] * d + dims[None, :], mask=inside, other=0.0)


@_jit
def _vector(values, first, stop, stride, other, LENGTH: tl.constexpr):
    index = tl.arange(0, LENGTH)
    start = values + tl.cast(first, tl.int64) * stride
    return tl.load(start + index * stride, mask=index < stop - first, other=other)


@_jit
def _numbers(tilt, width, centre, power, ACC: tl.constexpr):
    """Parameters in the accumulator's type; they arrive as float64 ("fp64"), for float64 inputs would notice."""
    return tl.full((), tilt, ACC), tl.full((), width, ACC), tl.full((), centre, ACC), tl.full((), power, ACC)


@_jit
def _product(x, y, total, ACC: tl.constexpr, PRECISION: tl.constexpr, WIDEN: tl.constexpr):
    if WIDEN:  # the interpreter multiplies the bit patterns of bfloat16
        x = x.to(tl.float32)
        y = y.to(tl.float32)
    return tl.dot(x, y, total, input_precision=PRECISION, out_dtype=ACC)


@_jit
def _long_scores(
    a, b, row, m, column, n, d,
    BM: tl.constexpr, BN: tl.constexpr, BD: tl.constexpr, ACC: tl.constexpr, PRECISION: tl.constexpr, WIDEN: tl.constexpr,
):  # fmt: skip
    """s = a b^T on a tile, over chunks of d."""
    s = tl.zeros((BM, BN), ACC)
    for chunk in range(0, d, BD):
        x = _tile(a, row, m, chunk, d, BM, BD)
        y = _tile(b, column, n, chunk, d, BN, BD)
        s = _product(x, tl.trans(y), s, ACC, PRECISION, WIDEN)
    return s


@_jit
def _raise(x, power, POWER: tl.constexpr):
    """x^power, x >= 0."""
    if POWER == _ONE:
        return x
    elif POWER == _TWO:
        return x * x
    else:
        return tl.exp2(power * tl.log2(x))  # log2(0) = -inf, 2^-inf = 0


@_jit
def _exponent(s, kappa, tilt, width, centre, power, WIDTH: tl.constexpr, POWER: tl.constexpr):
    """h(s) log2(e); kappa has one axis of length 1."""
    h = s * (kappa * (tilt * _LOG2E))
    if WIDTH:
        h -= (width * _LOG2E) * (s - centre) * (s - centre)
    if POWER != _NO_POWER:
        h -= (kappa * _LOG2E) * _raise(tl.maximum(1.0 - s, 0.0), power, POWER)
    return h


@_jit
def _weight(
    s, kappa, shift, grad, tilt, width, centre, power, carried,
    WIDTH: tl.constexpr, POWER: tl.constexpr, SLOPE: tl.constexpr,
):  # fmt: skip
    """grad e^{h - lse} slope(s), with shift = -lse log2(e)."""
    p = tl.exp2(_exponent(s, kappa, tilt, width, centre, power, WIDTH, POWER) + shift)
    if SLOPE == _LINEAR:
        return p * grad
    elif SLOPE == _CARRIED:
        return p * (grad * kappa * carried)
    else:
        slope = kappa * tilt
        if WIDTH:
            slope = slope - (2.0 * width) * (s - centre)
        if POWER == _ONE:
            slope = slope + kappa
        elif POWER != _NO_POWER:
            gap = tl.maximum(1.0 - s, 0.0)
            slope = slope + (kappa * power) * (gap if POWER == _TWO else _raise(gap, power - 1.0, _REAL))
        return p * grad * slope


@_jit
def _absorb(top, total, h):
    """The running maximum and sum after one more tile; fade rescales sums of weights, p are the tile's weights."""
    new = tl.maximum(top, tl.max(h, 1))
    base = tl.where(new == _NONE, 0.0, new)  # nothing seen yet: -inf - -inf must not arise
    fade = tl.exp2(top - base)
    p = tl.exp2(h - base[:, None])
    return new, total * fade + tl.sum(p, 1), fade, p


@_jit
def _mean(weighted, total):
    return tl.where(total > 0.0, weighted / tl.where(total > 0.0, total, 1.0), 0.0)


@_jit
def _reference(lse, grad, first, stop, R: tl.constexpr, k: tl.constexpr, LENGTH: tl.constexpr):
    """-lse log2(e) and grad of kernel k; a row without negatives weighs nothing."""
    level = _vector(lse + k, first, stop, R, _NONE, LENGTH)
    upstream = _vector(grad + k, first, stop, R, 0.0, LENGTH)
    empty = level == _NONE
    return tl.where(empty, _NONE, -level * _LOG2E), tl.where(empty, 0.0, upstream)


# ------------------------------------------------------------------------------------------------------------------- kernels


@_jit
def _forward_kernel(
    a, b, kappa, row_ids, col_ids, row_labels, col_labels, out, m, n, d, stride_kappa, part,
    tilt0: "fp64", width0: "fp64", centre0: "fp64", power0: "fp64",  # noqa: F821
    tilt1: "fp64", width1: "fp64", centre1: "fp64", power1: "fp64",  # noqa: F821
    WIDTH0: tl.constexpr, POWER0: tl.constexpr, WIDTH1: tl.constexpr, POWER1: tl.constexpr,
    R: tl.constexpr, MOMENTS: tl.constexpr, LABELS: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BD: tl.constexpr, CHUNKED: tl.constexpr,
    ACC: tl.constexpr, PRECISION: tl.constexpr, WIDEN: tl.constexpr,
):  # fmt: skip
    """out[part, i] = lse, then the moments; columns part * program_id(1) onwards."""
    row = tl.program_id(0) * BM
    first = tl.program_id(1) * part
    last = tl.minimum(first + part, n)
    ids = _vector(row_ids, row, m, 1, 0, BM)[:, None]
    k = _vector(kappa, row, m, stride_kappa, 0.0, BM)[:, None]
    if not CHUNKED:
        x = _tile(a, row, m, 0, d, BM, BD)
    if LABELS:
        kinds = _vector(row_labels, row, m, 1, 0, BM)[:, None]

    t0, w0, c0, e0 = _numbers(tilt0, width0, centre0, power0, ACC)
    t1, w1, c1, e1 = _numbers(tilt1, width1, centre1, power1, ACC)
    top0 = tl.full((BM,), _NONE, ACC)
    sum0 = tl.zeros((BM,), ACC)
    if R == 2:
        top1 = tl.full((BM,), _NONE, ACC)
        sum1 = tl.zeros((BM,), ACC)
    if MOMENTS >= 1:
        score0 = tl.zeros((BM,), ACC)
        if R == 2:
            score1 = tl.zeros((BM,), ACC)
    if MOMENTS == 2:
        square = tl.zeros((BM,), ACC)
        log_weight = tl.zeros((BM,), ACC)
        if LABELS:
            top_same = tl.full((BM,), _NONE, ACC)
            same = tl.zeros((BM,), ACC)

    for column in range(first, last, BN):
        if CHUNKED:
            s = _long_scores(a, b, row, m, column, last, d, BM, BN, BD, ACC, PRECISION, WIDEN)
        else:
            y = _tile(b, column, last, 0, d, BN, BD)
            s = _product(x, tl.trans(y), tl.zeros((BM, BN), ACC), ACC, PRECISION, WIDEN)
        others = _vector(col_ids, column, last, 1, 0, BN)[None, :]
        negative = (ids != others) & (tl.arange(0, BN) < last - column)[None, :]

        h = tl.where(negative, _exponent(s, k, t0, w0, c0, e0, WIDTH0, POWER0), _NONE)
        top0, sum0, fade, p = _absorb(top0, sum0, h)
        if MOMENTS >= 1:
            score0 = score0 * fade + tl.sum(p * s, 1)
        if MOMENTS == 2:
            square = square * fade * fade + tl.sum(p * p, 1)
            log_weight = log_weight * fade + tl.sum(tl.where(negative, p * h, 0.0), 1)
            if LABELS:  # a maximum of its own: the same class may lie far below the hardest negative
                theirs = _vector(col_labels, column, last, 1, 0, BN)[None, :]
                top_same, same, _, _ = _absorb(top_same, same, tl.where(kinds == theirs, h, _NONE))
        if R == 2:
            h = tl.where(negative, _exponent(s, k, t1, w1, c1, e1, WIDTH1, POWER1), _NONE)
            top1, sum1, fade, p = _absorb(top1, sum1, h)
            if MOMENTS >= 1:
                score1 = score1 * fade + tl.sum(p * s, 1)

    rows = tl.arange(0, BM)
    inside = rows < m - row
    size = R * (1 if MOMENTS == 0 else 2) + (3 if MOMENTS == 2 else 0)
    o = out + (tl.cast(tl.program_id(1), tl.int64) * m + row) * size + rows * size
    tl.store(o, (top0 + tl.log2(sum0)) * _LN2, mask=inside)
    if R == 2:
        tl.store(o + 1, (top1 + tl.log2(sum1)) * _LN2, mask=inside)
    if MOMENTS >= 1:
        tl.store(o + R, _mean(score0, sum0), mask=inside)
        if R == 2:
            tl.store(o + R + 1, _mean(score1, sum1), mask=inside)
    if MOMENTS == 2:
        tl.store(o + 2 * R, (2.0 * top0 + tl.log2(square)) * _LN2, mask=inside)
        tl.store(o + 2 * R + 1, _mean(log_weight, sum0) * _LN2, mask=inside)
        if LABELS:
            tl.store(o + 2 * R + 2, (top_same + tl.log2(same)) * _LN2, mask=inside)
        else:
            tl.store(o + 2 * R + 2, tl.full((BM,), _NONE, ACC), mask=inside)


@_jit
def _pull_kernel(
    a, b, row_ids, col_ids, out, m, n, d, part, row_kappa, row_lse, row_grad, col_kappa, col_lse, col_grad,
    stride_row_kappa, stride_col_kappa,
    tilt0: "fp64", width0: "fp64", centre0: "fp64", power0: "fp64", carried0: "fp64",  # noqa: F821
    tilt1: "fp64", width1: "fp64", centre1: "fp64", power1: "fp64", carried1: "fp64",  # noqa: F821
    WIDTH0: tl.constexpr, POWER0: tl.constexpr, SLOPE0: tl.constexpr,
    WIDTH1: tl.constexpr, POWER1: tl.constexpr, SLOPE1: tl.constexpr,
    R: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr, TERMS: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BD: tl.constexpr, BO: tl.constexpr, CHUNKED: tl.constexpr,
    ACC: tl.constexpr, PRECISION: tl.constexpr, WIDEN: tl.constexpr,
):  # fmt: skip
    """out[part] = sum over the part's columns of W b, for output dimensions BO * program_id(1) onwards."""
    row = tl.program_id(0) * BM
    outlet = tl.program_id(1) * BO
    first = tl.program_id(2) * part
    last = tl.minimum(first + part, n)
    ids = _vector(row_ids, row, m, 1, 0, BM)[:, None]
    if not CHUNKED:
        x = _tile(a, row, m, 0, d, BM, BD)

    t0, w0, c0, e0 = _numbers(tilt0, width0, centre0, power0, ACC)
    t1, w1, c1, e1 = _numbers(tilt1, width1, centre1, power1, ACC)
    f0 = tl.full((), carried0, ACC)
    f1 = tl.full((), carried1, ACC)
    if ROWS:
        k = _vector(row_kappa, row, m, stride_row_kappa, 0.0, BM)[:, None]
        level0, grad0 = _reference(row_lse, row_grad, row, m, R, 0, BM)
        if R == 2:
            level1, grad1 = _reference(row_lse, row_grad, row, m, R, 1, BM)

    pulled = tl.zeros((BM, BO), ACC)
    for column in range(first, last, BN):
        if CHUNKED:
            s = _long_scores(a, b, row, m, column, last, d, BM, BN, BD, ACC, PRECISION, WIDEN)
        else:
            y = _tile(b, column, last, 0, d, BN, BD)
            s = _product(x, tl.trans(y), tl.zeros((BM, BN), ACC), ACC, PRECISION, WIDEN)
        others = _vector(col_ids, column, last, 1, 0, BN)[None, :]
        negative = (ids != others) & (tl.arange(0, BN) < last - column)[None, :]

        w = tl.zeros((BM, BN), ACC)
        if ROWS:
            w += _weight(s, k, level0[:, None], grad0[:, None], t0, w0, c0, e0, f0, WIDTH0, POWER0, SLOPE0)
            if R == 2:
                w += _weight(s, k, level1[:, None], grad1[:, None], t1, w1, c1, e1, f1, WIDTH1, POWER1, SLOPE1)
        if COLS:
            kt = _vector(col_kappa, column, last, stride_col_kappa, 0.0, BN)[None, :]
            lt, gt = _reference(col_lse, col_grad, column, last, R, 0, BN)
            w += _weight(s, kt, lt[None, :], gt[None, :], t0, w0, c0, e0, f0, WIDTH0, POWER0, SLOPE0)
            if R == 2:
                lt, gt = _reference(col_lse, col_grad, column, last, R, 1, BN)
                w += _weight(s, kt, lt[None, :], gt[None, :], t1, w1, c1, e1, f1, WIDTH1, POWER1, SLOPE1)
        w = tl.where(negative, w, 0.0)  # a positive may lie far above lse: chosen away, not multiplied away

        if CHUNKED:
            z = _tile(b, column, last, outlet, d, BN, BO)
        else:
            z = y
        near = w.to(z.dtype)
        pulled = _product(near, z, pulled, ACC, PRECISION, WIDEN)
        if TERMS == 2:
            pulled = _product((w - near.to(ACC)).to(z.dtype), z, pulled, ACC, PRECISION, WIDEN)

    rows = tl.arange(0, BM)
    dims = outlet + tl.arange(0, BO)
    o = out + (tl.cast(tl.program_id(2), tl.int64) * m + row) * d
    tl.store(o + rows[:, None] * d + dims[None, :], pulled, mask=(rows < m - row)[:, None] & (dims < d)[None, :])


# ---------------------------------------------------------------------------------------------------------------- launching

_INTERPRETED = triton is not None and not isinstance(_forward_kernel, triton.runtime.JITFunction)


@dataclass(frozen=True)
class _Blocks:
    """Rows, columns and embedding dimensions of a tile, and how it is run."""

    bm: int
    bn: int
    bd: int
    bo: int = 0
    warps: int = 4
    stages: int = 2


def _width(d: int, most: int = 1 << 30) -> int:
    """The power of two from 16 (the least a tensor core takes) to `most` that d is padded to."""
    return min(most, max(16, 1 << (d - 1).bit_length()))


def _forward_blocks(d: int, dtype: torch.dtype, precision: str, heavy: bool, roomy: bool) -> _Blocks:
    """heavy: two kernels or the second moments, that is, more registers a pair. roomy: shared memory for wide tiles."""
    if _INTERPRETED:
        return _Blocks(64, 32, _width(d, 64))
    if dtype == torch.float64:
        return _Blocks(64, 32, _width(d, 32), warps=8)
    if dtype == torch.float32 and precision == "ieee":
        return _Blocks(64, 64, _width(d, 32), warps=8)
    if dtype == torch.float32:
        return _Blocks(128, 32 if heavy else 64, _width(d, 32), warps=8, stages=3 if roomy else 2)
    whole = _width(d) <= (256 if roomy else 128)
    return _Blocks(128, 64 if heavy or d > 128 else 128, _width(d) if whole else 64, warps=8, stages=3 if roomy else 2)


def _pull_blocks(d: int, dtype: torch.dtype, precision: str, roomy: bool) -> _Blocks:
    if _INTERPRETED:
        return _Blocks(64, 32, _width(d, 64), _width(d, 64))
    if dtype == torch.float64:
        return _Blocks(32, 32, _width(d, 32), _width(d, 64), warps=8)
    if dtype == torch.float32 and precision == "ieee":
        return _Blocks(64, 32, _width(d, 32), _width(d, 128), warps=8)
    if dtype == torch.float32:
        if precision == "tf32x3":
            return _Blocks(64, 32, _width(d, 32), _width(d, 128), warps=8)
        return _Blocks(128, 32, _width(d) if d <= 128 else 32, _width(d, 128), warps=8)
    if d <= 128:
        return _Blocks(128, 64 if roomy else 32, _width(d), _width(d), warps=8)
    whole = roomy and d <= 256
    return _Blocks(128, 32, 256 if whole else 64, 256 if whole else 128, warps=8)


def _roomy(device: torch.device) -> bool:
    """Hopper and Blackwell of the data centre have 227 KiB of shared memory for a program, others 99 to 163."""
    return not _INTERPRETED and torch.cuda.get_device_capability(device)[0] in (9, 10)


def _programs(device: torch.device) -> int:
    """How many programs keep the device busy: two a multiprocessor."""
    if _INTERPRETED:
        return 5
    return 2 * int(torch.cuda.get_device_properties(device).multi_processor_count)


def _parts(tasks: int, n: int, bn: int, device: torch.device) -> tuple[int, int]:
    """Columns of a part, a multiple of bn, and the number of parts: as many as it takes to fill the device."""
    tiles = triton.cdiv(n, bn)
    parts = max(1, min(tiles, _programs(device) // tasks))
    size = triton.cdiv(tiles, parts) * bn
    return size, triton.cdiv(n, size)


def _precision() -> str:
    return {"highest": "ieee", "high": "tf32x3", "medium": "tf32"}[torch.get_float32_matmul_precision()]


def _parameters(kernels: Sequence[Kernel], slopes: bool) -> dict[str, Any]:
    """What the kernels are told of h_0 and h_1: numbers, and what may be compiled away."""
    told: dict[str, Any] = {"R": len(kernels)}
    for i, h in enumerate((*kernels, *kernels)[:2]):  # one kernel: the second place is filled and not read
        told |= {f"tilt{i}": h.tilt, f"width{i}": h.width, f"centre{i}": h.centre, f"power{i}": h.power}
        told[f"WIDTH{i}"] = h.width != 0.0
        told[f"POWER{i}"] = {0.0: 0, 1.0: 1, 2.0: 2}.get(float(h.power), 3)
        if slopes:
            told[f"carried{i}"] = h.carried
            told[f"SLOPE{i}"] = 0 if h.linear else 1 if h.constant_slope else 2
    return told


def available(tensor: Tensor) -> bool:
    """Triton is installed and can run on the tensor's device and dtype.

    On a GPU from compute capability 8 (bfloat16, TF32 and float64 tensor cores); on the CPU only if Triton interprets, that
    is, if TRITON_INTERPRET=1 was set before Triton was imported.
    """
    if triton is None or tensor.dtype not in _DTYPES:
        return False
    if _INTERPRETED:
        return True
    return tensor.is_cuda and torch.version.hip is None and torch.cuda.get_device_capability(tensor.device) >= (8, 0)


def forward(
    a: Tensor,
    b: Tensor,
    kappa: Tensor,
    row_ids: Tensor,
    col_ids: Tensor,
    kernels: Sequence[Kernel],
    *,
    moments: int = 0,
    row_labels: Tensor | None = None,
    col_labels: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    r"""Row sums of one or two kernels over the negatives.

    $lse_{ik} = \log\sum_{j: id_i \ne id_j} e^{h_k(s_{ij}; \kappa_i)}$, $s = a b^T$.

    Args:
        a, b: (m, d) and (n, d).
        kappa: (1,) or (m,), 1 / temperature.
        row_ids, col_ids: (m,) and (n,) int64; equal ids are not negatives of each other.
        kernels: one or two.
        moments: 0; 1 for the mean score under each kernel's weights; 2 also for three statistics of the first kernel.
        row_labels, col_labels: (m,) and (n,) int64, read if moments = 2.

    Returns:
        (lse, extra): (m, r), -inf in a row without negatives, and None or (m, q), in float32 (float64 for float64 inputs).
        moments = 1: E_k[s], k = 0..r-1, 0 in a row without negatives. moments = 2: then log sum e^{2 h_0}, E_0[h_0], and
        log sum e^{h_0} over the negatives of the same label, -inf where there is none or no labels are given.
    """
    (m, d), (n, r) = a.shape, (b.shape[0], len(kernels))
    acc = torch.float64 if a.dtype == torch.float64 else torch.float32
    labelled = moments == 2 and row_labels is not None and col_labels is not None
    size = r * (1 if moments == 0 else 2) + (3 if moments == 2 else 0)
    if m == 0 or n == 0:
        out = a.new_zeros((m, size), dtype=acc)
        out[:, :r] = -torch.inf
        if moments == 2:
            out[:, 2 * r :: 2] = -torch.inf
    else:
        precision = _precision()
        blocks = _forward_blocks(d, a.dtype, precision, r == 2 or moments == 2, _roomy(a.device))
        tasks = triton.cdiv(m, blocks.bm)
        part, parts = _parts(tasks, n, blocks.bn, a.device)
        out = a.new_empty((parts, m, size), dtype=acc)
        kappa = kappa.to(acc).contiguous()
        with _on(a):
            _forward_kernel[(tasks, parts)](
                a.contiguous(), b.contiguous(), kappa, row_ids.contiguous(), col_ids.contiguous(),
                row_labels.contiguous() if labelled and row_labels is not None else row_ids,
                col_labels.contiguous() if labelled and col_labels is not None else col_ids,
                out, m, n, d, int(kappa.numel() > 1), part,
                **_parameters(kernels, slopes=False),
                MOMENTS=moments, LABELS=labelled, BM=blocks.bm, BN=blocks.bn, BD=blocks.bd, CHUNKED=d > blocks.bd,
                ACC=tl.float64 if acc == torch.float64 else tl.float32, PRECISION=precision,
                WIDEN=_INTERPRETED and a.dtype == torch.bfloat16, num_warps=blocks.warps, num_stages=blocks.stages,
            )  # fmt: skip
        out = out[0] if parts == 1 else _merge(out, r, moments)
    return out[:, :r], out[:, r:] if moments else None


def _merge(out: Tensor, r: int, moments: int) -> Tensor:
    """Statistics of all columns from those of the parts, (parts, m, size) -> (m, size)."""
    lse = torch.logsumexp(out[..., :r], 0)
    if not moments:
        return lse
    share = torch.where(lse == -torch.inf, 0.0, (out[..., :r] - torch.where(lse == -torch.inf, 0.0, lse)).exp())
    columns = [lse, (share * out[..., r : 2 * r]).sum(0)]
    if moments == 2:
        columns += [
            torch.logsumexp(out[..., 2 * r : 2 * r + 1], 0),
            (share[..., :1] * out[..., 2 * r + 1 : 2 * r + 2]).sum(0),
            torch.logsumexp(out[..., 2 * r + 2 :], 0),
        ]
    return torch.cat(columns, 1)


def pull(
    a: Tensor,
    b: Tensor,
    row_ids: Tensor,
    col_ids: Tensor,
    kernels: Sequence[Kernel],
    rows: tuple[Tensor, Tensor, Tensor] | None,
    cols: tuple[Tensor, Tensor, Tensor] | None,
) -> Tensor:
    r"""The gradient of the row sums of a (rows) and of b (cols) with respect to a.

    $out_i = \sum_{j: id_i \ne id_j} \sum_k h_k'(s_{ij}; \kappa_i)\, g_{ik} e^{h_k(s_{ij}; \kappa_i) - lse_{ik}} b_j$, and
    the same with kappa, g and lse of column j.

    Args:
        a, b: (m, d) and (n, d).
        row_ids, col_ids: (m,) and (n,) int64; equal ids are not negatives of each other.
        kernels: one or two.
        rows: (kappa, lse, grad): (1,) or (m,), (m, r), (m, r); an lse of -inf marks a row that contributes nothing.
        cols: the same of the columns: (1,) or (n,), (n, r), (n, r).

    Returns:
        (m, d), float32 (float64 for float64 inputs).
    """
    (m, d), n = a.shape, b.shape[0]
    acc = torch.float64 if a.dtype == torch.float64 else torch.float32
    if m == 0 or n == 0 or (rows is None and cols is None):
        return a.new_zeros((m, d), dtype=acc)
    precision = _precision()
    terms = 2 if a.dtype == torch.bfloat16 and precision != "tf32" else 1
    if a.dtype == torch.float16:
        a, b, precision = a.float(), b.float(), "tf32"
    blocks = _pull_blocks(d, a.dtype, precision, _roomy(a.device))
    tasks = triton.cdiv(m, blocks.bm), triton.cdiv(d, blocks.bo)
    part, parts = _parts(tasks[0] * tasks[1], n, blocks.bn, a.device)
    out = a.new_empty((parts, m, d), dtype=acc)
    told = [
        tuple(t.to(acc).contiguous() for t in side) if side is not None else (out, out, out) for side in (rows, cols)
    ]
    with _on(a):
        _pull_kernel[(*tasks, parts)](
            a.contiguous(), b.contiguous(), row_ids.contiguous(), col_ids.contiguous(), out, m, n, d, part,
            *told[0], *told[1], int(told[0][0].numel() > 1), int(told[1][0].numel() > 1),
            **_parameters(kernels, slopes=True),
            ROWS=rows is not None, COLS=cols is not None, TERMS=terms,
            BM=blocks.bm, BN=blocks.bn, BD=blocks.bd, BO=blocks.bo, CHUNKED=(blocks.bd, blocks.bo) != (_width(d), _width(d)),
            ACC=tl.float64 if acc == torch.float64 else tl.float32, PRECISION=precision,
            WIDEN=_INTERPRETED and a.dtype == torch.bfloat16, num_warps=blocks.warps, num_stages=blocks.stages,
        )  # fmt: skip
    return out[0] if parts == 1 else out.sum(0)


def _on(tensor: Tensor) -> Any:
    """Kernels are launched on the current device, which need not be the tensor's."""
    return torch.cuda.device(tensor.device if tensor.is_cuda else -1)
