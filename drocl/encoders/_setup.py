"""Everything that a configuration names, built and checked before the first step."""

import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from drocl.encoders import _losses, _optim, models
from drocl.encoders._order import Order, Partners, generator, noisy_labels, number, some, with_outliers
from drocl.encoders._step import Batch
from drocl.encoders._types import UNLABELLED, Dataset, Domain
from drocl.encoders.config import TrainConfig
from drocl.encoders.data import load
from drocl.encoders.domains import domain_of
from drocl.encoders.models.projector import ContrastiveModel, Projector
from drocl.losses import ContrastiveLoss

PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


@dataclass(frozen=True)
class Data:
    """The examples of a run.

    Attributes:
        dataset: as read, its training part cut to the subset.
        domain: how they become batches.
        known: labels that training knows, noise included, each unlabelled example a class of its own; None without labels.
        truth: the labels as read, each unlabelled example a class of its own; None without labels.
        source: training examples, outliers included, as `domain.place` gave them.
    """

    dataset: Dataset
    domain: Domain
    known: Tensor | None
    truth: Tensor | None
    source: Any

    @cached_property
    def mark(self) -> str:
        """`fingerprint` of the examples as read; only a run with checkpoints asks for it."""
        return fingerprint(self.dataset)


def device_of(name: str) -> torch.device:
    """The device of a name.

    Raises:
        ValueError: another name than "cpu", "cuda" or "auto"; cuda where there is none.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device={name!r} must be auto, cpu or cuda")
    here = torch.cuda.is_available()
    if name == "cuda" and not here:
        raise ValueError("device='cuda': torch finds no CUDA device here; give cpu or auto")
    return torch.device("cuda" if here and name != "cpu" else "cpu")


def fabric_of(config: TrainConfig) -> Any:
    """Lightning's Fabric for the devices, nodes and precision of a configuration.

    Fabric and not the Trainer: with micro-batches the loss of a step needs the embeddings of all of them before the first backward pass
    (`_step.step`), and the Trainer's accumulation averages losses of parts, each with its own negatives alone.

    Raises:
        ValueError: a device that is not here; a precision that it has not.
    """
    try:
        from lightning_fabric import Fabric
    except ImportError as missing:
        raise ImportError("drocl.encoders needs lightning-fabric: pip install 'drocl[train]'") from missing
    device = device_of(config.device).type
    if device == "cuda" and config.devices > torch.cuda.device_count() and "LOCAL_RANK" not in os.environ:
        raise ValueError(f"devices={config.devices}: this node has {torch.cuda.device_count()}")
    world = int(os.environ.get("WORLD_SIZE") or 0)
    if "TORCHELASTIC_RUN_ID" in os.environ and world != config.devices * config.nodes:
        raise ValueError(f"devices={config.devices}, nodes={config.nodes}: torchrun started {world} processes; make them agree")
    if device == "cpu" and config.precision == "fp16":
        raise ValueError("precision='fp16' needs device='cuda'; on the CPU give fp32 or bf16")
    return Fabric(
        accelerator=device, devices=config.devices, num_nodes=config.nodes, precision=cast(Any, PRECISIONS[config.precision]),
        strategy="ddp" if config.devices * config.nodes > 1 else "auto",
    )  # fmt: skip


def read_data(config: TrainConfig, device: torch.device) -> Data:
    """The data set of a configuration, with its noise.

    Raises:
        ValueError: what the readers refuse; a subset, a batch or noise that the data has no room for.
        FileNotFoundError: no such path.
    """
    dataset = _load(config)
    if config.subset is not None:
        dataset = replace(dataset, train=some(dataset.train, config.subset, config.seed))
    labels = dataset.train.labels
    if config.batch_size > len(dataset.train):
        raise ValueError(f"batch_size={config.batch_size} must be at most the number of training examples, {len(dataset.train)}")
    if labels is None and (config.loss in _losses.LABELLED or config.label_noise > 0.0):
        which = f"loss={config.loss!r}" if config.loss in _losses.LABELLED else f"label_noise={config.label_noise}"
        raise ValueError(f"{which} needs labels, and {dataset.name} has none")
    if config.label_noise > 0.0 and config.loss not in _losses.LABELLED and config.positives != "class":
        raise ValueError(f"label_noise={config.label_noise}: {config.loss} with positives='view' looks at no label")
    domain = domain_of(dataset, **_domain_options(config, dataset, device))
    train = with_outliers(dataset.train, config.outliers, config.seed) if config.outliers > 0.0 else dataset.train
    truth = known = None
    if labels is not None:
        alone = -2 - torch.arange(len(labels))
        truth = torch.where(labels == UNLABELLED, alone, labels)
        noisy = noisy_labels(labels, len(dataset.classes), config.label_noise, config.seed)
        known = torch.where(noisy == UNLABELLED, alone, noisy)
    return Data(dataset, domain, known, truth, domain.place(train, device))


def fingerprint(dataset: Dataset) -> str:
    """Eight digits of what training reads: a run must not go on with other examples.

    >>> from drocl.encoders.data import load
    >>> len(fingerprint(load("digits")))
    8
    """
    split, total = dataset.train, 0
    inputs = [split.inputs] if isinstance(split.inputs, Tensor) else split.inputs
    for entry in inputs:
        if isinstance(entry, str):
            total = zlib.crc32(f"{entry}\0".encode(), total)
            continue
        for part in (entry,) if isinstance(entry, Tensor) else (entry.x, entry.edge_index):
            total = zlib.crc32(part.contiguous().numpy().data, total)
    if split.labels is not None:
        total = zlib.crc32(split.labels.numpy().data, total)
    return f"{total:08x}"


def _load(config: TrainConfig) -> Dataset:
    """The data set as read; the last one is kept, for several runs in one process."""
    cache = None if config.cache is None else Path(config.cache)
    path = Path(config.data).expanduser()
    files = [path] if path.is_file() else list(path.iterdir()) if path.is_dir() else []
    changed = [file.stat().st_mtime for file in files if file.is_file()]
    if len(changed) < len(files):  # folders in folders: what changed there is not seen
        _LOADED.clear()
    options = repr(config.data_options)
    key = (config.data, cache, os.environ.get("DROCL_DATA"), config.data_format, options, max(changed, default=0.0))
    if key not in _LOADED:
        own = {name: value for name, value in config.data_options.items() if name not in _OF_LOAD}
        if len(own) < len(config.data_options):
            raise ValueError(f"data_options: {', '.join(_OF_LOAD)} are fields of the configuration")
        try:
            found = load(config.data, download=config.download, cache=cache, data_format=config.data_format, **own)
        except TypeError as error:
            raise ValueError(f"data_options={config.data_options}: {error}") from None
        _LOADED.clear()
        _LOADED[key] = found
    return _LOADED[key]


_OF_LOAD = ("download", "cache", "data_format")
_LOADED: dict[tuple[Any, ...], Dataset] = {}


def _domain_options(config: TrainConfig, dataset: Dataset, device: torch.device) -> dict[str, Any]:
    if dataset.kind == "text" and config.augmentation is not None:
        raise ValueError(f"augmentation={config.augmentation!r}: views of sentences are made by the encoder's dropout")
    options: dict[str, Any] = {} if config.augmentation is None else {"augmentation": config.augmentation}
    if dataset.kind == "image":
        options["channels_last"] = channels_last(config, device)
    return options


def channels_last(config: TrainConfig, device: torch.device) -> bool:
    """The memory format of images: as asked, else what suits the device."""
    return device.type == "cuda" if config.channels_last is None else config.channels_last


def make_model(config: TrainConfig, dataset: Dataset) -> ContrastiveModel:
    """Encoder and projector, initialised by the seed alone.

    Raises:
        ValueError: what `drocl.encoders.models.make` refuses.
    """
    encoder = models.make(config.encoder, dataset, seed=number(config.seed, "encoder"), **config.encoder_options)
    with models.seeded(number(config.seed, "projector")):
        projector = None
        if config.projection is not None:
            norms = dataset.kind == "image" and any(isinstance(layer, nn.BatchNorm2d) for layer in encoder.modules())
            norm = config.projection_norm or ("batch" if norms else "none")
            projector = Projector(cast(int, encoder.width), *config.projection, norm=norm)
    return ContrastiveModel(encoder, projector)


def make_loss(config: TrainConfig, gather: bool) -> ContrastiveLoss:
    """The loss.

    Raises:
        ValueError: what `_losses.make` refuses; extra positives for a loss that takes none.
    """
    if config.n_positives and not _losses.takes_positives(config.loss):
        taking = ", ".join(name for name in _losses.LOSSES if _losses.takes_positives(name))
        raise ValueError(f"n_positives={config.n_positives}: {config.loss} takes no extra positives; {taking} do")
    return _losses.make(config.loss, config.loss_options, gather=gather)


def make_optimizer(config: TrainConfig, model: nn.Module, loss: nn.Module) -> torch.optim.Optimizer:
    """The optimiser of both."""
    assert config.learning_rate is not None
    return _optim.make(config.optimizer, (model, loss), config.learning_rate, config.weight_decay, config.momentum)


class Batches:
    """The share of a rank in the batch of each step.

    Args:
        config, data: of the run.
        rank, ranks: this process, and how many there are.
        device: of the views.
    """

    def __init__(self, config: TrainConfig, data: Data, rank: int, ranks: int, device: torch.device) -> None:
        self.config, self.data, self.device, self.rank = config, data, device, rank
        n = len(data.dataset.train)
        self.order = Order(n, config.batch_size, config.seed)
        self.partners = Partners(
            data.known, n, by_class=config.positives == "class", noise=config.view_noise, seed=config.seed
        )
        self.share = config.batch_size // ranks
        self.total = config.max_steps or cast(int, config.epochs) * self.order.steps

    def at(self, step: int, *, with_truth: bool) -> Batch:
        """The batch of a step.

        Args:
            step: from 0.
            with_truth: give a loss that needs no labels the true ones, for its statistics.
        """
        rows, views = self.order.rows(step), 2 + self.config.n_positives
        everyone = torch.stack([rows, *(self.partners.rows(rows, step, which) for which in range(1, views))])
        width = self.data.domain.width
        uniforms = torch.rand((views, len(rows), width), generator=generator(self.config.seed, "views", step))
        mine = slice(self.rank * self.share, (self.rank + 1) * self.share)
        everyone, uniforms = everyone[:, mine], uniforms[:, mine].to(self.device)
        size = self.share // self.config.accumulate
        micro: list[Callable[[], Any]] = [
            partial(self._views, everyone[:, start : start + size], uniforms[:, start : start + size])
            for start in range(0, self.share, size)
        ]
        return Batch(micro, views, self._labels(rows[mine], with_truth), number(self.config.seed, "step", step, self.rank))

    def _views(self, rows: Tensor, uniforms: Tensor) -> Any:
        return self.data.domain.views(self.data.source, rows.reshape(-1), uniforms.flatten(0, 1))

    def _labels(self, rows: Tensor, with_truth: bool) -> Tensor | None:
        labels = self.data.truth if with_truth else None
        if self.config.loss in _losses.LABELLED:
            labels = self.data.known
        return None if labels is None else labels[rows].to(self.device)
