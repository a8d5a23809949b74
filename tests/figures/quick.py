"""Figures drawn from the quick results of their simulations, once a file of tests, and what every one of them promises."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drocl import catalogue, results
from drocl.report import figure_files
from drocl.report.figures import _check_text, _module, _numbers, _table

ROOT = Path(__file__).resolve().parents[2]
HOUSE = catalogue.find(ROOT)
FIGURES = figure_files(ROOT)
Table = dict[str, np.ndarray]


def of(wanted: Callable[[str], bool]) -> list[str]:
    """The figures whose simulation is wanted."""
    return [name for name, figure in FIGURES.items() if wanted(figure.simulation)]


@cache
def simulated(name: str) -> dict[str, Any]:
    """The quick result of a simulation, as the store would give it back."""
    module = _module(HOUSE, "simulations", ROOT / "simulations" / f"{name}.py")
    tables: dict[str, Any] = _numbers(results.jsonable(module.run(module.PROFILES["quick"])))
    return tables


@cache
def drawn(name: str) -> tuple[Any, dict[str, Sequence[Any]]]:
    """A figure, laid out, and its data; any warning is an error here."""
    style = _module(HOUSE, "figures", ROOT / "figures" / "style.py")
    module = _module(HOUSE, "figures", FIGURES[name].path)
    with style.applied():
        figure, data = module.draw(simulated(FIGURES[name].simulation))
        _check_text(figure)
    return figure, data


@pytest.fixture(scope="module", autouse=True)
def forget() -> Iterator[None]:
    yield
    simulated.cache_clear()
    drawn.cache_clear()


def table(simulation: str, name: str, **where: Any) -> Table:
    columns = {key: np.asarray(values) for key, values in simulated(simulation)[name].items()}
    kept = np.ones(len(next(iter(columns.values()))), dtype=bool)
    for key, value in where.items():
        kept &= columns[key] == value
    assert kept.any(), where
    return {key: values[kept] for key, values in columns.items()}


def order(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.polyfit(np.log(x), np.log(np.abs(y)), 1)[0])


def by(columns: Table, name: str) -> Iterator[tuple[Any, Table]]:
    for value in dict.fromkeys(columns[name].tolist()):
        kept = columns[name] == value
        yield value, {key: values[kept] for key, values in columns.items()}


def whole(name: str) -> None:
    """The figure has data in every panel, axes that say what they are, and tidy data."""
    figure, data = drawn(name)
    assert _table(name, data).count(b"\n") > 2, "tidy data have rows"
    for ax in figure.axes:
        assert ax.has_data(), "no panel is empty"
        sharing = [other for other in figure.axes if other is ax or ax.get_shared_x_axes().joined(ax, other)]
        assert any(other.get_xlabel() for other in sharing), "every panel, or the one below, says what its axis is"
        assert all(np.isfinite([*ax.get_xlim(), *ax.get_ylim()]))
    width, height = figure.get_size_inches()
    assert width <= 7.2
    assert height <= 6.0


def uncut(name: str) -> None:
    """Nothing stands over the edge of the figure."""
    figure, _ = drawn(name)
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    room = 0.02  # inch: the halo of a label may touch the edge
    assert min(box.x0, box.y0, width - box.x1, height - box.y1) > -room, box
