"""A protocol as a clinician reads it: one printable page, and a PDF of the same content."""

import json
import re
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import Any

from euthymia.course.store import write_whole
from euthymia.protocol.document import Protocol
from euthymia.protocol.plain_words import CLINICIAN, IF_NO_RULE_SPEAKS, SET_BY_CLINIC, STATUS, Said, parts
from euthymia.report import flow, weeks
from euthymia.report.notes import NOT_A_DEVICE
from euthymia.report.still import Picture, render, written

WHOM = ("entry", "absolute", "relative")
PDF_FONT = "Libertinus Serif"  # comes with the typesetter, so that a PDF looks the same everywhere


def page(protocol: Protocol) -> str:
    """The page as text."""
    found = {part.name: part for part in parts(protocol)}
    apart = (*WHOM, "warnings", "calendar", "sources")
    return render(
        "explained.html",
        protocol=protocol,
        status=STATUS[protocol.status],
        found=found,
        whom=[found[name] for name in WHOM if name in found],
        rest=[part for name, part in found.items() if name not in apart],
        numbered={source.id: number for number, source in enumerate(protocol.sources, start=1)},
        flow=Picture(
            "The course",
            "Flow chart of the course; told step by step below it.",
            tuple(flow.draw(protocol)),
            tuple(flow.draw(protocol, flow.NARROW)),
        ),
        flow_in_words=flow.in_words(protocol),
        weeks=Picture(
            "Calendar",
            weeks.in_words(protocol),
            (weeks.draw(protocol, flow.WIDE),),
            (weeks.draw(protocol, flow.NARROW),),
        ),
        table=weeks.table(protocol),
        by_clinic=SET_BY_CLINIC,
        caveat=IF_NO_RULE_SPEAKS,
        clinician=CLINICIAN,
    )


def pdf(protocol: Protocol) -> bytes:
    """The same content as a PDF with real text, set by Typst; equal protocols give equal bytes."""
    import typst

    template = files("euthymia.report").joinpath("explained.typ").read_bytes()
    return typst.compile(
        template,
        sys_inputs={"content": json.dumps(_content(protocol), ensure_ascii=False)},
        timestamp=0,
    )


def _content(protocol: Protocol) -> dict[str, Any]:
    made = weeks.table(protocol)
    words = flow.in_words(protocol)
    return {
        "name": protocol.name,
        "version": protocol.version,
        "title": protocol.title,
        "status": _sentence(STATUS[protocol.status]),
        "treats": protocol.status == "catalogue",
        "summary": protocol.summary,
        "indication": protocol.indication,
        "population": protocol.population,
        "parts": [
            {"name": p.name, "title": p.title, "items": [_told(item) for item in p.items]} for p in parts(protocol)
        ],
        "flow": [{"svg": _alone(svg), "words": said} for svg, said in zip(flow.draw(protocol), words, strict=True)],
        "weeks": {"svg": _alone(weeks.draw(protocol, flow.WIDE)), "words": weeks.in_words(protocol)},
        "table": made._asdict(),
        "caveat": IF_NO_RULE_SPEAKS,
        "clinician": CLINICIAN,
        "device": NOT_A_DEVICE,
        "release": metadata.version("euthymia"),
        "font": PDF_FONT,
    }


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _told(item: Said) -> dict[str, Any]:
    about = " · ".join(filter(None, (item.rule, item.source)))
    return {
        "text": item.text,
        "note": item.note,
        "about": about,
        "mark": item.mark,
        "loud": item.verified == "no",
        "clinic": SET_BY_CLINIC if item.clinic else None,
        "url": item.url,
    }


def _alone(svg: str) -> str:
    """A picture that stands on its own, in the font of the PDF."""
    made = str(svg).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return re.sub(r'font-family="[^"]*"', f'font-family="{PDF_FONT}"', made, count=1)


def write_explained(protocol: Protocol, folder: str | Path) -> tuple[Path, Path]:
    """Write a protocol as a page and as a PDF, named after it, and return their paths.

    Each file is replaced whole or not touched. Raises UserError when it cannot be written.
    """
    base = Path(folder) / protocol.name
    made = pdf(protocol)
    sheet = base.with_name(f"{protocol.name}.pdf")
    text = written(page(protocol), base.with_name(f"{protocol.name}.html"))
    write_whole(sheet, lambda part: part.write_bytes(made))
    return text, sheet
