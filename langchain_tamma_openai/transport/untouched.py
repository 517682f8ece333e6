"""Whether the SDK and the HTTP library do what they come with.

Recorders, mocks and tracers put their own functions in the place of the libraries'. A short way
past a function must not be taken while somebody else's stands there.
"""

from __future__ import annotations

import logging
import sys
from types import FunctionType
from typing import Any

from langchain_tamma_openai.transport.http_library import http_library

_SDK_METHODS = (
    "post",
    "get",
    "request",
    "_build_request",
    "_build_headers",
    "_prepare_options",
    "_prepare_request",
    "_prepare_url",
    "_send_request",
    "_process_response",
    "_make_status_error_from_response",
)
_Names = dict[str, tuple[str, ...]]

_CLIENT_METHODS: _Names = {
    "Client": ("send", "build_request", "_send_single_request"),
    "AsyncClient": ("send", "build_request", "_send_single_request"),
}
_TRANSPORT_METHODS: _Names = {
    "HTTPTransport": ("handle_request",),
    "AsyncHTTPTransport": ("handle_async_request",),
}
_POOL_METHODS: _Names = {
    "ConnectionPool": ("handle_request",),
    "AsyncConnectionPool": ("handle_async_request",),
}

Seat = tuple[type, str]


class Untouched:
    """Looks at the functions that a short way leaves out.

    Asking is cheap: only a function that was not there the last time is looked at.
    """

    def __init__(self, seats: list[Seat]) -> None:
        """Look at nothing yet.

        Args:
            seats: Classes and the names of their functions.
        """
        self._seats = seats
        self._known: list[object] = []
        self._is_untouched = False

    def __call__(self) -> bool:
        """Whether all functions are the libraries' own."""
        found = [getattr(owner, name, None) for owner, name in self._seats]
        if found != self._known:
            self._known = found
            self._is_untouched = all(map(_is_original, self._seats, found))
        return self._is_untouched


def _is_original(seat: Seat, function: object) -> bool:
    """Whether a function was written where its class was, and stands there undecorated."""
    if function is None:
        return True  # another version of the library, which does without
    if not isinstance(function, FunctionType) or hasattr(function, "__wrapped__"):
        return False
    library = seat[0].__module__.partition(".")[0]
    home = sys.modules.get(function.__module__)
    return (
        function.__module__.partition(".")[0] == library
        and getattr(home, "__file__", None) == function.__code__.co_filename
    )


def _seats_of(module: Any, names: _Names) -> list[Seat]:
    return [
        (owner, method)
        for name, methods in names.items()
        if (owner := getattr(module, name, None)) is not None
        for method in methods
    ]


def http_untouched() -> Untouched:
    """Make the question whether the HTTP library itself would send a request."""
    library = http_library()
    pools = sys.modules.get(library.__name__.replace("httpx", "httpcore"))
    return Untouched([*_seats_of(library, _TRANSPORT_METHODS), *_seats_of(pools, _POOL_METHODS)])


def sdk_untouched() -> Untouched:
    """Make the question whether the SDK and the HTTP library would make and send a request."""
    import openai

    library = http_library()
    pools = sys.modules.get(library.__name__.replace("httpx", "httpcore"))
    sdk = [(owner, name) for owner in (openai.OpenAI, openai.AsyncOpenAI) for name in _SDK_METHODS]
    return Untouched(
        [
            *sdk,
            *_seats_of(library, _CLIENT_METHODS | _TRANSPORT_METHODS),
            *_seats_of(pools, _POOL_METHODS),
        ]
    )


class Listeners:
    """Whether somebody reads what the libraries log about each step of a request."""

    def __init__(self) -> None:
        """Find the loggers."""
        library = http_library().__name__
        names = ("openai._base_client", library.replace("httpx", "httpcore") + ".http11")
        self._detailed = [logging.getLogger(name) for name in names]
        self.plain = logging.getLogger(library)

    @property
    def want_details(self) -> bool:
        """Whether each step is read."""
        return any(logger.isEnabledFor(logging.DEBUG) for logger in self._detailed)
