"""A headless Chromium, driven over its DevTools protocol: what a page says, asks and looks like.

Needs a `chromium` (or the program that $CHROMIUM names) and the package `websockets`.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from websockets.sync.client import ClientConnection, connect

PROGRAM = "CHROMIUM"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--no-first-run",
    "--no-default-browser-check",
    "--remote-debugging-port=0",
)
_START_S = 60
_WAIT_S = 60
Scheme = Literal["light", "dark"]


def find_chromium() -> str | None:
    """Find the program; None where there is none."""
    if named := os.environ.get(PROGRAM):
        return shutil.which(named)
    return next(filter(None, map(shutil.which, _NAMES)), None)


@dataclass
class Seen:
    """What a page did.

    Attributes:
        problems: Errors and warnings of the console, uncaught exceptions and failed requests.
        requests: Addresses that were asked for, the page's own among them.
    """

    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


class Page:
    """One open page."""

    def __init__(self, socket: ClientConnection, session: str) -> None:
        """Speak to a page.

        Args:
            socket: To the browser.
            session: Of the page.
        """
        self.seen = Seen()
        self._socket = socket
        self._session = session
        self._last = 0
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: object) -> dict[str, Any]:
        """Call a method of the protocol and take note of what happens meanwhile."""
        self._last += 1
        number = self._last
        message = {"id": number, "method": method, "params": params, "sessionId": self._session}
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(_WAIT_S))
            if answer.get("id") == number and answer.get("sessionId") == self._session:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return dict(answer["result"])
            self._note(answer)

    def resize(self, width: int, height: int, *, scale: float = 1, mobile: bool = False) -> None:
        """Give the page a screen."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=mobile,
        )

    def prefer(self, scheme: Scheme) -> None:
        """Prefer light or dark, as the system's settings do."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def open(self, url: str, until: str = "document.readyState === 'complete'") -> None:
        """Open an address and wait until an expression is true."""
        self.call("Page.navigate", url=url)
        self.wait(until)

    def wait(self, until: str) -> None:
        """Wait until an expression of JavaScript is true."""
        end = time.monotonic() + _WAIT_S
        while time.monotonic() < end:
            if self.value(
                f"(() => {{ try {{ return Boolean({until}) }} catch {{ return false }} }})()"
            ):
                return
            time.sleep(0.05)
        raise TimeoutError(f"never true: {until}; {self.seen.problems}")

    def value(self, expression: str) -> Any:
        """Give the value of an expression of JavaScript, as JSON has it."""
        found = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in found:
            raise RuntimeError(json.dumps(found["exceptionDetails"]))
        return found["result"].get("value")

    def screenshot(self, height: int | None = None) -> bytes:
        """Give what is seen as PNG; with a height, so much of the page from its top."""
        if height is None:
            found = self.call("Page.captureScreenshot", format="png", optimizeForSpeed=False)
            return base64.b64decode(found["data"])
        width = self.value("innerWidth")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        found = self.call(
            "Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True
        )
        return base64.b64decode(found["data"])

    def _note(self, event: dict[str, Any]) -> None:
        if event.get("sessionId") != self._session:
            return
        method, params = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.seen.requests.append(params["request"]["url"])
        elif problem := _problem(method, params):
            self.seen.problems.append(problem)


def _problem(method: str | None, params: dict[str, Any]) -> str | None:
    if method == "Runtime.exceptionThrown":
        details = params["exceptionDetails"]
        return f"exception: {details.get('exception', {}).get('description', details['text'])}"
    if method == "Runtime.consoleAPICalled" and params["type"] in {"error", "warning", "assert"}:
        words = (str(arg.get("value", arg.get("description", ""))) for arg in params["args"])
        return f"console {params['type']}: {' '.join(words)}"
    if method == "Log.entryAdded" and params["entry"]["level"] in {"error", "warning"}:
        return f"log {params['entry']['level']}: {params['entry']['text']}"
    if method == "Network.loadingFailed" and not params.get("canceled"):
        return f"request failed: {params['errorText']}"
    return None


class Chromium:
    """A running browser."""

    def __init__(self, program: str, folder: Path) -> None:
        """Start it.

        Args:
            program: The program.
            folder: An empty folder for its profile.
        """
        self._open = ExitStack()
        self._process = subprocess.Popen(  # noqa: S603 - the browser that was found
            [program, *_OPTIONS, f"--user-data-dir={folder}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            connected = connect(self._address(folder), max_size=None, compression=None)
            self._socket = self._open.enter_context(connected)
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise
        self._last = 0

    def __enter__(self) -> Self:
        """Give the browser."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """End it."""
        self.close()

    @contextmanager
    def page(self) -> Iterator[Page]:
        """Open a page in a profile of its own, and close it at the end."""
        context = self._call("Target.createBrowserContext")["browserContextId"]
        target = self._call("Target.createTarget", url="about:blank", browserContextId=context)
        attached = self._call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        try:
            yield Page(self._socket, attached["sessionId"])
        finally:
            self._call("Target.disposeBrowserContext", browserContextId=context)

    def close(self) -> None:
        """End the browser."""
        try:
            self._call("Browser.close")
            self._process.wait(10)
        except Exception:  # noqa: BLE001 - it must go, however it feels
            self._process.kill()
        self._open.close()
        self._process.wait()

    def _call(self, method: str, **params: object) -> dict[str, Any]:
        self._last += 1
        number = self._last
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv(_WAIT_S))
            if answer.get("id") == number and "sessionId" not in answer:
                return dict(answer.get("result", {}))

    def _address(self, folder: Path) -> str:
        port_file = folder / "DevToolsActivePort"
        end = time.monotonic() + _START_S
        while time.monotonic() < end:
            if port_file.exists() and len(lines := port_file.read_text().split()) > 1:
                return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
            if self._process.poll() is not None:
                raise RuntimeError(f"Chromium ended with {self._process.returncode}")
            time.sleep(0.05)
        raise TimeoutError("Chromium did not start")


@contextmanager
def chromium(program: str) -> Iterator[Chromium]:
    """Run a browser with a profile of its own, which is removed at the end."""
    with (
        tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as folder,
        Chromium(program, Path(folder)) as browser,
    ):
        yield browser
