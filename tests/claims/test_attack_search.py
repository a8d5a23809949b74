"""The search for the smallest slack finds it, repeats, and keeps to its budget."""

import numpy as np
import pytest

from drocl.claims import minimise_slack


def bowl(theta):
    return float(((theta - np.array([0.3, -0.7])) ** 2).sum()) - 2.0


def square(rng):
    return rng.uniform(-2, 2, size=2)


@pytest.mark.parametrize("refine", ["nelder-mead", "powell"])
def test_it_finds_the_minimum(refine):
    theta, value = minimise_slack(bowl, square, seed=0, budget=600, refine=refine)
    assert value == pytest.approx(-2.0, abs=1e-6)
    assert theta == pytest.approx([0.3, -0.7], abs=1e-3)


def test_refining_beats_drawing():
    drawn = minimise_slack(bowl, square, seed=0, budget=200, refine=None)[1]
    refined = minimise_slack(bowl, square, seed=0, budget=200)[1]
    assert refined < drawn


@pytest.mark.parametrize("budget", [2, 3, 7, 50, 400])
@pytest.mark.parametrize("refine", ["nelder-mead", "powell", None])
def test_it_never_spends_more_than_its_budget(budget, refine):
    calls = []
    minimise_slack(lambda theta: calls.append(1) or bowl(theta), square, seed=1, budget=budget, refine=refine)
    assert len(calls) <= budget


def test_the_same_seed_finds_the_same_case():
    first, second = (minimise_slack(bowl, square, seed=3, budget=100) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    assert first[1] == second[1]


def test_theta_keeps_the_shape_it_was_drawn_in():
    theta, value = minimise_slack(
        lambda table: float((table**2).sum()), lambda rng: rng.normal(size=(2, 3)), seed=0, budget=300
    )
    assert theta.shape == (2, 3)
    assert value == pytest.approx((theta**2).sum())


def test_cases_outside_the_domain_are_passed_over():
    def picky(theta):
        if theta[0] < 0:
            raise ValueError("outside")
        return float("nan") if theta[1] < 0 else float(theta.sum())

    theta, value = minimise_slack(picky, square, seed=0, budget=400)
    assert theta.min() >= 0
    assert 0 <= value < 0.1


def test_a_broken_check_is_not_mistaken_for_a_case_outside_the_domain():
    with pytest.raises(ZeroDivisionError):
        minimise_slack(lambda theta: 1 / 0, square, seed=0, budget=10)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"budget": 1}, "budget=1"),
        ({"refine": "newton"}, "refine='newton'"),
        ({"slack": lambda theta: np.inf}, "no finite slack"),
    ],
)
def test_wrong_inputs_are_named(change, words):
    with pytest.raises(ValueError, match=words):
        minimise_slack(**{"slack": bowl, "sample": square, "seed": 0, "budget": 10, **change})
