"""The pages and the terminal table of predicted beside published, from rows made up for the purpose."""

import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from samples import HOSTILE, made_up_validation

from euthymia.course.result import evidence_hash
from euthymia.errors import UserError
from euthymia.report.replica import design, given, points, time_courses, write_replica
from euthymia.report.rows import miss, published, value
from euthymia.report.table import replica_text
from euthymia.report.validation import headline, page, write_validation
from euthymia.report.validation_markdown import PAGE, write_markdown
from euthymia.trial.document import catalogue, load

TRIALS = ("transform-2", "murrough-2013", "sustain-1", "shiroma-2020", "wagner-2017", "lapidus-2014", "takahashi-2021")


@pytest.fixture(scope="module")
def validation():
    return made_up_validation([load(name) for name in TRIALS])


@pytest.fixture(scope="module")
def file(validation, tmp_path_factory):
    return write_validation(validation, tmp_path_factory.mktemp("validation") / "validation.html")


@pytest.fixture(scope="module")
def html(file):
    return file.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def replica(validation, tmp_path_factory):
    return write_replica(validation, load("takahashi-2021"), tmp_path_factory.mktemp("replica"))


def table_rows(html: str) -> list[list[str]]:
    """The cells of every table row as text."""
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", html, re.S)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S) for row in rows]
    return [[unescape(re.sub("<[^>]+>", "", c)) for c in row] for row in cells]


def test_sample_has_what_the_tests_need(validation):
    assert {r.set for r in validation.rows} == {"calibration", "validation"}
    assert {r.inside90 for r in validation.rows} == {True, False, None}
    assert any(r.assumed for r in validation.rows) and any(r.words for r in validation.rows)


def test_page_has_every_row(validation, html):
    found = {(c[0], c[1], c[2], c[10]) for c in table_rows(html) if len(c) == 11}
    assert found >= {(r.arm, r.endpoint, r.time, r.evidence) for r in validation.rows}


def test_page_has_every_reason_why_not_predicted(html):
    text = unescape(html)
    reasons = {one.because for name in TRIALS for one in load(name).not_predicted}
    assert reasons and all(reason in text for reason in reasons)


def test_page_has_every_reason_for_what_is_assumed(validation, html):
    text = unescape(html)
    assert all(r.assumed in text for r in validation.rows)


def test_page_lists_every_miss(validation, html):
    wrong = [r for r in validation.rows if r.inside90 is False]
    listed = [c for c in table_rows(html) if len(c) == 6 and c[5]]
    assert sum(c[5] in {miss(r) for r in wrong} for c in listed) == len(wrong)


def test_validation_set_comes_first(html):
    places = [html.index(f'<details class="trial" id="{name}"') for name in ("shiroma-2020", "transform-2")]
    assert places == sorted(places)


def test_every_chart_is_described(html):
    figures = html.count("<figure>")
    assert figures == len(TRIALS) + 1
    assert len(re.findall(r'role="img" aria-label="[^"]{30,}"', html)) == figures


def test_headline_says_the_totals(validation):
    for said, name in zip(headline(validation), ("validation", "calibration"), strict=True):
        for kind in ("rate", "change", "difference"):
            total = validation.total(name, kind)
            if total.rows:
                assert re.search(rf"\b{total.rows} [^;]*{kind}", said)
                assert f"by {total.mean_absolute_error:.1f} " in said
                assert f"{total.naive_error:.1f})" in said
        every = validation.total(name)
        assert f"and {every.inside90:.0f} % of all {every.rows} published values" in said


def test_page_begins_with_the_headline(validation, html):
    text = unescape(html).replace("\N{NO-BREAK SPACE}", " ")
    places = [text.index(said) for said in headline(validation)]
    assert places == sorted(places) and places[-1] < text.index("<main>")


def test_headline_of_the_calibration_set_says_that_it_is_no_test(validation):
    assert "never fitted" in headline(validation)[0]
    assert "no test" in headline(validation)[1]


def test_words_are_shown_where_no_number_was_published(validation, html):
    assert any(c[4].startswith('"ns"') and c[9] == "in words" for c in table_rows(html) if len(c) == 11)
    assert '"ns"' in replica_text(validation)


@pytest.mark.parametrize("field", ["arm", "endpoint", "time", "words", "assumed", "evidence"])
def test_hostile_words_are_escaped(validation, field):
    # Row: the words are shown only where there is no number
    row = next(r for r in validation.rows if r.observed is None)._replace(**{field: HOSTILE})
    text = page(replace(validation, rows=(row,)))
    assert "<script" not in text and "<img" not in text
    assert "&lt;script" in text


def test_text_is_narrow_and_aligned(validation):
    lines = replica_text(validation).splitlines()
    assert max(map(len, lines)) <= 120
    head, rule = lines[0], next(k for k, line in enumerate(lines) if set(line) == {"-"})
    end = head.index("predicted") + len("predicted")
    total = next(k for k, line in enumerate(lines) if "mean absolute error" in line)
    cells = [line for line in lines[rule + 1 : total] if len(line) > end]
    assert cells and all(line[end : end + 2] == "  " for line in cells if not line.endswith("set)"))


def test_text_wraps_what_is_long(validation):
    long = [r._replace(arm="an arm with many words " * 3, endpoint="an endpoint " * 8) for r in validation.rows]
    lines = replica_text(replace(validation, rows=tuple(long))).splitlines()
    assert max(map(len, lines)) <= 120
    assert "words" in " ".join(lines)


def test_text_marks_rows_and_says_what_intervals_contain(validation):
    text = replica_text(validation)
    out = sum(r.inside90 is False for r in validation.rows)
    assert len(re.findall(r"\bOUT\b(?!:)", text)) == out
    assert validation.fitted.split(",")[0] in " ".join(text.split())
    assert "seed 1" in text


def test_replica_says_what_each_arm_gets(replica):
    trial, text = load("takahashi-2021"), unescape(replica.read_text(encoding="utf-8"))
    assert replica.name == "takahashi-2021.html"
    assert trial.title in text and all(f"<dt>{arm.arm}</dt>" in text for arm in trial.arms)
    assert "Esketamine, intranasal device, 28 mg: 8 sessions" in text
    assert all(one.because in text for one in trial.not_predicted)


def test_every_trial_of_the_catalogue_says_what_its_arms_get():
    for trial in catalogue():
        assert design(trial).endswith(".")
        scale = "Score" if trial.illness == "PTSD" else "MADRS"  # trials of PTSD use several scales
        assert all(f"{scale.lower()} at entry" in given(trial, arm).lower() for arm in trial.arms)


def test_time_courses_show_all_arms_of_a_measure_in_one_panel():
    trial = load("lii-2023")
    rows = made_up_validation([trial]).rows
    course = time_courses(trial, rows)
    assert course is not None and len(course.panels) == len({r.endpoint for r in rows})
    assert all(f"in {', '.join(arm.arm for arm in trial.arms)}" in said for said in course.description.split(";"))


def test_published_points_stand_at_their_time_inside_their_interval():
    trial = load("lii-2023")
    rows = made_up_validation([trial]).rows
    found = points(trial, rows)
    assert len(found) == len(rows)
    for p in found:
        assert f"{p.days:g} days" == p.row.time or (p.days == 1 and p.row.time == "24 h")
        assert p.low is not None and p.high is not None and p.row.observed is not None
        assert p.low < p.row.observed < p.high


def test_no_time_course_of_one_time():
    trial = load("murrough-2013")
    assert time_courses(trial, made_up_validation([trial]).rows) is None


def test_replica_of_a_trial_without_rows(validation, tmp_path):
    with pytest.raises(UserError, match="no row of the trial"):
        write_replica(validation, load("su-2017"), tmp_path)


def test_page_of_one_set_only(validation):
    rows = tuple(r for r in validation.rows if r.trial == "lapidus-2014")
    text = page(replace(validation, rows=rows))
    assert len(headline(replace(validation, rows=rows))) == 1
    assert "never fitted to" in text


def test_the_page_of_the_documentation_holds_every_value_in_tables_of_even_width(validation, tmp_path):
    text = write_markdown(validation, tmp_path).read_text(encoding="utf-8")
    for row in validation.rows:
        assert f"| {published(row)} | {value(row, row.predicted)} |" in text
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) > len({r.trial for r in validation.rows})
    for lines in tables:
        assert len({line.replace("\\|", "").count("|") for line in lines}) == 1


def test_the_page_in_the_documentation_is_of_this_evidence_and_names_every_trial():
    text = (Path(__file__).parents[2] / "docs" / PAGE).read_text(encoding="utf-8")
    assert f"Evidence `{evidence_hash()[:12]}`" in text, "the evidence has changed: run `make docs`"
    assert all(f"\n### {t.trial}\n" in text for t in catalogue())
