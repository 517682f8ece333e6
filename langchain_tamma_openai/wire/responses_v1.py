"""From LangChain's standard (v1) content blocks to the Responses API's own item shapes.

Only blocks that differ are touched: a message in the `responses/v1` format passes through as it is.
LangChain itself does the opposite direction (`AIMessage.content_blocks`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, cast

from langchain_core.messages import ToolCall

from langchain_tamma_openai.wire.responses_items import Json

_COMPACT = (",", ":")
_STATUSES = {"success": "completed", "error": "failed"}


def blocks_to_items(blocks: Sequence[Json], tool_calls: Sequence[ToolCall]) -> list[Json]:
    """Translate standard blocks of an assistant message to Responses blocks.

    Args:
        blocks: The message's content, every entry a dict.
        tool_calls: The message's tool calls, for blocks that do not hold their own arguments.
    """
    calls = {call["id"]: call for call in reversed(tool_calls)}
    translated = [_translate(block, calls) for block in blocks if "type" in block]
    return list(_merge_server_calls(list(_merge_reasoning(translated))))


def _translate(block: Json, calls: dict[str | None, ToolCall]) -> Json:
    kind = block["type"]
    if kind == "tool_call":
        return _function_call(block, calls.get(block.get("id")))
    return _TRANSLATIONS.get(kind, _same)(block)


def _same(block: Json) -> Json:
    return block


def _extras(block: Json) -> Json:
    extras = block.get("extras")
    return extras if isinstance(extras, dict) else {}


def _text(block: Json) -> Json:
    if not block.get("annotations"):
        return block
    return {**block, "annotations": [_annotation(entry) for entry in block["annotations"]]}


def _refusal(block: Json) -> Json:
    extras = _extras(block)
    return {**block, "phase": extras["phase"]} if "phase" in extras else block


def _annotation(annotation: Json) -> Json:
    kind = annotation.get("type")
    if kind == "non_standard_annotation":
        return cast("Json", annotation["value"])
    if kind != "citation":
        return dict(annotation)
    span: Json = {key: annotation[key] for key in ("end_index", "start_index") if key in annotation}
    title = {"title": annotation["title"]} if "title" in annotation else {}
    if "url" in annotation:
        link = {"type": "url_citation", "url": annotation["url"]}
        return {**span, **title, **link, **_extras(annotation)}
    name = {"filename": annotation["title"]} if title else {}
    return {**span, "type": "file_citation", **_extras(annotation), **name}


def _function_call(block: Json, call: ToolCall | None) -> Json:
    extras = _extras(block)
    item: Json = {"type": "function_call", "call_id": block.get("id")}
    if "item_id" in extras:
        item["id"] = extras["item_id"]
    name = block.get("name") or (call["name"] if call else None)
    if name is not None:
        item["name"] = name
    args = call["args"] if call else block.get("args")
    if "arguments" in extras:
        item["arguments"] = extras["arguments"]
    elif args is not None:
        item["arguments"] = json.dumps(args, separators=_COMPACT)
    kept: Json = {key: extras[key] for key in ("status", "namespace", "async") if key in extras}
    return {**item, **kept}


def _image(block: Json) -> Json:
    """Turn a generated image back into its call; any other image stays what it is."""
    identifier = block.get("id")
    if "base64" not in block or not (isinstance(identifier, str) and identifier.startswith("ig_")):
        return block
    item = {"type": "image_generation_call", "result": block["base64"], "id": identifier}
    status = block.get("status", _extras(block).get("status"))
    return item if status is None else {**item, "status": status}


def _non_standard(block: Json) -> Json:
    return cast("Json", block["value"]) if "value" in block else block


def _tool_search_call(block: Json) -> Json:
    if block.get("name") != "tool_search":
        return block
    extras = _extras(block)
    item: Json = {"id": block["id"], "type": "tool_search_call"}
    if "args" in block:
        item["arguments"] = block["args"]
    kept: Json = {key: extras[key] for key in ("status", "execution") if extras.get(key)}
    return {**item, **kept}


def _tool_search_output(block: Json) -> Json:
    if _extras(block).get("name") != "tool_search":
        return block
    item = {
        "id": block.get("tool_call_id", ""),
        "type": "tool_search_output",
        "execution": "server",
    }
    if status := block.get("status"):
        item["status"] = _STATUSES.get(status, status)
    output = block.get("output")
    if isinstance(output, dict) and "tools" in output:
        item["tools"] = output["tools"]
    return item


_TRANSLATIONS: dict[str, Callable[[Json], Json]] = {
    "text": _text,
    "refusal": _refusal,
    "image": _image,
    "non_standard": _non_standard,
    "server_tool_call": _tool_search_call,
    "server_tool_result": _tool_search_output,
}


# --- reasoning: one standard block per summary part, one Responses item for all of them ----------


def _merge_reasoning(blocks: Iterable[Json]) -> Iterator[Json]:
    for key, run in groupby(blocks, key=_reasoning_key):
        if key is None:
            yield from run
        else:
            yield _reasoning_item(list(run))


def _reasoning_key(block: Json) -> object:
    """Say which reasoning item a block is a part of; None for blocks that stand alone."""
    if block.get("type") != "reasoning" or "summary" in block:
        return None
    return ("part", block.get("id")) if "reasoning" in block else ("empty", id(block))


def _reasoning_item(parts: Sequence[Json]) -> Json:
    first = parts[0]
    item = {key: value for key, value in first.items() if key not in ("reasoning", "extras")}
    summary = [
        {"type": "summary_text", "text": part["reasoning"]} for part in parts if "reasoning" in part
    ]
    return {**item, **_extras(first), "summary": summary}


# --- built-in tools: a standard call and its result are one Responses item -----------------------


def _merge_server_calls(blocks: Sequence[Json]) -> Iterator[Json]:
    results = {
        block.get("tool_call_id"): block
        for block in blocks
        if block.get("type") == "server_tool_result"
    }
    for block in blocks:
        merge = _SERVER_CALLS.get(block.get("name", ""))
        result = results.get(block.get("id"))
        is_call = block.get("type") == "server_tool_call"
        yield merge(block, result) if is_call and merge and result is not None else block


def _status(result: Json) -> Json:
    status = result.get("status")
    if status:
        return {"status": _STATUSES[status]} if status in _STATUSES else {}
    native = _extras(result).get("status")
    return {"status": native} if native else {}


def _renamed(source: Json, key: str, new: str) -> Json:
    return {new: source[key]} if key in source else {}


def _web_search(call: Json, result: Json) -> Json:
    # Sources are left out: the API refuses them in input.
    action = _renamed(call, "args", "action")
    return {"id": call["id"], **action, **_status(result), "type": "web_search_call"}


def _file_search(call: Json, result: Json) -> Json:
    return {
        "id": call["id"],
        **_renamed(_args(call), "queries", "queries"),
        **_renamed(result, "output", "results"),
        **_status(result),
        "type": "file_search_call",
    }


def _code_interpreter(call: Json, result: Json) -> Json:
    return {
        "id": call["id"],
        **_renamed(_args(call), "code", "code"),
        **_renamed({**_extras(call), **call}, "container_id", "container_id"),
        **_renamed(result, "output", "outputs"),
        **_status(result),
        "type": "code_interpreter_call",
    }


def _mcp_call(call: Json, result: Json) -> Json:
    extras = _extras(call)
    if "args" in call:
        arguments = {"arguments": json.dumps(call["args"], separators=_COMPACT)}
    else:
        arguments = _renamed(extras, "arguments", "arguments")
    return {
        "id": call["id"],
        "type": "mcp_call",
        **arguments,
        **_named_if_true(extras, tool_name="name", server_label="server_label"),
        **_named_if_true(_extras(result), error="error"),
        **_renamed(result, "output", "output"),
        **_except(extras, "server_label", "arguments", "tool_name", "error"),
    }


def _mcp_list_tools(call: Json, result: Json) -> Json:
    extras = _extras(call)
    return {
        "id": call["id"],
        "type": "mcp_list_tools",
        **_named_if_true(extras, server_label="server_label"),
        **_renamed(result, "output", "tools"),
        **_named_if_true(_extras(result), error="error"),
        **_except(extras, "server_label", "error"),
    }


def _args(call: Json) -> Json:
    args = call.get("args")
    return args if isinstance(args, dict) else {}


def _named_if_true(source: Json, **names: str) -> Json:
    return {new: source[key] for key, new in names.items() if source.get(key)}


def _except(source: Json, *names: str) -> Json:
    return {key: value for key, value in source.items() if key not in names}


_SERVER_CALLS: dict[Any, Callable[[Json, Json], Json]] = {
    "web_search": _web_search,
    "file_search": _file_search,
    "code_interpreter": _code_interpreter,
    "remote_mcp": _mcp_call,
    "mcp_list_tools": _mcp_list_tools,
}
