"""The staircase: one critic trained on fresh batches while the information of the pairs rises step by step, and its read-outs."""

import math
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch
from torch import Tensor

from drocl import mi
from drocl.mi import gaussian
from drocl.mi.critics import Separable

from ._bridge import Bridge, FreeScale
from ._critic import Flat, open_up
from ._margins import Margins

POINTS = 20  # of the course, on each level
Read = tuple[str, str, dict[str, Any], str]  # label, objective, its options, read-out


@dataclass(frozen=True)
class Setting:
    """Sizes of a staircase.

    Args:
        dimension: d Gaussian pairs.
        levels: true informations, nats, one after the other.
        batch: pairs of a step, fresh at every step.
        steps: of a level.
        tail: last steps of a level, over which it is judged.
        hidden, embed: of the separable critic, ReLU.
        learning_rate: of Adam.
    """

    dimension: int = 20
    levels: tuple[float, ...] = (2.0, 4.0, 6.0, 8.0, 10.0)
    batch: int = 64
    steps: int = 4000
    tail: int = 500
    hidden: tuple[int, ...] = (256, 256, 256)
    embed: int = 32
    learning_rate: float = 5e-4


def plain(config: Setting) -> dict[str, Any]:
    """The fields of `Setting` in a configuration, as an argument of a part; `sizes` is the way back."""
    return {field.name: getattr(config, field.name) for field in fields(Setting)}


def sizes(setting: dict[str, Any]) -> Setting:
    """`Setting` of a part's argument, in which tuples may have become lists."""
    return Setting(**{name: tuple(value) if isinstance(value, list) else value for name, value in setting.items()})


@dataclass(frozen=True)
class Training:
    """How a critic is trained, and its read-outs: of each batch, before the step on it.

    Args:
        objective, options: as `drocl.mi.objective` takes them; or "free scale" (see `_bridge`).
        reads: label, objective and its options, read-out; or label, "bridge".
        start: "random", or "linear": ReLUs shifted so far that nearly all are open at first, and the networks nearly linear maps.
        schedule: "constant", or "cosine": from the rate to 5 % of it over each level.
        rate: factor of the setting's learning rate.
        scores: replace each coordinate by its normal score, from the pairs seen so far.
    """

    objective: str
    reads: tuple[Read, ...]
    options: dict[str, Any] = field(default_factory=dict)
    start: str = "random"
    schedule: str = "constant"
    rate: float = 1.0
    scores: bool = False


def own(name: str, **options: Any) -> Training:
    """An estimator with its own read-out."""
    return Training(name, ((name, name, options, "own"),), options)


def dual(divergence: str, tight: bool, parametrise: str = "log_ratio") -> Training:
    """A phi-dual, read out by KL and by the plain mean of the log-ratio."""
    options = {"divergence": divergence, "tight": tight, "parametrise": parametrise}
    return Training("dro", tuple((f"dro, {label}", "dro", options, label) for label in ("kl", "plugin")), options)


JS_READS: tuple[Read, ...] = (
    ("js, plugin", "js", {}, "plugin"),
    ("js, kl", "js", {}, "kl"),
    ("smile 5", "smile", {"clip": 5.0}, "own"),
    ("smile 1", "smile", {"clip": 1.0}, "own"),
)


def recommended() -> Training:
    """The library's configuration for a stream.

    Networks that start as nearly linear maps of normal scores; Hellinger's dual with a free scale; a cosine over each level; the mean
    log-ratio of the batch, its constant by the bridge of past batches.
    """
    return Training("free scale", (("drocl", "bridge", {}, "plugin"),), start="linear", schedule="cosine", scores=True)


TRAININGS: dict[str, Training] = {
    "drocl": recommended(),
    # what each part of it does: the same from random weights; the usual dual and read-outs with its start, scores and cosine
    "drocl, random start": replace(recommended(), start="random", reads=(("random start", "bridge", {}, "plugin"),)),
    "js, drocl's start": replace(
        recommended(),
        objective="js",
        reads=(("js, same start", "js", {}, "plugin"), ("smile 5, same start", "smile", {"clip": 5.0}, "own")),
    ),
    **{name: own(name) for name in ("infonce", "decoupled", "dv", "mine", "nwj")},
    "js": Training("js", JS_READS),
    **{
        f"{name}, {'tight' if tight else 'loose'}": dual(name, tight)
        for name in ("kl", "hellinger", "js", "chi2")
        for tight in (True, False)
    },
}


def floor(setting: Setting) -> float:
    """Sum over the levels of Var(log r) / B: the mean squared error of the mean exact log-ratio of a batch."""
    return sum(
        setting.dimension * gaussian.correlation_of(mi, setting.dimension) ** 2 / setting.batch for mi in setting.levels
    )


def climb(setting: Setting, training: Training, cubic: bool, seed: int) -> dict[str, list[Any]]:
    """Train through all levels.

    Args:
        setting: sizes.
        training: objective, read-outs.
        cubic: show the third power of Y.
        seed: of the weights and, the same for every training, of the pairs.

    Returns:
        Columns label, level, mean, variance, error (mean square) over the tail, curve (means of the read-outs over `POINTS` equal
        windows of the level).
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _Climb(setting, training, cubic, seed).run()
    finally:
        torch.set_num_threads(threads)


class _Climb:
    def __init__(self, setting: Setting, training: Training, cubic: bool, seed: int) -> None:
        self.setting, self.training, self.cubic = setting, training, cubic
        self.every = max(3, setting.steps // (10 * POINTS))  # steps between two read-outs before the tail
        weights = torch.Generator().manual_seed(2 * seed + 1)
        d = setting.dimension
        critic = Separable(d, d, setting.hidden, setting.embed, generator=weights)
        if training.start == "linear":
            open_up(critic)
        flat = Flat(critic)
        self.weights, self.gradient = flat.weights, flat.gradient
        self.sides = flat.bind(self.weights)
        self.adam = torch.optim.Adam([self.weights], lr=setting.learning_rate, fused=True)
        free = training.objective == "free scale"
        self.objective = FreeScale() if free else mi.objective(training.objective, **training.options)
        self.bridge = Bridge(setting.steps / 40.0) if any(name == "bridge" for _, name, *_ in training.reads) else None
        self.readers = [
            (label, self.bridge if name == "bridge" else mi.objective(name, **options), how)
            for label, name, options, how in training.reads
        ]
        self.margins = (Margins(), Margins())
        self.pairs = torch.Generator().manual_seed(2 * seed)

    def run(self) -> dict[str, list[Any]]:
        table: dict[str, list[Any]] = {name: [] for name in ("label", "level", "mean", "variance", "error", "curve")}
        for level in self.setting.levels:
            seen = self._level(level)
            for i, (label, *_) in enumerate(self.readers):
                tail = torch.tensor([row[i] for step, row in seen if step > self.setting.steps - self.setting.tail])
                cells = (label, level, float(tail.mean()), float(tail.var()), float((tail - level).square().mean()))
                for name, cell in zip(table, (*cells, self._curve(seen, i)), strict=True):
                    table[name].append(cell)
        return table

    def _level(self, level: float) -> list[tuple[int, list[float]]]:
        seen, last = [], self.setting.steps - self.setting.tail
        for step in range(1, self.setting.steps + 1):
            x, y = self._batch(level)
            matrix = self.sides.matrix(x, y)
            if self.bridge is not None:
                self.bridge.watch(matrix)
            if step > last or step % self.every == 0:
                seen.append((step, [reader.value(matrix, how) for _, reader, how in self.readers]))
            self._descend(matrix, step)
        return seen

    def _batch(self, level: float) -> tuple[Tensor, Tensor]:
        size, rho = (self.setting.batch, self.setting.dimension), gaussian.correlation_of(level, self.setting.dimension)
        x = torch.randn(size, generator=self.pairs)
        y = rho * x + math.sqrt(1.0 - rho**2) * torch.randn(size, generator=self.pairs)
        y = y**3 if self.cubic else y
        return (self.margins[0](x), self.margins[1](y)) if self.training.scores else (x, y)

    def _descend(self, matrix: Tensor, step: int) -> None:
        """One step of Adam; none where the gradient is not finite. Steep objectives have its norm clipped at one."""
        matrix.requires_grad_()
        value = self.objective.training(matrix)
        (slope,) = torch.autograd.grad(-value, matrix)
        self.sides.backward(slope)
        if self.objective.steep:
            norm = float(self.gradient.norm())
            if not math.isfinite(norm):
                return
            self.gradient.mul_(min(1.0, 1.0 / max(norm, 1e-30)))
        self.weights.grad = self.gradient
        if self.training.schedule == "cosine":
            turn = 0.5 * (1.0 + math.cos(math.pi * step / self.setting.steps))
            self._rate(self.training.rate * min(1.0, step / 100.0) * (0.05 + 0.95 * turn))
        elif step == 1:
            self._rate(self.training.rate)
        self.adam.step()

    def _rate(self, factor: float) -> None:
        for group in self.adam.param_groups:
            group["lr"] = factor * self.setting.learning_rate

    def _curve(self, seen: list[tuple[int, list[float]]], reader: int) -> list[float]:
        """Means over equal windows of the read-outs at every so many steps."""
        windows: list[list[float]] = [[] for _ in range(POINTS)]
        for step, row in seen:
            if step % self.every == 0:
                windows[(step - 1) * POINTS // self.setting.steps].append(row[reader])
        return [sum(values) / len(values) if values else math.nan for values in windows]
