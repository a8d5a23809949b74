"""Linear probe: how much of the classes a linear classifier reads off frozen features."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from drocl.encoders.evaluate import _check

PENALTIES = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
ROUGH, FINE = 1e-4, 1e-6  # largest entry of the scaled gradient where a fit stops: to choose the penalty, and for good
SAMPLE = 8  # rows a feature that the curvature is taken from


@dataclass(frozen=True)
class ProbeResult:
    """What a linear probe found.

    Attributes:
        accuracy: on the test rows, in [0, 1].
        penalty: the one that was used.
        train_accuracy: on the training rows.
        per_class: accuracy on the test rows of each label.
        held_out: accuracy on the held-out training rows by penalty; empty where there was no choice.
    """

    accuracy: float
    penalty: float
    train_accuracy: float
    per_class: dict[int, float]
    held_out: dict[float, float]


@_check.full_precision()
def linear_probe(
    train_x: Tensor, train_y: Tensor, test_x: Tensor, test_y: Tensor, *, penalties: Sequence[float] = PENALTIES,
    holdout: float = 0.1, seed: int = 0,
) -> ProbeResult:  # fmt: skip
    r"""Multinomial logistic regression on frozen features, each brought to mean 0 and deviation 1 on the training rows.

    The penalty is the one with the best accuracy on a held-out share of each class of the training rows, the strongest of
    several; then all training rows are fitted with it. Rows with label -1 are left out.

    Args:
        train_x, train_y: features (n, d), labels (n,).
        test_x, test_y: features (m, d), labels (m,); labels that training does not know count as errors.
        penalties: lambda > 0 to choose from, as in `logistic_regression`.
        holdout: share of each class that chooses the penalty, in (0, 1); at least one row of a class that has two.
        seed: of the held-out rows.

    Returns:
        A `ProbeResult`.

    Raises:
        ValueError: features or labels of another shape, fewer than two classes, a penalty that is not positive, a holdout
            outside (0, 1), or no class with two rows where there is a penalty to choose.

    Source: chen2020simclr, Appendix B.8.
    """
    order = sorted({float(penalty) for penalty in penalties}, reverse=True)
    if not order or not (order[-1] > 0.0 and math.isfinite(order[0])):
        raise ValueError(f"penalties={penalties!r} must be one or more positive numbers")
    if not 0.0 < holdout < 1.0:
        raise ValueError(f"holdout={holdout!r} must lie in (0, 1)")
    train_x, train_y = _check.labelled(("train_x", "train_y"), train_x, train_y)
    test_x, test_y = _check.labelled(("test_x", "test_y"), test_x, test_y)
    _check.same_width(train_x, test_x, ("train_x", "test_x"))
    classes, y = train_y.unique(return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"train_y must hold at least two classes, got only {int(classes[0])}")
    mean, scale = _moments(train_x)
    held_out: dict[float, float] = {}
    start, fits = None, {}
    if len(order) > 1:
        rows, kept = _split(y, holdout, seed)
        x, y = (train_x[rows] - mean).div_(scale), y[rows]
        for penalty in order:  # from strong to weak, each from the solution of the one before
            start = fits[penalty] = logistic_regression(x[:kept], y[:kept], penalty, start=start, tolerance=ROUGH)
            held_out[penalty] = float((_predict(x[kept:], start) == y[kept:]).double().mean())
        penalty = max(order, key=lambda p: (held_out[p], p))
    else:
        x, penalty = (train_x - mean).div_(scale), order[0]
    law = logistic_regression(x, y, penalty, start=fits.get(penalty))
    right = classes[_predict((test_x - mean).div_(scale), law)] == test_y
    return ProbeResult(
        accuracy=float(right.double().mean()),
        penalty=penalty,
        train_accuracy=float((_predict(x, law) == y).double().mean()),
        per_class={int(c): float(right[test_y == c].double().mean()) for c in test_y.unique()},
        held_out=held_out,
    )


def logistic_regression(
    x: Tensor, y: Tensor, penalty: float, *, start: tuple[Tensor, Tensor] | None = None, tolerance: float = FINE,
    most: int = 500,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    r"""The minimiser of a penalised multinomial log-loss, by L-BFGS on all rows.

    $$ \min_{W,b}\ -\frac1n \sum_i \log \mathrm{softmax}(W x_i + b)_{y_i} + \frac\lambda2 \lVert W\rVert^2. $$

    The steps are taken in the coordinates in which $X^\top X / (nC) + \lambda$, the curvature at even probabilities, is the
    identity. Products with x are in its type, all else in double.

    Args:
        x: (n, d), about standardised.
        y: (n,) int64, every class 0 .. C - 1 at least once.
        penalty: lambda > 0; C of scikit-learn is 1 / (n lambda).
        start: (W, b) to start from, each summing to 0 over the classes; zeros if None.
        tolerance: largest entry of the gradient, in those coordinates, at which to stop.
        most: iterations.

    Returns:
        W (C, d) and b (C,), in double; each sums to 0 over the classes.
    """
    d, c, dtype = x.shape[1], int(y.max()) + 1, _check.wide(x)
    curvature = 1.0 / c
    some = x[:: max(1, len(x) // (SAMPLE * d + 1))].to(dtype)
    metric = (some.mT @ some).mul_(curvature / len(some))
    metric.diagonal().add_(penalty)
    factor = torch.linalg.cholesky(metric)
    eye = torch.eye(d, dtype=dtype, device=x.device)
    inverse, scale = torch.linalg.solve_triangular(factor, eye, upper=False), math.sqrt(curvature)
    point = torch.zeros((c, d + 1), dtype=dtype, device=x.device)
    if start is not None:
        point[:, :d], point[:, d] = start[0] @ factor, start[1] * scale
    point.requires_grad_()

    def read() -> tuple[Tensor, Tensor]:
        at = point.detach()
        return at[:, :d] @ inverse, at[:, d] / scale

    def closure() -> Tensor:
        weights, bias = read()
        value, slope, slope_bias = _log_loss(x, y, weights, bias)
        slope = torch.cat(((slope + penalty * weights) @ inverse.mT, slope_bias[:, None] / scale), 1)
        point.grad = slope - slope.mean(0)  # 0 but for rounding, which the steps would amplify
        return value + 0.5 * penalty * weights.square().sum()

    optimizer = torch.optim.LBFGS(
        [point], max_iter=most, max_eval=2 * most, history_size=20, tolerance_grad=tolerance, tolerance_change=tolerance**2,
        line_search_fn="strong_wolfe",
    )  # fmt: skip
    with torch.enable_grad():
        optimizer.step(closure)  # type: ignore[no-untyped-call]
    return read()


def _log_loss(x: Tensor, y: Tensor, weights: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean log-loss and its gradients in W (C, d) and b (C,), by blocks of rows."""
    n, narrow = len(x), weights.to(x.dtype)
    value, slope, slope_bias = torch.zeros_like(bias[0]), torch.zeros_like(weights), torch.zeros_like(bias)
    for at in _check.blocks(n, len(bias), None, 1 << 24):
        log_p = torch.log_softmax((x[at] @ narrow.mT).to(bias.dtype) + bias, 1)
        own = y[at, None]
        value -= log_p.gather(1, own).sum() / n
        rest = log_p.exp_()
        rest.scatter_(1, own, rest.gather(1, own) - 1.0)
        rest /= n
        # this order of the product is several times quicker than its transpose, x being tall
        slope += (rest.to(x.dtype).mT @ x[at]).to(slope.dtype)
        slope_bias += rest.sum(0)
    return value, slope, slope_bias


def _predict(x: Tensor, law: tuple[Tensor, Tensor]) -> Tensor:
    """The likeliest class of each row."""
    weights, bias = law
    parts = [
        ((x[at] @ weights.to(x.dtype).mT).to(bias.dtype) + bias).argmax(1)
        for at in _check.blocks(len(x), len(bias), None)
    ]
    return torch.cat(parts)


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each feature; 1 for a feature whose deviation is that of rounding."""
    mean, scale = x.mean(0), x.std(0, correction=0)
    constant = scale <= 8.0 * torch.finfo(x.dtype).eps * mean.abs()
    return mean, torch.where(constant, 1.0, scale)


def _split(y: Tensor, holdout: float, seed: int) -> tuple[Tensor, int]:
    """An order of the rows in which those that are kept come first, and how many these are.

    Raises:
        ValueError: no class has two rows.
    """
    counts = torch.bincount(y).cpu()
    held = torch.where(counts > 1, (holdout * counts).round().long().clamp(min=1), 0).minimum(counts - 1)
    if not int(held.sum()):
        raise ValueError("train_y: no class has two rows, so none can be held out; give one penalty")
    shuffled = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    labels = y.cpu()[shuffled]
    by_class = labels.argsort(stable=True)
    place = torch.empty_like(by_class)
    place[by_class] = torch.arange(len(y)) - (counts.cumsum(0) - counts)[labels[by_class]]  # place in the own class
    out = place < held[labels]
    return torch.cat((shuffled[~out], shuffled[out])).to(y.device), int((~out).sum())
