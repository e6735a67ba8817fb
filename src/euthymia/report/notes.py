"""What the numbers contain and what they do not: designs, extrapolations, assumptions, sources, provenance."""

from collections.abc import Sequence
from dataclasses import dataclass

from euthymia import evidence
from euthymia.course.result import Course
from euthymia.course.ruled import RuledCourse
from euthymia.course.variants import SOURCES
from euthymia.design.extrapolation import too_long
from euthymia.evidence import Parameter
from euthymia.patient.population import has_poles
from euthymia.protocol import Administration, DailyTreatment
from euthymia.protocol.expand import exposure_times
from euthymia.protocol.words import BY_LEVEL
from euthymia.report.numbers import in_full
from euthymia.report.series import DAY_H, INDIVIDUALS, WEEK_H, Line

NOT_A_DEVICE = (
    "Euthymia is a research tool. It is not a medical device and is not for dosing anyone; "
    "these are virtual patients, and a clinician decides."
)
EXPECTANCY = {
    "open label": "open label: patients know what they are given",
    "saline": "saline as control: patients may notice which arm they are in",
    "midazolam": "midazolam as control: an active placebo, harder to tell apart",
    "new oral antidepressant": "something new is started by mouth, as in both arms of the esketamine trials",
    "oral antidepressant trial": "a trial of an oral antidepressant",
}
STATUS = {
    "contrast": "shown for contrast only: it is no psychiatric treatment, and no trial of depression gave it like this",
    "research only": "research only: studied, but no established regimen",
}
READING = (
    "MADRS: depression, 0 to 60 points. CADSS: dissociation, 0 to 92 points. MOAA/S: how awake, 5 (fully) to 0. NMDA "
    "occupancy: the share of these receptors that the drug holds. SBP, DBP: systolic and diastolic blood pressure."
)
"""What an outcome is measured in, for readers from elsewhere."""
VERIFIED = {"yes": "verified", "secondary": "seen second-hand", "no": "not verified"}


@dataclass(frozen=True)
class Assumption:
    """One number of the model that is assumed or was not verified, ready to print."""

    id: str
    value: str
    range: str
    kind: str
    note: str


def plain(course: Course) -> str:
    """What is given, in a sentence of plain words."""
    parts = [_sessions(course)] if course.calendar.administrations else []
    for agent in dict.fromkeys(daily.agent for daily in course.calendar.daily):
        steps = [daily for daily in course.calendar.daily if daily.agent == agent]
        mouth = "" if "oral" in agent else " by mouth"
        parts.append(", then ".join([f"{agent}{mouth} every day{_step(steps[0])}", *(_step(s)[2:] for s in steps[1:])]))
    for item in course.protocol.exposure:
        at = [t / DAY_H for t in exposure_times(course.protocol, item)]
        when = f"on day {at[0]:g}" if len(at) == 1 else f"from day {at[0]:g} to {at[-1]:g}"
        parts.append(f"{item.therapy}, {len(at)} session{'' if len(at) == 1 else 's'} {when}")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}." if parts else "No treatment."


def _step(daily: DailyTreatment) -> str:
    chosen = "dosed by its level in blood" if daily.agent in BY_LEVEL else "chosen by the clinician"
    dose = f"{daily.dose_mg_per_day:g} mg" if daily.dose_mg_per_day is not None else chosen
    since = f" from day {daily.start_h / DAY_H:g}" if daily.start_h > 0 else ""
    until = f" until day {daily.stop_h / DAY_H:g}" if daily.stop_h is not None else ""
    return f", {dose}{since}{until}"


def _sessions(course: Course) -> str:
    given = course.calendar.administrations
    what = dict.fromkeys(f"{a.compound}, {a.route}" for a in given)
    doses = list(dict.fromkeys(d for a in given if (d := _dose(a))))
    dose = f", {', then '.join(doses)}" if len(doses) <= 4 else f", {doses[0]} to {doses[-1]}" if doses else ""
    n, last = len(given), given[-1].time_h / DAY_H
    when = (
        f"one session on day {last:g}" if n == 1 else f"{n} sessions from day {given[0].time_h / DAY_H:g} to {last:g}"
    )
    return f"{'; '.join(what)}{dose}: {when}"


def _dose(a: Administration) -> str:
    dose = f"{a.dose_mg:g} mg" if a.dose_mg is not None else ""
    dose = f"{a.dose_mg_per_kg:g} mg/kg" if a.dose_mg_per_kg is not None else dose
    if dose and a.cap_mg is not None:
        dose += f" (at most {a.cap_mg:g} mg)"
    return f"{dose} over {a.duration_h * 60:.3g} min" if dose and a.duration_h else dose


def warned(line: Line) -> list[str]:
    """What the document of a course warns of; a label does so too."""
    return [f"{w.warning} ({w.rule}, {VERIFIED[w.verified]})" for w in line.course.protocol.warnings]


def warnings(course: Course | RuledCourse) -> tuple[str, ...]:
    """What a course warns of, and that no study followed people for so long."""
    whose = course.protocol.model_copy(update={"population": course.people.population})
    return (*course.warnings, *too_long(whose, float(course.time_h[-1]) / WEEK_H))


def beyond(line: Line) -> list[str]:
    """Where a course leaves the evidence; every chart and table marks such a course."""
    course, said = line.course, []
    if course.protocol.status in STATUS:
        said.append(STATUS[course.protocol.status])
    if course.calendar.design.setting == "inpatient":
        said.append(
            "inpatients: no arm the model was calibrated on was treated in hospital; their extra response is assumed"
        )
    unipolar = not has_poles(course.people.population)
    if unipolar and any(d.kind == "quetiapine XR" for d in course.calendar.daily):
        said.append("quetiapine XR: no arm calibrates its effect; it is assumed to equal an SSRI's")
    return [*said, *(w[0].lower() + w[1:] for w in warnings(course))]


def uncertainty(lines: Sequence[Line]) -> list[tuple[str, str]]:
    """The three kinds of uncertainty, each with where it is in this report and where it is not."""
    noise, drug, background = (
        evidence.value(f"depression.{n}")
        for n in ("rating_noise", "sd_between_studies_drug", "sd_between_studies_background")
    )
    most = min(line.course.kept for line in lines)
    return [
        (
            "Between patients",
            "All bands around curves. Half of the virtual patients lie in the darker band, 90 % in the lighter one. "
            "They differ in weight, age, metabolism, severity and in how strongly and how long they respond. "
            f"Individual lines show {min(INDIVIDUALS, most)} of them.",
        ),
        (
            "Within a patient, and in measuring",
            "Each patient's own ups and downs are in the curves and bands. The noise of a single rating "
            f"(standard deviation {noise:g} MADRS points) is not; it is in response, remission and time to response.",
        ),
        (
            "Between studies, and in the parameters",
            "Intervals of response and remission contain how much studies differ from one another "
            f"(log standard deviation {drug:.2g} for the drug's effect, {background:.2g} for the non-drug response; "
            "both fitted to the calibration trials) and chance in a study of this size. "
            "Nothing in this report contains the uncertainty of the model's parameters themselves, nor that of its "
            "structure: see the assumptions below.",
        ),
    ]


def designs(lines: Sequence[Line]) -> list[tuple[str, str]]:
    """Design of each course in words."""
    made, many = [], evidence.value("depression.multicentre_factor")
    for line in lines:
        d = line.course.calendar.design
        sites = (
            "one site" if d.sites == "one" else f"many sites, where the drug itself does less ({many:.2g} of its gain)"
        )
        made.append((line.label, f"{EXPECTANCY.get(d.expectancy, d.expectancy)}; {d.setting}s; {sites}"))
    return made


def variants(lines: Sequence[Line]) -> list[tuple[str, str, str]]:
    """Disputed mechanisms switched from their default: course, switch, who disputes it."""
    return [
        (line.label, f"{name.replace('_', ' ')}: {choice}", SOURCES.get(name, ""))
        for line in lines
        for name, choice in line.course.provenance.variants.items()
    ]


def assumptions(lines: Sequence[Line]) -> list[Assumption]:
    """Every number the model may have used here that is assumed, unverified, or seen second-hand only."""
    return [
        Assumption(
            p.id,
            f"{in_full(p.value)} {p.unit}".replace(" -", ""),
            f"{in_full(p.low)} to {in_full(p.high)}" if p.low is not None and p.high is not None else "",
            "assumed" if p.kind == "assumed" else f"{p.kind}, {'not verified' if p.seen == 'no' else 'second-hand'}",
            p.note,
        )
        for p in evidence.model_parameters()
        if (p.kind == "assumed" or p.seen != "yes") and _used(p, lines)
    ]


def _used(p: Parameter, lines: Sequence[Line]) -> bool:
    """Leaves out what certainly played no part: other populations, and disputed routes that are off."""
    populations = {"healthy" if line.course.people.population == "healthy" else "trd" for line in lines}
    if p.id.startswith("population.") and p.id.count(".") > 1:
        return p.id.split(".")[1] in populations
    if "_route." in p.id:
        return any(p.id.startswith(name) for line in lines for name in _switched(line))
    return True


def _switched(line: Line) -> list[str]:
    return [name.removesuffix("_route") for name in line.course.provenance.variants]


def sources(lines: Sequence[Line]) -> list[tuple[str, str, str]]:
    """What the protocols rest on: citation, address (may be empty), how it was seen; each once."""
    found = {}
    for line in lines:
        for source in line.course.protocol.sources:
            found[(source.citation, source.url or "")] = VERIFIED[source.verified]
    return [(citation, url, seen) for (citation, url), seen in found.items()]


def model_sources() -> list[str]:
    """What the model's own numbers rest on, each once."""
    return sorted({p.source for p in evidence.model_parameters() if p.source and p.kind != "assumed"}, key=str.lower)


def provenance(lines: Sequence[Line]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Enough to make each course again."""
    made = []
    for line in lines:
        p, course = line.course.provenance, line.course
        facts = [
            ("protocol", f"{course.protocol.name} {course.protocol.version}"),
            ("protocol hash", p.protocol_hash),
            ("evidence hash", p.evidence_hash),
            ("population", f"{p.population}, {p.patients:,} virtual patients"),
            ("horizon", f"{course.time_h[-1] / WEEK_H:g} weeks"),
            ("seed", str(p.seed)),
            ("variants", ", ".join(f"{k} = {v}" for k, v in p.variants.items()) or "all at their default"),
            ("absorption inputs", ", ".join(f"{k} = {v:g}" for k, v in p.absorption.items()) or "as in the evidence"),
            ("assumed numbers", ", ".join(f"{k} = {in_full(v)}" for k, v in p.assumed.items()) or "as in the evidence"),
            ("dispositions", ", ".join(dict.fromkeys(p.dispositions)) or "none"),
            ("euthymia", p.version),
        ]
        made.append((line.label, facts))
    return made


def same_design(lines: Sequence[Line]) -> bool:
    """Whether every course has the same design, so that rates compare the treatments alone."""
    return len({line.course.calendar.design for line in lines}) == 1


def same_patients(lines: Sequence[Line]) -> bool:
    """Whether every course has the same virtual patients."""
    return len({(p.population, p.patients, p.seed) for line in lines for p in [line.course.provenance]}) == 1


def individuals(lines: Sequence[Line]) -> list[str]:
    """The patients whose lines can be shown, one by one; described where they are the same in every course."""
    most = min(INDIVIDUALS, *(line.course.kept for line in lines))
    if not same_patients(lines):
        return [f"patient {k + 1} of each" for k in range(most)]
    people = lines[0].course.people
    return [
        f"patient {k + 1}: {'woman' if people.female[k] > 0 else 'man'}, {people.age_y[k]:.0f} y, "
        f"{people.weight_kg[k]:.0f} kg, MADRS {people.baseline_madrs[k]:.0f}"
        for k in range(most)
    ]
