"""A model's anchors, brought to what a loss needs of them: atoms of similarity and a few laws on them.

Points at the same similarity to the anchor are one atom, and anchors whose atoms and laws agree to the last bit are one
    anchor: a
collapsed or symmetric model of thousands of points costs as much as one of a few.
"""

from dataclasses import dataclass

import numpy as np

from drocl.latent import LatentModel
from drocl.latent.kinds import Array, Indices


@dataclass(frozen=True)
class Anchors:
    """The distinct anchors of a model, G of them, with at most k atoms and R positives each; absent ones have mass 0.

    Attributes:
        cosines: (G, k), the atoms.
        laws: (G, M, k), the laws asked for on the atoms.
        positive_cosines, positive_probs: (G, R), the law of the positive on the atoms it charges.
        tau_plus: (G,), probability of the anchor's class, nan where unknown.
        members: (n,), the row of each point of the model.
        probs: (n,), the law of the points.
    """

    cosines: Array
    laws: Array
    positive_cosines: Array
    positive_probs: Array
    tau_plus: Array
    members: Indices
    probs: Array

    @classmethod
    def of(cls, model: LatentModel, laws: tuple[Array, ...]) -> "Anchors":
        """Reduce `model` with the row laws (n, n) given; the positive law comes by itself."""
        found: dict[bytes, int] = {}
        rows: list[tuple[Array, Array]] = []
        members = np.empty(len(model), dtype=np.int64)
        first = []
        sources, tau_plus = (model.p_plus, *laws), model.tau_plus
        for x in range(len(model)):
            seen, place = np.unique(model.cosines[x], return_inverse=True)
            mass = np.stack([np.bincount(place, weights=law[x], minlength=seen.size) for law in sources])
            charged = np.flatnonzero(mass.any(axis=0))
            atoms, merged = np.asarray(seen[charged], dtype=np.float64), np.asarray(mass[:, charged], dtype=np.float64)
            key = atoms.tobytes() + merged.tobytes() + tau_plus[x].tobytes()
            members[x] = found.setdefault(key, len(found))
            if members[x] == len(rows):
                rows.append((atoms, merged))
                first.append(x)
        width = max(atoms.size for atoms, _ in rows)
        height = max(int(np.count_nonzero(merged[0])) for _, merged in rows)
        cosines, table = np.zeros((len(rows), width)), np.zeros((len(rows), len(laws), width))
        plus, weights = np.zeros((len(rows), height)), np.zeros((len(rows), height))
        for g, (atoms, merged) in enumerate(rows):
            plus_at = np.flatnonzero(merged[0])
            cosines[g, : atoms.size], table[g, :, : atoms.size] = atoms, merged[1:]
            plus[g] = atoms[plus_at[0]]  # padding repeats an atom, so that it asks nothing new of the quadrature
            plus[g, : plus_at.size], weights[g, : plus_at.size] = atoms[plus_at], merged[0, plus_at]
        return cls(cosines, table, plus, weights, tau_plus[first], members, model.probs)

    def collect(self, per_group: Array, per_anchor: bool) -> Array | float:
        """Values (G,) of distinct anchors as values of all points (n,), or their mean under p."""
        values = per_group[self.members]
        return values if per_anchor else float(self.probs @ values)
