"""A headless Chromium, driven over its DevTools pipe, for tests of pages.

The pipe needs no other package: messages are JSON, with a zero byte after each.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Chromium reads commands from file descriptor 3 and writes answers to 4.
_START = (
    "import os, sys\n"
    "os.dup2(int(sys.argv[1]), 3)\n"
    "os.dup2(int(sys.argv[2]), 4)\n"
    "os.execvp(sys.argv[3], sys.argv[3:])\n"
)
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--no-first-run",
    "--remote-debugging-pipe",
)


class Browser:
    """A tab of a browser.

    Attributes:
      problems: console messages of level error or warning, exceptions and failed requests.
      requests: addresses that pages asked for.
    """

    def __init__(self, commands, answers):
        self._commands, self._answers = commands, answers
        self._number = 0
        self._session = None
        self._loaded = False
        self.problems, self.requests = [], []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call(
            "Target.attachToTarget", targetId=target, flatten=True
        )["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        """Calls a method of the DevTools protocol and returns its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._commands.write(json.dumps(message).encode() + b"\0")
        self._commands.flush()
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def open(self, path, width=1280, height=900, dark=False):
        """Opens a file in a window of a size, in light or dark mode."""
        self.problems.clear()
        self.requests.clear()
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self._loaded = False
        self.call("Page.navigate", url=path.absolute().as_uri())
        while not self._loaded:
            self._read()

    def evaluate(self, expression):
        """Returns the value of a JavaScript expression in the page."""
        result = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def press(self, key, code, text=""):
        """Presses and releases a key."""
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                text=text if kind == "keyDown" else "",
            )

    def click(self, selector):
        """Scrolls to an element and clicks into its middle with the mouse."""
        x, y = self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center', behavior: 'instant'});"
            "const r = e.getBoundingClientRect();"
            "return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent",
                type=kind,
                x=x,
                y=y,
                button="left",
                clickCount=1,
            )

    def screenshot(self, whole=False):
        """Returns a PNG file of the window, or of the whole page."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        return base64.b64decode(data)

    def pdf(self):
        """Returns the printed page as a PDF file."""
        return base64.b64decode(
            self.call("Page.printToPDF", printBackground=True)["data"]
        )

    def _read(self):
        data = bytearray()
        while (byte := self._answers.read(1)) != b"\0":
            assert byte, "the browser has ended"
            data += byte
        message = json.loads(data)
        event, values = message.get("method"), message.get("params", {})
        if event == "Page.loadEventFired":
            self._loaded = True
        elif event == "Network.requestWillBeSent":
            self.requests.append(values["request"]["url"])
        elif event in ("Runtime.exceptionThrown", "Network.loadingFailed"):
            self.problems.append(values)
        elif event == "Log.entryAdded" and values["entry"]["level"] != "verbose":
            self.problems.append(values["entry"])
        elif event == "Runtime.consoleAPICalled" and values["type"] in (
            "error",
            "warning",
        ):
            self.problems.append(values)
        return message


@contextlib.contextmanager
def started():
    """Yields a browser; skips the test where no Chromium is installed."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        pytest.skip(f"needs a Chromium: none of {', '.join(_NAMES)} is on PATH")
    for_commands, commands = os.pipe()
    answers, for_answers = os.pipe()
    # Numbers that do not collide with 3 and 4.
    child_ends = [
        fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (for_commands, for_answers)
    ]
    profile = tempfile.mkdtemp()
    try:
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", _START, *map(str, child_ends), path),
                *_FLAGS,
                f"--user-data-dir={profile}",
                "about:blank",
            ],
            pass_fds=child_ends,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (for_commands, for_answers, *child_ends):
            os.close(end)
        with open(commands, "wb") as writer, open(answers, "rb") as reader:
            try:
                yield Browser(writer, reader)
            finally:
                process.terminate()
                process.wait(30)
    finally:
        # Its last processes may still write there.
        shutil.rmtree(profile, ignore_errors=True)
