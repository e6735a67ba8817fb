"""Benefit against harm, side by side for every protocol, and how dissociation changes over sessions."""

from collections.abc import Sequence

import numpy as np

from euthymia.course.outcomes import Row
from euthymia.report import charts
from euthymia.report.charts import Chart
from euthymia.report.numbers import readable
from euthymia.report.series import BAND_PATIENTS, QUANTILES, Line, band_rows, rounded

BENEFIT = ("response at week", "remission at week", "days in remission")
HARM = ("highest dissociation", "highest systolic rise", "sedated at least once")


def summaries(lines: Sequence[Line]) -> dict[str, dict[str, Row]]:
    """The rows of every course's summary: label of the row -> label of the course -> row."""
    found: dict[str, dict[str, Row]] = {}
    for line in lines:
        for row in line.course.summary().rows:
            found.setdefault(row.label, {})[line.label] = row
    return found


def pick(found: dict[str, dict[str, Row]], beginning: str) -> tuple[str, dict[str, Row]] | None:
    """The row whose label begins so; the one most courses have when horizons differ."""
    hits = [(label, rows) for label, rows in found.items() if label.startswith(beginning)]
    return max(hits, key=lambda hit: len(hit[1])) if hits else None


def dots(lines: Sequence[Line], found: dict[str, dict[str, Row]], beginnings: Sequence[str]) -> list[Chart]:
    """One small chart per outcome: a value with its interval for every protocol."""
    made = []
    for beginning in beginnings:
        hit = pick(found, beginning)
        if hit:
            made.append(_dots(lines, *hit))
    return made


def _dots(lines: Sequence[Line], name: str, rows: dict[str, Row]) -> Chart:
    labels = [line.label for line in lines]
    unit = next(iter(rows.values())).unit
    data = [
        {"p": label, "v": rounded(r.value), "low": rounded(r.low), "high": rounded(r.high), "c": r.contains}
        for label in labels
        if (r := rows.get(label)) is not None
    ]
    data += [{"p": label, "none": "no ketamine given"} for label in labels if label not in rows]
    top = 100.0 if unit == "%" else max([d["high"] for d in data if d.get("high") is not None] or [1.0]) * 1.05
    scale = {"domain": [0, top], "nice": False}
    x = charts.number("v", title=unit, scale=scale, axis={"grid": True, "tickCount": 5})
    y = {"field": "p", "type": "nominal", "sort": labels, "axis": None, "scale": {"paddingOuter": 0.15}}
    left, tint = {"value": 0}, charts.colour(labels)
    said = [
        charts.tip("p", "protocol", "nominal"),
        charts.tip("v", name),
        charts.tip("low", "low"),
        charts.tip("high", "high"),
        charts.tip("c", "interval contains", "nominal"),
    ]
    some = (charts.SHOWN, {"filter": "isValid(datum.v)"})
    bar = {"x": charts.reading(x, "low"), "x2": {"field": "high"}, "y": y, "color": tint, "tooltip": said}
    point = {"x": x, "y": y, "color": tint, "tooltip": said}
    name_of, nothing = ({"x": left, "y": y, "text": {"field": f, "type": "nominal"}} for f in ("p", "none"))
    layers = [
        charts.layer("dots", "text", name_of, charts.SHOWN, align="left", dy=-13, fontSize=11, color=charts.INK),
        charts.layer("dots", "rule", bar, *some, strokeWidth=3, opacity=0.35),
        charts.layer("dots", "point", point, *some, filled=True, size=90, opacity=1),
        charts.layer(
            "dots", "text", nothing, charts.SHOWN, {"filter": "isValid(datum.none)"},
            align="left", dx=2, fontSize=11, fontStyle="italic", color=charts.QUIET,
        ),
    ]  # fmt: skip
    made = charts.spec(layers, labels, 46 * len(labels), dots=data)
    table = tuple(
        (label, *(("–",) * 3 + ("no ketamine given",) if label not in rows else _cells(rows[label])))
        for label in labels
    )
    told = f"{name} ({unit}): " + "; ".join(f"{c[0]} {c[1]} ({c[2]} to {c[3]})" for c in table) + "."
    id = "dots-" + "".join(c if c.isalnum() else "-" for c in name.lower())
    return Chart(id, name, made, told, ("Protocol", unit, "Low", "High", "The interval contains"), table)


def _cells(row: Row) -> tuple[str, ...]:
    return (f"{row.value:.1f}", f"{row.low:.1f}", f"{row.high:.1f}", row.contains)


def trade(lines: Sequence[Line], found: dict[str, dict[str, Row]]) -> Chart | None:
    """Remission at the end over the highest dissociation: each protocol one point with both intervals."""
    benefit, harm = pick(found, "remission at week"), pick(found, "highest dissociation")
    if not benefit or not harm:
        return None
    labels = [line.label for line in lines]
    none = Row("", 0.0, 0.0, 0.0, "CADSS", "no ketamine given")
    data = []
    for label in labels:
        if label in benefit[1]:
            b, h = benefit[1][label], harm[1].get(label, none)
            numbers = {"y": b.value, "y0": b.low, "y1": b.high, "x": h.value, "x0": h.low, "x1": h.high}
            data.append({"p": label} | {k: rounded(v) for k, v in numbers.items()})
    side = max(d["x1"] for d in data) * 1.08 or 1.0
    x_scale, y_scale = ({"domain": [start, end], "nice": False} for start, end in ((-0.02 * side, side), (0, 100)))
    x_title = "highest dissociation, CADSS (90 % of patients)"
    x = charts.number("x", title=x_title, scale=x_scale, axis={"grid": True, "tickCount": 6})
    y = charts.number("y", title="remission, % (90 % of studies)", scale=y_scale, axis={"tickCount": 5})
    tint = charts.colour(labels, charts.POINT_LEGEND)
    said = [charts.tip("p", "protocol", "nominal"), charts.tip("y", "remission, %"), charts.tip("x", "CADSS")]
    across = {"x": charts.reading(x, "x0"), "x2": {"field": "x1"}, "y": y, "color": tint}
    upward = {"x": x, "y": charts.reading(y, "y0"), "y2": {"field": "y1"}, "color": tint}
    point = {"x": x, "y": y, "color": tint, "tooltip": said}
    layers = [
        charts.layer("dots", "rule", across, charts.SHOWN, strokeWidth=3, opacity=0.3),
        charts.layer("dots", "rule", upward, charts.SHOWN, strokeWidth=3, opacity=0.3),
        charts.layer("dots", "point", point, charts.SHOWN, filled=True, size=130, opacity=1),
    ]
    made = charts.spec(layers, labels, 300, dots=data)
    columns = ("Protocol", "Remission, %", "Low", "High", "CADSS", "5 %", "95 %")
    table = tuple((d["p"], *(readable(d[k]) for k in ("y", "y0", "y1", "x", "x0", "x1"))) for d in data)
    said = "; ".join(f"{t[0]}: remission {t[1]} %, highest dissociation {t[4]} CADSS points" for t in table)
    title = f"{benefit[0].capitalize()} against dissociation"
    return Chart("trade", title, made, f"{title}. {said}.", columns, table)


def tolerance(lines: Sequence[Line]) -> Chart | None:
    """Peak dissociation of each session, by the number of the session."""
    labels, data = [line.label for line in lines], []
    for line in lines:
        peaks = line.course.sessions.get("peak dissociation")
        active = np.isin(line.course.session_h, line.active_h)
        if peaks is None or not active.any():
            continue
        bands = np.quantile(peaks[:BAND_PATIENTS, active], QUANTILES, axis=0)
        number = np.arange(1.0, bands.shape[1] + 1)
        data += [row | {"at": f"session {row['t']:g}"} for row in band_rows(line, number, bands)]
    if not data or max(r["t"] for r in data) < 2:
        return None
    most = max(r["t"] for r in data)
    ticks = list(range(1, int(most) + 1, int(np.ceil(most / 10))))
    scale = {"domain": [0.7, most + 0.3], "nice": False}
    x = charts.number("t", title="session", scale=scale, axis={"values": ticks, "format": "d"})
    y = charts.y_axis((0.0, float(max(r["q95"] for r in data)) * 1.05), tickCount=5)
    tint, dashes = (f(labels, charts.LINE_LEGEND) for f in (charts.colour, charts.dash))
    made = charts.spec(charts.bands(tint, dashes, x, y, "CADSS"), labels, 300, bands=data)
    table = tuple(charts.table_row(r) for r in data[:60])
    ends = [(label, [r for r in data if r["p"] == label]) for label in labels]
    said = "; ".join(
        f"{p}: median {readable(o[0]['q50'])} in the first, {readable(o[-1]['q50'])} in the last session"
        for p, o in ends
        if o
    )
    title = "Peak dissociation by session (CADSS points)"
    return Chart("tolerance", title, made, f"{title}. {said}.", charts.BAND_COLUMNS, table)
