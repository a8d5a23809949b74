"""Laws of the objectives, the duals and the critics: on score matrices and discrete laws, without any training."""

import math

import numpy as np
import pytest
import torch

from drocl import divergences, mi
from drocl.dro import worst_case
from drocl.mi import _dual, critics
from drocl.mi._objective import Pairs, split
from drocl.mi._readout import by_functional, by_rows
from drocl.mi._train import batches, scores

DUALS = [("kl", None), ("chi2", None), ("reverse_kl", None), ("hellinger", None), ("js", None), ("neyman", None),
         ("cressie_read", 3.0), ("cressie_read", 1.5), ("cressie_read", -0.5), ("cressie_read", 1.01)]  # fmt: skip
NAMES = ["infonce", "decoupled", "dv", "mine", "nwj", "js", "smile"]


def laws(seed, n=7, *, zero=False):
    """Two laws on n atoms, the first with a missing atom if `zero`."""
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(n))
    if zero:
        p[2] = 0.0
        p /= p.sum()
    return torch.from_numpy(p), torch.from_numpy(q)


def matrix(seed, size=9, scale=1.0):
    return scale * torch.randn(size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def label(case):
    return case[0] if case[1] is None else f"{case[0]}({case[1]})"


@pytest.mark.parametrize("case", DUALS, ids=label)
@pytest.mark.parametrize("direct", [False, True])
def test_tight_dual_at_the_best_critic_is_the_divergence(case, direct):
    """At f = phi'(dP/dQ) the tight dual is D_phi(P || Q); directly parametrised, also at f + any constant."""
    p, q = laws(0)
    dual = _dual.make(case[0], k=case[1], direct=direct)
    truth = float(dual.divergence.between(p, q))
    g = torch.log(p / q)
    for constant in (0.0, 0.7, -3.0) if direct or case[0] == "kl" else (0.0,):
        f = torch.as_tensor(dual.divergence.derivative(p / q)) + constant if direct else g + constant
        value, shift = dual.objective(f, f, None, p, q)
        assert float(value) == pytest.approx(truth, abs=1e-10)  # float64 rounding of sums of seven terms
        # the density it holds is dP/dQ
        assert torch.allclose(dual.log_density(dual.carrier(f), shift), g, atol=1e-9)


@pytest.mark.parametrize("case", DUALS, ids=label)
@pytest.mark.parametrize("direct", [False, True])
def test_tight_dual_agrees_with_the_solver(case, direct):
    """E_P f - (sup over Q' of E f - D(Q' || Q)): the inner problem of `drocl.dro` at temperature one."""
    p, q = laws(1)
    f = torch.randn(7, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    dual = _dual.make(case[0], k=case[1], direct=direct)
    value, _ = dual.objective(f, f, None, p, q)
    slope = dual.slope(f)
    inner = worst_case(slope.numpy(), temperature=1.0, divergence=dual.divergence, base=q.numpy()).value
    assert float(value) == pytest.approx(float((p * slope).sum()) - float(inner), rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("case", DUALS, ids=label)
def test_tight_is_at_least_loose_and_at_most_the_divergence(case):
    p, q = laws(3)
    dual = _dual.make(case[0], k=case[1])
    truth = float(dual.divergence.between(p, q))
    for seed in range(20):
        g = 2.0 * torch.randn(7, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        tight, loose = float(dual.objective(g, g, None, p, q)[0]), float(dual.objective(g, g, 0.0, p, q)[0])
        assert loose <= tight + 1e-10
        assert tight <= truth + 1e-10
        assert tight > loose + 1e-6, "a random critic is not normalised: the two must differ"


def test_clipped_chi2_keeps_the_zero_of_the_law():
    """An atom that P does not charge is clipped: density 0, and the value still the divergence."""
    p, q = laws(4, zero=True)
    dual = _dual.make("chi2", direct=True)
    f = 2.0 * (p / q - 1.0)
    f[2] = -7.0  # below the slope at zero, phi'(0) = -2
    value, shift = dual.objective(f, f, None, p, q)
    assert float(value) == pytest.approx(float(divergences.get("chi2").between(p, q)), abs=1e-10)
    assert float(dual.log_density(dual.carrier(f), shift)[2]) == -math.inf
    assert float(dual.ratio(f, shift)[2]) == pytest.approx(_dual.LOWEST)


@pytest.mark.parametrize("case", DUALS, ids=label)
@pytest.mark.parametrize("tight", [True, False])
def test_gradient_of_the_dual_is_that_of_finite_differences(case, tight):
    """Envelope theorem: the shift is held fixed in the gradient, and re-solved in the differences."""
    objective = mi.objective("dro", divergence=case[0], k=case[1], tight=tight)
    s = (0.7 * matrix(5, 6)).requires_grad_()
    objective.training(s).backward()
    step = 1e-5
    for i, j in ((0, 0), (1, 3), (5, 2)):
        up, down = s.detach().clone(), s.detach().clone()
        up[i, j] += step
        down[i, j] -= step
        slope = float(objective.training(up) - objective.training(down)) / (2.0 * step)
        assert float(s.grad[i, j]) == pytest.approx(slope, abs=1e-8)  # third derivatives of order one: step^2


@pytest.mark.parametrize("divergence", ["kl", "hellinger", "js", "chi2"])
def test_constrained_gradient_is_the_worst_case(divergence):
    objective = mi.objective("dro", divergence=divergence, form="constrained", radius=0.05)
    s = torch.tanh(matrix(6, 6)).requires_grad_()
    objective.training(s).backward()
    step = 1e-5
    for i, j in ((0, 0), (1, 3), (5, 2)):
        up, down = s.detach().clone(), s.detach().clone()
        up[i, j] += step
        down[i, j] -= step
        slope = float(objective.training(up) - objective.training(down)) / (2.0 * step)
        assert float(s.grad[i, j]) == pytest.approx(slope, abs=1e-6)  # curvature of order 1 / radius


def test_constrained_ratio_spends_the_radius():
    """The log-ratio is that of a law at divergence eta from Q."""
    objective = mi.objective("dro", form="constrained", radius=0.1)
    s = torch.tanh(matrix(7, 30))
    ratio = objective.log_ratio(split(s).negatives, objective.constants(s))
    assert float(torch.exp(ratio).mean()) == pytest.approx(1.0, abs=1e-9)
    assert float((torch.exp(ratio) * ratio).mean()) == pytest.approx(0.1, abs=1e-8)


def test_objectives_on_a_known_matrix():
    """Against their formulas, written out with numpy on a 9 x 9 matrix."""
    s = matrix(8)
    a, diagonal = s.numpy(), np.diag(s.numpy())
    off = a[~np.eye(9, dtype=bool)].reshape(9, 8)
    soft = lambda v: np.logaddexp(0.0, v)  # noqa: E731
    expected = {
        "infonce": np.mean(diagonal - np.log(np.exp(a).mean(1))),
        "decoupled": np.mean(diagonal - np.log(np.exp(off).mean(1))),
        "dv": diagonal.mean() - np.log(np.exp(off).mean()),
        "mine": diagonal.mean() - np.log(np.exp(off).mean()),
        "nwj": diagonal.mean() - np.exp(off - 1.0).mean(),
        "js": np.log(2.0) - 0.5 * soft(-diagonal).mean() - 0.5 * soft(off).mean(),
        "smile": diagonal.mean() - np.log(np.exp(np.clip(off, -1.0, 1.0)).mean()),
    }
    for name, value in expected.items():
        objective = mi.objective(name, **({"clip": 1.0} if name == "smile" else {}))
        assert objective.value(s) == pytest.approx(value, abs=1e-12), name
        if name != "smile":
            assert float(objective.training(s)) == pytest.approx(value, abs=1e-12), name


@pytest.mark.parametrize("name", [*NAMES, "dro"])
def test_matrix_and_pairs_are_the_same(name):
    s = matrix(9)
    one, other = mi.objective(name), mi.objective(name)
    assert float(one.training(s)) == pytest.approx(float(other.training(split(s))), abs=1e-12)
    assert one.value(s) == pytest.approx(other.value(tuple(split(s))), abs=1e-12)


def test_infonce_never_exceeds_log_n():
    """Diagonal as large as one likes: log 9 and no more."""
    objective = mi.objective("infonce")
    assert objective.value(matrix(10) + 50.0 * torch.eye(9)) == pytest.approx(math.log(9.0), abs=1e-9)
    assert mi.objective("decoupled").value(matrix(10) + 50.0 * torch.eye(9)) > 40.0


@pytest.mark.parametrize("name", ["infonce", "decoupled"])
def test_row_objectives_do_not_see_a_function_of_x(name):
    """c(x) changes neither the objective nor a read-out; a function of y changes them."""
    s, c = matrix(11), torch.arange(9.0, dtype=torch.float64)
    objective = mi.objective(name)
    for readout in ("own", "kl", "plugin", "nwj"):
        assert objective.value(s + c[:, None], readout) == pytest.approx(objective.value(s, readout), abs=1e-12)
        assert abs(objective.value(s + c[None, :], readout) - objective.value(s, readout)) > 1e-3


@pytest.mark.parametrize("name", ["dv", "mine", "dro"])
def test_a_constant_does_not_move_a_tight_kl_dual(name):
    s = matrix(12)
    for readout in ("own", "kl", "plugin"):
        objective = mi.objective(name)
        assert objective.value(s + 3.0, readout) == pytest.approx(objective.value(s, readout), abs=1e-11)
    assert mi.objective("nwj").value(s + 3.0) < mi.objective("nwj").value(s) - 1.0


def test_nwj_is_dv_at_its_best_constant():
    """log r - 1 <= r: NWJ <= DV, equal where the mean of e^{g-1} is one."""
    s = matrix(13)
    level = float(torch.logsumexp(split(s).negatives.flatten(), 0)) - math.log(72)
    assert mi.objective("nwj").value(s - level + 1.0) == pytest.approx(mi.objective("dv").value(s), abs=1e-12)
    assert mi.objective("nwj").value(s) < mi.objective("dv").value(s)


def test_mine_corrects_the_gradient_by_the_running_mean():
    """The gradient over Q is e^g over the running mean, not over the batch's; looking at it does not move the mean."""
    objective = mi.objective("mine", rate=0.25)
    first, second = matrix(14), matrix(15).requires_grad_()
    objective.training(first.clone().requires_grad_())
    objective.training(first + 5.0)  # no gradient wanted: nothing recorded
    objective.training(second).backward()
    means = [float(torch.exp(split(m.detach()).negatives).mean()) for m in (first, second)]
    running = 0.75 * means[0] + 0.25 * means[1]
    weight = torch.exp(split(second.detach()).negatives) / 72.0 / running
    assert torch.allclose(split(second.grad).negatives, -weight, atol=1e-12)
    assert float(objective.level) == pytest.approx(math.log(running), abs=1e-12)


def test_smile_without_clip_is_dv_and_with_it_is_above():
    s = matrix(16, scale=3.0)
    assert mi.objective("smile", clip=math.inf).value(s) == pytest.approx(mi.objective("dv").value(s), abs=1e-12)
    assert mi.objective("smile", clip=0.5).value(s) > mi.objective("dv").value(s)


def test_plugin_and_kl_use_the_ratio_of_the_dual_not_e_to_the_critic():
    """Tight Hellinger at a random critic: the ratio has mean one over Q, e^g has not."""
    s = matrix(17, scale=1.5) + 4.0 * torch.eye(9)  # joint pairs on top: no ratio is capped
    objective = mi.objective("dro", divergence="hellinger")
    constants = objective.constants(s)
    ratio = objective.log_ratio(split(s).negatives, constants)
    assert float(torch.exp(ratio).mean()) == pytest.approx(1.0, abs=1e-9)
    assert abs(float(torch.exp(split(s).negatives).mean()) - 1.0) > 0.1
    assert objective.value(s, "kl") == pytest.approx(objective.value(s, "plugin"), abs=1e-9)
    assert objective.value(s) == pytest.approx(float(objective.training(s)), abs=1e-9)


def test_ratios_stay_finite_beyond_the_sample():
    """A critic value larger than any seen may lie outside the conjugate's domain; its ratio is capped."""
    for divergence in ("hellinger", "reverse_kl", "js"):
        objective = mi.objective("dro", divergence=divergence)
        constants = objective.constants(matrix(18) - 2.0)  # lambda < 0: the domain ends
        ratio = objective.log_ratio(torch.tensor([-50.0, 0.0, 50.0], dtype=torch.float64), constants)
        assert bool(torch.isfinite(ratio).all())
        assert float(ratio[2]) == pytest.approx(constants["top"])


def test_split_drops_the_diagonal_row_by_row():
    s = torch.arange(16.0).view(4, 4)
    pairs = split(s)
    assert pairs.positives.tolist() == [0.0, 5.0, 10.0, 15.0]
    assert pairs.negatives.tolist() == [[1, 2, 3], [4, 6, 7], [8, 9, 11], [12, 13, 14]]
    with pytest.raises(ValueError, match="square"):
        split(torch.zeros(3, 4))
    with pytest.raises(ValueError, match="positives"):
        split((torch.zeros(3), torch.zeros(4, 2)))


@pytest.mark.parametrize("make", [critics.Separable, critics.Bilinear, critics.Concatenated, critics.Cosine])
def test_matrix_of_a_critic_is_its_values_at_all_pairs(make):
    critic = make(3, 2, generator=torch.Generator().manual_seed(0)).double()
    x, y = torch.randn(5, 3, dtype=torch.float64), torch.randn(4, 2, dtype=torch.float64)
    full = critic.matrix(x, y)
    one_by_one = critic(x.repeat_interleave(4, 0), y.repeat(5, 1)).view(5, 4)
    assert torch.allclose(full, one_by_one, atol=1e-12)
    for wrapped in (critics.Bounded(critic, 0.5), critics.Hybrid(critics.Bilinear(3, 2).double(), critic)):
        assert torch.allclose(wrapped.matrix(x, y)[:, 0], wrapped(x, y[:1].expand(5, 2)), atol=1e-12)


def test_cosine_is_bounded_by_two_over_tau():
    critic = critics.Cosine(2, 2, temperature=0.25, generator=torch.Generator().manual_seed(1))
    values = critic.matrix(100.0 * torch.randn(50, 2), 100.0 * torch.randn(50, 2))
    assert critic.bound == 8.0
    assert float(values.detach().max() - values.detach().min()) <= 8.0 + 1e-5
    with pytest.raises(ValueError, match=r"temperature=0\.0"):
        critics.Cosine(2, 2, temperature=0.0)


def test_gaussian_base_is_the_log_ratio_of_the_normal_law():
    """Against scipy's densities with the sample's own moments."""
    from scipy.stats import multivariate_normal

    rng = np.random.default_rng(0)
    z = rng.standard_normal((400, 3)) @ rng.standard_normal((3, 3)) + 2.0
    x, y = torch.from_numpy(z[:, :2]), torch.from_numpy(z[:, 2:])
    critic = critics.gaussian_base(x, y, shrink=0.0).double()
    mean, cov = z.mean(0), np.cov(z.T, bias=True) * 400 / 399
    # the base divides by the unbiased scale and averages by n: the covariance it means is that times (n - 1) / n
    joint = multivariate_normal(mean, cov * 399 / 400).logpdf(z)
    left = multivariate_normal(mean[:2], cov[:2, :2] * 399 / 400).logpdf(z[:, :2])
    right = multivariate_normal(mean[2:], cov[2:, 2:] * 399 / 400).logpdf(z[:, 2])
    assert np.allclose(
        critic(x, y).numpy(), joint - left - right, atol=0.02
    )  # weights stored in single precision, n - 1
    assert not any(p.requires_grad for p in critic.parameters())


def test_density_ratio_as_a_base():
    class Known:
        def log_ratio(self, x, y):
            return x[:, 0] * y[:, 0]

    hybrid = critics.Hybrid(Known(), critics.Concatenated(2, 2, zero=True, generator=torch.Generator().manual_seed(0)))
    x, y = torch.randn(4, 2), torch.randn(3, 2)
    assert torch.allclose(hybrid.matrix(x, y), x[:, :1] * y[:, 0], atol=1e-6)


def test_shifted_negatives_are_products_of_the_batch():
    critic = critics.Separable(1, 1, generator=torch.Generator().manual_seed(0))
    x, y = torch.randn(10, 1), torch.randn(10, 1)
    full, some = critic.matrix(x, y), scores(critic, x, y, 3)
    assert isinstance(some, Pairs)
    assert some.negatives.shape == (10, 3)
    assert torch.allclose(some.positives, full.diagonal(), atol=1e-6)
    for j, shift in enumerate((1, 4, 7)):
        assert torch.allclose(some.negatives[:, j], full[torch.arange(10), (torch.arange(10) + shift) % 10], atol=1e-6)
    assert isinstance(scores(critic, x, y, 9), torch.Tensor), "as many as there are: the matrix"


def test_batches_use_no_pair_twice_before_all_were_offered():
    stream = batches(10, 4, torch.Generator().manual_seed(0))
    seen, current = [], torch.empty(0)
    for _ in range(4):
        order, start = next(stream)
        current = current if order is None else order
        seen.append(current[start : start + 4].tolist())
    assert len(set(seen[0]) | set(seen[1])) == 8
    assert len(set(seen[2]) | set(seen[3])) == 8
    assert seen[:2] != seen[2:]


@pytest.mark.parametrize("name", ["infonce", "decoupled"])
def test_influence_of_a_row_read_out_is_its_derivative_in_the_weight_of_a_pair(name):
    """One batch of all pairs: moving a copy of mass onto pair i moves the value by its influence (finite differences)."""
    s = matrix(20, 8)
    held = by_rows(mi.objective(name), lambda r, c: s[r][:, c], 8, 8, torch.Generator().manual_seed(0))
    own = name == "infonce"

    def weighted(w):
        e = np.exp(s.numpy()) * (np.ones((8, 8)) if own else 1.0 - np.eye(8))
        mask = w[None, :] * (np.ones((8, 8)) if own else 1.0 - np.eye(8))
        rows = np.diag(s.numpy()) - np.log((e * w).sum(1) / mask.sum(1))
        return float((w * rows).sum() / w.sum())

    assert held.value == pytest.approx(weighted(np.ones(8)), abs=1e-12)
    moved = []
    for i in range(8):
        w = np.ones(8)
        w[i] += 1e-6
        moved.append((weighted(w) - held.value) / 1e-6 * 8.0)
    centred = held.influence - held.influence.mean()
    assert np.allclose(centred, np.array(moved) - np.mean(moved), atol=1e-4)  # a finite difference at 1e-6


def test_influence_of_dv_counts_rows_and_columns():
    """Against the derivative of a weighted V-statistic without its diagonal."""
    s = matrix(21, 12)
    pairs = torch.arange(12)
    functional = lambda shift: mi.objective("dv").own({}, shift)  # noqa: E731
    held = by_functional(functional, s.diagonal(), lambda r, c: s[r][:, c], torch.Generator(), 12, False)
    assert held.value == pytest.approx(mi.objective("dv").value(s), abs=1e-12)
    off = np.exp(s.numpy()) * (1.0 - np.eye(12))

    def weighted(w):
        product = np.outer(w, w) * (1.0 - np.eye(12))
        return float((w * np.diag(s.numpy())).sum() / w.sum() - np.log((product * off).sum() / product.sum()))

    moved = []
    for i in pairs.tolist():
        w = np.ones(12)
        w[i] += 1e-6
        moved.append((weighted(w) - weighted(np.ones(12))) / 1e-6 * 12.0)
    assert np.allclose(held.influence, moved, atol=1e-4)  # a finite difference at 1e-6


def test_blocks_estimate_the_same_mean_as_all_pairs():
    s = matrix(22, 300)
    make = lambda shift: mi.objective("dv").own({}, shift)  # noqa: E731
    read = lambda block: by_functional(  # noqa: E731
        make, s.diagonal(), lambda r, c: s[r][:, c], torch.Generator().manual_seed(0), block, False
    )
    whole, blocks = read(300), read(50)
    # 14,700 of 89,700 pairs of standard normal scores: e^s has a coefficient of variation of 1.3
    assert blocks.value == pytest.approx(whole.value, abs=4.0 * 1.3 / math.sqrt(14700))
    assert blocks.influence.std() == pytest.approx(whole.influence.std(), rel=0.2)


def test_unknown_objectives_and_divergences_are_named():
    with pytest.raises(ValueError, match="known ones are infonce"):
        mi.objective("cca")
    with pytest.raises(ValueError, match="no option 'clip'"):
        mi.objective("dv", clip=1.0)
    with pytest.raises(ValueError, match="tv"):
        mi.objective("dro", divergence="tv")
    with pytest.raises(ValueError, match="leaves the domain"):
        mi.objective("dro", divergence="hellinger", parametrise="direct", tight=False)
    with pytest.raises(ValueError, match="radius=None"):
        mi.objective("dro", form="constrained")
    with pytest.raises(ValueError, match="plays no part"):
        mi.objective("dro", radius=0.1)
    with pytest.raises(ValueError, match="readout='sum'"):
        mi.objective("dv").value(matrix(0), "sum")
    with pytest.raises(ValueError, match="clip=0"):
        mi.objective("smile", clip=0.0)
    with pytest.raises(ValueError, match="rate=0"):
        mi.objective("mine", rate=0.0)
