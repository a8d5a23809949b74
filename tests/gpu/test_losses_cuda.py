"""The losses on a CUDA device, portable and in Triton; reported as not run where there is none."""

import pytest
import torch

from drocl import losses

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="not run: no CUDA device on this machine")

FAMILY = (losses.info_nce, losses.debiased, losses.hard_negative, losses.rince, losses.adnce, losses.alpha_cl, losses.clip)


def value_and_gradient(loss, device, dtype, **options):
    generator = torch.Generator().manual_seed(0)
    z1, z2 = (torch.randn(300, 40, generator=generator).to(device, dtype).requires_grad_() for _ in range(2))
    value = loss(z1, z2, 0.1, **options)
    return value.double().cpu(), torch.cat(torch.autograd.grad(value, (z1, z2))).double().cpu()


@pytest.mark.parametrize("backend", ["torch", "triton"])
@pytest.mark.parametrize("loss", FAMILY)
def test_the_device_changes_nothing(loss, backend):
    exact = value_and_gradient(loss, "cpu", torch.float64)
    found = value_and_gradient(loss, "cuda", torch.float32, backend=backend)
    for one, other, tolerance in zip(found, exact, (2e-5, 2e-3), strict=True):
        assert float((one - other).norm()) <= tolerance * float(other.norm())


@pytest.mark.parametrize("divergence", ["kl", "chi2", "tv"])
def test_the_worst_case_on_the_device(divergence):
    options = {"divergence": divergence, "radius": 0.1}
    exact = value_and_gradient(lambda a, b, _, **k: losses.dro(a, b, **k), "cpu", torch.float64, **options)
    found = value_and_gradient(lambda a, b, _, **k: losses.dro(a, b, **k), "cuda", torch.float64, **options)
    assert torch.allclose(found[0], exact[0], rtol=1e-11)


def test_memory_is_linear_in_the_batch():
    torch.cuda.reset_peak_memory_stats()
    z1, z2 = (torch.randn(65_536, 128, device="cuda", requires_grad=True) for _ in range(2))
    before = torch.cuda.memory_allocated()
    losses.info_nce(z1, z2, 0.1).backward()
    assert torch.cuda.max_memory_allocated() - before < 2**30  # the score matrix would be 64 GiB
