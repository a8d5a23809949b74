"""Laws of the fast solver: certificates, KKT feasibility, invariances, edges and gradients."""

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from drocl import divergences, dro

MEMBERS = (
    ("kl", {}), ("reverse_kl", {}), ("chi2", {}), ("neyman", {}), ("hellinger", {}), ("cressie_read", {"k": 3.0}),
    ("cressie_read", {"k": 1.5}), ("cressie_read", {"k": -0.5}), ("js", {}), ("tv", {}), ("renyi", {"order": 0.5}),
    ("renyi", {"order": 2.0}),
)  # fmt: skip
ALL = [divergences.get(name, **params) for name, params in MEMBERS]
by_label = pytest.mark.parametrize("divergence", ALL, ids=lambda d: d.label)


def problem(seed, low=2, high=40):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(low, high))
    return rng.normal(size=n) * 10.0 ** rng.uniform(-3, 3), rng.dirichlet(np.full(n, 0.5)) + 1e-12


@by_label
@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), log_radius=st.floats(-8, 1))
def test_every_answer_is_feasible_and_certified(divergence, seed, log_radius):
    scores, base = problem(seed)
    radius = 10.0**log_radius
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        best = dro.worst_case(scores, radius=radius, divergence=divergence, base=base)
    q0 = base / base.sum()
    assert best.weights.min() >= 0.0
    assert math.isclose(best.weights.sum(), 1.0, rel_tol=1e-12)
    assert divergence.between(best.weights, q0) <= radius * (1 + 1e-9) + 1e-14
    assert best.gap <= 1e-12 * np.ptp(scores)
    assert math.isclose(best.weights @ scores, best.value, rel_tol=1e-9, abs_tol=1e-12 * np.ptp(scores))


@by_label
@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), shift=st.floats(-1e3, 1e3), log_scale=st.floats(-6, 6))
def test_shift_and_scale_move_the_value_as_they_move_the_scores(divergence, seed, shift, log_scale):
    scores, base = problem(seed)
    scale = 10.0**log_scale
    plain = dro.worst_case(scores, radius=0.2, divergence=divergence, base=base)
    moved = dro.worst_case(scale * (scores + shift), radius=0.2, divergence=divergence, base=base)
    rounding = 1e-9 + 1e-13 * abs(shift) / np.ptp(scores)
    assert math.isclose(moved.excess, scale * plain.excess, rel_tol=rounding)
    assert math.isclose(moved.multiplier, scale * plain.multiplier, rel_tol=1e-6)


@by_label
@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6))
def test_order_of_atoms_split_atoms_and_empty_atoms_play_no_part(divergence, seed):
    scores, base = problem(seed)
    plain = dro.worst_case(scores, radius=0.1, divergence=divergence, base=base)
    order = np.random.default_rng(seed).permutation(scores.size)
    split_scores, split_base = np.append(scores, scores[0]), np.append(base, base[0] / 2)
    split_base[0] /= 2
    padded_scores, padded_base = np.append(scores, scores.max() + 1e6), np.append(base, 0.0)
    for f, q in ((scores[order], base[order]), (split_scores, split_base), (padded_scores, padded_base)):
        same = dro.worst_case(f, radius=0.1, divergence=divergence, base=q)
        assert math.isclose(same.value, plain.value, rel_tol=1e-9, abs_tol=1e-10 * np.ptp(scores))
        assert math.isclose(same.multiplier, plain.multiplier, rel_tol=1e-7)


@by_label
def test_value_is_concave_and_multiplier_falls_with_the_radius(divergence):
    scores, base = problem(3, 20, 21)
    radii = np.linspace(0.01, 0.25, 25)
    best = dro.worst_case(np.tile(scores, (25, 1)), radius=radii, divergence=divergence, base=base)
    slopes = np.diff(best.value) / np.diff(radii)
    if divergence.label != "renyi(order=2)":  # a function of a convex divergence, not one itself
        assert np.all(np.diff(slopes) <= 1e-9)
        assert np.all(np.diff(best.multiplier) <= 1e-12)
        # the slope over an interval lies between the multipliers at its ends
        assert np.all(slopes <= best.multiplier[:-1] + 1e-9)
        assert np.all(slopes >= best.multiplier[1:] - 1e-9)
    assert np.all(np.diff(best.value) > 0.0)


@by_label
def test_batch_equals_loop_and_torch_equals_numpy(divergence):
    rng = np.random.default_rng(5)
    scores, base = rng.normal(size=(3, 4, 11)), rng.dirichlet(np.ones(11), size=(3, 1))
    radius = rng.uniform(1e-6, 0.3, size=4)
    batch = dro.worst_case(scores, radius=radius, divergence=divergence, base=base)
    tensor = dro.worst_case(torch.from_numpy(scores), radius=torch.from_numpy(radius), divergence=divergence, base=base)
    for name in ("value", "multiplier", "weights", "normalizer", "radius", "gap"):
        assert np.array_equal(getattr(batch, name), getattr(tensor, name).numpy())
    moved = dro.worst_case(np.moveaxis(scores, -1, 0), radius=radius, divergence=divergence, base=base[0, 0], dim=0)
    assert moved.weights.shape == (11, 3, 4)
    for i in range(3):
        for j in range(4):
            one = dro.worst_case(scores[i, j], radius=radius[j], divergence=divergence, base=base[i, 0])
            assert math.isclose(one.value, batch.value[i, j], rel_tol=1e-12)
            assert math.isclose(one.multiplier, batch.multiplier[i, j], rel_tol=1e-9)


@by_label
def test_temperature_and_radius_are_inverse(divergence):
    if divergence.name == "tv" or divergence.label == "renyi(order=2)":
        pytest.skip("tv: a temperature belongs to an interval of radii; renyi of order > 1: no penalised form")
    scores, base = problem(8, 30, 31)
    tau = dro.temperature_of(scores, 0.07, divergence=divergence, base=base)
    assert math.isclose(dro.radius_of(scores, tau, divergence=divergence, base=base), 0.07, rel_tol=1e-9)
    penalised = dro.worst_case(scores, temperature=tau, divergence=divergence, base=base)
    constrained = dro.worst_case(scores, radius=0.07, divergence=divergence, base=base)
    assert math.isclose(penalised.value, constrained.value - tau * 0.07, rel_tol=1e-9)


@by_label
def test_edges_zero_radius_slack_ball_and_constant_scores(divergence):
    scores = np.array([0.0, 1.0, 2.0, 2.0])
    none = dro.worst_case(scores, radius=0.0, divergence=divergence)
    assert none.value == 1.25
    assert np.array_equal(none.weights, np.full(4, 0.25))
    assert none.multiplier == (2.0 if divergence.name == "tv" else math.inf)
    ceiling = divergence.radius_max(0.5)
    if math.isfinite(ceiling):
        slack = dro.worst_case(scores, radius=ceiling * 1.001, divergence=divergence)
        assert (slack.value, slack.multiplier) == (2.0, 0.0)
        assert np.array_equal(slack.weights, [0.0, 0.0, 0.5, 0.5])
    flat = dro.worst_case([3.0, 3.0, 9.0], radius=0.4, divergence=divergence, base=[1, 1, 0])
    assert (flat.value, flat.multiplier) == (3.0, 0.0)


@by_label
def test_infinite_scores(divergence):
    up = dro.worst_case([math.inf, 0.0, 1.0], radius=0.1, divergence=divergence)
    assert up.value == math.inf
    base = [0.1, 0.5, 0.4]
    down = dro.worst_case([-math.inf, 0.0, 1.0], radius=0.3, divergence=divergence, base=base)
    zero_is_free = divergence.radius_max(0.9) < math.inf
    assert (down.value > -math.inf) == zero_is_free
    if zero_is_free:
        assert down.weights[0] == 0.0
        assert divergence.between(down.weights, np.array(base)) <= 0.3 * (1 + 1e-9)
    forced = dro.worst_case([-math.inf, 0.0, 1.0], radius=1e-3, divergence=divergence, base=[0.5, 0.1, 0.4])
    assert forced.value == -math.inf


@pytest.mark.parametrize("level", [0.1, 0.25, 0.5, 1.0])
def test_cvar_is_the_mean_of_the_upper_tail(level):
    best = dro.worst_case([0.0, 1.0, 2.0, 3.0], divergence=divergences.get("cvar", level=level))
    expected = {0.1: (3.0, 0.0), 0.25: (3.0, 0.0), 0.5: (2.5, 0.25), 1.0: (1.5, 1.5)}[level]
    assert (best.value, best.multiplier) == pytest.approx(expected, abs=1e-15)


@by_label
def test_derivatives_of_every_order_match_differences(divergence):
    torch.manual_seed(0)
    scores = torch.randn(2, 6, dtype=torch.float64, requires_grad=True)
    radius = torch.tensor([0.05, 0.12], dtype=torch.float64, requires_grad=True)

    def outputs(f, eta):
        best = dro.worst_case(f, radius=eta, divergence=divergence)
        return (best.value, best.multiplier) if divergence.name == "tv" else (best.value, best.multiplier, best.weights)

    assert torch.autograd.gradcheck(outputs, (scores, radius), atol=1e-6)
    if divergence.name != "tv":
        assert torch.autograd.gradgradcheck(outputs, (scores, radius), atol=1e-5)
    best = dro.worst_case(scores, radius=radius, divergence=divergence)
    to_scores, to_radius = torch.autograd.grad(best.value.sum(), (scores, radius))
    assert torch.allclose(to_scores, best.weights, atol=1e-12)
    assert torch.allclose(to_radius, best.multiplier, rtol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scores": [math.nan, 1.0], "radius": 0.1}, "nan"),
        ({"scores": [1.0, 2.0], "radius": -1.0}, "radius=-1"),
        ({"scores": [1.0, 2.0], "temperature": 0.0}, "temperature=0"),
        ({"scores": [1.0, 2.0]}, "exactly one of radius and temperature"),
        ({"scores": [1.0, 2.0], "radius": 0.1, "temperature": 1.0}, "got both"),
        ({"scores": [1.0, 2.0], "radius": 0.1, "base": [-1.0, 2.0]}, "base=-1"),
        ({"scores": [1.0, 2.0], "radius": 0.1, "base": [0.0, 0.0]}, "all zero"),
        ({"scores": [1.0, 2.0], "radius": 0.1, "base": [1.0, 1.0, 1.0]}, "does not broadcast"),
        ({"scores": [1.0, 2.0], "radius": [0.1, 0.2]}, "does not broadcast"),
        ({"scores": [1.0, 2.0], "radius": 0.1, "divergence": "entropy"}, "reverse_kl"),
        ({"scores": [1.0, 2.0], "radius": 0.1, "divergence": "cressie_read"}, "takes exactly k"),
        ({"scores": [[1.0, 2.0], [3.0]], "radius": 0.1}, "regular shape"),
        ({"scores": [1.0, 2.0], "radius": 0.1, "dim": 2}, "dim=2"),
        ({"scores": [1.0, 2.0], "radius": 0.1, "divergence": divergences.get("cvar", level=0.5)}, "plays no part"),
        ({"scores": [1.0, 2.0], "temperature": 1.0, "divergence": divergences.get("renyi", order=2)}, "not concave"),
    ],
)
def test_wrong_inputs_name_the_argument(arguments, message):
    with pytest.raises(ValueError, match=message):
        dro.worst_case(**arguments)


@pytest.mark.parametrize("power", [5.0, 10.0, 20.0])
def test_steep_powers_keep_the_atom_that_is_about_to_be_clipped(power):
    # all of that atom's weight lies between two neighbouring values of the tilt
    divergence = divergences.get("cressie_read", k=power)
    rng = np.random.default_rng(int(power))
    scores = rng.normal(size=(400, 3))
    radius = divergence.radius_max(1 / 3) * rng.uniform(size=400) ** 3
    best = dro.worst_case(scores, radius=radius, divergence=divergence)
    assert np.all(best.gap <= 1e-12)
    assert np.all(divergence.between(best.weights, np.full(3, 1 / 3)) <= radius * (1 + 1e-9))
    priced = dro.worst_case(scores, temperature=rng.uniform(0.01, 2.0, size=400), divergence=divergence)
    assert np.all(priced.gap <= 1e-11)


def test_a_penalised_value_that_a_clip_once_hid():
    best = dro.worst_case(
        [1.6, 1.4, -1.0], temperature=0.23325673267627048, divergence=divergences.get("cressie_read", k=20)
    )
    assert best.value == pytest.approx(1.0952592929, abs=1e-10)
    assert np.allclose(best.weights, [0.44186963, 0.44001205, 0.11811832], atol=1e-8)
