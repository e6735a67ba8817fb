"""Published trials on virtual patients: their arms, their endpoints, and predicted beside observed."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from euthymia.trial.check import Check, calibration_check

__all__ = ["Check", "calibration_check"]


def __getattr__(name: str) -> Any:
    # the engine loads when first used
    if name in __all__:
        from euthymia.trial import check

        return getattr(check, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
