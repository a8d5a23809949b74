"""Laws of the readers of images: what was written is read, what is damaged is named, nothing is run or fetched unasked."""

import gzip
import hashlib
import http.server
import io
import json
import pickle
import re
import struct
import tarfile
import threading
import urllib.request

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from drocl.encoders._types import Split
from drocl.encoders.data import FORMATS, cache_folder, known_names, load, recognise
from drocl.encoders.data._download import fetch
from drocl.encoders.data._known import KNOWN, Known, Remote
from drocl.encoders.data._pickles import read_pickle
from drocl.encoders.data._splits import hold_out, stratified


def pictures(n, channels=3, side=6, seed=0, height=None):
    shape = (n, channels, height or side, side)
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def encoded(image, form="png"):
    pixels = image.permute(1, 2, 0).numpy()
    out = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(out, form)
    return out.getvalue()


def save(folder, images, form="png"):
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images):
        (folder / f"{i:03}.{form}").write_bytes(encoded(image, form))


def ints(values):
    return torch.tensor(list(values), dtype=torch.int64)


# --- splits and digits


def test_a_held_out_part_is_a_fifth_of_each_class_and_always_the_same():
    labels = ints([0] * 50 + [1] * 20 + [2] * 5).flip(0)
    train, held = stratified(labels, 75)
    assert sorted(torch.cat([train, held]).tolist()) == list(range(75))
    assert torch.bincount(labels[held]).tolist() == [10, 4, 1]
    assert torch.equal(held, stratified(labels, 75)[1])
    assert not torch.equal(held, stratified(labels, 75, seed=1)[1])
    assert torch.equal(held, held.sort().values)


def test_a_held_out_part_needs_examples_on_both_sides():
    with pytest.raises(ValueError, match="3 examples are too few"):
        stratified(ints([0, 1, 2]), 3)
    assert len(hold_out(Split(pictures(10)))[1]) == 2


def test_digits_are_scaled_to_bytes_and_split_for_good():
    digits = load("digits")
    assert digits.train.inputs.dtype == torch.uint8
    assert digits.train.inputs.shape == (1438, 1, 8, 8)
    assert int(digits.train.inputs.max()) == 255
    assert torch.bincount(digits.test.labels).tolist() == [36, 36, 35, 37, 36, 36, 36, 36, 35, 36]
    assert hashlib.sha256(digits.test.inputs.numpy().tobytes()).hexdigest()[:16] == "2f5eb12f1dfec8a2"
    assert load("digits", image_size=16).test.inputs.shape == (359, 1, 16, 16)


# --- Parquet


def table(path, images, labels, image="img", label="label", raw=False, names=None, form="png"):
    content = [each if isinstance(each, bytes | None) else encoded(each, form) for each in images]
    column = content if raw else [{"bytes": each, "path": f"{i}.{form}"} for i, each in enumerate(content)]
    made = pa.table({image: column, label: labels})
    if names is not None:
        features = {label: {"names": names, "_type": "ClassLabel"}}
        made = made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(made, path, row_group_size=4)


@pytest.mark.parametrize(
    ("image", "label", "raw"), [("img", "label", False), ("image", "fine_label", False), ("image", "labels", True)]
)
def test_parquet_gives_back_what_was_written(tmp_path, image, label, raw):
    x, y = pictures(10), [i % 3 for i in range(10)]
    table(tmp_path / "train.parquet", x, y, image, label, raw)
    table(tmp_path / "test.parquet", x[:3], y[:3], image, label, raw)
    read = load(str(tmp_path))
    assert torch.equal(read.train.inputs, x)
    assert read.train.labels.tolist() == y
    assert torch.equal(read.test.inputs, x[:3])
    assert (read.kind, read.classes, read.source) == ("image", ("0", "1", "2"), tmp_path)


def test_shards_of_a_split_follow_each_other(tmp_path):
    x = pictures(9)
    for i, rows in enumerate(([0, 1, 2, 3, 4], [5], [6, 7, 8])):
        table(tmp_path / "data" / f"train-0000{i}-of-00003.parquet", x[rows], rows)
    table(tmp_path / "data" / "test-00000-of-00001.parquet", x[:2], [0, 1])
    read = load(str(tmp_path))
    assert torch.equal(read.train.inputs, x)
    assert read.train.labels.tolist() == list(range(9))


def test_names_of_classes_come_from_the_hub_or_from_the_known_set(tmp_path):
    x = pictures(10)
    table(tmp_path / "a" / "train.parquet", x, list(range(10)), names=[f"c{i}" for i in range(12)])
    table(tmp_path / "a" / "validation.parquet", x, list(range(10)))
    assert load(str(tmp_path / "a")).classes == tuple(f"c{i}" for i in range(12))
    table(tmp_path / "cifar10" / "train.parquet", x, list(range(10)))
    table(tmp_path / "cifar10" / "test.parquet", x, list(range(10)))
    assert load(str(tmp_path / "cifar10")).classes[:3] == ("airplane", "automobile", "bird")


def test_a_single_parquet_file_is_split_by_class(tmp_path):
    table(tmp_path / "birds-train.parquet", pictures(20), [i % 2 for i in range(20)])
    read = load(str(tmp_path / "birds-train.parquet"))
    assert (read.name, len(read.train), len(read.test)) == ("birds", 16, 4)
    assert read.test.labels.bincount().tolist() == [2, 2]


def test_grey_images_have_one_channel_until_a_coloured_one_comes(tmp_path):
    grey, colour = pictures(6, 1), pictures(2, 3)
    table(tmp_path / "grey" / "train.parquet", grey, [0, 1] * 3)
    table(tmp_path / "grey" / "test.parquet", grey, [0, 1] * 3)
    assert torch.equal(load(str(tmp_path / "grey")).train.inputs, grey)
    table(tmp_path / "mixed" / "train.parquet", [*grey, *colour], [0, 1] * 4)
    table(tmp_path / "mixed" / "test.parquet", grey, [0, 1] * 3)
    mixed = load(str(tmp_path / "mixed"))
    assert torch.equal(mixed.train.inputs, torch.cat([grey.repeat(1, 3, 1, 1), colour]))
    assert mixed.test.inputs.shape[1] == 3


def test_images_of_two_sizes_are_refused_or_resized(tmp_path):
    table(tmp_path / "train.parquet", [*pictures(3), *pictures(1, side=9)], [0, 0, 1, 1])
    table(tmp_path / "test.parquet", pictures(2, side=8, height=12), [0, 1])
    with pytest.raises(ValueError, match=r"train.parquet, row 3 has 9 x 9 pixels and .*row 0 6 x 6: .*image_size"):
        load(str(tmp_path))
    read = load(str(tmp_path), image_size=6)
    assert read.train.inputs.shape == (4, 3, 6, 6)
    assert read.test.inputs.shape == (2, 3, 6, 6)
    assert torch.equal(read.train.inputs[:3], pictures(3))


def test_resizing_takes_the_square_in_the_middle(tmp_path):
    image = torch.zeros(1, 3, 8, 16, dtype=torch.uint8)
    image[..., 4:12] = 200
    table(tmp_path / "train.parquet", [image[0]] * 2, [0, 1])
    table(tmp_path / "test.parquet", [image[0]], [0])
    assert torch.equal(load(str(tmp_path), image_size=4).test.inputs, torch.full((1, 3, 4, 4), 200, dtype=torch.uint8))


def test_a_damaged_image_is_named_by_file_and_row(tmp_path):
    jpegs = [encoded(image, "jpeg") for image in pictures(70, side=16)]
    jpegs[67] = jpegs[67][:-200]
    table(tmp_path / "train.parquet", jpegs, [0] * 70)
    with pytest.raises(ValueError, match=r"train.parquet, row 67 is no image that can be decoded: (?i:.*truncated)"):
        load(str(tmp_path))
    table(tmp_path / "train.parquet", [b"text", *jpegs[:3]], [0] * 4)
    with pytest.raises(ValueError, match=r"train.parquet, row 0 is no image"):
        load(str(tmp_path))


def test_images_of_more_than_eight_bits_are_refused_and_alpha_is_dropped(tmp_path):
    deep, clear = io.BytesIO(), io.BytesIO()
    Image.fromarray(np.full((6, 6), 40000, np.uint16)).save(deep, "png")
    Image.fromarray(np.full((6, 6, 4), 90, np.uint8)).save(clear, "png")
    table(tmp_path / "train.parquet", [deep.getvalue()], [0])
    with pytest.raises(ValueError, match=r"row 0 has pixels of mode 'I.*8 bits"):
        load(str(tmp_path))
    table(tmp_path / "train.parquet", [clear.getvalue()] * 10, [0] * 10)
    assert torch.equal(load(str(tmp_path)).test.inputs, torch.full((2, 3, 6, 6), 90, dtype=torch.uint8))


def other(**columns):
    return lambda path: pq.write_table(pa.table(columns), path)


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda path: path.write_bytes(b"no parquet"), r"train.parquet is no Parquet file that can be read"),
        (lambda path: table(path, pictures(3), [0, 1, 1], image="picture"), "no column img or image; it has picture, label"),
        (lambda path: table(path, pictures(3), [0, 1, 1], label="class"), "no column label or fine_label or labels; it has img, class"),
        (lambda path: table(path, pictures(3), [0, 2, 1], names=["a", "b"]), r"'label', row 1: label 2 must be -1 \(unknown\) to 1"),
        (lambda path: table(path, pictures(3), [0, 1, -2]), r"'label', row 2: label -2 must be"),
        (lambda path: table(path, pictures(3), [0, None, 1]), r"row 1: column 'label' is empty"),
        (lambda path: table(path, pictures(3), ["a", "b", "c"]), "column 'label' is of type string, and integers"),
        (lambda path: table(path, [*pictures(2), None], [0, 1, 1]), r"row 2: column 'img' has no bytes"),
        (other(img=["a.png"], label=[0]), "column 'img' is of type string, and bytes"),
        (other(img=pa.array([], pa.binary()), label=pa.array([], pa.int64())), "train.parquet: no rows"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_parquet_file_is_named(tmp_path, write, says):
    write(tmp_path / "train.parquet")
    with pytest.raises(ValueError, match=says):
        load(str(tmp_path))


def test_a_cut_parquet_file_is_named(tmp_path):
    table(tmp_path / "train.parquet", pictures(50, side=20), [0, 1] * 25)
    whole = (tmp_path / "train.parquet").read_bytes()
    (tmp_path / "train.parquet").write_bytes(whole[:-100])
    with pytest.raises(ValueError, match=r"train.parquet is no Parquet"):
        load(str(tmp_path))
    damaged = bytearray(whole)
    damaged[4:2000] = bytes(1996)
    (tmp_path / "train.parquet").write_bytes(damaged)
    with pytest.raises(ValueError, match=r"train.parquet"):
        load(str(tmp_path))


def test_progress_ends_with_all_images(tmp_path):
    table(tmp_path / "train.parquet", pictures(150), [0, 1] * 75)
    seen = []
    load(str(tmp_path), progress=lambda what, done, total: seen.append((done, total)))
    assert [total for _, total in seen] == [150] * len(seen)
    assert [done for done, _ in seen] == [64, 128, 150]


# --- CIFAR


def old_text(text):
    """A byte string as Python 2 pickled it."""
    return b"T" + struct.pack("<i", len(text)) + text


def old_array(values, fortran=False):
    shape = b"".join(b"J" + struct.pack("<i", n) for n in values.shape) + b"\x86"
    dtype = (
        b"cnumpy\ndtype\n"
        + old_text(b"u1")
        + b"K\x00K\x01\x87R(K\x03"
        + old_text(b"|")
        + b"NNN"
        + b"J\xff\xff\xff\xff" * 2
        + b"K\x00tb"
    )
    raw = old_text(values.tobytes(order="F" if fortran else "C"))
    start = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + old_text(b"b") + b"\x87R(K\x01"
    return start + shape + dtype + (b"\x88" if fortran else b"\x89") + raw + b"tb"


def old_list(values):
    return b"](" + b"".join(b"J" + struct.pack("<i", v) if isinstance(v, int) else old_text(v) for v in values) + b"e"


def old_pickle(**fields):
    """A dictionary as Python 2 pickled it with protocol 2, which is what CIFAR's files are."""
    parts = []
    for key, value in fields.items():
        made = (
            old_array(value)
            if isinstance(value, np.ndarray)
            else old_list(value)
            if isinstance(value, list)
            else old_text(value)
        )
        parts.append(old_text(key.encode()) + made)
    return b"\x80\x02}(" + b"".join(parts) + b"u."


def flat(images):
    return images.reshape(len(images), -1).numpy()


NAMES10 = [f"class {i}".encode() for i in range(10)]


def cifar10(folder, images, labels, write=old_pickle):
    """Five batches, each with a fifth of the images, and a test batch of the first two."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, rows in enumerate(np.array_split(np.arange(len(images)), 5)):
        content = write(
            batch_label=b"training batch",
            labels=[labels[r] for r in rows],
            data=flat(images[rows]),
            filenames=[b"a.png"],
        )
        (folder / f"data_batch_{i + 1}").write_bytes(content)
    (folder / "test_batch").write_bytes(write(labels=labels[:2], data=flat(images[:2])))
    (folder / "batches.meta").write_bytes(write(label_names=NAMES10, num_vis=b"3072"))


def pack(archive, folder, prefix):
    with tarfile.open(archive, "w:gz") as tar:
        for file in sorted(folder.iterdir()):
            tar.add(file, f"{prefix}/{file.name}")


def new_pickle(protocol):
    def write(**fields):
        return pickle.dumps({key.encode(): value for key, value in fields.items()}, protocol=protocol)

    return write


@pytest.mark.parametrize(
    "write", [old_pickle, new_pickle(2), new_pickle(4)], ids=["python 2", "protocol 2", "protocol 4"]
)
def test_cifar_pickles_give_back_what_was_written(tmp_path, write):
    x, y = pictures(10, side=32), [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    cifar10(tmp_path / "cifar-10-batches-py", x, y, write)
    for path in (tmp_path, tmp_path / "cifar-10-batches-py"):
        read = load(str(path))
        assert (read.name, read.classes[9]) == ("cifar10", "class 9")
        assert torch.equal(read.train.inputs, x)
        assert read.train.labels.tolist() == y
        assert torch.equal(read.test.inputs, x[:2])


def test_the_archive_of_cifar_is_read_as_its_folder_and_nothing_is_extracted(tmp_path):
    x, y = pictures(10, side=32), list(range(10))
    cifar10(tmp_path / "made", x, y)
    place = tmp_path / "cache"
    place.mkdir()
    with tarfile.open(place / "cifar-10-python.tar.gz", "w:gz") as tar:
        for file in sorted((tmp_path / "made").iterdir()):
            tar.add(file, f"cifar-10-batches-py/{file.name}")
        escape = tarfile.TarInfo("../../outside")
        escape.size = 4
        tar.addfile(escape, io.BytesIO(b"evil"))
    before = sorted(tmp_path.rglob("*"))
    for path in (place, place / "cifar-10-python.tar.gz"):
        assert torch.equal(load(str(path)).train.inputs, x)
    assert sorted(tmp_path.rglob("*")) == before
    assert load(str(place), image_size=8).train.inputs.shape == (10, 3, 8, 8)


def test_cifar100_has_its_fine_labels(tmp_path):
    x = pictures(4, side=32)
    names = [f"n{i}".encode() for i in range(100)]
    fields = {"data": flat(x), "fine_labels": [99, 0, 5, 7], "coarse_labels": [1, 1, 2, 3]}
    for name in ("train", "test"):
        (tmp_path / name).write_bytes(old_pickle(**fields))
    (tmp_path / "meta").write_bytes(old_pickle(fine_label_names=names, coarse_label_names=[b"a", b"b"]))
    read = load(str(tmp_path))
    assert (read.name, len(read.classes)) == ("cifar100", 100)
    assert read.train.labels.tolist() == [99, 0, 5, 7]


def test_pickled_arrays_may_lie_column_by_column():
    values = np.arange(12, dtype=np.uint8).reshape(3, 4)
    content = b"\x80\x02}(" + old_text(b"data") + old_array(values, fortran=True) + b"u."
    assert np.array_equal(read_pickle(content, "file")["data"], values)


class Runs:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("archived", [False, True])
def test_a_malicious_pickle_is_refused_and_nothing_of_it_runs(tmp_path, protocol, archived):
    import os

    mark = tmp_path / "ran"
    folder = tmp_path / "cifar-10-batches-py"
    cifar10(folder, pictures(10, side=32), list(range(10)))
    evil = pickle.dumps({b"labels": [0], b"data": Runs(os.mkdir, str(mark))}, protocol=protocol)
    (folder / "data_batch_3").write_bytes(evil)
    path = folder
    if archived:
        path = tmp_path / "cifar-10-python.tar.gz"
        pack(path, folder, folder.name)
    with pytest.raises(ValueError, match=rf"data_batch_3 asks for {os.mkdir.__module__}.mkdir.* nothing of it was run"):
        load(str(path))
    assert not mark.exists()
    pickle.loads(evil)  # the same bytes do run where nobody looks
    assert mark.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02cbuiltins\neval\n(U\x01xtR.",
        b"(cos\nsystem\nS'true'\no.",
        b"(S'true'\nios\nsystem\n.",
        b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93.",
        b"\x80\x04\x8c\x05numpy\x8c\x11lib.npyio.NpzFile\x93.",
        b"\x80\x02cnumpy\nload\n.",
    ],
)
def test_every_way_to_name_a_function_is_refused(content):
    with pytest.raises(ValueError, match=r"file asks for (builtins|os|numpy)\.\S+, which"):
        read_pickle(content, "file")


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\x80\x02", b"not a pickle", b"\x80\x02K\x01.", b"\x80\x02]q\x00.", b"\x80\x02Pmark\n.", b"\x80\x02\x82\x01.",
        pickle.dumps({"data": np.array([1.5])}, 2), pickle.dumps({"data": np.array([object], dtype=object)[:0]}, 2),
        old_pickle(data=np.zeros((2, 3), np.uint8))[:-9], old_pickle(data=np.zeros((2, 3), np.uint8)).replace(b"J\x03", b"J\x04"),
    ],
)  # fmt: skip
def test_a_damaged_pickle_is_named(content):
    with pytest.raises(ValueError, match=r"^file is no pickled dictionary that can be read: ."):
        read_pickle(content, "file")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("data_batch_2", None, "lacks data_batch_2"),
        ("batches.meta", None, "lacks batches.meta"),
        ("batches.meta", {"names": NAMES10}, "batches.meta: 'label_names' is missing; it has names"),
        ("data_batch_4", {"labels": [0]}, "data_batch_4: 'data' is missing; it has labels"),
        ("data_batch_4", {"labels": [0], "data": b"abc"}, "data_batch_4: 'data' is a bytes"),
        ("data_batch_4", {"labels": [0], "data": np.zeros((1, 9), np.uint8)}, r"data_batch_4: data has shape \(1, 9\)"),
        ("data_batch_4", {"labels": [0, 1], "data": np.zeros((1, 3072), np.uint8)}, "labels must be 1 integers"),
        ("test_batch", {"labels": [10], "data": np.zeros((1, 3072), np.uint8)}, r"test_batch, row 0: label 10 must be"),
        ("test_batch", {"labels": [b"cat"], "data": np.zeros((1, 3072), np.uint8)}, "labels must be 1 integers"),
    ],
)
def test_what_is_wrong_with_a_cifar_file_is_named(tmp_path, name, content, says):
    folder = tmp_path / "cifar-10-batches-py"
    cifar10(folder, pictures(10, side=32), list(range(10)))
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(old_pickle(**content))
    with pytest.raises(ValueError, match=says):
        load(str(folder), data_format="cifar")


def test_damaged_archives_are_named(tmp_path):
    cifar10(tmp_path / "made", pictures(10, side=32), list(range(10)))
    archive = tmp_path / "cifar-10-python.tar.gz"
    pack(archive, tmp_path / "made", "cifar-10-batches-py")
    archive.write_bytes(archive.read_bytes()[:-5000])
    with pytest.raises(ValueError, match=r"cifar-10-python.tar.gz is no tar archive that can be read"):
        load(str(archive))
    archive.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"cifar-10-python.tar.gz is no tar archive"):
        load(str(archive))


def test_two_files_of_one_name_in_an_archive_are_refused(tmp_path):
    cifar10(tmp_path / "made", pictures(10, side=32), list(range(10)))
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for prefix in ("x", "y"):
            tar.add(tmp_path / "made" / "data_batch_1", f"{prefix}/data_batch_1")
    with pytest.raises(ValueError, match="more than one file 'data_batch_1'"):
        load(str(tmp_path / "a.tar"))


# --- STL-10


def stl10(folder, images, labels, unlabelled=None):
    folder.mkdir(parents=True, exist_ok=True)
    columns = images.transpose(2, 3).contiguous().numpy()
    for part, rows in (("train", slice(None)), ("test", slice(0, 1))):
        (folder / f"{part}_X.bin").write_bytes(columns[rows].tobytes())
        (folder / f"{part}_y.bin").write_bytes(bytes(label + 1 for label in labels[rows]))
    if unlabelled is not None:
        (folder / "unlabeled_X.bin").write_bytes(unlabelled.transpose(2, 3).contiguous().numpy().tobytes())


def test_stl10_is_read_column_by_column_with_labels_from_one(tmp_path):
    x, y = pictures(3, side=96), [0, 9, 4]
    stl10(tmp_path / "stl10_binary", x, y, pictures(2, side=96, seed=1))
    pack(tmp_path / "stl10_binary.tar.gz", tmp_path / "stl10_binary", "stl10_binary")
    for path in (tmp_path, tmp_path / "stl10_binary", tmp_path / "stl10_binary.tar.gz"):
        read = load(str(path))
        assert torch.equal(read.train.inputs, x)
        assert read.train.labels.tolist() == y
        assert torch.equal(read.test.inputs, x[:1])
        assert read.classes[-1] == "truck"


def test_unlabelled_images_join_training_only_when_asked_for(tmp_path):
    x, more = pictures(2, side=96), pictures(2, side=96, seed=1)
    stl10(tmp_path, x, [0, 1], more)
    read = load(str(tmp_path), unlabelled=True)
    assert torch.equal(read.train.inputs, torch.cat([x, more]))
    assert read.train.labels.tolist() == [0, 1, -1, -1]
    (tmp_path / "unlabeled_X.bin").unlink()
    assert len(load(str(tmp_path)).train) == 2
    with pytest.raises(ValueError, match=r"lacks unlabeled_X.bin"):
        load(str(tmp_path), unlabelled=True)
    with pytest.raises(ValueError, match="unlabelled=True: digits"):
        load("digits", unlabelled=True)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("train_X.bin", bytes(27648 + 5), "train_X.bin has 27653 bytes"),
        ("train_y.bin", bytes([1]), "train_y.bin has 1 labels for 2 images"),
        ("train_y.bin", bytes([1, 11]), "train_y.bin, row 1: label 11 must be 1 to 10"),
        ("train_y.bin", bytes([0, 1]), "train_y.bin, row 0: label 0 must be 1 to 10"),
    ],
)
def test_what_is_wrong_with_an_stl10_file_is_named(tmp_path, name, content, says):
    stl10(tmp_path, pictures(2, side=96), [0, 1])
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=says):
        load(str(tmp_path))


# --- idx


def idx(folder, images, labels, ending="", parts=("train", "t10k")):
    folder.mkdir(parents=True, exist_ok=True)
    pixels, marks = images[:, 0].numpy(), np.array(labels, np.uint8)
    for part in parts:
        for kind, values in (("images-idx3", pixels), ("labels-idx1", marks)):
            content = (
                struct.pack(">HBB", 0, 8, values.ndim)
                + struct.pack(f">{values.ndim}I", *values.shape)
                + values.tobytes()
            )
            (folder / f"{part}-{kind}-ubyte{ending}").write_bytes(gzip.compress(content) if ending else content)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_files_give_back_what_was_written(tmp_path, ending):
    x, y = pictures(10, 1, 7), list(range(10))
    idx(tmp_path / "fashion-mnist", x, y, ending)
    read = load(str(tmp_path / "fashion-mnist"))
    assert torch.equal(read.train.inputs, x)
    assert read.test.labels.tolist() == y
    assert (read.name, read.classes[0], read.classes[-1]) == ("fashion-mnist", "T-shirt/top", "Ankle boot")


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        (
            "train-images-idx3-ubyte",
            lambda c: b"\x00\x00\x08\x01" + c[4:],
            "starts with 00000801, and 00000803 is expected",
        ),
        ("train-images-idx3-ubyte", lambda c: b"\x00\x00\x0d\x03" + c[4:], "starts with 00000d03"),
        ("train-images-idx3-ubyte", lambda c: c[:-1], r"says \(4, 7, 7\) in its header and has 195 bytes"),
        ("train-images-idx3-ubyte", lambda c: c + b"x", "has 197 bytes"),
        ("train-images-idx3-ubyte", lambda c: c[:10], "ends in its header"),
        ("t10k-labels-idx1-ubyte", lambda c: b"", "starts with nothing"),
        ("t10k-labels-idx1-ubyte", lambda c: c[:4] + struct.pack(">I", 3) + c[8:11], "has 3 labels for 4 images"),
        ("t10k-labels-idx1-ubyte", None, r"lacks t10k-labels-idx1-ubyte"),
    ],
)
def test_what_is_wrong_with_an_idx_file_is_named(tmp_path, name, change, says):
    idx(tmp_path, pictures(4, 1, 7), [0, 1, 2, 3])
    path = tmp_path / name
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match=says):
        load(str(tmp_path))


def test_a_damaged_gzip_is_named(tmp_path):
    idx(tmp_path, pictures(4, 1, 7), [0, 1, 2, 3], ".gz")
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte.gz is no gzip"):
        load(str(tmp_path))


# --- folders of images


def test_a_folder_of_two_splits_is_read_by_class(tmp_path):
    cats, dogs, more = pictures(3), pictures(2, seed=1), pictures(1, seed=2)
    save(tmp_path / "train" / "cat", cats)
    save(tmp_path / "train" / "dog" / "deeper", dogs)
    save(tmp_path / "test" / "dog", more)
    (tmp_path / "train" / "notes.txt").write_text("about")
    (tmp_path / "train.txt").write_text("cat/000.png")
    read = load(str(tmp_path))
    assert read.classes == ("cat", "dog")
    assert torch.equal(read.train.inputs, torch.cat([cats, dogs]))
    assert read.train.labels.tolist() == [0, 0, 0, 1, 1]
    assert torch.equal(read.test.inputs, more)
    assert read.test.labels.tolist() == [1]


def test_a_folder_without_a_test_split_holds_a_fifth_of_each_class_out(tmp_path):
    for name, n in (("b", 10), ("a", 5)):
        save(tmp_path / name, pictures(n))
    (tmp_path / "empty").mkdir()
    (tmp_path / ".hidden").mkdir()
    save(tmp_path / ".hidden", pictures(1, side=3))
    read = load(str(tmp_path))
    assert read.classes == ("a", "b")
    assert read.test.labels.tolist() == [0, 1, 1]
    assert torch.equal(read.test.inputs, load(str(tmp_path)).test.inputs)
    assert len(read.train) == 12


def test_images_without_folders_have_no_labels(tmp_path):
    save(tmp_path, pictures(10))
    read = load(str(tmp_path))
    assert read.train.labels is None
    assert (read.classes, len(read.train), len(read.test)) == ((), 8, 2)


def test_what_is_wrong_with_a_folder_of_images_is_named(tmp_path):
    save(tmp_path / "train" / "cat", pictures(3))
    save(tmp_path / "test" / "cow", pictures(1))
    with pytest.raises(ValueError, match=r"classes that .*train lacks: cow"):
        load(str(tmp_path))
    file = tmp_path / "train" / "cat" / "001.png"
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(ValueError, match=r"001.png is no image that can be decoded"):
        load(str(tmp_path / "train"))
    (tmp_path / "bare").mkdir()
    with pytest.raises(ValueError, match="has no images"):
        load(str(tmp_path / "bare"), data_format="images")


def test_the_orientation_that_the_camera_wrote_is_applied(tmp_path):
    image = pictures(1, height=4, side=6)[0]
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    tmp_path.joinpath("c").mkdir()
    for name in "abcdef":
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / "c" / f"{name}.png", exif=exif)
    assert torch.equal(load(str(tmp_path)).train.inputs[0], image.rot90(-1, (1, 2)))


# --- names, paths and recognition


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, and a network that fails whoever asks for it."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("DROCL_DATA", str(folder))

    def refuse(*_, **__):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    return folder


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("DROCL_DATA", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("DROCL_DATA")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "drocl" / "data"


@pytest.mark.parametrize("name", [name for name in known_names() if name != "digits"])
def test_a_known_name_that_is_missing_says_which_files_to_put_where(cache, name):
    with pytest.raises(FileNotFoundError) as caught:
        load(name)
    known = KNOWN[name.lower()]
    assert f"put {known.put} into {cache / name}" in str(caught.value)
    assert all(remote.file in str(caught.value) for remote in known.remotes)
    assert ("--download" in str(caught.value)) == bool(known.remotes)


def test_a_name_is_found_in_the_cache_in_whatever_form_it_lies_there(cache, tmp_path):
    x = pictures(10, side=32)
    table(cache / "cifar10" / "train.parquet", x, list(range(10)))
    table(cache / "cifar10" / "test.parquet", x, list(range(10)))
    assert torch.equal(load("CIFAR10").train.inputs, x)
    assert torch.equal(load("cifar10", download=True).train.inputs, x)
    elsewhere = tmp_path / "elsewhere"
    cifar10(tmp_path / "made", x.flip(0), list(range(10)))
    elsewhere.mkdir()
    pack(elsewhere / "cifar-10-python.tar.gz", tmp_path / "made", "cifar-10-batches-py")
    assert torch.equal(load("cifar10", cache=elsewhere).train.inputs, x.flip(0))
    with pytest.raises(ValueError, match="is no Parquet file that can be read"):
        load("cifar10", cache=elsewhere, data_format="parquet")
    save(cache / "mine" / "a", x[:5])
    assert load("mine").name == "mine"
    table(cache / "yours.parquet", x, [0, 1] * 5)
    assert load("yours").name == "yours"


def test_an_unknown_name_lists_the_known_ones(cache):
    with pytest.raises(
        FileNotFoundError, match=r"data='cifra10': no such .*known names: digits, cifar10, cifar100, stl10"
    ):
        load("cifra10")


def test_a_path_of_no_format_says_what_was_found_and_what_is_known(tmp_path):
    for i in range(10):
        (tmp_path / f"file{i}.bin").write_bytes(b"x")
    with pytest.raises(
        ValueError, match=r"Found there: file0.bin, .*file7.bin and 2 more\. Known formats: .*parquet"
    ) as caught:
        load(str(tmp_path))
    assert all(f"[{name}]" in str(caught.value) for name in FORMATS)
    with pytest.raises(ValueError, match=r"Found there: a file of 1 bytes"):
        load(str(tmp_path / "file0.bin"))


def test_each_format_is_recognised_as_itself(tmp_path):
    x = pictures(10, side=32)
    table(tmp_path / "parquet" / "train.parquet", x, [0] * 10)
    cifar10(tmp_path / "cifar", x, list(range(10)))
    stl10(tmp_path / "stl10", pictures(1, side=96), [0])
    (tmp_path / "stl10" / "class_names.txt").write_text("airplane\n")
    idx(tmp_path / "idx", pictures(2, 1), [0, 1])
    save(tmp_path / "images" / "a", x)
    (tmp_path / "tu").mkdir()
    for part in ("A", "graph_indicator", "graph_labels"):
        (tmp_path / "tu" / f"T_{part}.txt").write_text("1\n")
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "train.txt").write_text("one\ntwo\n")
    for name in FORMATS:
        found = recognise(tmp_path / name)
        assert found is not None
        assert found.name == name


def test_other_kinds_take_no_options_of_images(tmp_path):
    (tmp_path / "train.txt").write_text("one\ntwo\n")
    with pytest.raises(ValueError, match=r"image_size=8: .* has no images"):
        load(str(tmp_path), image_size=8)
    assert load(str(tmp_path)).kind == "text"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"data_format": "tfrecord"}, "data_format='tfrecord' must be one of parquet"),
        ({"image_size": 0}, "image_size=0"),
        ({"image_size": 8.0}, r"image_size=8\.0"),
    ],
)
def test_options_out_of_range_are_named(options, says):
    with pytest.raises(ValueError, match=says):
        load("digits", **options)


# --- downloads, from a server on this machine


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder and the address that serves it; `cut` files end early."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def copyfile(self, source, outputfile):
            content = source.read()
            outputfile.write(content[: len(content) // 2] if "cut" in self.path else content)

        def log_message(self, *_):
            pass

    http_server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield folder, f"http://127.0.0.1:{http_server.server_address[1]}"
    http_server.shutdown()
    thread.join()
    http_server.server_close()


def test_a_download_appears_whole_under_its_name(server, tmp_path):
    folder, url = server
    content = bytes(range(256)) * 10000
    (folder / "a.bin").write_bytes(content)
    seen = []
    target = tmp_path / "deep" / "a.bin"
    fetch(f"{url}/a.bin", target, hashlib.md5(content).hexdigest(), lambda *step: seen.append(step))
    assert target.read_bytes() == content
    assert seen[-1] == ("a.bin", len(content), len(content))
    assert [file.name for file in target.parent.iterdir()] == ["a.bin"]


@pytest.mark.parametrize(
    ("name", "md5", "error", "says"),
    [
        ("a.bin", "0" * 32, ValueError, f"md5 .* and {'0' * 32} is expected"),
        ("none.bin", None, OSError, "none.bin could not be downloaded: .*404"),
        ("cut.bin", None, OSError, "the connection ended after 1500 of 3000 bytes"),
    ],
)
def test_a_download_that_fails_leaves_nothing(server, tmp_path, name, md5, error, says):
    folder, url = server
    for file in ("a.bin", "cut.bin"):
        (folder / file).write_bytes(b"abc" * 1000)
    target = tmp_path / "there" / name
    with pytest.raises(error, match=says):
        fetch(f"{url}/{name}", target, md5)
    assert list(target.parent.iterdir()) == []


def test_only_the_web_is_asked(tmp_path):
    with pytest.raises(ValueError, match="must start with https"):
        fetch("file:///etc/hostname", tmp_path / "a")


def test_a_known_set_is_downloaded_once_and_read(server, tmp_path, monkeypatch):
    folder, url = server
    x = pictures(10, side=32)
    cifar10(tmp_path / "made", x, list(range(10)))
    archive = folder / "cifar-10-python.tar.gz"
    pack(archive, tmp_path / "made", "cifar-10-batches-py")
    cache = tmp_path / "cache"
    with pytest.raises(ValueError, match="the file is not what was published"):
        load("cifar10", download=True, cache=cache, base_url=url)
    assert list((cache / "cifar10").iterdir()) == []
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    monkeypatch.setitem(
        KNOWN, "cifar10", Known("cifar10", "it", (Remote(archive.name, "https://nowhere.invalid", md5),))
    )
    assert torch.equal(load("cifar10", download=True, cache=cache, base_url=url).train.inputs, x)
    archive.unlink()
    assert torch.equal(load("cifar10", download=True, cache=cache, base_url=url).train.inputs, x)
    assert torch.equal(load("cifar10", cache=cache).train.inputs, x)


def test_only_files_that_are_missing_are_fetched(server, tmp_path, monkeypatch):
    folder, url = server
    x = pictures(10, 1, 7)
    cache = tmp_path / "cache"
    idx(folder, x, list(range(10)), ".gz", parts=("t10k",))
    idx(cache / "mnist", x, list(range(10)), ".gz", parts=("train",))
    published = tuple(Remote(remote.file, remote.base) for remote in KNOWN["mnist"].remotes)
    monkeypatch.setitem(KNOWN, "mnist", Known("mnist", "four files", published))
    with pytest.raises(FileNotFoundError, match=r"\(there: train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz\)"):
        load("mnist", cache=cache)
    assert torch.equal(load("mnist", cache=cache, download=True, base_url=url).test.inputs, x)


def test_a_download_that_cannot_be_read_is_not_kept(server, tmp_path):
    folder, url = server
    (folder / "MUTAG.zip").write_bytes(b"<html>moved</html>")
    with pytest.raises(ValueError, match="MUTAG"):
        load("MUTAG", download=True, cache=tmp_path / "cache", base_url=url)
    assert list((tmp_path / "cache" / "MUTAG").iterdir()) == []


def test_what_nobody_publishes_is_not_asked_for(cache):
    with pytest.raises(ValueError, match=re.escape("sick cannot be downloaded: put SICK_train.txt")):
        load("sick", download=True)


def test_published_checksums_are_checksums():
    for known in KNOWN.values():
        for remote in known.remotes:
            assert remote.base.startswith(("https://", "http://"))
            assert remote.md5 is None or re.fullmatch(r"[0-9a-f]{32}", remote.md5)
