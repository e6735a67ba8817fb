"""Where every field of a protocol document stands in the PlanDefinition: one table per model, one lens per field.

A new field of the document is a new row here; `tests/protocol/test_fhir.py` fails until it has one.
"""

from __future__ import annotations

from pydantic import BaseModel

from euthymia.protocol import document as d
from euthymia.protocol import rules as r
from euthymia.protocol.fhir.codes import concept
from euthymia.protocol.fhir.elements import (
    REPEAT,
    amount,
    at_least_after,
    count,
    criteria,
    daily,
    decision_time,
    duration,
    every,
    gaps,
    inside,
    length,
    limited,
    measured,
    named,
    names,
    offset,
    offsets,
    only,
    present,
    size,
    subject,
    subjects,
    verified,
    week_end,
    week_start,
    when,
    word,
)
from euthymia.protocol.fhir.lens import URN, Lens, Node, Table, as_word, at, elsewhere, find

USAGE_SYSTEM = "http://terminology.hl7.org/CodeSystem/usage-context-type"
CONTEXT_SYSTEM = URN + "context"
PROTOCOL_SYSTEM = URN + "protocol"
DEFINITION = "definition"
"""While a protocol is put together, the ActivityDefinition of an action stands in it under this name."""


def context(code: str, system: str = CONTEXT_SYSTEM) -> Lens:
    """A word that says where the plan is of use, under a kind of context."""

    def put(node: Node, value: str) -> None:
        use = {"code": {"system": system, "code": code}, "valueCodeableConcept": concept(value)}
        node.setdefault("useContext", []).append(use)

    def get(node: Node) -> str | None:
        uses = node.get("useContext", ())
        return next((find(use, "valueCodeableConcept.text") for use in uses if find(use, "code.code") == code), None)

    return Lens(f"useContext({code})", put, get)


def name_of(protocol: str) -> dict[str, object]:
    """What FHIR calls a protocol of this name."""
    computer = "".join(letter if letter.isalnum() else "_" for letter in protocol)
    return {
        "url": f"{PROTOCOL_SYSTEM}:{protocol}",
        "name": computer[0].upper() + computer[1:],
        "identifier": [{"system": PROTOCOL_SYSTEM, "value": protocol}],
    }


def _named() -> Lens:
    return Lens(
        "identifier[0].value",
        lambda node, value: node.update(name_of(value)),
        lambda node: find(node, "identifier[0].value"),
    )


def _status() -> Lens:
    """The word is a context of use; what R4 can say of it follows: a regimen for supervised care is active, and
    everything else a draft that is not for genuine use."""
    lens = context("status")

    def write(node: Node, value: str) -> None:
        node.update(stage(value))
        lens.put(node, value)

    return Lens(lens.element, write, lens.get)


def stage(status: str) -> dict[str, object]:
    """Publication status and `experimental` of a status of the document."""
    regimen = status == "catalogue"
    return {"status": "active" if regimen else "draft", "experimental": not regimen}


def defined(lens: Lens) -> Lens:
    return inside(DEFINITION, lens)


DOSE = "dosage[0].doseAndRate[0].doseQuantity"
HAS_SOURCE: Table = {
    "source": at("documentation[0].label", type="citation"),
    "verified": verified("documentation[0]"),
    "note": at("description"),
}
RULE: Table = {"rule": at("prefix"), **HAS_SOURCE}

TABLES: dict[type[BaseModel], Table] = {
    d.Protocol: {
        "protocol": _named(),
        "title": at("title"),
        "version": at("version"),
        "status": _status(),
        "summary": at("description"),
        "indication": context("focus", USAGE_SYSTEM),
        "population": context("population"),
        "sources": elsewhere("relatedArtifact"),
        "design": elsewhere("useContext, purpose"),
        "warnings": elsewhere("action"),
        "eligibility": elsewhere("action(eligibility)"),
        "drug": elsewhere("contained(drug)"),
        "alongside": elsewhere("action(course).action"),
        "exposure": elsewhere("action(course).action"),
        "phases": elsewhere("action(course).action"),
        "session": elsewhere("action(course).action(session)"),
        "measure": elsewhere("action(course).action"),
        "adjust": elsewhere("action(course).action"),
        "decide": elsewhere("action(course).action"),
        "safeguards": elsewhere("action(course).action"),
    },
    d.DesignBlock: {
        "expectancy": context("expectancy"),
        "setting": context("venue", USAGE_SYSTEM),
        "sites": context("sites"),
        "note": at("purpose"),
    },
    d.Source: {
        "id": at("label"),
        "citation": at("citation"),
        "url": at("url"),
        "verified": verified(""),
    },
    d.Drug: {
        "compound": word("productCodeableConcept"),
        "route": word("dosage[0].route"),
        "dose": amount(DOSE),
        "over": length("dosage[0].timing.repeat"),
        "never above": amount("dosage[0].maxDosePerAdministration"),
    },
    r.Warning: {**RULE, "warning": at("textEquivalent")},
    r.Eligibility: {"require": elsewhere("action"), "exclude": elsewhere("action")},
    r.Requirement: {
        **RULE,
        "measure": measured(),
        "at least": limited("at least"),
        "at most": limited("at most"),
        "lasting at least": duration("lasting-at-least"),
        "counting": names("counting"),
    },
    r.Exclusion: {
        **RULE,
        "kind": as_word("requiredBehavior", {"absolute": "must", "relative": "must-unless-documented"}),
        "condition": present(),
        "when": when(),
    },
    d.Phase: {
        "name": at("title"),
        "doses": at(f"{REPEAT}.count"),
        "until": week_end("until"),
        "starts": week_start(),
        "every": gaps(),
        "dose": elsewhere("definitionCanonical: dosage.doseAndRate.doseQuantity"),
        "dose by session": elsewhere("definitionCanonical: dosage(sequence).doseAndRate.doseQuantity"),
        "drug": elsewhere("definitionCanonical"),
        "widen to": inside("action[0]", every(), "widen-while"),
        "while": inside("action[0]", when(), "widen-while"),
        "note": at("description"),
    },
    d.Alongside: {
        "agent": defined(word("productCodeableConcept")),
        "dose": defined(daily(DOSE, "dosage[0].timing.repeat")),
        "start": offset("course"),
        "stop": duration("until"),
        **HAS_SOURCE,
    },
    d.Exposure: {
        "therapy": subject(),
        "sessions": at(f"{REPEAT}.count"),
        "every": gaps(),
        "starts": offset("course"),
        "lag": offset("session"),
        **HAS_SOURCE,
    },
    r.Session: {
        "retry": elsewhere("action(retry).relatedAction[0].offsetDuration"),
        "before": elsewhere("action"),
        "observe": elsewhere("action"),
        "stop": elsewhere("action"),
        "discharge": elsewhere("action"),
    },
    r.BeforeRule: {
        **RULE,
        "check": only("check", subject()),
        "valid for": duration("valid-for"),
        "hold when": only("hold", when()),
        "weigh when": only("weigh", when(), requiredBehavior="must-unless-documented"),
        "alert when": only("alert", when()),
        "stop when": only("stop-before", when()),
        "for": duration("hold-for"),
    },
    r.ObserveRule: {
        **RULE,
        "items": subjects(),
        "every": every(),
        "for": amount(f"{REPEAT}.boundsDuration"),
        "at": offsets("session"),
    },
    r.StopRule: {**RULE, "when": when()},
    r.Discharge: {**RULE, "no earlier than": at_least_after("session"), "all of": criteria()},
    r.Measure: {"scale": subject(), "every": every(), "at": offsets("course")},
    r.AdjustRule: {
        **RULE,
        "after dose": count("after-dose"),
        "from dose": count("from-dose"),
        "when": when(),
        "condition": present(),
        "dose to": defined(amount(DOSE)),
        "steps of": size("steps-of"),
    },
    r.DecideRule: {
        **RULE,
        "at": decision_time(),
        "continue when": only("continue", when()),
        "stop when": only("stop-course", when()),
        "widen when": only("widen", when()),
        "step back when": only("step-back", when()),
        "begin again when": only("begin-again", when()),
        "phase": named("phase"),
        "at most": count("at-most"),
    },
    r.Safeguard: {
        **RULE,
        "safeguard": subject(),
        "at least": at_least_after("session"),
        "at most": count("at-most"),
        "every": every(),
        "valid for": duration("valid-for"),
    },
}
"""The paths are those of the action the entry is, or of the definition it refers to."""

RETRY = offset("session", "after")
