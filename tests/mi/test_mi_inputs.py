"""What `mi.estimate` refuses, with the name, the value and what is allowed; and what it treats instead."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch

from drocl import mi
from drocl.mi import _check

FAST = {"steps": 5, "hidden": (8,), "embed": 4, "folds": 2}


def sample(n=100, d=1, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)), rng.standard_normal((n, d))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda x, y: (x, y[:-1]), "x has 100, y has 99"),
        (lambda x, y: (x[:19], y[:19]), "n=19 .* at least 20"),
        (lambda x, y: (np.where(np.arange(100)[:, None] == 7, np.nan, x), y), "x holds 1 values .* row 7, column 0"),
        (lambda x, y: (x, np.where(np.arange(100)[:, None] == 3, np.inf, y)), "y holds 1 values"),
        (lambda x, y: (np.ones_like(x), y), "x is constant"),
        (lambda x, y: (x, np.array(["a", "b"] * 50)), "y of type <U1 must hold real numbers"),
        (lambda x, y: (x, np.array(["a", 1.0] * 50, dtype=object)), "y must hold numbers"),
        (lambda x, y: (x + 1j, y), "complex"),
        (lambda x, y: (x[:, :, None], y), r"x of shape \(100, 1, 1\)"),
        (lambda x, y: (x[:, :0], y), "at least one column"),
        (lambda x, y: (3.0, y), r"x of shape \(\)"),
    ],
)  # fmt: skip
def test_bad_pairs_are_refused_by_name(change, says):
    with pytest.raises(ValueError, match=says):
        mi.estimate(*change(*sample()), "dv")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"level": 0.0}, r"level=0\.0 must lie in \(0, 1\)"),
        ({"level": 1.0}, r"level=1\.0"),
        ({"level": "high"}, "level='high'"),
        ({"folds": 1}, r"folds=1 must be None or an integer in \[2, 10\]"),
        ({"folds": 11}, "folds=11"),
        ({"folds": 2.5}, r"folds=2\.5"),
        ({"seed": -1}, "seed=-1"),
        ({"preprocess": "whiten"}, "preprocess='whiten' must be one of none, standardize, ranks, copula, rich"),
        ({"device": "warp"}, "device='warp'"),
        ({"stepz": 3}, "no option 'stepz'; it has .*steps"),
        ({"steps": 0}, "steps=0 must be an integer >= 1"),
        ({"steps": 1.5}, r"steps=1\.5"),
        ({"batch_size": 1}, "batch_size=1 must be an integer >= 2"),
        ({"hidden": (0,)}, r"hidden=\(0,\)"),
        ({"hidden": 3}, "hidden=3"),
        ({"learning_rate": 0.0}, r"learning_rate=0\.0"),
        ({"average": 1.0}, r"average=1\.0"),
        ({"negatives": 0}, "negatives=0"),
        ({"critic": "deep"}, "critic='deep' must be one of separable"),
        ({"inner": "deep"}, "inner='deep'"),
        ({"critic": "hybrid", "base": "cauchy"}, "base='cauchy'"),
        ({"preset": "slow"}, "preset='slow' must be one of default, fast"),
        ({"readout": "mean"}, "readout='mean' is not one of dv's: own, kl, plugin, nwj"),
        ({"correct": "all"}, "correct='all'"),
        ({"normalise": "columns"}, "normalise='columns'"),
    ],
)  # fmt: skip
def test_bad_options_are_refused_by_name(options, says):
    with pytest.raises(ValueError, match=says):
        mi.estimate(*sample(), "dv", **options)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("infonce", {"readout": "kl", "normalise": "none"}, "defined up to a function of x"),
        ("decoupled", {"readout": "nwj", "normalise": "none"}, "needs normalise='rows'"),
        ("dro", {"divergence": "tv"}, "tv"),
        ("dro", {"divergence": "cressie_read"}, "takes exactly k"),
        ("dro", {"information": "chi2"}, "information='chi2'"),
        ("dro", {"information": "phi", "readout": "kl"}, "has the own read-out alone"),
        ("dro", {"form": "constrained"}, "radius=None"),
        ("dro", {"form": "constrained", "radius": 0.1, "tight": False}, "always tight"),
        ("dro", {"form": "constrained", "radius": 0.1, "readout": "own"}, "readout='own'"),
        ("dro", {"form": "constrained", "radius": 0.1, "information": "phi"}, "needs form='penalised'"),
        ("dro", {"form": "free"}, "form='free'"),
        ("dro", {"parametrise": "sqrt"}, "parametrise='sqrt'"),
        ("smile", {"clip": -1.0}, r"clip=-1\.0"),
        ("mine", {"rate": 2.0}, r"rate=2\.0"),
        ("infonc", {}, "estimator='infonc' is unknown; the known ones are auto, infonce"),
        (None, {}, "estimator=None"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_by_name(name, options, says):
    with pytest.raises(ValueError, match=says):
        mi.estimate(*sample(), name, **options)


def test_constant_columns_are_dropped_with_a_note():
    x, y = sample(d=3)
    x[:, 1] = 4.0
    left, _, notes = _check.pairs(x, y)
    assert left.shape == (100, 2)
    assert notes == ("1 constant columns of x were dropped",)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mi.MIWarning)
        found = mi.estimate(x, y, "dv", **FAST)
        assert found.value == mi.estimate(x[:, [0, 2]], y, "dv", **FAST).value
    assert found.details["notes"] == notes


@pytest.mark.parametrize("kind", ["int", "bool", "one-hot", "list", "float32"])
def test_numbers_of_every_kind_are_taken(kind):
    x, y = sample()
    labels = (y[:, 0] > 0).astype(int) + (y[:, 0] > 1)
    given = {
        "int": labels, "bool": labels > 0, "one-hot": np.eye(3)[labels], "list": y.tolist(), "float32": y.astype(np.float32),
    }[kind]  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mi.MIWarning)
        assert np.isfinite(mi.estimate(torch.from_numpy(x), given, "dv", **FAST).value)


def test_the_smallest_sample_works():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mi.MIWarning)
        for name in ("infonce", "dv", "dro"):
            found = mi.estimate(*sample(20), name, steps=5)
            assert np.isfinite(found.value)
            assert found.n_test == 20


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_units_do_not_matter(scale):
    x, y = sample(200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mi.MIWarning)
        one, two = (mi.estimate(s * x, y, "infonce", preprocess="standardize", **FAST).value for s in (1.0, scale))
    assert two == pytest.approx(one, abs=1e-5)


def test_heavy_tails_and_outliers_do_not_break_a_run():
    rng = np.random.default_rng(0)
    x, y = rng.standard_cauchy((300, 2)) ** 3, rng.standard_cauchy((300, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mi.MIWarning)
        for mode in ("none", "standardize", "copula", "rich"):
            assert np.isfinite(mi.estimate(x, y, "infonce", preprocess=mode, **FAST).value), mode


def test_nothing_is_written_into_the_callers_arrays():
    x, y = sample()
    before = x.copy(), y.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mi.MIWarning)
        mi.estimate(x, y, "dv", **FAST)
    assert np.array_equal(x, before[0])
    assert np.array_equal(y, before[1])


def test_importing_the_package_does_not_import_torch():
    code = "import sys, drocl.mi as mi; assert 'torch' not in sys.modules; mi.ESTIMATORS; assert 'torch' not in sys.modules; dir(mi)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_name_of_the_registry_can_be_made():
    for name in mi.ESTIMATORS:
        made = mi.make(name)
        assert isinstance(made, mi.Estimator), name
    with pytest.raises(AttributeError, match="nothing"):
        mi.nothing  # noqa: B018
