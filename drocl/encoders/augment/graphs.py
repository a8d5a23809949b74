"""Views of graphs: nodes, edges or attributes left out, or a connected part kept."""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Ints = npt.NDArray[np.int64]


def drop_node(graph: Any, uniform: float, ratio: float = 0.2) -> Any:
    """Leave out a share of the nodes, with their edges; at least one node stays.

    Args:
        graph: `torch_geometric.data.Data` with x (nodes, f), edge_index (2, e) and, if it likes, edge_attr (e, k); it stays as it is.
        uniform: in [0, 1); the view is a function of it.
        ratio: share of the nodes, in [0, 1), rounded to a number of nodes.

    Returns:
        The view. The nodes that stay keep their order and are counted anew.

    Source: You et al. 2020 (GraphCL).
    """
    n = len(graph.x)
    return _keep_nodes(graph, _generator(uniform).permutation(n)[: n - _share(ratio, n, n - 1)])


def drop_edge(graph: Any, uniform: float, ratio: float = 0.2) -> Any:
    """Leave out a share of the edges, each with the edge that runs back.

    Args:
        graph, uniform: as `drop_node`.
        ratio: share of the undirected edges, in [0, 1), rounded to a number of edges.

    Source: You et al. 2020 (GraphCL), the half of its edge perturbation that adds nothing.
    """
    pairs, member = _undirected(graph)
    stays = np.ones(len(pairs), dtype=bool)
    stays[_generator(uniform).permutation(len(pairs))[: _share(ratio, len(pairs), len(pairs))]] = False
    return _keep_edges(graph, stays[member])


def mask_attribute(graph: Any, uniform: float, ratio: float = 0.2) -> Any:
    """Set all attributes of a share of the nodes to zero.

    Args:
        graph, uniform: as `drop_node`.
        ratio: share of the nodes, in [0, 1), rounded to a number of nodes.

    Source: You et al. 2020 (GraphCL), with zeros for its Gaussian noise.
    """
    n = len(graph.x)
    masked = torch.from_numpy(_generator(uniform).permutation(n)[: _share(ratio, n, n)])
    view = copy.copy(graph)
    view.x = graph.x.index_fill(0, masked, 0.0)
    return view


def subgraph(graph: Any, uniform: float, ratio: float = 0.2) -> Any:
    """Keep a connected part that grows from a random node along edges chosen at random, until a share of the nodes is left over.

    Each step takes one of the edges that leave the part, all equally likely. Where a component is smaller than what must stay,
    growth goes on from a node outside it.

    Args:
        graph, uniform: as `drop_node`.
        ratio: share of the nodes that is left out, in [0, 1), rounded to a number of nodes; at least one node stays.

    Source: You et al. 2020 (GraphCL).
    """
    n, generator = len(graph.x), _generator(uniform)
    wanted = n - _share(ratio, n, n - 1)
    starts, draws = iter(generator.permutation(n).tolist()), iter(generator.random(graph.edge_index.shape[1]).tolist())
    beyond: list[list[int]] = [[] for _ in range(n)]
    for u, v in zip(*graph.edge_index.tolist(), strict=True):
        beyond[u].append(v)
    inside: set[int] = set()
    leaving: list[int] = []  # where the edges of the part lead, until they are taken or turn out to lead inside
    while len(inside) < wanted:
        if leaving:
            i = int(next(draws) * len(leaving))
            leaving[i], leaving[-1] = leaving[-1], leaving[i]
        node = leaving.pop() if leaving else next(starts)
        if node not in inside:
            inside.add(node)
            leaving += beyond[node]
    return _keep_nodes(graph, list(inside))


KINDS: dict[str, Callable[[Any, float, float], Any]] = {
    "drop_node": drop_node,
    "drop_edge": drop_edge,
    "mask_attribute": mask_attribute,
    "subgraph": subgraph,
}


class GraphAugmentation:
    """One view of each graph, a function of the graph and of its own row of uniform numbers.

    Args:
        kind: drop_node, drop_edge, mask_attribute or subgraph; "random" chooses one of them for each view.
        ratio: share of nodes or edges that a view changes, in [0, 1).

    Attributes:
        width: uniform numbers that a view takes, 2 for "random" and 1 else.

    Raises:
        ValueError: another kind or ratio.
    """

    def __init__(self, kind: str = "random", ratio: float = 0.2) -> None:
        if kind != "random" and kind not in KINDS:
            raise ValueError(f"kind={kind!r} must be one of random, {', '.join(KINDS)}")
        if isinstance(ratio, bool) or not isinstance(ratio, (int, float)) or not 0.0 <= ratio < 1.0:
            raise ValueError(f"ratio={ratio!r} must be a number in [0, 1)")
        self.kind, self.ratio = kind, float(ratio)
        self.width = 2 if kind == "random" else 1

    def __call__(self, graphs: Sequence[Any], uniforms: Tensor) -> list[Any]:
        """The views.

        Args:
            graphs: n graphs, on the CPU.
            uniforms: (n, width), in [0, 1).

        Raises:
            ValueError: uniforms of another shape, or outside [0, 1).
        """
        if tuple(uniforms.shape) != (len(graphs), self.width):
            raise ValueError(f"uniforms must have shape ({len(graphs)}, {self.width}), got {tuple(uniforms.shape)}")
        if not bool(((uniforms >= 0.0) & (uniforms < 1.0)).all()):
            raise ValueError("uniforms must be in [0, 1)")
        rows, choice = uniforms.tolist(), list(KINDS.values())
        views = []
        for graph, row in zip(graphs, rows, strict=True):
            act = choice[int(row[0] * len(choice))] if self.kind == "random" else KINDS[self.kind]
            views.append(act(graph, row[-1], self.ratio))
        return views


def _generator(uniform: float) -> np.random.Generator:
    """A generator for one view of one graph."""
    if not 0.0 <= uniform < 1.0:
        raise ValueError(f"uniform={uniform!r} must be in [0, 1)")
    return np.random.default_rng(int(math.ldexp(uniform, 53)))


def _share(ratio: float, n: int, most: int) -> int:
    """The share as a number of nodes or edges."""
    if not 0.0 <= ratio < 1.0:
        raise ValueError(f"ratio={ratio!r} must be in [0, 1)")
    return max(0, min(round(ratio * n), most))


def _undirected(graph: Any) -> tuple[Ints, Ints]:
    """Edges without direction, coded as smaller end * nodes + larger end (m,), and which of them each column of edge_index is (e,)."""
    u, v = graph.edge_index.numpy()
    pairs, member = np.unique(np.minimum(u, v) * len(graph.x) + np.maximum(u, v), return_inverse=True)
    return pairs, member


def _keep_edges(graph: Any, stays: npt.NDArray[np.bool_]) -> Any:
    view, columns = copy.copy(graph), torch.from_numpy(np.flatnonzero(stays))
    view.edge_index = graph.edge_index.index_select(1, columns)
    if graph.edge_attr is not None:
        view.edge_attr = graph.edge_attr.index_select(0, columns)
    return view


def _keep_nodes(graph: Any, nodes: Ints | list[int]) -> Any:
    """The graph of these nodes, in the order that they had."""
    inside = np.zeros(len(graph.x), dtype=bool)
    inside[nodes] = True
    u, v = graph.edge_index.numpy()
    view = _keep_edges(graph, inside[u] & inside[v])
    view.x = graph.x.index_select(0, torch.from_numpy(np.flatnonzero(inside)))
    view.edge_index = torch.from_numpy((np.cumsum(inside) - 1)[view.edge_index.numpy()])
    return view
