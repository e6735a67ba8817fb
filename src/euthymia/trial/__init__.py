"""The model beside published figures: trials and plasma levels, predicted next to observed."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from euthymia.trial.plasma import PlasmaCheck, PlasmaRow, plasma_check
    from euthymia.trial.validation import Validation, validate

__all__ = ["PlasmaCheck", "PlasmaRow", "Validation", "plasma_check", "validate"]

_HOME = {"Validation": "validation", "validate": "validation"}


def __getattr__(name: str) -> Any:
    # the engine loads when first used
    if name in __all__:
        return getattr(import_module(f"{__name__}.{_HOME.get(name, 'plasma')}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
