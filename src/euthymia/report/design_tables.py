"""The tables of a search: regimens, what would be worth knowing, in whom, and what studies tried."""

from euthymia.design.aims import ILLNESSES, MEASURES
from euthymia.design.extrapolation import BOTH_ENDS, End, tried
from euthymia.design.find import Design
from euthymia.design.next_trial import shows_in
from euthymia.design.robustness import DOES_LITTLE
from euthymia.design.subgroups import FEWEST_PATIENTS
from euthymia.report.design_words import chance, cost, digits, named, of_worlds, titled, why_out
from euthymia.report.numbers import decimal, positive
from euthymia.report.still import Table


def front_rows(found: Design, most: int = 10_000) -> Table:
    """Regimens on the front, the best for the aim first."""
    aim = found.asked.aim
    shown = (aim.measure, *found.asked.burdens)
    table = found.table().filter("on the front").sort(aim.measure, descending=aim.better == "more").head(most)
    head = ("regimen", *(titled(m) for m in shown), "best", "regret", "outside the evidence")
    rows = []
    for r in table.iter_rows(named=True):
        cells = [
            "{} ({} to {})".format(*(decimal(r[f"{m}{end}"], digits(1, m)) for end in ("", " low", " high")))
            for m in shown
        ]
        name, outside = str(found.space.regimens[r["regimen"]]), found.beyond[r["regimen"]]
        marks = ", ".join(dict.fromkeys(x.what for x in outside)) or "-"
        rows.append((name, *cells, chance(r["best"]), cost(r["regret"], aim.measure), marks))
    return Table(
        f"Regimens that nothing beats in {', '.join(shown)}: means ({of_worlds(found)}). Best: probability to be the "
        "best for the aim of those compared; regret: what choosing it costs on average; outside the evidence: what of "
        "it no study of this drug and route has tried.",
        head,
        rows,
    )


def front_text(found: Design, most: int) -> str:
    """The front as text."""
    table = front_rows(found, most)
    widths = [max(len(row[k]) for row in (table.head, *table.rows)) for k in range(len(table.head))]
    lines = ["  ".join(c.ljust(w) if k == 0 else c.rjust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True)))
             for row in (table.head, *table.rows)]  # fmt: skip
    on_front = int(found.table()["on the front"].sum())
    more = f"\n... and {on_front - most} more, in regimens.csv" if on_front > most else ""
    return "\n".join(lines) + more


def all_rows(found: Design) -> Table:
    """Every regimen."""
    shown = found.asked.measures
    head = ("regimen", *(titled(m) for m in shown), "keeps limits", "best", "left the race", "outside the evidence")
    rows = [
        (
            str(found.space.regimens[r["regimen"]]),
            *(decimal(r[m], digits(1, m)) for m in shown),
            {True: "yes", False: "no", None: "-"}[r["keeps limits"]],
            "-" if r["keeps limits"] is False else chance(r["best"]),
            why_out(found, r["left the race"]),
            r["extrapolation"] or "-",
        )
        for r in found.table().iter_rows(named=True)
    ]
    return Table("Every regimen. Those that left the race were followed in fewer patients and worlds.", head, rows)


def worth_rows(found: Design) -> Table:
    """What would be worth knowing."""
    rows = [
        (named(w.parameter), positive(w.worth, 2), f"{100 * w.changes:.0f} %", shows_in(w.parameter) or "-")
        for w in found.worth[:8]
        if w.worth > 0
    ]
    unit = MEASURES[found.asked.aim.measure].unit
    return Table(
        f"What knowing one number beforehand would be worth, in {unit} of the aim, and in how many worlds the choice "
        "would then be another one. With few worlds this is rough; what chance alone shows is taken off.",
        ("number", f"worth, {unit}".rstrip(", "), "choice changes", "shows in"),
        rows,
    )


def robust_rows(found: Design) -> Table:
    """How the regimens of the front do where things go badly."""
    measure, limits = found.asked.aim.measure, found.asked.limits
    head = (
        "regimen",
        titled(measure),
        "in a bad world",
        "where the drug does little",
        *(["limits hold in"] if limits else []),
    )
    rows = [
        (
            str(found.space.regimens[r.regimen]),
            *(decimal(x, digits(1, measure)) for x in (r.mean, r.bad, r.little)),
            *([f"{r.holding} of {found.draws} worlds"] if limits else []),
        )
        for r in found.robustness
    ]
    kept = (
        " The limits are kept over all worlds together; in how many alone is counted in the virtual patients, without "
        "allowance for their number."
    )
    return Table(
        f"The front where things go badly: mean {measure} over worlds; in a bad world, what it is no better than in "
        f"one of twenty; where the drug does little, its mean over the {100 * DOES_LITTLE:.0f} % of worlds in whose "
        f"clinics it does least.{kept if limits else ''}",
        head,
        rows,
    )


def subgroup_rows(found: Design) -> Table:
    """Which regimen is best in whom."""
    rows: list[tuple[str, ...]] = []
    measure = found.asked.aim.measure
    for g in found.subgroups:
        if g.best is None or g.probability is None or g.gain is None or g.low is None or g.high is None:
            rows.append((g.name, f"{g.patients:,}", "too few patients to say anything", "-", "-", "-"))
            continue
        same = found.chosen is not None and g.best == found.chosen.number
        gain = "-" if same else f"{decimal(g.gain, 2)} ({decimal(g.low, 2)} to {decimal(g.high, 2)})"
        told = "the same regimen" if same else "yes" if g.differs else "not distinguishable"
        rows.append((g.name, f"{g.patients:,}", str(found.space.regimens[g.best]), chance(g.probability), gain, told))
    return Table(
        "The regimen that is best on average in subgroups, of those that keep the limits in all patients. Gain: by how "
        f"much its {measure} is better there than that of the regimen found overall, with 90 % over worlds and "
        f"populations; where that holds 0 the two are not distinguishable. Below {FEWEST_PATIENTS} patients nothing is "
        "said.",
        ("subgroup", "patients", "best regimen", "probability", "gain", "better than the one found"),
        rows,
    )


def tried_rows(found: Design) -> Table:
    """What studies tried of the drugs and routes of these regimens."""
    drugs = [x.drug or r.protocol.drug for r in found.space.regimens for x in r.protocol.phases]
    given = {(d.compound, d.route) for d in drugs if d}
    rows = [
        (f"{compound}, {route}", x.what, _end(x.low) if x.what in BOTH_ENDS else "-", _end(x.high))
        for compound, route in sorted(given)
        for x in tried(compound, route, found.illness)
    ]
    return Table(
        f"What published studies of {ILLNESSES[found.illness]} tried of this drug by this route, as far as they are in "
        "the evidence: the least and the most, each with a study that gives it. What a study did not print in numbers "
        "is left out.",
        ("drug and route", "what", "least", "most"),
        rows,
    )


def _end(end: End) -> str:
    return f"{end.value:.3g} ({end.study})"
