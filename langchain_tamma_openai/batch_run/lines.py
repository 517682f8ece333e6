"""One line of a batch's input: what it asks, or what is wrong with it. No I/O."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, NoReturn, cast

from langchain_tamma_openai.batch_run.problems import BadLine

Json = dict[str, Any]

ENDPOINTS = {"/v1/chat/completions": "messages", "/v1/responses": "input"}
"""Endpoints of the Batch API that can be asked here, and where each has its content."""

_OURS = ("custom_id", "id", "metadata")
_TASK = ("method", "url", "body")
_FORMS = (
    'a JSON text, {"input": "..."}, {"messages": [...]}, or a line of the Batch API: '
    '{"custom_id": ..., "method": "POST", "url": "/v1/chat/completions", "body": {...}}'
)
_SHOWN_CHARS = 60


class Form(StrEnum):
    """How a line says what to ask."""

    MESSAGES = "messages"
    """A text or messages, with parameters of the call: the model makes the request."""
    CHAT_BODY = "chat_body"
    """The body of a request to Chat Completions, sent as it is."""
    RESPONSES_BODY = "responses_body"
    """The body of a request to the Responses API, sent as it is."""


@dataclass(frozen=True, slots=True)
class BatchLine:
    """A line that can be asked.

    Attributes:
        line: Its number, from 1.
        form: How it says what to ask.
        content: A text, or the messages or input items as they stand there.
        parameters: Parameters of the call.
        custom_id: The user's name for it.
        metadata: Whose call it is, such as `user_id`: for ledger, budgets and traces.
    """

    line: int
    form: Form
    content: str | list[Any]
    parameters: Json = field(default_factory=dict)
    custom_id: str | None = None
    metadata: Json = field(default_factory=dict)

    @property
    def model(self) -> str | None:
        """The model it names; None where the batch's own is asked."""
        return self.parameters.get("model")


class _BadError(Exception):
    """Says what is wrong with a line."""


def read_line(number: int, raw: bytes) -> BatchLine | BadLine | None:
    """Read one line of input.

    Args:
        number: Its number, from 1.
        raw: Its bytes; the end of the line may be among them.

    Returns:
        The line; what is wrong with it; or None when it is blank.
    """
    if number == 1:
        raw = raw.removeprefix(b"\xef\xbb\xbf")
    if not raw.strip():
        return None
    found: object = None
    try:
        found = _json(raw)
        return _line(number, found)
    except _BadError as error:
        return BadLine(number, str(error), _readable_id(found))


def _json(raw: bytes) -> object:
    try:
        return json.loads(raw.decode(), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise _BadError(f"is not UTF-8 (byte {error.start + 1})") from None
    except json.JSONDecodeError as error:
        raise _BadError(f"is not JSON: {error.msg} (column {error.pos + 1})") from None
    except (RecursionError, ValueError) as error:
        raise _BadError(f"is not JSON that can be read: {error}") from None


def _no_constant(name: str) -> NoReturn:
    raise _BadError(f"is not JSON: {name} is no number that JSON has")


def _line(number: int, found: object) -> BatchLine:
    if isinstance(found, str):
        return BatchLine(number, Form.MESSAGES, _text(found, "the text"))
    if not isinstance(found, dict):
        raise _BadError(f"is {_shown(found)}; it must be {_FORMS}")
    custom_id, metadata = _id(found), _metadata(found)
    form, content, parameters = _asked(found)
    _check_parameters(parameters)
    parameters.pop("stream", None)
    return BatchLine(number, form, content, parameters, custom_id, metadata)


def _asked(found: Json) -> tuple[Form, str | list[Any], Json]:
    if any(name in found for name in _TASK):
        return _task(found)
    rest = {name: value for name, value in found.items() if name not in _OURS}
    if "messages" in rest and "input" in rest:
        raise _BadError("has both 'messages' and 'input'; give one of them")
    if "messages" in rest:
        messages = _messages(rest.pop("messages"), "messages")
        _check_names(rest)
        return Form.MESSAGES, messages, rest
    if "input" not in rest:
        raise _BadError(f"has neither 'input' nor 'messages'; it must be {_FORMS}")
    if isinstance(rest["input"], str):
        text = _text(rest.pop("input"), "input")
        _check_names(rest)
        return Form.MESSAGES, text, rest
    items = _items(rest.pop("input"), "input", "a text or a list of items")
    return Form.RESPONSES_BODY, items, rest


def _task(found: Json) -> tuple[Form, str | list[Any], Json]:
    """Read a line of the Batch API."""
    method, url, body = (found.get(name) for name in _TASK)
    unknown = found.keys() - {*_TASK, *_OURS}
    if unknown:
        raise _BadError(f"{min(unknown)!r} is not a part of a line of the Batch API")
    if method not in (None, "POST"):
        raise _BadError(f"method: got {_shown(method)}, must be 'POST'")
    if url not in ENDPOINTS:
        raise _BadError(f"url: got {_shown(url)}, must be {' or '.join(map(repr, ENDPOINTS))}")
    if found.get("custom_id") is None and found.get("id") is None:
        raise _BadError("custom_id: is missing; a line of the Batch API needs one")
    if not isinstance(body, dict):
        raise _BadError(f"body: got {_shown(body)}, must be an object")
    rest, name = dict(body), ENDPOINTS[cast("str", url)]
    if name not in rest:
        raise _BadError(f"body: has no {name!r}, which {url} needs")
    content = rest.pop(name)
    if name == "messages":
        return Form.CHAT_BODY, _messages(content, "body.messages"), rest
    if isinstance(content, str):
        return Form.RESPONSES_BODY, _text(content, "body.input"), rest
    return Form.RESPONSES_BODY, _items(content, "body.input", "a text or a list of items"), rest


def _id(found: Json) -> str | None:
    given = [(name, found[name]) for name in ("custom_id", "id") if found.get(name) is not None]
    for name, value in given:
        if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
            raise _BadError(f"{name}: got {_shown(value)}, must be a text that is not empty")
    names = {str(value) for _, value in given}
    if len(names) > 1:
        raise _BadError("has a custom_id and another id; give one of them")
    return names.pop() if names else None


def _metadata(found: Json) -> Json:
    metadata = found.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise _BadError(f"metadata: got {_shown(metadata)}, must be an object")
    return metadata or {}


def _text(value: str, name: str) -> str:
    if not value.strip():
        raise _BadError(f"{name}: is empty; there is nothing to ask")
    return value


def _messages(value: object, name: str) -> list[Any]:
    messages = _items(value, name)
    for position, message in enumerate(messages):
        where = f"{name}[{position}]"
        if not isinstance(message, dict):
            raise _BadError(f"{where}: got {_shown(message)}, must be an object with a role")
        if not isinstance(message.get("role"), str):
            raise _BadError(
                f"{where}.role: got {_shown(message.get('role'))}, must be a text such as 'user'"
            )
        _check_content(message, where)
    _check_convertible(messages, name)
    return messages


def _check_content(message: Json, where: str) -> None:
    content = message.get("content")
    if content is None and any(message.get(name) for name in _INSTEAD_OF_CONTENT):
        return
    if not isinstance(content, str | list):
        raise _BadError(
            f"{where}.content: got {_shown(content)}, must be a text or a list of parts"
        )
    for position, part in enumerate(content if isinstance(content, list) else ()):
        if not isinstance(part, dict | str):
            raise _BadError(f"{where}.content[{position}]: got {_shown(part)}, must be an object")


_INSTEAD_OF_CONTENT = ("tool_calls", "function_call", "audio", "refusal")


def _check_convertible(messages: Sequence[Json], name: str) -> None:
    from langchain_core.messages import convert_to_messages

    try:
        convert_to_messages(list(messages))
    except KeyError as error:
        raise _BadError(f"{name}: a message lacks {error}") from None
    except Exception as error:  # noqa: BLE001 - whatever it says, the line cannot be asked
        text = str(error).partition("\n")[0]
        raise _BadError(f"{name}: cannot be read as messages: {text}") from None


def _items(value: object, name: str, expected: str = "a list of messages") -> list[Any]:
    if not isinstance(value, list):
        raise _BadError(f"{name}: got {_shown(value)}, must be {expected}")
    if not value:
        raise _BadError(f"{name}: the list is empty; there is nothing to ask")
    return value


def _check_parameters(parameters: Mapping[str, Any]) -> None:
    if parameters.get("stream"):
        raise _BadError("stream: answers of a batch are not streamed; leave it out")
    model = parameters.get("model")
    if "model" in parameters and (not isinstance(model, str) or not model):
        raise _BadError(f"model: got {_shown(model)}, must be the name of a model")
    for name, value in parameters.items():
        kind = _KINDS.get(name)
        if kind is not None and value is not None and not kind.fits(value):
            raise _BadError(f"{name}: got {_shown(value)}, must be {kind.expected}")


class _Kind(NamedTuple):
    """What a parameter is made of."""

    expected: str
    fits: Callable[[object], bool]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


_NUMBER = _Kind("a number", _is_number)
_COUNT = _Kind("a whole number of at least 1", _is_count)
_TEXT = _Kind("a text", lambda value: isinstance(value, str))
_OBJECT = _Kind("an object", lambda value: isinstance(value, dict))
_KINDS: Mapping[str, _Kind] = {
    **dict.fromkeys(("frequency_penalty", "presence_penalty", "temperature", "top_p"), _NUMBER),
    **dict.fromkeys(("max_completion_tokens", "max_output_tokens", "max_tokens", "n"), _COUNT),
    **dict.fromkeys(("reasoning_effort", "service_tier", "user", "verbosity"), _TEXT),
    **dict.fromkeys(("extra_body", "reasoning", "response_format", "text"), _OBJECT),
    "tools": _Kind("a list of objects", _is_objects),
}


def _check_names(parameters: Mapping[str, Any]) -> None:
    known = known_parameters()
    for name in sorted(parameters.keys() - known):
        close = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]!r}? Those" if close else "those"
        raise _BadError(
            f"{name!r} is not a parameter of the API; {hint} of other servers go into extra_body"
        )


def known_parameters() -> frozenset[str]:
    """Name the parameters that a line with a text or messages may have."""
    from langchain_tamma_openai.chat_models import completions_call, responses_call

    return completions_call.KNOWN_PARAMETERS | responses_call.KNOWN_PARAMETERS


def _readable_id(found: object) -> str | None:
    if not isinstance(found, dict):
        return None
    given = found.get("custom_id", found.get("id"))
    return given if isinstance(given, str) else None


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return f"{type(value).__name__} of {len(value)}"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."
