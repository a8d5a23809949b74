"""The losses against F.cross_entropy and the libraries: time and peak memory of forward + backward, interleaved, in one run.

python benchmarks/losses.py [--quick] [--sizes 256 1024 4096 16384] [--only WORD] [--threads 1] [--device cpu|cuda]
    [--memory-gb 8] [--out benchmarks/results/losses.json]

Time: CPU time on one thread, wall time on more, CUDA events on a GPU; the median over the rounds and the ratio to the baseline
in the same rounds. Memory: growth of the peak, on the CPU in a fresh process for each contender. What is not run says why.
"""

import argparse
import os
import shlex
import statistics
import subprocess
import sys
import time
import types
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import torch
from _measure import installed, interleaved, peak, ratios, save
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.nn import functional as F

from drocl import losses

WIDTH, CLASSES = 128, 100
PEERS = ("lightly", "pytorch-metric-learning", "info-nce-pytorch")
SIZES = {"cpu": [256, 1024, 4096, 16384], "cuda": [4096, 16384, 65536, 262144, 1_000_000]}
LONGEST = 300.0  # seconds of one call
BASELINES = {2: "F.cross_entropy, 2N layout", 1: "F.cross_entropy, one-sided"}
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def two_sided(tau: float) -> Loss:
    """NT-Xent as one would write it."""

    def loss(z1: Tensor, z2: Tensor, labels: Tensor) -> Tensor:
        z = F.normalize(torch.cat([z1, z2]), dim=1)
        logits = (z @ z.T / tau).fill_diagonal_(-torch.inf)
        return F.cross_entropy(logits, torch.arange(len(z), device=z.device).roll(len(z1)))

    return loss


def one_sided(tau: float) -> Loss:
    def loss(z1: Tensor, z2: Tensor, labels: Tensor) -> Tensor:
        logits = F.normalize(z1, dim=1) @ F.normalize(z2, dim=1).T / tau
        return F.cross_entropy(logits, torch.arange(len(z1), device=z1.device))

    return loss


def fused(tau: float) -> Loss:
    """torch's own chunked product with cross entropy."""

    def loss(z1: Tensor, z2: Tensor, labels: Tensor) -> Tensor:
        rows, columns, options = F.normalize(z1, dim=1) / tau, F.normalize(z2, dim=1), torch.nn.LinearCrossEntropyOptions()
        return F.linear_cross_entropy(rows, columns, torch.arange(len(z1), device=z1.device), options=options)

    return loss


def lightly(tau: float) -> Loss:
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError, OSError):  # lightly.loss imports two of its names and calls neither here
        package, ops = types.ModuleType("torchvision"), types.ModuleType("torchvision.ops")
        package.ops, ops.roi_align, ops.StochasticDepth = ops, None, None
        sys.modules |= {"torchvision": package, "torchvision.ops": ops}
    from lightly.loss import NTXentLoss

    loss = NTXentLoss(tau)
    return lambda z1, z2, labels: loss(z1, z2)


def metric_learning(name: str, tau: float) -> Loss:
    from pytorch_metric_learning import losses as theirs

    if name == "SupConLoss":
        labelled = theirs.SupConLoss(tau)
        return lambda z1, z2, labels: labelled(torch.cat([z1, z2]), labels.repeat(2))
    pairs = theirs.SelfSupervisedLoss(getattr(theirs, name.removeprefix("SelfSupervised "))(tau))
    return lambda z1, z2, labels: pairs(z1, z2)


def info_nce_pytorch(tau: float) -> Loss:
    from info_nce import InfoNCE

    loss = InfoNCE(tau)
    return lambda z1, z2, labels: loss(z1, z2)


def ours(function: Callable[..., Tensor], given: dict[str, Any], tau: float) -> Loss:
    heated = given if "radius" in given else given | {"temperature": tau}
    if function is losses.supervised:
        return lambda z1, z2, labels: function(z1, z2, labels, **heated)
    return lambda z1, z2, labels: function(z1, z2, **heated)


@dataclass(frozen=True)
class Contender:
    """One row of the table.

    Args:
        make: loss at a temperature.
        gb: memory that B pairs need, about; measured at B <= 4096.
        sides: 2, the 2N layout, or 1.
        package: what it comes from.
        every: measured at the other temperatures too.
    """

    make: Callable[[float], Loss]
    gb: Callable[[int], float] = lambda b: 0.0
    sides: int = 2
    package: str = "torch"
    every: bool = True


def copies(n: float, sides: int = 2) -> Callable[[int], float]:
    """GB of n score matrices in single precision."""
    return lambda b: n * 4.0 * (sides * b) ** 2 / 1e9


FAMILY: dict[str, tuple[Callable[..., Tensor], dict[str, Any], float]] = {  # with the score matrices of the dense path
    "info_nce": (losses.info_nce, {}, 5.0),
    "decoupled": (losses.decoupled, {}, 5.0),
    "debiased": (losses.debiased, {}, 5.0),
    "rince": (losses.rince, {}, 5.0),
    "hard_negative, beta 1": (losses.hard_negative, {}, 8.0),
    "hard_negative, beta 0.7": (losses.hard_negative, {"concentration": 0.7}, 8.0),
    "adnce": (losses.adnce, {}, 10.0),
    "dro kl, radius 0.1": (losses.dro, {"divergence": "kl", "radius": 0.1}, 10.0),
    "dro chi2, radius 0.1": (losses.dro, {"divergence": "chi2", "radius": 0.1}, 10.0),
    "mean_variance": (losses.mean_variance, {}, 0.0),  # never forms the scores: one path
    "supervised": (losses.supervised, {}, 5.0),
}


def contenders() -> dict[str, Contender]:
    pml = "pytorch-metric-learning"
    found = {
        BASELINES[2]: Contender(two_sided, copies(2.9)),
        "lightly NTXentLoss": Contender(lightly, copies(4.1), package="lightly"),
        "PML SelfSupervisedLoss(NTXentLoss)": Contender(
            partial(metric_learning, "SelfSupervised NTXentLoss"), lambda b: 2.2 * (b / 256) ** 3, package=pml
        ),
        "PML SelfSupervisedLoss(SupConLoss)": Contender(
            partial(metric_learning, "SelfSupervised SupConLoss"), copies(10.8), package=pml
        ),
        "PML SupConLoss, 100 classes": Contender(partial(metric_learning, "SupConLoss"), copies(10.8), package=pml),
    }
    for name, (function, given, dense) in FAMILY.items():
        cold = "radius" not in given
        found[f"drocl {name}"] = Contender(partial(ours, function, given), every=cold)
        if dense:
            found[f"drocl {name}, dense"] = Contender(
                partial(ours, function, given | {"chunk_size": None}), copies(dense), every=False
            )
    side = {"symmetric": False}
    return found | {
        BASELINES[1]: Contender(one_sided, copies(2.9, 1), 1),
        "F.linear_cross_entropy, chunked": Contender(fused, sides=1),
        "info-nce-pytorch InfoNCE": Contender(info_nce_pytorch, copies(3.0, 1), 1, "info-nce-pytorch"),
        "drocl info_nce, one-sided": Contender(partial(ours, losses.info_nce, side), sides=1),
        "drocl info_nce, one-sided, dense": Contender(
            partial(ours, losses.info_nce, side | {"chunk_size": None}), copies(5.0, 1), 1, every=False
        ),
    }


def step(loss: Loss, size: int, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Callable[[], Tensor]:
    """Forward + backward on two noisy views."""
    seed = torch.Generator().manual_seed(0)
    first = torch.randn(size, WIDTH, generator=seed)
    views = [first, first + torch.randn(size, WIDTH, generator=seed)]
    z1, z2 = (z.to(device, dtype).requires_grad_() for z in views)
    labels = torch.randint(CLASSES, (size,), generator=seed).to(device)

    def call() -> Tensor:
        value = loss(z1, z2, labels)
        torch.autograd.grad(value, (z1, z2))
        return value.detach()

    return call


def timer(call: Callable[[], Tensor], device: str, threads: int) -> Callable[[], float]:
    """Seconds of one call."""

    def on_cuda() -> float:
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        call()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1e3

    def on_cpu() -> float:
        clock = time.process_time if threads == 1 else time.perf_counter
        start = clock()
        call()
        return clock() - start

    return on_cuda if device == "cuda" else on_cpu


def memory(name: str, size: int, call: Callable[[], Tensor], given: argparse.Namespace) -> float | str:
    """MB of one call, or why it has none."""
    if given.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        try:
            call()
        except RuntimeError as error:
            return f"not run: {type(error).__name__}: {str(error).splitlines()[0][:120]}"
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    own = [sys.executable, __file__, "--peak", name, "--sizes", str(size), "--threads", str(given.threads)]
    done = subprocess.run(own, capture_output=True, text=True)
    if done.returncode:
        return f"not run: {(done.stderr.strip().splitlines() or [f'exit status {done.returncode}'])[-1][:120]}"
    return float(done.stdout.split()[-1])


def refusal(name: str, contender: Contender, size: int, limit: float, last: dict[str, tuple[int, float]]) -> str | None:
    """Why a contender is not run, before any work."""
    if installed(contender.package) is None:
        return f"not run: {contender.package} is not installed"
    if contender.make is fused and not hasattr(F, "linear_cross_entropy"):
        return "not run: this torch has no F.linear_cross_entropy"
    if contender.gb(size) > limit:
        return f"not run: needs about {contender.gb(size):.3g} GB"
    before, seconds = last.get(name, (size, 0.0))
    if seconds * (size / before) ** 2 > LONGEST:
        return f"not run: would take about {seconds * (size / before) ** 2:.0f} s a call"
    return None


def measure(size: int, tau: float, dtype: torch.dtype, first: bool, given: argparse.Namespace, last: dict) -> list[dict]:
    """Rows of one size: every contender's time in the same rounds, and its memory at the first temperature."""
    limit = given.memory_gb if given.device == "cpu" else 0.9 * torch.cuda.get_device_properties(0).total_memory / 1e9
    chosen = {k: c for k, c in contenders().items() if first or c.every}
    chosen = {k: c for k, c in chosen.items() if given.only in k or k in BASELINES.values()}
    status = {k: refusal(k, c, size, limit, last) for k, c in chosen.items()}
    calls = {k: step(c.make(tau), size, given.device, dtype) for k, c in chosen.items() if status[k] is None}
    title = f"B = {size}, tau = {tau:g}, {str(dtype).removeprefix('torch.')}"
    peaks: dict[str, float | str] = {}
    for name in track(calls, f"{title}: memory") if first else ():
        peaks[name] = memory(name, size, calls[name], given)
    status |= {k: v for k, v in peaks.items() if isinstance(v, str)}
    timers = {k: timer(call, given.device, given.threads) for k, call in calls.items() if status[k] is None}
    rounds = 5 if given.quick else 41 if size <= 256 else 21 if size <= 1024 else 7 if size <= 4096 else 3
    times = interleaved(timers, rounds, watch=partial(track, description=f"{title}: time"))
    rows = []
    for name, contender in chosen.items():
        row = {"contender": name, "baseline": BASELINES[contender.sides], "B": size, "d": WIDTH, "temperature": tau}
        row |= {"dtype": str(dtype).removeprefix("torch."), "status": status[name] or "ok"}
        found, base = times.get(name, ""), times.get(BASELINES[contender.sides], "")
        if isinstance(found, list):
            last[name] = size, statistics.median(found)
            row |= {"value": float(calls[name]()), "median_ms": 1e3 * last[name][1], "min_ms": 1e3 * min(found)}
            row |= {"repeats": len(found), "peak_mb": peaks.get(name)}
            if isinstance(base, list):
                row["ratio"], row["ratio_of_minima"] = ratios(found, base)
        elif found:
            row["status"] = found
        rows.append(row)
    return rows


def cell(row: dict[str, Any] | None) -> str:
    """Ratio (peak), with the time where there is no ratio or it is 1 by definition."""
    if row is None or row["status"] != "ok":
        return row["status"] if row else ""
    clock = f"{row['median_ms']:.3g} ms" if row["median_ms"] < 1e3 else f"{row['median_ms'] / 1e3:.3g} s"
    ratio = f"{row['ratio']:.2f}" if "ratio" in row else "no baseline"
    extra = [clock] if row["contender"] == row["baseline"] or "ratio" not in row else []
    extra += [] if row["peak_mb"] is None else [f"{row['peak_mb']:.0f} MB"]
    return ratio + (f" ({', '.join(extra)})" if extra else "")


def markdown(rows: list[dict[str, Any]]) -> str:
    """One table for each baseline, temperature and type: contenders down, sizes across."""
    text = []
    for key in dict.fromkeys((r["baseline"], r["temperature"], r["dtype"]) for r in rows):
        part = [r for r in rows if (r["baseline"], r["temperature"], r["dtype"]) == key]
        at = {(r["contender"], r["B"]): r for r in part}
        sizes = list(dict.fromkeys(r["B"] for r in part))
        text += [f"Ratio to {key[0]} (peak memory), tau = {key[1]:g}, {key[2]}", ""]
        text += ["| | " + " | ".join(f"B = {b}" for b in sizes) + " |", "|---" * (len(sizes) + 1) + "|"]
        for name in dict.fromkeys(r["contender"] for r in part):
            text.append(f"| {name} | " + " | ".join(cell(at.get((name, b))) for b in sizes) + " |")
        text.append("")
    return "\n".join(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="B = 256, 1024 and five rounds")
    parser.add_argument("--sizes", type=int, nargs="+", help="numbers of pairs B")
    parser.add_argument("--temperatures", type=float, nargs="+", default=[0.5, 0.02], help="later ones: B <= 4096, no dense path")
    parser.add_argument("--only", default="", help="contenders whose name holds this, and the baselines")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--memory-gb", type=float, default=8.0, help="what a contender may need on the CPU")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/losses.json, on CUDA losses-cuda.json")
    parser.add_argument("--peak", help=argparse.SUPPRESS)  # one contender's memory, in a process of its own
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.peak:
        loss = contenders()[given.peak].make(0.5)
        step(loss, 16)()
        print(peak(step(loss, given.sizes[0])))
        return
    if given.device == "cuda" and not torch.cuda.is_available():
        sys.exit("--device cuda: torch finds no CUDA device here; nothing was measured")
    out = given.out or Path("benchmarks/results/losses.json" if given.device == "cpu" else "benchmarks/results/losses-cuda.json")
    device = torch.cuda.get_device_name(0) if given.device == "cuda" else None
    command, console, rows, last = f"python benchmarks/losses.py {shlex.join(sys.argv[1:])}".strip(), Console(), [], {}
    dtypes = [torch.float32, torch.bfloat16] if given.device == "cuda" else [torch.float32]
    for size in given.sizes or ([256, 1024] if given.quick else SIZES[given.device]):
        for dtype in dtypes:
            for tau in given.temperatures:
                first = tau == given.temperatures[0]
                if first or size <= 4096:
                    rows += measure(size, tau, dtype, first, given, last.setdefault(dtype, {}))
                    save(out, command, rows, ("torch", "numpy", *PEERS), given.threads, device)
        console.print(f"B = {size}: saved to {out}")
    print("\n" + markdown(rows))


if __name__ == "__main__":
    main()
