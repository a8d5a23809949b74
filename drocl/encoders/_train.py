"""The training loop: steps, rows of numbers, checkpoints, and a way out that loses nothing."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import drocl
from drocl import results
from drocl.encoders import _evaluation, _losses, _optim, _runs, _setup, checkpoint, logs
from drocl.encoders._step import step as make_step
from drocl.encoders.checkpoint import Checkpoint
from drocl.encoders.config import TrainConfig
from drocl.encoders.models.projector import ContrastiveModel
from drocl.losses import ContrastiveLoss

Tell = Callable[[int, int, str], None]
PAUSE = 30.0  # seconds between the checkpoints of epochs, where their distance is not given


class Diverged(RuntimeError):
    """A loss or a weight that is no longer finite."""


class Stopped(KeyboardInterrupt):
    """A run that was asked to stop (Ctrl-C, SIGTERM), after its checkpoint was written."""


@dataclass(frozen=True)
class TrainResult:
    """What training gives.

    Attributes:
        config: the resolved configuration.
        history: rows of metrics.csv.
        metrics: what was measured at the end, by name; see `drocl.encoders.evaluate`.
        model: encoder and projector, in evaluation mode, on the CPU.
        steps: that were made, over all parts of the run.
        seconds: of this part of the run, evaluation left out.
        examples_per_second: of this part, without its first step; a pair counts once; nan below two steps.
        folder: of the run; None where nothing was written.
        rank: of this process; 0 alone measures and writes.
        again: the run was finished before, and nothing was trained now.
    """

    config: TrainConfig
    history: list[dict[str, float]]
    metrics: dict[str, Any]
    model: ContrastiveModel
    steps: int
    seconds: float
    examples_per_second: float
    folder: Path | None
    rank: int = 0
    again: bool = False


def train(
    config: TrainConfig, out: Path | str | None = None, *, resume: Path | str | None = None, fresh: bool = False,
    progress: Tell | None = None, measure: bool = True,
) -> TrainResult:  # fmt: skip
    """Train an encoder, and measure it.

    The same call after a crash goes on from the last checkpoint and gives the numbers of a run that was never stopped; after
    the end it returns the result without training.

    Args:
        config: what to train.
        out: folder of the results; the run's is `out/train/LABEL`: config.yaml, metrics.csv, tensorboard/, last.ckpt,
            previous.ckpt, weights.safetensors, result.json. None writes nothing.
        resume: a checkpoint, or a run's folder, to go on from; with another length the run gets a folder beside that one.
        fresh: begin again, whatever lies in the folder.
        progress: called as `progress(done, total, text)`.
        measure: take the measurements at the end.

    Raises:
        ValueError: a configuration, data or checkpoint that is refused, before the first step.
        Diverged: a loss or weights that are no longer finite (a RuntimeError).
        RuntimeError: a file that could not be written (the last good checkpoint stays).
        Stopped: asked to stop; the checkpoint is written.
    """
    if resume is not None and fresh:
        raise ValueError("resume, fresh: give one of them")
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    fabric = _setup.fabric_of(config)
    fabric.launch()
    start = None if resume is None else _runs.find(Path(resume))
    folder = None if out is None else Path(out) / "train" / config.label()
    if start is not None:
        folder = _runs.folder_of(start, config)
    with _runs.alone(folder if fabric.global_rank == 0 else None):
        if fresh and folder is not None and fabric.global_rank == 0:
            _runs.clear(folder)
        fabric.barrier()
        if start is None:
            here = _runs.place(config, folder)
        else:
            assert folder is not None
            here = _runs.resumed(config, start, folder)
        fabric.barrier()  # all ranks have looked before one writes
        return _work(config, here, fabric, progress, measure)


def _work(config: TrainConfig, here: _runs.Place, fabric: Any, progress: Tell | None, measure: bool) -> TrainResult:
    loss = _setup.make_loss(config, gather=fabric.world_size > 1)
    with fabric.rank_zero_first():  # which alone downloads
        data = _setup.read_data(config, fabric.device)
    model = _setup.make_model(config, data.dataset)
    _check_start(here.start, data, fabric)
    if here.finished is not None and (here.finished.get("measured", True) or not measure):
        return _again(config, here, model, fabric.global_rank)
    gpus = [fabric.device] if fabric.device.type == "cuda" else []
    with torch.random.fork_rng(gpus), _stoppable(here.folder is not None) as asked:
        run = _Run(config, here, fabric, data, model, loss, progress)
        run.go(asked)
        return run.result(measure)


def _check_start(start: Checkpoint | None, data: _setup.Data, fabric: Any) -> None:
    """One start on all ranks, and the examples of the checkpoint.

    Raises:
        ValueError: other examples; ranks that see different checkpoints.
    """
    if start is not None and start.data != data.mark:
        raise ValueError(f"data: the examples are not those of {start.path}; give --fresh, or another --out")
    step = 0 if start is None else start.step
    if fabric.world_size > 1 and fabric.broadcast(step) != step:
        raise ValueError("out: the nodes see different checkpoints; give an --out that they share")


class _Run:
    """A run between its first and its last step."""

    def __init__(
        self, config: TrainConfig, here: _runs.Place, fabric: Any, data: _setup.Data, model: ContrastiveModel, loss: ContrastiveLoss,
        progress: Tell | None,
    ) -> None:  # fmt: skip
        self.config, self.here, self.fabric, self.data, self.loss = config, here, fabric, data, loss
        self.tell, self.main = progress, fabric.global_rank == 0
        self.batches = _setup.Batches(config, data, fabric.global_rank, fabric.world_size, fabric.device)
        self.start = 0 if here.start is None else here.start.step
        if here.start is not None:
            other = f"checkpoint={str(here.start.path)!r} is of another model"
            checkpoint.fit(model, here.start.model, other)
            checkpoint.fit(loss, here.start.loss, other)
        ranks_on_gpus = fabric.world_size > 1 and fabric.device.type == "cuda"
        inner = torch.nn.SyncBatchNorm.convert_sync_batchnorm(model) if ranks_on_gpus else model
        if data.dataset.kind == "image" and _setup.channels_last(config, fabric.device):
            inner = inner.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.inner = inner
        loss.to(fabric.device)
        self.model = fabric.setup_module(torch.compile(inner) if config.compile else inner)
        self.optimizer = fabric.setup_optimizers(_setup.make_optimizer(config, inner, loss))
        if here.start is not None:
            self.optimizer.load_state_dict(here.start.optimizer)
            fabric.strategy.precision.load_state_dict(here.start.precision)
        self.seconds = self.first = 0.0
        self.spent = 0  # steps of this part of the run
        self.saved_at = time.monotonic()
        self.log: logs.Log | None = None

    def go(self, asked: threading.Event) -> None:
        """All steps that are left."""
        config, total = self.config, self.batches.total
        folder = self.here.folder if self.main else None
        if self.start > total:
            raise ValueError(f"resume: the checkpoint is at step {self.start}, beyond the {total} steps asked for")
        with _writing(folder, self.start):
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                _runs.write_config(folder, config)
            before = None if self.here.start is None or self.here.start.path is None else self.here.start.path.parent
            self.log = logs.Log(folder, self.start, board=config.tensorboard, before=before)
        self.model.train()
        if self.tell is not None and self.main:
            split, onward = self.data.dataset.train, f", going on from step {self.start}" if self.start else ""
            self.tell(self.start, total, f"{self.data.dataset.name}: {len(split)} training examples{onward}")
        last = self.start
        try:
            for step in range(self.start, total):
                last = self._advance(step, total, asked, last)
        finally:
            self.log.close()

    def _advance(self, step: int, total: int, asked: threading.Event, saved: int) -> int:
        """One step and what follows it; the step of the newest checkpoint."""
        began = time.perf_counter()
        done, config = step + 1, self.config
        due = done % config.log_every == 0 or done == total or step == 0
        value = self._step(step, due)
        at_epoch = done % self.batches.order.steps == 0
        row = self._row(done, value) if due else {}
        saves = done == total or self._checkpoint_due(done, at_epoch)
        if self.fabric.device.type == "cuda" and (row or saves or not self.spent):
            torch.cuda.synchronize()  # the time is that of the work, not of its queue
        self.seconds += time.perf_counter() - began
        self.spent += 1
        if self.spent == 1:
            self.first = self.seconds
        if row:
            row["examples_per_second"] = self.speed()
        if config.evaluate_every and at_epoch and (done // self.batches.order.steps) % config.evaluate_every == 0:
            row = (row or self._row(done, value)) | {"quality": self._quality()}
        stop = done == total or self._asked(asked, done)
        with _writing(self.here.folder, saved):
            if row:
                assert self.log is not None
                self.log.write(row)
                if self.tell is not None and self.main:
                    self.tell(done, total, f"loss {row['loss']:.4f}")
            if stop or saves:
                saved = self._save(done, value)
        if stop and done < total:
            self.fabric.barrier()  # a rank that leaves first would have the launcher kill the one that writes
            raise Stopped(f"stopped at step {done} of {total}; go on with --resume {self.here.folder}")
        return saved

    def _step(self, step: int, due: bool) -> Tensor:
        rate = _optim.rate_at(step, self.batches.total, self.config.warmup, self.config.final_rate)
        assert self.config.learning_rate is not None
        for group in self.optimizer.param_groups:
            group["lr"] = rate * self.config.learning_rate
        self.loss.options["diagnostics"] = due
        self.optimizer.zero_grad(set_to_none=True)
        try:
            value = make_step(self.model, self.loss, self.batches.at(step, with_truth=due), self.fabric)
        except ValueError as error:  # the losses refuse embeddings that are not finite
            raise self._diverged(step + 1, str(error)) from error
        if self.config.clip_gradient is not None:
            self.fabric.clip_gradients(
                self.model, self.optimizer, max_norm=self.config.clip_gradient,
                error_if_nonfinite=self.config.precision != "fp16",  # whose scale finds its size by overflowing
            )  # fmt: skip
        self.optimizer.step()
        return value

    def _row(self, done: int, value: Tensor) -> dict[str, float]:
        """The numbers of a step; means over the anchors of all ranks."""
        entries = {"loss": value}
        if self.loss.options["diagnostics"] and self.loss.last is not None:
            last = self.loss.last
            entries |= {
                "temperature": last.temperature.mean(), "radius": last.radius.mean(),
                "effective_negatives": last.effective_sample_size.mean(), "clamp_fraction": last.clamp_fraction.mean(),
            }  # fmt: skip
            if last.false_negative_mass is not None:
                entries["false_negative_mass"] = last.false_negative_mass.mean()
        held = torch.stack([entry.detach().double() for entry in entries.values()])
        if self.fabric.world_size > 1:
            held = self.fabric.all_reduce(held, reduce_op="mean")
        row = dict(zip(entries, held.tolist(), strict=True))
        if not torch.isfinite(held[0]):
            raise self._diverged(done, f"the loss is {row['loss']}")
        rate = self.optimizer.param_groups[0]["lr"]
        return {"step": done, "epoch": done / self.batches.order.steps, "learning_rate": rate, **row}

    def _diverged(self, done: int, what: str) -> Diverged:
        place = "" if self.here.folder is None else f"; checkpoints before it are in {self.here.folder}"
        return Diverged(f"step {done}: {what}; a lower learning_rate, a longer warmup or clip_gradient may help{place}")

    def speed(self) -> float:
        """Pairs a second, without the first step of this part of the run, which compiles and allocates."""
        if self.spent < 2:
            return float("nan")
        return self.config.batch_size * (self.spent - 1) / max(self.seconds - self.first, 1e-9)

    def _quality(self) -> float:
        found = float("nan")
        if self.main:
            found = _evaluation.quality(self.inner, self.data.domain, self.data.dataset, self.fabric.device)
        self.fabric.barrier()
        return found

    def _asked(self, asked: threading.Event, done: int) -> bool:
        """Whether to stop: with several ranks they agree, at the steps of the log."""
        if self.fabric.world_size == 1:
            return asked.is_set()
        if done % self.config.log_every:
            return False
        votes = torch.tensor(float(asked.is_set()), device=self.fabric.device)
        return bool(self.fabric.all_reduce(votes, reduce_op="sum") > 0)

    def _checkpoint_due(self, done: int, at_epoch: bool) -> bool:
        if self.config.checkpoint_every is not None:
            return done % self.config.checkpoint_every == 0
        return at_epoch and time.monotonic() - self.saved_at >= PAUSE

    def _save(self, done: int, value: Tensor) -> int:
        if self.here.folder is not None and self.main:
            assert self.log is not None
            if not all(bool(part.isfinite().all()) for part in (value, *self.inner.parameters())):
                raise self._diverged(done, "the loss or a weight is no longer finite")
            self.log.keep()
            checkpoint.save(
                self.here.folder,
                Checkpoint(
                    done, self.config.plain(), self.data.mark, self.inner.state_dict(), self.loss.state_dict(),
                    self.optimizer.state_dict(), self.fabric.strategy.precision.state_dict(),
                ),
            )  # fmt: skip
            self.saved_at = time.monotonic()
        return done

    def result(self, measure: bool) -> TrainResult:
        """What the run gives; rank 0 measures, and writes."""
        total, folder = self.batches.total, self.here.folder
        metrics: dict[str, Any] = {}
        if folder is not None and self.main:
            with _writing(folder, total):
                checkpoint.save_weights(folder, self.inner.state_dict(), self.loss.state_dict())
        if measure and self.main:
            if self.tell is not None:
                self.tell(total, total, "evaluation")
            metrics = _evaluation.measure(
                self.inner, self.data.domain, self.data.dataset, budget=_losses.budget_of(self.loss),
                device=self.fabric.device, seed=self.config.seed,
            )  # fmt: skip
        self.fabric.barrier()
        model = self.inner.eval().to("cpu")
        assert self.log is not None
        seconds, speed = self.seconds, self.speed()
        if not self.spent and self.here.finished is not None:  # measured now, trained before
            seconds, speed = (float(self.here.finished[name]) for name in ("seconds", "examples_per_second"))
        rank = self.fabric.global_rank
        done = TrainResult(self.config, self.log.rows, metrics, model, total, seconds, speed, folder, rank)
        if folder is not None and self.main:
            with _writing(folder, total):
                _runs.write_result(folder, _held(done, measure, self.fabric.device))
        return done


def _held(done: TrainResult, measured: bool, device: torch.device) -> dict[str, Any]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {
        "complete": True, "measured": measured, "device": name,
        "version": drocl.__version__, "libraries": results.library_versions(), "config": done.config.plain(),
        "steps": done.steps, "seconds": done.seconds, "examples_per_second": done.examples_per_second, "metrics": done.metrics,
    }  # fmt: skip


def _again(config: TrainConfig, here: _runs.Place, model: ContrastiveModel, rank: int) -> TrainResult:
    """The result of a run that is done."""
    assert here.folder is not None
    assert here.finished is not None
    assert here.start is not None
    model.load_state_dict(here.start.model)
    held, history = here.finished, logs.read(here.folder / logs.METRICS)
    speed = float(held["examples_per_second"])
    seconds = float(held["seconds"])
    return TrainResult(config, history, held["metrics"], model.eval(), held["steps"], seconds, speed, here.folder, rank, True)


@contextmanager
def _writing(folder: Path | None, saved: int) -> Iterator[None]:
    """A file that could not be written, as one error that says where the run still is."""
    try:
        yield
    except OSError as error:
        good = f"the checkpoint of step {saved} in {folder} is whole" if saved else "no checkpoint was written yet"
        raise RuntimeError(f"{error.strerror or error}: {error.filename or folder}; {good}") from error


@contextmanager
def _stoppable(yes: bool) -> Iterator[threading.Event]:
    """SIGINT and SIGTERM ask the run to stop after its step; a second one stops it at once."""
    asked = threading.Event()
    if not yes or threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def hear(number: int, frame: Any) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {which: signal.signal(which, hear) for which in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
