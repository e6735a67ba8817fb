"""The page in a real browser: every chart is drawn, and does what its buttons say."""

import re
from dataclasses import replace

import pytest
from samples import HOSTILE, RUNGS
from seen import Seen

from euthymia import report


@pytest.fixture(scope="module")
def file(ketamine, sertraline, tmp_path_factory):
    return report.write([ketamine, sertraline], tmp_path_factory.mktemp("report") / "r.html", ladder=RUNGS)


@pytest.fixture(scope="module")
def seen(browser, file):
    return Seen(browser, file)


def test_every_chart_is_drawn(seen):
    figures = seen.page.locator("figure[data-chart]")
    assert figures.count() > 30
    assert seen.page.locator("figure[data-chart] .chart svg").count() == figures.count()


def test_every_chart_is_described_and_has_its_numbers(seen):
    figures = seen.page.locator("figure[data-chart]").count()
    assert seen.page.locator("figure[data-chart] [role=img][aria-label]").count() == figures
    assert seen.page.locator("figure[data-chart] table tbody tr:first-child").count() == figures


def test_the_nearest_point_says_whose_it_is_when_and_its_numbers(seen):
    chart = seen.page.locator("figure[data-chart=ketamine-day] .chart svg")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    seen.page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    said = seen.page.locator("#vg-tooltip-element.visible")
    said.wait_for()
    assert re.fullmatch(
        r"protocol (ketamine-iv-twice-weekly|sertraline)( †)? time [0-9.]+ (min|h) median \(ng/mL\) [0-9.]+ "
        r"50 % of patients [0-9.]+ to [0-9.]+ 90 % of patients [0-9.]+ to [0-9.]+",
        " ".join(said.inner_text().split()),
    )


def test_individuals_are_drawn_only_on_demand(seen):
    lines = seen.page.locator("figure[data-chart=story-madrs] .mark-line path")
    before = lines.count()
    seen.page.select_option("#who", "all")
    seen.page.wait_for_function(
        "n => document.querySelectorAll('figure[data-chart=story-madrs] .mark-line path').length > n", arg=before
    )
    assert lines.count() == before + 2 * 40
    seen.page.select_option("#who", "")
    seen.page.wait_for_function(
        "n => document.querySelectorAll('figure[data-chart=story-madrs] .mark-line path').length === n", arg=before
    )


def test_protocols_can_be_switched_off(seen):
    lines = "figure[data-chart=ketamine-day] .mark-line path"
    box = seen.page.locator("input[name=shown]").nth(1)
    both = seen.page.locator(lines).count()
    box.uncheck()
    seen.page.wait_for_function("([s, n]) => document.querySelectorAll(s).length < n", arg=[lines, both])
    box.check()
    seen.page.wait_for_function("([s, n]) => document.querySelectorAll(s).length === n", arg=[lines, both])


@pytest.mark.parametrize("kind, begins", [("png", b"\x89PNG"), ("svg", b"<svg"), ("csv", b'"protocol"')])
def test_chart_is_exported(seen, tmp_path, kind, begins):
    figure = seen.page.locator("figure[data-chart=occupancy-day]")
    figure.locator("details").evaluate("d => d.open = true")
    with seen.page.expect_download() as saved:
        figure.locator(f"button[data-save={kind}]").click()
    target = tmp_path / f"chart.{kind}"
    saved.value.save_as(target)
    assert target.read_bytes().startswith(begins)


def test_hostile_title_does_nothing(browser, ketamine, tmp_path):
    protocol = ketamine.protocol.model_copy(update={"title": HOSTILE})
    seen = Seen(browser, report.write([replace(ketamine, protocol=protocol)], tmp_path / "h.html"))
    assert seen.page.evaluate("window.harmed") is None
    assert HOSTILE in seen.page.locator("h1").inner_text()


def test_treatment_without_ketamine(browser, sertraline, tmp_path):
    seen = Seen(browser, report.write([sertraline], tmp_path / "s.html"))
    assert seen.page.locator("figure[data-chart=story-own] .chart svg").count() == 1
