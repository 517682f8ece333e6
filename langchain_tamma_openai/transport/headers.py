"""Headers of an answer: a plain dict that does not mind the case of a name."""

from __future__ import annotations

from typing import Any

RawHeaders = list[tuple[bytes, bytes]]


class AnswerHeaders(dict[str, str]):
    """Names in lower case; values of a name that came more than once are joined by `", "`.

    Looking a name up costs what a dict costs, which is why it is one.

    Attributes:
        raw: Names and values as they came, all of them.
        memo: What was read of them, by class, for whoever asks next.
    """

    __slots__ = ("memo", "raw")

    raw: RawHeaders
    memo: dict[type[object], object]

    def __getitem__(self, name: str) -> str:
        """Return the value of a header."""
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        """Whether a header is there."""
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a header, or something else."""
        return super().get(name.lower(), default)


def answer_headers(raw: RawHeaders, encoding: str) -> AnswerHeaders:
    """Read raw headers.

    Args:
        raw: Names and values as they came.
        encoding: Of all of them.
    """
    headers = AnswerHeaders()
    headers.raw, headers.memo = raw, {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode(encoding).lower(), raw_value.decode(encoding)
        if dict.__contains__(headers, name):
            value = f"{dict.__getitem__(headers, name)}, {value}"
        dict.__setitem__(headers, name, value)
    return headers


def header_encoding(head: bytes) -> str:
    """Return the first encoding that can read a head, as the HTTP library tries them.

    Args:
        head: Status line and headers.
    """
    if head.isascii():
        return "ascii"
    try:
        head.decode()
    except UnicodeDecodeError:
        return "iso-8859-1"
    return "utf-8"
