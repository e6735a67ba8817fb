"""The explorer in a browser: from a slider that moves to new curves on the screen, and to how sure they are.

Warm: the way of giving the drug is compiled, the page is open. A jump moves any slider of doses and sessions to a
position that was mostly never asked, half a second after the curves of the jump before are drawn, while how sure these
are is still being computed; "sure" waits for that, too. A step goes one position further after the page has come to
rest, as the arrow keys do, for which the page has looked ahead. Each with one regimen on the page, and with four.
Needs Chromium and playwright.

python explorer.py [--quick]      writes explorer.json, prints the table
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright
from run import machine

HERE = Path(__file__).parent
PROTOCOLS = ("ketamine-iv-trd", "spravato-trd-84")
ASKED_S = 0.5
"""From a moved slider to new curves, which the project set itself."""
PAUSE_S = 0.5
"""Before a jump."""
MOVE = """([slider, to, until]) => new Promise((done) => {
  const root = document.documentElement, refused = document.getElementById("refused");
  const begin = performance.now(), before = { drawn: root.dataset.drawn, sure: root.dataset.sure };
  const found = {};
  const look = () => {
    if (refused.textContent) return end(null);
    for (const what of ["drawn", "sure"]) {
      if (!found[what] && root.dataset[what] && root.dataset[what] !== before[what]) found[what] = true;
    }
    // after the paint
    if (found[until]) requestAnimationFrame(() => setTimeout(() => end((performance.now() - begin) / 1000)));
  };
  const watch = new MutationObserver(look);
  const end = (seconds) => { watch.disconnect(); done(seconds); };
  watch.observe(root, { attributeFilter: ["data-drawn", "data-sure"] });
  watch.observe(refused, { childList: true });
  const input = document.querySelector(`input[data-number="${slider}"]`);
  input.value = to;
  input.dispatchEvent(new Event("input"));
})"""


def jumps(page: Page, count: int, until: str, rng: random.Random) -> list[float]:
    """Seconds until curves are "drawn" or known how "sure", of so many moves that are not refused."""
    sliders = page.locator("#knobs > div input[type=range]").evaluate_all("all => all.map((x) => x.dataset.number)")
    made: list[float] = []
    for k in range(10 * count):
        slider = sliders[k % len(sliders)]
        at = page.locator(f'input[data-number="{slider}"]')
        now, most = int(at.input_value()), int(at.get_attribute("max") or 0)
        page.wait_for_timeout(1000 * PAUSE_S)
        to = rng.choice([x for x in range(most + 1) if x != now])
        seconds = page.evaluate(MOVE, [slider, to, until])
        if seconds is None:
            page.evaluate(MOVE, [slider, now, "drawn"])
        else:
            made.append(seconds)
        if len(made) == count:
            break
    return made


def steps(page: Page, count: int) -> list[float]:
    """One position at a time, each once the page has come to rest."""
    slider = page.locator('input[data-number="phases/0/doses"]')
    begin, made = int(slider.input_value()), []
    direction = 1 if begin < 12 else -1
    for k in range(1, count + 2):
        rest(page)
        made.append(page.evaluate(MOVE, ["phases/0/doses", begin + direction * k, "drawn"]))
    return made[1:]  # before the first, the page did not know which slider would move


def rest(page: Page) -> None:
    """Until the page computes nothing."""
    page.wait_for_selector("html[data-rest]", state="attached", timeout=60_000)


def measured(protocol: str, patients: int, count: int) -> dict[str, Any]:
    """Medians and the slowest, in seconds, by how many regimens there are."""
    command = [sys.executable, "-c", "from euthymia.cli import main; main()", "explore", protocol]
    command += ["--port", "0", "-n", str(patients)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = {}
    try:
        assert server.stdout is not None
        address = server.stdout.readline().split()[-1]
        chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(address)
            for regimens in (1, 4):
                rng = random.Random(regimens)
                while page.locator("#tabs [data-slot]").count() < regimens:
                    page.click("#compare")
                    jumps(page, 1, "drawn", rng)
                rest(page)
                times = {"jump": jumps(page, count, "drawn", rng)}
                rest(page)
                times["sure"] = jumps(page, count, "sure", rng)
                times["step"] = steps(page, min(count, 8))
                found[f"{regimens} regimen{'s' * (regimens > 1)}"] = {
                    f"{kind}_s": {"median": round(statistics.median(of), 3), "slowest": round(max(of), 3)}
                    for kind, of in times.items()
                }
            browser.close()
    finally:
        server.terminate()
        server.wait()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few moves; nothing is written")
    quick = parser.parse_args().quick
    patients, count = 500, 4 if quick else 24
    about = {"machine": machine(), "patients": patients, "weeks": 26, "moves": count, "asked_s": ASKED_S}
    found = {protocol: measured(protocol, patients, count) for protocol in PROTOCOLS}
    for protocol, by_number in found.items():
        print(f"{protocol}: seconds from a moved slider, median (slowest)")
        for regimens, times in by_number.items():
            for name, of in times.items():
                print(f"  {regimens:<12}{name:<8}{of['median']:6.2f} ({of['slowest']:.2f})")
    if not quick:
        (HERE / "explorer.json").write_text(json.dumps(about | found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
