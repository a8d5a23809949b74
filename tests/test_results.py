"""The store of results: addresses, atomic writes, damage; and the engine and the lazy package next to it."""

import json
import math
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import drocl
from drocl import engine, results
from drocl.results import Store, jsonable, key, write_atomically

# what JSON escapes, and letters of one to four bytes; a table of all of Unicode would take seconds to make
words = st.text('aZ0 "\\/\n\t\0\x7fé€\u2028\ufeff😀')
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60)
@given(plain)
def test_what_is_made_jsonable_is_read_back_the_same(value):
    once = jsonable(value)
    assert json.loads(json.dumps(once, allow_nan=False)) == once == jsonable(once)


def test_arrays_tuples_and_numbers_json_lacks_are_turned_into_what_it_has():
    given_ = {"a": np.arange(2), "b": (np.float32(0.5), np.bool_(True)), "c": math.nan, "d": -math.inf, "e": Path("x")}
    assert jsonable(given_) == {"a": [0, 1], "b": [0.5, True], "c": "nan", "d": "-inf", "e": "x"}


def test_tensors_are_turned_into_lists():
    torch = pytest.importorskip("torch")
    assert jsonable({"x": torch.ones(2, requires_grad=True) * 2}) == {"x": [2.0, 2.0]}


@settings(max_examples=40)
@given(st.dictionaries(words.filter(bool), plain, min_size=1, max_size=4))
def test_an_address_does_not_depend_on_the_order_of_its_parts(parts):
    assert key(part=parts) == key(part=dict(reversed(parts.items())))
    assert len(key(part=parts)) == 64


def test_an_address_depends_on_every_part():
    base = {"claim": "a", "params": {"n": 1}, "seed": 0}
    others = [{**base, "claim": "b"}, {**base, "params": {"n": 2}}, {**base, "params": {"n": 1.0}}, {**base, "seed": 1}]
    assert len({key(**parts) for parts in (base, *others)}) == 5


def test_the_digest_of_files_depends_on_names_and_contents_not_on_order(tmp_path):
    (tmp_path / "a").write_text("xy")
    (tmp_path / "b").write_text("z")
    paths = [tmp_path / "a", tmp_path / "b"]
    before = results.digest_of(paths)
    assert results.digest_of(reversed(paths)) == before
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").write_text("yz")
    assert results.digest_of(paths) != before


def test_presentation_does_not_throw_results_away_and_computation_does(tmp_path, monkeypatch):
    def fingerprint():
        results.library_fingerprint.cache_clear()
        return results.library_fingerprint()

    (tmp_path / "report").mkdir()
    (tmp_path / "dro").mkdir()
    monkeypatch.setattr(results, "__file__", str(tmp_path / "results.py"))
    try:
        before = fingerprint()
        (tmp_path / "report" / "page.py").write_text("x = 1")
        (tmp_path / "cli.py").write_text("x = 1")
        assert fingerprint() == before
        (tmp_path / "dro" / "solve.py").write_text("x = 1")
        after = fingerprint()
        assert after != before
        monkeypatch.setattr(results, "library_versions", lambda: {"numpy": "0"})
        assert fingerprint() not in (before, after)
    finally:
        results.library_fingerprint.cache_clear()


def test_versions_are_of_installed_libraries(monkeypatch):
    monkeypatch.setattr(results, "LIBRARIES", ("numpy", "no-such-library"))
    assert results.library_versions() == {"numpy": np.__version__}


def test_a_result_is_read_back(tmp_path):
    store = Store(tmp_path / "store")
    assert store.get(key(a=1)) is None
    assert store.put(key(a=1), {"x": math.inf}) == {"x": "inf"} == store.get(key(a=1))
    assert Store(tmp_path / "store").get(key(a=1)) == {"x": "inf"}


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("0.5", "0.25"),
        lambda text: text.replace('"schema": 1', '"schema": 2'),
        lambda text: "[1, 2]",
        lambda text: "null",
        lambda text: "\x00" * len(text),
    ],
)
def test_a_damaged_result_is_no_result(tmp_path, damage):
    store, address = Store(tmp_path), key(a=1)
    store.put(address, {"x": 0.5})
    store.path(address).write_text(damage(store.path(address).read_text()))
    assert store.get(address) is None
    store.put(address, {"x": 0.5})
    assert store.get(address) == {"x": 0.5}


def test_a_result_under_another_name_is_no_result(tmp_path):
    store = Store(tmp_path)
    store.put(key(a=1), {"x": 0.5})
    os.rename(store.path(key(a=1)), store.path(key(a=2)))
    assert store.get(key(a=2)) is None


def test_a_crash_while_writing_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, "old")
    for step in ("fsync", "replace"):
        with monkeypatch.context() as patched:
            patched.setattr(os, step, lambda *_: (_ for _ in ()).throw(OSError("disk full")))
            with pytest.raises(OSError, match="disk full"):
                write_atomically(path, "new")
        assert path.read_text() == "old"
        assert os.listdir(tmp_path) == ["file"]


def test_a_reader_never_sees_half_a_file(tmp_path):
    path, seen, stop = tmp_path / "file", set(), threading.Event()
    write_atomically(path, "0" * 20_000)

    def read():
        while not stop.is_set():
            text = path.read_text()
            seen.add((len(text), len(set(text))))

    reader = threading.Thread(target=read)
    reader.start()
    for i in range(100):
        write_atomically(path, str(i % 10) * 20_000)
    stop.set()
    reader.join()
    assert seen == {(20_000, 1)}


def test_only_old_partial_files_are_swept(tmp_path):
    store = Store(tmp_path)
    store.put(key(a=1), 1)
    old, young = tmp_path / f".x.1{results.PARTIAL_SUFFIX}", tmp_path / f".x.2{results.PARTIAL_SUFFIX}"
    old.touch()
    young.touch()
    os.utime(old, (time.time() - 7200,) * 2)
    store.sweep()
    assert (old.exists(), young.exists(), store.get(key(a=1))) == (False, True, 1)


# the engine


def test_all_tasks_run_whatever_the_number_of_workers():
    items = [(i,) for i in range(-6, 6)]
    expected = sorted(abs(i) for i in range(-6, 6))
    for jobs in (None, 1, 2):
        assert sorted(engine.run(abs, items, jobs=jobs)) == expected
    assert list(engine.run(abs, [], jobs=2)) == []


def test_what_takes_long_goes_to_workers(monkeypatch):
    monkeypatch.setattr(engine, "available_cores", lambda: 2)
    monkeypatch.setattr(engine, "ALONE_SECONDS", 0.0)
    assert len(set(engine.run(os.getpid, [()] * 6)) - {os.getpid()}) >= 1


@pytest.mark.parametrize("name", ["dask", "ray", "threads", ""])
def test_an_engine_that_is_not_there_is_named_with_those_that_are(name):
    with pytest.raises(ValueError, match=f"engine='{name}' is not available: choose from loky"):
        list(engine.run(abs, [(1,)], engine=name))


def test_no_workers_are_refused():
    with pytest.raises(ValueError, match="jobs=0"):
        engine.check(jobs=0)


def test_available_cores_without_affinity(monkeypatch):
    assert engine.available_cores() >= 1
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert engine.available_cores() == os.cpu_count()


# the package


def test_a_plain_import_is_light_and_parts_come_when_asked_for():
    code = (
        "import sys, drocl; heavy = {'torch', 'cvxpy', 'matplotlib', 'numpy', 'joblib', 'rich'} & set(sys.modules);"
        "assert not heavy, heavy; assert drocl.claims.agree(1, 1).gap == 0; assert 'claims' in dir(drocl);"
        "heavy = {'torch', 'cvxpy', 'matplotlib', 'joblib'} & set(sys.modules); assert not heavy, heavy"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(drocl.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_an_unknown_part_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        drocl.nothing  # noqa: B018
    assert drocl.__version__[0].isdigit()
