r"""The phi-divergence dual of distributionally robust optimisation as an estimator, tight and loose, penalised and constrained."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from drocl import divergences
from drocl.divergences import CressieRead, Divergence, JensenShannon
from drocl.dro import worst_case
from drocl.mi import _dual
from drocl.mi._crossfit import Neural
from drocl.mi._objective import Constants, Functional, Objective, Pairs, split


class DROObjective(Objective):
    r"""$E_Pf - \min_\lambda\{\lambda + E_Q\phi^{*}(f-\lambda)\}$ (tight) or the same at $\lambda = 0$ (loose): bounds of $D_\phi$.

    The critic g enters as $f = \phi'(e^g)$ or directly; the density ratio is $(\phi^{*})'(f - \lambda)$, which is $e^g$ only where
    $\lambda = 0$. Any constant may be added to f in the tight form, none in the loose.

    Args:
        divergence: kl, chi2, reverse_kl, hellinger, neyman, js, cressie_read; or an object of `drocl.divergences.get`.
        k: the power of cressie_read.
        tight: minimise lambda (a safeguarded Newton solve, held fixed in the gradient) rather than set it to 0.
        parametrise: "log_ratio" (g) or "direct" (f).

    Raises:
        ValueError: a divergence without a smooth dual; direct and loose where $\phi'$ is bounded above (f would leave the domain).

    Source: wu2023, Theorem 4.2; Agrawal and Horel 2021; Birrell et al. 2022.
    """

    name: ClassVar[str] = "dro"

    def __init__(
        self,
        divergence: str | Divergence = "kl",
        *,
        k: float | None = None,
        tight: bool = True,
        parametrise: str = "log_ratio",
    ) -> None:
        if parametrise not in ("log_ratio", "direct"):
            raise ValueError(f"parametrise={parametrise!r} must be 'log_ratio' or 'direct'")
        self.dual = _dual.make(divergence, direct=parametrise == "direct", k=k)
        self._plain = _dual.make(self.dual.divergence)
        chosen = self.dual.divergence
        if parametrise == "direct" and not tight and math.isfinite(chosen.slope_at_infinity):
            raise ValueError(
                f"parametrise='direct' with tight=False leaves the domain f < {chosen.slope_at_infinity:g} of the conjugate of "
                f"{chosen.label}; use parametrise='log_ratio' or tight=True"
            )
        self.tight, self.quantity = tight, chosen.label
        self.steep = chosen.name != "js"
        self.moment = getattr(chosen, "power", None) or 1.0  # the power of the ratio whose mean over Q the dual holds
        self.heavy = self.moment > 1.0
        self._last = 0.0  # the last shift starts the next solve

    def _shift(self, negatives: Tensor) -> float:
        if not self.tight:
            return 0.0
        self._last = self.dual.best_shift(negatives, start=self._last)
        return self._last

    def training(self, scores: Tensor | Pairs | tuple[Tensor, Tensor]) -> Tensor:
        positives, negatives = split(scores)
        value, shift = self.dual.objective(positives, negatives, None if self.tight else 0.0, start=self._last)
        self._last = shift
        return value

    def constants(self, scores: Tensor | Pairs | tuple[Tensor, Tensor]) -> dict[str, float]:
        pairs = split(scores)
        positives, negatives = pairs.positives.detach().double(), pairs.negatives.detach().double()
        shift = self._shift(negatives)
        # a larger critic value than any seen can have an infinite ratio: new ones stop one nat above the largest joint pair
        ratio = self.dual.ratio(positives, shift)
        finite = ratio[ratio < math.inf]
        top = math.inf if not self.tight else 1.0 + (float(finite.max()) if finite.numel() else 0.0)
        return {"shift": shift, "lambda": self.dual.to_lambda(shift), "top": top}

    def log_ratio(self, scores: Tensor, constants: Constants | None = None) -> Tensor:
        known = constants or {}
        return self.dual.ratio(scores, known.get("shift", 0.0)).clamp_max(known.get("top", math.inf))

    def own(self, constants: Constants, shift: float = 0.0) -> Functional:
        # the loose form at the critic's log-ratio: lambda is spent, whatever sample it came from, and the domain is kept
        return Functional(
            lambda g: self._plain.slope(self.log_ratio(g, constants)),
            lambda g: self._plain.conjugate(self._plain.carrier(self.log_ratio(g, constants)), 0.0),
            lambda a, u: a - u, lambda a, u: (1.0, -1.0),
        )  # fmt: skip


class ConstrainedObjective(Objective):
    r"""$E_Pf - \sup_{D_\phi(Q'\|Q)\leq\eta} E_{Q'}f$ for a bounded critic f.

    The log-ratio is that of the worst case, $\log(\phi^{*})'((f-\lambda)/\alpha)$ with $\alpha$ the multiplier. Not an estimate of
    $D_\phi$: its maximum over critics in [-1, 1] is twice the total variation between P and the ball, 0 once the ball holds P. The
    worst case is a density ratio of divergence at most $\eta$, and the read-outs take that.

    Args:
        divergence, k: as `DROObjective`.
        radius: eta > 0, nats.
    """

    name: ClassVar[str] = "dro"
    readouts = ("kl", "plugin", "nwj")
    steep = True

    def __init__(self, divergence: str | Divergence = "kl", *, radius: float, k: float | None = None) -> None:
        if not (radius > 0.0 and math.isfinite(radius)):
            raise ValueError(f"radius={radius!r} must be a positive finite number of nats")
        chosen = divergences.get(divergence, **({} if k is None else {"k": k}))
        if not isinstance(chosen, CressieRead | JensenShannon):
            _dual.make(chosen)  # refuses by name
        self.divergence, self.radius = chosen, float(radius)

    def _worst(self, negatives: Tensor) -> Any:
        return worst_case(negatives.detach().flatten(), radius=self.radius, divergence=self.divergence)

    def training(self, scores: Tensor | Pairs | tuple[Tensor, Tensor]) -> Tensor:
        positives, negatives = split(scores)
        with torch.no_grad():
            worst = self._worst(negatives)
            slope = (negatives - float(worst.normalizer)) / max(float(worst.multiplier), 1e-6)
            weights: Tensor = self.divergence.conjugate_derivative(slope) / negatives.numel()
        # the value, with the worst case as its gradient (Danskin)
        return positives.mean() - float(worst.value) - (weights * (negatives - negatives.detach())).sum()

    def constants(self, scores: Tensor | Pairs | tuple[Tensor, Tensor]) -> dict[str, float]:
        found = self._worst(split(scores).negatives.detach().double())
        return {"lambda": float(found.normalizer), "multiplier": max(float(found.multiplier), 1e-6)}

    def _slope(self, scores: Tensor, known: Constants) -> Tensor:
        return (scores - known["lambda"]) / known["multiplier"]

    def log_ratio(self, scores: Tensor, constants: Constants | None = None) -> Tensor:
        if constants is None:
            raise ValueError(
                "constants=None: the log-ratio of the constrained form needs the multiplier; see `constants`"
            )
        slope = self._slope(scores, constants)
        if isinstance(self.divergence, CressieRead):
            log_t: Tensor = self.divergence.log_density(slope / self.divergence.scale)
        else:
            log_t = torch.log(self.divergence.conjugate_derivative(slope))
        capped: Tensor = log_t.clamp(_dual.LOWEST, -10.0 * _dual.LOWEST)
        return capped


@dataclass(kw_only=True)
class DRO(Neural):
    r"""Mutual information with a critic trained by a phi-divergence dual, read out by the tight KL dual of its density ratio.

    Args:
        divergence, k, tight, parametrise: see `DROObjective`.
        form: "penalised" (multiplier 1) or "constrained" (needs `radius`; the critic is put through tanh unless bounded).
        radius: of the ball, nats, for the constrained form; the information read out is then about at most that for KL.
        information: "kl" reads out mutual information; "phi" the information $D_\phi(P_{XY}\|P_XP_Y)$ itself, by the own read-out.
        options: see `drocl.mi._options.Options`.

    Source: wu2023, Theorem 4.2 (true for the penalised form with multiplier 1; false as printed for the constrained one).
    """

    name: ClassVar[str] = "dro"
    divergence: str | Divergence = "kl"
    k: float | None = None
    tight: bool = True
    form: str = "penalised"
    radius: float | None = None
    parametrise: str = "log_ratio"
    information: str = "kl"

    def objective(self) -> Objective:
        if self.form == "constrained":
            if self.radius is None:
                raise ValueError("radius=None must be a positive number of nats where form='constrained'")
            if not self.tight or self.parametrise != "log_ratio":
                raise ValueError("form='constrained' is always tight and direct: leave tight and parametrise alone")
            return ConstrainedObjective(self.divergence, radius=self.radius, k=self.k)
        if self.form != "penalised":
            raise ValueError(f"form={self.form!r} must be 'penalised' or 'constrained'")
        if self.radius is not None:
            raise ValueError(f"radius={self.radius!r} plays no part where form='penalised'")
        return DROObjective(self.divergence, k=self.k, tight=self.tight, parametrise=self.parametrise)

    def check(self) -> None:
        if self.information not in ("kl", "phi"):
            raise ValueError(f"information={self.information!r} must be 'kl' or 'phi'")
        if self.information == "phi" and self.form == "constrained":
            raise ValueError(
                "information='phi' needs form='penalised': the constrained form does not estimate a divergence"
            )
        if self.information == "phi" and self.readout not in (None, "own"):
            raise ValueError(
                f"readout={self.readout!r} reads out mutual information; information='phi' has the own read-out alone"
            )
        super().check()

    def chosen_readout(self) -> str:
        return self.readout or ("own" if self.information == "phi" else "kl")

    def label(self) -> str:
        chosen = divergences.get(self.divergence, **({} if self.k is None else {"k": self.k})).label
        if self.form == "constrained":
            return f"dro({chosen}, radius={self.radius:g})"
        return f"dro({chosen}, {'tight' if self.tight else 'loose'})"

    def wants_bounded(self) -> bool:
        return self.form == "constrained"
