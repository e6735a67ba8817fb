"""What changed between two protocols, as a page; and, where they were simulated, for whom it matters."""

from pathlib import Path

from euthymia.course.difference import GROUPED, HEAD, Difference, effect_rows, group_head, group_rows
from euthymia.protocol.changes import CONCERNS, JUDGED, differences, title_of
from euthymia.protocol.document import Protocol
from euthymia.report.still import render, written


def page(before: Protocol, after: Protocol, simulated: Difference | None = None) -> str:
    """The page as text. simulated: both protocols followed by the same virtual patients."""
    changes = differences(before, after)
    grouped = [(concerns, [c for c in changes if c.concerns == concerns]) for concerns in CONCERNS]
    return render(
        "changed.html",
        before=before,
        after=after,
        title=title_of(before, after, changes),
        groups=[(concerns, own) for concerns, own in grouped if own],
        warnings=[(p.name, rule.warning) for p in (before, after) for rule in p.warnings],
        judged=JUDGED,
        simulated=simulated,
        tables=_tables(simulated) if simulated else [],
    )


def _tables(found: Difference) -> list[tuple[str, tuple[str, ...], list[tuple[str, ...]]]]:
    """Caption, head and rows of each table; none where nothing differs."""
    if not found.differs.any():
        return []
    return [
        ("What the change does, in all patients", HEAD, effect_rows(found)),
        (GROUPED, group_head(found), group_rows(found)),
    ]


def write_changed(before: Protocol, after: Protocol, path: str | Path, simulated: Difference | None = None) -> Path:
    """Write what leads from one protocol to another as one HTML page, and return its path.

    path: the file, replaced whole or not touched; simulated: as of `page`. Raises UserError when it cannot be written.
    """
    return written(page(before, after, simulated), Path(path))
