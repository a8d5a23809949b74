"""Conjugates and limits of the divergences against a numerical Legendre transform and against sympy."""

import math

import numpy as np
import pytest
import sympy
from scipy.optimize import minimize_scalar

from drocl import divergences
from drocl.divergences import get

SMOOTH = [
    get("kl"), get("reverse_kl"), get("chi2"), get("neyman"), get("hellinger"), get("js"),
    get("cressie_read", k=3), get("cressie_read", k=1.5), get("cressie_read", k=-0.5), get("cressie_read", k=0.3),
]  # fmt: skip
by_label = pytest.mark.parametrize("divergence", SMOOTH, ids=lambda d: d.label)

t = sympy.symbols("t", positive=True)
k = sympy.symbols("k", real=True)
FORMULA = {
    "kl": t * sympy.log(t) - t + 1,
    "reverse_kl": -sympy.log(t) + t - 1,
    "chi2": (t - 1) ** 2,
    "neyman": (t - 1) ** 2 / t,
    "hellinger": (sympy.sqrt(t) - 1) ** 2,
    "js": (t * sympy.log(t) - (t + 1) * sympy.log((t + 1) / 2)) / 2,
    "cressie_read": (t**k - k * t + k - 1) / (k * (k - 1)),
}


def formula(divergence):
    return FORMULA[divergence.name].subs(k, sympy.nsimplify(divergence.params.get("k", 2)))


@by_label
def test_generator_and_its_derivatives_at_one_are_those_of_the_table(divergence):
    expression = formula(divergence)
    points = np.array([1e-6, 0.2, 0.999, 1.0, 1.001, 3.0, 50.0])
    exact = [float(sympy.N(expression.subs(t, sympy.Rational(float(x))), 40)) for x in points]
    assert np.allclose(divergence.phi(points), exact, rtol=1e-13, atol=0)
    assert divergence.second_at_one == pytest.approx(float(sympy.diff(expression, t, 2).subs(t, 1)), abs=1e-14)
    assert divergence.third_at_one == pytest.approx(float(sympy.diff(expression, t, 3).subs(t, 1)), abs=1e-14)
    slope = [float(sympy.N(sympy.diff(expression, t).subs(t, sympy.Rational(float(x))), 40)) for x in points]
    assert np.allclose(divergence.derivative(points), slope, rtol=1e-12, atol=1e-15)


@by_label
def test_conjugate_is_the_legendre_transform(divergence):
    top = min(divergence.slope_at_infinity, 3.0)
    for s in (-6.0, -2.5, -1.0, -0.1, 0.0, 0.3 * top, 0.8 * top):
        best = minimize_scalar(
            lambda u, s=s: float(divergence.phi(np.exp(u))) - s * math.exp(u), bounds=(-40, 12), method="bounded",
            options={"xatol": 1e-12},
        )  # fmt: skip
        supremum = max(-best.fun, -divergence.at_zero)
        assert float(divergence.conjugate(s)) == pytest.approx(supremum, rel=1e-8, abs=1e-9)
        # Fenchel-Young holds with equality at the maximiser, and strictly beside it
        at = float(divergence.conjugate_derivative(s))
        assert s * at - float(divergence.phi(at)) == pytest.approx(float(divergence.conjugate(s)), rel=1e-12, abs=1e-15)
        assert s * (at + 0.1) - float(divergence.phi(at + 0.1)) < float(divergence.conjugate(s))


@by_label
def test_limits_at_the_ends(divergence):
    assert float(divergence.phi(0.0)) == pytest.approx(divergence.at_zero, rel=1e-15)
    big = 1e12
    if math.isfinite(divergence.slope_at_infinity):
        assert float(divergence.phi(big)) / big == pytest.approx(divergence.slope_at_infinity, rel=2e-3)
        assert float(divergence.conjugate(divergence.slope_at_infinity * 1.01)) == math.inf
    else:
        assert float(divergence.phi(big)) / big > 20.0
    assert float(divergence.phi(-0.5)) == math.inf
    assert math.isnan(float(divergence.phi(math.nan)))


def test_powers_pass_continuously_through_zero_and_one():
    points = np.array([0.01, 0.5, 1.5, 20.0])
    for limit, name in ((0.0, "reverse_kl"), (1.0, "kl")):
        assert np.allclose(get("cressie_read", k=limit).phi(points), get(name).phi(points), rtol=1e-15)
        near = get("cressie_read", k=limit + 1e-9).phi(points)
        assert np.allclose(near, get(name).phi(points), rtol=1e-7)
        assert not np.array_equal(near, get(name).phi(points))


def test_total_variation_and_cvar_by_hand():
    tv, cvar = get("tv"), get("cvar", level=0.25)
    assert tv.between([0.5, 0.5, 0.0], [0.25, 0.25, 0.5]) == 0.5
    assert [float(tv.conjugate(s)) for s in (-2.0, -0.25, 0.5, 0.6)] == [-0.5, -0.25, 0.5, math.inf]
    assert [float(cvar.phi(x)) for x in (0.0, 4.0, 4.1)] == [0.0, 0.0, math.inf]
    assert [float(cvar.conjugate(s)) for s in (-1.0, 1.0)] == [0.0, 4.0]


@pytest.mark.parametrize("divergence", [*SMOOTH, get("tv"), get("renyi", order=2.0)], ids=lambda d: d.label)
def test_radius_max_is_the_divergence_of_the_conditioned_law(divergence):
    base = np.array([0.2, 0.5, 0.3])
    conditioned = np.array([0.4, 0.0, 0.6])
    assert divergence.radius_max(0.5) == pytest.approx(float(divergence.between(conditioned, base)), rel=1e-14)


def test_renyi_is_a_function_of_its_carrier():
    rng = np.random.default_rng(0)
    q, q0 = rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(6))
    for order in (0.3, 1.0, 2.0, 5.0):
        renyi = get("renyi", order=order)
        direct = (
            math.log(np.sum(q**order * q0 ** (1 - order))) / (order - 1) if order != 1 else np.sum(q * np.log(q / q0))
        )
        assert float(renyi.between(q, q0)) == pytest.approx(direct, rel=1e-12)
        assert float(renyi.from_carrier(renyi.to_carrier(0.37))) == pytest.approx(0.37, rel=1e-14)
    with pytest.raises(TypeError, match="not a phi-divergence"):
        get("renyi", order=2.0).phi(1.0)


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("entropy", {}, "known ones are kl"), ("kl", {"k": 1}, "no parameters"), ("cvar", {}, "exactly level"),
        ("cvar", {"level": 0.0}, "level=0.0"), ("cvar", {"level": 1.5}, "level=1.5"), ("renyi", {"order": -1}, "order=-1"),
        ("cressie_read", {"k": math.inf}, "k=inf"), ("cressie_read", {"k": "x"}, "k='x'"),
    ],
)  # fmt: skip
def test_wrong_names_and_parameters_are_refused(name, params, message):
    with pytest.raises(ValueError, match=message):
        divergences.get(name, **params)
