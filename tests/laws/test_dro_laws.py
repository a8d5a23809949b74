"""Laws every worst case obeys, whatever the divergence: invariances, bounds, certificates, forms and shapes."""

import importlib.util
import math
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drocl import divergences, dro

SOURCE = Path(__file__).parents[1] / "generators" / "dro_problems.py"
_spec = importlib.util.spec_from_file_location("dro_problems", SOURCE)
truth = importlib.util.module_from_spec(_spec)
sys.modules["dro_problems"] = truth
_spec.loader.exec_module(truth)

BALLS = (*truth.SMOOTH, "tv")
CONCAVE = [b for b in BALLS if b != divergences.get("renyi", order=2)]  # the last is tv
ALL = truth.ALL
seeds = st.integers(0, 2**32 - 1)
fuzz = settings(max_examples=12, deadline=None, derandomize=True)
every = pytest.mark.parametrize("divergence", ALL, ids=truth.label)
every_ball = pytest.mark.parametrize("divergence", BALLS, ids=truth.label)


def draw(seed, n=None):
    """Random scores, base and radius: rounded scores tie, some atoms have no mass, radii span the scales."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 40)) if n is None else n
    scores = rng.normal(size=n) * 10.0 ** rng.integers(-3, 4)
    if rng.random() < 0.3:
        scores = np.round(scores / np.max(np.abs(scores)) * 3.0)
    if rng.random() < 0.3:
        scores = np.exp(2.0 * rng.normal(size=n))
    base = rng.exponential(size=n) ** rng.integers(1, 4)
    base[rng.random(n) < 0.15] = 0.0
    base[rng.integers(n)] += 0.1
    radius = 10.0 ** rng.uniform(-9.0, 0.7)
    return scores, base, radius


def solve(divergence, scores, base, radius, **more):
    """Constrained form; cvar has its own size."""
    budget = {} if getattr(divergence, "name", "") == "cvar" else {"radius": radius}
    return dro.worst_case(scores, divergence=divergence, base=base, **budget, **more)


def law(base):
    return base / base.sum()


def span(scores, base):
    return float(np.ptp(scores[base > 0.0]))


@every
@fuzz
@given(seeds)
def test_permuting_the_atoms_permutes_the_weights_only(divergence, seed):
    scores, base, radius = draw(seed)
    order = np.random.default_rng(seed).permutation(len(scores))
    one, two = solve(divergence, scores, base, radius), solve(divergence, scores[order], base[order], radius)
    assert two.excess == pytest.approx(one.excess, rel=1e-10, abs=1e-300)
    assert two.multiplier == pytest.approx(one.multiplier, rel=1e-9, abs=1e-300)
    if divergence != "tv" and getattr(divergence, "name", "") != "cvar":
        assert np.allclose(two.weights, one.weights[order], rtol=1e-9, atol=1e-12)
        return
    for score in np.unique(scores):  # tied atoms are filled in order: their mass together is what the problem fixes
        assert two.weights[scores[order] == score].sum() == pytest.approx(one.weights[scores == score].sum(), abs=1e-13)


@every
@fuzz
@given(seeds, st.sampled_from([-3.0, 0.25, 1024.0]))
def test_translating_the_scores_translates_value_and_normalizer_only(divergence, seed, shift):
    scores, base, radius = draw(seed)
    scores = np.round(scores, 3)
    moved = scores + shift
    assert np.array_equal(np.argsort(moved, kind="stable"), np.argsort(scores, kind="stable"))
    one, two = solve(divergence, scores, base, radius), solve(divergence, moved, base, radius)
    size = np.max(np.abs(scores)) + abs(shift)
    assert abs(two.value - one.value - shift) <= 1e-14 * size
    assert abs(two.excess - one.excess) <= 1e-13 * size
    assert np.allclose(two.weights, one.weights, rtol=0, atol=1e-10 * max(1.0, size / max(span(scores, base), 1e-9)))


@every
@fuzz
@given(seeds, st.sampled_from([2.0**-300, 2.0**-7, 2.0**20, 2.0**300]))
def test_scaling_the_scores_scales_everything_but_the_weights(divergence, seed, factor):
    scores, base, radius = draw(seed)
    one, two = solve(divergence, scores, base, radius), solve(divergence, scores * factor, base, radius)
    for name in ("value", "excess", "multiplier", "normalizer"):
        assert getattr(two, name) == pytest.approx(getattr(one, name) * factor, rel=1e-14, abs=0.0)
    assert np.allclose(two.weights, one.weights, rtol=1e-14, atol=0)


@every
@fuzz
@given(seeds)
def test_splitting_an_atom_in_two_splits_its_weight(divergence, seed):
    scores, base, radius = draw(seed)
    i = int(np.argmax(base))
    split_scores, split_base = np.append(scores, scores[i]), np.append(base, 0.25 * base[i])
    split_base[i] *= 0.75
    one, two = solve(divergence, scores, base, radius), solve(divergence, split_scores, split_base, radius)
    assert two.excess == pytest.approx(one.excess, rel=1e-9, abs=1e-300)
    assert two.weights[i] + two.weights[-1] == pytest.approx(one.weights[i], rel=1e-9, abs=1e-12)
    if divergence != "tv" and getattr(divergence, "name", "") != "cvar":  # these fill tied atoms in order
        assert two.weights[i] == pytest.approx(3.0 * two.weights[-1], rel=1e-12)


@every
@fuzz
@given(seeds, st.sampled_from([-1e9, 0.0, 1e9, 1e300, math.inf, -math.inf]))
def test_an_atom_without_base_mass_might_as_well_not_be_there(divergence, seed, score):
    scores, base, radius = draw(seed)
    one = solve(divergence, scores, base, radius)
    two = solve(divergence, np.append(scores, score), np.append(base, 0.0), radius)
    assert two.weights[-1] == 0.0
    assert two.excess == pytest.approx(one.excess, rel=1e-9, abs=1e-300)
    assert two.multiplier == pytest.approx(one.multiplier, rel=1e-8, abs=1e-300)
    assert np.allclose(two.weights[:-1], one.weights, rtol=1e-9, atol=1e-12)


@every
@fuzz
@given(seeds)
def test_value_lies_between_the_mean_and_the_maximum(divergence, seed):
    scores, base, radius = draw(seed)
    found, q0 = solve(divergence, scores, base, radius), law(base)
    slop = 4 * np.spacing(np.max(np.abs(scores)))
    assert q0 @ scores - slop <= found.value <= np.max(scores[base > 0.0]) + slop
    assert found.excess >= 0.0
    assert found.value == pytest.approx(q0 @ scores + found.excess, abs=1e-14 * np.max(np.abs(scores)))


# a Renyi radius of order above 1 is a concave function of its carrier's: its value need not be concave
@pytest.mark.parametrize("divergence", CONCAVE, ids=truth.label)
@fuzz
@given(seeds)
def test_multiplier_falls_and_value_is_concave_in_the_radius(divergence, seed):
    scores, base, _ = draw(seed)
    radii = np.geomspace(1e-6, 6.0, 40)
    found = solve(divergence, np.tile(scores, (40, 1)), base, radii)
    spread = span(scores, base)
    assert np.all(np.diff(found.multiplier) <= 1e-9 * found.multiplier[:-1])
    assert np.all(np.diff(found.excess) >= -1e-14 * spread)
    # a chord of a concave function: its slope lies between the derivatives at its ends
    slopes = np.diff(found.excess) / np.diff(radii)
    slack = 1e-14 * spread / np.diff(radii) + 1e-9 * found.multiplier[:-1]
    assert np.all(slopes <= found.multiplier[:-1] + slack)
    assert np.all(slopes >= found.multiplier[1:] - slack)


@fuzz
@given(seeds)
def test_kl_is_at_most_the_log_of_one_plus_pearson(seed):
    scores, base, radius = draw(seed)
    weights, q0 = solve("chi2", scores, base, radius).weights, law(base)
    pearson, kl = (divergences.get(name).between(weights, q0) for name in ("chi2", "kl"))
    assert 0.0 <= kl <= math.log1p(pearson) * (1 + 1e-12) + 1e-15
    # hence the Pearson ball lies inside the KL ball of that radius, which can only be worse
    wide = solve("kl", scores, base, math.log1p(radius)).excess
    assert wide >= solve("chi2", scores, base, radius).excess * (1.0 - 1e-12)


@every
@fuzz
@given(seeds)
def test_batch_equals_loop(divergence, seed):
    rng = np.random.default_rng(seed)
    scores, base = rng.normal(size=(3, 2, 7)), rng.exponential(size=(3, 2, 7)) + 0.01
    radius = 10.0 ** rng.uniform(-6, 0.5, size=(3, 2))
    many = solve(divergence, scores, base, radius)
    for i in range(3):
        for j in range(2):
            one = solve(divergence, scores[i, j], base[i, j], radius[i, j])
            assert many.excess[i, j] == pytest.approx(one.excess, rel=1e-11)
            assert many.multiplier[i, j] == pytest.approx(one.multiplier, rel=1e-10)
            assert np.allclose(many.weights[i, j], one.weights, rtol=1e-10, atol=1e-14)
            assert many.value[i, j] == pytest.approx(one.value, abs=1e-14 * np.max(np.abs(scores)))


@pytest.mark.parametrize("divergence", CONCAVE[:-1], ids=truth.label)
@fuzz
@given(seeds, st.floats(-4.0, -0.5))
def test_penalised_and_constrained_forms_are_the_same_problem(divergence, seed, exponent):
    rng = np.random.default_rng(seed)
    scores, base = rng.normal(size=15), rng.exponential(size=15) + 0.01
    radius = 10.0**exponent
    ball = solve(divergence, scores, base, radius)
    if ball.multiplier == 0.0:
        return
    price = dro.worst_case(scores, temperature=ball.multiplier, divergence=divergence, base=base)
    assert price.radius == pytest.approx(radius, rel=1e-9)
    assert price.excess == pytest.approx(ball.excess, rel=1e-9)
    assert price.value == pytest.approx(ball.value - ball.multiplier * radius, rel=1e-11, abs=1e-12)
    assert np.allclose(price.weights, ball.weights, rtol=1e-9, atol=1e-13)
    assert price.multiplier == ball.multiplier
    # and the two maps between radius and temperature undo each other
    tau = dro.temperature_of(scores, radius, divergence=divergence, base=base)
    assert tau == ball.multiplier
    assert dro.radius_of(scores, tau, divergence=divergence, base=base) == price.radius


def test_penalised_tv_moves_what_lies_more_than_the_price_below():
    found = dro.worst_case([0.0, 1.0, 3.0, 4.0], temperature=2.0, divergence="tv")
    assert np.array_equal(found.weights, [0.0, 0.0, 0.25, 0.75])
    assert (found.radius, found.value, found.multiplier) == (0.5, 2.75, 2.0)


@every_ball
@fuzz
@given(seeds)
def test_weights_are_a_law_inside_the_ball_and_attain_the_value(divergence, seed):
    scores, base, radius = draw(seed)
    found, q0 = solve(divergence, scores, base, radius), law(base)
    assert np.all(found.weights >= 0.0)
    assert found.weights.sum() == pytest.approx(1.0, abs=1e-14)
    spent = divergences.get(divergence).between(found.weights, q0)
    # weights hold 53 bits: their divergence cannot be known better, and tv not to second order
    rounding = 2.0**-50 * (1.0 if divergence == "tv" else math.sqrt(radius))
    assert spent <= radius * (1 + 1e-12) + rounding
    assert found.radius <= radius * (1 + 1e-12)
    assert spent == pytest.approx(found.radius, rel=1e-9, abs=1e-14)
    assert found.weights @ scores == pytest.approx(found.value, abs=1e-13 * np.max(np.abs(scores)))


@every
@settings(max_examples=60, deadline=None, derandomize=True)
@given(seeds)
def test_every_result_is_certified_and_nothing_warns(divergence, seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 120))
    scores, base, _ = draw(seed, n)
    batch = np.tile(scores, (6, 1)) + (rng.random((6, 1)) < 0.2) * 1e8
    radii = 10.0 ** rng.uniform(-300.0 if rng.random() < 0.2 else -12.0, 1.0, size=6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = solve(divergence, batch, base, radii)
        names = ("value", "multiplier", "normalizer", "radius", "excess", "gap", "weights")
        outputs = [getattr(found, name) for name in names]
    assert all(np.all(np.isfinite(a)) for a in outputs)
    assert np.all(found.gap <= 1e-13 * np.ptp(batch[:, base > 0.0], axis=-1))
    assert np.all(found.gap >= 0.0)


@every_ball
@fuzz
@given(seeds)
def test_the_dual_pair_bounds_the_value_by_the_printed_conjugate(divergence, seed):
    # weak duality in the library's own phi*: alpha (eta + E phi*((f - beta)/alpha)) + beta >= value, with equality here
    scores, base, _ = draw(seed)
    chosen = divergences.get(divergence)
    if not chosen.is_phi:
        return
    q0, radius = law(base), 0.02
    found = solve(divergence, scores, base, radius)
    if found.multiplier == 0.0:
        return
    conjugate = chosen.conjugate((scores[q0 > 0] - found.normalizer) / found.multiplier * (1 - 1e-15))
    dual = found.normalizer + found.multiplier * (radius + q0[q0 > 0] @ conjugate)
    size = np.max(np.abs(scores)) + found.multiplier
    assert dual == pytest.approx(found.value, abs=1e-12 * size)


class TestForms:
    @every
    def test_numpy_equals_torch(self, divergence):
        torch = pytest.importorskip("torch")
        rng = np.random.default_rng(3)
        scores, base, radius = rng.normal(size=(4, 6)), rng.exponential(size=6), np.array([1e-7, 0.02, 0.3, 50.0])
        one = solve(divergence, scores, base, radius)
        two = solve(divergence, torch.tensor(scores), torch.tensor(base), torch.tensor(radius))
        for name in ("value", "multiplier", "normalizer", "radius", "excess", "gap", "weights"):
            assert isinstance(getattr(two, name), torch.Tensor)
            assert np.array_equal(getattr(two, name).numpy(), getattr(one, name))

    @every
    @pytest.mark.parametrize("dim", [0, 1, 2, -1, -2, -3])
    def test_dim_names_the_axis_of_the_atoms(self, divergence, dim):
        scores = np.random.default_rng(4).normal(size=(3, 4, 5))
        found = solve(divergence, scores, None, 0.1, dim=dim)
        rolled = solve(divergence, np.moveaxis(scores, dim, -1), None, 0.1)
        assert np.array_equal(found.value, rolled.value)
        assert np.array_equal(np.moveaxis(found.weights, dim, -1), rolled.weights)

    def test_base_has_the_axes_of_the_scores_when_it_has_more_than_one(self):
        rng = np.random.default_rng(5)
        scores, base = rng.normal(size=(5, 3)), rng.exponential(size=(5, 3))
        found = dro.worst_case(scores, radius=0.1, base=base, dim=0)
        turned = dro.worst_case(scores.T, radius=0.1, base=base.T)
        assert np.array_equal(found.weights, turned.weights.T)

    def test_radius_and_base_broadcast_against_the_batch(self):
        rng = np.random.default_rng(6)
        scores = rng.normal(size=(2, 3, 4))
        radius, base = np.array([[0.1], [0.5]]), rng.exponential(size=(3, 4))
        found = dro.worst_case(scores, radius=radius, base=base)
        assert found.value.shape == (2, 3)
        for i in range(2):
            for j in range(3):
                one = dro.worst_case(scores[i, j], radius=radius[i, 0], base=base[j])
                assert found.value[i, j] == pytest.approx(one.value, rel=1e-13)
        shared = dro.worst_case(scores, temperature=0.5, base=base[0])
        spelled = dro.worst_case(scores, temperature=np.full((2, 3), 0.5), base=np.broadcast_to(base[0], (2, 3, 4)))
        assert np.allclose(shared.value, spelled.value, rtol=1e-14, atol=1e-15)

    def test_lists_integers_and_empty_batches_are_served(self):
        assert dro.worst_case([0, 1], radius=0.130812).value.dtype == np.float64
        empty = dro.worst_case(np.zeros((0, 4)), radius=0.1)
        assert empty.value.shape == (0,)
        assert empty.weights.shape == (0, 4)

    def test_base_need_not_sum_to_one(self):
        one = dro.worst_case([0.0, 1.0, 3.0], radius=0.2, base=[0.25, 0.25, 0.5])
        two = dro.worst_case([0.0, 1.0, 3.0], radius=0.2, base=[2.0**600, 2.0**600, 2.0**601])
        assert one.value == two.value


class TestEdges:
    @every_ball
    def test_no_radius_is_the_base_law_at_infinite_price(self, divergence):
        scores, base = np.array([1.0, 5.0, 2.0]), np.array([0.5, 0.25, 0.25])
        found = solve(divergence, scores, base, 0.0)
        assert found.value == 2.25
        assert found.excess == found.radius == 0.0
        assert np.array_equal(found.weights, base)
        assert found.multiplier == (4.0 if divergence == "tv" else math.inf)

    @every
    def test_plus_infinity_on_the_support_makes_the_value_infinite(self, divergence):
        found = solve(divergence, np.array([1.0, math.inf, 2.0]), None, 0.1)
        assert found.value == math.inf
        assert np.all(np.isfinite(found.weights))

    @pytest.mark.parametrize("divergence", ["kl", "js", "chi2", divergences.get("cressie_read", k=3)], ids=truth.label)
    def test_minus_infinity_is_the_limit_of_ever_lower_scores(self, divergence):
        scores, base = np.array([0.3, 1.0, -0.5, 0.0]), np.array([0.3, 0.2, 0.3, 0.2])
        low, dead = scores.copy(), scores.copy()
        low[-1], dead[-1] = -1e4, -math.inf
        for radius in (0.3, 0.6):
            one, two = solve(divergence, low, base, radius), solve(divergence, dead, base, radius)
            assert one.weights[-1] <= 1e-4
            assert two.weights[-1] == 0.0
            if one.weights[-1] == 0.0:
                assert two.value == pytest.approx(one.value, abs=1e-11)  # eps of the range
                assert two.multiplier == pytest.approx(one.multiplier, rel=1e-9, abs=1e-11)
                assert np.allclose(two.weights, one.weights, rtol=1e-9, atol=1e-15)
            else:
                assert two.value >= one.value

    @every_ball
    def test_minus_infinity_that_the_ball_cannot_avoid_is_the_value(self, divergence):
        found = solve(divergence, np.array([0.0, 1.0, -math.inf]), None, 1e-3)
        assert found.value == -math.inf
        avoided = solve(divergence, np.array([0.0, 1.0, -math.inf]), None, 2.0)
        chosen = divergences.get(divergence)
        if chosen.at_zero == math.inf and chosen.is_phi:  # an empty atom costs infinitely much
            assert avoided.value == -math.inf
        else:
            q0 = np.full(3, 1 / 3)
            assert avoided.weights[2] == 0.0
            assert chosen.between(avoided.weights, q0) == pytest.approx(float(avoided.radius), rel=1e-9)
            assert avoided.radius <= 2.0 * (1 + 1e-12)
            assert avoided.value == pytest.approx(float(avoided.weights[1]), rel=1e-12)

    def test_cost_of_avoiding_minus_infinity_under_kl_is_minus_log_of_what_is_left(self):
        scores, least = np.array([0.0, 1.0, -math.inf]), math.log(1.5)
        assert dro.worst_case(scores, radius=least * (1 - 1e-9)).value == -math.inf
        just = dro.worst_case(scores, radius=least * (1 + 1e-9))
        assert just.value == pytest.approx(0.5, abs=1e-4)

    def test_cvar_takes_minus_infinity_only_when_its_tail_reaches_it(self):
        scores = np.array([0.0, 1.0, 2.0, -math.inf])
        assert solve(divergences.get("cvar", level=0.75), scores, None, None).value == 1.0
        assert solve(divergences.get("cvar", level=0.76), scores, None, None).value == -math.inf


def test_threads_change_nothing(monkeypatch):
    scores = np.random.default_rng(0).standard_normal((600, 1000))  # enough to be shared out
    found, used = [], []
    pool = dro.solve.ThreadPoolExecutor
    monkeypatch.setattr(dro.solve, "ThreadPoolExecutor", lambda count: used.append(count) or pool(count))
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1}, raising=False)
    for threads in ("1", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        found.append(dro.worst_case(scores, radius=0.1))
    assert used == [2]
    assert np.array_equal(found[0].value, found[1].value)
    assert np.array_equal(found[0].weights, found[1].weights)
