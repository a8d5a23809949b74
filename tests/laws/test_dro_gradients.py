"""Gradients of the worst case: Danskin, implicit differentiation, second order, and the edges of the curve."""

import importlib.util
import math
import sys
from pathlib import Path

import pytest

from drocl import divergences, dro

torch = pytest.importorskip("torch")

SOURCE = Path(__file__).parents[1] / "generators" / "dro_problems.py"
_spec = importlib.util.spec_from_file_location("dro_problems", SOURCE)
truth = importlib.util.module_from_spec(_spec)
sys.modules["dro_problems"] = truth
_spec.loader.exec_module(truth)

SMOOTH = truth.SMOOTH
PENALISED = tuple(d for d in SMOOTH if getattr(d, "name", "") != "renyi")
OUTPUTS = ("value", "multiplier", "weights", "normalizer", "excess")
SCORES = torch.tensor([[0.3, -0.7, 1.1, 0.2], [1.0, 0.5, -0.25, 2.0]], dtype=torch.float64)
BASE = torch.tensor([0.2, 0.3, 0.1, 0.4], dtype=torch.float64)


def leaf(tensor):
    return tensor.clone().requires_grad_()


@pytest.mark.parametrize("divergence", SMOOTH, ids=truth.label)
@pytest.mark.parametrize("output", OUTPUTS)
def test_first_derivatives_in_scores_radius_and_base(divergence, output):
    def ask(scores, radius, base):
        return getattr(dro.worst_case(scores, radius=radius, base=base, divergence=divergence), output)

    inputs = (leaf(SCORES), leaf(torch.tensor([0.05, 0.15], dtype=torch.float64)), leaf(BASE))
    assert torch.autograd.gradcheck(ask, inputs, atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("divergence", PENALISED, ids=truth.label)
@pytest.mark.parametrize("output", ["value", "weights", "normalizer", "radius"])
def test_first_derivatives_in_scores_temperature_and_base(divergence, output):
    def ask(scores, temperature, base):
        return getattr(dro.worst_case(scores, temperature=temperature, base=base, divergence=divergence), output)

    inputs = (leaf(SCORES), leaf(torch.tensor([2.5, 3.0], dtype=torch.float64)), leaf(BASE))
    assert torch.autograd.gradcheck(ask, inputs, atol=1e-7, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("divergence", SMOOTH, ids=truth.label)
@pytest.mark.parametrize("output", ["value", "multiplier", "weights", "normalizer"])
def test_second_derivatives(divergence, output):
    def ask(scores, radius, base):
        return getattr(dro.worst_case(scores, radius=radius, base=base, divergence=divergence), output)

    inputs = (leaf(SCORES[:1, :3]), leaf(torch.tensor([0.1], dtype=torch.float64)), leaf(BASE[:3]))
    assert torch.autograd.gradgradcheck(ask, inputs, atol=1e-6, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("divergence", PENALISED, ids=truth.label)
def test_second_derivatives_of_the_penalised_value(divergence):
    def ask(scores, temperature, base):
        return dro.worst_case(scores, temperature=temperature, base=base, divergence=divergence).value

    inputs = (leaf(SCORES[:1, :3]), leaf(torch.tensor([2.5], dtype=torch.float64)), leaf(BASE[:3]))
    assert torch.autograd.gradgradcheck(ask, inputs, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("divergence", [*SMOOTH, "tv"], ids=truth.label)
def test_danskin(divergence):
    scores, radius = leaf(SCORES), leaf(torch.tensor([0.03, 0.2], dtype=torch.float64))
    found = dro.worst_case(scores, radius=radius, base=BASE, divergence=divergence)
    found.value.sum().backward()
    assert torch.allclose(scores.grad, found.weights.detach(), rtol=1e-12, atol=1e-14)
    assert torch.allclose(radius.grad, found.multiplier.detach(), rtol=1e-12, atol=0)


def test_danskin_for_cvar():
    scores = leaf(SCORES)
    found = dro.worst_case(scores, base=BASE, divergence=divergences.get("cvar", level=0.35))
    found.value.sum().backward()
    assert torch.allclose(scores.grad, found.weights.detach(), rtol=0, atol=1e-15)


@pytest.mark.parametrize("divergence", ["tv", divergences.get("cvar", level=0.35)], ids=truth.label)
@pytest.mark.parametrize("output", ["value", "multiplier", "normalizer", "excess"])
def test_piecewise_linear_balls_have_the_gradient_of_their_piece(divergence, output):
    budget = {"radius": 0.12} if divergence == "tv" else {}

    def ask(scores):
        return getattr(dro.worst_case(scores, base=BASE, divergence=divergence, **budget), output)

    assert torch.autograd.gradcheck(ask, (leaf(SCORES),))


def test_multiplier_of_kl_moves_by_its_closed_form():
    # d alpha / d f_i = alpha q_i (f_i - m) / Var_q f, and d alpha / d eta = -alpha^3 / Var_q f
    scores, radius = leaf(SCORES[0]), leaf(torch.tensor(0.1, dtype=torch.float64))
    found = dro.worst_case(scores, radius=radius, base=BASE)
    found.multiplier.backward()
    q, f, alpha = found.weights.detach(), SCORES[0], found.multiplier.detach()
    off = f - q @ f
    variance = q @ off**2
    assert torch.allclose(scores.grad, alpha * q * off / variance, rtol=1e-12, atol=1e-14)
    assert torch.allclose(radius.grad, -(alpha**3) / variance, rtol=1e-12)


class TestEdges:
    @pytest.mark.parametrize("divergence", ["kl", "chi2", "hellinger", "js", "tv"])
    def test_slack_rows_pull_the_argmax_and_have_no_price(self, divergence):
        scores, radius = leaf(torch.tensor([1.0, 3.0, 3.0, 0.0])), leaf(torch.tensor(40.0))
        found = dro.worst_case(scores, radius=radius, divergence=divergence)
        found.value.backward()
        assert torch.equal(scores.grad, torch.tensor([0.0, 0.5, 0.5, 0.0]))
        assert radius.grad == 0.0
        assert found.multiplier == 0.0

    @pytest.mark.parametrize("divergence", SMOOTH, ids=truth.label)
    def test_no_radius_has_an_infinite_slope_and_the_gradient_of_the_mean(self, divergence):
        scores, radius = leaf(SCORES[0]), leaf(torch.tensor(0.0, dtype=torch.float64))
        found = dro.worst_case(scores, radius=radius, base=BASE, divergence=divergence)
        found.value.backward()
        assert torch.allclose(scores.grad, BASE, rtol=0, atol=1e-15)
        assert radius.grad == math.inf
        assert found.value.detach() == pytest.approx(float(BASE @ SCORES[0]), abs=1e-15)

    @pytest.mark.parametrize("divergence", SMOOTH, ids=truth.label)
    def test_constant_scores_have_the_gradient_of_the_mean(self, divergence):
        scores, radius = leaf(torch.full((4,), 2.0, dtype=torch.float64)), leaf(torch.tensor(0.1, dtype=torch.float64))
        dro.worst_case(scores, radius=radius, base=BASE, divergence=divergence).value.backward()
        assert torch.allclose(scores.grad, BASE, rtol=0, atol=1e-15)
        assert radius.grad == 0.0

    def test_edge_rows_leave_their_neighbours_alone(self):
        batch = leaf(torch.stack([SCORES[0], torch.full((4,), 2.0, dtype=torch.float64), SCORES[0]]))
        radius = leaf(torch.tensor([0.1, 0.1, 99.0], dtype=torch.float64))
        dro.worst_case(batch, radius=radius).multiplier.sum().backward()
        single = leaf(SCORES[0])
        dro.worst_case(single, radius=0.1).multiplier.backward()
        assert torch.allclose(batch.grad[0], single.grad, rtol=1e-12)
        assert torch.equal(batch.grad[1:], torch.zeros(2, 4, dtype=torch.float64))
        assert torch.all(torch.isfinite(radius.grad))

    def test_clipped_atoms_get_no_gradient(self):
        scores = leaf(torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64))
        found = dro.worst_case(scores, radius=0.75, divergence="chi2")
        found.multiplier.backward()
        assert found.weights[0] == 0.0
        assert scores.grad[0] == 0.0
        assert abs(scores.grad[1]) > 0.01

    def test_atoms_without_base_mass_get_no_gradient(self):
        scores = leaf(torch.tensor([0.0, 1.0, 2.0, 9.0], dtype=torch.float64))
        base = torch.tensor([1.0, 1.0, 1.0, 0.0], dtype=torch.float64)
        found = dro.worst_case(scores, radius=0.1, base=base)
        (found.value + found.multiplier).backward()
        assert scores.grad[3] == 0.0
        assert torch.all(torch.isfinite(scores.grad))

    def test_infinite_scores_have_no_gradient_and_say_so(self):
        scores = leaf(torch.tensor([0.0, -math.inf, 1.0]))
        with pytest.raises(ValueError, match="scores with infinite entries"):
            dro.worst_case(scores, radius=1.0)

    def test_base_of_a_kinked_divergence_has_no_gradient_and_says_so(self):
        with pytest.raises(ValueError, match="base"):
            dro.worst_case(SCORES, radius=0.1, base=leaf(BASE), divergence="tv")


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 1e-6), (torch.bfloat16, 4e-3), (torch.float16, 1e-3)])
def test_low_precision_comes_back_in_kind_with_the_gradient_of_double(dtype, rtol):
    low = leaf(SCORES.to(dtype))
    found = dro.worst_case(low, radius=0.1, divergence="hellinger")
    (found.value + found.multiplier).sum().backward()
    full = leaf(low.detach().double())
    exact = dro.worst_case(full, radius=0.1, divergence="hellinger")
    (exact.value + exact.multiplier).sum().backward()
    for name in ("value", "multiplier", "weights", "normalizer", "radius", "excess"):
        assert getattr(found, name).dtype == dtype
        assert torch.allclose(getattr(found, name).double(), getattr(exact, name), rtol=rtol, atol=rtol)
    assert low.grad.dtype == dtype
    assert torch.allclose(low.grad.double(), full.grad, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("divergence", ["kl", "chi2", "js", "tv"])
def test_numbers_are_the_same_with_and_without_gradients(divergence):
    plain = dro.worst_case(SCORES, radius=0.1, base=BASE, divergence=divergence)
    asked = dro.worst_case(leaf(SCORES), radius=0.1, base=BASE, divergence=divergence)
    for name in ("value", "multiplier", "weights", "normalizer", "radius", "excess", "gap"):
        assert torch.equal(getattr(plain, name), getattr(asked, name).detach()), name


def test_no_graph_is_built_where_none_is_wanted():
    with torch.no_grad():
        assert not dro.worst_case(leaf(SCORES), radius=0.1).value.requires_grad
    assert not dro.worst_case(SCORES, radius=0.1).value.requires_grad


def test_gradient_along_another_axis():
    across, down = leaf(SCORES), leaf(SCORES.T.contiguous())
    dro.worst_case(across, radius=0.1).multiplier.sum().backward()
    dro.worst_case(down, radius=0.1, dim=0).multiplier.sum().backward()
    assert torch.allclose(across.grad, down.grad.T, rtol=1e-13, atol=1e-15)
