"""Derivatives of every loss against differences, to second order, on the dense path and in tiles."""

import inspect

import pytest
import torch
from conftest import DETACHED, FAMILY, PIECEWISE, SUMS, ask, views

from drocl import losses

# a detached weight is a constant to autograd but not to a difference quotient
DIFFERENTIABLE = [name for name in FAMILY if name not in DETACHED]


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_first_derivatives(name):
    assert torch.autograd.gradcheck(lambda a, b: ask(name, a, b, chunk_size=None, reduction="none"), views(5, 3))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in DIFFERENTIABLE if name not in PIECEWISE])
def test_second_derivatives(name):
    assert torch.autograd.gradgradcheck(lambda a, b: ask(name, a, b, chunk_size=None), views(4, 3))


@pytest.mark.parametrize("name", FAMILY)
def test_first_derivatives_of_every_anchor_agree_between_the_paths(name):
    """Far closer than differences could tell."""
    z1, z2 = views(5, 3)

    def jacobian(chunk_size):
        each = ask(name, z1, z2, chunk_size=chunk_size, reduction="none")
        return torch.stack([torch.cat(torch.autograd.grad(one, (z1, z2), retain_graph=True)) for one in each])

    dense = jacobian(None)
    for chunk_size in ("auto", 4):
        assert float((jacobian(chunk_size) - dense).norm()) <= 1e-12 * float(dense.norm())


@pytest.mark.parametrize("name", [name for name in FAMILY if name not in PIECEWISE])
def test_second_derivatives_agree_between_the_paths(name):
    z1, z2 = views(5, 3)

    def slopes_of_slope(chunk_size):
        """The second derivative along four directions, no two of them alike."""
        first = torch.cat(torch.autograd.grad(ask(name, z1, z2, chunk_size=chunk_size), (z1, z2), create_graph=True))
        ways = [torch.cos(k * torch.arange(first.numel(), dtype=first.dtype)).view_as(first) for k in range(1, 5)]
        return torch.stack([torch.cat(torch.autograd.grad(first, (z1, z2), way, retain_graph=True)) for way in ways])

    dense = slopes_of_slope(None)
    for chunk_size in ("auto", 4):
        assert float((slopes_of_slope(chunk_size) - dense).norm()) <= 1e-12 * float(dense.norm())


@pytest.mark.parametrize("chunk_size", [None, "auto", 4])
@pytest.mark.parametrize("name", FAMILY)
def test_derivatives_that_can_be_differentiated_again_are_the_same(name, chunk_size):
    z1, z2 = views(5, 3)

    def slope(keep):
        return torch.cat(torch.autograd.grad(ask(name, z1, z2, chunk_size=chunk_size), (z1, z2), create_graph=keep))

    def slope_of_slope(keep):
        first = slope(True)
        if name in PIECEWISE:
            return first
        way = torch.cos(torch.arange(first.numel(), dtype=first.dtype)).view_as(first)
        return torch.cat(torch.autograd.grad(first, (z1, z2), way, create_graph=keep))

    for made in (slope, slope_of_slope):
        plain, kept = made(False), made(True)
        assert kept.requires_grad
        assert float((kept - plain).detach().norm()) <= 1e-12 * float(plain.detach().norm())


@pytest.mark.parametrize("form", ["one", "a pair", "an anchor"])
@pytest.mark.parametrize(
    ("loss", "options"),
    [(losses.info_nce, {}), (losses.hard_negative, {"prior": "exact", "class_prior": 0.02}), (losses.rince, {}),
     (losses.adnce, {"detach_weights": False}), (losses.clip, {}), (losses.mean_variance, {}), (losses.debiased, {"symmetric": False})],
)  # fmt: skip
def test_the_temperature_has_a_derivative(loss, options, form):
    z1, z2 = views(4, 3)
    anchors = 4 if options.get("symmetric") is False else 8
    shape = {"one": (), "a pair": (4,), "an anchor": (anchors,)}[form]
    tau = (0.4 + 0.1 * torch.arange(max(1, torch.Size(shape).numel()), dtype=torch.float64)).reshape(shape).requires_grad_()
    for chunk_size in (None, 3):
        assert torch.autograd.gradcheck(lambda t, c=chunk_size: loss(z1, z2, t, chunk_size=c, reduction="none", **options), tau)


@pytest.mark.parametrize(("key", "start"), [("radius", 0.1), ("temperature", 1.5)])
def test_radius_and_temperature_of_the_worst_case_have_derivatives(key, start):
    z1, z2 = views(4, 3)
    budget = (start + 0.02 * torch.arange(4, dtype=torch.float64)).requires_grad_()
    for divergence in ("kl", "chi2", "hellinger"):
        for chunk_size in (None, 2):
            assert torch.autograd.gradcheck(
                lambda b, c=chunk_size, d=divergence: losses.dro(z1, z2, d, chunk_size=c, **{key: b}), budget
            )


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("name", SUMS)
def test_extra_negatives_and_positives_have_derivatives(name, own):
    if name in DETACHED:
        pytest.skip("not run: detached weights are no constants to a difference quotient")
    z1, z2 = views(4, 3)
    shape = (4, 2, 3) if own else (3, 3)
    more = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(5)).requires_grad_()
    assert torch.autograd.gradcheck(lambda n: ask(name, z1, z2, negatives=n, chunk_size=3), more)
    if own and "positives" in inspect.signature(FAMILY[name].func).parameters:
        assert torch.autograd.gradcheck(lambda p: ask(name, z1, z2, positives=p), more)


def test_the_learnable_temperature_learns_and_stays_inside():
    z1, z2 = views(6, 4, noise=0.05)
    tau = losses.Temperature(0.5, bounds=(0.05, 1.0))
    module = losses.InfoNCE(tau)
    assert [name for name, _ in module.named_parameters()] == ["temperature.log_temperature"]
    optimiser = torch.optim.SGD(module.parameters(), lr=5.0)
    for _ in range(30):
        optimiser.zero_grad()
        module(z1.detach(), z2.detach()).backward()
        assert float(tau.log_temperature.grad.abs()) > 0.0
        optimiser.step()
    assert float(tau().detach()) == pytest.approx(0.05, rel=1e-6)  # aligned views: the smaller the better


def test_second_derivatives_stay_finite_where_the_loss_vanishes():
    z = 12.0 * torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    leaf = (z + 0.1).requires_grad_()
    for loss in (
        lambda w: losses.info_nce(z, w, 0.1, normalize=False),  # log-odds far below the smallest exponent
        lambda w: losses.unbiased(z, w, torch.zeros(5, dtype=torch.long)),  # no negatives at all
    ):
        (first,) = torch.autograd.grad(loss(leaf), leaf, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), leaf)
        assert bool(torch.isfinite(second).all())
