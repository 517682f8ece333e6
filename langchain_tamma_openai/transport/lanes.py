"""The short way of a request: what the SDK would send, without having it made each time anew.

The first request of a kind goes through the SDK and its HTTP client, and what they sent is kept as
a form. As long as nothing that determines it has changed, requests of that kind are the form with
another body. Whatever is not plain goes through the SDK as before: a client of the user's own,
a key that is asked for, hooks, somebody's function in the place of the libraries', a redirect.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from datetime import timedelta
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from langchain_tamma_openai.transport.cookies import CookieLine
from langchain_tamma_openai.transport.http_library import http_library
from langchain_tamma_openai.transport.json_body import written
from langchain_tamma_openai.transport.request_head import (
    CONTENT_LENGTH,
    COOKIE,
    READ_TIMEOUT,
    head_form,
    is_plain,
    origin_of,
)
from langchain_tamma_openai.transport.send import LANE, WireRequest
from langchain_tamma_openai.transport.timeouts import Timeouts
from langchain_tamma_openai.transport.untouched import Listeners, sdk_untouched

if TYPE_CHECKING:
    import httpx2

    from langchain_tamma_openai.transport.answer import AnswerBase
    from langchain_tamma_openai.transport.headers import RawHeaders
    from langchain_tamma_openai.transport.idle import Origin
    from langchain_tamma_openai.transport.pools import SharedAsyncTransport, SharedTransport

State = tuple[Any, ...]
Shared = TypeVar("Shared", bound=Hashable)

_MOST_FORMS = 32
_KNOWN_OPTIONS = {"max_retries", "headers", "params", "extra_json", "timeout"}
# What clients note at their first request: that they are open, and the platform. Hooks and headers
# are looked at by themselves.
_NOT_COMPARED = {"_state", "_platform", "_event_hooks", "_headers"}
_STEPS = ("connect", "read", "write", "pool")
_REDIRECTED = range(300, 400)
_ERROR = 400


class Form(NamedTuple):
    """What the SDK sent for a kind of request.

    Attributes:
        origin: Where to.
        url: In full.
        method: Such as `"POST"`.
        head: Request line and headers with blanks; see `head_form`.
        limits_s: Limits of the steps where the request has none of its own.
        takes_cookies: Whether cookies of the client are added.
    """

    origin: Origin
    url: str
    method: str
    head: bytes
    limits_s: tuple[float | None, ...]
    takes_cookies: bool


class Prepared(NamedTuple):
    """A request that is ready to be sent.

    Attributes:
        form: What it was made from.
        head: Request line and headers.
        body: The JSON.
        timeouts: Limits of its steps.
        began_s: When.
    """

    form: Form
    head: bytes
    body: bytes
    timeouts: Timeouts
    began_s: float

    def as_request(self) -> httpx2.Request:
        """Make the HTTP library's request of it, for whoever looks into an error."""
        _, *lines = self.head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        headers: RawHeaders = [
            (name, value) for name, _, value in (x.partition(b": ") for x in lines)
        ]
        request: httpx2.Request = http_library().Request(
            self.form.method,
            self.form.url,
            headers=headers,
            content=self.body,
            extensions={"timeout": self.timeouts},
        )
        return request


class Lane:
    """The forms of one client of the SDK. No I/O: `send` drives it in both colours.

    Attributes:
        transport: Sends what is prepared.
        redirected: Whether the server sends requests elsewhere, where the SDK follows.
    """

    __slots__ = ("_cookies", "_forms", "_http", "_state", "redirected", "transport")

    def __init__(
        self, client: Any, http_client: Any, transport: SharedTransport | SharedAsyncTransport
    ) -> None:
        """Know no form yet.

        Args:
            client: The SDK's client, made by this package.
            http_client: Its HTTP client, made by this package.
            transport: That client's, over the shared pools.
        """
        self.transport: Any = transport
        self._http = http_client
        self._cookies = CookieLine(http_client)
        self._forms: dict[Hashable, Form] = {}
        self._state: State | None = None
        self.redirected = False
        setattr(client, LANE, self)

    # --- before ---

    def depart(self, client: Any, request: WireRequest) -> Departure:
        """Make a request ready, or find that the SDK has to.

        Args:
            client: The SDK's client.
            request: What to send.

        Raises:
            TypeError: The body cannot be written.
            ValueError: The body cannot be written.
        """
        kind = _kind(request)
        if kind is None or self.redirected or not _sdk_untouched()() or _listeners().want_details:
            return Departure(self, client, request)
        state = self._current(client)
        if self._state is not None and self._state != state:
            self._state = None
            self._forms.clear()
        form = self._forms.get(kind)
        prepared = None if form is None else self._filled(form, request)
        return Departure(self, client, request, kind, state, prepared)

    def _filled(self, form: Form, request: WireRequest) -> Prepared:
        timeouts, read = _timeouts(request.options.get("timeout"), form)
        body = b"" if request.method == "get" else _written(request)
        blanks = {
            b"length": len(body),
            b"read": read,
            b"cookie": self._cookies(form.url) if form.takes_cookies else b"",
        }
        return Prepared(form, form.head % blanks, body, timeouts, time.perf_counter())

    def _current(self, client: Any) -> State:
        """Return everything that a request is made from, but for the request itself."""
        http = self._http
        return (
            *_copied(vars(client)),
            *_copied(vars(http)),
            http.is_closed,
            any(http.event_hooks.values()),
            tuple(http.headers.raw),
        )

    # --- after ---

    def learn(self, departure: Departure, response: httpx2.Response) -> None:
        """Keep what the SDK has sent, where it is plain.

        Args:
            departure: What was found before.
            response: Its answer.
        """
        kind, state = departure.kind, departure.state
        if kind is None or kind in self._forms or len(self._forms) >= _MOST_FORMS:
            return
        if not self._is_plain(response) or self._current(departure.client) != state:
            return
        if self._state is None or self._state == state:
            form = self._learned(departure.request, response.request)
            self._state = (*state[:-1], _shared(state[-1]))
            self._forms[_shared(kind)] = form

    def _is_plain(self, response: httpx2.Response) -> bool:
        url = response.request.url
        return (
            not response.history
            and not url.userinfo
            and is_plain(response.request)
            and self._http.auth is None
            and not any(self._http.event_hooks.values())
            and self.transport.proxy_for(url) is None
            and isinstance(response.request.extensions.get("timeout"), dict)
        )

    def _learned(self, request: WireRequest, sent: httpx2.Request) -> Form:
        headers, takes_cookies = self._without_cookies(sent)
        blanks = set() if request.method == "get" else {CONTENT_LENGTH}
        if _has_own_read_limit(request, sent):
            blanks.add(READ_TIMEOUT)
        return Form(
            _shared(origin_of(sent)),
            str(sent.url),
            _shared(sent.method),
            head_form(sent.method.encode(), sent.url.raw_path, headers, blanks),
            tuple(map(sent.extensions["timeout"].get, _STEPS)),
            takes_cookies,
        )

    def _without_cookies(self, sent: httpx2.Request) -> tuple[RawHeaders, bool]:
        """Take out what the client's cookies added; another cookie header stays as it is."""
        raw = sent.headers.raw
        given = [value for name, value in raw if name.lower() == COOKIE]
        line = self._cookies(str(sent.url))
        if given and line != b"Cookie: " + given[0] + b"\r\n":
            return raw, False
        return [(name, value) for name, value in raw if name.lower() != COOKIE], True

    # --- the answer ---

    def accepts(self, prepared: Prepared, answer: AnswerBase[Any]) -> bool:
        """Whether an answer is one for the caller, neither a redirect nor an error.

        Args:
            prepared: What was sent.
            answer: At its head.
        """
        answer.remember(prepared.as_request)
        if "set-cookie" in answer.headers:
            self._http.cookies.extract_cookies(answer.as_response())
        _listeners().plain.info(
            'HTTP Request: %s %s "%s %d %s"',
            prepared.form.method,
            prepared.form.url,
            answer.http_version,
            answer.status_code,
            answer.reason_phrase,
        )
        self.redirected = answer.status_code in _REDIRECTED
        return answer.status_code < _ERROR and not self.redirected


class Departure(NamedTuple):
    """What is found before a request is sent.

    Attributes:
        lane: The client's short way.
        client: The SDK's client.
        request: What to send.
        kind: What it has in common with those that differ in their bodies alone; None for nothing.
        state: What its client would make it from.
        prepared: The request, where its form is known; None where the SDK has to send it.
    """

    lane: Lane
    client: Any
    request: WireRequest
    kind: Hashable = None
    state: State = ()
    prepared: Prepared | None = None


def sdk_error(error: Exception, prepared: Prepared) -> Exception:
    """Make the SDK's error for one of the HTTP library's.

    Args:
        error: What happened.
        prepared: What was sent.
    """
    import openai

    request = prepared.as_request()
    error.request = request  # type: ignore[attr-defined]  # as the HTTP client itself does
    if isinstance(error, http_library().TimeoutException):
        return openai.APITimeoutError(request=request)
    return openai.APIConnectionError(request=request)


def timed(response: httpx2.Response, prepared: Prepared) -> httpx2.Response:
    """Note on a response how long it took.

    Args:
        response: Read to its end.
        prepared: What was sent.
    """
    response.elapsed = timedelta(seconds=time.perf_counter() - prepared.began_s)
    return response


@cache
def _sdk_untouched() -> Callable[[], bool]:
    return sdk_untouched()


@cache
def _listeners() -> Listeners:
    return Listeners()


@cache
def _dumps() -> Callable[[object], bytes]:
    from openai._utils._json import openapi_dumps

    return openapi_dumps


@lru_cache(maxsize=64)
def _shared(value: Shared) -> Shared:
    """Return one object for all that are equal: a thousand models have the same."""
    return value


@cache
def _omitted() -> type:
    import openai

    return openai.Omit


def _written(request: WireRequest) -> bytes:
    body: Mapping[str, Any] = request.body
    if extra := request.options.get("extra_json"):
        omitted = _omitted()
        merged = {**body, **extra}
        body = {name: value for name, value in merged.items() if not isinstance(value, omitted)}
    return written(body, _dumps())


def _copied(fields: Mapping[str, Any]) -> Iterator[object]:
    """Copy what a later change in place would change."""
    yield len(fields)
    for name, value in fields.items():
        if name not in _NOT_COMPARED:
            yield tuple(value.items()) if isinstance(value, dict) else value


def _kind(request: WireRequest) -> Hashable | None:
    """Tell what requests have in common that differ in their bodies alone; None for none."""
    options = request.options
    if not options.keys() <= _KNOWN_OPTIONS or options.get("max_retries") != 0:
        return None
    headers, params = options.get("headers"), options.get("params")
    timeout = options.get("timeout")
    kind = (
        request.method,
        request.path,
        tuple(headers.items()) if headers else None,
        tuple(params.items()) if params else None,
        None if timeout is None else getattr(timeout, "read", timeout) is None,
    )
    try:
        hash(kind)
    except TypeError:
        return None
    return kind


def _has_own_read_limit(request: WireRequest, sent: httpx2.Request) -> bool:
    """Whether a header tells the limit that the request itself has."""
    timeout = request.options.get("timeout")
    if timeout is None:
        return False
    read = getattr(timeout, "read", timeout)
    return bool(sent.headers.get(READ_TIMEOUT.decode()) == str(read))


def _timeouts(timeout: Any, form: Form) -> tuple[Timeouts, bytes]:
    """Return the limits of a request, and how its header tells the one for reading."""
    if timeout is None:
        return dict(zip(_STEPS, form.limits_s, strict=True)), b""
    limits = {step: getattr(timeout, step, timeout) for step in _STEPS}
    return limits, str(limits["read"]).encode()
