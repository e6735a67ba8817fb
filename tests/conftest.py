"""No test is timed: Hypothesis' deadline would fail sound code on a busy machine. A small sound document that tests
change one line at a time."""

import gc
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from euthymia.protocol import Protocol, loads

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

DOCUMENT = """\
protocol: example
title: An example
version: 1.0.0
status: catalogue
indication: treatment-resistant depression
population: TRD
sources:
  - {id: a source, citation: A paper, url: "https://example.org/paper", verified: yes}
design: {expectancy: open label, setting: outpatient, sites: one}
eligibility: {}
drug: {compound: racemic ketamine, route: intravenous, dose: 0.5 mg/kg, over: 40 min}
alongside: []
phases:
  - {name: induction, doses: 8, every: [3 days, 4 days]}
  - {name: maintenance, every: 1 week}
session:
  discharge: {rule: D-1, no earlier than: 2 h, all of: [clinically stable], source: a source, verified: yes}
measure:
  - {scale: MADRS, every: 1 week}
adjust: []
decide: []
safeguards:
  - {rule: S-1, safeguard: supervised administration only, source: a source, verified: yes}
"""


class Document:
    """The example with lines replaced: `with_lines(drug="{...}")` rewrites the line that starts with `drug:`."""

    text = DOCUMENT

    def with_lines(self, **lines: str | None) -> str:
        kept = []
        skipping = False
        for line in DOCUMENT.splitlines():
            key = line.split(":")[0]
            top = not line.startswith(" ")
            skipping = key in lines if top else skipping
            if top and key in lines and lines[key] is not None:
                kept.append(f"{key}: {lines[key]}")
            elif not skipping:
                kept.append(line)
        return "\n".join(kept) + "\n"

    def load(self, **lines: str | None) -> Protocol:
        return loads(self.with_lines(**lines), "example.yaml")

    def line(self, key: str, **lines: str | None) -> int:
        rows = self.with_lines(**lines).splitlines()
        return next(number for number, row in enumerate(rows, start=1) if row.startswith(f"{key}:"))


@pytest.fixture
def document() -> Document:
    return Document()


MOST_MAPS = 25_000
"""Of memory. Linux allows a process 65,530, and compiled code takes several each: beyond, the compiler dies."""


@pytest.fixture(autouse=True, scope="module")
def room_for_compiled_code():
    """Let go of what was compiled before there is too much of it for one process."""
    yield
    maps = Path("/proc/self/maps")
    if "jax" in sys.modules and maps.exists() and len(maps.read_bytes().splitlines()) > MOST_MAPS:
        sys.modules["jax"].clear_caches()
        gc.collect()


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
