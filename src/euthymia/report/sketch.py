"""Pictures of boxes, lines and words as SVG in black on white: with real text, for pages, PDFs and print alike."""

import re
from collections.abc import Sequence
from html import escape

from markupsafe import Markup

from euthymia.protocol.plain_words import MARKS

SIZE = 12.0  # px
LINE = 15.5  # px from line to line
INK = "#1b1f24"
NBSP = "\N{NO-BREAK SPACE}"
LOUD = MARKS["no"]
FONT = "Arial, Helvetica, sans-serif"

# widths of letters in Arial, in parts of the size; all others are taken as 0.56
_WIDTHS = {
    **dict.fromkeys("ijl'|", 0.24),
    **dict.fromkeys(" ftIr.,:;/!()[]-", 0.31),
    **dict.fromkeys("cksvxyzJ", 0.5),
    **dict.fromkeys("ABEFKLPSTVXYZ+<=>", 0.68),
    **dict.fromkeys("CDGHNOQRUw&", 0.75),
    **dict.fromkeys("mMW%@", 0.92),
}

# what is not torn apart at the end of a line: a number and its unit, a day and its number, a mark
_TOGETHER = re.compile(r"(?<=\d) (?=%|h\b|min\b|days?\b|weeks?\b|mg|mmHg|points?\b|years?\b)|(?<=day) (?=\d)|(?<=NOT) ")


def width_of(text: str, size: float = SIZE, bold: bool = False) -> float:
    """About how wide a text is (px); what is not in Latin letters is taken as wide."""
    widths = (_WIDTHS.get(letter, 0.56 if ord(letter) < 0x500 else 1.0) for letter in text)
    return size * sum(widths) * (1.08 if bold else 1.02)


def folded(text: str, width: float, bold: bool = False) -> list[str]:
    """A text in lines no wider than `width` (px); a word too long for a line is cut."""
    lines: list[str] = []
    for word in _TOGETHER.sub(NBSP, text).split(" "):
        if lines and width_of(f"{lines[-1]} {word}", bold=bold) <= width:
            lines[-1] += f" {word}"
            continue
        while width_of(word, bold=bold) > width and len(word) > 1:
            cut = next(k for k in range(len(word) - 1, 0, -1) if k == 1 or width_of(word[:k], bold=bold) <= width)
            lines.append(word[:cut])
            word = word[cut:]
        lines.append(word)
    return [line.replace(NBSP, " ") for line in lines]


class Sketch:
    """A picture that grows downwards and can be cut across. Coordinates in px from the upper left corner."""

    def __init__(self, width: float) -> None:
        self.width = width
        self.drawn: list[tuple[float, float, str]] = []
        """Top, bottom and what is between."""

    def line(self, points: Sequence[tuple[float, float]], *, stroke: float = 1.3, dash: str = "", arrow: bool = False):
        """A line through points, with an arrow at its end if wanted."""
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self._shape(points, f'<polyline points="{_path(points)}" fill="none" {_ink(stroke)}{dashed}/>')
        if arrow:
            (x0, y0), (x, y) = points[-2:]
            dx, dy = (x > x0) - (x < x0), (y > y0) - (y < y0)
            left = (x - 7 * dx - 4 * dy, y - 7 * dy - 4 * dx)
            right = (x - 7 * dx + 4 * dy, y - 7 * dy + 4 * dx)
            self.polygon([(x, y), left, right], fill=INK)

    def polygon(self, points: Sequence[tuple[float, float]], *, fill: str = "#fff", stroke: float = 1.3) -> None:
        """A closed shape."""
        self._shape(points, f'<polygon points="{_path(points)}" fill="{fill}" {_ink(stroke)}/>')

    def box(
        self,
        place: tuple[float, float, float, float],
        *,
        round_: float = 0,
        stroke: float = 1.3,
        dash: str = "",
        fill: str = "#fff",
    ) -> None:
        """A rectangle (x, y, width, height), with round corners if wanted; stroke 0: without an edge."""
        x, y, width, height = place
        edge = f" {_ink(stroke)}" if stroke else ""
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        where = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{round_:g}"'
        self._shape([(x, y), (x, y + height)], f'<rect {where} fill="{fill}"{edge}{dashed}/>')

    def circle(self, x: float, y: float, radius: float) -> None:
        """A full circle."""
        spot = f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{INK}"/>'
        self._shape([(x, y - radius), (x, y + radius)], spot)

    def words(self, x: float, y: float, text: str, *, bold: bool = False, anchor: str = "start", size: float = SIZE):
        """One line of text; `y` is its base line. What was not verified is bold."""
        weight = ' font-weight="700"' if bold else ""
        where = f' text-anchor="{anchor}"' if anchor != "start" else ""
        sized = f' font-size="{size:g}"' if size != SIZE else ""
        said = escape(text, quote=False).replace(LOUD, f'<tspan font-weight="700">{LOUD}</tspan>')
        self._shape([(x, y - size), (x, y + 4)], f'<text x="{x:g}" y="{y:g}"{weight}{where}{sized}>{said}</text>')

    def svg(self, top: float, bottom: float) -> Markup:
        """The picture between two heights, as it stands within a page."""
        # its own white ground: a browser that darkens pages leaves the ink of pictures as it is
        paper = f'<rect x="0" y="{top:g}" width="{self.width:g}" height="{bottom - top:g}" fill="#fff"/>'
        inside = paper + "".join(markup for first, last, markup in self.drawn if first < bottom and last > top)
        return Markup(
            f'<svg width="{self.width:g}" height="{bottom - top:g}" viewBox="0 {top:g} {self.width:g} {bottom - top:g}"'
            f' font-family="{FONT}" font-size="{SIZE:g}" fill="{INK}">{inside}</svg>'
        )

    def _shape(self, points: Sequence[tuple[float, float]], markup: str) -> None:
        heights = [y for _, y in points]
        self.drawn.append((min(heights) - 1, max(heights) + 1, markup))


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)


def _ink(stroke: float) -> str:
    return f'stroke="{INK}" stroke-width="{stroke:g}"'
