r"""What a critic is trained to maximise and how its scores are read as mutual information, apart from any training loop.

Scores come as a matrix S (B, B) with $S_{ij} = g(x_i, y_j)$, the diagonal from $P_{XY}$ and the rest from $P_XP_Y$, or as
`Pairs(positives (B,), negatives (B, K))`, row i the negatives of $x_i$.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

READOUTS = ("own", "kl", "plugin", "nwj")
Constants = Mapping[str, float]


class Pairs(NamedTuple):
    """Critic values at pairs of the joint law (B,) and of the product law (B, K), row i with the x of positive i."""

    positives: Tensor
    negatives: Tensor


def split(scores: "Tensor | Pairs | tuple[Tensor, Tensor]") -> Pairs:
    """Diagonal and off-diagonal (B, B - 1) of a score matrix; pairs as they are.

    Raises:
        ValueError: a matrix that is not square or holds fewer than two pairs.

    >>> split(torch.tensor([[1.0, 2.0], [3.0, 4.0]])).negatives.tolist()
    [[2.0], [3.0]]
    """
    if isinstance(scores, tuple):
        positives, negatives = scores
        if positives.ndim != 1 or negatives.shape[:1] != positives.shape:
            shapes = tuple(positives.shape), tuple(negatives.shape)
            raise ValueError(f"scores={shapes} must be positives (B,) with negatives (B, K)")
        return Pairs(positives, negatives)
    size = scores.shape[0]
    if scores.ndim != 2 or scores.shape[1] != size or size < 2:
        raise ValueError(f"scores of shape {tuple(scores.shape)} must be a square matrix of at least two pairs")
    # drop the first entry of the flat matrix: the diagonal becomes the last column of (B - 1, B + 1)
    negatives = scores.flatten()[1:].view(size - 1, size + 1)[:, :-1].reshape(size, size - 1)
    return Pairs(scores.diagonal(), negatives)


@dataclass(frozen=True)
class Functional:
    """A read-out of the form F(A, U): A the mean of `positive` over joint pairs, U that of `negative` over product pairs.

    `combine` gives F, `slopes` its two partial derivatives, from which an interval follows.
    """

    positive: Callable[[Tensor], Tensor]
    negative: Callable[[Tensor], Tensor] | None
    combine: Callable[[float, float], float]
    slopes: Callable[[float, float], tuple[float, float]]


def _log(value: float) -> float:
    return math.log(value) if value > 0.0 else -math.inf


def donsker_varadhan(shift: float = 0.0, clip: float = math.inf) -> Functional:
    """A - log U of a log-ratio; `shift` keeps the exponential in range, `clip` bounds the log-ratio in U (SMILE)."""

    def weight(r: Tensor) -> Tensor:
        return torch.exp((r if math.isinf(clip) else r.clamp(-clip, clip)) - shift)

    return Functional(lambda r: r, weight, lambda a, u: a - _log(u) - shift, lambda a, u: (1.0, -1.0 / max(u, 1e-300)))


def nguyen() -> Functional:
    """A + 1 - U of a log-ratio: NWJ."""
    return Functional(lambda r: r, torch.exp, lambda a, u: a + 1.0 - u, lambda a, u: (1.0, -1.0))


def plug_in() -> Functional:
    """A: the mean log-ratio over joint pairs."""
    return Functional(lambda r: r, None, lambda a, u: a, lambda a, u: (1.0, 0.0))


def of_ratio(readout: str, shift: float = 0.0) -> Functional:
    """The read-outs that take any log-ratio."""
    return {"kl": donsker_varadhan(shift), "plugin": plug_in(), "nwj": nguyen()}[readout]


class Objective:
    """A variational objective: to train a critic, and to read it out.

    Attributes:
        name: as in `drocl.mi.ESTIMATORS`.
        quantity: what the own read-out bounds: "kl" or the divergence's name.
        rows: the critic is defined up to a function of x only (InfoNCE, decoupled): it must be normalised over y before any
            read-out other than the own.
        readouts: the read-outs that make sense.
        offset: what the best critic adds to the log-ratio.
        steep: a single pair can dominate the gradient: its norm is clipped.
    """

    name: ClassVar[str] = ""
    rows: ClassVar[bool] = False
    quantity: str = "kl"
    readouts: tuple[str, ...] = READOUTS
    steep: bool = False
    offset: float = 0.0

    def training(self, scores: "Tensor | Pairs | tuple[Tensor, Tensor]") -> Tensor:
        """The scalar to maximise, differentiable in the scores."""
        raise NotImplementedError

    def constants(self, scores: "Tensor | Pairs | tuple[Tensor, Tensor]") -> dict[str, float]:
        """Numbers that `log_ratio` needs (the dual variables), from scores of a large sample; empty where it needs none."""
        return {}

    def log_ratio(self, scores: Tensor, constants: Constants | None = None) -> Tensor:
        r"""Critic values as $\log\frac{p(x,y)}{p(x)p(y)}$, elementwise; a critic defined up to c(x) comes back as it is."""
        return scores

    def own(self, constants: Constants, shift: float = 0.0) -> Functional:
        """The own read-out as a functional of raw critic values; row objectives have `row_values` instead.

        Args:
            constants: of `constants`.
            shift: about the largest critic value, to keep exponentials in range where that is possible.
        """
        raise NotImplementedError

    def row_values(self, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """Own value of every row (B,), and the weight of each negative in it (B, K), for row objectives."""
        raise NotImplementedError

    def value(
        self, scores: "Tensor | Pairs | tuple[Tensor, Tensor]", readout: str = "own", constants: Constants | None = None
    ) -> float:
        r"""Read-out of a score matrix or of pairs, nats.

        Args:
            scores: (B, B), or positives (B,) with negatives (B, K).
            readout: "own", "kl" (Donsker-Varadhan of the log-ratio), "plugin" (its mean over joint pairs) or "nwj". A row objective is
                first normalised over the negatives of each row.
            constants: from `constants` on other scores; taken from these scores if None.

        Raises:
            ValueError: a read-out that this objective has not.
        """
        self.check_readout(readout)
        with torch.no_grad():
            pairs = split(scores)
            pairs = Pairs(pairs.positives.double(), pairs.negatives.double())
            if readout == "own" and self.rows:
                return float(self.row_values(pairs)[0].mean())
            known = self.constants(pairs) if constants is None else constants
            if readout == "own":
                functional = self.own(known, float(pairs.negatives.max()))
            else:
                pairs = self.as_ratio(pairs, known)
                functional = of_ratio(readout, float(pairs.negatives.max()))
            a = float(functional.positive(pairs.positives).mean())
            u = float(functional.negative(pairs.negatives).mean()) if functional.negative else 0.0
            return functional.combine(a, u)

    def as_ratio(self, pairs: Pairs, known: Constants) -> Pairs:
        """Pairs of critic values as log-ratios; a row objective is normalised over the negatives of each row."""
        if self.rows:
            level = log_mean_exp(pairs.negatives, 1)
            return Pairs(pairs.positives - level, pairs.negatives - level[:, None])
        return Pairs(self.log_ratio(pairs.positives, known), self.log_ratio(pairs.negatives, known))

    def check_readout(self, readout: str) -> None:
        """Refuse a read-out that does not exist or does not make sense here."""
        if readout not in self.readouts:
            known = ", ".join(self.readouts)
            raise ValueError(f"readout={readout!r} is not one of {self.name}'s: {known}")


def blended(old: float, new: float, weight: float) -> float:
    """log((1 - weight) e^old + weight e^new), weight in (0, 1]: a running mean of exponentials.

    >>> round(blended(0.0, math.log(3.0), 0.5), 12) == round(math.log(2.0), 12)
    True
    """
    return float(np.logaddexp(old + math.log1p(-weight), new + math.log(weight))) if weight < 1.0 else new


def log_mean_exp(values: Tensor, dim: int) -> Tensor:
    """log of the mean of e^v along one axis."""
    return torch.logsumexp(values, dim) - math.log(values.shape[dim])
