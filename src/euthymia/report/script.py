"""The JavaScript of a page: Vega, Vega-Lite and Vega-Embed in one piece, so that a report needs no network.

The bundle comes out of vl-convert (about two seconds); it is kept in the user's cache folder for the next report.
"""

import os
from functools import lru_cache
from pathlib import Path

NOTICE = (
    "/* Vega (c) Trifacta, Inc. and University of Washington Interactive Data Lab; Vega-Lite and Vega-Embed (c) "
    "University of Washington Interactive Data Lab; BSD 3-Clause. With D3 (c) Mike Bostock, ISC, and other libraries "
    "under permissive licences; see https://github.com/vega. */\n"
)
SNIPPET = "window.vegaEmbed = vegaEmbed;"


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "euthymia"


@lru_cache
def bundle() -> str:
    """The libraries as one script that defines `vegaEmbed`."""
    import vl_convert

    versions = f"{vl_convert.get_vega_version()}-{vl_convert.get_vegalite_versions()[-1]}"
    kept = None
    try:
        kept = _cache() / f"vega-{versions}.js"
        text = kept.read_text(encoding="utf-8")
        if text.endswith(SNIPPET + "\n"):
            return text
    except (OSError, RuntimeError):  # RuntimeError: no home folder
        pass
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
