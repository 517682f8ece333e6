"""Server-sent events from bytes, beside a plain reading of the grammar."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_tamma_openai.wire.sse import SSEDecoder


def decoded(*pieces: bytes) -> list[bytes]:
    decoder = SSEDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return [*events, *decoder.finish()]


def by_the_grammar(body: bytes) -> list[bytes]:
    """The data of each event, the unfinished last one included; slow and simple."""
    events: list[list[bytes]] = [[]]
    for line in re.split(rb"\r\n|\n|\r", body.removeprefix(b"\xef\xbb\xbf")):
        if not line:
            events.append([])
            continue
        name, _, value = line.partition(b":")
        if name == b"data":
            events[-1].append(value.removeprefix(b" "))
    return [data for lines in events if (data := b"\n".join(lines))]


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b"", []),
        (b"\n\n\n", []),
        (b"data: a\n\n", [b"a"]),
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a \n\n", [b" a "]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data: a\n\r\ndata: b\r\n\n", [b"a", b"b"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data: a\ndata\ndata: b\n\n", [b"a\n\nb"]),
        (b"data\n\n", []),
        (b"data:\n\n", []),
        (b": comment\n\ndata: a\n\n", [b"a"]),
        (b":\ndata: a\n:x\n\n", [b"a"]),
        (b"event: x\nid: 1\nretry: 2\ndata: a\n\n", [b"a"]),
        (b"event: ping\n\n", []),
        (b"dataset: a\n\n", []),
        (b" data: a\n\n", []),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"data: \xef\xbb\xbfa\n\n", [b"\xef\xbb\xbfa"]),
        ("data: è 😀\n\n".encode(), ["è 😀".encode()]),
        (b"data: a", [b"a"]),
        (b"data: a\n", [b"a"]),
        (b"data: a\r", [b"a"]),
        (b"\xef", []),
        (b"\xef\xbb", []),
    ],
)
def test_events_of_a_body(body: bytes, events: list[bytes]) -> None:
    assert decoded(body) == events == by_the_grammar(body)
    assert decoded(*(bytes([byte]) for byte in body)) == events


def test_events_come_as_soon_as_they_are_whole() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"data: a\n") == []
    assert decoder.feed(b"\ndata: b") == [b"a"]
    assert decoder.feed(b"") == []
    assert decoder.feed(b"\n\n") == [b"b"]
    assert decoder.finish() == []
    assert decoder.finish() == []


LINES = [
    *(b"data: a", b"data:b", b"data", b"data:", b": comment", b"event: x", b"", b"", b"x"),
    *(b"data: \xef\xbb\xbf", b"\xef\xbb\xbf"),
]
BODIES = st.lists(
    st.tuples(st.sampled_from(LINES), st.sampled_from([b"\n", b"\r\n", b"\r"])), max_size=12
).map(lambda lines: b"".join(line + end for line, end in lines))


@given(BODIES | st.binary(max_size=40), st.lists(st.integers(0, 200), max_size=8))
def test_any_bytes_in_any_pieces_follow_the_grammar(body: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    pieces = [body[start:stop] for start, stop in pairwise(places)]
    assert decoded(*pieces) == by_the_grammar(body)
