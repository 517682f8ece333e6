"""Reads the provider's files of results: whose line is whose, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_tamma_openai.batch.plan import index_of

_OK = 200
_REFUSED = 400


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back for one request.

    Attributes:
        index: Place of its input.
        status_code: HTTP status of its answer.
        body: The answer, or the error.
        request_id: The provider's.
    """

    index: int
    status_code: int
    body: Mapping[str, Any]
    request_id: str | None = None


@dataclass(slots=True)
class Answers:
    """What came back for a job, whatever its order.

    Attributes:
        found: By place; the first line of a place counts.
        unreadable: Lines that are no results.
    """

    found: dict[int, Answered] = field(default_factory=dict)
    unreadable: int = 0

    def read(self, content: bytes) -> None:
        """Take a file of results.

        Args:
            content: JSON lines.
        """
        for line in content.splitlines():
            if not line.strip():
                continue
            answered = _read_line(line)
            if answered is None:
                self.unreadable += 1
            else:
                self.found.setdefault(answered.index, answered)

    def missing(self, indexes: Sequence[int]) -> Iterator[int]:
        """Give the places of which nothing came back.

        Args:
            indexes: The places that were asked for.
        """
        return (index for index in indexes if index not in self.found)


def _read_line(line: bytes) -> Answered | None:
    try:
        raw = json.loads(line)
        index = index_of(str(raw["custom_id"]))
    except (ValueError, KeyError, TypeError):
        return None
    if index < 0:
        return None
    response = raw.get("response")
    if isinstance(response, Mapping):
        body = response.get("body")
        status = response.get("status_code")
        return Answered(
            index,
            status if isinstance(status, int) else _OK,
            body if isinstance(body, Mapping) else {},
            response.get("request_id"),
        )
    return Answered(index, _REFUSED, {"error": _error(raw.get("error"))})


def _error(raw: object) -> Mapping[str, Any]:
    if isinstance(raw, Mapping):
        return {"type": "batch_error", **raw}
    return {"type": "batch_error", "message": str(raw or "the provider gave no reason")}


def not_answered(index: int, state: str) -> Answered:
    """Say that a request was not answered because its batch came to an end before.

    Args:
        index: Place of its input.
        state: How the batch ended.
    """
    return Answered(
        index,
        _REFUSED,
        {
            "error": {
                "type": "batch_error",
                "code": f"batch_{state}",
                "message": f"The batch is {state}, and this request was not answered.",
            }
        },
    )
