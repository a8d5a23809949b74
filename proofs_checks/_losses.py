"""What the checks of losses share: views of a model's points, and a loss with its gradient in embeddings or in scores.

torch is an optional extra and is imported where it is used: a claim that calls these says `needs=("torch",)`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drocl.claims import Evidence, agree

Floats = NDArray[np.float64]
Views = tuple[Floats, Floats]

TORCH = ("torch",)
POOLS = 5
POSITIVES = np.array([0.9, 0.6, 0.3, 0.1, -0.2])


@dataclass(frozen=True)
class Graded:
    """The losses of all anchors, (m,), and a derivative of their sum, any shape."""

    values: Floats
    slopes: Floats

    def scaled(self, factor: float, shift: float | Floats = 0.0) -> "Graded":
        """factor * loss + shift."""
        return Graded(factor * self.values + shift, factor * self.slopes)


def views_of(model: str, pairs: int, seed: int) -> Views:
    """Two noisy views (B, d) of B points of a model, rows of any length."""
    from drocl import latent

    enough = {"random": {"points": pairs // 4 + 1}, "digits": {"n": min(1797, max(10, pairs))}}
    points = np.asarray(latent.build(model, **enough.get(model, {})).embeddings)
    rng = np.random.default_rng(seed)
    d = points.shape[1]
    rows = points[rng.permutation(len(points))[np.arange(pairs) % len(points)]]
    first, second = (rows + 0.5 * rng.normal(size=rows.shape) / np.sqrt(d) for _ in range(2))
    return first, second


def scores_of(views: Views, symmetric: bool = True) -> tuple[Floats, Floats]:
    """Cosines of every anchor with its positive, (m,), and with its negatives, (m, K), one by one as the text has it."""
    first, second = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in views)
    b = len(first)
    anchors = np.vstack([first, second]) if symmetric else first
    atoms = anchors if symmetric else second
    cosines = anchors @ atoms.T
    at = np.arange(len(anchors))
    partner = (at + b) % len(anchors) if symmetric else at
    kept = np.ones_like(cosines, dtype=bool)
    kept[at, partner] = False
    if symmetric:
        kept[at, at] = False
    return cosines[at, partner], cosines[kept].reshape(len(anchors), -1)


def of_views(loss: str, views: Views, **params: Any) -> Graded:
    """A loss of `drocl.losses` on two views, and its gradient in them.

    The anchors are summed with unequal weights, so that errors of different anchors cannot cancel in the gradient.
    """
    import torch

    from drocl import losses

    given = [torch.tensor(rows, dtype=torch.float64, requires_grad=True) for rows in views]
    value = getattr(losses, loss)(*given, reduction="none", **_tensors(params))
    weights = torch.linspace(0.5, 1.5, value.numel(), dtype=torch.float64)
    slopes = torch.autograd.grad((weights * value).sum(), given)
    return Graded(value.detach().numpy(), np.stack([slope.numpy() for slope in slopes]))


def pools(scores: str, n: int, seed: int) -> Floats:
    """Scores (5, n) of the negatives of five anchors; the digits or a file may have fewer than n.

    What can vanish on one pool by accident, such as a coefficient, does not vanish on five.
    """
    from drocl import latent

    rows = [latent.scores(scores, n=n, seed=POOLS * seed + index)[0] for index in range(POOLS)]
    least = min(row.size for row in rows)  # a file may have fewer negatives for one anchor than for another
    return np.stack([row[:least] for row in rows])


def of_scores(
    loss: str, positive: Floats, negatives: Floats, positives: Floats | None = None, **params: Any
) -> tuple[Floats, Floats, Floats]:
    """A loss as a function of scores: values (m,), derivatives in s+, (m,), and in the negatives' scores, (m, K).

    Rows of width 1 that are not normalised are scores.

    Args:
        loss: name in `drocl.losses`.
        positive: s+ of every anchor, (m,).
        negatives: its s_j, (m, K).
        positives: scores of its extra positives, (m, M), for the losses that take them.
        params: parameters of the loss.
    """
    import torch

    from drocl import losses

    own = torch.tensor(positive, dtype=torch.float64).reshape(-1, 1).requires_grad_()
    others = torch.tensor(negatives, dtype=torch.float64).unsqueeze(-1).requires_grad_()
    if positives is not None:
        params["positives"] = positives[:, :, None]
    value = getattr(losses, loss)(
        torch.ones_like(own), own, negatives=others, in_batch=False, symmetric=False, normalize=False, reduction="none",
        **_tensors(params),
    )  # fmt: skip
    at_own, at_others = torch.autograd.grad(value.sum(), (own, others))
    return value.detach().numpy(), at_own.numpy()[:, 0], at_others.numpy()[:, :, 0]


def agree_graded(left: Graded, right: Graded, rtol: float, **detail: Any) -> Evidence:
    """Say that two losses agree in values and gradients, each measured by its largest entry."""
    return agree(
        np.concatenate([left.values, left.slopes.ravel()]), np.concatenate([right.values, right.slopes.ravel()]),
        rtol=rtol, scale=np.concatenate([_size(right.values), _size(right.slopes)]), **detail,
    )  # fmt: skip


def _size(part: Floats) -> Floats:
    return np.full(part.size, np.abs(part).max(initial=0.0))


def _tensors(params: dict[str, Any]) -> dict[str, Any]:
    import torch

    return {name: torch.tensor(value) if isinstance(value, np.ndarray) else value for name, value in params.items()}
