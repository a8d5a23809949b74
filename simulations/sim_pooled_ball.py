"""One temperature for all anchors: the radius each anchor gets, and the pooled budget that it is the price of."""

import importlib
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from drocl import dro, latent

from ._tables import records, table

COST = "seconds"
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Config:
    """Anchors and negatives drawn from labelled embeddings.

    Args:
        model: "digits", or file:PATH.npz.
        anchors: anchors whose radii are shown.
        negatives: negatives of each.
        temperatures: shared temperatures of the pooled problem, high to low; the middle one is shown anchor by
            anchor.
        small: (anchors, negatives) of the pooled problem handed to cvxpy.
        grid: pooled budgets of the multiplier's curve.
        seed: of the draw.
    """

    model: str = "digits"
    anchors: int = 60
    negatives: int = 256
    temperatures: tuple[float, ...] = (0.5, 0.2, 0.1)
    small: tuple[int, int] = (6, 24)
    grid: int = 40
    seed: int = 0


PROFILES = {
    "quick": Config(),
    "standard": Config(anchors=200, negatives=512, small=(10, 40), grid=80),
    "paper": Config(anchors=400, negatives=1024, small=(16, 64), grid=160),
}


def run(config: Config) -> dict[str, Any]:
    """Radii at a shared temperature, temperatures at an equal radius, and the pooled multiplier.

    Args:
        config: the sizes.

    Returns:
        Tables `anchors` (tau, anchor, sd, radius, pooled: their mean, equal: the temperature that gives this anchor
        the pooled radius), `curve` (eta, tau, and of the anchors' temperatures at equal radius, over tau: equal,
        their mean, least, most; of the small problem) and `points` (eta, tau, value, dual, status: cvxpy's answer at
        the pooled budget that tau spends).
    """
    scores = _pools(config, config.anchors, config.negatives)
    rows = []
    for tau in config.temperatures:
        radius = np.asarray(dro.radius_of(scores, tau))
        pooled = float(radius.mean())
        equal = np.asarray(dro.temperature_of(scores, pooled))
        rows += records(
            tau=tau, anchor=np.arange(len(scores)), sd=scores.std(axis=-1), radius=radius, pooled=pooled, equal=equal
        )
    small = _pools(config, *config.small)
    shared = np.geomspace(0.06, 0.9, config.grid)
    spent = np.array([float(np.mean(dro.radius_of(small, tau))) for tau in shared])
    apart = np.array([dro.temperature_of(small, eta) for eta in spent]) / shared[:, None]
    points = []
    for tau in (0.8, 0.4, 0.2, 0.1):
        eta = float(np.mean(dro.radius_of(small, tau)))
        value, dual, status = pooled_reference(small, eta)
        points.append({"eta": eta, "tau": tau, "value": value, "dual": dual, "status": status})
    curve = records(eta=spent, tau=shared, equal=apart.mean(axis=1), least=apart.min(axis=1), most=apart.max(axis=1))
    return {"anchors": table(rows), "curve": table(curve), "points": table(points)}


def pooled_reference(scores: Array, radius: float) -> tuple[float, float, str]:
    """Solve max mean_x E_Qx f subject to mean_x KL(Qx || Q0) <= radius by cvxpy, with no formula of the fast solver.

    Args:
        scores: (anchors, n), Q0 uniform.
        radius: pooled budget in nats.

    Returns:
        The value, the dual variable of the budget, and the solver's status.
    """
    cvxpy: Any = importlib.import_module("cvxpy")  # slow to import, and untyped

    anchors, n = scores.shape
    centre = float(scores.mean())  # an offset would only cost the solver digits
    ratio = cvxpy.Variable((anchors, n))  # dQ/dQ0
    budget = -cvxpy.sum(cvxpy.entr(ratio)) / (anchors * n) <= radius
    gain = cvxpy.sum(cvxpy.multiply(scores - centre, ratio)) / (anchors * n)
    problem = cvxpy.Problem(cvxpy.Maximize(gain), [budget, cvxpy.sum(ratio, axis=1) == n])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what cvxpy warns of is in the status
        problem.solve(solver="CLARABEL", tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    return float(problem.value) + centre, float(budget.dual_value), str(problem.status)


def _pools(config: Config, anchors: int, negatives: int) -> Array:
    model = latent.build(config.model, n=max(2 * anchors, negatives + 1, 200), seed=config.seed)
    random = np.random.default_rng(config.seed)
    size = len(model)
    chosen = random.choice(size, anchors, replace=False)
    others = np.array([random.choice(np.delete(np.arange(size), row), negatives, replace=False) for row in chosen])
    return np.asarray(np.take_along_axis(model.cosines[chosen], others, axis=1))
