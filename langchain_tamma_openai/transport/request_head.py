"""The head of a request: as `h11` writes it, and as a form whose blanks are filled per request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_tamma_openai.transport.idle import Origin

if TYPE_CHECKING:
    import httpx2

    from langchain_tamma_openai.transport.headers import RawHeaders

_DEFAULT_PORTS = {"http": 80, "https": 443}
CONTENT_LENGTH = b"content-length"
READ_TIMEOUT = b"x-stainless-read-timeout"
COOKIE = b"cookie"
_BLANKS = {CONTENT_LENGTH: b"%(length)d", READ_TIMEOUT: b"%(read)b"}


def origin_of(request: httpx2.Request) -> Origin:
    """Return scheme, host and port of a request.

    Args:
        request: The HTTP library's.
    """
    url = request.url
    port = url.port or _DEFAULT_PORTS.get(url.scheme, 0)
    return url.scheme, url.raw_host.decode("ascii"), port


def is_plain(request: httpx2.Request) -> bool:
    """Whether a request needs nothing but HTTP/1.1 over a connection of its own.

    Args:
        request: The HTTP library's.
    """
    return (
        request.url.scheme in _DEFAULT_PORTS
        and request.extensions.keys() <= {"timeout"}
        and "upgrade" not in request.headers
        and request.method not in ("CONNECT", "HEAD")
        and "transfer-encoding" not in request.headers
    )


def request_head(method: bytes, target: bytes, headers: RawHeaders) -> bytes:
    """Write request line and headers.

    Args:
        method: Such as `b"POST"`.
        target: Path and query.
        headers: Names and values.

    Raises:
        Exception: The HTTP library's `LocalProtocolError`, where a value cannot stand in a head.
    """
    import h11

    from langchain_tamma_openai.transport.http_library import http_library

    try:
        event = h11.Request(method=method, target=target, headers=headers)
        return h11.Connection(our_role=h11.CLIENT).send(event) or b""
    except h11.LocalProtocolError as error:
        refusal: Any = http_library().LocalProtocolError(str(error))
        raise refusal from error


def head_form(method: bytes, target: bytes, headers: RawHeaders, blanks: set[bytes]) -> bytes:
    """Write a head with blanks for what changes from one request to the next.

    Args:
        method: Such as `b"POST"`.
        target: Path and query.
        headers: Names and values.
        blanks: Names of headers, in lower case, whose values change: `CONTENT_LENGTH` and
            `READ_TIMEOUT`. What the HTTP library's cookies add has its own blank.

    Returns:
        A form to be filled by `%` with a dict of `b"length"`, `b"read"` and `b"cookie"`, which is
        a whole line or nothing.
    """
    head = request_head(method, target, headers).replace(b"%", b"%%")
    lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    names = [line.partition(b":")[0] for line in lines]
    place = len(lines)
    for number, name in enumerate(names):
        if number and (key := name.lower()) in blanks:
            lines[number] = name + b": " + _BLANKS[key]
            place = number if key == CONTENT_LENGTH else place
    before = b"\r\n".join([*lines[:place], b""])
    return before + b"%(cookie)b" + b"\r\n".join([*lines[place:], b"", b""])
