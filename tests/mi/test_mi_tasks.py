"""Laws of the tasks: truths against printed figures, samples against the exact log-ratio, maps against their inverses."""

import itertools
import json
import math
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import kstest

from drocl.divergences import get as divergence
from drocl.latent import build
from drocl.mi import gaussian, tasks
from drocl.mi.tasks import _transforms
from drocl.mi.tasks._channel import symmetric_channel
from drocl.mi.tasks._mixture import Mixture
from drocl.mi.tasks._transforms import Transformed

NAMED = pytest.mark.parametrize("name", tasks.NAMES)
# czyz2023, the information of the 40 tasks in nats, to three decimals
PRINTED = {
    "1v1-additive-0.1": 1.709, "1v1-additive-0.75": 0.333, "multinormal-dense-2-2-0.5": 0.294,
    "multinormal-dense-3-3-0.5": 0.413, "multinormal-dense-5-5-0.5": 0.593, "multinormal-dense-25-25-0.5": 1.292,
    "multinormal-dense-50-50-0.5": 1.624, "student-identity-1-1-1": 0.224, "student-identity-2-2-1": 0.432,
    "student-identity-2-2-2": 0.193, "student-identity-3-3-2": 0.291, "student-identity-3-3-3": 0.179,
    "student-identity-5-5-2": 0.448, "student-identity-5-5-3": 0.299,
}  # fmt: skip


def printed(name):
    for base, value in PRINTED.items():
        if name.endswith(base):
            return value
    return 1.022 if "multinormal-sparse" in name else 0.413


def mean_and_error(values):
    return float(values.mean()), float(values.std() / math.sqrt(len(values)))


class TestNames:
    def test_benchmark_has_forty_names_and_the_printed_truths(self):
        assert len(set(tasks.BENCHMARK)) == 40
        assert tasks.NAMES[:40] == tasks.BENCHMARK
        for name in tasks.BENCHMARK:
            assert tasks.get(name).mutual_information == pytest.approx(printed(name), abs=5.001e-4), name

    @NAMED
    def test_name_survives_and_so_does_pickling(self, name):
        task = pickle.loads(pickle.dumps(tasks.get(name)))
        assert task.name == name
        one, other = task.sample(5, 3), tasks.get(name).sample(5, 3)
        assert np.array_equal(one[0], other[0])
        assert np.array_equal(one[1], other[1])

    def test_numbers_are_parameters(self):
        assert tasks.get("1v1-normal--0.5").mutual_information == tasks.get("1v1-normal-0.5").mutual_information
        assert tasks.get("multinormal-sparse-4-7-3-1.0").mutual_information == pytest.approx(-1.5 * math.log(0.75))
        assert (tasks.get("multinormal-sparse-4-7-3-1.0").dim_x, tasks.get("multinormal-dense-4-7-0.3").dim_y) == (4, 7)
        for mi in (2, 6.5):
            assert tasks.get(f"cubic-staircase-20-{mi}").mutual_information == pytest.approx(mi, rel=1e-12)
        assert (
            tasks.get("asinh-cubic-1v1-normal-0.3").mutual_information == tasks.get("1v1-normal-0.3").mutual_information
        )

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("nothing", "the forms are 1v1-normal-RHO.*prefixes normal_cdf-"),
            ("1v1-normal-0.75x", "is no task"),
            ("1v1-normal-1.0", r"correlation=1.0 must lie in \(-1, 1\)"),
            ("1v1-additive-0", "epsilon=0.0"),
            ("multinormal-dense-2-2-1.5", "off_diagonal=1.5"),
            ("multinormal-sparse-2-2-3-2.0", "interacting=3"),
            ("multinormal-sparse-0-2-0-2.0", "dim_x=0"),
            ("student-identity-2-2-0", "freedom=0.0"),
            ("spiral-1v1-normal-0.5", "dimension=1"),
            ("rotate-multinormal-dense-2-2-0.5", "dimension=2"),
            ("swissroll_x-1v1-normal-0.5", r"one X in \[0, 1\]"),
            ("power_0-1v1-normal-0.5", "exponent=0.0"),
            ("staircase-0-2", "dimension=0"),
            ("staircase-20--1", "mutual_information=-1.0"),
            ("digits-4-0.1", "count=4"),
            ("digits-1.5", "noise=1.5"),
            ("latent-cells-1-1-0.1", "classes=1"),
            ("latent-mub-3", "power of 2"),
            ("1v1-zero_inflated-1", "rate=1.0"),
            ("1v1-discrete_uniform-1", "values=1"),
            ("mult-sparse-w-inliers-2-2-1-2.0-1.5", "fraction=1.5"),
            ("0v1-concentric_gaussians-3", "dimension=0"),
            (7, "must be a string"),
        ],
    )
    def test_wrong_names_are_refused(self, name, words):
        with pytest.raises(ValueError, match=words):
            tasks.get(name)


class TestSamples:
    @NAMED
    def test_shapes_and_seeds(self, name):
        task = tasks.get(name)
        x, y = task.sample(50, seed=4)
        assert (x.shape, y.shape, x.dtype, y.dtype) == ((50, task.dim_x), (50, task.dim_y), np.float64, np.float64)
        assert np.isfinite(x).all()
        assert np.isfinite(y).all()
        again, other = task.sample(50, seed=4)[0], task.sample(50, seed=5)[0]
        assert np.array_equal(x, again)
        assert not np.array_equal(x, other)

    def test_a_generator_is_advanced(self):
        rng, task = np.random.default_rng(0), tasks.get("1v1-normal-0.75")
        assert not np.array_equal(task.sample(5, rng)[0], task.sample(5, rng)[0])

    @pytest.mark.parametrize("n", [0, -1, 2.5, True])
    def test_n_is_checked(self, n):
        with pytest.raises(ValueError, match="n="):
            tasks.get("1v1-normal-0.75").sample(n)

    @pytest.mark.parametrize(
        ("name", "law_x", "law_y"),
        [
            ("1v1-normal-0.75", "norm", "norm"),
            ("normal_cdf-1v1-normal-0.75", "uniform", "uniform"),
            ("student-identity-1-1-1", "cauchy", "cauchy"),
            ("1v1-X-0.9", "norm", "norm"),
            ("1v1-zero_inflated-0.15", "expon", None),
            ("1v1-additive-0.1", "uniform", None),
        ],
    )
    def test_margins_follow_their_laws(self, name, law_x, law_y):
        for values, law in zip(tasks.get(name).sample(5000, 1), (law_x, law_y), strict=True):
            if law:
                assert kstest(values[:, 0], law).pvalue > 1e-4  # one in ten thousand; the seed is fixed

    def test_bimodal_margins_are_the_mixtures(self):
        x, y = tasks.get("1v1-bimodal-0.75").sample(5000, 1)
        phi = _transforms.ndtr
        assert kstest(x[:, 0], lambda z: 0.3 * phi(z) + 0.7 * phi(z - 5.0)).pvalue > 1e-4
        assert kstest(y[:, 0], lambda z: 0.5 * phi(z + 1.0) + 0.5 * phi(z - 3.0)).pvalue > 1e-4

    def test_moments_are_those_of_the_covariance(self):
        task = tasks.get("multinormal-lvm-5-5-2-0.5-1.0-0.5-1.0")
        n = 100_000
        both = np.hstack(task.sample(n, 0))
        # a sample covariance of unit variances has standard error at most sqrt(2 / n)
        assert np.cov(both.T) == pytest.approx(task.covariance, abs=5.0 * math.sqrt(2.0 / n))


class TestLogRatio:
    @NAMED
    def test_mean_is_the_information_and_the_overlap_agrees_from_both_laws(self, name):
        task = tasks.get(name)
        x, y = task.sample(4000 if task.dim_x > 60 else 20_000, 11)
        paired, shuffled = task.log_ratio(x, y), task.log_ratio(x, np.roll(y, 1, axis=0))
        assert paired.shape == (len(x),)
        mean, error = mean_and_error(paired)
        assert abs(mean - task.mutual_information) <= 5.0 * error + 1e-12
        # E_P 1/(1 + t) = E_Q t/(1 + t): bounded on both sides, and true of no other function t
        p, p_error = mean_and_error(1.0 / (1.0 + np.exp(np.minimum(paired, 700.0))))
        q, q_error = mean_and_error(1.0 / (1.0 + np.exp(np.minimum(-shuffled, 700.0))))
        assert abs(p - q) <= 5.0 * math.hypot(p_error, q_error) + 1e-12

    @pytest.mark.slow
    @pytest.mark.parametrize("name", tasks.BENCHMARK)
    def test_mean_is_the_information_at_a_hundred_thousand(self, name):
        task = tasks.get(name)
        mean, error = mean_and_error(np.concatenate([task.log_ratio(*task.sample(50_000, seed)) for seed in range(2)]))
        assert abs(mean - task.mutual_information) <= 5.0 * error

    def test_points_outside_the_support_and_wrong_shapes_are_refused(self):
        cases = [
            ("1v1-additive-0.1", [[0.5]], [[1.5]], "the support"),
            ("1v1-zero_inflated-0.15", [[0.5]], [[0.5]], "the support"),
            ("normal_cdf-1v1-normal-0.75", [[1.0]], [[0.5]], "inside"),
            ("swissroll_x-normal_cdf-1v1-normal-0.75", [[0.1, 0.1]], [[0.5]], "swiss roll"),
            ("swissroll_x-normal_cdf-1v1-normal-0.75", [[0.0, 0.0]], [[0.5]], "swiss roll"),
            ("latent-simplex-4", np.ones((1, 4)), np.ones((1, 4)), "x must lie in the support, row 0"),
            ("1v1-normal-0.75", np.ones((2, 2)), np.ones((2, 1)), r"x must have shape \(m, 1\)"),
        ]
        for name, x, y, words in cases:
            with pytest.raises(ValueError, match=words):
                tasks.get(name).log_ratio(x, y)

    def test_vectors_serve_where_the_dimension_is_one_and_impossible_pairs_are_minus_infinity(self):
        task = tasks.get("1v1-additive-0.1")
        assert task.log_ratio([0.5, 0.5], [0.55, 0.9]).tolist() == [pytest.approx(math.log(5.0)), -math.inf]


class TestMaps:
    @pytest.mark.parametrize("name", [name for name in tasks.NAMES if isinstance(tasks.get(name), Transformed)])
    def test_inverse_undoes_the_map(self, name):
        task = tasks.get(name)
        x, y = task.base.sample(500, 2)
        for points, one in ((x, task.map_x), (y, task.map_y)):
            back = one.inverse(one.forward(points))
            # the cdf's upper tail keeps 1e-16 absolute, which is 1e-12 of a quantile at 4.5
            assert np.allclose(back, points, rtol=1e-9, atol=1e-10)

    @pytest.mark.parametrize("one", [_transforms.WIGGLY_X, _transforms.WIGGLY_Y], ids=["x", "y"])
    def test_wiggly_is_increasing(self, one):
        assert np.all(np.diff(one.forward(np.linspace(-12.0, 12.0, 20_001))) > 0.0)

    def test_bimodal_quantiles_reach_far_tails(self):
        one = _transforms.bimodal((0.3, 0.7), (0.0, 5.0))
        z = np.linspace(-8.0, 8.0, 401)[:, None]
        assert one.inverse(one.forward(z)) == pytest.approx(z, abs=1e-12)
        assert np.all(np.diff(one.forward(z)[:, 0]) > 0.0)

    def test_spiral_keeps_lengths_and_turns_by_the_square(self):
        one = _transforms.spiral(3, (0, 1), math.pi / 2.0)
        assert one.forward(np.array([[1.0, 0.0, 0.0]])) == pytest.approx(np.array([[0.0, 1.0, 0.0]]), abs=1e-15)
        z = np.random.default_rng(0).normal(size=(50, 3))
        assert np.linalg.norm(one.forward(z), axis=1) == pytest.approx(np.linalg.norm(z, axis=1))


class TestInformation:
    CASES = (
        ("1v1-normal-0.75", "reverse_kl hellinger js tv"),
        ("half_cube-multinormal-sparse-3-3-2-2.0", "hellinger js tv"),
        ("student-identity-2-2-2", "hellinger js reverse_kl"),
        ("student-identity-1-1-1", "hellinger js reverse_kl"),
        ("1v1-additive-0.75", "chi2 hellinger js tv"),
        ("1v1-additive-0.1", "hellinger js tv"),
        ("mult-sparse-w-inliers-5-5-2-2.0-0.2", "reverse_kl hellinger js tv"),
        ("1v1-discrete_uniform-5", "chi2 hellinger js tv"),
        ("latent-cells-16-2-0.1", "chi2 reverse_kl hellinger js tv"),
        ("digits-0.3", "chi2 neyman hellinger js tv"),
    )

    @pytest.mark.parametrize(("name", "divergences"), CASES)
    def test_information_is_the_mean_of_the_generator_over_independent_pairs(self, name, divergences):
        task = tasks.get(name)
        x, y = task.sample(20_000, 5)
        draws = [task.log_ratio(x, np.roll(y, shift, axis=0)) for shift in (1, 7, 100)]
        for wanted in divergences.split():
            terms = divergence(wanted).phi(np.exp(np.concatenate(draws)))
            mean, error = mean_and_error(np.asarray(terms))
            # three shifts of one sample are not independent: the error is at most sqrt 3 times that of independent pairs
            assert abs(mean - task.information(wanted)) <= 5.0 * math.sqrt(3.0) * error, wanted

    def test_gaussian_tasks_know_every_power(self):
        task = tasks.get("spiral-normal_cdf-multinormal-sparse-25-25-2-2.0")
        assert task.information("chi2") == pytest.approx(math.expm1(2.0 * task.mutual_information))
        assert task.information("kl") == task.mutual_information
        assert task.mutual_information == pytest.approx(-math.log1p(-(0.8**2)))  # two pairs of correlation 0.8
        assert task.information("renyi", order=0.5) > 0.0
        assert task.information("cressie_read", k=3.0) == math.inf
        assert task.information(divergence("hellinger")) == task.information("hellinger")

    @pytest.mark.parametrize("epsilon", [0.05, 0.5, 0.75, 3.0])
    def test_additive_noise_by_an_integral_over_y(self, epsilon):
        task = tasks.get(f"1v1-additive-{epsilon}")

        def mean(function):
            def term(y):
                overlap = min(1.0, y + epsilon) - max(0.0, y - epsilon)
                return overlap / (2.0 * epsilon) * function(overlap)

            corners = sorted({-epsilon, min(epsilon, 1.0 - epsilon), max(epsilon, 1.0 - epsilon), 1.0 + epsilon})
            return sum(quad(term, a, b, epsabs=1e-12, epsrel=1e-12)[0] for a, b in itertools.pairwise(corners))

        assert task.mutual_information == pytest.approx(mean(lambda w: -math.log(w)), rel=1e-9)
        assert task.information("chi2") == pytest.approx(mean(lambda w: 1.0 / w) - 1.0, rel=1e-9)
        assert task.information("hellinger") == pytest.approx(2.0 - 2.0 * mean(math.sqrt), rel=1e-9)
        assert task.information("tv") == pytest.approx(1.0 - mean(lambda w: w), rel=1e-9)
        assert task.information("reverse_kl") == task.information("cvar", level=0.5) == math.inf
        js = mean(lambda w: w * float(divergence("js").phi(1.0 / w)) + 0.5 * math.log(2.0) * (1.0 - w))
        assert task.information("js") == pytest.approx(js, rel=1e-8)

    def test_student_tails_make_chi2_infinite_and_many_degrees_make_it_normal(self):
        for name in ("student-identity-5-5-3", "student-sparse-5-5-30-2-2.0"):
            assert tasks.get(name).information("chi2") == math.inf
        assert tasks.get("student-identity-2-2-2").information("neyman") == math.inf
        assert math.isfinite(tasks.get("student-identity-2-2-3").information("neyman"))
        # I differs from the normal one by O(1 / nu)
        normal = tasks.get("multinormal-dense-3-3-0.5").mutual_information
        gaps = [tasks.get(f"student-dense-3-3-{df}-0.5").mutual_information - normal for df in (1000, 2000)]
        assert 0.0 < gaps[1] < gaps[0] < 0.01
        # the quadrature behind the other divergences, on the one that has a closed form
        for name in ("student-identity-1-1-1", "student-identity-3-2-5"):
            task = tasks.get(name)
            assert task._by_trapezoid(divergence("kl")) == pytest.approx(task.mutual_information, rel=1e-10)
        with pytest.raises(ValueError, match="divergence='hellinger' is not known exactly for task 'student-dense"):
            tasks.get("student-dense-2-2-2-0.5").information("hellinger")

    def test_unknown_divergences_are_refused_by_name(self):
        with pytest.raises(ValueError, match="divergence='chisq' is unknown"):
            tasks.get("1v1-normal-0.75").information("chisq")
        with pytest.raises(ValueError, match="not known exactly for task '1v1-AI'"):
            tasks.get("1v1-AI").information("chi2")

    def test_inliers_interpolate_between_the_pair_and_independence(self):
        pair = tasks.get("multinormal-sparse-5-5-2-2.0")
        for wanted in ("kl", "chi2", "hellinger"):
            values = [
                tasks.get(f"mult-sparse-w-inliers-5-5-2-2.0-{f}").information(wanted) for f in (0.0, 1e-7, 0.5, 1.0)
            ]
            assert values[0] == pair.information(wanted)
            # sqrt(f) where t is far below f, which hellinger sees; the others fall as f
            assert values[1] == pytest.approx(values[0], abs=2.0 * math.sqrt(1e-7))
            assert values[3] == 0.0 < values[2] < values[1]

    def test_mixtures_reduce_to_what_they_are_made_of(self):
        one = Mixture("one", [1.0], np.zeros((1, 2)), [[[2.0, 0.9], [0.9, 1.0]]])
        rho = 0.9 / math.sqrt(2.0)
        assert one.mutual_information == pytest.approx(gaussian.mutual_information([rho]), rel=1e-10)
        # two components too far apart to be confused: the label, and what each says besides
        far = Mixture("far", [0.3, 0.7], [[0.0, 0.0], [60.0, 60.0]], [[[1.0, 0.6], [0.6, 1.0]], np.eye(2)])
        label = -0.3 * math.log(0.3) - 0.7 * math.log(0.7)
        assert far.mutual_information == pytest.approx(label + 0.3 * gaussian.mutual_information([0.6]), rel=1e-10)
        with pytest.raises(ArithmeticError, match="has not converged"):
            _ = Mixture("thin", [0.5, 0.5], np.zeros((2, 2)), [np.eye(2), 1e-8 * np.eye(2)]).mutual_information

    def test_concentric_gaussians_by_an_integral_over_the_radius(self):
        def density(s, i):  # of |x| at e^s, up to what all scales share
            return math.exp(-0.5 * math.exp(2.0 * s) / i**2) / i**3

        def term(s, i):
            mixed = sum(density(s, j) for j in (1, 2, 3)) / 3.0
            weight = math.sqrt(2.0 / math.pi) * math.exp(3.0 * s) * density(s, i)
            return weight * math.log(density(s, i) / mixed) if weight > 0.0 else 0.0

        value = sum(quad(term, -15.0, 4.0, args=(i,), epsabs=1e-12, limit=200)[0] for i in (1, 2, 3)) / 3.0
        assert tasks.get("3v1-concentric_gaussians-3").mutual_information == pytest.approx(value, rel=1e-8)
        assert tasks.get("3v1-concentric_gaussians-1").mutual_information == pytest.approx(0.0, abs=1e-12)

    @pytest.mark.parametrize("rate", [0.0, 0.15, 0.6])
    def test_zero_inflated_counts_by_direct_sums(self, rate):
        counts = np.arange(0.0, 150.0)
        log_factorials = np.concatenate([[0.0], np.cumsum(np.log(counts[1:]))])
        marginal = (1.0 - rate) * 0.5 ** (counts + 1.0) + rate * (counts == 0.0)

        def term(x):
            given = (1.0 - rate) * np.exp(counts * math.log(x) - x - log_factorials) + rate * (counts == 0.0)
            seen = given > 0.0
            return math.exp(-x) * float(np.sum(given[seen] * np.log(given[seen] / marginal[seen])))

        value = quad(term, 1e-12, 5.0, epsabs=1e-12, limit=200)[0] + quad(term, 5.0, 60.0, epsabs=1e-12, limit=200)[0]
        exact = tasks.get(f"1v1-zero_inflated-{rate}").mutual_information
        assert exact == pytest.approx(value, rel=1e-8)
        # the literature's value is exact without inflation and above the truth with it
        assert exact <= (1.0 - rate) * 0.301245
        assert (exact == pytest.approx((1.0 - rate) * 0.301245, rel=1e-5)) == (rate == 0.0)


class TestLabels:
    def test_channel_has_the_textbook_information(self):
        for classes, noise in ((10, 0.1), (4, 0.0), (3, 1.0)):
            entropy = sum(-p * math.log(p) for p in (noise, 1.0 - noise) if p > 0.0)
            exact = math.log(classes) - entropy - noise * math.log(classes - 1)
            assert tasks.get(f"latent-cells-{classes}-2-{noise}").mutual_information == pytest.approx(exact, rel=1e-12)
            joint = symmetric_channel(classes, noise, shift=1)
            assert joint.sum(axis=0) == pytest.approx(np.full(classes, 1.0 / classes))

    def test_latent_models_keep_their_own_information(self):
        for model in (
            build("mub", dimension=8),
            build("random", random_probs=True),
            build("noisy-views", rate=0.3, seed=2),
            build("simplex", n_classes=3, points=4),  # points that coincide are one outcome
        ):
            assert tasks.from_latent(model).mutual_information == pytest.approx(model.mutual_information, rel=1e-9)

    @pytest.mark.parametrize("name", ["digits-0.1", "digits-raw-0.1", "digits-shift-0.1", "digits-2-0.1"])
    def test_digits_are_images_whose_labels_went_through_the_channel(self, name):
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
        book = {tuple(image): label for image, label in zip(images, labels, strict=True)}
        assert len(book) == len(images)  # no two images are equal: the label is a function of the image
        task = tasks.get(name)
        x, y = task.sample(3000, 8)
        read = [np.array([book[tuple(row)] for row in np.floor(16.0 * part[:, :64])]) for part in (x, y)]
        shift = 1 if "shift" in name else 0
        right = float(np.mean((read[0] + shift) % 10 == read[1]))
        assert right == pytest.approx(0.9, abs=5.0 * math.sqrt(0.09 / 3000))
        assert np.bincount(read[0], minlength=10).min() > 3000 / 10 - 5.0 * math.sqrt(3000 * 0.09)
        constant = (np.ptp(x, axis=0) == 0.0).sum()
        assert constant == (3 if "raw" in name else 0)
        once = math.log(10.0) + 0.9 * math.log(0.9) + 0.1 * math.log(0.1 / 9.0)
        assert task.mutual_information == pytest.approx(once * (task.dim_x // 64), rel=1e-12)
        if "raw" not in name:
            assert len(np.unique(x, axis=0)) == len(x)

    def test_cells_hide_the_label_from_neither_side(self):
        task = tasks.get("latent-cells-16-2-0.0")
        x, y = task.sample(500, 0)
        assert task.log_ratio(x, y) == pytest.approx(np.full(500, math.log(16.0)))

    def test_a_table_must_be_a_law(self):
        cells = type(tasks.get("latent-cells-4-1-0.1"))
        for noise in (-0.1, math.nan):
            with pytest.raises(ValueError, match="noise="):
                cells("x", 4, 1, noise)
        with pytest.raises(ValueError, match="dimension=0"):
            cells("x", 4, 0, 0.1)


def test_importing_the_tasks_does_not_import_torch():
    code = "import sys, drocl.mi.tasks, drocl.mi.gaussian; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


FACTS = """
import json, os
os.environ["JAX_PLATFORMS"] = "cpu"
import jax; jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp, numpy as np, bmi.benchmark as b, bmi.samplers as s
out, rng = {}, np.random.default_rng(0)
for name, task in b.BENCHMARK_TASKS.items():
    base, chain = task.sampler, []
    while isinstance(base, s.TransformedSampler):
        chain.append(base); base = base._base_sampler
    x, y = rng.normal(size=(40, base.dim_x)), rng.normal(size=(40, base.dim_y))
    fact = {"mi": float(task.mutual_information), "in": [x.tolist(), y.tolist()]}
    for step in reversed(chain):
        x, y = step.transform(jnp.asarray(x), jnp.asarray(y))
    fact["out"] = [np.asarray(x).tolist(), np.asarray(y).tolist()]
    inner = getattr(base, "_sampler", base)
    law = getattr(inner, "_dispersion", getattr(inner, "_covariance", None))
    fact["law"] = None if law is None else np.asarray(law).tolist()
    fact["df"] = getattr(base, "_degrees_of_freedom", None)
    out[name] = fact
print(json.dumps(out))
"""


@pytest.mark.slow
def test_the_forty_tasks_are_those_of_the_peer():
    python = os.environ.get("DROCL_BMI_PYTHON")
    if not python:
        pytest.skip("DROCL_BMI_PYTHON names no Python in which benchmark-mi (0.1.3) is installed")
    ran = subprocess.run([python, "-c", FACTS], capture_output=True, text=True, check=True, timeout=280)
    facts = json.loads(ran.stdout.strip().splitlines()[-1])
    assert tuple(facts) == tasks.BENCHMARK
    for name, fact in facts.items():
        task, chain = tasks.get(name), []
        assert task.mutual_information == pytest.approx(fact["mi"], abs=1e-6), name
        base = task
        while isinstance(base, Transformed):
            chain.append(base)
            base = base.base
        x, y = (np.array(part) for part in fact["in"])
        for step in reversed(chain):
            x, y = step.map_x.forward(x), step.map_y.forward(y)
        assert x == pytest.approx(np.array(fact["out"][0]), abs=1e-9), name
        assert y == pytest.approx(np.array(fact["out"][1]), abs=1e-9), name
        if fact["law"] is not None:
            mine = base.dispersion if hasattr(base, "dispersion") else base.covariance
            assert mine == pytest.approx(np.array(fact["law"]), abs=1e-12), name
        if fact["df"] is not None:
            assert base.freedom == fact["df"], name
