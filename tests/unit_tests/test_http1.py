"""Our reader of HTTP/1.1 against h11's, on answers cut anywhere."""

from __future__ import annotations

from itertools import pairwise

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_tamma_openai.transport.http1 import MAX_HEAD_BYTES, Message

Read = tuple[object, ...]

FRAMING = (b"content-length", b"transfer-encoding")
HEADS = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 200 OK\r\n",
        b"HTTP/1.1 404 Not Found\r\n",
        b"HTTP/1.1 200\r\n",
        b"HTTP/1.1 204 No Content\r\n",
        b"HTTP/1.1 304 Not Modified\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 101 Switching\r\n",
        b"HTTP/2 200 OK\r\n",
        b"nonsense\r\n",
        b"HTTP/1.1 200 OK\n",
    ]
)
HEADERS = st.lists(
    st.sampled_from(
        [
            b"content-length: 5\r\n",
            b"Content-Length: 5, 5\r\n",
            b"content-length: 6\r\n",
            b"content-length: x\r\n",
            b"content-length: 0\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"transfer-encoding: Chunked\r\n",
            b"transfer-encoding: gzip\r\n",
            b"Connection: close\r\n",
            b"connection: keep-alive, Close\r\n",
            b"x-folded: a\r\n  b\r\n\tc \r\n",
            b"x-empty:\r\n",
            b"x-spaces:  a b  \r\n",
            b"x-bare: 1\n",
            b"x-latin: \xfc\r\n",
            b"bad name: 1\r\n",
            b"no colon\r\n",
            b"x-null: a\x00b\r\n",
        ]
    ),
    max_size=4,
)
BODIES = st.sampled_from(
    [
        b"",
        b"hello",
        b"hello and more",
        b"hel",
        b"5\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
        b"5;a=b\r\nhello\r\n0\r\n\r\n",
        b"5  \r\nhello\r\n00\r\n\r\n",
        b"A\r\nhello 1234\r\n0\r\nx-trailer: 1\r\nanother: 2\r\n\r\n",
        b"5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n",
        b"5\r\nhello\r\n",
        b"5\r\nhelloXX0\r\n\r\n",
        b"x\r\nhello\r\n0\r\n\r\n",
        b"5\nhello\n0\n\n",
    ]
)


def by_h11(pieces: list[bytes]) -> Read:
    """Read as the HTTP library's connection does."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
    connection.send(h11.Request(method="POST", target="/", headers=[("host", "a")]))
    connection.send(h11.EndOfMessage())
    head, body = None, b""
    left = [*pieces, b""]
    try:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(left.pop(0))
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                break
            elif isinstance(event, h11.InformationalResponse) and event.status_code != 101:
                continue
            else:
                return ("error", body)
    except h11.RemoteProtocolError:
        return ("error", body)
    assert head is not None
    rest = connection.trailing_data[0] + b"".join(left[:-1] if left else [])
    reusable = connection.their_state is h11.DONE and not rest and bool(left)
    raw = [(bytes(name), bytes(value)) for name, value in head.headers.raw_items()]
    return (head.status_code, bytes(head.reason), _unframed(raw), body, reusable)


def by_us(pieces: list[bytes]) -> Read:
    """Read as our connections do."""
    message, body = Message(), b""
    for piece in pieces:
        if message.error is not None:
            break
        body += message.feed(piece)
    if message.error is None:
        message.feed_end()
    if message.error is not None:
        return ("error", body)
    assert message.head is not None
    head = message.head
    return (head.status, head.reason, _unframed(head.raw), body, message.allows_reuse)


def _unframed(raw: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Leave out what h11 writes anew."""
    return [item for item in raw if item[0].lower() not in FRAMING]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Cut bytes at some places."""
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(ends)]


@given(
    head=HEADS,
    headers=HEADERS,
    body=BODIES,
    places=st.lists(st.integers(0, 300), max_size=12),
)
def test_like_h11(head: bytes, headers: list[bytes], body: bytes, places: list[int]) -> None:
    data = head + b"".join(headers) + b"\r\n" + body
    pieces = cut(data, places)
    assert by_us(pieces) == by_h11(pieces)


@given(
    chunks=st.lists(st.binary(min_size=1, max_size=40), max_size=20),
    places=st.lists(st.integers(0, 1500), max_size=40),
)
def test_chunks_cut_anywhere(chunks: list[bytes], places: list[int]) -> None:
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    data = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n"
    status, _reason, _raw, body, reusable = by_us(cut(data, places))
    assert (status, body, reusable) == (200, b"".join(chunks), True)


def test_what_came_before_an_error_is_given() -> None:
    message = Message()
    message.feed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    assert message.feed(b"5\r\nhello\r\nnonsense\r\n") == b"hello"
    assert message.error is not None


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\n" + b"x: " + b"a" * MAX_HEAD_BYTES,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;" + b"a" * (MAX_HEAD_BYTES + 1),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: " + b"a" * MAX_HEAD_BYTES,
        b"HTTP/1.1 200 OK\r\ncontent-length: " + b"9" * 30 + b"\r\n\r\n",
    ],
    ids=["head", "chunk", "trailers", "length"],
)
def test_nothing_grows_without_end(data: bytes) -> None:
    message = Message()
    message.feed(data)
    assert message.error is not None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "Server disconnected without sending a response."),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", "received 3 bytes, expected 9"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "incomplete chunked read"),
    ],
)
def test_an_answer_that_is_cut(data: bytes, words: str) -> None:
    message = Message()
    message.feed(data)
    message.feed_end()
    assert words in str(message.error)
    message.feed_end()
    assert words in str(message.error)


def test_headers_by_name() -> None:
    message = Message()
    message.feed(b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\n\r\n")
    assert message.head is not None
    headers = message.head.headers
    assert (headers["X-a"], headers.get("x-A")) == ("1, 2", "1, 2")
    assert headers.get("x-b", "none") == "none"
    assert "X-A" in headers
    assert not headers.__contains__(3)  # what no header can be called
    assert dict(headers) == {"x-a": "1, 2"}


@pytest.mark.parametrize(("value", "expected"), [(b"a", "a"), (b"\xc3\xbc", "ü"), (b"\xfc", "ü")])
def test_encodings_of_headers(value: bytes, expected: str) -> None:
    message = Message()
    message.feed(b"HTTP/1.1 204 OK\r\nx: " + value + b"\r\n\r\n")
    assert message.head is not None
    assert message.head.headers["x"] == expected
