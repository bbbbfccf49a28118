"""A headless Chromium, driven through the DevTools protocol over two pipes: no driver, no network, no port."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

JsonObject = dict[str, object]
_DEADLINE_S = 120.0
_KEY_CODES = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Tab": 9, "Escape": 27, "End": 35}


def find_browser() -> str | None:
    """The path of Chromium or Chrome, None where there is none."""
    return shutil.which("chromium") or shutil.which("google-chrome")


class Page:
    """One tab. ``complaints`` are errors and warnings of its console, ``requests`` the URLs that it asked for."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write, self._buffer, self._number = read, write, b"", 0
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._loaded = False
        target = self._call("Target.createTarget", {"url": "about:blank"}, session=None)["targetId"]
        attached = self._call("Target.attachToTarget", {"targetId": target, "flatten": True}, session=None)
        self._session = str(attached["sessionId"])
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._call(f"{domain}.enable")

    def open(self, path: Path) -> None:
        """Load a file and wait for it; what was seen of an earlier one is forgotten."""
        self.complaints.clear()
        self.requests.clear()
        self._loaded = False
        self._call("Page.navigate", {"url": path.as_uri()})
        self._wait_for_load()

    def _wait_for_load(self) -> None:
        deadline = time.monotonic() + _DEADLINE_S
        while not self._loaded:
            self._receive(deadline)

    def run(self, script: str) -> object:
        """The value of a JavaScript expression; promises are waited for. Fails where it throws."""
        arguments: JsonObject = {"expression": script, "returnByValue": True, "awaitPromise": True}
        found = self._call("Runtime.evaluate", arguments)
        assert "exceptionDetails" not in found, found
        result = found["result"]
        assert isinstance(result, dict)
        return result.get("value")

    def number(self, script: str) -> float:
        """`run` of an expression that is a number."""
        found = self.run(script)
        assert isinstance(found, int | float), found
        return float(found)

    def press(self, key: str) -> None:
        """A key as a person presses it, on what has the focus."""
        code = _KEY_CODES.get(key, ord(key[0].upper()))
        own: JsonObject = {"key": key, "windowsVirtualKeyCode": code}
        text: JsonObject = {"text": key} if len(key) == 1 else {}
        self._call("Input.dispatchKeyEvent", {"type": "keyDown", **own, **text})
        self._call("Input.dispatchKeyEvent", {"type": "keyUp", **own})
        # Plotly shows labels at most every 50 ms.
        self.run("new Promise((done) => setTimeout(done, 120))")

    def colours(self, scheme: str) -> None:
        """The reader's preference: ``light`` or ``dark``."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._call("Emulation.setEmulatedMedia", {"features": features})

    def resize(self, width: int, height: int, *, phone: bool = False) -> None:
        """The window, in CSS pixels."""
        sizes: JsonObject = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        self._call("Emulation.setDeviceMetricsOverride", sizes)
        # Plotly follows the window after a moment.
        self.run("new Promise((done) => setTimeout(done, 400))")

    def pdf(self) -> bytes:
        """The page as it is printed."""
        return _decoded(self._call("Page.printToPDF", {"printBackground": True}))

    def picture(self, *, selector: str | None = None, whole: bool = False) -> bytes:
        """A PNG of the window, of the whole page, or of the first element that ``selector`` finds."""
        arguments: JsonObject = {"format": "png", "captureBeyondViewport": whole or selector is not None}
        if selector is not None:
            box = self.run(
                f"(() => {{ const box = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
                " return {x: box.x + scrollX, y: box.y + scrollY, width: box.width, height: box.height, scale: 1}; })()"
            )
            arguments["clip"] = box
        return _decoded(self._call("Page.captureScreenshot", arguments))

    def _call(self, method: str, arguments: Mapping[str, object] | None = None, session: str | None = "") -> JsonObject:
        self._number += 1
        number = self._number
        message: JsonObject = {"id": number, "method": method, "params": dict(arguments or {})}
        if session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + _DEADLINE_S
        while True:
            answer = self._receive(deadline)
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer.get('error')}"
                result = answer["result"]
                assert isinstance(result, dict)
                return result

    def _receive(self, deadline: float) -> JsonObject:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(deadline - time.monotonic(), 0))
            assert ready, "the browser does not answer"
            part = os.read(self._read, 1 << 20)
            assert part, "the browser has ended"
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: JsonObject = json.loads(text)
        self._note(message)
        return message

    def _note(self, message: JsonObject) -> None:
        method, params = message.get("method"), message.get("params")
        if not isinstance(params, dict):
            return
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Network.requestWillBeSent":
            self.requests.append(str(params["request"]["url"]))
        elif method == "Runtime.exceptionThrown" or (
            method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning")
        ):
            self.complaints.append(json.dumps(params)[:2000])
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(str(params["entry"]["text"]))


def _decoded(answer: JsonObject) -> bytes:
    return base64.b64decode(str(answer["data"]))


@contextmanager
def open_browser(executable: str, profile: Path) -> Iterator[Page]:
    """A browser of its own with its files in ``profile``, ended with the block."""
    from_us, to_browser = os.pipe()
    from_browser, to_us = os.pipe()

    def join_pipes() -> None:
        # Chromium reads commands from 3 and writes answers to 4; neither may be overwritten before it is used.
        commands, answers = os.dup(from_us), os.dup(to_us)
        os.dup2(commands, 3)
        os.dup2(answers, 4)

    process = subprocess.Popen(
        [
            executable, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
            "--disable-background-networking", f"--user-data-dir={profile}", "--remote-debugging-pipe",
        ],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=join_pipes, pass_fds=(3, 4),
    )  # fmt: skip
    os.close(from_us)
    os.close(to_us)
    try:
        yield Page(from_browser, to_browser)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(to_browser)
        os.close(from_browser)
