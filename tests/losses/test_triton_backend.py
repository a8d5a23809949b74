"""`backend="triton"` gives the losses of the portable path; the kernels have tests of their own in tests/parity."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from drocl import losses

SCRIPT = Path(__file__).with_name("triton_script.py")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="not run: triton is not installed")
def test_the_family_in_triton_s_interpreter():
    env = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}  # read when Triton is imported: not in this process
    done = subprocess.run([sys.executable, SCRIPT.name], capture_output=True, text=True, cwd=SCRIPT.parent, env=env, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found["in the batch"]) > 10
    # single precision on both sides: 24 bits, times kappa |s| and the sum over twelve anchors
    assert {(part, key): off for part, rows in found.items() for key, off in rows.items() if not off <= 2e-6} == {}


def test_it_is_refused_where_it_cannot_run():
    z = torch.randn(4, 3)
    with pytest.raises(ValueError, match="backend='triton' needs triton, a CUDA device"):
        losses.info_nce(z, z.flip(0), backend="triton")
