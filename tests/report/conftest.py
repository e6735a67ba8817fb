"""Courses small enough to be quick, and the browser that is installed."""

import shutil

import pytest

import euthymia as eu
from euthymia.trial.questions import ask


@pytest.fixture(scope="session")
def ketamine():
    return eu.simulate("ketamine-iv-twice-weekly", patients=64, weeks=2, seed=1)


@pytest.fixture(scope="session")
def sertraline():
    return eu.simulate("sertraline", patients=64, weeks=2, seed=1)


@pytest.fixture(scope="session")
def ruled():
    return eu.follow_rules("ketamine-iv-trd", patients=80, weeks=8, seed=2)


@pytest.fixture(scope="session")
def answer():
    return ask("exposure-lag", patients=60, draws=6)


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium without network of its own."""
    where = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if where is None:
        pytest.skip("no Chromium is installed to look at pages with")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(
            executable_path=where, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield opened
        opened.close()
