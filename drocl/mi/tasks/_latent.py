"""Latent-class models and real digits as tasks."""

from functools import lru_cache, reduce

import numpy as np

from drocl.latent import LatentModel, build, noisy_views
from drocl.mi._exact_laws import joint_of
from drocl.mi._types import Array
from drocl.mi.tasks._channel import LabelChannel, Labels, row_indices, symmetric_channel


class Latent(LabelChannel):
    """Anchor and positive of a latent-class model: X and Y are the embeddings of x and x+.

    Points of the model with the same embedding are one outcome. Both margins are discrete.

    Args:
        name: of the task.
        model: any model with labels.

    Raises:
        ValueError: if the model has no labels.

    Source: chuang2020, section 3.
    """

    def __init__(self, name: str, model: LatentModel) -> None:
        joint = joint_of(model)
        self.points, inverse = np.unique(model.embeddings + 0.0, axis=0, return_inverse=True)
        merge = np.eye(len(self.points))[inverse.ravel()]
        super().__init__(name, merge.T @ joint @ merge)
        self.dim_x = self.dim_y = self.points.shape[1]

    def _emit_x(self, labels: Labels, rng: np.random.Generator) -> Array:
        return np.asarray(self.points[labels])

    def _read(self, argument: str, points: Array) -> Labels:
        return row_indices(argument, points, self.points)


class Digits(LabelChannel):
    r"""Pairs of handwritten digits whose labels went through a known channel.

    A is a uniform digit and X a random image of it; B = A (+ shift mod 10) at rate $1-\eta$, else one of the other
    nine, and Y a random image of B. The 1,797 images of scikit-learn are distinct, so that the label is a function of
    the image, and $I(X;Y) = I(A;B) = \log 10 - h(\eta) - \eta\log 9$ exactly; for a row of `count` digits, `count`
    times that.

    An image is 64 grey levels 0..16. To each a number in [0, 1) is added, which leaves the level readable and makes X
    and Y continuous, without repetitions or constant pixels; all is divided by 16. With `raw`, levels / 16 as they are:
    images repeat, and pixels 0, 32 and 39 are always 0.

    Args:
        name: of the task.
        noise: eta in [0, 1].
        count: digits in a row, 1..3.
        shift: what the channel adds to the label.
        raw: no added noise.

    Raises:
        ValueError: outside those ranges.
        ImportError: if scikit-learn, which ships the images, is not installed.
    """

    def __init__(self, name: str, noise: float, count: int = 1, shift: int = 0, raw: bool = False) -> None:
        if not 1 <= count <= 3:
            raise ValueError(f"count={count!r} must lie in 1..3")
        one = symmetric_channel(10, noise, shift)
        super().__init__(name, reduce(_kron, [one] * count))
        self.count, self.raw = count, raw
        self.dim_x = self.dim_y = 64 * count

    def _emit_x(self, labels: Labels, rng: np.random.Generator) -> Array:
        images, _, members = _images()
        digits = np.stack(np.unravel_index(labels, (10,) * self.count), axis=1)
        chosen = np.empty(digits.shape, dtype=np.int64)
        for digit, rows in enumerate(members):
            at = digits == digit
            chosen[at] = rng.choice(rows, size=int(at.sum()))
        levels = images[chosen].reshape(labels.size, self.dim_x)
        if not self.raw:
            # 24 bits: the sum is exact, and stays below the next level
            levels = levels + rng.random(levels.shape, dtype=np.float32)
        return np.asarray(levels / 16.0)

    def _read(self, argument: str, points: Array) -> Labels:
        images, label = _images()[:2]
        levels = np.floor(points * 16.0).reshape(-1, 64)
        read = label[row_indices(argument, levels, images)].reshape(len(points), self.count)
        return np.asarray(np.ravel_multi_index(tuple(read.T), (10,) * self.count))


def _kron(a: Array, b: Array) -> Array:
    return np.asarray(np.kron(a, b), dtype=np.float64)


@lru_cache(maxsize=1)
def _images() -> tuple[Array, Labels, tuple[Labels, ...]]:
    """The images, (1797, 64), their labels, and the rows of each digit."""
    try:
        from sklearn.datasets import load_digits  # here, for it is slow to import and few callers need it
    except ImportError as error:
        raise ImportError("the digits need scikit-learn: pip install scikit-learn") from error
    images, labels = load_digits(return_X_y=True)
    members = tuple(np.flatnonzero(labels == digit) for digit in range(10))
    return images.astype(np.float64), labels.astype(np.int64), members


def noisy_classes(name: str, classes: int, noise: float) -> Latent:
    """K classes at the vertices of a simplex, the positive replaced by an independent point at rate `noise`."""
    return Latent(name, noisy_views(build("simplex", n_classes=classes), rate=noise))
