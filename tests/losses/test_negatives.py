"""Who is a negative: queues, extra negatives, labels, directions; and what the diagnostics say of them."""

import copy
import pickle

import pytest
import torch
from conftest import FAMILY, LABELLED, LABELS, SUMS, ask, value_and_gradient, views

from drocl import divergences, dro, losses


@pytest.mark.parametrize("name", [name for name in FAMILY if name not in LABELLED])
def test_a_queue_and_negatives_are_the_same_atoms(name):
    z1, z2 = views()
    more = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    value = float(ask(name, z1, z2, negatives=more))
    assert float(ask(name, z1, z2, queue=more)) == pytest.approx(value, rel=1e-13)
    assert float(ask(name, z1, z2, queue=more[:2], negatives=more[2:])) == pytest.approx(value, rel=1e-13)
    assert value != pytest.approx(float(ask(name, z1, z2)), rel=1e-6)
    for chunk_size in (None, 3):
        assert float(ask(name, z1, z2, queue=more, chunk_size=chunk_size)) == pytest.approx(value, rel=1e-13)


@pytest.mark.parametrize("name", SUMS)
def test_negatives_of_each_pair_s_own_that_are_all_the_same(name):
    z1, z2 = views()
    more = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    shared, own = ask(name, z1, z2, negatives=more), ask(name, z1, z2, negatives=more.expand(6, 3, 4))
    assert float(own) == pytest.approx(float(shared), rel=1e-12)


def test_moco_s_loss():
    """Only the queue is negative: -log of the softmax of the positive among itself and the queue."""
    z1, z2 = views()
    bank = losses.Queue(8, 4, torch.float64)
    bank.push(torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2)))
    loss = losses.info_nce(z1, z2.detach(), 0.2, symmetric=False, queue=bank, in_batch=False)
    unit = torch.nn.functional.normalize
    logits = torch.cat(((unit(z1) * unit(z2)).sum(1, keepdim=True), unit(z1) @ unit(bank.valid()).T), 1) / 0.2
    assert float(loss) == pytest.approx(float(torch.nn.functional.cross_entropy(logits, torch.zeros(6, dtype=torch.long))), rel=1e-13)


def test_one_pair_is_enough_where_a_queue_has_the_negatives():
    z1, z2 = views(1, 4)
    queue = torch.eye(4, dtype=torch.float64)
    assert torch.isfinite(losses.info_nce(z1, z2, queue=queue))
    with pytest.raises(ValueError, match="leaves no negatives"):
        losses.info_nce(z1, z2, queue=losses.Queue(3, 4, torch.float64))


def test_the_queue_is_first_in_first_out():
    bank = losses.Queue(3, 1)
    assert bank.filled == 0
    for start in range(7):
        bank.push(torch.tensor([[float(start)]]))
    assert sorted(bank.valid().flatten().tolist()) == [4.0, 5.0, 6.0]
    bank.push(torch.arange(10.0)[:, None])
    assert sorted(bank.valid().flatten().tolist()) == [7.0, 8.0, 9.0]
    again = losses.Queue(3, 1)
    again.load_state_dict(bank.state_dict())
    assert again.filled == 3
    with pytest.raises(ValueError, match="keys must have shape"):
        bank.push(torch.ones(2, 2))


def test_no_gradient_flows_into_the_queue():
    z1, z2 = views()
    queue = torch.randn(3, 4, dtype=torch.float64).requires_grad_()
    losses.info_nce(z1, z2, queue=queue).backward()
    assert queue.grad is None


def test_clip_is_the_mean_of_its_two_directions():
    z1, z2 = views()
    forth, back = (losses.info_nce(a, b, 0.2, symmetric=False) for a, b in ((z1, z2), (z2, z1)))
    assert float(losses.clip(z1, z2, 0.2)) == pytest.approx(float(forth + back) / 2.0, rel=1e-13)
    weighted = losses.adnce(z1, z2, 0.2, symmetric=False, direction_weights=(0.3, 0.9))
    one, two = (losses.adnce(a, b, 0.2, symmetric=False) for a, b in ((z1, z2), (z2, z1)))
    assert float(weighted) == pytest.approx(0.3 * float(one) + 0.9 * float(two), rel=1e-13)
    both = losses.dro(z1, z2, "chi2", radius=0.2, symmetric=False, direction_weights=(0.3, 0.9))
    one, two = (losses.dro(a, b, "chi2", radius=0.2, symmetric=False) for a, b in ((z1, z2), (z2, z1)))
    assert float(both) == pytest.approx(0.3 * float(one) + 0.9 * float(two), rel=1e-13)


@pytest.mark.parametrize("divergence", ["kl", "chi2", "tv"])
def test_two_directions_over_a_bank_alone(divergence):
    z1, z2 = views()
    bank = torch.randn(9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    options = {"radius": 0.2, "symmetric": False, "in_batch": False, "queue": bank}
    both = losses.dro(z1, z2, divergence, direction_weights=(0.3, 0.9), **options)
    one, two = (losses.dro(a, b, divergence, **options) for a, b in ((z1, z2), (z2, z1)))
    assert float(both) == pytest.approx(0.3 * float(one) + 0.9 * float(two), rel=1e-13)


def test_masked_atoms_get_no_gradient():
    z1, z2 = views()
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    loss = losses.unbiased(z1, z2, labels, 0.3, symmetric=False, reduction="none")
    slopes = torch.autograd.grad(loss[0], z2)[0]
    assert bool((slopes[1] == 0.0).all())
    assert bool((slopes[2:] != 0.0).any(1).all())


def test_an_anchor_without_a_true_negative_costs_nothing():
    z1, z2 = views()
    value, gradient = value_and_gradient("unbiased", z1, z2, labels=torch.zeros(6, dtype=torch.long))
    assert float(value) == 0.0
    assert float(gradient.norm()) == 0.0


@pytest.mark.parametrize("chunk_size", [None, "auto", 3])
@pytest.mark.parametrize("symmetric", [True, False])
def test_diagnostics_by_hand(symmetric, chunk_size):
    z1, z2 = (z.detach() for z in views())
    options = {"symmetric": symmetric, "chunk_size": chunk_size, "labels": LABELS}
    loss, found = losses.info_nce(z1, z2, 0.2, diagnostics=True, **options)
    assert float(loss) == pytest.approx(float(losses.info_nce(z1, z2, 0.2, symmetric=symmetric)), rel=1e-13)
    unit = torch.nn.functional.normalize(torch.cat((z1, z2)))
    rows, columns = (unit, unit) if symmetric else (unit[:6], unit[6:])
    ids = torch.arange(6).repeat(2)[: len(rows)]
    keep = ids[:, None] != ids[None, :]
    scores = (rows @ columns.T)[keep].view(len(rows), -1)
    weights = torch.softmax(scores / 0.2, 1)
    assert torch.allclose(found.effective_sample_size, 1.0 / weights.square().sum(1), rtol=1e-12)
    assert torch.allclose(found.radius, dro.radius_of(scores, 0.2), rtol=1e-11)
    labels = LABELS.repeat(2)[: len(rows)]
    same = (labels[:, None] == labels[None, :])[keep].view(len(rows), -1)
    assert torch.allclose(found.false_negative_mass, (weights * same).sum(1), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", [name for name in FAMILY if name not in LABELLED and not name.startswith(("dro", "alpha"))])
def test_the_temperature_gradient_is_the_derivative(name):
    """Also for losses with a floor, which moves with the temperature; alpha-CL detaches it."""
    z1, z2 = (z.detach() for z in views())
    start = FAMILY[name].keywords["temperature"]
    _, found = ask(name, z1, z2, diagnostics=True)
    tau = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(FAMILY[name](z1, z2, temperature=tau), tau)
    assert float(found.temperature_gradient) == pytest.approx(float(slope), rel=1e-9)


def test_the_worst_case_reports_the_temperature_its_radius_buys():
    z1, z2 = (z.detach() for z in views())
    _, found = losses.dro(z1, z2, "kl", radius=0.2, diagnostics=True, labels=LABELS)
    assert found.temperature.shape == (12,)
    assert torch.allclose(found.radius, torch.full_like(found.radius, 0.2), rtol=1e-9)
    each = losses.dro(z1, z2, "kl", temperature=found.temperature, reduction="none") + 0.2 * found.temperature
    assert torch.allclose(each, losses.dro(z1, z2, "kl", radius=0.2, reduction="none"), rtol=1e-11)
    _, at = losses.info_nce(z1, z2, found.temperature, diagnostics=True, labels=LABELS)
    assert torch.allclose(at.radius, found.radius, rtol=1e-9)
    assert torch.allclose(at.effective_sample_size, found.effective_sample_size, rtol=1e-9)
    assert torch.allclose(at.false_negative_mass, found.false_negative_mass, rtol=1e-9, atol=1e-14)


def test_the_clamp_is_counted():
    z1, z2 = (z.detach() for z in views(noise=0.01))
    _, none = losses.debiased(z1, z2, 0.5, 0.0, diagnostics=True)
    _, all_rows = losses.debiased(z1, z2, 0.5, 0.9, diagnostics=True)
    assert float(none.clamp_fraction) == 0.0
    assert float(all_rows.clamp_fraction) == 1.0
    floor = losses.debiased(z1, z2, 0.5, 0.9, reduction="none")
    positive = (torch.nn.functional.normalize(z1) * torch.nn.functional.normalize(z2)).sum(1).repeat(2) / 0.5
    assert torch.allclose(floor, torch.log1p(10.0 * torch.exp(-2.0 - positive)), rtol=1e-12)


def test_modules_keep_their_diagnostics_and_return_the_loss_alone():
    z1, z2 = views()
    module = losses.Debiased(0.5, 0.1, diagnostics=True)
    assert module.last is None
    loss = module(z1, z2, labels=LABELS)
    assert loss.shape == ()
    assert module.last.false_negative_mass.shape == (12,)


@pytest.mark.parametrize("name", FAMILY)
def test_every_module_is_its_function(name):
    z1, z2 = views()
    made = {**vars(losses)}
    function = FAMILY[name].func
    kind = next(m for m in made.values() if isinstance(m, type) and getattr(m, "function", None) is function)
    module = kind(**FAMILY[name].keywords)
    value = module(z1, z2, LABELS) if name in LABELLED else module(z1, z2)
    assert float(value) == pytest.approx(float(ask(name, z1, z2)), rel=1e-14)
    assert type(module).__name__ in repr(module)


def test_a_module_owns_its_temperature_and_its_queue():
    z1, z2 = views()
    parameter = torch.nn.Parameter(torch.tensor(0.2))
    module = losses.InfoNCE(parameter, queue=losses.Queue(3, 4, torch.float64))
    module.queue.push(torch.eye(4, dtype=torch.float64)[:2])
    assert [name for name, _ in module.named_parameters()] == ["temperature"]
    assert set(module.state_dict()) == {"temperature", "queue.keys", "queue.state"}
    module(z1, z2).backward()
    assert float(parameter.grad) != 0.0
    module = losses.InfoNCE(losses.Temperature(0.3))
    module.temperature = losses.Temperature(0.9)
    assert float(module(z1, z2)) == pytest.approx(float(losses.info_nce(z1, z2, 0.9)), rel=1e-6)
    assert "temperature" in dict(losses.InfoNCE(torch.tensor([0.1] * 6)).named_buffers())
    assert float(losses.InfoNCE([0.2] * 6)(z1, z2)) == pytest.approx(float(losses.info_nce(z1, z2, 0.2)), rel=1e-12)
    graph = losses.ADNCE(variant="graph", direction_weights=(0.5, 0.5))
    assert float(graph(z1, z2)) == pytest.approx(
        float(losses.adnce(z1, z2, variant="graph", direction_weights=(0.5, 0.5))), rel=1e-13
    )


def test_modules_copy_and_pickle():
    z1, z2 = views()
    for module in (losses.DRO(divergences.get("cvar", level=0.3)), losses.DRO(divergences.get("kl"), radius=0.1), losses.RINCE()):
        for again in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
            assert float(again(z1, z2)) == float(module(z1, z2))


def test_diagnostics_in_inference_mode():
    z1, z2 = views()
    with torch.inference_mode():
        _, found = losses.debiased(z1, z2, 0.3, diagnostics=True)
    assert bool(torch.isnan(found.temperature_gradient))
    _, there = losses.debiased(z1, z2, 0.3, diagnostics=True)
    assert torch.allclose(found.radius, there.radius.detach())
