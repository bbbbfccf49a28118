"""The pictures of docs/report.md and README.md, taken of real reports in a headless Chromium.

python -m benchmarks.report_pictures --run run --project project
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.machine import machine_line
from tests.support.browser import Page, find_browser, open_browser

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
WIDTH = 1000


def main() -> None:
    """Writes docs/pictures/*.png."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of a search")
    parser.add_argument("--project", type=Path, required=True, help="folder of a project")
    parser.add_argument("--out", type=Path, default=PICTURES)
    given = parser.parse_args()
    executable = find_browser()
    if executable is None:
        sys.exit("report_pictures: no Chromium or Chrome; on Debian: apt-get install chromium")
    print(machine_line())
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for what, name in ((given.run, "run"), (given.project, "project")):
            subprocess.run(
                [sys.executable, "-m", "aebert.cli", "report", str(what), "-o", str(folder / f"{name}.html")],
                check=True,
            )
        with open_browser(executable) as page:
            _take(page, folder, given.out)


def _take(page: Page, folder: Path, out: Path) -> None:
    page.resize(WIDTH, 1500)
    page.open(folder / "run.html")
    _write(out / "report_run.png", page.picture())
    page.colours("dark")
    page.resize(390, 1500, phone=True)
    page.open(folder / "run.html")
    _write(out / "report_phone_dark.png", page.picture())
    page.colours("light")
    page.resize(WIDTH, 1150)
    page.open(folder / "project.html")
    _write(out / "report.png", page.picture())
    _write(out / "timeline.png", page.picture(selector="#timeline"))
    page.resize(WIDTH, 2000)
    page.run("document.querySelector('section:has(#cycles)').scrollIntoView()")
    _write(out / "report_hardware.png", page.picture())


def _write(path: Path, picture: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture)
    print(f"wrote {path}: {len(picture) // 1024} KiB")


if __name__ == "__main__":
    main()
