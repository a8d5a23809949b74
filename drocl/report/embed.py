"""Put saved figures into a page: each is stored once as an SVG symbol and shown by `<use>` wherever it is needed."""

import base64
import re
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

LARGEST_SVG = 400_000  # bytes; above it the PNG is embedded where that is smaller


@dataclass(frozen=True)
class Picture:
    """A figure as a page needs it.

    Args:
        symbol: `<symbol id="figure-ID">`, to stand once in the page.
        width: natural width in px (96 to the inch).
        height: natural height in px.
    """

    symbol: Markup
    width: float
    height: float

    def shown(self, name: str, label: str) -> Markup:
        """The element that shows the figure, with its accessible name."""
        return Markup(
            '<svg class="figure" role="img" aria-label="{}" viewBox="0 0 {:g} {:g}" width="{:.0f}">'
            '<use href="#figure-{}"/></svg>'
        ).format(label, self.width, self.height, self.width, name)


def picture(folder: Path, name: str) -> Picture:
    """Read a figure saved by the runner.

    Args:
        folder: the folder of figures.
        name: the figure's id.

    Returns:
        The figure with every id in it prefixed, so that many fit into one page.

    Raises:
        ValueError: if its SVG has no size.
    """
    path = folder / f"{name}.svg"
    text = path.read_text(encoding="utf-8")
    opening = re.search(r"<svg\b[^>]*>", text)
    box = re.search(r'viewBox="([-\d.eE ]+)"', opening[0]) if opening else None
    if opening is None or box is None:
        raise ValueError(f"{path} has no <svg viewBox=...>")
    left, top, width, height = map(float, box[1].split())
    bitmap = folder / f"{name}.png"
    if len(text) > LARGEST_SVG and bitmap.is_file() and bitmap.stat().st_size < len(text):
        data = base64.b64encode(bitmap.read_bytes()).decode()
        inside = f'<image href="data:image/png;base64,{data}" width="{width:g}" height="{height:g}"/>'
        left = top = 0.0
    else:
        inside = _inside(text[opening.end() : text.rindex("</svg>")], f"figure-{name}-")
    symbol = f'<symbol id="figure-{name}" viewBox="{left:g} {top:g} {width:g} {height:g}">{inside}</symbol>'
    points_to_px = 96 / 72
    return Picture(Markup(symbol), width * points_to_px, height * points_to_px)


def _inside(body: str, prefix: str) -> str:
    """The content of an SVG without metadata, with global styles made local and ids prefixed or dropped."""
    body = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<title>.*?</title>", "", body, flags=re.DOTALL)
    body = re.sub(r"<style\b[^>]*>.*?</style>", "", body, flags=re.DOTALL)  # matplotlib's styles everything in sight
    body = re.sub(r"<script\b.*?</script>", "", body, flags=re.DOTALL)
    body = body.replace("xlink:href=", "href=")
    used = set(re.findall(r'href="#([^"]+)"', body)) | set(re.findall(r"url\(#([^)]+)\)", body))

    def rename(match: re.Match[str]) -> str:
        return f' id="{prefix}{match[1]}"' if match[1] in used else ""

    body = re.sub(r'\s+id="([^"]*)"', rename, body)
    body = re.sub(r'href="#([^"]+)"', lambda match: f'href="#{prefix}{match[1]}"', body)
    body = re.sub(r"url\(#([^)]+)\)", lambda match: f"url(#{prefix}{match[1]})", body)
    body = re.sub(r' (d|x|y|style)="([^"]*)"', lambda match: f' {match[1]}="{_compact(match[1], match[2])}"', body)
    body = re.sub(r">\s+<", "><", body)
    return f'<g style="stroke-linejoin:round;stroke-linecap:butt">{body.strip()}</g>'


def _compact(name: str, value: str) -> str:
    """Path data and places to a hundredth of a point, and no space that says nothing."""
    if name == "style":
        return re.sub(r"\s*([:;])\s*", r"\1", value).strip(";")
    value = re.sub(r"-?\d+\.\d{3,}", lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), value)
    return re.sub(r"\s*([A-Za-z])\s*", r"\1", " ".join(value.split()))
