"""HTTP/1.1 as a client reads it: bytes in, a head and body bytes out. No I/O.

It takes what `h11` takes, the reader of the HTTP library: bare line feeds in the head, folded
headers, spaces after a chunk's size. Nothing is computed per chunk of a body but where it ends.
"""

from __future__ import annotations

import re
from typing import NoReturn

from langchain_tamma_openai.transport.headers import (
    AnswerHeaders,
    RawHeaders,
    answer_headers,
    header_encoding,
)

MAX_HEAD_BYTES = 100 * 1024
_MAX_LENGTH_DIGITS = 20
_INFORMATIONAL = 200
_SWITCHING_PROTOCOLS = 101
_BODILESS = (204, 304)

_BLANK_LINE = re.compile(rb"\n\r?\n")
_STATUS_LINE = re.compile(rb"HTTP/(\d\.\d) (\d{3})(?: ([\x20-\x7e\x80-\xff\t]*))?")
_HEADER = re.compile(rb"([-!#$%&'*+.^_`|~0-9a-zA-Z]+):[ \t]*([^\x00\r\n]*)")
_CHUNK_SIZE = rb"([0-9A-Fa-f]{1,20})[ \t]*(?:;[^\r\n]*)?\r\n"
_FIRST_CHUNK = re.compile(_CHUNK_SIZE)
_NEXT_CHUNK = re.compile(rb"\r\n" + _CHUNK_SIZE)

_UNTIL_CLOSED, _CHUNKED = -1, -2


class WireFormatError(Exception):
    """What came is not an HTTP/1.1 answer."""


class Head:
    """Status and headers of an answer.

    Attributes:
        version: `b"1.1"` or `b"1.0"`.
        status: Such as 200.
        reason: Such as `b"OK"`.
        raw: Names and values as they came.
    """

    __slots__ = ("_encoding", "_headers", "raw", "reason", "status", "version")

    def __init__(self, version: bytes, status: int, reason: bytes, raw: RawHeaders, encoding: str):
        """Keep what was read."""
        self.version = version
        self.status = status
        self.reason = reason
        self.raw = raw
        self._encoding = encoding
        self._headers: AnswerHeaders | None = None

    @property
    def headers(self) -> AnswerHeaders:
        """The headers by name."""
        if self._headers is None:
            self._headers = answer_headers(self.raw, self._encoding)
        return self._headers

    @property
    def allows_reuse(self) -> bool:
        """Whether the server means to keep the connection."""
        if self.version != b"1.1":
            return False
        return "close" not in _tokens(self.headers.get("connection", ""))

    def body_length(self) -> int:
        """Return how long the body is: bytes, `_CHUNKED` or `_UNTIL_CLOSED`."""
        length = self._told_length()
        coding = self.headers.get("transfer-encoding")
        if coding is not None and coding.strip().lower() != "chunked":
            _refuse(f"transfer-encoding {coding!r} is not spoken, only 'chunked' is")
        if self.status in _BODILESS:
            return 0
        return length if coding is None else _CHUNKED

    def _told_length(self) -> int:
        told = self.headers.get("content-length")
        if told is None:
            return _UNTIL_CLOSED
        length, *others = {part.strip() for part in told.split(",")}
        is_number = length.isascii() and length.isdigit() and len(length) <= _MAX_LENGTH_DIGITS
        return int(length) if is_number and not others else _refuse(f"bad content-length {told!r}")


class Message:
    """One answer, read piece by piece.

    Attributes:
        head: Status and headers, once they are there.
        complete: Whether all of it has come.
        has_rest: Whether bytes came after its end, which belong to nothing.
        error: What is wrong with it, behind what `feed` has returned.
    """

    __slots__ = (
        "_buffer",
        "_in_chunks",
        "_left",
        "_received",
        "_total",
        "complete",
        "error",
        "has_rest",
        "head",
    )

    def __init__(self) -> None:
        """Start with nothing read."""
        self.head: Head | None = None
        self.complete = False
        self.has_rest = False
        self.error: WireFormatError | None = None
        self._in_chunks = False
        self._buffer = b""
        self._total = 0
        # of a body of known length: what is missing; of a chunked one: what is missing of a chunk
        self._left = 0
        self._received = 0

    @property
    def allows_reuse(self) -> bool:
        """Whether the connection can carry another request."""
        return (
            self.complete
            and not self.has_rest
            and self._total != _UNTIL_CLOSED
            and self.head is not None
            and self.head.allows_reuse
        )

    def feed(self, data: bytes) -> bytes:
        """Take bytes as they come; return those of the body among them.

        What is no HTTP/1.1 is then in `error`.
        """
        if self.head is None:
            data = self._feed_head(data)
            if self.head is None:
                return b""
        elif self._buffer:
            data, self._buffer = self._buffer + data, b""
        if self.complete:
            self.has_rest = self.has_rest or bool(data)
            return b""
        if self._total == _CHUNKED:
            return self._feed_chunks(data)
        if self._total == _UNTIL_CLOSED:
            return data
        return self._feed_measured(data)

    def feed_end(self) -> None:
        """Take the end of the connection; an answer that is not complete is then in `error`."""
        if self.complete or self.error is not None:
            return
        if self.head is None:
            self._fail("Server disconnected without sending a response.")
        elif self._total == _UNTIL_CLOSED:
            self.complete = True
        else:
            told = (
                "incomplete chunked read"
                if self._total == _CHUNKED
                else f"received {self._received} bytes, expected {self._total}"
            )
            self._fail(f"peer closed connection without sending complete message body ({told})")

    def _fail(self, message: str) -> None:
        self.error = WireFormatError(message)

    # --- the head ---

    def _feed_head(self, data: bytes) -> bytes:
        """Read the head where it is whole; return what follows it."""
        data = self._buffer + data if self._buffer else data
        try:
            while (end := _BLANK_LINE.search(data)) is not None:
                head = _read_head(data[: end.start()])
                data = data[end.end() :]
                if head.status >= _INFORMATIONAL:
                    self._begin_body(head)
                    self._buffer = b""
                    return data
                if head.status == _SWITCHING_PROTOCOLS:
                    _refuse("the server switches protocols, which nobody asked for")
            if len(data) > MAX_HEAD_BYTES:
                _refuse("the head of the answer is too long")
        except WireFormatError as error:
            self.error = error
        self._buffer = data
        return b""

    def _begin_body(self, head: Head) -> None:
        self._total = head.body_length()
        self.head = head
        self._left = max(self._total, 0)
        self.complete = self._total == 0

    # --- the body ---

    def _feed_measured(self, data: bytes) -> bytes:
        missing = self._left
        if len(data) < missing:
            self._left = missing - len(data)
            self._received += len(data)
            return data
        self._left = 0
        self.complete = True
        self.has_rest = len(data) > missing
        return data[:missing] if self.has_rest else data

    def _feed_chunks(self, data: bytes) -> bytes:
        at, end, pieces = 0, len(data), []
        left, self._left = self._left, 0
        size = _NEXT_CHUNK if self._in_chunks else _FIRST_CHUNK
        while True:
            if left:
                stop = at + left
                if stop > end:
                    pieces.append(data[at:])
                    self._left = stop - end
                    break
                pieces.append(data[at:stop])
                at = stop
            line = size.match(data, at)
            if line is None:
                self._keep(data[at:])
                break
            self._in_chunks, size = True, _NEXT_CHUNK
            left = int(line[1], 16)
            at = line.end()
            if not left:
                self._end_of_chunks(data, at)
                break
        return b"".join(pieces)

    def _keep(self, rest: bytes) -> None:
        """Keep the beginning of a chunk's size for later, unless it cannot be one."""
        after = rest[2:] if self._in_chunks else rest
        is_framed = not self._in_chunks or b"\r\n".startswith(rest[:2])
        if not is_framed or b"\n" in after or len(rest) > MAX_HEAD_BYTES:
            self._fail(f"illegal chunk header: {rest[:32]!r}")
        self._buffer = rest

    def _end_of_chunks(self, data: bytes, at: int) -> None:
        """Read over the trailers to the end of the message."""
        if data.startswith(b"\r\n", at):
            end = at + 2
        elif (blank := _BLANK_LINE.search(data, at)) is not None:
            end = blank.end()
        else:
            if len(data) - at > MAX_HEAD_BYTES:
                self._fail("the trailers of the answer are too long")
            # Read the last chunk's size again, with what is to come.
            self._buffer = b"\r\n0\r\n" + data[at:]
            return
        self.complete = True
        self.has_rest = end < len(data)


def _read_head(block: bytes) -> Head:
    first, *lines = block.split(b"\n")
    status = _STATUS_LINE.fullmatch(first.removesuffix(b"\r"))
    if status is None:
        _refuse(f"illegal status line: {first[:64]!r}")
    raw: RawHeaders = []
    for line in lines:
        _add_header(raw, line.removesuffix(b"\r"))
    return Head(status[1], int(status[2]), status[3] or b"", raw, header_encoding(block))


def _add_header(raw: RawHeaders, line: bytes) -> None:
    if line[:1] in (b" ", b"\t") and raw:
        name, value = raw[-1]
        raw[-1] = name, value + b" " + line.strip(b" \t")
        return
    found = _HEADER.fullmatch(line)
    if found is None:
        _refuse(f"illegal header line: {line[:64]!r}")
    raw.append((found[1], found[2].rstrip(b" \t")))


def _tokens(value: str) -> list[str]:
    return [token for part in value.split(",") if (token := part.strip().lower())]


def _refuse(message: str) -> NoReturn:
    raise WireFormatError(message)
