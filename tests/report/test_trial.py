"""The page of a planned trial: it shows the result's own numbers, and what nobody planned does not break it."""

import re

import pytest

from euthymia.report.trial import UNIT, comparisons, flow, page, write_trial
from euthymia.trial.plan import ANALYSES, Plan, load_plan
from euthymia.trial.run import run

HOSTILE = "<img src=x onerror=alert(1)>"


def smaller(name: str, **changes) -> Plan:
    return load_plan(name).model_copy(update={"patients": 24, **changes})


@pytest.fixture(scope="module")
def once():
    return run(smaller("esketamine-withdrawal"), 1)


@pytest.fixture(scope="module")
def often():
    return run(smaller("esketamine-dose-ranging", title=f"Doses {HOSTILE}"), 12)


def test_every_comparison_has_its_line_and_its_numbers(often):
    html = page(often)
    table = html[html.index("Endpoint table") :]
    rows = comparisons(often)
    assert len(rows) == len(often.power())
    assert table.count("<tr") == len(rows) + 1
    for r, row in zip(rows, often.power().iter_rows(named=True), strict=True):
        scale = 100 if r.unit == "share" else 1
        assert r.estimate == pytest.approx(scale * row["estimate"])
        assert f"{row['power']:.3f} ± {row['standard error']:.3f}" in table


def test_every_analysis_has_its_unit_and_points_stay_points():
    assert set(UNIT) == {method for methods in ANALYSES.values() for method in methods}
    crossed = run(load_plan("ketamine-crossover"), 1)
    for r, row in zip(comparisons(crossed), crossed.estimates.iter_rows(named=True), strict=True):
        assert (r.unit, r.estimate) == ("points", pytest.approx(row["estimate"]))


def test_one_trial_shows_p_values_and_survival(once):
    html = page(once)
    assert "% without relapse" in html
    for row in once.estimates.iter_rows(named=True):
        assert f"{row['p value']:.3f}" in html


def test_the_flow_adds_up(once):
    before, arms = flow(once)
    counts = [[int(re.findall(r"[0-9]+", line)[0]) for line in box.lines] for box in arms]
    assert sum(c[0] for c in counts) == int(before[-1].lines[0]) == 24
    assert all(randomised == gone + completed for randomised, gone, completed in counts)


def test_looks_of_an_adaptive_trial_add_up(often):
    html = page(often)
    stopped = [int(n) for n in re.findall(r"(\d+) of 12</li>", html)]
    assert sum(stopped) == 12


def test_names_cannot_become_markup(often):
    assert HOSTILE not in page(often)


@pytest.mark.parametrize("name", ["once", "often"])
@pytest.mark.parametrize("width", [1200, 400])
def test_the_page_asks_for_nothing_and_fits(name, width, browser, request, tmp_path):
    file = write_trial(request.getfixturevalue(name), tmp_path / "t.html")
    seen = browser.new_page(viewport={"width": width, "height": 900})
    asked, said = [], []
    seen.on("request", lambda r: asked.append(r.url))
    seen.on("console", lambda m: said.append(m.text))
    seen.goto(file.as_uri())
    assert asked == [file.as_uri()]
    assert said == []
    assert seen.evaluate("document.documentElement.scrollWidth") <= width
    assert seen.locator(".wide svg").count() >= 3
    seen.close()
