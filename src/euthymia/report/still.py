"""Pages that read well without a script: charts are drawn once, as SVG, into the one template that such pages share.

Pictures are narrow panels in a row that wraps, so that their words are as large on a phone as on paper.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from euthymia.course.store import write_whole
from euthymia.report.charts import CONFIG, SCHEMA, Spec, look
from euthymia.report.notes import NOT_A_DEVICE

PANEL = 340  # px: three side by side on a desktop, one on a phone


@dataclass(frozen=True)
class Picture:
    """One or several SVG panels, and what they show in words; `narrow`: panels to be shown on a phone instead."""

    title: str
    description: str
    panels: tuple[Markup, ...]
    narrow: tuple[Markup, ...] = ()


class Table(NamedTuple):
    """Numbers behind a picture."""

    caption: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]


def drawn(spec: Spec) -> Markup:
    """A specification drawn. Names of namespaces go: inside HTML they mean nothing, and the page holds no address."""
    import vl_convert

    drawn = vl_convert.vegalite_to_svg(json.dumps(spec))
    drawn = drawn.replace("\N{MINUS SIGN}", "-")
    drawn = re.sub(r' xmlns(:\w+)?="[^"]*"', "", drawn, count=2)
    return Markup(drawn.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1))


def panel(layers: Sequence[Spec], width: int, height: int, title: str = "", **more: Any) -> Spec:
    """The specification of one panel. more: what else stands at its top level."""
    look = {k: v for k, v in CONFIG.items() if k not in ("axisX", "axisY")}
    look["axis"] = CONFIG["axis"] | {"domain": False, "ticks": False, "titleFontSize": 12, "labelFontSize": 12}
    look["legend"] = CONFIG["legend"] | {
        "direction": "horizontal",
        "columns": 2,
        "symbolSize": 70,
        "symbolOpacity": 1,
        "title": None,
    }
    made = {
        "$schema": SCHEMA,
        "config": look | {"font": "Arial, Helvetica, sans-serif", "background": None},
        "width": width,
        "height": height,
        "padding": {"left": 4, "right": 8, "top": 4, "bottom": 4},
        "layer": list(layers),
    } | more
    if title:
        made["title"] = {"text": title, "fontSize": 12, "anchor": "start", "offset": 8}
    return made


def extent(values: Sequence[float], share: float = 0.06) -> list[float]:
    """Ends of an axis that holds all values, with some room."""
    low, high = min(values), max(values)
    room = share * ((high - low) or 1.0)
    return [low - room, high + room]


@lru_cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("euthymia.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        together=lambda text: re.sub(r" (?=%)|(?<=\bp) (?=[=<])|(?<=\bp =) |(?<=\bp <) ", "\N{NO-BREAK SPACE}", text),
        sentence=lambda text: f"{text[0].upper()}{text[1:].rstrip('.')}.",
    )
    made.globals["look"] = look
    return made


def render(template: str, **context: Any) -> str:
    """A page as text. template: one that extends `still.html`."""
    style = files("euthymia.report").joinpath("page.css").read_text(encoding="utf-8")
    made = _environment().get_template(template)
    return made.render(style=Markup(style), release=metadata.version("euthymia"), device=NOT_A_DEVICE, **context)


def written(text: str, path: Path) -> Path:
    """Write a page whole, or leave what is there, and return its path. Raises UserError where it cannot be written."""
    write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))
    return path
