"""Sampled evidence: the share of the error probability, and the rule that samples more before it accuses."""

import numpy as np
import pytest

from drocl.claims import family, passed, sample_until
from drocl.claims.sequential import sampled_cases


def gaussian(mean, seed=0):
    return lambda draws, look: np.random.default_rng([seed, look]).normal(mean, 1.0, size=draws)


def outcome(evidence):
    return passed(vars(evidence))


def test_family_splits_the_error_over_the_cases_of_the_run():
    assert family(0.01) == 0.01
    with sampled_cases(20):
        assert family(0.01) == pytest.approx(0.0005)
    assert family(0.01) == 0.01


def test_family_refuses_a_claim_that_is_not_declared_sampled():
    with sampled_cases(0), pytest.raises(ValueError, match="sampled=True"):
        family()


def test_family_refuses_a_probability_out_of_range():
    with pytest.raises(ValueError, match="alpha=1"):
        family(1.0)


@pytest.mark.parametrize(("mean", "expected"), [(-1.0, True), (1.0, False), (0.0, None)])
def test_a_mean_below_at_or_above_what_is_allowed(mean, expected):
    assert outcome(sample_until(gaussian(mean), 0.0, 0.01, start=50, limit=800)) is expected


def test_a_clear_pass_stops_early_and_a_violation_is_looked_at_twice():
    good = sample_until(gaussian(-1.0), 0.0, 0.01, start=100, limit=3200)
    bad = sample_until(gaussian(1.0), 0.0, 0.01, start=100, limit=3200)
    assert (good.detail["looks"], good.detail["draws"]) == (1, 100)
    assert (bad.detail["looks"], bad.detail["draws"]) == (2, 200)


def test_an_unlucky_first_look_is_taken_back():
    def unlucky(draws, look):
        return gaussian(0.8 if look == 0 else -1.0)(draws, look)

    found = sample_until(unlucky, 0.0, 0.01, start=50, limit=3200)
    assert found.detail["looks"] > 1
    assert outcome(found) is True


def test_a_true_statement_is_accused_no_more_often_than_promised():
    runs = (sample_until(gaussian(0.0, seed), 0.0, 0.2, start=20, limit=160) for seed in range(300))
    accused = sum(outcome(one) is False for one in runs)
    assert accused <= 300 * 0.2  # the two-sided rule at the edge errs upward in about a tenth of the runs


def test_batches_pool_to_the_mean_and_error_of_all_draws():
    drawn = []

    def sampler(draws, look):
        drawn.append(np.random.default_rng(look).normal(0.0, 1.0 + look, size=draws))
        return drawn[-1]

    found = sample_until(sampler, 0.0, 0.01, start=10, limit=70)
    everything = np.concatenate(drawn)
    assert found.gap == pytest.approx(everything.mean())
    assert found.detail["standard_error"] == pytest.approx(everything.std(ddof=1) / np.sqrt(everything.size))


def test_a_pair_of_estimate_and_error_counts_as_the_samples_behind_it():
    def summed(draws, look):
        values = gaussian(0.0)(draws, look)
        return values.mean(), values.std(ddof=1) / np.sqrt(draws)

    pairs = sample_until(summed, 0.0, 0.01, start=50, limit=400)
    samples = sample_until(gaussian(0.0), 0.0, 0.01, start=50, limit=400)
    assert pairs.interval == pytest.approx(samples.interval)


def test_known_bounds_give_an_interval_that_needs_no_normality():
    def rare(draws, look):
        return np.zeros(draws)  # an event of probability 1e-3 that did not happen

    assert outcome(sample_until(rare, 1e-3, 0.01, start=100, limit=200, bounds=(0.0, 1.0))) is None
    assert outcome(sample_until(rare, 1e-3, 0.01, start=100, limit=102_400, bounds=(0.0, 1.0))) is True


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"alpha": 0.0}, "alpha=0"),
        ({"start": 1}, "start=1"),
        ({"limit": 10}, "limit=10"),
        ({"sampler": lambda draws, look: np.zeros(3)}, "3 samples, asked for 50"),
        ({"sampler": lambda draws, look: (0.0, np.nan)}, "finite"),
    ],
)
def test_wrong_inputs_are_named(change, words):
    given = {"sampler": gaussian(0.0), "allowed": 0.0, "alpha": 0.01, "start": 50, "limit": 100, **change}
    with pytest.raises(ValueError, match=words):
        sample_until(**given)
