"""Mechanisms the evidence disputes, as named switches; the first choice of each is the default."""

from dataclasses import dataclass, fields
from typing import Literal, get_args, get_type_hints

from euthymia.errors import UserError


@dataclass(frozen=True)
class Variants:
    """Switches over disputed mechanisms. `SOURCES` says who disputes what."""

    norketamine: Literal["blocks", "inert"] = "blocks"
    arketamine_route: Literal["off", "on"] = "off"
    hydroxynorketamine: Literal["off", "shown", "acts"] = "off"
    over_block: Literal["on", "off"] = "on"
    mtorc1: Literal["not required", "required"] = "not required"
    rapamycin: Literal["no", "yes"] = "no"
    ampa_antagonist: Literal["no", "yes"] = "no"
    ptsd_trials: Literal["meta-analysis", "positive"] = "meta-analysis"

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for f in fields(self):
            allowed = get_args(hints[f.name])
            if getattr(self, f.name) not in allowed:
                raise UserError(
                    f"variant {f.name} is {getattr(self, f.name)!r}; allowed: {', '.join(map(repr, allowed))}."
                )

    def changed(self) -> dict[str, str]:
        """The switches that differ from the default."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}


SOURCES = {
    "ptsd_trials": "six trials together put ketamine's effect on PTSD at g 0.27; one mainly civilian trial (Feder "
    "2021, n=30) found d 1.13, and its size is taken where the choice is 'positive'",
    "norketamine": "blocks NMDA receptors about six times more weakly than ketamine (Shaffer 2014, rat); Simons 2022 "
    "saw no effect of it in humans, Kamp 2021 the opposite sign on the heart",
    "arketamine_route": "R-ketamine is at least as potent as S-ketamine in rodents; 0.5 mg/kg did not differ from "
    "saline in one human trial (n=10)",
    "hydroxynorketamine": "human levels block no NMDA receptors; an NMDA-independent effect is claimed from rodents; "
    "the exposure itself is uncertain two- to threefold",
    "over_block": "glutamate no longer rises at anaesthetic doses in rats (Moghaddam 1997, Chowdhury 2012); human "
    "support is weak (Lii 2023; ketamine as anaesthetic for ECT), and no human data fix its duration",
    "mtorc1": "rapamycin abolishes the effect in rodents; oral rapamycin did not block it in humans and prolonged it "
    "(Abdallah 2020)",
    "rapamycin": "an experimental condition: blocks mTORC1, which matters only if mtorc1 is 'required'",
    "ampa_antagonist": "an experimental condition: blocks the AMPA step of the surge, which abolishes the effect in "
    "rats",
}
