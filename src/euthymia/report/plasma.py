"""The page of the documentation that shows predicted beside published for every plasma row of the evidence."""

import json
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from euthymia import evidence
from euthymia.course.store import write_whole
from euthymia.drug.compounds import molecular_weight
from euthymia.report.charts import CONFIG, INK, PALETTE, QUIET, SCHEMA, Spec, number
from euthymia.trial.plasma import AGE_Y, OLD_AGE_Y, VIRTUAL, WEIGHT_KG, PlasmaCheck, PlasmaRow, plasma_check
from euthymia.trial.plasma_plan import ANALYTES

PAGE, CHART = "pharmacokinetics.md", "pharmacokinetics.svg"
FOLDED = 24  # longer tables are folded
SETS = {
    "otto2021": "**otto2021** (venous). S-ketamine and norketamine of Otto 2021, with the parent of Fanta 2015; "
    "R-ketamine shares its volumes and has a clearance lower by the ratio of Wang 2019. Injections, racemic "
    "ketamine by mouth, lozenges, compounded nasal sprays. Most rows it meets come from other studies than it was "
    "made from.",
    "perezruixo2021": "**perezruixo2021** (venous by its data sets; the site is not stated). Esketamine by nose, "
    "with liver, nose and gut. Nearly all its rows are what the same publication's model predicts: they show that "
    "it is built correctly here, not that it is right about people.",
    "simons2022": "**simons2022** (arterial). S-ketamine, norketamine and hydroxynorketamine, by vein or as a film "
    "under the tongue. The film and 20 mg rows are from the study it was fitted to; the stepped infusion (Kamp "
    "2020) is not.",
}


class Misfit(NamedTuple):
    """Rows that a known weakness explains, and the honest reason."""

    title: str
    holds: Callable[[PlasmaRow], bool]
    reason: str


SITE_MISMATCH = Misfit(
    "R-ketamine and R-norketamine in arterial samples",
    lambda r: r.site_mismatch,
    "No arterial disposition of R-ketamine is published, so a venous one stands against arterial samples: too low "
    "while the infusion runs, too high after it, as venous levels are. This mismatch of site cannot be avoided and is "
    "no test of otto2021. R-norketamine, which borrows the values of S-norketamine, is low throughout.",
)
MISFITS = (
    Misfit(
        "Norketamine exposure after Spravato",
        lambda r: r.study == "PEREZRUIXO2021" and r.analyte == "noresketamine" and r.quantity_kind == "exposure",
        "The published parameters give the published peak of norketamine but about one and a half times its "
        "published exposure, in every population. Another transcription of the paper finds the same. The cause is "
        "unknown; nothing is rescaled here.",
    ),
    Misfit(
        "The first minutes after an injection",
        lambda r: r.id in ("phar2669.ketamine.cmax.iv.10mg", "phar2669.norketamine.cmax-ratio-nk-k.iv.10mg"),
        "otto2021 rests on venous samples and spreads an injection at once over a large central volume, so it has "
        "no early peak; exposure after the same injection agrees. Do not read its first minutes after an injection. "
        "The ratio of the peaks inherits the error.",
    ),
    Misfit(
        "Norketamine after an injection",
        lambda r: r.id.startswith(("phar2669.norketamine.tmax.iv", "phar2669.norketamine.auc.iv")),
        "This study prints a norketamine exposure of a fifth of ketamine's, where every disposition here gives more "
        "than ketamine's own. Its sampling window is not printed (the prediction runs to infinity), and the same "
        "table prints a norketamine peak that contradicts its own ratio of peaks. The disagreement stands.",
    ),
    Misfit(
        "Compounded nasal sprays",
        lambda r: r.study == "PHAR2669" and r.route == "intranasal",
        "Absorption is assumed (bioavailability {f_nasal:g}, rate {k_nasal:g} /h; chosen with this study in view). "
        "Here ketamine peaked earlier and higher and its exposure was lower: faster and less complete absorption than "
        "assumed, and less of it the larger the dose. Norketamine, predicted to appear with the absorbed drug, came "
        "later and smaller. Published bioavailabilities of such sprays disagree fourfold; both values are inputs of a "
        "simulation.",
    ),
    Misfit(
        "Ketamine by mouth",
        lambda r: r.route in ("oral", "oral tablet"),
        "Peaks of swallowed racemic ketamine are predicted at a third to a half of those observed. The absorption "
        "rate is carried over from the esketamine solution of the nasal model and is slow; bioavailability "
        "({f_oral:g}) is the published one. Norketamine exposure of three Japanese volunteers is also "
        "under-predicted.",
    ),
    Misfit(
        "Norketamine after a lozenge",
        lambda r: r.study == "CHONG2006" and r.route == "sublingual" and r.analyte == "norketamine",
        "Drug swallowed from a lozenge is let through at the rate of the mouth's lining, so its norketamine comes "
        "too early.",
    ),
    SITE_MISMATCH,
    Misfit(
        "S-ketamine and S-norketamine in the stepped infusion",
        lambda r: r.study == "KAMP2020BJA" and r.disposition == "simons2022",
        "S-norketamine falls too soon after the infusion. S-ketamine is off at 15 min and just after the pump "
        "stops, where levels move within minutes and the values are read off a figure. Arterial sampling is "
        "inferred, not stated.",
    ),
    Misfit(
        "Peaks of the oral film",
        lambda r: r.id.startswith(("simons2022.s-ketamine.cmax.sl", "simons2022.s-norketamine.cmax.sl")),
        "Low at 50 mg, high at 100 mg: the published model has one bioavailability for both doses, while the "
        "observed means rise less than in proportion. It misses its own data so in an independent transcription too "
        "(S-ketamine 82 for 96 and 169 for 144 ng/mL).",
    ),
    Misfit(
        "Half a milligram per kilogram over 40 minutes",
        lambda r: r.dose == "0.5 mg/kg over 40 min" and r.analyte == "ketamine",
        "Inside the observed range of 100 to 250 ng/mL, but below both printed means (one of them unverified). A "
        "dose by weight gives heavier people higher levels, and the people of these studies may weigh more than 70 "
        "kg.",
    ),
    Misfit(
        "Intramuscular ketamine",
        lambda r: r.route == "intramuscular",
        "The only adult value was recalled, not read, and the absorption rate is assumed. No rate up to 20 /h "
        "reaches it.",
    ),
    Misfit(
        "Time to the peak of Spravato",
        lambda r: r.disposition == "perezruixo2021" and r.quantity_kind == "time",
        "A few minutes late. All devices are given at once here, while the label counts from the last of several "
        "sprays.",
    ),
)  # fmt: skip


def digits(x: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{float(f'{x:.3g}'):.10g}"


def _in_common_unit(row: PlasmaRow) -> float:
    """What a row's numbers are multiplied by to be ng/mL, ng h/mL or minutes."""
    if row.unit in ("nmol/mL", "umol/L"):
        return molecular_weight(ANALYTES[row.analyte][0])
    return {"ug/mL": 1000.0, "ng*min/mL": 1 / 60, "h": 60.0}.get(row.unit, 1.0)


def chart(check: PlasmaCheck) -> Spec:
    """Predicted against published, log-log, with twofold lines: levels, exposures and times to peak."""
    points = [
        {
            "o": r.observed * _in_common_unit(r),
            "p": r.predicted * _in_common_unit(r),
            "set": r.disposition,
            "what": "venous set, arterial samples" if r.site_mismatch else r.kind,
            "kind": r.quantity_kind,
        }
        for r in check.predicted()
        if r.predicted and r.observed
    ]
    shapes = ["observed", "venous set, arterial samples", "published model"]
    tint = {"scale": {"domain": list(SETS), "range": list(PALETTE[: len(SETS)])}, "legend": {"title": "Disposition"}}
    shape = {
        "scale": {"domain": shapes, "range": ["circle", "triangle-up", "cross"]},
        "legend": {"title": "Published value"},
    }
    panels = []
    for kind, title in (
        ("level", "Level (ng/mL)"),
        ("exposure", "Exposure, AUC (ng h/mL)"),
        ("time", "Time to peak (min)"),
    ):
        of_kind = [p for p in points if p["kind"] == kind]
        values = [p[side] for p in of_kind for side in "op"]
        domain = (0.8 * min(values), 1.25 * max(values))
        scale = {"type": "log", "domain": list(domain), "nice": False}
        ticks = [v for v in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if domain[0] <= v <= domain[1]]
        axis = {"grid": True, "values": ticks}
        at = {"scale": scale, "axis": axis}
        lines = [
            {"x": domain[0], "y": domain[0] * f, "x2": domain[1], "y2": domain[1] * f, "f": f} for f in (0.5, 1.0, 2.0)
        ]
        panels.append({
            "width": 235,
            "height": 235,
            "title": {"text": title, "fontSize": 12},
            "layer": [
                {
                    "data": {"values": lines},
                    "mark": {"type": "rule", "clip": True, "color": QUIET, "opacity": 0.6},
                    "encoding": {
                        "x": number("x", scale=scale, title="published"),
                        "y": number("y", scale=scale, title="predicted"),
                        "x2": {"field": "x2"},
                        "y2": {"field": "y2"},
                        "strokeDash": {"condition": {"test": "datum.f == 1", "value": [1, 0]}, "value": [4, 4]},
                    },
                },
                {
                    "data": {"values": of_kind},
                    "mark": {"type": "point", "clip": True, "strokeWidth": 1.4, "opacity": 0.8, "size": 40},
                    "encoding": {
                        "x": number("o", **at, title="published"),
                        "y": number("p", **at, title="predicted"),
                        "color": {"field": "set", "type": "nominal"} | tint,
                        "shape": {"field": "what", "type": "nominal"} | shape,
                    },
                },
            ],
        })  # fmt: skip
    look = CONFIG | {"axis": CONFIG["axis"] | {"domain": True}, "axisY": {"minExtent": 30}, "axisX": {}}
    look["legend"] = {
        "orient": "bottom",
        "direction": "horizontal",
        "labelFontSize": 11,
        "symbolSize": 60,
        "labelColor": INK,
    }
    return {
        "$schema": SCHEMA,
        "config": look | {"font": "Arial, Helvetica, sans-serif"},
        "hconcat": panels,
        "spacing": 22,
    }


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    cells = [[c.replace("|", "\\|") for c in line] for line in lines]
    return ["| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *cells)]


def _published(r: PlasmaRow) -> str:
    """The published value with its spread and number of people, as printed."""
    said = " ".join(x for x in (r.spread_type.removesuffix(" (spread not seen)"), r.spread) if x)
    said = "; ".join(x for x in (said, f"n {r.n}" if r.n else "") if x)
    return f"{r.printed} {r.unit}" + (f" ({said})" if said else "")


def _quantity(r: PlasmaRow) -> str:
    return r.quantity + (f" at {r.time_min:g} min" if r.time_min is not None and r.quantity == "concentration" else "")


def _marks(r: PlasmaRow) -> str:
    return {"no": " **unverified**", "secondary": " †"}.get(r.verified, "")


def _predicted_line(r: PlasmaRow, who: bool) -> tuple[str, ...]:
    assert r.predicted is not None
    between = f"{digits(r.low90)} to {digits(r.high90)}" if r.low90 is not None and r.high90 is not None else ""
    ratio = f"{r.ratio:.2f}" if r.ratio else ""
    if r.ratio and not 0.5 <= r.ratio <= 2:
        ratio = f"**{ratio}**"
    given = f"{r.route}, {r.dose}" + (f"; {r.population}" if who else "")
    value = _published(r) + _marks(r)
    return (given, r.analyte, _quantity(r), value, digits(r.predicted), between, ratio, f"`{r.id}`")


def _study(rows: Sequence[PlasmaRow]) -> list[str]:
    """One study: who, where from, what was assumed, and its rows."""
    sites = {r.site for r in rows}
    routes = list(dict.fromkeys(r.route for r in rows))
    assumed = []
    for part in dict.fromkeys(part for r in rows for part in r.assumed.split("; ") if part):
        some = list(dict.fromkeys(r.route for r in rows if part in r.assumed))
        assumed.append(part if some == routes else f"{part} ({', '.join(some)})")
    people = list(dict.fromkeys(r.population for r in rows))
    said = [
        f"People: {'; '.join(people)}. Sampling: {', '.join(sorted(sites))}.",
        *([f"Assumed: {'; '.join(assumed)}."] if assumed else []),
        f"Source: {'; or '.join(dict.fromkeys(r.source for r in rows))}.",
    ]
    head = ("Given", "Analyte", "Quantity", "Published", "Predicted", "5-95 % of patients", "Ratio", "Row")
    table = _table(head, [_predicted_line(r, len(people) > 1) for r in rows])
    if len(rows) > FOLDED:
        table = [f"<details><summary>{len(rows)} rows</summary>", "", *table, "", "</details>"]
    return [f"#### {rows[0].study}", "", *said, "", *table, ""]


def _sets(check: PlasmaCheck) -> list[str]:
    lines: list[str] = []
    for name, words in SETS.items():
        for mismatch in (False, True):
            rows = [r for r in check.predicted() if r.disposition == name and r.site_mismatch == mismatch]
            if not rows:
                continue
            title = f"{name} against arterial samples (site mismatch)" if mismatch else name
            lines += [f"### {title}", "", words if not mismatch else SITE_MISMATCH.reason, ""]
            for _, one in groupby(sorted(rows, key=lambda r: r.study), key=lambda r: r.study):
                lines += _study(list(one))
    return lines


def _misfits(check: PlasmaCheck) -> list[str]:
    given = {
        "f_nasal": evidence.value("absorption.compounded_nasal_bioavailability"),
        "k_nasal": evidence.value("absorption.compounded_nasal_rate"),
        "f_oral": evidence.value("absorption.oral_bioavailability"),
    }
    lines = []
    for m in MISFITS:
        ratios = sorted(r.ratio for r in check.predicted() if r.ratio and m.holds(r))
        low, high = f"{ratios[0]:.2f}", f"{ratios[-1]:.2f}"
        span = low if low == high else f"{low} to {high}"
        count = f"{len(ratios)} row{'s' * (len(ratios) > 1)}"
        lines.append(f"- **{m.title}** ({count}, predicted/published {span}). {m.reason.format(**given)}")
    return lines


def page(check: PlasmaCheck) -> str:
    """The page as Markdown."""
    unpredicted = [r for r in check.rows if r.predicted is None]
    unread = [r for r in check.rows if r.verified == "no"]
    second = sum(r.verified == "secondary" for r in check.rows)
    totals = [(t.group, str(t.rows), f"{t.fold:.2f}", f"{t.within} of {t.rows}") for t in check.totals()]
    lines = [
        "<!-- Made by euthymia.report.plasma.write_page from the evidence and the model. Do not edit by hand. -->",
        "",
        "# Plasma levels: predicted beside published",
        "",
        f"Every plasma row of the evidence is on this page: {len(check.predicted())} of {len(check.rows)} with a "
        f"prediction, {len(unpredicted)} with the reason why there is none. Nothing was fitted to these rows for this "
        "page.",
        "",
        "Published models of how ketamine moves through the body disagree, mostly because some measured arterial and "
        "some venous blood: arterial levels run far above venous ones while drug flows in, and below them after. "
        "Euthymia therefore keeps three published sets apart and never mixes sites within a simulation:",
        "",
        *(f"- {words}" for words in SETS.values()),
        "",
        "Arterial samples meet the arterial set wherever it has the drug and route; everything else meets the venous "
        "sets. Where a source does not say which blood was drawn, this page takes it as venous.",
        "",
        f"**Predicted** is a typical patient: {WEIGHT_KG:g} kg, because no row states a weight, and {AGE_Y:g} years "
        f"({OLD_AGE_Y:g} where a row says over 60: the publication gives no age, and {OLD_AGE_Y:g} reproduces its "
        f"figures), with the row's ancestry in the nasal set. **5-95 % of patients** are {VIRTUAL} virtual healthy "
        "volunteers, or people with treatment-resistant depression where the study took them; published means vary "
        "less than people do, and the assumed absorption of some routes does not vary between patients. **Ratio** is "
        "predicted over published (for a published range: over its geometric middle); bold: more than twofold off.",
        "",
        f"† read in somebody else's transcription, not at the source ({second} rows). **unverified**: recalled, never "
        f"read ({len(unread)} rows: {', '.join(f'`{r.id}`' for r in unread)}).",
        "",
        "## How well it does",
        "",
        f"![Predicted against published levels, exposures and times to peak on logarithmic axes]({CHART})",
        "",
        "Solid line: equal. Dashed lines: twofold too high and too low. A ratio of two peaks "
        "(`phar2669.norketamine.cmax-ratio-nk-k.iv.10mg`) is in the tables only.",
        "",
        *_table(("Rows", "Number", "Geometric mean ratio", "Within twofold"), totals),
        "",
        "## Where it misses, and why",
        "",
        *_misfits(check),
        "",
        "## Row by row",
        "",
        *_sets(check),
        "### Not predicted",
        "",
        *_table(
            ("Study", "People", "Route, dose", "Analyte, quantity", "Published", "Why not", "Row"),
            [
                (
                    r.study,
                    r.population,
                    ", ".join(x for x in (r.route, r.dose) if x),
                    f"{r.analyte}, {_quantity(r)}",
                    _published(r) + _marks(r),
                    r.not_predicted,
                    f"`{r.id}`",
                )
                for r in unpredicted
            ],
        ),
        "",
    ]
    return "\n".join(lines)


def write_page(path: str | Path, check: PlasmaCheck | None = None) -> Path:
    """Write the page to `path` and its chart beside it. Raises UserError when it cannot be written.

    path: the Markdown file, or a folder for it; check: default the check of the model as it is.
    """
    import vl_convert

    check = check or plasma_check()
    place = Path(path) / PAGE if Path(path).suffix != ".md" else Path(path)
    picture = vl_convert.vegalite_to_svg(json.dumps(chart(check)))
    write_whole(place.with_name(CHART), lambda p: p.write_text(picture, encoding="utf-8"))
    write_whole(place, lambda p: p.write_text(page(check), encoding="utf-8"))
    return place
