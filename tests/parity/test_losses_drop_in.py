"""drocl's losses in the training steps of lightly, pytorch-metric-learning and info-nce-pytorch: only the loss object changes."""

import contextlib
import copy
import importlib
import importlib.util
import re
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="not run: torch is not installed")
from torch import Tensor, nn  # noqa: E402
from torch.nn.functional import normalize  # noqa: E402

from drocl import losses  # noqa: E402
from drocl.losses.adapters import MemoryBankLoss, MetricLearningLoss, QueryLoss  # noqa: E402

PYPI = {"lightly": "lightly", "pytorch_metric_learning": "pytorch-metric-learning", "info_nce": "info-nce-pytorch"}
PAGE = Path(__file__).parents[2] / "docs" / "drop-in.md"
FAMILY = [
    losses.InfoNCE, losses.Decoupled, losses.Debiased, losses.HardNegative, losses.RINCE, losses.ADNCE, losses.MeanVariance,
    losses.AlphaCL, partial(losses.DRO, "kl", temperature=0.5), partial(losses.DRO, "chi2", radius=0.1),
]  # fmt: skip
WHOLE_ROWS = [losses.MeanVariance, FAMILY[-1]]  # negatives of each query are not for them


def peer(package: str, *modules: str) -> types.SimpleNamespace:
    """Public names of a peer's modules, or a skip that says why."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"not run: {PYPI[package]} is not installed")
    with torchvision_names() if package == "lightly" else contextlib.nullcontext():
        found = [vars(importlib.import_module(module)) for module in modules or (package,)]
    return types.SimpleNamespace(**{k: v for names in found for k, v in names.items() if not k.startswith("_")})


@contextlib.contextmanager
def torchvision_names() -> Iterator[None]:
    """Two names of torchvision.ops that lightly.loss imports and no loss here calls: no torchvision fits a CPU torch."""
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError, OSError):
        for broken in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[broken]
        package, ops = types.ModuleType("torchvision"), types.ModuleType("torchvision.ops")
        package.ops, ops.roi_align, ops.StochasticDepth = ops, None, None
        sys.modules |= {"torchvision": package, "torchvision.ops": ops}
        yield
        del sys.modules["torchvision"], sys.modules["torchvision.ops"]
    else:
        yield


@pytest.fixture
def lightly() -> types.SimpleNamespace:
    return peer("lightly", "lightly.loss", "lightly.models.modules")


@pytest.fixture
def pml() -> types.SimpleNamespace:
    base = "pytorch_metric_learning"
    return peer(base, *(f"{base}.{part}" for part in ("losses", "reducers", "trainers", "samplers", "miners")))


@pytest.fixture
def info_nce_pytorch() -> types.SimpleNamespace:
    return peer("info_nce")


def rows(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Rows of no particular norm."""
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def evaluated(loss: Callable[..., Tensor], tensors: tuple[Tensor, ...]) -> list[Tensor]:
    """Value, and gradient in every tensor."""
    leaves = [t.clone().requires_grad_() for t in tensors]
    value = loss(*leaves)
    return [value.detach(), *torch.autograd.grad(value.sum(), leaves)]


def agree(
    ours: Callable[..., Tensor], theirs: Callable[..., Tensor], *tensors: Tensor, tolerance: float = 1e-11
) -> None:
    for a, b in zip(evaluated(ours, tensors), evaluated(theirs, tensors), strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def train(model: nn.Module, step: Callable[[nn.Module, int], Tensor], steps: int = 3) -> tuple[list[float], Tensor]:
    """The loop itself: values of the loss and the parameters afterwards."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    values = []
    for batch in range(steps):
        loss = step(model, batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        values.append(float(loss.detach()))
    return values, torch.cat([p.detach().reshape(-1) for p in model.parameters()])


def encoder(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(7, 9), nn.ReLU(), nn.Linear(9, 5)).double()


def trained_alike(ours: tuple[list[float], Tensor], theirs: tuple[list[float], Tensor]) -> None:
    assert ours[0] == pytest.approx(theirs[0], rel=1e-9)
    assert len(set(ours[0])) == len(ours[0])  # the steps did something
    torch.testing.assert_close(ours[1], theirs[1], rtol=1e-9, atol=1e-11)


# lightly


def simclr(lightly: types.SimpleNamespace, criterion: nn.Module) -> tuple[list[float], Tensor]:
    """SimCLR's step in lightly: backbone, projection head, `criterion(z0, z1)`."""
    model = nn.Sequential(encoder(), lightly.SimCLRProjectionHead(5, 8, 6).double())

    def step(model: nn.Module, batch: int) -> Tensor:
        x0 = rows(6, 7, seed=batch)
        x1 = x0 + 0.1 * rows(6, 7, seed=100 + batch)
        z0, z1 = model(x0), model(x1)
        return criterion(z0, z1)

    return train(model, step)


@pytest.mark.parametrize("temperature", [0.5, 0.07])
def test_lightly_ntxent_is_info_nce(lightly, temperature):
    z = rows(6, 5), rows(6, 5, seed=1)
    agree(losses.InfoNCE(temperature), lightly.NTXentLoss(temperature), *z)
    agree(losses.InfoNCE(), lightly.NTXentLoss(), *z)


@pytest.mark.filterwarnings("ignore:To copy construct from a tensor")  # lightly's own
def test_lightly_dcl_is_decoupled_with_another_default_temperature(lightly):
    z = rows(6, 5), rows(6, 5, seed=1)
    agree(losses.Decoupled(0.1), lightly.DCLLoss(), *z)
    agree(losses.Decoupled(0.5), lightly.DCLLoss(0.5), *z)
    assert abs(float(losses.Decoupled(0.1)(*z) - lightly.DCLWLoss()(*z))) > 1e-2  # DCLW: no counterpart


@pytest.mark.parametrize(
    ("name", "ours"), [("NTXentLoss", losses.InfoNCE(0.2)), ("DCLLoss", losses.Decoupled(0.2))], ids=["NTXent", "DCL"]
)
def test_a_lightly_training_step_with_the_loss_swapped(lightly, name, ours):
    trained_alike(simclr(lightly, ours), simclr(lightly, getattr(lightly, name)(0.2)))


@pytest.mark.parametrize("make", FAMILY)
def test_every_loss_runs_in_a_lightly_training_step(lightly, make):
    values, parameters = simclr(lightly, make())
    assert torch.tensor(values).isfinite().all()
    assert parameters.isfinite().all()
    assert len(set(values)) == 3


def banks(lightly: types.SimpleNamespace, size: int, dim: int) -> tuple[nn.Module, losses.Queue, MemoryBankLoss]:
    """lightly's loss with its random bank, and ours with the same keys in its queue."""
    theirs = lightly.NTXentLoss(0.1, memory_bank_size=(size, dim)).double()
    theirs.memory_bank.bank = normalize(theirs.memory_bank.bank)  # made in single precision
    queue = losses.Queue(size, dim, dtype=torch.float64)
    queue.push(theirs.memory_bank.bank)
    return theirs, queue, MemoryBankLoss(losses.InfoNCE(0.1, symmetric=False, queue=queue, in_batch=False))


def test_lightly_memory_bank_is_a_queue_without_in_batch_negatives(lightly):
    batch = 4
    theirs, queue, ours = banks(lightly, 12, 5)
    for step in range(5):  # once round and on
        agree(ours, theirs, rows(batch, 5, seed=step), rows(batch, 5, seed=10 + step))
        torch.testing.assert_close(normalize(queue.valid()), theirs.memory_bank.bank)
    before = queue.valid().clone()
    z = rows(batch, 5), rows(batch, 5, seed=1)
    torch.testing.assert_close(ours(*z), theirs(*z))
    assert torch.equal(queue.valid(), before)  # no gradient, nothing stored


def test_lightly_memory_bank_drops_keys_at_the_end_where_the_queue_goes_round(lightly):
    theirs, queue, ours = banks(lightly, 7, 5)
    for step in range(3):
        agree(ours, theirs, rows(3, 5, seed=step), rows(3, 5, seed=10 + step))
    last = normalize(rows(3, 5, seed=12))
    kept = [(last[i] - theirs.memory_bank.bank).norm(dim=1).min() < 1e-9 for i in range(3)]
    assert kept == [True, False, False]
    assert all((last[i] - normalize(queue.valid())).norm(dim=1).min() < 1e-9 for i in range(3))


def test_a_lightly_training_step_with_a_memory_bank(lightly):
    theirs, _, ours = banks(lightly, 12, 6)
    trained_alike(simclr(lightly, ours), simclr(lightly, theirs))


def on_rank(rank: int, rendezvous: str, out: str) -> None:
    """One of two processes: own rows in, value and gradient of both losses out."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=2)
    lightly = peer("lightly", "lightly.loss")
    z = rows(3, 5, seed=rank), rows(3, 5, seed=10 + rank)
    found = [
        evaluated(loss, z)
        for loss in (
            losses.InfoNCE(0.1, gather=True),
            lightly.NTXentLoss(0.1, gather_distributed=True),
            losses.Decoupled(0.1, gather=True),
            lightly.DCLLoss(0.1, gather_distributed=True),
        )
    ]
    torch.save(found, f"{out}.{rank}")
    torch.distributed.destroy_process_group()


@pytest.mark.slow  # two processes
def test_lightly_gather_distributed_is_gather(lightly, tmp_path):
    arguments = (f"file://{tmp_path}/rendezvous", f"{tmp_path}/found")
    server = torch.multiprocessing.get_context("forkserver")  # imports once for both
    server.set_forkserver_preload(["torch._dynamo", "torch.distributed", "drocl.losses"])
    torch.multiprocessing.start_processes(on_rank, args=arguments, nprocs=2, start_method="forkserver")
    for rank in range(2):
        found = torch.load(f"{tmp_path}/found.{rank}")
        for ours, theirs in (found[:2], found[2:]):
            for a, b in zip(ours, theirs, strict=True):
                torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


# pytorch-metric-learning


def labelled(loss: nn.Module, labels: Tensor, **given: Tensor) -> Callable[..., Tensor]:
    return lambda *z: loss(z[0], labels, **given) if len(z) == 1 else loss(z[0], labels, ref_emb=z[1], **given)


def test_pml_self_supervised_ntxent_is_info_nce(pml):
    z = rows(6, 5), rows(6, 5, seed=1)
    agree(losses.InfoNCE(0.07), pml.SelfSupervisedLoss(pml.NTXentLoss()), *z)
    one_sided = losses.InfoNCE(0.2, symmetric=False)
    agree(one_sided, pml.SelfSupervisedLoss(pml.NTXentLoss(0.2), symmetric=False), *z)


def test_pml_self_supervised_supcon_is_info_nce(pml):
    z = rows(6, 5), rows(6, 5, seed=1)
    agree(losses.InfoNCE(0.1), pml.SelfSupervisedLoss(pml.SupConLoss()), *z)


def test_pml_ntxent_of_labelled_pairs_is_info_nce_in_any_order(pml):
    labels = torch.arange(10).repeat_interleave(2)[torch.randperm(20, generator=torch.Generator().manual_seed(2))]
    for ours in (losses.InfoNCE(0.07), losses.Unbiased(0.07)):
        agree(labelled(MetricLearningLoss(ours), labels), labelled(pml.NTXentLoss(), labels), rows(20, 5))


def test_pml_ntxent_of_classes_averages_unbiased_over_all_pairings(pml):
    classes, z = torch.tensor([0, 0, 0, 0, 3, 3, 3, 3]), rows(8, 5)
    loss = losses.Unbiased(0.2)

    def ours(z: Tensor) -> Tensor:
        total = torch.zeros((), dtype=z.dtype)
        for a, b in ([0, 2], [1, 3]), ([0, 1], [2, 3]), ([0, 1], [3, 2]):
            first, second = torch.tensor([*a, *(4 + i for i in a)]), torch.tensor([*b, *(4 + i for i in b)])
            total = total + loss(z[first], z[second], classes[first]) / 3
        return total

    agree(ours, labelled(pml.NTXentLoss(0.2), classes), z)


@pytest.mark.parametrize("classes", [[0, 1, 2, 0, 1, 2], [4, 4, 1, 1, 1, 1, 0, 0], [1, 0, 0, 2, 0, 1, 2, 0, 1, 1]])
def test_pml_supcon_is_supervised(pml, classes):
    labels = torch.tensor(classes)
    ours, theirs = MetricLearningLoss(losses.Supervised(0.1)), pml.SupConLoss()
    agree(labelled(ours, labels), labelled(theirs, labels), rows(len(classes), 5))


def test_pml_supcon_leaves_out_anchors_whose_loss_rounds_to_zero(pml):
    labels = torch.tensor([0, 1, 0, 1])
    near = [1.0, 0.0, 0.0]
    z = torch.tensor([near, [0.0, 1.0, 0.0], near, [0.1, 0.0, 1.0]])
    ours = MetricLearningLoss(losses.Supervised(0.05, reduction="none"))(z, labels)
    theirs = pml.SupConLoss(0.05, reducer=pml.DoNothingReducer())(z, labels)["loss"]["losses"]
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    assert (theirs > 0).tolist() == [False, True, False, True]
    assert float(pml.SupConLoss(0.05)(z, labels)) == pytest.approx(2 * float(ours.mean()), rel=1e-4)
    mean = pml.SupConLoss(0.05, reducer=pml.MeanReducer())(z, labels)
    assert float(mean) == pytest.approx(float(ours.mean()), rel=1e-4)


def test_pml_supcon_leaves_out_anchors_without_a_positive_where_drocl_refuses_the_batch(pml):
    labels, z = torch.tensor([0, 0, 1]), rows(3, 5)
    each = pml.SupConLoss(0.1, reducer=pml.DoNothingReducer())(z, labels)["loss"]["losses"]
    torch.testing.assert_close(pml.SupConLoss(0.1)(z, labels), each[:2].mean())
    with pytest.raises(ValueError, match="1 occurs 1 times"):
        MetricLearningLoss(losses.Supervised(0.1))(z, labels)


def test_pml_ntxent_saturates_at_low_temperature_where_info_nce_does_not(pml):
    z = torch.eye(3)
    apart = (z, -z)  # the positive at cosine -1, negatives at 0
    assert float(pml.SelfSupervisedLoss(pml.NTXentLoss(0.01))(*apart)) == pytest.approx(87.34, abs=0.01)
    assert float(losses.InfoNCE(0.01)(*apart)) == pytest.approx(100 + float(torch.log(torch.tensor(4.0))), rel=1e-6)


def test_pml_references_are_the_one_sided_layout(pml):
    labels, order = torch.tensor([3, 1, 4, 0, 2]), torch.tensor([4, 0, 3, 2, 1])
    z = rows(5, 4), rows(5, 4, seed=1)
    given = {"ref_labels": labels[order]}
    ours = MetricLearningLoss(losses.InfoNCE(0.2))
    agree(labelled(ours, labels, **given), labelled(pml.NTXentLoss(0.2), labels, **given), *z)
    classes = torch.tensor([1, 1, 0, 1, 0])
    given = {"ref_labels": classes[order]}
    ours = MetricLearningLoss(losses.Supervised(0.2))
    agree(labelled(ours, classes, **given), labelled(pml.SupConLoss(0.2), classes, **given), *z)


def test_pml_reducers_are_reductions(pml):
    labels, z = torch.tensor([0, 1, 1, 2, 0, 2]), rows(6, 5)
    summed = MetricLearningLoss(losses.InfoNCE(0.2, reduction="sum"))
    agree(labelled(summed, labels), labelled(pml.NTXentLoss(0.2, reducer=pml.SumReducer()), labels), z)
    each = MetricLearningLoss(losses.InfoNCE(0.2, reduction="none"))
    theirs = pml.NTXentLoss(0.2, reducer=pml.DoNothingReducer())(z, labels)["loss"]
    anchors, _ = theirs["indices"]
    torch.testing.assert_close(each(z, labels)[anchors], theirs["losses"])


def test_pml_cross_batch_memory_of_keys_is_a_queue(pml):
    # the memory holds the batch's own keys as well: 12 places are 4 of the batch and 8 of the past
    mask = torch.arange(8) >= 4
    theirs = pml.CrossBatchMemory(pml.NTXentLoss(0.1), embedding_size=5, memory_size=12)
    ours = MemoryBankLoss(losses.InfoNCE(0.1, symmetric=False, queue=losses.Queue(8, 5, dtype=torch.float64)))
    for step in range(6):
        labels = (4 * step + torch.arange(4)).repeat(2)  # of samples: once in the memory
        keys, queries = rows(4, 5, seed=10 + step), rows(4, 5, seed=step)
        agree(
            lambda q, keys=keys: ours(q, keys),
            lambda q, keys=keys, labels=labels: theirs(torch.cat([q, keys]), labels, enqueue_mask=mask),
            queries,
        )


def test_pml_cross_batch_memory_of_the_batch_has_the_value_but_not_the_gradient(pml):
    memory = pml.CrossBatchMemory(pml.NTXentLoss(0.1), embedding_size=5, memory_size=100)
    queue = losses.Queue(92, 5, dtype=torch.float64)
    ours = MetricLearningLoss(losses.InfoNCE(0.1, queue=queue))
    for step in range(3):
        labels, z = (4 * step + torch.arange(4)).repeat(2), rows(8, 5, seed=step)
        value, gradient = evaluated(labelled(ours, labels), (z,))
        expected, through_anchors = evaluated(labelled(memory, labels), (z,))
        torch.testing.assert_close(value, expected)
        assert (gradient - through_anchors).norm() > 0.1 * gradient.norm()
        queue.push(z)


@pytest.mark.parametrize("views", [False, True], ids=["classes", "pairs"])
def test_a_pml_training_loop_with_the_loss_swapped(pml, views):
    def loop(loss_func: nn.Module) -> tuple[list[float], Tensor]:
        def step(model: nn.Module, batch: int) -> Tensor:
            data = rows(8, 7, seed=batch)
            labels = torch.arange(4).repeat(2) if views else torch.tensor([0, 2, 0, 1, 0, 1, 2, 0])
            embeddings = model(data)
            return loss_func(embeddings, labels)

        return train(encoder(), step)

    ours, theirs = (losses.InfoNCE, pml.NTXentLoss) if views else (losses.Supervised, pml.SupConLoss)
    trained_alike(loop(MetricLearningLoss(ours(0.2))), loop(theirs(0.2)))


def trainer(pml: types.SimpleNamespace, loss: nn.Module, **more: object) -> tuple[list[float], Tensor]:
    """pytorch-metric-learning's own trainer, three iterations of it."""
    labels = torch.arange(5).repeat_interleave(6)
    data = torch.utils.data.TensorDataset(rows(30, 7), labels)
    model, values = encoder(), []
    torch.manual_seed(3)
    importlib.import_module("numpy").random.seed(3)  # the sampler's
    pml.MetricLossOnly(
        models={"trunk": model},
        optimizers={"trunk_optimizer": torch.optim.SGD(model.parameters(), lr=0.1)},
        batch_size=12,
        iterations_per_epoch=3,
        loss_funcs={"metric_loss": loss},
        dataset=data,
        sampler=pml.MPerClassSampler(labels, m=4, length_before_new_iter=20),
        dataloader_num_workers=0,
        data_device=torch.device("cpu"),
        dtype=torch.float64,
        end_of_iteration_hook=lambda t: values.append(float(t.losses["metric_loss"].detach())),
        **more,
    ).train()
    return values, torch.cat([p.detach().reshape(-1) for p in model.parameters()])


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")  # the trainer's own, for its progress bar
def test_the_pml_trainer_with_the_loss_swapped(pml):
    ours = trainer(pml, MetricLearningLoss(losses.Supervised(0.2)))
    trained_alike(ours, trainer(pml, pml.SupConLoss(0.2)))
    assert len(ours[0]) == 3


def test_a_pml_miner_is_refused(pml):
    mining = {"tuple_miner": pml.MultiSimilarityMiner()}
    with pytest.raises(ValueError, match="indices_tuple must be None"):
        trainer(pml, MetricLearningLoss(losses.Supervised(0.2)), mining_funcs=mining)


def test_pml_wrappers_know_their_own_losses_only(pml):
    loss = MetricLearningLoss(losses.InfoNCE(0.2))
    with pytest.raises(Exception, match="not supported for MetricLearningLoss"):
        pml.SelfSupervisedLoss(loss)
    with pytest.raises(Exception, match="not supported for MetricLearningLoss"):
        pml.CrossBatchMemory(loss, embedding_size=5)


# info-nce-pytorch


def test_info_nce_pytorch_is_one_sided_info_nce(info_nce_pytorch):
    z = rows(6, 5), rows(6, 5, seed=1)
    agree(losses.InfoNCE(0.1, symmetric=False), info_nce_pytorch.InfoNCE(), *z)
    agree(QueryLoss(losses.InfoNCE(0.1)), info_nce_pytorch.InfoNCE(), *z)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("shape", "mode"), [((4, 5), "unpaired"), ((6, 4, 5), "paired")])
def test_info_nce_pytorch_negatives_replace_those_in_the_batch(info_nce_pytorch, shape, mode, reduction):
    z = rows(6, 5), rows(6, 5, seed=1), rows(*shape, seed=2)
    theirs = info_nce_pytorch.InfoNCE(0.2, reduction=reduction, negative_mode=mode)
    agree(QueryLoss(losses.InfoNCE(0.2, reduction=reduction)), theirs, *z)
    function = partial(losses.info_nce, temperature=0.2, symmetric=False, in_batch=False, reduction=reduction)
    agree(lambda q, p, n: function(q, p, negatives=n), theirs, *z)


@pytest.mark.parametrize("negatives", [False, True])
def test_an_info_nce_pytorch_training_step_with_the_loss_swapped(info_nce_pytorch, negatives):
    def loop(loss: nn.Module) -> tuple[list[float], Tensor]:
        def step(model: nn.Module, batch: int) -> Tensor:
            query, positive, negative = (model(rows(6, 7, seed=10 * batch + i)) for i in range(3))
            return loss(query, positive, negative) if negatives else loss(query, positive)

        return train(encoder(), step)

    trained_alike(loop(QueryLoss(losses.InfoNCE(0.2))), loop(info_nce_pytorch.InfoNCE(0.2)))


@pytest.mark.parametrize("make", FAMILY)
def test_every_loss_takes_explicit_negatives(make):
    loss = make()
    z = rows(6, 5), rows(6, 5, seed=1)
    for negatives in (rows(8, 5, seed=2), rows(6, 3, 5, seed=2)):
        if negatives.ndim == 3 and make in WHOLE_ROWS:
            with pytest.raises(ValueError, match="negatives"):
                QueryLoss(loss)(*z, negatives)
            continue
        found = evaluated(QueryLoss(loss), (*z, negatives))
        assert all(t.isfinite().all() for t in found)
        assert found[-1].norm() > 0


# the adapters themselves


def test_pairs_are_read_from_the_labels():
    loss, z = losses.InfoNCE(0.2, reduction="none"), rows(6, 5)
    labels = torch.tensor([7, 3, 3, 9, 7, 9])
    first, second = torch.tensor([1, 0, 3]), torch.tensor([2, 4, 5])
    expected = torch.empty(6, dtype=torch.float64)
    expected[torch.cat([first, second])] = loss(z[first], z[second])
    torch.testing.assert_close(MetricLearningLoss(loss)(z, labels), expected)


def test_concatenated_views_pair_up_across_the_halves_and_other_rows_as_they_stand():
    loss, z = losses.Unbiased(0.2), rows(8, 5)
    halves = torch.tensor([0, 0, 1, 1])
    torch.testing.assert_close(MetricLearningLoss(loss)(z, halves.repeat(2)), loss(z[:4], z[4:], halves))
    mixed = torch.tensor([0, 1, 0, 0, 1, 1, 0, 1])
    first, second = torch.tensor([0, 3, 1, 5]), torch.tensor([2, 6, 4, 7])
    torch.testing.assert_close(MetricLearningLoss(loss)(z, mixed), loss(z[first], z[second], mixed[first]))


def test_the_layout_follows_the_call_and_the_module_keeps_its_options():
    loss = losses.InfoNCE(0.2, symmetric=False, diagnostics=True)
    z = rows(4, 5), rows(4, 5, seed=1)
    labels = torch.arange(4)
    both = MetricLearningLoss(loss)(torch.cat(z), labels.repeat(2))
    torch.testing.assert_close(both, losses.InfoNCE(0.2)(*z))
    assert loss.options["symmetric"] is False
    assert loss.last is not None


def test_a_learnable_temperature_learns_through_the_adapter():
    loss = MetricLearningLoss(losses.InfoNCE(losses.Temperature(0.2)))
    loss(rows(4, 5), torch.arange(2).repeat(2)).backward()
    (temperature,) = loss.parameters()
    assert temperature.grad is not None
    assert temperature.grad.abs() > 0


@pytest.mark.parametrize(
    ("labels", "given", "says"),
    [
        ([0, 0, 0, 1], {}, "labels do not form pairs: 0 occurs 3 times"),
        ([0, 1, 2, 3], {}, "labels do not form pairs: 0 occurs 1 times"),
        ([5, 5, 5, 5], {}, "5 names 2 pairs, and InfoNCE would take the others for negatives"),
        ([0, 1], {}, "labels must have shape"),
        ([0, 1, 0, 1], {"ref_labels": torch.arange(4)}, "ref_labels without ref_emb"),
        ([0, 1, 2, 3], {"ref_emb": rows(4, 5)}, "ref_labels must be given"),
        (
            [0, 1, 2, 3],
            {"ref_emb": rows(4, 5), "ref_labels": torch.tensor([0, 1, 2, 2])},
            "must hold every label as often",
        ),
        ([0, 1, 2, 3], {"ref_emb": rows(5, 5), "ref_labels": torch.arange(5)}, "5 references for 4 anchors"),
        ([0, 1, 0, 1], {"indices_tuple": (torch.tensor([0]),) * 4}, "indices_tuple must be None"),
    ],
)
def test_labels_that_mean_something_else_are_refused(labels, given, says):
    with pytest.raises(ValueError, match=says):
        MetricLearningLoss(losses.InfoNCE(0.2))(rows(4, 5), torch.tensor(labels), **given)


def test_adapters_take_modules_of_drocl_only():
    for adapter in (MetricLearningLoss, QueryLoss, MemoryBankLoss):
        with pytest.raises(ValueError, match=r"loss must be a module of drocl\.losses"):
            adapter(nn.CrossEntropyLoss())
    with pytest.raises(ValueError, match="queue=None"):
        MemoryBankLoss(losses.InfoNCE())
    with pytest.raises(ValueError, match="loss must need no labels"):
        QueryLoss(losses.Supervised())


def test_the_adapters_import_no_peer():
    code = (
        "import sys, drocl.losses.adapters; "
        "print([m for m in ('lightly', 'pytorch_metric_learning', 'info_nce', 'torchvision') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_adapters_copy_and_pickle(tmp_path):
    loss = MetricLearningLoss(losses.InfoNCE(0.2))
    z, labels = rows(4, 5), torch.arange(2).repeat(2)
    torch.save(loss, tmp_path / "loss.pt")
    for other in (copy.deepcopy(loss), torch.load(tmp_path / "loss.pt", weights_only=False)):
        assert torch.equal(other(z, labels), loss(z, labels))


def test_the_code_of_the_page_runs():
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert len(blocks) >= 4
    for block in blocks:
        model = encoder().float()
        x0 = rows(8, 7, dtype=torch.float32)
        names = {
            "model": model, "x0": x0, "x1": x0 + 0.1 * rows(8, 7, seed=1, dtype=torch.float32), "size": 16, "dim": 5,
            "optimizer": torch.optim.SGD(model.parameters(), lr=0.1), "torch": torch,
            "data": rows(8, 7, dtype=torch.float32), "labels": torch.tensor([0, 1, 2, 3, 0, 1, 2, 3]),
            "classes": torch.tensor([0, 0, 1, 1, 0, 2, 2, 0]),
            "query": rows(4, 5), "positive": rows(4, 5, seed=1), "negatives": rows(6, 5, seed=2),
        }  # fmt: skip
        exec(compile(block, str(PAGE), "exec"), names)
        assert bool(names["loss"].isfinite())
