"""Which API carries a call: Chat Completions, unless something needs the Responses API."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_tamma_openai.chat_models.fields import ChatFields
    from langchain_tamma_openai.models import ModelInfo

logger = logging.getLogger(__name__)

# Names that the catalogue does not list, by what every model named like them has wanted so far.
_MADE_FOR_IT = re.compile(r"codex|^gpt-[\d.]+-pro\b|^gpt-5\.6-sol")
_NEW_FAMILIES = ("gpt-6",)
_SETTINGS = ("context_management", "include", "reasoning", "truncation")
_PARAMETERS = (
    "background",
    "context_management",
    "conversation",
    "include",
    "max_tool_calls",
    "previous_response_id",
    "prompt",
    "reasoning",
    "text",
    "truncation",
)


def uses_responses_api(model: ChatFields, payload: Mapping[str, Any]) -> bool:
    """Choose the API of a call and say why at debug level.

    Args:
        model: The chat model.
        payload: The parameters of the call, the model's own included.
    """
    if model.use_responses_api is False:
        return False
    if model.use_responses_api and not logger.isEnabledFor(logging.DEBUG):
        return True
    reason = _reason(model, payload)
    if model.use_responses_api:
        reason = reason or "use_responses_api is True"
    if reason is not None:
        logger.debug("The Responses API carries calls of this kind: %s.", reason)
    return reason is not None


def _reason(model: ChatFields, payload: Mapping[str, Any]) -> str | None:
    name = payload.get("model") or model.model_name
    return _setting(model) or _model_need(str(name), payload) or _payload_need(payload)


def _setting(model: ChatFields) -> str | None:
    if model.output_version == "responses/v1":
        return "output_version is 'responses/v1'"
    if model.use_previous_response_id:
        return "use_previous_response_id is set"
    given = (name for name in _SETTINGS if getattr(model, name) is not None)
    return next((f"{name} is set" for name in given), None)


def _model_need(name: str, payload: Mapping[str, Any]) -> str | None:
    from langchain_tamma_openai.models import ModelCatalog

    info = ModelCatalog().get(name)
    if info.responses_only or info.prefers_responses == "always" or _made_for_it(info):
        return f"{name} is made for it"
    if payload.get("tools"):
        return _tool_need(info, payload)
    return None


def _tool_need(info: ModelInfo, payload: Mapping[str, Any]) -> str | None:
    effort = payload.get("reasoning_effort") or info.default_reasoning_effort
    if info.tools_on_chat == "with_effort_none" and effort != "none":
        return f"{info.name} takes tools on Chat Completions only with reasoning effort none"
    if info.tools_on_chat == "never" or info.prefers_responses or _is_newer(info):
        return f"{info.name} takes tools best there"
    return None


def _made_for_it(info: ModelInfo) -> bool:
    return not info.known and _MADE_FOR_IT.search(info.name.lower()) is not None


def _is_newer(info: ModelInfo) -> bool:
    """Whether an unlisted model is of a family whose models all want tools there."""
    return not info.known and info.name.lower().startswith(_NEW_FAMILIES)


def _payload_need(payload: Mapping[str, Any]) -> str | None:
    for tool in payload.get("tools") or ():
        if isinstance(tool, Mapping) and tool.get("type", "function") != "function":
            return f"the tool {tool['type']!r} exists there only"
    return next((f"{name} exists there only" for name in _PARAMETERS if name in payload), None)
