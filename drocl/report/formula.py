r"""TeX to inline SVG through matplotlib's mathtext: no font, no script, the colour of the surrounding text.

All formulas of a page share one set of glyph outlines (`Formulas.definitions`), so a glyph is stored once, and a
formula is a list of `<use>` elements. A long formula is cut before its relations into pieces that a browser can wrap
like words.
"""

import contextlib
import re
import tempfile
from functools import lru_cache
from typing import Any

from markupsafe import Markup, escape

_EM = 100.0  # TextToPath works at 100 units to the em
_RENAMED = {
    r"\tfrac": r"\frac",
    r"\dfrac": r"\frac",
    r"\lVert": r"\|",
    r"\rVert": r"\|",
    r"\Vert": r"\|",
    r"\lvert": "|",
    r"\rvert": "|",
    r"\vert": "|",
    r"\implies": r"\Rightarrow",
    r"\iff": r"\Leftrightarrow",
    r"\coloneqq": r"{:}\!\!=",
    ":=": r"{:}\!\!=",
    r"\not=": r"\neq",
    r"\le": r"\leq",
    r"\ge": r"\geq",
    r"\ne": r"\neq",
    r"\mathds": r"\mathbb",
    r"\operatorname*": r"\operatorname",
    r"\lbrace": r"\{",
    r"\rbrace": r"\}",
}
_DROPPED = {
    r"\displaystyle",
    r"\textstyle",
    r"\scriptstyle",
    r"\limits",
    r"\nolimits",
    r"\mathop",
    r"\mathrel",
    r"\mathbin",
    r"\nonumber",
}
_SIZES = re.compile(r"\\[bB]igg?[lrm]?$")
_TOKEN = re.compile(r"\\operatorname\*|\\not\s*=|:=|\\[A-Za-z]+|\\.|[^\\]", re.DOTALL)
_RELATIONS = {
    "=",
    "<",
    ">",
    r"{:}\!\!=",
    r"\leq",
    r"\geq",
    r"\neq",
    r"\approx",
    r"\propto",
    r"\equiv",
    r"\sim",
    r"\simeq",
    r"\to",
    r"\rightarrow",
    r"\Rightarrow",
    r"\Leftrightarrow",
    r"\longrightarrow",
    r"\ll",
    r"\gg",
    r"\lesssim",
    r"\gtrsim",
    r"\asymp",
}
_LOOSE = {r"\max", r"\min", r"\sup", r"\inf", r"\sum", r"\log", r"\exp"}
_ONE_ARGUMENT = {
    r"\mathbf",
    r"\mathcal",
    r"\mathbb",
    r"\mathrm",
    r"\mathit",
    r"\mathsf",
    r"\mathfrak",
    r"\mathscr",
    r"\hat",
    r"\bar",
    r"\tilde",
    r"\sqrt",
    r"\overline",
    r"\widehat",
    r"\widetilde",
}


def _tokens(tex: str) -> list[str]:
    return ["".join(t.split()) if t.startswith(r"\not") else t for t in _TOKEN.findall(tex)]


def _read_argument(tokens: list[str], at: int) -> tuple[list[str], int]:
    """The argument that starts at `at` (a group or one token), without its braces, and the place after it."""
    while at < len(tokens) and tokens[at].isspace():
        at += 1
    if at >= len(tokens):
        return [], at
    if tokens[at] != "{":
        return [tokens[at]], at + 1
    depth, end = 1, at + 1
    while end < len(tokens) and depth:
        depth += (tokens[end] == "{") - (tokens[end] == "}")
        end += 1
    return tokens[at + 1 : end - 1], end


def _normal_tokens(tokens: list[str]) -> list[str]:
    """Rewrite tokens into the part of TeX that mathtext reads: braces around every argument, no size commands."""
    out: list[str] = []
    at = 0
    while at < len(tokens):
        token = _RENAMED.get(tokens[at], tokens[at])
        at += 1
        if token in _DROPPED or _SIZES.match(token):
            continue
        if token in (r"\frac", r"\binom", r"\xrightarrow", r"\text", r"\textrm", r"\mbox") or token in _ONE_ARGUMENT:
            if token == r"\sqrt" and at < len(tokens) and tokens[at] == "[":
                out.append(token)
                continue
            first, at = _read_argument(tokens, at)
            if token in (r"\text", r"\textrm", r"\mbox"):
                out += [r"\text", "{", *first, "}"]
            elif token == r"\xrightarrow":
                out += [r"\overset", "{", *_normal_tokens(first), "}", "{", r"\rightarrow", "}"]
            elif token == r"\mathbb":  # upright: mathtext slants it otherwise
                out += [r"\mathrm", "{", token, "{", *first, "}", "}"]
            else:
                out += [token, "{", *_normal_tokens(first), "}"]
            if token in (r"\frac", r"\binom"):
                second, at = _read_argument(tokens, at)
                out += ["{", *_normal_tokens(second), "}"]
            continue
        if token in ("^", "_"):  # in braces, mathtext sets a star and signs of an index without spaces
            inside, at = _read_argument(tokens, at)
            token += "{" + _join(_normal_tokens(inside)) + "}"
        out.append(token)
    return out


def _join(tokens: list[str]) -> str:
    text = ""
    for token in tokens:
        glued = re.search(r"\\[A-Za-z]+$", text) and token[:1].isalpha()  # \tau f, not \tauf
        text += (" " if glued else "") + token
    return re.sub(r"(\\ |\s)+$", "", text.strip() + " ")


def _ink(tokens: list[str]) -> int:
    """About how many characters wide tokens are."""
    text = re.sub(r"\\(?:math[a-z]+|operatorname|text|left|right)(?![A-Za-z])|\\[,;! ]", "", _join(tokens))
    return len(re.sub(r"[{}_^\\\s]", "", re.sub(r"\\[A-Za-z]+", "x", text)))


def split(tex: str, *, display: bool = False) -> list[str]:
    r"""Cut a formula before its outermost relations and after outermost commas and \quad, so that it can wrap.

    With `display`, fractions that stand on the line (not in an index, not in another fraction) are drawn large. A piece
    that is still long is cut inside its outermost brackets too.

    >>> split(r"V(\eta) = \max_{D\le\eta} E_Q f \quad 0 < \eta")
    ['V(\\eta)', '= \\max_{D\\leq\\eta} E_{Q} f', '0 < \\eta']
    """
    tokens = _spaced(_normal_tokens(_tokens(tex)), display)
    pieces: list[list[str]] = []
    for piece in _cut(tokens, 0, 14):
        if _ink(piece) > 36:  # wider than a phone: give up stretching brackets, and break between them
            pieces += _cut([token for token in piece if token not in (r"\left", r"\right")], 1, 10)
        else:
            pieces.append(piece)
    return [text for text in map(_join, pieces) if text]


def _spaced(tokens: list[str], display: bool) -> list[str]:
    """Put in the space that mathtext leaves out before \\max and its like, and enlarge fractions on the line."""
    out: list[str] = []
    depth = 0
    for token in tokens:
        before = next((t for t in reversed(out) if not t.isspace()), "")
        if token in _LOOSE and (before[-1:].isalnum() or before[-1:] in ("}", ")", "]")):
            out.append(r"\,")
        depth += (token == "{") - (token == "}")
        out.append(r"\dfrac" if display and token == r"\frac" and depth == 0 else token)
    return out


def _cut(tokens: list[str], deepest: int, long: int) -> list[list[str]]:
    """Cut where at most `deepest` brackets are open; before a sign only after `long` characters."""
    pieces: list[list[str]] = [[]]
    depth = braces = 0
    for i, token in enumerate(tokens):
        delimiter = i > 0 and tokens[i - 1] in (r"\left", r"\right")  # counted with its command
        if not delimiter and (token in ("}", ")", "]", r"\}") or token == r"\right"):
            depth = max(0, depth - 1)
        braces = max(0, braces + (token == "{") - (token == "}"))
        if depth <= deepest and braces == 0:
            if token in _RELATIONS and _ink(pieces[-1]) > 3:
                pieces.append([])
            if token in ("+", "-") and _ink(pieces[-1]) > long:
                pieces.append(["{}"])  # an empty operand, so that the sign keeps its space
            if token in (r"\quad", r"\qquad"):
                pieces.append([])
                continue
        pieces[-1].append(token)
        if depth <= deepest and braces == 0 and token in (",", ";") and _ink(pieces[-1]) > 6:
            pieces.append([])
        if not delimiter and (token in ("{", "(", "[", r"\{") or token == r"\left"):
            depth += 1
    return pieces


@lru_cache(maxsize=1)
def _engine() -> Any:
    from matplotlib.textpath import TextToPath

    return TextToPath()


def _outline(vertices: Any, codes: Any) -> str:
    """SVG path data of one glyph, in hundredths of an em, y upward."""
    letters = {1: ("M", 1), 2: ("L", 1), 3: ("Q", 2), 4: ("C", 3)}
    parts: list[str] = []
    at = 0
    while at < len(codes):
        code = int(codes[at])
        if code == 79:
            parts.append("Z")
            at += 1
            continue
        letter, count = letters[code]
        numbers = " ".join(f"{value:.1f}".removesuffix(".0") for point in vertices[at : at + count] for value in point)
        parts.append(letter + numbers)
        at += count
    return "".join(parts)


class Formulas:
    """The formulas of one page: draws each, and keeps the glyph outlines that they share.

    Args:
        fontset: matplotlib's mathtext font set.
        prefix: start of every id this object defines in the page.
    """

    def __init__(self, fontset: str = "cm", prefix: str = "glyph") -> None:
        self.fontset, self.prefix = fontset, prefix
        self.failed: list[str] = []
        self._glyphs: dict[str, tuple[str, str]] = {}  # matplotlib's glyph id -> (page id, path data)
        self._drawn: dict[tuple[str, bool], Markup | None] = {}

    def __call__(self, tex: str, *, display: bool = False) -> Markup:
        """One formula as inline SVG, with its TeX as accessible name; as code where mathtext cannot read it."""
        if (tex, display) not in self._drawn:
            self._drawn[tex, display] = self._draw(tex, display)
        drawn = self._drawn[tex, display]
        if drawn is None:
            return Markup('<code class="tex">{}</code>').format(tex)
        return drawn

    def text(self, text: str) -> Markup:
        """Plain text with formulas between dollar signs; everything else is escaped."""
        parts = re.split(r"(?<!\\)\$([^$]+)(?<!\\)\$", text)
        done = [self(part) if i % 2 else escape(part.replace(r"\$", "$")) for i, part in enumerate(parts)]
        return Markup("").join(done)

    def statement(self, text: str, *, display: bool = False) -> Markup:
        """A claim's statement: TeX, or sentences with formulas between dollar signs."""
        return self.text(text) if "$" in text else self(text, display=display)

    def definitions(self) -> Markup:
        """The hidden SVG that holds each glyph once; put it before the first formula."""
        paths = Markup("").join(Markup('<path id="{}" d="{}"/>').format(*glyph) for glyph in self._glyphs.values())
        return Markup(
            '<svg class="defs" width="0" height="0" aria-hidden="true" focusable="false"><defs>{}</defs></svg>'
        ).format(paths)

    def _draw(self, tex: str, display: bool) -> Markup | None:
        try:
            pieces = split(tex, display=display)
            drawn = [self._piece(piece) for piece in pieces]
        except (ValueError, RuntimeError):  # mathtext says ValueError for what it cannot parse
            self.failed.append(tex)
            return None
        if not drawn:
            return None
        if len(drawn) == 1:
            box, inner = drawn[0]
            return Markup('<svg class="math" role="img" aria-label="{}" {}><title>{}</title>{}</svg>').format(
                tex, box, tex, inner
            )
        svgs = Markup("")
        for source, piece in zip(pieces, drawn, strict=True):  # a relation brings its own space
            space = " " if svgs and not source.startswith("{}") and _tokens(source)[0] not in _RELATIONS else ""
            svgs += space + Markup('<svg aria-hidden="true" {}>{}</svg>').format(*piece)
        return Markup('<span class="math" role="img" aria-label="{}" title="{}">{}</span>').format(tex, tex, svgs)

    def _piece(self, tex: str) -> tuple[Markup, Markup]:
        """Size attributes and content of one unbreakable piece."""
        import matplotlib as mpl
        from matplotlib.font_manager import FontProperties

        engine = _engine()
        # mathtext takes a file of the working folder called `bb` or `it` for a font of that name: work where there is none
        with (
            mpl.rc_context({"mathtext.fontset": self.fontset}),
            tempfile.TemporaryDirectory() as empty,
            contextlib.chdir(empty),
        ):
            font = FontProperties(size=_EM)
            source = f"${tex}$"
            width, height, depth = (float(v) for v in engine.get_text_width_height_descent(source, font, ismath=True))
            placed, outlines, boxes = engine.get_glyphs_mathtext(font, source)
        marks = []
        for glyph, x, y, scale in placed:
            if glyph not in self._glyphs:
                self._glyphs[glyph] = (f"{self.prefix}-{len(self._glyphs)}", _outline(*outlines[glyph]))
            size = "" if abs(scale - 1) < 1e-6 else f" scale({scale:.3g})"
            marks.append(
                Markup('<use href="#{}" transform="translate({} {}){}"/>').format(
                    self._glyphs[glyph][0], _short(x), _short(y), size
                )
            )
        for vertices, _ in boxes:
            xs, ys = zip(*vertices[:4], strict=True)  # the fifth vertex only closes the path
            left, low, right, high = min(xs), min(ys), max(xs), max(ys)
            marks.append(Markup('<path d="M{} {}H{}V{}H{}z"/>').format(*map(_short, (left, low, right, high, left))))
        pad = 4.0  # ink of slanted letters may stand out of the box
        box = Markup('viewBox="{} {} {} {}" style="width:{:.2f}em;height:{:.2f}em;vertical-align:{:.2f}em"').format(
            _short(-pad),
            _short(-height + depth - pad),
            _short(width + 2 * pad),
            _short(height + 2 * pad),
            (width + 2 * pad) / _EM,
            (height + 2 * pad) / _EM,
            -(depth + pad) / _EM,
        )
        return box, Markup('<g transform="scale(1 -1)">{}</g>').format(Markup("").join(marks))


def _short(value: float) -> str:
    return f"{float(value):.1f}".removesuffix(".0")
