"""Figures are drawn from stored results, whole, reproducibly, and only when something changed."""

import csv
import importlib.util
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from drocl import catalogue
from drocl.report import FigureError, draw_figures, figure_files, read_index

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
STYLE = ROOT / "figures" / "style.py"
NAMES = ("lemma-one-gap", "tau-against-eta")
SUFFIXES = ("svg", "pdf", "png", "csv")


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"made_up_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


synthetic = load(HERE.parent / "web" / "synthetic.py")
style = load(STYLE)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return synthetic.catalogue(tmp_path / "catalogue", STYLE)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[dict[str, Any]]]:
    """A catalogue and what drawing all of it gave."""
    root = synthetic.catalogue(tmp_path_factory.mktemp("catalogue"), STYLE)
    out = tmp_path_factory.mktemp("results")
    return root, out, draw_figures(root=root, out=out, jobs=1)


@pytest.fixture
def out(drawn: tuple[Path, Path, list[dict[str, Any]]], tmp_path: Path) -> Path:
    """A copy of the results of `drawn`: `root` holds the same sources, though in another place, and has run nothing yet."""
    return Path(shutil.copytree(drawn[1], tmp_path / "results"))


def runs(root: Path) -> int:
    log = root / "simulations" / "runs.log"
    return len(log.read_text().split()) if log.exists() else 0


def change(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def test_each_figure_is_saved_in_each_format(drawn: tuple[Path, Path, list[dict[str, Any]]]) -> None:
    _, out, entries = drawn
    assert [entry["id"] for entry in entries] == list(NAMES)
    signatures = {"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG", "csv": b"x,y\n"}
    for name in NAMES:
        for suffix in SUFFIXES:
            assert (out / "figures" / f"{name}.{suffix}").read_bytes().startswith(signatures[suffix])
    assert sorted(path.name for path in (out / "figures").iterdir()) == sorted(
        [f"{name}.{suffix}" for name in NAMES for suffix in SUFFIXES] + ["figures.json"]
    ), "no partial file stays"


def test_the_data_are_those_of_the_simulation(drawn: tuple[Path, Path, list[dict[str, Any]]]) -> None:
    _, out, _ = drawn
    with open(out / "figures" / "tau-against-eta.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["x"]) for row in rows] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert [float(row["y"]) for row in rows] == [1 / x for x in (1.0, 2.0, 3.0, 4.0, 5.0)], "all digits"


def test_the_index_says_what_where_and_how(drawn: tuple[Path, Path, list[dict[str, Any]]]) -> None:
    _, out, entries = drawn
    index = json.loads((out / "figures" / "figures.json").read_text())
    assert index["schema"] == 1
    assert index["figures"] == entries == read_index(out)
    entry = entries[1]
    assert entry["command"] == "drocl figures tau-against-eta"
    assert entry["claims"] == ["tau-is-multiplier"]
    assert entry["profile"] == "quick"
    assert entry["seconds"] > 0
    assert entry["title"] == "A curve $y = 1/x$, for tau-against-eta"


def test_the_picture_is_200_dots_an_inch(drawn: tuple[Path, Path, list[dict[str, Any]]]) -> None:
    from matplotlib.image import imread

    assert imread(drawn[1] / "figures" / "tau-against-eta.png").shape[1] == 200 * style.SINGLE


def test_text_in_svg_is_outlines(drawn: tuple[Path, Path, list[dict[str, Any]]]) -> None:
    assert "<text" not in (drawn[1] / "figures" / "tau-against-eta.svg").read_text()


def test_two_machines_draw_the_same_bytes(drawn: tuple[Path, Path, list[dict[str, Any]]], tmp_path: Path) -> None:
    root, out, _ = drawn
    draw_figures(["tau-against-eta"], root=root, out=tmp_path, jobs=1)
    for suffix in SUFFIXES:
        name = f"tau-against-eta.{suffix}"
        assert (tmp_path / "figures" / name).read_bytes() == (out / "figures" / name).read_bytes()


def test_no_date_is_written(drawn: tuple[Path, Path, list[dict[str, Any]]]) -> None:
    for suffix in ("svg", "pdf"):
        content = (drawn[1] / "figures" / f"tau-against-eta.{suffix}").read_bytes()
        assert not re.search(rb"dc:date|CreationDate|ModDate|20\d\d-\d\d-\d\d", content)


def test_what_is_unchanged_is_neither_run_nor_drawn_again(root: Path, out: Path) -> None:
    first = {path.name: path.stat().st_mtime_ns for path in (out / "figures").glob("*.svg")}
    told: list[tuple[int, int, str]] = []
    again = draw_figures(root=root, out=out, jobs=1, progress=lambda *step: told.append(step))
    assert runs(root) == 0
    assert len(first) == 2
    assert {path.name: path.stat().st_mtime_ns for path in (out / "figures").glob("*.svg")} == first
    assert again == read_index(out)
    assert [(done, total) for done, total, _ in told] == [(1, 3), (2, 3), (3, 3)]


def test_a_changed_figure_is_drawn_again_from_the_stored_result(root: Path, out: Path) -> None:
    before = (out / "figures" / "lemma-one-gap.svg").read_bytes()
    kept = (out / "figures" / "tau-against-eta.svg").stat().st_mtime_ns
    change(root / "figures" / "fig_lemma_one_gap.py", 'r"$x$"', 'r"$x^2$"')
    draw_figures(root=root, out=out, jobs=1)
    assert (out / "figures" / "lemma-one-gap.svg").read_bytes() != before
    assert (out / "figures" / "tau-against-eta.svg").stat().st_mtime_ns == kept
    assert runs(root) == 0


def test_a_changed_simulation_is_run_again(root: Path, out: Path) -> None:
    draw_figures(["tau-against-eta"], root=root, out=out, jobs=1)
    assert runs(root) == 0
    change(root / "simulations" / "sim_curve.py", "1 / v", "2 / v")
    draw_figures(["tau-against-eta"], root=root, out=out, jobs=1)
    assert runs(root) == 1
    assert (out / "figures" / "tau-against-eta.csv").read_text().splitlines()[1] == "1.0,2.0"


def test_fresh_runs_what_is_stored(root: Path, out: Path) -> None:
    draw_figures(["tau-against-eta"], root=root, out=out, jobs=1, fresh=True)
    assert runs(root) == 1


def test_a_profile_runs_its_own_configuration(root: Path, tmp_path: Path) -> None:
    (entry,) = draw_figures(["tau-against-eta"], "standard", root=root, out=tmp_path, jobs=1)
    assert len((tmp_path / "figures" / "tau-against-eta.csv").read_text().splitlines()) == 51
    assert entry["command"] == "drocl figures tau-against-eta --profile standard"


def test_drawing_one_keeps_the_entries_of_the_others(root: Path, out: Path) -> None:
    draw_figures(["tau-against-eta"], root=root, out=out, jobs=1, fresh=True)
    assert [entry["id"] for entry in read_index(out)] == list(NAMES)
    (out / "figures" / "lemma-one-gap.pdf").unlink()
    assert [entry["id"] for entry in read_index(out)] == ["tau-against-eta"], "an entry without its files is none"


PARTS = '''
"""A curve, point by point."""
import os
from dataclasses import dataclass
from pathlib import Path
from drocl import parts

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Config:
    points: int = 5


PROFILES = {"quick": Config()}
COST = "seconds"


def part(i):
    if i == 3 and (HERE / "stop").exists():
        raise KeyboardInterrupt
    with open(HERE / "parts.log", "a") as log:
        log.write(f"{i} {os.getpid()} {__name__.rpartition('.')[2]}\\n")
    return {"x": 1.0 + i, "y": 1 / (1.0 + i)}


def run(config):
    with open(HERE / "runs.log", "a") as log:
        log.write(f"{os.getpid()}:{__name__.rpartition('.')[2]} ")
    rows = parts.gather(part, [(i,) for i in range(config.points)])
    return {"curve": {"x": [r["x"] for r in rows], "y": [r["y"] for r in rows], "open": [float("nan")] * len(rows)}}
'''


def in_parts(root: Path) -> Path:
    """The simulation of the catalogue, now in parts; the log of those that were run: number, process, simulation."""
    (root / "simulations" / "sim_curve.py").write_text(PARTS)
    return root / "simulations" / "parts.log"


def test_an_interrupted_figure_goes_on_with_the_parts_that_are_left(root: Path, tmp_path: Path) -> None:
    log, stop = in_parts(root), root / "simulations" / "stop"
    stop.touch()
    with pytest.raises(KeyboardInterrupt):
        draw_figures(["tau-against-eta"], root=root, out=tmp_path, jobs=1)
    assert [line.split()[0] for line in log.read_text().splitlines()] == ["0", "1", "2"]
    stop.unlink()
    draw_figures(["tau-against-eta"], root=root, out=tmp_path, jobs=1)
    assert [line.split()[0] for line in log.read_text().splitlines()] == ["0", "1", "2", "3", "4"]
    assert (tmp_path / "figures" / "tau-against-eta.csv").read_text().splitlines()[5] == "5.0,0.2"
    draw_figures(["tau-against-eta"], root=root, out=tmp_path, jobs=1, fresh=True)
    assert len(log.read_text().splitlines()) == 10, "fresh runs the parts again"


def test_the_figure_finds_the_parts_of_a_simulation_run_by_hand(root: Path, tmp_path: Path) -> None:
    log = in_parts(root)
    (root / "simulations" / "_run.py").write_text((ROOT / "simulations" / "_run.py").read_text())
    line = [sys.executable, "-m", "simulations._run", "sim_curve", "--out", str(tmp_path)]
    change(root / "simulations" / "sim_curve.py", "def run", "def report(tables):\n    return []\n\n\ndef run")
    subprocess.run(line, cwd=root, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert len(log.read_text().splitlines()) == 5
    draw_figures(["tau-against-eta"], root=root, out=tmp_path, jobs=1)
    assert len(log.read_text().splitlines()) == 5


def test_a_simulation_on_a_worker_runs_its_parts_there_and_a_single_one_spreads_them(
    root: Path, tmp_path: Path
) -> None:
    log = in_parts(root)
    (root / "simulations" / "sim_other.py").write_text(PARTS)
    change(root / "figures" / "fig_lemma_one_gap.py", "sim_curve", "sim_other")
    draw_figures(root=root, out=tmp_path / "two", jobs=2)
    assert len(log.read_text().splitlines()) == 10
    where = dict(reversed(word.split(":")) for word in (root / "simulations" / "runs.log").read_text().split())
    assert all(process == where[name] for _, process, name in map(str.split, log.read_text().splitlines()))
    assert str(os.getpid()) not in where.values()
    log.unlink()
    draw_figures(["lemma-one-gap"], root=root, out=tmp_path / "one", jobs=2)
    processes = {line.split()[1] for line in log.read_text().splitlines()}
    assert processes
    assert str(os.getpid()) not in processes


def test_workers_draw_what_one_process_draws(drawn: tuple[Path, Path, list[dict[str, Any]]], tmp_path: Path) -> None:
    root, out, _ = drawn
    draw_figures(root=root, out=tmp_path, jobs=2)
    for name in NAMES:
        assert (tmp_path / "figures" / f"{name}.svg").read_bytes() == (out / "figures" / f"{name}.svg").read_bytes()


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ('"y": curve["y"]', '"y": curve["y"][:2]', r"lemma-one-gap: .*tidy data needs columns of one length.*'y': 2"),
        (
            '"exact")\n    return',
            '"exact"); ax.text(1, 1, "tiny", fontsize=5)\n    return',
            r"text 'tiny' at 5 pt is below 8 pt",
        ),
        ('result["curve"]', 'result["curves"]', r"lemma-one-gap: KeyError: 'curves'"),
    ],
)
def test_a_figure_that_fails_is_named_and_leaves_no_files(
    root: Path, tmp_path: Path, before: str, after: str, why: str
) -> None:
    change(root / "figures" / "fig_lemma_one_gap.py", before, after)
    with pytest.raises(FigureError, match=why):
        draw_figures(["lemma-one-gap"], root=root, out=tmp_path, jobs=1)
    assert read_index(tmp_path) == []
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["figures.json"]


def test_a_figure_that_fails_does_not_stop_the_others(root: Path, tmp_path: Path) -> None:
    change(root / "figures" / "fig_lemma_one_gap.py", 'result["curve"]', 'result["curves"]')
    with pytest.raises(FigureError, match=r"^lemma-one-gap: KeyError: 'curves'$"):
        draw_figures(root=root, out=tmp_path, jobs=1)
    assert [entry["id"] for entry in read_index(tmp_path)] == ["tau-against-eta"]


def test_a_simulation_that_fails_is_named(root: Path, tmp_path: Path) -> None:
    change(root / "simulations" / "sim_curve.py", "x = [", "raise ArithmeticError('no sum'); x = [")
    with pytest.raises(FigureError, match="sim_curve: ArithmeticError: no sum"):
        draw_figures(root=root, out=tmp_path, jobs=1)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"ids": ["tau"]}, r"ids=\['tau'\]: unknown figures; known are lemma-one-gap, tau-against-eta"),
        ({"profile": "slow"}, r"profile='slow' must be one of quick, standard, paper"),
        ({"jobs": 0}, r"jobs=0 must be at least 1"),
        ({"engine_name": "cloud"}, r"engine='cloud' is not available"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_runs(
    root: Path, tmp_path: Path, arguments: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        draw_figures(**{"root": root, "out": tmp_path, **arguments})
    assert runs(root) == 0
    assert list(tmp_path.glob("figures/*")) == []


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("TITLE =", "TITEL =", r"fig_tau_against_eta.py: a figure file needs TITLE"),
        ('ID = "tau-against-eta"', 'ID = "lemma-one-gap"', r"id 'lemma-one-gap' is taken by fig_lemma_one_gap.py"),
        ('ID = "tau-against-eta"', 'ID = "../tau"', r"ID = '../tau' must be kebab-case"),
        ('"sim_curve"', '"sim_none"', r"there is no simulations/sim_none.py"),
    ],
)
def test_a_figure_file_that_declares_too_little_is_named(root: Path, before: str, after: str, why: str) -> None:
    change(root / "figures" / "fig_tau_against_eta.py", before, after)
    with pytest.raises(catalogue.CatalogueError, match=why):
        figure_files(root)


# ---------------------------------------------------------------- the house style


def test_meanings_have_different_colours_and_line_styles() -> None:
    curves = ("exact", "printed", "repaired", "approximation")
    assert (
        len({style.line(name)["color"] for name in curves})
        == len({str(style.line(name)["linestyle"]) for name in curves})
        == 4
    )


def test_every_divergence_of_the_library_has_its_look() -> None:
    from drocl import divergences

    assert set(divergences.NAMES) == set(style.DIVERGENCES)
    looks = [tuple(map(str, look[:2])) for look in style.DIVERGENCES.values()]
    assert len(set(looks)) == len(looks)


def test_text_of_the_style_is_readable_in_print() -> None:
    sizes = [
        value for name, value in style.RC.items() if name.endswith(("labelsize", "titlesize", "fontsize", "font.size"))
    ]
    assert len(sizes) >= 6
    assert min(sizes) >= 8


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda: style.figure(0, 1), r"rows=0, cols=1 must both be at least 1"),
        (lambda: style.figure(width=12), r"width=12 must lie in \(0, 7.2\]"),
        (lambda: style.line("truth"), r"meaning='truth' must be one of exact"),
        (lambda: style.points("truth"), r"meaning='truth' must be one of"),
        (lambda: style.divergence("wasserstein"), r"name='wasserstein' must be one of kl"),
        (lambda: style.ramp(0), r"count=0 must be at least 1"),
        (lambda: style.log_axes(None, "z"), r"which='z' must be"),
    ],
)
def test_the_style_refuses_what_it_does_not_know(call: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        call()


def test_short_log_axes_are_labelled_with_plain_numbers_and_long_ones_with_powers() -> None:
    def labels(high: float) -> list[str]:
        with style.applied():
            fig, axes = style.figure()
            ax = axes[0, 0]
            style.log_axes(ax)
            ax.set_xlim(1, high)
            fig.draw_without_rendering()
            shown = [text for text in ax.get_xticklabels(which="both") if 1 <= text.get_position()[0] <= high]
            return [text.get_text() for text in shown if text.get_text()]

    assert {"1", "2", "3"} <= set(labels(8.0))
    assert not any("10" in text for text in labels(8.0))
    assert all("10" in text for text in labels(1e6))


def test_a_guide_has_its_slope() -> None:
    _, axes = style.figure()
    style.guide(axes[0, 0], (1.0, 100.0), 5.0, -0.5, "rate")
    (line,) = axes[0, 0].lines
    assert list(line.get_ydata()) == pytest.approx([5.0, 0.5])


def test_panels_carry_letters_where_there_are_several() -> None:
    _, axes = style.figure(1, 3)
    assert [ax.texts[0].get_text() for ax in axes.flat] == ["a", "b", "c"]
    assert not style.figure()[1][0, 0].texts


def test_end_labels_do_not_overlap() -> None:
    with style.applied():
        fig, axes = style.figure()
        ax = axes[0, 0]
        ax.set_xlim(0, 1)
        ax.set_ylim(0, 1)
        style.label_ends(ax, [(1.0, 0.5 + 0.001 * i, f"curve {i}", "#000000") for i in range(5)])
        fig.draw_without_rendering()
        spans = sorted((box.y0, box.y1) for box in (text.get_window_extent() for text in ax.texts))
    assert all(low[1] <= high[0] + 1.0 for low, high in itertools.pairwise(spans))


def test_a_ramp_gets_lighter() -> None:
    from matplotlib.colors import to_rgb

    lightness = [sum(w * c for w, c in zip((0.21, 0.72, 0.07), to_rgb(color), strict=True)) for color in style.ramp(6)]
    assert lightness == sorted(lightness)


# ---------------------------------------------------------------- the figures of this catalogue


def test_titles_and_captions_of_the_catalogue_can_be_set() -> None:
    from drocl.report.formula import Formulas

    formulas = Formulas()
    for figure in figure_files().values():
        for text in (figure.title, figure.caption):
            formulas.text(text)
            assert text.count("$") % 2 == 0, f"{figure.id}: a dollar sign is open in {text!r}"
    assert formulas.failed == []
