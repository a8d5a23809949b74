"""The Triton kernels against a dense float64 evaluation, on the CPU, by Triton's interpreter.

The interpreter is chosen when Triton is imported and would then answer for every later test, so it runs in a process of its
own (this file, as a script), which reports the error of each case in units of its tolerance; the laws are asserted here.

Tolerances. With u = 2^-24 the rounding error of float32, scores of unit vectors are within a few u, and h of size H =
max |h| then within a few u H, in absolute terms. Hence |lse - exact| <= 16 u (1 + H), about 1e-6 of the size of h (1e-5 was
asked for). A weight e^{h - lse} has that error relatively, once in h and once in lse, so that a row of the pull is within
32 u (1 + H) sum_j |W_ij| |b_j|; the moments likewise. Float64 has the same bounds with 8 times 2^-53 for u, room for log2 and
exp2. Inputs are rounded first and the reference starts from the rounded ones, so half precision adds an error only in the pull
of bfloat16, where weights are kept to one term or two: 2^-7 or 2^-14 of |W_ij| if a conversion cuts off, as the interpreter's
does (a GPU rounds to nearest). TF32 is not modelled: the interpreter multiplies in float32.
"""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from drocl.losses._kernels import Kernel

KERNELS = {
    "info-nce": [Kernel()],
    "hard-negative": [Kernel(2.0), Kernel(1.0)],
    "detached": [Kernel(2.0, free=1.0), Kernel(1.0, free=0.0)],
    "adnce": [Kernel(1.0, width=2.0, centre=0.7, free=1.0), Kernel(0.0, width=2.0, centre=0.7, free=0.0)],
    "adnce-undetached": [Kernel(1.0, width=2.0, centre=0.7), Kernel(0.0, width=2.0, centre=0.7)],
    "adnce-narrow": [Kernel(1.0, width=1250.0, centre=0.7), Kernel(0.0, width=1250.0, centre=0.7, free=0.0)],
    "alpha-cl": [Kernel(0.0, power=1.5, linear=True)],
    "alpha-cl-undetached": [Kernel(0.5, power=1.0), Kernel(0.0, power=2.0)],
    "power-undetached": [Kernel(0.5, power=2.5)],
}


@dataclass(frozen=True)
class Case:
    kernels: str
    shape: tuple[int, int, int] = (37, 53, 5)
    temperature: float = 0.1
    dtype: torch.dtype = torch.float32
    ids: str = "pairs"  # i mod B; "alone": some rows have no negative; "opposite": the excluded pair is far above
    per_row: bool = False  # temperatures
    labels: bool = True
    parts: str = "rows, cols"
    blocks: str = "small"  # or those of a GPU
    precision: str = "highest"

    def __str__(self) -> str:
        changed = [str(v) for k, v in vars(self).items() if k != "kernels" and v != getattr(Case, k)]
        return ", ".join([self.kernels, *changed])


# tiles are the same for all: one kernel and two, exact weights and detached ones, powers and none
TILED = ("info-nce", "detached", "adnce-undetached", "power-undetached")
CASES = [
    *(Case(k) for k in KERNELS),
    *(Case(k, shape) for k in TILED for shape in ((130, 70, 40), (35, 40, 130))),
    *(Case(k, (30, 40, 5), temperature=t) for k in KERNELS for t in (0.01, 1.0)),
    *(Case(k, (45, 40, 24), per_row=True) for k in ("info-nce", "adnce-undetached", "alpha-cl-undetached")),
    *(Case(k, temperature=0.01, ids=ids) for k in ("info-nce", "hard-negative") for ids in ("alone", "opposite")),
    *(Case("hard-negative", dtype=t) for t in (torch.bfloat16, torch.float16, torch.float64)),
    *(Case("power-undetached", (37, 53, 70), dtype=t) for t in (torch.bfloat16, torch.float64)),
    *(Case("info-nce", (70, 90, d), blocks="gpu") for d in (20, 140)),
    *(Case("info-nce", (130, n, d), dtype=torch.float16, blocks="gpu") for n, d in ((200, 20), (200, 160), (70, 300))),
    *(Case("adnce", (130, 140, 70), blocks="gpu", precision=p) for p in ("high", "medium")),
    Case("hard-negative", dtype=torch.bfloat16, precision="medium"),
    Case("hard-negative", labels=False),
    Case("hard-negative", (1, 1, 3)),
    Case("hard-negative", parts="rows"),
    Case("hard-negative", parts="cols"),
    Case("hard-negative", parts="", shape=(5, 0, 3)),
]


def dense(case: Case) -> dict[str, Tensor]:
    """The case's inputs and, in float64, the whole pair matrix and what is wanted."""
    torch.manual_seed(0)
    m, n, d = case.shape
    a, b = normalize(torch.randn(m, d), dim=1), normalize(torch.randn(n, d), dim=1)
    row_ids, col_ids = torch.arange(m) % max(1, m // 2), torch.arange(n) % max(1, m // 2)
    if case.ids == "alone":
        col_ids = torch.zeros(n, dtype=torch.int64)
    if case.ids == "opposite":  # s = 1 with the excluded atoms and -1 with the others
        a, b = (torch.where(i % 2 == 0, 1.0, -1.0)[:, None] * a[:1] for i in (row_ids, col_ids))
        row_ids, col_ids = row_ids % 2, col_ids % 2
    kappa = torch.full((1,), 1 / case.temperature)
    kappa_rows, kappa_cols = (kappa * (0.5 + torch.rand(i)) if case.per_row else kappa for i in (m, n))
    a, b = a.to(case.dtype), b.to(case.dtype)

    s = a.double() @ b.double().T
    positive = row_ids[:, None] == col_ids
    same = (row_ids[:, None] % 3 == col_ids % 3) & ~positive
    sides = []
    out = torch.zeros(m, d, dtype=torch.float64)
    total = torch.zeros(m, 1, dtype=torch.float64)
    for side, k, axis in (("rows", kappa_rows, 1), ("cols", kappa_cols, 0)):
        k = k.double()[:, None] if axis else k.double()[None, :]
        hs = [h.value(s, k).masked_fill(positive, -torch.inf) for h in KERNELS[case.kernels]]
        lse = torch.stack([h.logsumexp(axis) for h in hs], 1)
        grad = torch.randn(lse.shape, dtype=torch.float64)
        sides.append((lse, grad, hs))
        for i, (h, kernel) in enumerate(zip(hs, KERNELS[case.kernels], strict=True)):
            level, g = (x[:, i : i + 1] if axis else x[None, :, i] for x in (lse, grad))
            w = torch.where(positive, 0.0, g * kernel.slope(s, k) * (h - level).exp())
            if side in case.parts:
                out += w @ b.double()
                total += w.abs().sum(1, keepdim=True)
    lse, grad, hs = sides[0]
    weights = [torch.where(positive, 0.0, (h - level[:, None]).exp()) for h, level in zip(hs, lse.T, strict=True)]
    extra = [(w * s).sum(1) for w in weights]
    extra += [
        (2 * hs[0]).logsumexp(1),
        torch.where(positive, 0.0, weights[0] * hs[0]).sum(1),
        hs[0].masked_fill(~same, -torch.inf).logsumexp(1) if case.labels else torch.full((m,), -torch.inf).double(),
    ]
    return {
        "a": a, "b": b, "row_ids": row_ids, "col_ids": col_ids, "kappa_rows": kappa_rows, "kappa_cols": kappa_cols,
        "lse": lse, "grad": grad, "lse_cols": sides[1][0], "grad_cols": sides[1][1], "extra": torch.stack(extra, 1),
        "out": out, "total": total,
    }  # fmt: skip


def units(got: Tensor, wanted: Tensor, tolerance: Tensor | float) -> float:
    """The largest error in tolerances; infinite where one is finite and the other is not, or anything is nan."""
    error = torch.where(got.double() == wanted, 0.0, (got.double() - wanted).abs() / tolerance)
    return float(error.nan_to_num(torch.inf, torch.inf).max()) if error.numel() else 0.0


def measure(case: Case) -> dict[str, float]:
    """Errors of one case; runs under the interpreter."""
    from drocl.losses import _triton

    torch.set_float32_matmul_precision(case.precision)
    small = _triton._forward_blocks, _triton._pull_blocks
    if case.blocks == "gpu":
        _triton._INTERPRETED = False
        precision = _triton._precision()
        forward_blocks = small[0](case.shape[2], case.dtype, precision, False, True)
        pull_blocks = small[1](case.shape[2], case.dtype, precision, True)
        _triton._INTERPRETED = True
        _triton._forward_blocks, _triton._pull_blocks = lambda *_: forward_blocks, lambda *_: pull_blocks
    x, kernels = dense(case), KERNELS[case.kernels]
    ids = x["row_ids"], x["col_ids"]
    labels = {"row_labels": ids[0] % 3, "col_labels": ids[1] % 3} if case.labels else {}
    u = 2.0**-53 * 8 if case.dtype == torch.float64 else 2.0**-24
    size = 1 + max(h.largest(1.0, float(x["kappa_rows"].max())) for h in kernels)
    r = len(kernels)
    scale = torch.tensor([1.0] * r + [2.0, size, 1.0])  # of the moments: scores, twice h, h, h
    errors = {}
    for moments in (0, 1, 2) if case.shape == Case.shape else (2,):
        lse, extra = _triton.forward(x["a"], x["b"], x["kappa_rows"], *ids, kernels, moments=moments, **labels)
        columns = (0, r, r + 3)[moments]
        errors[f"lse, {moments}"] = units(lse, x["lse"], 16 * u * size)
        errors[f"columns, {moments}"] = 0.0 if (0 if extra is None else extra.shape[1]) == columns else torch.inf
        if extra is not None:
            errors[f"moments, {moments}"] = units(extra, x["extra"][:, :columns], 32 * u * size * scale[:columns])
    rows = (x["kappa_rows"], x["lse"], x["grad"]) if "rows" in case.parts else None
    cols = (x["kappa_cols"], x["lse_cols"], x["grad_cols"]) if "cols" in case.parts else None
    out = _triton.pull(x["a"], x["b"], *ids, kernels, rows, cols)
    rounded = 2.0**-7 if case.precision == "medium" else 2.0**-14
    bound = 32 * u * size + (rounded if case.dtype == torch.bfloat16 else 0.0)
    errors["pull"] = units(out, x["out"], bound * x["total"] + 1e-30)
    errors["dtype"] = 0.0 if lse.dtype == out.dtype == torch.promote_types(case.dtype, torch.float32) else torch.inf
    _triton._forward_blocks, _triton._pull_blocks = small
    return errors


def controls() -> dict[str, float]:
    """Errors against wrong references: what the tolerances must tell apart."""
    from drocl.losses import _triton

    case = Case("adnce-undetached")
    x, kernels = dense(case), KERNELS[case.kernels]
    kappa, ids, limit = x["kappa_rows"], (x["row_ids"], x["col_ids"]), 16 * 2.0**-24 * 11
    lse = [
        _triton.forward(x["a"], x["b"], kappa, ids[0] + 1000, ids[1], kernels)[0],
        _triton.forward(x["a"], x["b"], kappa * (1 + 1e-3), *ids, kernels)[0],
        _triton.forward(x["a"], x["b"], kappa, *ids, [replace(h, centre=0.701) for h in kernels])[0],
    ]
    rows, cols = (kappa, x["lse"], x["grad"]), (kappa, x["lse_cols"], x["grad_cols"])
    detached = [replace(h, free=h.tilt) for h in kernels]
    out = [_triton.pull(x["a"], x["b"], *ids, k, rows, c) for k, c in ((kernels, None), (detached, cols))]
    return {
        **{f"lse, {i}": units(y, x["lse"], limit) for i, y in enumerate(lse)},
        **{f"pull, {i}": units(y, x["out"], 1e-4 * x["total"]) for i, y in enumerate(out)},
    }


def main() -> None:
    from drocl.losses import _triton

    report: dict[str, object] = {str(case): measure(case) for case in CASES}
    report["controls"] = controls()
    report["available"] = [
        _triton.available(torch.zeros(1, dtype=t)) for t in (torch.float32, torch.float64, torch.int64)
    ]
    print(json.dumps(report))


# ---------------------------------------------------------------------------------------------------------------------- laws

installed = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="not run: triton is not installed")


@pytest.fixture(scope="module")
def interpreted() -> dict[str, dict[str, float]]:
    root = Path(__file__).resolve().parents[2]
    path = os.pathsep.join(p for p in (str(root), os.environ.get("PYTHONPATH", "")) if p)
    env = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    run = subprocess.run([sys.executable, __file__], env=env, cwd=root, capture_output=True, text=True, timeout=280)
    assert run.returncode == 0, run.stderr[-4000:]
    return json.loads(run.stdout.splitlines()[-1])


@installed
@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_kernels_agree_with_the_pair_matrix(interpreted: dict[str, dict[str, float]], case: Case) -> None:
    assert {k: v for k, v in interpreted[str(case)].items() if not v <= 1} == {}


@installed
@pytest.mark.slow
def test_the_tolerances_tell_wrong_kernels_apart(interpreted: dict[str, dict[str, float]]) -> None:
    assert {k: v for k, v in interpreted["controls"].items() if v < 10} == {}


@installed
@pytest.mark.slow
def test_the_interpreter_serves_tensors_of_the_cpu(interpreted: dict[str, list[bool]]) -> None:
    assert interpreted["available"] == [True, True, False]


def test_without_the_interpreter_the_cpu_is_not_served() -> None:
    from drocl.losses import _triton

    assert not _triton.available(torch.zeros(1))


def test_case_names_are_distinct() -> None:
    assert len({str(case) for case in CASES}) == len(CASES)


if __name__ == "__main__":
    main()
