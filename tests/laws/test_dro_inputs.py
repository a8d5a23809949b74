"""Bad input is a ValueError that names the argument, before anything is computed."""

import math

import numpy as np
import pytest

from drocl import divergences, dro
from drocl.dro import api

nan, inf = math.nan, math.inf
F = np.array([[0.0, 1.0, 3.0], [2.0, 1.0, 0.0]])
CVAR = divergences.get("cvar", level=0.3)

WORST_CASE = {
    "scores nan": ((F + nan,), {"radius": 0.1}, r"scores must not hold nan"),
    "one score nan": (([0.0, nan],), {"radius": 0.1}, r"scores must not hold nan"),
    "scores a number": ((3.0,), {"radius": 0.1}, r"scores must have at least one axis"),
    "scores without atoms": ((np.zeros((2, 0)),), {"radius": 0.1}, r"scores must hold at least one atom"),
    "scores words": ((["a", "b"],), {"radius": 0.1}, r"scores must be numbers"),
    "scores ragged": (([[1.0], [1.0, 2.0]],), {"radius": 0.1}, r"scores must be numbers of a regular shape"),
    "radius negative": ((F,), {"radius": -0.1}, r"radius=-0\.1 must be a number >= 0"),
    "radius nan": ((F,), {"radius": nan}, r"radius=nan must be a number >= 0"),
    "one radius negative": ((F,), {"radius": [0.1, -2.0]}, r"radius=-2\.0 must be"),
    "radius of a wrong shape": ((F,), {"radius": [0.1, 0.1, 0.1]}, r"radius of shape \(3,\) does .*\(2,\)"),
    "radius of too many axes": ((F[0],), {"radius": [0.1]}, r"radius of shape \(1,\) does not broadcast"),
    "radius a word": ((F,), {"radius": "small"}, r"radius='small' must be a number"),
    "temperature zero": ((F,), {"temperature": 0.0}, r"temperature=0\.0 must be a number > 0"),
    "temperature negative": ((F,), {"temperature": -1.0}, r"temperature=-1\.0 must be a number > 0"),
    "temperature nan": ((F,), {"temperature": nan}, r"temperature=nan must be a number > 0"),
    "temperature infinite": ((F,), {"temperature": inf}, r"temperature=inf must be finite"),
    "temperature of a wrong shape": ((F,), {"temperature": [1.0] * 3}, r"temperature of shape \(3,\) does not"),
    "no budget": ((F,), {}, r"exactly one of radius and temperature must be given, got neither"),
    "two budgets": ((F,), {"radius": 0.1, "temperature": 1.0}, r"exactly one of radius and temperature .* got both"),
    "cvar with a radius": ((F,), {"radius": 0.1, "divergence": CVAR}, r"radius plays no part for cvar"),
    "cvar with a temperature": ((F,), {"temperature": 0.1, "divergence": CVAR}, r"temperature plays no part for cvar"),
    "cvar by name alone": ((F,), {"divergence": "cvar"}, r"'cvar' takes exactly level"),
    "renyi above 1 with a temperature": (
        (F,), {"temperature": 1.0, "divergence": divergences.get("renyi", order=2)}, r"temperature .*renyi of order 2"
    ),
    "base negative": ((F,), {"radius": 0.1, "base": [1.0, -1.0, 1.0]}, r"base=-1\.0 must be nonnegative"),
    "base nan": ((F,), {"radius": 0.1, "base": [1.0, nan, 1.0]}, r"base=nan must be nonnegative and finite"),
    "base infinite": ((F,), {"radius": 0.1, "base": [1.0, inf, 1.0]}, r"base=inf must be nonnegative and finite"),
    "base all zero": ((F,), {"radius": 0.1, "base": [0.0, 0.0, 0.0]}, r"base must give some atom positive weight"),
    "one base row all zero": ((F,), {"radius": 0.1, "base": [[1.0] * 3, [0.0] * 3]}, r"base must give some atom"),
    "base of a wrong length": ((F,), {"radius": 0.1, "base": [1.0, 1.0]}, r"base of shape \(2,\) does not broadcast"),
    "base of too many rows": ((F,), {"radius": 0.1, "base": np.ones((3, 3))}, r"base of shape .* does not broadcast"),
    "base of too many axes": ((F,), {"radius": 0.1, "base": np.ones((2, 2, 3))}, r"base of shape .* does not"),
    "base a number": ((F,), {"radius": 0.1, "base": 1.0}, r"base must have an axis of atoms"),
    "base a word": ((F,), {"radius": 0.1, "base": "uniform"}, r"base='uniform' must be a number"),
    "divergence unknown": ((F,), {"radius": 0.1, "divergence": "kullback"}, r"'kullback' is unknown.*kl, reverse_kl"),
    "divergence a number": ((F,), {"radius": 0.1, "divergence": 2}, r"divergence=2 is unknown; the known ones are kl"),
    "dim too large": ((F,), {"radius": 0.1, "dim": 2}, r"dim=2 must lie in \[-2, 1\]"),
    "dim too small": ((F,), {"radius": 0.1, "dim": -3}, r"dim=-3 must lie in \[-2, 1\]"),
}  # fmt: skip


@pytest.fixture
def no_work(monkeypatch):
    """Any solve is a failure."""

    def refuse(*_, **__):
        raise AssertionError("work started before the input was checked")

    monkeypatch.setattr(api, "in_blocks", refuse)


@pytest.mark.parametrize("case", WORST_CASE)
def test_worst_case_names_what_is_wrong_before_it_works(case, no_work):
    positional, named, message = WORST_CASE[case]
    with pytest.raises(ValueError, match=message):
        dro.worst_case(*positional, **named)


def test_the_guard_of_these_tests_sees_a_solve(no_work):
    with pytest.raises(AssertionError, match="work started"):
        dro.worst_case(F, radius=0.1)


@pytest.mark.parametrize("case", ["scores nan", "radius negative", "base negative", "divergence unknown"])
def test_temperature_of_checks_the_same(case, no_work):
    (scores,), named, message = WORST_CASE[case]
    with pytest.raises(ValueError, match=message):
        dro.temperature_of(scores, **{"radius": 0.1, **named})
    with pytest.raises(ValueError, match=message):
        dro.temperature_of(scores, **{"radius": 0.1, **named}, approximation="variance")


@pytest.mark.parametrize("value", [0.0, -1.0, nan, inf])
def test_radius_of_wants_a_positive_finite_temperature(value, no_work):
    with pytest.raises(ValueError, match=r"temperature=.* must be"):
        dro.radius_of(F, value)


@pytest.mark.parametrize("function", [dro.radius_of, dro.temperature_of])
def test_the_maps_between_radius_and_temperature_refuse_cvar(function, no_work):
    with pytest.raises(ValueError, match="plays no part for cvar"):
        function(F, 0.1, divergence=CVAR)


@pytest.mark.parametrize(
    ("approximation", "divergence", "message"),
    [
        ("cubic", "kl", r"approximation='cubic' must be None, 'variance', 'skew' or 'gaussian'"),
        ("gaussian", "chi2", r"approximation='gaussian' has a closed form for kl only, not for chi2"),
        ("variance", "tv", r"approximation='variance' needs phi''\(1\), which tv has not"),
        ("skew", CVAR, r"approximation='skew' needs phi''\(1\), which cvar"),
    ],
)
def test_temperature_of_names_an_approximation_it_has_not(approximation, divergence, message, no_work):
    with pytest.raises(ValueError, match=message):
        dro.temperature_of(F, 0.1, divergence=divergence, approximation=approximation)


def test_torch_input_is_checked_alike(no_work):
    torch = pytest.importorskip("torch")
    for scores in (torch.tensor(F), torch.tensor(F, requires_grad=True)):
        with pytest.raises(ValueError, match=r"scores must not hold nan"):
            dro.worst_case(scores * nan, radius=0.1)
        with pytest.raises(ValueError, match=r"radius=-1\.0 must be"):
            dro.worst_case(scores, radius=torch.tensor(-1.0))
        with pytest.raises(ValueError, match=r"base of shape \(2,\)"):
            dro.worst_case(scores, radius=0.1, base=torch.ones(2))
        with pytest.raises(ValueError, match=r"radius of shape \(3,\) does not broadcast"):
            dro.worst_case(scores, radius=torch.ones(3))
