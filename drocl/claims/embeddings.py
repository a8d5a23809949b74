"""A user's own embeddings, checked before anything runs."""

import zipfile
from pathlib import Path

import numpy as np


def validate(path: Path | str) -> tuple[Path, bool]:
    """Check an .npz file of embeddings.

    Args:
        path: the file, with arrays `embeddings` (n, d), n >= 2, finite, no row of zeros, and optionally `labels` (n,),
            integers or words, at least two distinct ones.

    Returns:
        Its absolute path, and whether it has labels.

    Raises:
        ValueError: naming the file and what is wrong with it.
    """
    place = Path(path).resolve()
    if not place.is_file():
        raise ValueError(f"embeddings={str(path)!r} is not a file")
    try:
        with np.load(place, allow_pickle=False) as arrays:
            held = {name: arrays[name] for name in ("embeddings", "labels") if name in arrays}
            names = list(arrays)
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(f"embeddings={str(path)!r} is not an .npz file of plain arrays ({error})") from error
    if "embeddings" not in held:
        raise ValueError(f"embeddings={str(path)!r} has no array 'embeddings' (it has {', '.join(names) or 'none'})")
    for fault in _faults(held["embeddings"], held.get("labels")):
        raise ValueError(f"embeddings={str(path)!r}: {fault}")
    _try_building(place, "labels" in held)
    return place, "labels" in held


def _faults(rows: np.ndarray, labels: np.ndarray | None) -> list[str]:
    if rows.ndim != 2 or rows.shape[0] < 2 or rows.shape[1] < 1 or rows.dtype.kind not in "fiu":
        return [f"'embeddings' has shape {rows.shape} and type {rows.dtype}: must be real, (n, d) with n >= 2"]
    if not np.all(np.isfinite(rows)):
        return ["'embeddings' holds nan or infinite values"]
    if not np.all(np.any(rows != 0, axis=1)):
        return ["'embeddings' holds a row of zeros, which has no direction"]
    if labels is None:
        return []
    if labels.shape != rows.shape[:1] or labels.dtype.kind not in "biuSU":
        return [
            f"'labels' has shape {labels.shape} and type {labels.dtype}: must be integers or words, ({rows.shape[0]},)"
        ]
    if np.unique(labels).size < 2:
        return ["'labels' holds one class only"]
    return []


def _try_building(place: Path, labelled: bool) -> None:
    """Let the library itself object to a class model that it cannot make of the file."""
    if labelled:
        from drocl import latent

        latent.build(f"file:{place}")
