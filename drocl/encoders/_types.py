"""What training knows about data, encoders and the road between them: the protocols of `drocl.encoders`."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

Kind = Literal["image", "graph", "text"]
KINDS: tuple[Kind, ...] = ("image", "graph", "text")
UNLABELLED = -1  # the label of an example that has none


@dataclass(frozen=True)
class Split:
    """One part of a data set.

    Attributes:
        inputs: images: uint8 tensor (n, channels, height, width); graphs: list of `torch_geometric.data.Data` with node
            features `x` (nodes, f) float; text: list of str.
        labels: int64 (n,), -1 where unknown; None without labels.
    """

    inputs: Any
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, rows: Tensor | Sequence[int]) -> "Split":
        """The examples of these rows, in their order."""
        index = torch.as_tensor(rows, dtype=torch.int64)
        inputs = self.inputs[index] if isinstance(self.inputs, Tensor) else [self.inputs[i] for i in index.tolist()]
        return replace(self, inputs=inputs, labels=None if self.labels is None else self.labels[index])


@dataclass(frozen=True)
class Pairs:
    """Pairs of sentences with a similarity that people gave them.

    Attributes:
        first, second: lists of str, of one length.
        scores: float64 (n,).
    """

    first: list[str]
    second: list[str]
    scores: Tensor

    def __len__(self) -> int:
        return len(self.first)


@dataclass(frozen=True)
class Dataset:
    """Examples to train and to test on.

    Attributes:
        name: for tables, e.g. "digits", "cifar10", "MUTAG", "stsb".
        kind: "image", "graph" or "text".
        train: training examples.
        test: test examples; None where a protocol of its own cuts the training examples (10 folds of graphs).
        classes: names of the labels 0, 1, ...; empty without labels.
        pairs: scored pairs of sentences by name ("stsb-test", "sick-test", ...), for text.
        source: file or folder that it was read from; None for what is bundled.
    """

    name: str
    kind: Kind
    train: Split
    test: Split | None = None
    classes: tuple[str, ...] = ()
    pairs: dict[str, Pairs] = field(default_factory=dict)
    source: Path | None = None


class Domain(Protocol):
    """How examples of one kind become batches. A view is a function of an example and of a row of uniform numbers, so that a batch
    gives the same views however ranks and micro-batches cut it.

    Attributes:
        kind: "image", "graph" or "text".
        width: uniform numbers that a view of one example takes; 0 where the encoder itself is random (dropout).
    """

    @property
    def kind(self) -> Kind: ...

    @property
    def width(self) -> int: ...

    def place(self, split: Split, device: torch.device) -> Any:
        """The examples of a split in the form that `views` and `plain` index: on the device where they fit."""
        ...

    def views(self, source: Any, rows: Tensor, uniforms: Tensor) -> Any:
        """One augmented view of each of the rows (n,), from uniforms (n, width) in [0, 1): a batch for the encoder."""
        ...

    def plain(self, source: Any, rows: Tensor) -> Any:
        """The same rows as the encoder sees them in evaluation, not augmented."""
        ...


class Encoder(Protocol):
    """A `torch.nn.Module` from a batch of its domain to features (n, width).

    Images come as float (n, c, h, w), normalised; graphs as `torch_geometric.data.Batch`; text as list of str (the encoder has
    the tokenizer).
    """

    width: int

    def __call__(self, batch: Any) -> Tensor: ...
