"""The graph of claims as inline SVG: what uses what, coloured and marked by verdict, laid out here and not by a script.

`wide` draws layers from left to right (Sugiyama: longest-path layers, barycentre order, isotonic placement); `tall`
draws one claim a row with its uses as lanes on the left, which stays readable on a phone. A node links to its card.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

MARKS: Mapping[str, str] = {"holds": "✓", "violated": "✗", "inconclusive": "?", "not run": "–"}
_CHAR, _ROW, _MARK = 7.3, 15.0, 15.0  # monospace at 12 px: advance, line height; room for the verdict's sign


def kind(verdict: str) -> str:
    """The verdict without its qualifier, a key of `MARKS`: "holds (certified)" is "holds"."""
    plain = verdict.partition(" (")[0]
    return plain if plain in MARKS else "inconclusive"


@dataclass
class _Node:
    name: str
    lines: list[str] = field(default_factory=list)  # empty for a bend of a long edge
    layer: int = 0
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    pad: float = 10.0  # inner margin
    before: list["_Node"] = field(default_factory=list)
    after: list["_Node"] = field(default_factory=list)

    @property
    def height(self) -> float:
        return _ROW * len(self.lines) + 14 if self.lines else 8.0


def acyclic(uses: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The `uses` relation among known claims, without repetitions, self-uses and the edges that would close a cycle.

    >>> acyclic({"a": ["b", "b", "unknown"], "b": ["a"]})
    {'a': ['b'], 'b': []}
    """
    kept: dict[str, list[str]] = {name: [] for name in uses}

    def reaches(start: str, goal: str) -> bool:
        stack, seen = [start], set()
        while stack:
            at = stack.pop()
            if at == goal:
                return True
            if at not in seen:
                seen.add(at)
                stack += kept[at]
        return False

    for name, used in uses.items():
        for other in dict.fromkeys(used):
            if other in kept and not reaches(other, name):
                kept[name].append(other)
    return kept


def layers(uses: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Length of the longest chain of uses below each claim of an acyclic relation; 0 for one that uses nothing.

    >>> layers({"a": [], "b": ["a"], "c": ["a", "b"]})
    {'a': 0, 'b': 1, 'c': 2}
    """
    depth: dict[str, int] = {}

    def visit(name: str) -> int:
        if name not in depth:
            depth[name] = 1 + max((visit(other) for other in uses[name]), default=-1)
        return depth[name]

    return {name: visit(name) for name in uses}


def _wrap(name: str, chars: int) -> list[str]:
    """Break an id after hyphens into lines of at most `chars` characters where that can be."""
    lines = [""]
    parts = name.split("-")
    for i, part in enumerate(parts):
        word = part + ("-" if i + 1 < len(parts) else "")
        if lines[-1] and len(lines[-1]) + len(word) > chars:
            lines.append("")
        lines[-1] += word
    if len(lines) > 1 and len(lines[-1]) < 4:  # no short word alone on the last line
        lines[-2:] = ["".join(lines[-2:])]
    return lines


def _components(uses: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Connected parts, largest first, each in the order given."""
    leader = {name: name for name in uses}

    def find(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    for name, used in uses.items():
        for other in used:
            leader[find(name)] = find(other)
    groups: dict[str, list[str]] = {}
    for name in uses:
        groups.setdefault(find(name), []).append(name)
    return sorted(groups.values(), key=len, reverse=True)


def _columns(
    names: Sequence[str], uses: Mapping[str, Sequence[str]], depth: Mapping[str, int], chars: int
) -> list[list[_Node]]:
    """Nodes by layer, with a bend in every layer that an edge passes, ordered to have few crossings."""
    nodes = {name: _Node(name, _wrap(name, chars), depth[name]) for name in names}
    columns: list[list[_Node]] = [[] for _ in range(1 + max(depth[name] for name in names))]
    for node in nodes.values():
        columns[node.layer].append(node)
    for name in names:
        for other in uses[name]:
            last = nodes[other]
            for layer in range(depth[other] + 1, depth[name]):
                bend = _Node(f"{other} > {name}", [], layer)
                columns[layer].append(bend)
                last.after.append(bend)
                bend.before.append(last)
                last = bend
            last.after.append(nodes[name])
            nodes[name].before.append(last)
    best, fewest = [list(column) for column in columns], _crossings(columns)
    for sweep in range(12):
        forward = sweep % 2 == 0
        for column in columns if forward else reversed(columns):
            _sort_by_neighbours(column, columns, forward)
        crossings = _crossings(columns)
        if crossings < fewest:
            best, fewest = [list(column) for column in columns], crossings
    return best


def _sort_by_neighbours(column: list[_Node], columns: Sequence[Sequence[_Node]], forward: bool) -> None:
    place = {id(node): i / max(1, len(other) - 1) for other in columns for i, node in enumerate(other)}

    def centre(node: _Node) -> float:
        near = node.before if forward else node.after
        return sum(place[id(other)] for other in near) / len(near) if near else place[id(node)]

    column.sort(key=centre)


def _crossings(columns: Sequence[Sequence[_Node]]) -> int:
    count = 0
    for left, right in itertools.pairwise(columns):
        place = {id(node): i for i, node in enumerate(right)}
        ends = [sorted(place[id(other)] for other in node.after) for node in left]
        for i, first in enumerate(ends):
            count += sum(a > b for second in ends[i + 1 :] for a in first for b in second)
    return count


def _isotonic(wanted: Sequence[float], sizes: Sequence[float], gap: float) -> list[float]:
    """Centres nearest in least squares to `wanted`, in the order given, so that boxes of these sizes do not overlap."""
    shift = [0.0]
    for a, b in itertools.pairwise(sizes):
        shift.append(shift[-1] + (a + b) / 2 + gap)
    blocks: list[tuple[float, int]] = []  # pooled adjacent violators: (mean, count)
    for goal, offset in zip(wanted, shift, strict=True):
        blocks.append((goal - offset, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (b, n), (a, m) = blocks.pop(), blocks.pop()
            blocks.append(((a * m + b * n) / (m + n), m + n))
    pooled = [mean for mean, count in blocks for _ in range(count)]
    return [value + offset for value, offset in zip(pooled, shift, strict=True)]


def _place(columns: list[list[_Node]], between: float, pad: float) -> tuple[float, float]:
    """Set x, y, margin and width of every node (centres in y, left edges in x); return the size of the drawing."""
    x = 0.0
    for column in columns:
        width = max((_CHAR * max(map(len, node.lines)) for node in column if node.lines), default=0) + 2 * pad + _MARK
        for node in column:
            node.x, node.width, node.pad = x, width, pad
        x += width + between
    for column in columns:
        _spread(column, [0.0] * len(column))
    for sweep in range(16):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            near = [[other.y for other in node.before + node.after] for node in column]
            _spread(column, [sum(ys) / len(ys) if ys else node.y for node, ys in zip(column, near, strict=True)])
    everyone = [node for column in columns for node in column]
    top = min(node.y - node.height / 2 for node in everyone)
    for node in everyone:
        node.y -= top
    return x - between, max(node.y + node.height / 2 for node in everyone)


def _spread(column: list[_Node], wanted: Sequence[float]) -> None:
    for node, y in zip(column, _isotonic(wanted, [n.height for n in column], 10.0), strict=True):
        node.y = y


def _box(node: _Node, verdict: str, title: str) -> Markup:
    top = node.y - node.height / 2
    first = node.y - _ROW * (len(node.lines) - 1) / 2 + 4
    spans = Markup("").join(
        Markup('<tspan x="{:.0f}" y="{:.0f}">{}</tspan>').format(node.x + node.pad + _MARK, first + i * _ROW, text)
        for i, text in enumerate(node.lines)
    )
    return Markup(
        '<a class="node {}" href="#claim-{}"><title>{}</title>'
        '<rect x="{:.0f}" y="{:.1f}" width="{:.0f}" height="{:.1f}" rx="6"/>'
        '<text class="mark" x="{:.0f}" y="{:.1f}">{}</text><text>{}</text></a>'
    ).format(kind(verdict).replace(" ", "-"), node.name, title, node.x, top, node.width, node.height,
             node.x + node.pad - 1, node.y + 4.5, MARKS[kind(verdict)], spans)  # fmt: skip


def _edges(node: _Node) -> list[str]:
    """Paths of the edges that leave a claim, through their bends, to the claims that use it."""
    paths = []
    for follower in node.after:
        x, y, path = node.x + node.width, node.y, f"M{node.x + node.width:.0f} {node.y:.1f}"
        step: _Node = follower
        while True:
            end = step.x - (0 if not step.lines else 6)
            half = (end - x) / 2
            path += f"C{x + half:.0f} {y:.1f} {end - half:.0f} {step.y:.1f} {end:.0f} {step.y:.1f}"
            if step.lines:
                break
            path += f"H{step.x + step.width:.0f}"
            x, y = step.x + step.width, step.y
            step = step.after[0]
        paths.append(path)
    return paths


def _arrow(x: float, y: float) -> str:
    return f"M{x:.0f} {y:.1f}l-7 -3.5v7z"


def _svg(
    width: float, height: float, label: str, edges: Sequence[str], heads: Sequence[str], boxes: Sequence[Markup]
) -> Markup:
    return Markup(
        '<svg class="claims" role="group" aria-label="{}" viewBox="-1 -1 {:.0f} {:.0f}" width="{:.0f}">'
        '<path class="edge" d="{}"/><path class="head" d="{}"/>{}</svg>'
    ).format(label, width + 2, height + 2, width + 2, "".join(edges), "".join(heads), Markup("").join(boxes))


def wide(uses: Mapping[str, Sequence[str]], verdicts: Mapping[str, str], width: float = 1150.0) -> Markup:
    """Draw the graph from left to right within a width.

    Args:
        uses: for each claim the ids it builds on; ids that are not keys are left out.
        verdicts: verdict of each claim.
        width: target width in px; ids are broken into lines until the layers fit (deep graphs may stay wider, and are
            then shown smaller), and connected parts fill shelves.

    Returns:
        An SVG element; empty where there are no claims.
    """
    if not uses:
        return Markup("")
    known = acyclic(uses)
    depth = layers(known)
    parts = _components(known)
    drawn, sizes = [], []
    for part in parts:
        for chars in (28, 24, 20, 17, 14, 11):
            columns = _columns(part, known, depth, chars)
            size = _place(columns, *((46.0, 10.0) if width > 900 else (20.0, 7.0)))
            if size[0] <= width:
                break
        drawn.append(columns)
        sizes.append(size)
    x = y = shelf = reached = 0.0
    edges, heads, boxes = [], [], []
    for columns, (across, down) in zip(drawn, sizes, strict=True):
        if x > 0 and x + across > width:
            x, y, shelf = 0.0, y + shelf + 12, 0.0
        for node in (node for column in columns for node in column):
            node.x, node.y = node.x + x, node.y + y
        for node in (node for column in columns for node in column if node.lines):
            edges += _edges(node)
            heads += [_arrow(node.x, node.y)] if node.before else []
            boxes.append(_box(node, verdicts[node.name], f"{node.name}: {verdicts[node.name]}"))
        x, shelf, reached = x + across + 18, max(shelf, down), max(reached, x + across)
    return _svg(reached, y + shelf, "Claims and what each builds on", edges, heads, boxes)


def _reading_order(uses: Mapping[str, Sequence[str]]) -> list[str]:
    """Every claim after what it uses, and close to it; parts that touch nothing last."""
    users: dict[str, list[str]] = {name: [n for n in uses if name in uses[n]] for name in uses}
    order: list[str] = []
    for part in _components(uses):
        stack = [name for name in reversed(part) if not uses[name]]
        while stack:
            name = stack.pop()
            if name not in order:
                order.append(name)
                ready = [n for n in users[name] if all(other in order for other in uses[n])]
                stack += reversed(ready)
    return order


def tall(uses: Mapping[str, Sequence[str]], verdicts: Mapping[str, str], width: float = 356.0) -> Markup:
    """Draw one claim a row; a lane on the left runs from a claim down to each claim that uses it.

    Args:
        uses: for each claim the ids it builds on; ids that are not keys are left out.
        verdicts: verdict of each claim.
        width: width in px.

    Returns:
        An SVG element; empty where there are no claims.
    """
    if not uses:
        return Markup("")
    known = acyclic(uses)
    order = _reading_order(known)
    row = {name: i for i, name in enumerate(order)}
    last = {name: max((row[n] for n in order if name in known[n]), default=row[name]) for name in order}
    lane: dict[str, int] = {}
    sources = [name for name in order if last[name] > row[name]]
    for name in sorted(sources, key=lambda n: last[n] - row[n]):  # short lanes next to the names
        taken = {lane[n] for n in lane if row[n] <= last[name] and row[name] <= last[n]}
        lane[name] = next(i for i in range(len(order)) if i not in taken)
    count = 1 + max(lane.values(), default=-1)
    step = min(10.0, 90.0 / max(1, count))
    left = 10 + step * count + (8 if count else -8)
    chars = int((width - left - 20 - _MARK) / _CHAR)
    nodes: dict[str, _Node] = {}
    y = 0.0
    for name in order:
        node = nodes[name] = _Node(name, _wrap(name, chars), x=left, width=width - left)
        node.y = y + node.height / 2
        y += node.height + 6
    edges, heads = [], []
    for name, column in lane.items():
        x = left - 12 - step * (column + 0.5)
        ends = [nodes[n] for n in order if name in known[n]]
        edges.append(f"M{left:.0f} {nodes[name].y + 5:.1f}H{x + 5:.1f}q-5 0 -5 5V{max(n.y for n in ends) - 10:.1f}")
        for end in ends:
            edges.append(f"M{x:.1f} {end.y - 10:.1f}q0 5 5 5H{left - 6:.0f}")
            heads.append(_arrow(left, end.y - 5))
    boxes = [_box(nodes[name], verdicts[name], f"{name}: {verdicts[name]}") for name in order]
    return _svg(width, y - 6, "Claims in the order in which they build on each other", edges, heads, boxes)
