"""Simulations of trained encoders: paired seeds, a control that finds what it must, and what is not here said to be not run."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from drocl import catalogue  # noqa: E402
from drocl.encoders import Diverged, _losses, data  # noqa: E402
from drocl.report.figures import _module, _table  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
HOUSE = catalogue.find(ROOT)
NAMES = sorted(path.stem.removeprefix("sim_") for path in HOUSE.files("simulations") if path.stem.startswith("sim_encoder_"))


def simulation(name):
    return _module(HOUSE, "simulations", ROOT / "simulations" / f"sim_{name}.py")


def figure(name):
    return _module(HOUSE, "figures", ROOT / "figures" / f"fig_{name}.py")


shared = _module(HOUSE, "simulations", ROOT / "simulations" / "_encoders.py")
looks = _module(HOUSE, "figures", ROOT / "figures" / "_losses.py")


def row(seed, probe, status="ok", **more):
    return {"seed": seed, "probe": probe, "status": status, "why": "" if status == "ok" else "because", **more}


# Means and differences


def test_differences_pair_runs_of_one_seed_whatever_their_order():
    first, second = [row(0, 0.9), row(1, 0.5)], [row(1, 0.4), row(0, 0.8)]
    found = shared.difference(first, second)
    assert found["gain"] == pytest.approx(0.1)
    assert found["gain_high"] - found["gain_low"] < 1e-9, "the spread that both share is gone"


def test_a_run_that_did_not_end_is_in_no_mean_and_in_no_pair():
    rows = [row(0, 0.9), row(1, math.nan, "diverged"), row(2, 0.7)]
    (mean,) = shared.means([{**r, "loss": "a"} for r in rows], ("loss",), ("probe",))
    assert (mean["status"], mean["why"], mean["seeds"]) == ("diverged", "because", 2)
    assert mean["probe"] == pytest.approx(0.8)
    assert shared.difference(rows, rows)["pairs"] == 2


def test_interval_covers_nine_of_ten():
    made = torch.Generator().manual_seed(0)
    draws = torch.randn((1000, 4), generator=made, dtype=torch.float64).tolist()
    hits = sum(low <= 0.0 <= high for _, low, high in map(shared.interval, draws))
    assert 870 <= hits <= 930


def test_equal_items_are_run_once(monkeypatch):
    ran = []
    monkeypatch.setattr(shared, "part", lambda *item: ran.append(item) or {"n": item[0]})
    assert [found["n"] for found in shared.gather([(1,), (2,), (1,)])] == [1, 2, 1]
    assert len(ran) == 2


# Losses


@pytest.mark.parametrize("name", shared.LOSSES)
def test_losses_are_those_of_the_library_and_have_a_look(name):
    assert _losses.make(*shared.loss_of(name, 0.5, 64)) is not None
    assert name in looks.LOSSES


def test_no_two_losses_look_alike():
    drawn = [(color, marker, str(line)) for color, marker, line, _ in (looks.LOSSES[name] for name in shared.LOSSES)]
    assert len(set(drawn)) == len(drawn)


def test_balls_of_like_size_are_alike_to_second_order():
    dro = simulation("encoder_dro")
    scores = torch.randn((50, 4000), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    from drocl import divergences
    from drocl.dro import worst_case

    excess = {}
    for name in ("kl", "chi2", "hellinger", "js"):
        given = dro.radius_of(name, 0.001)
        found = worst_case(scores, radius=given["radius"], divergence=divergences.get(name))
        excess[name] = float(((found.weights * scores).sum(1) - scores.mean(1)).mean())
    for name, value in excess.items():
        assert value == pytest.approx(math.sqrt(2 * 0.001), rel=0.05), name


# The matched temperature


def cosines(anchors=40, count=60, seed=0):
    return torch.rand((anchors, count), generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2.0 - 1.0


def test_wide_adnce_is_matched_by_its_own_temperature():
    scores = cosines()
    found = simulation("encoder_adnce_matched").match(scores, scores > 0.8, tau=0.3, mu=0.7, sigma=50.0)
    assert found["matched"] == pytest.approx(0.3, rel=1e-2)
    assert found["matched_radius"] == pytest.approx(0.3, rel=1e-2)
    assert found["left"] < 1e-3


def test_narrow_adnce_is_matched_by_no_temperature():
    scores = cosines()
    module = simulation("encoder_adnce_matched")
    tau, mu, sigma = module.SETTINGS["narrow"]
    assert sigma**2 < tau * (1.0 - mu)
    found = module.match(scores, scores > 0.8, tau, mu, sigma)
    assert found["left"] > 0.1
    assert found["mass_adnce"] < found["mass_matched"]


def test_the_match_is_the_best_of_a_fine_grid():
    scores = cosines(seed=1)
    found = simulation("encoder_adnce_matched").match(scores, scores > 0.8, tau=0.5, mu=0.7, sigma=0.5)
    weights = torch.softmax(scores / 0.5 - (scores - 0.7) ** 2 / 0.5, dim=1)
    grid = [0.05 * 1.02**i for i in range(250)]
    best = min(float((torch.softmax(scores / tau, dim=1) - weights).abs().sum(1).mean()) / 2 for tau in grid)
    assert found["left"] <= best + 1e-6


# Choosing


def test_the_tuned_temperature_looks_at_training_examples_alone():
    module = simulation("encoder_temperature")
    config = replace(module.PROFILES["quick"], losses=("info_nce",), temperatures=(0.2, 0.5), seeds=(0, 1))
    train, test = {0.2: 0.9, 0.5: 0.8}, {0.2: 0.1, 0.5: 0.99}
    runs = [
        row(seed, test[tau], loss="info_nce", tau=tau, knn_train=train[tau]) for tau in config.temperatures for seed in config.seeds
    ]
    curves = shared.means(runs, ("loss", "tau"), module.MEASURES)
    (choice,) = module._choices(config, runs, curves)
    assert choice["tau"] == 0.2
    assert choice["probe"] == pytest.approx(0.1)
    assert choice["at_tau0"] == pytest.approx(0.99)


# What is not here, and what does not end


@pytest.mark.parametrize("name", NAMES)
def test_without_its_data_a_simulation_says_so_and_its_figure_too(name, tmp_path, monkeypatch):
    monkeypatch.setenv("DROCL_DATA", str(tmp_path))
    module = simulation(name)
    config = module.PROFILES["quick"]
    missing = {"graphs": "MUTAG", "text": "stsb"} if hasattr(config, "graphs") else {"data": "cifar10"}
    result = module.run(replace(config, seeds=(0,), **missing))
    rows = [column for table in result.values() for column in table.get("status", [])]
    assert rows
    assert set(rows) == {"not run"}
    assert any("not in the cache" in why for table in result.values() for why in table.get("why", []))
    assert "not run" in str(module.report(result))
    drawn, table = figure(name).draw(result)
    drawn.draw_without_rendering()
    assert _table(name, table)
    written = " ".join(text.get_text() for ax in drawn.axes for text in ax.texts)
    assert "not run" in written


def test_a_loss_that_is_no_longer_finite_is_a_row_of_its_own(monkeypatch):
    def train(*_, **__):
        raise Diverged("step 3: the loss is nan; a lower learning_rate may help")

    monkeypatch.setattr("drocl.encoders.train", train)
    config = simulation("encoder_temperature").PROFILES["quick"]
    found = shared.part(shared.fields(config, 0, *shared.loss_of("info_nce", 0.5, 64)), ("probe",), config.penalties)
    assert found["status"] == "diverged"
    assert math.isnan(found["probe"])
    assert set(found) == set(shared.blank(("probe",)))


def test_a_run_that_diverges_is_such_a_row():
    config = replace(simulation("encoder_temperature").PROFILES["quick"], learning_rate=1e30)
    given = shared.fields(config, 0, *shared.loss_of("info_nce", 0.5, 64), optimizer="sgd")
    assert shared.part(given, ("probe",), config.penalties)["status"] == "diverged"


def test_an_error_that_is_no_divergence_is_raised(monkeypatch):
    def train(*_, **__):
        raise RuntimeError("something else")

    monkeypatch.setattr("drocl.encoders.train", train)
    with pytest.raises(RuntimeError, match="something else"):
        shared.part({}, (), ())


# The stand-ins


def test_the_rules_are_two_classes_of_trees(tmp_path):
    pytest.importorskip("torch_geometric")
    found = data.load(str(simulation("encoder_graphs_text").write_rules(tmp_path, count=20)))
    assert found.kind == "graph"
    assert found.train.labels.bincount().tolist() == [10, 10]
    for graph in found.train.inputs:
        assert graph.edge_index.shape[1] == 2 * (len(graph.x) - 1), "a tree, both directions"


def test_the_grammar_is_scored_by_words_in_common(tmp_path):
    found = data.load(str(simulation("encoder_graphs_text").write_grammar(tmp_path)))
    (pairs,) = found.pairs.values()
    for first, second, score in zip(pairs.first, pairs.second, pairs.scores.tolist(), strict=True):
        alike = sum(a == b for a, b in zip(first.split(), second.split(), strict=True)) / len(first.split())
        assert score == pytest.approx(5.0 * alike, abs=1e-3)
