"""Files by name, out of a folder or of a tar archive, which is read through and never extracted."""

import tarfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

_ENDINGS = (".tar", ".tar.gz", ".tgz")


def is_tar(path: Path) -> bool:
    """Whether it is a file named as a tar archive."""
    return path.is_file() and path.name.lower().endswith(_ENDINGS)


def holder(path: Path, folder: str, first: str, marks: Collection[str]) -> Path | None:
    """Where the files of a data set are that lie in `path`, in the folder or archive of it that its authors distribute, or nowhere.

    Args:
        path: file or folder.
        folder: the name of the folder inside the authors' archive.
        first: the name of that archive.
        marks: names of files that tell the data set: all in a folder; the first of them met in an archive tells enough.
    """
    if is_tar(path):
        return path if _starts_with(path, folder, marks) else None
    if not path.is_dir():
        return None
    for place in (path, path / folder):
        if all((place / mark).is_file() for mark in marks):
            return place
    archive = path / first
    return archive if archive.is_file() else None


def _starts_with(path: Path, folder: str, marks: Collection[str]) -> bool:
    """Whether the archive's first file, which is all that is read of it, is one of these or lies in that folder."""
    with _readable(path), tarfile.open(path, "r|*") as archive:
        for member in archive:
            if member.isfile():
                name = PurePosixPath(member.name)
                return folder in name.parts[:-1] or name.name in marks
    return False


def members(path: Path, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """The files whose name (without folders) is wanted, with their content.

    Raises:
        ValueError: an archive that is damaged, or that has two files of one name.
    """
    if path.is_dir():
        return {file.name: file.read_bytes() for file in sorted(path.iterdir()) if wanted(file.name) and file.is_file()}
    found: dict[str, bytes] = {}
    with _readable(path), tarfile.open(path, "r|*") as archive:
        for member in archive:
            name = PurePosixPath(member.name).name
            stream = archive.extractfile(member) if member.isfile() and wanted(name) else None
            if stream is None:
                continue
            if name in found:
                raise ValueError(f"{path} has more than one file {name!r}")
            found[name] = stream.read()
    return found


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise ValueError(f"{path} is no tar archive that can be read: {error}") from error
