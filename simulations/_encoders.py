"""One training run as a part of the simulations of encoders; the losses they compare; means and paired differences over seeds."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from drocl import parts

Row = dict[str, Any]
LEVEL = 0.9  # of the t-intervals over seeds
TAU0 = 0.5
OK, NOT_RUN, DIVERGED = "ok", "not run", "diverged"
BATCHES = 2  # training batches whose anchors are looked at
MOST = 2000  # test examples of the statistics that are quadratic in their number
LOGGED = ("radius", "effective_negatives", "false_negative_mass", "temperature", "clamp_fraction")
WORST = ("radius", "gaussian_radius", "effective_negatives", "false_negative_mass", "temperature")
ANCHORS = ("anchor_radius", "anchor_temperature")
ENDS = ("", "_q05", "_q95")
PENALTIES = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)


@dataclass(frozen=True)
class Training:
    """What the runs of a simulation share.

    Args:
        data: "digits", or a name in the cache folder, as `drocl.encoders.TrainConfig` takes it.
        encoder, encoder_options, projection, optimizer, learning_rate, batch_size, precision, device, threads: likewise.
        subset: training examples, drawn anew by each seed; None is all.
        steps, epochs: length; one of them.
        log_every: steps from one row of the history to the next.
        penalties: of the linear probe; several are chosen from on training examples.
        seeds: of everything in a run. Runs with one seed share examples, order, views and initial weights: differences are paired.
    """

    data: str = "digits"
    encoder: str = "mlp"
    encoder_options: Mapping[str, Any] = field(default_factory=dict)
    projection: tuple[int, int] | None = (128, 64)
    subset: int | None = None
    steps: int | None = None
    epochs: int | None = None
    batch_size: int = 128
    optimizer: str = "adam"
    learning_rate: float | None = None
    precision: str = "fp32"
    device: str = "cpu"
    threads: int | None = 1
    log_every: int = 10
    penalties: tuple[float, ...] = PENALTIES
    seeds: tuple[int, ...] = (0, 1, 2)


# sixteen features, so that they have to be learnt: 64 random ones already tell digits apart
QUICK: dict[str, Any] = {
    "encoder_options": {"hidden": 256, "width": 16}, "projection": None, "steps": 16, "learning_rate": 0.01, "log_every": 5,
    "penalties": (1e-2,), "seeds": (0, 1, 2, 3),
}  # fmt: skip
STANDARD: dict[str, Any] = {
    "data": "cifar10", "encoder": "convnet", "encoder_options": {"width": 64}, "subset": 5000, "epochs": 10, "batch_size": 256,
    "device": "auto",
}  # fmt: skip
PAPER: dict[str, Any] = {
    "data": "cifar10", "encoder": "resnet18", "projection": (512, 128), "epochs": 100, "batch_size": 512, "precision": "bf16",
    "device": "auto", "threads": None, "log_every": 50, "seeds": (0, 1, 2, 3, 4),
}  # fmt: skip

#: name in the tables -> loss, its parameters but the temperature, which a loss with a radius has not
LOSSES: dict[str, tuple[str, dict[str, Any]]] = {
    "info_nce": ("info_nce", {}),
    "debiased": ("debiased", {"class_prior": 0.1}),
    "hard_negative": ("hard_negative", {"class_prior": 0.1, "concentration": 1.0}),
    "rince": ("rince", {"q": 0.5, "lam": 0.01}),
    "rince 0.1": ("rince", {"q": 0.1, "lam": 0.01}),
    "rince 1": ("rince", {"q": 1.0, "lam": 0.01}),
    "rince invariant": ("rince", {"q": 1.0}),  # lam = 1 / (K + 1)
    "adnce": ("adnce", {"mu": 0.7, "sigma": 0.5}),
    "dro chi2": ("dro", {"divergence": "chi2", "radius": 0.7}),  # as large a ball as KL's of 0.35, to second order
    "unbiased": ("unbiased", {}),
}


def loss_of(name: str, temperature: float, batch_size: int) -> tuple[str, dict[str, Any]]:
    """Loss and parameters of a name of `LOSSES`, as `TrainConfig` takes them.

    >>> loss_of("rince invariant", 0.5, 4)[1]["lam"] == 1 / 7  # six negatives
    True
    """
    loss, options = LOSSES[name]
    options = dict(options) if "radius" in options else {**options, "temperature": temperature}
    if name == "rince invariant":
        options["lam"] = 1.0 / (2 * (batch_size - 1) + 1)
    return loss, options


def fields(config: Training, seed: int, loss: str, options: Mapping[str, Any], **more: Any) -> Row:
    """Plain fields of the `TrainConfig` of a run.

    Args:
        config: of the simulation.
        seed: of the run.
        loss, options: a loss of `drocl.losses` and its parameters.
        more: further fields of `TrainConfig`, in place of the simulation's.
    """
    length = {"epochs": config.epochs} if config.epochs is not None else {"max_steps": config.steps}
    shared = (
        "data", "encoder", "projection", "subset", "batch_size", "optimizer", "learning_rate", "precision", "device", "threads",
        "log_every",
    )  # fmt: skip
    held = {name: getattr(config, name) for name in shared}
    held |= {"encoder_options": dict(config.encoder_options), **length, "tensorboard": False, "seed": seed}
    return {**held, "loss": loss, "loss_options": dict(options), **more}


def gather(items: Sequence[tuple[Any, ...]]) -> list[Row]:
    """`part` of all items, equal ones run once."""
    names = [repr(item) for item in items]
    first = dict(zip(names, items, strict=True))
    found = dict(zip(first, parts.gather(part, list(first.values())), strict=True))
    return [found[name] for name in names]


def part(given: Mapping[str, Any], measures: Sequence[str], penalties: Sequence[float]) -> Row:
    """One run.

    Args:
        given: of `fields`.
        measures: of "probe" (linear probe on test examples), "knn" (kNN on them), "knn_train" (kNN among the training examples, each
            left out in turn), "worst" (worst case over the negatives among test examples, at the loss's temperature),
            "anchors" (radius and temperature of the loss's worst case, by anchor, in a few training batches), "history" (the logged
            numbers, step by step).
        penalties: of the probe.

    Returns:
        status ("ok", "not run", "diverged"), why, seconds, then the measured numbers, nan where there are none: of the logged
        numbers the mean over training, as `mean_NAME`; of the worst case the mean, and quantiles as `NAME_q05`.
    """
    return blank(measures) | attempt(lambda: _run(given, measures, penalties))


def attempt(run: Any) -> Row:
    """What a run gives, or why it gave nothing: data or a library that is not here, a loss that is no longer finite."""
    from drocl.encoders import Diverged

    try:
        return {"status": OK, "why": "", **run()}
    except (FileNotFoundError, ImportError) as error:
        return {"status": NOT_RUN, "why": str(error)}
    except Diverged as error:
        return {"status": DIVERGED, "why": str(error)}


def blank(measures: Sequence[str]) -> Row:
    """A row without numbers."""
    names = ["seconds", *(f"mean_{name}" for name in LOGGED)]
    names += [name for name in ("probe", "knn", "knn_train") if name in measures]
    names += [f"{name}{end}" for name in WORST for end in ENDS if "worst" in measures]
    names += [f"{name}{end}" for name in ANCHORS for end in ENDS if "anchors" in measures]
    held: Row = {"status": OK, "why": "", **dict.fromkeys(names, math.nan)}
    return held | ({"history": {}} if "history" in measures else {})


def _run(given: Mapping[str, Any], measures: Sequence[str], penalties: Sequence[float]) -> Row:
    from drocl.encoders import TrainConfig, train

    config = TrainConfig(**given)
    result = train(config, None, measure=False)
    found: Row = {"seconds": result.seconds, **logged(result.history)}
    if "history" in measures:
        found["history"] = {name: [row.get(name, math.nan) for row in result.history] for name in ("step", *LOGGED)}
    return found | measured(config, result.model, measures, penalties)


def logged(history: Sequence[Mapping[str, float]]) -> Row:
    """Means over training of what was logged."""
    found = {}
    for name in LOGGED:
        values = [row[name] for row in history if name in row]
        found[f"mean_{name}"] = sum(values) / len(values) if values else math.nan
    return found


def measured(config: Any, model: Any, measures: Sequence[str], penalties: Sequence[float]) -> Row:
    """The measures of a trained model that `part` names."""

    from drocl.encoders import _setup, evaluate

    device = _setup.device_of(config.device)
    data = _setup.read_data(config, device)
    train, test = data.dataset.train, data.dataset.test
    model = model.to(device)
    found: Row = {}

    def embed(split: Any, projected: bool = False) -> Any:
        placed = data.domain.place(split, device)
        return evaluate.represent(model, data.domain, placed, len(split), projected=projected).to(device)

    if {"probe", "knn", "knn_train"} & set(measures):
        x, y = embed(train), train.labels
        k = max(1, min(200, len(x) // 20))
        if "knn_train" in measures:
            found["knn_train"] = evaluate.knn_accuracy(x, y, x, y, k=k, leave_one_out=True)
        if {"probe", "knn"} & set(measures):
            u = embed(test)
            if "knn" in measures:
                found["knn"] = evaluate.knn_accuracy(x, y, u, test.labels, k=k)
            if "probe" in measures:
                found["probe"] = evaluate.linear_probe(
                    x, y, u, test.labels, penalties=tuple(penalties), seed=config.seed
                ).accuracy
    if "worst" in measures:
        some = test.take(range(min(len(test), MOST)))
        budget, divergence = budget_of(config.loss_options)
        case = evaluate.worst_case_statistics(embed(some, projected=True), some.labels, divergence=divergence, **budget)
        summary = case.summary()
        found |= {f"{name}{end}": summary[f"{name}{end}"] for name in WORST for end in ENDS}
    if "anchors" in measures:
        found |= _anchors(config, model)
    return found


def _anchors(config: Any, model: Any) -> Row:
    from drocl.dro import worst_case

    budget, divergence = budget_of(config.loss_options)
    case = worst_case(negatives(config, model, BATCHES)[0], divergence=divergence, **budget)
    found = {}
    for name, values in zip(ANCHORS, (case.radius, case.multiplier), strict=True):
        found[name] = float(values.mean())
        found |= {f"{name}{end}": float(values.quantile(q)) for end, q in zip(ENDS[1:], (0.05, 0.95), strict=True)}
    return found


def negatives(config: Any, model: Any, batches: int) -> tuple[Any, Any]:
    """Cosines of each anchor with its negatives in training batches (anchors, 2 B - 2), double, and which are of its class."""
    import torch

    from drocl.encoders import _setup

    device = torch.device("cpu")
    data = _setup.read_data(config, device)
    made = _setup.Batches(config, data, 0, 1, device)
    model, size = model.to(device).eval(), config.batch_size
    others = ~torch.eye(size, dtype=torch.bool).repeat(2, 2)
    scores, same = [], []
    with torch.no_grad():
        for step in range(batches):
            batch = made.at(step, with_truth=True)
            pairs = [model(view()).double().unflatten(0, (batch.views, -1))[:2] for view in batch.micro]
            z = torch.nn.functional.normalize(torch.cat(pairs, dim=1).flatten(0, 1), dim=1)
            labels = batch.labels.repeat(2)
            scores.append((z @ z.T)[others].view(2 * size, -1))
            same.append((labels[:, None] == labels)[others].view(2 * size, -1))
    return torch.cat(scores), torch.cat(same)


def budget_of(options: Mapping[str, Any]) -> tuple[dict[str, float], Any]:
    """Budget and divergence of the worst case that belongs to the parameters of a loss."""
    from drocl import divergences

    inner = {key: options[key] for key in ("k", "level", "order") if key in options}
    divergence = divergences.get(options.get("divergence", "kl"), **inner)
    if divergence.name == "cvar":
        return {}, divergence
    return {name: options[name] for name in ("radius", "temperature") if name in options}, divergence


def interval(values: Iterable[float], level: float = LEVEL) -> tuple[float, float, float]:
    """Mean and t-interval; nan ends for fewer than two values.

    >>> mean, low, high = interval([1.0, 2.0, 3.0])
    >>> round(mean, 3), round(low, 3), round(high, 3)
    (2.0, 0.314, 3.686)
    """
    import numpy as np
    from scipy import stats

    x = np.array([value for value in values if math.isfinite(value)], dtype=float)
    if x.size == 0:
        return math.nan, math.nan, math.nan
    if x.size == 1:
        return float(x[0]), math.nan, math.nan
    half = float(stats.t.ppf(0.5 + level / 2, x.size - 1) * x.std(ddof=1) / x.size**0.5)
    return float(x.mean()), float(x.mean()) - half, float(x.mean()) + half


def means(rows: Sequence[Row], keys: Sequence[str], names: Sequence[str]) -> list[Row]:
    """Means over seeds.

    Args:
        rows: runs.
        keys: columns that tell groups apart.
        names: columns to average.

    Returns:
        One row a group: its keys, status (of its worst run), why, seeds (runs that ended), and of each name the mean, NAME_low and
        NAME_high.
    """
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    found = []
    for key, group in groups.items():
        good, bad = [row for row in group if row["status"] == OK], [row for row in group if row["status"] != OK]
        made: Row = dict(zip(keys, key, strict=True))
        made |= {"status": bad[0]["status"] if bad else OK, "why": bad[0]["why"] if bad else "", "seeds": len(good)}
        for name in names:
            made[name], made[f"{name}_low"], made[f"{name}_high"] = interval(row[name] for row in good)
        found.append(made)
    return found


def difference(first: Sequence[Row], second: Sequence[Row], name: str = "probe") -> Row:
    """Mean over seeds of first less second, runs with one seed paired.

    Returns:
        gain, gain_low, gain_high, pairs.
    """
    left, right = ({row["seed"]: row[name] for row in rows if row["status"] == OK} for rows in (first, second))
    gaps = [left[seed] - right[seed] for seed in left if seed in right]
    gain, low, high = interval(gaps)
    return {"gain": gain, "gain_low": low, "gain_high": high, "pairs": len(gaps)}


def where(rows: Iterable[Row], **given: Any) -> list[Row]:
    """The rows with these values."""
    return [row for row in rows if all(row[name] == value for name, value in given.items())]


def shown(mean: float, low: float, high: float, digits: int = 1, scale: float = 100.0) -> str:
    """Mean and half-width of its interval, as per cent by default.

    >>> shown(0.9, 0.89, 0.91), shown(0.5, float("nan"), float("nan")), shown(float("nan"), 0.0, 0.0)
    ('90.0 ± 1.0', '50.0', 'not run')
    """
    if not math.isfinite(mean):
        return NOT_RUN
    text = f"{scale * mean:.{digits}f}"
    return f"{text} ± {scale * (high - low) / 2:.{digits}f}" if math.isfinite(low) else text


def cell(row: Row, name: str, **style: Any) -> str:
    """`shown` of a column of `means` or `difference`."""
    return shown(row[name], row[f"{name}_low"], row[f"{name}_high"], **style)
