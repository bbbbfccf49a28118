"""Checks a built documentation site: it loads nothing from elsewhere, so it works without a network."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path

# What a browser loads by itself; links that a reader follows are not among it.
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}


class Assets(HTMLParser):
    """The addresses that a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get(LOADED.get(tag, ""))
        if address:
            self.found.append(address)


def main(folder: str) -> int:
    pages = sorted(Path(folder).rglob("*.html"))
    assert pages, f"no pages in {folder}"
    outside = []
    for page in pages:
        assets = Assets()
        assets.feed(page.read_text(encoding="utf-8"))
        outside += [f"{page}: {address}" for address in assets.found if address.startswith(("http:", "https:", "//"))]
    print("\n".join(outside) or f"{len(pages)} pages load nothing from elsewhere")
    return 1 if outside else 0


sys.exit(main(sys.argv[1]))
