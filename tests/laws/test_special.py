"""Elementary functions against 60 digits: full relative accuracy, with the removable singularities."""

import math

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from drocl import _special

SMALL = np.geomspace(1e-300, 30.0, 120)
BOTH = np.concatenate([-SMALL[::-1], SMALL])
POWERS = (-2.0, -1e-9, 0.0, 1e-9, 0.3, 0.5, 0.5000001, 1 - 1e-9, 1.0, 1 + 1e-9, 2.0, 3.0)


def worst(found, points, exact, digits=400):
    """Largest relative error over the points."""
    errors = []
    with mpmath.workdps(digits):
        for got, point in zip(found, points, strict=True):
            true = exact(mpf(float(point)))
            errors.append(float(abs(mpf(float(got)) - true) / abs(true)) if true != 0 else abs(float(got)))
    return max(errors)


def test_exp_remainder():
    points = BOTH[np.abs(BOTH) > 1e-150]
    assert worst(_special.exp_remainder(points), points, lambda u: (mpmath.exp(u) - 1 - u) / u**2) <= 4e-15
    assert _special.exp_remainder(np.zeros(1))[0] == 0.5


def test_log1p_remainder():
    points = np.concatenate([-np.geomspace(1e-150, 1 - 1e-9, 80), np.geomspace(1e-150, 1e12, 80)])
    assert worst(_special.log1p_remainder(points), points, lambda v: (v - mpmath.log(1 + v)) / v**2) <= 4e-15
    assert _special.log1p_remainder(np.zeros(1))[0] == 0.5


def test_entropy_of_log():
    points = BOTH[np.abs(BOTH) > 1e-150]
    assert worst(_special.entropy_of_log(points), points, lambda u: mpmath.exp(u) * (u - 1) + 1) <= 4e-15
    assert np.array_equal(_special.entropy_of_log(np.array([0.0, -np.inf, -1e4])), [0.0, 1.0, 1.0])


@pytest.mark.parametrize("power", POWERS)
def test_cressie_read_of_log(power):
    points = BOTH[np.abs(BOTH) > 1e-150]

    def exact(u):
        k, t = mpf(power), mpmath.exp(u)
        if k == 1:
            return t * u - t + 1
        if k == 0:
            return t - 1 - u
        return (mpmath.exp(k * u) - k * t + k - 1) / (k * (k - 1))

    # t = e^u carries |u| roundings of its own argument
    assert worst(_special.cressie_read_of_log(points, power), points, exact) <= 1e-13


@pytest.mark.parametrize("power", POWERS)
def test_cressie_read_of_log_at_the_ends(power):
    zero, one, infinity = _special.cressie_read_of_log(np.array([-np.inf, 0.0, np.inf]), power)
    assert zero == (1.0 / power if power > 0 else math.inf)
    assert one == 0.0
    assert infinity == math.inf


def test_integers_and_lists_become_doubles():
    xp = _special.namespace([1, 2])
    assert _special.as_float([1, 2], xp).dtype == np.float64
    assert _special.as_float(np.array([1, 2]), xp).dtype == np.float64
    assert _special.as_float(np.array([1.0], dtype=np.float32), xp).dtype == np.float32


def test_torch_arrays_get_the_numbers_of_numpy():
    torch = pytest.importorskip("torch")
    for function in (_special.exp_remainder, _special.entropy_of_log):
        assert np.allclose(function(torch.tensor(BOTH)).numpy(), function(BOTH), rtol=1e-15, atol=0)
