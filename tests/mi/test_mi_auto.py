"""The estimator that chooses: by held-out pairs, honestly read out, and never silent about what it could not check."""

import warnings

import numpy as np
import pytest

from drocl import mi
from drocl.mi import tasks
from drocl.mi._auto_candidates import Candidate, Independent, choose
from drocl.mi._auto_canonical import CanonicalCopula
from drocl.mi._held import Held, bound
from drocl.mi.auto import Auto
from drocl.mi.copula import GaussianCopula

FAST = {"preset": "fast"}


def quiet(*args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mi.MIWarning)
        return mi.estimate(*args, **options)


class Exact:
    """The exact ratio of a task, as a model."""

    def __init__(self, task):
        self.task = task

    def log_ratio(self, x, y):
        return self.task.log_ratio(x, y)


def test_the_bound_of_the_exact_ratio_is_the_information_within_its_own_error():
    task = tasks.get("1v1-normal-0.75")
    x, y = task.sample(20_000, seed=1)
    value, error = bound(Exact(task), x, y)
    assert 0.002 < error < 0.01  # sd of the log-ratio is rho = 0.75: 0.75 / sqrt(20000) = 0.0053, and little for Q
    assert abs(value - task.mutual_information) < 4.0 * error


def test_the_bound_of_any_ratio_is_below_the_information():
    task = tasks.get("1v1-normal-0.75")
    x, y = task.sample(20_000, seed=2)

    class Wrong:
        def log_ratio(self, x, y):
            return 2.0 * task.log_ratio(x, y)

    value, error = bound(Wrong(), x, y)
    assert value < task.mutual_information - 4.0 * error


def test_standard_error_of_the_bound_is_its_spread_over_samples():
    task = tasks.get("1v1-normal-0.5")
    found = [bound(Exact(task), *task.sample(500, seed=s)) for s in range(200)]
    values, errors = np.array(found).T
    assert errors.mean() == pytest.approx(values.std(ddof=1), rel=0.2)  # 200 replicates know it to 5 %


def test_held_part_sees_every_x_and_every_y_as_often():
    x = np.arange(40.0)[:, None]

    class Sum:
        def log_ratio(self, x, y):
            return 0.01 * (x[:, 0] + y[:, 0])

    held = Held.of(Sum(), x, x)
    assert abs(held.influence.mean()) < 1e-12
    assert held.crossed.shape == (16, 40)
    assert held.value == pytest.approx(0.01 * 2 * 19.5 - held.log_mean)


@pytest.mark.parametrize(
    ("name", "chosen"),
    [("1v1-normal-0.75", "gaussian"), ("half_cube-1v1-normal-0.75", "gaussian"), ("student-identity-2-2-1", "student"),
     ("1v1-additive-0.1", "ksg"), ("spiral-multinormal-sparse-5-5-2-2.0", "canonical")],
)  # fmt: skip
def test_fast_preset_chooses_what_the_law_asks_for(name, chosen):
    task = tasks.get(name)
    found = quiet(*task.sample(4000, seed=4), folds=2, **FAST)
    assert found.details["chosen"] == chosen
    assert found.value == pytest.approx(task.mutual_information, rel=0.1)


@pytest.mark.slow
def test_network_finds_what_no_copula_does():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1.0, 1.0, (1000, 2))
    y = np.sign(x[:, :1] * x[:, 1:]) * (rng.random((1000, 1)) < 0.9) + 0.3 * rng.standard_normal((1000, 1))
    names = ("gaussian", "student")
    fast = quiet(x, y, candidates=names, folds=2, **FAST)
    full = quiet(x, y, candidates=(*names, "network"), folds=2, epochs=8)
    assert full.details["chosen"].endswith("network")
    assert full.value > fast.value + 0.1
    assert full.history


def test_estimate_is_reproducible_and_leaves_global_generators_alone():
    import torch

    x, y = tasks.get("1v1-normal-0.75").sample(400, seed=0)
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    before = (np.random.get_state()[1].copy(), torch.get_rng_state().clone())  # noqa: NPY002
    one, two = (quiet(x, y, epochs=2, folds=2, seed=5) for _ in range(2))
    assert (one.value, one.interval) == (two.value, two.interval)
    assert np.array_equal(before[0], np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(before[1], torch.get_rng_state())


def test_independent_blocks_give_nothing_and_an_interval_about_it():
    rng = np.random.default_rng(3)
    found = quiet(rng.standard_normal((3000, 3)), rng.standard_normal((3000, 3)), **FAST)
    assert abs(found.value) < 0.01
    assert found.interval[0] < 0.0 < found.interval[1]


def test_information_beyond_what_pairs_can_certify_is_said():
    x, y = tasks.get("staircase-20-10").sample(2000, seed=0)
    with pytest.warns(mi.MIWarning, match="log n"):
        found = mi.estimate(x, y, preset="fast", folds=2)
    assert any("held-out products check little" in text for text in found.warnings)


@pytest.mark.parametrize("n", [20, 50])
def test_few_pairs_are_enough_to_say_something(n):
    x, y = tasks.get("1v1-normal-0.75").sample(n, seed=0)
    found = quiet(x, y)
    assert found.interval[0] <= found.value <= found.interval[1]
    assert found.interval[1] - found.interval[0] > 0.1


def test_more_coordinates_than_pairs_say_that_nothing_was_found():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 40))
    with pytest.warns(mi.MIWarning, match="says nothing"):
        found = mi.estimate(x, x[:, :5] + rng.standard_normal((30, 5)), preset="fast")
    assert found.value == 0.0


def test_tied_values_are_not_read_out_by_a_model():
    rng = np.random.default_rng(1)
    label = rng.integers(0, 3, 3000)
    x = label[:, None] + 0.5 * rng.standard_normal((3000, 1))
    found = quiet(x, label, preset="fast", candidates=("gaussian",))
    assert found.details["readout"] == "kl"


def test_candidate_that_fails_is_named_and_takes_nobody_down():
    x, y = tasks.get("1v1-normal-0.75").sample(200, seed=0)
    found = quiet(x, y, **FAST)
    assert "not_used" in found.details["candidates"]["canonical"]


def test_choice_prefers_the_simple_within_noise_and_the_good_beyond_it():
    task = tasks.get("1v1-normal-0.75")
    x, y = task.sample(4000, seed=0)
    train, test = np.arange(2000), np.arange(2000, 4000)
    table = {}
    for name, model in (("gaussian", GaussianCopula.fit(x[train], y[train])), ("network", Exact(task))):
        table[name] = Candidate(name)
        table[name].add(lambda model=model: model, x, y, train, test, True)
    assert choose(table).name == "gaussian"
    table["gaussian"] = Candidate("gaussian")
    table["gaussian"].add(Independent, x, y, train, test, True)
    assert choose(table).name == "network"


def test_canonical_directions_undo_a_spiral():
    task = tasks.get("spiral-multinormal-sparse-5-5-2-2.0")
    x, y = task.sample(8000, seed=0)
    model = CanonicalCopula.fit(x[:6000], y[:6000], 0)
    plain = GaussianCopula.fit(x[:6000], y[:6000])
    assert bound(model, x[6000:], y[6000:])[0] > bound(plain, x[6000:], y[6000:])[0] + 0.3
    assert model.chosen["pairs"] == 2


def test_without_torch_no_network_is_tried_and_that_is_said(monkeypatch):
    monkeypatch.setattr("drocl.mi.auto.find_spec", lambda name: None)
    x, y = tasks.get("1v1-normal-0.75").sample(400, seed=0)
    with pytest.warns(mi.MIWarning, match="torch is not installed"):
        found = mi.estimate(x, y)
    assert "network" not in found.details["candidates"]


@pytest.mark.parametrize(
    ("options", "text"),
    [({"preset": "slow"}, "preset='slow'"), ({"candidates": ("cca",)}, "candidates"), ({"epochs": 0}, "epochs=0"),
     ({"candidates": ()}, "candidates")],
)  # fmt: skip
def test_bad_options_are_named(options, text):
    with pytest.raises(ValueError, match=text):
        Auto(**options)
