"""Files that keep records which the store refuses, until it takes them.

Each process appends to a file of its own, one JSON object a line, and locks it as long as it lives;
the lock goes with the process, however that ends. Whoever finds a file without a lock takes it in:
locks it, stores its records and deletes it. Storing a record twice changes nothing, so a crash at
any moment of this costs nothing either.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from langchain_tamma_openai.errors import InvalidParameterError, StorageError
from langchain_tamma_openai.usage.record import UsageRecord
from langchain_tamma_openai.usage.record_codec import record_from_dict, record_to_dict
from langchain_tamma_openai.whole_files import sync_directory

if sys.platform != "win32":
    import fcntl

logger = logging.getLogger(__name__)
_BATCH = 500
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


class Spill:
    """The spill files of one store: one that this process writes, and what others left behind."""

    def __init__(self, directory: Path, stem: str) -> None:
        """Name them; no file is made before a record needs it.

        Args:
            directory: Where they are; made when needed.
            stem: What their names begin with.
        """
        self.directory = directory
        self._stem = stem
        self._lock = threading.Lock()
        self._file: int | None = None
        self._unsynced = False

    def append(self, records: Sequence[UsageRecord], *, sync: bool = True) -> None:
        """Keep records in this process's file, all of them or none.

        Args:
            records: The records.
            sync: Whether to wait until they are on the disk; otherwise `sync` does it later.

        Raises:
            StorageError: The file cannot be written.
        """
        lines = b"".join(_encode(record_to_dict(record)).encode() + b"\n" for record in records)
        with self._lock:
            try:
                if self._file is None:
                    self._file = self._create()
                _write_whole(self._file, lines)
                self._unsynced = True
                if sync:
                    self._sync()
            except OSError as exc:
                self._close()  # what follows a torn line must not become a part of it
                raise StorageError(
                    f"The spill file in {self.directory} cannot be written: {exc}; free some "
                    "space, correct its permissions or name another directory with spill_path"
                ) from exc

    def sync(self) -> None:
        """Wait until everything that was appended is on the disk; a failure is logged."""
        with self._lock:
            try:
                self._sync()
            except OSError as exc:
                logger.warning("The spill file in %s cannot be flushed: %s", self.directory, exc)

    def reject(self, line: bytes, reason: object) -> None:
        """Put aside for good what no store will ever take, and say so.

        Raises:
            StorageError: That file cannot be written either.
        """
        path = self.directory / f"{self._stem}.rejected.jsonl"
        logger.error("A usage record was put aside in %s: %s", path, reason)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with self._lock, path.open("ab") as file:
                file.write(line.rstrip(b"\n") + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as exc:
            raise StorageError(f"{path} cannot be written: {exc}; free some space") from exc

    def reject_record(self, record: UsageRecord, reason: object) -> None:
        """Put aside for good a record that no store will ever take, and say so."""
        self.reject(_encode(record_to_dict(record)).encode(), reason)

    def is_empty(self) -> bool:
        """Tell whether there is nothing to take in, as far as the names of files say."""
        return not self._paths()

    def take_in(self, insert: Callable[[Sequence[UsageRecord]], None]) -> int:
        """Hand over all records that no living process is still collecting, and delete them here.

        Args:
            insert: Stores records, all of them or none.

        Returns:
            How many were handed over.

        Raises:
            StorageError: The store refused; what it refused stays where it is.
        """
        number = sum(self._take(path, insert) for path in self._paths())
        with self._lock:
            has_own = self._file is not None
            self._close()
        if has_own:
            number += sum(self._take(path, insert) for path in self._paths())
        return number

    def let_go(self) -> None:
        """Finish this process's file, so that anyone may take it in."""
        with self._lock:
            self._close()

    def after_fork(self) -> None:
        """Let go of the parent's file, which stays locked by the parent."""
        self._lock = threading.Lock()
        self._close()

    def _paths(self) -> list[Path]:
        with suppress(OSError):
            return sorted(self.directory.glob(f"{glob_escape(self._stem)}.spill-*.jsonl"))
        return []

    def _create(self) -> int:
        """Make a file that is locked before anyone can see it."""
        self.directory.mkdir(parents=True, exist_ok=True)
        name = f"{self._stem}.spill-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
        hidden = self.directory / f"{name}.new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        file = os.open(hidden, flags, 0o600)
        try:
            _try_lock(file)
            hidden.rename(self.directory / name)
            sync_directory(self.directory)
        except OSError:
            os.close(file)
            raise
        logger.warning("Usage records are kept in %s until the ledger takes them.", name)
        return file

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _sync(self) -> None:
        if self._unsynced and self._file is not None:
            os.fsync(self._file)
        self._unsynced = False

    def _take(self, path: Path, insert: Callable[[Sequence[UsageRecord]], None]) -> int:
        try:
            file = path.open("r+b")
        except OSError:  # another process took it in
            return 0
        with file:
            if not _try_lock(file.fileno()) or not os.fstat(file.fileno()).st_nlink:
                return 0
            number = 0
            for batch in self._batches(file):
                insert(batch)
                number += len(batch)
            with suppress(OSError):  # on Windows only a closed file can be deleted
                path.unlink()
        path.unlink(missing_ok=True)
        return number

    def _batches(self, file: BinaryIO) -> Iterator[list[UsageRecord]]:
        batch: list[UsageRecord] = []
        for line in file:
            if (record := self._read(line)) is not None:
                batch.append(record)
            if len(batch) == _BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    def _read(self, line: bytes) -> UsageRecord | None:
        try:
            return record_from_dict(json.loads(line))
        except (ValueError, InvalidParameterError) as exc:
            if line.endswith(b"\n"):
                self.reject(line, exc)
            else:  # its process ended while it wrote, and told nobody that it was kept
                logger.warning("The torn last line of a spill file was left out.")
            return None


def glob_escape(text: str) -> str:
    """Make a name mean itself in a pattern of names."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in text)


def _write_whole(file: int, data: bytes) -> None:
    """Write all or nothing."""
    size = os.fstat(file).st_size
    try:
        written = 0
        while written < len(data):
            written += os.write(file, data[written:])
    except OSError:
        os.ftruncate(file, size)
        raise


def _try_lock(file: int) -> bool:
    """Lock a file until it is closed, unless another process has."""
    if sys.platform == "win32":
        return True  # there a file that is open elsewhere can be neither renamed nor deleted
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
