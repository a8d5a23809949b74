"""What the reference returns."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ReferenceSolution"]


@dataclass(frozen=True)
class ReferenceSolution:
    """One certified worst case, or what was found of it.

    Attributes:
        value: E_Q f (constrained) or E_Q f - temperature D (penalised) at `weights`, in score units: a lower bound, and
            `value + gap` an upper bound, of the optimal value.
        weights: Q (n,), inside the ball; 0 where the base is 0.
        multiplier: dual variable of the ball, read off the solver (the smallest optimal one at a kink); the temperature
            in the penalised form; nan where none was found.
        normalizer: beta, the dual variable of the sum constraint: weights/base = (phi*)'((f - beta)/multiplier).
        radius: D(Q || Q0) of `weights`, in nats.
        gap: primal-dual gap, in score units, recomputed here from the conjugate.
        status: "optimal" if the gap is at most tolerance times the spread of the scores and the multiplier (in the
            penalised form, the radius) is known to the same relative tolerance, else "inconclusive".
        solver: the solver whose answer this is; "closed form" where none was needed.
        seconds: wall time of all solvers tried.
        excess: E_Q f - E_Q0 f, accurate where it is tiny.
        multiplier_interval: an interval that holds every optimal multiplier (at a kink: exactly these).
        message: why the status is what it is.
    """

    value: float
    weights: NDArray[np.float64]
    multiplier: float
    normalizer: float
    radius: float
    gap: float
    status: str
    solver: str
    seconds: float
    excess: float = math.nan
    multiplier_interval: tuple[float, float] = (math.nan, math.nan)
    message: str = ""
