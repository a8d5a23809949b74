"""The plan of a run: which cases of which claims, checked before any of them runs."""

import importlib.util
import inspect
import itertools
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drocl import results
from drocl.catalogue import Catalogue
from drocl.claims import registry
from drocl.claims.declare import PROFILES, Claim
from drocl.claims.overrides import check_overrides

EMBEDDING_AXES = ("model", "scores")
ROLES = ("claim", "attack", "control", "control attack")


@dataclass(frozen=True)
class Request:
    """What a user asks of a run.

    Args:
        profile: "quick", "standard" or "paper".
        seed: replaces the `seed` axis, and seeds the attacks; None keeps the axis, and 0 for the attacks.
        overrides: axes replaced, name -> values.
        embeddings: a user's own .npz, which replaces each `model` and `scores` axis.
    """

    profile: str = "quick"
    seed: int | None = None
    overrides: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    embeddings: Path | None = None

    @property
    def spec(self) -> str | None:
        """The embeddings as a spec string of `drocl.latent`."""
        return None if self.embeddings is None else f"file:{self.embeddings}"

    @property
    def recorded(self) -> bool:
        """Whether this asks for the grid that CLAIMS.md records."""
        return not self.overrides and self.embeddings is None and self.seed is None

    def validate(self) -> None:
        """Check profile and seed.

        Raises:
            ValueError: naming the one that is out of range.
        """
        if self.profile not in PROFILES:
            raise ValueError(f"profile={self.profile!r} must be one of {', '.join(PROFILES)}")
        if self.seed is not None and self.seed < 0:
            raise ValueError(f"seed={self.seed} must be >= 0")


@dataclass(frozen=True)
class Case:
    """One call of a check (or of its attack, where `budget` is given), and the address of its result."""

    claim_id: str
    file: Path
    role: str
    params: Mapping[str, Any]
    seed: int
    budget: int | None
    members: int
    address: str


@dataclass(frozen=True)
class Plan:
    """The cases of one claim, or the reason why it is not run."""

    claim: Claim
    cases: tuple[Case, ...]
    reason: str = ""


def make(
    catalogue: Catalogue, claims: Mapping[str, Claim], ids: Sequence[str], request: Request, no_labels: bool = False
) -> list[Plan]:
    """Lay out the cases of the claims selected.

    Args:
        catalogue: where they are.
        claims: the whole registry; the sampled ones share one error probability, whatever is selected.
        ids: ids of the claims selected.
        request: profile, seed, overrides, embeddings.
        no_labels: whether the embeddings have none, so that claims on class models do not apply.

    Returns:
        A plan a claim, in the order of `ids`.

    Raises:
        ValueError: if an override names what is not an axis, or its value is of the wrong kind.
    """
    request.validate()
    chosen = [claims[name] for name in ids]
    check_overrides(chosen, request.overrides)
    drafts = {made.id: _drafts(made, request) for made in chosen}
    as_recorded = Request(profile=request.profile)
    members = max(_sampled(claims.values(), {}, as_recorded), _sampled(chosen, drafts, request))
    plans = []
    for made in chosen:
        reason = _reason(made, request, no_labels)
        cases = () if reason else _cases(catalogue, made, drafts[made.id], members)
        plans.append(Plan(made, cases, reason))
    return plans


def command(made: Claim, request: Request, params: Mapping[str, Any] | None = None) -> str:
    """The command line that runs a claim, or one case of it.

    Args:
        made: the claim.
        request: what was asked.
        params: the case's parameters, or None for the claim.

    Returns:
        A line for the shell.
    """
    words = ["drocl", "verify", made.id]
    if request.profile != "quick" and (params is None or made.sampled):  # sampled cases share an error probability
        words += ["--profile", request.profile]
    for name, value in (params or {}).items():
        if not (name in EMBEDDING_AXES and value == request.spec):
            words += [f"--{name.replace('_', '-')}", str(value).lower() if isinstance(value, bool) else str(value)]
    if request.embeddings is not None:
        words += ["--embeddings", str(request.embeddings)]
    return shlex.join(words)


@dataclass(frozen=True)
class _Draft:
    role: str
    params: Mapping[str, Any]
    seed: int
    budget: int | None = None


def _drafts(made: Claim, request: Request) -> list[_Draft]:
    """The cases without their addresses: the grid, the explicit cases, the attack, and the control's."""
    base_seed = request.seed or 0
    grid = made.grid_at(request.profile)
    control_grid = {**grid, **(made.control_grid or {})}
    drafts = []
    for role, axes, extra in (
        ("claim", grid, made.cases),
        ("control", control_grid, made.cases if made.control_grid is None else ()),
    ):
        for params in _params(made, axes, extra, request):
            drafts.append(_Draft(role, params, int(params.get("seed", base_seed))))
    if made.attack is not None and not request.overrides and request.embeddings is None:
        budget = int(made.attack_budget[request.profile])
        drafts.append(_Draft("attack", {}, base_seed, budget))
        if _takes(made.attack, made.control):
            drafts.append(_Draft("control attack", {}, base_seed, budget))
    return sorted(drafts, key=lambda draft: ROLES.index(draft.role))


def _params(
    made: Claim, grid: Mapping[str, Sequence[Any]], extra: Iterable[Mapping[str, Any]], request: Request
) -> list[dict[str, Any]]:
    axes: dict[str, Sequence[Any]] = {**grid, **request.overrides}
    fixed: dict[str, Any] = {name: request.spec for name in EMBEDDING_AXES if request.spec and name in axes}
    if "seed" in made.axes and "seed" not in request.overrides:
        if request.seed is not None:
            fixed["seed"] = request.seed
        elif "seed" not in axes and _required(made, "seed"):
            fixed["seed"] = 0
    axes = {**axes, **{name: (value,) for name, value in fixed.items()}}
    made_of = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    if not request.overrides:  # overrides name cases themselves
        defaults = {name: parameter.default for name, parameter in inspect.signature(made.check).parameters.items()}
        if "seed" in defaults and _required(made, "seed"):
            defaults["seed"] = request.seed or 0
        for case in extra:
            whole = {name: case.get(name, defaults[name]) for name in dict.fromkeys([*axes, *case])}
            made_of.append({**whole, **fixed})
    return [params for index, params in enumerate(made_of) if params not in made_of[:index]]


def _required(made: Claim, name: str) -> bool:
    return inspect.signature(made.check).parameters[name].default is inspect.Parameter.empty


def _takes(attack: Any, names: Iterable[str]) -> bool:
    parameters = inspect.signature(attack).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return True
    return all(name in parameters for name in names)


def _sampled(chosen: Iterable[Claim], drafts: Mapping[str, list[_Draft]], request: Request) -> int:
    return sum(
        draft.role in ("claim", "attack")
        for made in chosen
        if made.sampled and request.profile in made.profiles
        for draft in drafts.get(made.id) or _drafts(made, request)
    )


def _reason(made: Claim, request: Request, no_labels: bool) -> str:
    """Why a claim is not run, or "" if it is."""
    if request.profile not in made.profiles:
        return f"left out of the {request.profile} profile ({made.cost}); run --profile {made.profiles[0]}"
    if request.embeddings is not None:
        axes = [axis for axis in EMBEDDING_AXES if axis in made.grid]
        if not axes:
            return "takes no embeddings: it has no axis named model or scores"
        if "model" in axes and no_labels:
            return "needs labels, which the embeddings file does not have"
    if made.device == "cuda" and not _has_cuda():
        return "needs a CUDA device, and there is none"
    if missing := [name for name in made.needs if not _installed(name)]:
        return f"{missing[0]} is not installed"
    return ""


def _installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _has_cuda() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


def _cases(catalogue: Catalogue, made: Claim, drafts: Iterable[_Draft], members: int) -> tuple[Case, ...]:
    sources = registry.fingerprint(catalogue, made)
    count = members if made.sampled else 0
    return tuple(
        Case(made.id, made.file, draft.role, draft.params, draft.seed, draft.budget, count,
             results.key(claim=made.id, role=draft.role, params=draft.params, seed=draft.seed, budget=draft.budget,
                         members=count, sources=sources, files=_contents(draft.params)))
        for draft in drafts
    )  # fmt: skip


def _contents(params: Mapping[str, Any]) -> dict[str, str]:
    """The contents of the files that parameters name, since a file may change under the same name."""
    paths = {name: Path(value[5:]) for name, value in params.items()
             if isinstance(value, str) and value.startswith("file:")}  # fmt: skip
    return {name: results.digest_of([path]) for name, path in paths.items() if path.is_file()}
