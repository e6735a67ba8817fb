"""The closed lists of the protocol document: every word a rule, a drug or a session may use."""

STATUSES = ("catalogue", "research only", "contrast")
VERIFIED = ("yes", "secondary", "no")
POPULATIONS = ("TRD", "MDD", "healthy")
INDICATIONS = (
    "treatment-resistant depression",
    "major depressive disorder",
    "major depressive disorder with acute suicidal ideation or behaviour",
    "none",
)

KETAMINES = ("racemic ketamine", "esketamine", "arketamine")
INERT = ("saline", "placebo spray")
COMPOUNDS = (*KETAMINES, "midazolam", *INERT)
ROUTES = (
    "intravenous",
    "intramuscular",
    "subcutaneous",
    "intranasal device",
    "compounded nasal spray",
    "oral solution",
    "oral prolonged release",
    "sublingual",
)

# oral agent -> its kind
AGENTS = {
    "sertraline": "SSRI",
    "escitalopram": "SSRI",
    "duloxetine": "SNRI",
    "venlafaxine XR": "SNRI",
    "quetiapine XR": "quetiapine XR",
    "new oral antidepressant": "new oral antidepressant",
}

EXPECTANCIES = ("open label", "saline", "midazolam", "new oral antidepressant", "oral antidepressant trial")
PLACES = ("outpatient", "inpatient")
SITES = ("one", "many")
SUPERVISION = ("at the clinic", "in hospital")

SCALES = ("MADRS", "PHQ-9", "QIDS-SR16", "HAM-D17", "CADSS", "MOAA/S")
ITEMS = ("SBP", "DBP", "HR", "RR", "SpO2", "sedation", "dissociation", "ECG", "mental state")
STATES = ("response", "remission", "no response", "relapse")

# measure -> kind of quantity it is compared with
MEASURES = {
    "age": "age",
    "weight": "weight",
    "failed antidepressant trials": "count",
    "MADRS": "score",
    "MADRS improvement": "percent",
    "PHQ-9": "score",
    "QIDS-SR16": "score",
    "HAM-D17": "score",
    "HAM-D17 improvement": "percent",
    "CADSS": "score",
    "MOAA/S": "score",
    "SBP": "pressure",
    "DBP": "pressure",
    "HR": "heart rate",
    "RR": "breathing rate",
    "SpO2": "percent",
    "daily lorazepam equivalent": "daily dose",
}
COMPARISONS = ("above", "at least", "below", "at most")

CONDITIONS = (
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
)

BEFORE_CHECKS = (
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
)
DISCHARGE_CRITERIA = (
    "clinically stable",
    "blood pressure falling or back to baseline",
    "sedation resolved",
    "dissociation resolved",
    "respiratory depression resolved",
    "recovery complete",
    "responsible adult",
    "safe transport arranged",
    "assessed by a clinician",
)

SAFEGUARDS = {
    "supervised administration only": "every dose is given and watched by clinical staff",
    "no take-home supply": "nothing is dispensed for use outside the session",
    "certified setting": "the site is certified and the patient enrolled in the risk programme",
    "prescriber on site": "a prescriber is on site during dosing and observation",
    "resuscitation equipment and trained staff": "airway equipment and trained staff are at hand",
    "anaesthetist present": "given by someone experienced in general anaesthesia, airway and ventilation",
    "pulse oximetry": "oxygen saturation is followed through the session",
    "no driving until next day": "no driving or machinery until the day after, after restful sleep",
    "minimum interval between sessions": "two sessions are never closer than the stated minimum",
    "bladder follow-up": "urinary symptoms are asked about during treatment",
    "cognition follow-up": "cognition is followed during long treatment",
    "misuse follow-up": "signs of misuse or diversion are looked for",
    "suicidality follow-up": "suicidal thoughts are asked about, above all early and at dose changes",
    "course length limit": "the course ends or is reviewed after a stated number of sessions",
    "lowest effective frequency": "the longest interval that holds the response is used",
}

# Anything that would take a dose out of sight is refused wherever it is written.
UNSUPERVISED = ("home", "take-home", "takehome", "unsupervised", "self-administered at home", "telehealth", "mail")
