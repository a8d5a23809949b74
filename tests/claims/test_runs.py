"""Runs: verdicts and controls of the toys, errors that stay in their case, resuming, and what is written."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import drocl
from drocl import results
from drocl.claims import record, runner
from drocl.claims.plan import Request
from drocl.claims.runner import Interrupted, run

ROOT = Path(drocl.__file__).parents[1]


def by_id(done):
    return {entry["id"]: entry for entry in done.records}


def verify(tmp_path, ids=None, request=None, **options):
    return run(ids, request, out=tmp_path / "out", **{"jobs": 1, **options})


@pytest.fixture
def single(make_catalogue, text_of, tmp_path):
    """Run a catalogue of one claim, given by the body of its check and its arguments."""

    def go(body, **arguments):
        make_catalogue(check_a=text_of(body, **arguments))
        return verify(tmp_path).records[0]

    return go


def test_verdicts_controls_and_counterexample_of_the_toys(toys, tmp_path):
    found = by_id(verify(tmp_path))
    assert {name: (entry["verdict"], entry["control"]) for name, entry in found.items()} == {
        "square-of-sum": ("holds", "rejected"),
        "bounded-by-one": ("violated", "rejected"),
        "bounded-repaired": ("holds", "rejected"),
        "mean-below-half": ("not run", "not run"),
    }
    violated = found["bounded-by-one"]
    assert violated["counterexample"]["params"] == {"x": 2.0}  # the smallest, though 3.0 comes first in the grid
    assert violated["counterexample"]["command"] == "drocl verify bounded-by-one --x 2.0"
    assert violated["worst"]["params"] == {"x": 3.0}
    assert violated["attack"]["gap"] == pytest.approx(3.0)
    assert violated["cases"] == [1, 4]
    assert violated["control_cases"] == [4, 4]
    assert found["bounded-repaired"]["control_cases"] == [1, 2]
    assert found["bounded-repaired"]["vacuity_range"] == pytest.approx([10 / 9, 5.0])


def test_a_sampled_claim_runs_at_its_profile(toys, tmp_path):
    entry = by_id(verify(tmp_path, ["mean-below-half"], Request("standard")))["mean-below-half"]
    assert (entry["verdict"], entry["control"]) == ("holds", "rejected")
    assert entry["evidence"][0]["detail"]["alpha"] == 0.01  # the only sampled case of the catalogue


def test_a_blind_check_is_said_to_be_blind(single):
    entry = single("return agree(n, n)")
    assert (entry["verdict"], entry["control"], entry["control_cases"]) == ("holds", "blind", [0, 2])


def test_a_check_that_accuses_everything_is_blind(single):
    entry = single("return agree(n, n + 1)")
    assert (entry["verdict"], entry["control_verdict"], entry["control"]) == ("violated", "violated", "blind")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("return 1 / (n - 1)", "error: ZeroDivisionError: division by zero (check_a.py:8)"),
        ("return n", "error: TypeError: the check returned int, not Evidence"),
        ("return agree(n, np.nan, atol=1)", "a number is not finite"),
        ("return agree(n, n, status='inconclusive: no solver')", "inconclusive: no solver"),
        ("return Evidence(0, 0, 0, 0, interval=(-1, 1))", "the interval straddles"),
        ("return agree(n, n, atol=family())", "sampled=True"),
    ],
)
def test_what_goes_wrong_stays_in_its_case_and_is_said(single, body, reason):
    entry = single(body)
    assert entry["verdict"] == "inconclusive"
    assert reason in entry["reason"]


def test_an_error_in_one_case_does_not_hide_a_violation_in_another(single):
    assert single("return agree(1 / (n - 1), 5)")["verdict"] == "violated"


def test_warnings_are_kept_with_the_case(single):
    entry = single("warnings.warn('careful'); warnings.warn('careful'); return agree(n, n + wrong)")
    assert entry["evidence"][0]["warnings"] == ["UserWarning: careful"]


def test_global_generators_are_seeded(make_catalogue, text_of, tmp_path):
    make_catalogue(check_a=text_of("return agree(np.random.rand(), wrong)", cases="()"))
    first = verify(tmp_path).records[0]["evidence"]
    again = verify(tmp_path, fresh=True).records[0]["evidence"]
    other = verify(tmp_path, request=Request(seed=1)).records[0]["evidence"]
    assert first[0]["lhs"] == first[1]["lhs"] == again[0]["lhs"] != other[0]["lhs"]


def test_workers_find_what_one_process_finds(toys, tmp_path):
    def told(done):
        return [[(row["role"], row["gap"]) for row in entry["evidence"]] for entry in done.records]

    assert told(run(None, out=tmp_path / "two", jobs=2)) == told(run(None, out=tmp_path / "one", jobs=1))


def test_a_second_run_loads_what_the_first_computed(toys, tmp_path):
    first, second = verify(tmp_path), verify(tmp_path)
    assert (first.loaded, second.computed) == (0, 0)
    assert second.loaded == first.computed > 0
    assert [one["evidence"] for one in second.records] == [one["evidence"] for one in first.records]
    assert verify(tmp_path, fresh=True).loaded == 0


def test_a_changed_check_file_is_computed_again(make_catalogue, text_of, tmp_path):
    make_catalogue(check_a=text_of("return agree(n, n + wrong)"), check_b=text_of("return agree(1, 1)", id="'b'"))
    verify(tmp_path)
    make_catalogue(check_a=text_of("return agree(n, n + 2 * wrong)"))
    done = verify(tmp_path)
    assert (done.loaded, done.computed) == (4, 4)


def test_a_damaged_result_is_computed_again(toys, tmp_path):
    first = verify(tmp_path)
    files = sorted((tmp_path / "out" / "store").glob("*.json"))
    files[0].write_text(files[0].read_text()[:-20])
    files[1].write_text(files[1].read_text().replace('"gap": ', '"gap": 1'))
    files[2].write_bytes(b"\xff\xfe")
    second = verify(tmp_path)
    assert second.computed == 3
    assert [one["verdict"] for one in second.records] == [one["verdict"] for one in first.records]


def test_cases_with_errors_are_tried_again(make_catalogue, text_of, tmp_path):
    make_catalogue(check_a=text_of("return agree(1 / (n - 1), 1 + wrong)"))
    verify(tmp_path)
    assert verify(tmp_path).computed == 2  # n = 1, of the claim and of the control


SLOW = """
import time
from drocl.claims import agree, claim


@claim("slow", says="n = n", source="toy2020, 1", asserts="identity", grid={"n": tuple(range(12))},
       control={"shift": 1}, control_grid={"n": (0,)})
def slow(n, shift=0):
    time.sleep(0.15)
    return agree(n + shift, n)
"""


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_killed_resumes(make_catalogue, tmp_path, sent):
    make_catalogue(check_slow=SLOW)
    out = tmp_path / "out"
    line = [sys.executable, "-m", "drocl", "verify", "--out", str(out), "--jobs", "1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    first = subprocess.Popen(
        line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background shell ignores it for its children
    )  # fmt: skip
    patience = time.monotonic() + 60
    while len(list(out.glob("store/*.json"))) < 3 and first.poll() is None and time.monotonic() < patience:
        time.sleep(0.01)
    first.send_signal(sent)
    said = first.communicate(timeout=60)[0]
    finished = len(list(out.glob("store/*.json")))
    assert 3 <= finished < 13
    if sent == signal.SIGINT:
        assert first.returncode == 130
        assert f"stopped after {finished} of 13 cases" in said
        assert "Traceback" not in said
    results.library_fingerprint.cache_clear()  # of this process; the sources may have been edited since it was taken
    second = verify(tmp_path)
    assert (second.loaded, second.computed) == (finished, 13 - finished)
    assert by_id(second)["slow"]["verdict"] == "holds"


def test_an_interrupt_says_how_far_it_came(toys, tmp_path):
    def impatient(done, total, name):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="stopped after 4 of"):
        verify(tmp_path, progress=impatient)
    assert verify(tmp_path).loaded == 4


def test_a_worker_that_dies_leaves_the_other_claims_their_verdicts(make_catalogue, text_of, tmp_path):
    make_catalogue(check_a=text_of("return agree(n, n + wrong)"))
    verify(tmp_path)
    make_catalogue(check_b="import os\n" + text_of("os._exit(9)", id="'b'"))
    found = by_id(verify(tmp_path, jobs=2))
    assert (found["one-claim"]["verdict"], found["b"]["verdict"]) == ("holds", "inconclusive")
    assert "the worker stopped" in found["b"]["reason"]


def test_progress_counts_up_to_all_cases(toys, tmp_path):
    told = []
    done = verify(tmp_path, progress=lambda *words: told.append(words))
    assert [one[0] for one in told] == list(range(1, done.computed + 1))
    assert {one[1] for one in told} == {done.computed}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ids": ["nothing"]}, r"ids=\['nothing'\]"),
        ({"engine": "ray"}, "engine='ray'.*loky"),
        ({"jobs": 0}, "jobs=0"),
        ({"request": Request(embeddings=Path("nowhere.npz"))}, "nowhere.npz"),
        ({"request": Request(overrides={"n": (3,)}), "compare": True, "ids": ["square-of-sum"]}, "check"),
        ({"compare": True}, "CLAIMS.md to compare with"),
        ({"ids": ["square-of-sum"], "write": True}, "write"),
        ({"request": Request(seed=3), "write": True}, "write"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_runs(toys, tmp_path, monkeypatch, options, words):
    monkeypatch.setattr(runner, "execute", lambda *_, **__: pytest.fail("it ran"))
    with pytest.raises(ValueError, match=words):
        verify(tmp_path, **options)
    assert not (tmp_path / "out").exists()


def test_a_file_where_the_results_should_go_is_refused(toys, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "store").write_text("")
    with pytest.raises(ValueError, match="not a folder"):
        verify(tmp_path)


def test_embeddings_run_the_claims_they_apply_to(make_catalogue, text_of, tmp_path):
    np.savez(tmp_path / "mine.npz", embeddings=np.eye(3))
    make_catalogue(
        check_a=text_of("return agree(len(np.load(scores[5:])['embeddings']), 3 + wrong)", grid="{'scores': ('x',)}",
                        signature="scores, wrong=0"),
        check_b=text_of("return agree(1, 1)", id="'b'"),
    )  # fmt: skip
    done = verify(tmp_path, request=Request(embeddings=tmp_path / "mine.npz"))
    assert [entry["verdict"] for entry in done.records] == ["holds", "not run"]
    assert done.meta["embeddings"] == str(tmp_path / "mine.npz")
    assert done.meta["compared"] is False


# what is written


def test_claims_json_reads_back_as_what_was_found_and_fits_its_schema(toys, tmp_path):
    done = verify(tmp_path)
    held = record.read(tmp_path / "out")
    assert [entry["id"] for entry in held["claims"]] == [entry["id"] for entry in done.records]
    assert held["meta"]["counts"] == {"holds": 2, "violated": 1, "not run": 1}
    assert held["meta"]["computed"] == done.computed
    schema = pytest.importorskip("drocl.report.schema")
    schema.validate(held)


def test_numbers_that_json_lacks_are_words(single, tmp_path):
    single("return agree(np.inf, n, atol=1, more=[np.nan])")
    text = (tmp_path / "out" / "claims.json").read_text()
    row = json.loads(text, parse_constant=lambda word: pytest.fail(word))["claims"][0]["evidence"][0]
    assert (row["lhs"], row["gap"], row["detail"]["more"]) == ("inf", "inf", ["nan"])


def test_reading_says_what_to_do_where_there_is_nothing_to_read(tmp_path):
    with pytest.raises(ValueError, match="drocl verify --out"):
        record.read(tmp_path)
    (tmp_path / "claims.json").write_text('{"schema": 99}')
    with pytest.raises(ValueError, match="schema 99"):
        record.read(tmp_path)


def test_the_commit_is_told_where_there_is_one(toys, tmp_path):
    assert verify(tmp_path, ["square-of-sum"]).meta["commit"] is None
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]):
        subprocess.run(["git", "-C", str(toys), *words], check=True)
    clean = verify(tmp_path, ["square-of-sum"]).meta
    assert len(clean["commit"]) == 40
    assert clean["dirty"] is False
    (toys / "new.txt").write_text("")
    assert verify(tmp_path, ["square-of-sum"]).meta["dirty"] is True


def cases_of(tmp_path):
    suite = ElementTree.parse(tmp_path / "out" / "junit.xml").getroot()
    outcome = {case.get("name"): [(child.tag, child.get("message")) for child in case] for case in suite}
    return suite, outcome


def test_junit_passes_a_violated_claim_only_where_it_is_on_record(toys, tmp_path):
    verify(tmp_path)
    suite, outcome = cases_of(tmp_path)
    assert outcome["square-of-sum"] == []
    assert outcome["mean-below-half"][0][0] == "skipped"
    assert outcome["bounded-by-one"] == [("failure", "violated, and not on record as such")]
    assert {name: suite.get(name) for name in ("tests", "failures", "skipped")} == {
        "tests": "4",
        "failures": "1",
        "skipped": "1",
    }
    verify(tmp_path, write=True)
    assert cases_of(tmp_path)[1]["bounded-by-one"] == []


def test_junit_fails_a_changed_verdict_and_a_blind_control(make_catalogue, text_of, tmp_path):
    make_catalogue(check_a=text_of("return agree(n, n + wrong)"))
    verify(tmp_path, write=True)
    make_catalogue(check_a=text_of("return agree(n, n + 1 - wrong)"))
    verify(tmp_path)
    assert cases_of(tmp_path)[1]["one-claim"] == [("failure", "verdict changed from holds to violated")]
    make_catalogue(check_a=text_of("return agree(n, n)"))
    verify(tmp_path)
    assert cases_of(tmp_path)[1]["one-claim"][0][1].startswith("blind")
