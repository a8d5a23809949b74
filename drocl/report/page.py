"""The verification page: claims.json and the figures of a folder, as one self-contained HTML file."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from drocl import catalogue, results
from drocl.report import bibliography, graph, words
from drocl.report.embed import Picture, picture
from drocl.report.evidence import gap_plot
from drocl.report.figures import FORMATS, read_index
from drocl.report.formula import Formulas
from drocl.report.schema import validate

ASSETS = Path(__file__).with_name("assets")
ORDER = ("holds", "violated", "inconclusive", "not run")
BESIDE = ("claims.json", "junit.xml", "figures/figures.json")
SEARCHED = ("id", "title", "source", "verdict", "asserts", "statement")
COUNT_WORDS = {"holds": "hold", "violated": "violated", "inconclusive": "inconclusive", "not run": "not run"}


def write_report(out: Path | str, *, root: Path | str | None = None, references: Path | None = None) -> Path:
    """Write `out/index.html` from `out/claims.json` and `out/figures/`.

    The page loads nothing from outside, follows the reader's light or dark preference, prints, and works without
    scripts.

    Args:
        out: folder of results, with claims.json in it.
        root: a catalogue, as `drocl.catalogue.find` takes it; its references.bib names the sources.
        references: another BibTeX file in place of the catalogue's.

    Returns:
        The path of the page.

    Raises:
        ValueError: if claims.json is missing, is no JSON, or does not fit its schema.
    """
    folder = Path(out)
    data = _read(folder / "claims.json")
    entries = bibliography.read(references or catalogue.find(root).references)
    path = folder / "index.html"
    results.write_atomically(path, render(data, folder, entries))
    return path


def render(data: Mapping[str, Any], folder: Path, entries: Mapping[str, bibliography.Entry]) -> str:
    """The page as text.

    Args:
        data: content of claims.json, valid.
        folder: folder of results, whose figures are embedded.
        entries: the bibliography.

    Returns:
        HTML.
    """
    import jinja2

    builder = _Builder(data, folder, dict(entries))
    script = (ASSETS / "page.js").read_text(encoding="utf-8").strip()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ASSETS),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        short=words.short,
        exact=words.exact,
        duration=words.duration,
        mark=lambda v: graph.MARKS[graph.kind(v)],
        kind=lambda v: graph.kind(v).replace(" ", "-"),
        tex=builder.formulas.text,
        options=words.options,
    )
    view = builder.view()  # before the glyphs are asked for
    text: str = environment.get_template("page.html.j2").render(
        **view,
        glyphs=builder.formulas.definitions,
        style=Markup((ASSETS / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    return text


def _read(path: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist: run `drocl verify --out {path.parent}` first") from None
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from None
    validate(data)
    return data


@dataclass(frozen=True)
class _Builder:
    """Turns the records into what the template prints."""

    data: Mapping[str, Any]
    folder: Path
    entries: dict[str, bibliography.Entry]
    formulas: Formulas = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        object.__setattr__(self, "formulas", Formulas())

    def view(self) -> dict[str, Any]:
        claims: Sequence[Mapping[str, Any]] = self.data["claims"]
        verdicts = {claim["id"]: claim["verdict"] for claim in claims}
        kinds = [graph.kind(verdict) for verdict in verdicts.values()]
        uses = {claim["id"]: claim.get("uses", []) for claim in claims}
        figures = self._figures(verdicts)
        cards = [self._card(claim, verdicts, figures) for claim in claims]
        cited = [name for claim in claims for name in bibliography.keys(claim["source"], self.entries)]
        return {
            "meta": self.data["meta"],
            "header": _header(self.data["meta"]),
            "counts": [(COUNT_WORDS[kind], kind, kinds.count(kind)) for kind in ORDER],
            "blind": [card["id"] for card in cards if card["control"]["kind"] == "blind"],
            "graphs": [
                (name, draw(uses, verdicts, width))
                for name, draw, width in (
                    ("large", graph.wide, 1150.0),
                    ("medium", graph.wide, 690.0),
                    ("small", graph.tall, 356.0),
                )
            ],
            "cards": cards,
            "figures": list(figures.values()),
            "symbols": Markup("").join(figure["picture"].symbol for figure in figures.values()),
            "references": [self.entries[name] for name in sorted(set(cited))],
            "files": [name for name in BESIDE if (self.folder / name).is_file()],
        }

    def _figures(self, verdicts: Mapping[str, str]) -> dict[str, dict[str, Any]]:
        made = {}
        shown_by = {claim["id"]: claim.get("figure") for claim in self.data["claims"]}
        for entry in read_index(self.folder):
            drawn: Picture = picture(self.folder / "figures", entry["id"])
            plain_title = re.sub(r"\$", "", entry["title"])
            made[entry["id"]] = {
                **entry,
                "picture": drawn,
                "shown": drawn.shown(entry["id"], plain_title),
                "known": [
                    (name, found)
                    for name, found in verdicts.items()
                    if name in entry["claims"] or shown_by[name] == entry["id"]
                ],
                "links": [(suffix.upper(), f"figures/{entry['id']}.{suffix}") for suffix in FORMATS],
            }
        return made

    def _card(
        self,
        claim: Mapping[str, Any],
        verdicts: Mapping[str, str],
        figures: Mapping[str, Any],
    ) -> dict[str, Any]:
        rows = [row for row in claim["evidence"] if row.get("role", "claim") == "claim"]
        cases = claim.get("cases") or [0, 0]
        figure = claim.get("figure")
        solvers = sorted({row["solver"] for row in rows if row.get("solver")})
        said = [message for row in claim["evidence"] for message in row.get("warnings", [])]
        worst, named = claim.get("worst"), bibliography.named(claim["source"], self.entries)
        uses = {other["id"]: other.get("uses", []) for other in self.data["claims"]}
        repairs = {other["id"]: other.get("repairs") for other in self.data["claims"]}
        return {
            **claim,
            "says": self.formulas.statement(claim["statement"]),
            "displayed": self.formulas.statement(claim["statement"], display=True),
            "named_source": named,
            "keys": bibliography.keys(claim["source"], self.entries),
            "uses": [(name, verdicts.get(name)) for name in claim.get("uses", [])],
            "repairs": [(name, verdicts.get(name)) for name in [claim.get("repairs")] if name],
            "repaired_by": [(name, verdicts[name]) for name in repairs if repairs[name] == claim["id"]],
            "used_by": [(name, found) for name, found in verdicts.items() if claim["id"] in uses[name]],
            "passed": f"{cases[0]} / {cases[1]}" if cases[1] else "–",
            "gap": _gap(worst),
            "axes": words.axes(rows),
            "solvers": solvers,
            "control": _control(claim),
            "plot": gap_plot(claim["evidence"], claim.get("control_evidence", [])),
            "figure": figures.get(figure) if figure else None,
            "worst_case": _case(worst),
            "counterexample": _case(claim.get("counterexample")),
            "attack": _case(claim.get("attack")),
            "warnings": list(dict.fromkeys(said))[:4],
            "vacuity": claim.get("vacuity"),
            "vacuity_range": claim.get("vacuity_range"),
            "reason": claim.get("reason", ""),
            "search": " ".join([claim[name] for name in SEARCHED] + [named]).lower(),
        }


def _header(meta: Mapping[str, Any]) -> list[str]:
    """The parts of the line below the title."""
    libraries = {name.lower(): version for name, version in (meta.get("libraries") or {}).items() if version}
    parts = [f"drocl {meta['version']}"]
    commit = meta.get("commit")
    if commit:
        parts.append(f"commit {commit[:7]} ({'dirty: files differ from it' if meta.get('dirty') else 'clean'})")
    else:
        parts.append("no commit")
    parts += [f"profile {meta['profile']}", _time(meta["time"])]
    if python := meta.get("python") or libraries.pop("python", None):
        parts.append(f"Python {python}")
    shown = {"cvxpy": "cvxpy", "clarabel": "Clarabel", "numpy": "numpy", "scipy": "scipy", "torch": "torch"}
    known = [f"{word} {libraries[name]}" for name, word in shown.items() if name in libraries]
    parts += [" / ".join(known)] if known else []
    device, cores = meta.get("device"), meta.get("cores")
    parts += [device] if device else []
    parts += [f"{cores} cores"] if cores and "core" not in (device or "") else []
    if meta.get("wall_seconds") is not None:
        stored = meta.get("loaded")
        parts.append(words.duration(meta["wall_seconds"]) + (f" ({stored} stored cases reused)" if stored else ""))
    if meta.get("embeddings"):
        parts.append(f"embeddings {Path(meta['embeddings']).name}")
    return parts


def _time(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _gap(row: Mapping[str, Any] | None) -> str:
    """The worst gap: an interval where the case was sampled."""
    if row is None:
        return "–"
    if row.get("interval"):
        lo, hi = (words.short(words.number(end)) for end in row["interval"])
        return f"CI [{lo}, {hi}]"
    return words.short(words.number(row["gap"]))


def _control(claim: Mapping[str, Any]) -> dict[str, str]:
    """Words for the control's outcome, for the table and for the card."""
    outcome = claim["control"]
    hits, total = claim.get("control_cases") or [0, 0]
    if outcome == "not run":
        return {"kind": "not-run", "mark": "–", "brief": "not run", "long": "not run"}
    if outcome == "blind":
        expects = claim.get("control_expects", "violated")
        got = claim.get("control_verdict", "unknown")
        told = f"{hits}/{total} cases as they should be, verdict {got} where {expects} is due"
        return {
            "kind": "blind",
            "mark": "✗",
            "brief": f"blind ({hits}/{total})",
            "long": f"blind: the check does not tell this from the claim ({told})",
        }
    if claim.get("control_expects") == "holds":
        return {
            "kind": "told",
            "mark": "✓",
            "brief": f"repaired: passes {hits}/{total}",
            "long": f"with the repaired ingredient the check passes {hits}/{total}",
        }
    return {"kind": "told", "mark": "✓", "brief": f"rejected {hits}/{total}", "long": f"rejected {hits}/{total}"}


def _case(row: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """One row of evidence as the card shows it."""
    if row is None:
        return None
    detail = {name: value for name, value in (row.get("detail") or {}).items() if _brief(value)}
    return {
        "params": words.parameters(row["params"]),
        "numbers": [
            ("left-hand side", row["lhs"]),
            ("right-hand side", row["rhs"]),
            ("gap", row["gap"]),
            ("allowed", row["allowed"]),
        ],
        "interval": row.get("interval"),
        "detail": detail,
        "command": row.get("command", ""),
        "status": row["status"],
        "gap": row["gap"],
        "allowed": row["allowed"],
    }


def _brief(value: Any) -> bool:
    """Whether a detail is short enough to print."""
    return len(str(value)) <= 120
