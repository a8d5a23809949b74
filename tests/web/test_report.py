"""The verification page: valid, complete, self-contained, and honest in its words."""

import copy
import importlib.util
import itertools
import json
import re
import shutil
import socket
import subprocess
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from drocl.report import bibliography, draw_figures, embed, graph, write_report
from drocl.report.evidence import MOST_POINTS, gap_plot
from drocl.report.formula import Formulas, split
from drocl.report.schema import schema, validate

HERE = Path(__file__).parent
STYLE = HERE.parents[1] / "figures" / "style.py"
VOID = {"meta", "link", "br", "input", "path", "use", "rect", "image", "img", "hr", "stop"}
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium: looked for chromium, chromium-browser, google-chrome"
)


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"made_up_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


synthetic = load(HERE / "synthetic.py")


class Page(HTMLParser):
    """Elements with their attributes, and text by id of the enclosing element; unbalanced tags are errors."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[tuple[str, str]] = []
        self.words: dict[str, str] = {}
        self.errors: list[str] = []
        self.feed(text)
        self.close()
        self.errors += [f"<{tag}> is not closed" for tag, _ in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = {name: value or "" for name, value in attrs}
        if len(held) < len(attrs):
            self.errors.append(f"<{tag}> repeats an attribute")
        self.elements.append((tag, held))
        if tag not in VOID:
            self.open.append((tag, held.get("id", "")))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self.open or self.open[-1][0] != tag:
            self.errors.append(f"</{tag}> closes {self.open[-1:]}")
            return
        self.open.pop()
        if tag in ("dt", "dd", "p", "td", "th", "text", "title", "h3"):
            self.handle_data(" ")

    def handle_data(self, data: str) -> None:
        for _, name in self.open:
            if name:
                self.words[name] = self.words.get(name, "") + data

    def all(self, name: str) -> list[str]:
        return [held[name] for _, held in self.elements if name in held]


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    return synthetic.run()


@pytest.fixture(scope="module")
def small(data: dict[str, Any]) -> dict[str, Any]:
    """The first six claims, for what needs no more."""
    return {**data, "claims": data["claims"][:6]}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.catalogue(tmp_path_factory.mktemp("catalogue"), STYLE)


@pytest.fixture(scope="module")
def out(data: dict[str, Any], root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    (folder / "claims.json").write_text(json.dumps(data))
    draw_figures(root=root, out=folder, jobs=1)
    write_report(folder, root=root)
    return folder


@pytest.fixture(scope="module")
def text(out: Path) -> str:
    return (out / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def words_of(page: Page, name: str) -> str:
    return " ".join(page.words[f"claim-{name}"].split())


# ---------------------------------------------------------------- the page as a document


def test_tags_balance_and_ids_are_unique(page: Page) -> None:
    assert page.errors == []
    ids = page.all("id")
    assert len(ids) > 50
    assert sorted(set(ids)) == sorted(ids)


def test_every_inner_link_resolves(page: Page) -> None:
    ids = set(page.all("id"))
    inner = [target for target in page.all("href") if target.startswith("#")]
    assert len(inner) > 100
    assert [target for target in inner if target[1:] not in ids] == []
    painted = re.findall(r"url\(#([^)]+)\)", " ".join(value for _, held in page.elements for value in held.values()))
    assert painted
    assert set(painted) <= ids, "clip paths of the figures must point into the page"


def test_named_references_resolve(page: Page) -> None:
    ids = set(page.all("id"))
    assert set(page.all("aria-labelledby")) <= ids


def test_nothing_is_loaded_from_outside(page: Page, text: str) -> None:
    loading = [
        (tag, held)
        for tag, held in page.elements
        if tag in ("script", "link", "img", "image", "iframe", "source", "use", "object")
    ]
    for tag, held in loading:
        for name in ("src", "href", "srcset", "data"):
            assert held.get(name, "#").startswith(("#", "data:")), (tag, held)
    assert not re.search(r"url\((?!#|data:)|@import", text)
    assert "default-src 'none'" in next(held["content"] for _, held in page.elements if held.get("http-equiv"))


def test_links_out_of_the_page_lead_to_files_beside_it(page: Page, out: Path) -> None:
    beside = [target for target in page.all("href") if not target.startswith(("#", "data:"))]
    assert len(beside) >= 8
    assert all((out / target).is_file() for target in beside)


def test_page_is_small(out: Path) -> None:
    assert (out / "index.html").stat().st_size < 2_000_000


def test_page_is_reproducible(small: dict[str, Any], out: Path, root: Path, tmp_path: Path) -> None:
    (tmp_path / "claims.json").write_text(json.dumps(small))
    shutil.copytree(out / "figures", tmp_path / "figures")
    text = write_report(tmp_path, root=root).read_text(encoding="utf-8")
    assert "figure-tau-against-eta" in text
    assert write_report(tmp_path, root=root).read_text(encoding="utf-8") == text


def test_every_claim_has_a_row_a_card_and_a_node(page: Page, data: dict[str, Any]) -> None:
    links = page.all("href")
    for claim in data["claims"]:
        assert f"claim-{claim['id']}" in page.all("id")
        assert links.count(f"#claim-{claim['id']}") >= 4, "three drawings of the graph and the table link to the card"


def test_markup_in_results_is_text_in_the_page(
    text: str, page: Page, small: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    hostile = copy.deepcopy(small)
    claim = hostile["claims"][0]
    attack = '<script>alert("x")</script>&amp;'
    for name in ("title", "source", "tolerance", "control_says", "command", "statement", "file"):
        claim[name] = f"{attack} {name}"
    claim["assumes"] = [attack]
    claim["evidence"][0]["warnings"] = [attack]
    claim["counterexample"] = {**claim["evidence"][0], "detail": {attack: attack}}
    (tmp_path / "claims.json").write_text(json.dumps(hostile))
    made = write_report(tmp_path, root=root).read_text(encoding="utf-8")
    assert made.count("<script") == text.count("<script") == 1
    parsed = Page(made)
    assert parsed.errors == []
    assert words_of(parsed, claim["id"]).count('<script>alert("x")</script>&amp;') >= 8


def test_script_is_short_and_matches_its_hash(text: str) -> None:
    import base64
    import hashlib

    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)
    assert script is not None
    assert len(script[1].splitlines()) <= 60
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text


# ---------------------------------------------------------------- what it says


def test_header_names_the_run(text: str) -> None:
    about = re.search(r'<p class="about">(.*?)</p>', text, re.DOTALL)
    assert about is not None
    for part in (
        "drocl 0.1.0",
        "commit 4f1c9a2 (clean)",
        "profile quick",
        "2026-11-22 12:04 UTC",
        "Python 3.11.7",
        "cvxpy 1.9.3",
        "Clarabel 0.11.1",
        "numpy 2.4.0",
        "torch 2.13.0",
        "x86_64, 2 cores, Linux",
        "41 s",
    ):
        assert part in about[1]


def test_dirty_checkout_is_said(small: dict[str, Any], root: Path, tmp_path: Path) -> None:
    changed = copy.deepcopy(small)
    changed["meta"]["dirty"] = True
    (tmp_path / "claims.json").write_text(json.dumps(changed))
    assert "dirty" in write_report(tmp_path, root=root).read_text(encoding="utf-8")


def test_counts_are_those_of_the_verdicts(page: Page, text: str, data: dict[str, Any]) -> None:
    verdicts = [claim["verdict"].partition(" (")[0] for claim in data["claims"]]
    title = re.search(r"<title>drocl verification report: (.*?)</title>", text)
    assert title is not None
    said = dict(reversed(part.split(" ", 1)) for part in title[1].split(", "))
    expected = {"hold": "holds", "violated": "violated", "inconclusive": "inconclusive", "not run": "not run"}
    assert said == {word: str(verdicts.count(name)) for word, name in expected.items()}


def test_a_control_of_a_true_claim_is_rejected(page: Page) -> None:
    assert "the constant halved: ✓ rejected 27/27" in words_of(page, "tau-is-multiplier")


def test_a_control_of_a_false_claim_is_its_repair(page: Page) -> None:
    words = words_of(page, "small-budget-temperature")
    assert "Positive control" in words
    assert "✓ with the repaired ingredient the check passes 27/27" in words
    assert "rejected" not in words


def test_a_blind_control_is_an_alarm(page: Page, text: str) -> None:
    assert "✗ blind: the check does not tell this from the claim" in words_of(page, synthetic.BLIND)
    alarm = re.search(r'<p class="alarm">(.*?)</p>', text, re.DOTALL)
    assert alarm is not None
    assert f"#claim-{synthetic.BLIND}" in alarm[1]
    assert '<span class="control blind">' in text
    assert text.count('class="control blind"') == 2


def test_no_alarm_without_a_blind_control(small: dict[str, Any], root: Path, tmp_path: Path) -> None:
    assert synthetic.BLIND not in [claim["id"] for claim in small["claims"]]
    (tmp_path / "claims.json").write_text(json.dumps(small))
    assert "alarm" not in re.sub(
        r"<style>.*?</style>", "", write_report(tmp_path, root=root).read_text(), flags=re.DOTALL
    )


def test_a_violated_claim_shows_its_counterexample_with_all_digits(page: Page, data: dict[str, Any]) -> None:
    claim = next(entry for entry in data["claims"] if entry["id"] == "lemma-1-small-t")
    row = claim["counterexample"]
    words = words_of(page, claim["id"])
    for value in (row["lhs"], row["rhs"], row["gap"], row["allowed"]):
        assert repr(value) in words
    assert row["command"] in words


def test_a_card_tells_the_whole_story(page: Page) -> None:
    words = words_of(page, "lemma-1-sharp")
    for part in (
        "Chuang and Robinson 2020, Lemma 1",
        "bibtex",
        "stated as a bound",
        "Repairs lemma-1-small-t (violated)",
        "unique maximiser",
        "Uses lemma-1-small-t (violated)",
        "proofs_checks/check_bound.py:24",
        "n in {8, 64, 300}",
        "interior point at 1e-13",
        "Vacuity (bound / truth)",
        "Attack's worst case",
        "drocl verify lemma-1-sharp",
        "Figure: A curve",
    ):
        assert part in words, part
    assert "Repaired by lemma-1-sharp (holds)" in words_of(page, "lemma-1-small-t")
    several = "Repaired by gaussian-temperature-exact (holds), skew-correction (holds)"
    assert several in words_of(page, "small-budget-temperature")


def test_work_left_out_is_listed_with_its_reason(page: Page) -> None:
    words = words_of(page, "neural-estimate")
    assert "– not run" in words
    assert "left out of the quick profile (hours)" in words


def test_only_cited_references_are_embedded(page: Page, text: str) -> None:
    assert {name for name in page.all("id") if name.startswith("bib-")} == {"bib-wu2023", "bib-chuang2020"}
    assert "Nobody cites" not in text


def test_every_figure_is_stored_once_and_shown_with_its_caption(page: Page, text: str) -> None:
    for name in ("tau-against-eta", "lemma-one-gap"):
        assert text.count(f'<symbol id="figure-{name}"') == 1
        assert page.all("href").count(f"#figure-{name}") >= 2
        assert "& its <end>." in page.words[f"show-{name}"]
        assert f"drocl figures {name}" in " ".join(page.words[f"show-{name}"].split())


def test_formulas_carry_their_tex(page: Page, data: dict[str, Any]) -> None:
    labels = {held["aria-label"] for _, held in page.elements if held.get("role") == "img"}
    unset = "escapes-less-than-and-ampersand"
    assert {claim["statement"] for claim in data["claims"] if claim["id"] != unset} <= labels
    assert "a<b" in words_of(page, unset), "what mathtext cannot set stands there as code"


def test_verdicts_are_said_by_sign_and_word(page: Page, data: dict[str, Any]) -> None:
    for claim in data["claims"]:
        assert words_of(page, claim["id"]).startswith(f"{graph.MARKS[graph.kind(claim['verdict'])]} {claim['verdict']}")


def test_a_run_of_one_claim_names_what_it_does_not_hold(data: dict[str, Any], root: Path, tmp_path: Path) -> None:
    one = {**data, "claims": [claim for claim in data["claims"] if claim["id"] == "tau-is-multiplier"]}
    (tmp_path / "claims.json").write_text(json.dumps(one))
    made = Page(write_report(tmp_path, root=root).read_text(encoding="utf-8"))
    assert made.errors == []
    assert "kl-worst-case-is-tilt (not in this run)" in words_of(made, "tau-is-multiplier")
    assert {target for target in made.all("href") if target.startswith("#")} <= {f"#{name}" for name in made.all("id")}


def test_a_run_without_claims_is_a_page(data: dict[str, Any], root: Path, tmp_path: Path) -> None:
    (tmp_path / "claims.json").write_text(json.dumps({**data, "claims": []}))
    assert Page(write_report(tmp_path, root=root).read_text(encoding="utf-8")).errors == []


# ---------------------------------------------------------------- wrong input


def test_missing_results_say_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"claims.json does not exist: run `drocl verify --out"):
        write_report(tmp_path)


def test_broken_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "claims.json").write_text('{"schema": 1,')
    with pytest.raises(ValueError, match=r"claims.json is no JSON"):
        write_report(tmp_path)


def test_made_up_results_fit_the_schema(data: dict[str, Any]) -> None:
    validate(data)


def spoil(data: dict[str, Any], *path: Any, value: Any = None, drop: bool = False) -> dict[str, Any]:
    spoilt = copy.deepcopy(data)
    inner = spoilt
    for step in path[:-1]:
        inner = inner[step]
    if drop:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return spoilt


WRONG: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
    (("schema",), {"value": 2}, r"claims.json.schema = 2 must be 1"),
    (("meta", "profile"), {"value": "slow"}, r"meta.profile = \"slow\" must be one of 'quick'"),
    (("meta",), {"drop": True}, r"claims.json lacks 'meta'"),
    (("claims", 3, "verdict"), {"value": "true"}, r"claims\[3\].verdict = \"true\" must be one of 'holds'"),
    (("claims", 3, "id"), {"value": "Tau is"}, r"claims\[3\].id = \"Tau is\" must match"),
    (("claims", 3, "line"), {"value": 0}, r"claims\[3\].line = 0 must be at least 1"),
    (("claims", 3, "line"), {"value": True}, r"claims\[3\].line = true must be of type integer"),
    (("claims", 3, "cases"), {"value": [1]}, r"claims\[3\].cases has 1 entries"),
    (("claims", 3, "evidence", 1, "gap"), {"value": "small"}, r"evidence\[1\].gap = \"small\" fits no alternative"),
    (("claims", 3, "evidence", 1, "params"), {"drop": True}, r"evidence\[1\] lacks 'params'"),
    (("claims", 3, "id"), {"value": "eta-of-tau"}, r"id 'eta-of-tau' occurs twice"),
]


@pytest.mark.parametrize(("path", "change", "message"), WRONG)
def test_results_that_do_not_fit_the_schema_are_refused(
    small: dict[str, Any], path: tuple[Any, ...], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        validate(spoil(small, *path, **change))


def test_the_schema_means_the_same_to_a_full_validator(small: dict[str, Any]) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    full = jsonschema.Draft202012Validator(schema())
    full.check_schema(schema())
    full.validate(small)
    few = {name: small["claims"][3][name][:3] for name in ("evidence", "control_evidence")}
    short = {**small, "claims": [{**claim, **few} for claim in small["claims"][:4]]}
    full.validate(short)
    for path, change, _ in WRONG[:-1]:  # that an id occurs twice is no matter of the schema
        assert list(full.iter_errors(spoil(short, *path, **change)))


# ---------------------------------------------------------------- graph, plot, formulas, bibliography


def boxes(svg: str) -> list[tuple[float, float, float, float]]:
    found = re.findall(r'<rect x="([-\d.]+)" y="([-\d.]+)" width="([\d.]+)" height="([\d.]+)"', svg)
    return [(float(x), float(y), float(width), float(height)) for x, y, width, height in found]


@pytest.mark.parametrize(("draw", "width"), [(graph.wide, 1150), (graph.wide, 800), (graph.tall, 356)])
def test_nodes_of_the_graph_fit_and_do_not_overlap(data: dict[str, Any], draw: Any, width: int) -> None:
    claims = data["claims"]
    svg = draw({c["id"]: c["uses"] for c in claims}, {c["id"]: c["verdict"] for c in claims}, width)
    placed = boxes(svg)
    assert len(placed) == len(claims)
    assert all(x >= 0 and x + w <= width + 1 for x, _, w, _ in placed)
    for i, (x, y, w, h) in enumerate(placed):
        for X, Y, W, H in placed[i + 1 :]:
            assert x + w <= X or x >= X + W or y + h <= Y + 0.2 or y + 0.2 >= Y + H
    for text in re.findall(r"<tspan[^>]*>([^<]*)</tspan>", svg):
        assert len(text) * 7.3 < max(w for _, _, w, _ in placed) - 20


@pytest.mark.parametrize("draw", [graph.wide, graph.tall])
def test_each_use_has_its_arrow_head(draw: Any) -> None:
    uses = {"a": [], "b": ["a"], "c": ["a", "b"], "d": ["c", "a"]}
    svg = draw(uses, dict.fromkeys(uses, "holds"))
    heads = re.search(r'class="head" d="([^"]*)"', svg)
    assert heads is not None
    entered = 3 if draw is graph.wide else 5  # edges into a box share their head where they meet
    assert heads[1].count("M") == entered


def test_uses_point_from_left_to_right(data: dict[str, Any]) -> None:
    uses = graph.acyclic({c["id"]: c["uses"] for c in data["claims"]})
    depth = graph.layers(uses)
    assert all(depth[other] < depth[name] for name, used in uses.items() for other in used)


def test_a_cycle_does_not_hang() -> None:
    uses = {"a": ["c"], "b": ["a"], "c": ["b"], "d": ["d", "a"]}
    assert sum(map(len, graph.acyclic(uses).values())) == 3  # one edge of the cycle and the self-use are left out
    assert len(boxes(graph.wide(uses, dict.fromkeys(uses, "holds")))) == 4
    assert len(boxes(graph.tall(uses, dict.fromkeys(uses, "holds")))) == 4


def row(gap: Any, allowed: float = 1e-6, **more: Any) -> dict[str, Any]:
    return {"gap": gap, "allowed": allowed, "params": {"n": more.pop("n", 1)}, "status": "ok", **more}


def marks(svg: str, kind: str) -> list[float]:
    """Heights at which marks of a kind stand (smaller is higher), in drawing order."""
    bar, place = r'(?:<path class="bar"[^>]*/>)?', r"translate\([\d.]+ ([-\d.]+)\)"
    return [float(y) for y in re.findall(rf'<g class="{kind}">{bar}<path d="[^"]*" transform="{place}"><title>', svg)]


def test_higher_gaps_stand_higher() -> None:
    svg = gap_plot([row(10.0**-k, n=k) for k in range(7, 14)])
    heights = marks(svg, "pass")
    assert len(heights) == 7
    assert heights == sorted(heights)
    steps = [b - a for a, b in itertools.pairwise(heights)]
    assert max(steps) - min(steps) < 0.21, "equal ratios, equal steps"


def test_cases_are_marked_by_their_outcome() -> None:
    svg = gap_plot(
        [row(1e-8, n=1), row(1e-3, n=2), row(1e-3, n=3, passed=None), row(1e-9, n=4, role="attack", params={})]
    )
    assert [len(marks(svg, kind)) for kind in ("pass", "fail", "open", "attack")] == [1, 1, 1, 1]
    limit = re.search(r'class="allowed" d="M[\d.]+ ([\d.]+)', svg)
    assert limit is not None
    assert marks(svg, "fail")[0] < float(limit[1]) < marks(svg, "pass")[0]


def test_slack_stands_below_zero() -> None:
    svg = gap_plot([row(-1.0, 0.0, n=1), row(-0.01, 0.0, n=2), row(0.0, 0.0, n=3), row(0.5, 0.0, n=4)])
    low, high, zero = marks(svg, "pass")
    assert marks(svg, "fail")[0] < zero < high < low


def test_a_control_is_drawn_where_its_case_is() -> None:
    svg = gap_plot([row(1e-8, n=1), row(1e-9, n=2)], [row(1.0, n=2, role="control"), row(1.0, n=77, role="control")])
    assert len(marks(svg, "control")) == 1


def test_no_number_no_plot_and_one_number_is_enough() -> None:
    assert gap_plot([]) == ""
    assert gap_plot([row("nan"), row("inf")]) == ""
    assert "2 without a finite gap" in gap_plot([row("nan"), row(0.0), row("inf")])


def test_many_cases_are_thinned_and_the_worst_survives() -> None:
    rows = [row(1e-9, n=i) for i in range(5_000)]
    rows[3_217]["gap"] = 1e-2
    svg = gap_plot(rows)
    assert len(marks(svg, "pass")) == MOST_POINTS - 1
    assert len(marks(svg, "fail")) == 1
    assert f"each of {MOST_POINTS} groups" in svg


@pytest.mark.parametrize(
    "tex",
    [
        r"\tfrac12 + \frac{a}{b}",
        r"\mathbf 1_{x \ne y}",
        r"\bigl(\, x \,\bigr) \coloneqq \lVert x \rVert",
        r"a \implies b",
        r"f \not= g",
        r"\mathop{\mathrm{arg\,max}}\limits_x f",
        r"\operatorname*{Var}_{Q_0}[f]",
        r"\xrightarrow{N\to\infty}",
        r"\sqrt[3]{x}",
        r"x'^2",
    ],
)
def test_the_tex_that_papers_use_is_set(tex: str) -> None:
    formulas = Formulas()
    drawn = formulas(tex)
    assert formulas.failed == []
    assert "<svg" in drawn
    assert "<use" in drawn


def test_made_up_statements_are_set(data: dict[str, Any]) -> None:
    formulas = Formulas()
    for claim in data["claims"]:
        formulas.statement(claim["statement"])
    assert formulas.failed == [data["claims"][-1]["statement"]]


def test_splitting_loses_nothing() -> None:
    plain = (
        r"L_{\mathrm{Biased}} \geq L_{\mathrm{Unbiased}}+E[0 \wedge \log r] -e^{3/2} \sqrt{\frac{\pi}{2N}},\quad t < 1"
    )
    pieces = split(plain)
    assert len(pieces) == 4
    rebuilt = "".join(pieces).replace("{}", "").replace(r"\,", "")  # empty operands, thin spaces
    assert re.sub(r"\s|\\quad", "", rebuilt) == re.sub(r"\s|\\quad", "", plain)


def test_a_long_formula_breaks_inside_its_brackets() -> None:
    terms = r",\ ".join(rf"\frac{{(h-{k})^2}}{{8N}} + \log h_{k}" for k in range(6))
    pieces = split(r"\kappa_N(t) \le \min\left\{" + terms + r"\right\}")
    assert len(pieces) >= 7
    formulas = Formulas()
    widths = [
        float(width) for width in re.findall(r"width:([\d.]+)em", formulas(r"x = " + r"\left(" + terms + r"\right)"))
    ]
    assert max(widths) < 15
    assert split(r"x = \left[a + b\right]") == [r"x = \left[a + b\right]"], "a short one keeps its brackets"


def test_text_with_formulas_is_escaped_around_them() -> None:
    drawn = Formulas().text(r"cost < \$5 & $a < b$ <b>")
    assert drawn.startswith("cost &lt; $5 &amp; <svg")
    assert drawn.endswith("&lt;b&gt;")


def test_bibtex_is_read_with_braces_quotes_and_bare_numbers(tmp_path: Path) -> None:
    path = tmp_path / "references.bib"
    path.write_text(synthetic.REFERENCES)
    entries = bibliography.read(path)
    assert list(entries) == ["wu2023", "chuang2020", "uncited"]
    assert entries["wu2023"].cited == "Wu et al. 2023"
    assert entries["chuang2020"].cited == "Chuang and Robinson 2020"
    assert entries["chuang2020"].bibtex.startswith("@inproceedings{chuang2020,")
    assert entries["chuang2020"].bibtex.endswith("Systems}\n}")
    assert "Understanding Contrastive Learning via Distributionally Robust Optimization" in entries["wu2023"].reference
    assert entries["uncited"].authors == ["Godel"]
    assert bibliography.read(tmp_path / "none.bib") == {}


def test_a_heavy_figure_is_embedded_as_its_bitmap(out: Path, tmp_path: Path) -> None:
    name = "tau-against-eta"
    drawn = embed.picture(out / "figures", name)
    assert "data:image/png" not in drawn.symbol
    shutil.copy(out / "figures" / f"{name}.png", tmp_path)
    vector = (out / "figures" / f"{name}.svg").read_text()
    (tmp_path / f"{name}.svg").write_text(vector.replace("</svg>", f"<!--{'x' * embed.LARGEST_SVG}--></svg>"))
    light = embed.picture(tmp_path, name)
    assert "data:image/png;base64," in light.symbol
    assert (light.width, light.height) == (drawn.width, drawn.height)


def test_a_figure_without_a_size_is_named(tmp_path: Path) -> None:
    (tmp_path / "odd.svg").write_text("<svg></svg>")
    with pytest.raises(ValueError, match=r"odd.svg has no <svg viewBox=...>"):
        embed.picture(tmp_path, "odd")


# ---------------------------------------------------------------- in a browser


class Listener:
    """A proxy that answers nothing and remembers which hosts were asked for."""

    def __init__(self) -> None:
        self.hosts: set[str] = set()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(2)
                try:
                    line = connection.recv(4096).decode("latin-1").partition("\r\n")[0]
                    connection.sendall(b"HTTP/1.1 502 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                except OSError:
                    continue
                target = line.split(" ")[1] if " " in line else ""
                self.hosts.add(re.sub(r"^\w+://", "", target).partition("/")[0].partition(":")[0])

    @property
    def foreign(self) -> set[str]:
        """Hosts asked for, without those that the browser asks for by itself."""
        own = ("google.com", "googleapis.com", "gvt1.com", "gstatic.com", "google", "chromium.org")
        return {host for host in self.hosts if host and not host.endswith(own)}


def browse(page: Path, tmp_path: Path, *flags: str, listener: Listener | None = None) -> str:
    assert CHROMIUM is not None
    proxy = [f"--proxy-server=http://127.0.0.1:{listener.port}", "--proxy-bypass-list=<-loopback>"] if listener else []
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            f"--user-data-dir={tmp_path / 'profile'}",
            *proxy,
            *flags,
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


@needs_chromium
def test_no_request_leaves_the_page(text: str, tmp_path: Path) -> None:
    leak = '<img src="http://leak.invalid/x.png"><script src="http://leak.invalid/x.js"></script>'
    leaking, guarded = tmp_path / "leaking.html", tmp_path / "guarded.html"
    leaking.write_text(f"<!doctype html><title>leak</title>{leak}")
    guarded.write_text(text.replace("</main>", leak + "</main>"))
    heard = Listener()
    browse(leaking, tmp_path, "--dump-dom", listener=heard)
    assert heard.foreign == {"leak.invalid"}, "the listener must hear a page that does ask"
    heard.hosts.clear()
    dom = browse(guarded, tmp_path, "--dump-dom", listener=heard)
    assert "tau-is-multiplier" in dom
    assert heard.foreign == set(), (
        "the page asks for nothing, and its policy stops a request even if one slipped into it"
    )


@needs_chromium
def test_light_and_dark_differ_and_are_light_and_dark(out: Path, tmp_path: Path) -> None:
    from matplotlib.image import imread

    means = {}
    for name, scheme in (("light", 1), ("dark", 0)):
        shot = tmp_path / f"{name}.png"
        browse(
            out / "index.html",
            tmp_path,
            f"--screenshot={shot}",
            f"--blink-settings=preferredColorScheme={scheme}",
            "--window-size=1200,900",
        )
        means[name] = float(imread(shot)[..., :3].mean())
    assert means["light"] > 0.85
    assert means["dark"] < 0.25


@needs_chromium
def test_the_page_does_not_scroll_sideways(out: Path, text: str, tmp_path: Path) -> None:
    probe = tmp_path / "probe.html"
    measuring = (
        "<script>for (const w of [380, 700, 1200]) {"
        'const f = document.createElement("iframe"); f.width = w; f.srcdoc = '
        'document.querySelector("template").innerHTML; document.body.append(f);'
        'f.onload = () => { f.before(document.createElement("i"));'
        "f.previousSibling.id = `w${w}-${f.contentDocument.documentElement.scrollWidth <= w}`; }; }</script>"
    )
    inner = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    probe.write_text(
        f"<!doctype html><title>probe</title><body style='width:1400px'><template>{inner}</template>{measuring}"
    )
    dom = browse(probe, tmp_path, "--dump-dom", "--virtual-time-budget=8000", "--window-size=1400,900")
    assert re.findall(r'<i id="w(\d+)-(\w+)"', dom) == [("380", "true"), ("700", "true"), ("1200", "true")]


@needs_chromium
def test_the_filter_hides_what_does_not_fit(text: str, tmp_path: Path, data: dict[str, Any]) -> None:
    drive = (
        '<script>const f = document.querySelector("#filter");'
        'f.querySelector("input[type=search]").value = "LEMMA-1 violated";'
        'f.dispatchEvent(new Event("input", {bubbles: true}));</script></body>'
    )
    driven = tmp_path / "driven.html"
    driven.write_text(re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text).replace("</body>", drive))
    dom = browse(driven, tmp_path, "--dump-dom")
    shown = re.findall(r'<article class="[^"]*" id="claim-([^"]*)"(?![^>]*\shidden)', dom)
    assert shown == ["lemma-1-small-t"]
    assert f"1 of {len(data['claims'])} claims shown" in dom
    assert dom.count('<button type="button"') == text.count('<code class="command">') > 60
