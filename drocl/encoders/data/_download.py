"""Published files, fetched when the user asks for it: all or nothing, and compared with their checksum."""

import hashlib
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from drocl.encoders.data._images import Progress
from drocl.encoders.data._known import Known

_CHUNK = 1 << 20
_TIMEOUT = 60.0  # seconds without a byte


def fetch_known(known: Known, folder: Path, base_url: str | None, progress: Progress | None) -> list[Path]:
    """The files of a data set that its folder lacks.

    Args:
        known: the data set.
        folder: where they go; made if need be.
        base_url: address of a mirror, in place of the published one; None: that.
        progress: called with (what, bytes done, bytes in all or 0).

    Returns:
        The files that were fetched.

    Raises:
        ValueError: a data set that nobody publishes at a fixed address; a wrong checksum.
        OSError: when the network, the server or the disk fails.
    """
    if not known.remotes:
        raise ValueError(f"{known.name} cannot be downloaded: put {known.put} into {folder}")
    fetched = []
    for remote in known.remotes:
        target = folder / remote.file
        if not target.exists():
            base = remote.base if base_url is None else base_url.rstrip("/")
            fetched.append(fetch(f"{base}/{remote.file}", target, remote.md5, progress))
    return fetched


def fetch(url: str, target: Path, md5: str | None = None, progress: Progress | None = None) -> Path:
    """One file. It appears under its name when it is whole; what a failure leaves is removed.

    Args:
        url: http or https.
        target: the file; folders are made.
        md5: what it must have, 32 hexadecimal digits; None: not compared.
        progress: called with (file name, bytes done, bytes in all or 0).

    Raises:
        ValueError: another scheme; a wrong checksum.
        OSError: names the address, when the network, the server or the disk fails.
    """
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"url={url!r} must start with https:// or http://")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        found = _stream(url, part, target.name, progress)
        if md5 is not None and found != md5:
            raise ValueError(f"{url} has md5 {found}, and {md5} is expected: the file is not what was published")
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return target


def _stream(url: str, part: Path, what: str, progress: Progress | None) -> str:
    """The body of the answer into a file; its md5."""
    digest, done = hashlib.md5(usedforsecurity=False), 0
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer, part.open("wb") as out:
            total = _length(answer)
            while chunk := answer.read(_CHUNK):
                out.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                if progress is not None:
                    progress(what, done, total)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise OSError(f"{url} could not be downloaded: {error}") from error
    if total and done != total:  # a reader by chunks is not told that the connection broke
        raise OSError(f"{url} could not be downloaded: the connection ended after {done} of {total} bytes")
    return digest.hexdigest()


def _length(answer: Any) -> int:
    value = answer.headers.get("Content-Length", "")
    return int(value) if value.isdigit() else 0
