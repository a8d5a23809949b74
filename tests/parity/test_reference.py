"""The cvxpy reference against exact answers, and its certificate against solvers that are wrong."""

import ast
import dataclasses
import importlib.util
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest

from drocl import divergences
from drocl.dro import reference
from drocl.dro.reference._certificate import Canonical
from drocl.dro.reference._judge import Judge
from drocl.dro.reference._kinds import Cap, Power, TotalVariation, kind_of
from drocl.dro.reference._program import Program, Proposal, Recipe

SCORES = np.array([-0.4, 0.3, 1.1, -1.7, 0.9, 2.2, 0.3])
BASE = np.array([0.1, 0.2, 0.15, 0.25, 0.05, 0.1, 0.15])
SPREAD = float(np.ptp(SCORES))


def power(k: float, scale: float = 1.0) -> Callable:
    return lambda t: scale * (t**k - k * t + k - 1) / (k * (k - 1))


# The table of the conventions once more, at any precision: an oracle that shares no line with the package.
PHI: dict[str, Callable] = {
    "kl": lambda t: t * mp.log(t) - t + 1,
    "reverse_kl": lambda t: -mp.log(t) + t - 1,
    "chi2": lambda t: (t - 1) ** 2,
    "neyman": lambda t: (t - 1) ** 2 / t,
    "hellinger": lambda t: (mp.sqrt(t) - 1) ** 2,
    "cressie_read(k=3)": power(3),
    "cressie_read(k=1.2)": power(mp.mpf("1.2")),
    "cressie_read(k=0.3)": power(mp.mpf("0.3")),
    "cressie_read(k=-2)": power(-2),
    "js": lambda t: (t * mp.log(t) - (t + 1) * mp.log((t + 1) / 2)) / 2,
    "renyi(order=0.5)": power(mp.mpf("0.5")),
    "renyi(order=3)": power(3),
}
SMOOTH = [
    divergences.get(name, **params)
    for name, params in [
        ("kl", {}),
        ("reverse_kl", {}),
        ("chi2", {}),
        ("neyman", {}),
        ("hellinger", {}),
        ("cressie_read", {"k": 3}),
        ("cressie_read", {"k": 1.2}),
        ("cressie_read", {"k": 0.3}),
        ("cressie_read", {"k": -2}),
        ("js", {}),
        ("renyi", {"order": 0.5}),
        ("renyi", {"order": 3}),
    ]
]
smooth = pytest.mark.parametrize("divergence", SMOOTH, ids=lambda d: d.label)


def spent(divergence: divergences.Divergence, q: mp.mpf, low: mp.mpf) -> mp.mpf:
    """D of the law (1 - q, q) from (low, 1 - low)."""
    phi = PHI[divergence.label]
    total = low * phi((1 - q) / low) + (1 - low) * phi(q / (1 - low))
    if divergence.name == "renyi":
        a = mp.mpf(divergence.params["order"])
        return mp.log(1 + a * (a - 1) * total) / (a - 1)
    return total


def bisect(increasing: Callable[[mp.mpf], mp.mpf], low: mp.mpf, high: mp.mpf) -> mp.mpf:
    """Root to 36 digits."""
    for _ in range(125):
        middle = (low + high) / 2
        low, high = (middle, high) if increasing(middle) < 0 else (low, middle)
    return low


# -- exact answers ---------------------------------------------------------------------------------------------------


@smooth
@pytest.mark.parametrize("radius", [1e-3, 0.2])
def test_two_atoms_are_the_root_of_the_budget(divergence: divergences.Divergence, radius: float) -> None:
    low, high = 1.5, 4.0
    with mp.workdps(40):
        light = mp.mpf("0.75")
        q = bisect(lambda x: spent(divergence, x, light) - radius, 1 - light, mp.mpf(1) - mp.mpf(10) ** -30)
        value = low + (high - low) * q
        multiplier = (high - low) / mp.diff(lambda x: spent(divergence, x, light), q)
    found = reference.worst_case([low, high], radius=radius, divergence=divergence, base=[3.0, 1.0])
    assert found.status == "optimal"
    assert found.value <= value + 1e-14  # a feasible law
    assert found.value + found.gap >= value - 1e-14  # a dual bound
    assert found.weights == pytest.approx([float(1 - q), float(q)], abs=1e-7)
    assert found.multiplier == pytest.approx(float(multiplier), rel=1e-7)
    lowest, highest = found.multiplier_interval
    assert lowest <= multiplier <= highest
    assert found.radius == pytest.approx(radius, rel=1e-7)


@pytest.mark.parametrize("radius", [1e-3, 0.1, 1.0])
def test_kl_is_the_exponential_tilt(radius: float) -> None:
    with mp.workdps(40):
        f, q0 = [mp.mpf(float(x)) for x in SCORES], [mp.mpf(float(x)) for x in BASE]

        def tilt(x: mp.mpf) -> list[mp.mpf]:
            mass = [w * mp.exp(x * s) for w, s in zip(q0, f, strict=True)]
            return [m / mp.fsum(mass) for m in mass]

        def overspend(x: mp.mpf) -> mp.mpf:
            return mp.fsum(q * mp.log(q / w) for q, w in zip(tilt(x), q0, strict=True)) / mp.fsum(q0) - radius

        x = bisect(overspend, mp.mpf("1e-3"), mp.mpf(50))
        value = mp.fsum(q * s for q, s in zip(tilt(x), f, strict=True))
        normalizer = mp.log(mp.fsum(w * mp.exp(x * s) for w, s in zip(q0, f, strict=True)) / mp.fsum(q0)) / x
        exact = float(value), float(1 / x), float(normalizer), np.array([float(q) for q in tilt(x)])
    found = reference.worst_case(SCORES, radius=radius, base=BASE)
    assert found.status == "optimal"
    assert found.value == pytest.approx(exact[0], abs=1e-10 * SPREAD)
    assert found.multiplier == pytest.approx(exact[1], rel=1e-8)
    assert found.normalizer == pytest.approx(exact[2], abs=1e-8 * SPREAD)
    assert found.weights == pytest.approx(exact[3], abs=1e-8)


def test_unclipped_chi2_is_mean_plus_deviation() -> None:
    mean = float(BASE @ SCORES)
    variance = float(BASE @ (SCORES - mean) ** 2)
    for radius in (1e-4, 1e-2, 0.2):
        found = reference.worst_case(SCORES, radius=radius, divergence="chi2", base=BASE)
        assert found.status == "optimal"
        assert found.excess == pytest.approx(math.sqrt(radius * variance), rel=1e-7)
        assert found.multiplier == pytest.approx(math.sqrt(variance / (4.0 * radius)), rel=1e-7)
        assert found.normalizer == pytest.approx(mean, abs=1e-7)


def test_chi2_clips_where_the_deviation_formula_would_go_negative() -> None:
    found = reference.worst_case([0.0, 1.0, 2.0], radius=1.0, divergence="chi2")
    # only the two highest keep mass, q = (0, (1 - x)/2, (1 + x)/2), and 3 (q1^2 + q2^2) - 1 = 1 gives x^2 = 1/3
    x = math.sqrt(1.0 / 3.0)
    assert found.weights == pytest.approx([0.0, (1 - x) / 2, (1 + x) / 2], abs=1e-8)
    assert found.value == pytest.approx(1.5 + 0.5 * x, abs=1e-9)
    assert found.multiplier == pytest.approx(1.0 / (6.0 * x), rel=1e-7)  # x^2 = 2 (1 + eta)/3 - 1 and V = 3/2 + x/2


def test_tv_moves_the_lowest_mass_to_the_top() -> None:
    found = reference.worst_case([0.0, 1.0, 5.0, 2.0], radius=0.35, divergence="tv", base=[0.2, 0.4, 0.1, 0.3])
    assert found.status == "optimal"
    assert found.weights == pytest.approx([0.0, 0.25, 0.45, 0.3], abs=1e-12)
    assert found.value == pytest.approx(0.25 + 2.25 + 0.6)
    assert found.multiplier == pytest.approx(4.0)  # the next atom to move has score 1
    assert found.normalizer == pytest.approx(3.0)
    assert found.solver == "HIGHS"


def test_tv_at_a_break_point_returns_the_right_derivative() -> None:
    found = reference.worst_case([0.0, 1.0, 2.0, 5.0], radius=0.25, divergence="tv")
    assert found.multiplier == pytest.approx(4.0)
    assert found.multiplier_interval == pytest.approx((4.0, 5.0))
    assert "kink" in found.message


def test_cvar_splits_the_atom_at_the_quantile() -> None:
    cvar = divergences.get("cvar", level=0.25)
    found = reference.worst_case([0.0, 1.0, 5.0, 2.0], divergence=cvar, base=[0.2, 0.4, 0.1, 0.3])
    assert found.status == "optimal"
    assert found.weights == pytest.approx([0.0, 0.0, 0.4, 0.6], abs=1e-12)
    assert found.value == pytest.approx(3.2)
    assert found.normalizer == pytest.approx(2.0)  # the value at risk
    assert found.multiplier == pytest.approx(0.1 * 3.0)  # E (f - VaR)_+


def test_cvar_at_an_atom_boundary_returns_the_right_derivative() -> None:
    # in c = 1/level: a little more c drops mass from the atom at 2, so VaR is 2, not 1
    found = reference.worst_case([0.0, 1.0, 2.0, 5.0], divergence=divergences.get("cvar", level=0.5))
    assert found.normalizer == pytest.approx(2.0)
    assert found.multiplier == pytest.approx(0.75)
    assert found.multiplier_interval == pytest.approx((0.75, 1.25))


@smooth
def test_an_independent_conjugate_closes_the_gap(divergence: divergences.Divergence) -> None:
    radius = 0.1
    found = reference.worst_case(SCORES, radius=radius, divergence=divergence, base=BASE)
    assert found.status == "optimal"
    plain, alpha = divergence, found.multiplier
    if isinstance(divergence, divergences.Renyi):
        a = divergence.order
        alpha *= a * math.exp((1 - a) * radius)
        plain, radius = divergence.carrier, math.expm1((a - 1) * radius) / (a * (a - 1))
    bound = alpha * radius + found.normalizer
    bound += alpha * float(BASE @ plain.conjugate((SCORES - found.normalizer) / alpha))
    assert bound == pytest.approx(found.value, abs=1e-8 * SPREAD)
    assert plain.between(found.weights, BASE) <= radius * (1 + 1e-12)
    assert found.weights.sum() == pytest.approx(1.0, abs=1e-14)


@smooth
def test_the_multiplier_as_temperature_buys_the_radius_back(divergence: divergences.Divergence) -> None:
    radius = 0.1
    sweep = reference.Sweep(SCORES, divergence, BASE)
    ball = sweep.solve(radius)
    price = sweep.solve(temperature=ball.multiplier)
    assert (ball.status, price.status) == ("optimal", "optimal")
    assert price.multiplier == ball.multiplier
    assert price.radius == pytest.approx(radius, rel=1e-6)
    assert price.value == pytest.approx(ball.value - ball.multiplier * radius, abs=1e-8 * SPREAD)


def test_penalised_tv_charges_half_the_distance_moved() -> None:
    # an atom moves to the top exactly if it gains more than the temperature
    found = reference.worst_case([0.0, 1.0, 2.0, 5.0], temperature=3.5, divergence="tv")
    assert found.weights == pytest.approx([0.0, 0.0, 0.25, 0.75], abs=1e-12)
    assert found.value == pytest.approx(0.25 * 2 + 0.75 * 5 - 3.5 * 0.5)


def test_penalised_renyi_finds_the_higher_of_two_maxima() -> None:
    # order 2 on a rare atom: E f - tau log E t^2 has a maximum inside and one at the end of the curve
    rare, order = 0.02, 2.0
    q = np.linspace(rare, 1.0, 2_000_001)
    for temperature in (0.2, 0.26, 0.5):
        objective = q - temperature * np.log(q**2 / rare + (1 - q) ** 2 / (1 - rare))
        found = reference.worst_case(
            [0.0, 1.0], temperature=temperature, divergence=divergences.get("renyi", order=order), base=[1 - rare, rare]
        )
        assert found.status == "optimal", found.message
        assert found.value == pytest.approx(objective.max(), abs=1e-8)
        assert found.weights[1] == pytest.approx(q[objective.argmax()], abs=2e-6)


def test_a_power_next_to_one_is_not_rounded_to_one() -> None:
    # cvxpy's default rounds the exponent to a fraction, and is then off by a third of the spread
    near = reference.worst_case(SCORES, radius=0.5, divergence=divergences.get("cressie_read", k=1.000001), base=BASE)
    kl = reference.worst_case(SCORES, radius=0.5, base=BASE)
    assert near.value <= kl.value + 1e-5 * SPREAD
    assert near.value + near.gap >= kl.value - 1e-5 * SPREAD
    assert near.gap < 1e-3 * SPREAD


# -- a sweep ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("divergence", ["kl", "chi2", "tv"])
def test_a_sweep_gives_what_single_problems_give(divergence: str) -> None:
    sweep = reference.Sweep(SCORES, divergence, BASE)
    for radius in (0.3, 0.01, 0.1):
        swept, single = (
            sweep.solve(radius),
            reference.worst_case(SCORES, radius=radius, divergence=divergence, base=BASE),
        )
        assert swept.value == single.value
        assert swept.multiplier == single.multiplier
        assert (swept.weights == single.weights).all()


def test_a_sweep_canonicalises_once(monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    make = Program.__init__

    def counting(self: Program, *args: object) -> None:
        built.append(self)
        make(self, *args)

    monkeypatch.setattr(Program, "__init__", counting)
    sweep = reference.Sweep(SCORES, "kl", BASE, solver="clarabel")
    sweep.solve(0.1)
    (program,) = built
    cached = program._problem._cache.param_prog
    assert cached is not None
    sweep.solve(0.2)
    assert len(built) == 1
    assert program._problem._cache.param_prog is cached


# -- the certificate -------------------------------------------------------------------------------------------------


def tamper(monkeypatch: pytest.MonkeyPatch, change: Callable[[Proposal], Proposal]) -> None:
    honest = Program.propose

    def lying(self: Program, level: float, recipe: Recipe) -> tuple[Proposal | None, str, float]:
        proposal, _, seconds = honest(self, level, recipe)
        return proposal and change(proposal), "optimal", seconds

    monkeypatch.setattr(Program, "propose", lying)


@pytest.mark.parametrize("divergence", ["hellinger", "kl", "chi2", "js", "tv"])
@pytest.mark.parametrize("factor", [1.05, 1.0 - 1e-6])
def test_a_wrong_multiplier_is_never_optimal(divergence: str, factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    true = reference.worst_case(SCORES, radius=0.12, divergence=divergence, base=BASE)
    tamper(monkeypatch, lambda p: dataclasses.replace(p, alpha=factor * p.alpha))
    found = reference.worst_case(SCORES, radius=0.12, divergence=divergence, base=BASE)
    assert found.status == "inconclusive"
    assert found.multiplier_interval[0] <= true.multiplier <= found.multiplier_interval[1]


@pytest.mark.parametrize("divergence", ["hellinger", "kl", "chi2", "tv"])
def test_wrong_weights_are_never_optimal(divergence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    true = reference.worst_case(SCORES, radius=0.12, divergence=divergence, base=BASE)
    tamper(monkeypatch, lambda p: dataclasses.replace(p, t=0.99 * p.t + 0.01 * p.t[::-1]))
    found = reference.worst_case(SCORES, radius=0.12, divergence=divergence, base=BASE)
    assert found.status == "inconclusive"
    assert found.value < true.value <= found.value + found.gap + 1e-12


@pytest.mark.parametrize("divergence", ["hellinger", "kl"])
def test_wrong_weights_at_a_temperature_are_never_optimal(divergence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tamper(monkeypatch, lambda p: dataclasses.replace(p, t=p.t + 1e-5 * (p.t[::-1] - p.t)))
    found = reference.worst_case(SCORES, temperature=0.5, divergence=divergence, base=BASE)
    assert found.gap < 1e-7 * SPREAD  # the value hardly feels it, the radius does
    assert found.status == "inconclusive"


def test_a_normalizer_outside_the_dual_domain_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    true = reference.worst_case(SCORES, radius=0.12, divergence="reverse_kl", base=BASE)
    tamper(monkeypatch, lambda p: dataclasses.replace(p, beta=p.beta - 10.0))
    found = reference.worst_case(SCORES, radius=0.12, divergence="reverse_kl", base=BASE)
    assert found.status == "optimal"
    assert found.normalizer == pytest.approx(true.normalizer, abs=1e-7)


@pytest.mark.parametrize(("solver", "starved"), [("clarabel", {"max_iter": 2}), ("scs", {"max_iters": 2})])
@pytest.mark.parametrize("divergence", ["kl", "hellinger"])
def test_a_starved_solver_is_inconclusive_and_bounds_the_value(divergence: str, solver: str, starved: dict) -> None:
    true = reference.worst_case(SCORES, radius=0.12, divergence=divergence, base=BASE)
    found = reference.worst_case(
        SCORES, radius=0.12, divergence=divergence, base=BASE, solver=solver, solver_options=starved
    )
    assert found.status == "inconclusive"
    assert "not certified" in found.message
    assert solver in found.message
    assert found.value <= true.value + 1e-12
    assert found.value + found.gap >= true.value


def test_a_solver_that_fails_leaves_the_base_law(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Program, "propose", lambda self, level, recipe: (None, "failed", 0.0))
    found = reference.worst_case(SCORES, radius=0.12, base=BASE)
    assert found.status == "inconclusive"
    assert found.value == pytest.approx(float(BASE @ SCORES))
    assert found.value + found.gap == pytest.approx(SCORES.max())
    assert math.isnan(found.multiplier)


@smooth
def test_pulled_points_lie_in_the_ball(divergence: divergences.Divergence) -> None:
    canonical = Canonical(kind_of(divergence), SCORES / SPREAD, BASE)
    rng = np.random.default_rng(0)
    for _ in range(20):
        t = canonical.pull(rng.exponential(size=SCORES.size), 0.03)
        assert canonical.spent(t) <= 0.03
        assert BASE @ t == pytest.approx(1.0, abs=1e-14)


@smooth
def test_the_bracket_shuts_out_a_multiplier_off_by_its_width(divergence: divergences.Divergence) -> None:
    canonical = Canonical(kind_of(divergence), SCORES / SPREAD, BASE)
    radius = canonical.spent(canonical.tilt(0.3)[1])
    low, high = canonical.enclose(0.3, radius)
    assert low <= 0.3 <= high
    assert high - low < 1e-8
    low, high = canonical.enclose(0.3 * (1 + 1e-5), radius)
    assert low <= 0.3 <= high
    assert high - low > 0.5e-5
    assert math.isnan(canonical.enclose(3.0, radius)[0])


@pytest.mark.parametrize(
    "divergence",
    [*SMOOTH[:10], divergences.get("tv"), divergences.get("cvar", level=0.4)],
    ids=lambda d: d.label,
)
def test_two_tables_of_generators_agree(divergence: divergences.Divergence) -> None:
    kind = kind_of(divergence)
    t = np.concatenate(([0.0], np.geomspace(1e-6, 50.0, 60), 1.0 + np.array([-1e-3, 1e-3])))
    s = np.concatenate((np.linspace(-4.0, 0.6, 40), [-1e-4, 1e-4]))
    s = s[np.abs(s - kind.slope) > 1e-9]
    np.testing.assert_allclose(kind.phi(t), divergence.phi(t), rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(kind.conjugate(s), divergence.conjugate(s), rtol=1e-9, atol=1e-15)


# -- edges -----------------------------------------------------------------------------------------------------------


@smooth
def test_radius_zero_has_the_base_and_an_infinite_price(divergence: divergences.Divergence) -> None:
    found = reference.worst_case(SCORES, radius=0.0, divergence=divergence, base=BASE)
    assert found.weights == pytest.approx(BASE, abs=1e-15)
    assert found.multiplier == math.inf
    assert found.value == pytest.approx(float(BASE @ SCORES))


def test_radius_zero_of_tv_costs_the_spread() -> None:
    found = reference.worst_case(SCORES, radius=0.0, divergence="tv", base=BASE)
    assert found.multiplier == pytest.approx(SPREAD)


@pytest.mark.parametrize("name", ["kl", "chi2", "hellinger", "js", "tv"])
def test_a_slack_ball_sits_on_the_argmax_in_proportion(name: str) -> None:
    divergence = divergences.get(name)
    top = divergence.radius_max(0.4)
    for radius in (top, top + 0.1, math.inf):
        found = reference.worst_case([1.0, 3.0, 3.0], radius=radius, divergence=name, base=[0.6, 0.1, 0.3])
        assert found.weights == pytest.approx([0.0, 0.25, 0.75])
        assert (found.value, found.multiplier, found.status) == (3.0, 0.0, "optimal")
        assert found.radius == pytest.approx(top)


def test_one_atom_and_constant_scores_need_no_solver() -> None:
    assert reference.worst_case([2.5], radius=0.3).value == 2.5
    found = reference.worst_case([2.5, 2.5, 9.0], radius=0.3, base=[1.0, 3.0, 0.0])
    assert (found.value, found.multiplier, found.solver) == (2.5, 0.0, "closed form")
    assert found.weights == pytest.approx([0.25, 0.75, 0.0])
    assert reference.worst_case([2.5, 2.5], temperature=0.3).value == 2.5


def test_atoms_without_weight_play_no_part() -> None:
    full = reference.worst_case([*SCORES, 99.0, -math.inf, math.inf], radius=0.1, base=[*BASE, 0.0, 0.0, 0.0])
    part = reference.worst_case(SCORES, radius=0.1, base=BASE)
    assert full.value == part.value
    assert (full.weights[-3:] == 0.0).all()


@pytest.mark.parametrize("name", ["kl", "chi2", "hellinger", "js", "tv"])
def test_minus_infinity_is_emptied_if_the_radius_pays_for_it(name: str) -> None:
    divergence, dead = divergences.get(name), 0.2
    fee = divergence.radius_max(1.0 - dead)  # the least radius that empties it
    scores, base = [-math.inf, 0.0, 1.0, 1.5], [dead, 0.4, 0.3, 0.1]
    poor = reference.worst_case(scores, radius=0.99 * fee, divergence=divergence, base=base)
    assert poor.value == -math.inf
    rich = reference.worst_case(scores, radius=fee + 0.1, divergence=divergence, base=base)
    assert rich.status == "optimal", rich.message
    assert rich.weights[0] == 0.0
    assert divergence.between(rich.weights, base) == pytest.approx(fee + 0.1, rel=1e-6)
    near = reference.worst_case([-1e3, *scores[1:]], radius=fee + 0.1, divergence=divergence, base=base)
    assert near.value + near.gap >= rich.value  # the law that empties the atom is still allowed


@pytest.mark.parametrize("kwargs", [{"radius": 0.1}, {"temperature": 0.1}])
def test_infinities_with_weight_decide_the_value(kwargs: dict) -> None:
    assert reference.worst_case([math.inf, 0.0, 1.0], **kwargs).value == math.inf
    assert reference.worst_case([-math.inf, -math.inf], **kwargs).value == -math.inf
    assert reference.worst_case([-math.inf, 0.0], divergence="reverse_kl", **kwargs).value == -math.inf


@pytest.mark.parametrize(("offset", "scale"), [(1e8, 1.0), (0.0, 1e150), (0.0, 1e-150), (-3.0, 7.0)])
def test_translation_and_scale_come_out_again(offset: float, scale: float) -> None:
    plain = reference.worst_case(SCORES, radius=0.1, divergence="chi2", base=BASE)
    moved = reference.worst_case(scale * SCORES + offset, radius=0.1, divergence="chi2", base=BASE)
    assert moved.status == "optimal"
    assert moved.multiplier == pytest.approx(scale * plain.multiplier, rel=1e-7)
    assert moved.excess == pytest.approx(scale * plain.excess, rel=1e-7)
    assert moved.value == pytest.approx(scale * plain.value + offset, rel=1e-9)


# -- wrong inputs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kwargs", "named"),
    [
        ({"scores": [0.0, math.nan]}, "scores"),
        ({"scores": [[0.0, 1.0]]}, "scores"),
        ({"scores": []}, "scores"),
        ({"scores": ["a", "b"]}, "scores"),
        ({"scores": [1j, 0.0]}, "scores"),
        ({"scores": [-1.7e308, 1.7e308]}, "scores"),
        ({"radius": -0.1}, "radius"),
        ({"radius": math.nan}, "radius"),
        ({"radius": [0.1, 0.2]}, "radius"),
        ({"radius": None}, "radius"),
        ({"temperature": 0.5}, "radius"),
        ({"radius": None, "temperature": 0.0}, "temperature"),
        ({"radius": None, "temperature": math.inf}, "temperature"),
        ({"base": [1.0]}, "base"),
        ({"base": [0.0, 0.0]}, "base"),
        ({"base": [-1.0, 2.0]}, "base"),
        ({"base": [math.inf, 1.0]}, "base"),
        ({"divergence": "kullback"}, "divergence"),
        ({"divergence": "cressie_read"}, "k"),
        ({"divergence": divergences.get("cvar", level=0.5)}, "radius"),
        ({"solver": "mosek"}, "solver"),
        ({"solver": "highs"}, "solver"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"solver_options": {"max_iter": 2}}, "solver_options"),
    ],
)
def test_wrong_inputs_are_named(kwargs: dict, named: str) -> None:
    arguments = {"scores": [0.0, 1.0], "radius": 0.1, **kwargs}
    with pytest.raises(ValueError, match=named):
        reference.worst_case(arguments.pop("scores"), **arguments)


def test_a_looser_tolerance_accepts_what_the_default_does_not() -> None:
    tiny = {"scores": SCORES, "radius": 1e-7, "base": BASE, "divergence": "neyman", "solver": "clarabel"}
    strict = reference.worst_case(tiny.pop("scores"), **tiny)
    loose = reference.worst_case(SCORES, **tiny, tolerance=0.3)
    assert (strict.status, loose.status) == ("inconclusive", "optimal")


# -- the house -------------------------------------------------------------------------------------------------------


def test_importing_the_reference_does_not_import_cvxpy() -> None:
    code = "import sys, drocl.dro.reference; sys.exit(bool({'cvxpy', 'torch', 'matplotlib'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_reference_shares_only_names_with_the_fast_solver() -> None:
    spec = importlib.util.find_spec("drocl.dro.reference")
    assert spec is not None
    assert spec.origin is not None
    imported = set()
    for path in Path(spec.origin).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                imported.add(node.module)
            elif isinstance(node, ast.Import):
                imported.update(alias.name for alias in node.names)
    own = {module for module in imported if module and module.startswith("drocl")}
    assert own
    assert all(m in ("drocl", "drocl.divergences") or m.startswith("drocl.dro.reference") for m in own)


def test_linear_kinds_know_their_solver() -> None:
    canonical = Canonical(TotalVariation(), SCORES / SPREAD, BASE)
    assert Judge(canonical, None, 1e-7).constrained(0.1).solver == "HIGHS"
    assert Judge(Canonical(Cap(2.0), SCORES / SPREAD, BASE), "clarabel", 1e-7).constrained(2.0).solver == "CLARABEL"
    assert Judge(Canonical(Power(1.0), SCORES / SPREAD, BASE), "scs", 1e-7).constrained(0.1).solver == "SCS"
