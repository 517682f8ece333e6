"""What a job has done so far, on the disk before anything is sent, so that a kill loses nothing."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from langchain_tamma_openai.batch.plan import Line
from langchain_tamma_openai.errors import InvalidParameterError, StorageError

_NAME = re.compile(r"[A-Za-z0-9_-]{1,48}")


@dataclass(slots=True)
class Part:
    """One file of requests, and the provider's batch of it.

    Attributes:
        number: From 0.
        endpoint: `/v1/chat/completions` or `/v1/responses`.
        model: The model of all its requests.
        indexes: Places of the inputs.
        file_id: The provider's id of the uploaded file.
        batch_id: The provider's id of the batch.
        is_asked_for: Whether the batch was asked for: without a `batch_id` nobody knows yet
            whether there is one.
    """

    number: int
    endpoint: str
    model: str
    indexes: list[int]
    file_id: str | None = None
    batch_id: str | None = None
    is_asked_for: bool = False


@dataclass(slots=True)
class Job:
    """What is known of a job.

    Attributes:
        id: Its name.
        created_s: When it was made, in seconds since 1970.
        fingerprint: Of its requests.
        total: How many requests.
        parts: Its files.
        labels: Metadata and tags by place, where there are any.
    """

    id: str
    created_s: float
    fingerprint: str
    total: int
    parts: list[Part] = field(default_factory=list)
    labels: dict[str, Mapping[str, Any]] = field(default_factory=dict)


class Journal:
    """A directory of jobs: one JSON file each, and a file of requests for each part."""

    def __init__(self, directory: str | os.PathLike[str] | None = None) -> None:
        """Choose the directory.

        Args:
            directory: Where; `langchain-tamma-openai/batches` in `$XDG_STATE_HOME`
                (`~/.local/state`) when left out.
        """
        state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
        usual = Path(state).expanduser() / "langchain-tamma-openai" / "batches"
        self._directory = usual if directory is None else Path(directory)

    def path(self, job_id: str) -> Path:
        """Say where a job is noted.

        Args:
            job_id: Its name.

        Raises:
            InvalidParameterError: It cannot be the name of a file.
        """
        if not _NAME.fullmatch(job_id):
            raise InvalidParameterError(
                f"job_id: got {job_id!r}, must be 1 to 48 letters, digits, '-' and '_'",
                param="job_id",
            )
        return self._directory / f"{job_id}.json"

    def requests_path(self, job_id: str, part: int) -> Path:
        """Say where the requests of a part are.

        Args:
            job_id: The job.
            part: Its number.
        """
        return self.path(job_id).with_name(f"{job_id}.{part}.jsonl")

    def find(self, job_id: str) -> Job | None:
        """Read a job; None where there is none of that name.

        Args:
            job_id: Its name, or the provider's id of one of its batches.
        """
        path = self.path(job_id)
        if path.exists():
            return _read(path)
        return next((job for job in self._all() if _has_batch(job, job_id)), None)

    def _all(self) -> Iterator[Job]:
        if self._directory.is_dir():
            yield from map(_read, sorted(self._directory.glob("*.json")))

    def begin(self, job: Job, parts: Sequence[Sequence[Line]]) -> None:
        """Write a new job down, its requests first.

        Args:
            job: The job.
            parts: Its requests.
        """
        for number, listed in enumerate(parts):
            text = b"".join(line.encode(job.id) for line in listed)
            self._write(self.requests_path(job.id, number), text)
        self.note(job)

    def note(self, job: Job) -> None:
        """Write down what has changed, safely on the disk when this returns.

        Args:
            job: The job.

        Raises:
            StorageError: It cannot be written.
        """
        text = json.dumps(asdict(job), ensure_ascii=False, indent=1, default=str)
        self._write(self.path(job.id), text.encode())

    def forget(self, job: Job) -> None:
        """Remove the notes of a job; the provider's files stay.

        Args:
            job: The job.
        """
        for part in job.parts:
            self.requests_path(job.id, part.number).unlink(missing_ok=True)
        self.path(job.id).unlink(missing_ok=True)

    def _write(self, path: Path, content: bytes) -> None:
        fresh = path.with_suffix(f"{path.suffix}.{os.getpid()}.new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(fresh, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            fresh.replace(path)
            _sync_directory(path.parent)
        except OSError as error:
            raise StorageError(
                f"{path}: the notes of the batch cannot be written ({error.strerror}); nothing "
                "more is sent. Free space, or name another place with journal="
            ) from error


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _has_batch(job: Job, batch_id: str) -> bool:
    return any(part.batch_id == batch_id for part in job.parts)


def _read(path: Path) -> Job:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return Job(**{**raw, "parts": [Part(**part) for part in raw["parts"]]})
    except (ValueError, TypeError, KeyError) as error:
        _refuse(path, error)


def _refuse(path: Path, error: Exception) -> NoReturn:
    raise StorageError(
        f"{path}: these are no notes of a batch ({type(error).__name__}: {error}); load the job by "
        "the provider's batch id instead"
    ) from error
