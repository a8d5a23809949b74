"""What is measured of features: against plain statements of the formulas, scikit-learn, closed forms, and the losses."""

import json
import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from drocl import divergences, losses
from drocl.encoders import evaluate
from drocl.encoders.evaluate import _check, probe
from drocl.encoders.models import ContrastiveModel, Projector

DOUBLE = torch.float64


def normal(*shape, seed=0, dtype=DOUBLE):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE).to(dtype)


def clusters(n=120, classes=3, width=6, spread=1.0, seed=0, dtype=DOUBLE):
    """Labelled rows about one centre a class, on uneven scales and off the origin."""
    y = torch.arange(n) % classes
    scale = torch.logspace(-1, 1, width, dtype=DOUBLE)
    x = (normal(classes, width, seed=7)[y] + spread * normal(n, width, seed=seed)) * scale + 3.0
    return x.to(dtype), y


# -- linear probe ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", [1.0, 1e-2, 1e-4])
@pytest.mark.parametrize(("n", "width", "classes"), [(120, 6, 3), (60, 6, 2), (40, 50, 4)])
def test_the_fit_is_the_optimum_that_sklearn_finds(penalty, n, width, classes):
    x, y = clusters(n, classes, width)
    x = (x - x.mean(0)) / x.std(0, correction=0)
    weights, bias = evaluate.logistic_regression(x, y, penalty, tolerance=1e-8)
    # two classes: one vector there, two here that are each other's negative, so that half the penalty gives the same law
    strength = (2.0 if classes == 2 else 1.0) / (n * penalty)
    peer = LogisticRegression(C=strength, tol=1e-10, max_iter=10_000)
    expected = peer.fit(x.numpy(), y.numpy()).predict_proba(x.numpy())
    found = torch.softmax(x @ weights.mT + bias, 1)
    np.testing.assert_allclose(found, expected, atol=2e-5)  # of the peer's own stopping rule
    assert float(weights.sum(0).abs().max()) < 1e-9 * (1.0 + float(weights.abs().max()))


def test_the_gradient_vanishes_at_the_fit():
    x, y = clusters()
    weights, bias = (part.requires_grad_() for part in evaluate.logistic_regression(x, y, 1e-3, tolerance=1e-9))
    loss = nn.functional.cross_entropy(x @ weights.mT + bias, y) + 0.5e-3 * weights.square().sum()
    for slope in torch.autograd.grad(loss, (weights, bias)):
        assert float(slope.abs().max()) < 1e-7


def test_single_precision_finds_the_same_law():
    x, y = clusters(300, spread=2.0)
    fits = [evaluate.linear_probe(x.to(t), y, x.to(t), y, penalties=[1e-3]) for t in (DOUBLE, torch.float32)]
    assert fits[0] == fits[1]


def test_half_precision_is_read():
    x, y = clusters(spread=0.3)
    assert evaluate.linear_probe(x.bfloat16(), y, x.bfloat16(), y).accuracy > 0.95


def test_blocks_of_rows_change_nothing(monkeypatch):
    x, y = clusters()
    weights, bias = normal(3, 6, seed=4), normal(3, seed=5)
    whole = probe._log_loss(x, y, weights, bias)
    real = _check.blocks
    monkeypatch.setattr(_check, "blocks", lambda n, width, chunk, entries=0: real(n, width, 7))
    for one, other in zip(probe._log_loss(x, y, weights, bias), whole, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


def test_accuracies_count_what_they_say():
    x, y = clusters(300, spread=0.05)
    tests = y.clone()
    tests[:10] = (tests[:10] + 1) % 3  # ten rows with a wrong label
    found = evaluate.linear_probe(x, y, x, tests)
    assert found.train_accuracy == 1.0
    assert found.accuracy == pytest.approx(1.0 - 10 / 300)
    expected = {c: 1.0 - float((y[:10] == (c - 1) % 3).sum()) / float((tests == c).sum()) for c in range(3)}
    assert found.per_class == pytest.approx(expected)


def test_scale_and_origin_of_a_feature_do_not_matter():
    x, y = clusters(300, spread=2.0)
    u, v = clusters(200, spread=2.0, seed=1)
    base = evaluate.linear_probe(x, y, u, v)
    scale, shift = torch.logspace(-3, 4, 6, dtype=DOUBLE), torch.linspace(-100, 100, 6, dtype=DOUBLE)
    moved = evaluate.linear_probe(x * scale + shift, y, u * scale + shift, v)
    assert moved == base


@pytest.mark.parametrize("dtype", [DOUBLE, torch.float32])
def test_a_constant_feature_is_ignored(dtype):
    x, y = clusters(300, spread=2.0, dtype=dtype)
    u, v = clusters(200, spread=2.0, seed=1, dtype=dtype)
    wider = [torch.cat((part, torch.full_like(part[:, :1], 0.1)), 1) for part in (x, u)]
    base = evaluate.linear_probe(x, y, u, v, penalties=[1e-2])
    assert evaluate.linear_probe(wider[0], y, wider[1], v, penalties=[1e-2]).accuracy == base.accuracy


def test_rows_without_label_and_names_of_labels_do_not_matter():
    x, y = clusters(200, spread=2.0)
    u, v = clusters(100, spread=2.0, seed=1)
    base = evaluate.linear_probe(x, y, u, v)
    strangers = 50.0 * normal(30, 6, seed=9)
    unknown = torch.full((30,), -1)
    more = evaluate.linear_probe(
        torch.cat((x, strangers)), torch.cat((y, unknown)), torch.cat((strangers, u)), torch.cat((unknown, v))
    )
    assert more == base
    named = evaluate.linear_probe(x, 10 * y + 4, u, 10 * v + 4)
    assert named.accuracy == base.accuracy
    assert named.per_class == {10 * c + 4: share for c, share in base.per_class.items()}


def test_a_class_that_training_does_not_know_counts_as_an_error():
    x, y = clusters(200, spread=0.05)
    found = evaluate.linear_probe(x[y < 2], y[y < 2], x, y)
    assert found.per_class == {0: 1.0, 1: 1.0, 2: 0.0}


def test_the_penalty_is_the_best_on_held_out_rows_the_strongest_of_several():
    x, y = clusters(90, width=60, spread=4.0)  # hardly more rows than features: weak penalties fit the noise
    found = evaluate.linear_probe(x, y, x, y, penalties=(1e-6, 10.0, 0.3, 1e-2))
    assert list(found.held_out) == [10.0, 0.3, 1e-2, 1e-6]
    best = max(found.held_out.values())
    assert found.penalty == max(p for p, share in found.held_out.items() if share == best)
    assert min(found.held_out.values()) < best
    assert evaluate.linear_probe(x, y, x, y, penalties=[0.5]).held_out == {}


def test_each_class_gives_its_share_of_held_out_rows():
    y = torch.tensor([0] * 100 + [1] * 20 + [2] * 2 + [3])
    rows, kept = probe._split(y, 0.1, seed=0)
    assert sorted(rows.tolist()) == list(range(len(y)))
    assert torch.bincount(y[rows[kept:]], minlength=4).tolist() == [10, 2, 1, 0]
    other, _ = probe._split(y, 0.1, seed=1)
    assert set(rows[kept:].tolist()) != set(other[kept:].tolist())


def test_a_probe_is_a_function_of_its_arguments_and_leaves_no_trace():
    x, y = clusters(200, spread=2.0)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = evaluate.linear_probe(x.requires_grad_(), y, x, y, seed=2)
    torch.manual_seed(4)
    with torch.no_grad():
        assert evaluate.linear_probe(x, y, x, y, seed=2) == first
    assert x.grad is None
    torch.manual_seed(3)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"train_x": torch.zeros(4)}, r"train_x must be a floating point tensor \(n, d\)"),
        ({"train_x": torch.zeros(12, 2, dtype=torch.int64)}, "train_x must be a floating point"),
        ({"test_x": torch.full((12, 6), math.nan)}, "test_x must hold finite numbers; row 0"),
        ({"test_x": torch.zeros(12, 5)}, "must have the same width"),
        ({"train_y": torch.zeros(11, dtype=torch.int64)}, r"train_y must be a tensor of whole numbers \(12,\)"),
        ({"train_y": torch.zeros(12)}, "train_y must be a tensor of whole numbers"),
        ({"train_y": torch.full((12,), -2)}, "train_y must hold labels >= 0"),
        ({"test_y": torch.full((12,), -1)}, "test_y must hold at least one label"),
        ({"train_y": torch.zeros(12, dtype=torch.int64)}, "at least two classes"),
        ({"train_y": torch.arange(12)}, "no class has two rows"),
        ({"penalties": ()}, "penalties"),
        ({"penalties": (0.0, 1.0)}, "penalties"),
        ({"penalties": (1.0, math.inf)}, "penalties"),
        ({"holdout": 1.0}, r"holdout=1\.0"),
    ],
)
def test_what_a_probe_cannot_use_is_named(change, text):
    x, y = clusters(12, dtype=torch.float32)
    with pytest.raises(ValueError, match=text):
        evaluate.linear_probe(**{"train_x": x, "train_y": y, "test_x": x, "test_y": y, **change})


def test_products_have_full_precision_and_the_setting_of_the_process_is_kept():
    settings = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        chosen = [home.fp32_precision for home in settings]
        with _check.full_precision():
            assert [home.fp32_precision for home in settings] == ["ieee", "ieee"]
        assert [home.fp32_precision for home in settings] == chosen
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


# -- nearest neighbours ----------------------------------------------------------------------------------------------


def by_hand(x, y, u, v, k, temperature, leave_one_out=False):
    """The vote from its definition, one row after the other."""
    x, u = (a.numpy() / np.linalg.norm(a.numpy(), axis=1, keepdims=True) for a in (x, u))
    y, v = y.numpy(), v.numpy()
    right = 0
    for i in range(len(u)):
        similarity = x @ u[i]
        if leave_one_out:
            similarity[i] = -np.inf
        near = np.argsort(-similarity, kind="stable")[: min(k, len(x) - leave_one_out)]
        votes = [np.exp(similarity[near] / temperature)[y[near] == c].sum() for c in range(y.max() + 1)]
        right += int(np.argmax(votes) == v[i])
    return right / len(u)


@pytest.mark.parametrize("k", [1, 7, 1000])
@pytest.mark.parametrize("temperature", [0.05, 1.0])
def test_votes_are_those_of_the_definition(k, temperature):
    x, y = clusters(150, spread=3.0)
    u, v = clusters(80, spread=3.0, seed=1)
    found = evaluate.knn_accuracy(x, y, u, v, k=k, temperature=temperature)
    assert found == pytest.approx(by_hand(x, y, u, v, k, temperature))
    assert 0.2 < found < 1.0


@pytest.mark.parametrize("k", [1, 5, 20])
def test_an_infinite_temperature_counts_heads_as_sklearn_does(k):
    x, y = clusters(150, spread=3.0)
    u, v = clusters(80, spread=3.0, seed=1)
    peer = KNeighborsClassifier(k, metric="cosine", algorithm="brute").fit(x.numpy(), y.numpy())
    assert evaluate.knn_accuracy(x, y, u, v, k=k, temperature=math.inf) == pytest.approx(
        peer.score(u.numpy(), v.numpy())
    )


@pytest.mark.parametrize("k", [1, 5, 1000])
def test_left_out_rows_are_no_neighbours_of_themselves(k):
    x, y = clusters(60, spread=3.0)
    found = evaluate.knn_accuracy(x, y, x, y, k=k, leave_one_out=True, chunk=7)
    assert found == pytest.approx(by_hand(x, y, x, y, k, 0.1, leave_one_out=True))
    assert evaluate.knn_accuracy(x, y, x, y, k=1) == 1.0  # each row's nearest is itself


def test_neighbours_do_not_depend_on_chunks_scales_or_rows_without_label():
    x, y = clusters(150, spread=3.0, dtype=torch.float32)
    u, v = clusters(80, spread=3.0, seed=1, dtype=torch.float32)
    base = evaluate.knn_accuracy(x, y, u, v, k=9)
    assert [evaluate.knn_accuracy(x, y, u, v, k=9, chunk=chunk) for chunk in (1, 13, 1000)] == [base] * 3
    assert evaluate.knn_accuracy(4.0 * x, y, 0.5 * u, v, k=9) == base
    more = torch.cat((x, u)), torch.cat((y, torch.full_like(v, -1)))
    assert evaluate.knn_accuracy(*more, u, v, k=9) == base


def test_a_cold_vote_neither_overflows_nor_vanishes():
    x, y = clusters(50, spread=3.0, dtype=torch.float32)
    assert evaluate.knn_accuracy(x, y, x, y, temperature=1e-6) == 1.0


def test_a_row_of_zeros_has_neighbours_too():
    x, y = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]), torch.tensor([1, 1, 0])
    assert evaluate.knn_accuracy(x, y, torch.zeros(1, 2), torch.tensor([1])) == 1.0


def test_equal_votes_go_to_the_smallest_label():
    x, y = torch.tensor([[1.0, 1.0], [1.0, -1.0]]), torch.tensor([5, 2])
    assert evaluate.knn_accuracy(x, y, torch.tensor([[1.0, 0.0]]), torch.tensor([2]), temperature=math.inf) == 1.0


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"k": 0}, "k=0"),
        ({"k": 2.0}, r"k=2\.0"),
        ({"temperature": 0.0}, r"temperature=0\.0"),
        ({"temperature": math.nan}, "temperature=nan"),
        ({"chunk": 0}, "chunk=0"),
        (
            {"leave_one_out": True, "test_x": torch.ones(5, 6), "test_y": torch.ones(5, dtype=torch.int64)},
            "leave_one_out=True",
        ),
        ({"leave_one_out": True, "test_y": torch.zeros(12, dtype=torch.int64)}, "same labels"),
    ],
)
def test_what_neighbours_cannot_use_is_named(change, text):
    x, y = clusters(12, dtype=torch.float32)
    with pytest.raises(ValueError, match=text):
        evaluate.knn_accuracy(**{"train_x": x, "train_y": y, "test_x": x, "test_y": y, **change})


# -- geometry --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0, 3.0])
def test_alignment_of_agreeing_opposite_and_orthogonal_views(power):
    z = normal(20, 4)
    turned = torch.stack((-z[:, 1], z[:, 0], -z[:, 3], z[:, 2]), 1)
    assert evaluate.alignment(z, 3.0 * z, power) == pytest.approx(0.0, abs=1e-7)
    assert evaluate.alignment(z, -z, power) == pytest.approx(2.0**power)
    assert evaluate.alignment(z, turned, power) == pytest.approx(2.0 ** (power / 2.0))


@pytest.mark.parametrize("t", [0.5, 2.0, 100.0])
@pytest.mark.parametrize("vertices", [2, 3, 10])
def test_uniformity_of_a_simplex(t, vertices):
    """Vertices of a regular simplex: all distances are sqrt(2 m / (m - 1)), antipodes for m = 2."""
    z = torch.eye(vertices, dtype=DOUBLE) - 1.0 / vertices
    assert evaluate.uniformity(z, t) == pytest.approx(-2.0 * t * vertices / (vertices - 1))


def test_uniformity_is_the_logarithm_of_a_mean_over_pairs():
    z = normal(40, 5)
    unit = nn.functional.normalize(z)
    expected = torch.pdist(unit).square().mul(-2.0).exp().mean().log()
    for chunk in (None, 1, 7, 40, 100):
        assert evaluate.uniformity(3.0 * z, chunk=chunk) == pytest.approx(float(expected), rel=1e-12)
    assert evaluate.uniformity(z.float()) == pytest.approx(float(expected), rel=1e-5)


def test_rows_that_are_all_the_same_are_aligned_and_not_uniform():
    z = torch.ones(5, 3)
    assert evaluate.uniformity(z) == pytest.approx(0.0, abs=1e-6)
    assert evaluate.alignment(z, z) == 0.0


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda z: evaluate.uniformity(z[:1]), "at least two rows, got 1"),
        (lambda z: evaluate.uniformity(z, t=0.0), r"t=0\.0"),
        (lambda z: evaluate.uniformity(torch.zeros(3, 2)), "z: row 0 is all zeros"),
        (lambda z: evaluate.alignment(z, z[:2]), r"one shape \(n, d\)"),
        (lambda z: evaluate.alignment(z, z, power=-1.0), r"power=-1\.0"),
        (lambda z: evaluate.alignment([1.0], z), "z1 must be a floating point tensor .* got list"),
    ],
)
def test_what_geometry_cannot_use_is_named(call, text):
    with pytest.raises(ValueError, match=text):
        call(normal(4, 3))


# -- ambiguity -------------------------------------------------------------------------------------------------------

LABELS = torch.arange(30) % 3


def agree(found, diagnostics, names):
    for ours, theirs in names.items():
        torch.testing.assert_close(getattr(found, ours), getattr(diagnostics, theirs).to(DOUBLE), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("temperature", [0.05, 0.3, 5.0])
def test_statistics_are_the_diagnostics_of_info_nce(temperature):
    """Rows against rows of the same batch, partner left out: exactly the other examples."""
    z = normal(30, 4)
    _, expected = losses.info_nce(z, z, temperature, symmetric=False, labels=LABELS, diagnostics=True)
    found = evaluate.worst_case_statistics(z, LABELS, temperature=temperature)
    names = ("effective_negatives", "effective_sample_size"), ("false_negative_mass", "false_negative_mass")
    agree(found, expected, {"radius": "radius", **dict(names)})
    torch.testing.assert_close(found.temperature, torch.full((30,), temperature, dtype=DOUBLE))


@pytest.mark.parametrize("divergence", ["kl", "chi2", "js", "tv", "hellinger"])
def test_statistics_are_the_diagnostics_of_the_dro_loss(divergence):
    z = normal(30, 4)
    asked = {"radius": 0.1, "divergence": divergence}
    _, expected = losses.dro(z, z, symmetric=False, labels=LABELS, diagnostics=True, **asked)
    found = evaluate.worst_case_statistics(z, LABELS, **asked)
    names = ("effective_negatives", "effective_sample_size"), ("false_negative_mass", "false_negative_mass")
    agree(found, expected, {"radius": "radius", "temperature": "temperature", **dict(names)})


@pytest.mark.parametrize("divergence", ["kl", "chi2", "js"])
def test_radius_and_temperature_buy_each_other(divergence):
    z = normal(30, 4)
    there = evaluate.worst_case_statistics(z, LABELS, radius=torch.linspace(0.01, 0.2, 30), divergence=divergence)
    back = evaluate.worst_case_statistics(z, LABELS, temperature=there.temperature, divergence=divergence)
    for name in ("radius", "effective_negatives", "false_negative_mass", "gaussian_radius"):
        torch.testing.assert_close(getattr(back, name), getattr(there, name), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("divergence", ["kl", "chi2", "js", divergences.get("renyi", order=0.5)])
def test_the_gaussian_radius_is_the_leading_term_for_every_smooth_divergence(divergence):
    z = normal(30, 4)
    errors = []
    for temperature in (20.0, 200.0):
        found = evaluate.worst_case_statistics(z, temperature=temperature, divergence=divergence)
        errors.append(float((found.gaussian_radius / found.radius - 1.0).abs().max()))
    assert errors[0] < 0.1
    assert errors[1] < 0.15 * errors[0] + 1e-8  # falls as 1 / tau, or is exact (chi2)
    kinked = evaluate.worst_case_statistics(z, radius=0.1, divergence="tv")
    assert bool(kinked.gaussian_radius.isnan().all())


def test_at_a_high_temperature_the_law_is_uniform():
    found = evaluate.worst_case_statistics(normal(30, 4), LABELS, temperature=1e6)
    torch.testing.assert_close(found.effective_negatives, torch.full((30,), 29.0, dtype=DOUBLE))
    torch.testing.assert_close(found.false_negative_ratio, torch.ones(30, dtype=DOUBLE), rtol=1e-5, atol=0.0)
    torch.testing.assert_close(found.false_negative_rate, torch.full((30,), 9.0 / 29.0, dtype=DOUBLE))


def test_where_classes_are_clusters_a_low_temperature_charges_false_negatives_alone():
    z = nn.functional.normalize(torch.eye(3, 4, dtype=DOUBLE)[LABELS] + 0.05 * normal(30, 4))
    found = evaluate.worst_case_statistics(z, LABELS, temperature=0.05)
    assert float(found.false_negative_mass.min()) > 0.99
    torch.testing.assert_close(found.false_negative_ratio, found.false_negative_mass * 29.0 / 9.0)


def test_a_row_without_label_is_no_false_negative_and_has_none():
    z = normal(30, 4)
    some = torch.where(torch.arange(30) < 8, -1, LABELS)
    alone = torch.where(some < 0, 100 + torch.arange(30), some)
    found = evaluate.worst_case_statistics(z, some, temperature=0.2)
    expected = evaluate.worst_case_statistics(z, alone, temperature=0.2)
    assert bool(found.false_negative_mass[:8].isnan().all())
    assert torch.equal(found.false_negative_mass[8:], expected.false_negative_mass[8:])
    assert torch.equal(found.false_negative_rate[8:], expected.false_negative_rate[8:])
    assert set(found.by_class()) == {0, 1, 2}


@pytest.mark.parametrize("chunk", [1, 7, 30, 100])
def test_chunks_and_precision_change_nothing(chunk):
    z = normal(30, 4, dtype=torch.float32)
    whole = evaluate.worst_case_statistics(z, LABELS, temperature=0.2)
    found = evaluate.worst_case_statistics(5.0 * z, LABELS, temperature=0.2, chunk=chunk)
    for name in ("radius", "effective_negatives", "false_negative_mass", "false_negative_rate", "gaussian_radius"):
        torch.testing.assert_close(getattr(found, name), getattr(whole, name), rtol=1e-5, atol=1e-7)


def test_a_summary_holds_means_and_quantiles_by_name_and_means_by_class():
    labels = torch.where(torch.arange(30) == 29, 7, LABELS)  # class 7 has one example
    found = evaluate.worst_case_statistics(normal(30, 4), labels, temperature=0.2)
    summary = found.summary()
    json.dumps(summary)
    assert summary["radius"] == pytest.approx(float(found.radius.mean()))
    assert summary["false_negative_ratio"] == pytest.approx(float(found.false_negative_ratio[:29].mean()))
    for share, name in ((0.05, "q05"), (0.5, "q50"), (0.95, "q95")):
        below = float((found.radius <= summary[f"radius_{name}"]).double().mean())
        assert below == pytest.approx(share, abs=1.0 / 30 + 1e-9)
    assert summary["false_negative_classes"] == [0, 1, 2, 7]
    own = found.false_negative_mass[labels == 1].mean()
    assert summary["false_negative_mass_by_class"][1] == pytest.approx(float(own))
    assert summary["false_negative_mass_by_class"][3] == 0.0
    assert math.isnan(summary["false_negative_ratio_by_class"][3])


def test_without_labels_nothing_is_said_of_classes():
    found = evaluate.worst_case_statistics(normal(30, 4), temperature=0.2)
    assert found.false_negative_mass is found.false_negative_rate is found.false_negative_ratio is None
    assert found.by_class() == {}
    assert not [name for name in found.summary() if name.startswith("false")]


def test_cvar_has_its_own_budget():
    found = evaluate.worst_case_statistics(normal(31, 4), divergence=divergences.get("cvar", level=0.2))
    torch.testing.assert_close(found.effective_negatives, torch.full((31,), 6.0, dtype=DOUBLE))  # 0.2 of 30


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"z": normal(2, 4), "labels": None}, "at least three rows"),
        ({"z": torch.zeros(30, 4)}, "row 0 is all zeros"),
        ({"temperature": None}, "radius|temperature"),
        ({"radius": 0.1}, "radius|temperature"),
        ({"temperature": 0.0}, "temperature"),
        ({"temperature": None, "radius": -0.1}, "radius"),
        ({"temperature": torch.ones(29)}, r"temperature must be a number or one an anchor \(30,\), got shape \(29,\)"),
        ({"divergence": "kullback"}, "kullback"),
        ({"labels": torch.zeros(29, dtype=torch.int64)}, r"labels must be a tensor of whole numbers \(30,\)"),
    ],
)
def test_what_the_worst_case_cannot_use_is_named(change, text):
    with pytest.raises(ValueError, match=text):
        evaluate.worst_case_statistics(**{"z": normal(30, 4), "labels": LABELS, "temperature": 0.2, **change})


# -- representations -------------------------------------------------------------------------------------------------


class Lines:
    """A domain whose examples are the rows of a tensor."""

    kind, width = "image", 0

    def place(self, split, device):
        return split.inputs.to(device)

    def views(self, source, rows, uniforms):
        raise AssertionError("evaluation asks for no views")

    def plain(self, source, rows):
        return source[rows]


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.width = 6
        self.layers = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5))

    def forward(self, x):
        return self.layers(x)


@pytest.fixture
def model():
    torch.manual_seed(0)
    made = ContrastiveModel(Encoder(), Projector(6, 5, 3))
    made.encoder.layers[2].eval()  # a part that its owner keeps in evaluation mode
    return made


def test_features_do_not_depend_on_the_size_of_batches(model):
    source = normal(23, 4, dtype=torch.float32)
    whole = evaluate.represent(model, Lines(), source, 23)
    assert whole.shape == (23, 6)
    assert whole.dtype == torch.float32
    assert not whole.requires_grad
    for size in (1, 7, 23):
        torch.testing.assert_close(evaluate.represent(model, Lines(), source, 23, batch_size=size), whole)
    assert torch.equal(evaluate.represent(model, Lines(), source, 9), whole[:9])
    assert torch.equal(evaluate.represent(model.encoder, Lines(), source, 23), whole)


def test_embeddings_are_those_of_the_projector(model):
    source = normal(23, 4, dtype=torch.float32)
    found = evaluate.represent(model, Lines(), source, 23, projected=True)
    torch.testing.assert_close(found, model.eval()(source).detach())


def test_every_part_keeps_its_mode_and_statistics_also_after_an_error(model):
    source = normal(23, 4, dtype=torch.float32)
    modes = [part.training for part in model.modules()]
    state = {key: value.clone() for key, value in model.state_dict().items()}
    evaluate.represent(model, Lines(), source, 23)
    with pytest.raises(RuntimeError):
        evaluate.represent(model, Lines(), source[:, :3], 23)
    assert [part.training for part in model.modules()] == modes
    assert len(set(modes)) == 2
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


def test_what_cannot_be_represented_is_named(model):
    source = normal(23, 4, dtype=torch.float32)
    with pytest.raises(ValueError, match="n=0"):
        evaluate.represent(model, Lines(), source, 0)
    with pytest.raises(ValueError, match=r"batch_size=2\.5"):
        evaluate.represent(model, Lines(), source, 5, batch_size=2.5)
    with pytest.raises(ValueError, match=r"model must give \(5, d\) for 5 examples, got \(5, 2, 2\)"):
        evaluate.represent(nn.Unflatten(1, (2, 2)), Lines(), source, 5)
