"""The answer to a question as a page with one picture: lines with bands, and what they rest on."""

from pathlib import Path

from euthymia.report.charts import QUIET, Spec, look, number
from euthymia.report.still import Picture, drawn, extent, panel, render, written
from euthymia.trial.questions import Answer

WIDTH, HEIGHT = 720, 340
NARROW = 300


def picture(answer: Answer) -> Picture:
    """The lines, each with bands of 50 and 90 %."""
    said = "; ".join(
        f"{line.name}: {line.values[2, 0]:.1f} at {answer.x_words[0]}, {line.values[2, -1]:.1f} at {answer.x_words[-1]}"
        for line in answer.lines
    )
    text = f"{answer.y_title} by {answer.x_title}. Median over what is uncertain: {said}. The table has the numbers."
    wide, narrow = (drawn(_spec(answer, width)) for width in (WIDTH, NARROW))
    return Picture(answer.question, text, (wide,), (narrow,))


def _spec(answer: Answer, width: int) -> Spec:
    by_week = answer.x_words[0].startswith("week ")
    place = number("x", title=answer.x_title, scale={"nice": False}) if by_week else _named(answer)
    every = [float(v) for line in answer.lines for v in line.values.ravel()]
    y = {"scale": {"domain": extent([0.0, *every]), "nice": False, "zero": False}, "axis": {"tickCount": 6}}
    bands: list[Spec] = []
    lines: list[Spec] = []
    for k, line in enumerate(answer.lines):
        tint, dash = look(k)
        data = [
            {"x": x, "word": word, **dict(zip(("q05", "q25", "q50", "q75", "q95"), map(float, at), strict=True))}
            for x, word, at in zip(line.x, answer.x_words, line.values.T, strict=True)
        ]
        here = {"data": {"values": data}}
        for low, high, opacity in (("q05", "q95", 0.12), ("q25", "q75", 0.2)):
            over = {"x": place, "y": number(low, **y), "y2": {"field": high}}
            bands.append(here | {"mark": {"type": "area", "color": tint, "opacity": opacity}, "encoding": over})
        middle = {"x": place, "y": number("q50", title=None, **y)}
        mark = {"type": "line", "color": tint, "strokeWidth": 2.2, "strokeDash": dash, "point": not by_week}
        lines.append(here | {"mark": mark, "encoding": middle})
    nothing = {"data": {"values": [{"v": 0}]}, "mark": {"type": "rule", "color": QUIET, "strokeDash": [3, 3]},
               "encoding": {"y": number("v", **y)}}  # fmt: skip
    return panel([nothing, *bands, *lines], width, HEIGHT)


def _named(answer: Answer) -> Spec:
    """An axis of words, in their order."""
    axis = {"labelAngle": -40, "grid": False}
    return {"field": "word", "type": "ordinal", "sort": list(answer.x_words), "title": answer.x_title, "axis": axis}


def page(answer: Answer) -> str:
    """The page as text."""
    columns = (answer.x_title, *(line.name for line in answer.lines))
    rows = []
    for k, word in enumerate(answer.x_words):
        each = (line.values[:, k] for line in answer.lines)
        rows.append((word, *(f"{q[2]:.1f} ({q[0]:.1f} to {q[4]:.1f})" for q in each)))
    names = [line.name for line in answer.lines]
    return render("answer.html", answer=answer, picture=picture(answer), columns=columns, rows=rows, names=names)


def write_answer(answer: Answer, path: str | Path) -> Path:
    """Write the page and return its path. Raises UserError when it cannot be written."""
    return written(page(answer), Path(path))
