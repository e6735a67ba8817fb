"""The model beside published figures: trial arms and plasma levels, predicted next to observed."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from euthymia.trial.check import Check, calibration_check
    from euthymia.trial.plasma import PlasmaCheck, PlasmaRow, plasma_check

__all__ = ["Check", "PlasmaCheck", "PlasmaRow", "calibration_check", "plasma_check"]

_HOME = {"Check": "check", "calibration_check": "check"}


def __getattr__(name: str) -> Any:
    # the engine loads when first used
    if name in __all__:
        return getattr(import_module(f"{__name__}.{_HOME.get(name, 'plasma')}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
