"""The trial a search asks for, the regimen found against the usual one, as a document for `euthymia trial power`."""

import json
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from euthymia.design.aims import CURVES, ILLNESSES, Aim
from euthymia.design.search import BEATEN_BY, Choice, Race
from euthymia.design.space import Regimen, Space
from euthymia.design.worlds import BACKGROUND_LEVEL, DRUG_LEVEL
from euthymia.patient.population import illness_of
from euthymia.protocol import Protocol
from euthymia.trial.plan import MAX_PATIENTS, MAX_SITES

POWER, ALPHA = 0.8, 0.05
"""By which the number of patients is worked out, two-sided."""
VISIT_WEEKS = (1, 2, 3, 4, 6, *range(8, 105, 4))
"""Weeks at which patients are rated."""
CHANGES = {"depression": ("mean MADRS",), "bipolar": ("mean MADRS",), "ptsd": ("mean CAPS-5", "CAPS-5 at the end")}
"""Aims that a trial of an illness measures by the change of its score."""
RESPONSES = ("days in response", "response at the end")
SWITCH = "switch to mania"
AT_A_TIME = {"remission after a week": 1}
PER_SITE = 12
"""Patients of a site where a trial has many: as in the example `esketamine-dose-ranging`."""
SHOWS_IN: dict[str, str] = {
    DRUG_LEVEL: "the mean fall of the MADRS of the first patients treated at that clinic",
    BACKGROUND_LEVEL: "the mean fall of the MADRS of the clinic's patients before their first session",
    "surge.": "the MADRS 24 h after one session, at two doses or more in one trial",
    "functional.": "the MADRS on each of the first days after one session",
    "synapses.": "the MADRS by week after the last session of a course",
    "depression.sd_gain": "how far patients' falls of the MADRS 24 h after a session lie apart",
    "depression.sd_durability": "how far patients' times to relapse after the last session lie apart",
    "depression.gain": "the MADRS 24 h after a session, against a control without the drug",
    "depression.functional_weight": "the MADRS 24 h and a week after one session, in the same patients",
    "depression.antidepressant": "the MADRS after four to eight weeks of an oral antidepressant against placebo",
    "depression.sd_antidepressant": "how far patients' falls of the MADRS on an oral antidepressant lie apart",
    "depression.resistance_factor": "response to an oral antidepressant by the number of failed trials",
    "depression.quetiapine_factor": "the MADRS after eight weeks of quetiapine against placebo",
    "depression.sd_fluctuation": "how far repeated ratings of untreated patients lie apart",
    "depression.sd_lability": "how far patients differ in the spread of their own repeated ratings",
    "depression.fluctuation_not_resistant": "repeated ratings of untreated patients whose illness is not resistant",
    "depression.multicentre_factor": "the difference from control in like trials at one site and at many",
    "depression.age_slope": "the fall of the MADRS by age, in a trial that takes people over 65",
    "depression.sd_between_studies": "the same trial carried out at many clinics",
    "ptsd.gain_factor": "the CAPS-5 24 h after a session, against a control without the drug",
    "ptsd.veteran_factor": "the same trial in veterans and in others",
    "ptsd.antidepressant_factor": "the CAPS-5 after eight weeks of an oral antidepressant against placebo",
    "ptsd.background_factor": "the CAPS-5 of a control arm without the drug",
    "ptsd.fluctuation_factor": "how far repeated ratings of the CAPS-5 of untreated patients lie apart",
    "extinction.learning": "the CAPS-5 by session of exposure therapy without the drug",
    "extinction.window": "the CAPS-5 after exposure a day behind an infusion, of ketamine or of saline",
    "extinction.block": "the CAPS-5 after exposure within hours of an infusion, of ketamine or of saline",
    "extinction.consolidation_time": "the CAPS-5 after exposure hours before an infusion, of ketamine or of saline",
    "extinction.recovery_time": "the CAPS-5 over years after the last session of exposure therapy",
    "bipolar.gain_factor": "the MADRS 24 h after a session in bipolar depression, against a control without the drug",
    "bipolar.durability_factor": "the MADRS by week after the last session in bipolar depression",
    "bipolar.background_factor": "the MADRS of a control arm without the drug in bipolar depression",
    "bipolar.fluctuation_factor": "how far repeated ratings of untreated patients with bipolar disorder lie apart",
    "bipolar.depressive.": "how often and how long people with bipolar disorder are depressed, followed for years",
    "bipolar.manic.": "how often and how long people with bipolar disorder are manic, followed for years",
    "bipolar.sd_instability": "how far people with bipolar disorder differ in their episodes a year",
    "bipolar.hazard_ratio.": "the time to the next episode of that pole, with the drug and without",
    "bipolar.residual": "the MADRS between episodes",
    "bipolar.manic_residual": "the YMRS between episodes",
    "bipolar.manic_peak": "the YMRS at the height of mania or hypomania",
    "bipolar.sd_manic_peak": "how far patients' YMRS at the height of mania or hypomania lie apart",
    "bipolar.stabiliser_protection": "how often mania begins after ketamine, in people on a stabiliser and without one",
    "background.": "the MADRS of a control arm without the drug",
    "background.session": "the MADRS within hours of a session without the drug",
    "background.natural": "the MADRS over months of patients without any new treatment",
    "background.sd_between_patients": "how far patients of a control arm lie apart",
}
"""The outcome in which a parameter shows, by how its id begins; the longest beginning counts."""


@dataclass(frozen=True)
class NextTrial:
    """arms: the regimen found and its rival; rival: "usual regimen" or "runner-up"; endpoint at `week`; expected: of
    the two arms there (%, or points of change), as the search saw them; patients: in all; worth: by how much the
    expected aim would rise, per patient treated, were the difference between the two known exactly; capped: whether
    more patients would be needed than a trial can have here."""

    found: Regimen
    against: Regimen
    rival: str
    endpoint: str
    week: int
    expected: tuple[float, float]
    patients: int
    worth: float
    capped: bool

    def plan(self, name: str, protocol: Protocol, files: tuple[str, str], about: str) -> str:
        """The document as YAML. name: of the trial; files: of the two protocols, beside it; about: where it comes
        from, in a sentence."""
        visits = ", ".join(["0 h", *(_weeks(w) for w in VISIT_WEEKS if w < self.week), _weeks(self.week)])
        at, design = _weeks(self.week), protocol.design
        sites = 1 if design.sites == "one" else min(max(2, round(self.patients / PER_SITE)), MAX_SITES)
        illness = illness_of(protocol.population)
        other = _shown_by_share(illness) if self.endpoint == "change" else "change"
        note = (
            f"{about} The number of patients gives {100 * POWER:.0f} % power for the difference that the search saw, "
            "if nobody leaves; who may enter, dropout and sites are for whoever plans the trial. Arms follow the rules "
            "of their protocols, as in the search. A proposal for research; a clinician decides."
        )
        title = f"{self.found} against {self.against}"
        return "\n".join(
            (
                f"trial: {name}",
                f"title: {_quoted(title)}",
                f"note: {_quoted(note)}",
                f"illness: {ILLNESSES[illness]}",
                f"population: {protocol.population}",
                f"design: {{expectancy: {design.expectancy}, setting: {design.setting}, sites: {design.sites}}}",
                "type: parallel",
                f"patients: {self.patients}",
                f"number of sites: {sites}",
                "follow rules: yes",
                "randomisation: {block: 4, ratio: [1, 1]}",
                "arms:",
                f"  - {{arm: found regimen, protocol: {_quoted(files[0])}}}",
                f"  - {{arm: {self.rival}, protocol: {_quoted(files[1])}, comparator: yes}}",
                f"visits: [{visits}]",
                "endpoints:",
                f"  - {{endpoint: {self.endpoint}, at: {at}, primary: yes}}",
                f"  - {{endpoint: {other}, at: {at}}}",
                "",
            )
        )


def next_trial(
    protocol: Protocol, space: Space, race: Race, choice: Choice, usual: int | None, weeks: int
) -> NextTrial | None:
    """The trial of the regimen that was found against the usual one, or against the runner-up where the usual one is
    the winner or is not among the regimens. None where there is no other regimen."""
    if choice.chosen is None or choice.verdict is None:
        return None
    aim = race.asked.aim
    beaten = [k for k, why in race.out.items() if why.startswith(BEATEN_BY)]
    beaten.sort(key=lambda k: -aim.sign * race.means(aim.measure, [k]).mean())
    rivals = [("usual regimen", usual)] if usual is not None else []
    rivals += [("runner-up", k) for k in (*choice.able[np.argsort(-choice.verdict.mean)].tolist(), *beaten)]
    others = [(rival, k) for rival, k in rivals if k != choice.chosen]
    return _against(space, race, choice.chosen, others[0][1], others[0][0], weeks) if others else None


def _against(space: Space, race: Race, chosen: int, other: int, rival: str, weeks: int) -> NextTrial:
    aim, illness = race.asked.aim, illness_of(space.regimens[chosen].protocol.population)
    falls = aim.measure in (*CHANGES[illness], *RESPONSES)
    curve = CURVES[illness][0 if falls else 1]
    pair = race.curves[curve.name][[chosen, other]]
    a, b = pair[:, np.isfinite(pair).all((0, 2))].mean(1)
    week = _week(aim, a, b, weeks, -1.0 if falls else 1.0, illness)
    if aim.measure in CHANGES[illness]:
        endpoint, expected = "change", (float(a[7 * week] - a[0]), float(b[7 * week] - b[0]))
        spread = float(race.of(aim.measure, [chosen, other]).std(2).mean())
        share = 2 * spread**2
    else:
        endpoint = (
            "response" if aim.measure in RESPONSES else SWITCH if aim.measure == SWITCH else _shown_by_share(illness)
        )
        if aim.measure in (*RESPONSES, SWITCH):  # no curve of them is kept: the mean over the days, or what there is
            whole = 7 * weeks if aim.measure == "days in response" else 100
            expected = tuple(100 * float(x) / whole for x in race.means(aim.measure, [chosen, other]).mean(1))
        else:
            expected = (float(a[7 * week]), float(b[7 * week]))
        share = sum(p * (100 - p) for p in expected)
    apart = abs(expected[0] - expected[1])
    z = norm.ppf(1 - ALPHA / 2) + norm.ppf(POWER)
    each = z**2 * share / apart**2 if apart > 0 else np.inf
    patients = int(4 * np.ceil(min(2 * each, MAX_PATIENTS) / 4))
    means = aim.sign * race.means(aim.measure, [chosen, other])
    more = means[1] - means[0]
    known = float(np.maximum(more, 0).mean() - max(float(more.mean()), 0.0))
    return NextTrial(
        space.regimens[chosen], space.regimens[other], rival, endpoint, week, (expected[0], expected[1]),
        max(patients, 8), known, bool(2 * each > MAX_PATIENTS),
    )  # fmt: skip


def _shown_by_share(illness: str) -> str:
    """The endpoint that counts who is well by the score."""
    return "response" if illness == "ptsd" else "remission"


def _week(aim: Aim, a: np.ndarray, b: np.ndarray, weeks: int, sign: float, illness: str) -> int:
    """The week of a visit at which the two differ most, in favour of the one found where a score is the aim. sign: by
    which more of a and b is better."""
    if aim.measure in AT_A_TIME:
        return min(AT_A_TIME[aim.measure], weeks)
    if aim.measure.endswith("at the end") or aim.measure == SWITCH:
        return weeks
    at = np.array([*(w for w in VISIT_WEEKS if w < weeks), weeks])
    more = sign * (a - b)[7 * at]
    return int(at[(more if scored(aim.measure, illness) else abs(more)).argmax()])


def scored(measure: str, illness: str) -> bool:
    """Whether a trial of the illness can measure this in its patients; others are counted, or read off other scales."""
    known = "days in", "days well", "time to", "remission", "response", SWITCH
    return measure.startswith(known) or measure in CHANGES[illness]


def shows_in(parameter: str) -> str | None:
    """The outcome in which a parameter shows, in words."""
    known = [start for start in SHOWS_IN if parameter.startswith(start)]
    return SHOWS_IN[max(known, key=len)] if known else None


def _weeks(n: int) -> str:
    return f"{n} week" + ("s" if n != 1 else "")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
