"""A whole protocol as a FHIR R4 PlanDefinition, and back."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel, ValidationError

from euthymia.errors import UserError
from euthymia.protocol import document as d
from euthymia.protocol import rules as r
from euthymia.protocol.chart import REMISSION_MADRS, RESPONSE_PERCENT, RESPONSE_PERCENT_CAPS5
from euthymia.protocol.document import Protocol
from euthymia.protocol.fhir.codes import concept
from euthymia.protocol.fhir.elements import amount, kind_of, of_kind
from euthymia.protocol.fhir.lens import Lens, Node, Unreadable, find, shown, write
from euthymia.protocol.fhir.shape import check, refusal, tidy
from euthymia.protocol.fhir.tables import DEFINITION, DOSE, PROTOCOL_SYSTEM, RETRY, TABLES, stage
from euthymia.protocol.fhir.units import quantity, quantity_text
from euthymia.protocol.loader import MAX_SHOWN, faults, text_in
from euthymia.protocol.plain_words import CLINICIAN
from euthymia.protocol.reader import Path

TYPE = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/plan-definition-type", "code": "clinical-protocol"}]
}
# kind of action -> the list of the document it is an entry of, and its model
ENTRIES: dict[str, tuple[tuple[str, ...], type[BaseModel]]] = {
    "warning": (("warnings",), r.Warning),
    "require": (("eligibility", "require"), r.Requirement),
    "exclude": (("eligibility", "exclude"), r.Exclusion),
    "phase": (("phases",), d.Phase),
    "alongside": (("alongside",), d.Alongside),
    "exposure": (("exposure",), d.Exposure),
    "check": (("session", "before"), r.BeforeRule),
    "hold": (("session", "before"), r.BeforeRule),
    "weigh": (("session", "before"), r.BeforeRule),
    "alert": (("session", "before"), r.BeforeRule),
    "stop-before": (("session", "before"), r.BeforeRule),
    "observe": (("session", "observe"), r.ObserveRule),
    "end-session": (("session", "stop"), r.StopRule),
    "measure": (("measure",), r.Measure),
    "adjust": (("adjust",), r.AdjustRule),
    "continue": (("decide",), r.DecideRule),
    "stop-course": (("decide",), r.DecideRule),
    "widen": (("decide",), r.DecideRule),
    "step-back": (("decide",), r.DecideRule),
    "begin-again": (("decide",), r.DecideRule),
    "safeguard": (("safeguards",), r.Safeguard),
}
DOSE_OF_ONE = amount("doseAndRate[0].doseQuantity")
GROUPS = ("eligibility", "course", "session")
# what a server adds to a resource, and what says nothing of the protocol
KEPT_BY_SERVERS = ("id", "meta", "text")


# --- writing ----------------------------------------------------------------------------------------------------------


def to_plan_definition(protocol: Protocol) -> dict[str, Any]:
    """The protocol as a FHIR R4 PlanDefinition: plain JSON, complete, in the order of the standard."""
    given = protocol.model_dump(mode="json", by_alias=True, exclude_none=True)
    plan: Node = {"resourceType": "PlanDefinition", "type": TYPE, "usage": CLINICIAN}
    write(plan, TABLES[Protocol], given)
    write(plan, TABLES[d.DesignBlock], given["design"])
    plan["relatedArtifact"] = [write({"type": "citation"}, TABLES[d.Source], item) for item in given["sources"]]
    contained = _Contained(given["status"])
    if drug := given.get("drug"):
        plan["relatedArtifact"].append({"type": "composed-of", "resource": contained.add("drug", _activity(drug))})
    eligibility = given["eligibility"]
    asked = [*_entries("require", eligibility["require"]), *_entries("exclude", eligibility["exclude"])]
    plan["action"] = [
        *_entries("warning", given["warnings"]),
        *([_group("eligibility", asked)] if asked else []),
        _group("course", _course(given, contained)),
    ]
    if contained.resources:
        plan["contained"] = contained.resources
    if goals := _goals(plan["action"], protocol.indication):
        plan["goal"] = goals
    return tidy(plan)


class _Contained:
    """The ActivityDefinitions of a plan."""

    def __init__(self, status: str) -> None:
        self.status = status
        self.resources: list[Node] = []

    def add(self, name: str, activity: Node) -> str:
        """Keep one under a name; what to refer to it by."""
        self.resources.append(activity | {"id": name} | stage(self.status))
        return f"#{name}"


def _activity(drug: Node) -> Node:
    return write({"resourceType": "ActivityDefinition", "kind": "MedicationRequest"}, TABLES[d.Drug], drug)


def _derived(drug: Node, of: str, doses: list[str], numbered: bool = False) -> Node:
    """The same drug in another dose, or in one for each session, the last of which repeats."""
    activity = _activity(drug | {"dose": doses[0]}) | {"relatedArtifact": [{"type": "derived-from", "resource": of}]}
    if numbered:
        each = activity["dosage"][0]
        activity["dosage"] = [
            {**each, "sequence": n + 1, "doseAndRate": [{"doseQuantity": quantity(dose)}]}
            for n, dose in enumerate(doses)
        ]
    return activity


def _entries(code: str, items: list[Node]) -> list[Node]:
    return [of_kind(write({}, TABLES[ENTRIES[code][1]], item), code) for item in items]


def _chosen(model: type[BaseModel], items: list[Node]) -> list[Node]:
    """Actions whose fields say which kind they are."""
    return [write({}, TABLES[model], item) for item in items]


def _group(code: str, actions: list[Node]) -> Node:
    group = of_kind({"id": code, "groupingBehavior": "logical-group"}, code)
    return group | {"action": actions} if actions else group


def _course(given: Node, contained: _Contained) -> list[Node]:
    drug = given.get("drug")
    actions = [_phase(n, phase, drug, contained) for n, phase in enumerate(given["phases"], start=1)]
    for n, action in enumerate(_entries("alongside", given["alongside"]), start=1):
        daily = {"resourceType": "ActivityDefinition", "kind": "MedicationRequest"} | action.pop(DEFINITION)
        dosage = daily.get("dosage", [{"timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}}])
        daily["dosage"] = [dosage[0] | {"route": concept("by mouth")}]
        actions.append(action | {"definitionCanonical": contained.add(f"alongside-{n}", daily)})
    actions += _entries("exposure", given["exposure"])
    actions.append(_group("session", _session(given["session"])))
    actions += _entries("measure", given["measure"])
    for n, action in enumerate(_entries("adjust", given["adjust"]), start=1):
        dose = quantity_text(find(action.pop(DEFINITION), DOSE)) or ""
        activity = _derived(drug or {}, "#drug", [dose])
        actions.append(action | {"definitionCanonical": contained.add(f"adjust-{n}", activity)})
    ids = {f"end of {phase['name']}": f"end of phase-{n}" for n, phase in enumerate(given["phases"], start=1)}
    actions += _chosen(r.DecideRule, [item | {"at": ids.get(item["at"], item["at"])} for item in given["decide"]])
    return actions + _entries("safeguard", given["safeguards"])


def _phase(number: int, phase: Node, drug: Node | None, contained: _Contained) -> Node:
    action = write({"id": f"phase-{number}", "groupingBehavior": "logical-group"}, TABLES[d.Phase], phase)
    definition = "#drug"
    if "drug" in phase:
        drug = phase["drug"]
        definition = contained.add(f"drug-in-phase-{number}", _activity(phase["drug"]))
    doses = phase.get("dose by session") or ([phase["dose"]] if "dose" in phase else [])
    if doses:
        activity = _derived(drug or {}, definition, doses, "dose by session" in phase)
        definition = contained.add(f"dose-in-phase-{number}", activity)
    return of_kind(action | {"definitionCanonical": definition}, "phase")


def _session(session: Node) -> list[Node]:
    actions: list[Node] = []
    if retry := session.get("retry"):
        action: Node = {}
        RETRY.put(action, retry)
        actions.append(of_kind(action, "retry"))
    actions += _chosen(r.BeforeRule, session["before"])
    actions += _entries("observe", session["observe"])
    actions += _entries("end-session", session["stop"])
    if leave := session.get("discharge"):
        actions.append(of_kind(write({}, TABLES[r.Discharge], leave), "discharge"))
    return actions


def _goals(actions: list[Node], indication: str) -> list[Node]:
    """What the states that the actions ask about mean; relapse has no goal."""
    ptsd = indication == "post-traumatic stress disorder"
    improved, percent = (
        ("CAPS-5 improvement", RESPONSE_PERCENT_CAPS5) if ptsd else ("MADRS improvement", RESPONSE_PERCENT)
    )
    meaning = {
        "response": (improved, {"low": quantity(f"{percent:g} %")}),
        "remission": ("MADRS", {"high": quantity(f"{REMISSION_MADRS:g} points")}),
    }
    used: set[str] = set()
    waiting = list(actions)
    while waiting:
        action = waiting.pop()
        used.update(action.get("goalId", ()))
        waiting += action.get("action", ())
    return [
        {"id": name, "description": {"text": name}, "target": [{"measure": concept(measure), "detailRange": limits}]}
        for name, (measure, limits) in meaning.items()
        if name in used
    ]


# --- reading ----------------------------------------------------------------------------------------------------------


def from_plan_definition(resource: object, label: str = "PlanDefinition") -> Protocol:
    """The protocol that a PlanDefinition of ours says; `label` names the resource in errors.

    What a standard element says is what the protocol says: the document is read from them, checked as any document is,
    and written again; whatever then differs was not understood or does not agree with the rest. `id`, `meta` and a
    generated `text` are a server's, and left aside. Raises UserError: not a PlanDefinition of ours, an element, code or
    extension that is not understood, elements that contradict each other, or a document that does not pass its checks.
    """
    plan = _ours(resource, label)
    check(plan, label)
    reading = _Reading(plan, label)
    document = reading.document()
    try:
        protocol = Protocol.model_validate(document)
    except ValidationError as error:
        found = [f"{label}, {reading.spoken(path)}{' '.join(what.split())}" for path, what in faults(error)]
        raise UserError("\n".join(found[:MAX_SHOWN])) from None
    _agree(tidy(plan), to_plan_definition(protocol), "", label)
    return protocol


def reads(text: str, label: str = "PlanDefinition") -> Protocol:
    """The same from JSON text. Raises UserError as well for text that is not JSON."""

    def once(pairs: list[tuple[str, Any]]) -> Node:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("an element is given twice")
        return found

    def no_number(name: str) -> None:
        raise ValueError(f"{name} is not a number of JSON")

    try:
        resource = json.loads(text, object_pairs_hook=once, parse_constant=no_number)
    except RecursionError:
        raise UserError(f"{label}: not JSON that can be read: nested too deep.") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{label}, line {error.lineno}: not JSON: {error.msg}.") from None
    except ValueError as error:
        raise UserError(f"{label}: not JSON that can be read: {str(error).split(';')[0]}.") from None
    return from_plan_definition(resource, label)


def read_file(path: str) -> Protocol:
    """The same from a file. Raises UserError as well for a file that cannot be read."""
    text = text_in(path, "a PlanDefinition is JSON")
    if text is None:
        raise UserError(f"There is no file {path!r}; give the path of a PlanDefinition in JSON.")
    return reads(text, PurePath(path).name)


def _ours(resource: object, label: str) -> Node:
    """The resource without what is a server's."""
    if not isinstance(resource, dict) or resource.get("resourceType") != "PlanDefinition":
        found = shown(resource.get("resourceType")) if isinstance(resource, dict) else "no resource"
        raise refusal(label, "resourceType", f"{found}; allowed: a FHIR R4 PlanDefinition that Euthymia wrote")
    if find(resource, "identifier[0].system") != PROTOCOL_SYSTEM:
        why = f"this plan is not one that Euthymia wrote; allowed: the system {PROTOCOL_SYSTEM}"
        raise refusal(label, "identifier[0].system", why)
    if "text" in resource and find(resource, "text.status") != "generated":
        raise refusal(label, "text", "a narrative that says more than the rest cannot be read; allowed: one generated")
    return {key: value for key, value in resource.items() if key not in KEPT_BY_SERVERS}


class _Reading:
    """Reads a PlanDefinition into a document, and remembers where each field stood."""

    def __init__(self, plan: Node, label: str) -> None:
        self.plan, self.label = plan, label
        self.places: dict[Path, str] = {}
        self.contained = {x.get("id"): (x, f"contained[{n}]") for n, x in enumerate(plan.get("contained", ()))}
        self.given: Node = {}

    def document(self) -> Node:
        plan = self.plan
        self.given = self.entry(plan, "", Protocol, ())
        self.given["design"] = self.entry(plan, "", d.DesignBlock, ("design",))
        self.given["sources"] = []
        for n, artifact in enumerate(plan.get("relatedArtifact", ())):
            if artifact.get("type") == "citation":
                path: Path = ("sources", len(self.given["sources"]))
                self.given["sources"].append(self.entry(artifact, f"relatedArtifact[{n}]", d.Source, path))
        drug = self.contained.get("drug")
        self.given["drug"] = self.entry(*drug, d.Drug, ("drug",)) if drug else "none"
        self.actions(plan, "")
        names = {
            f"end of phase-{n}": phase.get("name") for n, phase in enumerate(self.given.get("phases", ()), start=1)
        }
        for rule in self.given.get("decide", ()):
            if name := names.get(rule.get("at")):
                rule["at"] = f"end of {name}"
        return self.given

    def entry(self, node: Node, base: str, model: type[BaseModel], path: Path) -> Node:
        """The fields of one entry; `base`: where its node stands in the resource."""
        found: Node = {}
        self.places[path] = base
        for key, lens in TABLES[model].items():
            here = self.inside(node, f"{base}.{lens.element}".lstrip("."))
            value = self.value(lens, node, here)
            if value is not None:
                found[key] = value
                self.places[(*path, key)] = here
        return found

    def value(self, lens: Lens, node: Node, here: str) -> Any:
        try:
            return lens.get(node)
        except Unreadable as error:
            raise refusal(self.label, here, str(error)) from None

    def inside(self, node: Node, place: str) -> str:
        """A place within the definition of an action, said as a place in `contained`."""
        above, _, below = place.partition(f"{DEFINITION}.")
        return f"{self.defined(node, above.rstrip('.'))[1]}.{below}" if below else place

    def actions(self, node: Node, base: str) -> None:
        for n, action in enumerate(node.get("action", ())):
            here = f"{base}.action[{n}]".lstrip(".")
            code = kind_of(action)
            if code in GROUPS:
                self.actions(action, here)
            elif code == "retry":
                path: Path = ("session", "retry")
                self.places[path] = f"{here}.{RETRY.element}"
                self.given.setdefault("session", {})["retry"] = self.value(RETRY, action, self.places[path])
            elif code == "discharge":
                rule = self.entry(action, here, r.Discharge, ("session", "discharge"))
                self.given.setdefault("session", {})["discharge"] = rule
            elif code in ENTRIES:
                self.listed(action, here, *ENTRIES[code])
            else:
                allowed = ", ".join((*GROUPS, "retry", "discharge", *ENTRIES))
                why = f"{shown(code or action.get('code'))} is not a kind of action of a protocol; allowed: {allowed}"
                raise refusal(self.label, f"{here}.code[0]", why)

    def listed(self, action: Node, here: str, keys: tuple[str, ...], model: type[BaseModel]) -> None:
        block = self.given
        for key in keys[:-1]:
            block = block.setdefault(key, {})
        entries = block.setdefault(keys[-1], [])
        path: Path = (*keys, len(entries))
        if model in (d.Alongside, r.AdjustRule):
            action = action | {DEFINITION: self.defined(action, here)[0]}
        entry = self.entry(action, here, model, path)
        if model is d.Phase:
            self.dosed(entry, action, here, path)
        entries.append(entry)

    def dosed(self, phase: Node, action: Node, here: str, path: Path) -> None:
        """Add to a phase what it gives, where that is not the drug of the protocol."""
        activity, where = self.defined(action, here)
        origin = find(activity, "relatedArtifact[0].resource")
        if not origin:
            if activity.get("id") != "drug":
                phase["drug"] = self.entry(activity, where, d.Drug, (*path, "drug"))
            return
        if origin != "#drug":
            drug = self.referred(origin, f"{where}.relatedArtifact[0].resource")
            phase["drug"] = self.entry(*drug, d.Drug, (*path, "drug"))
        key = "dose by session" if find(activity, "dosage[0].sequence") is not None else "dose"
        doses = []
        for n, dosage in enumerate(activity.get("dosage", ())):
            place = f"{where}.dosage[{n}].{DOSE_OF_ONE.element}"
            self.places[(*path, key, n)] = place
            doses.append(self.value(DOSE_OF_ONE, dosage, place))
        self.places[(*path, key)] = f"{where}.dosage"
        phase[key] = doses if key == "dose by session" else (doses or [None])[0]

    def defined(self, action: Node, here: str) -> tuple[Node, str]:
        return self.referred(action.get("definitionCanonical"), f"{here}.definitionCanonical")

    def referred(self, name: object, where: str) -> tuple[Node, str]:
        """A contained resource and where it stands."""
        found = self.contained.get(str(name).removeprefix("#")) if str(name).startswith("#") else None
        if found is None:
            allowed = ", ".join(f"#{key}" for key in self.contained) or "none is contained"
            raise refusal(self.label, where, f"{shown(name)} is not a contained resource; allowed: {allowed}")
        return found

    def spoken(self, path: Path) -> str:
        """Where a field of the document stands, as a message opens."""
        while path and path not in self.places:
            path = path[:-1]
        place = self.places.get(path, "")
        return f"`{place}`: " if place else ""


def _agree(given: Any, wanted: Any, path: str, label: str) -> None:
    """Refuse the first place where a resource differs from the protocol that was read from it."""
    if isinstance(given, dict) and isinstance(wanted, dict):
        for name in {**wanted, **given}:
            here = f"{path}.{name}".lstrip(".")
            if name not in given:
                raise refusal(label, here, f"missing; the rest of the resource asks for {shown(wanted[name])}")
            if name not in wanted:
                why = f"{shown(given[name])} says something that a protocol cannot; allowed here: nothing"
                raise refusal(label, here, why)
            _agree(given[name], wanted[name], here, label)
    elif isinstance(given, list) and isinstance(wanted, list):
        for n, item in enumerate(given[: len(wanted)]):
            _agree(item, wanted[n], f"{path}[{n}]", label)
        if len(given) > len(wanted):
            why = f"{shown(given[len(wanted)])} says something that a protocol cannot; allowed here: nothing"
            raise refusal(label, f"{path}[{len(wanted)}]", why)
        if len(given) < len(wanted):
            raise refusal(label, path, f"missing here: {shown(wanted[len(given)])}, as the rest of the resource asks")
    elif given != wanted:
        why = f"{shown(given)} does not agree with the rest of the resource, which asks for {shown(wanted)}"
        raise refusal(label, path, why)
