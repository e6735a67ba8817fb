"""The page in a real browser: it draws everything, asks for nothing, and fits a phone."""

from dataclasses import replace

import pytest

from euthymia import report

HOSTILE = "</script><script>window.harmed = 1</script><img src=x onerror='window.harmed=1'>"
RUNGS: list[report.Rung] = [
    {
        "dose": f"{dose:g} mg/kg",
        "mg_per_kg": dose,
        "antidepressant_effect": (5.0, 2.0, 9.0),
        "dissociation": (4.0 * dose, dose, 9.0 * dose),
        "loss_of_consciousness": (10.0 * dose, 0.0, 20.0 * dose),
    }
    for dose in (0.1, 0.5, 2.0)
]


class Seen:
    """A page with what it complained about and asked for."""

    def __init__(self, browser, file, width: int = 1200) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 900})
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.page.on("request", lambda r: self.requests.append(r.url))
        self.page.goto(file.as_uri())
        self.page.wait_for_function("document.documentElement.dataset.charts")


@pytest.fixture(scope="module")
def file(ketamine, sertraline, tmp_path_factory):
    return report.write([ketamine, sertraline], tmp_path_factory.mktemp("report") / "r.html", ladder=RUNGS)


@pytest.fixture(scope="module")
def seen(browser, file):
    return Seen(browser, file)


def test_no_complaints(seen):
    assert seen.complaints == []


def test_no_request_but_the_file_itself(seen, file):
    assert [url for url in seen.requests if not url.startswith("data:")] == [file.as_uri()]


def test_every_chart_is_drawn(seen):
    figures = seen.page.locator("figure[data-chart]")
    assert figures.count() > 30
    assert seen.page.locator("figure[data-chart] .chart svg").count() == figures.count()


def test_every_chart_is_described_and_has_its_numbers(seen):
    figures = seen.page.locator("figure[data-chart]").count()
    assert seen.page.locator("figure[data-chart] [role=img][aria-label]").count() == figures
    assert seen.page.locator("figure[data-chart] table tbody tr:first-child").count() == figures


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


def test_phone_needs_no_sideways_scrolling(browser, file):
    seen = Seen(browser, file, width=390)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert seen.complaints == []


def test_hostile_title_does_nothing(browser, ketamine, tmp_path):
    protocol = ketamine.protocol.model_copy(update={"title": HOSTILE})
    seen = Seen(browser, report.write([replace(ketamine, protocol=protocol)], tmp_path / "h.html"))
    assert seen.page.evaluate("window.harmed") is None
    assert HOSTILE in seen.page.locator("h1").inner_text()


def test_treatment_without_ketamine(browser, sertraline, tmp_path):
    seen = Seen(browser, report.write([sertraline], tmp_path / "s.html"))
    assert seen.complaints == []
    assert seen.page.locator("figure[data-chart=story-own] .chart svg").count() == 1
