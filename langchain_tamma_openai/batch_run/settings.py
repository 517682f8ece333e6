"""What a batch was begun with, and whether a later process goes on with the same. No I/O."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from langchain_tamma_openai.batch_run.problems import BatchConflictError

if TYPE_CHECKING:
    from langchain_tamma_openai.batch_run.files import InputFacts
    from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI

_SHOWN_CHARS = 80
_NEVER_MIXED = frozenset({"api", "model", "system_prompt"})


def settings_of(llm: ChatTammaOpenAI, api: str | None) -> dict[str, Any]:
    """Describe what decides the answers of a model, beside the lines.

    Args:
        llm: The model.
        api: The API for lines that do not name one.

    Returns:
        JSON values, without secrets; a system prompt as its hash.
    """
    params = {key: value for key, value in llm._default_params.items() if key != "stream"}  # noqa: SLF001 - LangChain's hook
    prompt = llm._rendered_prompt()  # noqa: SLF001 - of this package
    if prompt is not None:
        params["system_prompt"] = prompt.hash
    if api is not None:
        params["api"] = api
    return {key: _plain(value) for key, value in sorted(params.items())}


def _plain(value: object) -> object:
    """Keep short JSON values as they are, and the hash of all others."""
    text = json.dumps(value, sort_keys=True, default=repr)
    if len(text) <= _SHOWN_CHARS and isinstance(value, str | int | float | None):
        return value
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()[:16]


def changed_settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Compare what a batch began with and what a later process has.

    Args:
        before: What the batch began with.
        now: What this process has.

    Returns:
        A sentence for each difference that is borne: the lines before and after differ in it.

    Raises:
        BatchConflictError: They differ in what must not be mixed in one output.
    """
    changes = []
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        change = f"{name}: this batch began with {old!r}, got {new!r}"
        if name in _NEVER_MIXED:
            raise BatchConflictError(f"{change}; go on with the same, or use another output")
        changes.append(f"{change} for the lines that are left")
    return changes


def input_header(facts: InputFacts) -> dict[str, Any]:
    """Describe an input.

    Args:
        facts: What reading it told.
    """
    return {"bytes": facts.bytes, "sha256": facts.sha256, "lines": facts.lines}


def check_same_input(before: Mapping[str, Any], now: InputFacts, name: str) -> None:
    """Refuse to go on with another input.

    Args:
        before: The header of the one that the batch began with.
        now: What reading the present one told.
        name: Of the input.

    Raises:
        BatchConflictError: It is another one.
    """
    if before.get("sha256") == now.sha256:
        return
    raise BatchConflictError(
        f"{name}: has changed since this batch began: it had {before.get('lines')} lines "
        f"({before.get('bytes')} bytes), and has {now.lines} ({now.bytes} bytes)"
        f"{'' if before.get('bytes') != now.bytes else ' with other contents'}. Go on with the "
        "input as it was, or use another output"
    )
