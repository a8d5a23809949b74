"""Where an estimate's bias comes from: ceiling, finite batch, critic, optimisation."""

import math
from dataclasses import dataclass

from drocl.latent.kinds import Real

__all__ = ["BiasPart", "BiasParts", "bias_parts"]

Stage = Real | tuple[Real, Real]


@dataclass(frozen=True)
class BiasPart:
    """One part of a bias, nats.

    Attributes:
        value: the part.
        error: its standard error; 0 where both its ends are exact.
    """

    value: float
    error: float = 0.0

    @property
    def sampled(self) -> bool:
        """Whether one of its ends was sampled."""
        return self.error > 0.0


@dataclass(frozen=True)
class BiasParts:
    r"""A bias in parts that add up to it: what was achieved, minus the truth.

    Attributes:
        truth: I, nats.
        ceiling: population value at the optimal critic, minus I (SMILE's clip, InfoNCE's negatives).
        batch: expectation on a finite batch at the optimal critic, minus the population value.
        critic: best expectation over the family of critics, minus that at the optimal critic.
        optimisation: what training achieved, minus the best of the family.
    """

    truth: float
    ceiling: BiasPart
    batch: BiasPart
    critic: BiasPart
    optimisation: BiasPart

    @property
    def parts(self) -> dict[str, BiasPart]:
        """The four parts by name, in order."""
        return {name: getattr(self, name) for name in ("ceiling", "batch", "critic", "optimisation")}

    @property
    def total(self) -> float:
        """The bias, nats."""
        return sum(part.value for part in self.parts.values())


def bias_parts(
    truth: Real, *, population: Stage, batch: Stage | None = None, family: Stage | None = None,
    achieved: Stage | None = None,
) -> BiasParts:  # fmt: skip
    r"""Split the bias of an estimator along the chain truth, population, batch, family, achieved.

    Args:
        truth: I, nats, exact.
        population: value at the optimal critic with the estimator's own form (its N, its clip), any batch size.
        batch: expectation on a finite batch at the optimal critic; as `population` where None (InfoNCE, NWJ: a mean
            over rows has the expectation of one).
        family: best expectation over the critics that training can reach; as the stage before where None.
        achieved: expectation of what training returned; as the stage before where None.
            Each stage is a number where it is exact, or (mean, standard error) where it was sampled.

    Returns:
        The parts. One whose ends include a sampled stage is marked as sampled.

    Raises:
        ValueError: if a number is not finite, or a standard error negative.

    >>> parts = bias_parts(2.0, population=1.8, achieved=(1.6, 0.01))
    >>> round(parts.total, 12), parts.ceiling.sampled, parts.optimisation.sampled
    (-0.4, False, True)
    """
    chain: list[tuple[float, float]] = [(float(truth), 0.0)]
    for name, stage in (("population", population), ("batch", batch), ("family", family), ("achieved", achieved)):
        chain.append(chain[-1] if stage is None else _stage(name, stage))
    given = (population, batch, family, achieved)
    parts = []
    for (before, error), (after, new), stage in zip(chain[:-1], chain[1:], given, strict=True):
        parts.append(BiasPart(0.0) if stage is None else BiasPart(after - before, math.hypot(error, new)))
    return BiasParts(float(truth), *parts)


def _stage(name: str, stage: Stage) -> tuple[float, float]:
    value, error = stage if isinstance(stage, tuple) else (stage, 0.0)
    if not (math.isfinite(value) and math.isfinite(error) and error >= 0.0):
        raise ValueError(f"{name}={stage!r} must be a finite number, or one with its standard error of at least 0")
    return float(value), float(error)
