"""The compounds, their enantiomers and molecular weights. Every mass in Euthymia is free base."""

from euthymia import evidence

COMPOUNDS = {
    "racemic ketamine": {"S": 0.5, "R": 0.5},
    "esketamine": {"S": 1.0},
    "arketamine": {"R": 1.0},
}
"""Share of each enantiomer. Compounds not listed (midazolam, saline, a placebo spray) put no ketamine into anybody."""

ANALYTES = (
    "S-ketamine",
    "R-ketamine",
    "S-norketamine",
    "R-norketamine",
    "S-hydroxynorketamine",
    "R-hydroxynorketamine",
)


def molecular_weight(analyte: str) -> float:
    """g/mol of the free base of an analyte such as "S-norketamine"."""
    return evidence.value("molecular_weight." + analyte.split("-", 1)[1])


def ng_per_mL(nmol_per_L, analyte: str):
    """Concentration in ng/mL from nmol/L."""
    return nmol_per_L * molecular_weight(analyte) / 1000.0
