"""What to ask the provider next, without asking it: generators yield questions and get answers.

Whoever drives them asks sync or async. A file may be uploaded twice, a batch must not be made
twice: before it is asked for again, the provider's list is searched for it by its metadata.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from langchain_tamma_openai.batch.journal import Job, Journal, Part
from langchain_tamma_openai.errors import TammaError
from langchain_tamma_openai.kinds import ErrorKind

JOB_KEY = "tamma_job"
PART_KEY = "tamma_part"
TOTAL_KEY = "tamma_total"
_WINDOW = "24h"
_MOST_PAGES = 50
_CLOCK_SLACK_S = 300
_UNKNOWN_OUTCOMES = frozenset(
    {
        ErrorKind.CONNECTION,
        ErrorKind.TIMEOUT,
        ErrorKind.SERVER_ERROR,
        ErrorKind.MODEL_OVERLOADED,
        ErrorKind.UNKNOWN,
    }
)
_TRIES = 4


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to the provider.

    Attributes:
        method: Of the SDK's client, such as `batches.retrieve`.
        arguments: Its arguments; an `upload` among them is the path of a file.
        is_repeatable: Whether asking twice does no harm.
        raw: Whether the answer is the bytes of a file.
    """

    method: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    is_repeatable: bool = True
    raw: bool = False


Reply: TypeAlias = Any
Steps: TypeAlias = Generator[Ask, Reply, None]


def submit(job: Job, journal: Journal) -> Steps:
    """Bring every part of a job to the provider that is not there yet.

    Args:
        job: The job; changed as it goes.
        journal: Where each step is noted.
    """
    for part in job.parts:
        if part.batch_id is not None:
            continue
        if part.is_asked_for:
            yield from _look_for(job, part)
        if part.batch_id is None:
            yield from _send(job, part, journal)
        journal.note(job)


def _send(job: Job, part: Part, journal: Journal) -> Steps:
    if part.file_id is None:
        path = journal.requests_path(job.id, part.number)
        uploaded = yield Ask("files.create", {"upload": path, "purpose": "batch"})
        part.file_id = str(uploaded["id"])
    part.is_asked_for = True
    journal.note(job)
    for tries in range(1, _TRIES + 1):
        try:
            made = yield Ask("batches.create", _creation(job, part), is_repeatable=False)
        except TammaError as error:
            if error.kind not in _UNKNOWN_OUTCOMES or tries == _TRIES:
                raise
            yield from _look_for(job, part)
            if part.batch_id is not None:
                return
        else:
            part.batch_id = str(made["id"])
            return


def _creation(job: Job, part: Part) -> dict[str, Any]:
    return {
        "input_file_id": part.file_id,
        "endpoint": part.endpoint,
        "completion_window": _WINDOW,
        "metadata": {
            JOB_KEY: job.id,
            PART_KEY: str(part.number),
            TOTAL_KEY: str(job.total),
        },
    }


def _look_for(job: Job, part: Part) -> Steps:
    """Search the provider's list, newest first, as far back as the job is old."""
    after: str | None = None
    for _ in range(_MOST_PAGES):
        page = yield Ask("batches.list", {"limit": 100, **({"after": after} if after else {})})
        for batch in page.get("data") or ():
            if is_part(batch, job.id, part.number):
                part.batch_id = str(batch["id"])
                return
        listed = page.get("data") or ()
        oldest = listed[-1].get("created_at") if listed else None
        is_older = oldest is not None and oldest < job.created_s - _CLOCK_SLACK_S
        if not page.get("has_more") or not listed or is_older:
            return
        after = str(listed[-1]["id"])


def is_part(batch: Mapping[str, Any], job_id: str, number: int | None = None) -> bool:
    """Whether a batch of the provider belongs to a job.

    Args:
        batch: The provider's object.
        job_id: The job.
        number: The part; None for any.
    """
    metadata = batch.get("metadata") or {}
    if metadata.get(JOB_KEY) != job_id:
        return False
    return number is None or metadata.get(PART_KEY) == str(number)


def upload_path(ask: Ask) -> Path | None:
    """Give the file that a question sends; None for a question without one.

    Args:
        ask: The question.
    """
    path = ask.arguments.get("upload")
    return path if isinstance(path, Path) else None
