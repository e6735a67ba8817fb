"""The JavaScript of a page, and what it reads there; and Vega, Vega-Lite and Vega-Embed in one piece, so that a report
needs no network.

The bundle comes out of vl-convert (about two seconds); it is kept in the user's cache folder for the next report.
"""

import base64
import hashlib
import json
import os
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from markupsafe import Markup

NOTICE = (
    "/* Vega (c) Trifacta, Inc. and University of Washington Interactive Data Lab; Vega-Lite and Vega-Embed (c) "
    "University of Washington Interactive Data Lab; BSD 3-Clause. With D3 (c) Mike Bostock, ISC, and other libraries "
    "under permissive licences; see https://github.com/vega. */\n"
)
SNIPPET = "window.vegaEmbed = vegaEmbed;"


def _kept() -> Path | None:
    """Where the bundle is kept; None without a home folder."""
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return None
    return base / "euthymia" / f"vega-{version('vl-convert-python')}.js"


def _read() -> str | None:
    kept = _kept()
    try:
        text = kept.read_text(encoding="utf-8") if kept else ""
    except OSError:
        return None
    return text if text.endswith(SNIPPET + "\n") else None


def is_kept() -> bool:
    """Whether a former report left the bundle in the cache."""
    return _read() is not None


@lru_cache
def bundle() -> str:
    """The libraries as one script that defines `vegaEmbed`."""
    text, kept = _read(), _kept()
    if text is not None:
        return text
    import vl_convert

    # a closing tag inside a string would end the script element of the page
    text = NOTICE + vl_convert.javascript_bundle(SNIPPET).replace("</script", "<\\/script") + f"\n// {SNIPPET}\n"
    if kept is not None:
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            part = kept.with_name(f"{kept.name}.{os.getpid()}.part")
            part.write_text(text, encoding="utf-8")
            part.replace(kept)
        except OSError:
            pass  # a cache that cannot be written costs two seconds, nothing else
    return text


def allowed(text: str) -> str:
    """What the page's security policy lets run: exactly this script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def as_json(value: Any) -> Markup:
    """JSON that is safe inside a script element, whatever its strings hold."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    for mark, code in (
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("&", "\\u0026"),
        ("\u2028", "\\u2028"),
        ("\u2029", "\\u2029"),
    ):
        text = text.replace(mark, code)
    return Markup(text)
