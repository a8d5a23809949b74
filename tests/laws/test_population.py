"""Laws of the exact expectations, and the figures they are known to give."""

import importlib.util
import itertools
import math
import sys
from pathlib import Path

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drocl import latent, population
from drocl.population import enumerate as outcomes
from drocl.population import quadrature

SOURCE = Path(__file__).parents[1] / "generators" / "latent_models.py"
_spec = importlib.util.spec_from_file_location("latent_models", SOURCE)
truth = importlib.util.module_from_spec(_spec)
sys.modules["latent_models"] = truth
_spec.loader.exec_module(truth)

seeds = st.integers(0, 2**32 - 1)
temperatures = st.sampled_from([1.0, 0.5, 0.2, 0.05, 0.01, 0.002])
counts = st.sampled_from([1, 2, 3, 7, 64, 1000, 10**6])


def close(found, exact, rtol=1e-12, atol=2e-15):
    """Relative agreement, but for answers so near 0 that the rounding of the input moves them more."""
    return np.all(np.abs(np.asarray(found) - exact) <= np.maximum(rtol * np.abs(exact), atol))


def a_law(seed, temperature=1.0, most=6):
    """Random scores in [-1/t, 1/t] and probabilities, some of them tiny."""
    rng = np.random.default_rng(seed)
    k = int(rng.integers(1, most + 1))
    probs = np.maximum(rng.dirichlet(np.full(k, rng.choice([0.1, 1.0, 10.0]))), 1e-9)
    return rng.uniform(-1.0, 1.0, k) / temperature, probs / probs.sum(), rng


class TestExpectedLogSum:
    @settings(max_examples=60, deadline=None)
    @given(seeds, temperatures | st.sampled_from([0.0014, 0.0005]), st.integers(1, 4))
    def test_agrees_with_every_outcome_listed(self, seed, temperature, n):
        scores, probs, rng = a_law(seed, temperature, most=4)
        for log_offset in (-math.inf, 0.0, float(rng.uniform(-1.0, 1.0)) / temperature):
            exact = float(truth.exact_log_sum(scores, probs, n, log_offset))
            assert close(population.expected_log_sum_exp(scores, probs, n, log_offset), exact)

    @pytest.mark.parametrize("n", [5, 40, 400])
    @pytest.mark.parametrize("high", [2.0, 1e3, 1e150])
    @pytest.mark.parametrize("p", [1e-6, 0.3, 0.999])
    def test_agrees_with_binomial_sums_in_30_digits(self, n, high, p):
        for offset in (0.0, 1e-3, 10.0):
            exact = truth.exact_binomial_log_sum(1.0, high, p, n, offset)
            assert close(population.expected_log_sum([1.0, high], [1 - p, p], n, offset), float(exact))

    def test_agrees_with_the_integral_in_30_digits_at_a_million_terms(self):
        values, probs, n, offset = [0.2, 1.0, 50.0], [0.6, 0.399, 0.001], 10**6, 3.0
        with mpmath.workdps(30):
            v, p = [mpmath.mpf(x) for x in values], [mpmath.mpf(x) for x in probs]
            p = [x / mpmath.fsum(p) for x in p]
            c = offset + n * mpmath.fsum(a * b for a, b in zip(v, p, strict=True))

            def integrand(u):
                z = mpmath.exp(u) / c
                phi = mpmath.fsum(b * mpmath.exp(-z * a) for a, b in zip(v, p, strict=True))
                return mpmath.exp(-z * c) - mpmath.exp(-offset * z) * phi**n

            exact = mpmath.log(c) + mpmath.quad(integrand, [-60, -20, -5, 0, 2, 5, 8])
        assert close(population.expected_log_sum(values, probs, n, offset), float(exact), rtol=1e-13)

    def test_agrees_with_sampling(self):
        scores, probs, _ = a_law(5, 0.3)
        draws = np.random.default_rng(0).choice(np.exp(scores), size=(200_000, 20), p=probs).sum(axis=1)
        sample = np.log(0.5 + draws)
        found = population.expected_log_sum(np.exp(scores), probs, 20, 0.5)
        assert abs(sample.mean() - found) < 4.0 * sample.std() / math.sqrt(sample.size)

    @settings(max_examples=40, deadline=None)
    @given(seeds, temperatures, counts)
    def test_order_of_atoms_is_immaterial(self, seed, temperature, n):
        scores, probs, rng = a_law(seed, temperature)
        order = rng.permutation(scores.size)
        first = population.expected_log_sum_exp(scores, probs, n, 0.0)
        assert close(population.expected_log_sum_exp(scores[order], probs[order], n, 0.0), first)

    @settings(max_examples=40, deadline=None)
    @given(seeds, temperatures, counts, st.floats(-300.0, 300.0))
    def test_scaling_adds_its_logarithm(self, seed, temperature, n, log_c):
        scores, probs, _ = a_law(seed, temperature)
        plain = population.expected_log_sum_exp(scores, probs, n, -1.0)
        scaled = population.expected_log_sum_exp(scores + log_c, probs, n, -1.0 + log_c)
        size = np.abs(scores).max() + abs(log_c) + 1.0  # what adding log_c rounds away of the scores
        assert abs(scaled - plain - log_c) < 1e-15 * size + 1e-12 * abs(plain)

    @settings(max_examples=40, deadline=None)
    @given(seeds, temperatures, st.integers(0, 40))
    def test_grows_with_each_term_and_with_the_offset(self, seed, temperature, n):
        scores, probs, _ = a_law(seed, temperature)
        log_a = float(scores.min())
        at = population.expected_log_sum_exp(scores, probs, [n, n + 1], log_a)
        assert at[0] < at[1]
        assert population.expected_log_sum_exp(scores, probs, n, float(scores.max()) + 0.1) > at[0]

    @settings(max_examples=40, deadline=None)
    @given(seeds, temperatures, counts)
    def test_lies_between_its_jensen_bounds(self, seed, temperature, n):
        scores, probs, _ = a_law(seed, temperature)
        found = population.expected_log_sum_exp(scores, probs, n, -math.inf)
        above = math.log(n) + float(np.logaddexp.reduce(scores + np.log(probs)))
        below = math.log(n) + float(probs @ scores)  # the arithmetic mean of n terms is above the geometric one
        slack = 1e-13 * (1.0 + np.abs(scores).max() + math.log(n))
        assert below - slack <= found <= above + slack

    @settings(max_examples=40, deadline=None)
    @given(seeds, temperatures, counts, st.floats(0.01, 0.99))
    def test_splitting_an_atom_changes_nothing(self, seed, temperature, n, share):
        scores, probs, _ = a_law(seed, temperature)
        split = np.append(probs, share * probs[0])
        split[0] *= 1.0 - share
        whole = population.expected_log_sum_exp(scores, probs, n, 0.0)
        assert close(population.expected_log_sum_exp(np.append(scores, scores[0]), split, n, 0.0), whole)

    @settings(max_examples=20, deadline=None)
    @given(seeds, temperatures, counts)
    def test_an_atom_without_mass_is_absent(self, seed, temperature, n):
        scores, probs, _ = a_law(seed, temperature)
        padded = population.expected_log_sum_exp(np.append(scores, 900.0), np.append(probs, 0.0), n, 0.0)
        assert close(padded, population.expected_log_sum_exp(scores, probs, n, 0.0))

    def test_constant_terms_give_the_logarithm_of_their_sum(self):
        for n in (1, 9, 10**5):
            assert close(population.expected_log_sum([2.5, 2.5], [0.4, 0.6], n, 0.75), math.log(0.75 + 2.5 * n), 1e-15)

    def test_no_terms_give_the_logarithm_of_the_offset(self):
        assert population.expected_log_sum([1.0, 7.0], [0.5, 0.5], 0, 3.0) == math.log(3.0)

    def test_tiny_answers_keep_their_relative_accuracy(self):
        exact = 0.25 * math.log1p(2e-30) + 0.5 * math.log1p(3e-30) + 0.25 * math.log1p(4e-30)
        assert close(population.expected_log_sum([1e-30, 2e-30], [0.5, 0.5], 2, 1.0), exact, atol=0.0)

    def test_broadcasts_as_a_loop_would(self):
        rng = np.random.default_rng(3)
        values, probs = rng.uniform(0.1, 5.0, (4, 1, 1, 3)), rng.dirichlet(np.ones(3), (3, 1))
        offset, n = rng.uniform(0.1, 2.0, (2, 1, 1, 5)), np.array([0, 1, 2, 50, 3])
        found = population.expected_log_sum(values, probs, n, offset)
        assert found.shape == (2, 4, 3, 5)
        for i, j, k, m in np.ndindex(found.shape):
            one = population.expected_log_sum(values[j, 0, 0], probs[k, 0], int(n[m]), offset[i, 0, 0, m])
            assert isinstance(one, float)
            assert abs(one - found[i, j, k, m]) < 1e-13

    def test_small_blocks_give_the_same_numbers(self):
        rng = np.random.default_rng(4)
        arguments = (
            rng.normal(size=(7, 5)),
            rng.dirichlet(np.ones(5), (7, 1)),
            np.full((1, 3, 1), 9.0),
            rng.normal(size=(7, 3)),
        )
        whole = quadrature.log_sum(*arguments).value
        assert np.allclose(quadrature.log_sum(*arguments, block=16).value, whole, rtol=0, atol=1e-14)

    @settings(max_examples=30, deadline=None)
    @given(seeds, temperatures, counts, st.sampled_from(["offset", "mean", "nearest"]))
    def test_half_the_step_agrees_within_the_stated_error(self, seed, temperature, n, reference):
        scores, probs, _ = a_law(seed, temperature)
        arguments = scores[None], probs[None, None], np.full((1, 1, 1), float(n)), np.array([[scores.mean()]])
        one = quadrature.log_sum(*arguments, reference=reference)
        half = quadrature.log_sum(*arguments, reference=reference, step=quadrature.STEP / 2)
        assert abs(one.integral - half.integral)[0, 0] <= one.error[0, 0]
        assert one.error[0, 0] <= 1e-12 * max(1.0, abs(one.integral[0, 0]), abs(one.log_reference[0, 0]))

    def test_references_agree(self):
        scores, probs, _ = a_law(11, 0.1)
        arguments = scores[None], probs[None, None], np.full((1, 1, 1), 8.0), np.array([[-3.0]])
        at_offset, at_mean = (quadrature.log_sum(*arguments, reference=name) for name in ("offset", "mean"))
        assert close(at_offset.value, at_mean.value)
        assert close(at_offset.excess, at_mean.excess)
        assert close(at_offset.jensen_gap, at_mean.jensen_gap, atol=1e-13)

    def test_a_truncated_grid_is_noticed(self, monkeypatch):
        monkeypatch.setattr(quadrature._Problem, "shortened", lambda self, cut: self.low + 35.0)
        with pytest.raises(ArithmeticError, match="step-halving"):
            population.expected_log_sum([1.0, 9.0], [0.5, 0.5], 4, 1.0)

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"values": [0.0, 1.0]}, "values"),
            ({"values": [math.nan, 1.0]}, "values"),
            ({"values": [math.inf, 1.0]}, "values"),
            ({"values": "two"}, "values"),
            ({"values": [1.0, 2.0, 3.0]}, "length"),
            ({"probs": [0.5, 0.6]}, "probs must sum"),
            ({"probs": [-0.5, 1.5]}, "probs"),
            ({"probs": 1.0}, "probs"),
            ({"n": -1}, "n must"),
            ({"n": 1.5}, "n must"),
            ({"offset": -1.0}, "offset"),
            ({"offset": math.inf}, "offset"),
            ({"offset": math.nan}, "offset"),
            ({"n": 0, "offset": 0.0}, "n=0"),
            ({"values": np.ones((3, 2)), "offset": np.ones((2, 2))}, "broadcast"),
        ],
    )
    def test_wrong_input_is_refused_by_name(self, change, named):
        arguments = {"values": [1.0, 2.0], "probs": [0.5, 0.5], "n": 2, "offset": 1.0} | change
        with pytest.raises(ValueError, match=named):
            population.expected_log_sum(**arguments)

    def test_wrong_logs_are_refused(self):
        with pytest.raises(ValueError, match="scores must be finite"):
            population.expected_log_sum_exp([math.inf], [1.0], 1, 0.0)
        with pytest.raises(ValueError, match="log_offset"):
            population.expected_log_sum_exp([0.0], [1.0], 1, math.inf)

    def test_an_empty_batch_is_empty(self):
        assert population.expected_log_sum(np.ones((0, 2)), [0.5, 0.5], 3, 1.0).shape == (0,)


class TestMixedSources:
    @settings(max_examples=20, deadline=None)
    @given(seeds, st.integers(0, 9), st.integers(1, 9))
    def test_equal_sources_are_one_source(self, seed, first, second):
        scores, probs, _ = a_law(seed)
        mixed = population.expected_log_sum_mixed(np.exp(scores), [probs, probs], [first, second], 0.5)
        assert close(mixed, population.expected_log_sum(np.exp(scores), probs, first + second, 0.5))

    def test_agrees_with_every_outcome_listed(self):
        values, sources, numbers = [0.5, 2.0, 9.0], np.array([[0.2, 0.8, 0.0], [0.1, 0.0, 0.9]]), (2, 1)
        exact = sum(
            sources[0, i] * sources[0, j] * sources[1, k] * math.log(0.1 + values[i] + values[j] + values[k])
            for i, j, k in itertools.product(range(3), repeat=3)
        )
        assert close(population.expected_log_sum_mixed(values, sources, numbers, 0.1), exact)

    def test_counts_broadcast(self):
        numbers = np.array([[0, 3], [1, 2], [3, 0]])
        found = population.expected_log_sum_mixed([1.0, 5.0], [[0.5, 0.5], [0.9, 0.1]], numbers, 1.0)
        singles = [population.expected_log_sum_mixed([1.0, 5.0], [[0.5, 0.5], [0.9, 0.1]], n, 1.0) for n in numbers]
        assert close(found, np.array(singles))

    @pytest.mark.parametrize(("sources", "numbers"), [([0.5, 0.5], [1]), ([[0.5, 0.5]], [1, 2]), ([[0.5, 0.5]], 3)])
    def test_wrong_shapes_are_refused(self, sources, numbers):
        with pytest.raises(ValueError, match="sources"):
            population.expected_log_sum_mixed([1.0, 2.0], sources, numbers, 1.0)


def small_model(seed=0, **changes):
    """Seven points, three classes of unequal probability, unequal weights within them."""
    rng = np.random.default_rng(seed)
    model = latent.Empirical(rng.normal(size=(7, 3)), [0, 0, 1, 1, 1, 2, 2], rng.uniform(0.5, 2.0, 7))
    if "contamination" in changes:
        model = latent.contaminated(model, changes["contamination"])
    if "view_noise" in changes:
        model = latent.noisy_views(model, changes["view_noise"])
    return model


class TestLosses:
    @pytest.mark.parametrize("changes", [{}, {"contamination": 0.3}, {"view_noise": 0.25}])
    @pytest.mark.parametrize(("n", "weight"), [(1, None), (2, None), (3, 0.7)])
    def test_agree_with_every_outcome_listed(self, changes, n, weight):
        model = small_model(**changes)
        sampled = truth.listed_loss(model, 0.3, n, model.p_negative, weight)
        true = truth.listed_loss(model, 0.3, n, model.p_minus, weight)
        assert close(population.biased_loss(model, 0.3, n, weight), sampled)
        assert close(population.unbiased_loss(model, 0.3, n, weight), true)

    @pytest.mark.parametrize("prior", [(0.5, 0.5), (0.2, 0.8), (0.2, 0.3, 0.5)])
    @pytest.mark.parametrize("n", [1, 10, 300])
    @pytest.mark.parametrize("temperature", [1.0, 0.1])
    def test_collapsed_classes_give_binomial_sums(self, prior, n, temperature):
        case = truth.Collapsed.of(prior, temperature)
        assert close(population.biased_loss(case.model, temperature, n), case.biased(n))
        assert close(population.unbiased_loss(case.model, temperature, n), case.unbiased(n), atol=0.0)

    def test_tiny_losses_keep_their_relative_accuracy(self):
        found = population.unbiased_loss(latent.antipodal(), 0.0125, 4)
        assert close(found, math.log1p(4.0 * math.exp(-160.0)), atol=0.0)

    def test_anchors_average_to_the_loss(self):
        model = small_model()
        for loss in (
            population.biased_loss,
            population.unbiased_loss,
            population.decoupled_loss,
            population.debiased_loss,
        ):
            each = loss(model, 0.5, 2, per_anchor=True)
            assert each.shape == (7,)
            assert close(model.probs @ each, loss(model, 0.5, 2), rtol=1e-14)
        each = population.limit_loss(model, 0.5, 3.0, per_anchor=True)
        assert close(model.probs @ each, population.limit_loss(model, 0.5, 3.0), rtol=1e-14)

    @settings(max_examples=15, deadline=None)
    @given(seeds)
    def test_order_of_points_is_immaterial(self, seed):
        model, order = small_model(seed), np.random.default_rng(seed).permutation(7)
        shuffled = latent.LatentModel(model.embeddings[order], model.labels[order], model.probs[order])
        assert close(population.biased_loss(shuffled, 0.2, 9), population.biased_loss(model, 0.2, 9))
        assert close(
            population.unbiased_loss(shuffled, 0.2, 9, per_anchor=True),
            population.unbiased_loss(model, 0.2, 9, per_anchor=True)[order],
        )

    def test_repeating_a_point_splits_its_mass(self):
        model = small_model()
        rows = np.vstack([model.embeddings, model.embeddings[:1]])
        probs = np.append(model.probs, 0.25 * model.probs[0])
        probs[0] *= 0.75
        twice = latent.LatentModel(rows, np.append(model.labels, 0), probs)
        assert close(population.biased_loss(twice, 0.3, 5), population.biased_loss(model, 0.3, 5))

    @settings(max_examples=15, deadline=None)
    @given(seeds, st.sampled_from([1.0, 0.2, 0.05]))
    def test_grow_with_the_number_of_negatives(self, seed, temperature):
        model = small_model(seed)
        for loss in (population.biased_loss, population.unbiased_loss, population.decoupled_loss):
            values = [loss(model, temperature, n) for n in (1, 2, 5, 50)]
            assert np.all(np.diff(values) > 0.0)

    def test_decoupled_loss_is_the_loss_without_its_offset(self):
        model = small_model()
        scores = model.scores(0.4)
        exact = sum(
            model.probs[x]
            * model.probs[i]
            * model.probs[j]
            * (np.logaddexp(scores[x, i], scores[x, j]) + math.log(1.5 / 2))
            for x, i, j in itertools.product(range(7), repeat=3)
        ) - float(model.probs @ (model.p_plus * scores).sum(axis=1))
        assert close(population.decoupled_loss(model, 0.4, 2, 1.5), exact)

    def test_a_large_weight_leaves_the_decoupled_loss(self):
        model, weight = small_model(), 1e9
        full = population.biased_loss(model, 0.5, 3, weight)
        assert close(full, population.decoupled_loss(model, 0.5, 3, weight), rtol=1e-8)
        assert full > population.decoupled_loss(model, 0.5, 3, weight)

    def test_uncontaminated_rate_is_the_class_prior(self):
        model = latent.random_embeddings(4, 3, cluster=1.0)
        assert close(
            population.biased_loss(latent.contaminated(model, 0.25), 0.3, 6), population.biased_loss(model, 0.3, 6)
        )

    @settings(max_examples=10, deadline=None)
    @given(seeds, st.sampled_from([1.0, 0.5, 0.2]))
    def test_info_nce_stays_below_the_information_and_log_n(self, seed, temperature):
        model = latent.random_embeddings(3, 4, 4, cluster=2.0, random_probs=True, seed=seed)
        for n in (1, 8, 512):
            value = population.info_nce_value(model, temperature, n)
            assert value <= min(model.mutual_information, math.log1p(n)) + 1e-12

    def test_info_nce_is_exact_for_the_best_critic_and_many_negatives(self):
        model = latent.simplex(3)  # collapsed: at low temperature e^s is proportional to p+ / p
        assert population.info_nce_value(model, 0.02, 10**6) == pytest.approx(math.log(3.0), abs=2e-6)

    def test_identical_embeddings_carry_no_information(self):
        model = latent.Empirical(np.ones((4, 2)), [0, 0, 1, 1])
        assert population.info_nce_value(model, 0.5, 7) == pytest.approx(0.0, abs=1e-14)
        assert population.biased_loss(model, 0.5, 7) == pytest.approx(math.log(8.0), rel=1e-14)

    @pytest.mark.parametrize(
        ("call", "named"),
        [
            (lambda m: population.biased_loss(m, 0.0, 1), "temperature=0.0"),
            (lambda m: population.biased_loss(m, 1.0, 0), "n_negatives=0"),
            (lambda m: population.biased_loss(m, 1.0, 1.5), "n_negatives=1.5"),
            (lambda m: population.unbiased_loss(m, 1.0, 1, 0.0), "weight=0.0"),
            (lambda m: population.limit_loss(m, 1.0, -1.0), "weight=-1.0"),
            (lambda m: population.decoupled_loss(m, 1.0, 1, negatives="all"), "negatives='all'"),
            (lambda m: population.debiased_loss(m, 1.0, 1, 0), "n_positives=0"),
            (lambda m: population.debiased_loss(m, 1.0, 1, 2, coupled=True), "coupled"),
            (lambda m: population.debiased_loss(m, 1.0, 1, class_prior=1.0), "class_prior=1.0"),
            (lambda m: population.debiased_loss(m, 1.0, 10**4, 10**4), "debiased_loss_sampled"),
            (lambda m: population.debiased_loss(m, 1.0, 9, 9, limit=1000), "limit=1000"),
            (lambda m: population.debiased_loss(m, 1.0, 2, 2, limit=100), "limit=100"),
            (lambda m: population.debiased_loss_sampled(m, 1.0, 1, draws=0), "draws=0"),
            (lambda m: population.info_nce_value(latent.contaminated(m), 1.0, 1), "contamination=0.1"),
            (lambda m: population.lemma1_gap(0, 1.0), "n_negatives=0"),
            (lambda m: population.lemma1_specht(-1.0), "temperature=-1.0"),
            (lambda m: population.theorem3_published(1, 0, 0.5), "n_positives=0"),
            (lambda m: population.theorem3_corrected(1, 1, 1.0, 1.0), "class_prior=1.0"),
        ],
    )
    def test_wrong_input_is_refused_by_name(self, call, named):
        with pytest.raises(ValueError, match=named):
            call(small_model())

    def test_models_without_classes_are_refused(self):
        unknown = latent.Empirical(np.eye(3))
        single = latent.Empirical(np.eye(3), [4, 4, 4])
        with pytest.raises(ValueError, match="labels=None"):
            population.biased_loss(unknown, 1.0, 1)
        for loss in (population.unbiased_loss, population.alternating_unbiased_loss, population.debiased_loss):
            with pytest.raises(ValueError, match="one class only"):
                loss(single, 1.0, 1)


class TestDebiasing:
    @settings(max_examples=12, deadline=None)
    @given(seeds, st.sampled_from([1, 2, 4, 8, 16, 24]), st.sampled_from([1.0, 0.3]))
    def test_inclusion_exclusion_is_the_unbiased_loss(self, seed, n, temperature):
        model = latent.random_embeddings(3, 2, 4, class_prior=[0.1, 0.4, 0.5], random_probs=True, seed=seed)
        found = population.alternating_unbiased_loss(model, temperature, n)
        assert found.condition == pytest.approx(3.0**n)
        assert abs(found.value - population.unbiased_loss(model, temperature, n)) <= 1e-13 * found.condition

    @pytest.mark.parametrize("temperature", [1.0, 0.5, 0.2])
    def test_limit_is_approached_from_below_at_rate_one(self, temperature):
        model, sizes = latent.random_embeddings(cluster=0.5, seed=3), np.array([256, 1024, 4096])
        gaps = [
            population.limit_loss(model, temperature, 5.0) - population.unbiased_loss(model, temperature, int(n), 5.0)
            for n in sizes
        ]
        assert min(gaps) > 0.0
        assert np.polyfit(np.log(sizes), np.log(gaps), 1)[0] == pytest.approx(-1.0, abs=0.02)

    def test_limit_of_the_biased_loss_has_negatives_from_the_marginal(self):
        model = small_model()
        gap = population.limit_loss(model, 0.5, 2.0, negatives="sampled") - population.biased_loss(
            model, 0.5, 10**7, 2.0
        )
        assert 0.0 < gap < 1e-6

    @pytest.mark.parametrize(("n", "m", "coupled"), [(1, 1, False), (2, 2, False), (3, 1, True), (3, 1, False)])
    @pytest.mark.parametrize("temperature", [1.0, 0.2])
    def test_enumeration_agrees_with_every_sample_listed(self, n, m, coupled, temperature):
        rng = np.random.default_rng(7)
        model = latent.Empirical(rng.normal(size=(5, 3)), [0, 0, 1, 1, 1], rng.uniform(0.5, 2.0, 5))
        exact = truth.listed_debiased_loss(model, temperature, n, m, coupled)
        assert close(population.debiased_loss(model, temperature, n, m, coupled=coupled), exact, rtol=1e-13)

    def test_no_prior_is_no_debiasing(self):
        model = small_model()
        assert close(population.debiased_loss(model, 0.3, 3, class_prior=0.0), population.biased_loss(model, 0.3, 3))

    def test_estimator_approaches_the_limit(self):
        model, sizes = latent.simplex(3), np.array([1000, 4000, 16000])  # its true g lies above the clamp
        gaps = [
            population.limit_loss(model, 1.0, 3.0) - population.debiased_loss(model, 1.0, int(n), weight=3.0)
            for n in sizes
        ]
        assert min(gaps) > 0.0
        assert np.polyfit(np.log(sizes), np.log(gaps), 1)[0] == pytest.approx(-1.0, abs=0.01)

    @pytest.mark.parametrize(("n", "m", "coupled"), [(6, 2, False), (6, 1, True), (8, None, False)])
    @pytest.mark.parametrize("temperature", [1.0, 0.2])
    def test_sampling_agrees_with_enumeration(self, n, m, coupled, temperature):
        model = latent.random_embeddings(2, 2, 3, class_prior=[0.3, 0.7], seed=2)
        exact = population.debiased_loss(model, temperature, n, m, coupled=coupled)
        found = population.debiased_loss_sampled(model, temperature, n, m, coupled=coupled, draws=20_000, seed=1)
        assert 0.0 < found.standard_error < 0.02
        assert abs(found.estimate - exact) < 4.0 * found.standard_error

    def test_stated_standard_error_is_the_spread_of_estimates(self):
        model = latent.random_embeddings(2, 2, 3, seed=2)
        exact = population.debiased_loss(model, 0.5, 5, 2)
        runs = [population.debiased_loss_sampled(model, 0.5, 5, 2, draws=400, seed=s) for s in range(200)]
        scores = np.array([(run.estimate - exact) / run.standard_error for run in runs])
        assert abs(scores.mean()) < 4.0 / math.sqrt(200)
        assert 0.8 < scores.std() < 1.25

    def test_collapsed_positives_leave_nothing_to_control(self):
        found = population.debiased_loss_sampled(latent.Empirical(np.ones((4, 1)), [0, 0, 1, 1]), 0.5, 4, 4, draws=8)
        assert found.estimate == pytest.approx(math.log(5.0), rel=1e-14)
        assert found.standard_error == 0.0

    def test_control_variate_pays(self):
        model = latent.random_embeddings(4, 8, 8, cluster=0.5, seed=1)
        found = population.debiased_loss_sampled(model, 0.5, 4096, 4096, draws=4000)
        assert found.standard_error < 2e-5  # without the control it is 1e-3
        assert found == population.debiased_loss_sampled(model, 0.5, 4096, 4096, draws=4000)

    def test_binomial_law_has_its_moments_at_any_size(self):
        for n, p in ((1, 0.5), (30, 0.01), (4096, 0.5), (262144, 0.3), (10**7, 1e-6), (5, 1.0), (5, 0.0)):
            support, mass = outcomes.binomial(n, p)
            mean = float(mass @ support)
            assert mean == pytest.approx(n * p, rel=1e-12)
            assert float(mass @ (support - mean) ** 2) == pytest.approx(n * p * (1 - p), rel=1e-11, abs=1e-15)

    def test_mean_law_has_its_moments(self):
        values, probs = np.array([0.1, 1.0, 4.0]), np.array([0.5, 0.3, 0.2])
        means, mass = outcomes.mean_law(values, probs, 12, 10**5)
        assert means.size == math.comb(14, 2)
        mean, variance = float(probs @ values), float(probs @ values**2) - float(probs @ values) ** 2
        assert float(mass @ means) == pytest.approx(mean, rel=1e-13)
        assert float(mass @ (means - mean) ** 2) == pytest.approx(variance / 12, rel=1e-12)


class TestKnownFigures:
    """Numbers that the theory notes record, or correct."""

    def test_biased_loss_falls_below_the_unbiased_one(self):
        model = latent.mutually_unbiased_bases(16)
        difference = population.biased_loss(model, 0.05, 1, per_anchor=True) - population.unbiased_loss(
            model, 0.05, 1, per_anchor=True
        )
        # Anchors whose cosines to the other basis are half +1/4 and half -1/4, which is all but two of them.
        assert np.count_nonzero(np.abs(difference + 0.2831258266) < 1e-9) == 30
        assert float(model.probs @ difference) == pytest.approx(-0.3563680144, abs=1e-9)

    @pytest.mark.parametrize(
        ("dimension", "n", "temperature", "balanced", "mean"),
        [
            (64, 2, 0.0055, -3.990926, -3.979064),
            (64, 2, 0.004, -5.600837, -5.581294),
            (256, 2, 0.003, -4.895582, -4.892783),
        ],
    )
    def test_lemma_1_constant_fails_at_small_temperature(self, dimension, n, temperature, balanced, mean):
        model = latent.mutually_unbiased_bases(dimension)
        difference = population.biased_loss(model, temperature, n, per_anchor=True) - population.unbiased_loss(
            model, temperature, n, per_anchor=True
        )
        assert float(np.median(difference)) == pytest.approx(balanced, abs=1e-6)
        assert float(model.probs @ difference) == pytest.approx(mean, abs=1e-6)
        assert float(model.probs @ difference) < -population.lemma1_published(n)
        assert float(model.probs @ difference) > -population.lemma1_gap(n, temperature)

    def test_a_regular_hadamard_matrix_makes_a_stronger_counterexample(self):
        plain = latent.mutually_unbiased_bases(4)
        regular = latent.mutually_unbiased_bases(4, regular=True)
        gaps = [population.biased_loss(m, 0.008, 1) - population.unbiased_loss(m, 0.008, 1) for m in (plain, regular)]
        assert gaps[1] < -population.lemma1_published(1) < gaps[0]

    @pytest.mark.parametrize(
        ("temperature", "row"),
        [
            (1.0, (0.250, 0.0405, 0.0027, 0.0003)),
            (0.5, (1.211, 0.339, 0.0258, 0.0032)),
            (0.2, (6.08, 4.27, 2.11, 0.82)),
            (0.1, (15.3, 13.4, 10.8, 8.9)),
        ],
    )
    def test_sharp_constant_of_lemma_1(self, temperature, row):
        for n, recorded in zip((1, 16, 256, 2048), row, strict=True):
            digits = len(str(recorded).partition(".")[2])
            assert population.lemma1_gap(n, temperature) == pytest.approx(recorded, abs=0.5001 * 10.0**-digits)

    @pytest.mark.parametrize("temperature", [1.0, 0.5])
    def test_sharp_constant_falls_as_one_over_n(self, temperature):
        n = 10**6
        assert n * population.lemma1_gap(n, temperature) == pytest.approx(
            math.sinh(1.0 / temperature) ** 2 / 2.0, rel=2e-6
        )

    def test_published_constant_suffices_from_temperature_0322_on(self):
        sizes = 2 ** np.arange(13)
        ratio = {
            t: max(population.lemma1_gap(n, t) / population.lemma1_published(n) for n in sizes) for t in (0.33, 0.32)
        }
        assert 0.9 < ratio[0.33] < 1.0 < ratio[0.32] < 1.03

    @settings(max_examples=25, deadline=None)
    @given(seeds, st.sampled_from([2.0, 0.5, 0.1, 0.01]), st.sampled_from([1, 5, 100, 10**5]))
    def test_constants_of_lemma_1_are_in_order(self, seed, temperature, n):
        sharp, h = population.lemma1_gap(n, temperature), 2.0 / temperature
        slack = 1e-12 * (1.0 + h)
        p = float(np.exp(-np.random.default_rng(seed).uniform(0.0, h + 1.0)))
        gap = np.logaddexp(np.log1p(n), np.log(n * p) + np.log(-np.expm1(-h)) + h) - population.expected_log_sum_exp(
            [0.0, h], [1.0 - p, p], n, 0.0
        )
        assert gap <= sharp + slack
        assert sharp <= population.lemma1_specht(temperature) + slack
        assert sharp <= population.lemma1_variance(n, temperature) + slack
        assert sharp <= population.lemma1_hoeffding(n, temperature) + slack

    def test_specht_constant_is_smooth_where_its_series_takes_over(self):
        below, above = (population.lemma1_specht(2.0 / x) for x in (0.05 * (1 - 1e-9), 0.05 * (1 + 1e-9)))
        assert above == pytest.approx(below, rel=1e-8)
        assert population.lemma1_specht(1e6) == pytest.approx((2e-6) ** 2 / 8.0, rel=1e-10)
        assert population.lemma1_hoeffding(1, 0.002) == population.lemma1_variance(1, 0.002) == math.inf

    @settings(max_examples=15, deadline=None)
    @given(seeds, st.sampled_from([1.0, 0.3, 0.1, 0.02]), st.sampled_from([1, 6, 128]))
    def test_lemma_1_holds_with_its_sharp_constant(self, seed, temperature, n):
        model = small_model(seed)
        scores = model.scores(temperature)
        with np.errstate(divide="ignore"):
            means = [np.logaddexp.reduce(scores + np.log(law), axis=1) for law in (model.p_plus, model.p_minus)]
        smaller = float(model.probs @ np.minimum(0.0, means[0] - means[1]))
        difference = population.biased_loss(model, temperature, n) - population.unbiased_loss(model, temperature, n)
        assert difference >= smaller - population.lemma1_gap(n, temperature) - 1e-10

    @pytest.mark.parametrize(("n", "error"), [(1024, 0.3676), (4096, 0.2325), (262144, None)])
    def test_theorem_3_fails_at_temperature_one_half(self, n, error):
        model = latent.antipodal()
        found = population.debiased_loss(model, 0.5, n, n) - population.limit_loss(model, 0.5, n)
        if error is not None:
            assert found == pytest.approx(error, abs=5e-5)
        else:
            assert found / population.theorem3_published(n, n, 0.5) == pytest.approx(1.194, abs=1e-3)
        assert found == population.debiased_loss(model, 0.5, n) - population.limit_loss(model, 0.5, n)  # v is constant
        assert found > population.theorem3_published(n, None, 0.5)
        assert found < population.theorem3_corrected(n, n, 0.5, 0.5)

    @pytest.mark.parametrize("temperature", [1.0, 0.8])
    def test_theorem_3_holds_from_temperature_080_on(self, temperature):
        model = latent.antipodal()
        for n in (16, 4096, 262144):
            found = population.debiased_loss(model, temperature, n) - population.limit_loss(model, temperature, n)
            assert 0.0 < found <= population.theorem3_published(n, None, 0.5)

    def test_theorem_3_rate_at_the_clamp_is_one_half(self):
        model, sizes = latent.antipodal(), np.array([2**16, 2**18, 2**20])
        gaps = [population.debiased_loss(model, 1.0, int(n)) - population.limit_loss(model, 1.0, n) for n in sizes]
        assert np.polyfit(np.log(sizes), np.log(gaps), 1)[0] == pytest.approx(-0.5, abs=0.005)
