"""Graphs and sentences: encoders trained with the losses of the family."""

from typing import Any

from matplotlib.figure import Figure

from . import style
from ._losses import LOSSES, bars, not_run, zero
from ._marks import distinct, rows

ID = "encoder-graphs-text"
TITLE = "The same losses on graphs and on sentences, beside the encoder as it was initialised"
CAPTION = (
    "a: a graph isomorphism network trained on views of graphs; accuracy of a support vector machine on its "
    "features, mean over folds. b: a small transformer trained on pairs of sentences that differ by dropout alone; "
    "Spearman's correlation of cosine and score, times 100. c, d: paired differences to the untrained encoder. Mean "
    "and 90 % t-interval over seeds. Standard and paper profile: MUTAG, in ten folds, and the STS benchmark. The "
    "quick profile needs no file and is no measurement of the losses: trees grown by two rules, and sentences of a "
    "small grammar, scored by the share of words in common, which words alone nearly tell. Reproduce: drocl figures "
    "encoder-graphs-text."
)
SIMULATION = "sim_encoder_graphs_text"
CLAIMS = (
    "adnce-wide-is-infonce",
    "rince-limit-is-infonce",
    "hard-negative-at-zero-is-debiased",
    "debiased-without-prior-is-infonce",
)
NAMES = {"graphs": "accuracy, %", "text": r"Spearman's $\rho$, times 100"}


def draw(result: dict[str, Any]) -> tuple[Figure, dict[str, list[Any]]]:
    """A column a kind of data.

    Args:
        result: of `SIMULATION`.

    Returns:
        The figure and its data: means over seeds.
    """
    table = result["means"]
    fig, axes = style.figure(2, 2, height=4.6, sharex="col")
    for column, (domain, label) in enumerate(NAMES.items()):
        upper, lower = axes[:, column]
        own = rows(table, domain=domain)
        names = distinct(own["loss"].tolist())
        upper.set_title(f"{domain}: {own['data'][0]}")
        zero(lower)
        if not not_run(upper, own):
            for k, loss in enumerate(names):
                one = rows(own, loss=loss)
                bars(upper, [k], one, "score", loss, scale=100.0, join=False, markersize=5.5)
                if loss != "untrained":
                    bars(lower, [k], one, "gain", loss, scale=100.0, join=False, markersize=5.5)
        upper.set_ylabel(label)
        lower.set_xticks(range(len(names)), [_short(loss) for loss in names], rotation=30, ha="right", rotation_mode="anchor")
        lower.set_xlim(-0.6, len(names) - 0.4)
        lower.set_ylabel("less untrained")
        lower.set_xlabel("loss")
    return fig, {name: list(values) for name, values in table.items()}


def _short(loss: str) -> str:
    return LOSSES[loss][3].split(",")[0] if loss != "dro chi2" else r"DRO $\chi^2$"
