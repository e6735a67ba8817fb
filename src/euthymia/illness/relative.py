"""How the same plasticity, drugs and trials work in another illness: ratios to unipolar depression."""

import equinox as eqx

from euthymia import evidence

RATIOS = {
    "depression": (),
    "bipolar": ("gain", "durability", "background", "fluctuation"),
    "ptsd": ("gain", "antidepressant", "background", "fluctuation"),
}
"""Of which ratios an illness has rows of its own; all others are 1."""


class Relative(eqx.Module):
    """Ratios to unipolar depression: of the drug's gain, of how long plasticity lasts, of what an oral antidepressant
    does to symptoms, of the response that is not the drug's, and of the patient's ups and downs."""

    gain: float = 1.0
    durability: float = 1.0
    antidepressant: float = 1.0
    background: float = 1.0
    fluctuation: float = 1.0

    @staticmethod
    def of(illness: str) -> "Relative":
        """illness: a key of `RATIOS`."""
        return Relative(**{name: evidence.value(f"{illness}.{name}_factor") for name in RATIOS[illness]})
