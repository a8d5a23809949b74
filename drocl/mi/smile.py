r"""SMILE: the Jensen-Shannon critic, read out by Donsker-Varadhan with a clipped log-ratio."""

from dataclasses import dataclass
from typing import ClassVar

from drocl.mi._crossfit import Neural
from drocl.mi._objective import Constants, Functional, donsker_varadhan
from drocl.mi.js import JSObjective


class SMILEObjective(JSObjective):
    r"""Trained as `JSObjective`; the own read-out is $E_Pg - \log E_Q\,\mathrm{clip}(e^g, e^{-c}, e^c)$.

    No bound: clipping takes mass from the mean over Q, so the read-out can exceed I, also in expectation and at the best critic.

    Args:
        clip: c > 0 in nats; inf for none.
    """

    name: ClassVar[str] = "smile"
    quantity = "kl"

    def __init__(self, clip: float = 5.0) -> None:
        if not clip > 0.0:
            raise ValueError(f"clip={clip!r} must be a positive number of nats, or inf for none")
        self.clip = float(clip)

    def own(self, constants: Constants, shift: float = 0.0) -> Functional:
        return donsker_varadhan(min(shift, self.clip), self.clip)


@dataclass(kw_only=True)
class SMILE(Neural):
    r"""Mutual information by SMILE. Not a bound in either direction (see `SMILEObjective`).

    Args:
        clip: bound of the log-ratio in the mean over Q, nats; smaller is steadier and more biased; inf for plain Donsker-Varadhan.
        options: see `drocl.mi._options.Options`.

    Source: Song and Ermon 2020.
    """

    name: ClassVar[str] = "smile"
    clip: float = 5.0

    def objective(self) -> SMILEObjective:
        return SMILEObjective(self.clip)
