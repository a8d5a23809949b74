"""Any folder of images: a class a folder."""

import os
from collections.abc import Iterator
from pathlib import Path

import torch

from drocl.encoders._types import Dataset, Split
from drocl.encoders.data._images import Item, Options, assemble, decode
from drocl.encoders.data._splits import hold_out

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
_TRAIN = ("train", "training")
_TEST = ("test", "testing", "val", "valid", "validation")


def recognises(path: Path) -> bool:
    """Whether the path is a folder with images in it or below it."""
    return path.is_dir() and next(_images(path), None) is not None


def read(path: Path, options: Options | None = None) -> Dataset:
    """Images by class.

    | layout | what it is |
    |---|---|
    | `root/train/CLASS/...`, `root/test/CLASS/...` | two splits; `val` counts as test where there is no `test` |
    | `root/CLASS/...`, or `root/train/CLASS/...` alone | a fixed fifth of each class is held out as the test split |
    | images in `root` itself | no labels; a fixed fifth is held out |

    Classes are numbered by their names in order; images are read in the order of their paths, hidden ones left out.

    Args:
        path: the folder.
        options: `image_size`, needed where images differ in size; `progress`.

    Raises:
        ValueError: a file that is no image; images of different sizes; classes of the test folder that training lacks.
    """
    options = options or Options()
    train_root = next((path / name for name in _TRAIN if (path / name).is_dir()), None)
    test_root = next((path / name for name in _TEST if (path / name).is_dir()), None) if train_root else None
    root = train_root or path
    classes = _classes(root)
    if not classes and next(_images(root), None) is None:
        raise ValueError(f"{root} has no images ({', '.join(ENDINGS)}) in it or in folders of it")
    train = _split(root, classes, options)
    if test_root is None:
        train, test = hold_out(train)
    else:
        unknown = sorted(set(_classes(test_root)) - set(classes))
        if unknown:
            raise ValueError(f"{test_root} has classes that {root} lacks: {', '.join(unknown)}")
        test = _split(test_root, classes, options)
    return assemble(path.resolve().name, train, test, classes, path)


def _classes(root: Path) -> list[str]:
    folders = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    return [name for name in folders if next(_images(root / name), None) is not None]


def _images(folder: Path) -> Iterator[Path]:
    """Images in a folder and below it, in the order of their paths."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.lower().endswith(ENDINGS) and not name.startswith("."):
                yield Path(place, name)


def _split(root: Path, classes: list[str], options: Options) -> Split:
    items: list[Item] = []
    labels: list[int] = []
    for label, folder in enumerate([root / name for name in classes] or [root]):
        found = [(str(file), file) for file in _images(folder)]
        items += found
        labels += [label] * len(found)
    if not items:
        raise ValueError(f"{root} has no images of the classes {', '.join(classes)}")
    images = decode(items, len(items), options, str(root))
    return Split(images, torch.tensor(labels, dtype=torch.int64) if classes else None)
