"""Where journals are kept: a directory of small files, each replaced as a whole.

A job that is being submitted is locked by its process; the lock goes with the process, however that
ends.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from langchain_tamma_openai.batches.journal import Entry, Part, check_job_id
from langchain_tamma_openai.errors import StorageError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

DIRECTORY = "TAMMA_OPENAI_BATCH_DIR"
"""Environment variable that names the directory."""
_ENTRY, _LOCK, _SPOOL = ".job.json", ".lock", ".jsonl"


class BatchStore:
    """Journals of jobs, and the requests of those that are not submitted yet, in one directory.

    Only its owner can read it: requests are kept there until the API has them.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        """Name the directory; it is made when a job needs it.

        Args:
            path: The directory. Default: the environment's `TAMMA_OPENAI_BATCH_DIR`, else
                `langchain-tamma-openai/batches` in the user's directory for state.
        """
        self.path = Path(path or os.environ.get(DIRECTORY) or _state_directory()).expanduser()

    def __repr__(self) -> str:
        """Name the directory."""
        return f"BatchStore({str(self.path)!r})"

    @classmethod
    def of(cls, store: object) -> BatchStore:
        """Read what a user gave as `journal`.

        Args:
            store: A store, a directory, or None for the usual one.

        Raises:
            InvalidParameterError: It is none of these.
        """
        if isinstance(store, BatchStore):
            return store
        if store is None or isinstance(store, str | Path):
            return cls(store)
        from langchain_tamma_openai.checks import shown
        from langchain_tamma_openai.errors import InvalidParameterError

        raise InvalidParameterError(
            f"journal: got {shown(store)}, must be a directory or a BatchStore; or leave it out",
            param="journal",
        )

    def find(self, job_id: str) -> Entry | None:
        """Find a job; None when it is not known here.

        Args:
            job_id: Its id.

        Raises:
            StorageError: Its journal cannot be read.
        """
        try:
            text = self._file(job_id, _ENTRY).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self.refuse(error)
        try:
            return Entry.from_json(json.loads(text))
        except ValueError as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(f"{self._file(job_id, _ENTRY)} is damaged: {error}") from error

    def find_batch(self, batch_id: str) -> Entry | None:
        """Find the job that a batch of the API belongs to; None when it is not known here.

        Args:
            batch_id: The API's id of the batch.
        """
        found = (
            entry for entry in self.entries() for part in entry.parts if part.batch_id == batch_id
        )
        return next(found, None)

    def entries(self) -> Iterator[Entry]:
        """Give all jobs, the newest first; those that cannot be read are left out."""
        try:
            names = [each.name for each in self.path.glob(f"*{_ENTRY}")]
        except OSError:
            names = []
        found: list[Entry] = []
        for name in names:
            with suppress(StorageError):
                if (entry := self.find(name.removesuffix(_ENTRY))) is not None:
                    found.append(entry)
        yield from sorted(found, key=lambda entry: -entry.created_at_s)

    def unsubmitted(self) -> Iterator[Entry]:
        """Give the jobs that the API does not have all batches of, as far as is known here."""
        first = f".0{_SPOOL}"
        for path in sorted(self.path.glob(f"*{first}")):
            with suppress(StorageError):
                entry = self.find(path.name.removesuffix(first))
                if entry is not None and entry.is_ready and not entry.is_submitted:
                    yield entry

    def save(self, entry: Entry) -> None:
        """Keep a job as it is now; after a crash it is either as before or as now.

        Args:
            entry: The job.

        Raises:
            StorageError: It cannot be written.
        """
        text = json.dumps(entry.to_json(), separators=(",", ":"))
        target = self._file(entry.id, _ENTRY)
        try:
            with self.new_file() as file:
                file.write(text.encode())
            os.replace(file.name, target)  # noqa: PTH105 - the name is a text
            _sync_directory(self.path)
        except OSError as error:
            self.refuse(error)

    @contextmanager
    def new_file(self) -> Iterator[Any]:
        """Write a file that has no name of its own yet; it is on the disk when the block ends.

        Raises:
            StorageError: The directory cannot be written to.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            number, name = tempfile.mkstemp(prefix=".", suffix=".new", dir=self.path)
        except OSError as error:
            self.refuse(error)
        try:
            with os.fdopen(number, "wb") as file:
                yield _Named(file, name)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            with suppress(OSError):
                os.unlink(name)  # noqa: PTH108 - the name is a text
            raise

    def spool(self, entry: Entry, part: Part) -> Path:
        """Name the file that holds the requests of a part until the API has them.

        Args:
            entry: The job.
            part: The part.
        """
        return self._file(entry.id, f".{part.number}{_SPOOL}")

    def drop_spools(self, entry: Entry) -> None:
        """Delete the requests of a job: the API has them, or never gets them.

        Args:
            entry: The job.
        """
        for part in entry.parts:
            with suppress(OSError):
                self.spool(entry, part).unlink(missing_ok=True)

    def delete(self, entry: Entry) -> None:
        """Forget a job.

        Args:
            entry: The job.
        """
        self.drop_spools(entry)
        for suffix in (_ENTRY, _LOCK):
            with suppress(OSError):
                self._file(entry.id, suffix).unlink(missing_ok=True)

    def lock(self, job_id: str) -> JobLock:
        """Give the lock of a job; it is not held yet.

        Args:
            job_id: The job.
        """
        return JobLock(self, self._file(job_id, _LOCK))

    def _file(self, job_id: str, suffix: str) -> Path:
        return self.path / f"{check_job_id(job_id)}{suffix}"

    def refuse(self, error: OSError) -> NoReturn:
        """Say that the directory cannot be used.

        Args:
            error: Why.

        Raises:
            StorageError: Always.
        """
        raise StorageError(
            f"The journal of batches in {self.path} cannot be used: {error}. Name a directory that "
            f"can be written to, with journal=... or the variable {DIRECTORY}"
        ) from error


class _Named:
    """A file that is written, and its name."""

    def __init__(self, file: Any, name: str) -> None:
        self.write = file.write
        self.name = name


class JobLock:
    """Says that one process, and one thread of it, is submitting a job."""

    def __init__(self, store: BatchStore, path: Path) -> None:
        """Made by `BatchStore.lock`."""
        self._store = store
        self._path = path
        self._file: int | None = None

    def take(self) -> bool:
        """Take it, without waiting; False when somebody else has it.

        Raises:
            StorageError: The directory cannot be written to.
        """
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            self._store.refuse(error)
        if _lock(file) and _is_still(file, self._path):
            self._file = file
            return True
        os.close(file)
        return False

    def give_back(self) -> None:
        """Let others have it."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


def _lock(file: int) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_still(file: int, path: Path) -> bool:
    """Whether the locked file was not deleted while it was being locked."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except OSError:
        return False


def _sync_directory(path: Path) -> None:
    if sys.platform == "win32":
        return
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _state_directory() -> Path:
    ours = Path("langchain-tamma-openai") / "batches"
    if sys.platform == "win32":
        root = os.environ.get("LOCALAPPDATA")
        return (Path(root) if root else Path.home() / "AppData" / "Local") / ours
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / ours
    root = os.environ.get("XDG_STATE_HOME")
    return (Path(root) if root else Path.home() / ".local" / "state") / ours
