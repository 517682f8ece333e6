"""What the Responses API's output items look like, as data: shared by all `responses_*` modules.

Items are plain dicts as they came off the wire. LangChain keeps most of them whole as content
blocks; the tables here say which, and `without_nulls` gives the form in which they are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]
"""One JSON object of the wire."""

PROVIDER = "openai"
"""LangChain's name for who produced a message (`response_metadata["model_provider"]`)."""

FUNCTION_CALL_IDS = "__openai_function_call_ids__"
"""Where the v0 message format keeps the item id of each function call, by call id."""

BUILT_IN_TOOL_ITEMS = frozenset(
    {
        "apply_patch_call",
        "apply_patch_call_output",
        "code_interpreter_call",
        "computer_call",
        "file_search_call",
        "image_generation_call",
        "mcp_approval_request",
        "mcp_call",
        "mcp_list_tools",
        "tool_search_call",
        "tool_search_output",
        "web_search_call",
    }
)
"""Items of built-in tools. The v0 format lists them under `additional_kwargs["tool_outputs"]`."""

SHELL_ITEMS = frozenset(
    {
        "local_shell_call",
        "local_shell_call_output",
        "program",
        "program_output",
        "shell_call",
        "shell_call_output",
    }
)
"""Shell and program items, which a caller must see to run them and to send them back."""

NATIVE_ITEMS = BUILT_IN_TOOL_ITEMS | SHELL_ITEMS | {"compaction"}
"""Output items that become content blocks of the same type, field by field."""

REPLAYED_ITEMS = NATIVE_ITEMS - {"image_generation_call"} | {"custom_tool_call", "function_call"}
"""Content blocks of an assistant message that go back to the API as items of their own."""

# Fields that hold a caller's or a tool's own JSON: nulls in there are values, not absent fields.
_OPAQUE_FIELDS = frozenset(
    {
        "annotations",
        "arguments",
        "attributes",
        "content",
        "env",
        "filters",
        "headers",
        "input_schema",
        "output_schema",
        "parameters",
    }
)


def without_nulls(item: Mapping[str, Any]) -> Json:
    """Copy an item without its null fields, except inside JSON that is a caller's own."""
    return {
        key: value if key in _OPAQUE_FIELDS else _clean(value)
        for key, value in item.items()
        if value is not None
    }


def _clean(value: object) -> object:
    if isinstance(value, dict):
        return without_nulls(value)
    if isinstance(value, list):
        return [_clean(entry) for entry in value]
    return value


def annotation_to_langchain(annotation: Json) -> Json:
    """Rename `index` of a file citation: LangChain uses that key to merge streamed blocks."""
    return _renamed_file_citation(annotation, "index", "file_index")


def annotation_from_langchain(annotation: Json) -> Json:
    """Give a file citation its `index` back."""
    return _renamed_file_citation(annotation, "file_index", "index")


def _renamed_file_citation(annotation: Json, old: str, new: str) -> Json:
    if annotation.get("type") != "file_citation" or old not in annotation:
        return annotation
    return {(new if key == old else key): value for key, value in annotation.items()}
