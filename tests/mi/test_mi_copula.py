"""Copulas and canonical correlations: invariances, exact bias, the t law from its ranks, coverage."""

import numpy as np
import pytest
from scipy import stats

from drocl.mi import _student
from drocl.mi._canonical import gaussian_bias, shrunk
from drocl.mi._margins import Margins
from drocl.mi.cca import CCA
from drocl.mi.copula import Copula, GaussianCopula, StudentCopula, misfit
from drocl.mi.gaussian import mutual_information


def student(n: int, dx: int, dy: int, nu: float, seed: int, rho: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Multivariate t with the first coordinates of the two blocks correlated."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, dx + dy))
    z[:, dx] = rho * z[:, 0] + np.sqrt(1.0 - rho**2) * z[:, dx]
    if np.isfinite(nu):
        z /= np.sqrt(rng.chisquare(nu, (n, 1)) / nu)
    return z[:, :dx], z[:, dx:]


MONOTONE = (np.exp, lambda v: v**3, np.arcsinh, lambda v: -v, lambda v: 2.0 * v + np.sin(v))


@pytest.mark.parametrize("family", ["gaussian", "student"])
def test_monotone_changes_of_the_margins_do_not_matter(family: str) -> None:
    x, y = student(500, 2, 3, 3.0, 0, 0.6)
    rising, turned = [], []
    for side in (x, y):
        rising.append(np.stack([MONOTONE[i](c) for i, c in enumerate(side.T)], 1))
        turned.append(np.stack([MONOTONE[-2 + i % 2](c) for i, c in enumerate(side.T)], 1))
    value = Copula(family=family).estimate(x, y).value
    assert Copula(family=family).estimate(*rising).value == pytest.approx(value, abs=1e-10)
    # a falling map turns scores: the same up to the last digits of EM, which stops at 1e-7
    assert Copula(family=family).estimate(*turned).value == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize("family", ["gaussian", "student", "auto"])
def test_symmetric_in_x_and_y(family: str) -> None:
    x, y = student(500, 2, 3, 3.0, 1, 0.6)
    found, swapped = (Copula(family=family).estimate(*pair) for pair in ((x, y), (y, x)))
    assert swapped.value == pytest.approx(found.value, abs=1e-5)
    np.testing.assert_allclose(swapped.interval, found.interval, atol=1e-5)


def test_log_ratio_is_that_of_scipy_densities() -> None:
    x, y = student(800, 2, 2, 2.5, 2, 0.5)
    law = StudentCopula.fit(x, y, nu=2.5)
    zx, zy = law.scores(x, y)
    c = law.canonical
    block_x, block_y = (np.linalg.inv(m @ m.T) for m in (c.map_x, c.map_y))
    cross = block_x @ c.map_x @ np.diag(law.rho) @ c.map_y.T @ block_y
    joint = np.block([[block_x, cross], [cross.T, block_y]])
    t = [
        stats.multivariate_t(shape=s, df=2.5).logpdf(z)
        for s, z in ((joint, np.c_[zx, zy]), (block_x, zx), (block_y, zy))
    ]
    np.testing.assert_allclose(law.log_ratio(x, y), t[0] - t[1] - t[2], atol=1e-9)
    single = stats.t(2.5).logpdf(np.c_[zx, zy]).sum(1)
    np.testing.assert_allclose(law.log_density(x, y), t[0] - single, atol=1e-9)


def test_gaussian_log_ratio_has_the_closed_form_as_its_mean_and_integrates_to_one() -> None:
    x, y = student(4000, 1, 1, np.inf, 3, 0.7)
    law = GaussianCopula.fit(x, y)
    # the scores have the sample's second moments, so that the mean is the closed form; shrinkage moves rho by 1/n
    assert law.log_ratio(x, y).mean() == pytest.approx(law.mutual_information(correct=False), abs=1e-5)

    unit, step = np.linspace(
        -9.0, 9.0, 361, retstep=True
    )  # of whitened scores: the fitted blocks are standard normal there
    a, b = (grid.reshape(-1, 1) for grid in np.meshgrid(unit, unit))
    ratio = law.of_scores(a / law.canonical.map_x, b / law.canonical.map_y)
    total = (np.exp(ratio) * stats.norm.pdf(a[:, 0]) * stats.norm.pdf(b[:, 0])).sum() * step**2  # trapezoid: exact here
    assert total == pytest.approx(1.0, abs=1e-9)
    assert np.exp(ratio).max() > 100.0  # far from constant


@pytest.mark.parametrize(("dx", "dy", "nu", "known"), [(1, 1, 1.0, 0.2242), (5, 5, 2.0, 0.4482), (3, 3, 3.0, 0.1787)])
def test_radial_information_has_the_known_values(dx: int, dy: int, nu: float, known: float) -> None:
    assert _student.radial_information(nu, dx, dy) == pytest.approx(known, abs=5e-5)
    assert _student.radial_information(1e7, dx, dy) == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize(("dx", "dy", "nu"), [(1, 1, 1.0), (3, 3, 2.0), (5, 5, 3.0)])
def test_t_with_no_correlation_is_found_from_its_ranks(dx: int, dy: int, nu: float) -> None:
    x, y = student(4000, dx, dy, nu, 5)
    truth = _student.radial_information(nu, dx, dy)
    found = Copula().estimate(np.arcsinh(x), y**3)
    assert found.details["family"] == "student"
    assert found.details["nu"] == pytest.approx(nu, rel=0.12)  # its standard error is 3 % or less
    assert abs(found.value - truth) < 3.0 * found.details["standard_error"]
    assert found.warnings == ()


def test_gaussian_pairs_get_a_gaussian_copula_and_the_t_fit_agrees() -> None:
    x, y = student(3000, 3, 3, np.inf, 6, 0.7)
    gaussian, either = Copula(family="gaussian").estimate(x, y), Copula(family="auto").estimate(x, y)
    assert gaussian.warnings == either.warnings == ()
    assert either.value == pytest.approx(gaussian.value, abs=0.2 * gaussian.details["standard_error"])
    assert StudentCopula.fit(x, y, nu=np.inf).mutual_information() == GaussianCopula.fit(x, y).mutual_information()


def test_bias_is_that_of_wishart_determinants() -> None:
    """Unbiased at n = 40 in 4 + 3 dimensions, where the plug-in is off by 0.2."""
    values = [CCA().estimate(*student(40, 4, 3, np.inf, s, 0.6)) for s in range(1500)]
    truth, bias = -0.5 * np.log1p(-(0.6**2)), values[0].details["bias"]
    found = np.array([v.value for v in values])
    assert bias > 0.15
    assert abs(found.mean() - truth) < 3.5 * found.std() / np.sqrt(len(found))  # 3.5 standard errors: 1 in 2,000


@pytest.mark.slow
def test_fifty_and_fifty_dimensions_are_unbiased() -> None:
    found = []
    for seed in range(8):
        x, y = student(3000, 50, 50, np.inf, seed, 0.8)
        found.append([GaussianCopula.fit(x, y).mutual_information(), CCA().estimate(x, y).value])
    truth, error = -0.5 * np.log1p(-(0.8**2)), np.std(found, 0) / np.sqrt(len(found))
    assert gaussian_bias(2999.0, 50, 50) > 0.4
    # ranks add a bias of their own of order log(n) / n
    assert np.all(np.abs(np.mean(found, 0) - truth) < 3.5 * error + [0.006, 0.0])


def test_bias_is_first_order_in_large_samples() -> None:
    for dx, dy in ((1, 1), (2, 5), (7, 3)):
        assert gaussian_bias(1e6, dx, dy) == pytest.approx(0.5 * dx * dy / 1e6, rel=1e-4)
        assert gaussian_bias(300.0, dx, dy) == pytest.approx(gaussian_bias(300.0, dy, dx), rel=1e-12)


def test_shrinkage_drops_noise_and_helps_on_new_pairs() -> None:
    x, y = student(1000, 20, 20, np.inf, 8, 0.8)
    law = GaussianCopula.fit(x, y)
    assert np.count_nonzero(law.rho) == 1
    assert law.rho[0] == pytest.approx(0.8, abs=0.05)
    new = student(1000, 20, 20, np.inf, 9, 0.8)
    full = law.canonical.forms(*law.scores(*new), law.canonical.rho)[2]
    unshrunk = mutual_information(law.canonical.rho) - 0.5 * full
    assert law.log_ratio(*new).mean() > unshrunk.mean() + 0.1
    assert shrunk(np.array([0.9]), 1e9, 1, 1)[0] == pytest.approx(0.9, abs=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize(("nu", "rho"), [(np.inf, 0.7), (2.0, 0.0), (np.inf, 0.0)])
def test_intervals_cover(nu: float, rho: float) -> None:
    truth = mutual_information(np.array([rho])) + _student.radial_information(nu, 2, 2)
    family = "student" if np.isfinite(nu) else "gaussian"
    found = [Copula(family=family).estimate(*student(600, 2, 2, nu, s, rho)).interval for s in range(120)]
    hits = np.mean([lo <= truth <= hi for lo, hi in found])
    # 90 % nominal: a binomial of 120 falls below 0.79 with probability 2e-4
    assert hits >= 0.79


def test_cross_fitted_readouts_agree_with_the_model_where_it_is_right() -> None:
    x, y = student(1500, 2, 2, 3.0, 11, 0.6)
    model = Copula(family="student").estimate(x, y)
    for readout in ("plugin", "kl"):
        found = Copula(family="student", readout=readout).estimate(x, y)
        assert found.details["log_ratios"].shape == (1500,)
        assert found.n_train == 1200
        assert found.value == pytest.approx(model.value, abs=found.details["standard_error"])


def test_a_law_of_another_kind_is_said_and_kl_stays_below_the_truth() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(2000, 1))
    y = x + rng.uniform(-0.1, 0.1, (2000, 1))  # I = 0.1 + log 5
    found = Copula().estimate(x, y)
    assert any("do not follow" in text for text in found.warnings)
    kl = Copula(readout="kl").estimate(x, y)
    assert kl.value < 0.1 + np.log(5.0) - 0.2


def test_scores_of_new_points_run_between_those_of_the_sample() -> None:
    x = np.array([[3.0], [1.0], [2.0], [2.0]])
    margins = Margins.fit(x)
    table = margins.table(_student.quantile(np.inf))
    level = stats.norm.cdf(margins.scores(table)).ravel()
    np.testing.assert_allclose(level, [7 / 8, 1 / 8, 1 / 2, 1 / 2], atol=1e-12)  # mid-ranks at ties
    new = margins.new_scores(table, np.array([[-9.0], [1.5], [9.0]])).ravel()
    assert new[0] == table[0] < new[1] < new[2] == table[-1]


def test_copies_of_columns_change_nothing() -> None:
    x, y = student(400, 2, 2, np.inf, 12, 0.5)
    doubled = np.c_[x, x[:, 0]]
    for estimator in (CCA(), Copula(family="gaussian")):
        assert estimator.estimate(doubled, y).value == pytest.approx(estimator.estimate(x, y).value, abs=1e-9)
    assert np.isfinite(Copula(family="student").estimate(doubled, y).value)


def test_a_column_on_both_sides_and_ties_are_said() -> None:
    x, y = student(400, 1, 1, np.inf, 13, 0.5)
    for estimator in (CCA(), Copula(family="gaussian")):
        assert any("infinite" in text for text in estimator.estimate(x, np.c_[y, x]).warnings)
    assert any("tied" in text for text in Copula().estimate(np.round(x), y).warnings)


def test_cca_is_blind_to_linear_maps_and_says_when_pairs_are_not_gaussian() -> None:
    x, y = student(500, 3, 2, np.inf, 14, 0.6)
    mix = np.random.default_rng(0).standard_normal((3, 3))
    found = CCA().estimate(x, y)
    assert CCA().estimate(x @ mix + 5.0, -1e3 * y).value == pytest.approx(found.value, abs=1e-10)
    assert found.warnings == ()
    assert any("not Gaussian" in text for text in CCA().estimate(*student(500, 2, 2, 2.0, 0)).warnings)
    raw = CCA(bias_correct=False).estimate(x, y)
    assert raw.value - found.value == pytest.approx(gaussian_bias(499.0, 3, 2), abs=1e-12)


@pytest.mark.slow
def test_cca_intervals_cover() -> None:
    truth = -0.5 * np.log1p(-(0.6**2))
    found = [CCA().estimate(*student(300, 5, 5, np.inf, s, 0.6)).interval for s in range(300)]
    assert np.mean([lo <= truth <= hi for lo, hi in found]) >= 0.83  # 90 % nominal, 300 trials: 4 standard errors


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Copula(family="clayton"), "family='clayton'"),
        (lambda: Copula(readout="own"), "readout='own'"),
        (lambda: CCA(bias_correct="yes"), "bias_correct='yes'"),
        (lambda: StudentCopula.fit(*student(30, 1, 1, 1.0, 0), nu=-1.0), r"nu=-1\.0"),
        (lambda: GaussianCopula.fit(*student(30, 15, 15, 1.0, 0)), "n=30"),
        (lambda: CCA().estimate(*student(30, 15, 15, 1.0, 0)), "n=30"),
    ],
)
def test_bad_options_are_named(make, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make()


def test_misfit_is_a_distance_of_distributions() -> None:
    x, y = student(2000, 2, 2, 2.0, 15)
    right, wrong = StudentCopula.fit(x, y), GaussianCopula.fit(x, y)
    assert misfit(right, x, y) < 0.03 < misfit(wrong, x, y) < 1.0
