"""The front of a search, explored by mouse and keyboard, and without a script."""

import re

import numpy as np
import pytest
from samples import made_up_design
from seen import DESKTOP, Seen

from euthymia.report.design import explored, page
from euthymia.report.design_tables import robust_rows, subgroup_rows, tried_rows
from euthymia.report.design_words import answer, chance, cost

MARKS = ".whole .layer_1_marks path"


@pytest.fixture(scope="module")
def found():
    return made_up_design()


def test_one_regimen_is_no_choice_and_counted_as_one():
    only = made_up_design(vary=("dose=0.5 mg/kg", "maintenance interval=1 week", "CAN-2=on"))
    said = " ".join(answer(only))
    assert "there is one regimen, dose 0.5 mg/kg, maintenance interval 1 week, CAN-2 on, and no choice to make" in said
    assert not re.search(r"\b1 (regimens|subgroups|worlds|are)\b", said + page(only))


@pytest.fixture(scope="module")
def file(found, tmp_path_factory):
    place = tmp_path_factory.mktemp("search") / "index.html"
    place.write_text(page(found), encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def seen(browser, file):
    seen = Seen(browser, file, DESKTOP)
    yield seen
    seen.page.close()


def test_every_picture_has_the_regimens_in_their_order(seen, found):
    heights = seen.page.evaluate(
        f"""[...document.querySelectorAll('.front')].map(
            f => [...f.querySelectorAll('{MARKS}')].map(m => m.getBoundingClientRect().y))"""
    )
    days = found.table()["days in remission"].to_numpy()
    assert len(heights) == len(found.asked.burdens)
    for one in heights:
        assert np.corrcoef(one, days)[0, 1] < -0.99


def test_pointing_at_a_regimen_shows_its_numbers_and_its_course(seen, found):
    front = found.table().filter("on the front")["regimen"].to_list()
    k = next(k for k in front if k != found.chosen.number)
    mark = seen.page.locator(f".front >> nth=0 >> {MARKS}").nth(k)
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    seen.page.mouse.move(box["x"] + box["width"] / 2 + 2, box["y"] + box["height"] / 2)
    shown = int(seen.page.locator("#pointed").input_value())
    values = found.table()["days in remission"], found.table()["cumulative ketamine"]
    assert [v[shown] for v in values] == pytest.approx([v[k] for v in values])  # it, or what lies upon it
    assert str(found.space.regimens[shown]) in seen.page.locator("#pointed-name").inner_text()
    said = [x.strip() for x in seen.page.locator("#pointed-numbers dd").all_inner_texts()]
    assert said == [x.strip() for x in explored(found)["regimens"][shown]["numbers"]]
    assert str(found.space.regimens[shown]) in seen.page.locator("#pointed-chart").get_attribute("aria-label")


def test_the_keyboard_reaches_every_regimen(seen, found):
    names = seen.page.locator("#pointed option").all_inner_texts()
    assert sorted(names) == sorted(str(r) for r in found.space.regimens)
    seen.page.locator("#pointed").focus()
    seen.page.keyboard.press("Home")
    first = seen.page.locator("#pointed-name").inner_text()
    seen.page.keyboard.press("ArrowDown")
    second = seen.page.locator("#pointed-name").inner_text()
    assert first != second and first.startswith(names[0]) and second.startswith(names[1])
    assert seen.page.locator(".front .whole .ring").count() == len(found.asked.burdens)
    assert "protocol as it stands" in seen.page.locator("#pointed-chart").get_attribute("aria-label")


def test_without_a_script_the_pictures_and_the_table_are_there(browser, file):
    context = browser.new_context(java_script_enabled=False)
    still = context.new_page()
    still.goto(file.as_uri())
    assert not still.locator("#explore").is_visible()
    assert still.locator(MARKS).count() > 20 and still.locator("#front ~ details table tbody tr").count() > 5
    context.close()


def test_what_to_find_out_in_whom_and_what_no_study_tried_is_said(found):
    said = " ".join(answer(found))
    trial = found.next_trial
    assert f"A trial of it against the usual one ({trial.against})" in said
    assert f"{trial.endpoint} at week {trial.week}" in said and f"{trial.patients:,} patients" in said
    assert "Extrapolation: 27 sessions planned, more than in any study (12 in Singh 2016)" in said
    robust = robust_rows(found)
    assert len(robust.rows) == found.table()["on the front"].sum() and robust.rows[0][0] == str(found.chosen)
    assert robust.rows[0][-1] in [f"{k} of {found.draws} worlds" for k in range(found.draws + 1)]
    assert "it is also the best in clinics where the drug does little and in bad worlds" in said
    groups = {row[0]: row for row in subgroup_rows(found).rows}
    assert groups["65 years and over"][2] == "too few patients to say anything"
    assert groups["women"][5] in ("yes", "the same regimen", "not distinguishable")
    assert ("racemic ketamine, intravenous", "dose (mg/kg)", "0.1 (Fava 2020)", "1 (Fava 2020)") in tried_rows(
        found
    ).rows


def test_no_choice_is_certain_and_none_is_free():
    assert [chance(p) for p in (0.0, 0.334, 0.99, 0.9999, 1.0)] == [
        "below 0.01",
        "0.33",
        "0.99",
        "over 0.99",
        "over 0.99",
    ]
    assert cost(0.0, "days in remission") == cost(0.04, "days in remission") == "below 0.1 days"
    assert cost(0.06, "days in remission") == "0.1 days" and cost(0.001, "episodes a year") == "below 0.01 episodes"
