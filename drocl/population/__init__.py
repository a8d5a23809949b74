"""Exact population values: expectations over finitely many negatives, with no sampling.

`expected_log_sum` is the engine; the losses apply it to a `drocl.latent` model. Where the debiased estimator's clamp
breaks it, outcomes are enumerated, or sampled with a control variate.
"""

from drocl.population.bounds import (
    lemma1_gap,
    lemma1_hoeffding,
    lemma1_published,
    lemma1_specht,
    lemma1_variance,
    theorem3_corrected,
    theorem3_published,
)
from drocl.population.debiased import SampledLoss, debiased_loss, debiased_loss_sampled
from drocl.population.expectations import expected_log_sum, expected_log_sum_exp, expected_log_sum_mixed
from drocl.population.losses import (
    AlternatingSum,
    alternating_unbiased_loss,
    biased_loss,
    decoupled_loss,
    info_nce_value,
    limit_loss,
    unbiased_loss,
)

__all__ = [
    "AlternatingSum",
    "SampledLoss",
    "alternating_unbiased_loss",
    "biased_loss",
    "debiased_loss",
    "debiased_loss_sampled",
    "decoupled_loss",
    "expected_log_sum",
    "expected_log_sum_exp",
    "expected_log_sum_mixed",
    "info_nce_value",
    "lemma1_gap",
    "lemma1_hoeffding",
    "lemma1_published",
    "lemma1_specht",
    "lemma1_variance",
    "limit_loss",
    "theorem3_corrected",
    "theorem3_published",
    "unbiased_loss",
]
