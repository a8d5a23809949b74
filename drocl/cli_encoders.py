"""`drocl train` and `drocl eval`."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer

OUT = Path("drocl-results")
QUANTILES = ("_q05", "_q50", "_q95")
OF_LOSS = ("temperature", "class_prior", "concentration", "q", "lam", "mu", "sigma", "divergence", "radius")


def train(
    data: Annotated[str | None, typer.Option(help="digits, a name in the cache folder, or a path.")] = None,
    loss: Annotated[str | None, typer.Option(help="info_nce, decoupled, debiased, hard_negative, rince, adnce, dro, ...")] = None,
    encoder: Annotated[
        str | None, typer.Option(help="convnet, resnet18, resnet50, mlp, gin, transformer, hf:PATH, module:Name.")
    ] = None,
    temperature: Annotated[
        str | None, typer.Option(help="Of the loss: a number, learned, or learned:START.", rich_help_panel="Loss")
    ] = None,
    class_prior: Annotated[float | None, typer.Option(help="tau+ of debiased, hard_negative.", rich_help_panel="Loss")] = None,
    concentration: Annotated[float | None, typer.Option(help="beta of hard_negative.", rich_help_panel="Loss")] = None,
    q: Annotated[float | None, typer.Option(help="Of rince.", rich_help_panel="Loss")] = None,
    lam: Annotated[float | None, typer.Option(help="Of rince.", rich_help_panel="Loss")] = None,
    mu: Annotated[float | None, typer.Option(help="Of adnce.", rich_help_panel="Loss")] = None,
    sigma: Annotated[float | None, typer.Option(help="Of adnce.", rich_help_panel="Loss")] = None,
    divergence: Annotated[str | None, typer.Option(help="Of dro.", rich_help_panel="Loss")] = None,
    radius: Annotated[float | None, typer.Option(help="Of dro, nats: of each anchor.", rich_help_panel="Loss")] = None,
    epochs: Annotated[int | None, typer.Option(help="Length; or --max-steps.")] = None,
    max_steps: Annotated[int | None, typer.Option(help="Length; or --epochs.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pairs of a step, over all ranks.")] = None,
    accumulate: Annotated[int | None, typer.Option(help="Micro-batches a rank; each pair keeps all negatives.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="adam, adamw, sgd, lars.")] = None,
    learning_rate: Annotated[float | None, typer.Option("--learning-rate", "--lr", help="Highest rate.")] = None,
    precision: Annotated[str | None, typer.Option(help="fp32, bf16, fp16.")] = None,
    subset: Annotated[int | None, typer.Option(help="Number of training examples.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of everything that is drawn.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, auto.", rich_help_panel="Machine")] = None,
    devices: Annotated[int | None, typer.Option(help="Processes a node.", rich_help_panel="Machine")] = None,
    nodes: Annotated[int | None, typer.Option(help="Nodes; torchrun and SLURM set the ranks.", rich_help_panel="Machine")] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch a named data set that is not in the cache.")] = False,
    config: Annotated[Path | None, typer.Option(help="YAML file with fields of the configuration.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Any field; a.b=c for an entry of one.")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Checkpoint, or a run's folder, to go on from.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the results; the same command there resumes.")] = OUT,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin again, whatever is there.")] = False,
    show: Annotated[bool, typer.Option("--show-config", help="Print the resolved configuration; train nothing.")] = False,
) -> None:
    """Train an encoder with a loss of the family, and measure it.

    Options count more than the file. A run that was stopped or killed goes on with the same command; what it
    writes is config.yaml, metrics.csv, tensorboard/, checkpoints, weights.safetensors and result.json.

    [bold]Examples[/]

    \b
    drocl train                                                digits, a minute on one core
    drocl train --data ~/cifar10 --loss adnce --mu 0.7 --sigma 1 --temperature 0.3 --epochs 100 --device cuda
    drocl train --loss dro --divergence chi2 --radius 0.5      a ball for each anchor
    drocl train --data MUTAG.zip --epochs 20                   graphs
    drocl train --data sts --encoder hf:./bert --set projection=null
    drocl train --devices 8 --nodes 4 --config run.yaml        or under torchrun, SLURM

    [bold]Exit codes[/]

    \b
    0    trained and measured
    1    the loss diverged, or a file could not be written; the last good checkpoint stays
    2    wrong usage: nothing was trained
    130  stopped; the checkpoint is written
    """
    values = dict(locals())
    from drocl.claims.show import console
    from drocl.cli import wrong_usage

    screen = console()
    with wrong_usage():
        given = _given(values, set_ or [])
        chosen = _chosen(config, resume, given)
        if show:
            typer.echo(chosen.yaml(), nl=False)
            return
        from drocl import encoders

        with _progress() as tell:
            done = encoders.train(chosen, out, resume=resume, fresh=fresh, progress=tell)
    if done.rank:
        return
    _print(screen, f"{chosen.loss} on {chosen.data}, {done.steps} steps", done.metrics)
    if done.again:
        screen.print("finished before: nothing was trained now; --fresh begins again")
    elif done.examples_per_second == done.examples_per_second:
        screen.print(f"{done.examples_per_second:,.0f} pairs a second over {done.seconds:.1f} s, evaluation left out")
    screen.print(f"results: {done.folder}", soft_wrap=True, markup=False)


def evaluate(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint, weights.safetensors, or a run's folder.")],
    data: Annotated[str | None, typer.Option(help="Another data set than that of the training.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Of the worst case; the loss's own if none.")] = None,
    encoder: Annotated[
        str | None, typer.Option(help="Your own encoder's name once more: nothing runs because a file says so.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, auto.")] = "auto",
    out: Annotated[Path | None, typer.Option(help="Folder of the result; the checkpoint's if none.")] = None,
) -> None:
    """Measure an encoder: probe, kNN, SVM or Spearman; alignment, uniformity; the worst case over its negatives.

    \b
    drocl eval drocl-results/train/digits-auto-info_nce-1a2b3c4d
    drocl eval last.ckpt --temperature 0.1
    drocl eval weights.safetensors --data ~/cifar10
    """
    from drocl import results
    from drocl.claims.show import console
    from drocl.cli import wrong_usage

    screen = console()
    with wrong_usage():
        from drocl import encoders

        held, found = encoders.measure(checkpoint, data, encoder=encoder, temperature=temperature, device=device)
        folder = out or (checkpoint if checkpoint.is_dir() else checkpoint.parent)
        at = "" if temperature is None else f"-temperature-{temperature:g}"
        path = folder / f"eval-{held.dataset.name}{at}.json"
        document = {"checkpoint": str(checkpoint), "step": held.step, "config": held.config.plain(), "metrics": found}
        results.write_json(path, document)
    _print(screen, f"{checkpoint} on {held.dataset.name}", found)
    screen.print(f"results: {path}", soft_wrap=True, markup=False)


def _given(values: Mapping[str, Any], assignments: list[str]) -> dict[str, Any]:
    """Fields of the configuration from the options that were given."""
    apart = ("config", "set_", "resume", "out", "fresh", "show", "download")
    held: dict[str, Any] = {}
    for name, value in values.items():
        if value is None or name in apart:
            continue
        if name in OF_LOSS:
            held.setdefault("loss_options", {})[name] = _number(value)
        else:
            held[name] = value
    if values["download"]:
        held["download"] = True
    for text in assignments:
        _assign(held, text)
    return held


def _assign(held: dict[str, Any], text: str) -> None:
    """FIELD=VALUE or FIELD.ENTRY=VALUE, the value as YAML."""
    import yaml

    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(f"--set {text!r} must be FIELD=VALUE")
    try:
        parsed = _number(yaml.safe_load(value))
    except yaml.YAMLError:
        raise ValueError(f"--set {text!r}: {value!r} is no YAML value") from None
    field, dot, entry = name.partition(".")
    if not dot:
        held[field] = parsed
        return
    inner = held.setdefault(field, {})
    if not isinstance(inner, dict):
        raise ValueError(f"--set {text!r}: {field} holds no entries")
    inner[entry] = parsed


def _chosen(config: Path | None, resume: Path | None, given: dict[str, Any]) -> Any:
    from drocl.encoders import _restore, _runs
    from drocl.encoders import config as configs

    if resume is None:
        return configs.read(config, given)
    if config is not None:
        raise ValueError("config, resume: give one of them; a checkpoint holds its configuration")
    before = _runs.config_in(_runs.find(resume))
    _restore.check_own(before.encoder, given.get("encoder"))
    return configs.make(configs.merged(before.plain(), given))


def _number(value: Any) -> Any:
    """A number where text is one; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return value


@contextmanager
def _progress() -> Iterator[Any]:
    """A bar on a terminal's standard error; else a line every tenth of the way."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    screen = Console(stderr=True)
    if not screen.is_terminal:
        said = [-1]

        def line(done: int, total: int, text: str) -> None:
            if done * 10 // total > said[0]:
                said[0] = done * 10 // total
                with suppress(OSError):  # who read the output has left; the run goes on
                    print(f"step {done} of {total}: {text}", file=sys.stderr, flush=True)

        yield line
        return
    columns = (TextColumn("{task.description:24.24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True) as bar:
        task = bar.add_task("reading data", total=None)
        yield lambda done, total, text: bar.update(task, completed=done, total=total, description=text)


def _print(screen: Any, title: str, metrics: Mapping[str, Any]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title))
    table.add_column("measured")
    table.add_column("mean", justify="right")
    table.add_column("5 %, 50 %, 95 % of the anchors", justify="right")
    for name, value in metrics.items():
        if isinstance(value, int | float) and not name.endswith(QUANTILES):
            spread = [metrics[name + ending] for ending in QUANTILES if name + ending in metrics]
            table.add_row(name.replace("_", " "), f"{value:.4g}", ", ".join(f"{entry:.3g}" for entry in spread))
    screen.print(table)
    for line in metrics.get("notes", ()):
        screen.print(f"[yellow]{escape(line)}[/]", soft_wrap=True)
    if "worst_case" in metrics:
        screen.print(f"worst case over the negatives: {escape(metrics['worst_case'])}")
