"""Tool arguments: judged by the schema they were asked for, moved aside when they do not fit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, TypedDict, cast

from langchain_core.messages import AIMessage, InvalidToolCall, ToolCall, ToolMessage
from langchain_core.messages.tool import invalid_tool_call, tool_call

from langchain_tamma_openai.tools.repair import repair_tool_arguments
from langchain_tamma_openai.wire.arguments import NOT_OF_THE_SCHEMA
from langchain_tamma_openai.wire.verdicts import REPAIRS_KEY

ArgumentPolicy: TypeAlias = Literal["strict", "repair", "off"]
Schemas: TypeAlias = Mapping[str, Mapping[str, Any]]

_SHOWN_ERRORS = 8
_WHOLE = frozenset({None, "stop", "tool_calls", "function_call", "completed"})
_AGAIN = "Call the tool again with corrected arguments."


class ArgumentRepair(TypedDict):
    """One entry of `response_metadata["tool_argument_repairs"]`."""

    id: str | None
    name: str | None
    repairs: list[str]
    original: str


def check_tool_arguments(
    call: ToolCall | Mapping[str, Any], schema: Mapping[str, Any]
) -> str | None:
    """Check the arguments of one call against a schema.

    Args:
        call: A tool call with `name` and parsed `args`.
        schema: The JSON schema of the tool's parameters.

    Returns:
        The reason why they do not fit, in words for the model, or None when they do.
    """
    return judge_call(call["name"], call["args"], {call["name"]: schema})


def judge_call(name: str | None, args: object, schemas: Schemas) -> str | None:
    """Say why a tool call must not be run.

    Judged as `jsonschema` judges by draft 2020-12, or by the draft the schema names in `$schema`.
    `format` is an annotation. A schema that is broken itself judges nothing.

    Args:
        name: The tool the model called.
        args: The parsed arguments.
        schemas: The schema of the arguments by tool name. A call of another tool passes: whoever
            runs the tools answers it with the names that exist.

    Returns:
        The reason in words for the model, or None when nothing speaks against it.
    """
    schema = schemas.get(name or "")
    if schema is None:
        return None
    reasons = _reasons(schema, args)
    if not reasons:
        return None
    more = len(reasons) - _SHOWN_ERRORS
    tail = f"; and {more} more" if more > 0 else ""
    return f"{NOT_OF_THE_SCHEMA} of the tool {name!r}: {'; '.join(reasons[:_SHOWN_ERRORS])}{tail}."


def apply_argument_policy(
    message: AIMessage,
    schemas: Schemas,
    policy: ArgumentPolicy = "strict",
    *,
    finish_reason: str | None = None,
) -> AIMessage:
    """Sort the tool calls of a finished answer by whether they may be run.

    Args:
        message: The answer, or the merged chunks of a stream.
        schemas: The schema of the arguments by tool name.
        policy: `"strict"`: a call whose arguments do not fit becomes one of `invalid_tool_calls`,
            the reason in its `error`. `"repair"`: the same, but arguments that are no JSON are
            read where only one reading is possible (see `repair_tool_arguments`), never those of
            an answer that was cut; each is noted in `response_metadata["tool_argument_repairs"]`.
            `"off"`: the message stays as it is.
        finish_reason: Why the answer ended, where its `response_metadata` does not say it yet.

    Returns:
        The same message when nothing changes, else a copy. Its calls keep their ids and order.

    Raises:
        ConfigurationError: The policy is none of the three.
    """
    if policy == "off" or not (message.tool_calls or message.invalid_tool_calls):
        return message
    if policy not in ("strict", "repair"):
        from langchain_tamma_openai.resilience.bounds import refuse

        refuse("tool_argument_policy", policy, "'strict', 'repair' or 'off'")
    sorting = _Sorting(schemas)
    for call in message.tool_calls:
        sorting.judge(call)
    may_repair = policy == "repair" and finish_reason in _WHOLE and _is_whole(message)
    for broken in message.invalid_tool_calls:
        sorting.mend(broken, may_repair=may_repair)
    return sorting.applied_to(message)


def tool_errors_as_messages(message: AIMessage) -> list[ToolMessage]:
    """Answer each invalid tool call of a message with its reason, so that the model can correct it.

    Args:
        message: An answer of a model.

    Returns:
        One message with `status="error"` for each of its `invalid_tool_calls`, in their order.
    """
    return [error_message(call) for call in message.invalid_tool_calls]


def error_message(call: InvalidToolCall) -> ToolMessage:
    """Answer one invalid tool call with its reason.

    Args:
        call: One of a message's `invalid_tool_calls`.
    """
    from langchain_tamma_openai.redact import redact_secrets

    reason = (call["error"] or "The arguments are not valid JSON").rstrip(".")
    return ToolMessage(
        content=redact_secrets(f"Error: {reason}. {_AGAIN}"),
        tool_call_id=call["id"] or "",
        name=call["name"],
        status="error",
    )


class _Sorting:
    """The calls of one message on their way to either list."""

    def __init__(self, schemas: Schemas) -> None:
        self.schemas = schemas
        self.valid: list[ToolCall] = []
        self.invalid: list[InvalidToolCall] = []
        self.repairs: list[ArgumentRepair] = []
        self.changed = False

    def judge(self, call: ToolCall) -> None:
        reason = judge_call(call["name"], call["args"], self.schemas)
        if reason is None:
            self.valid.append(call)
            return
        self.changed = True
        text = json.dumps(call["args"], ensure_ascii=False, default=str)
        self.invalid.append(
            invalid_tool_call(name=call["name"], args=text, id=call["id"], error=reason)
        )

    def mend(self, call: InvalidToolCall, *, may_repair: bool) -> None:
        text = call["args"] or ""
        repaired = repair_tool_arguments(text) if may_repair else None
        if repaired is None:
            self.invalid.append(call)
            return
        args, names = repaired
        reason = judge_call(call["name"], args, self.schemas)
        if reason is not None:
            if call["error"] != reason:
                self.changed = True
            self.invalid.append({**call, "error": reason})
            return
        self.changed = True
        self.valid.append(tool_call(name=call["name"] or "", args=args, id=call["id"]))
        if names:
            self.repairs.append(
                {"id": call["id"], "name": call["name"], "repairs": names, "original": text}
            )

    def applied_to(self, message: AIMessage) -> AIMessage:
        if not self.changed:
            return message
        update: dict[str, Any] = {"tool_calls": self.valid, "invalid_tool_calls": self.invalid}
        if isinstance(message.content, list):
            update["content"] = self._blocks(message.content)
        if self.repairs:
            update["response_metadata"] = {**message.response_metadata, REPAIRS_KEY: self.repairs}
        return message.model_copy(update=update)

    def _blocks(self, content: list[str | dict[Any, Any]]) -> list[str | dict[Any, Any]]:
        """Say the same in the content blocks of LangChain's own form as in the two lists."""
        sorted_calls: dict[str | None, Mapping[str, Any]] = {
            call["id"]: call for call in (*self.valid, *self.invalid)
        }
        return [_block(block, sorted_calls) for block in content]


def _block(
    block: str | dict[Any, Any], calls: Mapping[str | None, Mapping[str, Any]]
) -> str | dict[Any, Any]:
    if not isinstance(block, dict) or block.get("type") not in ("tool_call", "invalid_tool_call"):
        return block
    call = calls.get(block.get("id"))
    if call is None:
        return block
    beside = {key: block[key] for key in ("index", "extras") if key in block}
    return {**call, **beside}


def _is_whole(message: AIMessage) -> bool:
    """Tell an answer that ended by itself from one that was cut."""
    facts = message.response_metadata
    return facts.get("finish_reason") in _WHOLE and facts.get("status") in _WHOLE


def _reasons(schema: Mapping[str, Any], args: object) -> list[str]:
    from langchain_tamma_openai.tools.validators import argument_errors, schema_text

    try:
        errors = argument_errors(schema_text(schema), args)
        return [_said(error) for error in errors]
    except RecursionError:
        return ["they are nested too deeply"]
    except Exception:  # noqa: BLE001 - whatever a broken schema makes of the library
        return []


def _said(error: object) -> str:
    from jsonschema.exceptions import ValidationError, best_match

    from langchain_tamma_openai.redact import redact_secrets
    from langchain_tamma_openai.tools.problems import pointer_to
    from langchain_tamma_openai.tools.validators import short

    found = cast("ValidationError", error)
    where = pointer_to(found.absolute_path)
    text = short(found.message)
    closest = best_match(iter([found]))
    if closest is not None and closest is not found:
        text = f"{text} (closest: {short(closest.message)})"
    return redact_secrets(f"{where}: {text}" if where else text)
