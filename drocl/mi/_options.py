"""The options that the neural estimators share, and their checks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from drocl.mi import _interval, critics
from drocl.mi._objective import Objective
from drocl.mi._presets import PRESETS
from drocl.mi.preprocess import check_mode


@dataclass(kw_only=True)
class Options:
    """Options that the neural estimators share. None takes the preset's value.

    Args:
        critic: separable, bilinear, concatenated, cosine or hybrid; a `torch.nn.Module` with `forward(x, y) -> (B,)` and/or
            `matrix(x, y) -> (Bx, By)`, copied for each fold; or a function `(dim_x, dim_y) -> Module`.
        hidden, embed, activation: sizes and activation of the networks of the named critics.
        temperature: of the cosine critic.
        base, inner: of the hybrid critic: "gaussian" (after normal scores the Gaussian copula, fitted on the training part), a module,
            or a `DensityRatio` on preprocessed coordinates; and the correction, "concatenated", "separable" or "bilinear".
        preset: "default" or "fast".
        steps, batch_size, learning_rate, weight_decay: of AdamW, with warm-up and a cosine to 1 % of the rate.
        negatives: "all" pairs of a batch, or a number of shifts of y (default: all for critics whose matrix is cheap, and for row
            objectives; else 8).
        eval_every, patience: steps between looks at the held-out part of the training data (15 %), looks without gain until it stops.
        average: decay of the running mean of the weights; 0 for none.
        readout: "own", "kl", "plugin" or "nwj"; None for the estimator's default.
        normalise: "rows" or "none": what to do with a critic that is defined up to a function of x, before a read-out other than own.
        preprocess: none, standardize, ranks, copula or rich; fitted on the training part of each fold.
        correct: what half the train/test gap is added to: "none", the "interval"'s upper end, or the "value" (then no longer a lower
            bound, but near the truth where the critic can represent it; `details["held_out"]` keeps the bound).
    """

    name: ClassVar[str] = ""
    default_readout: ClassVar[str] = "own"

    critic: Any = None
    hidden: Sequence[int] | None = None
    embed: int | None = None
    activation: str = "relu"
    temperature: float = 0.1
    base: Any = "gaussian"
    inner: str | None = None
    preset: str = "default"
    steps: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    weight_decay: float = 1e-3
    negatives: Any = None
    eval_every: int | None = None
    patience: int = 10
    average: float | None = None
    readout: str | None = None
    normalise: str = "rows"
    preprocess: str | None = None
    correct: str | None = None

    def __post_init__(self) -> None:
        self.check()

    # what an estimator adds

    def objective(self) -> Objective:
        """A fresh objective."""
        raise NotImplementedError

    def chosen_readout(self) -> str:
        """The read-out in use."""
        return self.readout or self.default_readout

    def label(self) -> str:
        """Name with the options that matter."""
        return self.name

    def wants_bounded(self) -> bool:
        """Put the critic through tanh."""
        return False

    # options

    def check(self) -> None:
        """Refuse bad options, before any work.

        Raises:
            ValueError: names the option, its value and what is allowed.
        """
        if self.preset not in PRESETS:
            raise ValueError(f"preset={self.preset!r} must be one of {', '.join(PRESETS)}")
        for option in ("embed", "steps", "batch_size", "eval_every", "patience"):
            least = 2 if option == "batch_size" else 1
            value = self.of(option)
            if not (isinstance(value, int) and value >= least):
                raise ValueError(f"{option}={value!r} must be an integer >= {least}")
        if not (
            isinstance(self.of("hidden"), Sequence) and all(isinstance(h, int) and h > 0 for h in self.of("hidden"))
        ):
            raise ValueError(f"hidden={self.hidden!r} must be a sequence of positive integers")
        for option, low, high in (
            ("learning_rate", 0.0, math.inf),
            ("weight_decay", -1e-300, math.inf),
            ("average", -1e-300, 1.0),
        ):
            value = self.of(option)
            if not (isinstance(value, int | float) and low < value < high):
                raise ValueError(f"{option}={value!r} must be a number in ({max(low, 0.0):g}, {high:g})")
        if not (
            self.negatives is None
            or self.negatives == "all"
            or (isinstance(self.negatives, int) and self.negatives > 0)
        ):
            raise ValueError(f"negatives={self.negatives!r} must be 'all' or a positive integer")
        check_mode(self.of("preprocess"))
        if self.of("correct") not in _interval.CORRECTIONS:
            raise ValueError(f"correct={self.correct!r} must be one of {', '.join(_interval.CORRECTIONS)}")
        if self.normalise not in ("rows", "none"):
            raise ValueError(f"normalise={self.normalise!r} must be 'rows' or 'none'")
        self._check_critic()
        self._check_readout()

    def _check_critic(self) -> None:
        known = isinstance(self.of("critic"), nn.Module) or (
            callable(self.of("critic")) and not isinstance(self.of("critic"), str)
        )
        if not known and self.of("critic") not in critics.NAMES:
            raise ValueError(
                f"critic={self.critic!r} must be one of {', '.join(critics.NAMES)}, a torch module or a function (dim_x, dim_y) -> "
                "module"
            )
        if self.of("inner") not in ("concatenated", "separable", "bilinear"):
            raise ValueError(f"inner={self.inner!r} must be 'concatenated', 'separable' or 'bilinear'")
        if isinstance(self.base, str) and self.base != "gaussian":
            raise ValueError(f"base={self.base!r} must be 'gaussian', a critic or a density ratio")

    def _check_readout(self) -> None:
        objective = self.objective()
        objective.check_readout(self.chosen_readout())
        if objective.rows and self.chosen_readout() != "own" and self.normalise == "none":
            raise ValueError(
                f"readout={self.chosen_readout()!r} of {self.name} needs normalise='rows': its critic is defined up to a function of x "
                "and the read-out would be wrong by it"
            )

    def of(self, option: str) -> Any:
        """The value of an option, from the preset where it is None."""
        value = getattr(self, option, None)
        return PRESETS[self.preset][option] if value is None else value
