"""The fast solver against exact answers: excess and multiplier to a relative max(1e-10, 100 eps condition)."""

import importlib.util
import math
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from drocl import divergences, dro

SOURCE = Path(__file__).parents[1] / "generators" / "dro_problems.py"
_spec = importlib.util.spec_from_file_location("dro_problems", SOURCE)
truth = importlib.util.module_from_spec(_spec)
sys.modules["dro_problems"] = truth
_spec.loader.exec_module(truth)

POOLS = truth.pools()
SMOOTH, LIMITS = truth.SMOOTH, truth.LIMITS
FAR = (1 - 1e-6, 1 - 1e-12)


def close(found, exact, rtol):
    """Relative agreement; both finite."""
    return abs(float(found) - exact) <= rtol * abs(exact)


def check(scores, divergence, base, radius):
    """Solve, compare with the oracle, return the solution."""
    exact = truth.worst_case(scores, divergence, base, radius=radius)
    found = dro.worst_case(scores, radius=radius, divergence=divergence, base=base)
    where = f"radius={radius!r}, condition={exact.condition:.1e}"
    spread = float(np.ptp(scores))
    assert close(found.excess, exact.excess, exact.allowed()), where
    assert close(found.multiplier, exact.multiplier, exact.allowed()), where
    # the value rounds at the size of the scores, the normalizer at that of everything that makes it
    assert abs(found.value - exact.value) <= 1e-12 * spread + 4 * np.spacing(np.max(np.abs(scores))), where
    size = np.max(np.abs(scores)) + exact.allowed() / 1e-15 * exact.multiplier
    assert abs(found.normalizer - exact.normalizer) <= 1e-14 * size + exact.allowed() * abs(exact.normalizer), where
    assert np.max(np.abs(found.weights - exact.weights)) <= 10 * exact.allowed(), where
    assert found.gap <= 1e-13 * spread, where
    assert close(found.radius, radius, max(1e-12, 0.01 * exact.allowed())), where
    return found


def radii_of(scores, divergence, base, tiny):
    """From tiny to within 1e-12 of eta_max, or to a large ball where there is no eta_max."""
    ceiling = truth.ceiling(scores, divergence, base)
    if ceiling == truth.mpmath.inf:
        return [*tiny, 0.3, 4.0, 40.0]
    return [*tiny, *(float(share * ceiling) for share in (0.3, *FAR))]


def by_score(scores, weights):
    """Mass at each distinct score: among ties any split is optimal."""
    levels, place = np.unique(scores, return_inverse=True)
    return np.bincount(place, weights=weights, minlength=levels.size)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("divergence", SMOOTH, ids=truth.label)
def test_hazard(divergence, pool):
    scores, base = POOLS[pool]
    tiny = (1e-16, 1e-7) if pool in ("ordinary", "zero base") else (1e-8,)
    for radius in radii_of(scores, divergence, base, tiny):
        check(scores, divergence, base, radius)


@pytest.mark.parametrize("divergence", SMOOTH, ids=truth.label)
def test_radius_of_1e_minus_300_keeps_every_digit(divergence):
    check(*_args("two atoms", divergence), 1e-300)
    check(*_args("skewed", divergence), 1e-100)


@pytest.mark.parametrize("radius", [1e-300, 1e-9, 0.5])
@pytest.mark.parametrize("pool", ["uniform", "near-tie 2^-40"])
@pytest.mark.parametrize("power", [d.params["k"] for d in LIMITS])
def test_powers_around_zero_and_one_meet_their_limits_without_cancellation(power, pool, radius):
    divergence = divergences.get("cressie_read", k=power)
    found = check(*_args(pool, divergence), radius)
    near = round(power)
    if abs(power - near) < 1e-6:  # and the answer is that of the limit, to the distance from it
        limit = dro.worst_case(POOLS[pool][0], radius=radius, divergence=("reverse_kl", "kl")[near])
        assert close(found.excess, limit.excess, 1e-7)
        assert close(found.multiplier, limit.multiplier, 1e-7)


@pytest.mark.parametrize("share", [0.99, *FAR])
@pytest.mark.parametrize("power", [1 + 1e-9, 1 - 1e-9])
def test_powers_around_one_stay_exact_up_to_the_slack(power, share):
    divergence = divergences.get("cressie_read", k=power)
    for pool in ("uniform", "near-tie 2^-40"):
        scores, base = POOLS[pool]
        check(scores, divergence, base, float(share * truth.ceiling(scores, divergence, base)))


@pytest.mark.parametrize("share", [1 - 1e-4, 1 - 1e-6, 1 - 1e-8, 1 - 1e-10, 1 - 1e-12])
@pytest.mark.parametrize("power", [2.5, 3.0, 10.0])
def test_approach_to_the_kink_of_large_powers(power, share):
    divergence = divergences.get("cressie_read", k=power)
    for pool in ("two atoms", "all negative"):
        scores, base = POOLS[pool]
        check(scores, divergence, base, float(share * truth.ceiling(scores, divergence, base)))


def _args(pool, divergence):
    scores, base = POOLS[pool]
    return scores, divergence, base


@pytest.mark.parametrize("divergence", SMOOTH, ids=truth.label)
def test_temperature_gives_the_exact_radius(divergence):
    scores, base = POOLS["ordinary"]
    if divergence == divergences.get("renyi", order=2):
        pytest.skip("not concave in the penalised form")
    for temperature in (1e6, 3.0, 0.4):
        exact = truth.worst_case(scores, divergence, base, temperature=temperature)
        if not exact.multiplier > 0.0:
            continue
        found = dro.worst_case(scores, temperature=temperature, divergence=divergence, base=base)
        assert close(found.radius, exact.radius, 1e-10)
        assert close(found.excess, exact.excess, 1e-10)
        assert abs(found.value - exact.value) <= 1e-13 * np.ptp(scores)
        assert np.max(np.abs(found.weights - exact.weights)) <= 1e-11


@pytest.mark.parametrize("tilt", [1e-6, 0.1, 3.0, 30.0])
@pytest.mark.parametrize("mass", [0.5, 0.2, 1e-9])
def test_two_atoms_under_kl_have_a_closed_form(mass, tilt):
    radius, value, multiplier = truth.two_point_kl(mass, tilt)
    found = dro.radius_of([0.0, 1.0], 1.0 / tilt, base=[1.0 - mass, mass])
    # 1 - mass rounds: the law given has this mass only to eps
    assert close(found, radius, 1e-12)
    best = dro.worst_case([0.0, 1.0], temperature=1.0 / tilt, base=[1.0 - mass, mass])
    assert close(best.weights[1], value, 1e-12)
    if tilt <= 3.0:  # above, the ball is nearly slack and the inverse map has lost the digits
        assert close(dro.temperature_of([0.0, 1.0], radius, base=[1.0 - mass, mass]), multiplier, 1e-9)


@pytest.mark.parametrize("radius", [1e-200, 1e-6, 0.05])
def test_unclipped_pearson_ball_is_mean_plus_a_multiple_of_the_deviation(radius):
    for pool in ("uniform", "ordinary", "offset 1e8"):
        scores, base = POOLS[pool]
        excess, multiplier = truth.unclipped_pearson(scores, radius, base)
        found = dro.worst_case(scores, radius=radius, divergence="chi2", base=base)
        assert found.weights.min() > 0.0, "clipped: choose a smaller radius"
        assert close(found.excess, excess, 1e-13)
        assert close(found.multiplier, multiplier, 1e-13)


def test_clipped_pearson_ball_of_three_atoms_by_hand():
    # scores 0, 1, 2 of mass 1/3; eta = 3/4: the lowest is clipped (eta > 1/2)
    # q = (0, p, 1-p): 3 (p^2 + (1-p)^2) - 1 = 3/4, p = (1 - sqrt(1/6)) / 2
    p = 0.5 * (1.0 - math.sqrt(1.0 / 6.0))
    found = dro.worst_case([0.0, 1.0, 2.0], radius=0.75, divergence="chi2")
    assert np.allclose(found.weights, [0.0, p, 1.0 - p], rtol=0, atol=1e-15)
    assert close(found.value, 2.0 - p, 1e-15)
    # V' = 1 / (6 (1 - 2 p)) by 3 (2p - 2(1-p)) dp = d eta
    assert close(found.multiplier, 1.0 / (6.0 * (1.0 - 2.0 * p)), 1e-14)


def test_pearson_multiplier_jumps_to_zero_at_the_slack():
    # qA (f1 - f2) / 2 from the left, 0 from the right
    scores, slack = np.array([0.0, 1.0, 3.0]), 2.0
    left = dro.worst_case(scores, radius=slack * (1 - 1e-12), divergence="chi2")
    right = dro.worst_case(scores, radius=slack, divergence="chi2")
    assert close(left.multiplier, 1.0 / 3.0, 1e-9)
    assert right.multiplier == 0.0
    assert np.array_equal(right.weights, [0.0, 0.0, 1.0])


def test_one_atom_is_its_own_worst_case():
    for divergence in truth.ALL:
        budget = {} if getattr(divergence, "name", "") == "cvar" else {"radius": 0.4}
        found = dro.worst_case([3.5], divergence=divergence, **budget)
        assert (found.value, found.excess, found.multiplier, found.gap) == (3.5, 0.0, 0.0, 0.0)
        assert np.array_equal(found.weights, [1.0])


@pytest.mark.parametrize("divergence", truth.ALL, ids=truth.label)
def test_scores_constant_on_the_support_only(divergence):
    budget = {} if getattr(divergence, "name", "") == "cvar" else {"radius": 0.4}
    found = dro.worst_case([2.0, 2.0, 9.0, -5.0], base=[1.0, 3.0, 0.0, 0.0], divergence=divergence, **budget)
    assert (found.value, found.excess, found.multiplier) == (2.0, 0.0, 0.0)
    assert found.weights[2] == found.weights[3] == 0.0


@pytest.mark.parametrize("divergence", SMOOTH, ids=truth.label)
def test_slack_ball_is_the_argmax_in_proportion_to_the_base(divergence):
    scores, base = np.array([1.0, 4.0, 4.0, 4.0, 2.0]), np.array([0.1, 0.2, 0.3, 0.0, 0.4])
    ceiling = truth.ceiling(scores, divergence, base)
    if ceiling == truth.mpmath.inf:
        pytest.skip("never slack")
    for factor in (1.0 + 1e-12, 2.0, 1e3):
        found = dro.worst_case(scores, radius=float(ceiling) * factor, divergence=divergence, base=base)
        assert found.multiplier == 0.0
        assert np.allclose(found.weights, [0.0, 0.4, 0.6, 0.0, 0.0], rtol=0, atol=1e-15)
        assert found.value == pytest.approx(4.0, rel=1e-15)
        assert found.radius == pytest.approx(float(ceiling), rel=1e-12)


TV_CASES = {
    "inside an atom": (0.15, 0.15),
    "break point": (Fraction(1, 3), 1.0 / 3.0),
    "break point of many atoms": (Fraction(1, 2), 0.5),
    "tiny": (1e-300, 1e-300),
    "near the slack": (5.0 / 6.0 - 1e-12, 5.0 / 6.0 - 1e-12),
    "slack": (Fraction(5, 6), 5.0 / 6.0),
    "all of it": (1, 1.0),
}


@pytest.mark.parametrize("case", TV_CASES)
def test_total_variation_is_exact_with_the_right_derivative_at_break_points(case):
    exact_radius, radius = TV_CASES[case]
    scores = np.array([0.3, -1.0, 2.5, 0.0, 1.75, -0.5])
    value, excess, multiplier, weights = truth.total_variation(scores, exact_radius)
    found = dro.worst_case(scores, radius=radius, divergence="tv")
    assert close(found.excess, excess, 1e-14)
    assert abs(found.value - value) <= 1e-15 * np.ptp(scores)
    assert close(found.multiplier, multiplier, 1e-15)
    assert np.allclose(by_score(scores, found.weights), by_score(scores, weights), rtol=0, atol=1e-15)
    assert found.gap <= 1e-14


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("radius", [1e-12, 0.07, 0.41])
def test_total_variation_on_every_hazard(pool, radius):
    scores, base = POOLS[pool]
    value, excess, multiplier, weights = truth.total_variation(scores, radius, base)
    found = dro.worst_case(scores, radius=radius, divergence="tv", base=base)
    assert close(found.excess, excess, 1e-13)
    assert close(found.multiplier, multiplier, 1e-15)
    assert abs(found.value - value) <= 1e-15 * np.ptp(scores) + np.spacing(np.max(np.abs(scores)))
    assert np.allclose(by_score(scores, found.weights), by_score(scores, weights), rtol=0, atol=1e-15)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("level", [0.01, 0.3, 0.77, 1.0])
def test_cvar_on_every_hazard(pool, level):
    scores, base = POOLS[pool]
    value, over, risk, weights = truth.value_at_risk(scores, level, base)
    found = dro.worst_case(scores, divergence=divergences.get("cvar", level=level), base=base)
    if level == 1.0:
        # the running sum of the base rounds: any value at risk below the last atoms of no mass would do
        assert np.allclose(by_score(scores, found.weights), by_score(scores, weights), rtol=0, atol=1e-15)
        return
    assert abs(found.value - value) <= 1e-15 * np.ptp(scores) + np.spacing(np.max(np.abs(scores)))
    assert abs(found.normalizer - risk) <= np.spacing(np.max(np.abs(scores)))
    assert abs(found.multiplier - over) <= 1e-15 * np.ptp(scores)
    assert np.allclose(by_score(scores, found.weights), by_score(scores, weights), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("exact", "level"), [(Fraction(1, 3), 1.0 / 3.0), (Fraction(1, 6), 1.0 / 6.0), (Fraction(1, 2), 0.5)]
)
def test_cvar_break_points_take_the_right_derivative_in_one_over_level(exact, level):
    scores = np.array([0.3, -1.0, 2.5, 0.0, 1.75, -0.5])
    value, over, risk, weights = truth.value_at_risk(scores, exact)
    found = dro.worst_case(scores, divergence=divergences.get("cvar", level=level))
    assert close(found.value, value, 1e-15)
    assert abs(found.multiplier - over) <= 1e-15
    assert abs(found.normalizer - risk) <= 1e-15
    assert np.allclose(by_score(scores, found.weights), by_score(scores, weights), rtol=0, atol=1e-15)


@pytest.mark.parametrize("divergence", SMOOTH, ids=truth.label)
def test_single_precision_reaches_1e_minus_5_and_comes_back_in_kind(divergence):
    scores, base = POOLS["ordinary"]
    single = scores.astype(np.float32)
    exact = truth.worst_case(single, divergence, base, radius=0.2)
    found = dro.worst_case(single, radius=0.2, divergence=divergence, base=base.astype(np.float32))
    for name in ("value", "excess", "multiplier", "normalizer", "radius"):
        assert getattr(found, name).dtype == np.float32
        assert close(getattr(found, name), getattr(exact, name), 1e-5)
    assert found.weights.dtype == np.float32
    assert np.allclose(found.weights, exact.weights, rtol=1e-5, atol=0)


@pytest.mark.parametrize("order", ["variance", "skew"])
@pytest.mark.parametrize("divergence", SMOOTH, ids=truth.label)
def test_expansions_miss_by_their_next_order(divergence, order):
    # variance: error -phi''' gamma1 sigma / (3 phi''^2), a constant; skew: O(sqrt eta)
    scores, base = POOLS["skewed"]
    errors = []
    for radius in (1e-8, 1e-10):
        exact = truth.worst_case(scores, divergence, base, radius=radius).multiplier
        errors.append(exact - float(dro.temperature_of(scores, radius, divergence=divergence, approximation=order)))
    sigma = np.std(scores)
    skew = np.mean((scores - scores.mean()) ** 3) / sigma**3
    third = {"kl": 1 / 3, "reverse_kl": 2 / 3, "chi2": 0, "neyman": 1 / 2, "hellinger": 1, "js": 2}
    if isinstance(divergence, str):
        expected = third[divergence] * skew * sigma
        if order == "variance":
            assert errors[1] == pytest.approx(expected, abs=1e-3 * sigma)
    if order == "skew":
        assert abs(errors[0]) <= 1e-3 * sigma
        assert abs(errors[1]) <= 0.11 * abs(errors[0]) + 1e-9 * exact
