"""Every contrastive loss against its formula in 120 digits: value and gradient, both precisions, dense and streaming."""

import functools
import importlib.util
import random
import sys
from dataclasses import replace
from pathlib import Path

import mpmath
import numpy as np
import pytest

from drocl import divergences, losses

torch = pytest.importorskip("torch")


SOURCE = Path(__file__).parents[1] / "generators" / "loss_problems.py"
_spec = importlib.util.spec_from_file_location("loss_problems", SOURCE)
truth = importlib.util.module_from_spec(_spec)
sys.modules["loss_problems"] = truth
_spec.loader.exec_module(truth)

CASES = {case.id: case for case in truth.cases()}
DTYPES = {"float64": torch.float64, "float32": torch.float32}
CHUNKS = (None, "auto", 3)
ROADS = {"float64": CHUNKS, "float32": (None, 3)}  # one tile does what several do, less their joins
VALUE = {"float64": 1e-12, "float32": 2e-5}
GRADIENT = {"float64": 1e-10, "float32": 2e-3}
ROUNDOFF = {"float64": 2.0**-53, "float32": 2.0**-24}
SMALLEST = {"float64": 2.0**-1022, "float32": 2.0**-126}


def group(case):
    """Name of the test a case belongs to."""
    return f"{case.loss} {case.params['temperature']:g}" if "temperature" in case.params else f"{case.loss} other"


GROUPS: dict[str, list] = {}
for _case in CASES.values():
    GROUPS.setdefault(group(_case), []).append(_case)


@functools.cache
def exact(identifier):
    return truth.evaluate(CASES[identifier])


@functools.cache
def gradient_condition(identifier):
    return truth.gradient_condition(CASES[identifier])


def divergence(name):
    """Divergence of a name such as `cressie_read(k=3)`."""
    short, _, rest = name.partition("(")
    if not rest:
        return name
    key, _, number = rest.rstrip(")").partition("=")
    return divergences.get(short, **{key: float(number)})


def arguments(case, dtype):
    """(tensors that take a gradient, keyword arguments) of the call."""
    arrays = {"z1": case.z1, "z2": case.z2} | {n: a for n, a in case.extras.items() if n in ("positives", "negatives")}
    leaves = {name: torch.tensor(array, dtype=dtype, requires_grad=True) for name, array in arrays.items()}
    call = {"normalize": case.normalize, **case.params}
    if case.loss != "clip":
        call["symmetric"] = case.symmetric
    if "divergence" in call:
        call["divergence"] = divergence(call["divergence"])
    call.pop("level", None)
    for name, array in case.extras.items():
        if name in ("queue", "temperature", "radius"):  # no gradient goes into a queue
            call[name] = torch.tensor(array, dtype=dtype)
        elif name == "labels":
            call[name] = torch.tensor(array)
    return leaves, call


def ask(case, dtype, chunk_size, reduction):
    """The loss as a tensor, and the tensors it can be differentiated in."""
    leaves, call = arguments(case, dtype)
    views = (leaves["z1"], leaves["z2"])
    extra = {name: leaf for name, leaf in leaves.items() if name not in ("z1", "z2")}
    out = getattr(losses, case.loss)(*views, **extra, **call, reduction=reduction, chunk_size=chunk_size)
    return out, leaves


def allowed(case, answer, name):
    """Error allowed to the value of each anchor, absolute.

    The tolerance of the conventions, relative to the value; for a loss that can be zero (decoupled, rince, dro,
    mean_variance, alpha_cl, the graph and sentence forms of adnce: a positive score against a mean or a logarithm of
    either sign) to the terms subtracted, which the oracle reports as `scales`.

    A relative change eps of every score changes the value by at most condition * eps. A plain loss has condition 2 / tau
    at most (times the longest squared norm, for rows that are not normalised), and the tolerance holds for it as it is.
    Where the formula amplifies more (a row just above the clamp subtracts nearly equal sums; a Gaussian weight of sigma =
    0.02 multiplies a score's rounding by its distance over sigma^2), the rounding of a score is allowed for: two roundoffs in
    the entries of each unit row (its norm and the division) and one for each of the d terms of the product.
    """
    longest = 1.0 if case.normalize else max(float((a**2).sum(-1).max()) for a in (case.z1, case.z2))
    out = []
    for value, scale, condition in zip(answer.values, answer.scales, answer.conditions, strict=True):
        relative = VALUE[name]
        if condition > 2.0 * longest / case.temperature:
            relative = max(relative, (case.z1.shape[1] + 4.0) * ROUNDOFF[name] * condition)
        out.append(relative * float(max(abs(value), scale)) + SMALLEST[name])  # below it, nothing is relative
    return np.array(out)


def faults(case, name, chunk_size):
    """What is wrong with the answers to a case, in words."""
    answer, dtype, where = exact(case.id), DTYPES[name], f"{case.id} [{name}, chunk_size={chunk_size}]"
    found = []
    bounds, weights = allowed(case, answer, name), np.array([float(w) for w in answer.weights])
    values, leaves = ask(case, dtype, chunk_size, "none")
    if values.dtype != dtype or values.shape != (len(answer.values),):
        return [f"{where}: {values.dtype} {tuple(values.shape)}, wanted {dtype} ({len(answer.values)},)"]
    errors = [abs(mpmath.mpf(v) - e) for v, e in zip(values.tolist(), answer.values, strict=True)]
    for i, (error, bound) in enumerate(zip(errors, bounds, strict=True)):
        if not error <= bound:
            shown = f"{mpmath.nstr(answer.values[i], 8)} but {values[i].item():.8g}"
            found.append(f"{where}: anchor {i} is {shown}, error {float(error):.2e}, allowed {bound:.2e}")
    if case.reduction == "none":
        total = (values * torch.tensor(weights, dtype=dtype)).sum()
    else:
        total, leaves = ask(case, dtype, chunk_size, case.reduction)
        error, bound = abs(mpmath.mpf(total.item()) - answer.total), float(weights @ bounds)
        if not error <= bound:
            found.append(f"{where}: {case.reduction}, error {float(error):.2e}, allowed {bound:.2e}")
    gradient = torch.autograd.grad(total, list(leaves.values()), materialize_grads=True)
    wanted = [answer.gradient[argument] for argument in leaves]
    if not all(torch.isfinite(g).all() for g in gradient):
        return [*found, f"{where}: the gradient is not finite"]
    size = truth.norm(wanted)
    error = truth.norm([g.double().numpy() - w for g, w in zip(gradient, wanted, strict=True)])
    # a sum of terms each below the smallest normal number, over temperature and norm
    shortest = min(float(np.linalg.norm(a, axis=-1).min()) for a in (case.z1, case.z2))
    floor = SMALLEST[name] * case.z1.size / case.temperature / (shortest if case.normalize else 1.0)
    if not error <= GRADIENT[name] * size + floor:
        # what rounding the scores and the terms of the sums must do to it: collapsed rows, rows just above the clamp
        widened = 8.0 * ROUNDOFF[name] * gradient_condition(case.id)
        assert widened < 0.5, f"{where}: the case says nothing about the gradient"
        bound = max(GRADIENT[name], widened) * size + floor
        if not error <= bound:
            found.append(f"{where}: gradient, relative error {error / size:.2e}, allowed {bound / size:.2e}")
    return found


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("members", GROUPS)
def test_value_and_gradient(members, name):
    found, asked = [], 0
    for case in GROUPS[members]:
        if name == "float32" and not exact(case.id).fits_float32:
            continue
        for chunk_size in ROADS[name]:
            asked += 1
            found += faults(case, name, chunk_size)
    assert asked
    assert not found, "\n".join([f"{len(found)} faults in {asked} answers", *found])


def test_only_rince_at_the_lowest_temperature_leaves_float32():
    beyond = [case for case in CASES.values() if not exact(case.id).fits_float32]
    assert beyond
    assert all(case.loss == "rince" and case.params["q"] == 1.0 and case.temperature == 0.01 for case in beyond)


def test_cases_have_condition_numbers():
    """A bound widened by a condition number is worth something only while the number is small against 1 / roundoff."""
    assert max(max(exact(identifier).conditions) for identifier in CASES) < 1e6


def test_cases_reach_the_smallest_losses():
    smallest = {}
    for case in CASES.values():
        if case.normalize and case.loss in ("info_nce", "debiased", "hard_negative", "adnce", "clip", "unbiased"):
            value = min(abs(float(v)) for v in exact(case.id).values)
            smallest[case.loss] = min(value, smallest.get(case.loss, 1.0))
    assert max(smallest.values()) < 1e-20
    assert min(smallest.values()) < 1e-80


# ------------------------------------------------------------------------------------------------------- half precision

HALF = {
    "info_nce": {}, "decoupled": {}, "debiased": {}, "hard_negative": {"concentration": 2.0}, "rince": {}, "adnce": {},
    "dro": {"divergence": "chi2", "temperature": 0.1}, "mean_variance": {}, "alpha_cl": {},
    "unbiased": {"labels": (0, 1, 0, 2, 3, 1)}, "supervised": {"labels": (0, 1, 0, 2, 3, 1)}, "clip": {},
}  # fmt: skip


@pytest.mark.parametrize("chunk_size", CHUNKS)
@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("loss", HALF)
def test_half_inputs_under_autocast_are_computed_in_single(loss, half, chunk_size):
    """Same value as of the up-cast inputs in float32, though autocast would multiply in bfloat16."""
    generator = torch.Generator().manual_seed(3)
    views = [torch.randn(6, 5, generator=generator).to(half) for _ in range(2)]
    for tau in (0.05, 0.5):
        call = {"temperature": tau} | HALF[loss] | {"chunk_size": chunk_size}
        if "labels" in call:
            call["labels"] = torch.tensor(call["labels"])
        lone = [v.clone().requires_grad_() for v in views]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            value = getattr(losses, loss)(*lone, **call)
        value.backward()
        single = [v.float().requires_grad_() for v in views]
        wanted = getattr(losses, loss)(*single, **call)
        wanted.backward()
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(wanted.item(), rel=2e-5)
        for got, want in zip(lone, single, strict=True):
            assert got.grad.dtype == half
            torch.testing.assert_close(got.grad, want.grad.to(half), rtol=2.0**-7, atol=1e-6)


# ---------------------------------------------------------------------------------------------------- the oracle itself


def forms():
    """One case of every loss and form, none of them detached: a detached weight has no difference quotient."""
    chosen = {}
    for case in CASES.values():
        if case.params.get("detach_weights") or case.temperature < 0.05:
            continue
        names = ("prior", "variant", "divergence", "in_batch", "direction_weights")
        key = (case.loss, case.symmetric, tuple(case.extras), "radius" in case.params)
        key += tuple(str(case.params.get(n)) for n in names)
        if case.loss in ("adnce", "alpha_cl"):
            case = replace(case, params=case.params | {"detach_weights": False})
        chosen.setdefault(key, case)
    return list(chosen.values())


@pytest.mark.slow
def test_gradient_of_the_oracle_is_its_difference_quotient():
    """Central differences of step 1e-30 along a random direction: agreement to 1e-12 and more."""
    rng, step = random.Random(7), mpmath.mpf(10) ** -30
    checked = set()
    for case in forms():
        answer = truth.evaluate(case)
        with mpmath.workdps(truth.DIGITS):
            ways = {
                argument: np.array([rng.randint(-8, 8) for _ in range(g.size)]).reshape(g.shape)
                for argument, g in answer.gradient.items()
            }
            totals = []
            for sign in (1, -1):
                moved = {}
                for argument, way in ways.items():
                    array = getattr(case, argument, None)
                    array = case.extras[argument] if array is None else array
                    moved[argument] = array + way * (sign * step)
                extras = case.extras | {a: m for a, m in moved.items() if a not in ("z1", "z2")}
                totals.append(truth.evaluate(replace(case, z1=moved["z1"], z2=moved["z2"], extras=extras)).total)
            quotient = (totals[0] - totals[1]) / (2 * step)
            along = sum(float((answer.gradient[a] * way).sum()) for a, way in ways.items())
            size = truth.norm(list(answer.gradient.values())) * truth.norm(list(ways.values()))
        assert abs(float(quotient) - along) <= 1e-13 * size, case.id
        checked.add(case.loss)
    assert checked == set(truth.LOSSES)
