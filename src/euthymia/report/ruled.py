"""The page of a course under rules: what became of visits, what that changed, which rules spoke, and single stories."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from euthymia.course.outcomes import SCALES, Row, illness_in
from euthymia.course.result import Course
from euthymia.course.ruled import MISUSE, RuledCourse
from euthymia.protocol.plain_words import MARKS
from euthymia.report import states
from euthymia.report.charts import Rows, Spec, look, number
from euthymia.report.notes import READING, warnings
from euthymia.report.page import cell
from euthymia.report.series import WEEK_H
from euthymia.report.still import PANEL, Picture, Table, drawn, panel, render, written

WIDE, HEIGHT = 720, 260
STATES = (
    ("given", "#0072B2", "a session was given"),
    ("held", "#E69F00", "a rule held it"),
    ("missed", "#CC79A7", "the patient did not come"),
    ("between", "#D9DEE3", "no visit was due"),
    ("stopped", "#D55E00", "a rule had ended the course"),
    ("complete", "#009E73", "the course was complete"),
)
"""What a week can be for a patient, the first that holds; with its colour, and in words."""
STORIES = 3


class Compared(NamedTuple):
    """One outcome under the rules and on the fixed calendar, in words."""

    label: str
    ruled: str
    planned: str
    contains: str


def weeks_of(course: RuledCourse) -> np.ndarray:
    """Number in `STATES` of every patient and week, [patients, weeks]."""
    weeks = max(1, int(np.ceil(course.time_h[-1] / WEEK_H)))
    first = int(course.ledger["patient"].min())  # type: ignore[arg-type]
    found = np.full((course.patients, weeks), 3)
    rank = {"missed": 2, "hold": 1, "give": 0}
    for action in ("missed", "hold", "give"):
        rows = course.ledger.filter(pl.col("action") == action)
        found[rows["patient"].to_numpy() - first, rows["day"].to_numpy() // 7] = rank[action]
    last = course.ledger.group_by("patient").agg(pl.col("day", "action", "next day").last())
    for patient, day, action, due in last.iter_rows():
        if due is None:
            week, why = day // 7, 4 if action == "stop" else 5
            found[patient - first, week + 1 :] = why
            if found[patient - first, week] == 3:
                found[patient - first, week] = why
    return found


def status(course: RuledCourse) -> Picture:
    """Shares of patients by what each week was."""
    found = weeks_of(course)
    shares = np.stack([(found == k).mean(0) for k in range(len(STATES))])
    high = np.cumsum(shares, 0)
    rows: Rows = [
        {
            "from": w + 0.5,
            "to": w + 1.5,
            "k": k,
            "low": 100 * float(high[k, w] - shares[k, w]),
            "high": 100 * float(high[k, w]),
        }
        for k, w in np.argwhere(shares > 0).tolist()
    ]

    def make(width: int) -> Spec:
        x = number(
            "from",
            title="week",
            scale={"nice": False, "domain": [0.5, found.shape[1] + 0.5]},
            axis={"grid": False, "tickMinStep": 1, "format": "d"},
        )
        y = {"title": "patients (%)", "axis": {"tickCount": 5}, "scale": {"domain": [0, 100]}}
        colour = {
            "field": "k",
            "type": "nominal",
            "scale": {"domain": list(range(len(STATES))), "range": [c for _, c, _ in STATES]},
            "legend": None,
        }
        encoding = {"x": x, "x2": {"field": "to"}, "y": number("low", **y), "y2": {"field": "high"},
                    "color": colour, "stroke": colour}  # fmt: skip
        # edges in the colour of the area, or hairlines show between weeks
        mark = {"type": "rect", "strokeWidth": 0.6}
        return panel([{"data": {"values": rows}, "mark": mark, "encoding": encoding}], width, HEIGHT)

    last = shares[:, -1]
    said = ", ".join(f"{words} {100 * x:.0f} %" for (_, _, words), x in zip(STATES, last, strict=True) if x > 0)
    text = f"What each week was for patients. In the last week: {said}. The table has the numbers."
    return Picture("Week by week", text, (drawn(make(WIDE)),), (drawn(make(PANEL - 14)),))


def status_table(course: RuledCourse) -> Table:
    """Shares (%) by week, in words."""
    found = weeks_of(course)
    rows = [
        (f"week {w + 1}", *(f"{100 * (found[:, w] == k).mean():.0f}" for k in range(len(STATES))))
        for w in range(found.shape[1])
    ]
    return Table("What each week was, % of patients", ("Week", *(words for _, _, words in STATES)), rows)


NAMES = ("under its rules", "on the fixed calendar")


def over_time(course: RuledCourse) -> list[Picture]:
    """Scores and states of the illness over time, under the rules and on the fixed calendar: of PTSD the CAPS-5 and the
    depression beside it, of bipolar disorder also who is depressed and who manic."""
    scale = SCALES[illness_in(course.table)].name
    found = [scores(course, scale)]
    if scale != "MADRS":
        found.append(scores(course, "MADRS", "the depression beside it, MADRS"))
    if "manic pole" in course.values:
        found.append(share(course, "Depressed or mixed", states.depressed))
        found.append(share(course, "Manic, hypomanic or mixed", states.manic))
    return found


def scores(course: RuledCourse, scale: str, words: str | None = None) -> Picture:
    """Median score under the rules and on the fixed calendar, with the middle half of patients."""
    words = words or scale
    both = course.values[scale], course.planned.values[scale]
    bands = [np.quantile(v, (0.25, 0.5, 0.75), axis=0) for v in both]
    said = "; ".join(f"{name} from {q[1, 0]:.0f} to {q[1, -1]:.0f}" for name, q in zip(NAMES, bands, strict=True))
    text = f"Median of {words}: {said} points. Bands: the middle half of patients."
    title = f"{words[0].upper()}{words[1:]} over time"
    return _by_day(course, title, text, f"{scale} (points; lower is better)", bands, {"zero": False, "nice": False})


def share(course: RuledCourse, words: str, state: Callable[[Course | RuledCourse], np.ndarray]) -> Picture:
    """Patients in a state, %, with what chance in so many patients makes of it."""
    inside = [state(c) for c in (course, course.planned)]
    bands = [np.stack([states.shares(x.sum(0), len(x))[k] for k in (1, 0, 2)]) for x in inside]
    said = "; ".join(f"{name} {q[1, 0]:.0f} to {q[1, -1]:.0f} %" for name, q in zip(NAMES, bands, strict=True))
    text = f"{words}, from the first day to the last: {said} of patients. Bands: 90 %, by chance alone."
    unit = f"{words[0].lower()}{words[1:]}, % of patients"
    return _by_day(course, words, text, unit, bands, {"zero": True, "nice": False})


def _by_day(
    course: RuledCourse, title: str, text: str, unit: str, bands: Sequence[np.ndarray], scale: dict[str, bool]
) -> Picture:
    """Both courses by day. bands: of each, low, middle and high [3, days]."""
    weeks = course.time_h / WEEK_H
    keep = np.unique(np.linspace(0, len(weeks) - 1, min(len(weeks), 180)).astype(int))

    def make(width: int) -> Spec:
        layers: list[Spec] = []
        last = {"domain": [0, float(weeks[-1])], "nice": False}
        axis = {"grid": False, "tickMinStep": 1, "format": "d"}
        x = number("t", title="weeks since the start", axis=axis, scale=last)
        y = {"title": unit, "scale": scale}
        for k, q in enumerate(bands):
            rows = [
                {"t": float(weeks[j]), "low": float(a), "mid": float(b), "high": float(c)}
                for j, a, b, c in zip(keep, *q[:, keep], strict=True)
            ]
            tint, dash = look(k)
            data = {"data": {"values": rows}}
            layers += [
                data | {"mark": {"type": "area", "color": tint, "opacity": 0.15},
                        "encoding": {"x": x, "y": number("low", **y), "y2": {"field": "high"}}},
                data | {"mark": {"type": "line", "color": tint, "strokeWidth": 2, "strokeDash": dash},
                        "encoding": {"x": x, "y": number("mid", **y)}},
            ]  # fmt: skip
        return panel(layers, width, HEIGHT)

    return Picture(title, text, (drawn(make(WIDE)),), (drawn(make(PANEL - 14)),))


def compared(course: RuledCourse) -> list[Compared]:
    """Every outcome of both courses, in words."""

    def words(r: Row | None) -> str:
        value, between = cell(r)
        return f"{value} ({between})" if between else value

    mine, other = ({r.label: r for r in c.summary().rows} for c in (course, course.planned))
    units = {k: "" if r.unit in ("days", "h") else f", {r.unit}" for k, r in mine.items()}
    return [Compared(f"{k}{units[k]}", words(r), words(other.get(k)), r.contains) for k, r in mine.items()]


def headline(course: RuledCourse) -> str:
    """The result in two sentences."""
    n, ledger = course.patients, course.ledger
    visits = len(ledger)
    given = ledger.filter(pl.col("action") == "give")
    stopped = ledger.filter(pl.col("action") == "stop")["patient"].n_unique()
    held = ledger.filter(pl.col("action") == "hold")
    mg, planned_mg = (_mean(t, "cumulative dose mg") for t in (course.table, course.planned.table))
    return (
        f"Of {visits:,} visits of {n:,} virtual patients {100 * len(given) / visits:.0f} % brought a dose and "
        f"{100 * len(held) / visits:.0f} % were held; a rule ended the course of {100 * stopped / n:.0f} %. "
        f"Each was given {mg:,.0f} mg on average ({planned_mg:,.0f} mg on the fixed calendar), {_gained(course)}."
    )


def _gained(course: RuledCourse) -> str:
    """What patients have of it, under the rules and (in brackets) on the fixed calendar, in words."""
    both = course.table, course.planned.table
    if SCALES[illness_in(course.table)].name == "CAPS-5":
        fall, planned_fall = (_mean(t, "baseline CAPS-5") - _mean(t, "CAPS-5 end") for t in both)
        return f"and the CAPS-5 fell by {fall:.0f} points ({planned_fall:.0f})"
    days, planned_days = (_mean(t, "days in remission") for t in both)
    said = f"for {days:.0f} days in remission ({planned_days:.0f})"
    if "manic episodes" in course.table.columns:
        mania, planned_mania = (100 * float((t["manic episodes"] > 0).mean() or 0.0) for t in both)  # type: ignore[arg-type]
        said += f"; mania or hypomania began in {mania:.0f} % ({planned_mania:.0f} %)"
    return said


def _mean(table: pl.DataFrame, column: str) -> float:
    return float(table[column].mean() or 0.0)  # type: ignore[arg-type]


def rules(course: RuledCourse) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Rules that spoke, the loudest first; and those that said nothing."""
    visits = len(course.ledger)
    table = course.rules().sort("visits", descending=True, maintain_order=True)
    told = [
        {
            "rule": r["rule"],
            "says": r["says"],
            "from": f"{r['source']} ({MARKS[r['verified']]})",
            "visits": _counted(r["visits"], visits),
            "patients": _counted(r["patients"], course.patients),
        }
        for r in table.iter_rows(named=True)
    ]
    spoke = int((table["visits"] > 0).sum())
    return told[:spoke], told[spoke:]


def _counted(part: int, whole: int) -> str:
    """A count with its share."""
    share = 100 * part / whole
    return f"{part:,} ({'< 0.1' if 0 < share < 0.1 else f'{share:.1f}' if share < 10 else f'{share:.0f}'} %)"


def told(story: str) -> tuple[str, list[tuple[str, str, list[str]]]]:
    """The story of a patient taken apart: who; and of each visit the day, what happened, and the rules that spoke."""
    who, *lines = story.splitlines()
    visits: list[tuple[str, str, list[str]]] = []
    for line in lines:
        if line.startswith("day"):
            day, happened = line.removeprefix("day").split(maxsplit=1)
            visits.append((f"day {day}", happened, []))
        else:
            visits[-1][2].append(line.strip())
    return who.split(",")[0], visits


def safeguards(course: RuledCourse) -> list[dict[str, str]]:
    """Rules that look for misuse, and whom they would catch and cost, in words."""

    def percent(x: float | None) -> str:
        return "-" if x is None else f"{x:.0f} %"

    return [
        {
            "rule": r["rule"],
            "says": r["says"],
            "from": f"{r['source']} ({MARKS[r['verified']]})",
            **{name: percent(r[name]) for name in ("caught", "in time", "troubled")},
        }
        for r in course.safeguards().iter_rows(named=True)
    ]


FILES = {
    "ledger.csv": "every visit of every patient: what was seen, decided and given, and the rules that spoke",
    "rules.csv": "every rule, and how often it spoke",
    "safeguards.csv": "rules that look for misuse, whom they would catch and whom they would cost",
    "outcomes.csv": "one row per patient",
    "course.parquet": "every patient and day",
    "provenance.json": "what it takes to make this again",
}


def contained() -> Sequence[str]:
    """What the numbers hold, and what they do not."""
    return (
        "Intervals of rates and mean scores hold 90 % of studies of this size; all others 90 % of patients. The "
        "uncertainty of the model's parameters is not in them.",
        "Virtual clinics make every check, confirm every safeguard and, where a rule asks to weigh, weigh and go on; "
        "virtual patients have no excluded condition. So rules that turn on these say nothing here. Resting blood "
        "pressure and missed visits are assumed within stated ranges. Sessions that a limit would have ended count as "
        "given in full.",
    )


def page(course: RuledCourse, stories: Sequence[int] = ()) -> str:
    """The page as text. stories: patients to be told of; others are chosen where these are few.

    Raises UserError where there is no such patient.
    """
    every = course.ledger["patient"].unique(maintain_order=True).to_list()
    telling = [
        patient
        for action in ("stop", "hold")
        for patient in course.ledger.filter(pl.col("action") == action)["patient"].head(1)
    ]
    chosen = list(dict.fromkeys([*stories, *telling, *every]))[: max(STORIES, len(set(stories)))]
    found = weeks_of(course)
    spoke, silent = rules(course)
    return render(
        "ruled.html",
        course=course,
        warnings=warnings(course),
        headline=headline(course),
        states=[state for k, state in enumerate(STATES) if (found == k).any()],
        status=status(course),
        status_table=status_table(course),
        over_time=over_time(course),
        names=NAMES,
        scale=SCALES[illness_in(course.table)],
        reading=READING,
        compared=compared(course),
        spoke=spoke,
        silent=silent,
        safeguards=safeguards(course),
        misused=int(course.table[MISUSE].count()),
        stories=[told(course.story(p)) for p in chosen],
        contained=contained(),
        files=FILES,
    )


def write_ruled(course: RuledCourse, path: str | Path, stories: Sequence[int] = ()) -> Path:
    """Write the page and return its path. stories: patients to be told of.

    Raises UserError where there is no such patient, or the page cannot be written.
    """
    return written(page(course, stories), Path(path))
