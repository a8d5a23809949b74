"""What the chuang2020 checks share: models by name, the two sides of Lemma 1, and a search over small models."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import hadamard
from scipy.special import logsumexp

from drocl import latent, population
from drocl.claims import minimise_slack
from drocl.latent import LatentModel

Floats = NDArray[np.float64]

KEPT = 120  # points of a real data set: an exact expectation costs points^2 a node


def model_of(spec: str, seed: int = 0, equal_classes: bool = False) -> LatentModel:
    """A model by name: those of `latent.build`, "mub:64", and four designs with two classes.

    "opposite:K": a regular simplex of K points, and the opposite one ("opposite:4" is the alternating cube).
    "cross:K" or "cross:KxM": +-e_i, and +- the columns of a Hadamard matrix of order K over sqrt(K), M orthogonal
    copies of both ("cross:2" is the octagon, its vertices alternating).
    "blurred:E": classes at v and -v, each with a share E of its points at the other's place.
    "fan:K": K points of one class, around the only point of a class of probability 1/100.

    Args:
        spec: the name.
        seed: of what is random, and of the points kept of real data.
        equal_classes: reweight real data to equally likely classes, as chuang2020 assumes.
    """
    kind, _, size = spec.partition(":")
    if kind == "opposite":
        vertices = latent.simplex(int(size))
        gram = np.asarray(np.kron([[1.0, -1.0], [-1.0, 1.0]], vertices.cosines), dtype=np.float64)
        return two_classes(vertices.embeddings, -vertices.embeddings, spec, gram)
    if kind == "cross":
        order, _, copies = size.partition("x")
        turned = hadamard(int(order)).T / np.sqrt(int(order))
        first, second = (np.kron(np.eye(int(copies or 1)), basis) for basis in (np.eye(int(order)), turned))
        return two_classes(np.vstack([first, -first]), np.vstack([second, -second]), spec)
    if kind == "blurred":
        masses = 0.5 * np.array([1.0 - float(size), float(size), float(size), 1.0 - float(size)])
        rows = np.array([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
        return LatentModel(rows, np.array([0, 0, 1, 1]), masses, spec)
    if kind == "fan":
        return _fan(int(size))
    if kind == "mub" and size:
        return latent.build("mub", dimension=int(size))
    if kind in ("digits", "file"):
        return latent.build(spec, n=KEPT, seed=seed, class_prior="uniform" if equal_classes else None)
    if kind in ("random", "vmf"):
        return latent.build(spec, n_classes=3, points=5, dimension=4, seed=seed)
    return latent.build(spec, seed=seed)


def two_classes(first: Floats, second: Floats, name: str, gram: Floats | None = None) -> LatentModel:
    """Two equally likely classes with equally likely points."""
    labels = np.repeat([0, 1], [len(first), len(second)])
    probs = np.concatenate([np.full(len(rows), 0.5 / len(rows)) for rows in (first, second)])
    rows = np.vstack([first, second])
    return LatentModel(rows / np.linalg.norm(rows, axis=1, keepdims=True), labels, probs, name, gram)


def _fan(points: int, tilt: float = 0.25, rare: float = 0.01) -> LatentModel:
    """Points at cosine `tilt` to one point, else as far from each other as can be; that point's class is `rare`."""
    around = np.sqrt(1.0 - tilt**2) * latent.simplex(points).embeddings
    rows = np.vstack([np.column_stack([around, np.full(points, tilt)]), np.eye(1, points + 1, points)])
    gram = np.full((points + 1, points + 1), tilt)
    gram[:-1, :-1] = tilt**2 - (1.0 - tilt**2) / (points - 1)
    np.fill_diagonal(gram, 1.0)
    probs = np.append(np.full(points, (1.0 - rare) / points), rare)
    labels = np.append(np.zeros(points, dtype=np.int64), 1)
    return LatentModel(rows / np.linalg.norm(rows, axis=1, keepdims=True), labels, probs, f"fan:{points}", gram)


def log_mean_exp(model: LatentModel, temperature: float, law: Floats) -> Floats:
    """log E e^s at each anchor, for the law in each row, (n,)."""
    with np.errstate(divide="ignore"):
        return np.asarray(logsumexp(model.scores(temperature) + np.log(law), axis=1))


def log_ratio(model: LatentModel, temperature: float) -> Floats:
    """log(E_{p+} e^s / E_{p-} e^s) at each anchor, (n,)."""
    return log_mean_exp(model, temperature, model.p_plus) - log_mean_exp(model, temperature, model.p_minus)


def losses(model: LatentModel, temperature: float, n: int) -> tuple[float, float]:
    """L_Bias and L_Unb with n negatives, exactly."""
    biased, unbiased = population.biased_loss(model, temperature, n), population.unbiased_loss(model, temperature, n)
    return float(biased), float(unbiased)


def shortfall(model: LatentModel, temperature: float, n: int) -> float:
    """L_Unb + E min(0, log E+/E-) - L_Bias: what the constant of Lemma 1 must cover."""
    biased, unbiased = losses(model, temperature, n)
    return unbiased + float(model.probs @ np.minimum(0.0, log_ratio(model, temperature))) - biased


def search(
    slack: Callable[[LatentModel, float, int], float],
    seed: int,
    budget: int,
    temperatures: tuple[float, float] = (1.0, 1.0),
    equal_classes: bool = True,
) -> tuple[LatentModel, float, int]:
    """The model, the temperature and N at which `slack(model, t, n)` is found smallest.

    Two classes of four points in R^4. Embeddings, weights within classes, N up to 4096, t within `temperatures`, and
    the class prior unless `equal_classes`, are free; half of the starts are random, half are known designs, disturbed.

    Args:
        slack: what to make small.
        seed: of the search.
        budget: evaluations of `slack`.
        temperatures: range of t.
        equal_classes: keep the classes equally likely, as chuang2020 assumes.

    Returns:
        The model, t and N found.
    """
    low, high = np.log(temperatures)
    labels = np.repeat([0, 1], 4)

    def read(theta: Floats) -> tuple[LatentModel, float, int]:
        log_n, log_t, logit = theta[-1, :3]
        weights = np.exp(theta[:-1, 4] - theta[:-1, 4].max()) + 1e-12
        prior = 0.5 if equal_classes else 1.0 / (1.0 + np.exp(-np.clip(logit, -12.0, 12.0)))
        probs = latent.model.reweighted(weights, labels, np.array([prior, 1.0 - prior]))
        model = LatentModel(latent.model.normalised(theta[:-1, :4]), labels, probs, "found by search")
        return model, float(np.exp(np.clip(log_t, low, high))), round(2.0 ** float(np.clip(log_n, 0.0, 12.0)))

    def draw(rng: np.random.Generator) -> Floats:
        theta = rng.normal(size=(9, 5))
        if rng.random() < 0.5:
            rows = _design(rng)
            theta *= 10.0 ** rng.uniform(-3.0, 0.0)
            theta[:-1, : rows.shape[1]] += rows
        # few negatives leave large gaps
        theta[-1, :3] = 12.0 * rng.random() ** 2, rng.uniform(low, high), 3.0 * rng.normal()
        return theta

    theta, _ = minimise_slack(lambda theta: slack(*read(theta)), draw, seed=seed, budget=budget)
    return read(theta)


def _design(rng: np.random.Generator) -> Floats:
    """Eight points of a known design, four a class, (8, d)."""
    name = ("opposite:4", "cross:2", "fan:4")[rng.integers(3)]
    if name != "fan:4":
        return np.asarray(model_of(name).embeddings)
    tilt = rng.uniform(0.0, 0.7)
    vertices = np.linalg.qr(latent.simplex(4).embeddings.T)[1].T[:, :3]  # three coordinates are enough
    around = np.column_stack([np.sqrt(1.0 - tilt**2) * vertices, np.full(4, tilt)])
    return np.vstack([around, np.tile([0.0, 0.0, 0.0, 1.0], (4, 1))])
