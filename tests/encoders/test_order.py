"""Batches, partners, noise, rates and optimisers: each a function of its seed and step."""

import itertools

import pytest

torch = pytest.importorskip("torch")

from drocl.encoders import Split  # noqa: E402
from drocl.encoders._optim import LARS, rate_at  # noqa: E402
from drocl.encoders._order import Order, Partners, noisy_labels, some, with_outliers  # noqa: E402

LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 2, -1, 0, 2])


def test_an_epoch_holds_every_example_at_most_once_and_epochs_differ():
    order = Order(100, 32, seed=0)
    assert order.steps == 3
    first = torch.cat([order.rows(step) for step in range(3)])
    second = torch.cat([order.rows(step) for step in range(3, 6)])
    assert len(first.unique()) == 96
    assert not torch.equal(first, second)
    assert torch.equal(order.rows(4), Order(100, 32, seed=0).rows(4))


def test_a_partner_is_itself_without_noise_and_of_its_class_when_asked():
    rows = torch.arange(10).repeat(50)
    assert torch.equal(Partners(None, 10, by_class=False, noise=0.0, seed=0).rows(rows, 3), rows)
    found = Partners(LABELS, 10, by_class=True, noise=0.0, seed=0).rows(rows, 3)
    assert torch.equal(LABELS[found], LABELS[rows])
    assert (found[rows == 7] == 7).all()  # without a label an example is alone
    assert set(found[rows == 0].tolist()) == {3, 8}  # every other member of the class comes, never itself


def test_view_noise_replaces_its_share_uniformly():
    rows = torch.zeros(20_000, dtype=torch.int64)
    found = Partners(None, 10, by_class=False, noise=0.3, seed=0).rows(rows, 0)
    moved = found[found != 0]
    assert len(moved) / 20_000 == pytest.approx(0.3 * 0.9, abs=0.015)
    assert torch.bincount(moved, minlength=10)[1:].float().std() < 60


@pytest.mark.parametrize("rate", [0.0, 0.25, 1.0])
def test_label_noise_flips_exactly_its_share_to_other_classes(rate):
    labels = torch.arange(1000) % 10
    noisy = noisy_labels(labels, 10, rate, seed=1)
    assert int((noisy != labels).sum()) == round(1000 * rate)
    assert int(noisy.min()) >= 0
    assert int(noisy.max()) <= 9
    assert noisy_labels(LABELS, 3, 1.0, 0)[7] == -1


def test_outliers_replace_their_share_of_the_images():
    split = Split(torch.zeros(50, 1, 8, 8, dtype=torch.uint8), torch.arange(50))
    found = with_outliers(split, 0.2, seed=0)
    assert int((found.inputs.flatten(1).float().mean(1) > 0).sum()) == 10
    assert int(split.inputs.sum()) == 0
    with pytest.raises(ValueError, match="outliers"):
        with_outliers(Split(["a", "b"]), 0.5, 0)


def test_a_subset_has_the_same_share_of_every_class():
    labels = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)
    found = some(Split(torch.arange(100).reshape(100, 1, 1, 1), labels), 20, seed=4)
    assert torch.bincount(found.labels).tolist() == [12, 6, 2]
    with pytest.raises(ValueError, match="subset=101"):
        some(Split(torch.zeros(100, 1), labels), 101, 0)


def test_the_rate_rises_to_one_and_falls_to_its_end():
    rates = [rate_at(step, 100, 0.1, 0.2) for step in range(101)]
    assert max(rates) == 1.0
    assert rates[9] == 1.0
    assert all(a <= b for a, b in itertools.pairwise(rates[:10]))
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))
    assert rates[100] == pytest.approx(0.2)


def test_lars_moves_a_matrix_by_its_norm_whatever_the_scale_of_the_gradient():
    moves = []
    for scale in (1.0, 1e4):
        weight = torch.nn.Parameter(torch.ones(3, 3))
        optimizer = LARS([weight], lr=1.0, momentum=0.0, trust=0.1)
        (scale * weight.sum()).backward()
        optimizer.step()
        moves.append(1.0 - weight.detach())
    assert torch.allclose(moves[0], moves[1])
    assert moves[0].norm() == pytest.approx(0.1 * 3.0)
    weight = torch.nn.Parameter(torch.ones(2, 2))
    optimizer = LARS([weight], lr=1.0, momentum=0.0, trust=0.1, weight_decay=0.5)
    (-0.4 * weight.sum()).backward()
    optimizer.step()  # 0.1 * |w| / (|g| + 0.5 |w|) * (g + 0.5 w), |w| = 2, |g| = 0.8
    assert torch.allclose(1.0 - weight.detach(), torch.full((2, 2), 0.1 * 2.0 / 1.8 * 0.1))
    bias = torch.nn.Parameter(torch.ones(3))
    optimizer = LARS([bias], lr=0.5, momentum=0.0)
    bias.sum().backward()
    optimizer.step()
    assert torch.allclose(bias.detach(), torch.full((3,), 0.5))  # a vector takes the plain rate
