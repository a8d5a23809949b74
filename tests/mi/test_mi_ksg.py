"""Nearest neighbours: exact against all pairs, one answer from every path, and the estimates on known laws."""

import numpy as np
import pytest
from scipy.special import digamma

from drocl.mi import _neighbours as near
from drocl.mi.ksg import KSG, KSGRatio, local_values


def normals(n: int, d: int, rho: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    x, e = np.random.default_rng(seed).standard_normal((2, n, d))
    return x, rho * x + np.sqrt(1.0 - rho**2) * e


def by_all_pairs(x: np.ndarray, y: np.ndarray, k: int, variant: int) -> np.ndarray:
    """The estimator from its definition, one pair after the other."""
    n, found = len(x), []
    for i in range(n):
        others = np.delete(np.arange(n), i)
        dx, dy = np.abs(x[others] - x[i]).max(1), np.abs(y[others] - y[i]).max(1)
        order = np.argsort(np.maximum(dx, dy), kind="stable")[:k]
        if variant == 1:
            radius = np.maximum(dx, dy)[order[-1]]
            nx, ny = (dx < radius).sum(), (dy < radius).sum()
            found.append(digamma(k) + digamma(n) - digamma(nx + 1) - digamma(ny + 1))
        else:
            nx, ny = (dx <= dx[order].max()).sum(), (dy <= dy[order].max()).sum()
            found.append(digamma(k) - 1.0 / k + digamma(n) - digamma(nx) - digamma(ny))
    return np.array(found)


@pytest.mark.parametrize("variant", [1, 2])
@pytest.mark.parametrize(("dx", "dy"), [(1, 1), (2, 1), (2, 2), (3, 4)])
def test_local_values_are_those_of_the_definition(dx: int, dy: int, variant: int) -> None:
    rng = np.random.default_rng(dx + 10 * dy)
    z = rng.standard_normal((300, dx + dy)) + rng.standard_normal((300, 1))
    x, y = z[:, :dx], z[:, dx:]
    # integers and comparisons only: no rounding but that of digamma
    np.testing.assert_allclose(local_values(x, y, 4, variant), by_all_pairs(x, y, 4, variant), atol=1e-12)


@pytest.mark.parametrize("d", [1, 2, 5, 9])
@pytest.mark.parametrize("grid", [False, True])
def test_all_paths_find_the_same_distances(d: int, grid: bool) -> None:
    z = np.random.default_rng(d).standard_normal((2100, d))
    z = np.round(z, 1) if grid else z  # ties at the k-th distance
    some = np.concatenate([z[:300], z[:50] + 0.01])
    found = [near.nearest(z, some, 7, method) for method in ("tree", "bits", "brute")]
    for distance, index in found:
        np.testing.assert_array_equal(distance, found[0][0])
        np.testing.assert_array_equal(np.abs(z[index] - some[:, None]).max(2), distance)


@pytest.mark.parametrize("d", [1, 2, 3, 8])
@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("n", [5, 64, 1024, 2500])
def test_counts_are_exact_also_at_the_boundary(d: int, strict: bool, n: int) -> None:
    """Radii that are distances to points, so that a rounded bound would count one point too many or too few."""
    z = np.random.default_rng(n + d).standard_normal((n, d)) * 1e3 + 0.1
    far = np.abs(z[None, :] - z[:120, None]).max(2)
    radius = np.sort(far, 1)[np.arange(len(far)), np.arange(len(far)) % n]
    expected = (far < radius[:, None] if strict else far <= radius[:, None]).sum(1)
    np.testing.assert_array_equal(near.count(z, z[:120], radius, strict), expected)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 8, 9, 16, 31, 32, 33])
def test_rectangles_of_ranks_are_counted_up_to_every_edge(n: int) -> None:
    """All rectangles at powers of two and beside them: a bound may be n itself, which no rank is."""
    rng = np.random.default_rng(n)
    rank = np.stack([rng.permutation(n), rng.permutation(n)])
    edges = np.array([(a, b) for a in range(n + 1) for b in range(a, n + 1)])
    i, j = rng.integers(len(edges), size=(2, 3000)) if n > 9 else np.indices((len(edges),) * 2).reshape(2, -1)
    first, last = np.stack([edges[i, 0], edges[j, 0]]), np.stack([edges[i, 1], edges[j, 1]])
    inside = (rank[:, :, None] >= first[:, None]) & (rank[:, :, None] < last[:, None])
    np.testing.assert_array_equal(near._rectangles(rank, first, last), inside.all(0).sum(0))


def test_the_estimate_is_symmetric_and_blind_to_the_order() -> None:
    x, y = normals(800, 2, 0.6, 0)
    order = np.random.default_rng(1).permutation(800)
    value = KSG().estimate(x, y).value
    assert KSG().estimate(y, x).value == pytest.approx(value, abs=1e-12)
    assert KSG().estimate(x[order], y[order]).value == pytest.approx(value, abs=1e-12)
    assert KSG().estimate(3.0 * x - 1.0, y * [-2.0, 5.0]).value == pytest.approx(value, abs=1e-12)  # standardised


@pytest.mark.parametrize("variant", [1, 2])
def test_bivariate_normal_within_three_standard_errors_of_replicates(variant: int) -> None:
    truth = -0.5 * np.log1p(-(0.6**2))
    found = [KSG(variant=variant, parts=0).estimate(*normals(1500, 1, 0.6, s)).value for s in range(30)]
    # kraskov2004 reports no bias beyond the noise in one dimension a side; 0.004 leaves room for one of 2 %
    assert abs(np.mean(found) - truth) < 3.0 * np.std(found) / np.sqrt(30) + 0.004


@pytest.mark.slow
def test_intervals_of_parts_cover_where_there_is_no_bias() -> None:
    truth = -0.5 * np.log1p(-(0.6**2))
    hits = [lo <= truth <= hi for lo, hi in (KSG().estimate(*normals(1000, 1, 0.6, s)).interval for s in range(100))]
    # 90 % nominal, ten parts: a binomial of 100 falls below 78 with probability 1e-4
    assert np.mean(hits) >= 0.78


def test_an_estimate_that_moves_with_n_says_so_and_reaches_farther() -> None:
    x, y = normals(1500, 8, 0.8, 0)
    found = KSG().estimate(x, y)
    assert any("moves with n" in text for text in found.warnings)
    assert found.interval[1] > found.value + found.details["drift"] > found.value
    assert KSG(parts=0).estimate(x, y).warnings == ()


def test_independent_columns_give_zero() -> None:
    x, y = normals(2000, 2, 0.0, 3)
    found = KSG().estimate(x, y)
    assert abs(found.value) < 4.0 * found.details["standard_error"]


def test_ratio_at_new_points_is_the_local_value_of_a_point_added() -> None:
    x, y = normals(400, 2, 0.7, 5)
    law = KSGRatio.fit(x[1:], y[1:], k=5, preprocess="none")
    assert law.log_ratio(x[:1], y[:1])[0] == pytest.approx(local_values(x, y, 5)[0], abs=1e-12)


def test_a_few_copies_are_moved_apart_and_said() -> None:
    x, y = normals(600, 1, 0.6, 7)
    apart = KSG(k=3).estimate(x, y)
    x[:12], y[:12] = x[0], y[0]
    found = KSG(k=3).estimate(x, y, seed=4)
    assert any("copies" in text for text in found.warnings)
    assert found.value == KSG(k=3).estimate(x, y, seed=4).value
    assert found.value == pytest.approx(apart.value, abs=0.15)  # 12 of 600 local values, at most log n each


def test_discrete_pairs_are_refused_and_one_discrete_side_is_said() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 3, (2, 500, 1)).astype(float)
    with pytest.raises(ValueError, match=r"discrete.*histogram"):
        KSG().estimate(a, b)
    found = KSG().estimate(a, a + rng.uniform(size=(500, 1)))
    assert any("every column of x repeats" in text for text in found.warnings)
    assert found.value == pytest.approx(np.log(3.0), abs=0.1)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"k": 0}, "k=0"),
        ({"k": 2.5}, r"k=2\.5"),
        ({"variant": 3}, "variant=3"),
        ({"preprocess": "rich"}, "preprocess='rich'"),
        ({"preprocess": "pca"}, "preprocess='pca'"),
        ({"parts": 2}, "parts=2"),
        ({"method": "ball"}, "method='ball'"),
    ],
)
def test_bad_options_are_named(options: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        KSG(**options)


def test_k_must_be_smaller_than_n() -> None:
    x, y = normals(20, 1, 0.5, 0)
    with pytest.raises(ValueError, match=r"k=20 .* n=20"):
        KSG(k=20).estimate(x, y)
    with pytest.raises(ValueError, match=r"k=20 .* n=20"):
        KSGRatio.fit(x, y, k=20)
    assert np.isfinite(KSG(k=19).estimate(x, y).value)
