"""The documentation's own search, in a browser that opened the site from the file system."""

from __future__ import annotations

import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.browser import find_browser, open_browser
from tests.support.paths import ROOT

_TYPE = """(() => {
  document.querySelector('#__search').click();
  const box = document.querySelector('input[name=query]');
  box.focus(); box.value = 'pruning'; box.dispatchEvent(new Event('input', {bubbles: true}));
  box.dispatchEvent(new KeyboardEvent('keyup', {bubbles: true, key: 'g'}));
})()"""


@pytest.mark.skipif(find_spec("mkdocs") is None, reason="mkdocs is not installed; make docs installs it")
@pytest.mark.skipif(find_browser() is None, reason="no Chromium")
def test_a_page_from_a_file_finds_words_of_other_pages(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=300)
    executable = find_browser()
    assert executable is not None
    with open_browser(executable) as page:
        page.open(tmp_path / "site" / "index.html")
        page.run(_TYPE)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = page.run("[...document.querySelectorAll('.md-search-result__link')].map(a => a.href).join(' ')")
            if found:
                break
            time.sleep(0.2)
        assert "pruning.html" in str(found)
