r"""The estimator we recommend: copulas, learnt directions, nearest neighbours and networks, chosen by held-out pairs.

Each candidate is a density ratio, fitted on training parts and scored on the parts held out by the tight KL dual
$E_P\log\hat r - \log E_Q\hat r$, which for any ratio is at most I in expectation. The simplest candidate within sampling noise
of the best is read out. Nothing of the task but its pairs enters.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np

from drocl.mi import _interval
from drocl.mi._auto_candidates import Candidate, Independent, choose, fits
from drocl.mi._auto_canonical import CanonicalCopula
from drocl.mi._held import splits
from drocl.mi._progress import ticker
from drocl.mi._types import Array, DensityRatio, MIEstimate
from drocl.mi.copula import MISFIT, TIED, Elliptical, GaussianCopula, StudentCopula, misfit
from drocl.mi.ksg import KSG

Folds = list[tuple[np.ndarray, np.ndarray]]  # training and held-out indices
CANDIDATES = ("gaussian", "student", "ksg", "canonical", "network")
NETWORK_PAIRS = 300  # fewer pairs than this train no network
AGREES = 0.1  # a fitted law may differ by so much, relatively, from its own held-out read-out
FEW = 100.0
NEARER = (0.01, 0.02)  # by so much, in nats and relatively, nearest neighbours must exceed a dual to be preferred


@dataclass(kw_only=True)
class Auto:
    r"""Mutual information by the candidate that held-out pairs favour.

    Candidates: `gaussian` and `student` copulas; `ksg` (up to three dimensions a block); `canonical`, a copula of canonical
    directions of radial features; `network`, a small network that corrects the best of these, trained by the Jensen-Shannon form and
    read out by the KL dual. Read-outs: a copula that fits, its own information with its bias taken off; ksg, its own; all others, the
    middle between the KL dual on training and on held-out pairs, as what is gained on the one is lost on the other to first order.

    Args:
        preset: "full", or "fast": without networks.
        candidates: those to try, any of `gaussian, student, ksg, canonical, network`.
        epochs: of a network, at most.

    The interval takes influence values of the held-out pairs, and reaches upwards by half the gap between training and held-out.
    """

    name: ClassVar[str] = "auto"
    default_preprocess: ClassVar[str] = "none"

    preset: str = "full"
    candidates: tuple[str, ...] = CANDIDATES
    epochs: int = 30

    def __post_init__(self) -> None:
        if self.preset not in ("full", "fast"):
            raise ValueError(f"preset={self.preset!r} must be full or fast")
        self.candidates = tuple(self.candidates)
        unknown = [c for c in self.candidates if c not in CANDIDATES]
        if unknown or not self.candidates:
            raise ValueError(f"candidates={self.candidates!r} must be some of {', '.join(CANDIDATES)}")
        if isinstance(self.epochs, bool) or not isinstance(self.epochs, int) or self.epochs < 1:
            raise ValueError(f"epochs={self.epochs!r} must be a positive integer")

    def estimate(
        self, x: Array, y: Array, *, level: float = 0.9, folds: int | None = None, seed: int = 0, device: str = "cpu",
        progress: bool = False,
    ) -> MIEstimate:  # fmt: skip
        """Estimate from x (n, dx), y (n, dy), float64; four folds by default.

        Raises:
            ValueError: folds that leave fewer than two pairs in a fold.
        """
        began, n = time.perf_counter(), len(x)
        count = 4 if folds is None else folds
        if n // count < 2:
            raise ValueError(f"folds={count} must leave at least two of the {n} pairs in a fold")
        names = tuple(c for c in self.candidates if self.preset == "full" or c != "network")
        wanted = "network" in names and n >= NETWORK_PAIRS
        networks = wanted and find_spec("torch") is not None
        order = np.random.default_rng(seed).permutation(n)
        folds_of = splits(order, count)
        with ticker("auto", count * (1 + 2 * self.epochs * networks), progress) as tick:
            tried = _first(x, y, folds_of, seed, names, lambda: tick(1))
            history: list[dict[str, float]] = []
            if networks:
                history = _networks(tried, x, y, folds_of, seed, self.epochs, device, lambda: tick(1))
        chosen = choose(tried) if any(math.isfinite(c.score) for c in tried.values()) else _nothing(x, y, folds_of)
        value, (lo, hi), how, warnings = _read_out(chosen, x, y, level, seed)
        if how == "kl" and "ksg" in tried and not tried["ksg"].error:
            # in few dimensions nearest neighbours err downwards, as the dual does: the larger of the two is the better
            other = _neighbours(x, y, level, seed)
            if other[0] > value + NEARER[0] + NEARER[1] * abs(value):
                chosen, (value, (lo, hi), how, warnings) = tried["ksg"], other
        details: dict[str, Any] = {
            "chosen": chosen.name, "readout": how, "candidates": {c.name: c.summary() for c in tried.values()},
            **_told(chosen),
        }  # fmt: skip
        warnings += _cautions(value, chosen, n)
        if wanted and not networks:
            warnings.append("torch is not installed, so no network was tried: pip install 'drocl[train]'")
        n_train = min(len(train) for train, _ in folds_of)
        return MIEstimate(
            value,
            (lo, hi),
            level,
            tuple(history),
            f"auto({chosen.name}, {how})",
            n_train,
            n,
            time.perf_counter() - began,
            tuple(warnings),
            details,
        )


def _first(
    x: Array,
    y: Array,
    folds_of: Folds,
    seed: int,
    names: tuple[str, ...],
    tick: Callable[[], None],
) -> dict[str, Candidate]:
    """All candidates without a network."""
    tried: dict[str, Candidate] = {}
    for i, (train, test) in enumerate(folds_of):
        for name, fit in fits(x, y, train, seed + i, names).items():
            one = tried.setdefault(name, Candidate(name))
            one.credit = (
                0.025 if name == "ksg" else 0.0
            )  # psi'(20) / 2: what the noise of a local value costs in log E_Q r
            one.add(fit, x, y, train, test, look_back=name != "ksg")
        tick()
    return tried


def _networks(
    tried: dict[str, Candidate], x: Array, y: Array, folds_of: Folds, seed: int, epochs: int, device: str,
    tick: Callable[[], None],
) -> list[dict[str, float]]:  # fmt: skip
    """A network on the best base, and one on no base where bases fail: their tails can be worse than none."""
    from drocl.mi._auto_network import Corrected

    bases = {n: c for n, c in tried.items() if n != "ksg" and math.isfinite(c.score)}
    best = max(bases.values(), key=lambda c: c.score) if bases else None
    canonical = tried.get("canonical")
    directions: list[Any] = canonical.models if canonical and not canonical.error else [None] * len(folds_of)
    history: list[dict[str, float]] = []

    def train_all(name: str, models: list[Any]) -> None:
        one = tried.setdefault(name, Candidate(name))
        for i, (train, test) in enumerate(folds_of):

            def fit(i: int = i, train: np.ndarray = train) -> DensityRatio:
                made = Corrected.fit(
                    x[train],
                    y[train],
                    models[i],
                    directions[i],
                    seed=seed + i,
                    epochs=epochs,
                    device=device,
                    report=tick,
                )
                history.extend(
                    {"fold": float(i), "plain": float(name == "plain network"), **step} for step in made.history
                )
                return made

            one.add(fit, x, y, train, test, look_back=True)

    if best is not None:
        train_all("network", best.models)
    network = tried.get("network")
    if best is None or network is None or network.error or _base_harms(best, network, tried.get("ksg")):
        train_all("plain network", [Independent()] * len(folds_of))
    return history


def _base_harms(base: Candidate, network: Candidate, ksg: Candidate | None) -> bool:
    """The network leaves its base far behind, or is spoilt by it where nothing else is at hand."""
    alone = ksg is None or bool(ksg.error)
    return network.score > base.score + 0.02 or (alone and network.score < base.score - 0.02)


def _nothing(x: Array, y: Array, folds_of: Folds) -> Candidate:
    one = Candidate("independent")
    for train, test in folds_of:
        one.add(Independent, x, y, train, test, look_back=True)
    return one


def _read_out(
    chosen: Candidate, x: Array, y: Array, level: float, seed: int
) -> tuple[float, tuple[float, float], str, list[str]]:
    """Value, interval, which read-out, warnings."""
    if chosen.name == "ksg":
        return _neighbours(x, y, level, seed)
    held, error = _interval.over_folds([h.value for h in chosen.held], [h.influence for h in chosen.held])
    middle = held + 0.5 * chosen.gap
    if chosen.name in ("gaussian", "student"):
        law = (GaussianCopula if chosen.name == "gaussian" else StudentCopula).fit(x, y)
        own = law.mutual_information()
        if _fits(law, x, y) and abs(own - middle) <= max(AGREES * abs(own), 4.0 * error):
            return own, _interval.normal_interval(own, law.standard_error(x, y), level), "model", []
    value, (low, high) = _interval.corrected(held, error, level, held + chosen.gap, "value")
    return value, (low, high + 0.5 * chosen.gap), "kl", []


def _fits(law: Elliptical, x: Array, y: Array) -> bool:
    """The radii of the scores follow the fitted law, and few values are tied."""
    tied = max(m.tied for m in law.margins)
    allowed = MISFIT + 2.0 / math.sqrt(len(x)) + sum(law.canonical.dims) / len(x)
    return tied <= TIED and misfit(law, x, y) <= allowed


def _neighbours(x: Array, y: Array, level: float, seed: int) -> tuple[float, tuple[float, float], str, list[str]]:
    """KSG at three numbers of neighbours; its interval covers their spread, and twice what halving the sample moves it by."""
    found = KSG(k=5).estimate(x, y, level=level, seed=seed)
    value, error = found.value, float(found.details["standard_error"])
    others = [KSG(k=k, parts=0).estimate(x, y, level=level, seed=seed).value for k in (3, 10)]
    halves = np.array_split(np.random.default_rng(seed).permutation(len(x)), 2)
    drift = value - float(
        np.mean([KSG(k=5, parts=0).estimate(x[h], y[h], level=level, seed=seed).value for h in halves])
    )
    low, high = _interval.normal_interval(value, math.hypot(error, *(0.5 * (o - value) for o in others)), level)
    return value, (low + 2.0 * min(drift, 0.0), high + 2.0 * max(drift, 0.0)), "ksg", list(found.warnings)


def _told(chosen: Candidate) -> dict[str, Any]:
    """What the chosen models say of themselves."""
    told: dict[str, Any] = {}
    models: list[Any] = list(chosen.models)
    if chosen.name == "student":
        told["nu"] = [m.nu for m in models]
    if chosen.name in ("network", "plain network"):
        told["kept"] = [m.keep for m in models]
        models = [m.base for m in models]
    if models and isinstance(models[0], CanonicalCopula):
        told["canonical"] = [m.chosen for m in models]
    return told


def _cautions(value: float, chosen: Candidate, n: int) -> list[str]:
    found = []
    products = sum(h.crossed.size for h in chosen.held) / len(chosen.held)
    if chosen.name == "independent":
        found.append("no candidate could be fitted to so few pairs of so many coordinates: the estimate 0 says nothing")
    if text := _interval.near_log_n(value, n):
        found.append(f"{text}; the figure rests on the fitted law alone")
    if chosen.name != "independent" and chosen.effective < FEW:
        found.append(
            f"held-out products check little: about {chosen.effective:.0f} of {products:.0f} carry the mean of the ratio; the "
            "choice among candidates and the interval are less sure than they look"
        )
    if chosen.gap > max(0.05, 0.15 * abs(value)):
        found.append(
            f"train/test gap: {chosen.value + chosen.gap:.2f} nats on pairs the model was fitted on, {chosen.value:.2f} on new ones; "
            "more pairs would help"
        )
    return found
