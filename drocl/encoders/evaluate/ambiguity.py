"""What the worst case over an anchor's negatives charges: how far it lies from uniform, on how few, and how much of its own class."""

from dataclasses import dataclass

import torch
from torch import Tensor

from drocl import divergences
from drocl.divergences import Divergence
from drocl.dro import worst_case
from drocl.encoders._types import UNLABELLED
from drocl.encoders.evaluate import _check

QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class Ambiguity:
    r"""Statistics of each anchor's worst case $Q^\star$ over all other examples, (n,) each, double, on the CPU.

    Attributes:
        temperature: tau, given, or the multiplier that the radius buys.
        radius: eta = D(Q* || uniform), nats, given, or what the temperature spends.
        gaussian_radius: $V / (2 \tau^2 \phi''(1))$ with V the variance of the anchor's cosines: what the radius would be
            under KL if they were Gaussian, and its leading term for small radii under any smooth divergence; nan for others.
        effective_negatives: 1 / sum q^2, from 1 to n - 1.
        false_negative_mass: sum of q over the other examples of the anchor's class; nan for an anchor without label;
            None without labels.
        false_negative_rate: the same under the uniform law: the share of these examples.
        labels: of the anchors, -1 where unknown; None without labels.
    """

    temperature: Tensor
    radius: Tensor
    gaussian_radius: Tensor
    effective_negatives: Tensor
    false_negative_mass: Tensor | None
    false_negative_rate: Tensor | None
    labels: Tensor | None

    @property
    def false_negative_ratio(self) -> Tensor | None:
        """Mass over rate (n,): above 1 where the worst case seeks the anchor's class; nan where no other example is of it."""
        if self.false_negative_mass is None or self.false_negative_rate is None:
            return None
        return torch.where(
            self.false_negative_rate > 0.0, self.false_negative_mass / self.false_negative_rate, torch.nan
        )

    def by_class(self) -> dict[int, dict[str, float]]:
        """Means over the anchors of each label, by label: `false_negative_mass`, `false_negative_rate`, `false_negative_ratio`.

        Empty without labels; the ratio of a class of one example is nan.
        """
        if self.labels is None:
            return {}
        found = {}
        for label in self.labels[self.labels != UNLABELLED].unique().tolist():
            rows = self.labels == label
            found[label] = {
                name: float(part[rows].mean()) for name, part in self._parts().items() if name.startswith("false")
            }
        return found

    def summary(self) -> dict[str, float | list[float]]:
        """Numbers by name: of every statistic its mean, and its quantiles as `NAME_q05`, `NAME_q50`, `NAME_q95`.

        Anchors where a statistic is nan are left out of it. With labels, means by class as lists in the order of
        `false_negative_classes`: `false_negative_mass_by_class`, and so on.
        """
        found: dict[str, float | list[float]] = {}
        for name, part in self._parts().items():
            found[name] = float(part.nanmean())
            # between two anchors, not interpolated: an infinite temperature then stays one
            values = torch.nanquantile(part, part.new_tensor(QUANTILES), interpolation="nearest").tolist()
            found |= {f"{name}_q{round(100 * q):02d}": value for q, value in zip(QUANTILES, values, strict=True)}
        groups = self.by_class()
        if groups:
            found["false_negative_classes"] = [float(label) for label in groups]
            for name in next(iter(groups.values())):
                found[f"{name}_by_class"] = [means[name] for means in groups.values()]
        return found

    def _parts(self) -> dict[str, Tensor]:
        named = {
            "temperature": self.temperature,
            "radius": self.radius,
            "gaussian_radius": self.gaussian_radius,
            "effective_negatives": self.effective_negatives,
            "false_negative_mass": self.false_negative_mass,
            "false_negative_rate": self.false_negative_rate,
            "false_negative_ratio": self.false_negative_ratio,
        }
        return {name: part for name, part in named.items() if part is not None}


@_check.full_precision()
def worst_case_statistics(
    z: Tensor, labels: Tensor | None = None, *, temperature: float | Tensor | None = None,
    radius: float | Tensor | None = None, divergence: str | Divergence = "kl", chunk: int | None = None,
) -> Ambiguity:  # fmt: skip
    r"""Each row against all others: the law over its negatives that a contrastive loss at this temperature, or radius, weighs them by.

    $$ Q^\star_i = \arg\max_Q\ \mathbb E_Q\, s_{ij} - \tau D_\phi(Q\,\|\,\mathrm{uniform}),\qquad s_{ij} = \cos(z_i, z_j),\ j \ne i, $$

    or the same under $D_\phi \le \eta$. Under KL this is the softmax of InfoNCE.

    Args:
        z: (n, d) with n >= 3, brought to norm 1.
        labels: (n,) integers, -1 where unknown: such a row is no false negative of anyone, and has none.
        temperature: tau > 0, a number or one an anchor (n,).
        radius: eta >= 0 in nats, likewise. One of the two; neither for cvar.
        divergence: a name or an object of `drocl.divergences`.
        chunk: anchors that are solved at a time; None for about a million cosines.

    Returns:
        An `Ambiguity`.

    Raises:
        ValueError: fewer than three rows, a row of zeros, labels of another shape, and what `drocl.dro.worst_case` refuses.

    Source: wu2023, Theorem 3.2 for KL and the radius that a temperature implies; Corollary 3.4 for its Gaussian approximation.

    >>> found = worst_case_statistics(torch.eye(4), torch.tensor([0, 0, 1, 1]), temperature=0.5)   # all cosines 0
    >>> found.effective_negatives.tolist(), found.false_negative_ratio.tolist()
    ([3.0, 3.0, 3.0, 3.0], [1.0, 1.0, 1.0, 1.0])
    """
    z = _check.units("z", z)
    n = len(z)
    if n < 3:
        raise ValueError(f"z must have at least three rows, each with two negatives or more, got {n}")
    chosen = divergence if isinstance(divergence, Divergence) else divergences.get(divergence)
    budgets = _budget("temperature", temperature, z), _budget("radius", radius, z)
    known = None if labels is None else _check.labels("labels", labels, z)
    z = z.to(_check.wide(z))
    rows = [_block(z, known, at, chosen, *budgets) for at in _check.blocks(n, n, chunk, 1 << 20)]
    tau, eta, gaussian, size, *own = (torch.cat(column).cpu() for column in zip(*rows, strict=True))
    mass, rate = own if own else (None, None)
    return Ambiguity(tau, eta, gaussian, size, mass, rate, None if known is None else known.cpu())


def _block(
    z: Tensor, labels: Tensor | None, at: slice, chosen: Divergence, temperature: Tensor | None, radius: Tensor | None
) -> list[Tensor]:
    """The columns of `Ambiguity` for a block of anchors."""
    scores = z[at] @ z.mT
    others = torch.ones_like(scores, dtype=torch.bool)
    others.diagonal(at.start).fill_(False)
    scores = scores[others].view(len(scores), -1)
    tau, eta = (part[at] if part is not None and part.ndim else part for part in (temperature, radius))
    best = worst_case(scores, temperature=tau, radius=eta, divergence=chosen)
    weights, tau = best.weights, best.multiplier
    gaussian = scores.var(1, correction=0) / (2.0 * tau.square() * chosen.second_at_one)
    found = [tau, best.radius, gaussian, 1.0 / weights.square().sum(1)]
    if labels is not None:
        own = labels[at, None]
        same = (own == labels)[others].view(scores.shape)
        nobody = own[:, 0] == UNLABELLED
        found += [torch.where(nobody, torch.nan, part) for part in ((weights * same).sum(1), same.to(z.dtype).mean(1))]
    return found


def _budget(name: str, given: float | Tensor | None, z: Tensor) -> Tensor | None:
    """A number, or one an anchor, in double on the device of z.

    Raises:
        ValueError: another shape.
    """
    if given is None:
        return None
    value = torch.as_tensor(given, dtype=_check.wide(z), device=z.device).detach()
    if value.ndim and value.shape != (len(z),):
        raise ValueError(f"{name} must be a number or one an anchor ({len(z)},), got shape {tuple(value.shape)}")
    return value
