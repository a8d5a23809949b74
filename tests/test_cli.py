"""The command line: exit codes that scripts can use, help that teaches, errors that say what to do."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

import drocl
from drocl.cli import app

CHECKS = """
from drocl.claims import agree, at_most, claim

ERROR = {error}


@claim("half-of-n", title="Half of n", says=r"n/2 + n/2 = n", source="toy2020, Theorem 1", asserts="identity",
       assumes=("n is a number",), grid={{"n": (2, 8), "scale": (1.0,)}}, control={{"half": 0.4}}, control_says="0.4 n",
       tolerance="exact")
def half_of_n(n, scale, half=0.5):
    return agree(scale * (2 * half * n + ERROR), scale * n, rtol=1e-12)


@claim("n-below-five", says=r"n \\\\le 5", source="toy2020, Lemma 2", asserts="bound", grid={{"n": (8, 2)}},
       control={{"bound": 9}}, control_expects="holds", uses=("half-of-n",))
def n_below_five(n, bound=5):
    return at_most(n, bound)
"""
BIB = "@article{toy2020,\n  author = {Toy, Ann},\n  title = {On {halves}},\n}\n\n@book{other, title={Other}}\n"


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A catalogue of two claims, one of them violated, and a working folder for the results."""
    (tmp_path / "proofs_checks").mkdir()
    (tmp_path / "proofs_checks" / "check_toy.py").write_text(CHECKS.format(error=0))
    (tmp_path / "references.bib").write_text(BIB)
    monkeypatch.setenv("DROCL_CATALOGUE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def drocl_(*words):
    return CliRunner().invoke(app, list(words))


def verify(*words):
    return drocl_("verify", "--jobs", "1", *words)


def break_half(house):
    (house / "proofs_checks" / "check_toy.py").write_text(CHECKS.format(error=1))


def test_without_a_record_there_is_nothing_to_differ_from(house):
    done = verify()
    assert done.exit_code == 0
    assert re.search(r"holds +half-of-n +2/2 .* rejected 2/2", done.stdout)
    assert re.search(r"violated +n-below-five +1/2 .* rejected 2/2", done.stdout)
    assert "drocl verify n-below-five --n 8" in done.stdout
    assert "8 cases (0 loaded, 8 computed)" in done.stdout
    assert all((house / "drocl-results" / name).is_file() for name in ("claims.json", "junit.xml"))


def test_all_verdicts_as_recorded_is_success(house):
    assert verify("--write").exit_code == 0
    for line in ("", "--check", "--check n-below-five", "--check --profile paper", "--check --seed 1"):
        done = verify(*line.split())
        assert done.exit_code == 0, done.output
    assert "all verdicts as recorded" in verify("--check").stdout


def test_a_changed_verdict_is_failure_with_and_without_check(house):
    verify("--write")
    break_half(house)
    for words in ((), ("--check",), ("--check", "half-of-n")):
        done = verify(*words)
        assert done.exit_code == 1
        assert "half-of-n: on record as holds, now violated" in done.stdout
    assert verify("n-below-five", "--check").exit_code == 0


def test_a_claim_on_one_side_only_fails_the_check(house):
    verify("--write")
    record = house / "CLAIMS.md"
    text = record.read_text()
    record.write_text("".join(line for line in text.splitlines(True) if not line.startswith("| `half")))
    assert verify("--check").exit_code == 1
    assert "not on record" in verify("--check").stdout
    assert verify().exit_code == 0  # no verdict changed
    record.write_text(text.replace("`half-of-n` |", "`gone` |").replace("| `gone`", "| `gone`", 1))
    assert "gone: on record as holds, and not in the catalogue" in verify("--check").stdout


def test_a_blind_control_fails_the_check(house):
    file = house / "proofs_checks" / "check_toy.py"
    file.write_text(file.read_text().replace('"half": 0.4', '"half": 0.5'))
    done = verify("--write")
    assert done.exit_code == 1
    assert "blind on these cases: claim holds, control holds (must be violated); control: 0.4 n" in done.stdout
    assert verify().exit_code == 0
    assert verify("--check").exit_code == 1


def test_axes_pick_cases_and_compare_with_nothing(house):
    verify("--write")
    break_half(house)
    done = verify("half-of-n", "--n", "3", "--scale", "2", "--n=4")
    assert done.exit_code == 0
    assert "4 cases" in done.stdout
    assert "n = 3, scale = 2: 8 against 6" in done.stdout
    assert "on record" not in done.stdout
    assert verify("--n", "-3", "half-of-n").exit_code == 0  # an id may follow the options
    assert verify("half-of-n", "--seed", "3").exit_code == 0


def test_the_command_printed_with_a_counterexample_shows_it(house):
    line = re.search(r"drocl (verify n-below-five --n \d+)", verify().stdout)[1]
    assert "violated" in drocl_(*line.split()).stdout


def test_patterns_select(house):
    assert "half-of-n" not in verify("n-*").stdout
    assert "4 cases" in verify("n-*").stdout
    assert "8 cases" in verify("n-*", "half*").stdout


def test_explain_says_what_is_claimed_and_runs_nothing(house):
    done = verify("--explain", "half-of-n")
    assert done.exit_code == 0
    for words in ("n/2 + n/2 = n", "toy2020, Theorem 1", "n is a number", "0.4 n (must be violated)", "n in 2, 8"):
        assert words in done.stdout
    assert not (house / "drocl-results").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("half-of-m",), "no claim 'half-of-m'; did you mean half-of-n"),
        (("xyz",), "no claim 'xyz'; see --help"),
        (("--profile", "big"), "profile='big' must be one of quick, standard, paper"),
        (("--engine", "ray"), "engine='ray' is not available: choose from loky"),
        (("--jobs", "0"), "jobs=0 must be at least 1"),
        (("--jobs", "many"), "Invalid value for"),
        (("--seed", "-1"), "seed=-1"),
        (("--embeddings", "nowhere.npz"), "'nowhere.npz' is not a file"),
        (("half-of-n", "--m", "3"), "claim 'half-of-n' has no such axis, it has n, scale"),
        (("--scale", "3"), "claim 'n-below-five' has no such axis"),
        (("half-of-n", "--n", "three"), "n='three' must be int"),
        (("half-of-n", "--n"), "--n needs a value"),
        (("--chek",), "did you mean --check"),
        (("--check", "--write"), "check, write: give one of them"),
        (("--check",), "CLAIMS.md to compare with"),
        (("--check", "half-of-n", "--n", "3"), "CLAIMS.md records the grid"),
        (("--write", "half-of-n"), "CLAIMS.md records all claims"),
        (("--write", "--seed", "3"), "CLAIMS.md records all claims"),
    ],
)
def test_wrong_usage_is_exit_code_two_with_one_message(house, words, said):
    done = verify(*words)
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.output
    assert not (house / "drocl-results" / "claims.json").exists()
    assert not (house / "CLAIMS.md").exists()


def test_a_broken_check_file_is_wrong_usage_that_names_it(house):
    (house / "proofs_checks" / "check_bad.py").write_text("1 / 0")
    done = verify()
    assert done.exit_code == 2
    assert "check_bad.py: ZeroDivisionError" in done.stderr


def test_embeddings_run_without_a_comparison(house):
    verify("--write")
    np.savez(house / "mine.npz", embeddings=np.eye(3))
    done = verify("--embeddings", "mine.npz")
    assert done.exit_code == 0
    assert "takes no embeddings" in done.stdout


def test_the_shipped_catalogue_is_not_written_to(house, monkeypatch):
    from drocl.catalogue import Catalogue

    monkeypatch.setattr("drocl.claims.runner.find", lambda root: Catalogue(house, "shipped"))
    done = verify("--write")
    assert done.exit_code == 2
    assert "no checkout" in done.stderr


def test_a_stopped_run_leaves_with_130(house, monkeypatch):
    from drocl.claims import runner

    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "run_case", stopped)
    done = verify()
    assert done.exit_code == 130
    assert "stopped after 0 of 8 cases" in done.stderr


def test_a_progress_bar_is_drawn_on_a_terminal_only(house, monkeypatch):
    from drocl.claims import show

    with show.progress() as tell:
        assert tell is None
    monkeypatch.setenv("FORCE_COLOR", "1")
    with show.progress() as tell:
        tell(1, 2, "half-of-n")


def test_help_teaches_with_examples_that_name_real_options(house):
    text = drocl_("verify", "--help").stdout
    assert "drocl verify --check" in text
    assert "Exit codes" in text
    examples = " ".join(line for line in text.splitlines() if line.strip().startswith("drocl "))
    for option in re.findall(r"--[a-z]+", examples):
        assert option in ("--n", "--radius") or re.search(rf"│ +{option}\b", text), option
    assert {"verify", "figures", "report", "cite"} <= set(drocl_("--help").stdout.split())


def test_no_command_shows_the_help():
    assert "Usage" in drocl_().output


def test_the_version_is_told():
    assert drocl_("--version").stdout.strip() == f"drocl {drocl.__version__}"


def test_python_m_drocl_is_drocl(house):
    environment = {**os.environ, "PYTHONPATH": str(Path(drocl.__file__).parents[1])}
    line = [sys.executable, "-m", "drocl", "verify", "--engine", "ray"]
    done = subprocess.run(line, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("drocl: engine='ray'")


# figures, report, cite


@pytest.fixture
def drawn(house, monkeypatch):
    """Stands in for the report package: the commands are tested here, drawing is tested where it is done."""
    calls = []

    def draw_figures(ids, profile, out, jobs, progress, **options):
        calls.append(("draw", ids, profile, str(out), jobs, options))
        if profile == "paper":
            raise RuntimeError("tau-plot: it broke")
        return [{"id": name} for name in ids or ("tau-plot", "other-plot")]

    def write_report(out):
        calls.append(("write", str(out)))
        return out / "index.html"

    fake = SimpleNamespace(draw_figures=draw_figures, write_report=write_report,
                           figure_files=lambda: {"tau-plot": None, "other-plot": None})  # fmt: skip
    monkeypatch.setitem(sys.modules, "drocl.report", fake)
    return calls


def test_figures_are_drawn_and_their_files_named(drawn):
    done = drocl_("figures", "tau*", "--jobs", "1", "--out", "there")
    assert done.exit_code == 0
    assert done.stdout.split() == ["there/figures/tau-plot.{svg,pdf,png,csv}"]
    assert drawn == [("draw", ["tau-plot"], "quick", "there", 1, {"engine_name": "loky", "fresh": False})]


def test_an_unknown_figure_is_wrong_usage_and_a_failed_one_is_failure(drawn):
    assert drocl_("figures", "tau-pot").exit_code == 2
    assert "did you mean tau-plot" in drocl_("figures", "tau-pot").stderr
    done = drocl_("figures", "--profile", "paper")
    assert (done.exit_code, done.stderr.strip()) == (1, "drocl: tau-plot: it broke")


def test_the_report_verifies_draws_writes_and_ends_with_its_path(drawn, house):
    verify("--write")
    done = drocl_("report", "--jobs", "1")
    assert done.exit_code == 0, done.output
    assert [call[0] for call in drawn] == ["draw", "write"]
    assert done.stdout.splitlines()[-1] == f"report: {Path('drocl-results') / 'index.html'}"
    broken = drocl_("report", "--jobs", "1", "--profile", "paper")  # a figure that fails costs the page nothing
    assert broken.exit_code == 1
    assert "tau-plot: it broke" in broken.stderr
    assert broken.stdout.splitlines()[-1].startswith("report: ")
    break_half(house)
    assert drocl_("report", "--jobs", "1").exit_code == 1


def test_cite_prints_the_sources_of_claims_and_keys(house):
    pytest.importorskip("drocl.report.bibliography")
    entry = "@article{toy2020,\n  author = {Toy, Ann},\n  title = {On {halves}},\n}"
    assert drocl_("cite", "half-of-n", "n-*").stdout.strip() == entry
    assert drocl_("cite", "other").stdout.strip() == "@book{other, title={Other}}"
    assert drocl_("cite").stdout.count("@") == 2
    assert drocl_("cite", "halb-of-n").exit_code == 2
    (house / "references.bib").write_text("")
    done = drocl_("cite", "half-of-n")
    assert done.exit_code == 2
    assert "no entry for the source of half-of-n" in done.stderr
