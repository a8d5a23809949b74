"""Exact expectations of the estimators: against enumeration, closed forms, sampling, and the published sampled figures."""

import itertools
import math

import numpy as np
import pytest

from drocl import divergences, latent, population
from drocl.mi import exact

JOINT = np.array([[0.30, 0.05, 0.05], [0.02, 0.25, 0.03], [0.10, 0.05, 0.15]])
CRITIC = np.array([[0.9, -0.4, 0.1], [-1.2, 0.7, 0.3], [0.2, -0.5, 0.4]])
DUALS = [divergences.get(name) for name in ("kl", "chi2", "reverse_kl", "hellinger", "js")] + [
    divergences.get("cressie_read", k=1.5)
]


def correlation(information: float, pairs: int) -> float:
    return math.sqrt(-math.expm1(-2.0 * information / pairs))


def log_mean_of_row(scores: np.ndarray, law: np.ndarray, n: int, first: float | None) -> float:
    """E log of the sum of n draws, and of one more given term, by enumeration of all draws."""
    total = 0.0
    for draws in itertools.product(range(len(law)), repeat=n):
        terms = [scores[j] for j in draws] + ([] if first is None else [first])
        total += math.prod(law[j] for j in draws) * math.log(sum(math.exp(t) for t in terms))
    return total


# Finite laws


@pytest.mark.parametrize("n", [1, 2, 4])
def test_infonce_and_decoupled_agree_with_enumeration(n: int) -> None:
    law = exact.finite(JOINT, CRITIC)
    contrast = row_wise = 0.0
    for (x, y), mass in np.ndenumerate(JOINT):
        own, others = CRITIC[x, y], JOINT.sum(axis=0)
        contrast += mass * (own + math.log(n + 1) - log_mean_of_row(CRITIC[x], others, n, own))
        row_wise += mass * (own + math.log(n) - log_mean_of_row(CRITIC[x], others, n, None))
    # the integral is right to 1e-12
    assert exact.info_nce(law, n) == pytest.approx(contrast, abs=1e-12)
    assert exact.decoupled(law, n) == pytest.approx(row_wise, abs=1e-12)


@pytest.mark.parametrize("batch", [2, 3, 4])
def test_batch_dv_agrees_with_enumeration_of_all_batches(batch: int) -> None:
    total = 0.0
    for cells in itertools.product(range(9), repeat=batch):
        x, y = np.divmod(cells, 3)
        scores = CRITIC[np.ix_(x, y)]
        off = scores[~np.eye(batch, dtype=bool)]
        total += JOINT[x, y].prod() * (np.diag(scores).mean() - math.log(np.exp(off).mean()))
    assert exact.dv_batch(JOINT, batch, CRITIC) == pytest.approx(total, abs=1e-12)


def test_independent_dv_agrees_with_enumeration() -> None:
    law, product = exact.finite(JOINT, CRITIC), np.outer(JOINT.sum(axis=1), JOINT.sum(axis=0)).ravel()
    mean = log_mean_of_row(CRITIC.ravel(), product, 2, None) - math.log(2.0)
    assert exact.dv(law, 2) == pytest.approx(float((JOINT * CRITIC).sum()) - mean, abs=1e-12)


def test_latent_model_gives_the_population_value_of_infonce() -> None:
    model = latent.build("random", n_classes=3, points=4, dimension=3, seed=1)
    law = exact.finite(exact.joint_of(model), model.scores(0.5))
    assert law.truth == pytest.approx(model.mutual_information, abs=1e-13)
    for n in (1, 7, 300):
        assert exact.info_nce(law, n) == pytest.approx(population.info_nce_value(model, 0.5, n), abs=1e-12)


def test_optimal_critic_attains_the_truth_in_every_population_form() -> None:
    law = exact.finite(JOINT)
    for value in (exact.dv(law), exact.nwj(law), exact.plug_in(law), exact.smile(law, 50.0)):
        assert value == pytest.approx(law.truth, abs=1e-14)
    assert exact.info_nce(law, 10**9) == pytest.approx(law.truth, abs=1e-8)  # chi2 / 2N


def test_zeros_of_the_joint_law_are_no_trouble() -> None:
    law = exact.finite(np.eye(3) / 3.0)
    # all three candidates agree with probability 1/9, two with 4/9
    assert exact.info_nce(law, 2) == pytest.approx(4.0 / 9.0 * math.log(3.0) + 4.0 / 9.0 * math.log(1.5), abs=1e-12)
    assert exact.decoupled(law, 5) == math.inf
    assert exact.dv_batch(np.eye(3) / 3.0, 4) == exact.dv(law, 4) == math.inf


def test_several_n_at_once_are_each_alone() -> None:
    law = exact.finite(JOINT, CRITIC)
    for estimate in (exact.info_nce, exact.decoupled):
        together = estimate(law, [1, 5, 90])
        assert together == pytest.approx([estimate(law, n) for n in (1, 5, 90)], abs=1e-13)


@pytest.mark.parametrize("phi", DUALS, ids=lambda phi: phi.label)
def test_tight_dual_attains_the_divergence_whatever_the_constant_and_loose_does_not(
    phi: divergences.Divergence,
) -> None:
    product = np.outer(JOINT.sum(axis=1), JOINT.sum(axis=0))
    critic = np.asarray(phi.derivative(JOINT / product))
    truth = float(phi.between(JOINT.ravel(), product.ravel()))
    assert exact.phi_dual(exact.finite(JOINT, critic), phi, tight=False) == pytest.approx(truth, abs=1e-13)
    shifted = exact.finite(JOINT, critic - 0.5)
    assert exact.phi_dual(shifted, phi) == pytest.approx(truth, abs=1e-11)
    assert exact.phi_dual(shifted, phi, tight=False) < truth - 1e-3
    assert exact.dv(exact.phi_log_ratio(shifted, phi)) == pytest.approx(exact.finite(JOINT).truth, abs=1e-11)


def test_variances_are_those_of_samples() -> None:
    law, rng = exact.finite(JOINT, CRITIC), np.random.default_rng(0)
    product = np.outer(JOINT.sum(axis=1), JOINT.sum(axis=0)).ravel()
    first = rng.choice(CRITIC.ravel(), p=JOINT.ravel(), size=(40_000, 50)).mean(axis=1)
    ratio = np.exp(rng.choice(CRITIC.ravel(), p=product, size=(40_000, 20))).mean(axis=1)
    # a sampled variance of 40,000 values is right to sqrt(2 / 40,000) = 0.7 %; four of them
    assert np.var(first - ratio) == pytest.approx(exact.nwj_variance(law, 50, 20), rel=0.03)
    # the delta method is first order in 1/20
    assert np.var(first - np.log(ratio)) == pytest.approx(exact.dv_variance(law, 50, 20), rel=0.1)


# Gaussian pairs


@pytest.mark.parametrize(
    ("information", "infonce", "row_wise", "batch"),
    [
        (2.0, 1.82, 2.18, 2.02),
        (4.0, 3.08, 4.73, 4.08),
        (6.0, 3.74, 7.86, 6.27),
        (8.0, 4.02, 11.6, 8.5),
        (10.0, 4.12, 16.3, 11.4),
    ],
)
def test_sampled_figures_of_the_staircase(information: float, infonce: float, row_wise: float, batch: float) -> None:
    law = exact.gaussian(correlation(information, 20), 20)
    # the published figures are sampled and rounded: 0.03 beside 2, 1 % beside 16
    assert exact.info_nce(law, 63) == pytest.approx(infonce, abs=0.03)
    assert exact.decoupled(law, 63) == pytest.approx(row_wise, abs=0.05)
    # 64 x 63 independent pairs stand for those of one batch
    assert exact.dv(law, 64 * 63) == pytest.approx(batch, abs=0.15)
    assert exact.nwj(law) == pytest.approx(information, abs=1e-9)


@pytest.mark.parametrize(("information", "pairs"), [(0.4, 1), (0.6, 1), (2.0, 20), (10.0, 20), (1.0, 100)])
def test_gaussian_values_do_not_move_on_a_finer_grid(information: float, pairs: int) -> None:
    rho = correlation(information, pairs)
    coarse, fine = exact.gaussian(rho, pairs), exact.gaussian(rho, pairs, anchors=48, step=0.15)
    for estimate in (exact.info_nce, exact.decoupled):
        # with one pair the anchors' law is widest: Gauss-Laguerre of 24 nodes sees it to 1e-5
        assert estimate(coarse, 63) == pytest.approx(estimate(fine, 63), abs=1e-8 if pairs > 1 else 1e-5)
    assert coarse.truth == pytest.approx(information, abs=1e-12)
    assert coarse.mean() == pytest.approx(information, abs=1e-9)
    assert np.abs(coarse.log_normalizers()).max() < 1e-10  # E_y r(x, y) = 1 at every anchor


def sampled_infonce(scores: np.ndarray) -> tuple[float, float]:
    """Mean and standard error over batches (m, B, B)."""
    own = np.einsum("bii->bi", scores)
    top = scores.max(axis=2)
    values = (own - top - np.log(np.exp(scores - top[:, :, None]).mean(axis=2))).mean(axis=1)
    return float(values.mean()), float(values.std() / math.sqrt(len(values)))


def test_wrong_and_bilinear_critics_agree_with_sampling() -> None:
    rng, d, rho, r, size = np.random.default_rng(3), 3, 0.7, 0.5, 8
    x = rng.standard_normal((20_000, size, d))
    y = rho * x + math.sqrt(1.0 - rho**2) * rng.standard_normal(x.shape)
    inner = x @ y.swapaxes(1, 2)
    squares = (x**2).sum(axis=2)[:, :, None] + (y**2).sum(axis=2)[:, None, :]
    wrong = (r * inner - 0.5 * r**2 * squares) / (1.0 - r**2)
    for scores, law in ((0.9 * inner, exact.bilinear_gaussian(rho, d, 0.9)), (wrong, exact.gaussian(rho, d, r))):
        mean, error = sampled_infonce(scores)
        assert abs(mean - float(exact.info_nce(law, size - 1))) < 4.0 * error
    assert exact.dv(exact.gaussian(rho, d, r)) < exact.gaussian(rho, d).truth


def test_bilinear_critic_has_its_closed_forms() -> None:
    law = exact.bilinear_gaussian(0.6, 4, 0.5)
    assert law.mean() == pytest.approx(0.5 * 0.6 * 4, abs=1e-12)
    assert law.log_normalizer() == pytest.approx(-2.0 * math.log1p(-0.25), abs=1e-9)
    assert exact.bilinear_gaussian(-0.6, 4, 0.5).mean() == pytest.approx(-0.5 * 0.6 * 4, abs=1e-12)


def test_log_ratio_tails_are_those_of_samples() -> None:
    rng, rho, n = np.random.default_rng(1), 0.8, 200_000
    x, noise, other = rng.standard_normal((3, n, 2))
    for column, y in enumerate((rho * x + math.sqrt(1.0 - rho**2) * noise, other)):
        ratio = ((rho * x * y - 0.5 * rho**2 * (x**2 + y**2)) / (1.0 - rho**2)).sum(axis=1) - math.log1p(-(rho**2))
        for level in (-2.0, 0.0, 1.5):
            # 4.5 standard errors
            assert exact.log_ratio_tails(rho, 2, level)[column] == pytest.approx((ratio > level).mean(), abs=0.005)


def test_smile_of_gaussians_agrees_with_its_grid_and_ends_in_the_truth() -> None:
    law = exact.gaussian(0.6, 5)
    for clip in (0.5, 2.0):
        assert exact.gaussian_smile(0.6, 5, clip) == pytest.approx(exact.smile(law, clip), abs=2e-3)  # kinks
    assert exact.gaussian_smile(0.6, 5, 60.0) == pytest.approx(law.truth, abs=1e-9)
    assert exact.gaussian_smile(0.6, 5, 1.0) > law.truth


def test_normaliser_variance_of_gaussian_batches_is_that_of_samples() -> None:
    rho, d, batch, count = 0.25, 3, 8, 40_000  # |rho| < 1/3: the sampled variance has one of its own
    rng = np.random.default_rng(5)
    x = rng.standard_normal((count, batch, d))
    y = rho * x + math.sqrt(1.0 - rho**2) * rng.standard_normal(x.shape)
    squares = (x**2).sum(axis=2)[:, :, None] + (y**2).sum(axis=2)[:, None, :]
    ratio = np.exp((rho * (x @ y.swapaxes(1, 2)) - 0.5 * rho**2 * squares) / (1.0 - rho**2)) * (1.0 - rho**2) ** (
        -d / 2
    )
    mean = (ratio.sum(axis=(1, 2)) - np.trace(ratio, axis1=1, axis2=2)) / (batch * (batch - 1))
    formula = ((1.0 - rho**2) ** -d + (1.0 - rho**4) ** -d - 2.0) / (batch * (batch - 1))
    assert mean.var() == pytest.approx(formula, rel=0.06)  # three standard errors, by the kurtosis of the mean
    # the finite form: singular values of a fine partition of one pair are rho, rho^2, ...
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weights = weights / weights.sum()
    kernel = np.exp(
        (rho * np.outer(nodes, nodes) - 0.5 * rho**2 * np.add.outer(nodes**2, nodes**2)) / (1.0 - rho**2)
    ) / math.sqrt(1.0 - rho**2)
    joint = np.outer(weights, weights) * kernel
    assert exact.singular_values(joint / joint.sum())[:4] == pytest.approx(rho ** np.arange(4.0), abs=1e-6)


# Bias in parts


def test_bias_parts_add_up_and_say_what_was_sampled() -> None:
    parts = exact.bias_parts(6.0, population=3.7, batch=None, family=(3.5, 0.03), achieved=(3.4, 0.04))
    assert parts.total == pytest.approx(3.4 - 6.0, abs=1e-14)
    assert [part.sampled for part in parts.parts.values()] == [False, False, True, True]
    assert parts.ceiling.value == pytest.approx(-2.3)
    assert parts.optimisation.error == pytest.approx(0.05)
    assert parts.batch == exact.BiasPart(0.0)


# Bad input


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: exact.finite([[0.5, 0.6]]), "joint"),
        (lambda: exact.finite([[0.5, 0.0], [0.5, 0.0]]), "joint"),
        (lambda: exact.finite(JOINT, CRITIC[:2]), "critic"),
        (lambda: exact.finite(JOINT, np.where(CRITIC > 0.8, np.nan, CRITIC)), "critic"),
        (lambda: exact.decoupled(exact.gaussian(0.9999, 1), 2), "nats"),
        (lambda: exact.gaussian(1.0, 2), "correlation"),
        (lambda: exact.gaussian(0.5, 0), "pairs"),
        (lambda: exact.gaussian(0.5, 2, -0.5), "critic_correlation"),
        (lambda: exact.bilinear_gaussian(0.5, 2, 0.0), "slope"),
        (lambda: exact.info_nce(exact.finite(JOINT), 1.5), "n="),  # type: ignore[arg-type]
        (lambda: exact.decoupled(exact.finite(JOINT), 0), "n="),
        (lambda: exact.smile(exact.finite(JOINT), 0.0), "clip"),
        (lambda: exact.gaussian_smile(0.5, 1, -1.0), "clip"),
        (lambda: exact.log_ratio_tails(0.5, 2.5, 0.0), "pairs"),  # type: ignore[arg-type]
        (lambda: exact.dv(exact.finite(np.eye(3) / 3.0), 1.5), "n="),  # type: ignore[arg-type]
        (lambda: exact.phi_dual(exact.finite(JOINT), divergences.get("renyi", order=2.0)), "divergence"),
        (lambda: exact.dv_batch(JOINT, 1), "batch"),
        (lambda: exact.dv_batch(np.full((40, 2), 1.0 / 80.0), 64), "batch"),
        (lambda: exact.bias_parts(1.0, population=math.nan), "population"),
    ],
)
def test_bad_input_is_named(call, names: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=names):
        call()
