"""Population values of the contrastive losses for any finite number of negatives, with no sampling."""

import math
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from scipy.special import gammaln, logsumexp

from drocl.latent import LatentModel
from drocl.latent.kinds import Array, Real, Whole
from drocl.population.anchors import Anchors
from drocl.population.quadrature import log_sum

__all__ = [
    "AlternatingSum",
    "alternating_unbiased_loss",
    "biased_loss",
    "decoupled_loss",
    "info_nce_value",
    "limit_loss",
    "unbiased_loss",
]

Negatives: TypeAlias = Literal["sampled", "true"]
Loss: TypeAlias = Array | float


def biased_loss(
    model: LatentModel, temperature: Real, n_negatives: Whole, weight: Real | None = None, *, per_anchor: bool = False
) -> Loss:
    r"""Contrastive loss with negatives drawn from the marginal, false ones included.

    $$ L_{\mathrm{Bias}}^N = E\Bigl[-\log \frac{e^{s^+}}{e^{s^+} + \frac QN \sum_{i \le N} e^{s_i}}\Bigr],
       \qquad x \sim p,\ x^+ \sim p^+_x,\ x_i \sim p. $$

    Args:
        model: latent-class model; its `contamination`, if set, replaces p as the law of the negatives.
        temperature: t > 0, with s = <x, y> / t.
        n_negatives: N >= 1.
        weight: Q > 0; N if None.
        per_anchor: return the value of each anchor rather than their mean under p.

    Returns:
        The loss in nats, a float, or (n,) per anchor; relative accuracy 1e-12, however small the loss.

    Raises:
        ValueError: if an argument is outside the ranges above, or the model has no labels.

    Source: chuang2020, Eq. 1 and 2.

    >>> from drocl import latent
    >>> round(biased_loss(latent.antipodal(), 1.0, 1), 10)  # (log 2 + log(1 + e^{-2})) / 2
    0.4100375958
    """
    return _finite(model, temperature, n_negatives, weight, "sampled", per_anchor)


def unbiased_loss(
    model: LatentModel, temperature: Real, n_negatives: Whole, weight: Real | None = None, *, per_anchor: bool = False
) -> Loss:
    r"""Contrastive loss with true negatives, $x_i \sim p^-_x$: `biased_loss` as it ought to be.

    Args:
        model, temperature, n_negatives, weight, per_anchor: as in `biased_loss`; needs at least two classes.

    Returns:
        The loss in nats, a float, or (n,) per anchor.

    Raises:
        ValueError: if an argument is outside its range, or the model has no labels or one class.

    Source: chuang2020, Eq. 2.
    """
    return _finite(model, temperature, n_negatives, weight, "true", per_anchor)


def decoupled_loss(
    model: LatentModel,
    temperature: Real,
    n_negatives: Whole,
    weight: Real | None = None,
    *,
    negatives: Negatives = "sampled",
    per_anchor: bool = False,
) -> Loss:
    r"""Loss with no positive in the denominator, the one that KL-DRO equals up to scale.

    $$ L_{\mathrm{Dec}}^N = E\Bigl[-s^+ + \log \frac QN \sum_{i \le N} e^{s_i}\Bigr]. $$

    Args:
        model, temperature, n_negatives, weight, per_anchor: as in `biased_loss`. Q = 1 gives the mean over the
            negatives.
        negatives: "sampled" as in `biased_loss`, or "true" as in `unbiased_loss`.

    Returns:
        The loss in nats (it may be negative), a float, or (n,) per anchor.

    Raises:
        ValueError: if an argument is outside its range, or the model has no labels.

    Source: wu2023, Eq. 1, for finitely many negatives.
    """
    n, log_weight = _sizes(n_negatives, weight)
    anchors = Anchors.of(model, (_law(model, negatives),))
    scores = anchors.cosines / _temperature(temperature)
    nothing = np.full((len(scores), 1), -np.inf)
    sums = log_sum(scores, anchors.laws, np.full((1, 1, 1), float(n)), nothing, reference="mean").value[:, 0]
    positive = (anchors.positive_probs * anchors.positive_cosines).sum(axis=1) / temperature
    return anchors.collect(sums + (log_weight - math.log(n)) - positive, per_anchor)


def limit_loss(
    model: LatentModel,
    temperature: Real,
    weight: Real,
    *,
    negatives: Negatives = "true",
    per_anchor: bool = False,
) -> Loss:
    r"""The limit of the loss as N grows at a fixed weight Q.

    $$ \tilde L^Q = E\Bigl[-\log \frac{e^{s^+}}{e^{s^+} + Q\, E_{p^-_x} e^{s^-}}\Bigr], \qquad
       E_{p^-_x} e^{s} = \frac{1}{\tau^-}\bigl(E_p e^s - \tau^+ E_{p^+_x} e^s\bigr). $$

    Args:
        model, temperature, per_anchor: as in `biased_loss`.
        weight: Q > 0.
        negatives: "true" for the limit of the unbiased loss, "sampled" for that of the biased one.

    Returns:
        The loss in nats, a float, or (n,) per anchor.

    Raises:
        ValueError: if an argument is outside its range, or the model has no labels.

    Source: chuang2020, Lemma 2.
    """
    log_weight = _sizes(1, weight)[1]
    anchors = Anchors.of(model, (_law(model, negatives),))
    mean = logsumexp(anchors.cosines / _temperature(temperature), b=anchors.laws[:, 0], axis=1)
    odds = log_weight + mean[:, None] - anchors.positive_cosines / temperature
    return anchors.collect((anchors.positive_probs * np.logaddexp(0.0, odds)).sum(axis=1), per_anchor)


def info_nce_value(model: LatentModel, temperature: Real, n_negatives: Whole) -> float:
    r"""What InfoNCE with the cosine critic says the mutual information of x and x+ is, on average.

    $$ I_N = E \log \frac{e^{s^+}}{\frac{1}{N+1}\bigl(e^{s^+} + \sum_{i \le N} e^{s_i}\bigr)} = \log(N+1) -
    L_{\mathrm{Bias}}^N
       \le I(x; x^+). $$

    Its exact bias is `info_nce_value(...) - model.mutual_information`.

    Args:
        model: latent-class model, not contaminated (negatives come from p).
        temperature: t > 0.
        n_negatives: N >= 1.

    Returns:
        The value in nats.

    Raises:
        ValueError: if an argument is outside its range, the model has no labels or is contaminated.
    """
    if model.contamination is not None:
        raise ValueError(
            f"contamination={model.contamination!r} must be None: InfoNCE takes its negatives from the marginal"
        )
    return math.log1p(_sizes(n_negatives, None)[0]) - float(biased_loss(model, temperature, n_negatives))


class AlternatingSum(NamedTuple):
    """A loss from a sum of alternating signs, and by how much that sum magnifies rounding."""

    value: Real
    condition: float


def alternating_unbiased_loss(model: LatentModel, temperature: Real, n_negatives: Whole) -> AlternatingSum:
    r"""The unbiased loss from samples of the marginal and of positives only, as the inclusion-exclusion sum prints it.

    $$ L_{\mathrm{Unb}}^N = \sum_{k=0}^N \binom Nk \frac{(-\tau^+)^k}{(\tau^-)^N}
       E\Bigl[-\log \frac{e^{s^+}}{e^{s^+} + \sum_{i \le k} e^{s_i} + \sum_{k < i \le N} e^{s_i}}\Bigr], \quad
       x_{i \le k} \sim p^+_x,\ x_{i > k} \sim p. $$

    Args:
        model: latent-class model with at least two classes; the same-class law is the clean one, `p_same`.
        temperature: t > 0.
        n_negatives: N >= 1; beyond about 20 nothing is left of float64 at tau+ = 1/2.

    Returns:
        The value, and its condition number ((1 + tau+) / (1 - tau+))^N at the largest tau+; the error is about 1e-14
        times that.

    Raises:
        ValueError: if an argument is outside its range, or the model has no labels or one class.

    Source: chuang2020, Eq. 4.
    """
    n = _sizes(n_negatives, None)[0]
    if model.class_prior.size < 2:
        raise ValueError(f"labels: model {model.name!r} has one class only, and true negatives need at least 2")
    marginal = np.broadcast_to(model.probs, (len(model), len(model)))
    anchors = Anchors.of(model, (model.p_same, marginal))
    groups, positives = anchors.positive_cosines.shape
    k = np.arange(n + 1)
    counts = np.repeat(np.stack([k, n - k], axis=1), positives, axis=0).astype(np.float64)
    log_a = np.tile(anchors.positive_cosines / _temperature(temperature), (1, n + 1))
    terms = log_sum(anchors.cosines / temperature, anchors.laws, counts[None], log_a, reference="offset").excess
    means = (terms.reshape(groups, n + 1, positives) * anchors.positive_probs[:, None, :]).sum(axis=2)
    tau = anchors.tau_plus[:, None]
    log_binomial = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    weights = np.where(k % 2, -1.0, 1.0) * np.rint(np.exp(log_binomial)) * tau**k / (1.0 - tau) ** n
    value = anchors.collect((weights * means).sum(axis=1), False)
    top = float(model.class_prior.max())
    return AlternatingSum(float(value), ((1.0 + top) / (1.0 - top)) ** n)


def _finite(
    model: LatentModel,
    temperature: Real,
    n_negatives: Whole,
    weight: Real | None,
    negatives: Negatives,
    per_anchor: bool,
) -> Loss:
    n, log_weight = _sizes(n_negatives, weight)
    t = _temperature(temperature)
    anchors = Anchors.of(model, (_law(model, negatives),))
    shift = log_weight - math.log(n)
    parts = log_sum(
        anchors.cosines / t,
        anchors.laws,
        np.full((1, 1, 1), float(n)),
        anchors.positive_cosines / t - shift,
        reference="offset",
    )
    return anchors.collect((anchors.positive_probs * parts.excess).sum(axis=1), per_anchor)


def _law(model: LatentModel, negatives: str) -> Array:
    if negatives not in ("sampled", "true"):
        raise ValueError(f"negatives={negatives!r} must be 'sampled' or 'true'")
    return model.p_minus if negatives == "true" else model.p_negative


def _temperature(temperature: Real) -> float:
    if not 0.0 < temperature < math.inf:
        raise ValueError(f"temperature={temperature!r} must be positive and finite")
    return float(temperature)


def _sizes(n_negatives: Whole, weight: Real | None) -> tuple[int, float]:
    if int(n_negatives) != n_negatives or n_negatives < 1:
        raise ValueError(f"n_negatives={n_negatives!r} must be an integer of at least 1")
    if weight is not None and not 0.0 < weight < math.inf:
        raise ValueError(f"weight={weight!r} must be positive and finite, or None for N")
    return int(n_negatives), math.log(int(n_negatives) if weight is None else weight)
