"""A headless Chromium of the system's own, driven by Playwright: no browser is downloaded."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import playwright.sync_api as playwright

_DEADLINE_MS = 120_000.0

# What a page hears of (colours, sizes, keys) reaches its listeners with the next frame, and they may wait a moment
# themselves (Plotly: 50 ms for labels, 100 for sizes): two frames, then 250 ms in which nothing of the page changes.
_SETTLED = """() => new Promise((done) => {
  const frame = () => new Promise((next) => requestAnimationFrame(next));
  frame().then(frame).then(() => {
    let timer;
    const watch = new MutationObserver(() => wait());
    const wait = () => { clearTimeout(timer); timer = setTimeout(() => { watch.disconnect(); done(); }, 250); };
    watch.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
    wait();
  });
})"""


def find_browser() -> str | None:
    """The path of Chromium or Chrome, None where there is none."""
    return shutil.which("chromium") or shutil.which("google-chrome")


class Page:
    """One tab. ``complaints`` are errors and warnings of its console, ``requests`` the URLs that it asked for."""

    def __init__(self, page: playwright.Page) -> None:
        self._page = page
        self._page.set_default_timeout(_DEADLINE_MS)
        self._devtools = page.context.new_cdp_session(page)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._note)

    def open(self, path: Path) -> None:
        """Load a file and wait for it; what was seen of an earlier one is forgotten."""
        self.complaints.clear()
        self.requests.clear()
        self._page.goto(path.as_uri())

    def run(self, script: str) -> object:
        """The value of a JavaScript expression; promises are waited for. Fails where it throws."""
        found: object = self._page.evaluate(script)
        return found

    def number(self, script: str) -> float:
        """`run` of an expression that is a number."""
        found = self.run(script)
        assert isinstance(found, int | float), found
        return float(found)

    def press(self, key: str) -> None:
        """A key as a person presses it, on what has the focus."""
        self._page.keyboard.press(key)
        self._settle()

    def colours(self, scheme: str) -> None:
        """The reader's preference: ``light`` or ``dark``."""
        self._page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        self._settle()

    def resize(self, width: int, height: int, *, phone: bool = False) -> None:
        """The window, in CSS pixels."""
        # Playwright takes pictures of the size that it knows; that a window is a phone's it learns only for a new tab.
        self._page.set_viewport_size({"width": width, "height": height})
        sizes = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        self._devtools.send("Emulation.setDeviceMetricsOverride", sizes)
        self._settle()

    def pdf(self) -> bytes:
        """The page as it is printed."""
        return self._page.pdf(print_background=True)

    def picture(self, *, selector: str | None = None, whole: bool = False) -> bytes:
        """A PNG of the window, of the whole page, or of the first element that ``selector`` finds."""
        if selector is not None:
            return self._page.locator(selector).first.screenshot()
        return self._page.screenshot(full_page=whole)

    def _settle(self) -> None:
        self._page.evaluate(_SETTLED)

    def _note(self, message: playwright.ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)


@contextmanager
def open_browser(executable: str) -> Iterator[Page]:
    """A browser of its own, ended with the block."""
    with playwright.sync_playwright() as driver:
        # No sandbox: CI runs as root.
        browser = driver.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield Page(browser.new_page())
        finally:
            browser.close()
