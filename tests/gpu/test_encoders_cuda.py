"""Training on a CUDA device; reported as not run where there is none."""

import pytest
import torch

from drocl.encoders import TrainConfig, train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="not run: no CUDA device on this machine")


def history(**fields):
    config = TrainConfig(
        subset=256, batch_size=64, max_steps=6, log_every=1, tensorboard=False, **{"encoder": "convnet", **fields}
    )
    return [row["loss"] for row in train(config, None, measure=False).history]


def test_the_device_changes_the_losses_by_rounding_alone():
    assert history(device="cuda") == pytest.approx(history(device="cpu"), rel=1e-3)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("accumulate", [1, 4])
def test_half_precision_stays_near_single(precision, accumulate):
    assert history(device="cuda", precision=precision, accumulate=accumulate) == pytest.approx(history(device="cpu"), rel=3e-2)


def test_a_compiled_encoder_gives_the_same_losses():
    assert history(device="cuda", compile=True) == pytest.approx(history(device="cuda"), rel=1e-3)
