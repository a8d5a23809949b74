"""The command line: `drocl verify`, `figures`, `report`, `cite`, `mi`, `train`, `eval`."""

import difflib
import fnmatch
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

import drocl
from drocl import cli_encoders

OUT = Path("drocl-results")
AS_RECORDED, CHANGED, USAGE, STOPPED = 0, 1, 2, 130

app = typer.Typer(
    name="drocl",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 all verdicts as recorded, 1 a verdict changed (or something failed), 2 wrong usage.",
)

Profile = Annotated[str, typer.Option(help="How much to run: quick (minutes), standard, paper (hours).")]
Out = Annotated[Path, typer.Option(help="Folder of the results; a second run there resumes.")]
Jobs = Annotated[int | None, typer.Option("--jobs", "-j", help="Workers; the cores available unless given.")]
Engine = Annotated[str, typer.Option(help="Where the workers run: loky.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Compute again what is stored.")]


@app.callback(invoke_without_command=True)
def _main(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    """Contrastive learning as distributionally robust optimisation: claims, figures, report.

    [bold]Start here[/]

    \b
    drocl verify                      every claim, two minutes
    drocl verify tau-is-multiplier    one claim, with its control
    drocl report                      verdicts, figures and one HTML page
    drocl mi --task 1v1-normal-0.75   mutual information, of a known law or of your file
    drocl train --loss debiased       an encoder, and what the theory says of it
    """
    if version:
        typer.echo(f"drocl {drocl.__version__}")
        raise typer.Exit


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def verify(
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[IDS]... [--AXIS VALUE]...", help="Claims, or patterns such as 'lemma1-*'."),
    ] = None,
    profile: Profile = "quick",
    check: Annotated[
        bool, typer.Option("--check", help="Exit 1 where a verdict differs from CLAIMS.md or a control is blind.")
    ] = False,
    write: Annotated[bool, typer.Option("--write", help="Write CLAIMS.md from this run.")] = False,
    embeddings: Annotated[
        Path | None, typer.Option(help="Your own .npz (embeddings (n, d), labels (n,)) in place of the models.")
    ] = None,
    jobs: Jobs = None,
    engine: Engine = "loky",
    seed: Annotated[int | None, typer.Option(help="One seed in place of the grid's; also seeds the attacks.")] = None,
    out: Out = OUT,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say what the claims state and how they are checked; run nothing.")
    ] = False,
    fresh: Fresh = False,
) -> None:
    """Check printed statements: verdicts, counterexamples, and whether each check rejects its control.

    Any other option is an axis of the claims named, and replaces its grid (give it twice for two values).

    [bold]Examples[/]

    \b
    drocl verify                           all claims
    drocl verify 'lemma1-*' --explain       what they say; runs nothing
    drocl verify --embeddings mine.npz     on your own embeddings
    drocl verify --check                   what CI runs
    drocl verify --profile standard --jobs 8 --out results
    drocl verify tau-is-multiplier --n 64 --radius 0.1 --seed 0

    [bold]Exit codes[/]

    \b
    0  all verdicts as recorded in CLAIMS.md, or nothing to compare
    1  a verdict changed; with --check also: not on record, or blind
    2  wrong usage: nothing has run
    """
    from drocl.claims import registry, show
    from drocl.claims.overrides import parse_overrides
    from drocl.claims.plan import Request
    from drocl.claims.runner import run

    with wrong_usage():
        if check and write:
            raise ValueError("check, write: give one of them")
        claims = registry.load()
        names, options = _split(ids or [])
        chosen = _select(names, list(claims), "claim")
        picked = [claims[name] for name in chosen]
        request = Request(profile, seed, parse_overrides(options, picked), embeddings)
        request.validate()
    screen = show.console()
    if explain:
        screen.print("\n\n".join(show.explain(made, request) for made in picked), soft_wrap=True)
        return
    with wrong_usage(), show.progress() as progress:
        done = run(chosen if names else None, request, out=out, jobs=jobs, engine=engine, fresh=fresh,
                   compare=True if check else None, write=write, progress=progress)  # fmt: skip
    show.summary(screen, done)
    if options and done.records and not any(_conclusive(row) for record in done.records for row in record["evidence"]):
        _leave("no case of these axis values could be checked (see the messages above)", USAGE)
    failed = bool(done.changed) or ((check or write) and bool(done.blind)) or (check and bool(done.differences))
    raise typer.Exit(CHANGED if failed else AS_RECORDED)


@app.command()
def figures(
    ids: Annotated[list[str] | None, typer.Argument(help="Figures, or patterns such as 'tau-*'; all if none.")] = None,
    profile: Profile = "quick",
    out: Out = OUT,
    jobs: Jobs = None,
    engine: Engine = "loky",
    fresh: Fresh = False,
) -> None:
    """Draw figures from stored simulation results, running the simulations that have none.

    [bold]Examples[/]

    \b
    drocl figures                          all of them, as SVG, PDF, PNG and CSV
    drocl figures tau-against-eta          one
    drocl figures --profile paper --out paper-results
    """
    from drocl.claims import show
    from drocl.report import draw_figures, figure_files

    with wrong_usage(), show.progress() as progress:
        known = list(figure_files())
        chosen = _select(ids or [], known, "figure")
        entries = draw_figures(chosen, profile, out, jobs, progress, engine_name=engine, fresh=fresh)
    for entry in entries:
        typer.echo(f"{out / 'figures' / entry['id']}.{{svg,pdf,png,csv}}")


@app.command()
def report(
    profile: Profile = "quick",
    out: Out = OUT,
    jobs: Jobs = None,
    engine: Engine = "loky",
    fresh: Fresh = False,
) -> None:
    """Verify every claim, draw every figure, and write one HTML page about them.

    \b
    drocl report                  drocl-results/index.html, claims.json, junit.xml, figures/
    drocl report --out somewhere
    """
    from drocl.claims import show
    from drocl.claims.plan import Request
    from drocl.claims.runner import run
    from drocl.report import draw_figures, write_report

    screen = show.console()
    with wrong_usage(), show.progress() as progress:
        done = run(None, Request(profile), out=out, jobs=jobs, engine=engine, fresh=fresh, progress=progress)
    show.summary(screen, done)
    failed = ""
    with wrong_usage():
        try:
            with show.progress() as progress:
                draw_figures(None, profile, out, jobs, progress, engine_name=engine, fresh=fresh)
        except RuntimeError as error:  # the page is worth having without one figure
            failed = str(error)
        page = write_report(out)
    if failed:
        typer.echo(f"drocl: {failed}", err=True)
    screen.print(f"report: {page}", soft_wrap=True, markup=False)
    raise typer.Exit(CHANGED if done.changed or done.blind or failed else AS_RECORDED)


@app.command()
def cite(
    ids: Annotated[list[str] | None, typer.Argument(help="Claims, patterns, or keys of references.bib.")] = None,
) -> None:
    """Print BibTeX of the sources of claims.

    \b
    drocl cite tau-is-multiplier
    drocl cite wu2023
    """
    from drocl import catalogue
    from drocl.claims import registry
    from drocl.report import bibliography

    with wrong_usage():
        path = catalogue.find().references
        entries = bibliography.read(path)
        claims = registry.load()
        known = [*entries, *(name for name in claims if name not in entries)]
        cited = {name: bibliography.keys(claims[name].source, entries) if name in claims else [name] for name in known}
        chosen = _select(ids or [], known, "claim or reference")
        if missing := [name for name in chosen if not cited[name]]:
            raise ValueError(f"{path} has no entry for the source of {', '.join(missing)}")
    typer.echo("\n\n".join(entries[key].bibtex for key in dict.fromkeys(key for name in chosen for key in cited[name])))


@app.command()
def mi(
    file: Annotated[
        Path | None, typer.Argument(help=".npz, .npy, .csv, .tsv, .txt or .dat; text also gzipped.")
    ] = None,
    x: Annotated[
        str | None, typer.Option(help="Columns of x: names, numbers from 0, 0-3, 'a*'; in .npz NAME or NAME:0-3.")
    ] = None,
    y: Annotated[str | None, typer.Option(help="Columns of y.")] = None,
    header: Annotated[
        bool | None, typer.Option("--header/--no-header", help="Names in the first line; seen unless said.")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="A law with known truth in place of a file; 'list' prints names.")
    ] = None,
    n: Annotated[int | None, typer.Option(help="Pairs to draw from the task; 2000 unless given.")] = None,
    estimators: Annotated[
        str, typer.Option("--estimators", "-e", help="Names, each with :key=value of its own.")
    ] = "auto",
    option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="For each estimator that has it.")
    ] = None,
    level: Annotated[float, typer.Option(help="Coverage of the intervals, in (0, 1).")] = 0.9,
    preprocess: Annotated[
        str | None, typer.Option(help="none, standardize, ranks or copula; each estimator's own unless given.")
    ] = None,
    folds: Annotated[int | None, typer.Option(help="Folds of cross-fitting; each estimator's own unless given.")] = None,
    seed: Annotated[int, typer.Option(help="Of the estimators, and of the task's draw.")] = 0,
    device: Annotated[str, typer.Option(help="Torch device of the neural estimators.")] = "cpu",
    out: Out = OUT,
    fresh: Fresh = False,
) -> None:
    """Mutual information between columns of a file, in nats, by one estimator or several: table, files and plot.

    One that fails is listed, and the others go on. Each result is stored at once: the same command resumes.

    [bold]Examples[/]

    \b
    drocl mi pairs.npz                                 arrays x and y
    drocl mi table.csv --x a,b --y 'target*'           columns by name or pattern
    drocl mi all.npz --x z:0-2 --y z:3 -e cca,ksg,infonce
    drocl mi --task 1v1-normal-0.75 --n 2000           a law with known truth
    drocl mi pairs.npz -e dro:divergence=hellinger,dro:divergence=hellinger:tight=false --option steps=500

    [bold]Exit codes[/]

    \b
    0  every estimator gave a number
    1  one failed, or gave none
    2  wrong usage: nothing has run
    """
    from drocl.claims import show
    from drocl.report.estimates import Asked, survey

    if task == "list":
        from drocl.mi import tasks

        typer.echo("\n".join(tasks.NAMES))
        return
    screen = show.console()
    with wrong_usage():
        asked = Asked(
            file, x, y, header, task, n, estimators, tuple(option or ()), level, preprocess, folds, seed, device
        )
        done = survey(asked, out, screen, fresh=fresh)
    raise typer.Exit(AS_RECORDED if done else CHANGED)


app.command()(cli_encoders.train)
app.command("eval")(cli_encoders.evaluate)


def main() -> NoReturn:
    """Run the command line."""
    app()
    sys.exit(AS_RECORDED)


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Ids, and the axis options with their values; an id may stand on either side of the options."""
    names: list[str] = []
    options: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            names.append(word)
            continue
        options.append(word)
        if "=" not in word and rest and not rest[0].startswith("--"):
            options.append(rest.pop(0))
    return names, options


def _select(names: Sequence[str], known: Sequence[str], kind: str) -> list[str]:
    """Resolve ids and patterns, in the order of what is known."""
    wanted: set[str] = set()
    for name in names:
        matches = fnmatch.filter(known, name)
        if not matches:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
            raise ValueError(f"no {kind} {name!r}; " + (f"did you mean {', '.join(near)}?" if near else "see --help"))
        wanted.update(matches)
    return [name for name in known if name in wanted] if names else list(known)


def _conclusive(row: dict[str, object]) -> bool:
    from drocl.claims.judge import CONCLUSIVE

    return row.get("status") in CONCLUSIVE


@contextmanager
def wrong_usage() -> Iterator[None]:
    """Turn a wrong argument into exit code 2, a stopped run into 130, a failed figure into 1, each with one message."""
    from drocl.claims.runner import Interrupted

    try:
        yield
    except Interrupted as stopped:
        _leave(str(stopped), STOPPED)
    except KeyboardInterrupt as stop:
        _leave(str(stop) or "stopped", STOPPED)
    except ValueError as error:
        _leave(str(error), USAGE)
    except BrokenPipeError:  # who read the output has left
        raise
    except (FileNotFoundError, IsADirectoryError) as error:  # of an input
        _leave(f"{error.strerror}: {error.filename}" if error.filename else str(error), USAGE)
    except OSError as error:
        _leave(f"out: {error.strerror}: {error.filename}" if error.filename else str(error), USAGE)
    except RuntimeError as error:
        _leave(str(error), CHANGED)


def _leave(message: str, code: int) -> NoReturn:
    typer.echo(f"drocl: {message}", err=True)
    raise typer.Exit(code)
