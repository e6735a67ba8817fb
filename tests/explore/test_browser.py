"""The page in a real browser: sliders move curves, regimens stand side by side, and nothing comes from elsewhere."""

import re

import pytest

from euthymia.explore.regimen import sliders
from euthymia.protocol import load

DRAWN = "document.documentElement.dataset.drawn"
SETTLED = "#main[aria-busy=false]"


class Seen:
    """The page with what it complained about and asked for."""

    def __init__(self, browser, explorer, width: int = 1280, scheme: str = "light", address: str | None = None):
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.page = self.context.new_page()
        self.page.set_default_timeout(120_000)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.page.on("request", lambda r: self.requests.append(r.url))
        self.page.goto(address or explorer.address)
        if address is None:
            self.settle()

    def settle(self) -> None:
        """Until the regimen in front is drawn."""
        self.page.wait_for_function(
            "() => document.querySelector('#main[aria-busy=false]') && !document.querySelector('.curve.old')"
        )

    def slider(self, number: str):
        return self.page.locator(f'input[data-number="{number}"]')

    def press(self, number: str, key: str, times: int = 1) -> None:
        """Move a slider by keyboard and wait for the curves."""
        before = self.page.evaluate(DRAWN)
        self.slider(number).focus()
        for _ in range(times):
            self.page.keyboard.press(key)
        self.page.wait_for_function(f"before => {DRAWN} && {DRAWN} !== before", arg=before)
        self.settle()

    def curve(self, slot: str = "a", chart: str = "madrs") -> str:
        return self.page.locator(f"#{chart} .lines .of-{slot}").get_attribute("d")


@pytest.fixture
def seen(browser, explorer):
    found = Seen(browser, explorer)
    yield found
    found.context.close()


def test_the_page_loads_without_complaint_and_asks_this_machine_alone(seen, explorer):
    assert seen.complaints == []
    assert {re.match(r"(\w+://)?[^/]*", url)[0] for url in seen.requests} == {f"http://127.0.0.1:{explorer.port}"}
    assert explorer.token not in seen.page.url
    seen.page.reload()
    seen.settle()
    assert seen.complaints == []


def test_a_slider_moved_by_keyboard_moves_the_curves_and_comes_back(seen):
    before, numbers = seen.curve(), seen.page.locator("#outcomes").inner_text()
    seen.press("drug/dose", "ArrowRight", 4)
    assert seen.page.locator(".knob.moved output").inner_text() == "1 mg/kg"
    assert seen.curve() != before and seen.page.locator("#outcomes").inner_text() != numbers
    assert "dose 1 mg/kg" in seen.page.locator("#lead").inner_text()
    seen.page.click("#own")
    seen.page.wait_for_function(
        "d => document.querySelector('#madrs .lines .of-a').getAttribute('d') === d", arg=before
    )
    assert seen.complaints == []


def test_weeks_can_be_chosen(seen):
    seen.page.get_by_role("radio", name="12").check()
    seen.settle()
    assert "week 12" in seen.page.locator("#lead").inner_text()
    assert seen.page.locator("#day").get_attribute("max") == "84"


def test_up_to_four_regimens_stand_side_by_side_and_differ_in_more_than_colour(seen):
    for _ in range(3):
        seen.page.click("#compare")
        seen.press("phases/0/every", "ArrowRight")
    assert seen.page.locator("#compare").count() == 0
    styles = set()
    for slot in "abcd":
        line = seen.page.locator(f"#madrs .lines .of-{slot}")
        styles.add(line.evaluate("e => getComputedStyle(e).stroke + getComputedStyle(e).strokeDasharray"))
        assert seen.page.locator("#madrs .badge text", has_text=slot.upper()).count() == 1
    dashes = {style.split(")")[1] for style in styles}
    assert len(styles) == len(dashes) == 4
    assert len({seen.curve(slot) for slot in "abcd"}) == 4
    assert seen.page.locator("#readings tbody tr").count() == 4
    seen.page.locator("[data-slot=b]").click()
    seen.page.get_by_role("button", name="Remove regimen B").click()
    seen.settle()
    assert seen.page.locator("#madrs .lines .of-b").count() == 0 and seen.page.locator("#compare").count() == 1
    assert seen.complaints == []


def test_how_sure_the_curves_are_follows_them(seen):
    """The narrow band comes after its line, lies inside what patients do, and goes as soon as another line comes."""
    sure = "() => document.querySelectorAll('.chart .band.sure').length"
    seen.page.wait_for_function(f"() => ({sure})() === 3")
    heights = [seen.page.locator(f"#madrs .band.{kind}").bounding_box()["height"] for kind in ("sure", "spread")]
    assert 0 < heights[0] < heights[1]
    assert "uncertain" in seen.page.locator("#sure").inner_text()
    seen.press("drug/dose", "ArrowRight", 3)
    assert "…" in seen.page.locator("#readings").inner_text() and seen.page.evaluate(sure) == 0
    seen.page.wait_for_function(f"() => ({sure})() === 3")
    assert "…" not in seen.page.locator("#readings").inner_text()


def test_differences_to_the_first_regimen_are_said_with_their_uncertainty(seen):
    assert not seen.page.locator("#differences").is_visible()
    seen.page.click("#compare")
    seen.press("drug/dose", "End")
    said = seen.page.locator("#against tbody tr")
    seen.page.wait_for_function("() => /\\(.+ to .+\\)/.test(document.querySelector('#against tbody').textContent)")
    days, *_ = re.findall(r"([+−]?[\d.]+) \(([−\d.]+) to ([−\d.]+)\)", said.inner_text())
    low, high = (float(x.replace("−", "-")) for x in days[1:])
    assert said.count() == 1 and days[0].startswith("+") and low < float(days[0]) < high
    assert seen.complaints == []


def test_another_protocol_can_be_compared_and_different_designs_are_said(seen):
    seen.page.click("#compare")
    seen.page.select_option("#protocol", "saline-iv")
    seen.page.wait_for_function("() => document.querySelector('#warnings').textContent.includes('B: saline-iv')")
    assert "designs differ" in seen.page.locator("#warnings").inner_text()


def test_curves_beyond_any_study_are_marked_where_they_are(seen):
    said = seen.page.locator("#beyond")
    assert "from week 8 on" in said.inner_text() and seen.page.locator("#madrs rect.beyond").count() == 1
    seen.page.select_option("#protocol", "spravato-trd-84")
    seen.page.wait_for_function("() => document.querySelector('#title').textContent.includes('sketamine')")
    seen.settle()
    assert said.inner_text() == "" and seen.page.locator("rect.beyond").count() == 0


def test_a_story_opens_visit_by_visit(seen):
    seen.page.fill("#patient", "3")
    seen.page.click("#open")
    seen.page.wait_for_selector(".visits li")
    assert "Patient 3" in seen.page.locator("#story").inner_text()
    assert seen.page.locator(".visits li").first.inner_text().startswith("day 0")
    first = seen.page.locator("#story").inner_text()
    seen.page.get_by_role("button", name="The next patient").click()
    seen.page.wait_for_function("t => document.querySelector('#story').innerText !== t", arg=first)
    assert "Patient 4" in seen.page.locator("#story").inner_text()


def test_the_saved_document_says_what_the_sliders_said(seen, tmp_path):
    seen.press("drug/dose", "ArrowLeft", 2)
    seen.press("phases/0/doses", "ArrowLeft", 2)
    seen.press("phases/1/until", "Home")
    shown = {
        number: seen.slider(number).get_attribute("aria-valuetext")
        for number in ("drug/dose", "phases/0/doses", "phases/1/until")
    }
    seen.page.fill("#name", "my-clinic")
    with seen.page.expect_download() as saved:
        seen.page.get_by_role("button", name="Save YAML").click()
    assert saved.value.suggested_filename == "my-clinic.yaml"
    file = tmp_path / "my-clinic.yaml"
    saved.value.save_as(file)
    protocol = load(file)
    assert protocol.name == "my-clinic" and protocol.status == "research only"
    assert shown == {slider.id: slider.own for slider in sliders(protocol) if slider.id in shown}
    assert shown == {"drug/dose": "0.3 mg/kg", "phases/0/doses": "6", "phases/1/until": "week 2"}


def test_a_refused_value_shows_its_sentence_and_keeps_the_last_curves(browser, explorer):
    seen = Seen(browser, explorer)
    seen.page.select_option("#protocol", "ketamine-iv-apa")
    seen.page.wait_for_function("() => document.querySelector('#title').textContent.includes('APA')")
    seen.settle()
    before = seen.curve()
    seen.slider("phases/0/every").focus()
    seen.page.keyboard.press("Home")
    seen.page.wait_for_function("() => document.querySelector('#refused').textContent.includes('overlap')")
    assert seen.page.locator("#refused").get_attribute("role") == "alert"
    assert seen.curve() == before
    seen.press("phases/0/every", "End")
    assert seen.page.locator("#refused").inner_text() == ""
    seen.context.close()


def test_without_the_token_the_page_says_what_to_open(browser, explorer):
    seen = Seen(browser, explorer, address=f"http://127.0.0.1:{explorer.port}/")
    seen.page.wait_for_function("() => document.querySelector('#lead').textContent.includes('address')")
    assert not seen.page.locator("#main").is_visible()
    seen.context.close()


def test_a_phone_needs_no_sideways_scrolling(browser, explorer):
    seen = Seen(browser, explorer, width=390)
    seen.page.click("#compare")
    seen.press("drug/dose", "ArrowRight", 3)
    seen.page.click("#open")
    seen.page.wait_for_selector(".visits li")
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 390
    small = "e => [...document.querySelectorAll('svg text')].every(t => parseFloat(getComputedStyle(t).fontSize) >= 11)"
    assert seen.page.evaluate(small)
    assert seen.complaints == []
    seen.context.close()


def test_it_is_dark_where_the_system_is(browser, explorer):
    found = {}
    for scheme in ("light", "dark"):
        seen = Seen(browser, explorer, scheme=scheme)
        found[scheme] = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
        seen.context.close()
    light, dark = (sum(map(int, re.findall(r"\d+", found[scheme])[:3])) for scheme in ("light", "dark"))
    assert light > 700 and dark < 120


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_barrier_that_axe_knows(browser, explorer, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    seen = Seen(browser, explorer, width=width, scheme=scheme)
    seen.page.click("#compare")
    seen.press("drug/dose", "ArrowRight")
    seen.page.locator("#knobs details").evaluate("d => d.open = true")
    seen.page.click("#open")
    seen.page.wait_for_selector(".visits li")
    # axe is put into the page as a script, which the page itself lets nobody do
    session = seen.context.new_cdp_session(seen.page)
    session.send("Page.setBypassCSP", {"enabled": True})
    found = axe.Axe().run(seen.page).response["violations"]
    assert [(v["id"], [n["target"] for n in v["nodes"]][:3]) for v in found] == []
    seen.context.close()
