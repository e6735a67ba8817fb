"""Every kind of page that is written, through the same checks. A new kind of page is one more line of `PAGES`."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from axe_playwright_python.sync_playwright import Axe
from samples import RUNGS, made_up_design, made_up_trial, made_up_validation
from seen import DESKTOP, PHONE, Seen

from euthymia.course.difference import difference
from euthymia.protocol import load
from euthymia.report import answer, changed, design, explained, page, replica, ruled, trial, validation
from euthymia.trial.document import load as load_trial
from euthymia.trial.plan import load_plan

REPLICAS = [load_trial(name) for name in ("takahashi-2021", "sustain-1", "shiroma-2020")]
WEAKER = load("ketamine-iv-0.2"), load("ketamine-iv-1.0")
PAGES = {  # those that take long first, so that workers share them out well
    "answer": lambda get: answer.page(get("answer")),
    "course under rules": lambda get: ruled.page(get("ruled")),
    "report of one course": lambda get: page.page([get("sertraline")]),
    "report of two courses": lambda get: page.page([get("ketamine"), get("sertraline")], RUNGS),
    "trial carried out once": lambda _: trial.page(made_up_trial(load_plan("esketamine-dose-ranging"))),
    "power of a trial": lambda _: trial.page(made_up_trial(load_plan("esketamine-withdrawal"), 3)),
    "crossover": lambda _: trial.page(made_up_trial(load_plan("ketamine-crossover"), 3)),
    "validation": lambda _: validation.page(made_up_validation(REPLICAS)),
    "replica": lambda _: replica.page(made_up_validation(REPLICAS), REPLICAS[0]),
    "search": lambda _: design.page(made_up_design()),
    "protocol": lambda _: explained.page(load("ketamine-then-exposure")),
    "protocol without sessions": lambda _: explained.page(load("escitalopram")),
    "changes": lambda _: changed.page(load("ketamine-iv-trd"), load("ketamine-iv-bipolar")),
    "changes, simulated": lambda _: changed.page(*WEAKER, difference(*WEAKER, 12, 2)),
}
BARRIERS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
THIN = """() => {  // rows of a table, and folds of a section, are all made alike: a few of each stand for all
    document.querySelectorAll('tbody tr:nth-child(n+3), .chart svg *').forEach(e => e.remove());
    document.querySelectorAll('section').forEach(
        s => [...s.querySelectorAll('details')].slice(3).forEach(d => d.remove()));
}"""


@pytest.fixture(scope="module", params=PAGES)
def html(request):
    return PAGES[request.param](request.getfixturevalue)


@pytest.fixture(scope="module")
def file(html, tmp_path_factory):
    place = tmp_path_factory.mktemp("page") / "index.html"
    place.write_text(html, encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def desktop(browser, file):
    seen = Seen(browser, file, DESKTOP).unfold()
    yield seen
    seen.page.close()


@pytest.fixture(scope="module")
def phone(browser, file):
    seen = Seen(browser, file, PHONE).unfold()
    yield seen
    seen.page.close()


@pytest.fixture(scope="module")
def thin(browser, file):
    seen = Seen(browser, file, DESKTOP).unfold()
    seen.page.evaluate(THIN)
    yield seen.page
    seen.page.close()


class Parts(HTMLParser):
    """What a page would fetch, the scripts it would run, its names, and the names its links lead to."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.scripts: list[str] = []
        self.names: list[str] = []
        self.links: set[str] = set()
        self._runs = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        given = dict(attrs)
        self.fetched += [str(given[a]) for a in ("src", "srcset", "poster", "background") if given.get(a)]
        self.fetched += re.findall(r"url\((?!#)[^)]*\)", given.get("style") or "")
        if tag in ("link", "iframe", "object", "embed"):
            self.fetched.append(tag)
        self._runs = tag == "script" and given.get("type") != "application/json"
        self.scripts += [""] * self._runs
        if given.get("id"):
            self.names.append(given["id"])
        if (given.get("href") or "").startswith("#"):
            self.links.add(given["href"][1:])

    def handle_endtag(self, tag: str) -> None:
        self._runs = False

    def handle_data(self, data: str) -> None:
        if self._runs:
            self.scripts[-1] += data
        if self.lasttag == "style":
            self.fetched += re.findall(r"url\((?!#)[^)]*\)|@import", data)


@pytest.fixture(scope="module")
def parts(html):
    return Parts(html)


# --- as it is written -------------------------------------------------------------------------------------------------


def test_it_would_fetch_nothing(parts):
    assert parts.fetched == []


def test_its_policy_forbids_everything_but_its_own_scripts(html, parts):
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    assert policy
    own = [f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in parts.scripts]
    allowed = f"script-src {' '.join(own)}; " if own else ""
    assert policy[1].startswith(f"default-src 'none'; {allowed}style-src ")


def test_no_number_is_written_in_powers_of_ten(html):
    read = re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.DOTALL)
    assert re.findall(r"\d\.?e[-+]\d+", read) == []


def test_names_do_not_clash(parts):
    assert len(parts.names) == len(set(parts.names))


def test_links_inside_lead_somewhere(parts):
    assert parts.links <= set(parts.names)


def test_a_clinician_decides(html):
    assert html.count("a clinician decides") >= 2  # at its beginning and at its end


# --- in a browser -----------------------------------------------------------------------------------------------------


def test_it_complains_about_nothing(desktop):
    assert desktop.complaints == []


def test_it_asks_for_nothing_but_itself(desktop, file):
    assert [url for url in desktop.requests if not url.startswith("data:")] == [file.as_uri()]


def test_it_needs_no_sideways_scrolling(desktop, phone):
    assert [seen.page.evaluate("document.documentElement.scrollWidth") for seen in (desktop, phone)] == [DESKTOP, PHONE]


def test_words_in_pictures_are_as_large_as_they_were_drawn(desktop, phone):
    drawn = """[...document.querySelectorAll('figure svg[viewBox]')]
        .map(s => s.getBoundingClientRect().width / s.viewBox.baseVal.width).filter(scale => scale)"""
    assert all(scale > 0.9 for seen in (desktop, phone) for scale in seen.page.evaluate(drawn))


def test_every_picture_is_described(desktop):
    pictures = "[...document.querySelectorAll('figure svg')].map(s => s.closest('[role=img]')?.ariaLabel ?? '')"
    assert all(len(said) >= 30 for said in desktop.page.evaluate(pictures))


def test_headings_leave_out_no_level(desktop):
    heads = desktop.page.evaluate("[...document.querySelectorAll('h1, h2, h3, h4')].map(h => +h.tagName[1])")
    assert heads[0] == 1 and heads.count(1) == 1
    assert all(later <= before + 1 for before, later in pairwise(heads))


def test_the_first_key_skips_to_the_result(desktop):
    page = desktop.page
    page.evaluate("() => { scrollTo(0, 0); document.activeElement.blur(); }")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#result"


def test_the_keyboard_goes_through_the_page_in_reading_order(desktop):
    page = desktop.page
    page.evaluate(
        """() => {
        window.stops = [...document.querySelectorAll('a[href], button, input, select, summary, [tabindex]')];
        window.reached = [];
        addEventListener('focusin', e => reached.push(stops.indexOf(e.target)));
        scrollTo(0, 0);
        document.activeElement.blur(); }"""
    )
    page.locator(".skip").focus()
    some = min(page.evaluate("stops.length"), 25)
    for _ in range(some - 1):
        page.keyboard.press("Tab")
    assert page.evaluate("reached") == list(range(some))


@pytest.mark.parametrize("colours, width", [("light", DESKTOP), ("dark", PHONE)])
def test_nothing_bars_anybody(thin, colours, width):
    thin.emulate_media(color_scheme=colours)
    thin.set_viewport_size({"width": width, "height": 900})
    found = Axe().run(thin, options={"runOnly": BARRIERS, "resultTypes": ["violations"]})
    assert found.violations_count == 0, found.generate_report()
