"""Laws of the divergences that the solver leans on: sensitivities, tiny arguments, and distances between laws."""

import math

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from drocl.divergences import NAMES, get

SMOOTH = [
    get("kl"), get("reverse_kl"), get("chi2"), get("neyman"), get("hellinger"), get("js"),
    get("cressie_read", k=3), get("cressie_read", k=-0.5), get("cressie_read", k=0.3),
]  # fmt: skip
PHI = [*SMOOTH, get("tv"), get("cvar", level=0.3)]
by_label = pytest.mark.parametrize("divergence", SMOOTH, ids=lambda d: d.label)


@by_label
def test_sensitivity_is_the_inverse_curvature_of_the_generator(divergence):
    # (phi*)''(s) = 1 / phi''(t*(s)); both sides by central differences of the library's first derivatives
    slopes = np.array([-0.3, -0.05, 0.0, 0.1, 0.2])
    h = 1e-5
    rise = (divergence.conjugate_derivative(slopes + h) - divergence.conjugate_derivative(slopes - h)) / (2 * h)
    assert np.allclose(divergence.conjugate_second_derivative(slopes), rise, rtol=1e-7)
    at = divergence.conjugate_derivative(slopes)
    curve = (divergence.derivative(at + h) - divergence.derivative(at - h)) / (2 * h)
    assert np.allclose(divergence.conjugate_second_derivative(slopes) * curve, 1.0, rtol=1e-7)
    assert divergence.conjugate_second_derivative(0.0) == pytest.approx(1.0 / divergence.second_at_one, rel=1e-14)


@by_label
def test_derivatives_invert_each_other(divergence):
    points = np.array([1e-3, 0.4, 1.0, 1.0 + 1e-9, 2.0, 30.0])
    assert np.allclose(divergence.conjugate_derivative(divergence.derivative(points)), points, rtol=1e-10)


@by_label
def test_generator_near_one_keeps_its_leading_digits(divergence):
    # phi(1 + e) = phi'' e^2 / 2 + phi''' e^3 / 6 + O(e^4), where the textbook form has lost everything
    for step in (2.0**-30, -(2.0**-26)):
        lead = divergence.second_at_one * step**2 / 2 + divergence.third_at_one * step**3 / 6
        assert float(divergence.phi(1.0 + step)) == pytest.approx(lead, rel=1e-13)


@by_label
def test_conjugate_near_zero_is_its_argument_plus_a_square(divergence):
    for s in (1e-12, -1e-9):
        rest = s + s * s / (2.0 * divergence.second_at_one)
        assert float(divergence.conjugate(s)) == pytest.approx(rest, rel=1e-15)
    assert float(divergence.conjugate(0.0)) == 0.0


@pytest.mark.parametrize("divergence", PHI, ids=lambda d: d.label)
def test_fenchel_young_inequality(divergence):
    rng = np.random.default_rng(0)
    t, s = rng.exponential(size=(400, 1)) * 2.0, rng.normal(size=(1, 400)) * 2.0
    assert np.all(s * t <= divergence.phi(t) + divergence.conjugate(s) + 1e-14)


@pytest.mark.parametrize("divergence", PHI, ids=lambda d: d.label)
def test_distance_between_laws(divergence):
    rng = np.random.default_rng(1)
    q0 = rng.dirichlet(np.ones(5), size=4)
    q = 0.7 * q0 + 0.3 * rng.dirichlet(np.ones(5), size=4)
    many = divergence.between(q, q0)
    assert many.shape == (4,)
    assert np.all(many >= 0.0)
    assert np.array_equal(divergence.between(q.T, q0.T, axis=0), many)
    assert float(divergence.between(q0[0], q0[0])) == 0.0
    assert float(divergence.between([0.5, 0.5, 0.0], [0.5, 0.5, 0.0])) == 0.0
    # mass where the base has none is outside every ball, also where the slope at infinity is finite
    assert float(divergence.between([0.5, 0.4, 0.1], [0.5, 0.5, 0.0])) == math.inf


@by_label
def test_distance_of_nearby_laws_keeps_its_digits(divergence):
    base = np.array([0.25, 0.25, 0.5])
    step = 2.0**-40
    law = base + np.array([step, -step, 0.0])
    with mpmath.workdps(60):
        exact = divergence.second_at_one * mpf(step) ** 2 / mpf("0.25")  # odd orders cancel
        assert float(divergence.between(law, base)) == pytest.approx(float(exact), rel=1e-12)


def test_every_name_is_served_and_an_object_is_returned_as_it_is():
    params = {"cressie_read": {"k": 3}, "cvar": {"level": 0.3}, "renyi": {"order": 2}}
    for name in NAMES:
        divergence = get(name, **params.get(name, {}))
        assert divergence.name == name
        assert get(divergence) is divergence
        assert divergence.label.startswith(name)
    with pytest.raises(ValueError, match="cannot be added"):
        get(get("kl"), k=3)


@pytest.mark.parametrize("mass", [0.0, -0.1, 1.5, math.nan])
@pytest.mark.parametrize("name", ["kl", "tv", "renyi"])
def test_mass_of_radius_max_is_a_probability(name, mass):
    with pytest.raises(ValueError, match="mass="):
        get(name, **({"order": 2} if name == "renyi" else {})).radius_max(mass)


def test_scaled_members_are_multiples_of_their_power():
    points = np.array([0.01, 0.5, 2.0, 9.0])
    for name, k, scale in (("chi2", 2, 2.0), ("neyman", -1, 2.0), ("hellinger", 0.5, 0.5)):
        assert np.allclose(get(name).phi(points), scale * get("cressie_read", k=k).phi(points), rtol=1e-15)
