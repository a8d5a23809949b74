"""The evidence plot of a claim as inline SVG: the gap of each case against what is allowed, on a logarithmic scale.

Where gaps are signed (bounds: minus the slack) the scale is logarithmic on both sides of zero. Marks differ in shape,
so that nothing is said by colour alone.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from drocl.report.words import number, parameters, short

WIDTH, HEIGHT = 470.0, 264.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 10.0, 34.0, 40.0
MOST_POINTS = 240
Row = Mapping[str, Any]

SHAPES = {  # drawn around (0, 0); a case is a dot, one beyond what is allowed a cross, an undecided one a square
    "pass": "M-3 0a3 3 0 1 0 6 0a3 3 0 1 0 -6 0z",
    "fail": "M-3.6 -3.6L3.6 3.6M-3.6 3.6L3.6 -3.6",
    "open": "M-3 -3h6v6h-6z",
    "attack": "M0 -5L5 0L0 5L-5 0z",
    "control": "M0 -3.6L3.8 3H-3.8z",
}
WORDS = {"pass": "within", "fail": "beyond", "open": "undecided", "attack": "attack's worst", "control": "control"}


def gap_plot(rows: Sequence[Row], control: Sequence[Row] = ()) -> Markup:
    """Draw the gap of each case against what is allowed.

    Args:
        rows: evidence rows in grid order, an attack's row last; rows without a finite gap are counted, not drawn.
        control: the rows of the negative control, drawn where their parameters match a case.

    Returns:
        An SVG element; empty where no row has a finite gap.
    """
    drawn = [row for row in rows if math.isfinite(number(row["gap"]))]
    if not drawn:
        return Markup("")
    shown = _thin(drawn)
    places = {_case(row): i for i, row in enumerate(shown)}
    finite = [row for row in control if math.isfinite(number(row["gap"]))]
    others = [(places[_case(row)], row) for row in finite if _case(row) in places]
    scale = _scale(shown, [row for _, row in others])

    def across(i: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * (i + 0.5) / len(shown)

    parts = [_frame(scale), _groups(shown, across), _allowed(shown, across, scale)]
    parts += [_point(across(i), row, scale, "control") for i, row in others]
    parts += [_point(across(i), row, scale, _shape(row)) for i, row in enumerate(shown)]
    kinds = [kind for kind in SHAPES if kind in {_shape(row) for row in shown} or (kind == "control" and others)]
    thinned = f"; the largest gap of each of {len(shown)} groups of cases" if len(shown) < len(drawn) else ""
    missing = len(rows) - len(drawn)
    said = f"{_label(drawn)}{thinned}" + (f"; {missing} without a finite gap" if missing else "")
    title = "gap (negative: slack)" if scale.signed else "gap"
    return Markup('<svg class="evidence" role="img" aria-label="{}" viewBox="0 0 {:.0f} {:.0f}">{}{}</svg>').format(
        said, WIDTH, HEIGHT, _legend(kinds, title), Markup("").join(parts)
    )


def _label(rows: Sequence[Row]) -> str:
    worst = max(rows, key=lambda row: number(row["gap"]))
    cases = f"{len(rows)} case{'s' if len(rows) > 1 else ''}"
    return f"Gap against allowed over {cases}: largest {short(number(worst['gap']))}, allowed {short(worst['allowed'])}"


def _case(row: Row) -> tuple[str, str]:
    return repr(sorted(row["params"].items())), "attack" if "attack" in row.get("role", "") else "claim"


def _shape(row: Row) -> str:
    passed = row.get("passed", number(row["gap"]) <= number(row["allowed"]))
    if passed is None:
        return "open"
    if row.get("role") == "attack":
        return "attack" if passed else "fail"
    return "pass" if passed else "fail"


def _thin(rows: Sequence[Row]) -> list[Row]:
    """At most `MOST_POINTS` rows: of each run of neighbours the one nearest to failing."""
    if len(rows) <= MOST_POINTS:
        return list(rows)
    edges = [round(i * len(rows) / MOST_POINTS) for i in range(MOST_POINTS + 1)]
    runs = [rows[a:b] for a, b in itertools.pairwise(edges)]
    return [max(run, key=lambda row: number(row["gap"]) - number(row["allowed"])) for run in runs]


@dataclass(frozen=True)
class _Scale:
    """Logarithmic in |gap| from `least` up; signed scales repeat it downward, and zero has a place of its own."""

    least: int  # decade of the smallest size shown
    up: float  # decades above it on the positive side
    down: float  # decades below zero; 0 if no gap is negative
    zero: float  # room left for zero, in decades

    @property
    def signed(self) -> bool:
        return self.down > 0

    def __call__(self, value: float) -> float:
        size = 0.0 if value == 0 else math.log10(abs(value)) - self.least + self.zero
        return self._pixel(math.copysign(max(size, 0.0), value))

    def _pixel(self, decades: float) -> float:
        inner = HEIGHT - _TOP - _BOTTOM
        return HEIGHT - _BOTTOM - inner * (decades + self.down) / (self.up + self.down)

    def ticks(self) -> list[tuple[float, Markup]]:
        """Places and labels: zero where it is shown, and whole decades, at most about seven."""
        step = max(1, math.ceil((self.up + self.down) / 6.5))
        made = [(self._pixel(0.0), Markup("0"))] if self.zero else []
        for sign, reach in ((1, self.up), (-1, self.down)):
            decades = [d for d in range(self.least, self.least + 400) if d - self.least + self.zero <= reach + 1e-9]
            keep = [d for d in decades if d % step == 0 and d - self.least + self.zero >= 0.45 * step * bool(self.zero)]
            for d in keep if reach else []:
                text = _power(sign, d)
                made.append((self._pixel(sign * (d - self.least + self.zero)), text))
        return made


def _power(sign: int, decade: int) -> Markup:
    minus = "−" if sign < 0 else ""
    if -1 <= decade <= 2:
        return Markup("{}{:g}").format(minus, 10.0**decade)
    power = str(decade).replace("-", "−")
    return Markup('{}10<tspan class="power" dy="-5">{}</tspan>').format(minus, power)


def _scale(rows: Sequence[Row], control: Sequence[Row]) -> _Scale:
    ends = [number(end) for row in rows for end in (row.get("interval") or ())]
    values = [number(row["gap"]) for row in (*rows, *control)] + [number(row["allowed"]) for row in rows] + ends
    negative = [-value for value in values if value < 0 and math.isfinite(value)]
    # a signed scale needs no room for an allowance near zero: it is drawn on the zero line
    counted = [number(row["gap"]) for row in (*rows, *control)] + ends if negative else values
    sizes = [abs(value) for value in counted if value != 0 and math.isfinite(value)] or [1.0]
    top = math.floor(math.log10(max(sizes)))
    least = max(math.floor(math.log10(min(sizes))), top - (6 if negative else 20))
    zero = 1.0 if negative or 0.0 in values else 0.0
    positive = [value for value in values if value > 0 and math.isfinite(value)]
    up = max([math.log10(value) - least for value in positive] + [0.0]) + zero + 0.25
    down = max([math.log10(value) - least for value in negative] + [0.0]) + zero + 0.25 if negative else 0.0
    return _Scale(least, max(up, 1.0 if not negative else 0.6), down, zero)


def _frame(scale: _Scale) -> Markup:
    ticks = Markup("").join(
        Markup(
            '<path class="grid" d="M{:.1f} {:.1f}H{:.1f}"/><text class="tick" x="{:.1f}" y="{:.1f}">{}</text>'
        ).format(_LEFT, y, WIDTH - _RIGHT, _LEFT - 7, y + 4, text)
        for y, text in scale.ticks()
    )
    zero = Markup('<path class="zero" d="M{:.1f} {:.1f}H{:.1f}"/>').format(_LEFT, scale(0.0), WIDTH - _RIGHT)
    axis = Markup('<path class="axis" d="M{:.1f} {:.1f}V{:.1f}H{:.1f}"/>').format(
        _LEFT, _TOP - 4, HEIGHT - _BOTTOM, WIDTH - _RIGHT
    )
    return ticks + (zero if scale.signed else Markup("")) + axis


def _groups(rows: Sequence[Row], across: Callable[[float], float]) -> Markup:
    """Name the blocks of cases along the axis by the first parameter that makes few blocks; else by the count."""
    base = HEIGHT - _BOTTOM
    grid = [row for row in rows if row.get("role", "claim") == "claim"]
    for name in grid[0]["params"] if grid else ():
        values = [short(row["params"].get(name, ""), 4) for row in grid]
        starts = [i for i, value in enumerate(values) if i == 0 or value != values[i - 1]]
        if not 2 <= len(starts) <= 9 or len(set(values)) != len(starts):
            continue
        ends = [*starts[1:], len(grid)]
        widths = [across(b) - across(a) for a, b in zip(starts, ends, strict=True)]
        words = [values[a] for a in starts]
        if any(6.4 * len(word) > width - 4 for word, width in zip(words, widths, strict=True)):
            continue
        lines = "".join(f"M{across(a - 0.5):.1f} {_TOP}V{base + 5}" for a in starts[1:])
        if len(grid) < len(rows):
            lines += f"M{across(len(grid) - 0.5):.1f} {_TOP}V{base + 5}"
        labels = Markup("").join(
            Markup('<text class="group" x="{:.1f}" y="{:.1f}">{}</text>').format(
                across((a + b - 1) / 2), base + 16, word
            )
            for a, b, word in zip(starts, ends, words, strict=True)
        )
        title = Markup('<text class="group" x="{:.1f}" y="{:.1f}">{}</text>').format(
            (_LEFT + WIDTH - _RIGHT) / 2, base + 33, f"cases in grid order, by {name}"
        )
        return Markup('<path class="divider" d="{}"/>').format(lines) + labels + title
    return Markup('<text class="group" x="{:.1f}" y="{:.1f}">{}</text>').format(
        (_LEFT + WIDTH - _RIGHT) / 2, base + 18, f"{len(rows)} case{'s' if len(rows) > 1 else ''} in grid order"
    )


def _allowed(rows: Sequence[Row], across: Callable[[float], float], scale: _Scale) -> Markup:
    """What is allowed, as a step line over the cases."""
    path, last = "", math.nan
    for i, row in enumerate(rows):
        limit = number(row["allowed"])
        if not math.isfinite(limit):
            last = math.nan
            continue
        y = scale(limit)
        path += f"V{y:.1f}" if math.isfinite(last) else f"M{across(i - 0.5):.1f} {y:.1f}"
        path += f"H{across(i + 0.5):.1f}"
        last = limit
    return Markup('<path class="allowed" d="{}"/>').format(path)


def _point(x: float, row: Row, scale: _Scale, shape: str) -> Markup:
    gap, interval = number(row["gap"]), row.get("interval")
    bar = Markup("")
    if interval and all(math.isfinite(number(end)) for end in interval):
        bar = Markup('<path class="bar" d="M{:.1f} {:.1f}V{:.1f}"/>').format(
            x, *(scale(number(end)) for end in interval)
        )
    case = parameters(row["params"]) or "case"
    what = f"{WORDS[shape]}: {case}; gap {short(gap)}, allowed {short(row['allowed'])}"
    template = '<g class="{}">{}<path d="{}" transform="translate({:.1f} {:.1f})"><title>{}</title></path></g>'
    return Markup(template).format(shape, bar, SHAPES[shape], x, scale(gap), what)


def _legend(kinds: Sequence[str], title: str) -> Markup:
    x, parts = WIDTH - _RIGHT - 4, []
    for kind in [*reversed(kinds), "limit"]:
        words = "allowed" if kind == "limit" else WORDS[kind]
        x -= 6.3 * len(words)
        parts.append(Markup('<text class="key" x="{:.1f}" y="18">{}</text>').format(x, words))
        mark = "M-15 0H3" if kind == "limit" else SHAPES[kind]
        style = "allowed" if kind == "limit" else kind
        parts.append(
            Markup('<g class="{0}"><path class="{0}" d="{1}" transform="translate({2:.1f} 14)"/></g>').format(
                style, mark, x - 9
            )
        )
        x -= 34 if kind == "limit" else 26
    return Markup('<text class="axis-title" x="6" y="18">{}</text>').format(title) + Markup("").join(reversed(parts))
