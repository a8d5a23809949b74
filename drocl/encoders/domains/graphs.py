"""Graphs: augmented on the CPU one by one, joined into a batch on the device."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from drocl.encoders._types import Dataset, Kind, Split
from drocl.encoders.augment.graphs import GraphAugmentation
from drocl.encoders.data.tu import geometric


@dataclass(frozen=True)
class Placed:
    """Graphs of a split, on the CPU, and the device that batches of them go to."""

    graphs: Sequence[Any]
    device: torch.device

    def __len__(self) -> int:
        return len(self.graphs)


class GraphDomain:
    """The `Domain` of graphs: batches are `torch_geometric.data.Batch`.

    Args:
        dataset: of kind "graph".
        augmentation: what makes the views: a `GraphAugmentation`, its kind, or its fields by name; None for `GraphAugmentation()`.

    Attributes:
        width: uniform numbers a view takes.
        features: columns of the node features.

    Raises:
        ValueError: another kind of data; an augmentation that is none; no graph; graphs without node features, or with
            different numbers of them.
        ImportError: without torch_geometric.
    """

    kind: ClassVar[Kind] = "graph"

    def __init__(self, dataset: Dataset, augmentation: GraphAugmentation | str | Mapping[str, Any] | None = None) -> None:
        if dataset.kind != self.kind:
            raise ValueError(f"dataset {dataset.name!r} is of kind {dataset.kind!r}, must be {self.kind!r}")
        self.features = _features(dataset)
        self.augmentation = _augmentation(augmentation)
        self.width = self.augmentation.width
        self._batch = geometric("data").Batch

    def place(self, split: Split, device: torch.device) -> Placed:
        """The graphs of a split; they stay on the CPU, where they are augmented."""
        return Placed(split.inputs, torch.device(device))

    def views(self, source: Placed, rows: Tensor, uniforms: Tensor) -> Any:
        """One view of each of the rows (n,), from uniforms (n, width) in [0, 1): a batch on the device."""
        graphs = [source.graphs[row] for row in rows.tolist()]
        return self._batch.from_data_list(self.augmentation(graphs, uniforms)).to(source.device)

    def plain(self, source: Placed, rows: Tensor) -> Any:
        """The graphs of the rows (n,) as they are: a batch on the device."""
        return self._batch.from_data_list([source.graphs[row] for row in rows.tolist()]).to(source.device)


def _augmentation(given: GraphAugmentation | str | Mapping[str, Any] | None) -> GraphAugmentation:
    if isinstance(given, GraphAugmentation):
        return given
    try:
        return GraphAugmentation(**({} if given is None else {"kind": given} if isinstance(given, str) else given))
    except TypeError:
        raise ValueError(f"augmentation={given!r} must be a kind of view of graphs, or fields kind and ratio") from None


def _features(dataset: Dataset) -> int:
    """Columns of the node features, the same for all graphs."""
    widths = set()
    for split in (dataset.train, dataset.test):
        for i, graph in enumerate(split.inputs if split is not None else []):
            if graph.x is None or graph.x.ndim != 2 or len(graph.x) == 0:
                raise ValueError(
                    f"dataset {dataset.name!r}: graph {i} must have node features x (nodes, f) of at least one node"
                )
            widths.add(int(graph.x.shape[1]))
    if len(widths) != 1:
        raise ValueError(
            f"dataset {dataset.name!r}: graphs have node features of widths {sorted(widths)}, must be one width"
        )
    return widths.pop()
