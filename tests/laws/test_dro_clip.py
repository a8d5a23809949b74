"""Roots that sit where an atom is about to be clipped: steep powers keep it."""

import numpy as np
import pytest

from drocl import divergences, dro


@pytest.mark.parametrize("power", [5.0, 10.0, 20.0])
def test_steep_powers_keep_the_atom_that_is_about_to_be_clipped(power):
    # all of that atom's weight lies between two neighbouring values of the tilt
    divergence = divergences.get("cressie_read", k=power)
    rng = np.random.default_rng(int(power))
    scores = rng.normal(size=(400, 3))
    radius = divergence.radius_max(1 / 3) * rng.uniform(size=400) ** 3
    best = dro.worst_case(scores, radius=radius, divergence=divergence)
    assert np.all(best.gap <= 1e-12)
    assert np.all(divergence.between(best.weights, np.full(3, 1 / 3)) <= radius * (1 + 1e-9))
    priced = dro.worst_case(scores, temperature=rng.uniform(0.01, 2.0, size=400), divergence=divergence)
    assert np.all(priced.gap <= 1e-11)


def test_a_penalised_value_that_a_clip_once_hid():
    best = dro.worst_case(
        [1.6, 1.4, -1.0], temperature=0.23325673267627048, divergence=divergences.get("cressie_read", k=20)
    )
    assert best.value == pytest.approx(1.0952592929, abs=1e-10)
    assert np.allclose(best.weights, [0.44186963, 0.44001205, 0.11811832], atol=1e-8)
