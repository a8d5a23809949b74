"""Kernel densities and histograms: against their definitions, on known laws, in cells without pairs."""

import numpy as np
import pytest
from scipy import stats

from drocl.mi.histogram import Histogram, HistogramRatio
from drocl.mi.kde import KDE, KDERatio


def normals(n: int, rho: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    x, e = np.random.default_rng(seed).standard_normal((2, n, 1))
    return x, rho * x + np.sqrt(1.0 - rho**2) * e


TRUTH = -0.5 * np.log1p(-(0.6**2))


def test_kernel_ratio_is_that_of_scipy_densities() -> None:
    """In one dimension a side, h times the deviation is what scipy calls the factor."""
    x, y = normals(200, 0.6, 0)
    law = KDERatio.fit(x, y, 0.3)
    new = normals(50, 0.6, 1)
    scale = 1.0 / x.std(ddof=1), 1.0 / y.std(ddof=1)

    def density(points: np.ndarray, at: np.ndarray) -> np.ndarray:
        return stats.norm.pdf(at[:, None], points[None], 0.3)

    kx, ky = density(x[:, 0] * scale[0], new[0][:, 0] * scale[0]), density(y[:, 0] * scale[1], new[1][:, 0] * scale[1])
    expected = np.log((kx * ky).mean(1)) - np.log(kx.mean(1)) - np.log(ky.mean(1))
    np.testing.assert_allclose(law.log_ratio(*new), expected, atol=1e-9)


def test_leaving_out_is_fitting_without_the_pair() -> None:
    x, y = normals(60, 0.6, 2)
    law = KDERatio.fit(x, y, 0.4)
    for i in (0, 17, 59):
        kept = np.arange(60) != i
        without = KDERatio(law.x[kept], law.y[kept], law.maps, law.bandwidth)
        assert law.left_out()[i] == pytest.approx(without.log_ratio(x[i : i + 1], y[i : i + 1])[0], abs=1e-9)


def test_kernels_survive_points_far_from_all() -> None:
    x, y = normals(100, 0.6, 3)
    law = KDERatio.fit(x, y, 0.02)  # joint kernels underflow where the margins' do not
    assert np.isfinite(law.log_ratio(np.array([[0.0], [3.0], [30.0]]), np.array([[0.0], [-3.0], [-30.0]]))).all()


@pytest.mark.parametrize("bandwidth", ["scott", "silverman", "likelihood"])
def test_kde_on_bivariate_normals(bandwidth: str) -> None:
    found = [KDE(bandwidth=bandwidth).estimate(*normals(500, 0.6, s)).value for s in range(12)]
    # smoothing adds h^2 = 500^(-1/3) = 0.13 of variance and takes off about 0.03
    assert -0.07 < np.mean(found) - TRUTH < 3.0 * np.std(found) / np.sqrt(12)


def test_kde_is_symmetric_and_blind_to_linear_maps_of_a_side() -> None:
    z = np.random.default_rng(4).standard_normal((300, 4)) + np.random.default_rng(5).standard_normal((300, 1))
    x, y = z[:, :2], z[:, 2:]
    value = KDE().estimate(x, y).value
    assert KDE().estimate(y, x).value == pytest.approx(value, abs=1e-10)
    assert KDE().estimate(x @ np.array([[1.0, 2.0], [0.0, -3.0]]) + 1.0, y).value == pytest.approx(value, abs=1e-9)


def test_kde_refuses_what_it_cannot_do() -> None:
    x, y = normals(100, 0.5, 0)
    with pytest.raises(ValueError, match="7 dimensions"):
        KDE().estimate(np.tile(x, 6), y)
    with pytest.raises(ValueError, match="combinations"):
        KDE().estimate(np.c_[x, 2.0 * x], y)
    for bad in ("gauss", 0.0, -1.0, 1e-9, np.inf, True):
        with pytest.raises(ValueError, match="bandwidth="):
            KDE(bandwidth=bad)
    assert np.isfinite(
        KDE(bandwidth=1e-6).estimate(x, y).value
    )  # kernels without an overlap: sums by their largest terms


def test_discrete_tables_are_the_plug_in_formula() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (2000, 1)).astype(float)
    y = (x + rng.integers(0, 2, (2000, 1))) % 3
    table = np.array([[np.sum((x == a) & (y == b)) for b in range(3)] for a in range(3)]) / 2000.0
    product = table.sum(1)[:, None] * table.sum(0)
    plain = float(np.where(table > 0, table * np.log(np.where(table > 0, table, 1.0) / product), 0.0).sum())
    found = Histogram(miller_madow=False).estimate(x, y)
    assert found.value == pytest.approx(plain, abs=1e-12)
    corrected = Histogram().estimate(x, y)
    assert corrected.value == pytest.approx(plain - (6 - 3 - 3 + 1) / 4000.0, abs=1e-12)  # six cells have pairs
    lo, hi = corrected.interval
    assert lo <= np.log(1.5) <= hi  # I = log 3 - log 2


def test_miller_madow_removes_the_bias_of_independent_cells() -> None:
    rng = np.random.default_rng(1)
    found = np.array(
        [
            [Histogram(miller_madow=on).estimate(*rng.integers(0, 6, (2, 800, 1)).astype(float)).value for on in (True, False)]
            for _ in range(200)
        ]
    )  # fmt: skip
    error = found[:, 0].std() / np.sqrt(200)
    assert abs(found[:, 0].mean()) < 3.5 * error
    assert found[:, 1].mean() > 0.8 * 25 / 1600.0  # what there was to remove: 5 * 5 / 2n


@pytest.mark.parametrize("widths", ["quantile", "equal"])
def test_histograms_on_bivariate_normals_lose_little(widths: str) -> None:
    found = [Histogram(widths=widths).estimate(*normals(4000, 0.6, s)).value for s in range(10)]
    assert -0.03 < np.mean(found) - TRUTH < 0.02  # 20 bins a side lose about 1/20 of it


def test_quantile_bins_are_blind_to_monotone_maps() -> None:
    x, y = normals(1000, 0.6, 6)
    value = Histogram().estimate(x, y).value
    assert Histogram().estimate(x**3, y).value == pytest.approx(
        value, abs=0.02
    )  # edges between points move across none, or one
    assert Histogram().estimate(y, x).value == pytest.approx(value, abs=1e-12)


def test_ratio_is_finite_everywhere_and_right_in_full_cells() -> None:
    x, y = normals(5000, 0.6, 7)
    law = HistogramRatio.fit(x, y, bins=8)
    far = law.log_ratio(np.array([[-9.0], [9.0], [9.0]]), np.array([[9.0], [9.0], [-9.0]]))
    assert np.isfinite(far).all()
    assert far[1] > 0.0 > far[0]
    value = Histogram(bins=8, miller_madow=False).estimate(x, y).value
    assert law.log_ratio(x, y).mean() == pytest.approx(value, abs=2e-3)  # a pair's worth of prior in 5,000


def test_histogram_refuses_and_warns() -> None:
    x, y = normals(100, 0.5, 0)
    with pytest.raises(ValueError, match="y has 3 dimensions"):
        Histogram().estimate(x, np.tile(y, 3))
    for bad in (1, 0, 2.5, True):
        with pytest.raises(ValueError, match="bins="):
            Histogram(bins=bad)
    with pytest.raises(ValueError, match="widths='log'"):
        Histogram(widths="log")
    assert any("too few a cell" in text for text in Histogram(bins=40).estimate(x, y).warnings)
