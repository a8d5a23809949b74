"""Graph isomorphism network: sums over neighbours, sums over nodes, all layers read out."""

from typing import Any

import torch
from torch import Tensor, nn

from drocl.encoders.data.tu import geometric


class GIN(nn.Module):
    r"""GIN, read out as $[\sum_v h^1_v, ..., \sum_v h^L_v]$.

    $$ h^{l+1}_v = \mathrm{norm}\big(\mathrm{ReLU}(\mathrm{MLP}_l(h^l_v + \textstyle\sum_{u \sim v} h^l_u))\big) $$

    Args:
        features: columns of the node features.
        hidden: width of a layer.
        layers: number L of layers.
        norm: "batch" (over the nodes of the batch) or "none".

    Attributes:
        width: L * hidden.

    Raises:
        ValueError: a size below 1; another norm.
        ImportError: without torch_geometric.

    Source: Xu et al. 2019; the readout as in Sun et al. 2020 (InfoGraph) and You et al. 2020 (GraphCL).
    """

    def __init__(self, features: int, hidden: int = 32, layers: int = 3, norm: str = "batch") -> None:
        for name, value in (("features", features), ("hidden", hidden), ("layers", layers)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}={value!r} must be an integer of at least 1")
        if norm not in ("batch", "none"):
            raise ValueError(f"norm={norm!r} must be batch or none")
        super().__init__()
        library = geometric("nn")
        self.features, self.width = features, layers * hidden
        self._pool = library.global_add_pool
        widths = [features, *[hidden] * layers]
        self.convs = nn.ModuleList(
            library.GINConv(nn.Sequential(nn.Linear(a, hidden), nn.ReLU(), nn.Linear(hidden, hidden)))
            for a in widths[:-1]
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(hidden) if norm == "batch" else nn.Identity() for _ in range(layers))

    def forward(self, batch: Any) -> Tensor:
        """Features (graphs, width) of a `torch_geometric.data.Batch` with x (nodes, features).

        Raises:
            ValueError: node features of another width, or none.
        """
        h = batch.x
        if h is None or h.ndim != 2 or h.shape[1] != self.features:
            shape = None if h is None else tuple(h.shape)
            raise ValueError(f"node features x must have shape (nodes, {self.features}), got {shape}")
        read = []
        for conv, norm in zip(self.convs, self.norms, strict=True):
            h = norm(conv(h, batch.edge_index).relu())
            read.append(self._pool(h, batch.batch, batch.num_graphs))
        return torch.cat(read, dim=1)
