"""One training run in words: a typed configuration, read from YAML and the command line, stored with the result."""

import difflib
import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, cast

from drocl import results

# what moves no number of a run, or only says where it runs
ELSEWHERE = ("device", "devices", "nodes", "download", "cache", "log_every", "checkpoint_every", "threads", "tensorboard")
EPOCHS = 20  # where neither epochs nor max_steps is given


@dataclass(frozen=True)
class TrainConfig:
    """Everything that a training run depends on.

    Args:
        data: "digits", a name in the cache folder, or a path; see `drocl.encoders.data.load`.
        data_format: format of a path that is not recognised by itself; None to see.
        data_options: options of the reader, e.g. image_size.
        download: fetch a data set by name that is not in the cache. Nothing else reaches for the network.
        cache: folder of data sets; None is $DROCL_DATA or ~/.cache/drocl/data.
        subset: number of training examples, drawn once by `seed`, the same share of every class; None is all.
        encoder: "auto" (by kind of data), a name of `drocl.encoders.models`, "hf:PATH", or your own "package.module:Name".
        encoder_options: keyword arguments of the encoder.
        projection: widths of the projector's hidden and last layer; None trains the features themselves.
        projection_norm: of the projector's hidden layer; None is "batch" where an image encoder has batch norms, else "none".
        loss: a name of `drocl.losses`.
        loss_options: its parameters, e.g. temperature, class_prior; temperature "learned" or "learned:0.2" is trained too.
        augmentation: of the views: None (what suits the data), a preset, or the fields of the augmentation of this kind of data.
        positives: "view": two views of one example; "class": views of two examples of one class, by the (noisy) labels.
        n_positives: extra views of each example, or of its class, for losses that take `positives` (M).
        view_noise: probability that a further view is one of any example, drawn at random.
        label_noise: share of the training labels replaced by another class, drawn once; for losses or pairs that know labels.
        outliers: share of the training images replaced by uniform noise, drawn once.
        epochs, max_steps: length; give one (20 epochs if none).
        batch_size: pairs of a step, over all ranks and micro-batches; each pair's negatives are of the whole batch.
        accumulate: micro-batches that a rank cuts its rows into: memory of one, negatives of all.
        optimizer: "adam", "adamw", "sgd" or "lars".
        learning_rate: highest rate; None is 1e-3 (adam, adamw), 0.3 B / 256 (sgd, lars).
        weight_decay, momentum: of the optimiser; momentum of sgd and lars.
        warmup: share of the steps with a linearly rising rate, in [0, 1).
        final_rate: share of the rate at the end of the cosine, in [0, 1].
        clip_gradient: largest norm of the gradient; None for no limit.
        precision: "fp32", "bf16" or "fp16" (mixed; the losses accumulate in single precision).
        compile: torch.compile the encoder.
        channels_last: memory format of images; None is True on CUDA.
        device: "cpu", "cuda" or "auto".
        devices, nodes: processes of a node (of `device`), nodes. torchrun and SLURM set the ranks themselves.
        threads: CPU threads of torch; None leaves torch's.
        seed: of initialisation, order, views, noise and subset.
        log_every: steps from one row of metrics.csv to the next.
        evaluate_every: epochs from one kNN accuracy (or Spearman) to the next during training; None for the end alone.
        tensorboard: write the numbers of metrics.csv for TensorBoard too, where it is installed.
        checkpoint_every: steps from one checkpoint to the next; None is every epoch, at most one in 30 seconds.

    Raises:
        ValueError: a value that is not allowed, naming the field.
    """

    data: str = "digits"
    data_format: str | None = None
    data_options: dict[str, Any] = field(default_factory=dict)
    download: bool = False
    cache: str | None = None
    subset: int | None = None
    encoder: str = "auto"
    encoder_options: dict[str, Any] = field(default_factory=dict)
    projection: tuple[int, int] | None = (128, 64)
    projection_norm: Literal["batch", "none"] | None = None
    loss: str = "info_nce"
    loss_options: dict[str, Any] = field(default_factory=dict)
    augmentation: str | dict[str, Any] | None = None
    positives: Literal["view", "class"] = "view"
    n_positives: int = 0
    view_noise: float = 0.0
    label_noise: float = 0.0
    outliers: float = 0.0
    epochs: int | None = None
    max_steps: int | None = None
    batch_size: int = 256
    accumulate: int = 1
    optimizer: Literal["adam", "adamw", "sgd", "lars"] = "adam"
    learning_rate: float | None = None
    weight_decay: float = 1e-6
    momentum: float = 0.9
    warmup: float = 0.05
    final_rate: float = 0.0
    clip_gradient: float | None = None
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    compile: bool = False
    channels_last: bool | None = None
    device: Literal["cpu", "cuda", "auto"] = "auto"
    devices: int = 1
    nodes: int = 1
    threads: int | None = None
    seed: int = 0
    log_every: int = 10
    evaluate_every: int | None = None
    tensorboard: bool = True
    checkpoint_every: int | None = None

    def __post_init__(self) -> None:
        for name, kind in _types().items():
            object.__setattr__(self, name, _cast(name, getattr(self, name), kind))
        self._check_ranges()
        if self.epochs is not None and self.max_steps is not None:
            raise ValueError(f"epochs={self.epochs}, max_steps={self.max_steps}: give one of them")
        if self.epochs is None and self.max_steps is None:
            object.__setattr__(self, "epochs", EPOCHS)
        if self.batch_size % (self.accumulate * self.devices * self.nodes):
            raise ValueError(
                f"batch_size={self.batch_size} must be a multiple of accumulate * devices * nodes = "
                f"{self.accumulate * self.devices * self.nodes}, so that all micro-batches are of one size"
            )
        if self.learning_rate is None:
            scaled = 0.3 * self.batch_size / 256 if self.optimizer in ("sgd", "lars") else 1e-3
            object.__setattr__(self, "learning_rate", scaled)

    def _check_ranges(self) -> None:
        for name, least in LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name}={value} must be at least {least}")
        for name, (low, high, says) in RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ValueError(f"{name}={value} must lie in {says}")
        if self.projection is not None and min(self.projection) < 1:
            raise ValueError(f"projection={self.projection} must be two widths >= 1, or none")

    def digest(self) -> str:
        """Eight digits that tell apart the runs that differ in what moves their numbers."""
        held = {name: value for name, value in asdict(self).items() if name not in ELSEWHERE}
        return results.key(**held)[:8]

    def label(self) -> str:
        """A short name for folders."""
        data, encoder = ((Path(text).stem or text) if "/" in text else text for text in (self.data, self.encoder))
        safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in f"{data}-{encoder}-{self.loss}")
        return f"{safe[:80]}-{self.digest()}"

    def plain(self) -> dict[str, Any]:
        """As YAML and JSON hold it."""
        return cast(dict[str, Any], results.jsonable(asdict(self)))

    def yaml(self) -> str:
        """The resolved configuration as YAML text."""
        import yaml

        return str(yaml.safe_dump(self.plain(), sort_keys=False, allow_unicode=True))


LEAST: dict[str, float] = {
    "subset": 4, "n_positives": 0, "epochs": 1, "max_steps": 1, "batch_size": 2, "accumulate": 1, "devices": 1, "nodes": 1,
    "threads": 1, "log_every": 1, "evaluate_every": 1, "checkpoint_every": 1, "seed": 0, "weight_decay": 0.0,
}  # fmt: skip
TINY = 1e-300
RANGES = {
    "view_noise": (0.0, 1.0, "[0, 1]"), "label_noise": (0.0, 1.0, "[0, 1]"), "outliers": (0.0, 1.0, "[0, 1]"),
    "warmup": (0.0, 1.0 - 1e-9, "[0, 1)"), "final_rate": (0.0, 1.0, "[0, 1]"), "momentum": (0.0, 1.0 - 1e-9, "[0, 1)"),
    "learning_rate": (TINY, math.inf, "(0, inf)"), "clip_gradient": (TINY, math.inf, "(0, inf)"),
}  # fmt: skip


def read(path: Path | None, given: Mapping[str, Any] | None = None) -> TrainConfig:
    """A configuration from a YAML file, and from what is given beside it, which counts more.

    Args:
        path: a file with fields of `TrainConfig`; None for none.
        given: fields; entries of `loss_options`, `encoder_options`, `data_options` and `augmentation` are added to the file's.

    Raises:
        ValueError: a file that is no YAML mapping; an unknown field (with close names); a value that is not allowed.
        FileNotFoundError: no such file.
    """
    return make(merged(_from_file(path) if path is not None else {}, given or {}), "" if path is None else f"{path}: ")


def merged(held: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Plain fields with others over them: a length replaces the other length, entries of a field are added to those it has."""
    found = dict(held)
    if {"epochs", "max_steps"} & set(given):
        found |= {"epochs": None, "max_steps": None}
    for name, value in given.items():
        before = found.get(name)
        if name == "augmentation" and isinstance(before, str) and isinstance(value, Mapping):
            before = {"preset" if before in ("simclr", "digits", "none") else "kind": before}
        found[name] = {**before, **value} if isinstance(before, Mapping) and isinstance(value, Mapping) else value
    return found


def make(held: Mapping[str, Any], where: str = "") -> TrainConfig:
    """A configuration from plain fields.

    Args:
        held: fields of `TrainConfig`.
        where: what an error begins with.

    Raises:
        ValueError: as `read`.
    """
    known = [entry.name for entry in fields(TrainConfig)]
    for name in held:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
            raise ValueError(
                f"{where}unknown field {name!r}; " + (f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(known)}")
            )
    try:
        return TrainConfig(**held)
    except ValueError as error:
        raise ValueError(f"{where}{error}") from None


def changed(config: TrainConfig, **given: Any) -> TrainConfig:
    """The configuration with fields replaced; a new length replaces the old one.

    >>> changed(TrainConfig(), max_steps=3).epochs is None
    True
    """
    return make(merged({entry.name: getattr(config, entry.name) for entry in fields(config)}, given))


def _from_file(path: Path) -> dict[str, Any]:
    import yaml

    try:
        held = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"config={str(path)!r} is no YAML: {' '.join(str(error).split())}") from None
    if held is None:
        return {}
    if not isinstance(held, dict):
        raise ValueError(f"config={str(path)!r} must hold fields, 'name: value' a line, got {type(held).__name__}")
    return held


def _types() -> dict[str, Any]:
    return typing.get_type_hints(TrainConfig)


def _cast(name: str, value: Any, kind: Any) -> Any:
    """A value as its field's type, from what YAML or a command line gives.

    Raises:
        ValueError: of another type.
    """
    options = typing.get_args(kind) if typing.get_origin(kind) in (types.UnionType, typing.Union) else (kind,)
    for option in options:
        found = _as(value, option)
        if found is not _NO:
            return found
    raise ValueError(f"{name}={value!r} must be {' or '.join(_says(option) for option in options)}")


_NO = object()


def _as(value: Any, kind: Any) -> Any:
    origin = typing.get_origin(kind)
    if origin is Literal:
        return value if value in typing.get_args(kind) and isinstance(value, str) else _NO
    if origin is tuple:
        wanted = len(typing.get_args(kind))
        whole = isinstance(value, Sequence) and not isinstance(value, str) and len(value) == wanted
        good = whole and all(isinstance(entry, int) and not isinstance(entry, bool) for entry in value)
        return tuple(value) if good else _NO
    if origin is dict:
        return dict(value) if isinstance(value, Mapping) and all(isinstance(key, str) for key in value) else _NO
    if kind is types.NoneType:
        return None if value is None else _NO
    if kind is float:
        if isinstance(value, str) and value[:1].isdigit():  # YAML reads 1e-3 as text
            try:
                value = float(value)
            except ValueError:
                return _NO
        good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return float(value) if good else _NO
    if kind is int and isinstance(value, bool):
        return _NO
    return value if isinstance(value, kind) else _NO


def _says(kind: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return f"one of {', '.join(map(repr, typing.get_args(kind)))}"
    named = {int: "a whole number", float: "a finite number", bool: "true or false", str: "text", types.NoneType: "none"}
    if typing.get_origin(kind) is tuple:
        return "two whole numbers"
    return named.get(kind, "fields, name: value")
