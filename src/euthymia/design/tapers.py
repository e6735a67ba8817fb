"""How a course begins and ends: a titration up to the full dose, wider spacings at its end, and doses that step down.

All work on a document as it is written. A dose that a rule has set for a patient goes on instead of those listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from euthymia.errors import UserError
from euthymia.protocol.quantity import parse

TITRATION, TAPER, DOSE_TAPER = "titration", "taper", "dose taper"
NONE = "none"
"""No titration, and no taper of the dose."""
WIDER = ("1 week", "2 weeks", "4 weeks")
"""Spacings through which a taper goes, as far as they are wider than that of the last phase."""
LISTED = "dose by session"


def titrates(phases: list[dict[str, Any]]) -> bool:
    """Whether a titration can be varied: the first phase gives the drug of the protocol more than once. Where it lists
    its doses already, these are varied one by one."""
    return bool(phases) and _plain(phases[0]) and phases[0].get("doses") != 1


def tapers_dose(phases: list[dict[str, Any]]) -> bool:
    """Whether a taper of the dose can be varied: there are sessions before those that are tapered."""
    return bool(phases) and _plain(phases[-1]) and (len(phases) > 1 or phases[0].get("doses", 1) > 1)


def _plain(phase: Mapping[str, Any]) -> bool:
    return "drug" not in phase and LISTED not in phase


def titrate(document: dict[str, Any], value: str) -> None:
    """Begin with doses in turn, one a session, and go on with the full dose. Raises UserError where they do not rise to
    it, or the first phase is too short."""
    phase = document["phases"][0]
    steps, full = _steps(value), _full(document, phase)
    if not _rises([*steps, full]):
        raise UserError(f"{TITRATION}: {value} does not rise to the full dose of {full}.")
    if len(steps) >= phase.get("doses", len(steps) + 1):
        raise UserError(f"{TITRATION}: the {phase['doses']} sessions of {phase['name']} leave none at the full dose.")
    phase.pop("dose", None)
    phase[LISTED] = [*steps, full]


def taper_dose(document: dict[str, Any], value: str) -> None:
    """End with doses in turn, one a session: the last ones where the last phase has a number of sessions, otherwise
    from its first on, and then the last dose goes on. Raises UserError where they do not fall, or are too many."""
    phases = document["phases"]
    phase = phases[-1]
    steps, listed = _steps(value), phase.get(LISTED) or [_full(document, phase)]
    full = listed[-1]
    if not _rises([*reversed(steps), full]):
        raise UserError(f"{DOSE_TAPER}: {value} does not fall from the full dose of {full}.")
    if "doses" in phase:
        before = [*listed, *[full] * (phase["doses"] - len(listed))]
        if len(steps) > before.count(full) - (len(phases) == 1):
            raise UserError(f"{DOSE_TAPER}: the {phase['doses']} sessions of {phase['name']} are too few for {value}.")
        steps = [*before[: -len(steps)], *steps]
    phase.pop("dose", None)
    phase[LISTED] = steps


def taper(document: dict[str, Any], sessions: int) -> None:
    """So many sessions at each of the wider spacings after the last phase. One that would go on for good has so many
    sessions itself, and the widest spacing goes on. Raises UserError where nothing is wider."""
    phases = document["phases"]
    last = phases[-1]
    gaps = wider(last)
    if not sessions:
        return
    if not gaps:
        raise UserError(f"no taper is wider than sessions of {last['name']} every {' + '.join(last['every'])}.")
    goes_on = "doses" not in last and "until" not in last
    kept = {key: last[key] for key in ("dose", "drug") if key in last}
    if LISTED in last:
        kept["dose"] = last[LISTED][-1]
    phases += [{"name": f"taper every {gap}", "doses": sessions, "every": [gap], **kept} for gap in gaps]
    if goes_on:
        last["doses"] = sessions
        del phases[-1]["doses"]


def wider(last: Mapping[str, Any]) -> tuple[str, ...]:
    """Spacings of a taper after the last phase; none where it widens by a rule or is a single dose."""
    if "every" not in last or "widen to" in last:
        return ()
    own = mean_gap_h(" + ".join(last["every"]))
    return tuple(gap for gap in WIDER if mean_gap_h(gap) > own)


def mean_gap_h(rhythm: str) -> float:
    """The mean of gaps that are taken in turn (h)."""
    gaps = [parse(gap, "duration").value for gap in rhythm.split("+")]
    return sum(gaps) / len(gaps)


def undone(document: Mapping[str, Any]) -> str | None:
    """A sentence where a rule that speaks at every session would raise a listed dose: such rules say what is tolerated,
    and were written for the full dose."""
    for k, phase in enumerate(document["phases"]):
        later = phase.get(LISTED, ())[1 if k == 0 else 0 :]  # a rule speaks from the second session of a course on
        for rule in document.get("adjust", ()):
            low = next((dose for dose in later if _amount(dose) < _amount(rule["dose to"])), None)
            if low and "after dose" not in rule and "from dose" not in rule:
                return (
                    f"{rule['rule']} gives {rule['dose to']} where the dose of {phase['name']} steps through {low}; "
                    f"leave the rule out ({rule['rule']}=off) or step no lower."
                )
    return None


def _steps(value: str) -> list[str]:
    return value.split(" + ")


def _full(document: Mapping[str, Any], phase: Mapping[str, Any]) -> str:
    return phase.get("dose") or document["drug"]["dose"]


def _rises(doses: list[str]) -> bool:
    """Whether doses never fall, and come from a lower one."""
    numbers = [_amount(dose) for dose in doses]
    return numbers == sorted(numbers) and numbers[0] < numbers[-1]


def _amount(dose: str) -> float:
    return parse(dose, "dose").value
