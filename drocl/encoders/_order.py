"""Which examples make which batch, and all the random numbers of training: each a function of (seed, purpose, step) alone.

Nothing depends on what was drawn before, so a run that goes on after a crash needs no state of a generator, and ranks and
micro-batches see the views that one process sees.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from drocl.encoders._types import UNLABELLED, Split


def generator(seed: int, purpose: str, *numbers: int) -> torch.Generator:
    """A generator of its own for a purpose of a step, on the CPU."""
    return torch.Generator().manual_seed(number(seed, purpose, *numbers))


def number(seed: int, purpose: str, *numbers: int) -> int:
    """A seed below 2^63 made of all its arguments.

    >>> number(0, "order", 1) != number(0, "order", 2)
    True
    """
    digest = hashlib.sha256(f"{seed}|{purpose}|{'|'.join(map(str, numbers))}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@dataclass(frozen=True)
class Order:
    """The batches of training: in each epoch every example at most once, in an order of its own.

    Attributes:
        n: examples.
        batch_size: of a batch; the rest of an epoch that fills no batch is left out.
        seed: of the order.
    """

    n: int
    batch_size: int
    seed: int

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return self.n // self.batch_size

    def rows(self, step: int) -> Tensor:
        """Rows of the batch of a step (0, 1, ... over all epochs), (batch_size,) int64."""
        epoch, place = divmod(step, self.steps)
        return _permutation(self.n, self.seed, epoch)[place * self.batch_size : (place + 1) * self.batch_size]


@lru_cache(maxsize=2)
def _permutation(n: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(n, generator=generator(seed, "order", epoch))


class Partners:
    """Which example a further view of a pair is of.

    Args:
        labels: of the training examples, as training knows them (noise included), (n,), each unlabelled one a class of its own;
            None without labels.
        n: examples.
        by_class: True: another example of the class, drawn at random (itself, if it is alone); False: the example itself.
        noise: probability that it is one of all examples, drawn at random.
        seed: of the draws.

    Raises:
        ValueError: by_class without labels.
    """

    def __init__(self, labels: Tensor | None, n: int, *, by_class: bool, noise: float, seed: int) -> None:
        if by_class and labels is None:
            raise ValueError("positives='class' needs a data set with labels")
        self.n, self.noise, self.seed, self.by_class = n, noise, seed, by_class
        if by_class:
            assert labels is not None
            _, group = torch.unique(labels, return_inverse=True)
            self.members = torch.argsort(group, stable=True)
            self.counts = torch.bincount(group)[group]
            self.starts = torch.searchsorted(group[self.members], group)
            self.own = torch.empty_like(group)  # an example's place among its class
            self.own[self.members] = torch.arange(n) - self.starts[self.members]

    def rows(self, rows: Tensor, step: int, which: int = 1) -> Tensor:
        """The rows of view `which` (1, 2, ...) of the pairs of `rows`."""
        drawn = torch.rand((3, len(rows)), generator=generator(self.seed, "partners", step, which), dtype=torch.float64)
        found = rows
        if self.by_class:
            place = (drawn[0] * (self.counts[rows] - 1)).to(torch.int64)  # among the others
            place = place + (place >= self.own[rows]).to(torch.int64)
            found = self.members[self.starts[rows] + torch.minimum(place, self.counts[rows] - 1)]
        if self.noise > 0.0:
            found = torch.where(drawn[1] < self.noise, (drawn[2] * self.n).to(torch.int64), found)
        return found


def noisy_labels(labels: Tensor, classes: int, rate: float, seed: int) -> Tensor:
    """Labels of which a share is replaced by another class, uniformly over the others (symmetric noise).

    Args:
        labels: (n,) int64; -1 stays.
        classes: how many there are, at least 2.
        rate: share of the labelled examples, in [0, 1]: exactly that many, rounded.
        seed: of the choice.

    Returns:
        (n,) int64.
    """
    made = generator(seed, "label noise")
    known = torch.nonzero(labels != UNLABELLED).reshape(-1)
    flipped = known[torch.randperm(len(known), generator=made)[: round(rate * len(known))]]
    shift = torch.randint(1, max(classes, 2), (len(flipped),), generator=made)
    noisy = labels.clone()
    noisy[flipped] = (labels[flipped] + shift) % max(classes, 2)
    return noisy


def with_outliers(split: Split, rate: float, seed: int) -> Split:
    """Images of which a share is replaced by uniform noise; their labels stay.

    Raises:
        ValueError: examples that are no images.
    """
    if not isinstance(split.inputs, Tensor):
        raise ValueError(f"outliers={rate} replace images by noise; these examples are none")
    made = generator(seed, "outliers")
    chosen = torch.randperm(len(split), generator=made)[: round(rate * len(split))]
    inputs = split.inputs.clone()
    inputs[chosen] = torch.randint(0, 256, (len(chosen), *inputs.shape[1:]), generator=made, dtype=torch.uint8)
    return Split(inputs, split.labels)


def some(split: Split, size: int, seed: int) -> Split:
    """`size` examples drawn at random, the same share of every class (up to rounding).

    Raises:
        ValueError: more than there are.
    """
    n = len(split)
    if size > n:
        raise ValueError(f"subset={size} must be at most the number of training examples, {n}")
    shuffled = torch.randperm(n, generator=generator(seed, "subset"))
    if split.labels is not None:
        # spread every class evenly over the order, then take its beginning
        labels = split.labels[shuffled]
        rank = torch.zeros(n, dtype=torch.float64)
        for label in torch.unique(labels).tolist():
            at = torch.nonzero(labels == label).reshape(-1)
            rank[at] = (torch.arange(len(at), dtype=torch.float64) + 0.5) / len(at)
        shuffled = shuffled[torch.argsort(rank, stable=True)]
    return split.take(shuffled[:size].sort().values)
