"""The cookie header of a request, as the HTTP client's jar gives it."""

from __future__ import annotations

import time
from typing import Any

from langchain_tamma_openai.transport.http_library import http_library


class CookieLine:
    """Writes the header; it is worked out anew only when the jar has changed."""

    __slots__ = ("_http", "_known", "_lines", "_until_s")

    def __init__(self, http_client: Any) -> None:
        """Know no cookie yet.

        Args:
            http_client: Whose jar counts.
        """
        self._http = http_client
        self._known: tuple[object, ...] = ()
        self._until_s = 0.0
        self._lines: dict[str, bytes] | None = None

    def __call__(self, url: str) -> bytes:
        """Return the header's line for a URL; nothing where it gets no cookie.

        Args:
            url: In full.
        """
        cookies = tuple(self._http.cookies.jar)
        if not cookies:
            return b""
        now_s = time.time()
        if cookies != self._known or now_s >= self._until_s:
            expiries = [cookie.expires for cookie in cookies if cookie.expires is not None]
            self._known = cookies
            self._until_s = min((e for e in expiries if e > now_s), default=float("inf"))
            self._lines = None
        if self._lines is None:
            self._lines = {}
        if url not in self._lines:
            self._lines[url] = self._line(url)
        return self._lines[url]

    def _line(self, url: str) -> bytes:
        request = http_library().Request("POST", url)
        self._http.cookies.set_cookie_header(request)
        value = request.headers.get("cookie")
        return b"" if value is None else b"Cookie: " + value.encode("iso-8859-1") + b"\r\n"
