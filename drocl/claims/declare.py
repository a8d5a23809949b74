"""A claim: one printed statement, the check of it, its grid of cases and its negative control."""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drocl.claims.evidence import Evidence

ASSERTS = ("identity", "bound", "limit", "rate", "coverage")
PROFILES = ("quick", "standard", "paper")
ATTACK_BUDGET = {"quick": 200, "standard": 2_000, "paper": 20_000}
# A parameter of these names could not be told from an option of `drocl verify`.
RESERVED = frozenset(
    ("profile", "check", "write", "embeddings", "jobs", "engine", "out", "explain", "fresh", "attack", "help")
)

Grid = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Claim:
    """One statement and the check of it; call it as the check itself, `claim(**params) -> Evidence`.

    The fields are the arguments of `claim`, which explains them, and `file` and `line` (where the check is defined).
    """

    id: str
    title: str
    statement: str
    source: str
    asserts: str
    assumes: tuple[str, ...]
    uses: tuple[str, ...]
    grid: Grid
    standard: Grid
    paper: Grid
    cases: tuple[Mapping[str, Any], ...]
    control: Mapping[str, Any]
    control_says: str
    control_expects: str
    control_grid: Grid | None
    tolerance: str
    cost: str
    device: str
    needs: tuple[str, ...]
    figure: str | None
    attack: Callable[..., Evidence] | None
    attack_budget: Mapping[str, int]
    sampled: bool
    profiles: tuple[str, ...]
    repairs: str | None
    check: Callable[..., Evidence]
    file: Path
    line: int

    def __call__(self, **params: Any) -> Evidence:
        return self.check(**params)

    @property
    def axes(self) -> tuple[str, ...]:
        """Parameters a user may set: those of the check, without the control's ingredients."""
        return tuple(name for name in inspect.signature(self.check).parameters if name not in self.control)

    @property
    def size_axis(self) -> str | None:
        """The first axis of the grid: what "smallest counterexample" is measured by."""
        return next(iter(self.grid), None)

    def grid_at(self, profile: str) -> dict[str, tuple[Any, ...]]:
        """The axes at a profile: each larger profile keeps what the smaller one says, unless it replaces the axis."""
        layers = {"quick": (), "standard": (self.standard,), "paper": (self.standard, self.paper)}[profile]
        axes = {name: tuple(values) for name, values in self.grid.items()}
        for layer in layers:
            axes.update({name: tuple(values) for name, values in layer.items()})
        return axes


def claim(
    id: str,
    *,
    says: str,
    source: str,
    asserts: str,
    grid: Grid,
    control: Mapping[str, Any],
    title: str = "",
    assumes: Iterable[str] = (),
    uses: Iterable[str] = (),
    standard: Grid | None = None,
    paper: Grid | None = None,
    cases: Iterable[Mapping[str, Any]] = (),
    control_says: str = "",
    control_expects: str = "violated",
    control_grid: Grid | None = None,
    tolerance: str = "",
    cost: str = "seconds",
    device: str = "cpu",
    needs: Iterable[str] = (),
    figure: str | None = None,
    attack: Callable[..., Evidence] | None = None,
    attack_budget: Mapping[str, int] | None = None,
    sampled: bool | None = None,
    profiles: Iterable[str] = PROFILES,
    repairs: str | None = None,
) -> Callable[[Callable[..., Evidence]], Claim]:
    r"""Turn a check into a claim that the registry, the tests, the report and the command line know.

    Args:
        id: kebab-case name, unique in the catalogue.
        says: the statement, TeX that matplotlib's mathtext can set.
        source: "key, number": a key of references.bib and where in it the statement stands.
        asserts: "identity", "bound", "limit", "rate" or "coverage".
        grid: values of each parameter at the quick profile; cases are their product. The first axis is the size.
        control: keyword arguments of the check replaced, in the control run, by a plausible wrong ingredient.
        title: one line in words.
        assumes: what the statement needs.
        uses: ids of the claims it builds on.
        standard: axes replaced at the standard and paper profiles.
        paper: axes replaced, further, at the paper profile.
        cases: explicit further cases, each a mapping of parameters.
        control_says: the control's wrong (or repaired) ingredient in words.
        control_expects: "violated", or "holds" where the claim itself is violated and the control repairs it.
        control_grid: axes replaced in the control run (explicit cases are then left out of it).
        tolerance: the reason for the tolerance.
        cost: "seconds", "minutes", "hours".
        device: "cpu" or "cuda".
        needs: optional modules the check imports, such as "torch"; where one is missing the claim is "not run".
        figure: id of its figure.
        attack: `attack(seed, budget, **control) -> Evidence`, the worst case that a search finds; one more case.
        attack_budget: evaluations the attack may spend at each profile (200, 2,000, 20,000 unless given).
        sampled: whether cases are decided by a confidence interval, and share the run's error probability
            (`family`); by default where `asserts` is "coverage".
        profiles: the profiles that run it; the others list it as "not run".
        repairs: id of the violated claim of which this is the repaired form.

    Returns:
        A decorator that makes the check a `Claim`.

    Raises:
        ValueError: if an argument is missing, misspelt or does not fit the check's signature; it names the file.
    """

    def decorate(check: Callable[..., Evidence]) -> Claim:
        code = inspect.unwrap(check).__code__
        made = Claim(
            id=id, title=title or id.replace("-", " ").capitalize(), statement=says, source=source, asserts=asserts,
            assumes=_words(assumes), uses=_words(uses), grid=_axes(grid), standard=_axes(standard or {}),
            paper=_axes(paper or {}), cases=tuple(dict(case) for case in cases), control=dict(control),
            control_says=control_says, control_expects=control_expects,
            control_grid=None if control_grid is None else _axes(control_grid), tolerance=tolerance, cost=cost,
            device=device, needs=_words(needs), figure=figure, attack=attack, attack_budget={**ATTACK_BUDGET, **(attack_budget or {})},
            sampled=asserts == "coverage" if sampled is None else sampled, profiles=_words(profiles), repairs=repairs,
            check=check, file=Path(code.co_filename), line=code.co_firstlineno,
        )  # fmt: skip
        fault = next(_faults(made), None)
        if fault:
            raise ValueError(f"{made.file}:{made.line}: claim {id!r}: {fault}")
        COLLECTED.append(made)
        return made

    return decorate


#: Claims in the order in which their files were imported; the registry drains it.
COLLECTED: list[Claim] = []


def _words(words: Iterable[str]) -> tuple[str, ...]:
    return (words,) if isinstance(words, str) else tuple(words)  # uses="other-claim" means one id, not its letters


def _axes(grid: Grid) -> dict[str, tuple[Any, ...]]:
    return {str(name): tuple(values) for name, values in grid.items()}


def _faults(made: Claim) -> Iterator[str]:
    """What is wrong with a claim, in words, most basic first."""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", made.id):
        yield "the id must be kebab-case (a-z, 0-9, single hyphens)"
    for name, value, known in (
        ("asserts", made.asserts, ASSERTS),
        ("control_expects", made.control_expects, ("violated", "holds")),
        ("device", made.device, ("cpu", "cuda")),
    ):
        if value not in known:
            yield f"{name}={value!r} must be one of {', '.join(known)}"
    if not made.statement.strip() or not made.source.strip():
        yield "it needs `says` and `source`"
    if wrong := [name for name in made.needs if not name.isidentifier()]:
        yield f"needs={wrong[0]!r} must be the name of a module, such as 'torch'"
    if not made.profiles or set(made.profiles) - set(PROFILES):
        yield f"profiles={made.profiles!r} must be some of {', '.join(PROFILES)}"
    if not made.control:
        yield "it has no control: name a keyword of the check and the wrong ingredient to put there"
    yield from _signature_faults(made)


def _signature_faults(made: Claim) -> Iterator[str]:
    parameters = inspect.signature(made.check).parameters
    known = ", ".join(parameters)
    for name in made.control:
        if name not in parameters or parameters[name].default is inspect.Parameter.empty:
            yield f"control {name!r} must be a parameter with a default (parameters: {known})"
    if taken := RESERVED & set(parameters):
        yield f"parameter {min(taken)!r} has the name of an option of `drocl verify`"
    for label, axes in (("grid", made.grid), ("standard", made.standard), ("paper", made.paper),
                        ("control_grid", made.control_grid or {})):  # fmt: skip
        for name, values in axes.items():
            if name not in made.axes:
                yield f"{label} axis {name!r} is not a parameter of the check (parameters: {', '.join(made.axes)})"
            if not values:
                yield f"{label} axis {name!r} has no values"
            yield from (f"{label}: {name}={value!r} must be a number, a string or None" for value in values
                        if not isinstance(value, (bool, int, float, str, type(None))))  # fmt: skip
    needed = {name for name, parameter in parameters.items() if parameter.default is inspect.Parameter.empty}
    for label, given in (("grid", set(made.grid)), *(("case", set(case)) for case in made.cases)):
        if missing := needed - given - {"seed"}:  # the runner fills the seed in
            yield f"the {label} gives no value of {sorted(missing)}"
        if unknown := given - set(made.axes):
            yield f"the {label} names {sorted(unknown)}, not a parameter of the check (parameters: {known})"
