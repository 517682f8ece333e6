"""What reading an answer needs to know of its request, without the conversation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from langchain_tamma_openai.batches.journal import Json
from langchain_tamma_openai.batches.parsers import class_name, find_class
from langchain_tamma_openai.chat_models.calls import Call
from langchain_tamma_openai.transport.send import WireRequest
from langchain_tamma_openai.usage.run_labels import json_value

if TYPE_CHECKING:
    from langchain_tamma_openai.chat_models.preparing import Prepared

ENDPOINTS = {"chat_completions": "/v1/chat/completions", "responses": "/v1/responses"}
_APIS = {endpoint: api for api, endpoint in ENDPOINTS.items()}
_CONTENT = ("messages", "input", "instructions")


@dataclass(frozen=True, slots=True)
class Shape:
    """What is the same for many requests of a job.

    Attributes:
        api: "chat_completions" or "responses".
        body: The body that was sent, without the conversation.
        schema: The response format that the answer is parsed with, as it was given.
        notes: What of the request the answer's `response_metadata` tells.
        facts: What of it records and traces tell.
    """

    api: str
    body: Json
    schema: Any = None
    notes: Json = field(default_factory=dict)
    facts: Json = field(default_factory=dict)

    @classmethod
    def of(cls, call: Call, body: Mapping[str, Any], prepared: Prepared) -> Shape:
        """Take what there is to know from a call.

        Args:
            call: The call.
            body: What is sent.
            prepared: What it was made from.
        """
        schema = getattr(call, "response_format", None) or getattr(call, "schema", None)
        rest = {name: value for name, value in body.items() if name not in _CONTENT}
        notes = {**prepared.notes, **call.notes}
        return cls(call.api, rest, schema, notes, dict(prepared.facts))

    @classmethod
    def of_line(cls, line: Mapping[str, Any]) -> Shape:
        """Take what there is to know from a line of the file that the API was given.

        Args:
            line: The line.
        """
        body = line.get("body") or {}
        rest = {name: value for name, value in body.items() if name not in _CONTENT}
        return cls(_APIS.get(str(line.get("url")), "chat_completions"), rest, _format_in(rest))

    @property
    def model(self) -> str:
        """The model that is asked."""
        return str(self.body.get("model"))

    @property
    def endpoint(self) -> str:
        """As the Batch API names it."""
        return ENDPOINTS[self.api]

    @property
    def user(self) -> object:
        """Whom the request names as its user."""
        return self.body.get("user")

    def call(self) -> Call:
        """Make a call that reads answers; it cannot be sent."""
        request = WireRequest("", {})
        if self.api == "responses":
            from langchain_tamma_openai.chat_models.responses_call import ResponsesCall

            return ResponsesCall(self.body, request, schema=self.schema)
        from langchain_tamma_openai.chat_models.completions_call import CompletionsCall

        return CompletionsCall(self.body, request, response_format=self.schema)

    def to_json(self) -> Json:
        """Give it as JSON values."""
        return {
            "api": self.api,
            "body": json.loads(encode(self.body)),
            "class": class_name(self.schema),
            "notes": json_value(self.notes),
            "facts": json_value(self.facts),
        }

    @classmethod
    def from_json(cls, raw: Json) -> Shape:
        """Read it back; a class that is not there any more leaves the answer's text."""
        schema = find_class(raw["class"]) if raw["class"] else _format_in(raw["body"])
        return cls(raw["api"], raw["body"], schema, raw["notes"], raw["facts"])


def _format_in(body: Json) -> object:
    text = body.get("text")
    found = text.get("format") if isinstance(text, Mapping) else None
    return body.get("response_format") or found


def encode(value: object) -> bytes:
    """Write JSON as the SDK does.

    Args:
        value: What to write.

    Raises:
        TypeError: It has something in it that JSON does not know.
        ValueError: A number is not finite.
    """
    text = json.dumps(
        value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_plain
    )
    return text.encode()


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_unset=True, mode="json", by_alias=True)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is no JSON value")
