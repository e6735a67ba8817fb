"""The clinic of virtual patients: it makes every check, finds no condition that excludes, weighs what is to be weighed
and goes on."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from euthymia.course.readings import NORMAL, simulated
from euthymia.protocol.chart import Chart, met
from euthymia.protocol.document import Protocol
from euthymia.protocol.words import BEFORE_CHECKS, CONDITIONS, SAFEGUARDS


def certain(protocol: Protocol, illness: str) -> Chart:
    """What is known of every virtual patient at every visit."""
    return Chart(
        measures={name: x for name, x in NORMAL.items() if name not in simulated(illness)},
        conditions=dict.fromkeys(CONDITIONS, 0.0),
        checks_h=dict.fromkeys((*BEFORE_CHECKS, *SAFEGUARDS), 0.0),
        signed={rule.rule: 1.0 for rule in protocol.session.before if rule.weigh_when},
    )


def open_questions(protocol: Protocol, illness: str) -> Protocol:
    """The protocol without those rules that never speak because of what is `certain`, whatever a visit shows. Of these
    it is most, and `decide` comes to the same without them in less time."""
    chart = certain(protocol, illness)

    def may_speak(rule: Any) -> bool:
        whens = (getattr(rule, key, None) for key in ("when", "hold_when", "weigh_when", "stop_when", "alert_when"))
        found = [met(protocol, when, chart) for when in whens if when]
        return any(bool(np.any(truth.yes | ~truth.known)) for truth in found)

    def open_(rules: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(filter(may_speak, rules))

    exclude, before = open_(protocol.eligibility.exclude), open_(protocol.session.before)
    return protocol.model_copy(
        update={
            "eligibility": protocol.eligibility.model_copy(update={"exclude": exclude}),
            "session": protocol.session.model_copy(update={"before": before}),
            "safeguards": tuple(r for r in protocol.safeguards if r.at_least is not None or r.at_most is not None),
            "adjust": tuple(r for r in protocol.adjust if not r.condition),
        }
    )
