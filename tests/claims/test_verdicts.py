"""The verdict is a pure function of the evidence: a table of synthetic evidence, and laws."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drocl.claims import control_outcome, passed, verdict
from drocl.claims.judge import smallest_counterexample, vacuity, worst


def row(gap=0.0, allowed=1.0, status="ok", interval=None, role="claim", **params):
    return {"gap": gap, "allowed": allowed, "status": status, "interval": interval, "role": role, "params": params}


GOOD, BAD = row(gap=0.5), row(gap=1.5)
UNDECIDED = row(gap=0.5, status="inconclusive: solver")


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (row(gap=1.0), True),
        (row(gap=-5.0), True),
        (row(gap=1.0 + 1e-12), False),
        (row(gap=0.0, allowed=0.0), True),
        (row(gap=math.nan), None),
        (row(gap=math.inf), None),
        (row(gap=-math.inf), None),
        (row(gap="inf"), None),  # as it comes back from a file
        (row(gap=0.0, allowed=math.nan), None),
        (row(gap=9.0, status="error: ZeroDivisionError"), None),
        (row(gap=9.0, status="certified"), False),
        (row(gap=9.0, interval=(0.2, 0.9)), True),  # the interval decides, not the gap
        (row(gap=0.0, interval=(1.1, 2.0)), False),
        (row(gap=0.0, interval=(0.9, 1.1)), None),
        (row(gap=0.0, interval=(0.2, 1.0)), True),
        (row(gap=9.0, interval=(1.0, 2.0)), None),
        (row(gap=9.0, interval=("-inf", "inf")), None),
        (row(gap=0.0, interval=(math.nan, 0.5), status="inconclusive"), None),
    ],
)
def test_a_row_passes_fails_or_decides_nothing(evidence, expected):
    assert passed(evidence) is expected


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], "not run"),
        ([GOOD], "holds"),
        ([GOOD, GOOD], "holds"),
        ([GOOD, BAD], "violated"),
        ([GOOD, UNDECIDED], "inconclusive"),
        ([UNDECIDED, BAD], "violated"),
        ([row(status="certified"), row(status="certified")], "holds (certified)"),
        ([row(status="certified"), GOOD], "holds"),
        ([row(gap=2.0, status="certified")], "violated"),
        ([row(gap=math.nan)], "inconclusive"),
    ],
)
def test_verdict_table(rows, expected):
    assert verdict(rows) == expected


@pytest.mark.parametrize(
    ("claim", "control", "expects", "outcome"),
    [
        ("holds", "violated", "violated", "rejected"),
        ("holds (certified)", "violated", "violated", "rejected"),
        ("inconclusive", "violated", "violated", "rejected"),
        ("holds", "holds", "violated", "blind"),
        ("holds", "inconclusive", "violated", "blind"),
        ("violated", "violated", "violated", "blind"),  # the same verdict for both tells nothing
        ("violated", "holds", "holds", "rejected"),
        ("violated", "holds (certified)", "holds", "rejected"),
        ("holds", "holds", "holds", "blind"),
        ("violated", "violated", "holds", "blind"),
        ("not run", "not run", "violated", "not run"),
    ],
)
def test_control_table(claim, control, expects, outcome):
    assert control_outcome(claim, control, expects) == outcome


rows_of = st.lists(st.sampled_from([GOOD, BAD, UNDECIDED]), max_size=6)


@given(rows_of, st.randoms())
def test_the_order_of_the_rows_does_not_matter(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert verdict(shuffled) == verdict(rows)


@given(rows_of)
def test_more_evidence_never_absolves(rows):
    assert verdict([*rows, BAD]) == "violated"
    assert verdict([*rows, UNDECIDED]) in ("violated", "inconclusive")


def test_the_smallest_counterexample_is_first_by_size_then_by_order():
    rows = [row(gap=2, n=64, tag="a"), row(gap=2, n=8, tag="b"), row(gap=9, n=8, tag="c"), row(gap=0, n=2, tag="d")]
    assert smallest_counterexample(rows, "n")["params"]["tag"] == "b"
    assert smallest_counterexample(rows, None)["params"]["tag"] == "a"


def test_a_case_of_the_grid_comes_before_one_found_by_search():
    rows = [row(gap=2, role="attack"), row(gap=2, n=64)]
    assert smallest_counterexample(rows, "n")["role"] == "claim"
    assert smallest_counterexample(rows[:1], "n")["role"] == "attack"
    assert smallest_counterexample([GOOD, UNDECIDED], "n") is None


def test_the_worst_row_is_the_nearest_to_failing_among_those_that_decide():
    near, far, broken = row(gap=0.9), row(gap=0.1), row(gap=5.0, status="error: x")
    assert worst([far, broken, near]) is near
    assert worst([broken]) is broken
    assert worst([]) is None


def test_gaps_are_measured_by_what_is_allowed_unless_a_row_is_a_signed_slack():
    tight, loose = row(gap=9e-13, allowed=1e-12), row(gap=1e-4, allowed=1e-3)
    assert worst([tight, loose]) is tight
    slack, broken = row(gap=-0.5, allowed=0.0), row(gap=3.0, allowed=1e-9)
    assert worst([slack, broken, row(gap=8.0, allowed=0.0, tag="x")])["gap"] == 8.0


def test_vacuity_is_summed_up_over_the_rows_that_state_it():
    rows = [{"detail": {"vacuity": value}} for value in (4.0, 1.0, "inf", 2.0)] + [{"detail": {}}]
    assert vacuity(rows) == (1.0, 2.0, 4.0)
    assert vacuity(rows[:2]) == (1.0, 2.5, 4.0)
    assert vacuity(rows[-1:]) is None
