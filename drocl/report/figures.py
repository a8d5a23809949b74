"""Run simulations, draw figures from their stored results, and save each as SVG, PDF, PNG and CSV."""

import csv
import io
import json
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from drocl import catalogue, engine, parts, results

SCHEMA = 1
PROFILES = ("quick", "standard", "paper")
FORMATS = ("svg", "pdf", "png", "csv")
DECLARED = ("ID", "TITLE", "CAPTION", "SIMULATION", "CLAIMS", "draw")
DPI = 200
SMALLEST_TEXT = 8.0  # pt at print size
Progress = Callable[[int, int, str], None]


class FigureError(RuntimeError):
    """One or more figures could not be drawn; the message names each and says why."""


@dataclass(frozen=True)
class FigureFile:
    """A figure of the catalogue, as its file declares it.

    Args:
        id: kebab-case name, unique.
        title: one line.
        caption: what is seen, with formulas between dollar signs.
        simulation: name of the simulation whose stored result it draws.
        claims: ids of the claims it illustrates.
        path: the file.
    """

    id: str
    title: str
    caption: str
    simulation: str
    claims: tuple[str, ...]
    path: Path


def figure_files(root: Path | str | None = None) -> dict[str, FigureFile]:
    """Read what the figure files declare.

    Args:
        root: a catalogue, as `drocl.catalogue.find` takes it.

    Returns:
        The figures by id, in the order of their files.

    Raises:
        CatalogueError: if a file declares too little, or an id twice.
    """
    house = catalogue.find(root)
    found: dict[str, FigureFile] = {}
    for path in house.files("figures"):
        module = _module(house, "figures", path)
        missing = [name for name in DECLARED if not hasattr(module, name)]
        if missing:
            raise catalogue.CatalogueError(f"{path}: a figure file needs {', '.join(missing)}")
        made = FigureFile(module.ID, module.TITLE, module.CAPTION, module.SIMULATION, tuple(module.CLAIMS), path)
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", made.id):
            raise catalogue.CatalogueError(f"{path}: ID = {made.id!r} must be kebab-case, it names files")
        if made.id in found:
            raise catalogue.CatalogueError(f"{path}: id {made.id!r} is taken by {found[made.id].path.name}")
        if not (house.root / "simulations" / f"{made.simulation}.py").is_file():
            raise catalogue.CatalogueError(f"{path}: there is no simulations/{made.simulation}.py")
        found[made.id] = made
    return found


def draw_figures(
    ids: Iterable[str] | None = None,
    profile: str = "quick",
    out: Path | str = Path("drocl-results"),
    jobs: int | None = None,
    progress: Progress | None = None,
    *,
    engine_name: str = "loky",
    root: Path | str | None = None,
    fresh: bool = False,
) -> list[dict[str, Any]]:
    """Draw figures of the catalogue from stored simulation results, running the simulations that have none.

    Each figure becomes `out/figures/ID.svg`, `.pdf`, `.png` (200 dpi) and `.csv` (the data drawn, tidy), and an entry
    of `out/figures/figures.json`. Files depend on the result and the figure's source only: no date is written into
    them. A figure whose sources and result are unchanged is not drawn again.

    Args:
        ids: figures to draw; None draws all.
        profile: "quick", "standard" or "paper": which configuration of the simulations.
        out: folder of results; simulation results go to `out/store`.
        jobs: worker processes, at least 1; None lets the engine choose. Several simulations run side by side; the parts of a
            single one do.
        progress: called as `progress(done, total, name)` after each simulation and each figure.
        engine_name: an engine of `drocl.engine`.
        root: a catalogue, as `drocl.catalogue.find` takes it.
        fresh: run the simulations and draw even where results are stored.

    Returns:
        The entries of the figures asked for: id, title, caption, claims, simulation, profile, command, seconds, files.

    Raises:
        ValueError: for an unknown id, profile or engine, or a simulation without a configuration for the profile,
            before anything runs.
        FigureError: if figures failed; the others are drawn.
    """
    if profile not in PROFILES:
        raise ValueError(f"profile={profile!r} must be one of {', '.join(PROFILES)}")
    engine.check(engine_name, jobs)
    known = figure_files(root)
    wanted = list(known) if ids is None else list(dict.fromkeys(ids))
    if unknown := [name for name in wanted if name not in known]:
        raise ValueError(f"ids={unknown!r}: unknown figures; known are {', '.join(known)}")
    place, home = Path(out), str(catalogue.find(root).root)
    simulations = list(dict.fromkeys(known[name].simulation for name in wanted))
    total, done = len(simulations) + len(wanted), 0
    failures: dict[str, str] = {}

    def advance(items: Sequence[tuple[Any, ...]], task: Callable[..., tuple[str, Any, str]]) -> dict[str, Any]:
        nonlocal done
        made = {}
        for name, value, failure in engine.run(task, items, engine=engine_name, jobs=jobs):
            done += 1
            if failure:
                failures[name] = failure
            else:
                made[name] = value
            if progress is not None:
                progress(done, total, name)
        return made

    # addresses are fixed here, once: a worker that started later might see other sources
    addresses = {name: simulation_key(name, profile, root) for name in simulations}
    inner = jobs if len(simulations) == 1 else 1  # a single one runs in this process, which has the workers to give
    runs = [(home, name, profile, str(place), addresses[name], fresh, inner) for name in simulations]
    seconds = advance(runs, _simulate)
    before = {entry["id"]: entry for entry in read_index(place)}
    ready = [name for name in wanted if known[name].simulation in seconds]
    done += len(wanted) - len(ready)
    previous = {} if fresh else before
    drawings = [
        (home, known[name], profile, str(place), addresses[known[name].simulation], previous.get(name))
        for name in ready
    ]
    entries = advance(drawings, _draw)
    for entry in entries.values():
        entry.setdefault("simulation_seconds", seconds[entry["simulation"]])
    _write_index(place, {**before, **entries}, list(known))
    if failures:
        raise FigureError("; ".join(f"{name}: {why}" for name, why in sorted(failures.items())))
    return [entries[name] for name in wanted]


def read_index(out: Path | str) -> list[dict[str, Any]]:
    """Read the entries of the figures drawn so far into a folder of results.

    Args:
        out: folder of results.

    Returns:
        The entries of `out/figures/figures.json` whose files exist; none where there is no such file.
    """
    folder = Path(out) / "figures"
    try:
        entries = json.loads((folder / "figures.json").read_text(encoding="utf-8"))["figures"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [entry for entry in entries if all((folder / f"{entry['id']}.{suffix}").is_file() for suffix in FORMATS)]


def simulation_key(name: str, profile: str, root: Path | str | None = None) -> str:
    """The address of a simulation's result in the store: its source, configuration, the library and its versions.

    Args:
        name: file name of the simulation without suffix.
        profile: "quick", "standard" or "paper".
        root: a catalogue, as `drocl.catalogue.find` takes it.

    Raises:
        ValueError: if the simulation has no configuration for the profile.
    """
    house = catalogue.find(root)
    _, config, digest = _simulation(house, name, profile)
    library = results.library_fingerprint()
    return results.key(kind="simulation", name=name, config=asdict(config), sources=digest, library=library)


def _module(house: catalogue.Catalogue, folder: str, path: Path) -> ModuleType:
    """Import a catalogue file, again where it or what it imports has changed: results are stored under its digest."""
    digest = results.digest_of([path, *house.shared(folder)])
    module = house.load(folder, path)
    if vars(module).setdefault("_drocl_sources", digest) != digest:
        house.forget(folder)
        module = house.load(folder, path)
        vars(module)["_drocl_sources"] = digest
    return module


def _simulation(house: catalogue.Catalogue, name: str, profile: str) -> tuple[ModuleType, Any, str]:
    path = house.root / "simulations" / f"{name}.py"
    module = _module(house, "simulations", path)
    if profile not in module.PROFILES:
        raise ValueError(f"profile={profile!r}: {path.name} has {', '.join(module.PROFILES)}")
    return module, module.PROFILES[profile], results.digest_of([path, *house.shared("simulations")])


def _simulate(
    home: str, name: str, profile: str, out: str, address: str, fresh: bool, jobs: int | None
) -> tuple[str, float, str]:
    """Have a simulation's result in the store, and its finished parts; return its name, its seconds, what went wrong."""
    try:
        store = results.Store(Path(out) / "store")
        held = None if fresh else store.get(address)
        if held is None:
            module, config, _ = _simulation(catalogue.find(home), name, profile)
            started = time.perf_counter()
            with parts.kept(store, jobs=jobs, fresh=fresh):
                tables = module.run(config)
            held = store.put(address, {"tables": tables, "seconds": time.perf_counter() - started})
        return name, float(held["seconds"]), ""
    except Exception as error:  # one simulation must not stop the others
        return name, 0.0, f"{type(error).__name__}: {error}"


def _draw(
    home: str, figure: FigureFile, profile: str, out: str, address: str, before: Mapping[str, Any] | None
) -> tuple[str, dict[str, Any], str]:
    """Draw one figure and save it; return its id, its entry, and what went wrong."""
    try:
        import matplotlib

        house, started = catalogue.find(home), time.perf_counter()
        held = results.Store(Path(out) / "store").get(address)
        if held is None:
            raise FigureError(f"no stored result of {figure.simulation}")
        sources = results.digest_of([figure.path, *house.shared("figures")])
        digest = results.key(result=address, content=held["tables"], sources=sources, matplotlib=matplotlib.__version__)
        if before and before.get("digest") == digest:
            return figure.id, dict(before), ""
        module, style = _module(house, "figures", figure.path), _style(house)
        with style:
            drawing, data = module.draw(_numbers(held["tables"]))
            _check_text(drawing)
            files = _save(figure, drawing, data, Path(out) / "figures")
        entry = {
            "id": figure.id, "title": figure.title, "caption": figure.caption, "claims": list(figure.claims),
            "simulation": figure.simulation, "profile": profile, "command": _command(figure.id, profile),
            "seconds": round(time.perf_counter() - started, 3), "simulation_seconds": round(float(held["seconds"]), 3),
            "files": files, "digest": digest,
        }  # fmt: skip
        return figure.id, entry, ""
    except Exception as error:  # one figure must not stop the others
        return figure.id, {}, f"{type(error).__name__}: {error}"


def _command(name: str, profile: str) -> str:
    return f"drocl figures {name}" + ("" if profile == "quick" else f" --profile {profile}")


def _style(house: catalogue.Catalogue) -> AbstractContextManager[None]:
    """The catalogue's own style; matplotlib's defaults where it has none."""
    import matplotlib

    path = house.root / "figures" / "style.py"
    if not path.is_file():
        return matplotlib.rc_context({"svg.fonttype": "path"})
    context: AbstractContextManager[None] = _module(house, "figures", path).applied()
    return context


def _numbers(value: Any) -> Any:
    """Give stored nan and infinities, which JSON holds as words, back as numbers where they stand among numbers."""
    if isinstance(value, dict):
        return {name: _numbers(entry) for name, entry in value.items()}
    if isinstance(value, list):
        words = {"nan", "inf", "-inf"}
        flat = [entry for entry in value if not isinstance(entry, (list, dict))]
        if len(flat) < len(value):
            return [_numbers(entry) for entry in value]
        if all(isinstance(entry, (int, float)) or entry is None or entry in words for entry in flat):
            return [float(entry) if isinstance(entry, str) else entry for entry in value]
    return value


def _check_text(drawing: Any) -> None:
    """Lay the figure out, and refuse text that would be too small in print."""
    from matplotlib.text import Text

    drawing.draw_without_rendering()  # so that tick labels exist, and the layout is done
    drawing.set_layout_engine("none")  # and stays the same in every format
    for text in drawing.findobj(Text):
        words = text.get_text().strip()
        if words and text.get_visible() and text.get_fontsize() < SMALLEST_TEXT - 1e-6:
            raise ValueError(f"text {words!r} at {text.get_fontsize():g} pt is below {SMALLEST_TEXT:g} pt")


def _save(figure: FigureFile, drawing: Any, data: Mapping[str, Sequence[Any]], folder: Path) -> dict[str, str]:
    table = _table(figure.id, data)  # refuses ragged data before any file is written
    contents = {**_pictures(drawing, figure), "csv": table}
    for suffix in FORMATS:
        _write(folder / f"{figure.id}.{suffix}", contents[suffix])
    return {suffix: f"{figure.id}.{suffix}" for suffix in FORMATS}


def _pictures(drawing: Any, figure: FigureFile) -> dict[str, bytes]:
    """The figure in each format, without dates. Canvases print directly: `savefig` would draw everything twice."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    logging.getLogger("fontTools").setLevel(logging.ERROR)  # it remarks on the age of matplotlib's own fonts
    svg, pdf, png = io.BytesIO(), io.BytesIO(), io.BytesIO()
    title = {"Title": figure.title}
    with matplotlib.rc_context({"svg.hashsalt": figure.id, "svg.fonttype": "path"}):
        canvas: Any = FigureCanvasSVG(drawing)
        canvas.print_svg(svg, metadata={**title, "Date": None, "Creator": None})
        canvas = FigureCanvasPdf(drawing)
        canvas.print_pdf(
            pdf, metadata={**title, "CreationDate": None, "ModDate": None, "Producer": None, "Creator": None}
        )
        drawing.set_dpi(DPI)
        canvas = FigureCanvasAgg(drawing)
        canvas.print_png(png, metadata={**title, "Software": None})
    return {"svg": svg.getvalue(), "pdf": pdf.getvalue(), "png": png.getvalue()}


def _table(name: str, data: Mapping[str, Sequence[Any]]) -> bytes:
    columns = {str(column): list(values) for column, values in data.items()}
    sizes = {column: len(values) for column, values in columns.items()}
    if not columns or len(set(sizes.values())) != 1:
        raise ValueError(f"{name}: tidy data needs columns of one length, got {sizes}")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow([repr(float(cell)) if isinstance(cell, float) else cell for cell in row])
    return text.getvalue().encode()


def _write(path: Path, content: bytes) -> None:
    """Write so that a reader sees the old file or the new one whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}{results.PARTIAL_SUFFIX}")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _write_index(out: Path, entries: Mapping[str, dict[str, Any]], order: Sequence[str]) -> None:
    listed = [entries[name] for name in order if name in entries]
    text = json.dumps({"schema": SCHEMA, "figures": listed}, indent=1, ensure_ascii=False) + "\n"
    results.write_atomically(out / "figures" / "figures.json", text)
