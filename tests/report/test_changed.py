"""What changed between two protocols, on a page."""

import re
from html import unescape
from itertools import pairwise

import pytest
from samples import HOSTILE

from euthymia.course.difference import Difference, difference, effect_rows, group_rows
from euthymia.protocol import catalogue, differences, load
from euthymia.report.changed import page


def text_of(html: str) -> str:
    body = re.sub(r"<style.*?</style>", "", html, flags=re.S)
    return re.sub(r"\s+", "", unescape(re.sub(r"<[^>]+>", " ", body)))


@pytest.mark.parametrize(("one", "other"), list(pairwise(catalogue())))
def test_every_change_is_on_the_page(one: str, other: str) -> None:
    said = text_of(page(load(one), load(other)))
    for change in differences(load(one), load(other)):
        for words in (change.kind, change.what, change.before or "", change.after or ""):
            assert re.sub(r"\s+", "", words) in said


def test_the_same_says_so() -> None:
    assert "Bothsaythesame" in text_of(page(load("lithium"), load("lithium")))


def test_hostile_words_stay_words(document) -> None:
    html = page(document.load(), document.load(title=f'"{HOSTILE} NOT VERIFIED"'))
    assert "<script" not in html and "<img" not in html


@pytest.fixture(scope="module")
def simulated() -> Difference:
    return difference(load("ketamine-iv-0.2"), load("ketamine-iv-1.0"), 12, 2)


def test_what_was_simulated_is_on_the_page_with_its_caveat(simulated) -> None:
    html = page(simulated.before.protocol, simulated.after.protocol, simulated)
    said = text_of(html)
    words = [simulated.headline(), simulated.caveat()]
    words += [cell for row in (*effect_rows(simulated), *group_rows(simulated)) for cell in row]
    assert all(re.sub(r"\s+", "", text) in said for text in words)
    assert "simulated" not in page(simulated.before.protocol, simulated.after.protocol).split("</style>")[1]
