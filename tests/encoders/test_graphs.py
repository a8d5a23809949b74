"""Graphs: the TU layout, views, the domain, GIN and the support vector machine."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from drocl.encoders._types import Dataset, Split
from drocl.encoders.augment.graphs import KINDS, GraphAugmentation, drop_edge, drop_node, mask_attribute, subgraph
from drocl.encoders.data import tu
from drocl.encoders.domains.graphs import GraphDomain
from drocl.encoders.evaluate.graphs import svm_folds
from drocl.encoders.models.gin import GIN

# A triangle 1 2 3 with a tail 4, and a path 5 6; edges of the file have both directions, but for 5 6; 4 4 is a loop.
TINY = {
    "A": "1, 2\n2, 1\n2, 3\n3, 2\n1, 3\n3, 1\n3, 4\n4, 3\n4, 4\n5, 6\n",
    "graph_indicator": "1\n1\n1\n1\n2\n2\n",
    "graph_labels": "1\n-1\n",
    "node_labels": "7\n7\n7\n9\n9\n7\n",
    "node_attributes": "0.5, 1\n1.5, 2\n2.5, 3\n3.5, 4\n4.5, 5\n5.5, 6\n",
    "edge_labels": "0\n0\n1\n1\n0\n0\n2\n2\n0\n1\n",
}


def zipped(path: Path, parts: dict[str, str], name: str = "TINY") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("TINY/README.txt", "nothing of use")
        for part, text in parts.items():
            archive.writestr(f"{name}/{name}_{part}.txt", text)
    return path


def without(*names: str, **other: str) -> dict[str, str]:
    return {**{part: text for part, text in TINY.items() if part not in names}, **other}


def edges(graph) -> set[tuple[int, int]]:
    return {(int(u), int(v)) for u, v in graph.edge_index.T}


def random_graph(seed: int, nodes: int = 12, links: int = 20):
    generator = np.random.default_rng(seed)
    u, v = generator.integers(0, nodes, (2, links))
    u, v = u[u != v], v[u != v]
    keys = np.unique(np.concatenate([u * nodes + v, v * nodes + u]))
    ends = np.stack([keys // nodes, keys % nodes])
    data = tu.geometric("data").Data
    x = torch.from_numpy(generator.standard_normal((nodes, 3), dtype=np.float32))
    # The attribute of an edge names its ends, so that a view can be held against its graph.
    return data(x=x, edge_index=torch.from_numpy(ends), edge_attr=x[ends[0]] + x[ends[1]], y=torch.tensor([seed % 2]))


def dataset(n: int = 8) -> Dataset:
    graphs = [random_graph(i, 5 + i) for i in range(n)]
    return Dataset("toy", "graph", Split(graphs, torch.tensor([i % 2 for i in range(n)])))


def same(a, b) -> bool:
    return all(torch.equal(a[key], b[key]) for key in ("x", "edge_index", "edge_attr", "y"))


def test_a_zip_gives_the_graphs_that_were_written_into_it(tmp_path):
    path = zipped(tmp_path / "TINY.zip", TINY)
    found = tu.read(path)
    assert (found.name, found.kind, found.classes, found.test, found.source) == (
        "TINY",
        "graph",
        ("-1", "1"),
        None,
        path,
    )
    assert found.train.labels.tolist() == [1, 0]
    first, second = found.train.inputs
    assert first.x.tolist() == [[1, 0, 0.5, 1], [1, 0, 1.5, 2], [1, 0, 2.5, 3], [0, 1, 3.5, 4]]
    assert edges(first) == {(0, 1), (1, 0), (1, 2), (2, 1), (0, 2), (2, 0), (2, 3), (3, 2)}
    assert first.edge_index.shape == (2, 8)
    assert edges(second) == {(0, 1), (1, 0)}  # one direction in the file
    assert first.edge_attr[[(int(u), int(v)) == (2, 3) for u, v in first.edge_index.T]].tolist() == [[0, 0, 1]]
    assert second.edge_attr.tolist() == [[0, 1, 0]] * 2
    assert int(first.y) == 1
    assert sorted(tmp_path.iterdir()) == [path]  # nothing is unpacked


def test_a_folder_reads_as_its_zip(tmp_path):
    path = zipped(tmp_path / "TINY.zip", TINY)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path)
    assert tu.is_tu(path)
    assert tu.is_tu(tmp_path / "TINY")
    one, two = tu.read(path), tu.read(tmp_path / "TINY")
    assert all(same(a, b) for a, b in zip(one.train.inputs, two.train.inputs, strict=True))
    assert torch.equal(one.train.labels, two.train.labels)
    raw = tmp_path / "root" / "raw"
    raw.parent.mkdir()
    (tmp_path / "TINY").rename(raw)
    assert tu.read(raw.parent).name == "TINY"


def test_nodes_in_any_order_give_the_same_graphs(tmp_path):
    """The nodes of the second graph are counted first."""
    moved = {**without("node_attributes", "edge_labels"), "A": "1, 2\n3, 4\n4, 3\n4, 5\n5, 4\n3, 5\n5, 3\n5, 6\n6, 5\n"}
    moved |= {"graph_indicator": "2\n2\n1\n1\n1\n1\n", "node_labels": "9\n7\n7\n7\n7\n9\n"}
    one = tu.read(zipped(tmp_path / "a.zip", without("node_attributes", "edge_labels")))
    two = tu.read(zipped(tmp_path / "b.zip", moved))
    for a, b in zip(one.train.inputs, two.train.inputs, strict=True):
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.edge_index, b.edge_index)


def test_without_features_nodes_have_their_degree_capped(tmp_path, monkeypatch):
    path = zipped(tmp_path / "TINY.zip", without("node_labels", "node_attributes"))
    assert [row.argmax().item() for row in tu.read(path).train.inputs[0].x] == [2, 2, 3, 1]
    monkeypatch.setattr(tu, "MOST_DEGREE", 2)
    capped = tu.read(path).train.inputs
    assert [row.argmax().item() for row in capped[0].x] == [2, 2, 2, 1]
    assert capped[0].x.shape[1] == capped[1].x.shape[1] == 3


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (without("graph_labels"), r"incomplete: TINY_graph_labels\.txt"),
        (without("A", "graph_indicator"), r"incomplete: TINY_A\.txt, TINY_graph_indicator\.txt"),
        (without(A=""), r"TINY_A\.txt is empty"),
        (without(A="1, 2\n2, one\n"), r"TINY_A\.txt, line 2: 'one' must be an integer"),
        (without(A="1, 2\n2\n"), r"TINY_A\.txt, line 2: 1 numbers, the lines before have 2"),
        (without(A="1\n2\n"), r"TINY_A\.txt has 1 numbers a line, must have 2"),
        (without(A="1, 2\n2, 7\n"), r"TINY_A\.txt, line 2: nodes 2 and 7 must be in 1\.\.6"),
        (without(A="1, 2\n4, 5\n"), r"TINY_A\.txt, line 2: the edge joins two graphs"),
        (without(graph_indicator="1\n1\n1\n1\n2\n3\n"), r"line 6: graph 3 must be in 1\.\.2"),
        (without(graph_labels="1\n-1\n1\n"), r"graph 3 of 3 has no node"),
        (without(node_labels="7\n"), r"TINY_node_labels\.txt has 1 lines, must have one for each of the 6 nodes"),
        (without(edge_labels="7\n"), r"TINY_edge_labels\.txt has 1 lines, must have one for each of the 10 edges"),
        (without(node_attributes="1\n1\nnan\n1\n1\n1\n"), r"TINY_node_attributes\.txt, line 3: numbers must be finite"),
        ({"": "nothing"}, "holds no TU data set"),
    ],
)
def test_a_data_set_that_contradicts_itself_is_refused_with_the_place(tmp_path, parts, message):
    with pytest.raises(ValueError, match=message):
        tu.read(zipped(tmp_path / "TINY.zip", parts))


def test_damaged_zips_are_refused(tmp_path):
    whole = zipped(tmp_path / "TINY.zip", TINY).read_bytes()
    cut, flipped = tmp_path / "cut.zip", tmp_path / "flipped.zip"
    cut.write_bytes(whole[: len(whole) // 2])
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        member = archive.getinfo("TINY/TINY_A.txt")
    at = member.header_offset + 30 + len(member.filename) + 5
    flipped.write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
    for path in (cut, flipped):
        assert tu.is_tu(path)  # so that the reader is asked, and says why not
        with pytest.raises(ValueError, match="no zip that can be read"):
            tu.read(path)


def test_other_files_are_no_graphs(tmp_path):
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("cat.png", b"")
    assert not tu.is_tu(other)
    assert not tu.is_tu(tmp_path)
    assert not tu.is_tu(tmp_path / "nothing.zip")
    with pytest.raises(ValueError, match="does not exist"):
        tu.read(tmp_path / "nothing.zip")
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("ONE_A.txt", b"")
        archive.writestr("TWO_A.txt", b"")
    with pytest.raises(ValueError, match="several data sets"):
        tu.read(other)


@pytest.mark.parametrize("kind", ["random", *KINDS])
def test_a_view_does_not_depend_on_its_batch(kind):
    graphs, augment = [random_graph(i) for i in range(9)], GraphAugmentation(kind, 0.3)
    uniforms = torch.rand(9, augment.width, generator=torch.Generator().manual_seed(0))
    whole = augment(graphs, uniforms)
    alone = [augment([graph], row[None])[0] for graph, row in zip(graphs, uniforms, strict=True)]
    backwards = augment(graphs[::-1], uniforms.flip(0))[::-1]
    assert all(same(a, b) and same(a, c) for a, b, c in zip(whole, alone, backwards, strict=True))
    assert not all(same(a, b) for a, b in zip(whole, augment(graphs, uniforms.roll(1, 0)), strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_a_view_leaves_the_graph_as_it_was(kind):
    graph = random_graph(3)
    copied = {key: graph[key].clone() for key in ("x", "edge_index", "edge_attr", "y")}
    view = KINDS[kind](graph, 0.4, 0.5)
    assert all(torch.equal(graph[key], value) for key, value in copied.items())
    assert not same(view, graph)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_a_view_is_a_part_of_its_graph(kind, seed):
    """Edges keep both directions and their attribute, and join the nodes that they joined."""
    graph = random_graph(seed)
    view = KINDS[kind](graph, seed / 7, 0.3)
    assert edges(view) == {(v, u) for u, v in edges(view)}
    if kind != "mask_attribute":
        origin = {tuple(row.tolist()): i for i, row in enumerate(graph.x)}
        nodes = [origin[tuple(row.tolist())] for row in view.x]
        assert nodes == sorted(set(nodes))
        assert {(nodes[u], nodes[v]) for u, v in edges(view)} <= edges(graph)
        assert torch.equal(view.edge_attr, view.x[view.edge_index[0]] + view.x[view.edge_index[1]])
    if kind in ("drop_node", "subgraph"):  # no edge between nodes that stay is lost
        assert {(nodes[u], nodes[v]) for u, v in edges(view)} == {e for e in edges(graph) if set(e) <= set(nodes)}


@pytest.mark.parametrize("ratio", [0.0, 0.25, 0.5, 0.99])
def test_the_ratio_says_how_much_is_left_out(ratio):
    graph = random_graph(1)
    n, m = len(graph.x), graph.edge_index.shape[1] // 2
    stay = max(1, n - round(ratio * n))
    assert len(drop_node(graph, 0.3, ratio).x) == len(subgraph(graph, 0.3, ratio).x) == stay
    assert drop_edge(graph, 0.3, ratio).edge_index.shape[1] == 2 * (m - round(ratio * m))
    assert int((mask_attribute(graph, 0.3, ratio).x == 0.0).all(1).sum()) == round(ratio * n)


@pytest.mark.parametrize("kind", KINDS)
def test_no_view_is_empty(kind):
    data = tu.geometric("data").Data
    lone = data(x=torch.ones(1, 2), edge_index=torch.zeros(2, 0, dtype=torch.int64))
    view = KINDS[kind](lone, 0.9, 0.99)
    assert len(view.x) == 1
    assert view.edge_index.shape == (2, 0)
    assert len(KINDS[kind](random_graph(0, 3, 4), 0.9, 0.99).x) >= 1


def test_a_subgraph_is_connected_while_its_component_lasts():
    data = tu.geometric("data").Data
    ends = torch.tensor([(i, (i + 1) % 12) for i in range(12)]).T
    ring = data(x=torch.arange(12.0)[:, None], edge_index=torch.cat([ends, ends.flip(0)], dim=1))
    for uniform in torch.arange(0, 1, 0.05).tolist():
        nodes = subgraph(ring, uniform, 0.5).x[:, 0].long().tolist()
        gaps = sorted((b - a) % 12 for a, b in zip(nodes, [*nodes[1:], nodes[0]], strict=True))
        assert gaps == [1] * 5 + [7]  # an arc of six
    two = data(x=torch.arange(6.0)[:, None], edge_index=torch.tensor([[0, 1, 2, 3], [1, 0, 3, 2]]))
    assert len(subgraph(two, 0.2, 0.5).x) == 3  # goes on in another component


def test_subgraphs_grow_along_any_edge_that_leaves_them_equally_often():
    """From node 0 with neighbours 1 and 2, and three of each of them beyond, the part takes three nodes."""
    data = tu.geometric("data").Data
    ends = torch.tensor([(0, 1), (0, 2), (1, 3), (1, 4), (1, 5)]).T
    tree = data(x=torch.arange(6.0)[:, None], edge_index=torch.cat([ends, ends.flip(0)], dim=1))
    found = {}
    for i in range(3000):
        nodes = tuple(subgraph(tree, i / 3000, 0.5).x[:, 0].long().tolist())
        found[nodes] = found.get(nodes, 0) + 1
    # From 2: 0, then 1. From 0: 1 or 2 (1/2 each); from 1: 0, 3, 4 or 5 (1/4 each), then the rest likewise.
    expected = {(0, 1, 2): (1 + 1 / 2 * 1 / 4 + 1 / 2 + 1 / 4 * 1 / 4) / 6}
    for leaf in (3, 4, 5):  # started at 0, at 1 with 0 first, at 1 with the leaf first, and at the leaf itself
        expected[(0, 1, leaf)] = (1 / 2 * 1 / 4 + 1 / 4 * 1 / 4 + 1 / 4 * 1 / 3 + 1 / 3) / 6
    for pair in ((3, 4), (3, 5), (4, 5)):
        expected[(1, *pair)] = (2 * 1 / 4 * 1 / 3 + 2 * 1 / 3) / 6
    assert sum(expected.values()) == pytest.approx(1.0)
    for nodes, share in expected.items():
        assert found[nodes] / 3000 == pytest.approx(share, abs=4 * (share * (1 - share) / 3000) ** 0.5)


def test_random_views_are_of_every_kind_and_are_chosen_by_the_first_number():
    graph, augment = random_graph(0), GraphAugmentation("random")
    for i, act in enumerate(KINDS.values()):
        view = augment([graph], torch.tensor([[(i + 0.5) / len(KINDS), 0.77]], dtype=torch.float64))[0]
        assert same(view, act(graph, 0.77, 0.2))


def test_wrong_augmentations_are_refused():
    with pytest.raises(ValueError, match="kind='flip' must be one of random, drop_node"):
        GraphAugmentation("flip")
    for ratio in (1.0, -0.1, float("nan"), True):
        with pytest.raises(ValueError, match=r"ratio=.* must be a number in"):
            GraphAugmentation("drop_node", ratio)
    with pytest.raises(ValueError, match=r"uniforms must have shape \(1, 2\), got \(1, 1\)"):
        GraphAugmentation()([random_graph(0)], torch.zeros(1, 1))
    with pytest.raises(ValueError, match=r"must be in \[0, 1\)"):
        GraphAugmentation("drop_edge")([random_graph(0)], torch.ones(1, 1))
    with pytest.raises(ValueError, match=r"uniform=1\.0"):
        drop_node(random_graph(0), 1.0)


def test_batches_of_the_domain_hold_the_rows_that_were_asked():
    data = dataset()
    domain = GraphDomain(data, GraphAugmentation("drop_edge", 0.5))
    assert (domain.kind, domain.width, domain.features) == ("graph", 1, 3)
    source, rows = domain.place(data.train, torch.device("cpu")), torch.tensor([5, 0, 5])
    plain = domain.plain(source, rows)
    assert [len(graph.x) for graph in plain.to_data_list()] == [10, 5, 10]
    uniforms = torch.tensor([[0.1], [0.2], [0.3]])
    views = domain.views(source, rows, uniforms)
    expected = [
        drop_edge(data.train.inputs[row], u, 0.5) for row, (u,) in zip([5, 0, 5], uniforms.tolist(), strict=True)
    ]
    assert all(same(a, b) for a, b in zip(views.to_data_list(), expected, strict=True))


def test_a_domain_of_other_data_is_refused():
    with pytest.raises(ValueError, match="of kind 'text', must be 'graph'"):
        GraphDomain(Dataset("words", "text", Split(["a"])))
    good = random_graph(0)
    bare = good.clone()
    bare.x = None
    with pytest.raises(ValueError, match="graph 1 must have node features"):
        GraphDomain(Dataset("bare", "graph", Split([good, bare])))
    wide = good.clone()
    wide.x = torch.ones(len(good.x), 4)
    with pytest.raises(ValueError, match=r"widths \[3, 4\]"):
        GraphDomain(Dataset("wide", "graph", Split([good, wide])))


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_gin_counts_nodes_in_no_order(norm):
    torch.manual_seed(0)
    model = GIN(3, hidden=8, layers=2, norm=norm).eval()
    graph = random_graph(0)
    order = torch.randperm(len(graph.x), generator=torch.Generator().manual_seed(1))
    moved = graph.clone()
    moved.x, moved.edge_index = graph.x[order], order.argsort()[graph.edge_index]
    batch = tu.geometric("data").Batch.from_data_list([graph, moved, random_graph(1)])
    found = model(batch)
    assert found.shape == (3, model.width) == (3, 16)
    assert torch.allclose(found[0], found[1], atol=1e-4)
    assert not torch.allclose(found[0], found[2], atol=1e-2)


def test_gin_is_its_formula():
    torch.manual_seed(0)
    model, graph = GIN(3, hidden=4, layers=2, norm="none"), random_graph(2)
    adjacency = torch.zeros(len(graph.x), len(graph.x))
    adjacency[graph.edge_index[0], graph.edge_index[1]] = 1.0
    h, read = graph.x, []
    for conv in model.convs:
        h = conv.nn(h + adjacency @ h).relu()
        read.append(h.sum(0))
    assert torch.allclose(model(tu.geometric("data").Batch.from_data_list([graph]))[0], torch.cat(read), atol=1e-4)


def test_gin_gives_a_graph_without_edges_its_row():
    data = tu.geometric("data")
    lone = data.Data(x=torch.ones(1, 3), edge_index=torch.zeros(2, 0, dtype=torch.int64))
    assert GIN(3).eval()(data.Batch.from_data_list([lone, lone])).shape == (2, 96)


def test_wrong_gins_are_refused():
    with pytest.raises(ValueError, match="layers=0 must be an integer of at least 1"):
        GIN(3, layers=0)
    with pytest.raises(ValueError, match="norm='layer' must be batch or none"):
        GIN(3, norm="layer")
    with pytest.raises(ValueError, match=r"must have shape \(nodes, 5\), got \(12, 3\)"):
        GIN(5)(tu.geometric("data").Batch.from_data_list([random_graph(0)]))


def test_folds_tell_separate_classes_and_do_not_tell_noise():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 2
    noise = torch.randn(60, 4, generator=generator)
    apart = noise + 8.0 * labels[:, None]
    for kernel in ("rbf", "linear"):
        assert svm_folds(apart, labels, folds=3, grid=(1.0,), kernel=kernel)["accuracy"] == 1.0
    found = svm_folds(noise, labels, folds=3, grid=(1.0,))
    assert abs(found["accuracy"] - 0.5) < 0.25
    assert len(found["folds"]) == 3
    assert found["accuracy"] == pytest.approx(sum(found["folds"]) / 3)
    assert found["std"] == pytest.approx(np.std(found["folds"], ddof=1))
    assert found == svm_folds(noise, labels, folds=3, grid=(1.0,))
    assert found != svm_folds(noise, labels, folds=3, grid=(1.0,), seed=1)


def test_folds_do_not_see_the_scale_of_a_feature():
    labels = torch.arange(40) % 2
    features = torch.randn(40, 3, generator=torch.Generator().manual_seed(1)) + labels[:, None]
    scaled = features * torch.tensor([1.0, 1024.0, 2.0**-10]) + 3.0
    one, two = (svm_folds(side.double(), labels, folds=4, grid=(1.0,)) for side in (features, scaled))
    assert one["folds"] == two["folds"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": torch.zeros(30, dtype=torch.int64)}, "two classes"),
        ({"labels": torch.arange(30) % 2 - 1}, "some are -1"),
        ({"labels": torch.arange(29)}, r"shapes \(n, width\) and \(n,\)"),
        ({"folds": 16}, r"folds=16 must be in 2\.\.15"),
        ({"grid": ()}, "grid"),
        ({"grid": (0.0,)}, "grid"),
        ({"kernel": "cubic"}, "kernel='cubic' must be rbf or linear"),
        ({"features": torch.full((30, 2), float("nan"))}, "features must be finite; graph 0"),
    ],
)
def test_wrong_folds_are_refused(change, message):
    given = {"features": torch.zeros(30, 2), "labels": torch.arange(30) % 2, **change}
    with pytest.raises(ValueError, match=message):
        svm_folds(given.pop("features"), given.pop("labels"), **given)


@pytest.mark.parametrize("given", ["drop_edge", {"kind": "drop_edge", "ratio": 0.2}, GraphAugmentation("drop_edge")])
def test_an_augmentation_may_be_named(given):
    from drocl.encoders.domains.graphs import _augmentation

    found = _augmentation(given)
    assert (found.kind, found.ratio) == ("drop_edge", 0.2)


@pytest.mark.parametrize("given", ["drop", {"rate": 0.1}, {"ratio": 2.0}])
def test_an_augmentation_that_is_none_is_refused(given):
    from drocl.encoders.domains.graphs import _augmentation

    with pytest.raises(ValueError, match=r"augmentation|kind|ratio"):
        _augmentation(given)
