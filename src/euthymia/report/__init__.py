"""The report: one HTML page that shows what a protocol does, from plasma to mood, with its harms and its limits."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from euthymia.report.ladder import Rung
    from euthymia.report.page import write

__all__ = ["Rung", "write"]

_HOME = {"Rung": "ladder", "write": "page"}


def __getattr__(name: str) -> Any:
    # the page's libraries load when first used
    if name in __all__:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
