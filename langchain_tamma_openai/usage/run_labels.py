"""Tags and metadata of a run as its user gave them: without LangChain's own, safe to store."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from uuid import UUID

from langchain_tamma_openai.redact import redact_secrets

_FOREIGN_PREFIXES = ("ls_", "lc_", "langgraph_", "__", "checkpoint_")
_FOREIGN_KEYS = frozenset({"revision_id", "usage_metadata"})
_FOREIGN_TAGS = ("seq:step:", "map:key:", "graph:step:", "langsmith:")
_DEEPEST = 12
# What every pattern of `redact_secrets` has in it; ids and model names have none of it.
_SUSPICIOUS = (
    "sk-",
    "ek_",
    "lsv2_",
    "bearer",
    "basic",
    "api-key",
    "api_key",
    "access_token",
    "://",
)


def own_metadata(metadata: Mapping[str, object]) -> dict[str, object]:
    """Return the metadata that the user gave, as JSON values without secrets.

    LangChain and LangGraph add entries of their own (`ls_`, `lc_`, `langgraph_`, `checkpoint_`);
    they are left out. `thread_id` is the user's and stays.

    Args:
        metadata: The metadata of a run.
    """
    return {
        name: json_value(value)
        for key, value in metadata.items()
        if (name := _own_key(key)) is not None
    }


@lru_cache(maxsize=1024)
def _own_key(key: str) -> str | None:
    """Make a key safe, once: most runs have the same few. None for a key that is not the user's."""
    if key.startswith(_FOREIGN_PREFIXES) or key in _FOREIGN_KEYS:
        return None
    return safe_text(key)


def own_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return the tags that the user gave, each once and without secrets.

    Args:
        tags: The tags of a run; LangChain adds `seq:step:1` and the like.
    """
    kept = (safe_text(str(tag)) for tag in tags if not str(tag).startswith(_FOREIGN_TAGS))
    return tuple(dict.fromkeys(kept))


def json_value(value: object, depth: int = 0) -> object:
    """Turn anything into a JSON value without secrets.

    Args:
        value: Any object; what JSON does not know becomes text.
        depth: How deep inside a value it stands; what is too deep becomes text.
    """
    if isinstance(value, str):
        return safe_text(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, Mapping) and depth < _DEEPEST:
        return {safe_text(str(key)): json_value(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth < _DEEPEST:
        return [json_value(item, depth + 1) for item in value]
    return _as_text(value)


def label(value: object) -> str | None:
    """Read an id that users give as text, number or UUID; None for anything else.

    Args:
        value: For example `metadata["user_id"]`.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return safe_text(value) or None
    if isinstance(value, bool) or not isinstance(value, int | UUID):
        return None
    return str(value)


def safe_text(text: str) -> str:
    """Hide credentials, and be quick about text that cannot hold any.

    Args:
        text: Any text, most often an id.
    """
    lowered = text.lower()
    for sign in _SUSPICIOUS:
        if sign in lowered:
            return redact_secrets(str(text))
    return str(text)


def _as_text(value: object) -> str:
    try:
        return safe_text(str(value))
    except Exception:  # noqa: BLE001 - any object's own text may fail; a label must not
        return f"<{type(value).__name__}>"
