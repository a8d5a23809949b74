"""Latent-class models on a finite support: exact marginal, positive and negative laws, and samplers of them."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.special import rel_entr

from drocl.latent.kinds import Array, Indices, Numbers, Prior, Real

__all__ = ["Empirical", "LatentModel"]


@dataclass(frozen=True, eq=False)
class LatentModel:
    r"""Points with classes: whatever contrastive learning samples, as finite sums.

    A point x is drawn from p; x and its positive x+ are i.i.d. given the class, so x+ may equal x; a true negative
    comes from another class:

    $$ p = \tau^+_x\, p^+_x + (1 - \tau^+_x)\, p^-_x, \qquad \tau^+_x = \rho(\text{class of } x). $$

    Two departures from that, both off by default: with `view_noise` eta the positive is an independent draw from p at
        rate eta,
    and with `contamination` eps the negatives one samples are same-class at rate eps, whatever the class prior.

    Args:
        embeddings: (n, d), rows of length 1.
        labels: (n,), classes 0..K-1, each of them present; None if unknown.
        probs: (n,), the law p, positive, summing to 1.
        name: how reports call the model.
        gram: (n, n), the inner products where they are known better than floats can multiply them.
        view_noise: eta in [0, 1].
        contamination: eps in [0, 1), or None: negatives are then drawn from p, eps = tau+.

    Raises:
        ValueError: if an argument is outside the ranges above.

    >>> model = LatentModel(np.eye(2), np.array([0, 1]), np.array([0.5, 0.5]))
    >>> model.p_plus.tolist(), model.p_minus.tolist(), model.class_prior.tolist()
    ([[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]], [0.5, 0.5])

    Source: chuang2020, section 3.
    """

    embeddings: Array
    labels: Indices | None
    probs: Array
    name: str = "latent"
    gram: Array | None = field(default=None, repr=False)
    view_noise: Real = 0.0
    contamination: Real | None = None

    def __post_init__(self) -> None:
        rows = np.array(self.embeddings, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[0] < 1 or rows.shape[1] < 1:
            raise ValueError(f"embeddings must have shape (n, d) with n, d at least 1, got {rows.shape}")
        lengths = np.linalg.norm(rows, axis=1)
        if not (np.abs(lengths - 1.0) < 1e-9).all():
            worst = int(np.argmax(~(np.abs(lengths - 1.0) < 1e-9)))
            raise ValueError(
                f"embeddings must have rows of length 1, row {worst} has {lengths[worst]:g}; see latent.Empirical"
            )
        n = rows.shape[0]
        labels = None if self.labels is None else _checked_labels(self.labels, n)
        probs = np.array(self.probs, dtype=np.float64)
        if probs.shape != (n,) or not (probs > 0.0).all() or not abs(probs.sum() - 1.0) <= 1e-9:
            raise ValueError(
                f"probs must be {n} positive numbers that sum to 1, got shape {probs.shape}, sum {probs.sum():g}"
            )
        if self.gram is not None and np.shape(self.gram) != (n, n):
            raise ValueError(f"gram must have shape {(n, n)}, got {np.shape(self.gram)}")
        if not 0.0 <= self.view_noise <= 1.0:
            raise ValueError(f"view_noise={self.view_noise!r} must lie in [0, 1]")
        if self.contamination is not None and not 0.0 <= self.contamination < 1.0:
            raise ValueError(f"contamination={self.contamination!r} must lie in [0, 1), or be None")
        for name, value in (("embeddings", rows), ("labels", labels), ("probs", probs / probs.sum())):
            if value is not None:
                value.flags.writeable = False
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return int(self.embeddings.shape[0])

    @property
    def classes(self) -> Indices:
        """Class of each point, (n,).

        Raises:
            ValueError: if the model has no labels.
        """
        if self.labels is None:
            raise ValueError(f"labels=None: model {self.name!r} has no classes, which positives and negatives need")
        return self.labels

    @cached_property
    def class_prior(self) -> Array:
        """Probability rho of each class, (K,)."""
        return np.asarray(np.bincount(self.classes, weights=self.probs))

    @property
    def tau_plus(self) -> Array:
        """Probability tau+ of the own class of each point, (n,)."""
        return np.asarray(self.class_prior[self.classes])

    @cached_property
    def cosines(self) -> Array:
        """Inner products of the embeddings, (n, n), in [-1, 1] with 1 on the diagonal."""
        if self.gram is not None:
            return np.array(self.gram, dtype=np.float64)
        cosines = np.clip(self.embeddings @ self.embeddings.T, -1.0, 1.0)
        np.fill_diagonal(cosines, 1.0)
        return np.asarray(cosines)

    def scores(self, temperature: Real) -> Array:
        """Critic s(x, y) = <x, y> / t, (n, n).

        Args:
            temperature: t > 0.

        Raises:
            ValueError: if the temperature is not positive.
        """
        if not 0.0 < temperature < np.inf:
            raise ValueError(f"temperature={temperature!r} must be positive and finite")
        return self.cosines / temperature

    @cached_property
    def p_same(self) -> Array:
        """Row x: the marginal law given the class of x (the positive law without view noise)."""
        same = np.equal.outer(self.classes, self.classes)
        return np.where(same, self.probs / self.tau_plus[:, None], 0.0)

    @cached_property
    def p_plus(self) -> Array:
        """Row x: law of a positive of x, which may be x itself."""
        if self.view_noise == 0.0:
            return self.p_same
        return np.asarray((1.0 - self.view_noise) * self.p_same + self.view_noise * self.probs)

    @cached_property
    def p_minus(self) -> Array:
        """Row x: law of a true negative of x, a point of another class.

        Raises:
            ValueError: without labels, or if there is one class only.
        """
        if self.class_prior.size < 2:
            raise ValueError(f"labels: model {self.name!r} has one class only, and true negatives need at least 2")
        other = np.not_equal.outer(self.classes, self.classes)
        rows = np.where(other, self.probs, 0.0)
        return np.asarray(rows / rows.sum(axis=1, keepdims=True))

    @cached_property
    def p_negative(self) -> Array:
        """Row x: law of the negatives that training draws: p, or with `contamination` a mixture of p+ and p-."""
        if self.contamination is None:
            return np.broadcast_to(self.probs, (len(self), len(self)))
        return self.contamination * self.p_same + (1.0 - self.contamination) * self.p_minus

    @property
    def mutual_information(self) -> float:
        """I(x; x+) in nats, exactly: E KL(p+_x || p), which is the entropy of the classes where views are not noisy.

        >>> round(LatentModel(np.eye(4), np.arange(4), np.full(4, 0.25)).mutual_information, 10)  # log 4
        1.3862943611
        """
        return float(self.probs @ rel_entr(self.p_plus, self.probs).sum(axis=1))

    def sample_pairs(self, n: int, rng: np.random.Generator) -> tuple[Indices, Indices]:
        """Draw n pairs (x, x+), as indices of points.

        Args:
            n: number of pairs, at least 0.
            rng: source of randomness.

        Returns:
            Indices of the anchors and of their positives, each (n,).
        """
        anchors = rng.choice(len(self), size=_count(n), p=self.probs)
        return anchors, self._same_class(anchors, rng)

    def sample_negatives(
        self, n: int, rng: np.random.Generator, anchors: Numbers | None = None, true: bool = False
    ) -> Indices:
        """Draw n negatives, as indices of points.

        Args:
            n: number of negatives (of each anchor), at least 0.
            rng: source of randomness.
            anchors: (m,) indices; None draws from p, which serves every anchor of an uncontaminated model.
            true: draw from p-, other classes only, rather than from what training would draw.

        Returns:
            Indices, (n,), or (m, n) where anchors are given.

        Raises:
            ValueError: if the law depends on the anchor and none is given.
        """
        if anchors is None:
            if true or self.contamination is not None:
                raise ValueError("anchors=None: the law of these negatives depends on the anchor, so give indices")
            return rng.choice(len(self), size=_count(n), p=self.probs)
        rows = np.asarray(anchors, dtype=np.int64)
        law = self.p_minus if true else self.p_negative
        drawn = np.empty((rows.size, _count(n)), dtype=np.int64)
        for anchor in np.unique(rows):
            at = np.flatnonzero(rows == anchor)
            drawn[at] = rng.choice(len(self), size=(at.size, n), p=law[anchor])
        return drawn

    def _same_class(self, anchors: Indices, rng: np.random.Generator) -> Indices:
        drawn = np.empty_like(anchors)
        for label in range(self.class_prior.size):
            at = np.flatnonzero(self.classes[anchors] == label)
            members = np.flatnonzero(self.classes == label)
            drawn[at] = rng.choice(members, size=at.size, p=self.probs[members] / self.class_prior[label])
        noisy = rng.random(anchors.size) < self.view_noise
        drawn[noisy] = rng.choice(len(self), size=int(noisy.sum()), p=self.probs)
        return drawn


class Empirical(LatentModel):
    """Any embeddings, labelled or not, as a latent-class model: the empirical law of the points.

    Args:
        embeddings: (n, d), any finite rows but zero; normalised here.
        labels: (n,), anything that can be compared (numbers, strings); classes are numbered in sorted order. None if
            unknown.
        probs: (n,), weights of the points, positive; normalised here; uniform if None.
        class_prior: (K,), reweights the classes to these probabilities, in sorted order; "uniform" for equal ones.
        name: how reports call the model.

    Raises:
        ValueError: naming the argument, the value and what is allowed.

    >>> model = Empirical([[3.0, 4.0], [0.0, 2.0], [1.0, 0.0]], labels=["b", "a", "b"])
    >>> model.labels.tolist(), model.embeddings[0].tolist()
    ([1, 0, 1], [0.6, 0.8])
    """

    def __init__(
        self,
        embeddings: Numbers,
        labels: Numbers | None = None,
        probs: Numbers | None = None,
        *,
        class_prior: Prior = None,
        name: str = "empirical",
    ) -> None:
        rows = normalised(embeddings)
        numbered = None
        if labels is not None:
            given = np.asarray(labels)
            if given.shape != rows.shape[:1]:
                raise ValueError(f"labels must have shape {rows.shape[:1]}, one a row of embeddings, got {given.shape}")
            numbered = np.unique(given, return_inverse=True)[1]
        weights = np.ones(len(rows)) if probs is None else np.array(probs, dtype=np.float64)
        if weights.shape != rows.shape[:1] or not ((weights > 0.0) & np.isfinite(weights)).all():
            raise ValueError(f"probs must be {len(rows)} positive finite weights, got shape {weights.shape}")
        if class_prior is not None:
            if numbered is None:
                raise ValueError(f"class_prior={class_prior!r} needs labels, and labels=None")
            weights = reweighted(weights, numbered, class_prior)
        super().__init__(rows, numbered, weights / weights.sum(), name)


def normalised(embeddings: Numbers) -> Array:
    """Rows scaled to length 1, (n, d); ValueError where a row has no direction."""
    rows = np.array(embeddings, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[0] < 1 or rows.shape[1] < 1:
        raise ValueError(f"embeddings must have shape (n, d) with n, d at least 1, got {rows.shape}")
    if not np.isfinite(rows).all():
        raise ValueError(f"embeddings must be finite, row {int(np.argmax(~np.isfinite(rows).all(axis=1)))} is not")
    largest = np.abs(rows).max(axis=1, keepdims=True)
    if not largest.all():
        raise ValueError(f"embeddings must have no row of zeros, row {int(np.argmin(largest[:, 0]))} has no direction")
    rows = rows / largest  # before squaring, which could over- or underflow
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def reweighted(
    weights: Array,
    labels: Indices,
    class_prior: Prior,
) -> Array:
    """Weights (n,) scaled class by class so that class c has probability class_prior[c]."""
    mass = np.bincount(labels, weights=weights)
    if isinstance(class_prior, str):
        if class_prior != "uniform":
            raise ValueError(f"class_prior={class_prior!r} must be 'uniform', or one positive number a class")
        prior = np.full(mass.size, 1.0 / mass.size)
    else:
        prior = np.asarray(class_prior, dtype=np.float64)
    if prior.shape != mass.shape or not ((prior > 0.0) & np.isfinite(prior)).all():
        raise ValueError(f"class_prior={class_prior!r} must be {mass.size} positive numbers, one a class")
    return np.asarray(weights * (prior / prior.sum() / mass)[labels])


def _checked_labels(labels: Indices, n: int) -> Indices:
    given = np.array(labels)
    if given.shape != (n,) or given.dtype.kind not in "iu":
        raise ValueError(f"labels must be {n} integers, got shape {given.shape} of {given.dtype}; see latent.Empirical")
    present = np.unique(given)
    if not np.array_equal(present, np.arange(present.size)):
        raise ValueError(f"labels must be 0..K-1 with each class present, got the classes {present.tolist()[:20]}")
    return given.astype(np.int64)


def _count(n: int) -> int:
    if int(n) != n or n < 0:
        raise ValueError(f"n={n!r} must be an integer of at least 0")
    return int(n)
