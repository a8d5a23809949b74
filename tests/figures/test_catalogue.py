"""Every figure of the catalogue says what it shows, and the data of the theory's figures obey the law that they show."""

import re
from pathlib import Path

import numpy as np
import pytest
import quick
from quick import FIGURES, HOUSE, ROOT, by, drawn, forget, order, simulated, table  # noqa: F401

from drocl import latent, population, results
from drocl.claims import registry
from drocl.latent import LatentModel
from drocl.report.figures import _module, _numbers

# those of mutual information and of encoders have files of their own: they take as long, and workers get whole files
THEORY = quick.of(lambda simulation: not simulation.startswith(("sim_mi_", "sim_encoder_")))


# What every figure promises


def test_the_issue_s_figures_are_there() -> None:
    asked = {
        "tau-against-eta", "worst-case-weights", "multiplier-across-divergences", "corollary-3-4-error", "pooled-ball",
        "mean-variance-error", "lemma1-gap", "theorem3-error", "biased-unbiased-against-n", "implied-radius-digits",
        "lemma1-digits",
    }  # fmt: skip
    assert asked <= set(FIGURES)


@pytest.mark.parametrize("name", THEORY)
def test_figure_draws_whole_from_its_quick_result(name: str) -> None:
    quick.whole(name)


@pytest.mark.parametrize("name", THEORY)
def test_nothing_is_cut_off_at_the_edge(name: str) -> None:
    quick.uncut(name)


@pytest.mark.parametrize("name", FIGURES)
def test_caption_says_what_is_seen_and_how_to_see_it_again(name: str) -> None:
    figure = FIGURES[name]
    assert len(figure.caption) > 150
    assert figure.caption.count("$") % 2 == 0
    assert figure.caption.rstrip(".").endswith(f"drocl figures {name}")
    assert figure.title
    assert not figure.title.endswith(".")


@pytest.mark.parametrize("name", FIGURES)
def test_claims_of_a_figure_exist(name: str) -> None:
    assert FIGURES[name].claims
    assert set(FIGURES[name].claims) <= set(registry.load(ROOT))


def test_figures_that_claims_point_to_exist_and_list_them() -> None:
    for claim_id, claim in registry.load(ROOT).items():
        if claim.figure:
            assert claim.figure in FIGURES, f"{claim_id} points to no figure"
            assert claim_id in FIGURES[claim.figure].claims, f"{claim.figure} does not list {claim_id}"


@pytest.mark.parametrize("path", HOUSE.files("simulations"), ids=lambda path: path.stem)
def test_simulations_have_profiles_and_are_used(path: Path) -> None:
    module = _module(HOUSE, "simulations", path)
    assert set(module.PROFILES) == {"quick", "standard", "paper"}
    assert re.fullmatch("seconds|minutes|hours", module.COST)
    assert path.stem in {figure.simulation for figure in FIGURES.values()}


@pytest.mark.parametrize("name", ["sim_population_losses", "sim_worst_case_weights"])  # with draws and without
def test_simulations_are_deterministic(name: str) -> None:
    module = _module(HOUSE, "simulations", ROOT / "simulations" / f"{name}.py")
    again = _numbers(results.jsonable(module.run(module.PROFILES["quick"])))
    assert again == simulated(name)


# The law of each figure


def test_tau_against_eta_root_is_the_solver_s_dual_and_ends_at_zero() -> None:
    points = table("sim_temperature_radius", "points")
    sure = points["status"] == "optimal"
    assert sure.mean() > 0.9
    np.testing.assert_allclose(points["tau"][sure], points["root"][sure], rtol=1e-6)
    for _, curve in by(table("sim_temperature_radius", "curves"), "law"):
        assert (np.diff(curve["exact"]) < 0).all()
        np.testing.assert_allclose(curve["variance"][0], curve["exact"][0], rtol=0.06)
        np.testing.assert_allclose(curve["skew"][0], curve["exact"][0], rtol=0.003)
        assert curve["variance"][-1] > 1.5 * curve["exact"][-1], "the formula knows no largest budget"


def test_worst_case_weights_are_exponential_and_move_to_the_false_negatives() -> None:
    for tau, atoms in by(table("sim_worst_case_weights", "atoms"), "tau"):
        fitted = np.polyfit(atoms["score"], np.log(atoms["ratio"]), 1)[0]
        assert fitted == pytest.approx(1.0 / tau, rel=1e-9)
    mass = table("sim_worst_case_weights", "mass")
    np.testing.assert_allclose(mass["false_negative"], mass["closed_form"], rtol=1e-9)
    assert (np.diff(mass["false_negative"]) < 0).all()
    for _, law in by(table("sim_worst_case_weights", "density"), "tau"):
        assert np.trapezoid(law["q"], law["score"]) == pytest.approx(1.0, abs=0.02)


def test_multipliers_start_by_the_second_and_leave_by_the_third_derivative() -> None:
    from drocl import divergences

    points = table("sim_divergence_multipliers", "points")
    sure = points["status"] == "optimal"
    assert sure.mean() > 0.85
    np.testing.assert_allclose(points["alpha"][sure], points["root"][sure], rtol=1e-5)
    skewness = table("sim_divergence_multipliers", "law")["skewness"][0]
    for name, curve in by(table("sim_divergence_multipliers", "curves"), "divergence"):
        if name == "tv":
            assert (np.diff(curve["alpha"]) <= 1e-12).all()
            continue
        params = {"cressie_read": {"k": 3.0}, "renyi": {"order": 2.0}}.get(name, {})
        ball = divergences.get(name, **params)
        second, third = ball.second_at_one, ball.third_at_one
        if name == "renyi":
            third = second * ball.carrier.third_at_one
        predicted = -third * skewness * np.sqrt(2.0 * curve["eta"][0] * second) / (3.0 * second**2)
        assert curve["scaled"][0] - 1.0 == pytest.approx(predicted, rel=0.2, abs=2e-3)


def test_corollary_3_4_has_order_half_where_skewed_and_one_where_symmetric() -> None:
    _, data = drawn("corollary-3-4-error")
    data = {key: np.asarray(values) for key, values in data.items()}
    for law, curve in by(data, "law"):
        if law == "Gaussian":
            assert np.abs(curve["printed"]).max() < 1e-9
            continue
        skewed = "cluster" in law
        assert curve["order_printed"][0] == pytest.approx(0.5 if skewed else 1.0, abs=0.03)
        assert curve["order_corrected"][0] == pytest.approx(1.0, abs=0.03)
    cluster = table("sim_small_budget", "errors", law="false-negative cluster")
    assert np.interp(0.5, cluster["eta"], cluster["printed"]) == pytest.approx(-0.30, abs=0.02)


def test_shared_temperature_is_the_pooled_dual_and_no_one_s_own() -> None:
    points = table("sim_pooled_ball", "points")
    assert (points["status"] == "optimal").all()
    np.testing.assert_allclose(points["dual"], points["tau"], rtol=1e-5)
    for tau, anchors in by(table("sim_pooled_ball", "anchors"), "tau"):
        assert anchors["pooled"][0] == pytest.approx(anchors["radius"].mean())
        wide = anchors["radius"] > anchors["pooled"]
        assert (wide == (anchors["equal"] > tau)).all(), "the radius falls with the temperature"
        assert 0.1 < wide.mean() < 0.9
    curve = table("sim_pooled_ball", "curve")
    assert (curve["least"] < 1.0).all()
    assert (curve["most"] > 1.0).all()


def test_mean_variance_error_has_order_minus_two_or_three_and_its_third_term() -> None:
    _, data = drawn("mean-variance-error")
    data = {key: np.asarray(values) for key, values in data.items()}
    for law, family in by(data, "law"):
        skewed = "cluster" in law
        start = table("sim_mean_variance", "laws", law=law)["chi2_from"][0]
        for name, curve in by(family, "divergence"):
            if name == "chi2":
                outside = curve["tau"] < 0.9 * start
                assert np.abs(curve["error"][curve["tau"] > start]).max() < 1e-14
                assert np.abs(curve["error"][outside]).min() > 1e-10
                continue
            assert curve["order"][0] == pytest.approx(-2.0 if skewed else -3.0, abs=0.07)
            if skewed:
                assert curve["error"][-1] / curve["third"][-1] == pytest.approx(1.0, abs=0.05)


def test_lemma1_printed_constant_fails_where_the_sharp_one_holds() -> None:
    gaps, bounds = table("sim_lemma1_gap", "gaps"), table("sim_lemma1_gap", "bounds")
    for t, bound in by(bounds, "t"):
        for design, gap in by({key: values[gaps["t"] == t] for key, values in gaps.items()}, "design"):
            assert (gap["shortfall"] <= bound["sharp"]).all(), design
            assert (gap["shortfall"] <= gap["jensen"] + 1e-9).all(), design
            assert (gap["jensen"] <= bound["sharp"] * (1 + 1e-9)).all(), design
    _, data = drawn("lemma1-gap")
    broken = {t: bool(np.any(np.asarray(data["violated"])[np.asarray(data["t"]) == t])) for t in set(data["t"])}
    assert broken == {1.0: False, 0.1: False, 0.01: True}
    unit = table("sim_lemma1_gap", "bounds", t=1.0)
    late = unit["n"] >= 128
    assert order(unit["n"][late], unit["sharp"][late]) == pytest.approx(-1.0, abs=0.02)
    assert unit["n"][-1] * unit["sharp"][-1] == pytest.approx(np.sinh(1.0) ** 2 / 2.0, rel=0.01)
    ratios = table("sim_lemma1_gap", "ratios")
    assert ratios["sharp"][ratios["t"] > 0.34].max() < 1.0
    assert (ratios["shortfall"][ratios["t"] < 0.03] > 1.0).all()


def test_lemma1_designs_are_the_models_they_claim_to_be() -> None:
    import scipy.linalg

    lemma = _module(HOUSE, "simulations", ROOT / "simulations" / "_lemma1.py")
    rows = latent.simplex(4).embeddings
    second = scipy.linalg.hadamard(4).T / 2.0
    two = np.kron(np.eye(2), np.eye(4)), np.kron(np.eye(2), second)
    cases = [
        (lemma.cube(), np.vstack([rows, -rows])),
        (lemma.cross_polytopes(4, 2), np.vstack([two[0], -two[0], two[1], -two[1]])),
        (lemma.unbiased_bases(16), latent.mutually_unbiased_bases(16, regular=True).embeddings),
    ]
    for design, points in cases:
        size = len(points)
        model = LatentModel(points, np.repeat([0, 1], size // 2), np.full(size, 1.0 / size))
        n = np.array([1, 5])
        biased, unbiased, _ = design.losses(0.1, n)
        np.testing.assert_allclose(biased, [population.biased_loss(model, 0.1, int(k)) for k in n], rtol=1e-10)
        np.testing.assert_allclose(unbiased, [population.unbiased_loss(model, 0.1, int(k)) for k in n], rtol=1e-10)
        assert design.floor(0.1) == pytest.approx(lemma.floor(model, 0.1), abs=1e-10)


def test_theorem3_printed_bound_fails_at_half_and_rates_are_one() -> None:
    half = table("sim_theorem3", "two_point", t=0.5)
    at = half["n"] == 4096
    assert half["error"][at][0] == pytest.approx(0.2325, abs=1e-4)
    assert half["printed_no_m"][at][0] == pytest.approx(0.1755, abs=1e-4)
    for t, case in by(table("sim_theorem3", "two_point"), "t"):
        assert (case["error"] <= case["corrected"]).all()
        assert bool((case["error"] > case["printed"]).any()) == (t < 0.53)
    unit = table("sim_theorem3", "two_point", t=1.0)
    late = unit["n"] >= 4096
    assert order(unit["n"][late], unit["error"][late]) == pytest.approx(-0.5, abs=0.02)
    for vary in ("N", "M"):
        for t, case in by(table("sim_theorem3", "rates", vary=vary), "t"):
            late = case["size"] >= 256
            assert order(case["size"][late], case["error"][late]) == pytest.approx(-1.0, abs=0.1), (vary, t)
    ratios = table("sim_theorem3", "ratios")
    assert (ratios["corrected"] < 0.4).all()
    assert (ratios["printed"][ratios["t"] < 0.5] > 1.0).all()


@pytest.mark.parametrize(("n", "m", "flip"), [(8, 3, 0.25), (64, None, 0.25), (1024, None, 0.0)])
def test_theorem3_errors_are_those_of_the_population_loss(n: int, m: int | None, flip: float) -> None:
    simulation = _module(HOUSE, "simulations", ROOT / "simulations" / "sim_theorem3.py")
    if flip:
        points = np.array([[1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0], [1.0, 0.0]])
        probs = 0.5 * np.array([1.0 - flip, flip, 1.0 - flip, flip])
        model = LatentModel(points, np.array([0, 0, 1, 1]), probs)
    else:
        model = latent.antipodal()
    exact = population.debiased_loss(model, 0.5, n, m) - population.limit_loss(model, 0.5, float(n))
    assert simulation.error_of(n, float("inf") if m is None else m, 0.5, flip) == pytest.approx(exact, rel=1e-9)


def test_population_losses_agree_with_draws_and_reach_their_limit_as_one_over_n() -> None:
    sampled = table("sim_population_losses", "sampled")
    assert (np.abs(sampled["value"] - sampled["exact"]) < 4.0 * sampled["error"]).all()
    assert (sampled["error"] < 0.05).all()
    for model in ("clustered", "simplex"):
        case = table("sim_population_losses", "losses", model=model, t=0.5)
        late = case["n"] >= 512
        for kind in ("biased", "unbiased"):
            gap = case[f"{kind}_limit"] - case[kind]
            assert (gap > -1e-12).all(), "Jensen"
            if gap[late].min() > 1e-9:
                assert order(case["n"][late], gap[late]) == pytest.approx(-1.0, abs=0.02)
        assert (case["biased"] > case["unbiased"]).all()
    bases = table("sim_population_losses", "losses", model="unbiased bases", t=0.05)
    gap = bases["biased"] - bases["unbiased"]
    assert gap[0] == pytest.approx(-0.35637, abs=1e-5)
    assert (gap < 0).tolist() == (bases["n"] <= 2).tolist()


def test_digits_radii_fall_with_temperature_and_lie_below_log_n() -> None:
    anchors = table("sim_digits", "anchors")
    radii = np.stack([case["radius"] for _, case in by(anchors, "tau")])
    assert (np.diff(radii, axis=0) > 0).all(), "temperatures are listed from high to low"
    assert radii.max() < np.log(radii.shape[1])
    hot = table("sim_digits", "anchors", tau=1.0)
    assert np.median(hot["radius"] / (hot["variance"] / 2.0)) == pytest.approx(1.0, abs=0.15)
    cold = table("sim_digits", "anchors", tau=0.07)
    assert np.median(cold["radius"] / (cold["variance"] / (2.0 * 0.07**2))) < 0.6
    masses = table("sim_digits", "masses")
    assert (np.diff(masses["mean"]) < 0).all()
    assert (masses["mean"] > masses["share"]).all()


def test_digits_losses_obey_lemma_1_with_the_sharp_constant() -> None:
    for _, case in by(table("sim_digits", "losses"), "t"):
        gap = case["biased"] - case["unbiased"]
        assert (gap >= case["floor"] - case["sharp"]).all()
        assert (np.abs(gap - case["cost"]) <= case["sharp"]).all()
        assert gap[-1] == pytest.approx(case["cost"][-1], rel=0.01)
        assert (gap > 0.0).all()
        assert (np.diff(gap) > 0.0).all()
        assert (np.diff(case["unbiased"]) > 0.0).all()


def test_simclr_keeps_exactly_what_the_positive_leaves() -> None:
    checks = table("sim_simclr_gradient", "checks")
    np.testing.assert_allclose(checks["ratio"], checks["share"], rtol=1e-11)
    shares = table("sim_simclr_gradient", "shares")
    assert (np.diff(shares["mean"]) > 0.0).all()
    assert shares["mean"][0] < 0.6 < 0.98 < shares["mean"][-1]


def test_eq4_loses_digits_as_its_condition_says() -> None:
    for classes, case in by(table("sim_eq4_condition", "errors"), "classes"):
        assert (case["error"] <= 1e-14 * case["condition"]).all()
        small = case["condition"] < 1e3
        assert (case["error"][small] < 1e-12).all()
        if classes == 2:
            assert case["error"][-1] > 1e-6


def test_hard_negative_weights_attract_below_the_threshold_and_only_there() -> None:
    slopes, zeros = table("sim_loss_hard_negative_sign", "slopes"), table("sim_loss_hard_negative_sign", "zeros")
    for beta, case in by(slopes, "beta"):
        at = zeros["score"][zeros["beta"] == beta][0]
        assert ((case["full"] < 0.0) == (case["score"] < at)).all()
        assert (case["detached"] > 0.0).all()
    for dimension, case in by(table("sim_loss_hard_negative_sign", "sampled"), "dimension"):
        curve = table("sim_loss_hard_negative_sign", "shares", dimension=dimension)
        np.testing.assert_allclose(case["share"], np.interp(case["beta"], curve["beta"], curve["share"]), atol=0.02)
        assert (np.diff(curve["share"]) >= 0.0).all()
    assert table("sim_loss_hard_negative_sign", "sampled", dimension=128, beta=0.5)["share"][0] < 1e-3
