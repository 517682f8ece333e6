"""What the API knows of a job: its batches and files, found by what was written on them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from langchain_tamma_openai.batches.journal import Entry, Json, Part, PartStep
from langchain_tamma_openai.batches.steps import Ask, Flow
from langchain_tamma_openai.errors import (
    AuthenticationError,
    ConnectionFailedError,
    RequestTimeoutError,
    TammaError,
)
from langchain_tamma_openai.wire.completions import parse_body

_PAGE = 100
_MOST_PAGES = 200
_CLOCKS_DIFFER_S = 86_400.0
"""Older things than a job by this much cannot be the job's, whosever clock is wrong."""


def listed(path: str, since_s: float, **query: str) -> Flow[list[Json]]:
    """List what the API has, the newest first, back to a moment.

    Args:
        path: "/batches" or "/files".
        since_s: When the job was begun, in seconds since 1970; 0 for everything.
        **query: Further query parameters.
    """
    found: list[Json] = []
    after: dict[str, str] = {}
    for _ in range(_MOST_PAGES):
        asked = {"limit": str(_PAGE), **query, **after}
        page = read((yield Ask("get", path, query=asked)))
        data = [each for each in page.get("data") or () if isinstance(each, Mapping)]
        found += (dict(each) for each in data)
        if not data or not page.get("has_more") or _age(data[-1]) < since_s - _CLOCKS_DIFFER_S:
            break
        after = {"after": str(data[-1].get("id"))}
    return found


def find_batch(entry: Entry, part: Part) -> Flow[Json | None]:
    """Find the batch that was made of a file; None when there is none.

    Of several the oldest is it, and the others are cancelled: nothing is answered twice.

    Args:
        entry: The job.
        part: The file.
    """
    batches = yield from listed("/batches", entry.created_at_s)
    ours = sorted((each for each in batches if _is_of(each, entry, part)), key=_age)
    for other in ours[1:]:
        yield from _quietly(Ask("post", f"/batches/{other['id']}/cancel"))
    return ours[0] if ours else None


def find_file(entry: Entry, part: Part) -> Flow[str | None]:
    """Find a file that was uploaded without anyone hearing of it; others like it are deleted.

    Args:
        entry: The job.
        part: The file.
    """
    try:
        files = yield from listed("/files", entry.created_at_s, purpose="batch", order="desc")
    except (AuthenticationError, ConnectionFailedError, RequestTimeoutError):
        raise
    except TammaError:  # a server that does not list files
        return None
    wanted = (entry.file_name(part), part.size)
    ours = [each for each in files if (each.get("filename"), each.get("bytes")) == wanted]
    for other in ours[1:]:
        yield from delete_file(str(other.get("id")))
    return str(ours[0]["id"]) if ours else None


def delete_file(file_id: str | None) -> Flow[None]:
    """Delete a file that nothing needs; a failure is no matter.

    Args:
        file_id: The API's id of the file; None does nothing.
    """
    if file_id is not None:
        yield from _quietly(Ask("delete", f"/files/{file_id}", repeated=False))


def entry_of(ident: str) -> Flow[Entry | None]:
    """Find a job at the API alone; None when it does not know it.

    Args:
        ident: The API's id of one of the job's batches, or the job's own.
    """
    from langchain_tamma_openai.errors import InvalidRequestError, NotFoundError

    batch: Json | None = None
    with suppress(NotFoundError, InvalidRequestError):
        batch = read((yield Ask("get", f"/batches/{ident}")))
    marks = _marks(batch or {})
    job_id = marks.get("tamma_job")
    if batch is not None and (job_id is None or marks.get("tamma_parts") == "1"):
        return _made(str(job_id or batch["id"]), [batch])
    found = yield from listed("/batches", 0.0 if batch is None else _age(batch))
    ours = [each for each in found if _marks(each).get("tamma_job") == (job_id or ident)]
    return _made(str(job_id or ident), ours) if ours else None


def read(response: Any) -> Json:
    """Read the JSON object of an answer.

    Args:
        response: The HTTP answer.

    Raises:
        MalformedResponseError: It is none.
    """
    return parse_body(response.content, response.headers.get("content-type"))


def _made(job_id: str, batches: list[Json]) -> Entry:
    """Write down what batches say of their job."""
    by_number: dict[int, Json] = {}
    for batch in sorted(batches, key=_age):
        by_number.setdefault(_number(_marks(batch).get("tamma_part")), batch)
    parts = [_part(number, batch) for number, batch in sorted(by_number.items())]
    marks = _marks(batches[0])
    return Entry(
        job_id,
        requests=_number(marks.get("tamma_requests")) or sum(part.requests for part in parts),
        model=parts[0].model,
        created_at_s=min(_age(batch) for batch in batches),
        parts=parts,
        is_ready=True,
        is_submitted=True,
    )


def _part(number: int, batch: Json) -> Part:
    counts = batch.get("request_counts") or {}
    model = _marks(batch).get("tamma_model") or batch.get("model") or ""
    return Part(
        number,
        str(batch.get("endpoint")),
        str(model),
        requests=int(counts.get("total") or 0),
        step=PartStep.CREATED,
        file_id=batch.get("input_file_id"),
        batch_id=str(batch["id"]),
    )


def _is_of(batch: Json, entry: Entry, part: Part) -> bool:
    marks = _marks(batch)
    wanted = (entry.id, str(part.number))
    return (marks.get("tamma_job"), marks.get("tamma_part")) == wanted and "id" in batch


def _marks(batch: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = batch.get("metadata")
    return metadata if isinstance(metadata, Mapping) else {}


def _age(thing: Mapping[str, Any]) -> float:
    created = thing.get("created_at")
    return float(created) if isinstance(created, int | float) else 0.0


def _number(value: object) -> int:
    return int(value) if isinstance(value, str) and value.isdigit() else 0


def _quietly(ask: Ask) -> Flow[None]:
    try:
        yield ask
    except TammaError:
        return
