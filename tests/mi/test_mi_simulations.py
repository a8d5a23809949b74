"""The simulations of mutual information at tiny sizes: tables that add up, parts that are kept, and a gradient by hand."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from drocl import catalogue, mi, parts, results
from drocl.mi import tasks
from drocl.mi.critics import Separable

HOUSE = catalogue.find(Path(__file__).resolve().parents[2])


def load(name: str, folder: str = "simulations") -> Any:
    return HOUSE.load(folder, HOUSE.root / folder / f"{name}.py")


_critic, _bridge, _estimates, _margins, _run, _staircase = map(
    load, ("_critic", "_bridge", "_estimates", "_margins", "_run", "_staircase")
)
sim_mi_staircase, sim_mi_tasks, sim_mi_sweeps, sim_mi_calibration, sim_mi_tight_loose = map(
    load, ("sim_mi_staircase", "sim_mi_tasks", "sim_mi_sweeps", "sim_mi_calibration", "sim_mi_tight_loose")
)
SMALL = _staircase.Setting(dimension=2, levels=(0.5, 1.0), batch=16, steps=40, tail=20, hidden=(8,), embed=4)
SIMULATIONS = (sim_mi_staircase, sim_mi_tasks, sim_mi_sweeps, sim_mi_calibration, sim_mi_tight_loose)


def rows(table: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(table, cells, strict=True)) for cells in zip(*table.values(), strict=True)]


def small(config: Any, **changes: Any) -> Any:
    sizes = {field.name: getattr(SMALL, field.name) for field in dataclasses.fields(_staircase.Setting)}
    return dataclasses.replace(config, **sizes, **changes)


# The critic


@pytest.mark.parametrize("opened", [False, True])
def test_the_gradient_by_hand_is_autograd_s(opened: bool) -> None:
    critic = Separable(3, 2, (8, 8), 4, generator=torch.Generator().manual_seed(0))
    if opened:
        _critic.open_up(critic)
    flat = _critic.Flat(critic)
    x, y = (torch.randn(6, d, generator=torch.Generator().manual_seed(d)) for d in (3, 2))
    objective = mi.objective("infonce")
    matrix = flat.bind(flat.weights).matrix(x, y)
    assert torch.equal(matrix, critic.matrix(x, y))
    sides = flat.bind(flat.weights)
    scores = sides.matrix(x, y).requires_grad_()
    (slope,) = torch.autograd.grad(objective.training(scores), scores)
    sides.backward(slope)
    objective.training(critic.matrix(x, y)).backward()
    layers = [layer for side in (critic.left, critic.right) for layer in side.layers]
    wanted = torch.cat([p.grad.flatten() for layer in layers for p in (layer.weight, layer.bias)])
    assert wanted.abs().max() > 1e-4
    torch.testing.assert_close(flat.gradient, wanted, rtol=1e-4, atol=1e-6)  # the order of sums in float32


def test_opened_networks_are_nearly_linear() -> None:
    critic = Separable(20, 20, (256, 256), 32, generator=torch.Generator().manual_seed(0))
    x = torch.randn(500, 20, generator=torch.Generator().manual_seed(1))

    def unexplained() -> float:
        left = critic.left(x).double()
        inputs = torch.cat([x.double(), torch.ones(500, 1, dtype=torch.float64)], 1)
        fitted = inputs @ torch.linalg.lstsq(inputs, left).solution
        return float((left - fitted).var() / left.var())

    closed = unexplained()
    _critic.open_up(critic)
    assert unexplained() < 0.05 < 0.2 < closed  # two layers lose about 1 % of the variance each


def test_margins_undo_an_increasing_map() -> None:
    plain, cubed = _margins.Margins(), _margins.Margins()
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        values = torch.randn(64, 3, generator=generator)
        first, second = plain(values), cubed(values**3)
    # the same quantiles; between two of them the map is not linear
    assert float((first - second).abs().mean()) < 0.01
    assert float((first - values).abs().mean()) < 0.05  # already normal: 8,192 values, a quantile's own error


def test_margins_take_values_beyond_all_seen() -> None:
    margins = _margins.Margins()
    for seed in range(8):
        margins(torch.randn(64, 1, generator=torch.Generator().manual_seed(seed)))
    ends = margins(torch.tensor([[-1e9], [0.0], [1e9]]))
    assert torch.isfinite(ends).all()
    assert float(ends[0]) < -2.0 < float(ends[1]) < 2.0 < float(ends[2])


# The staircase


def test_a_staircase_repeats_and_its_pairs_do_not_depend_on_the_training() -> None:
    one = _staircase.climb(SMALL, _staircase.own("infonce"), False, 3)
    again = _staircase.climb(SMALL, _staircase.own("infonce"), False, 3)
    other = _staircase.climb(SMALL, _staircase.own("infonce"), False, 4)
    assert one == again
    assert one["mean"] != other["mean"]
    still = dataclasses.replace(_staircase.own("infonce"), rate=0.0)
    readings = [
        _staircase.climb(SMALL, dataclasses.replace(still, objective=name), False, 3)["mean"]
        for name in ("dv", "infonce")
    ]
    assert readings[0] == readings[1]


def test_the_error_of_a_level_is_bias_squared_and_variance() -> None:
    found = rows(_staircase.climb(SMALL, _staircase.TRAININGS["js"], True, 0))
    assert {row["label"] for row in found} == {"js, plugin", "js, kl", "smile 5", "smile 1"}
    for row in found:
        bias, count = row["mean"] - row["level"], SMALL.tail
        assert row["error"] == pytest.approx(bias**2 + row["variance"] * (count - 1) / count, rel=1e-4)
        assert len(row["curve"]) == _staircase.POINTS


def test_the_floor_is_what_the_exact_log_ratio_has() -> None:
    setting = _staircase.Setting(dimension=3, levels=(1.0, 2.0), batch=32)
    rng = np.random.default_rng(0)
    total = 0.0
    for mi_ in setting.levels:
        task = tasks.get(f"staircase-3-{mi_:g}")
        x, y = task.sample(32 * 4000, rng)
        total += float(((task.log_ratio(x, y).reshape(4000, 32).mean(1) - mi_) ** 2).mean())
    assert total == pytest.approx(_staircase.floor(setting), rel=0.1)  # 4,000 squares have a relative error of 2 %


@pytest.mark.parametrize("training", _staircase.TRAININGS)
def test_every_training_has_finite_read_outs(training: str) -> None:
    found = _staircase.climb(dataclasses.replace(SMALL, steps=20, tail=10), _staircase.TRAININGS[training], False, 0)
    assert np.isfinite(found["mean"]).all()


@pytest.mark.slow
def test_a_trained_staircase_is_near_the_truth() -> None:
    small_, fast = {"dimension": 2, "hidden": (32, 32), "embed": 8}, {"steps": 800, "tail": 200, "learning_rate": 2e-3}
    setting = _staircase.Setting(levels=(0.7,), **small_, **fast)
    for cubic in (False, True):
        found = _staircase.climb(setting, _staircase.recommended(), cubic, 0)
        # 200 batches of deviation 0.12: 0.01; what training leaves and the constant's lag were up to 0.06 here
        assert found["mean"][0] == pytest.approx(0.7, abs=0.1)


def test_the_staircase_table_adds_up() -> None:
    config = small(sim_mi_staircase.Config(), trainings=("infonce", "drocl"), seeds=(0, 1), favoured=(0, 1, 2))
    found = sim_mi_staircase.run(config)
    for row in rows(found["sums"]):
        levels = [r for r in rows(found["levels"]) if (r["shape"], r["label"]) == (row["shape"], row["label"])]
        assert row["total"] == pytest.approx(sum(r["mse"] for r in levels))
        assert row["seeds"] == (3 if row["training"] == "drocl" else 2)
    assert len(sim_mi_staircase.report(found)) == 4


def test_the_free_scale_dual_bounds_renyi_s_divergence_and_is_met_by_the_log_ratio() -> None:
    joint = np.array([[0.4, 0.1], [0.1, 0.4]])  # two symbols: all pairs of a batch that holds them in these shares
    x = np.repeat([0, 0, 1, 1], (8, 2, 2, 8))
    y = np.repeat([0, 1, 0, 1], (8, 2, 2, 8))
    log_ratio = np.log(joint / 0.25)
    renyi = -2.0 * math.log(float((0.25 * np.exp(0.5 * log_ratio)).sum()))

    def value(critic: np.ndarray) -> float:
        pairs = torch.tensor(critic[x, y]), torch.tensor(critic[x][:, np.tile([0, 1], 10)])  # the margins are even
        return float(_bridge.FreeScale().training(pairs))

    assert value(log_ratio) == pytest.approx(renyi)
    assert value(log_ratio + 3.0) == pytest.approx(renyi)
    assert max(value(factor * log_ratio) for factor in (0.5, 0.9, 1.1, 2.0)) < renyi - 1e-4


def test_the_bridge_gives_the_constant_back() -> None:
    task = tasks.get("staircase-3-1.0")
    rng, bridge, shift = np.random.default_rng(0), _bridge.Bridge(400), 7.0
    read = []
    for _ in range(400):
        x, y = task.sample(64, rng)
        scores = task.log_ratio(np.repeat(x, 64, 0), np.tile(y, (64, 1))).reshape(64, 64)
        bridge.watch(torch.tensor(scores + shift))
        read.append(bridge.value(torch.tensor(scores + shift)))
    # the mean of 400 batches, whose standard error at the exact log-ratio is 0.005, and the bridge's own
    assert np.mean(read) == pytest.approx(1.0, abs=0.03)


# Tasks


def test_the_hard_twenty_are_twenty() -> None:
    assert len(_estimates.HARD) == 20
    assert set(_estimates.HARD) < set(tasks.BENCHMARK)


def test_scores_and_targets_judge_an_oracle_and_a_constant() -> None:
    def judged(value: Any) -> dict[str, str]:
        made = [
            {
                "task": name,
                "estimator": "it",
                "truth": tasks.get(name).mutual_information,
                "value": value(name),
                "seconds": 1.0,
            }
            for name in tasks.BENCHMARK
        ]
        return {row["metric"]: row["reached"] for row in sim_mi_tasks.reached(sim_mi_tasks._scores(made), "it")}

    assert set(judged(lambda name: tasks.get(name).mutual_information).values()) == {"stretch"}
    assert set(judged(lambda name: 0.0).values()) == {"no"}


def test_the_table_has_a_row_a_task_and_estimator() -> None:
    config = sim_mi_tasks.Config(tasks=sim_mi_tasks.FEW[:2], n=200, estimators=("cca", "ksg"))
    found = sim_mi_tasks.run(config)
    assert [(row["estimator"], row["task"]) for row in rows(found["estimates"])] == [
        (name, task) for name in ("cca", "ksg") for task in config.tasks
    ]
    assert found["targets"]["metric"] == []  # two tasks judge nothing
    assert sim_mi_tasks.report(found)


def test_sweeps_reach_every_size() -> None:
    config = sim_mi_sweeps.Config(
        samples=(50, 100), tasks=("1v1-normal-0.75",), dimensions=(1, 2), n=60, estimators=("cca",), seeds=(0, 1)
    )
    found = sim_mi_sweeps.run(config)
    assert found["samples"]["n"] == [50, 50, 100, 100]
    assert found["dimensions"]["d"] == [1, 1, 2, 2]
    assert {round(v, 6) for v in found["dimensions"]["truth"]} == {1.0}
    printed = sim_mi_sweeps.report(found)[0]
    gaps = np.subtract(found["samples"]["value"], found["samples"]["truth"])
    assert printed["n=100"] == pytest.approx(gaps[2:].mean())


# Coverage, signs


def test_coverage_counts_the_intervals_that_hold_the_truth() -> None:
    config = sim_mi_calibration.Config(tasks=sim_mi_calibration.FEW[:3], n=100, seeds=5, estimators=("cca",))
    found = sim_mi_calibration.run(config)
    held = [row["low"] <= row["truth"] <= row["high"] for row in rows(found["estimates"])]
    assert sum(found["coverage"]["held"]) == sum(held) == sum(found["by_task"]["held"])
    assert sum(found["coverage"]["intervals"]) == 15
    for row in rows(found["coverage"]):
        assert row["low"] <= row["share"] <= row["high"]
    assert found["coverage"]["half"] == ["gaussian", "hard"]


def test_an_exact_interval_is_calibrated_on_its_own_law() -> None:
    config = sim_mi_calibration.Config(tasks=("1v1-normal-0.75",), n=300, seeds=40, estimators=("cca",))
    share = sim_mi_calibration.run(config)["coverage"]["share"][0]
    assert 0.75 <= share <= 1.0  # 90 % of 40: two-sided 99.5 %


def test_pairs_have_the_same_seed_and_the_sign_test_its_p() -> None:
    rows_ = [
        {
            "divergence": "kl",
            "parametrise": "log_ratio",
            "read_out": "kl",
            "seed": s,
            "mi": 1.0,
            "tight": 1.0,
            "loose": 2.0,
        }
        for s in range(6)
    ]
    (found,) = sim_mi_tight_loose._signs(rows_)
    assert found["tight_better"] == 6
    assert found["p"] == pytest.approx(2.0 * 0.5**6)
    assert found["ratio"] == pytest.approx(2.0)


def test_closed_forms_say_where_the_variance_is_infinite() -> None:
    config = sim_mi_tight_loose.Config()
    one = [{"value": 1.0}]
    finite = {
        name: sim_mi_tight_loose._form(name, config, one)["finite_variance"] for name in sim_mi_tight_loose.INFORMATIONS
    }
    assert [name for name, is_finite in finite.items() if not is_finite] == ["alpha (Cressie-Read 1.5)", "chi2"]
    slight = dataclasses.replace(config, correlation=0.25)
    assert sim_mi_tight_loose._form("chi2", slight, one)["finite_variance"]


def test_tight_and_loose_run_on_the_same_pairs() -> None:
    config = small(
        sim_mi_tight_loose.Config(),
        divergences=("hellinger",),
        seeds=(0,),
        tasks=("1v1-normal-0.75",),
        pairs=100,
        sample_steps=5,
        informations=("KL",),
        n=120,
        repeats=1,
        phi_steps=5,
    )
    found = sim_mi_tight_loose.run(config)
    assert found["pairs"]["read_out"] == ["kl", "plugin", "kl", "plugin"]
    assert found["signs"]["on"] == ["stream", "stream", "1v1-normal-0.75"]
    assert found["signs"]["seeds"] == [1, 1, 1]
    assert math.isfinite(found["closed_forms"]["value"][0])
    assert sim_mi_tight_loose.report(found)


# Parts


def test_finished_parts_are_kept_and_others_run(tmp_path: Path) -> None:
    config = sim_mi_tasks.Config(tasks=sim_mi_tasks.FEW[:2], n=100, estimators=("cca",))
    seen: list[int] = []
    store = results.Store(tmp_path)
    for wanted in (config, dataclasses.replace(config, tasks=sim_mi_tasks.FEW[:3])):
        with parts.kept(store, progress=lambda done, total, name: seen.append(done)):
            found = sim_mi_tasks.run(wanted)
    assert seen == [1, 2, 3]  # two, then the one that was not there
    assert found["estimates"]["task"] == list(sim_mi_tasks.FEW[:3])
    assert len(list(tmp_path.glob("*.json"))) == 3


def test_a_part_that_fails_leaves_the_finished_ones(tmp_path: Path) -> None:
    items = [(sim_mi_tasks.FEW[0], 100, 0, "cca", 0.9), ("no such task", 100, 0, "cca", 0.9)]
    with parts.kept(results.Store(tmp_path)), pytest.raises(ValueError, match="no such task"):
        parts.gather(_estimates.part, items)
    assert len(list(tmp_path.glob("*.json"))) == 1


def test_simulations_that_ask_for_the_same_estimate_share_its_part(tmp_path: Path) -> None:
    seen: list[int] = []
    same = {"tasks": sim_mi_tasks.FEW[:1], "n": 100, "estimators": ("cca",)}
    with parts.kept(results.Store(tmp_path), progress=lambda done, total, name: seen.append(done)):
        one = sim_mi_tasks.run(sim_mi_tasks.Config(**same, seeds=(100,)))
        other = sim_mi_calibration.run(sim_mi_calibration.Config(**same, seeds=1))  # whose seeds begin at 100
    assert seen == [1]
    assert one["estimates"]["value"] == other["estimates"]["value"]


@pytest.mark.slow
def test_workers_give_the_same_parts(tmp_path: Path) -> None:
    config = sim_mi_tasks.Config(tasks=sim_mi_tasks.FEW[:2], n=100, estimators=("cca",))
    alone = rows(sim_mi_tasks.run(config)["estimates"])
    with parts.kept(results.Store(tmp_path), jobs=2):
        spread = rows(sim_mi_tasks.run(config)["estimates"])
    assert [{**row, "seconds": 0.0} for row in spread] == [{**row, "seconds": 0.0} for row in alone]


def test_jobs_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match="jobs=0"), parts.kept(None, jobs=0):
        pass


# Configurations


@pytest.mark.parametrize("module", SIMULATIONS, ids=lambda module: module.__name__.rsplit(".", 1)[-1])
def test_each_profile_is_more_work_than_the_one_before(module: Any) -> None:
    def work(config: Any) -> int:
        """Product of the numbers of pairs, steps, seeds, tasks, ...: what they multiply to is what a run takes."""
        values = [getattr(config, field.name) for field in dataclasses.fields(config)]
        counts = [len(v) if isinstance(v, tuple) else v for v in values if isinstance(v, (int, tuple))]
        return math.prod(max(count, 1) for count in counts)

    assert list(module.PROFILES) == ["quick", "standard", "paper"]
    quick, standard, paper = map(work, module.PROFILES.values())
    assert 4 * quick < standard < paper / 4


@pytest.mark.parametrize("module", SIMULATIONS, ids=lambda module: module.__name__.rsplit(".", 1)[-1])
def test_profiles_name_what_there_is(module: Any) -> None:
    for config in module.PROFILES.values():
        assert set(getattr(config, "estimators", ())) <= set(_estimates.ESTIMATORS)
        assert set(getattr(config, "trainings", ())) <= set(_staircase.TRAININGS)
        for name in getattr(config, "tasks", ()):
            assert tasks.get(name).mutual_information > 0.0


def test_fields_of_a_configuration_are_replaced_from_words() -> None:
    changed = _run.changed(sim_mi_tasks.Config(), ["n=300", "estimators=auto,ksg", "seeds=1,", "level=0.5"])
    assert (changed.n, changed.estimators, changed.seeds, changed.level) == (300, ("auto", "ksg"), (1,), 0.5)
    with pytest.raises(ValueError, match="the fields are"):
        _run.changed(sim_mi_tasks.Config(), ["m=300"])


def test_figures_name_every_read_out() -> None:
    estimators = load("_estimators", "figures")
    for name, training in _staircase.TRAININGS.items():
        assert {(name, read[0]) for read in training.reads} <= set(estimators.READS)
    assert set(_estimates.ESTIMATORS) <= set(estimators.NAMES)
