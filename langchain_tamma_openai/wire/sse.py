"""Server-sent events: bytes in, event payloads out, no I/O.

Follows the WHATWG event-stream grammar (https://html.spec.whatwg.org/multipage/server-sent-events.html):
lines end in LF, CRLF or CR; a blank line ends an event; lines that start with a colon are comments;
several ``data`` lines of one event are joined by a newline. Event names are not needed here: both
OpenAI APIs repeat them inside the payload.
"""

from __future__ import annotations

_BOM = b"\xef\xbb\xbf"


class SSEDecoder:
    """Splits a byte stream, cut anywhere, into the data payloads of its events.

    The cost of a piece does not depend on how much came before it.
    """

    def __init__(self) -> None:
        """Start at the beginning of a stream."""
        self._pending: list[bytes] = []
        self._held_cr = False
        self._at_start = True

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes and return the payloads of the events they complete.

        Args:
            data: Any number of bytes, split at any place.

        Returns:
            One payload for each event with data, in order, possibly none.
        """
        if self._at_start:
            data = self._without_bom(data)
        if self._held_cr or b"\r" in data:
            data = self._with_line_feeds(data)
        if self._pending:
            if not self._completes_an_event(data):
                if data:
                    self._pending.append(data)
                return []
            self._pending.append(data)
            data = b"".join(self._pending)
            self._pending = []
        blocks = data.split(b"\n\n")
        if tail := blocks.pop():
            self._pending.append(tail)
        return [payload for block in blocks if (payload := _payload(block))]

    def finish(self) -> list[bytes]:
        """End the stream and return what an unfinished last event holds.

        The grammar drops an event that no blank line ends. Some servers close the connection right
        after the last line, so the caller gets it and decides whether it is whole.
        """
        rest = b"".join(self._pending)
        self._pending = []
        return [payload] if (payload := _payload(rest)) else []

    def _without_bom(self, data: bytes) -> bytes:
        start = b"".join([*self._pending, data])
        self._pending = []
        if len(start) < len(_BOM) and _BOM.startswith(start):
            self._pending = [start] if start else []
            return b""
        self._at_start = False
        return start.removeprefix(_BOM)

    def _with_line_feeds(self, data: bytes) -> bytes:
        if self._held_cr:
            data = b"\r" + data
        self._held_cr = data.endswith(b"\r")
        if self._held_cr:
            data = data[:-1]
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _completes_an_event(self, data: bytes) -> bool:
        if b"\n\n" in data:
            return True
        return data.startswith(b"\n") and self._pending[-1].endswith(b"\n")


def _payload(block: bytes) -> bytes:
    if b"\n" not in block and block.startswith(b"data:"):
        return block[6:] if block.startswith(b"data: ") else block[5:]
    values = [_value(line) for line in block.split(b"\n") if _is_data(line)]
    return b"\n".join(values)


def _is_data(line: bytes) -> bool:
    return line == b"data" or line.startswith(b"data:")


def _value(line: bytes) -> bytes:
    return line[5:].removeprefix(b" ")
