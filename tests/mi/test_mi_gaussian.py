"""Laws of the Gaussian closed forms: each against an integral over the plane, and against each other."""

import math

import numpy as np
import pytest

from drocl.divergences import get
from drocl.mi import gaussian

RHO = (0.05, 0.3, 0.6, 0.9)
SMOOTH = [
    get("kl"),
    get("reverse_kl"),
    get("hellinger"),
    get("js"),
    get("cressie_read", k=0.3),
    get("cressie_read", k=1.2),
]


def plane(rho, function, radius=40.0, points=801):
    """E_Q of a function of log t for one pair, by the trapezoid rule in u, v = (x ± y)/sqrt 2.

    The trapezoid rule is exact to rounding for smooth functions; the radius is where the integrand has decayed. All is even in u and
    in v: a quarter of the plane will do.
    """
    axis = np.linspace(0.0, radius, points)
    weight = np.where(axis > 0.0, math.log(2.0), 0.0)
    u, v = axis[:, None] ** 2, axis[None, :] ** 2
    log_t = -0.5 * math.log1p(-rho * rho) + 0.5 * rho * (u / (1.0 + rho) - v / (1.0 - rho))
    mass = -0.5 * (u + v) + math.log(axis[1] ** 2 / (2.0 * math.pi)) + weight[:, None] + weight
    return function(log_t, mass)


@pytest.mark.parametrize("rho", RHO)
@pytest.mark.parametrize("divergence", SMOOTH, ids=lambda d: d.label)
def test_information_is_the_integral_of_the_generator(rho, divergence):
    # the generator's own normalisation: chi2 without 1/2, hellinger = 2 - 2 BC, cressie_read over k (k - 1)
    def integral(log_t, mass):
        return float(np.sum(np.exp(mass) * divergence.phi(np.exp(np.clip(log_t, -690, 690)))))

    found = gaussian.information([rho], divergence)
    assert found == pytest.approx(plane(rho, integral, radius=12.0, points=301 if rho < 0.8 else 1001), rel=2e-9)


@pytest.mark.parametrize("rho", [0.05, 0.2, 0.3, 0.45])
@pytest.mark.parametrize("k", [2.0, 3.0, -1.0, 2.5])
def test_moments_are_integrals_inside_their_range(rho, k):
    # the integrand e^{k log t} decays as a normal density of variance 1 / (1 - ...): radius 40 covers rho (k - 1) <= 0.95
    found = gaussian.ratio_moment([rho], k)
    assert found == pytest.approx(plane(rho, lambda log_t, mass: float(np.sum(np.exp(mass + k * log_t)))), rel=1e-10)


@pytest.mark.parametrize("k", [2.0, 3.0, 4.0, 6.0, -1.0, -3.0])
def test_moments_are_finite_exactly_below_the_threshold(k):
    edge = 1.0 / abs(k - 1.0)
    if edge < 1.0:
        assert gaussian.ratio_moment([edge], k) == math.inf
        assert gaussian.ratio_moment([-edge * 1.0001], k) == math.inf
    below = gaussian.ratio_moment([edge * (1.0 - 1e-4)], k)
    assert math.isfinite(below)
    # above it the truncated integral grows without bound, below it does not
    grow = [plane(min(edge * 1.1, 0.99), lambda a, m: float(np.sum(np.exp(m + k * a))), r, 301) for r in (8, 12)]
    still = [plane(edge * 0.5, lambda a, m: float(np.sum(np.exp(m + k * a))), r, 301) for r in (12, 14)]
    assert still[1] == pytest.approx(still[0], rel=1e-6)
    if edge * 1.1 < 0.99:
        assert grow[1] > 5.0 * grow[0]


def test_chi2_plugin_has_a_variance_below_one_third_only():
    for rho in (0.1, 0.3):
        square = plane(rho, lambda a, m: float(np.sum(np.expm1(a) ** 4 * np.exp(m))), 24.0)
        exact = square - gaussian.information([rho], "chi2") ** 2
        assert gaussian.chi2_plugin_variance([rho]) == pytest.approx(exact, rel=1e-9)
    assert math.isfinite(gaussian.chi2_plugin_variance([0.3333]))
    assert gaussian.chi2_plugin_variance([1.0 / 3.0]) == math.inf
    assert gaussian.chi2_plugin_variance([0.1, -0.34]) == math.inf


@pytest.mark.parametrize("rho", [0.3, 0.8])
def test_log_ratio_variance_under_both_laws(rho):
    for law, tilt in (("joint", 1.0), ("product", 0.0)):
        mean, square = (
            plane(rho, lambda a, m, p=p, tilt=tilt: float(np.sum(np.exp(m + tilt * a) * a**p)), 30.0) for p in (1, 2)
        )
        assert gaussian.log_ratio_variance([rho], law) == pytest.approx(square - mean**2, rel=1e-9)


def test_total_variation_of_one_pair():
    # a kink along a hyperbola: the plane's trapezoid rule has its second-order error, 1e-6 at this step
    brute = plane(0.6, lambda a, m: float(0.5 * np.sum(np.exp(m) * np.abs(np.expm1(a)))), 12.0, 2001)
    assert gaussian.information([0.6], "tv") == pytest.approx(brute, abs=1e-6)


@pytest.mark.parametrize("count", [1, 2, 5, 20, 301])
@pytest.mark.parametrize("rho", [0.01, 0.4, 0.95])
def test_the_law_of_the_log_ratio_gives_the_closed_forms(rho, count):
    # the quadrature behind js and tv, on divergences whose value is known; 1e-10 is what it promises
    for name in ("kl", "hellinger"):
        divergence = get(name)
        exact = gaussian.information([rho] * count, name)
        assert gaussian.equal_pairs(rho, count, divergence.phi) == pytest.approx(exact, rel=1e-10)


def test_bounded_divergences_obey_their_inequalities():
    for rho, count in ((0.2, 3), (0.7, 1), (0.9, 10)):
        tv, js, h2, kl = (gaussian.information([rho] * count, name) for name in ("tv", "js", "hellinger", "kl"))
        assert h2 / 2.0 <= tv <= math.sqrt(h2 - h2 * h2 / 4.0)  # Le Cam
        assert tv <= math.sqrt(kl / 2.0)  # Pinsker
        assert 0.0 < js <= min(math.log(2.0) * tv, math.log(2.0))


def test_information_is_invariant_and_additive():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(7, 7))
    covariance = root @ root.T + 0.5 * np.eye(7)
    rho = gaussian.canonical_correlations(covariance, 3)
    blocks = [np.linalg.slogdet(part)[1] for part in (covariance[:3, :3], covariance[3:, 3:], covariance)]
    assert gaussian.mutual_information(rho) == pytest.approx(0.5 * (blocks[0] + blocks[1] - blocks[2]), rel=1e-12)
    maps = np.zeros((7, 7))
    maps[:3, :3], maps[3:, 3:] = rng.normal(size=(3, 3)), rng.normal(size=(4, 4))
    assert gaussian.canonical_correlations(maps @ covariance @ maps.T, 3) == pytest.approx(rho, abs=1e-10)
    # chi2 + 1 and the Bhattacharyya coefficient multiply over pairs, kl and reverse kl add
    parts = [[0.2, 0.3], [0.5]]
    joint = parts[0] + parts[1]
    for name, law in (
        ("chi2", lambda d: math.log1p(d)),
        ("hellinger", lambda d: math.log1p(-d / 2.0)),
        ("reverse_kl", float),
    ):
        assert law(gaussian.information(joint, name)) == pytest.approx(
            sum(law(gaussian.information(part, name)) for part in parts), rel=1e-12
        )
    assert gaussian.information([0.4] * 5, "chi2") == pytest.approx(
        math.expm1(2.0 * gaussian.mutual_information([0.4] * 5))
    )


def test_powers_pass_smoothly_through_their_limits():
    rho = [0.6, 0.2]
    for k, name in ((1.0, "kl"), (0.0, "reverse_kl")):
        for step in (1e-9, -1e-9):  # the slope in k is about 1
            near = gaussian.information(rho, "cressie_read", k=k + step)
            assert near == pytest.approx(gaussian.information(rho, name), rel=1e-8)
    assert gaussian.information(rho, "renyi", order=1.0) == gaussian.information(rho, "kl")
    assert gaussian.information(rho, "renyi", order=2.0) == pytest.approx(math.log1p(gaussian.information(rho, "chi2")))


def test_correlation_of_inverts_the_information():
    for dimension, nats in ((1, 0.01), (20, 6.0), (20, 10.0), (3, 0.0)):
        rho = gaussian.correlation_of(nats, dimension)
        assert gaussian.mutual_information([rho] * dimension) == pytest.approx(nats, rel=1e-12)


def test_independence_has_no_information_and_a_ratio_above_the_cap_is_infinite():
    for name in ("kl", "chi2", "js", "tv", "hellinger"):
        assert gaussian.information([0.0, 0.0], name) == 0.0
    assert gaussian.information([0.3], "cvar", level=0.5) == math.inf
    assert gaussian.information([0.6], "cressie_read", k=3.0) == math.inf


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gaussian.information([1.0]), "correlations"),
        (lambda: gaussian.information([0.5, 0.3], "js"), "different correlations"),
        (lambda: gaussian.information([0.5], "nothing"), "divergence='nothing'"),
        (lambda: gaussian.log_ratio_variance([0.5], "both"), "law='both'"),
        (lambda: gaussian.correlation_of(-1.0), "mutual_information=-1.0"),
        (lambda: gaussian.correlation_of(1.0, 0), "dimension=0"),
        (lambda: gaussian.canonical_correlations(np.eye(2), 2), "dim_x=2"),
        (lambda: gaussian.canonical_correlations([[1.0, 2.0], [2.0, 1.0]], 1), "positive definite"),
        (lambda: gaussian.canonical_correlations([[1.0, 0.5]], 1), "square"),
    ],
)
def test_wrong_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
