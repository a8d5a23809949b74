"""The store of result files: content-addressed, written atomically, resumable."""

import hashlib
import json
import math
import os
import secrets
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

SCHEMA = 1
PARTIAL_SUFFIX = ".partial"
STALE_SECONDS = 3600.0
# Changes here cannot change a number, so they need not throw stored results away.
PRESENTATION = ("report", "teach", "cli.py", "__main__.py", "claims/show.py", "claims/ledger.py", "claims/junit.py")
LIBRARIES = ("numpy", "scipy", "cvxpy", "clarabel", "scs", "highspy", "torch", "scikit-learn")


def jsonable(value: Any) -> Any:
    """Turn a value into what JSON can hold and read back the same.

    Args:
        value: numbers, strings, mappings, sequences, numpy arrays and scalars, torch tensors; anything else becomes
            its `str`.

    Returns:
        The value in dicts, lists, strings, numbers, booleans and None; nan and infinities become the strings "nan",
        "inf" and "-inf" (JSON has none; `float` reads them back).

    >>> jsonable({"a": (1, float("inf"))})
    {'a': [1, 'inf']}
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, Mapping):
        return {str(name): jsonable(entry) for name, entry in value.items()}
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if hasattr(value, "tolist"):
        return jsonable(value.tolist())
    if isinstance(value, (list, tuple, set, frozenset)):
        return [jsonable(entry) for entry in value]
    return str(value)


def key(**parts: Any) -> str:
    """The address of a result: sha256 of everything that it depends on.

    Args:
        parts: JSON-able parts, by name; their order does not matter.

    Returns:
        64 hexadecimal digits.
    """
    return hashlib.sha256(_canonical(jsonable(parts)).encode()).hexdigest()


def digest_of(paths: Iterable[Path]) -> str:
    """One sha256 of the names and contents of files.

    Args:
        paths: files that exist.

    Returns:
        64 hexadecimal digits.
    """
    total = hashlib.sha256()
    for path in sorted(paths):
        content = path.read_bytes()
        total.update(f"{path.name}\0{len(content)}\0".encode() + content)
    return total.hexdigest()


@lru_cache(maxsize=1)
def library_fingerprint() -> str:
    """One sha256 of drocl's sources (presentation aside) and of the versions of the libraries that compute.

    Returns:
        64 hexadecimal digits.
    """
    home = Path(__file__).parent
    sources = [
        path
        for path in home.rglob("*.py")
        if not path.relative_to(home).as_posix().startswith((*PRESENTATION, "_shipped"))
    ]
    return key(sources=digest_of(sources), libraries=library_versions())


def library_versions() -> dict[str, str]:
    """Versions of the libraries that compute, without importing them.

    Returns:
        A mapping of those installed.
    """
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader, or a crash at any moment, sees the old one or the new one whole.

    Args:
        path: where; its folder is made.
        content: what; text becomes UTF-8.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}")
    try:
        with open(partial, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write a value as a JSON file, as `write_atomically` does; see `jsonable`.

    Args:
        path: where; its folder is made.
        value: what.
    """
    write_atomically(path, json.dumps(jsonable(value), indent=1) + "\n")


class Store:
    """A folder of results, one JSON file each, named by `key`."""

    def __init__(self, folder: Path | str) -> None:
        """Open a store.

        Args:
            folder: where; made at the first write.

        Raises:
            ValueError: if it exists and is not a folder.
        """
        self.folder = Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"folder={str(folder)!r} exists and is not a folder")

    def sweep(self) -> None:
        """Remove the partial files that a crash left; one younger than an hour may belong to a run in progress."""
        for left in self.folder.glob(f".*{PARTIAL_SUFFIX}"):
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                left.unlink(missing_ok=True)

    def path(self, address: str) -> Path:
        """The file of an address.

        Args:
            address: what `key` gave.
        """
        return self.folder / f"{address}.json"

    def get(self, address: str) -> Any | None:
        """Read a result.

        Args:
            address: what `key` gave.

        Returns:
            The result, or None where there is none, or the file is damaged (so it is computed again).
        """
        try:
            held = json.loads(self.path(address).read_text(encoding="utf-8"))
            whole = held["schema"] == SCHEMA and held["key"] == address and held["sha256"] == _checksum(held["result"])
            return held["result"] if whole else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, address: str, result: Any) -> Any:
        """Write a result.

        Args:
            address: what `key` gave.
            result: JSON-able (see `jsonable`).

        Returns:
            The result as `get` will give it.
        """
        plain = jsonable(result)
        held = {"schema": SCHEMA, "key": address, "sha256": _checksum(plain), "result": plain}
        write_atomically(self.path(address), json.dumps(held, allow_nan=False))
        return plain


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _checksum(value: Any) -> str:
    return hashlib.sha256(_canonical(value).encode()).hexdigest()
