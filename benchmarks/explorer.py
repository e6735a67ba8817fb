"""The explorer in a browser: from a slider that moves to new curves on the screen.

Warm: the way of giving the drug is compiled, the page is open. A jump goes to a regimen that was never asked; a step
goes one position further after the page has come to rest, as the arrow keys do, for which the page has looked ahead.
Needs Chromium and playwright.

python explorer.py [--quick]      writes explorer.json, prints the table
"""

from __future__ import annotations

import argparse
import json
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
MOVE = """([slider, to]) => new Promise((done) => {
  const root = document.documentElement, begin = performance.now(), before = root.dataset.drawn;
  const watch = new MutationObserver(() => {
    if (!root.dataset.drawn || root.dataset.drawn === before) return;
    watch.disconnect();
    requestAnimationFrame(() => setTimeout(() => done((performance.now() - begin) / 1000)));  // after the paint
  });
  watch.observe(root, { attributeFilter: ["data-drawn"] });
  const input = document.querySelector(`input[data-number="${slider}"]`);
  input.value = to;
  input.dispatchEvent(new Event("input"));
})"""


def jumps(page: Page, count: int) -> list[float]:
    """Each to a spacing, a number of sessions and a dose not asked before."""
    sliders = [("phases/0/doses", 3), ("phases/0/every", 4), ("drug/dose", 0), ("phases/1/every", 5)]
    made = []
    for k in range(count):
        slider, low = sliders[k % len(sliders)]
        most = int(page.locator(f'input[data-number="{slider}"]').get_attribute("max") or 0)
        at = int(page.locator(f'input[data-number="{slider}"]').input_value())
        wanted = [x for x in range(low, most + 1) if abs(x - at) > 1] or [x for x in range(most + 1) if x != at]
        made.append(page.evaluate(MOVE, [slider, wanted[(7 * k + 3) % len(wanted)]]))
    return made


def steps(page: Page, count: int) -> list[float]:
    """One position at a time, each once the page has come to rest."""
    slider = page.locator('input[data-number="phases/0/doses"]')
    begin, made = int(slider.input_value()), []
    direction = 1 if begin < 12 else -1
    for k in range(1, count + 2):
        made.append(page.evaluate(MOVE, ["phases/0/doses", begin + direction * k]))
        page.wait_for_selector("html[data-rest]", state="attached", timeout=60_000)
    return made[1:]  # before the first, the page did not know which slider would move


def measured(protocol: str, patients: int, count: int) -> dict[str, Any]:
    """Medians and the slowest, in seconds."""
    command = [sys.executable, "-c", "from euthymia.cli import main; main()", "explore", protocol]
    command += ["--port", "0", "-n", str(patients)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = server.stdout.readline().split()[-1]
        chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(address)
            page.wait_for_selector("#main[aria-busy=false]", timeout=120_000)
            found = {"jump": jumps(page, count), "step": steps(page, count)}
            browser.close()
    finally:
        server.terminate()
        server.wait()
    return {
        f"{kind}_s": {"median": round(statistics.median(times), 3), "slowest": round(max(times), 3)}
        for kind, times in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few moves; nothing is written")
    quick = parser.parse_args().quick
    patients, count = 500, 4 if quick else 12
    about = {"machine": machine(), "patients": patients, "weeks": 26, "moves": count, "asked_s": ASKED_S}
    found = {protocol: measured(protocol, patients, count) for protocol in PROTOCOLS}
    for protocol, times in found.items():
        print(f"{protocol}: seconds from a moved slider, median (slowest)")
        for name, of in times.items():
            print(f"  {name:<14}{of['median']:6.2f} ({of['slowest']:.2f})")
    if not quick:
        (HERE / "explorer.json").write_text(json.dumps(about | found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
