"""The file that is written: complete or absent, self-contained, and nothing a user wrote is ever markup."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from samples import HOSTILE

import euthymia as eu
from euthymia import evidence, report
from euthymia.errors import UserError
from euthymia.report import notes
from euthymia.report.page import named, page
from euthymia.report.series import Line, spoken, telling


class Tags(HTMLParser):
    """The tags of a page; a script may hold what looks like one."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.found.append(tag)


def test_page_is_small(ketamine, sertraline, tmp_path):
    assert report.write([ketamine, sertraline], tmp_path / "r.html").stat().st_size < 4e6


def test_page_says_what_it_is_not(ketamine):
    text = page([ketamine])
    assert "not a medical device" in text
    assert "not for dosing anyone" in text


def test_page_names_seed_hash_and_population(ketamine):
    text = page([ketamine])
    assert ketamine.provenance.protocol_hash in text
    assert ketamine.provenance.evidence_hash in text
    assert re.search(r"<dt>seed</dt><dd>1</dd>", text)
    assert "TRD, 64 virtual patients" in text


def test_every_source_of_the_protocol_is_listed(ketamine):
    text = page([ketamine])
    assert all(source.url in text for source in ketamine.protocol.sources if source.url)


def test_assumed_numbers_are_listed_with_their_range(ketamine):
    listed = {a.id: a for a in notes.assumptions([Line(ketamine, 0, "k")])}
    row = evidence.parameter("bdnf.half_life")
    assert row.kind == "assumed"
    assert listed[row.id].range == f"{row.low:g} to {row.high:g}"


def test_hostile_title_stays_text(ketamine):
    protocol = ketamine.protocol.model_copy(update={"title": HOSTILE})
    tags = Tags(page([replace(ketamine, protocol=protocol)])).found
    assert "img" not in tags
    assert tags.count("script") == 3  # data, libraries, the page's own


def test_course_beyond_the_evidence_is_marked_wherever_it_is_named(ketamine):
    course = replace(ketamine, warnings=("no adult absorption parameters are published",))
    (line,) = named([course])
    assert named([ketamine])[0].label + " †" == line.label
    assert "goes beyond the evidence" in page([course])


def test_a_horizon_that_no_study_reached_is_said(ketamine):
    longer = replace(ketamine, time_h=25 * ketamine.time_h)
    said = "weeks followed, more than in any study"
    assert said not in page([ketamine]) and said in page([longer])


def test_a_warning_of_the_document_is_no_step_beyond_the_evidence(ketamine):
    warned = eu.protocol.load("spravato-trd-84")
    text = page([replace(ketamine, protocol=warned)])
    assert all(rule.warning in text for rule in warned.warnings)
    assert "beyond the evidence" not in text


def test_switched_mechanism_names_who_disputes_it(ketamine):
    provenance = replace(ketamine.provenance, variants={"over_block": "off"})
    text = page([replace(ketamine, provenance=provenance)])
    assert "over block: off" in text
    assert "Moghaddam 1997" in text


def test_same_protocol_twice_has_two_names(ketamine):
    first, second = named([ketamine, ketamine])
    assert first.label != second.label


def test_one_patient(tmp_path):
    course = eu.simulate("ketamine-iv-twice-weekly", patients=1, weeks=2, seed=1)
    assert report.write([course], tmp_path / "one.html").exists()


@pytest.mark.parametrize("count", [0, 8])
def test_number_of_courses_is_bounded(ketamine, count, tmp_path):
    with pytest.raises(UserError, match="course"):
        report.write([ketamine] * count, tmp_path / "r.html")
    assert list(tmp_path.iterdir()) == []


def test_unwritable_path_is_one_sentence_and_leaves_nothing(ketamine, tmp_path):
    file = tmp_path / "file"
    file.write_text("kept")
    with pytest.raises(UserError) as told:
        report.write([ketamine], file / "report.html")
    assert "\n" not in str(told.value)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert file.read_text() == "kept"


def test_full_disk_keeps_the_old_report(ketamine, tmp_path):
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    file = tmp_path / "report.html"
    file.write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    text = page([ketamine])  # the cache of the libraries is written before the disk fills
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(text) // 2, before[1]))
        with pytest.raises(UserError):
            report.write([ketamine], file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert file.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_ladder_rung_without_an_effect_is_refused(ketamine, tmp_path):
    with pytest.raises(UserError, match="loss_of_consciousness"):
        rung = {"dose": "1 mg/kg", "mg_per_kg": 1.0, "antidepressant_effect": (1, 0, 2), "dissociation": (1, 0, 2)}
        report.write([ketamine], tmp_path / "r.html", ladder=[rung])  # type: ignore[list-item]


def test_thinning_keeps_peaks_and_troughs_of_every_week():
    days = np.arange(728)
    weekly = np.where(days % 7 == 1, 1.0, np.where(days % 7 == 0, -1.0, 0.0))
    kept = telling(days, weekly, 300)
    assert len(kept) <= 300
    assert (kept[0], kept[-1]) == (0, 727)
    # no month without its peak and its trough: even thinning loses them for weeks on end
    for start in range(0, 700, 28):
        month = weekly[kept[(kept >= start) & (kept < start + 28)]]
        assert (month.min(), month.max()) == (-1.0, 1.0)


@pytest.mark.parametrize(
    "hours, words", [(0, "start"), (2 / 3, "40 min"), (4, "4 h"), (72, "3 d"), (168, "7 d"), (2016, "12 wk")]
)
def test_times_are_spoken(hours, words):
    assert spoken(hours) == words
