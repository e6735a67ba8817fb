"""Euthymia: simulate ketamine in psychiatry, from dose to mood, on virtual patients."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from euthymia.course.simulate import simulate

__all__ = ["simulate"]


def __getattr__(name: str):
    # heavy libraries load when first used, so that the command line answers at once
    if name == "simulate":
        from euthymia.course.simulate import simulate

        return simulate
    raise AttributeError(f"module 'euthymia' has no attribute {name!r}")
