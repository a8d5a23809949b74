"""Latent-class models with known geometry, each a function and a name for `build`."""

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

import numpy as np
from scipy.linalg import hadamard

from drocl.latent.kinds import Array, Indices, Prior, Real
from drocl.latent.model import Empirical, LatentModel, normalised, reweighted

__all__ = [
    "antipodal",
    "contaminated",
    "mutually_unbiased_bases",
    "noisy_views",
    "random_embeddings",
    "simplex",
]


def simplex(
    n_classes: int = 4, points: int = 1, spread: Real = 0.0, class_prior: Prior = None, seed: int = 0
) -> LatentModel:
    r"""Classes at the vertices of a regular simplex, the optimum of most contrastive losses.

    $$ \langle v_c, v_{c'} \rangle = -\frac{1}{K-1}, \qquad x = \frac{v_c + \sigma \xi}{\|v_c + \sigma \xi\|},\quad \xi
    \sim N(0, I_K / K). $$

    Args:
        n_classes: K >= 2.
        points: points a class; without spread they coincide, so that 1 says it all.
        spread: sigma >= 0.
        class_prior: (K,) probabilities, equal if None.
        seed: of the spread.

    Raises:
        ValueError: if an argument is outside the ranges above.

    >>> simplex(3).cosines[0].tolist()
    [1.0, -0.5, -0.5]
    """
    _at_least(n_classes=(n_classes, 2), points=(points, 1))
    _nonnegative(spread=spread)
    labels = np.repeat(np.arange(n_classes), points)
    rows = normalised(np.eye(n_classes) - 1.0 / n_classes)[labels]
    gram = None
    if spread > 0.0:
        noise = np.random.default_rng(seed).normal(size=rows.shape) / np.sqrt(n_classes)
        rows = normalised(rows + spread * noise)
    else:
        gram = np.where(np.equal.outer(labels, labels), 1.0, -1.0 / (n_classes - 1))
    return LatentModel(rows, labels, _masses(labels, class_prior), f"simplex(n_classes={n_classes})", gram)


def antipodal(class_prior: Real | Sequence[Real] = 0.5) -> LatentModel:
    """Two collapsed classes at v and -v: the extreme case of Theorem 3, where the debiased estimator sits on its clamp.

    Args:
        class_prior: probability of the class at v, in (0, 1), or of both.

    Raises:
        ValueError: if it is outside that range.

    Source: chuang2020, Theorem 3.

    >>> antipodal().cosines.tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    prior = np.atleast_1d(np.asarray(class_prior, dtype=np.float64))
    if prior.shape == (1,):
        prior = np.array([prior[0], 1.0 - prior[0]])
    if prior.shape != (2,) or not (prior > 0.0).all():
        raise ValueError(f"class_prior={class_prior!r} must lie in (0, 1), or be two positive numbers")
    return LatentModel(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.arange(2), prior / prior.sum(), "antipodal")


def mutually_unbiased_bases(dimension: int = 16, regular: bool = False) -> LatentModel:
    r"""Two classes, the standard basis of $R^n$ and the columns of a Hadamard matrix over sqrt(n).

    A point is orthogonal to its class but for itself, and has cosine $\pm n^{-1/2}$ with the other class. Since x+ = x
    at rate 1/n, the positives' e^s has by far the larger mean: the biased loss falls below the unbiased one.

    Args:
        dimension: n, a power of 2, at least 2.
        regular: take the Hadamard matrix with equal row sums, sqrt(n), which makes all anchors alike and the effect
            larger (n a power of 4), rather than Sylvester's, whose first row and column are all ones and the others
            balanced.

    Raises:
        ValueError: for other dimensions.

    Source: chuang2020, Lemma 1 (a counterexample to its constant at small temperature).

    >>> [float(c) for c in np.unique(mutually_unbiased_bases(4).cosines)]
    [-0.5, 0.0, 0.5, 1.0]
    """
    if dimension < 2 or dimension & (dimension - 1):
        raise ValueError(f"dimension={dimension!r} must be a power of 2, at least 2 (2, 4, 8, 16, ...)")
    if regular and dimension.bit_length() % 2 == 0:
        raise ValueError(f"dimension={dimension!r} must be a power of 4 (4, 16, 64, ...) for a regular Hadamard matrix")
    signs = (
        reduce(_kron, [np.ones((4, 4)) - 2.0 * np.eye(4)] * (dimension.bit_length() // 2))
        if regular
        else hadamard(dimension)
    )
    second = signs.T / np.sqrt(dimension)
    eye = np.eye(dimension)
    gram = np.block([[eye, second.T], [second, eye]])
    labels = np.repeat([0, 1], dimension)
    name = f"mub(dimension={dimension}, regular)" if regular else f"mub(dimension={dimension})"
    return LatentModel(np.vstack([eye, second]), labels, _masses(labels, None), name, gram)


def random_embeddings(
    n_classes: int = 4,
    points: int = 8,
    dimension: int = 8,
    cluster: Real = 0.0,
    class_prior: Prior = None,
    random_probs: bool = False,
    seed: int = 0,
) -> LatentModel:
    r"""Random directions, clustered around random class centres or not.

    $$ x \propto \kappa\, \mu_c + \xi, \qquad \mu_c \text{ uniform on the sphere},\ \xi \sim N(0, I_d / d). $$

    Args:
        n_classes: K >= 2.
        points: points a class.
        dimension: d >= 2.
        cluster: kappa >= 0; at 0 points know nothing of their class, at 1 the centre and the noise are of one length.
        class_prior: (K,) probabilities, equal if None.
        random_probs: draw the weights within each class from a flat Dirichlet law rather than make them equal.
        seed: of everything random.

    Raises:
        ValueError: if an argument is outside the ranges above.
    """
    _at_least(n_classes=(n_classes, 2), points=(points, 1), dimension=(dimension, 2))
    _nonnegative(cluster=cluster)
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(n_classes), points)
    centres = normalised(rng.normal(size=(n_classes, dimension)))
    rows = normalised(cluster * centres[labels] + rng.normal(size=(labels.size, dimension)) / np.sqrt(dimension))
    weights = rng.exponential(size=labels.size) + 1e-9 if random_probs else None
    probs = _masses(labels, class_prior, weights)
    return LatentModel(rows, labels, probs, f"random(n_classes={n_classes}, points={points}, dimension={dimension})")


def contaminated(model: LatentModel | None = None, rate: Real = 0.1) -> LatentModel:
    r"""A model whose sampled negatives are false ones, of the anchor's class, at a given rate.

    $$ q_x = (1 - \varepsilon)\, p^-_x + \varepsilon\, p^+_x. $$

    Args:
        model: the model to change; `random_embeddings(cluster=1.0)` if None.
        rate: epsilon in [0, 1); the class prior tau+ gives the marginal p back.

    Returns:
        The model with `p_negative` changed; p, p+ and p- stay.

    Raises:
        ValueError: if the rate is outside that range.
    """
    base = random_embeddings(cluster=1.0) if model is None else model
    return replace_model(base, contamination=rate, name=f"{base.name}, {rate:.3g} false negatives")


def noisy_views(model: LatentModel | None = None, rate: Real = 0.2) -> LatentModel:
    r"""A model whose positive is replaced by an independent draw at a given rate.

    $$ P(x, x^+) = p(x)\,[(1 - \eta)\, p^+_x(x^+) + \eta\, p(x^+)]. $$

    Args:
        model: the model to change; `random_embeddings(cluster=1.0)` if None.
        rate: eta in [0, 1].

    Returns:
        The model with `p_plus` changed; `p_same` keeps the clean law.

    Raises:
        ValueError: if the rate is outside that range.

    Source: the noise model of chuang2022.
    """
    base = random_embeddings(cluster=1.0) if model is None else model
    return replace_model(base, view_noise=rate, name=f"{base.name}, {rate:.3g} noisy views")


def replace_model(model: LatentModel, *, name: str, **changes: Real) -> LatentModel:
    """A copy with other rates; an `Empirical` becomes a plain model, whose arrays are ready as they are."""
    if isinstance(model, Empirical):
        model = LatentModel(model.embeddings, model.labels, model.probs, model.name, model.gram)
    return replace(model, name=name, **changes)  # type: ignore[arg-type]


def _kron(a: Array, b: Array) -> Array:
    return np.asarray(np.kron(a, b), dtype=np.float64)


def _masses(labels: Indices, class_prior: Prior, weights: Array | None = None) -> Array:
    """Weights within classes, scaled to the class prior (equal if None)."""
    given = np.ones(labels.size) if weights is None else weights
    return reweighted(given, labels, "uniform" if class_prior is None else class_prior)


def _at_least(**bounds: tuple[int, int]) -> None:
    for name, (value, least) in bounds.items():
        if int(value) != value or value < least:
            raise ValueError(f"{name}={value!r} must be an integer of at least {least}")


def _nonnegative(**values: Real) -> None:
    for name, value in values.items():
        if not 0.0 <= value < np.inf:
            raise ValueError(f"{name}={value!r} must be finite and at least 0")
