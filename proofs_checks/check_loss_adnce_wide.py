"""wu2023, Eqs 10 to 12 as their width grows: ADNCE returns to InfoNCE, and by how much it differs on the way."""

from collections.abc import Callable

import numpy as np
from scipy.special import softmax

from drocl.claims import Evidence, claim, slope

from ._losses import POSITIVES, TORCH, Floats, of_scores, pools

VARIANTS = ("image", "graph", "sentence")
MU = 0.7
Term = Callable[[Floats, Floats, str], Floats]


def limit_of(variant: str, s: Floats, temperature: float) -> tuple[Floats, Floats]:
    """InfoNCE and its derivatives in the negatives; for the graph variant, without the positive and with a mean."""
    name = "decoupled" if variant == "graph" else "info_nce"
    value, _, slopes = of_scores(name, POSITIVES, s, temperature=temperature)
    return value - (np.log(s.shape[1]) if variant == "graph" else 0.0), slopes


@claim(
    "adnce-wide-is-infonce",
    title="As sigma grows ADNCE becomes InfoNCE, with an error of order 1 / sigma squared",
    says=r"L_{ADNCE}^{\mu,\sigma}=L_{InfoNCE}+O(\sigma^{-2}),\quad\nabla L_{ADNCE}^{\mu,\sigma}=\nabla L_{InfoNCE}+O(\sigma^{-2})",
    source="wu2023, Eqs 10 to 12 (as we state them; the order derived here)",
    asserts="limit",
    assumes=("fixed scores", "graph variant: the loss without the positive below, with the mean over the negatives"),
    grid={"n": (16, 510), "temperature": (0.1, 0.5), "variant": VARIANTS, "part": ("value", "gradient"),
          "scores": ("uniform", "digits"), "seed": (0,)},
    standard={"n": (16, 510, 4094), "temperature": (0.07, 0.1, 0.2, 0.5, 1.0), "seed": (0, 1, 2)},
    paper={"seed": tuple(range(10))},
    control={"power": -1.0},
    control_says="an error of order 1 / sigma",
    control_grid={"n": (16,)},
    tolerance="the next order is 1 / sigma^2 of this one, 1e-3 at the smallest sigma",
    needs=TORCH,
    figure="",
)  # fmt: skip
def adnce_wide_is_infonce(
    n: int, temperature: float, variant: str, part: str, scores: str, seed: int, power: float = -2.0
) -> Evidence:
    widths, s = np.geomspace(30.0, 300.0, 4), pools(scores, n, seed)
    at = 0 if part == "value" else 1
    limit = limit_of(variant, s, temperature)[at]
    found = [of_scores("adnce", POSITIVES, s, temperature=temperature, mu=MU, sigma=sigma, variant=variant)[2 * at]
             for sigma in widths]  # fmt: skip
    return slope(widths, [np.linalg.norm(row - limit) for row in found], expected=power, within=0.02)


def tilted_and_even(a: Floats, distance: Floats, variant: str) -> Floats:
    """Mean squared distance from mu under the softmax, less that under the uniform law; with the share of the negatives."""
    atoms = a if variant == "sentence" else a[:, 1:]
    squares = distance**2 if variant == "sentence" else distance[:, 1:] ** 2
    change = (softmax(atoms, axis=1) * squares).sum(axis=1) - squares.mean(axis=1)
    return np.asarray(change * (softmax(a, axis=1)[:, 1:].sum(axis=1) if variant == "image" else 1.0))


def without_norm(a: Floats, distance: Floats, variant: str) -> Floats:
    """The same with weights that are not brought to mean 1."""
    atoms = a if variant == "sentence" else a[:, 1:]
    squares = distance**2 if variant == "sentence" else distance[:, 1:] ** 2
    change = (softmax(atoms, axis=1) * squares).sum(axis=1)
    return np.asarray(change * (softmax(a, axis=1)[:, 1:].sum(axis=1) if variant == "image" else 1.0))


@claim(
    "adnce-first-order",
    title="A wide ADNCE lowers InfoNCE by a difference of two mean squares",
    says=r"L_{ADNCE}^{\mu,\sigma}=L_{InfoNCE}-\frac{1-p^{+}}{2\sigma^{2}}\left[\mathbb{E}_{q}(s-\mu)^{2}-"
    r"\langle(s-\mu)^{2}\rangle\right]+O(\sigma^{-4}),\quad q=\mathrm{softmax}(s/\tau)",
    source="wu2023, Eqs 10 to 12 (as we state them; this term derived here)",
    asserts="rate",
    assumes=("fixed scores", "graph variant: without 1 - p+; sentence variant: without it, the positive among the atoms"),
    uses=("adnce-wide-is-infonce",),
    grid={"n": (16, 510), "temperature": (0.1, 0.5), "variant": VARIANTS, "scores": ("uniform", "digits"), "seed": (0,)},
    standard={"n": (16, 510, 4094), "temperature": (0.07, 0.1, 0.2, 0.5, 1.0), "seed": (0, 1, 2)},
    paper={"seed": tuple(range(10))},
    control={"term": without_norm},
    control_says="weights that are not brought to mean 1",
    control_grid={"n": (16,)},
    tolerance="the next order is 1 / sigma^2 of this one, 1e-2 at the smallest sigma; rounding is 1e-15 against "
    "residuals of 1e-11 and more",
    needs=TORCH,
    figure="",
)  # fmt: skip
def adnce_first_order(
    n: int, temperature: float, variant: str, scores: str, seed: int, term: Term = tilted_and_even
) -> Evidence:
    widths, s = np.geomspace(10.0, 100.0, 4), pools(scores, n, seed)
    atoms = np.column_stack([POSITIVES, s])
    gain = term(atoms / temperature, atoms - MU, variant)
    limit = limit_of(variant, s, temperature)[0]
    found = [of_scores("adnce", POSITIVES, s, temperature=temperature, mu=MU, sigma=sigma, variant=variant)[0]
             for sigma in widths]  # fmt: skip
    error = np.stack(found) - limit + gain / (2.0 * widths[:, None] ** 2)
    return slope(widths, np.linalg.norm(error, axis=1), expected=-4.0, within=0.03)
