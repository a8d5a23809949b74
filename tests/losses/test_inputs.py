"""Wrong inputs are refused before any work, by an error that names the argument and what is allowed."""

import math

import pytest
import torch
from conftest import FAMILY, ask, views

from drocl import losses

NAN, ZERO = torch.ones(6, 4, dtype=torch.float64), torch.ones(6, 4, dtype=torch.float64)
NAN[2, 1] = math.nan
ZERO[3] = 0.0


@pytest.mark.parametrize("chunk_size", ["auto", None])
@pytest.mark.parametrize("name", FAMILY)
def test_views_that_are_no_views(name, chunk_size):
    good = torch.randn(6, 4, dtype=torch.float64)
    cases = [
        (good, good[:5], "z1 and z2 must have the same shape"),
        (good[:1], good[:1], "B >= 2"),
        (good[0], good[0], r"z1 must have shape \(B, d\)"),
        (good.long(), good, "z1 must hold floating point numbers"),
        (good, NAN, "z2 must hold finite numbers; row 2"),
        (ZERO, good, "z1 must have no zero rows: row 3"),
        (good.numpy(), good, "z1 must be a torch tensor"),
    ]
    for z1, z2, says in cases:
        with pytest.raises(ValueError, match=says):
            ask(name, z1, z2, labels=torch.arange(6), chunk_size=chunk_size)


@pytest.mark.parametrize(
    ("loss", "options", "says"),
    [
        (losses.info_nce, {"temperature": 0.0}, "temperature=0.0 must lie in"),
        (losses.info_nce, {"temperature": -1.0}, "temperature=-1.0 must lie in"),
        (losses.info_nce, {"temperature": math.nan}, "temperature=nan must lie in"),
        (losses.info_nce, {"temperature": torch.tensor([0.1, 0.2])}, "temperature of shape"),
        (losses.info_nce, {"temperature": torch.tensor([0.1, -0.2, 0.1, 0.1, 0.1, 0.1])}, "temperature must hold numbers in"),
        (losses.debiased, {"class_prior": 1.0}, r"class_prior=1.0 must lie in \[0, 1\)"),
        (losses.debiased, {"class_prior": -0.1}, "class_prior=-0.1"),
        (losses.debiased, {"class_prior": torch.full((6,), 1.5)}, "class_prior must hold numbers in"),
        (losses.debiased, {"class_prior": torch.full((5,), 0.1)}, "class_prior of shape"),
        (losses.debiased, {"positives": torch.ones(6, 4)}, "positives must have shape"),
        (losses.hard_negative, {"concentration": -1.0}, "concentration=-1.0"),
        (losses.hard_negative, {"prior": "true"}, "prior='true' must be one of"),
        (losses.rince, {"q": 0.0}, r"q=0.0 must lie in \(0, 1\]"),
        (losses.rince, {"q": 1.5}, "q=1.5"),
        (losses.rince, {"lam": 0.0}, "lam=0.0"),
        (losses.adnce, {"sigma": 0.0}, "sigma=0.0"),
        (losses.adnce, {"mu": math.inf}, "mu=inf"),
        (losses.adnce, {"variant": "video"}, "variant='video' must be one of"),
        (losses.alpha_cl, {"power": 0.0}, "power=0.0"),
        (losses.dro, {}, "exactly one of temperature and radius"),
        (losses.dro, {"radius": 0.1, "temperature": 0.1}, "exactly one of temperature and radius"),
        (losses.dro, {"radius": -0.1}, "radius=-0.1"),
        (losses.dro, {"radius": torch.tensor([-0.1])}, "radius must hold numbers in"),
        (losses.dro, {"radius": torch.ones(5)}, "radius of shape"),
        (losses.dro, {"divergence": "kullback", "radius": 0.1}, "kullback"),
        (losses.dro, {"divergence": "tv", "radius": 0.1, "negatives": torch.ones(6, 2, 4)}, "negatives"),
        (losses.mean_variance, {"divergence": "tv"}, "has no phi''"),
        (losses.mean_variance, {"negatives": torch.ones(6, 2, 4)}, "negatives"),
        (losses.clip, {"weights": (0.0, 0.0)}, "direction_weights"),
        (losses.clip, {"symmetric": True}, "symmetric=True contradicts clip"),
        (losses.info_nce, {"direction_weights": (1.0, 1.0)}, "symmetric=False"),
        (losses.info_nce, {"reduction": "median"}, "reduction='median' must be one of"),
        (losses.info_nce, {"chunk_size": 0}, "chunk_size=0"),
        (losses.info_nce, {"chunk_size": True}, "chunk_size=True"),
        (losses.info_nce, {"backend": "cuda"}, "backend='cuda' must be one of"),
        (losses.info_nce, {"backend": "triton", "chunk_size": None}, "backend='triton'"),
        (losses.info_nce, {"gather": "all"}, "gather='all'"),
        (losses.info_nce, {"gather": True}, "init_process_group"),
        (losses.info_nce, {"gather": True, "chunk_size": None}, "chunk_size=None"),
        (losses.info_nce, {"in_batch": False}, "leaves no negatives"),
        (losses.info_nce, {"temperature": torch.arange(1, 7)}, "class labels go to labels="),
        (losses.info_nce, {"temperature": 1e-40}, "temperature=1e-40 must lie in"),
        (losses.info_nce, {"temperature": "cold"}, "temperature='cold' must be a number"),
        (losses.info_nce, {"temperature": torch.tensor(1j)}, "temperature must hold real numbers"),
        (losses.info_nce, {"negatives": [[1.0] * 4]}, "negatives must be a torch tensor"),
        (losses.dro, {"radius": 0.1, "negatives": [[1.0] * 4]}, "negatives must be a torch tensor"),
        (losses.info_nce, {"negatives": torch.ones(2, 4).long()}, "negatives must hold floating point numbers"),
        (losses.info_nce, {"symmetric": False, "direction_weights": 0.5}, "direction_weights=0.5"),
        (losses.clip, {"direction_weights": (1.0, 0.0)}, "give weights"),
        (losses.adnce, {"sigma": 1e-200}, "sigma=1e-200"),
        (losses.mean_variance, {"gather": "ring"}, "needs all ranks' rows"),
        (losses.info_nce, {"queue": torch.ones(3, 5)}, r"queue must have shape \(n, 4\)"),
        (losses.info_nce, {"queue": torch.full((3, 4), math.nan)}, "queue must hold finite numbers"),
        (losses.info_nce, {"negatives": torch.ones(5, 2, 4)}, "negatives must have shape"),
        (losses.info_nce, {"negatives": torch.zeros(2, 4)}, "negatives must have no zero rows"),
        (losses.info_nce, {"labels": torch.zeros(5, dtype=torch.long), "diagnostics": True}, "labels must have shape"),
        (losses.info_nce, {"labels": torch.zeros(6), "diagnostics": True}, "labels must hold whole numbers"),
    ],
    ids=lambda x: getattr(x, "__name__", None),
)
def test_parameters_out_of_range(loss, options, says):
    z1, z2 = views()
    with pytest.raises(ValueError, match=says):
        loss(z1, z2, **options)


def test_labels_that_are_no_labels():
    z1, z2 = views()
    for loss in (losses.unbiased, losses.supervised):
        for wrong in (None, ["a"] * 6):
            with pytest.raises(ValueError, match="labels must hold whole numbers"):
                loss(z1, z2, wrong)
        with pytest.raises(ValueError, match="labels must have shape"):
            loss(z1, z2, torch.zeros(5, dtype=torch.long))
        with pytest.raises(ValueError, match="labels must hold whole numbers"):
            loss(z1, z2, torch.zeros(6))


def test_unknown_keywords():
    z1, z2 = views()
    with pytest.raises(TypeError, match="unexpected keyword 'tau'; the losses share symmetric"):
        losses.info_nce(z1, z2, tau=0.1)
    with pytest.raises(TypeError, match="a call takes labels"):
        losses.InfoNCE()(z1, z2, temperature=0.1)


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: losses.InfoNCE(0.0), "temperature=0.0"),
        (lambda: losses.Debiased(class_prior=1.0), "class_prior=1.0"),
        (lambda: losses.HardNegative(concentration=-1), "concentration=-1"),
        (lambda: losses.RINCE(q=2.0), "q=2.0"),
        (lambda: losses.ADNCE(sigma=-1.0), "sigma=-1.0"),
        (lambda: losses.DRO("kl"), "exactly one"),
        (lambda: losses.InfoNCE(reduction="all"), "reduction='all'"),
        (lambda: losses.Temperature(2.0), "initial=2.0"),
        (lambda: losses.Temperature(0.5, bounds=(1.0, 0.1)), "bounds"),
        (lambda: losses.Queue(0, 3), "size=0"),
        (lambda: losses.Queue(3.5, 3), "size=3.5"),
        (lambda: losses.Clip(weights=(0.0, 0.0)), "direction_weights"),
        (lambda: losses.Clip(symmetric=True), "symmetric=True"),
        (lambda: losses.InfoNCE(None), "temperature=None"),
        (lambda: losses.InfoNCE(torch.nn.Linear(1, 1)), "temperature must be a number"),
        (lambda: losses.Debiased(class_prior=torch.full((6,), 1.5)), "class_prior must hold numbers"),
    ],
)
def test_modules_refuse_at_construction(build, says):
    with pytest.raises(ValueError, match=says):
        build()


def test_nan_is_found_inside_a_compiled_step():
    z1, _ = views()
    step = torch.compile(lambda a, b: losses.info_nce(a, b), fullgraph=True, backend="aot_eager")
    try:
        with pytest.raises(ValueError, match="z2 must hold finite numbers"):
            step(z1, NAN)
    finally:
        torch._dynamo.reset()


def test_a_temperature_out_of_range_is_found_inside_a_compiled_step():
    z1, z2 = views()
    step = torch.compile(lambda a, b, t: losses.info_nce(a, b, t), fullgraph=True, backend="aot_eager")
    try:
        with pytest.raises(ValueError, match="temperature must hold numbers in"):
            step(z1, z2, torch.full((6,), -0.2))
    finally:
        torch._dynamo.reset()


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # torch's own, inside jvp
def test_forward_mode_is_right_on_the_dense_path_and_refused_elsewhere():
    z1, z2 = (z.detach() for z in views())
    push = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(7))
    _, slope = torch.func.jvp(lambda a: losses.info_nce(a, z2, 0.3, chunk_size=None), (z1,), (push,))
    leaf = z1.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(losses.info_nce(leaf, z2, 0.3), leaf)
    assert float(slope) == pytest.approx(float((gradient * push).sum()), rel=1e-12)
    tau, one = torch.tensor(0.3, dtype=torch.float64), torch.ones((), dtype=torch.float64)
    _, slope = torch.func.jvp(lambda t: losses.debiased(z1, z2, t, chunk_size=None), (tau,), (one,))
    leaf = tau.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(losses.debiased(z1, z2, leaf), leaf)
    assert float(slope) == pytest.approx(float(gradient), rel=1e-12)
    for refused in (
        lambda: torch.func.jvp(lambda a: losses.info_nce(a, z2, 0.3), (z1,), (push,)),
        lambda: torch.func.jvp(lambda t: losses.info_nce(z1, z2, t), (tau,), (one,)),
        lambda: torch.func.jvp(lambda r: losses.dro(z1, z2, "kl", radius=r), (tau,), (one,)),
    ):
        with pytest.raises(ValueError, match="chunk_size=None"):
            refused()
