"""Inhibitors, inducers and liver impairment, through hepatic extraction and the gut wall.

Swallowed ketamine meets the liver before the blood does, so the same inhibitor multiplies an oral exposure several
times and an intravenous one hardly at all. Each perpetrator is therefore two factors, one on hepatic intrinsic
clearance and one on escape from the gut wall, found from its published exposure ratios by route.
"""

from functools import cache
from typing import NamedTuple

from euthymia import evidence
from euthymia.errors import UserError

# where an agent acts: CYP2B6 is hardly expressed in the gut wall, CYP3A4 is; grapefruit juice acts there alone
SITES = {
    "ticlopidine": ("liver",),
    "clarithromycin": ("liver", "gut"),
    "grapefruit juice": ("gut", "liver"),
    "rifampicin": ("liver", "gut"),
    "St John's wort": ("liver", "gut"),
    "moderate hepatic impairment": ("liver",),
}
ROUTES = ("oral", "intravenous", "nasal")
NASAL_DEVICES = 3  # the nasal interaction studies gave 84 mg


class Factors(NamedTuple):
    """Multipliers of hepatic intrinsic clearance and of gut-wall availability (1 is normal)."""

    intrinsic_clearance: float
    gut_availability: float


def _liver() -> tuple[float, float, float, float]:
    p = "perezruixo2021."
    uptake = evidence.value(p + "hepatic_volume") * (
        evidence.value(p + "rate_to_other_metabolites") + evidence.value(p + "rate_to_norketamine")
    )
    nasal = evidence.value(p + "nasal_fraction")
    later = evidence.value(p + "nasal_fraction_later_devices")
    nasal = nasal * (1 + (NASAL_DEVICES - 1) * later) / NASAL_DEVICES
    return evidence.value(p + "hepatic_flow"), uptake, evidence.value(p + "gut_availability"), nasal


def exposure_ratio(route: str, factors: Factors) -> float:
    """Predicted AUC ratio (with over without) of S-ketamine for a route, from the well-stirred liver."""
    flow, uptake, gut, nasal = _liver()

    def exposure(f: Factors) -> float:
        extraction = uptake * f.intrinsic_clearance / (flow + uptake * f.intrinsic_clearance)
        swallowed = min(gut * f.gut_availability, 1.0) * (1 - extraction)
        available = {"intravenous": 1.0, "oral": swallowed, "nasal": nasal + (1 - nasal) * swallowed}[route]
        return available / extraction

    return exposure(factors) / exposure(Factors(1, 1))


def evidence_ratios(perpetrator: str) -> dict[str, evidence.Parameter]:
    """The published AUC ratios of a perpetrator, by route."""
    rows = {p.id: p for p in evidence.model_parameters()}
    prefix = "interaction." + perpetrator.lower().replace(" ", "-").replace("'", "")
    return {route: rows[f"{prefix}.{route}"] for route in ROUTES if f"{prefix}.{route}" in rows}


def factors(perpetrator: str) -> Factors:
    """The two factors that come nearest (least squares of log ratios) to the published ratios of all routes.

    Rows that are not verified count half. Raises UserError for an agent without published ratios.
    """
    return _factors(perpetrator, tuple(evidence.assumed("perezruixo2021.", "interaction.").items()))


@cache
def _factors(perpetrator: str, assumed: tuple[tuple[str, float], ...]) -> Factors:
    """assumed: what of the evidence this rests on is assumed here."""
    from math import exp, log

    from scipy.optimize import least_squares

    if perpetrator not in SITES:
        raise UserError(f"no published interaction for {perpetrator!r}; known: {', '.join(SITES)}.")
    rows, sites = evidence_ratios(perpetrator), SITES[perpetrator]
    gut_most = 1 / evidence.value("perezruixo2021.gut_availability")

    def unpack(x) -> Factors:
        return Factors(exp(x[0]) if "liver" in sites else 1.0, min(exp(x[1]), gut_most) if "gut" in sites else 1.0)

    def misfit(x):
        prior = [0.05 * x[0], 0.05 * x[1]]  # keeps the factor the data do not move near 1
        return [
            (1.0 if p.verified else 0.5) * log(exposure_ratio(route, unpack(x)) / evidence.value(p.id))
            for route, p in rows.items()
        ] + prior

    return unpack(least_squares(misfit, [0.0, 0.0]).x)


def combined(perpetrators: tuple[str, ...]) -> Factors:
    """Factors of several agents together, multiplied (assumed: no data on combinations)."""
    both = Factors(1.0, 1.0)
    for name in perpetrators:
        one = factors(name)
        both = Factors(both.intrinsic_clearance * one.intrinsic_clearance, both.gut_availability * one.gut_availability)
    return both


def intravenous_clearance_factor(intrinsic_clearance):
    """Systemic clearance relative to normal when intrinsic clearance changes; works on arrays."""
    flow, uptake, _, _ = _liver()
    return intrinsic_clearance * (flow + uptake) / (flow + uptake * intrinsic_clearance)
