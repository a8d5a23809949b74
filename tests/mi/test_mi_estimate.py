"""The neural estimators end to end on laws whose information is known: values, intervals, cross-fitting, reproducibility, warnings."""

import dataclasses
import math
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone

from drocl import mi
from drocl.mi import critics
from drocl.mi._interval import corrected, over_folds, standard_error
from drocl.mi._margins import Margins
from drocl.mi._readout import hill
from drocl.mi.preprocess import Preprocessor, transform

SMALL = {
    "steps": 100,
    "hidden": (32,),
    "embed": 8,
    "batch_size": 64,
    "folds": 2,
    "learning_rate": 5e-3,
    "eval_every": 50,
}


def normal(n, rho=0.8, d=1, seed=0):
    """d independent pairs of correlation rho: I = -(d / 2) log(1 - rho^2)."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d))
    return x, rho * x + math.sqrt(1.0 - rho**2) * rng.standard_normal((n, d))


def quiet(*args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mi.MIWarning)
        return mi.estimate(*args, **options)


ALL = [
    ("infonce", {}), ("infonce", {"readout": "kl"}), ("decoupled", {}), ("dv", {}), ("mine", {"rate": 0.1}), ("nwj", {}), ("js", {}),
    ("smile", {}), ("dro", {}), ("dro", {"divergence": "hellinger"}), ("dro", {"divergence": "hellinger", "tight": False}),
    ("dro", {"divergence": "js"}), ("dro", {"divergence": "reverse_kl"}), ("dro", {"divergence": "chi2", "readout": "plugin"}),
    ("dro", {"divergence": "cressie_read", "k": 1.5}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "options"), ALL, ids=lambda v: v if isinstance(v, str) else "-".join(map(str, v.values())) or "own"
)
def test_every_estimator_finds_the_information_of_a_normal_pair(name, options):
    """rho = 0.8: 0.51 nats. 1,000 pairs give a standard error of 0.025; the base of the default critic holds the truth."""
    x, y = normal(1000)
    found = quiet(x, y, name, **SMALL, **options)
    assert found.value == pytest.approx(0.511, abs=0.1)
    assert found.interval[0] < found.value < found.interval[1]
    assert 0.005 < found.details["standard_error"] < 0.08
    assert found.n_test == 1000
    assert found.n_train < 500
    assert found.history
    assert {"fold", "step", "held_out", "train"} <= set(found.history[0])


@pytest.mark.parametrize("critic", ["separable", "bilinear", "concatenated", "cosine", "hybrid"])
def test_every_critic_learns(critic):
    """Without a base the critic is trained from noise: most of the information, not all, after 250 steps."""
    x, y = normal(1500)
    found = quiet(x, y, "dv", critic=critic, inner="concatenated", **{**SMALL, "steps": 250, "learning_rate": 1e-2})
    assert 0.3 < found.value < 0.6


def test_independent_pairs_hold_no_information():
    x, y = normal(1500, rho=0.0)
    for name in ("infonce", "dv"):
        found = quiet(x, y, name, **SMALL)
        assert found.value == pytest.approx(0.0, abs=0.02)  # held out: noise that was learned counts against the critic
        assert found.interval[0] < 0.02


@pytest.mark.slow
def test_phi_information_against_its_closed_form():
    """Hellinger and chi2 information at rho = 0.4, where the moments of both exist or nearly."""
    rho, (x, y) = 0.4, normal(2500, 0.4)
    hellinger = 2.0 - 2.0 * (1.0 - rho**2) ** 0.25 / (1.0 - rho**2 / 4.0) ** 0.5
    chi2 = rho**2 / (1.0 - rho**2)
    for divergence, truth in (("hellinger", hellinger), ("chi2", chi2)):
        found = quiet(x, y, "dro", divergence=divergence, information="phi", **SMALL)
        assert found.details["quantity"] == divergence
        assert found.value == pytest.approx(truth, rel=0.25)  # standard error about 10 %


def test_the_constrained_form_reads_out_about_its_radius():
    """The worst case spends the radius: KL information near it, whatever the truth (0.51)."""
    x, y = normal(1500)
    found = quiet(x, y, "dro", form="constrained", radius=0.1, **{**SMALL, "steps": 300})
    assert 0.05 < found.value < 0.5
    assert found.details["constants"][0]["multiplier"] > 0.0


def test_same_seed_same_result_and_no_global_generator_moves():
    x, y = normal(400)
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002 - the global generator is what is watched
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first, again, other = (quiet(x, y, "dv", seed=s, critic="separable", **{**SMALL, "steps": 60}) for s in (3, 3, 4))
    assert first.value == again.value
    assert first.interval == again.interval
    assert first.history == again.history
    assert first.value != other.value
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002


def test_a_users_dropout_is_reproducible_too():
    class Dropping(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = torch.nn.Sequential(
                torch.nn.Linear(2, 16), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(16, 1)
            )

        def forward(self, x, y):
            return self.net(torch.cat([x, y], 1))[:, 0]

    x, y = normal(400)
    critic = Dropping()
    weights = critic.net[0].weight.detach().clone()
    one, two = (quiet(x, y, "js", critic=critic, preprocess="copula", **{**SMALL, "steps": 60}) for _ in range(2))
    assert one.value == two.value
    assert torch.equal(critic.net[0].weight, weights), "the module given is copied, not trained"


def test_a_factory_and_a_critic_with_only_a_matrix():
    class Product(torch.nn.Module):
        def __init__(self, dim_x, dim_y):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(dim_x, dim_y))

        def matrix(self, x, y):
            return x @ self.weight @ y.T

    x, y = normal(800)
    found = quiet(x, y, "infonce", critic=Product, preprocess="copula", **SMALL)
    assert found.value > 0.1  # from zero in 150 steps of 0.005: on its way


def test_every_pair_is_evaluated_once_and_never_by_its_own_critic(monkeypatch):
    """Mark pairs by their x: the test parts partition the sample, and none meets its training part."""
    from drocl.mi.dv import DV

    seen, fitted = [], []
    read, fit = DV._read, DV.fit

    def spy_read(self, found, x, y, seed):
        seen.append(set(x[:, 0]))
        return read(self, found, x, y, seed)

    def spy_fit(self, x, y, **rest):
        fitted.append(set(x[:, 0]))
        return fit(self, x, y, **rest)

    monkeypatch.setattr(DV, "_read", spy_read)
    monkeypatch.setattr(DV, "fit", spy_fit)
    x, y = normal(100)
    quiet(x, y, "dv", **{**SMALL, "folds": 4, "steps": 5})
    assert len(seen) == 4
    assert set().union(*seen) == set(x[:, 0])
    assert sum(map(len, seen)) == 100
    for test, train in zip(seen, fitted, strict=True):
        assert not test & train
        assert test | train == set(x[:, 0])


def test_held_out_part_of_the_training_data_chooses_the_step():
    """Fifty pairs and a large critic: the best step comes early, and what is kept is not the overfitted end."""
    x, y = normal(100, d=4)
    late = quiet(x, y, "dv", critic="separable", patience=1000, steps=300, hidden=(64,), folds=2, eval_every=10)
    assert late.value > -1.0
    best = max(late.history, key=lambda entry: entry["held_out"] - 100.0 * entry["fold"])
    assert best["step"] < 300
    early = quiet(x, y, "dv", critic="separable", patience=2, steps=300, hidden=(64,), folds=2, eval_every=10)
    assert len(early.history) < len(late.history)


def test_infonce_respects_its_ceiling_and_says_so():
    """I = 3.4 nats, batches of 8: no more than log 8 = 2.08."""
    x, y = normal(1000, rho=0.94, d=3)
    with pytest.warns(mi.MIWarning, match="ceiling log N"):
        found = mi.estimate(x, y, "infonce", **{**SMALL, "batch_size": 8})
    assert found.details["held_out"] <= math.log(8)
    assert found.details["ceiling"] == pytest.approx(math.log(8))
    assert any("ceiling" in text for text in found.warnings)
    above = quiet(x, y, "infonce", readout="kl", **{**SMALL, "batch_size": 8})
    assert above.value > 2.6, "normalised over y and read out by the KL dual the same critic shows more"


def test_a_saturated_cosine_critic_says_so():
    x, y = normal(1000, rho=0.97, d=2)
    with pytest.warns(mi.MIWarning, match="saturated"):
        found = mi.estimate(x, y, "infonce", critic="cosine", temperature=1.5, **SMALL)
    assert found.details["held_out"] < 2.0 / 1.5


def test_chi2_warns_where_its_variance_is_infinite_and_not_where_it_is_finite():
    for rho, warned in ((0.8, True), (0.15, False)):
        x, y = normal(1000, rho)
        found = quiet(x, y, "dro", divergence="chi2", **SMALL)
        assert any("moments" in text for text in found.warnings) == warned, rho


def test_gap_and_log_n_warnings():
    x, y = normal(100, rho=0.5, d=8)  # the correlations of the base alone are overfitted
    found = quiet(x, y, "dv", **{**SMALL, "steps": 10})
    assert any("train/test gap" in text for text in found.warnings)
    x, y = normal(60, rho=0.9999, d=2)
    found = quiet(x, y, "js", readout="plugin", **SMALL)
    assert any("log n" in text for text in found.warnings)


def test_few_pairs_carry_dv_at_high_information():
    x, y = normal(400, rho=0.98, d=4)
    found = quiet(x, y, "dv", **SMALL)
    assert found.details["effective_pairs"] < 1e3
    assert any("rests on about" in text for text in found.warnings) == (found.details["effective_pairs"] < 100)


def test_warnings_of_the_result_are_issued():
    x, y = normal(300, rho=0.94, d=3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = mi.estimate(x, y, "infonce", **{**SMALL, "batch_size": 8})
    assert [str(w.message) for w in caught if w.category is mi.MIWarning] == list(found.warnings)


@pytest.mark.slow
def test_the_interval_covers_as_often_as_it_says():
    """Hybrid critic on normal pairs of 400: the nominal 80 % within what 24 samples can tell (binomial, two sided 1e-3)."""
    hits = 0
    for seed in range(24):
        x, y = normal(400, 0.6, seed=seed)
        lo, hi = quiet(x, y, "dv", level=0.8, **{**SMALL, "steps": 20}).interval
        hits += lo < -0.5 * math.log(1.0 - 0.36) < hi
    assert 12 <= hits <= 24


def test_the_interval_widens_with_the_level_and_the_correction_moves_it():
    assert corrected(1.0, 0.1, 0.9, 1.4, "none") == (1.0, pytest.approx((0.8355, 1.1645), abs=1e-4))
    assert corrected(1.0, 0.1, 0.9, 1.4, "interval")[1][1] == pytest.approx(1.3645, abs=1e-4)
    value, (lo, hi) = corrected(1.0, 0.1, 0.9, 1.4, "value")
    assert value == pytest.approx(1.2)
    assert hi - value == pytest.approx(value - lo)
    assert corrected(1.0, 0.1, 0.9, 0.8, "value")[0] == 1.0, "no gap, no correction"
    assert corrected(1.0, 0.1, 0.99, 1.0, "none")[1][1] > corrected(1.0, 0.1, 0.9, 1.0, "none")[1][1]


def test_standard_error_is_that_of_a_mean():
    """One fold: sd / sqrt n. Folds that agree: the same. Folds that differ by more than sampling: more."""
    values = np.random.default_rng(0).standard_normal(1000)
    assert standard_error([0.0], [values]) == pytest.approx(values.std() / math.sqrt(1000))
    halves = [values[:500], values[500:]]
    assert standard_error([0.0, 0.0], halves) == pytest.approx(1.0 / math.sqrt(1000), rel=0.1)
    assert standard_error([0.0, 1.0], halves) > 0.4
    assert over_folds([0.0, 1.0], [values[:250], values[250:]])[0] == pytest.approx(0.75), "a pair counts as a pair"


def test_half_the_gap_is_the_bias_of_a_fitted_gaussian():
    """The Gaussian base alone in 8 + 8 dimensions, 300 pairs: held-out too low, train too high, the middle near the truth."""
    truth, middle, low = -4.0 * math.log(1.0 - 0.25), [], []
    for seed in range(6):
        x, y = normal(300, 0.5, d=8, seed=seed)
        found = quiet(x, y, "dv", correct="value", **{**SMALL, "steps": 1, "learning_rate": 1e-9})
        middle.append(found.value)
        low.append(found.details["held_out"])
    assert np.mean(low) < truth - 0.1
    assert np.mean(middle) == pytest.approx(truth, abs=0.25 * (truth - np.mean(low)) + 0.15)


def test_a_fitted_critic_is_a_density_ratio():
    """log r of a normal pair is known in closed form; the mean squared error on new points is small against its variance."""
    from drocl.mi.js import JS

    x, y = normal(1500)
    fitted = JS(**{k: v for k, v in SMALL.items() if k != "folds"}).fit(x, y, seed=1)
    assert isinstance(fitted, mi.DensityRatio)
    u, v = normal(1000, seed=9)
    truth = -0.5 * math.log(1.0 - 0.64) - (0.64 * u**2 - 1.6 * u * v + 0.64 * v**2)[:, 0] / (2.0 * 0.36)
    assert np.mean((fitted.log_ratio(u, v) - truth) ** 2) < 0.1 * truth.var()


def test_rows_are_normalised_when_infonce_is_a_density_ratio():
    """Mean over product pairs of e^{log r} is one: the free function of x is gone."""
    from drocl.mi.infonce import InfoNCE

    x, y = normal(1500, 0.6)
    fitted = InfoNCE(critic="separable", **{k: v for k, v in SMALL.items() if k != "folds"}).fit(x, y)
    u, v = normal(2000, 0.0, seed=8)
    assert np.exp(fitted.log_ratio(u, v)).mean() == pytest.approx(1.0, abs=0.1)


def test_normal_scores_do_not_see_increasing_changes_of_a_column():
    x, y = normal(600, d=2)
    one = quiet(x, y, "infonce", preprocess="copula", **{**SMALL, "steps": 50})
    two = quiet(np.exp(x), y**3, "infonce", preprocess="copula", **{**SMALL, "steps": 50})
    # the training part has the same scores; between its points they are interpolated in the units of the column
    assert one.value == pytest.approx(two.value, abs=1e-3)


def test_preprocessing_modes():
    """Moments, ranges, ties and what lies beyond the sample."""
    x = np.random.default_rng(0).standard_cauchy((501, 2))
    unit = transform(x, "standardize")
    assert np.allclose([unit.mean(0), unit.std(0)], [[0, 0], [1, 1]])
    assert np.abs(transform(x, "ranks")).max() < math.sqrt(3.0)
    assert np.allclose(transform(x, "copula").std(0), 1.0, atol=0.02)
    assert transform(x, "none") is x
    margins = Margins.fit(np.array([[0.0], [1.0], [1.0], [3.0]]))
    assert margins.levels(np.array([[-9.0], [0.0], [0.5], [1.0], [3.0], [99.0]])).ravel().tolist() == [
        0.125,
        0.125,
        0.3125,
        0.5,
        0.875,
        0.875,
    ]
    rich = Preprocessor.fit(x, "rich")
    assert rich.width == 2
    assert rich(x).shape == (501, 5)  # scores, scaled values, norm
    assert np.array_equal(rich(x)[:, :2], transform(x, "copula"))
    labels = Preprocessor.fit(np.arange(400.0)[:, None] % 4, "copula", True)
    assert labels(np.array([[2.0]]))[0, 1:].tolist() == [0.0, 0.0, 1.0, 0.0]
    with pytest.raises(ValueError, match="preprocess='rich'"):
        transform(x, "rich")


def test_labels_reach_the_critic_as_labels():
    """y a permuted label of the quarter x lies in: I = log 4, though y is no monotone function of x."""
    x = np.random.default_rng(0).uniform(size=1200)
    y = np.array([2, 0, 3, 1])[(4.0 * x).astype(int)]
    found = quiet(x, y, "infonce", **{**SMALL, "steps": 300})
    assert found.value == pytest.approx(math.log(4.0), abs=0.2)
    assert any("discrete" in note for note in found.details["notes"])


def test_hill_finds_the_index_of_a_pareto_tail():
    values = -0.4 * np.log(np.random.default_rng(0).uniform(size=200_000))  # log of a Pareto of index 0.4
    assert hill(np.sort(values)[-2000:], 200_000) == pytest.approx(0.4, rel=4.0 / math.sqrt(50))


def test_objects_with_the_protocol_are_estimators():
    @dataclasses.dataclass
    class Constant:
        name: str = "constant"

        def estimate(self, x, y, *, level, folds, seed, device, progress):
            return mi.MIEstimate(float(x.shape[1]), (0.0, 9.0), level, [], self.name, 0, len(x), 0.0, ("mind",))

    with pytest.warns(mi.MIWarning, match="mind"):
        found = mi.estimate(*normal(30, d=3), Constant())
    assert found.value == 3.0
    assert "mind" in str(found)
    with pytest.raises(ValueError, match="cannot be added"):
        mi.estimate(*normal(30), Constant(), steps=3)


def test_scikit_learn_manners():
    model = mi.MutualInformation("dv", critic="bilinear", folds=2, steps=30)
    assert model.get_params()["critic"] == "bilinear"
    other = clone(model).set_params(steps=20, seed=7)
    assert (other.get_params()["steps"], other.seed, model.get_params()["steps"]) == (20, 7, 30)
    x, y = normal(300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mi.MIWarning)
        fitted = model.fit(x, y)
    assert fitted is model
    assert model.estimate_ == model.result_.value == quiet(x, y, "dv", critic="bilinear", folds=2, steps=30).value
    assert model.interval_ == model.result_.interval
    with pytest.raises(ValueError, match="no option 'stepz'"):
        other.set_params(stepz=3).fit(x, y)


def test_progress_goes_to_stderr_and_an_interrupt_closes_it(capsys):
    x, y = normal(200)
    quiet(x, y, "dv", progress=True, **{**SMALL, "steps": 20})
    assert capsys.readouterr().out == ""

    class Stop(critics.Bilinear):
        def matrix(self, x, y):
            raise KeyboardInterrupt

    state = torch.random.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        quiet(x, y, "dv", critic=Stop, progress=True, preprocess="none", **SMALL)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not torch.is_grad_enabled() or torch.zeros(1, requires_grad=True).mul(2).requires_grad


def test_torch_input_and_vectors_are_the_same_pairs():
    x, y = normal(200)
    options = {**SMALL, "steps": 20}
    assert quiet(torch.from_numpy(x), y[:, 0], "dv", **options).value == quiet(x, y, "dv", **options).value
