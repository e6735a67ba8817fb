"""The closed lists of the protocol document: every word a rule, a drug or a session may use."""

from typing import Literal, get_args

Status = Literal[
    "catalogue",
    "research only",
    "contrast",
]
STATUSES: tuple[Status, ...] = get_args(Status)

Verified = Literal[
    "yes",
    "secondary",
    "no",
]
VERIFIED: tuple[Verified, ...] = get_args(Verified)

Population = Literal[
    "TRD",
    "MDD",
    "healthy",
    "bipolar depression",
    "rapid cycling bipolar depression",
    "bipolar euthymia",
    "civilian PTSD",
    "veteran PTSD",
]
POPULATIONS: tuple[Population, ...] = get_args(Population)

Indication = Literal[
    "treatment-resistant depression",
    "major depressive disorder",
    "major depressive disorder with acute suicidal ideation or behaviour",
    "bipolar depression",
    "bipolar disorder",
    "post-traumatic stress disorder",
    "none",
]
INDICATIONS: tuple[Indication, ...] = get_args(Indication)

Compound = Literal[
    "racemic ketamine",
    "esketamine",
    "arketamine",
    "midazolam",
    "saline",
    "placebo spray",
]
COMPOUNDS: tuple[Compound, ...] = get_args(Compound)

INERT = ("saline", "placebo spray")

Route = Literal[
    "intravenous",
    "intramuscular",
    "subcutaneous",
    "intranasal device",
    "compounded nasal spray",
    "oral solution",
    "oral prolonged release",
    "sublingual",
]
ROUTES: tuple[Route, ...] = get_args(Route)

Expectancy = Literal[
    "open label",
    "saline",
    "midazolam",
    "new oral antidepressant",
    "oral antidepressant trial",
]
EXPECTANCIES: tuple[Expectancy, ...] = get_args(Expectancy)

Place = Literal[
    "outpatient",
    "inpatient",
]
PLACES: tuple[Place, ...] = get_args(Place)

Sites = Literal[
    "one",
    "many",
]
SITES: tuple[Sites, ...] = get_args(Sites)

Therapy = Literal["prolonged exposure",]
THERAPIES: tuple[Therapy, ...] = get_args(Therapy)

Scale = Literal[
    "MADRS",
    "PHQ-9",
    "QIDS-SR16",
    "HAM-D17",
    "YMRS",
    "ASRM",
    "CAPS-5",
    "PCL-5",
    "CADSS",
    "MOAA/S",
]
SCALES: tuple[Scale, ...] = get_args(Scale)

Item = Literal[
    "SBP",
    "DBP",
    "HR",
    "RR",
    "SpO2",
    "sedation",
    "dissociation",
    "ECG",
    "mental state",
]
ITEMS: tuple[Item, ...] = get_args(Item)

State = Literal[
    "response",
    "remission",
    "no response",
    "relapse",
]
STATES: tuple[State, ...] = get_args(State)

Comparator = Literal[
    "above",
    "at least",
    "below",
    "at most",
]
COMPARISONS: tuple[Comparator, ...] = get_args(Comparator)

Condition = Literal[
    "aneurysmal vascular disease",
    "arteriovenous malformation",
    "intracerebral haemorrhage",
    "hypersensitivity to ketamine",
    "hypersensitivity to the drug",
    "uncontrolled hypertension",
    "unstable cardiac or cerebrovascular disease",
    "recent cardiovascular event",
    "raised intracranial pressure",
    "psychosis",
    "bipolar disorder",
    "current mania or mixed state",
    "substance use disorder",
    "dementia or delirium",
    "pregnancy",
    "breastfeeding",
    "severe hepatic impairment",
    "interstitial or ulcerative cystitis",
    "monoamine oxidase inhibitor",
    "theophylline or aminophylline",
    "prolonged QT",
    "narrow-angle glaucoma",
    "suicidal intent that needs more care",
    "intoxication",
    "moderate hepatic impairment",
    "history of hypertensive encephalopathy",
    "misuse of ketamine",
    "neurocognitive disorder",
    "Japanese ancestry",
]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)

BeforeCheck = Literal[
    "identity and protocol version",
    "consent",
    "fasting",
    "transport home",
    "blood pressure",
    "pregnancy status",
    "urinary symptoms",
    "suicide risk",
    "intoxication",
    "concomitant medicines",
    "mood stabiliser taken",
    "prescription monitoring",
    "drug screen",
    "patient enrolled",
    "capacity",
    "work-up",
    "ECG",
    "liver tests",
    "second opinion",
    "referral letter and summary",
]
BEFORE_CHECKS: tuple[BeforeCheck, ...] = get_args(BeforeCheck)

DischargeCriterion = Literal[
    "clinically stable",
    "blood pressure falling or back to baseline",
    "sedation resolved",
    "dissociation resolved",
    "respiratory depression resolved",
    "recovery complete",
    "responsible adult",
    "safe transport arranged",
    "assessed by a clinician",
]
DISCHARGE_CRITERIA: tuple[DischargeCriterion, ...] = get_args(DischargeCriterion)

TrialOutcome = Literal[
    "no response",
    "partial response",
    "response",
    "not tolerated",
]
TRIAL_OUTCOMES: tuple[TrialOutcome, ...] = get_args(TrialOutcome)

TrialFailure = Literal[
    "no response",
    "partial response",
    "not tolerated",
]

# what is a failed trial of an antidepressant where a protocol does not say
TRIAL_FAILURES: tuple[TrialFailure, ...] = ("no response", "partial response")

Agent = Literal[
    "sertraline",
    "escitalopram",
    "paroxetine",
    "duloxetine",
    "venlafaxine XR",
    "quetiapine XR",
    "lithium",
    "valproate",
    "new oral antidepressant",
]

# oral agent -> its kind
AGENTS: dict[Agent, str] = {
    "sertraline": "SSRI",
    "escitalopram": "SSRI",
    "paroxetine": "SSRI",
    "duloxetine": "SNRI",
    "venlafaxine XR": "SNRI",
    "quetiapine XR": "quetiapine XR",
    "lithium": "lithium",
    "valproate": "valproate",
    "new oral antidepressant": "new oral antidepressant",
}

# dosed by their level in blood, so that a document gives no mg
BY_LEVEL: tuple[Agent, ...] = ("lithium", "valproate")

Measured = Literal[
    "age",
    "weight",
    "failed antidepressant trials",
    "MADRS",
    "MADRS improvement",
    "PHQ-9",
    "QIDS-SR16",
    "HAM-D17",
    "HAM-D17 improvement",
    "YMRS",
    "ASRM",
    "CAPS-5",
    "CAPS-5 improvement",
    "PCL-5",
    "CADSS",
    "MOAA/S",
    "SBP",
    "DBP",
    "HR",
    "RR",
    "SpO2",
    "daily lorazepam equivalent",
    "sessions given",
    "time since last session",
    "time in course",
    "sessions held in a row",
    "sessions in 7 days",
    "sessions in 28 days",
    "cumulative ketamine",
    "highest SBP of last session",
    "highest DBP of last session",
    "highest CADSS of last session",
    "recovery time of last session",
    "urinary symptoms",
    "cognition",
    "drug liking",
    "early returns",
    "lost doses",
    "time since food",
    "time since drink",
    "time since alcohol",
    "time since benzodiazepine or hypnotic",
    "time since stimulant",
    "time since nasal steroid or decongestant",
]

# measure -> the kind of quantity it is compared with
MEASURES: dict[Measured, str] = {
    "age": "age",
    "weight": "weight",
    "failed antidepressant trials": "count",
    "MADRS": "score",
    "MADRS improvement": "percent",
    "PHQ-9": "score",
    "QIDS-SR16": "score",
    "HAM-D17": "score",
    "HAM-D17 improvement": "percent",
    "YMRS": "score",
    "ASRM": "score",
    "CAPS-5": "score",
    "CAPS-5 improvement": "percent",
    "PCL-5": "score",
    "CADSS": "score",
    "MOAA/S": "score",
    "SBP": "pressure",
    "DBP": "pressure",
    "HR": "heart rate",
    "RR": "breathing rate",
    "SpO2": "percent",
    "daily lorazepam equivalent": "daily dose",
    "sessions given": "sessions",
    "time since last session": "duration",
    "time in course": "duration",
    "sessions held in a row": "sessions",
    "sessions in 7 days": "sessions",
    "sessions in 28 days": "sessions",
    "cumulative ketamine": "mass",
    "highest SBP of last session": "pressure",
    "highest DBP of last session": "pressure",
    "highest CADSS of last session": "score",
    "recovery time of last session": "duration",
    "urinary symptoms": "score",
    "cognition": "score",
    "drug liking": "score",
    "early returns": "events",
    "lost doses": "events",
    "time since food": "duration",
    "time since drink": "duration",
    "time since alcohol": "duration",
    "time since benzodiazepine or hypnotic": "duration",
    "time since stimulant": "duration",
    "time since nasal steroid or decongestant": "duration",
}

# the measure that can be counted from trials on record
FAILED_TRIALS: Measured = "failed antidepressant trials"

# measures that follow from the place in the course
OF_THE_COURSE: tuple[Measured, ...] = (
    "sessions given",
    "time since last session",
    "time in course",
    "sessions held in a row",
)

SafeguardKind = Literal[
    "supervised administration only",
    "no take-home supply",
    "certified setting",
    "prescriber on site",
    "resuscitation equipment and trained staff",
    "anaesthetist present",
    "pulse oximetry",
    "plan for hypertensive emergencies",
    "no driving until next day",
    "minimum interval between sessions",
    "bladder follow-up",
    "cognition follow-up",
    "misuse follow-up",
    "suicidality follow-up",
    "mood switch follow-up",
    "course length limit",
    "lowest effective frequency",
    "follow-up of adverse events",
    "monitoring form",
    "remote mood monitoring",
]

# safeguard -> what it means, in plain words
SAFEGUARDS: dict[SafeguardKind, str] = {
    "supervised administration only": "every dose is given and watched by clinical staff",
    "no take-home supply": "nothing is dispensed for use outside the session",
    "certified setting": "the site is certified and the patient enrolled in the risk programme",
    "prescriber on site": "a prescriber is on site during dosing and observation",
    "resuscitation equipment and trained staff": "airway equipment and trained staff are at hand",
    "anaesthetist present": "given by someone experienced in general anaesthesia, airway and ventilation",
    "pulse oximetry": "oxygen saturation is followed through the session",
    "plan for hypertensive emergencies": "help for blood pressure that stays high, and emergency care, are arranged",
    "no driving until next day": "no driving or machinery until the day after, after restful sleep",
    "minimum interval between sessions": "two sessions are never closer than the stated minimum",
    "bladder follow-up": "urinary symptoms are asked about during treatment",
    "cognition follow-up": "cognition is followed during long treatment",
    "misuse follow-up": "signs of misuse or diversion are looked for",
    "suicidality follow-up": "suicidal thoughts are asked about, above all early and at dose changes",
    "mood switch follow-up": "signs of mania or a mixed state are looked for, after the course too",
    "course length limit": "the course ends or is reviewed after a stated number of sessions",
    "lowest effective frequency": "the longest interval that holds the response is used",
    "follow-up of adverse events": "harms are asked about between sessions and reported",
    "monitoring form": "the risk programme's monitoring form of each session is sent in time",
    "remote mood monitoring": "mood is reported between sessions and read by the clinic",
}

# what must be so at every session, confirmed on the day
AT_EVERY_SESSION: tuple[SafeguardKind, ...] = (
    "supervised administration only",
    "no take-home supply",
    "prescriber on site",
    "resuscitation equipment and trained staff",
    "anaesthetist present",
    "pulse oximetry",
    "plan for hypertensive emergencies",
    "no driving until next day",
)

# what falls due again and again during a course
FOLLOW_UPS: tuple[SafeguardKind, ...] = (
    "bladder follow-up",
    "cognition follow-up",
    "misuse follow-up",
    "suicidality follow-up",
    "mood switch follow-up",
    "follow-up of adverse events",
    "monitoring form",
    "remote mood monitoring",
)

# Anything that would take a dose out of sight is refused wherever a place is written.
UNSUPERVISED = ("home", "take-home", "takehome", "unsupervised", "self-administered at home", "telehealth", "mail")
