"""A file on its way from the API: what has come, and whether it is whole. No I/O but the disk."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from typing import Self

from pydantic_core import from_json

from langchain_tamma_openai.errors import ConnectionFailedError

_IN_MEMORY = 8_000_000
_PARTIAL = 206


class Download:
    """Takes the bytes of one file and gives its lines.

    Attributes:
        size: Bytes that have come.
    """

    def __init__(self) -> None:
        """Start with nothing."""
        # A file of some megabytes stays in memory; a larger one goes to the disk, without a name.
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by `close`
        self.size = 0

    def __enter__(self) -> Self:
        """Use it for a block, which lets go of the bytes."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Let go of the bytes."""
        self.close()

    def begin(self, status_code: int) -> None:
        """Take the head of an answer: one that is not a continuation starts the file anew.

        Args:
            status_code: 206 where the server goes on from `size`.
        """
        if status_code != _PARTIAL:
            self.size = 0
        self._file.seek(self.size)
        self._file.truncate()

    def take(self, piece: bytes) -> None:
        """Take a piece.

        Args:
            piece: Its bytes.
        """
        self._file.write(piece)
        self.size += len(piece)

    def end(self) -> None:
        """Make sure that the file is whole.

        Raises:
            ConnectionFailedError: Its last line is cut; what has come stays, to go on from there.
        """
        last = self._last_line()
        if last and not _is_object(last):
            raise ConnectionFailedError(
                f"The file broke off after {self.size} bytes, in the middle of a line",
                retryable=True,
            )

    def _last_line(self) -> bytes:
        """Give what comes after the last end of a line."""
        step, tail = 65_536, b""
        position = self.size
        while position > 0 and b"\n" not in tail:
            start = max(0, position - step)
            self._file.seek(start)
            tail = self._file.read(position - start) + tail
            position = start
        return tail.rpartition(b"\n")[2].strip()

    def lines(self) -> Iterator[bytes]:
        """Give the lines that are not blank."""
        self._file.seek(0)
        for line in self._file:
            if stripped := line.strip():
                yield stripped

    def close(self) -> None:
        """Let go of the bytes."""
        with closing(self._file):
            self.size = 0


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(from_json(line), dict)
    except ValueError:
        return False
