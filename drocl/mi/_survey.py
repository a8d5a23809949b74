"""Several estimators on one sample, one after the other: each result is stored before the next begins."""

import ast
import difflib
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from drocl import results
from drocl.mi import _check, _registry
from drocl.mi._files import Sample
from drocl.mi._registry import ESTIMATORS
from drocl.mi._types import MIEstimate, MIWarning
from drocl.mi.api import estimate
from drocl.mi.preprocess import check_mode

Row = dict[str, Any]
MOST_DETAILS = 200  # numbers: what has one a pair does not go into a file


@dataclass(frozen=True)
class Choice:
    """An estimator with its options.

    Attributes:
        label: as it was asked for.
        name: of `ESTIMATORS`.
        options: of its constructor.
        problem: why it cannot run here; empty where it can.
    """

    label: str
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class Settings:
    """What all estimators share; see `drocl.mi.estimate`."""

    level: float = 0.9
    preprocess: str | None = None
    folds: int | None = None
    seed: int = 0
    device: str = "cpu"


def parse(estimators: str, shared: Sequence[str] = ()) -> list[Choice]:
    """Estimators from a command line.

    Args:
        estimators: names with commas between them, each with options of its own after colons: `cca,dro:divergence=chi2:tight=false`.
        shared: `key=value` for every estimator that has this option.

    Raises:
        ValueError: an unknown estimator or option, or a bad value, before any work.

    >>> [(choice.label, choice.options) for choice in parse("ksg:k=5,cca", ["k=3"])]
    [('ksg:k=5', {'k': 5}), ('cca', {})]
    """
    common = dict(_option("option", text) for text in shared)
    taken: set[str] = set()
    made = [_choice(item, common, taken) for item in dict.fromkeys(_items(estimators))]
    if unused := [key for key in common if key not in taken and not any(choice.problem for choice in made)]:
        has = "; ".join(f"{c.name}: {', '.join(_registry.accepted(_registry._load(c.name))) or 'none'}" for c in made)
        raise ValueError(f"option={unused[0]!r} is an option of none of the estimators; they have {has}")
    return made


def _items(text: str) -> list[str]:
    items = [
        item.strip() for item in re.split(r",(?![^(\[]*[)\]])", text) if item.strip()
    ]  # not at commas inside a tuple
    if not items:
        raise ValueError(f"estimators={text!r} names none; the known ones are {', '.join(ESTIMATORS)}")
    return items


def _choice(label: str, common: Mapping[str, Any], taken: set[str]) -> Choice:
    name, *texts = label.split(":")
    if name not in ESTIMATORS:
        near = difflib.get_close_matches(name, ESTIMATORS, n=2, cutoff=0.5)
        more = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"estimators={name!r} is unknown; the known ones are {', '.join(ESTIMATORS)}{more}")
    own = dict(_option(label, text) for text in texts)
    try:
        known = _registry.accepted(_registry._load(name))
        inherited = {key: value for key, value in common.items() if key in known}
        taken.update(inherited)
        options = {**inherited, **own}
        _registry.make(name, **options)
    except ImportError as missing:  # the others can still run
        return Choice(label, name, own, str(missing))
    except (ValueError, TypeError) as wrong:  # of a type that its check did not foresee
        raise ValueError(f"{label}: {wrong}") from None
    return Choice(label, name, options)


def _option(where: str, text: str) -> tuple[str, Any]:
    key, sign, value = text.partition("=")
    key, value = key.strip().replace("-", "_"), value.strip()
    if not (sign and key.isidentifier() and value):
        raise ValueError(f"{where}={text!r} must be key=value, e.g. steps=500")
    words = {"true": True, "false": False, "none": None}
    if value.lower() in words:
        return key, words[value.lower()]
    try:
        return key, float(value) if value.lower() in ("inf", "-inf") else ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):  # what the parser raises for words
        return key, value


def check(sample: Sample, settings: Settings) -> tuple[str, ...]:
    """Refuse bad input before any work; notes on what will be done to it.

    Raises:
        ValueError: see `drocl.mi.estimate`.
    """
    x, _, notes = _check.pairs(sample.x, sample.y)
    _check.options(settings.level, settings.folds, settings.seed, len(x))
    if settings.preprocess is not None:
        check_mode(settings.preprocess)
    if settings.device != "cpu":
        try:
            from drocl.mi._crossfit import _device
        except ModuleNotFoundError:
            raise ValueError(f"device={settings.device!r} needs torch: pip install 'drocl[train]'") from None
        _device(settings.device)
    return notes


def run(
    sample: Sample, choices: Sequence[Choice], settings: Settings, store: results.Store, *, fresh: bool = False, progress: bool = False,
    begins: Callable[[int, str], None] = lambda place, label: None,
) -> Iterator[Row]:  # fmt: skip
    """Rows, one an estimator, in order; stored results of the same input, options and library are loaded.

    Args:
        sample: the pairs.
        choices: of `parse`.
        settings: for all.
        store: where results go.
        fresh: compute also what is stored.
        progress: bars on stderr.
        begins: told the place and label of each estimator that is about to be computed.

    Yields:
        `estimator`, `value`, `lo`, `hi`, `quantity`, `truth`, ...; or `estimator` and `error`, where one failed.
    """
    library = results.library_fingerprint()
    for place, choice in enumerate(choices):
        if choice.problem:
            yield {"estimator": choice.label, "error": choice.problem, "loaded": False}
            continue
        address = results.key(
            kind="mi",
            library=library,
            data=sample.digest,
            estimator=choice.name,
            options=choice.options,
            settings=asdict(settings),
        )
        held: Row | None = None if fresh else store.get(address)
        loaded = held is not None
        if held is None:
            begins(place, choice.label)
            try:
                held = store.put(address, _plain(_estimate(sample, choice, settings, progress)))
            except Exception as problem:  # one estimator must not stop the others
                yield {"estimator": choice.label, "error": _told(problem), "loaded": False}
                continue
        yield _row(held, choice, sample, loaded)


def _told(problem: Exception) -> str:
    if isinstance(problem, ModuleNotFoundError) and problem.name == "torch":
        return "it needs torch: pip install 'drocl[train]'"
    return str(problem) if isinstance(problem, ValueError | ImportError) else f"{type(problem).__name__}: {problem}"


def _estimate(sample: Sample, choice: Choice, settings: Settings, progress: bool) -> MIEstimate:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MIWarning)  # they stand in the result
        return estimate(sample.x, sample.y, choice.name, **asdict(settings), progress=progress, **choice.options)


def _plain(found: MIEstimate) -> Row:
    details = {key: value for key, value in found.details.items() if np.size(value) <= MOST_DETAILS}
    return {
        "name": found.estimator, "value": float(found.value), "lo": float(found.interval[0]), "hi": float(found.interval[1]),
        "level": found.level, "n_train": found.n_train, "n_test": found.n_test, "seconds": round(found.seconds, 3),
        "warnings": list(found.warnings), "details": details, "history": list(found.history),
    }  # fmt: skip


def _row(held: Row, choice: Choice, sample: Sample, loaded: bool) -> Row:
    details = held["details"]
    quantity = str(details.get("quantity", "kl"))
    # two configurations of one estimator are told apart by what was asked for
    label = held["name"] if choice.label == choice.name else choice.label
    if label == choice.label and "chosen" in details:
        label = f"{label} ({details['chosen']})"
    return {
        "estimator": label, "asked": choice.label, "options": results.jsonable(choice.options), "quantity": quantity,
        "truth": _truth(sample, quantity), "ceiling": float(details.get("ceiling", math.inf)), "loaded": loaded,
        **held, **{key: float(held[key]) for key in ("value", "lo", "hi")},
    }  # fmt: skip


def _truth(sample: Sample, quantity: str) -> float | None:
    if sample.task is None:
        return None
    try:
        return sample.task.mutual_information if quantity == "kl" else sample.task.information(quantity)
    except ValueError:  # not known for this divergence
        return None
