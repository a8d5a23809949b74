"""Streaming, dense and compiled: one loss, whatever the road."""

import subprocess
import sys

import pytest
import torch
from conftest import FAMILY, ask, value_and_gradient, views

from drocl import losses


def close(one, other, tolerance):
    return float((one - other).norm()) <= tolerance * float(other.norm())


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("name", FAMILY)
def test_tiles_of_any_size_change_nothing(name, symmetric):
    if name == "clip" and symmetric:
        pytest.skip("not run: clip is one-sided")
    z1, z2 = views(11, 4)
    labels = torch.arange(11) // 3
    value, gradient = value_and_gradient(name, z1, z2, labels=labels, chunk_size=None, symmetric=symmetric)
    for chunk_size in (1, 3, 11, 22, 64, "auto"):
        other, slope = value_and_gradient(name, z1, z2, labels=labels, chunk_size=chunk_size, symmetric=symmetric)
        assert close(other, value, 1e-13)
        assert close(slope, gradient, 1e-12)


@pytest.mark.parametrize("temperature", [0.01, 0.02, 1.0])
def test_tiles_agree_at_any_temperature(temperature):
    """Below about 0.025 in single precision every row keeps a running maximum; above, one exponential serves both directions."""
    for dtype, tolerance in ((torch.float64, 1e-11), (torch.float32, 5e-4)):
        z1, z2 = views(11, 4, dtype)
        for loss in (losses.info_nce, losses.hard_negative, losses.rince):
            options = {"q": 0.1} if loss is losses.rince else {}
            dense = torch.cat(torch.autograd.grad(loss(z1, z2, temperature, chunk_size=None, **options), (z1, z2)))
            tiled = torch.cat(torch.autograd.grad(loss(z1, z2, temperature, chunk_size=3, **options), (z1, z2)))
            assert close(tiled, dense, tolerance)


@pytest.mark.parametrize("name", FAMILY)
def test_reductions(name):
    z1, z2 = views()
    each = ask(name, z1, z2, reduction="none")
    assert each.shape == (6 if name == "clip" or "graph" in name or "sentence" in name else 12,)
    assert float(ask(name, z1, z2, reduction="sum")) == pytest.approx(float(each.sum()), rel=1e-13)
    assert float(ask(name, z1, z2)) == pytest.approx(float(each.mean()), rel=1e-13)


@pytest.mark.parametrize("name", FAMILY)
def test_the_type_of_the_inputs_comes_back(name):
    for dtype, out in ((torch.float64, torch.float64), (torch.float32, torch.float32), (torch.bfloat16, torch.float32)):
        z1, z2 = views(dtype=dtype)
        loss = ask(name, z1, z2)
        loss.backward()
        assert loss.dtype == out
        assert z1.grad.dtype == z2.grad.dtype == dtype


@pytest.mark.parametrize("name", FAMILY)
def test_swapping_the_views_changes_nothing_in_the_two_sided_layout(name):
    if name == "clip" or "graph" in name or "sentence" in name:
        pytest.skip("not run: one-sided by definition")
    z1, z2 = views()
    assert float(ask(name, z1, z2)) == pytest.approx(float(ask(name, z2, z1)), rel=1e-12)


@pytest.mark.parametrize("name", FAMILY)
def test_a_rotation_and_the_lengths_of_the_rows_change_nothing(name):
    z1, z2 = (z.detach() for z in views())
    turn = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))).Q
    lengths = torch.logspace(-100, 100, 6, dtype=torch.float64)[:, None]
    assert float(ask(name, z1 @ turn * lengths, z2 @ turn)) == pytest.approx(float(ask(name, z1, z2)), rel=1e-11)


def test_each_row_is_pulled_at_right_angles_to_itself():
    z1, z2 = views()
    for name in FAMILY:
        _, gradient = value_and_gradient(name, z1, z2)
        along = (gradient * torch.cat((z1, z2))).sum(1)
        assert float(along.abs().max()) <= 1e-12


# what is traced ahead of time with its backward are the operators, and these call all of them, with every kind of head and layout
TRACED = ("info_nce", "hard_negative exact", "adnce graph", "dro kl", "dro tv", "mean_variance", "clip", "supervised")


@pytest.mark.parametrize("name", FAMILY)
def test_compiled_without_a_graph_break(name):
    z1, z2 = views()
    backend = "aot_eager" if name in TRACED else "eager"
    compiled = torch.compile(lambda a, b: ask(name, a, b), fullgraph=True, backend=backend)
    try:
        loss = compiled(z1, z2)
        gradient = torch.cat(torch.autograd.grad(loss, (z1, z2)))
    finally:
        torch._dynamo.reset()
    value, slope = value_and_gradient(name, z1, z2)
    assert float(loss) == pytest.approx(float(value), rel=1e-13)
    assert close(gradient, slope, 1e-13)


def test_the_operators_pass_torch_s_own_checks():
    from drocl.losses import _ops
    from drocl.losses._kernels import Kernel, encode

    z1, z2 = views()
    unit = torch.nn.functional.normalize(torch.cat((z1, z2))).detach().requires_grad_()
    kappa = torch.tensor([2.0], dtype=torch.float64, requires_grad=True)
    args = (unit, None, kappa, [torch.arange(6).repeat(2)], [], encode([Kernel()]), 6, 0, 1, False, True, "torch")
    torch.library.opcheck(_ops.row_statistics, args, test_utils=("test_schema", "test_faketensor", "test_autograd_registration"))
    torch.library.opcheck(_ops.unit_rows, ([z1, z2], "z1,z2", True), test_utils=("test_schema", "test_faketensor"))


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="not run: reads the peak memory from /proc")
def test_memory_grows_with_the_batch_and_not_with_its_square():
    code = """
import torch
from drocl import losses
def peak():
    return int(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])
def step(rows):
    z1, z2 = (torch.randn(rows, 64, requires_grad=True) for _ in range(2))
    for loss in (losses.info_nce, losses.hard_negative, losses.adnce):
        loss(z1, z2, 0.1).backward()
torch.set_num_threads(1)
step(64)
before = peak()
step(2048)
print((peak() - before) / 1024)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # inputs, gradients and unit rows are 1 MiB each (six of them alive), tiles 1 MiB; one 4096 x 4096 matrix would be 64 MiB
    assert float(done.stdout) < 32.0
