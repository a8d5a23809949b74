"""`drocl mi`: files of many forms give the same pairs, nothing finished is lost, and one failure stops nothing else."""

import contextlib
import csv
import gzip
import json
import os
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import drocl
from drocl import mi
from drocl.cli import app
from drocl.mi import _delimited, _files, _survey, tasks
from drocl.report import estimate_table, forest
from drocl.results import Store

N = 120
NAMES = ["a", "b", "c", "d"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def z():
    return four_columns()


def four_columns():
    """The last one dependent on the first."""
    found = np.random.default_rng(3).standard_normal((N, 4))
    found[:, 3] += found[:, 0]
    return found


def drocl_mi(*words):
    return CliRunner().invoke(app, ["mi", *words])


def document():
    return json.loads(Path("drocl-results/mi.json").read_text())


def value():
    (row,) = document()["results"]
    return row["value"]


def text(rows, delimiter=",", names=NAMES):
    lines = ([names] if names else []) + [[repr(float(v)) if isinstance(v, float) else v for v in row] for row in rows]
    return "".join(delimiter.join(map(str, line)) + "\n" for line in lines)


# what comes out


def test_a_task_prints_table_truth_and_paths_and_writes_five_files(here):
    done = drocl_mi("--task", "1v1-normal-0.75", "--n", "200", "-e", "cca,ksg", "--seed", "4")
    assert done.exit_code == 0, done.output
    assert "truth 0.4133" in " ".join(done.stdout.split())
    assert done.stderr.split("\n")[:2] == ["1/2 cca", "2/2 ksg"]
    files = [f"drocl-results/mi.{kind}" for kind in ("json", "csv", "png", "svg", "pdf")]
    assert done.stdout.split("\n")[-6:-1] == files
    assert all((here / name).stat().st_size > 100 for name in files)


def test_the_files_hold_what_the_library_returns():
    drocl_mi("--task", "1v1-normal-0.75", "--n", "200", "-e", "cca,ksg:k=7", "--seed", "4", "--level", "0.8")
    x, y = tasks.get("1v1-normal-0.75").sample(200, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mi.MIWarning)
        found = [mi.estimate(x, y, name, level=0.8, seed=4, **more) for name, more in (("cca", {}), ("ksg", {"k": 7}))]
    held = document()
    assert held["complete"]
    assert held["truth"] == tasks.get("1v1-normal-0.75").mutual_information
    assert [(row["value"], row["lo"], row["hi"]) for row in held["results"]] == [(f.value, *f.interval) for f in found]
    with open("drocl-results/mi.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["value"]) for row in rows] == [f.value for f in found]
    assert [row["estimator"] for row in rows] == ["cca", "ksg:k=7"]
    assert held["settings"] == {"level": 0.8, "preprocess": None, "folds": None, "seed": 4, "device": "cpu"}
    assert held["drocl"] == drocl.__version__
    assert "numpy" in held["libraries"]


def test_warnings_stand_below_the_table_and_in_the_files(z):
    x = z[:, 0] ** 3
    np.savez("heavy.npz", x=x, y=x + z[:, 1])
    done = drocl_mi("heavy.npz", "-e", "cca")
    assert done.exit_code == 0, done.output
    assert "1 warning" in done.stdout
    assert "cca: the pairs are not Gaussian" in done.stdout
    assert "not Gaussian" in document()["results"][0]["warnings"][0]


# files


def write(form, z):
    """The same four columns in one of many forms; the words that name x = (a, b) and y = d in it."""
    by_name, by_number = ("--x", "a,b", "--y", "d"), ("--x", "0-1", "--y", "3")
    if form == "npz":
        np.savez("z.npz", x=z[:, :2], y=z[:, 3])
        return "z.npz", ()
    if form == "npz columns":
        np.savez_compressed("z.npz", every=z)
        return "z.npz", ("--x", "every:0-1", "--y", "every:3")
    if form == "npy":
        np.save("z.npy", z)
        return "z.npy", by_number
    if form == "white space":
        np.savetxt("z.txt", z, fmt="%.17g", header="a b c d")
        return "z.txt", by_name
    if form == "gzip":
        Path("z.csv.gz").write_bytes(gzip.compress(text(z).encode()))
        return "z.csv.gz", by_name
    if form == "index column":
        rows = [[str(i), *row] for i, row in enumerate(z.tolist())]
        Path("z.csv").write_text(text(rows, names=["", *NAMES]))
        return "z.csv", by_name
    names, delimiter, words = {
        "names": (NAMES, ",", by_name), "numbers": (NAMES, ",", by_number), "pattern": (NAMES, ",", ("--x", "[ab]", "--y", "d")),
        "no header": (None, ",", by_number), "column numbers as header": (list("0123"), ",", by_number),
        "semicolon": (NAMES, ";", by_name), "tab": (NAMES, "\t", by_name), "quoted": (['"a"', '"b"', '"c, x"', "d"], ",", by_name),
    }[form]  # fmt: skip
    Path("z.csv").write_text(("\ufeff" if form == "names" else "") + text(z.tolist(), delimiter, names) + "\n")
    return "z.csv", words


FORMS = (
    "npz", "npz columns", "npy", "white space", "gzip", "index column", "names", "numbers", "pattern", "no header",
    "column numbers as header", "semicolon", "tab", "quoted",
)  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_file_gives_the_same_pairs(form, z):
    file, words = write(form, z)
    words = dict(zip(words[::2], words[1::2], strict=True))
    got = _files.load(Path(file), words.get("--x"), words.get("--y"))
    assert np.array_equal(got.x, z[:, :2])  # written with all digits, so read back to the bit
    assert np.array_equal(got.y, z[:, 3:])


def test_the_estimate_from_a_file_is_that_from_arrays(z):
    file, words = write("names", z)
    assert drocl_mi(file, *words, "-e", "cca").exit_code == 0
    assert value() == mi.estimate(z[:, :2], z[:, 3], "cca").value


@pytest.mark.parametrize("form", ["npz", "npy", "white space", "gzip", "tab"])
def test_suffixes_may_be_written_in_capitals(form, z):
    file, words = write(form, z)
    words = dict(zip(words[::2], words[1::2], strict=True))
    loud = Path(file.replace("z.csv", "z.tsv") if form == "tab" else file)
    loud = Path(file).rename(loud.stem.upper().replace("Z", "z", 1) + loud.suffix.upper())
    got = _files.load(loud, words.get("--x"), words.get("--y"))
    assert np.array_equal(np.hstack([got.x, got.y]), z[:, [0, 1, 3]]), loud


def test_a_tab_table_in_capitals_keeps_its_commas(z):
    rows = [[f"{a},{a}", b] for a, b in z[:, :2].tolist()]  # both marks stand equally often
    Path("Z.TSV").write_text(text(rows, "\t", ["x", "y"]))
    with pytest.raises(ValueError, match="column 'x' is text with 120 different values"):
        _files.load(Path("Z.TSV"))


def test_two_columns_need_no_names_and_columns_called_x_and_y_are_found_in_any_order(z):
    Path("two.csv").write_text(text(z[:, [0, 3]].tolist(), names=None))
    Path("xy.csv").write_text(text(z[:, [3, 1, 0]].tolist(), names=["y", "other", "x"]))
    for name in ("two.csv", "xy.csv"):
        got = _files.load(Path(name))
        assert np.array_equal(np.hstack([got.x, got.y]), z[:, [0, 3]]), name


@pytest.mark.parametrize(
    ("rows", "titled"),
    [
        ([["a", "b"], ["1", "2"]], True),
        ([["id", "2019"], ["u", "2.5"]], False),  # words and numbers over words and numbers: data
        ([["x", "2019"], ["1.5", "2.5"]], True),
        ([["1", "2"], ["3", "4"]], False),
        ([["0", "1"], ["3.5", "4"]], True),  # as data frames without names write them
        ([["nan", "1"], ["2", "3"]], False),  # a missing number is no name
    ],
)
def test_a_header_is_seen_from_the_first_two_lines(rows, titled):
    assert _delimited._is_header(rows) is titled


def test_text_becomes_indicators_of_all_values_but_one(z):
    labels = np.array(["red", "green", "blue"])[np.digitize(z[:, 3], [-0.5, 0.5])]
    Path("t.csv").write_text(
        text([[a, b] for a, b in zip(z[:, 0].tolist(), labels, strict=True)], names=["a", "colour"])
    )
    np.savez("t.npz", x=z[:, 0], y=labels)
    for name in ("t.csv", "t.npz"):
        got = _files.load(Path(name))
        assert np.array_equal(got.y, np.stack([labels == "green", labels == "red"], axis=1) * 1.0)
    done = drocl_mi("t.csv", "-e", "cca")
    assert "column 'colour' is text with 3 values: 2 columns of 0 and 1" in done.stdout
    assert "colour=green, colour=red" in done.stdout


# wrong input


def broken(z):
    """Files that cannot be used, by name."""
    rows = [list(row) for row in z.tolist()]

    def changed(line, column, cell):
        made = [list(row) for row in rows]
        made[line][column] = cell
        return text(made)

    short = [row[:3] if i == 4 else row for i, row in enumerate(rows)]
    comma = [[repr(v).replace(".", ",") for v in row[:2]] for row in rows]
    return {
        "gap.csv": changed(5, 2, ""), "na.csv": changed(5, 2, "NA"), "nan.csv": changed(5, 2, "nan"), "inf.csv": changed(5, 2, "inf"),
        "typo.csv": changed(5, 2, "oops"), "ragged.csv": text(short), "comma.csv": text(comma, ";", ["x", "y"]),
        "double.csv": text(rows, names=["a", "a", "c", "d"]), "empty.csv": "\n", "header.csv": "a,b,c,d\n", "plain.csv": text(rows),
        "ids.csv": text([[f"id{i}", row[0]] for i, row in enumerate(rows)], names=["x", "y"]), "few.csv": text(rows[:15]),
        "blank.csv": ",,,\n,,,\n", "bad.csv.gz": "no gzip", "table.parquet": "",
        "flat.csv": text([[1.0, *row[1:]] for row in rows]), "bad.npz": "no archive", "bad.npy": "no array",
    }  # fmt: skip


def damaged(z):
    """Archives that cannot be unpacked, and what is no array in them."""
    whole = bytearray(gzip.compress(text(z.tolist()).encode()))
    Path("cut.csv.gz").write_bytes(whole[: len(whole) // 2])
    whole[10] = 0xFF  # the first byte of the data: a block of a type that there is not
    Path("turned.csv.gz").write_bytes(whole)
    np.savez("objects.npz", x=np.array([1, None] * 15, dtype=object), y=np.arange(30.0), cube=np.zeros((30, 2, 2)))
    np.savez_compressed("turned.npz", x=z[:, 0], y=z[:, 1])
    bent = bytearray(Path("turned.npz").read_bytes())
    bent[200] ^= 0xFF  # in the data of x
    Path("turned.npz").write_bytes(bent)
    bent[bent.rindex(b"PK\x01\x02")] ^= 0xFF  # the list of members
    Path("listless.npz").write_bytes(bent)
    with zipfile.ZipFile("notes.npz", "w") as archive:
        archive.writestr("x", "no array")
        archive.writestr("y.npy", b"\x93NUMPY\x01\x00 no header")


@pytest.fixture(scope="module")
def unusable(tmp_path_factory):
    """A folder of them, and of plain.csv."""
    folder, z = tmp_path_factory.mktemp("unusable"), four_columns()
    for name, content in broken(z).items():
        (folder / name).write_text(content)
    with contextlib.chdir(folder):
        damaged(z)
    return folder


ALL = ("--x", "a,b,c", "--y", "d")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("gap.csv", *ALL), "gap.csv: column 'c' has 1 missing cells, the first one in line 7"),
        (("na.csv", *ALL), "column 'c' has 1 missing cells, the first one in line 7"),
        (("nan.csv", *ALL), "column 'c' has 1 cells that are nan or infinite, the first one (missing) in line 7"),
        (("inf.csv", *ALL), "the first one (infinite) in line 7"),
        (("typo.csv", *ALL), "column 'c' holds 'oops' in line 7 and numbers elsewhere"),
        (("ragged.csv", *ALL), "ragged.csv: line 6 has 3 cells, the first one 4"),
        (("comma.csv",), "decimals need a point, not a comma"),
        (("double.csv", *ALL), "double.csv has 2 columns named 'a'; give their numbers"),
        (("empty.csv",), "empty.csv is empty"),
        (("header.csv", *ALL), "header.csv holds no rows below its header"),
        (("blank.csv", *ALL), "blank.csv holds no rows: all of its cells are empty"),
        (("ids.csv",), "column 'x' is text with 120 different values, such as 'id0'"),
        (("few.csv", *ALL), "n=15 pairs are too few: at least 20 are needed"),
        (("flat.csv", "--x", "a", "--y", "d"), "x is constant"),
        (("bad.npz",), "'bad.npz' is no .npz archive, or a damaged one"),
        (("bad.npy", "--x", "0", "--y", "1"), "'bad.npy' is no .npy file of numbers"),
        (("bad.csv.gz",), "bad.csv.gz is no text table in UTF-8"),
        (("cut.csv.gz", *ALL), "cut.csv.gz is no text table in UTF-8: Compressed file ended before"),
        (("turned.csv.gz", *ALL), "turned.csv.gz is no text table in UTF-8: "),
        (("turned.npz",), "x='x': array 'x' of turned.npz is damaged: "),
        (("listless.npz",), "'listless.npz' is no .npz archive, or a damaged one: "),
        (("notes.npz",), "array 'x' of notes.npz is no .npy array, but a file of another kind"),
        (("notes.npz", "--x", "y", "--y", "x"), "array 'y' of notes.npz is damaged: "),
        (("a" * 300 + ".csv",), "cannot be read: File name too long"),
        (("table.parquet",), "must be one of .npz, .npy, .csv"),
        (("nowhere.csv",), "'nowhere.csv' is not a file"),
        (("plain.csv",), "x: name the columns with --x; plain.csv has 'a', 'b', 'c', 'd'"),
        (("plain.csv", "--x", "a,e", "--y", "d"), "has no column 'e'; it has 'a', 'b', 'c', 'd', or by number 0-3"),
        (("plain.csv", "--x", "0-4", "--y", "d"), "has no column '0-4'"),
        (("plain.csv", "--x", "a,d", "--y", "d"), "x and y share 'd'"),
        (("objects.npz",), "array 'x' of objects.npz holds objects, not numbers"),
        (("objects.npz", "--x", "z"), "objects.npz has no array 'z'; it has 'x', 'y', 'cube'"),
        (("objects.npz", "--x", "cube"), "has shape (30, 2, 2), which must be (n,) or (n, d)"),
        (("objects.npz", "--x", "y:5"), "array 'y' has no column '5'; it has 0-0"),
        (("objects.npz", "--header"), "header=True is for text tables alone"),
        ((), "file, task: give one of them"),
        (("plain.csv", "--task", "1v1-normal-0.75"), "file, task: give one of them"),
        (("plain.csv", "--n", "30"), "n=30 is for a task"),
        (("--task", "1v1-norml-0.75"), "task='1v1-norml-0.75' is unknown"),
        (("--task", "1v1-norml-0.75"), "did you mean 1v1-normal-0.75"),
        (("--task", "1v1-normal-1.5"), "task='1v1-normal-1.5': correlation=1.5 must lie in (-1, 1)"),
        (("--task", "1v1-normal-0.75", "--n", "0"), "n=0 must be an integer of at least 1"),
        (("--task", "1v1-normal-0.75", "--n", "1" + "0" * 15), f"n={10**15} pairs are too many for the memory"),
        (("--task", "1v1-normal-0.75", "--n", "1" + "0" * 18), f"n={10**18} pairs are too many for the memory"),
        (("--task", "1v1-normal-0.75", "--n", "1" + "0" * 30), f"n={10**30} pairs are too many for the memory"),
        (("--task", "1v1-normal-0.75", "--seed", "-1"), "seed=-1 must be an integer >= 0"),
        (("--task", "1v1-normal-0.75", "--x", "a"), "x: is for a file"),
        (("plain.csv", *ALL, "-e", "cca,ksq"), "estimators='ksq' is unknown"),
        (("plain.csv", *ALL, "-e", "cca,ksq"), "did you mean ksg?"),
        (("plain.csv", *ALL, "-e", ","), "estimators=',' names none"),
        (("plain.csv", *ALL, "-e", "ksg:kk=3"), "estimator 'ksg' has no option 'kk'; it has k, "),
        (("plain.csv", *ALL, "-e", "ksg:k=three"), "k='three'"),
        (("plain.csv", *ALL, "-e", "ksg:k"), "must be key=value, e.g. steps=500"),
        (
            ("plain.csv", *ALL, "-e", "ksg,cca", "--option", "kk=3"),
            "option='kk' is an option of none of the estimators",
        ),
        (("plain.csv", *ALL, "-e", "ksg", "--option", "k={[1]:2}"), "k='{[1]:2}' must be a positive number"),
        (("plain.csv", *ALL, "--level", "2"), "level=2.0 must lie in (0, 1)"),
        (("plain.csv", *ALL, "--folds", "1"), "folds=1 must be None or an integer in [2, 12]"),
        (("plain.csv", *ALL, "--seed", "-1"), "seed=-1 must be an integer >= 0"),
        (("plain.csv", *ALL, "--preprocess", "log"), "preprocess='log' must be one of none, standardize"),
        (("plain.csv", *ALL, "--device", "nowhere"), "device='nowhere' is not available here"),
        (("plain.csv", *ALL, "--out", "plain.csv"), "out: File exists: plain.csv"),
        (("plain.csv", *ALL, "--out", "plain.csv/within"), "out: Not a directory: plain.csv/within"),
        (("plain.csv", *ALL, "--out", "o" * 300), "out: File name too long: ooo"),
    ],
)
def test_wrong_usage_is_exit_code_two_with_one_message_and_no_file(unusable, monkeypatch, words, said):
    monkeypatch.chdir(unusable)
    done = drocl_mi(*words) if "-e" in words else drocl_mi(*words, "-e", "cca")
    assert done.exit_code == 2, done.output
    assert said in done.stderr
    assert done.stderr.startswith("drocl: ")
    assert done.stderr.count("\n") == 1
    assert not (unusable / "drocl-results" / "mi.json").exists()


# failure, interruption, resumption


@pytest.fixture
def estimators(monkeypatch):
    """The estimators that were computed rather than loaded, and a switch that makes one of them stop or fail."""
    asked, faults = [], {}
    real = _survey.estimate

    def estimate(x, y, name, **options):
        asked.append(name)
        if name in faults:
            raise faults[name]
        return real(x, y, name, **options)

    monkeypatch.setattr(_survey, "estimate", estimate)
    return asked, faults


TASK = ("--task", "1v1-normal-0.75", "--n", "100")


@pytest.mark.parametrize("fault", [ValueError("no such luck"), MemoryError("no such luck")])
def test_a_failed_estimator_is_listed_and_the_others_go_on(estimators, fault):
    estimators[1]["ksg"] = fault
    done = drocl_mi(*TASK, "-e", "cca,ksg,copula")
    assert done.exit_code == 1
    assert "ksg failed: " in done.stdout
    assert "no such luck" in done.stdout
    rows = document()["results"]
    assert ["error" in row for row in rows] == [False, True, False]
    assert Path("drocl-results/mi.png").is_file()
    del estimators[1]["ksg"]
    assert drocl_mi(*TASK, "-e", "cca,ksg,copula").exit_code == 0
    assert estimators[0] == ["cca", "ksg", "copula", "ksg"]  # a failure is tried again, what was found is not


def test_a_stopped_run_keeps_what_finished_and_resumes(estimators):
    Path("drocl-results").mkdir()
    Path("drocl-results/mi.png").write_text("of an earlier run")
    estimators[1]["ksg"] = KeyboardInterrupt()
    done = drocl_mi(*TASK, "-e", "cca,ksg")
    assert done.exit_code == 130
    assert "stopped after 1 of 2 estimators" in done.stderr
    held = document()
    assert not held["complete"]
    assert [row["estimator"] for row in held["results"]] == ["cca"]
    assert not Path("drocl-results/mi.png").exists()  # it would show other numbers than the table beside it
    estimators[1].clear()
    done = drocl_mi(*TASK, "-e", "cca,ksg")
    assert done.exit_code == 0
    assert "stored" in done.stdout
    assert estimators[0] == ["cca", "ksg", "ksg"]
    assert document()["results"][0] == {**held["results"][0], "loaded": True}


def test_what_a_result_depends_on_is_computed_again_and_nothing_else(estimators):
    store, plain = Store("store"), _files.draw("1v1-normal-0.75", 100, 0)

    def run(sample=plain, names="cca", fresh=False, shared=(), **settings):
        found = _survey.run(sample, _survey.parse(names, shared), _survey.Settings(**settings), store, fresh=fresh)
        return [row["loaded"] for row in found]

    assert run() == [False]
    other = _files.draw("1v1-normal-0.75", 100, 1)
    new = [{"seed": 1}, {"level": 0.8}, {"sample": other}, {"shared": ["bias_correct=false"]}, {"preprocess": "copula"}]
    assert [run(**change) for change in [*new, {"fresh": True}]] == [[False]] * 6
    np.savez("pairs.npz", x=plain.x, y=plain.y)
    assert run(_files.load(Path("pairs.npz"))) == [True]  # the same numbers, from elsewhere
    assert run(names="ksg,cca") == [False, True]
    assert estimators[0] == ["cca"] * 7 + ["ksg"]


def test_where_no_number_is_found_there_is_no_picture(estimators):
    estimators[1]["cca"] = ValueError("no")
    done = drocl_mi(*TASK, "-e", "cca")
    assert done.exit_code == 1
    assert "mi.png" not in done.stdout
    assert not Path("drocl-results/mi.png").exists()


def test_a_picture_that_cannot_be_drawn_is_said_and_leaves_table_and_files(monkeypatch):
    def refuse(out, document):
        raise ValueError("no ink")

    monkeypatch.setattr(forest, "draw", refuse)
    done = drocl_mi(*TASK, "-e", "cca")
    assert done.exit_code == 1  # not 2: the estimators have run
    assert "the picture could not be drawn: ValueError: no ink" in done.stderr
    assert "truth 0.4133" in " ".join(done.stdout.split())
    assert done.stdout.split()[-2:] == ["drocl-results/mi.json", "drocl-results/mi.csv"]
    assert document()["complete"]


def test_folders_and_files_may_be_called_what_markup_and_formulas_are(z):
    Path("$x$ \\frac $_.csv").write_text(text(z.tolist()))
    done = drocl_mi("$x$ \\frac $_.csv", *ALL, "-e", "cca,ksg:method='tree'", "--out", "[red]here")
    assert done.exit_code == 0, done.output
    files = [f"[red]here/mi.{kind}" for kind in ("json", "csv", "png", "svg", "pdf")]
    assert done.stdout.split("\n")[-6:-1] == files


NO_TORCH = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refuse())
from drocl.cli import main
main()
"""


@pytest.mark.slow
def test_without_torch_neural_estimators_refuse_and_classical_ones_work(here):
    line = [sys.executable, "-c", NO_TORCH, "mi", *TASK, "-e", "cca,infonce:steps=5,ksg,dro", "--option", "steps=5"]
    environment = {**os.environ, "PYTHONPATH": str(Path(drocl.__file__).parents[1])}
    done = subprocess.run(line, env=environment, capture_output=True, text=True, cwd=here)
    assert done.returncode == 1, done.stderr
    assert "dro failed: estimator='dro' needs torch: pip install 'drocl[train]'" in done.stdout
    assert ["error" in row for row in document()["results"]] == [False, True, False, True]


# options, quantities


def test_options_reach_the_estimators_that_have_them():
    made = _survey.parse(
        "cca,ksg:variant=2,ksg,dro:divergence=cressie_read:hidden=(8,8):tight=false", ["k=3", "steps=9"]
    )
    assert [choice.options for choice in made] == [
        {}, {"k": 3, "variant": 2}, {"k": 3}, {"divergence": "cressie_read", "hidden": (8, 8), "tight": False, "k": 3, "steps": 9},
    ]  # fmt: skip


@pytest.mark.slow
def test_another_information_is_named_and_compared_with_its_own_truth():
    done = drocl_mi(*TASK, "-e", "cca,js:readout=own:steps=30:preset=fast")
    assert done.exit_code == 0, done.output
    assert "(js information)" in done.stdout
    row = document()["results"][1]
    assert row["truth"] == tasks.get(TASK[1]).information("js")
    assert row["quantity"] == "js"


# the picture


def row(value, lo, hi, **more):
    return {"estimator": "e", "value": value, "lo": lo, "hi": hi, "quantity": "kl", "truth": None, "ceiling": np.inf, "warnings": [],
            **more}  # fmt: skip


def test_the_axis_holds_intervals_truth_and_near_ceilings_and_ignores_what_is_far_off():
    low, high = forest._span(
        [row(1.0, 0.8, 1.2, truth=1.4), row(1.1, 0.9, 1.3, ceiling=1.5), row(-1e6, -1e7, 1e7), row(0.9, 0.7, 1.1)]
    )
    assert -0.2 < low < 0.0 < 1.5 < high < 1.7
    low, _ = forest._span([row(6.0, 5.9, 6.1), row(6.1, 6.0, 6.2)])
    assert low > 5.0  # zero is not in sight


def test_the_picture_says_which_estimates_carry_a_warning_and_where_a_ceiling_is():
    rows = [
        row(1.0, 0.8, 1.2, warnings=["w"], ceiling=1.3),
        row(np.inf, 1.0, np.inf),
        {"estimator": "f", "error": "no"},
    ]
    drawn = forest._forest({"source": "s", "n": 100, "truth": 1.1, "settings": {"level": 0.9}, "results": rows})
    drawn.draw_without_rendering()
    (ax,) = drawn.axes
    words = {text.get_text() for text in ax.texts}
    assert {"truth 1.100", "1.000 [0.800, 1.200]", "inf", "failed"} <= words
    assert "open and orange: with a warning; grey bar: ceiling" in ax.get_xlabel()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["e", "e", "f"]


def test_long_names_break_at_options():
    label = forest._label({"estimator": "dro:divergence=hellinger:tight=false:steps=500", "quantity": "kl"})
    assert label.replace("\n", "") == "dro:divergence=hellinger:tight=false:steps=500"
    assert max(map(len, label.split("\n"))) <= forest.LABEL


def test_numbers_beyond_sense_are_short():
    assert estimate_table.number(-8256324.6) == "-8.256e+06"


# help


def test_help_teaches_and_lists():
    shown = drocl_mi("--help").stdout
    assert "drocl mi pairs.npz" in shown
    assert drocl_mi("--task", "list").stdout.split() == list(tasks.NAMES)
