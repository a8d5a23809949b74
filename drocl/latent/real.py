"""Real embeddings as latent-class models: scikit-learn's digits, and a user's own file."""

import zipfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from drocl.latent.builders import _at_least
from drocl.latent.kinds import Array, Indices, Prior
from drocl.latent.model import Empirical, LatentModel

__all__ = ["digits", "from_file"]


def digits(n: int = 200, dimension: int = 16, class_prior: Prior = None, seed: int = 0) -> LatentModel:
    """Handwritten digits as points on a sphere: the first principal components of the images, normalised.

    The components are those of all 1,797 images; `seed` chooses which n of them are kept, always the same ones for one
    seed.

    Args:
        n: images kept, 10..1797.
        dimension: principal components kept, 2..61 (three of the 64 pixels never vary).
        class_prior: (10,) probabilities, or "uniform"; None leaves the frequencies of the images kept.
        seed: of the choice of images.

    Raises:
        ValueError: if an argument is outside the ranges above.
        ImportError: if scikit-learn, which ships the images, is not installed.
    """
    _at_least(n=(n, 10), dimension=(dimension, 2))
    rows, labels = _digit_components()
    if n > len(rows) or dimension > rows.shape[1]:
        raise ValueError(f"n={n!r} must be at most {len(rows)} and dimension={dimension!r} at most {rows.shape[1]}")
    kept = _choice(len(rows), n, seed, labels)
    name = f"digits(n={n}, dimension={dimension})"
    return Empirical(rows[kept, :dimension], labels[kept], class_prior=class_prior, name=name)


@lru_cache(maxsize=1)
def _digit_components() -> tuple[Array, Indices]:
    try:
        from sklearn.datasets import load_digits  # here, for it is slow to import and few callers need it
    except ImportError as error:
        raise ImportError("the digits need scikit-learn: pip install scikit-learn") from error
    images, labels = load_digits(return_X_y=True)
    centred = images - images.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, : np.linalg.matrix_rank(centred)]
    # The sign of an eigenvector is the library's whim: make its largest entry positive.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    return centred @ axes, labels.astype(np.int64)


def from_file(path: str | Path, n: int | None = 512, class_prior: Prior = None, seed: int = 0) -> LatentModel:
    """A user's own embeddings, from an .npz file.

    Args:
        path: file with arrays `embeddings` (n, d), real, and optionally `labels` (n,); nothing in it is unpickled.
        n: most points to keep, at least 2; a random choice where the file holds more, with each class at least once.
            None keeps all (an exact expectation costs n^2 per node).
        class_prior: (K,) probabilities, or "uniform"; None leaves the frequencies of the points kept.
        seed: of the choice of points.

    Raises:
        ValueError: naming the file and what is wrong with it.
    """
    place = Path(path)
    embeddings, labels = _read(place)
    try:
        if n is not None and len(embeddings) > n:
            _at_least(n=(n, 2))
            kept = _choice(len(embeddings), n, seed, labels)
            embeddings, labels = embeddings[kept], None if labels is None else labels[kept]
        return Empirical(embeddings, labels, class_prior=class_prior, name=f"file:{place.name}")
    except ValueError as error:
        raise ValueError(f"file {str(place)!r}: {error}") from error


def _read(place: Path) -> tuple[Array, npt.NDArray[np.generic] | None]:
    if not place.is_file():
        raise ValueError(f"file {str(place)!r} does not exist: give an .npz file with an array 'embeddings' (n, d)")
    try:
        loaded = np.load(place, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            raise ValueError("it holds one array (.npy), not named ones (.npz)")
        with loaded as archive:
            held = list(archive.files)
            arrays = {name: archive[name] for name in ("embeddings", "labels") if name in held}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"file {str(place)!r} is not an .npz file of plain arrays: {error}") from error
    if "embeddings" not in arrays:
        raise ValueError(f"file {str(place)!r} has no array 'embeddings' (n, d); it has {', '.join(held) or 'none'}")
    rows = arrays["embeddings"]
    if rows.dtype.kind not in "fiu" or rows.ndim != 2:
        raise ValueError(
            f"file {str(place)!r}: 'embeddings' must be real, (n, d), got {rows.dtype} of shape {rows.shape}"
        )
    labels = arrays.get("labels")
    if labels is not None and labels.shape != rows.shape[:1]:
        raise ValueError(f"file {str(place)!r}: 'labels' must have shape {rows.shape[:1]}, got {labels.shape}")
    return rows.astype(np.float64), labels


def _choice(total: int, n: int, seed: int, labels: npt.NDArray[np.generic] | None) -> Indices:
    """n sorted indices drawn without replacement, each class at least once."""
    order = np.random.default_rng(seed).permutation(total)
    if labels is None:
        return np.sort(order[:n])
    first = np.unique(labels[order], return_index=True)[1]
    if first.size > n:
        raise ValueError(f"n={n!r} must be at least the number of classes, {first.size}")
    rest = np.setdiff1d(np.arange(total), first)
    return np.sort(order[np.concatenate([first, rest[: n - first.size]])])
