"""The files of a batch: its input, which may be a pipe, and the output with its journal."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from langchain_tamma_openai.batch_run.lines import BatchLine, read_line
from langchain_tamma_openai.batch_run.problems import BadLine, BatchConflictError
from langchain_tamma_openai.whole_files import sync_directory

STANDARD = "-"
"""In place of a path: standard input, or standard output."""

_PIECE_BYTES = 1 << 20
_MOST_MODELS = 64
_MOST_BAD_LINES = 100
_LOCKED_BYTE = 1 << 30


@dataclass(slots=True)
class InputFacts:
    """What one reading of an input tells.

    Attributes:
        lines: Lines that can be asked.
        bad: The first lines that cannot.
        bad_count: How many cannot.
        models: Names of models that lines ask; None stands for those that name none.
        bytes: Its length.
        sha256: Of all its bytes.
    """

    lines: int = 0
    bad: list[BadLine] = field(default_factory=list)
    bad_count: int = 0
    models: set[str | None] = field(default_factory=set)
    bytes: int = 0
    sha256: str = ""


class BatchInput:
    """Lines of a file, of standard input or of another pipe, that can be read more than once.

    A pipe is copied into a temporary file first.
    """

    def __init__(self, source: str | os.PathLike[str]) -> None:
        """Open it.

        Args:
            source: A path, or `-` for standard input.

        Raises:
            OSError: It cannot be read.
        """
        self.name = "standard input" if source == STANDARD else os.fspath(source)
        self._file = _seekable(source)

    def is_same(self, path: Path) -> bool:
        """Whether it is read from a file.

        Args:
            path: Of the file.
        """
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), path.stat())
        except OSError:
            return False

    def close(self) -> None:
        """Close it."""
        self._file.close()

    def read(self) -> Iterator[BatchLine | BadLine]:
        """Read it from its beginning, one line at a time, blank lines left out."""
        ids: dict[int, int] = {}
        for number, raw in self._numbered():
            found = read_line(number, raw)
            if found is not None:
                yield _checked(found, ids)

    def facts(self, look: Callable[[BatchLine], object] | None = None) -> InputFacts:
        """Read all of it once.

        Args:
            look: Is shown every line that can be asked.
        """
        facts, whole = InputFacts(), hashlib.sha256()
        ids: dict[int, int] = {}
        for number, raw in self._numbered():
            whole.update(raw)
            facts.bytes += len(raw)
            found = read_line(number, raw)
            if found is not None:
                _note(facts, _checked(found, ids), look)
        facts.sha256 = whole.hexdigest()
        return facts

    def _numbered(self) -> Iterator[tuple[int, bytes]]:
        self._file.seek(0)
        return enumerate(self._file, start=1)


def _note(
    facts: InputFacts,
    found: BatchLine | BadLine,
    look: Callable[[BatchLine], object] | None,
) -> None:
    if isinstance(found, BadLine):
        facts.bad_count += 1
        if len(facts.bad) < _MOST_BAD_LINES:
            facts.bad.append(found)
        return
    facts.lines += 1
    if len(facts.models) < _MOST_MODELS:
        facts.models.add(found.model)
    if look is not None:
        look(found)


def _checked(found: BatchLine | BadLine, ids: dict[int, int]) -> BatchLine | BadLine:
    """Refuse an id that an earlier line has."""
    if isinstance(found, BadLine) or found.custom_id is None:
        return found
    first = ids.setdefault(hash(found.custom_id), found.line)
    if first == found.line:
        return found
    reason = f"custom_id: {found.custom_id!r} is that of line {first} as well; each needs its own"
    return BadLine(found.line, reason, found.custom_id)


def _seekable(source: str | os.PathLike[str]) -> IO[bytes]:
    if source == STANDARD:
        # A stand-in for standard input may be of text alone.
        given = getattr(sys.stdin, "buffer", None)
        return _copied(given or io.BytesIO(sys.stdin.read().encode()))
    opened = Path(source).open("rb")  # noqa: SIM115 - stays open
    if opened.seekable():
        return opened
    with opened:
        return _copied(opened)


def _copied(opened: IO[bytes]) -> IO[bytes]:
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - stays open
    while piece := opened.read(_PIECE_BYTES):
        copy.write(piece)
    return copy


class OutputFiles:
    """An output and its journal, held by this process alone.

    Attributes:
        output: Where results are appended.
        journal: Where events are appended; its lock is what holds the two.
    """

    def __init__(self, path: Path) -> None:
        """Open them, and make them where they are missing.

        Args:
            path: Of the output.

        Raises:
            BatchConflictError: Another process has them.
            OSError: They cannot be opened.
        """
        self.path = path
        self.journal_path = beside(path, "journal")
        self.journal = _open(self.journal_path)
        try:
            _lock(self.journal, path)
            self.output = _open(path)
        except BaseException:
            os.close(self.journal)
            raise

    def output_lines(self) -> Iterator[bytes]:
        """Read the output."""
        with self.path.open("rb") as file:
            yield from file

    def cut(self, output_bytes: int, journal_bytes: int, *, needs_end: bool) -> None:
        """Cut off what is torn.

        Args:
            output_bytes: Length of the whole results.
            journal_bytes: Length of the whole events.
            needs_end: Whether the last result lacks only the end of its line.
        """
        os.ftruncate(self.journal, journal_bytes)
        os.ftruncate(self.output, output_bytes)
        if needs_end:
            write_all(self.output, b"\n")

    def replace_output(self, write: Callable[[IO[bytes]], object]) -> None:
        """Put another output in place of this one, in one step.

        Args:
            write: Writes it.
        """
        draft = beside(self.path, "draft")
        with draft.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.close(self.output)  # not every system replaces open files
        try:
            draft.replace(self.path)
            sync_directory(self.path.parent)
        finally:
            self.output = _open(self.path)

    def close(self) -> None:
        """Close both, and let others have them."""
        os.close(self.output)
        os.close(self.journal)


def beside(path: Path, what: str) -> Path:
    """Name a file that lies beside an output.

    Args:
        path: Of the output.
        what: Its ending.
    """
    return path.with_name(f"{path.name}.{what}")


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of it.

    Args:
        descriptor: An open file.
        content: What to write.
    """
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
    return os.open(path, flags, 0o666)


def _lock(descriptor: int, path: Path) -> None:
    """Hold a file until it is closed; the system lets go of it when the process dies."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)  # there nobody can read what is locked
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise BatchConflictError(
            f"{path}: another batch is writing there; wait for its end, or use another output"
        ) from None
