"""Euthymia: simulate ketamine in psychiatry, from dose to mood, on virtual patients."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from euthymia.course.ruled import follow_rules
    from euthymia.course.simulate import simulate

__all__ = ["follow_rules", "simulate"]

_HOME = {"simulate": "euthymia.course.simulate", "follow_rules": "euthymia.course.ruled"}


def __getattr__(name: str):
    # heavy libraries load when first used, so that the command line answers at once
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'euthymia' has no attribute {name!r}")
