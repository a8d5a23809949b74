"""A trained critic as a density ratio, with what it needs to be read out on new pairs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from drocl.mi import _readout, critics
from drocl.mi._objective import Functional, Objective, log_mean_exp, of_ratio
from drocl.mi._types import Array
from drocl.mi.preprocess import Preprocessor

REFERENCES = 4096  # y's that a row is normalised over, for cheap critics
BLOCK = 128  # pairs of a block in which a costly critic sees all products
CALIBRATION = 2000


@dataclass(frozen=True)
class Fitted:
    r"""A critic fitted on one sample.

    Attributes:
        critic, objective: as trained.
        sides: preprocessing of x and y, fitted on the same sample.
        constants: the objective's dual variables on the training sample.
        sample: preprocessed training pairs (without the part held out for early stopping).
        history: of the training.
        device: where the critic is.
    """

    critic: nn.Module
    objective: Objective
    sides: tuple[Preprocessor, Preprocessor]
    constants: Mapping[str, float]
    sample: tuple[Tensor, Tensor]
    history: list[dict[str, float]]
    device: torch.device

    @classmethod
    def settle(
        cls, critic: nn.Module, objective: Objective, sides: tuple[Preprocessor, Preprocessor], sample: tuple[Tensor, Tensor],
        history: list[dict[str, float]], device: torch.device,
    ) -> "Fitted":  # fmt: skip
        """Take the dual variables from products of the training sample."""
        constants: dict[str, float] = {}
        if not objective.rows:
            with torch.no_grad():
                some = min(len(sample[0]), CALIBRATION if _cheap(critic) else 4 * BLOCK)
                constants = objective.constants(critics.matrix(critic, sample[0][:some], sample[1][:some]))
        return cls(critic, objective, sides, constants, sample, history, device)

    @cached_property
    def top(self) -> tuple[float, float]:
        """Largest critic value and largest log-ratio of a training pair. New values are capped there.

        A bound holds for any critic, and a product pair far outside the sample must not decide the mean of an exponential.
        """
        with torch.no_grad():
            sides = (side.split(1024) for side in self.sample)
            raw = torch.cat([critics.values(self.critic, *rows) for rows in zip(*sides, strict=True)])
            return float(raw.max()), float(self._uncapped(raw, self._level(self.sample[0])).max())

    def inputs(self, x: Array, y: Array) -> tuple[Tensor, Tensor]:
        """Preprocessed tensors of new pairs."""
        pair = [
            torch.as_tensor(side(v), dtype=torch.float32).to(self.device)
            for side, v in zip(self.sides, (x, y), strict=True)
        ]
        return pair[0], pair[1]

    def log_ratio(self, x: Array, y: Array) -> Array:
        r"""$\log\frac{p(x,y)}{p(x)p(y)}$ at new pairs x (m, dx), y (m, dy): (m,), nats."""
        left, right = self.inputs(x, y)
        with torch.no_grad():
            found: Array = (
                self._ratio(critics.values(self.critic, left, right), self._level(left)).double().cpu().numpy()
            )
        return found

    def _ratio(self, raw: Tensor, level: Tensor | None) -> Tensor:
        return self._uncapped(raw, level).clamp_max(self.top[1])

    def _uncapped(self, raw: Tensor, level: Tensor | None) -> Tensor:
        if level is not None:
            return raw - (level if raw.ndim == 1 else level[:, None])
        return self.objective.log_ratio(raw, self.constants)

    def _level(self, x: Tensor) -> Tensor | None:
        """log E e^g over the training y's, for a critic that is defined up to a function of x."""
        if not self.objective.rows:
            return None
        reference = self.sample[1][: REFERENCES if _cheap(self.critic) else 4 * BLOCK]
        return torch.cat([log_mean_exp(critics.matrix(self.critic, rows, reference), 1) for rows in x.split(1024)])

    def read(self, x: Tensor, y: Tensor, readout: str, batch: int, seed: int) -> _readout.HeldOut:
        """Read-out on preprocessed pairs.

        Args:
            x, y: of `inputs`.
            readout: "own", "kl", "plugin" or "nwj".
            batch: pairs in a batch of a row objective's own read-out.
            seed: assigns pairs to batches and blocks.
        """
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            matrix = self._matrix(x, y)
            if readout == "own" and self.objective.rows:
                return _readout.by_rows(self.objective, matrix, len(x), batch, generator)
            raw = critics.values(self.critic, x, y)
            heavy = getattr(self.objective, "heavy", False)
            block = self._block(len(x))
            if readout == "own":
                cap = self.top[0]
                own: Callable[[float], Functional] = lambda shift: self.objective.own(self.constants, shift)  # noqa: E731
                capped: _readout.Scorer = lambda rows, columns: matrix(rows, columns).clamp_max(cap)  # noqa: E731
                return _readout.by_functional(own, raw.clamp_max(cap), capped, generator, block, heavy)
            level = self._level(x)

            def ratios(rows: Tensor, columns: Tensor) -> Tensor:
                return self._ratio(matrix(rows, columns), None if level is None else level[rows.to(level.device)])

            make: Callable[[float], Functional] = lambda shift: of_ratio(readout, shift)  # noqa: E731
            return _readout.by_functional(make, self._ratio(raw, level), ratios, generator, block, heavy)

    def _block(self, n: int) -> int:
        if not _cheap(self.critic):
            return BLOCK
        return n if n * n <= _readout.MOST_PAIRS else _readout.MOST_PAIRS // n

    def _matrix(self, x: Tensor, y: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        if isinstance(self.critic, critics.Separable):  # both sides once
            left, right = self.critic.left(x), self.critic.right(y)
            return lambda rows, columns: left[rows.to(x.device)] @ right[columns.to(x.device)].T
        return lambda rows, columns: critics.matrix(self.critic, x[rows.to(x.device)], y[columns.to(x.device)])


def _cheap(critic: nn.Module) -> bool:
    return bool(getattr(critic, "cheap", False))
