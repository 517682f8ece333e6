"""Parsers of structured output that another process can make again from the journal."""

from __future__ import annotations

import importlib
from typing import Any

from langchain_core.runnables import Runnable
from pydantic import BaseModel

from langchain_tamma_openai.batches.journal import Json
from langchain_tamma_openai.chat_models import parsers

_NONE: Json = {"kind": "none"}
_UNKNOWN: Json = {"kind": "other"}


def describe(after: Runnable[Any, Any] | None) -> Json:
    """Describe what makes a result of an answer, so that `restore` can make it again.

    Args:
        after: The step behind the model.
    """
    if after is None:
        return _NONE
    kind = type(after).__name__
    if isinstance(after, parsers.ModelAnswerParser | parsers.PydanticJsonAnswerParser):
        return _of_class(kind, after.pydantic_object)
    if isinstance(after, parsers.PydanticToolParser) and len(after.tools) == 1:
        return _of_class(kind, after.tools[0])
    if isinstance(after, parsers.ToolObjectParser):
        return {"kind": kind, "key_name": after.key_name}
    return {"kind": kind} if isinstance(after, parsers.JsonAnswerParser) else _UNKNOWN


def restore(described: Json | None) -> Runnable[Any, Any] | None:
    """Make again what makes a result of an answer.

    Args:
        described: What `describe` gave.

    Raises:
        ConfigurationError: It cannot be made from that alone.
    """
    kind = (described or _NONE)["kind"]
    if described is None or kind == "none":
        return None
    if kind == "JsonAnswerParser":
        return parsers.JsonAnswerParser()
    if kind == "ToolObjectParser":
        return parsers.ToolObjectParser(key_name=described["key_name"], first_tool_only=True)
    found: Any = find_class(described.get("class"))
    if found is None:
        _refuse(described)
    if kind == "PydanticToolParser":
        return parsers.PydanticToolParser(tools=[found], first_tool_only=True)
    if kind == "PydanticJsonAnswerParser":
        return parsers.PydanticJsonAnswerParser(pydantic_object=found)
    return parsers.ModelAnswerParser(pydantic_object=found)


def class_name(cls: object) -> str | None:
    """Name a pydantic class so that `find_class` finds it; None for anything else.

    Args:
        cls: The class.
    """
    if not isinstance(cls, type) or not hasattr(cls, "model_validate"):
        return None
    return f"{cls.__module__}:{cls.__qualname__}"


def find_class(name: object) -> type[BaseModel] | None:
    """Find a pydantic class by its name; None when it is not there any more.

    Args:
        name: What `class_name` gave.
    """
    module, _, path = str(name).partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (AttributeError, ImportError, ValueError):
        return None
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def _of_class(kind: str, cls: object) -> Json:
    return {"kind": kind, "class": class_name(cls)}


def _refuse(described: Json) -> None:
    from langchain_tamma_openai.errors import ConfigurationError

    what = described.get("class") or "a chain of its own"
    raise ConfigurationError(
        f"The answers of this job are read by {what}, which cannot be found from here; load it "
        "with BatchJob.load(id, runnable), giving what it was submitted with, or the model for "
        "the bare messages"
    )
