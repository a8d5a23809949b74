"""Find the catalogue folders (proofs_checks, simulations, figures) and import their files."""

import hashlib
import importlib
import os
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

FOLDERS = {"proofs_checks": "check_*.py", "simulations": "sim_*.py", "figures": "fig_*.py"}
VARIABLE = "DROCL_CATALOGUE"


class CatalogueError(ValueError):
    """A catalogue file that cannot be used; the message names it."""


@dataclass(frozen=True)
class Catalogue:
    """Where the claims, simulations and figures are.

    Args:
        root: the folder that holds proofs_checks, simulations and figures.
        kind: "checkout", "shipped" (inside the installed package) or "given".
    """

    root: Path
    kind: str

    def files(self, folder: str) -> list[Path]:
        """The catalogue files of a folder, by name.

        Args:
            folder: "proofs_checks", "simulations" or "figures".
        """
        return sorted((self.root / folder).glob(FOLDERS[folder]))

    def shared(self, folder: str) -> list[Path]:
        """The other Python files of a folder, which its catalogue files may import (`from ._name import ...`).

        Args:
            folder: as in `files`.
        """
        return sorted(set((self.root / folder).glob("*.py")) - set(self.files(folder)))

    @property
    def ledger(self) -> Path:
        """CLAIMS.md, the verdicts on record."""
        return self.root / "CLAIMS.md"

    @property
    def references(self) -> Path:
        """references.bib."""
        return self.root / "references.bib"

    def package(self, folder: str) -> str:
        """The name under which a folder's files are imported: private, and different for different roots."""
        return f"drocl_catalogue_{hashlib.sha256(str(self.root).encode()).hexdigest()[:8]}.{folder}"

    def load(self, folder: str, path: Path) -> ModuleType:
        """Import one file of a folder, as a module that may use relative imports within it.

        Args:
            folder: as in `files`.
            path: a file in it.

        Raises:
            CatalogueError: naming the file and what went wrong.
        """
        package = self.package(folder)
        top = package.partition(".")[0]
        for name, place in ((top, self.root), (package, self.root / folder)):
            if name not in sys.modules:
                made = ModuleType(name)
                made.__path__ = [str(place)]
                sys.modules[name] = made
        try:
            return importlib.import_module(f"{package}.{path.stem}")
        except Exception as error:
            raise CatalogueError(f"{path}: {type(error).__name__}: {error}") from error

    def forget(self, folder: str) -> None:
        """Drop the imported modules of a folder, so that changed files are read again.

        Args:
            folder: as in `files`.
        """
        prefix = self.package(folder)
        for name in [name for name in sys.modules if name == prefix or name.startswith(f"{prefix}.")]:
            del sys.modules[name]
        importlib.invalidate_caches()


def find(root: Path | str | None = None) -> Catalogue:
    """Find the catalogue: what is given, else $DROCL_CATALOGUE, else the checkout around the package, else shipped.

    Args:
        root: a folder with proofs_checks inside, or None.

    Returns:
        The catalogue.

    Raises:
        CatalogueError: if the folder given has no proofs_checks, or there is no catalogue at all.
    """
    given = root or os.environ.get(VARIABLE)
    if given:
        place = Path(given).resolve()
        if not (place / "proofs_checks").is_dir():
            raise CatalogueError(f"catalogue {str(place)!r} has no folder proofs_checks")
        return Catalogue(place, "given")
    home = Path(__file__).resolve().parent
    for place in home.parents:
        if _is_checkout(place):
            return Catalogue(place, "checkout")
    if (home / "_shipped" / "proofs_checks").is_dir():
        return Catalogue(home / "_shipped", "shipped")
    raise CatalogueError(f"no catalogue: neither a checkout around {home} nor {home / '_shipped'} has proofs_checks")


def _is_checkout(place: Path) -> bool:
    project = place / "pyproject.toml"
    if not (project.is_file() and (place / "proofs_checks").is_dir()):
        return False
    try:
        return bool(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["name"] == "drocl")
    except (ValueError, KeyError, TypeError):
        return False
