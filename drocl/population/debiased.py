r"""The debiased estimator with its clamp: exact by enumeration where outcomes are few, sampled with a control variate
elsewhere.

$$ g = \max\Bigl\{\frac{1}{\tau^-}\Bigl(\frac1N \sum_{i \le N} e^{s(x, u_i)} - \frac{\tau^+}{M} \sum_{j \le M} e^{s(x,
v_j)}\Bigr),\
   e^{-1/t}\Bigr\}, \qquad u_i \sim p,\ v_j \sim p^+_x. $$
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from drocl.latent import LatentModel
from drocl.latent.kinds import Array, Real, Whole
from drocl.population.anchors import Anchors
from drocl.population.enumerate import TooManyOutcomesError, mean_law
from drocl.population.losses import Loss, _sizes, _temperature

__all__ = ["SampledLoss", "debiased_loss", "debiased_loss_sampled"]


_BLOCK = 1 << 20  # elements of the largest temporary
_MOST = 2_000_000  # outcomes of one sample mean: a few such arrays are held at a time


class SampledLoss(NamedTuple):
    """An unbiased estimate and its standard error."""

    estimate: float
    standard_error: float


@dataclass(frozen=True)
class _Estimator:
    """The loss of one anchor given the two sample means, in units of the largest e^s so that nothing overflows."""

    scores: Array
    marginal: Array
    positive: Array
    positive_scores: Array
    positive_probs: Array
    tau: float
    log_weight: float
    floor: float

    @property
    def top(self) -> float:
        return float(self.scores.max())

    @property
    def values(self) -> Array:
        return np.asarray(np.exp(self.scores - self.top))

    def linear(self, u: Array, v: Array) -> Array:
        """(mean_u - tau+ mean_v) / tau-, without the clamp."""
        return (u - self.tau * v) / (1.0 - self.tau)

    def log_estimate(self, linear: Array) -> Array:
        """log g, with the clamp."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.maximum(np.log(np.maximum(linear, 0.0)) + self.top, self.floor))

    def loss(self, linear: Array, positive_score: Array | float) -> Array:
        """log(1 + Q g e^{-s+})."""
        return np.asarray(np.logaddexp(0.0, self.log_weight + self.log_estimate(linear) - positive_score))


def debiased_loss(
    model: LatentModel,
    temperature: Real,
    n_negatives: Whole,
    n_positives: Whole | None = None,
    *,
    class_prior: Real | None = None,
    weight: Real | None = None,
    coupled: bool = False,
    per_anchor: bool = False,
    limit: int = 20_000_000,
) -> Loss:
    r"""Population value of the debiased loss, clamp included, exactly.

    $$ L^{N,M} = E\Bigl[-\log \frac{e^{s^+}}{e^{s^+} + Q\, g(x; u_{1..N}, v_{1..M})}\Bigr] $$

    All outcomes of the sample means are enumerated, which is feasible where anchors see few distinct similarities
    (collapsed classes, bases) at any N, and on larger supports for small N and M.

    Args:
        model: latent-class model.
        temperature: t > 0.
        n_negatives: N >= 1, draws from the marginal p (from `p_negative` where the model is contaminated).
        n_positives: M >= 1, draws from p+; None for infinitely many.
        class_prior: tau+ in [0, 1) that the estimator believes in; each anchor's own if None.
        weight: Q > 0; N if None.
        coupled: take v_1 = x+ rather than an independent positive, as the reference code does; needs M = 1.
        per_anchor: return the value of each anchor rather than their mean under p.
        limit: most outcomes (of u, v and x+ together) an anchor may have.

    Returns:
        The loss in nats, a float, or (n,) per anchor. Cut-off mass is below 1e-18; relative accuracy about 1e-13.

    Raises:
        ValueError: if an argument is outside the ranges above, or there are more outcomes than `limit`: then
            `debiased_loss_sampled` is the way.

    Source: chuang2020, Eq. 7 and 8.

    >>> from drocl import latent
    >>> model = latent.antipodal()
    >>> exact = debiased_loss(model, 0.5, 4096)
    >>> from drocl.population.losses import limit_loss
    >>> round(exact - limit_loss(model, 0.5, 4096.0), 4)  # Theorem 3 would allow 0.1755
    0.2325
    """
    estimators, anchors = _estimators(model, temperature, n_negatives, n_positives, class_prior, weight, coupled)
    m = None if n_positives is None else int(n_positives)
    values = np.zeros(len(estimators))
    for g, one in enumerate(estimators):
        try:
            values[g] = _enumerate(one, int(n_negatives), m, coupled, limit)
        except TooManyOutcomesError as error:
            raise ValueError(
                f"n_negatives={n_negatives!r}, n_positives={n_positives!r}: an anchor that sees {one.scores.size} "
                f"similarities has {error}, allowed are limit={limit}; use debiased_loss_sampled"
            ) from error
    return anchors.collect(values, per_anchor)


def _enumerate(one: _Estimator, n: int, m: int | None, coupled: bool, limit: int) -> float:
    most = min(limit, _MOST)
    u, mass_u = mean_law(one.values, one.marginal, n, most)
    if coupled:
        by_pair = [one.loss(one.linear(u, np.exp(s - one.top)), s) @ mass_u for s in one.positive_scores]
        return float(one.positive_probs @ np.array(by_pair))
    if m is None:
        v, mass_v = np.array([one.positive @ one.values]), np.ones(1)
    else:
        v, mass_v = mean_law(one.values, one.positive, m, most)
    if u.size * v.size * one.positive_scores.size > limit:
        raise TooManyOutcomesError(f"{u.size * v.size * one.positive_scores.size} outcomes")
    total = 0.0
    chunk = max(1, _BLOCK // u.size)
    for start in range(0, v.size, chunk):
        linear = one.linear(u, v[start : start + chunk, None])
        for s, weight in zip(one.positive_scores, one.positive_probs, strict=True):
            total += float(weight * (mass_v[start : start + chunk] @ (one.loss(linear, s) @ mass_u)))
    return total


def debiased_loss_sampled(
    model: LatentModel,
    temperature: Real,
    n_negatives: Whole,
    n_positives: Whole | None = None,
    *,
    class_prior: Real | None = None,
    weight: Real | None = None,
    coupled: bool = False,
    seed: int = 0,
    draws: int = 4000,
) -> SampledLoss:
    r"""Unbiased estimate of `debiased_loss` on any support, by sampling around an exact value.

    The estimator without its clamp is linear in the samples and has a known mean, so it is a control variate; the slope
    is the one that fits, found on one half of the draws and used on the other, and anchors are strata. With $\hat g$
    the clamped estimate, $\ell$ the linear one:

    $$ \log\Bigl(1 + Q \hat g e^{-s^+}\Bigr) - \beta\, \frac{Q}{e^{s^+} + Q g}\, (\hat \ell - E \hat\ell). $$

    Args:
        model, temperature, n_negatives, n_positives, class_prior, weight, coupled: as in `debiased_loss`.
        seed: of the draws.
        draws: sets (u, v) drawn in all, spread over anchors by their probability, at least 4 each.

    Returns:
        The estimate and its standard error, in nats. At small temperatures the draws are heavy-tailed, and the standard
        error is an estimate itself.

    Raises:
        ValueError: if an argument is outside its range.

    Source: chuang2020, Eq. 7 and 8.
    """
    if int(draws) != draws or draws < 1:
        raise ValueError(f"draws={draws!r} must be an integer of at least 1")
    estimators, anchors = _estimators(model, temperature, n_negatives, n_positives, class_prior, weight, coupled)
    shares = np.bincount(anchors.members, weights=anchors.probs)
    rng = np.random.default_rng(seed)
    estimate, variance = 0.0, 0.0
    m = None if n_positives is None else int(n_positives)
    for one, share in zip(estimators, shares, strict=True):
        half = max(2, math.ceil(0.5 * draws * share))
        target, control = _draw(one, int(n_negatives), m, coupled, 2 * half, rng)
        halves = [(target[:half], control[:half]), (target[half:], control[half:])]
        residuals = [halves[i][0] - _slope(*halves[1 - i]) * halves[i][1] for i in (0, 1)]
        estimate += share * 0.5 * (residuals[0].mean() + residuals[1].mean())
        variance += share**2 * 0.25 * sum(float(r.var(ddof=1)) / half for r in residuals)
    return SampledLoss(float(estimate), math.sqrt(variance))


def _draw(
    one: _Estimator, n: int, m: int | None, coupled: bool, draws: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """The loss, averaged over x+, and the control of mean 0 for each draw of the samples."""
    values = one.values
    u = _means(values, one.marginal, n, draws, rng)
    mean_u, mean_v = float(one.marginal @ values), float(one.positive @ values)
    target, control = np.zeros(draws), np.zeros(draws)
    centre = float(one.linear(np.array(mean_u), np.array(mean_v)))
    v = np.full(draws, mean_v) if m is None or coupled else _means(values, one.positive, m, draws, rng)
    for s, weight in zip(one.positive_scores, one.positive_probs, strict=True):
        own = np.full(draws, math.exp(s - one.top)) if coupled else v
        linear = one.linear(u, own)
        target += weight * one.loss(linear, s)
        # d/dg log(a + Q g) = Q / (a + Q g); with v = x+ only the part of u is random here, about its own mean
        around = float(one.linear(np.array(mean_u), own[0])) if coupled else centre
        log_slope = one.log_weight + one.top - np.logaddexp(s, one.log_weight + one.log_estimate(np.array(around)))
        control += weight * math.exp(float(log_slope)) * (linear - around)
    return target, control


def _means(values: Array, probs: Array, n: int, draws: int, rng: np.random.Generator) -> Array:
    """Means of n draws, (draws,), from indices or from counts, whichever are fewer."""
    if n < values.size:
        return np.asarray(values[rng.choice(values.size, size=(draws, n), p=probs)].mean(axis=1))
    return np.asarray(rng.multinomial(n, probs / probs.sum(), size=draws) @ values / n)


def _slope(target: Array, control: Array) -> float:
    """Least-squares slope; 1, the first-order one, where the control does not vary."""
    spread = float(((control - control.mean()) ** 2).sum())
    if spread <= 0.0 or control.size < 3:
        return 1.0
    return float(((target - target.mean()) * (control - control.mean())).sum() / spread)


def _estimators(
    model: LatentModel,
    temperature: Real,
    n_negatives: Whole,
    n_positives: Whole | None,
    class_prior: Real | None,
    weight: Real | None,
    coupled: bool,
) -> tuple[list[_Estimator], Anchors]:
    t = _temperature(temperature)
    log_weight = _sizes(n_negatives, weight)[1]
    if n_positives is not None and (n_positives < 1 or int(n_positives) != n_positives):
        raise ValueError(f"n_positives={n_positives!r} must be an integer of at least 1, or None for infinitely many")
    if coupled and n_positives != 1:
        raise ValueError(f"coupled=True takes v = x+ and needs n_positives=1, got {n_positives!r}")
    if class_prior is not None and not 0.0 <= class_prior < 1.0:
        raise ValueError(f"class_prior={class_prior!r} must lie in [0, 1), or be None for the model's own")
    if class_prior is None and model.class_prior.size < 2:
        raise ValueError(
            f"labels: model {model.name!r} has one class only, so that tau+ = 1 and nothing is left to debias"
        )
    anchors = Anchors.of(model, (model.p_negative, model.p_plus))
    built = []
    for g in range(len(anchors.cosines)):
        atoms, plus = anchors.laws[g].any(axis=0), anchors.positive_probs[g] > 0.0
        tau = float(anchors.tau_plus[g]) if class_prior is None else class_prior
        laws = anchors.laws[g][:, atoms] / anchors.laws[g].sum(axis=1, keepdims=True)
        scores, positive_scores = anchors.cosines[g, atoms] / t, anchors.positive_cosines[g, plus] / t
        probs = anchors.positive_probs[g, plus]
        built.append(_Estimator(scores, laws[0], laws[1], positive_scores, probs, tau, log_weight, -1.0 / t))
    return built, anchors
