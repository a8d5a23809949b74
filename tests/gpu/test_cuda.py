"""The solver on a CUDA device; reported as not run where there is none."""

import numpy as np
import pytest
import torch

from drocl import divergences, dro

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="not run: no CUDA device on this machine")

MEMBERS = (("kl", {}), ("chi2", {}), ("hellinger", {}), ("cressie_read", {"k": 3}), ("js", {}), ("tv", {}))


@pytest.mark.parametrize(("name", "params"), MEMBERS)
def test_the_device_changes_nothing(name, params):
    divergence = divergences.get(name, **params)
    scores = np.random.default_rng(0).normal(size=(16, 200))
    here = dro.worst_case(scores, radius=0.2, divergence=divergence)
    there = dro.worst_case(torch.from_numpy(scores).cuda(), radius=0.2, divergence=divergence)
    for field in ("value", "multiplier", "weights"):
        found = getattr(there, field)
        assert found.is_cuda
        assert np.allclose(found.cpu().numpy(), getattr(here, field), rtol=1e-11, atol=1e-14)


def test_gradients_stay_on_the_device():
    scores = torch.randn(4, 50, dtype=torch.float64, device="cuda", requires_grad=True)
    best = dro.worst_case(scores, radius=0.2)
    best.value.sum().backward()
    assert torch.allclose(scores.grad, best.weights, atol=1e-12)
