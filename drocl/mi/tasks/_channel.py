"""Tasks whose information is that of two labels, each a function of what is observed: exact finite sums."""

from abc import abstractmethod

import numpy as np
import numpy.typing as npt

from drocl.divergences import Divergence
from drocl.mi._exact_laws import checked_joint
from drocl.mi._types import Array
from drocl.mi.tasks._task import Task

Labels = npt.NDArray[np.int64]


class LabelChannel(Task):
    r"""X - A - B - Y, with A a function of X and B a function of Y, so that $I_\phi(X;Y) = I_\phi(A;B)$.

    The chain makes the ratio one of labels, $p(x,y)/(p(x)p(y)) = p(a,b)/(p(a)p(b))$, and the functions make the labels
    known: what A and B tell about each other is all that X and Y do, whatever their dimension.

    Args:
        name: of the task.
        joint: (K, M) probabilities of the pairs of labels; rows and columns of zeros are not allowed.

    Raises:
        ValueError: if `joint` is not that.
    """

    def __init__(self, name: str, joint: npt.ArrayLike) -> None:
        self.name, self.joint = name, checked_joint(joint)

    @property
    def product(self) -> Array:
        """Probabilities of independent labels, (K, M)."""
        return np.outer(self.joint.sum(axis=1), self.joint.sum(axis=0))

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        cells = rng.choice(self.joint.size, size=n, p=self.joint.ravel())
        a, b = np.divmod(cells, self.joint.shape[1])
        return self._emit_x(a, rng), self._emit_y(b, rng)

    def _information(self, divergence: Divergence) -> float | None:
        return float(divergence.between(self.joint.ravel(), self.product.ravel()))

    def _log_ratio(self, x: Array, y: Array) -> Array:
        with np.errstate(divide="ignore"):  # impossible pairs of labels: -inf
            table = np.log(self.joint) - np.log(self.product)
        return np.asarray(table[self._read_x(x), self._read_y(y)])

    @abstractmethod
    def _emit_x(self, labels: Labels, rng: np.random.Generator) -> Array: ...

    def _emit_y(self, labels: Labels, rng: np.random.Generator) -> Array:
        return self._emit_x(labels, rng)

    @abstractmethod
    def _read(self, argument: str, points: Array) -> Labels:
        """Labels of points of X, or of Y."""

    def _read_x(self, x: Array) -> Labels:
        return self._read("x", x)

    def _read_y(self, y: Array) -> Labels:
        return self._read("y", y)


def symmetric_channel(classes: int, noise: float, shift: int = 0) -> Array:
    r"""Uniform label A; B = A + shift mod K at rate 1 - eta, else one of the other K - 1 labels.

    $I(A;B) = \log K - h(\eta) - \eta\log(K-1)$, h the binary entropy.

    Args:
        classes: K >= 2.
        noise: eta in [0, 1].
        shift: of the labels.

    Returns:
        (K, K), the law of (A, B).

    Raises:
        ValueError: outside those ranges.
    """
    if classes < 2:
        raise ValueError(f"classes={classes!r} must be at least 2")
    if not 0.0 <= noise <= 1.0:
        raise ValueError(f"noise={noise!r} must lie in [0, 1]: it is the rate of other labels")
    right = np.roll(np.eye(classes), shift, axis=1)
    return np.asarray(((1.0 - noise) * right + noise * (1.0 - right) / (classes - 1)) / classes)


class Cells(LabelChannel):
    """Labels seen as cells of a grid: X uniform in the unit cell of A, Y in that of B, on grids of `dimension` axes.

    Continuous, and not smooth: the ratio is constant on each cell. Y's cells are in the order of a fixed permutation,
    so that no axis of Y follows one of X.

    Args:
        name: of the task.
        classes: K >= 2.
        dimension: of X and of Y, at least 1.
        noise: of the symmetric channel.
    """

    def __init__(self, name: str, classes: int, dimension: int, noise: float) -> None:
        super().__init__(name, symmetric_channel(classes, noise))
        if dimension < 1:
            raise ValueError(f"dimension={dimension!r} must be at least 1")
        self.dim_x = self.dim_y = dimension
        side = 1
        while side**dimension < classes:
            side += 1
        self._corners = np.stack(np.unravel_index(np.arange(classes), (side,) * dimension), axis=1).astype(np.float64)
        self._order = np.random.default_rng(0).permutation(classes)
        self._place = np.argsort(self._order)

    def _emit_x(self, labels: Labels, rng: np.random.Generator) -> Array:
        return np.asarray(self._corners[labels] + rng.random((labels.size, self.dim_x)))

    def _emit_y(self, labels: Labels, rng: np.random.Generator) -> Array:
        return self._emit_x(self._order[labels], rng)

    def _read(self, argument: str, points: Array) -> Labels:
        return row_indices(argument, np.floor(points), self._corners)

    def _read_y(self, y: Array) -> Labels:
        return np.asarray(self._place[self._read("y", y)])


class DiscreteUniform(LabelChannel):
    r"""X uniform on {0, ..., m - 1}, Y uniform on [X, X + 2]: $I = \log m - \frac{m-1}m\log 2$.

    Args:
        name: of the task.
        values: m >= 2.

    Source: gao2017mixtures.
    """

    dim_x = dim_y = 1

    def __init__(self, name: str, values: int) -> None:
        if values < 2:
            raise ValueError(f"values={values!r} must be at least 2")
        joint = np.eye(values, values + 1) + np.eye(values, values + 1, k=1)
        super().__init__(name, joint / (2.0 * values))

    def _emit_x(self, labels: Labels, rng: np.random.Generator) -> Array:
        return labels[:, None].astype(np.float64)

    def _emit_y(self, labels: Labels, rng: np.random.Generator) -> Array:
        return np.asarray(labels[:, None] + rng.random((labels.size, 1)))

    def _read(self, argument: str, points: Array) -> Labels:
        support = self.joint.shape[0] if argument == "x" else self.joint.shape[1]
        return row_indices(argument, points, np.arange(float(support))[:, None])

    def _read_y(self, y: Array) -> Labels:
        return self._read("y", np.floor(y))


def row_indices(argument: str, points: Array, support: Array) -> Labels:
    """Index of each point among the distinct rows of `support`.

    Raises:
        ValueError: naming the argument, where a point is none of them.
    """
    order = {row.tobytes(): index for index, row in enumerate(np.ascontiguousarray(support) + 0.0)}
    found = [order.get(row.tobytes(), -1) for row in np.ascontiguousarray(points) + 0.0]  # + 0.0: -0 is 0
    indices = np.array(found, dtype=np.int64)
    if (indices < 0).any():
        raise ValueError(f"{argument} must lie in the support, row {int(np.argmin(indices))} does not")
    return indices
