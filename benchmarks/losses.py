"""The losses against F.cross_entropy and the libraries: time and peak memory of forward + backward, interleaved, in one run.

python benchmarks/losses.py [--quick] [--sizes 256 1024 4096 16384] [--only WORD] [--threads 1] [--device cpu|cuda]
    [--memory-gb 8] [--longest 300] [--out benchmarks/results/losses.json]

Time: CPU time on one thread, wall time on more, CUDA events on a GPU; the median over the rounds and the ratio to the baseline
in the same rounds. Memory: growth of the peak, on the CPU in a fresh process for each contender. What is not run says why.
"""

import argparse
import os
import shlex
import statistics
import sys
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import torch
from _measure import apart, attempt, installed, interleaved, markdown, peak, ratios, save, timer
from rich.progress import track
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from drocl import losses

PEERS = LIGHTLY, PML, INFO_NCE = "lightly", "pytorch-metric-learning", "info-nce-pytorch"
SIZES = {"cpu": [256, 1024, 4096, 16384], "cuda": [4096, 16384, 65536, 262144, 1_000_000]}
WIDTH, CLASSES = 128, 100
BASELINES = {2: "F.cross_entropy, 2N layout", 1: "F.cross_entropy, one-sided"}
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]  # of two views and their labels


def two_sided(tau: float) -> Loss:
    """NT-Xent as one would write it."""

    def loss(z1: Tensor, z2: Tensor, labels: Tensor) -> Tensor:
        z = normalize(torch.cat([z1, z2]), dim=1)
        logits = (z @ z.T / tau).fill_diagonal_(-torch.inf)
        return cross_entropy(logits, torch.arange(len(z), device=z.device).roll(len(z1)))

    return loss


def one_sided(tau: float) -> Loss:
    def loss(z1: Tensor, z2: Tensor, labels: Tensor) -> Tensor:
        logits = normalize(z1, dim=1) @ normalize(z2, dim=1).T / tau
        return cross_entropy(logits, torch.arange(len(z1), device=z1.device))

    return loss


def chunked(tau: float) -> Loss:
    """torch's own product and cross entropy in chunks."""

    def loss(z1: Tensor, z2: Tensor, labels: Tensor) -> Tensor:
        target = torch.arange(len(z1), device=z1.device)
        rows, options = normalize(z1, dim=1) / tau, torch.nn.LinearCrossEntropyOptions()
        return torch.nn.functional.linear_cross_entropy(rows, normalize(z2, dim=1), target, options=options)

    return loss


def peer(name: str, tau: float) -> Loss:
    """A peer's loss, called as its users call it."""
    if name == INFO_NCE:
        from info_nce import InfoNCE

        pairs = InfoNCE(tau)
    elif name == LIGHTLY:
        try:
            import torchvision  # noqa: F401
        except (ImportError, RuntimeError, OSError):  # lightly.loss imports two of its names and calls neither here
            package, ops = types.ModuleType("torchvision"), types.ModuleType("torchvision.ops")
            package.ops, ops.roi_align, ops.StochasticDepth = ops, None, None
            sys.modules |= {"torchvision": package, "torchvision.ops": ops}
        from lightly.loss import NTXentLoss

        pairs = NTXentLoss(tau)
    else:
        from pytorch_metric_learning import losses as theirs

        if name == "classes":
            classes = theirs.SupConLoss(tau)
            return lambda z1, z2, labels: classes(torch.cat([z1, z2]), labels.repeat(2))
        pairs = theirs.SelfSupervisedLoss(getattr(theirs, name)(tau))
    return lambda z1, z2, labels: pairs(z1, z2)


def ours(function: Callable[..., Tensor], given: dict[str, Any], tau: float) -> Loss:
    heated = given if "radius" in given else given | {"temperature": tau}
    wanted = 2 + (function is losses.supervised)
    return lambda *data: function(*data[:wanted], **heated)


@dataclass(frozen=True)
class Contender:
    """One row of the table."""

    make: Callable[[float], Loss]  # at a temperature
    copies: float = 0.0  # score matrices in memory at the peak, measured at B = 4096; 0: linear in B
    sides: int = 2  # 2N layout, or one-sided
    package: str = "torch"
    again: bool = True  # at the later temperatures too

    def gb(self, size: int) -> float:
        """Memory that it needs, about."""
        return 2.3 * (size / 256) ** 3 if self.make is NTXENT else self.copies * 4e-9 * (self.sides * size) ** 2


NTXENT = partial(peer, "NTXentLoss")  # its memory grows with the cube of B
CONTENDERS = {
    BASELINES[2]: Contender(two_sided, 3.1),
    "lightly NTXentLoss": Contender(partial(peer, LIGHTLY), 4.2, package=LIGHTLY),
    "PML SelfSupervisedLoss(NTXentLoss)": Contender(NTXENT, package=PML),
    "PML SelfSupervisedLoss(SupConLoss)": Contender(partial(peer, "SupConLoss"), 11.3, package=PML),
    "PML SupConLoss, 100 classes": Contender(partial(peer, "classes"), 11.3, package=PML),
    BASELINES[1]: Contender(one_sided, 3.1, 1),
    "F.linear_cross_entropy, chunked": Contender(chunked, 0, 1),
    "info-nce-pytorch InfoNCE": Contender(partial(peer, INFO_NCE), 3.1, 1, INFO_NCE),
}
for name, function, given, dense in (  # dense: copies with chunk_size=None
    ("info_nce", losses.info_nce, {}, 4.4),
    ("decoupled", losses.decoupled, {}, 4.4),
    ("debiased", losses.debiased, {}, 4.4),
    ("rince", losses.rince, {}, 4.4),
    ("hard_negative, beta 1", losses.hard_negative, {}, 5.4),
    ("hard_negative, beta 0.7", losses.hard_negative, {"concentration": 0.7}, 5.4),
    ("adnce", losses.adnce, {}, 7.3),
    ("dro kl, radius 0.1", losses.dro, {"divergence": "kl", "radius": 0.1}, 50),
    ("dro chi2, radius 0.1", losses.dro, {"divergence": "chi2", "radius": 0.1}, 80),
    ("mean_variance", losses.mean_variance, {}, 0),  # never forms the scores: one path
    ("supervised, 100 classes", losses.supervised, {}, 4.4),
    ("info_nce, one-sided", losses.info_nce, {"symmetric": False}, 5),
):
    sides, again = 2 - ("symmetric" in given), "radius" not in given
    CONTENDERS[f"drocl {name}"] = Contender(partial(ours, function, given), 0, sides, again=again)
    if dense:
        whole = partial(ours, function, given | {"chunk_size": None})
        CONTENDERS[f"drocl {name}, dense"] = Contender(whole, dense, sides, again=False)


def views(size: int, device: str = "cpu", dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    """Views and labels; positives at a cosine of 0.37, so that a temperature of 0.02 does not saturate the losses."""
    seed = torch.Generator().manual_seed(0)
    first = torch.randn(size, WIDTH, generator=seed)
    second = first + 2.5 * torch.randn(size, WIDTH, generator=seed)
    labels = torch.randint(CLASSES, (size,), generator=seed)
    return first.to(device, dtype).requires_grad_(), second.to(device, dtype).requires_grad_(), labels.to(device)


class Step:
    """Forward + backward; remembers the value."""

    def __init__(self, loss: Loss, data: tuple[Tensor, Tensor, Tensor]) -> None:
        loss(*views(16, data[0].device.type, data[0].dtype)).backward()  # what the library does once
        self.loss, self.data = loss, data

    def __call__(self) -> None:
        value = self.loss(*self.data)
        torch.autograd.grad(value, self.data[:2])
        self.value = value.detach()


def refusal(name: str, size: int, limit: float, given: argparse.Namespace, last: tuple[int, float]) -> str:
    """Why a contender is not run, before any work; empty if it is. `last`: a smaller size and its seconds."""
    contender, seconds = CONTENDERS[name], last[1] * (size / last[0]) ** 2
    if installed(contender.package) is None:
        return f"not run: {contender.package} is not installed"
    if contender.make is chunked and not hasattr(torch.nn.functional, "linear_cross_entropy"):
        return "not run: this torch has no F.linear_cross_entropy"
    if contender.gb(size) > limit:
        return f"not run: needs about {contender.gb(size):.3g} GB"
    return f"not run: would take about {seconds:.0f} s a call" if seconds > given.longest else ""


def measure(size: int, tau: float, dtype: torch.dtype, given: argparse.Namespace, last: dict) -> list[dict[str, Any]]:
    """Rows of one size: every contender's time in the same rounds, and its memory at the first temperature."""
    first, kind, cuda = tau == given.temperatures[0], str(dtype).removeprefix("torch."), given.device == "cuda"
    limit = 0.9e-9 * torch.cuda.mem_get_info()[1] if cuda else given.memory_gb
    wanted = {k: c for k, c in CONTENDERS.items() if given.only in k and (first or c.again)}
    chosen = {k: c for k, c in CONTENDERS.items() if k in wanted or k in BASELINES.values()}
    status = {k: refusal(k, size, limit, given, last.get((k, dtype), (size, 0.0))) for k in chosen}
    data, title = views(size, given.device, dtype), f"B = {size}, tau = {tau:g}, {kind}"
    calls = {k: attempt(lambda: Step(c.make(tau), data)) for k, c in chosen.items() if not status[k]}
    status |= {k: call for k, call in calls.items() if isinstance(call, str)}
    peaks, rows = {}, []
    own = [sys.executable, __file__, *f"--sizes {size} --temperatures {tau} --threads {given.threads} --peak".split()]
    asked = [k for k in chosen if not status[k]] if first else []
    with ThreadPoolExecutor(1 if cuda else os.cpu_count()) as pool:  # processes of their own, so side by side
        measured = {k: pool.submit(lambda k=k: attempt(lambda: peak(calls[k], "cuda")) if cuda else apart([*own, k], given.longest))
                    for k in asked}  # fmt: skip
        for name in track(asked, f"{title}: memory"):
            peaks[name] = measured[name].result()
    status |= {k: v for k, v in peaks.items() if isinstance(v, str)}
    timers = {k: timer(calls[k], given.device, given.threads) for k in chosen if not status[k]}
    rounds = 5 if given.quick else 31 if size <= 256 else 15 if size <= 1024 else 5 if size <= 4096 else 3
    times = interleaved(timers, rounds, watch=partial(track, description=f"{title}: time"))
    status |= {k: v for k, v in times.items() if isinstance(v, str)}
    for name, contender in chosen.items():
        baseline = BASELINES[contender.sides]
        row = {"contender": name, "baseline": baseline, "B": size, "d": WIDTH, "temperature": tau, "dtype": kind}
        row["status"] = status[name] or "ok"
        if not status[name]:
            found, base = times[name], None if status[baseline] else times[baseline]
            last[name, dtype] = size, statistics.median(found)
            row |= {"value": float(calls[name].value), "median_ms": 1e3 * statistics.median(found)}
            row |= {"min_ms": 1e3 * min(found), "repeats": len(found), "peak_mb": peaks.get(name)}
            row["ratio"], row["ratio_of_minima"] = ratios(found, base) if base else (None, None)
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="B = 256, 1024 and five rounds")
    parser.add_argument("--sizes", type=int, nargs="+", help="numbers of pairs B")
    parser.add_argument("--temperatures", type=float, nargs="+", default=[0.5, 0.02], help="later ones: B <= 4096")
    parser.add_argument("--only", default="", help="contenders whose name holds this, and the baselines")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--memory-gb", type=float, default=8.0, help="what a contender may need on the CPU")
    parser.add_argument("--longest", type=float, default=300.0, help="seconds that a call may take")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/losses.json, on CUDA losses-cuda.json")
    parser.add_argument("--peak", help=argparse.SUPPRESS)  # one contender's memory, in a process of its own
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.peak:
        print(peak(Step(CONTENDERS[given.peak].make(given.temperatures[0]), views(given.sizes[0]))))
        return
    cuda = given.device == "cuda"
    if cuda and not torch.cuda.is_available():
        sys.exit("--device cuda: torch finds no CUDA device here; nothing was measured")
    out = given.out or Path(f"benchmarks/results/losses{'-cuda' if cuda else ''}.json")
    device = torch.cuda.get_device_name() if cuda else None
    words = [word for word in sys.argv[1:] if word not in ("--out", str(given.out))]
    command, rows, last = shlex.join(["python", "benchmarks/losses.py", *words]), [], {}
    for size in given.sizes or ([256, 1024] if given.quick else SIZES[given.device]):
        for dtype in (torch.float32, torch.bfloat16) if cuda else (torch.float32,):
            for tau in given.temperatures:
                if tau == given.temperatures[0] or size <= 4096:
                    rows += measure(size, tau, dtype, given, last)
                    save(out, command, rows, ("torch", "numpy", *PEERS), given.threads, device)
        print(f"B = {size}: saved to {out}")
    print("\n" + markdown(rows))


if __name__ == "__main__":
    main()
