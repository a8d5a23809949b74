"""Data sets: bundled digits, names in a cache folder, and files or folders in the public formats.

| format | what is recognised | reader |
|---|---|---|
| parquet | `train.parquet`, `test.parquet` or shards of them; columns `img`/`image` and `label`/`fine_label`/`labels` | `parquet` |
| cifar | `cifar-10-python.tar.gz`, `cifar-100-python.tar.gz`, or their folders of pickles | `cifar` |
| stl10 | `stl10_binary.tar.gz`, or its folder of `.bin` files | `stl10` |
| idx | `train-images-idx3-ubyte[.gz]` and its three companions | `idx` |
| tu | a zip or folder with `NAME_A.txt`, `NAME_graph_indicator.txt`, ... | `tu` |
| images | a folder of images, a class a folder | `folder` |
| text | scored pairs of sentences as csv, SICK files, one sentence a line | `text` |

The cache is `$DROCL_DATA`, else `~/.cache/drocl/data`; the data set NAME lies in its folder NAME, in any of these formats, or is
the file NAME.zip, NAME.tar.gz or NAME.parquet. Nothing is fetched unless asked for.
"""

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from drocl.encoders._types import Dataset
from drocl.encoders.data._images import Options, Progress
from drocl.encoders.data._known import KNOWN, Known

__all__ = ["FORMATS", "Options", "Progress", "cache_folder", "known_names", "load", "recognise"]

BUNDLED = "digits"
_FILES = ("", ".zip", ".tar.gz", ".tgz", ".tar", ".parquet")  # what NAME may end in, in the cache
_SHOWN = 8  # entries of a folder that an error lists


@dataclass(frozen=True)
class Format:
    """A format by its name: the module that reads it, loaded when first used.

    Attributes:
        name: for `data_format`.
        module: in this package.
        test: its function that tells whether a path is of this format.
        says: what an error calls it.
        images: whether its reader takes `Options`.
    """

    name: str
    module: str
    test: str
    says: str
    images: bool = True

    def recognises(self, path: Path) -> bool:
        """Whether the path is of this format."""
        return bool(getattr(self._load(), self.test)(path))

    def read(self, path: Path, options: Options) -> Dataset:
        """The data set there."""
        read: Callable[..., Dataset] = self._load().read
        return read(path, options) if self.images else read(path)

    def _load(self) -> ModuleType:
        return importlib.import_module(f"{__name__}.{self.module}")


_ORDERED = (  # as they are tried; lists of files as train.txt often lie beside images, so folders of images come before texts
    Format("parquet", "parquet", "recognises", "train.parquet and test.parquet"),
    Format("cifar", "cifar", "recognises", "CIFAR-10 or CIFAR-100 in python pickles (tar.gz or folder)"),
    Format("stl10", "stl10", "recognises", "STL-10 binaries (tar.gz or folder)"),
    Format("idx", "idx", "recognises", "idx files as train-images-idx3-ubyte.gz"),
    Format("tu", "tu", "is_tu", "a TU graph data set (zip or folder)", images=False),
    Format("images", "folder", "recognises", "a folder of images (root/CLASS/*.png, root/train/CLASS/*.png)"),
    Format("text", "text", "is_text", "csv files of scored sentence pairs, SICK files, or a text file", images=False),
)
FORMATS: dict[str, Format] = {each.name: each for each in _ORDERED}


def cache_folder() -> Path:
    """Where data sets are looked for by name: `$DROCL_DATA`, else `~/.cache/drocl/data`."""
    return Path(os.environ.get("DROCL_DATA") or Path.home() / ".cache" / "drocl" / "data")


def known_names() -> list[str]:
    """Names whose files and addresses are known; other names are looked for in the cache all the same."""
    return [BUNDLED, *(known.name for known in KNOWN.values())]


def recognise(path: Path) -> Format | None:
    """The format of a file or folder, or None.

    Raises:
        ValueError: an archive that is damaged.
    """
    return next((each for each in _ORDERED if each.recognises(path)), None)


def load(
    source: str, *, download: bool = False, cache: Path | None = None, data_format: str | None = None,
    image_size: int | None = None, unlabelled: bool = False, progress: Progress | None = None, base_url: str | None = None,
) -> Dataset:  # fmt: skip
    """Read a data set.

    Args:
        source: "digits"; a known name (`known_names`), looked for in the cache; a path; or any other name in the cache. A path whose
            name is a known one is written with its folder: `./cifar10`.
        download: fetch what a known name lacks in the cache. Without it nothing is asked of the network.
        cache: in place of `cache_folder()`.
        data_format: a key of `FORMATS`, where a path is not to be recognised by itself.
        image_size: pixels; every image becomes a square of that side. None: all must have one size.
        unlabelled: STL-10's unlabelled images too, as training images with label -1.
        progress: called with (what, done, total) while images are decoded and files fetched.
        base_url: http(s) address of a mirror to download from; checksums hold for it as well.

    Returns:
        The data set, on the CPU. Images without a test split get one: a fixed fifth of each class (`drocl.encoders.data._splits`);
        graphs and sentences are measured by their own protocols.

    Raises:
        FileNotFoundError: nothing there; it says which files to put where.
        ValueError: an argument out of range, a path that is of no known format, a file that is damaged.
        OSError: a download that fails.

    >>> load("digits").classes
    ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9')
    """
    if data_format is not None and data_format not in FORMATS:
        raise ValueError(f"data_format={data_format!r} must be one of {', '.join(FORMATS)}")
    options = Options(image_size, unlabelled, progress)
    if source == BUNDLED:
        from drocl.encoders.data import digits

        _check_options(None, options, source)
        return digits.read(options)
    folder = cache_folder() if cache is None else Path(cache)
    known = KNOWN.get(source.lower())
    if known is not None:
        return _load_known(known, folder, download, base_url, data_format, options)
    places = [Path(source).expanduser(), *_cached(source, folder)]
    path = next((place for place in places if source and place.exists()), None)
    if path is None:
        raise FileNotFoundError(
            f"data={source!r}: no such file or folder, and nothing of that name in {folder}; known names: {', '.join(known_names())}"
        )
    return _read(path, data_format, options)


def _cached(name: str, folder: Path) -> list[Path]:
    """Where a name may lie in the cache; nowhere if it is a path."""
    return [folder / f"{name}{ending}" for ending in _FILES] if name == Path(name).name else []


def _find(known: Known, folder: Path) -> tuple[Path, Format] | None:
    """The data set in the cache, and its format."""
    own = folder / known.name
    places = [own, *(own / remote.file for remote in known.remotes), *_cached(known.name, folder)[1:]]
    if len(known.remotes) == 1:
        places.append(folder / known.remotes[0].file)
    for place in places:
        found = recognise(place) if place.exists() else None
        if found is not None:
            return place, found
    return None


def _load_known(
    known: Known, folder: Path, download: bool, base_url: str | None, data_format: str | None, options: Options
) -> Dataset:
    found = _find(known, folder)
    if found is not None:
        return _read(found[0], data_format or found[1].name, options)
    own = folder / known.name
    if not download:
        raise FileNotFoundError(_missing(known, own))
    from drocl.encoders.data._download import fetch_known

    fetched = fetch_known(known, own, base_url, options.progress)
    try:
        found = _find(known, folder)
        if found is None:
            raise ValueError(f"{own} holds no {known.name} that can be read ({_listing(own)}): put {known.put} into it")
        return _read(found[0], data_format or found[1].name, options)
    except ValueError:
        # Files without a checksum are known to be whole by being read; what cannot be read must not be found the next time.
        for file in fetched:
            file.unlink(missing_ok=True)
        raise


def _missing(known: Known, own: Path) -> str:
    there = f" (there: {_listing(own)})" if own.is_dir() else ""
    says = f"{known.name} is not in the cache: put {known.put} into {own}{there}, or set DROCL_DATA to another folder."
    if known.remotes:
        says += f" --download would fetch {', '.join(f'{remote.base}/{remote.file}' for remote in known.remotes)}."
    if Path(known.name).exists():
        says += f" To read the {known.name} in this folder give ./{known.name}."
    return says


def _read(path: Path, data_format: str | None, options: Options) -> Dataset:
    form = recognise(path) if data_format is None else FORMATS[data_format]
    if form is None:
        known = "; ".join(f"{each.says} [{each.name}]" for each in _ORDERED)
        raise ValueError(
            f"{path} is of no format that is recognised. Found there: {_listing(path)}. Known formats: {known}"
        )
    _check_options(form, options, str(path))
    return form.read(path, options)


def _check_options(form: Format | None, options: Options, what: str) -> None:
    name = BUNDLED if form is None else form.name
    if options.unlabelled and name != "stl10":
        raise ValueError(f"unlabelled=True: {what} ({name}) has no unlabelled images of its own; STL-10 has")
    if options.image_size is not None and form is not None and not form.images:
        raise ValueError(f"image_size={options.image_size}: {what} ({name}) has no images")


def _listing(path: Path) -> str:
    """What an error says of a path."""
    if path.is_file():
        return f"a file of {path.stat().st_size} bytes"
    names = sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in path.iterdir())
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) + more) or "an empty folder"
