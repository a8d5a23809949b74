"""An encoder back from its checkpoint, and measured."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from drocl.encoders import _evaluation, _losses, _runs, _setup, checkpoint
from drocl.encoders._types import Dataset
from drocl.encoders.config import TrainConfig, changed
from drocl.encoders.models.projector import ContrastiveModel


@dataclass(frozen=True)
class Restored:
    """An encoder, and where it is from.

    Attributes:
        model: encoder and projector, in evaluation mode, on the CPU.
        config: of its training.
        data: the examples that it was built for.
        budget: of its loss's worst case at that moment: temperature or radius, and divergence.
        step: of the checkpoint; -1 for weights.
    """

    model: ContrastiveModel
    config: TrainConfig
    data: _setup.Data
    budget: dict[str, Any]
    step: int

    @property
    def dataset(self) -> Dataset:
        """The examples."""
        return self.data.dataset


def restore(path: Path | str, data: str | None = None, *, encoder: str | None = None) -> Restored:
    """Encoder and projector of a checkpoint, of weights.safetensors (with config.yaml beside) or of a run's folder.

    Args:
        path: which.
        data: another data set than that of its training.
        encoder: where the checkpoint names your own module, its name once more: nothing is run because a file says so.

    Raises:
        ValueError: damaged; a model that does not fit the data; an own encoder that was not named.
        FileNotFoundError: no such file; no config.yaml beside the weights.
    """
    path = Path(path)
    found = None if path.suffix == ".safetensors" else _runs.find(path)
    config = _runs.config_beside(path) if found is None else _runs.config_in(found)
    check_own(config.encoder, encoder)
    if data is not None and data != config.data:
        config = changed(config, data=data, subset=None, data_format=None)
    config = changed(config, label_noise=0.0, outliers=0.0, view_noise=0.0, download=False)
    held = _setup.read_data(changed(config, batch_size=2, accumulate=1, devices=1, nodes=1), torch.device("cpu"))
    model, loss, step = _setup.make_model(config, held.dataset), _setup.make_loss(config, gather=False), -1
    if found is None:
        whole = _weights(path)
        state = {name: value for name, value in whole.items() if not name.startswith(checkpoint.OF_LOSS)}
        own = {name.removeprefix(checkpoint.OF_LOSS): value for name, value in whole.items() if name not in state}
        loss.load_state_dict(own)
    else:
        state, step = found.model, found.step
        loss.load_state_dict(found.loss)
    checkpoint.fit(model, state, f"checkpoint={str(path)!r} does not fit {config.encoder} on {held.dataset.name}")
    return Restored(model.eval(), config, held, _losses.budget_of(loss), step)


def check_own(named: str, given: str | None) -> None:
    """Refuse to run a module that only a file names.

    Raises:
        ValueError: it is one of the user's own, and the user did not name it.
    """
    if ":" in named and not named.startswith("hf:") and given != named:
        raise ValueError(f"encoder={named!r} is code that the checkpoint names; to run it give --encoder {named}")


def measure(
    path: Path | str, data: str | None = None, *, encoder: str | None = None, temperature: float | None = None,
    device: str = "auto",
) -> tuple[Restored, dict[str, Any]]:  # fmt: skip
    """The measurements of `drocl.encoders.evaluate` for a checkpoint.

    Args:
        path, data, encoder: as `restore`.
        temperature: of a KL worst case over the negatives; None is the loss's own worst case.
        device: "cpu", "cuda" or "auto".

    Raises:
        ValueError, FileNotFoundError: as `restore`; a device that is not here.
    """
    if temperature is not None and not temperature > 0.0:
        raise ValueError(f"temperature={temperature} must be above 0")
    which = _setup.device_of(device)
    held = restore(path, data, encoder=encoder)
    budget = held.budget if temperature is None else {"temperature": temperature}
    found = _evaluation.measure(
        held.model.to(which), held.data.domain, held.dataset, budget=budget, device=which, seed=held.config.seed
    )
    return held, found


def _weights(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(str(path))
    except SafetensorError as error:
        raise ValueError(f"weights={str(path)!r} cannot be read: {error}") from None


