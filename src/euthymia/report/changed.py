"""What changed between two protocols, as a page."""

from pathlib import Path

from euthymia.protocol.changes import CONCERNS, JUDGED, differences, title_of
from euthymia.protocol.document import Protocol
from euthymia.report.still import render, written


def page(before: Protocol, after: Protocol) -> str:
    """The page as text."""
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
    )


def write_changed(before: Protocol, after: Protocol, path: str | Path) -> Path:
    """Write what leads from one protocol to another as one HTML page, and return its path.

    path: the file, replaced whole or not touched. Raises UserError when it cannot be written.
    """
    return written(page(before, after), Path(path))
