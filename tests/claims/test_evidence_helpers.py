"""Laws of the evidence helpers: what they measure, what they keep, what they refuse."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drocl.claims import Evidence, agree, at_least, at_most, coverage, fitted_slope, passed, slope

reals = st.floats(-1e6, 1e6)
tolerances = st.floats(1e-12, 1.0)


def row(evidence):
    return vars(evidence)


@given(reals, reals, tolerances, tolerances)
def test_agree_passes_exactly_where_numpy_says_close(lhs, rhs, rtol, atol):
    bound = atol + rtol * abs(rhs)
    if not math.isclose(abs(lhs - rhs), bound, rel_tol=1e-9):  # at the edge itself rounding decides
        assert passed(row(agree(lhs, rhs, rtol=rtol, atol=atol))) is (abs(lhs - rhs) <= bound)


@given(st.lists(st.tuples(reals, reals), min_size=1, max_size=8))
def test_agree_keeps_the_worst_entry(pairs):
    lhs, rhs = np.array(pairs).T
    found = agree(lhs, rhs, atol=1.0)
    worst = np.argmax(np.abs(lhs - rhs))
    assert found.gap == np.abs(lhs - rhs)[worst]
    assert (found.lhs, found.rhs) == (lhs[worst], rhs[worst])


def test_agree_reports_where_the_worst_entry_is():
    found = agree(np.zeros((2, 3)), np.arange(6.0).reshape(2, 3), atol=1.0)
    assert found.detail == {"entry": [1, 2], "entries": 6}


def test_agree_measures_by_the_scale_given():
    assert agree(1.0, 2.0, rtol=0.1, scale=10.0).gap == pytest.approx(0.1)
    assert agree(1.0, 2.0, atol=0.1, scale=4.0).gap == pytest.approx(0.25)


def test_zero_against_zero_agrees_at_any_relative_tolerance():
    assert agree(0.0, 0.0, rtol=1e-15).gap == 0.0


def test_a_relative_gap_to_zero_decides_nothing():
    assert passed(row(agree(1e-300, 0.0, rtol=1e-6))) is None


def test_equal_infinities_agree_and_others_decide_nothing():
    assert passed(row(agree(np.inf, np.inf, rtol=1e-9))) is True
    assert passed(row(agree(np.inf, -np.inf, rtol=1e-9))) is None


def test_a_nan_among_agreeing_entries_is_not_hidden():
    assert passed(row(agree(np.array([1.0, np.nan, 1.0]), 1.0, atol=0.1))) is None


@given(reals, reals)
def test_at_least_mirrors_at_most(lhs, rhs):
    assert at_least(lhs, rhs).gap == at_most(rhs, lhs).gap == rhs - lhs


@given(st.floats(0.1, 10), st.floats(0.1, 10))
def test_vacuity_is_at_least_one_exactly_where_a_bound_holds(truth, bound):
    upper, lower = at_most(truth, bound), at_least(truth, bound)
    assert (upper.detail["vacuity"] >= 1) is (upper.gap <= 0)
    assert (lower.detail["vacuity"] >= 1) is (lower.gap <= 0)


def test_bounds_keep_the_entry_with_the_smallest_slack():
    assert at_most(np.array([1.0, 5.0]), np.array([9.0, 5.5])).gap == -0.5
    assert at_most(np.array([1.0, 5.0]), np.array([9.0, 7.0]), scale=np.array([1.0, 4.0])).gap == -0.5


@given(st.floats(-3, 3), st.floats(0.1, 10))
def test_slope_recovers_the_power(power, factor):
    x = np.array([1.0, 2.0, 5.0, 11.0])
    assert fitted_slope(x, factor * x**power) == pytest.approx(power, abs=1e-9)


def test_slope_says_so_where_the_power_is_another():
    x = np.array([1.0, 10.0, 100.0])
    assert passed(row(slope(x, x**-1.0, expected=-0.5, within=0.1))) is False
    assert passed(row(slope(x, x**-0.5, expected=-0.5, within=0.1))) is True
    assert slope(x, x, expected=1, within=0.1, note="kept").detail["note"] == "kept"


@pytest.mark.parametrize(("hits", "trials"), [(0, 20), (20, 20), (7, 20), (950, 1000)])
def test_the_coverage_interval_inverts_the_binomial_tails(hits, trials):
    from scipy.stats import binom

    found = coverage(hits, trials, level=0.5, alpha=0.02)
    lower, upper = 0.5 - found.interval[1], 0.5 - found.interval[0]
    if hits > 0:
        assert binom.sf(hits - 1, trials, lower) == pytest.approx(0.01, rel=1e-6)
    if hits < trials:
        assert binom.cdf(hits, trials, upper) == pytest.approx(0.01, rel=1e-6)
    assert lower <= hits / trials <= upper


@pytest.mark.parametrize(("hits", "expected"), [(999, True), (950, None), (880, False)])
def test_coverage_decides_only_what_its_interval_decides(hits, expected):
    assert passed(row(coverage(hits, 1000, level=0.95))) is expected


def test_evidence_holds_one_number_each():
    with pytest.raises((ValueError, TypeError), match="gap"):  # TypeError where annotations are enforced
        Evidence(1, 2, np.ones(2), 0)


def test_status_and_solver_go_to_their_fields():
    found = agree(1, 1, status="inconclusive: solver", solver="clarabel", extra=3)
    assert (found.status, found.solver, found.detail) == ("inconclusive: solver", "clarabel", {"extra": 3})


def test_torch_tensors_are_read():
    torch = pytest.importorskip("torch")
    assert agree(torch.ones(3, requires_grad=True) * 2, 2.0).gap == 0.0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: agree(1, 1, rtol=-1), "rtol=-1"),
        (lambda: agree(1, 1, atol=math.nan), "atol=nan"),
        (lambda: agree([], []), "lhs is empty"),
        (lambda: agree([1, 2], [1, 2, 3]), "do not broadcast"),
        (lambda: agree("a", 1), "lhs='a'"),
        (lambda: at_most(1, 2, scale=-1), "scale=-1"),
        (lambda: at_least(1, 2, atol=-0.5), "atol=-0.5"),
        (lambda: slope([1, 2], [1, 2], 1, 0.1), "at least 3"),
        (lambda: slope([1, 2, 3], [1, 2, -3], 1, 0.1), "positive"),
        (lambda: slope([2, 2, 2], [1, 2, 3], 1, 0.1), "no slope"),
        (lambda: slope([1, 2, 3], [1, 2, 3], 1, -0.1), "within=-0.1"),
        (lambda: coverage(5, 4, 0.9), "hits=5"),
        (lambda: coverage(5, 10, 1.5), "level=1.5"),
        (lambda: coverage(5, 10, 0.5, alpha=0), "alpha=0"),
        (lambda: Evidence(1, 2, 1, 0, interval=(1, 0)), "interval"),
    ],
)
def test_wrong_inputs_are_named(call, words):
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        call()
