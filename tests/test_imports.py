"""What importing drocl costs, and which way its imports point."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import drocl

ROOT = Path(drocl.__file__).parent
SOURCES = sorted(p for p in ROOT.rglob("*.py") if "_shipped" not in p.parts)


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


MI = "drocl.mi.copula, drocl.mi.ksg, drocl.report.estimates"  # what `drocl mi` needs without training


@pytest.mark.parametrize("module", ["drocl", "drocl.dro", "drocl.divergences", "drocl.population", MI])
def test_plain_imports_load_no_heavy_library(module):
    heavy = ("torch", "cvxpy", "matplotlib", "scipy.stats")
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_library_imports_none_of_the_catalogue_folders():
    for path in SOURCES:
        assert not {name.split(".")[0] for name in imported(path)} & {"proofs_checks", "simulations", "figures"}, path


def test_claims_know_neither_plots_nor_pages():
    for path in (ROOT / "claims").glob("*.py"):
        assert not [n for n in imported(path) if n.startswith(("matplotlib", "jinja2", "drocl.report"))], path


def test_solvers_know_nothing_of_claims():
    for folder in ("dro", "latent", "population"):
        for path in (ROOT / folder).rglob("*.py"):
            assert not [n for n in imported(path) if n.startswith(("drocl.claims", "drocl.report", "drocl.cli"))], path


def test_the_reference_shares_no_code_with_the_fast_solver():
    for path in (ROOT / "dro" / "reference").glob("*.py"):
        fast = ("drocl.dro.api", "drocl.dro.solve", "drocl.dro.tilt", "drocl.dro.bose", "drocl.dro.sorting", "drocl.dro.roots")
        assert not [n for n in imported(path) if n.startswith(fast) or n == "drocl._special"], path


def test_every_public_name_is_documented():
    bare = []
    for path in SOURCES:
        if path.name.startswith("_") and path.name != "__init__.py":
            continue
        for node in ast.parse(path.read_text()).body:
            public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            if public and not ast.get_docstring(node):
                bare.append(f"{path.relative_to(ROOT)}:{node.name}")
    assert not bare
