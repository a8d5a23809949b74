"""Laws of a critic's values, given each anchor: what every exact expectation of `drocl.mi.exact` is computed from.

A finite joint law is used as it is. Of d i.i.d. Gaussian pairs the critic's value depends on one chi-square given the
anchor, and on the anchor only through its length: two quadratures of one dimension replace the 2 d.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, ive, logsumexp, rel_entr, roots_genlaguerre

from drocl.latent import LatentModel
from drocl.latent.kinds import Array, Numbers, Real, Whole
from drocl.mi.gaussian import mutual_information

_TAIL = 39.0  # e^{-39} = 1e-17: what a grid may leave out
_BEND = 120.0  # nats below the largest value from which the steps grow: e^g is nothing there beside the rest
_NOTHING = 1e-18
_WIDEST = 5_000.0  # nats

__all__ = ["CriticLaw", "bilinear_gaussian", "finite", "gaussian", "joint_of"]


@dataclass(frozen=True, eq=False)
class CriticLaw:
    r"""Law of a critic $g(x, y)$ given the anchor x, with y from $P_{Y|x}$ and from $P_Y$.

    Attributes:
        weights: (k,), law of the anchors, summing to 1.
        scores: (k, m), values of g, nats; -inf only where `positive` is 0.
        base: (k, m), probabilities under $P_Y$, each row summing to 1.
        positive: (k, m), probabilities under $P_{Y|x}$, each row summing to 1.
        truth: I(X; Y), nats.
    """

    weights: Array
    scores: Array
    base: Array
    positive: Array
    truth: float

    def mean(self, values: Array | None = None) -> float:
        """E under P_XY of `values` (k, m), by default of the critic."""
        given = self.scores if values is None else values
        return float(self.weights @ (self.positive * np.where(self.positive > 0.0, given, 0.0)).sum(axis=1))

    @property
    def product(self) -> Array:
        """Probabilities of the pairs under P_X P_Y, (k, m)."""
        return np.asarray(self.weights[:, None] * self.base)

    @property
    def joint(self) -> Array:
        """Probabilities of the pairs under P_XY, (k, m)."""
        return np.asarray(self.weights[:, None] * self.positive)

    def log_normalizers(self) -> Array:
        """log E_{P_Y} e^g at each anchor, (k,)."""
        return np.asarray(logsumexp(self.scores, b=self.base, axis=1))

    def log_normalizer(self, values: Array | None = None) -> float:
        """log E_{P_X P_Y} e^g of `values` (k, m), by default of the critic."""
        given = self.scores if values is None else values
        return float(logsumexp(given, b=self.product))

    def beside_positive(self, n: Real) -> Array:
        """Scores raised to where n of them change no digit of a sum that holds a positive's: none is -inf, (k, m)."""
        return np.maximum(
            self.scores, (_quantile(self.scores, self.positive, _NOTHING) - 45.0 - math.log1p(n))[:, None]
        )

    def among(self, n: Real) -> Array:
        """Scores raised to where n of them change no digit of a sum: it is certain to 1e-18 that one lies far above.

        Raises:
            ValueError: where what is left spans more than 5,000 nats, as for nearly equal x and y: integrals would
                take minutes.
        """
        level = (_NOTHING / (1.0 + np.ptp(self.scores, axis=1))) ** (1.0 / n)
        raised = np.maximum(self.scores, (_quantile(self.scores, self.base, level) - 45.0 - math.log(n))[:, None])
        if np.ptp(raised, axis=1).max() > _WIDEST:
            raise ValueError(
                f"law: its critic spans {np.ptp(raised, axis=1).max():.0f} nats among {n:g} negatives, more than "
                f"{_WIDEST:g}: take more negatives or a lower correlation"
            )
        return np.asarray(raised)

    def with_scores(self, scores: Array) -> "CriticLaw":
        """Another critic on the same pairs, (k, m)."""
        return CriticLaw(self.weights, np.asarray(scores, dtype=np.float64), self.base, self.positive, self.truth)


def joint_of(model: LatentModel) -> Array:
    """Joint law of an anchor and its positive, (n, n), of a latent-class model.

    Args:
        model: with labels.

    >>> from drocl import latent
    >>> joint_of(latent.antipodal()).tolist()
    [[0.5, 0.0], [0.0, 0.5]]
    """
    return np.asarray(model.probs[:, None] * model.p_plus)


def finite(joint: Numbers, critic: Numbers | None = None) -> CriticLaw:
    r"""A finite joint law with a critic, the optimal one $g^* = \log\frac{p(x,y)}{p(x)p(y)}$ by default.

    Args:
        joint: (kx, ky), probabilities, at least 0, summing to 1, with no empty row or column.
        critic: (kx, ky), nats; finite, or -inf where the joint law is 0.

    Returns:
        The law of the critic's values.

    Raises:
        ValueError: naming the argument that is out of its range.

    >>> law = finite([[0.5, 0.0], [0.0, 0.5]])
    >>> round(law.truth, 6), law.scores[0].round(6).tolist()
    (0.693147, [0.693147, -inf])
    """
    p = checked_joint(joint)
    px, py = p.sum(axis=1), p.sum(axis=0)
    with np.errstate(divide="ignore"):
        best = np.log(p) - np.log(np.outer(px, py))
    g = best if critic is None else np.array(critic, dtype=np.float64)
    if g.shape != p.shape:
        raise ValueError(f"critic must have the shape of joint, {p.shape}, got {g.shape}")
    bad = np.isnan(g) | (g == np.inf) | (np.isneginf(g) & (p > 0.0))
    if bad.any():
        raise ValueError(f"critic must be finite, or -inf where joint is 0, got {g[bad][0]}")
    truth = float(rel_entr(p, np.outer(px, py)).sum())
    return CriticLaw(px, g, np.broadcast_to(py, p.shape), p / px[:, None], truth)


def checked_joint(joint: Numbers) -> Array:
    """A joint law (kx, ky), normalised; ValueError where it is none."""
    p = np.array(joint, dtype=np.float64)
    if p.ndim != 2 or min(p.shape, default=0) < 1:
        raise ValueError(f"joint must have shape (kx, ky), got {p.shape}")
    if not (np.isfinite(p) & (p >= 0.0)).all() or abs(p.sum() - 1.0) > 1e-9:
        raise ValueError(f"joint must hold probabilities that sum to 1, got a sum of {p.sum():g}")
    if not (p.sum(axis=1).all() and p.sum(axis=0).all()):
        raise ValueError("joint must have no empty row or column: such a symbol never occurs")
    return np.asarray(p / p.sum())


def gaussian(
    correlation: Real, pairs: int, critic_correlation: Real | None = None, *, anchors: int = 24, step: float = 0.3
) -> CriticLaw:
    r"""d i.i.d. pairs of Gaussians, with the log-ratio as the critic: of the same correlation, or of a wrong one.

    $$ g(x, y) = -\tfrac d2\log(1-r^2) + \tfrac12|x|^2 - a\,|y - x/r|^2,\qquad a = \frac{r^2}{2(1-r^2)} $$

    Given $s = |x|^2$, the square is a non-central $\chi^2_d(s/r^2)$ under $P_Y$ and $(1-\rho^2)$ times a
    $\chi^2_d(s(1/r-\rho)^2/(1-\rho^2))$ under $P_{Y|x}$. Both are put on one grid, $W = c\log(1+e^u)$ with
    $u = b\sinh(v/b)$, where the trapezoid rule converges exponentially; s is taken by Gauss-Laguerre. Against grids
    twice as fine, InfoNCE and the decoupled value of a batch of 64 move by less than 1e-8 nats up to I = 10 (a test).
    A clipped critic has a kink, which the grid sees to 1e-3 only: `gaussian_smile` is exact for it.

    Args:
        correlation: rho, 0 < |rho| < 1.
        pairs: d >= 1.
        critic_correlation: r, of the sign of rho, 0 < |r| < 1; rho by default, the optimal critic.
        anchors: nodes in s.
        step: largest step of the grid in units of the critic (nats) and of u.

    Returns:
        The law of the critic's values; rows sum to 1 by normalisation.

    Raises:
        ValueError: if an argument is outside its range.

    >>> law = gaussian(0.8, 1)
    >>> bool(abs(law.mean() - law.truth) < 1e-9), bool(abs(law.log_normalizer()) < 1e-7)
    (True, True)
    """
    rho, r = _correlations(correlation, pairs, critic_correlation)
    s, weights = chi_square(pairs, anchors)
    a = 0.5 * r**2 / (1.0 - r**2)
    shrink = 1.0 - rho**2
    apart = s / r**2, s * (1.0 / r - rho) ** 2 / shrink  # non-centralities under P_Y and P_Y|x
    lower, upper = _range(pairs, apart[0]), _range(pairs, apart[1])
    low = np.minimum(lower[0], shrink * upper[0])
    high = np.maximum(lower[1], shrink * upper[1])
    # steps: a nat of the critic, and a third of the narrower law's deviation
    width = np.minimum(step / a, 0.35 * shrink * np.sqrt(2.0 * (pairs + 2.0 * np.minimum(*apart)))) / step
    start, stop = (_BEND * np.arcsinh(_inverse(end / width) / _BEND) for end in (low, high))
    nodes = math.ceil(float((stop - start).max()) / step) + 1
    v = start[:, None] + step * np.arange(nodes)
    u = _BEND * np.sinh(v / _BEND)
    w = width[:, None] * np.logaddexp(0.0, u)
    jacobian = -np.logaddexp(0.0, -u) + np.log(np.cosh(v / _BEND))  # log dW/dv, but for the width
    base = _normalised(_log_density(w, pairs, apart[0][:, None]) + jacobian)
    positive = _normalised(_log_density(w / shrink, pairs, apart[1][:, None]) + jacobian)
    scores = -0.5 * pairs * math.log1p(-(r**2)) + 0.5 * s[:, None] - a * w
    return CriticLaw(weights, scores, base, positive, pairs * mutual_information([rho]))


def bilinear_gaussian(correlation: Real, pairs: int, slope: Real, *, anchors: int = 24, step: float = 0.3) -> CriticLaw:
    r"""d i.i.d. pairs of Gaussians with the bilinear critic $g(x, y) = \theta\,x\cdot y$, which is not the optimal one.

    Given $s = |x|^2$, $g \sim N(0, \theta^2 s)$ under $P_Y$ and $N(\theta\rho s, \theta^2(1-\rho^2)s)$ under
    $P_{Y|x}$.

    Args:
        correlation: rho, 0 < |rho| < 1.
        pairs: d >= 1.
        slope: theta, not 0.
        anchors: nodes in s.
        step: largest step of the grid, nats.

    Returns:
        The law of the critic's values.

    Raises:
        ValueError: if an argument is outside its range.

    >>> round(bilinear_gaussian(0.5, 3, 0.4).mean(), 10)  # theta rho d
    0.6
    """
    rho, _ = _correlations(correlation, pairs, None)
    if not (math.isfinite(slope) and slope != 0.0):
        raise ValueError(f"slope={slope!r} must be finite and not 0")
    s, weights = chi_square(pairs, anchors)
    sd = abs(slope) * np.sqrt(s)
    centre, narrow = slope * float(correlation) * s, sd * math.sqrt(1.0 - rho**2)
    reach = math.sqrt(2.0 * _TAIL)
    low, high = np.minimum(-reach * sd, centre - reach * narrow), np.maximum(reach * sd, centre + reach * narrow)
    nodes = math.ceil(float(((high - low) / np.minimum(step, 0.7 * narrow)).max())) + 1
    scores = low[:, None] + (high - low)[:, None] * np.linspace(0.0, 1.0, nodes)
    base = _normalised(-0.5 * (scores / sd[:, None]) ** 2)
    positive = _normalised(-0.5 * ((scores - centre[:, None]) / narrow[:, None]) ** 2)
    return CriticLaw(weights, scores, base, positive, pairs * mutual_information([rho]))


def chi_square(degrees: int, nodes: int) -> tuple[Array, Array]:
    """Gauss nodes (nodes,) and probabilities of a chi-square."""
    x, w = roots_genlaguerre(nodes, 0.5 * degrees - 1.0)
    return 2.0 * np.asarray(x), np.asarray(w / w.sum())


def _correlations(correlation: Real, pairs: Whole, other: Real | None) -> tuple[float, float]:
    if not 0.0 < abs(correlation) < 1.0:
        raise ValueError(f"correlation={correlation!r} must have 0 < |rho| < 1")
    if int(pairs) != pairs or pairs < 1:
        raise ValueError(f"pairs={pairs!r} must be an integer of at least 1")
    r = correlation if other is None else other
    if not (0.0 < abs(r) < 1.0 and r * correlation > 0.0):
        raise ValueError(f"critic_correlation={r!r} must have 0 < |r| < 1 and the sign of correlation={correlation!r}")
    return float(abs(correlation)), float(abs(r))


def _range(degrees: int, noncentral: Array) -> tuple[Array, Array]:
    """Ends between which a non-central chi-square keeps all but e^-39 of its mass (Birge's bounds), (k,) each."""
    spread = 2.0 * np.sqrt((degrees + 2.0 * noncentral) * _TAIL)
    # near 0 the law is below the central one, of which P(W < w) <= (w/2)^{d/2} / Gamma(d/2 + 1)
    least = 2.0 * math.exp((gammaln(0.5 * degrees + 1.0) - _TAIL) * 2.0 / degrees)
    centre = degrees + noncentral
    return np.maximum(centre - spread, least), centre + spread + 2.0 * _TAIL


def _quantile(values: Array, mass: Array, level: Array | float) -> Array:
    """Least value of each row below or at which there is more mass than `level`, (k, m), (k, m), (k,) -> (k,)."""
    order = np.argsort(values, axis=1)
    total = np.cumsum(np.take_along_axis(mass, order, axis=1), axis=1)
    first = np.minimum((total <= np.reshape(level, (-1, 1))).sum(axis=1), values.shape[1] - 1)
    return np.asarray(np.take_along_axis(values, np.take_along_axis(order, first[:, None], axis=1), axis=1)[:, 0])


def _inverse(softplus: Array) -> Array:
    """u with log(1 + e^u) given."""
    return np.asarray(softplus + np.log(-np.expm1(-softplus)))


def _log_density(w: Array, degrees: int, noncentral: Array) -> Array:
    """Log density of a non-central chi-square, up to a constant that the normalisation takes."""
    order = 0.5 * degrees - 1.0
    root = np.sqrt(w * noncentral)
    with np.errstate(divide="ignore", under="ignore"):
        bessel = np.log(ive(order, root))  # -inf where it underflows, which the density does too
    return np.asarray(-0.5 * (np.sqrt(w) - np.sqrt(noncentral)) ** 2 + 0.5 * order * np.log(w / noncentral) + bessel)


def _normalised(log_weights: Array) -> Array:
    """Rows that sum to 1 from their logarithms."""
    lifted = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
    return np.asarray(lifted / lifted.sum(axis=1, keepdims=True))
