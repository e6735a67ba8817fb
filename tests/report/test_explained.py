"""A protocol on a page and on paper: everything the document says is on both, and can be read by anybody."""

import io
import re
from functools import cache
from html import unescape

import pytest
from pypdf import PdfReader
from samples import HOSTILE

from euthymia.errors import UserError
from euthymia.protocol import catalogue, load
from euthymia.protocol.calendar import HOURS_PER_WEEK
from euthymia.protocol.expand import schedule
from euthymia.protocol.plain_words import MARKS, SET_BY_CLINIC, parts, sentence, set_by_clinic
from euthymia.report import flow, weeks
from euthymia.report.explained import page, pdf, write_explained

NAMES = catalogue()
SALINE = "{compound: saline, route: intravenous, over: 40 min}"


def text_of(html: str, pictures: bool = True) -> str:
    """The words of a page, spaces evened out."""
    gone = "style" if pictures else "style|svg"
    body = re.sub(rf"<({gone}).*?</\1>", "", html, flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def bare(text: str) -> str:
    """Without any space, as words on paper break lines anywhere."""
    return re.sub(r"\s", "", text)


@cache
def paper(name: str) -> str:
    return bare("".join(sheet.extract_text() for sheet in PdfReader(io.BytesIO(pdf(load(name)))).pages))


@cache
def html_of(name: str) -> str:
    return page(load(name))


@pytest.fixture(scope="module", params=NAMES)
def both(request):
    """A protocol, the words of its page without pictures, and the words of its PDF."""
    return load(request.param), bare(text_of(html_of(request.param), pictures=False)), paper(request.param)


# --- nothing is left out ----------------------------------------------------------------------------------------------


def test_every_rule_is_said_with_id_source_and_mark(both):
    protocol, html, sheet = both
    for _, rule in protocol.rules():
        about = bare(f"{rule.rule} · {rule.source} · {MARKS[rule.verified]}")
        clinic = bare(SET_BY_CLINIC) if set_by_clinic(rule) else ""
        note = bare(f"({rule.note})") if rule.note else ""
        said = bare(sentence(rule)) + note + clinic + about
        assert said in html and said in sheet


def test_everything_else_is_said_too(both):
    protocol, html, sheet = both
    for part in parts(protocol):
        for item in part.items:
            assert bare(item.text) in html and bare(item.text) in sheet
            assert bare(item.url or "") in html and bare(item.url or "") in sheet
    for words in (protocol.title, protocol.summary or "", protocol.indication, protocol.version):
        assert bare(words) in html and bare(words) in sheet


def test_the_chart_and_the_calendar_are_real_text_on_paper(both):
    protocol, _, sheet = both
    for step in flow.steps(protocol):
        assert bare(step.title) in sheet
        assert all(bare(line.split(" (")[0]) in sheet for way in step.exits for line in way.lines)
    for row in weeks.rows(protocol):
        assert bare(row.title) in sheet
    assert all(bare("".join(cells)) in sheet for cells in weeks.table(protocol).rows)


def test_a_clinician_decides(both):
    _, html, sheet = both
    assert html.count("acliniciandecides") >= 2 and sheet.count("acliniciandecides") >= 2


@pytest.mark.parametrize("name", ["ketamine-then-exposure", "ketamine-iv-ptsd"])
def test_warnings_come_before_anything_but_the_title(name):
    protocol = load(name)
    assert protocol.warnings
    for words in (bare(text_of(html_of(name))), paper(name)):
        at = [words.index(bare(rule.warning)) for rule in protocol.warnings]
        assert words.index("WARNING" if "WARNING" in words else "Warning") < at[0]
        assert max(at) < words.index(bare(protocol.summary or ""))


def test_what_was_not_verified_stands_out():
    html = page(load("ketamine-iv-trd"))
    open_ = sum(rule.verified == "no" for _, rule in load("ketamine-iv-trd").rules())
    assert html.count('<strong class="unverified">') == open_ > 0


def test_what_is_no_treatment_says_so():
    assert "NOTatreatment" in paper("ketamine-anaesthesia")
    assert "NOT a treatment" in text_of(page(load("ketamine-anaesthesia")))


# --- the chart and the calendar are the document's --------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_chart_cites_every_rule_that_bears_on_the_course(name):
    protocol = load(name)
    told = " ".join(flow.in_words(protocol))
    aside = (*protocol.warnings,)
    kept = [rule for _, rule in protocol.rules() if rule not in aside]
    assert all(f"({rule.rule})" in told or f"({rule.rule}, {MARKS[rule.verified]})" in told for rule in kept)


def test_the_chart_goes_from_eligibility_over_sessions_and_decisions_to_the_end():
    said = [step.title for step in flow.steps(load("ketamine-iv-trd"))]
    order = ["Eligible?", "Before each session", "Session", "May leave?", "Phase: induction"]
    order += ["End of induction: response?", "Phase: maintenance", "End of the sessions"]
    assert [title for title in said if title in order] == order


def test_a_decision_of_a_week_stands_where_the_week_comes(document):
    rule = "[{rule: W-1, at: week 3, stop when: no response, source: a source, verified: yes}]"
    said = [step.title for step in flow.steps(document.load(decide=rule))]
    assert said.index("Phase: induction") < said.index("At week 3: no response?") < said.index("Phase: maintenance")


def test_a_chart_is_cut_between_steps_and_keeps_all_words():
    protocol = load("spravato-trd-84")
    for width in (flow.WIDE, flow.NARROW):
        pieces = flow.draw(protocol, width)
        assert len(pieces) == len(flow.steps(protocol))
        for piece, step in zip(pieces, flow.steps(protocol), strict=True):
            assert bare(step.title) in bare(text_of(piece))


def test_words_stay_within_their_boxes(browser):
    """Measured by a browser: no text of a chart reaches beyond the picture or its own box."""
    view = browser.new_page(viewport={"width": 800, "height": 900})
    for name in NAMES:
        for width in (flow.WIDE, flow.NARROW):
            view.set_content(f"<body>{''.join(flow.draw(load(name), width))}</body>")
            beyond = view.evaluate(
                """() => { const found = [];
                for (const svg of document.querySelectorAll('svg')) {
                  const frames = [...svg.querySelectorAll('rect[stroke], polygon')].map(b => b.getBoundingClientRect());
                  for (const t of svg.querySelectorAll('text')) {
                    const r = t.getBoundingClientRect(), y = (r.top + r.bottom) / 2;
                    const own = frames.find(f => f.left < r.left && f.right > r.left && f.top < y && f.bottom > y);
                    if (r.right > (own || svg.getBoundingClientRect()).right) found.push(t.textContent);
                  } }
                return found; }"""
            )
            assert beyond == [], name
    view.close()


@pytest.mark.parametrize("name", NAMES)
def test_the_table_holds_every_session_within_26_weeks(name):
    protocol = load(name)
    given = schedule(protocol, 26 * HOURS_PER_WEEK).administrations
    made = weeks.table(protocol)
    assert len(made.rows) == 26
    if protocol.phases:
        column = made.head.index("Sessions")
        assert sum(row[column].count("day ") for row in made.rows) == len(given)


def test_an_odd_document_is_drawn(document):
    """One dose, long words, a drug of a phase's own, no safeguards."""
    long = "W" * 60
    odd = document.load(
        status="research only",
        title=f'"{HOSTILE}"',
        phases=f"[{{name: {long}, doses: 1}}, {{name: b, doses: 1, starts: week 2, drug: {SALINE}}}]",
    )
    assert long in bare(text_of(page(odd)))
    assert pdf(odd).startswith(b"%PDF")


def test_hostile_words_stay_words(document):
    odd = document.load(title=f'"{HOSTILE} #sys.inputs *x*"')
    assert "<script" not in page(odd) and "<img" not in page(odd)
    sheet = "".join(s.extract_text() for s in PdfReader(io.BytesIO(pdf(odd))).pages)
    assert "#sys.inputs *x*" in sheet and "<script>" in sheet


# --- how it is written ------------------------------------------------------------------------------------------------


def test_the_pdf_has_numbered_pages_marks_for_readers_and_no_bitmap():
    made = PdfReader(io.BytesIO(pdf(load("spravato-trd-84"))))
    many = len(made.pages)
    assert all(f"{n} / {many}" in sheet.extract_text() for n, sheet in enumerate(made.pages, start=1))
    assert not any(sheet.images for sheet in made.pages)
    assert made.trailer["/Root"]["/MarkInfo"]["/Marked"]
    assert made.metadata and made.metadata.title == load("spravato-trd-84").title


def test_equal_protocols_give_equal_files():
    protocol = load("spravato-trd-84")
    assert pdf(protocol) == pdf(protocol) and page(protocol) == page(protocol)


def test_pictures_have_words(both):
    html = html_of(both[0].name)
    assert html.count("<figure>") == html.count('role="img" aria-label="') == 2
    assert 'aria-label=""' not in html
    told = text_of(html[html.index("The chart in words") :])
    assert all(said in told for said in flow.in_words(both[0]))


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file"):
        write_explained(load("lithium"), tmp_path / "file")
