"""A page in a headless browser."""

from pathlib import Path

DESKTOP, PHONE = 1280, 390  # px


class Seen:
    """A page, with what it complained about and what it asked for."""

    def __init__(self, browser, file: Path, width: int = DESKTOP) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 900})
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.page.on("request", lambda r: self.requests.append(r.url))
        self.page.goto(file.as_uri())
        if self.page.locator("script").count():
            self.page.wait_for_function("document.documentElement.dataset.charts")

    def unfold(self) -> "Seen":
        """Open everything that can be opened."""
        self.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        return self
