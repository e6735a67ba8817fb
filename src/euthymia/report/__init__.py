"""The report: one HTML page that shows what a protocol does, from plasma to mood, with its harms and its limits."""

from euthymia.report.ladder import Rung
from euthymia.report.page import write

__all__ = ["Rung", "write"]
