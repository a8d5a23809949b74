"""CLAIMS.md: what is written is what is read back, and nothing in it depends on speed."""

import re

import pytest

from drocl.claims import ledger
from drocl.claims.ledger import Difference
from drocl.claims.runner import run


@pytest.fixture
def written(toys, tmp_path):
    done = run(None, out=tmp_path / "out", jobs=1, write=True)
    return done, toys / "CLAIMS.md"


def test_what_is_written_is_read_back(written):
    done, path = written
    assert ledger.read(path) == {entry["id"]: entry["verdict"] for entry in done.records}
    assert done.differences == []


def test_a_second_run_writes_the_same_bytes(written, toys, tmp_path):
    before = written[1].read_bytes()
    run(None, out=tmp_path / "elsewhere", jobs=1, write=True)
    assert written[1].read_bytes() == before


def test_bars_in_formulas_do_not_break_the_table(written):
    rows = [line for line in written[1].read_text().splitlines() if line.startswith("| `")]
    assert {line.count("|") for line in rows} == {len(ledger.HEADER) + 1}
    assert r"$\vert (a+b)^2\vert = a^2 + 2ab + b^2$" in rows[0]


def test_findings_give_the_counterexample_its_command_and_the_repair(written):
    text = " ".join(written[1].read_text().split())
    assert (
        "Counterexample: x = 2: 4 against 1, gap 3, allowed 0. `drocl verify bounded-by-one --x 2.0` Repaired: `bounded-re"
        in text
    )
    assert "`mean-below-half`: not run (left out of the quick profile" in text


def test_a_claim_that_uses_the_violated_one_is_named_where_no_repair_is(toys):
    records = [
        {"id": "a", "repairs": None, "uses": [], "verdict": "violated"},
        {"id": "b", "repairs": None, "uses": ["a"], "verdict": "holds"},
        {"id": "c", "repairs": None, "uses": ["a"], "verdict": "violated"},
    ]
    assert ledger.repairs_of("a", records) == ["b"]
    assert ledger.repairs_of("a", [*records, {"id": "d", "repairs": "a", "uses": [], "verdict": "holds"}]) == ["d"]


def found(**verdicts):
    return [{"id": name, "verdict": verdict.replace("_", " ")} for name, verdict in verdicts.items()]


@pytest.mark.parametrize(
    ("now", "recorded", "expected"),
    [
        ({"a": "holds"}, {"a": "holds"}, []),
        ({"a": "violated"}, {"a": "holds"}, [Difference("a", "holds", "violated")]),
        ({"a": "inconclusive"}, {"a": "holds"}, [Difference("a", "holds", "inconclusive")]),
        ({"a": "holds"}, {"a": "holds (certified)"}, [Difference("a", "holds (certified)", "holds")]),
        ({"a": "not_run"}, {"a": "holds"}, []),
        ({"a": "holds"}, {"a": "not run"}, []),
        ({"a": "holds"}, {}, [Difference("a", None, "holds")]),
        ({"a": "holds"}, {"a": "holds", "gone": "holds"}, [Difference("gone", "holds", None)]),
        ({"a": "holds"}, {"a": "holds", "b": "violated"}, []),  # b was not selected
    ],
)
def test_differences(now, recorded, expected):
    assert ledger.differences(found(**now), recorded, {"a", "b"}) == expected


def test_differences_say_what_was_and_what_is():
    assert str(Difference("a", "holds", "violated")) == "a: on record as holds, now violated"
    assert "not on record" in str(Difference("a", None, "holds"))
    assert "not in the catalogue" in str(Difference("a", "holds", None))


def test_no_file_is_no_record_and_a_damaged_one_is_refused(written, tmp_path):
    assert ledger.read(tmp_path / "nowhere.md") is None
    text = written[1].read_text()
    row = next(line for line in text.splitlines() if line.startswith("| `square"))
    written[1].write_text(text.replace(row, f"{row}\n{row}"))
    with pytest.raises(ValueError, match="'square-of-sum' is there twice"):
        ledger.read(written[1])
    written[1].write_text(re.sub(r"^\|.*$", "", text, flags=re.M))
    with pytest.raises(ValueError, match="no table of claims"):
        ledger.read(written[1])


def test_sampled_and_searched_rows_are_described():
    row = {"params": {}, "role": "claim", "interval": [0.1, 0.2], "lhs": 1, "rhs": "inf", "gap": 0.15, "allowed": True}
    assert ledger.describe(row) == "the one case: 1 against inf, gap 0.15, interval [0.1, 0.2], allowed True"
    assert ledger.describe({**row, "role": "attack"}).startswith("found by search: ")
    assert "0.8081 against 0.8077" in ledger.describe({**row, "lhs": 0.80812, "rhs": 0.80774})
    assert ": 1 against 1," in ledger.describe({**row, "lhs": 1.0, "rhs": 1.0 + 1e-12})
