"""Graph data sets in the TU layout, read from their zip or from an unpacked folder."""

import importlib
import io
import warnings
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from drocl.encoders._types import Dataset, Split

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

NEEDED = ("A", "graph_indicator", "graph_labels")
OPTIONAL = ("node_labels", "node_attributes", "edge_labels")
MOST_DEGREE = 127  # larger degrees share the last column


def geometric(part: str) -> Any:
    """The module `torch_geometric.PART`, which is not loaded before graphs are used.

    Raises:
        ImportError: without torch_geometric; it says what to install.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # its modules call torch.jit as they are loaded
            return importlib.import_module(f"torch_geometric.{part}")
    except ImportError as problem:
        raise ImportError(f"graphs need torch_geometric: pip install 'drocl[graphs]' ({problem})") from problem


def is_tu(path: str | Path) -> bool:
    """Whether a zip or folder looks like a TU data set; a zip that cannot be opened does, so that `read` says what is wrong."""
    path = Path(path)
    if path.is_dir():
        return any(_parts_of(file.name) for file in _listed(path))
    if not path.is_file() or path.suffix.lower() != ".zip":
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(_parts_of(PurePosixPath(name).name) for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return True


def read(path: str | Path) -> Dataset:
    """Read a TU data set: NAME_A.txt, NAME_graph_indicator.txt, NAME_graph_labels.txt, and what it says of nodes and edges.

    Node features are the one-hot node labels, then the node attributes; without both, the one-hot degree (127 and more in one column).
    Edges are stored in both directions, once each, without loops; `edge_attr` holds their one-hot labels where the set has them.

    Args:
        path: a zip, which is not unpacked to disk, or the folder that it unpacks to.

    Returns:
        All graphs as training examples, labels 0..C-1 in the order of the labels in the file; `test` is None.

    Raises:
        ValueError: no zip and no folder, a damaged zip, missing files, or numbers that contradict each other; with file and line.
        ImportError: without torch_geometric.

    Source: Morris et al. 2020 (TUDataset).
    """
    path = Path(path)
    if path.is_dir():
        name, parts = _from_folder(path)
    elif path.is_file():
        name, parts = _from_zip(path)
    else:
        raise ValueError(f"path={str(path)!r} must be a zip or a folder in the TU layout, and does not exist")
    missing = [f"{name}_{part}.txt" for part in NEEDED if part not in parts]
    if missing:
        raise ValueError(f"{path} is incomplete: {', '.join(missing)} not in it")
    graphs, labels, classes = _graphs(name, parts)
    return Dataset(name, "graph", Split(graphs, torch.from_numpy(labels)), classes=classes, source=path)


def _parts_of(file: str) -> tuple[str, str] | None:
    """Name of the data set and part, of a file name; None for other files."""
    if file.startswith(".") or not file.endswith(".txt"):
        return None
    stem = file.removesuffix(".txt")
    found = next((part for part in (*NEEDED, *OPTIONAL) if stem.endswith(f"_{part}")), None)
    return None if found is None else (stem.removesuffix(f"_{found}"), found)


def _listed(path: Path) -> list[Path]:
    """Files of the folder, or of `raw/` or `NAME/` in it."""
    for folder in (path, path / "raw", path / path.name):
        if folder.is_dir():
            files = sorted(file for file in folder.glob("*.txt") if _parts_of(file.name))
            if files:
                return files
    return []


def _from_folder(path: Path) -> tuple[str, dict[str, bytes]]:
    files = _listed(path)
    name = _name(path, [file.name for file in files])
    return name, {key[1]: file.read_bytes() for file in files if (key := _parts_of(file.name)) and key[0] == name}


def _from_zip(path: Path) -> tuple[str, dict[str, bytes]]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [(PurePosixPath(member.filename).name, member) for member in archive.infolist()]
            name = _name(path, [file for file, _ in members])
            return name, {
                key[1]: archive.read(member) for file, member in members if (key := _parts_of(file)) and key[0] == name
            }
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as problem:
        raise ValueError(f"{path} is no zip that can be read ({problem}): get it again") from None


def _name(path: Path, files: list[str]) -> str:
    """The one data set that these files belong to."""
    names = sorted({key[0] for file in files if (key := _parts_of(file))})
    if len(names) == 1:
        return names[0]
    if not names:
        raise ValueError(
            f"{path} holds no TU data set: no NAME_A.txt, NAME_graph_indicator.txt, NAME_graph_labels.txt in it"
        )
    raise ValueError(f"{path} holds several data sets ({', '.join(names)}): give the path of one")


def _table(name: str, part: str, data: bytes, kind: type[Any], columns: int | None = None) -> Any:
    """The numbers of a part as an array (lines, columns)."""
    file = f"{name}_{part}.txt"
    if not data.strip():
        raise ValueError(f"{file} is empty")
    try:
        found = np.loadtxt(io.BytesIO(data), kind, comments=None, delimiter=",", ndmin=2, encoding="latin-1")
    except (ValueError, OverflowError):
        raise ValueError(_where(file, data, kind)) from None
    if columns is not None and found.shape[1] != columns:
        raise ValueError(f"{file} has {found.shape[1]} numbers a line, must have {columns}")
    if not np.isfinite(found).all():
        raise ValueError(f"{file}, line {1 + int(np.argmin(np.isfinite(found).all(1)))}: numbers must be finite")
    return found


def _where(file: str, data: bytes, kind: type[Any]) -> str:
    """What is wrong in which line of a table that numpy refused."""
    width = None
    for number, line in enumerate(data.decode("latin-1").split("\n"), 1):
        if not line.strip():
            continue
        cells = line.split(",")
        width = width or len(cells)
        if len(cells) != width:
            return f"{file}, line {number}: {len(cells)} numbers, the lines before have {width}"
        for cell in cells:
            try:
                kind(cell)
            except (ValueError, OverflowError):
                what = "an integer" if np.issubdtype(kind, np.integer) else "a number"
                return f"{file}, line {number}: {cell.strip()[:40]!r} must be {what}"
    return f"{file} is no table of numbers with commas between them"


def _graphs(name: str, parts: dict[str, bytes]) -> tuple[list[Any], Ints, tuple[str, ...]]:
    """Graphs, labels (n,) and the names of the classes."""
    said = _table(name, "graph_labels", parts["graph_labels"], np.int64, 1)[:, 0]
    values, labels = np.unique(said, return_inverse=True)
    owner = _table(name, "graph_indicator", parts["graph_indicator"], np.int64, 1)[:, 0] - 1
    counts = _counts(name, owner, len(labels))
    order = np.argsort(owner, kind="stable")
    owner, place = owner[order], np.argsort(order)
    listed = _table(name, "A", parts["A"], np.int64, 2)
    edges, row = _edges(name, listed, owner, place)
    nodes = _features(name, "node", parts, len(owner))
    degrees = np.bincount(edges[0], minlength=len(owner))
    x = _one_hot(np.minimum(degrees, MOST_DEGREE)) if nodes is None else nodes[order]
    links = _features(name, "edge", parts, len(listed))
    inside = np.bincount(owner[edges[0]], minlength=len(labels))
    edges = edges - (np.cumsum(counts) - counts)[owner[edges[0]]]
    pieces = [torch.from_numpy(x).split(counts.tolist()), torch.from_numpy(edges).split(inside.tolist(), 1)]
    if links is not None:
        pieces.append(torch.from_numpy(links[row]).split(inside.tolist()))
    data, y = geometric("data").Data, torch.from_numpy(labels)
    graphs = [
        data(**dict(zip(("x", "edge_index", "edge_attr"), piece, strict=False)), y=y[i : i + 1])
        for i, piece in enumerate(zip(*pieces, strict=True))
    ]
    return graphs, labels, tuple(str(value) for value in values)


def _counts(name: str, owner: Ints, n: int) -> Ints:
    """Nodes of each graph, all of them positive."""
    file = f"{name}_graph_indicator.txt"
    wrong = (owner < 0) | (owner >= n)
    if wrong.any():
        i = int(np.argmax(wrong))
        raise ValueError(
            f"{file}, line {i + 1}: graph {owner[i] + 1} must be in 1..{n}, the lines of {name}_graph_labels.txt"
        )
    counts = np.bincount(owner, minlength=n)
    if not counts.all():
        raise ValueError(f"{file}: graph {int(np.argmin(counts)) + 1} of {n} has no node")
    return counts


def _edges(name: str, links: Ints, owner: Ints, place: Ints) -> tuple[Ints, Ints]:
    """Edges (2, e) in both directions, once each, sorted, without loops; and the line of the file that each comes from (e,)."""
    file, n = f"{name}_A.txt", len(owner)
    wrong = ((links < 1) | (links > n)).any(1)
    if wrong.any():
        i = int(np.argmax(wrong))
        raise ValueError(f"{file}, line {i + 1}: nodes {links[i, 0]} and {links[i, 1]} must be in 1..{n}")
    u, v = place[links[:, 0] - 1], place[links[:, 1] - 1]
    across = owner[u] != owner[v]
    if across.any():
        raise ValueError(f"{file}, line {int(np.argmax(across)) + 1}: the edge joins two graphs")
    rows = np.flatnonzero(u != v)
    u, v = u[rows], v[rows]
    keys, first = np.unique(np.concatenate([u * n + v, v * n + u]), return_index=True)
    return np.stack([keys // n, keys % n]), rows[first % max(len(rows), 1)]


def _features(name: str, of: str, parts: dict[str, bytes], n: int) -> Floats | None:
    """One-hot labels and attributes of nodes, or labels of edges: (n, f); None without any."""
    found = []
    for part in (f"{of}_labels", f"{of}_attributes"):
        if part not in parts:
            continue
        label = part.endswith("labels")
        values = _table(name, part, parts[part], np.int64 if label else np.float32)
        if len(values) != n:
            raise ValueError(f"{name}_{part}.txt has {len(values)} lines, must have one for each of the {n} {of}s")
        found += [_one_hot(np.unique(column, return_inverse=True)[1]) for column in values.T] if label else [values]
    return np.concatenate(found, axis=1) if found else None


def _one_hot(codes: Ints) -> Floats:
    return np.eye(1 + int(codes.max(initial=0)), dtype=np.float32)[codes]
