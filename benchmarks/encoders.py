"""The image table, and throughput: pairs a second of whole training, as a share of the encoder's own forward and backward pass.

python benchmarks/encoders.py --data PATH [--device auto] [--epochs 60] [--seeds 0] [--encoder resnet18] [--subset N] [--out FILE]

With --device cuda the whole table (6 losses, ResNet-18, CIFAR-10 of 50,000 images) is made for one H200-class card inside 30 minutes;
each run is kept under --runs as by `drocl train`, so that a run that was stopped goes on. Nothing is downloaded.
"""

import argparse
import math
import statistics
import time
from pathlib import Path
from typing import Any

from _measure import save, show

PACKAGES = ("torch", "lightning-fabric", "numpy", "scikit-learn", "drocl")
#: name in the table -> loss, its parameters
TABLE: dict[str, tuple[str, dict[str, Any]]] = {
    "InfoNCE, tau = 0.5": ("info_nce", {"temperature": 0.5}),
    "InfoNCE, tau = 0.2": ("info_nce", {"temperature": 0.2}),
    "debiased, tau+ = 0.1": ("debiased", {"temperature": 0.5, "class_prior": 0.1}),
    "hard negatives, beta = 1": ("hard_negative", {"temperature": 0.5, "class_prior": 0.1, "concentration": 1.0}),
    "RINCE, q = 0.5": ("rince", {"temperature": 0.5, "q": 0.5, "lam": 0.01}),
    "ADNCE, mu = 0.7, sigma = 1": ("adnce", {"temperature": 0.5, "mu": 0.7, "sigma": 1.0}),
}


def settings(given: argparse.Namespace, loss: str, options: dict[str, Any], seed: int) -> Any:
    """The configuration of one row."""
    from drocl.encoders import TrainConfig

    cuda = given.device == "cuda"
    length = {"max_steps": given.max_steps} if given.max_steps else {"epochs": given.epochs}
    return TrainConfig(
        data=given.data, encoder=given.encoder, loss=loss, loss_options=options, subset=given.subset, seed=seed, device=given.device,
        batch_size=given.batch_size, precision="bf16" if cuda else "fp32", compile=given.compile, projection=(512, 128),
        optimizer="adam", learning_rate=given.learning_rate, tensorboard=False, log_every=50, **length,
    )  # fmt: skip


def own_speed(given: argparse.Namespace, rounds: int = 20) -> float:
    """Images a second of the encoder and projector alone: forward and backward of a ready batch, no views, no loss."""
    import torch

    from drocl.encoders import _setup

    config = settings(given, "info_nce", {}, 0)
    fabric = _setup.fabric_of(config)
    data = _setup.read_data(config, fabric.device)
    plain = _setup.make_model(config, data.dataset)
    if fabric.device.type == "cuda":
        plain = plain.to(memory_format=torch.channels_last)
    model = fabric.setup_module(torch.compile(plain) if config.compile else plain)
    n = min(2 * config.batch_size, len(data.dataset.train))
    batch = data.domain.plain(data.source, torch.arange(n))

    def once() -> float:
        began = time.perf_counter()
        model.zero_grad(set_to_none=True)
        fabric.backward(model(batch).float().square().mean())
        if fabric.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - began

    for _ in range(3):
        once()
    return n / statistics.median(once() for _ in range(rounds))


def interval(values: list[float]) -> float:
    """Half the 90 % t-interval of a mean; nan for one value."""
    from scipy import stats

    if len(values) < 2:
        return math.nan
    return float(stats.t.ppf(0.95, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits", help="as drocl train --data")
    parser.add_argument("--device", choices=("cpu", "cuda", "auto"), default="auto")
    parser.add_argument("--encoder", default="resnet18")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--max-steps", type=int)
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--subset", type=int)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--only", nargs="+", choices=TABLE, default=list(TABLE), metavar="ROW")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=False)
    parser.add_argument("--runs", type=Path, default=Path("drocl-results"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/encoders.json"))
    given = parser.parse_args()
    import torch

    from drocl.encoders import _setup, train

    given.device = _setup.device_of(given.device).type
    device = torch.cuda.get_device_name() if given.device == "cuda" else None
    alone = own_speed(given)
    rows = []
    for name in given.only:
        done = [train(settings(given, *TABLE[name], seed), given.runs) for seed in given.seeds]
        probe = [run.metrics["probe_accuracy"] for run in done]
        # a run that was finished before may have been on another card
        speed = 2.0 * statistics.median(math.nan if run.again else run.examples_per_second for run in done)
        last = done[0].metrics
        rows.append(
            {
                "loss": name, "data": done[0].config.data.rstrip("/").split("/")[-1], "encoder": given.encoder, "steps": done[0].steps,
                "batch": given.batch_size, "seeds": len(done),
                "probe_accuracy": statistics.mean(probe), "plus_minus_90": interval(probe),
                "knn_accuracy": statistics.mean(run.metrics["knn_accuracy"] for run in done), "radius": last["radius"],
                "false_negative_mass": last.get("false_negative_mass", math.nan), "images_per_second": speed,
                "share_of_own_forward_backward": speed / alone, "seconds": sum(run.seconds for run in done),
            }
        )  # fmt: skip
        words = "python benchmarks/encoders.py " + " ".join(f"--{k.replace('_', '-')} {v}" for k, v in shown(given).items())
        save(given.out, words, rows, PACKAGES, torch.get_num_threads(), device)  # after every row
    show(f"{given.data}: linear probe, and images a second (own forward and backward: {alone:,.0f})", rows)
    print(f"results: {given.out}")


def shown(given: argparse.Namespace) -> dict[str, Any]:
    """The options of the command that move a number."""
    names = ("device", "encoder", "batch_size", "learning_rate", "subset", "seeds", "max_steps" if given.max_steps else "epochs")
    compiled = {"compile": ""} if given.compile else {}
    held = {name: getattr(given, name) for name in names if getattr(given, name) is not None}
    return {"data": given.data.rstrip("/").split("/")[-1]} | {
        name: " ".join(map(str, value)) if isinstance(value, list) else value for name, value in held.items()
    } | compiled


if __name__ == "__main__":
    main()
