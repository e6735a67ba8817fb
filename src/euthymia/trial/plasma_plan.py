"""How each plasma row of the evidence is to be predicted, or why it is not.

What a row's study gave decides the disposition: arterial samples meet the arterial set wherever it has the drug and
route, all others the venous sets.
"""

import re
from typing import NamedTuple

from euthymia.evidence.tables import Plasma, number

END_H = 96.0  # long enough for every AUC to infinity

DRUGS = {
    "racemic ketamine": "racemic ketamine",
    "racemic ketamine wafer": "racemic ketamine",
    "ketamine": "racemic ketamine",
    "S-ketamine": "esketamine",
    "S-ketamine oral thin film": "esketamine",
    "esketamine nasal spray": "esketamine",
    "R-ketamine": "arketamine",
}
ROUTES = {
    "intravenous": "intravenous",
    "intramuscular": "intramuscular",
    "intranasal": "compounded nasal spray",
    "oral": "oral solution",
    "oral tablet": "oral solution",
    "sublingual": "sublingual",
    "sublingual or buccal": "sublingual",
}
ASSUMED_ABSORPTION = ("intramuscular", "compounded nasal spray", "sublingual")
ANALYTES = {
    "ketamine": ("S-ketamine", "R-ketamine"),
    "norketamine": ("S-norketamine", "R-norketamine"),
    "esketamine": ("S-ketamine",),
    "noresketamine": ("S-norketamine",),
    "S-HNK": ("S-hydroxynorketamine",),
} | {name: (name,) for name in ("S-ketamine", "R-ketamine", "S-norketamine", "R-norketamine")}
TARGET = "a target-controlled infusion: the pump's target is published, not what it gave"
MAINTAINED = "a level during maintained anaesthesia: when it was drawn, or how long the infusion had run, is not stated"
UNPREDICTED = {
    "idvall1979": MAINTAINED,
    "anes2001_94_252": MAINTAINED,
    "white1980": "a level at the end of anaesthesia: dose and time are not stated",
    "langsjo2005": TARGET,
    "bowdle1998": TARGET,
    "zou2009": TARGET,
    "olofsen2021": "a concentration of half effect, not a level after a dose",
    "zannikos2023.esketamine.tmax-median.in.56mg.2": "the model has no term for allergic rhinitis",
    "yanagihara2003.norketamine.auc0-8-per-enantiomer.sl-tablet-rectal": "the row joins a sublingual with a rectal "
    "dose, and the rectal route is not modelled",
}
"""Why rows whose id starts so are not predicted; the general reasons are in `plan`."""
INJECTED = {"PHAR2669": "injection time not stated, but a peak at 2 min implies a bolus: given over one minute"}
DOSE_OF_RANGE = {"SPRAVATO_LABEL": (56.0, "56 mg taken from the range of 28 to 84 mg")}


class Regimen(NamedTuple):
    """What was given and through which disposition: rows that share it share a simulation.

    doses: (time h, route, mg or None, mg/kg or None, duration h).
    """

    compound: str
    disposition: str
    doses: tuple[tuple[float, str, float | None, float | None, float], ...]


class Reading(NamedTuple):
    """How a row is read from a regimen's curves. start_h, end_h: window, hours; old, asian, japanese: the typical
    patient; ill: virtual patients are people with TRD, not volunteers."""

    regimen: Regimen
    start_h: float
    end_h: float
    at_h: float | None
    old: bool
    asian: bool
    japanese: bool
    ill: bool
    mismatch: bool
    assumed: tuple[str, ...]


def site(row: Plasma) -> str:
    """Where a row's blood was drawn, as far as is known."""
    if "arterial" in row.population:
        return "arterial"
    if "arterial" in row.note:
        return "arterial (inferred)"
    return "not stated"


def quantity_kind(quantity: str) -> str:
    """Whether a quantity is a level, an exposure, a time or a ratio."""
    for start, kind in (("AUC", "exposure"), ("Tmax", "time"), ("Cmax ratio", "ratio")):
        if quantity.startswith(start):
            return kind
    return "level"


def _doses(row: Plasma, route: str, assumed: list[str]):
    """The doses of a row, or why they are not known."""
    steps = re.fullmatch(r"([\d.]+(?: then [\d.]+)+) mg/kg/h, (\d+) min each", row.dose)
    if steps:
        hours = float(steps[2]) / 60
        return tuple((k * hours, route, None, float(r) * hours, hours) for k, r in enumerate(steps[1].split(" then ")))
    mg = number(row.dose)
    if row.study in DOSE_OF_RANGE:
        mg, said = DOSE_OF_RANGE[row.study]
        assumed.append(said)
    if mg is None:
        return "the dose is a range or not stated"
    hours = 0.0
    if route == "intravenous" and row.study in INJECTED:
        assumed.append(INJECTED[row.study])
    elif route == "intravenous" and row.duration_min != "bolus":
        minutes = number(row.duration_min)
        if minutes is None:
            return "the time over which the intravenous dose was given is not stated"
        hours = minutes / 60
    before = re.search(r"visit with (\d+) mg film (\d+) h earlier", row.population)
    start = float(before[2]) if before else 0.0
    one = (start, route, mg, None, hours) if row.dose_unit == "mg" else (start, route, None, mg, hours)
    return ((0.0, "sublingual", float(before[1]), None, 0.0), one) if before else (one,)


def plan(row: Plasma) -> Reading | str:
    """How to predict a row, or why not to."""
    for start, reason in UNPREDICTED.items():
        if row.id.startswith(start):
            return reason
    if row.population.startswith("children"):
        rectal = "; and the rectal route is not modelled" if row.route == "rectal" else ""
        return f"children: the model is for adults{rectal}"
    if row.analyte in ("total HNK", "(2S,6S;2R,6R)-HNK"):
        return "no published disposition covers hydroxynorketamine from R-ketamine, so its total cannot be predicted"
    if row.analyte not in ANALYTES:
        return f"no disposition covers {row.analyte}"
    if row.drug not in DRUGS or row.route not in ROUTES:
        return f"{row.drug} by the route {row.route} is not modelled"
    compound, route, assumed = DRUGS[row.drug], ROUTES[row.route], []
    if row.drug == "esketamine nasal spray":
        route = "intranasal device"
    if row.drug == "ketamine":
        assumed.append("isomer not stated: taken as racemic")
    if row.route == "oral tablet":
        assumed.append("a tablet, predicted as a solution")
    doses = _doses(row, route, assumed)
    if isinstance(doses, str):
        return doses
    kind, bolus = quantity_kind(row.quantity), route == "intravenous" and doses[-1][4] == 0
    if kind == "time" and bolus and row.analyte == "ketamine":
        return "after an injection this is the time of the first sample, no property of the drug"
    arterial = site(row).startswith("arterial")
    simons = arterial and row.analyte.startswith("S-") and route in ("intravenous", "sublingual")
    if simons and compound == "racemic ketamine":
        compound = "esketamine"  # S-ketamine behaves in the racemate as alone
        doses = tuple((t, r, mg and mg / 2, per_kg and per_kg / 2, h) for t, r, mg, per_kg, h in doses)
    disposition = "simons2022" if simons else "perezruixo2021" if route == "intranasal device" else "otto2021"
    if route in ASSUMED_ABSORPTION and disposition == "otto2021":
        assumed.append("rate or extent of absorption")
    until = re.match(r"AUC0-(\d+)", row.quantity)
    if row.quantity == "AUC":
        assumed.append("window not stated: taken to infinity")
    if kind == "level" and not row.quantity.startswith("Cmax") and row.time_min is None:
        return "the time of the sample is not stated"
    return Reading(
        Regimen(compound, disposition, doses),
        start_h=doses[-1][0] if len(doses) == 2 else 0.0,
        end_h=float(until[1]) if until else END_H,
        at_h=row.time_min / 60 if row.quantity == "concentration" and row.time_min is not None else None,
        old=row.population.startswith(">60"),
        asian="Asian" in row.population or "Japanese" in row.population,
        japanese=row.population.endswith(" Japanese") and "non-Japanese" not in row.population,
        ill=row.population == "TRD" or "resistant" in row.population,
        mismatch=arterial and disposition != "simons2022",
        assumed=tuple(assumed),
    )
