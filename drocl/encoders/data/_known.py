"""Data sets with a name: which files they are, where those are published, and what their classes are called."""

from dataclasses import dataclass

_CIFAR = "https://www.cs.toronto.edu/~kriz"
_STL = "http://ai.stanford.edu/~acoates/stl10"
_FASHION = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
_MNIST = "https://storage.googleapis.com/cvdf-datasets/mnist"
_TU = "https://www.chrsmrrs.com/graphkerneldatasets"
_STSB = "https://raw.githubusercontent.com/PhilipMay/stsb-multi-mt/main/data"


@dataclass(frozen=True)
class Remote:
    """A published file: its name, the address without the name, and its md5; None where only reading it can tell that it is whole."""

    file: str
    base: str
    md5: str | None = None


@dataclass(frozen=True)
class Known:
    """A data set by name.

    Attributes:
        name: as it is called, and its folder in the cache.
        put: what to put into that folder.
        remotes: what a download fetches into it; empty where nothing is fetched.
    """

    name: str
    put: str
    remotes: tuple[Remote, ...] = ()


def _idx(name: str, base: str, sums: tuple[str, str, str, str]) -> Known:
    files = [f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
    remotes = tuple(Remote(file, base, md5) for file, md5 in zip(files, sums, strict=True))
    return Known(name, f"{', '.join(files)} (or the same without .gz)", remotes)


_SICK = "SICK_train.txt, SICK_trial.txt and SICK_test_annotated.txt"
_STSB_FILES = tuple(f"stsb-en-{part}.csv" for part in ("train", "dev", "test"))
_GRAPHS = (
    "MUTAG", "PROTEINS", "BZR", "COX2", "DHFR", "DD", "ENZYMES", "NCI1", "NCI109", "PTC_MR",
    "IMDB-BINARY", "IMDB-MULTI", "COLLAB", "REDDIT-BINARY", "REDDIT-MULTI-5K",
)  # fmt: skip

_ALL = (
    Known(
        "cifar10",
        "cifar-10-python.tar.gz, or its folder cifar-10-batches-py, or train.parquet and test.parquet",
        (Remote("cifar-10-python.tar.gz", _CIFAR, "c58f30108f718f92721af3b95e74349a"),),
    ),
    Known(
        "cifar100",
        "cifar-100-python.tar.gz, or its folder cifar-100-python, or train.parquet and test.parquet",
        (Remote("cifar-100-python.tar.gz", _CIFAR, "eb9058c3a382ffc7106e4002c42a8d85"),),
    ),
    Known(
        "stl10",
        "stl10_binary.tar.gz, or its folder stl10_binary",
        (Remote("stl10_binary.tar.gz", _STL, "91f7769df0f17e558f3565bffb0c7dfb"),),
    ),
    _idx(
        "fashion-mnist",
        _FASHION,
        (
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
    ),
    _idx(
        "mnist",
        _MNIST,
        (
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
    ),
    *(Known(name, f"{name}.zip, or its folder {name}", (Remote(f"{name}.zip", _TU),)) for name in _GRAPHS),
    Known("stsb", ", ".join(_STSB_FILES), tuple(Remote(file, _STSB) for file in _STSB_FILES)),
    Known("sick", _SICK),
)
KNOWN = {known.name.lower(): known for known in _ALL}

_NAMES = {
    "cifar10": "airplane automobile bird cat deer dog frog horse ship truck",
    "fashion-mnist": "T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag Ankle_boot",
}
_ALIASES = {"cifar-10": "cifar10", "fashionmnist": "fashion-mnist", "fashion_mnist": "fashion-mnist"}


def class_names(name: str, count: int) -> tuple[str, ...]:
    """Names of the classes of a data set whose files have none: the known ones if there are as many, else numbers.

    >>> class_names("cifar10", 10)[:2], class_names("mine", 2)
    (('airplane', 'automobile'), ('0', '1'))
    """
    key = name.lower()
    names = tuple(part.replace("_", " ") for part in _NAMES.get(_ALIASES.get(key, key), "").split())
    return names if len(names) == count else tuple(str(label) for label in range(count))
