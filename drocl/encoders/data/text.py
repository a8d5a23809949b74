"""Sentences and scored pairs of them: STS-B, SICK, tables of pairs, one sentence a line."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from drocl.encoders._types import Dataset, Pairs, Split

SUFFIXES = (".csv", ".tsv", ".txt")
LEAST, MOST = 0.0, 5.0  # scores
FIRST, SECOND = ("sentence_a", "sentence1"), ("sentence_b", "sentence2")
SCORE = ("relatedness_score", "score", "similarity_score")
PARTS = {"train": "train", "trial": "trial", "dev": "dev", "valid": "dev", "test": "test"}
CORPORA = {"sts": "stsb", "sick": "sick"}
LAYOUTS = (
    "pairs are three columns with commas (sentence, sentence, score), or a header with sentence1, sentence2, score or "
    "sentence_A, sentence_B, relatedness_score, or the tab-separated columns of the STS benchmark (genre, file, year, id, score, "
    "sentence, sentence)"
)


@dataclass(frozen=True)
class _Layout:
    """Where a table has its sentences and scores, and how its lines are cut."""

    first: int
    second: int
    score: int
    least: int  # columns
    most: int
    header: bool
    tabs: bool


def is_text(path: str | Path) -> bool:
    """Whether it is a .csv, .tsv or .txt file, or a folder with files of pairs or sentences (see `read`)."""
    path = Path(path)
    if path.is_dir():
        return bool(_listed(path))
    return path.is_file() and path.suffix.lower() in SUFFIXES


def read(path: str | Path) -> Dataset:
    """Read sentences to train on, without labels, and scored pairs to test on.

    - a folder: its .csv, .tsv and .txt files whose names begin with sts, sick, train, dev, valid, trial or test and say which part
      they are (stsb-en-train.csv, sts-dev.csv, SICK_test_annotated.txt, train.txt). The sentences of its train files are the
      training examples; those of SICK only where there are no others, because most of them are also in SICK's test part. The pairs
      of dev, trial and test files come under corpus and part: "stsb-dev", "stsb-test", "sick-trial", "sick-test", ...
    - one table of pairs: its sentences, and its pairs under the same rule or else the name of the file.
    - one text file: a sentence a line; empty lines are left out.

    Sentences occur once, in the order of the files, both columns of a line after each other. Scores lie in 0..5. Files are UTF-8.

    Args:
        path: file or folder.

    Raises:
        ValueError: nothing to read, or lines that cannot be read; with file and line.

    Source: Cer et al. 2017 (STS-B), Marelli et al. 2014 (SICK).
    """
    path = Path(path)
    if path.is_file():
        sentences, found = _file(path)
        return _dataset(_corpus(path) or path.stem, sentences, {} if found is None else {_key(path): found}, path)
    if not path.is_dir():
        raise ValueError(f"path={str(path)!r} must be a file or a folder of text, and does not exist")
    files = _listed(path)
    if not files:
        raise ValueError(
            f"{path} holds no text: needed are files such as stsb-en-train.csv, SICK_train.txt or train.txt"
        )
    sources = [file for file in files if _part(file) == "train"]
    sources = [file for file in sources if _corpus(file) != "sick"] or sources
    if not sources:
        raise ValueError(
            f"{path} holds nothing to train on: a file such as stsb-en-train.csv, SICK_train.txt or train.txt is needed"
        )
    pairs: dict[str, Pairs] = {}
    origin: dict[str, str] = {}
    for file in files:
        key = _key(file)
        if _part(file) == "train":
            continue
        if key in pairs:
            raise ValueError(f"{file} and {origin[key]} are both {key}: leave one of them")
        found = _file(file)[1]
        if found is None:
            raise ValueError(f"{file} must hold scored pairs: {LAYOUTS}")
        pairs[key], origin[key] = found, file.name
    name = "+".join(dict.fromkeys(_corpus(file) or path.name for file in sources))
    return _dataset(name, [sentence for file in sources for sentence in _file(file)[0]], pairs, path)


def _dataset(name: str, sentences: list[str], pairs: dict[str, Pairs], source: Path) -> Dataset:
    return Dataset(name, "text", Split(list(dict.fromkeys(sentences))), pairs=pairs, source=source)


def _listed(path: Path) -> list[Path]:
    """Files of a folder that say by their names what they are."""
    begins = re.compile("|".join((*CORPORA, *PARTS)))
    names = (file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and begins.match(file.stem.lower()))
    return sorted(file for file in names if _part(file) and file.is_file())


def _part(path: Path) -> str:
    """train, dev, trial or test; empty where the name does not say."""
    found = re.search("|".join(PARTS), path.stem.lower())
    return "" if found is None else PARTS[found[0]]


def _corpus(path: Path) -> str:
    """stsb or sick; empty where the name does not say."""
    return next((name for begin, name in CORPORA.items() if path.stem.lower().startswith(begin)), "")


def _key(path: Path) -> str:
    """The name of the pairs of a file."""
    corpus, part = _corpus(path), _part(path)
    return f"{corpus}-{part}" if corpus and part else part if path.stem.lower() == part else path.stem


def _file(path: Path) -> tuple[list[str], Pairs | None]:
    """Sentences of a file, and its pairs if it is a table."""
    text = _decoded(path)
    lines = text.split("\n", 1)
    layout = _layout(path, lines[0])
    if layout is None:
        return [stripped for line in text.split("\n") if (stripped := line.strip())], None
    first, second, scores = [], [], []
    for line, row in _rows(path, text, layout):
        if not layout.least <= len(row) <= layout.most:
            most = "" if layout.least == layout.most else " or more"
            raise ValueError(f"{path}, line {line}: {len(row)} columns, must be {layout.least}{most}")
        a, b = row[layout.first].strip(), row[layout.second].strip()
        if not a or not b:
            raise ValueError(f"{path}, line {line}: a sentence is empty")
        first.append(a)
        second.append(b)
        scores.append(_score(path, line, row[layout.score]))
    if not scores:
        raise ValueError(f"{path} has a header and no pairs")
    both = [sentence for pair in zip(first, second, strict=True) for sentence in pair]
    return both, Pairs(first, second, torch.tensor(scores, dtype=torch.float64))


def _decoded(path: Path) -> str:
    """Text with \\n at the ends of its lines, not empty."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = problem.object[: problem.start].count(b"\n") + 1
        raise ValueError(f"{path}, line {line}: no UTF-8 ({problem.reason})") from None
    if not text.strip():
        raise ValueError(f"{path} is empty")
    return text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\n")


def _layout(path: Path, line: str) -> _Layout | None:
    """From the first line; None for one sentence a line."""
    tabs = line.count("\t") >= 2
    names = [name.strip().strip('"').lower() for name in line.split("\t" if tabs else ",")]
    places = [next((names.index(name) for name in kind if name in names), None) for kind in (FIRST, SECOND, SCORE)]
    if places[0] is not None and places[1] is not None:
        if places[2] is None:
            raise ValueError(f"{path}, line 1: no column of scores among {', '.join(names)}: {' or '.join(SCORE)}")
        return _Layout(places[0], places[1], places[2], len(names), len(names), True, tabs)
    if tabs and len(names) >= 7 and path.suffix.lower() != ".txt":
        return _Layout(5, 6, 4, 7, 99, False, True)
    if path.suffix.lower() == ".txt":
        return None
    return _Layout(0, 1, 2, 3, 3, False, tabs)


def _rows(path: Path, text: str, layout: _Layout) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells; tabs come without quotes."""
    if layout.tabs:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for i, row in enumerate(reader):
            if row and not (layout.header and i == 0):
                yield reader.line_num, row
    except csv.Error as problem:
        raise ValueError(f"{path}, line {reader.line_num}: {problem}") from None


def _score(path: Path, line: int, cell: str) -> float:
    try:
        score = float(cell)
    except ValueError:
        raise ValueError(f"{path}, line {line}: score {cell[:40]!r} must be a number. {LAYOUTS}") from None
    if not LEAST <= score <= MOST:
        raise ValueError(f"{path}, line {line}: score {score:g} must be in {LEAST:g}..{MOST:g}")
    return score
