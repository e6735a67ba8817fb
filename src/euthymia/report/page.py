"""The report page: gathers charts, tables and notes, and writes them as one self-contained HTML file."""

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from euthymia.course.outcomes import Row
from euthymia.course.result import Course
from euthymia.course.store import write_whole
from euthymia.errors import UserError
from euthymia.protocol import explain
from euthymia.report import balance, chain, charts, ladder, mood, notes, script, states
from euthymia.report.ladder import Rung
from euthymia.report.numbers import positive
from euthymia.report.series import WEEK_H, Line, spoken

FEW = 30
IN_HOURS = {"h": 1.0, "days": 24.0}
COUNT = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven")


def write(courses: Sequence[Course], path: str | Path, *, ladder: Sequence[Rung] | None = None) -> Path:
    """Write the report of one or several courses as one HTML file and return its path.

    courses: side by side, at most seven; path: the file, replaced whole or not touched at all;
    ladder: rungs of the dose ladder, if it is to be shown.
    Raises UserError for no courses, too many, an incomplete rung, or a file that cannot be written.

    >>> import euthymia as eu, tempfile, pathlib
    >>> course = eu.simulate("ketamine-iv-single", patients=32, weeks=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write([course], pathlib.Path(folder) / "report.html")
    ...     print(page.name)
    report.html
    """
    path = Path(path)
    text = page(courses, ladder)
    write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))
    return path


def page(courses: Sequence[Course], ladder_rungs: Sequence[Rung] | None = None) -> str:
    """The whole page as text."""
    lines = named(courses)
    found = balance.summaries(lines)
    rows = chain.rows(lines)
    story = mood.charts_of(lines)
    poles = states.charts_of(lines)
    benefit, harm = (balance.dots(lines, found, which) for which in (balance.BENEFIT, balance.HARM))
    versus = [c for c in (balance.trade(lines, found), balance.tolerance(lines)) if c]
    steps = ladder.charts_of(ladder_rungs) if ladder_rungs else []
    every = [c for row in rows for c in (row.day, row.whole) if isinstance(c, charts.Chart)]
    every += [*story, *poles, *benefit, *harm, *versus, *steps]
    labels = [line.label for line in lines]
    app, libraries = _asset("page.js"), script.bundle()
    return _template().render(
        title=courses[0].protocol.title if len(lines) == 1 else f"{COUNT[len(lines)]} protocols, side by side",
        lines=lines,
        colours=charts.PALETTE,
        dashes=[",".join(map(str, d)) for d in charts.DASHES],
        headline=headline(lines, found),
        same=notes.same_patients(lines),
        individuals=notes.individuals(lines),
        table=found,
        cell=cell,
        footnotes=footnotes(found),
        notes=notes,
        warned={line.label: said for line in lines if (said := notes.warned(line))},
        beyond={line.label: said for line in lines if (said := notes.beyond(line))},
        windows=chain.windows(lines),
        rows=rows,
        story=story,
        poles=poles,
        ptsd=any(map(mood.has_ptsd, lines)),
        pace=mood.pace(lines),
        benefit=benefit,
        harm=harm,
        versus=versus,
        steps=steps,
        trial_doses=ladder.trial_doses() if steps else None,
        explained={line.label: explain(line.course.protocol) for line in lines},
        style=Markup(_asset("page.css")),
        libraries=Markup(libraries),
        app=Markup(app),
        hashes=" ".join(script.allowed(text) for text in (libraries, app)),
        data=script.as_json(
            {
                "charts": {c.id: {"spec": c.spec, "title": c.title, "lone": c.individuals} for c in every},
                "config": charts.CONFIG,
                "labels": labels,
            }
        ),
    )


def named(courses: Sequence[Course]) -> list[Line]:
    """Each course with a short, unique name. Raises UserError for none or too many."""
    if not courses:
        raise UserError("a report needs at least one course.")
    if len(courses) > charts.MOST:
        raise UserError(f"a report shows at most {charts.MOST} courses side by side, got {len(courses)}.")
    lines: list[Line] = []
    for index, course in enumerate(courses):
        label = course.protocol.name
        if course.provenance.variants:
            label += f" ({', '.join(f'{k} {v}' for k, v in course.provenance.variants.items())})"
        taken = {line.label for line in lines}
        number = 2
        while label in taken:
            label, number = f"{course.protocol.name} #{number}", number + 1
        lines.append(Line(course, index, label))
    marked = [f"{line.label} †" if notes.beyond(line) else line.label for line in lines]
    return [Line(line.course, line.index, label) for line, label in zip(lines, marked, strict=True)]


def headline(lines: Sequence[Line], found: dict[str, dict[str, Row]]) -> str:
    """The result in one sentence, with its uncertainty."""
    early, late = balance.pick(found, "response at 24 h"), balance.pick(found, "response at week")
    if not early or not late:
        weeks = max(line.course.time_h[-1] for line in lines) / WEEK_H
        return f"Healthy volunteers over {weeks:g} weeks: there is no depression to respond, only exposure and harms."
    end = late[0].removeprefix("response at ")
    few = min(line.course.patients for line in lines) < FEW
    note = " In brackets: 90 % of studies of this size." + (" So few patients say little about rates." if few else "")
    if len(lines) > 3:
        (low, a), (high, b) = (f(late[1].items(), key=lambda item: item[1].value) for f in (min, max))
        return f"Response at {end} lies between {_rate(a)} with {low} and {_rate(b)} with {high}.{note}"
    said = [
        f"with {label}, {_rate(early[1][label])} respond at 24 hours and {_rate(late[1][label])} at {end}"
        for label in (line.label for line in lines)
        if label in early[1] and label in late[1]
    ]
    text = "; ".join(said)
    return f"{text[0].upper()}{text[1:]}.{note}"


def _rate(row: Row) -> str:
    return f"{row.value:.0f} % ({row.low:.0f} to {row.high:.0f})"


def cell(row: Row | None) -> tuple[str, str]:
    """Value and interval, as words."""
    if row is None:
        return ("–", "")
    if row.unit in IN_HOURS and row.label.startswith("time"):
        value, low, high = (spoken(IN_HOURS[row.unit] * x) for x in (row.value, row.low, row.high))
    else:
        digits = 0 if max(abs(row.high), abs(row.value)) >= 100 or (row.unit == "%" and row.high >= 10) else 1
        value, low, high = (positive(x, digits, ",") for x in (row.value, row.low, row.high))
    return (value, "" if low == high else f"{low} to {high}")


def footnotes(found: dict[str, dict[str, Row]]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """A letter for each outcome, and what the intervals with that letter contain."""
    letters: dict[str, str] = {}
    marks = {}
    for label, rows in found.items():
        different = dict.fromkeys(row.contains for row in rows.values())
        said = next(iter(different)) if len(different) == 1 else _joined({k: r.contains for k, r in rows.items()})
        marks[label] = letters.setdefault(said, "abcdefghijklmnopqrstuvwxyz"[len(letters) % 26])
    return marks, [(letter, said) for said, letter in letters.items()]


def _joined(said: dict[str, str]) -> str:
    """What several protocols say, with what they have in common said once: "median of those who (A: 9 %; B: 8 %)"."""
    split = {label: text.rstrip(")").rpartition(" (") for label, text in said.items()}
    if len({common for common, _, _ in split.values()}) == 1:
        common = next(iter(split.values()))[0]
        return f"{common} ({'; '.join(f'{label}: {own}' for label, (_, _, own) in split.items())})"
    return "; ".join(f"{label}: {text}" for label, text in said.items())


def _asset(name: str) -> str:
    return files("euthymia.report").joinpath(name).read_text(encoding="utf-8")


@lru_cache
def _template() -> Any:
    environment = Environment(
        loader=PackageLoader("euthymia.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html")
