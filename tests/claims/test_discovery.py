"""The registry is what the check files say; what is wrong with one is said with its name."""

import os

import pytest

from drocl import catalogue, results
from drocl.catalogue import CatalogueError
from drocl.claims import registry


def test_claims_are_found_by_file_name_in_order_of_file_and_line(toys):
    claims = registry.load()
    assert list(claims) == ["square-of-sum", "bounded-by-one", "bounded-repaired", "mean-below-half"]
    made = claims["bounded-by-one"]
    assert made.file == toys / "proofs_checks" / "check_toy.py"
    assert made.file.read_text().splitlines()[made.line - 1].startswith('@claim("bounded-by-one"')


def test_a_claim_is_called_as_its_check(toys):
    made = registry.load()["square-of-sum"]
    assert made(n=4, seed=0).gap < 1e-12
    assert made(n=4, seed=0, factor=1.0).gap > 0.1


def test_files_of_another_name_are_no_claims(make_catalogue, text_of):
    make_catalogue(check_one=text_of("return agree(1, 1)"), other=text_of("return agree(1, 1)", id="'two'"))
    assert list(registry.load()) == ["one-claim"]


def test_check_files_may_share_a_helper_and_other_claims(make_catalogue, text_of):
    make_catalogue(
        check_a="from . import _shared\n" + text_of("return agree(n, n + wrong, atol=_shared.TOLERANCE)"),
        check_b="from .check_c import check as other\n" + text_of("return other(n=n, wrong=wrong)", id="'b'"),
        check_c=text_of("return agree(n, n + wrong)", id="'c'"),
        _shared="TOLERANCE = 1e-3\n",
    )
    claims = registry.load()
    assert list(claims) == ["one-claim", "b", "c"]
    assert claims["one-claim"](n=2).allowed == 1e-3
    assert claims["b"](n=2, wrong=3).gap == 3


def test_a_changed_file_is_read_again(make_catalogue, text_of):
    root = make_catalogue(check_a=text_of("return agree(1, 1)"))
    assert registry.load()["one-claim"](n=1).gap == 0
    (root / "proofs_checks" / "check_a.py").write_text(text_of("return agree(1, 25)"))
    assert registry.load()["one-claim"](n=1).gap == 24


def test_a_worker_imports_only_the_file_it_needs(make_catalogue, text_of):
    root = make_catalogue(check_a=text_of("return agree(1, 1)"), check_broken="raise RuntimeError('no')")
    file = root / "proofs_checks" / "check_a.py"
    assert registry.load_one(root, file, "one-claim").id == "one-claim"
    with pytest.raises(CatalogueError, match="holds no claim 'two'"):
        registry.load_one(root, file, "two")


def test_every_broken_file_is_named_at_once(make_catalogue):
    make_catalogue(check_a="import nowhere_to_be_found", check_b="1 / 0")
    with pytest.raises(CatalogueError, match=r"(?s)check_a\.py: ModuleNotFoundError.*check_b\.py: ZeroDivisionError"):
        registry.load()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id": "'Not Kebab'"}, "kebab-case"),
        ({"control": "{}"}, "has no control"),
        ({"control": "{'missing': 1}"}, "control 'missing'"),
        ({"control": "{'n': 1}"}, "control 'n'"),
        ({"control_expects": "'maybe'"}, "control_expects='maybe'"),
        ({"asserts": "'theorem'"}, "asserts='theorem'"),
        ({"device": "'tpu'"}, "device='tpu'"),
        ({"needs": "('torch>=2',)"}, "needs='torch>=2'"),
        ({"says": "' '"}, "needs `says` and `source`"),
        ({"profiles": "('fast',)"}, "profiles=('fast',)"),
        ({"grid": "{'m': (1,)}"}, "grid axis 'm'"),
        ({"grid": "{'n': ()}"}, "axis 'n' has no values"),
        ({"grid": "{'n': (np.ones(2),)}"}, "must be a number, a string or None"),
        ({"grid": "{}"}, "gives no value of ['n']"),
        ({"standard": "{'m': (1,)}"}, "standard axis 'm'"),
        ({"control_grid": "{'wrong': (1,)}"}, "control_grid axis 'wrong'"),
        ({"cases": "({'m': 1, 'n': 2},)"}, "the case names ['m']"),
        ({"cases": "({},)"}, "the case gives no value of ['n']"),
        ({"signature": "n, profile='quick', wrong=0"}, "name of an option"),
        ({"uses": "('nothing',)"}, "names 'nothing'"),
        ({"uses": "'one-claim'"}, "names 'one-claim'"),
        ({"repairs": "'nothing'"}, "names 'nothing'"),
    ],
)
def test_a_claim_that_is_wrong_is_named_with_its_file(make_catalogue, text_of, change, words):
    make_catalogue(check_a=text_of("return agree(1, 1)", **change))
    with pytest.raises(CatalogueError) as caught:
        registry.load()
    assert "check_a.py" in str(caught.value)
    assert words in str(caught.value)


def test_an_id_in_two_files_names_both(make_catalogue, text_of):
    make_catalogue(check_a=text_of("return agree(1, 1)"), check_b=text_of("return agree(1, 1)"))
    with pytest.raises(CatalogueError, match=r"(?s)check_b\.py.*already in .*check_a\.py"):
        registry.load()


def test_the_fingerprint_follows_the_file_and_what_it_may_import(make_catalogue, text_of):
    def fingerprint():
        return registry.fingerprint(catalogue.find(), registry.load()["one-claim"])

    files = {"check_a": text_of("return agree(1, 1)"), "check_b": text_of("return agree(1, 1)", id="'b'")}
    make_catalogue(**files, _shared="")
    before = fingerprint()
    make_catalogue(check_b=text_of("return agree(2, 2)", id="'b'"))
    assert fingerprint() == before
    make_catalogue(_shared="X = 1")
    shared = fingerprint()
    assert shared != before
    make_catalogue(check_a=text_of("return agree(3, 3)"))
    assert fingerprint() not in (before, shared)


def test_the_library_is_part_of_the_fingerprint(make_catalogue, text_of, monkeypatch):
    make_catalogue(check_a=text_of("return agree(1, 1)"))
    made = registry.load()["one-claim"]
    before = registry.fingerprint(catalogue.find(), made)
    monkeypatch.setattr(results, "library_fingerprint", lambda: "another version")
    assert registry.fingerprint(catalogue.find(), made) != before


def test_the_catalogue_is_given_or_around_the_package_or_shipped(tmp_path, monkeypatch):
    monkeypatch.delenv("DROCL_CATALOGUE", raising=False)
    home = tmp_path / "checkout" / "drocl"
    for folder in (home, home / "_shipped" / "proofs_checks"):
        folder.mkdir(parents=True)
    monkeypatch.setattr(catalogue, "__file__", str(home / "catalogue.py"))
    assert catalogue.find() == catalogue.Catalogue(home / "_shipped", "shipped")
    (tmp_path / "checkout" / "proofs_checks").mkdir()
    (tmp_path / "checkout" / "pyproject.toml").write_text("[project]\nname = 'another'\n")
    assert catalogue.find().kind == "shipped"
    (tmp_path / "checkout" / "pyproject.toml").write_text("[project]\nname = 'drocl'\n")
    assert catalogue.find() == catalogue.Catalogue(tmp_path / "checkout", "checkout")
    (tmp_path / "given" / "proofs_checks").mkdir(parents=True)
    assert catalogue.find(tmp_path / "given").kind == "given"


def test_no_catalogue_is_said_with_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.delenv("DROCL_CATALOGUE", raising=False)
    monkeypatch.setattr(catalogue, "__file__", str(tmp_path / "drocl" / "catalogue.py"))
    with pytest.raises(CatalogueError, match="no catalogue"):
        catalogue.find()
    with pytest.raises(CatalogueError, match="no folder proofs_checks"):
        catalogue.find(tmp_path)


def test_a_damaged_project_file_is_no_checkout(tmp_path, monkeypatch):
    monkeypatch.delenv("DROCL_CATALOGUE", raising=False)
    (tmp_path / "proofs_checks").mkdir()
    (tmp_path / "pyproject.toml").write_text("[project")
    monkeypatch.setattr(catalogue, "__file__", os.fspath(tmp_path / "drocl" / "catalogue.py"))
    with pytest.raises(CatalogueError, match="no catalogue"):
        catalogue.find()
