"""The neural estimators' common part: options, critics, fitting, cross-fitting and read-out."""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from drocl.mi import _interval, _readout, _warn, critics
from drocl.mi._fitted import Fitted
from drocl.mi._held import splits
from drocl.mi._objective import Objective
from drocl.mi._options import Options
from drocl.mi._presets import PRESETS
from drocl.mi._progress import ticker
from drocl.mi._train import MOST_HELD_OUT, Plan, seeded, train
from drocl.mi._types import Array, MIEstimate
from drocl.mi.preprocess import Preprocessor


@dataclass(kw_only=True)
class Neural(Options):
    """A neural estimator: `fit` one critic, `estimate` with cross-fitting. The options are those of `Options`."""

    # fitting

    def fit(
        self,
        x: Array,
        y: Array,
        *,
        seed: int = 0,
        device: str = "cpu",
        tick: Callable[[int], None] = lambda steps: None,
    ) -> Fitted:
        """One critic on all pairs given (15 % of them for early stopping), as a density ratio.

        Args:
            x, y: float64 (n, dx), (n, dy).
            seed: of weights, split and batches.
            device: torch device.
            tick: told the steps done.

        Returns:
            A `Fitted`, with `log_ratio(x, y)`.
        """
        where, objective = _device(device), self.objective()
        sides = Preprocessor.fit(x, self.of("preprocess"), True), Preprocessor.fit(y, self.of("preprocess"), True)
        with seeded(seed, where):
            generator = torch.Generator().manual_seed(seed)
            data = tuple(
                torch.as_tensor(side(v), dtype=torch.float32).to(where) for side, v in zip(sides, (x, y), strict=True)
            )
            order = torch.randperm(len(x), generator=generator).to(where)
            held = min(max(round(0.15 * len(x)), min(20, len(x) // 3)), MOST_HELD_OUT)
            part = {key: (data[0][i], data[1][i]) for key, i in (("held", order[:held]), ("fit", order[held:]))}
            widths = sides[0].width, sides[1].width
            critic = self._critic(part["fit"], widths, objective.offset, generator).to(where)
            negatives = self._negatives(critic, objective)
            plan = Plan(
                self.of("steps"), self.of("batch_size"), self.of("learning_rate"), self.weight_decay, negatives,
                self.of("eval_every"), self.patience, self.of("average"), self._selection(objective),
            )  # fmt: skip
            history = train(critic, objective, part["fit"], part["held"], plan, generator, tick)
        return Fitted.settle(critic, objective, sides, part["fit"], history, where)

    def _selection(self, objective: Objective) -> str:
        """What early stopping looks at: the KL dual of the log-ratio, or the objective where that is what is reported."""
        other = objective.name == "nwj" or (objective.quantity != "kl" and objective.name != "smile")
        return "training" if self.chosen_readout() == "own" and other else "kl"

    def _negatives(self, critic: nn.Module, objective: Objective) -> "int | str":
        if self.negatives is not None:
            return self.negatives  # type: ignore[no-any-return]
        return "all" if objective.rows or getattr(critic, "cheap", hasattr(critic, "matrix")) else 8

    def _critic(
        self, data: tuple[Tensor, Tensor], widths: tuple[int, int], offset: float, generator: torch.Generator
    ) -> nn.Module:
        dims = data[0].shape[1], data[1].shape[1]
        if isinstance(self.of("critic"), nn.Module):
            made = copy.deepcopy(self.of("critic"))
        elif callable(self.of("critic")):
            made = self.of("critic")(*dims)
        elif self.of("critic") == "hybrid":
            base = self.base
            if base == "gaussian":
                base = critics.gaussian_base(data[0][:, : widths[0]], data[1][:, : widths[1]])
            made = critics.Hybrid(
                copy.deepcopy(base), self._named(self.of("inner"), dims, generator, True), offset=offset, columns=widths
            )
        else:
            made = self._named(self.of("critic"), dims, generator)
        return (
            critics.Bounded(made)
            if self.wants_bounded() and not math.isfinite(getattr(made, "bound", math.inf))
            else made
        )

    def _named(self, name: str, dims: tuple[int, int], generator: torch.Generator, zero: bool = False) -> nn.Module:
        hidden, embed = self.of("hidden"), self.of("embed")
        if name == "separable":
            return critics.Separable(*dims, hidden, embed, self.activation, zero=zero, generator=generator)
        if name == "concatenated":
            return critics.Concatenated(*dims, hidden, self.activation, zero=zero, generator=generator)
        if name == "cosine":
            return critics.Cosine(*dims, hidden, embed, self.temperature, self.activation, generator)
        return critics.Bilinear(*dims, generator)

    # estimation

    def estimate(
        self, x: Array, y: Array, *, level: float, folds: int | None, seed: int, device: str, progress: bool
    ) -> MIEstimate:
        """Cross-fitted estimate; see `drocl.mi.estimate`."""
        began, n = time.perf_counter(), len(x)
        count = folds or min(PRESETS[self.preset]["folds"], n // 10)
        seeds = [int(s.generate_state(1)[0]) for s in np.random.SeedSequence(seed).spawn(count + 1)]
        folds_of = splits(np.random.default_rng(seeds[-1]).permutation(n), count)
        runs: list[_Fold] = []
        with ticker(self.label(), count * self.of("steps"), progress) as tick:
            for k, (fit, test) in enumerate(folds_of):
                fitted = self.fit(x[fit], y[fit], seed=seeds[k], device=device, tick=tick)
                runs.append(_Fold(fitted, self._read(fitted, x[test], y[test], seeds[k]), self._seen(fitted, seeds[k])))
        return self._gather(runs, x, y, level, time.perf_counter() - began)

    def _read(self, fitted: Fitted, x: Array, y: Array, seed: int) -> _readout.HeldOut:
        return fitted.read(*fitted.inputs(x, y), self.chosen_readout(), self.of("batch_size"), seed)

    def _seen(self, fitted: Fitted, seed: int) -> float:
        """The same read-out on pairs the critic was fitted on."""
        x, y = fitted.sample
        some = min(len(x), 2000)
        return fitted.read(x[:some], y[:some], self.chosen_readout(), self.of("batch_size"), seed).value

    def _gather(self, runs: "list[_Fold]", x: Array, y: Array, level: float, seconds: float) -> MIEstimate:
        readout, batch = self.chosen_readout(), self.of("batch_size")
        sizes = [len(run.held.influence) for run in runs]
        values = [run.held.value for run in runs]
        influence = [run.held.influence for run in runs]
        value, error = _interval.over_folds(values, influence)
        seen = _interval.fold_mean([run.seen for run in runs], influence)
        objective = runs[0].fitted.objective
        own = readout == "own"
        ceiling = math.log(min(batch, *sizes)) if own and self.name == "infonce" else math.inf
        bound = float(getattr(runs[0].fitted.critic, "bound", math.inf))
        if readout in ("kl", "own") and objective.quantity == "kl":
            ceiling = min(ceiling, bound)
        look = _warn.Look(
            self.label(), value, error, seen, readout, objective, ceiling, bound, batch, len(x), [r.held for r in runs]
        )
        shown, interval = _interval.corrected(value, error, level, seen, self.of("correct"))
        details = {
            "held_out": value,
            "readout": readout, "quantity": objective.quantity if own else "kl", "ceiling": ceiling, "train": seen,
            "standard_error": error, "fold_values": values, "effective_pairs": look.effective, "preprocess": self.of("preprocess"),
            "constants": [dict(run.fitted.constants) for run in runs],
        }  # fmt: skip
        return MIEstimate(
            value=shown, interval=interval, level=level,
            history=[{"fold": float(k), **entry} for k, run in enumerate(runs) for entry in run.fitted.history],
            estimator=self.label(), n_train=min(len(run.fitted.sample[0]) for run in runs), n_test=sum(sizes), seconds=seconds,
            warnings=_warn.texts(look, x, y), details=details,
        )  # fmt: skip


@dataclass(frozen=True)
class _Fold:
    fitted: Fitted
    held: _readout.HeldOut
    seen: float


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, TypeError) as problem:
        raise ValueError(f"device={name!r} is not available here: {str(problem).splitlines()[0]}") from None
    return device
