"""Graphs and sentences: GIN measured by a support vector machine, a transformer with dropout pairs by rank correlation."""

import csv
import random
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drocl import parts

from ._encoders import OK, Row, attempt, cell, difference, means, where
from ._tables import by_row, table

COST = "minutes"
RULES, GRAMMAR = "rules", "grammar"  # the stand-ins that need no file
UNTRAINED = "untrained"
#: domain -> name -> loss and parameters; the published settings of ADNCE for MUTAG and for BERT
LOSSES: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "graphs": {
        UNTRAINED: ("info_nce", {"temperature": 0.2}),
        "info_nce": ("info_nce", {"temperature": 0.2}),
        "debiased": ("debiased", {"temperature": 0.2, "class_prior": 0.1}),
        "hard_negative": ("hard_negative", {"temperature": 0.2, "class_prior": 0.1, "concentration": 1.0}),
        "rince": ("rince", {"temperature": 0.2, "q": 0.5, "lam": 0.01}),
        "adnce": ("adnce", {"temperature": 0.15, "mu": 0.7, "sigma": 1.0, "variant": "graph"}),
        "dro chi2": ("dro", {"divergence": "chi2", "radius": 0.7}),
    },
    "text": {
        UNTRAINED: ("info_nce", {"temperature": 0.05}),
        "info_nce": ("info_nce", {"temperature": 0.05}),
        "debiased": ("debiased", {"temperature": 0.05, "class_prior": 0.01}),
        "hard_negative": ("hard_negative", {"temperature": 0.05, "class_prior": 0.01, "concentration": 1.0}),
        "rince": ("rince", {"temperature": 0.1, "q": 0.5, "lam": 0.01}),
        "adnce": ("adnce", {"temperature": 0.07, "mu": 0.4, "sigma": 1.0, "variant": "sentence"}),
        "dro chi2": ("dro", {"divergence": "chi2", "radius": 0.7}),
    },
}


@dataclass(frozen=True)
class Config:
    """Data and sizes.

    Args:
        graphs, text: data sets by name, in the cache folder; "rules" and "grammar" are stand-ins that need no file: trees grown by
            two rules, and sentences of a small grammar scored by the share of words in common.
        losses: names of `LOSSES`; "untrained" is the encoder as it was initialised.
        graph_epochs, text_epochs, graph_batch, text_batch: of training.
        graph_options, text_options: of the encoders.
        folds, grid: of the support vector machine: folds, and values of C that it chooses from.
        seeds: of a run; the folds of the machine are those of the seed.
    """

    graphs: str = "MUTAG"
    text: str = "stsb"
    losses: tuple[str, ...] = (UNTRAINED, "info_nce", "debiased", "hard_negative", "rince", "adnce", "dro chi2")
    graph_epochs: int = 20
    text_epochs: int = 1
    graph_batch: int = 64
    text_batch: int = 64
    graph_options: tuple[tuple[str, int], ...] = ()
    text_options: tuple[tuple[str, int], ...] = ()
    folds: int = 10
    grid: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)


PROFILES = {
    "quick": Config(
        RULES, GRAMMAR, losses=(UNTRAINED, "info_nce", "adnce"), graph_epochs=5, graph_batch=32, text_batch=32, seeds=(0, 1, 2),
        graph_options=(("hidden", 8), ("layers", 2)), text_options=(("width", 16), ("layers", 1), ("heads", 2)),
        folds=4, grid=(1.0,),
    ),
    "standard": Config(seeds=(0, 1, 2)),
    "paper": Config(text_epochs=3, text_batch=128),
}  # fmt: skip


def run(config: Config) -> dict[str, Any]:
    """Every loss on both kinds of data.

    Args:
        config: sizes.

    Returns:
        Tables `runs` (domain, data, loss, seed, status, why, score) and `means` (over seeds; `gain`: paired difference to the untrained
        encoder). The score is the accuracy of the machine, or the mean Spearman correlation of the test pairs.
    """
    keys = [(domain, loss, seed) for domain in LOSSES for loss in config.losses for seed in config.seeds]
    items = [_item(config, *key) for key in keys]
    runs = [
        {"domain": domain, "data": getattr(config, domain), "loss": loss, "seed": seed, **row}
        for (domain, loss, seed), row in zip(keys, parts.gather(domain_part, items), strict=True)
    ]
    found = means(runs, ("domain", "data", "loss"), ("score", "seconds"))
    for row in found:
        mine = where(runs, domain=row["domain"])
        row |= difference(where(mine, loss=row["loss"]), where(mine, loss=UNTRAINED), "score")
    return {"runs": table(runs), "means": table(found)}


def _item(config: Config, domain: str, loss: str, seed: int) -> tuple[Any, ...]:
    graphs = domain == "graphs"
    name, options = LOSSES[domain][loss]
    given: Row = {
        "data": getattr(config, domain), "loss": name, "loss_options": options, "seed": seed, "threads": 1, "tensorboard": False,
        "encoder": "gin" if graphs else "transformer", "device": "auto",
        "encoder_options": dict(config.graph_options if graphs else config.text_options),
        "batch_size": config.graph_batch if graphs else config.text_batch, "projection": (32, 32) if graphs else None,
        "learning_rate": 0.01 if graphs else 1e-3,
    }  # fmt: skip
    length = {"epochs": config.graph_epochs if graphs else config.text_epochs}
    if loss == UNTRAINED:
        length, given["learning_rate"] = {"max_steps": 1}, 1e-12
    return {**given, **length}, config.folds, config.grid


def domain_part(given: Mapping[str, Any], folds: int, grid: Sequence[float]) -> Row:
    """One run; the stand-ins are written to a temporary folder."""
    made: Row = {"status": OK, "why": "", "seconds": float("nan"), "score": float("nan")}
    with tempfile.TemporaryDirectory() as folder:
        write = {RULES: write_rules, GRAMMAR: write_grammar}.get(given["data"])
        data = given["data"] if write is None else str(write(Path(folder)))
        return made | attempt(lambda: _run({**given, "data": data}, folds, grid))


def _run(given: Mapping[str, Any], folds: int, grid: Sequence[float]) -> Row:
    import torch

    from drocl.encoders import TrainConfig, _setup, evaluate, train
    from drocl.encoders.evaluate import graphs, sentences

    config = TrainConfig(**given)
    result = train(config, None, measure=False)
    data = _setup.read_data(config, torch.device("cpu"))
    if data.dataset.kind == "graph":
        train_split = data.dataset.train
        placed = data.domain.place(train_split, torch.device("cpu"))
        x = evaluate.represent(result.model, data.domain, placed, len(train_split))
        score = graphs.svm_folds(x, train_split.labels, folds=folds, seed=config.seed, grid=grid)["accuracy"]
    else:
        test = [pairs for name, pairs in data.dataset.pairs.items() if "test" in name]
        scores = [sentences.spearman(result.model.features, pairs) for pairs in test]
        score = sum(scores) / len(scores)
    return {"seconds": result.seconds, "score": score}


def write_rules(folder: Path, count: int = 120, seed: int = 0) -> Path:
    """A TU zip of two classes of trees of 10 to 20 nodes: a new node joins a node at random, or an end of an edge at random."""
    draw = random.Random(seed)
    edges, owner, labels, start = [], [], [], 0
    for graph in range(count):
        rich, n, ends = graph % 2, draw.randint(10, 20), [0]
        for i in range(1, n):
            j = draw.choice(ends) if rich else draw.randrange(i)
            ends += [i, j]
            edges += [f"{start + a + 1}, {start + b + 1}" for a, b in ((i, j), (j, i))]
        owner += [str(graph + 1)] * n
        labels.append(str(rich))
        start += n
    path = folder / "RULES.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for part, lines in (("A", edges), ("graph_indicator", owner), ("graph_labels", labels)):
            archive.writestr(f"RULES/RULES_{part}.txt", "\n".join(lines) + "\n")
    return path


WORDS = (
    ("a", "one", "the", "some"), ("red", "small", "old", "loud", "quick"), ("dog", "child", "robot", "farmer", "singer"),
    ("watches", "follows", "paints", "calls", "meets"), ("green", "large", "young", "quiet", "slow"),
    ("cat", "river", "tower", "teacher", "train"), ("today", "again", "outside", "slowly", "twice"),
)  # fmt: skip


def write_grammar(folder: Path, count: int = 256, pairs: int = 200, seed: int = 0) -> Path:
    """A folder of scored sentence pairs: the score is five times the share of the places where both have the same word."""
    draw = random.Random(seed)

    def sentence() -> list[str]:
        return [draw.choice(words) for words in WORDS]

    def pair() -> list[str]:
        first = sentence()
        changed = set(draw.sample(range(len(WORDS)), draw.randint(0, len(WORDS))))
        second = [
            draw.choice([w for w in WORDS[i] if w != word]) if i in changed else word for i, word in enumerate(first)
        ]
        return [" ".join(first), " ".join(second), f"{5.0 * (1.0 - len(changed) / len(WORDS)):.3f}"]

    where_ = folder / "grammar"
    where_.mkdir()
    rows = [[" ".join(sentence()), " ".join(sentence()), "0.0"] for _ in range(count // 2)]
    for name, lines in (("train", rows), ("test", [pair() for _ in range(pairs)])):
        with (where_ / f"sts-{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(lines)
    return where_


def report(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Accuracy of the machine (%) and rank correlation (times 100), and the paired difference to the untrained encoder."""
    return [
        {
            "data": row["data"], "measure": "accuracy" if row["domain"] == "graphs" else "Spearman", "loss": row["loss"],
            "score": cell(row, "score"), "less untrained": cell(row, "gain"), "why": row["why"],
        }
        for row in by_row(result["means"])
    ]  # fmt: skip
