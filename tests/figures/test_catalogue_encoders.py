"""Every figure of trained encoders draws whole from its quick simulation."""

import pytest
import quick
from quick import forget  # noqa: F401

NAMES = quick.of(lambda simulation: simulation.startswith("sim_encoder_"))


@pytest.mark.parametrize("name", NAMES)
def test_figure_draws_whole_from_its_quick_result(name: str) -> None:
    quick.whole(name)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_cut_off_at_the_edge(name: str) -> None:
    quick.uncut(name)
