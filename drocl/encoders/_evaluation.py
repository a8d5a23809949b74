"""The measurements of one encoder on one data set: which of `drocl.encoders.evaluate`, by kind of data."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from drocl.encoders import evaluate
from drocl.encoders._modes import evaluating
from drocl.encoders._order import generator, number
from drocl.encoders._types import UNLABELLED, Dataset, Domain, Split
from drocl.encoders.models.projector import ContrastiveModel

CHUNK, FOLDS = 512, 10
NEIGHBOURS = 10_000  # training examples of the accuracy among themselves
ANCHORS = 2000  # examples of the statistics that are quadratic in their number


def measure(
    model: ContrastiveModel, domain: Domain, dataset: Dataset, *, budget: Mapping[str, Any], device: torch.device, seed: int
) -> dict[str, Any]:
    """All that the theory speaks of, and the quality of the features.

    Args:
        model: trained.
        domain, dataset: of the examples.
        budget: of the worst case over the negatives: `temperature` or `radius`, and `divergence`; see `_losses.budget_of`.
        device: of the computation.
        seed: of the views, of held-out parts and of folds.

    Returns:
        Numbers by name (`probe_accuracy`, `knn_accuracy`, `svm_accuracy`, `spearman_NAME`, `alignment`, `uniformity`, `radius`,
        `effective_negatives`, `false_negative_mass`, ...), lists by class, `worst_case` (which one it is), and `notes`: what could
        not be measured, and why. What the data does not have is not there.
    """
    found: dict[str, Any] = {}
    notes: list[str] = []
    held = dataset.train if dataset.test is None else dataset.test
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "accuracy": lambda: (_graphs if dataset.kind == "graph" else _images)(model, domain, dataset, device, seed),
        "spearman": lambda: spearman(model, dataset),
        "geometry": lambda: _geometry(model, domain, held.take(_spread(len(held), ANCHORS)), budget, device, seed),
    }
    for name, part in parts.items():
        try:
            found |= part()
        except ValueError as error:  # too few examples, features that are not finite: the rest is worth having
            notes.append(f"{name} not measured: {error}")
    return found | {"notes": notes}


def quality(model: ContrastiveModel, domain: Domain, dataset: Dataset, device: torch.device) -> float:
    """One cheap number during training: weighted kNN accuracy, or the mean Spearman correlation of sentences; nan without either."""
    if dataset.kind == "text":
        scores = list(spearman(model, dataset, part="dev").values())
        return sum(scores) / len(scores) if scores else float("nan")
    if dataset.train.labels is None:
        return float("nan")
    train = _features(model, domain, dataset.train, device).to(device)
    if dataset.test is None or dataset.test.labels is None:
        return evaluate.knn_accuracy(train, dataset.train.labels, train, dataset.train.labels, k=_k(len(train)), leave_one_out=True)
    test = _features(model, domain, dataset.test, device).to(device)
    return evaluate.knn_accuracy(train, dataset.train.labels, test, dataset.test.labels, k=_k(len(train)))


def spearman(model: ContrastiveModel, dataset: Dataset, part: str = "") -> dict[str, float]:
    """Rank correlation of cosine and human score of the scored pairs whose name holds `part` (all, if none does)."""
    from drocl.encoders.evaluate import sentences

    chosen = {name: pairs for name, pairs in dataset.pairs.items() if part in name} or dataset.pairs
    with evaluating(model):
        return {f"spearman_{name.replace('-', '_')}": sentences.spearman(model.features, pairs) for name, pairs in chosen.items()}


def _images(model: ContrastiveModel, domain: Domain, dataset: Dataset, device: torch.device, seed: int) -> dict[str, Any]:
    train, test = dataset.train, dataset.test
    if dataset.kind != "image" or test is None or train.labels is None or test.labels is None or not _labelled(train):
        return {}
    x, u = _features(model, domain, train, device), _features(model, domain, test, device)
    probe = evaluate.linear_probe(x.to(device), train.labels, u.to(device), test.labels, seed=seed)
    return {
        "probe_accuracy": probe.accuracy,
        "probe_train_accuracy": probe.train_accuracy,
        "probe_penalty": probe.penalty,
        "knn_accuracy": evaluate.knn_accuracy(x.to(device), train.labels, u.to(device), test.labels, k=_k(len(x))),
        "knn_train_accuracy": _on_training(x.to(device), train.labels),
    }


def _graphs(model: ContrastiveModel, domain: Domain, dataset: Dataset, device: torch.device, seed: int) -> dict[str, Any]:
    from drocl.encoders.evaluate import graphs

    if dataset.train.labels is None:
        return {}
    rarest = int(torch.bincount(dataset.train.labels).min())
    if rarest < 2:
        raise ValueError("a class has one graph")
    features = _features(model, domain, dataset.train, device)
    found = graphs.svm_folds(features, dataset.train.labels, folds=min(FOLDS, rarest), seed=seed)
    return {"svm_accuracy": found["accuracy"], "svm_deviation": found["std"]}


def _geometry(
    model: ContrastiveModel, domain: Domain, split: Split, budget: Mapping[str, Any], device: torch.device, seed: int
) -> dict[str, Any]:
    """Alignment and uniformity of the embeddings, and the worst case over the negatives."""
    source, n = domain.place(split, device), len(split)
    z = evaluate.represent(model, domain, source, n, projected=True).to(device)
    uniforms = torch.rand((2, n, domain.width), generator=generator(seed, "alignment")).to(device)
    first, second = (_views(model, domain, source, n, uniforms[i], number(seed, "alignment", i)) for i in (0, 1))
    labels = split.labels
    case = evaluate.worst_case_statistics(z, labels, **budget)
    price = "temperature" if "temperature" in budget else "radius"
    name = getattr(budget.get("divergence", "kl"), "name", budget.get("divergence", "kl"))
    found: dict[str, Any] = {
        "alignment": evaluate.alignment(first, second),
        "uniformity": evaluate.uniformity(z),
        "worst_case": f"{name} at {price} {budget[price]:g}",
        **case.summary(),
    }
    return found


def _views(model: ContrastiveModel, domain: Domain, source: Any, n: int, uniforms: Tensor, seed: int) -> Tensor:
    """Embeddings of one view of every example; where the domain draws nothing, the encoder's dropout makes the view."""
    parts = []
    with evaluating(model, dropout=domain.width == 0), torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(seed)
        for start in range(0, n, CHUNK):
            rows = torch.arange(start, min(start + CHUNK, n))
            parts.append(model(domain.views(source, rows, uniforms[start : start + CHUNK])).float())
    return torch.cat(parts)


def _features(model: ContrastiveModel, domain: Domain, split: Split, device: torch.device) -> Tensor:
    return evaluate.represent(model, domain, domain.place(split, device), len(split))


def _on_training(x: Tensor, labels: Tensor) -> float:
    """kNN accuracy among training examples, each left out in turn: what settings may be chosen by."""
    rows = _spread(len(x), NEIGHBOURS)
    x, labels = x[rows.to(x.device)], labels[rows]
    return evaluate.knn_accuracy(x, labels, x, labels, k=_k(len(x)), leave_one_out=True)


def _labelled(split: Split) -> bool:
    return split.labels is not None and bool((split.labels != UNLABELLED).any())


def _k(n: int) -> int:
    return max(1, min(200, n // 20))


def _spread(n: int, most: int) -> Tensor:
    """At most `most` rows, evenly spread over n."""
    return torch.linspace(0, n - 1, min(n, most), dtype=torch.float64).round().to(torch.int64)
