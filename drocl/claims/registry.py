"""The registry: whatever `proofs_checks/check_*.py` declares, found by name and registered nowhere else."""

from pathlib import Path

from drocl import results
from drocl.catalogue import Catalogue, CatalogueError, find
from drocl.claims.declare import COLLECTED, Claim

FOLDER = "proofs_checks"
_LOADED: dict[Path, tuple[str, dict[str, Claim]]] = {}
_SEEN: dict[tuple[Path, str], Claim] = {}


def load(root: Path | str | None = None) -> dict[str, Claim]:
    """Import the catalogue's check files and collect their claims, in the order of files and lines.

    Args:
        root: a folder with proofs_checks inside; None looks where `drocl.catalogue.find` does.

    Returns:
        The claims by id.

    Raises:
        CatalogueError: naming each file that fails to import, repeats an id, or names a claim that does not exist.
    """
    catalogue = find(root)
    paths = catalogue.files(FOLDER)
    state = results.digest_of([*paths, *catalogue.shared(FOLDER)])
    held = _LOADED.get(catalogue.root)
    if held and held[0] == state:
        return dict(held[1])
    catalogue.forget(FOLDER)
    claims = _by_id(_import(catalogue, paths))
    _LOADED[catalogue.root] = (state, claims)
    return dict(claims)


def load_one(root: Path | str, file: Path, claim_id: str) -> Claim:
    """Import only the file that holds a claim (what a worker needs).

    Args:
        root: the catalogue's folder.
        file: the check file.
        claim_id: the claim's id.

    Returns:
        The claim.

    Raises:
        CatalogueError: if the file fails to import or does not hold it.
    """
    if (file, claim_id) not in _SEEN:
        _import(find(root), [file])
    if (file, claim_id) not in _SEEN:
        raise CatalogueError(f"{file}: holds no claim {claim_id!r}")
    return _SEEN[file, claim_id]


def fingerprint(catalogue: Catalogue, made: Claim) -> str:
    """One sha256 of what a claim's numbers depend on: drocl, its libraries, its file and what that file may import.

    Args:
        catalogue: where the claim is.
        made: the claim.

    Returns:
        64 hexadecimal digits.
    """
    sources = results.digest_of([made.file, *catalogue.shared(FOLDER)])
    return results.key(library=results.library_fingerprint(), sources=sources)


def _import(catalogue: Catalogue, paths: list[Path]) -> list[Claim]:
    faults, found = [], []
    for path in paths:
        COLLECTED.clear()
        try:
            catalogue.load(FOLDER, path)
        except CatalogueError as error:
            faults.append(str(error))
        found.extend(COLLECTED)
    COLLECTED.clear()
    if faults:
        raise CatalogueError("\n".join(faults))
    _SEEN.update({(made.file, made.id): made for made in found})
    return sorted(found, key=lambda made: (made.file.name, made.line))


def _by_id(found: list[Claim]) -> dict[str, Claim]:
    claims: dict[str, Claim] = {}
    for made in found:
        if made.id in claims:
            first = claims[made.id]
            raise CatalogueError(f"{made.file}:{made.line}: claim {made.id!r} is already in {first.file}:{first.line}")
        claims[made.id] = made
    for made in found:
        for name in (*made.uses, *((made.repairs,) if made.repairs else ())):
            if name not in claims or name == made.id:
                raise CatalogueError(f"{made.file}:{made.line}: claim {made.id!r} names {name!r}: no other claim")
    return claims
