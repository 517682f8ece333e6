"""What is written down of a job, so that neither a kill nor another process loses or repeats it."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any
from uuid import UUID

Json = dict[str, Any]

FORMAT = 1
_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CUSTOM_ID = re.compile(r"tamma-(\d{1,9})")
_RUNS = UUID("6f1b3f0e-3c0b-5a53-9a43-8f2f1d0b7c11")
"""Namespace of the ids of runs, so that every process gives the same request the same id."""


class PartStep(StrEnum):
    """How far the submission of one file is; each step is written down before the next begins."""

    WRITTEN = "written"
    """Its requests are on this machine's disk."""
    UPLOADING = "uploading"
    UPLOADED = "uploaded"
    CREATING = "creating"
    """The API was asked to create the batch; whether it did is only known from the API."""
    CREATED = "created"


@dataclass(slots=True)
class Part:
    """One file of requests, and the batch that the API makes of it.

    Attributes:
        number: From 0.
        endpoint: As the API names it, such as "/v1/chat/completions".
        model: The model that all its requests ask.
        requests: How many it holds.
        size: Bytes.
        positions: The inputs it holds, as `[first, last]` of each unbroken run of them.
        step: How far its submission is.
        file_id: The API's id of the uploaded file.
        batch_id: The API's id of the batch.
    """

    number: int
    endpoint: str
    model: str
    requests: int = 0
    size: int = 0
    positions: list[list[int]] = field(default_factory=list)
    step: PartStep = PartStep.WRITTEN
    file_id: str | None = None
    batch_id: str | None = None

    def add(self, position: int, size: int) -> None:
        """Count one more request.

        Args:
            position: Its place among the inputs.
            size: Its bytes.
        """
        self.requests += 1
        self.size += size
        if self.positions and self.positions[-1][1] == position - 1:
            self.positions[-1][1] = position
        else:
            self.positions.append([position, position])

    def inputs(self) -> Iterable[int]:
        """Give the places of its requests among the inputs."""
        for first, last in self.positions:
            yield from range(first, last + 1)


@dataclass(slots=True)
class Entry:
    """One job.

    Attributes:
        id: The job's id.
        fingerprint: Tells its requests from others.
        requests: How many inputs it has.
        model: The model that was asked.
        base_url: Root of the API, without anything secret; None for OpenAI's own.
        created_at_s: When it was begun, in seconds since 1970.
        parts: Its files.
        shapes: What reading an answer needs to know of a request, each once.
        labels: Metadata, tags and names of runs, each once.
        lines: For each input, the numbers of its shape and of its label.
        origins: For inputs out of a file, the number of the line and the name it has there.
        parser: What turns an answer into the result, where that can be made again from here.
        is_ready: Whether all its files are written; before, nothing can have been sent.
        is_submitted: Whether the API has all its batches.
        is_accounted: Whether its answers were told to callbacks and charged to budgets.
        groups: What to set aside for its requests in budgets, and the tickets of what is.
    """

    id: str
    fingerprint: str = ""
    requests: int = 0
    model: str = ""
    base_url: str | None = None
    created_at_s: float = field(default_factory=time.time)
    parts: list[Part] = field(default_factory=list)
    shapes: list[Json] = field(default_factory=list)
    labels: list[Json] = field(default_factory=list)
    lines: list[list[int]] = field(default_factory=list)
    origins: list[list[Any]] = field(default_factory=list)
    parser: Json | None = None
    is_ready: bool = False
    is_submitted: bool = False
    is_accounted: bool = False
    groups: list[Json] = field(default_factory=list)

    def to_json(self) -> Json:
        """Give it as JSON values."""
        kept = {each.name: getattr(self, each.name) for each in fields(self)}
        return {"format": FORMAT, **kept, "parts": [asdict(part) for part in self.parts]}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Entry:
        """Read it back.

        Raises:
            StorageError: It was written by a later version, or is damaged.
        """
        from langchain_tamma_openai.errors import StorageError

        if raw.get("format") != FORMAT:
            raise StorageError(
                f"The journal of job {raw.get('id')!r} has format {raw.get('format')!r}, and this "
                f"version reads {FORMAT}; update langchain-tamma-openai"
            )
        try:
            given = {name: value for name, value in raw.items() if name != "format"}
            parts = [
                Part(**{**part, "step": PartStep(part["step"])}) for part in given.pop("parts")
            ]
            return cls(**given, parts=parts)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise StorageError(
                f"The journal of job {raw.get('id')!r} is damaged: {error}"
            ) from error

    def batch_metadata(self, part: Part) -> dict[str, str]:
        """Give what a batch carries at the API, to be found and understood from anywhere.

        Args:
            part: The batch's file.
        """
        return {
            "tamma_job": self.id,
            "tamma_part": str(part.number),
            "tamma_parts": str(len(self.parts)),
            "tamma_requests": str(self.requests),
            "tamma_model": part.model[:512],
        }

    def file_name(self, part: Part) -> str:
        """Name a file as it is uploaded.

        Args:
            part: The file.
        """
        return f"tamma-{self.id}-{part.number}.jsonl"


def new_job_id() -> str:
    """Choose an id that no other job has."""
    return f"job_{uuid.uuid4().hex[:24]}"


def check_job_id(job_id: object) -> str:
    """Check an id that a caller chose.

    Args:
        job_id: The id.

    Raises:
        InvalidParameterError: It cannot be one.
    """
    if isinstance(job_id, str) and _JOB_ID.fullmatch(job_id):
        return job_id
    from langchain_tamma_openai.checks import shown
    from langchain_tamma_openai.errors import InvalidParameterError

    raise InvalidParameterError(
        f"job_id: got {shown(job_id)}, must be 1 to 64 letters, digits, '.', '_' and '-', "
        "beginning with a letter or digit; or leave it out",
        param="job_id",
    )


def custom_id(position: int) -> str:
    """Name a request by its place among the inputs.

    Args:
        position: From 0.
    """
    return f"tamma-{position}"


def position_of(name: object) -> int | None:
    """Read the place of a request from its name; None for a name that is not ours.

    Args:
        name: A `custom_id`.
    """
    found = _CUSTOM_ID.fullmatch(name) if isinstance(name, str) else None
    return None if found is None else int(found[1])


def run_id(job_id: str, position: int | None = None) -> UUID:
    """Give the id of the run of a request, the same in every process.

    Args:
        job_id: The job.
        position: The request's place among the inputs; None for the run around all of them.
    """
    return uuid.uuid5(_RUNS, job_id if position is None else f"{job_id}/{position}")
