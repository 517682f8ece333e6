"""What is known about OpenAI's chat models: sizes, abilities, parameter rules, ends of life.

The facts are dated data (`data/models.json`), read at first use. A model that is not there is no
error: it is allowed, and said to be unknown.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cache
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from langchain_core.language_models import ModelProfile

    from langchain_tamma_openai.pricing_tables import PriceSheet

logger = logging.getLogger(__name__)

Support = Literal["always", "with_effort_none", "never"]
"""Whether a model takes something: always, only with reasoning effort "none", or never."""

_DATE_SUFFIX = re.compile(r"-20\d{2}-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])$")
_DEPRECATIONS_URL = "https://developers.openai.com/api/docs/deprecations"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Facts about one model. None means that the fact is not known, never that it is false.

    `base` is the catalogue entry that describes a dated snapshot or a fine-tuned model. The
    `supports_*` fields of sampling parameters and `tools_on_chat` say when Chat Completions takes
    them; `responses_only` models are not served by Chat Completions at all, and
    `prefers_responses` says when a model answers best on the Responses API.
    """

    name: str
    known: bool = False
    base: str | None = None
    fine_tuned: bool = False
    label: str | None = None
    context_window_tokens: int | None = None
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    capabilities: frozenset[str] = frozenset()
    release_date: date | None = None
    last_updated: date | None = None
    shutdown_date: date | None = None
    successor: str | None = None
    open_weights: bool = False
    encoding: str | None = None
    reasoning_efforts: tuple[str, ...] | None = None
    default_reasoning_effort: str | None = None
    supports_temperature: Support | None = None
    supports_top_p: Support | None = None
    supports_logprobs: Support | None = None
    supports_penalties: Support | None = None
    supports_logit_bias: bool | None = None
    supports_stop: bool | None = None
    supports_parallel_tool_calls: bool | None = None
    supports_verbosity: bool | None = None
    supports_prompt_cache_options: bool | None = None
    prompt_cache_retentions: tuple[str, ...] | None = None
    tools_on_chat: Support | None = None
    responses_only: bool | None = None
    prefers_responses: Literal["always", "with_tools"] | None = None
    output_limit_parameter: str | None = None
    _profile_entries: tuple[tuple[str, object], ...] = ()

    @property
    def is_reasoning(self) -> bool | None:
        """Whether the model reasons before it answers; None for an unknown model."""
        return "reasoning" in self.capabilities if self.known else None

    def is_shut_down(self, on: date | None = None) -> bool:
        """Whether the model is no longer served on a day (UTC; today when left out)."""
        return self.shutdown_date is not None and self.shutdown_date <= (on or _today())

    def prices(self, at: datetime | None = None) -> PriceSheet | None:
        """Look up the standard prices at a moment (now when left out); None if unknown."""
        from langchain_tamma_openai.pricing import default_calculator

        return default_calculator().prices(self.name, at=at)

    def profile(self) -> ModelProfile:
        """Describe the model in LangChain's terms; empty for an unknown model."""
        if not self.known:
            return {}
        entries = {**_named_entries(self), **_ability_entries(self), **dict(self._profile_entries)}
        return cast("ModelProfile", {key: v for key, v in entries.items() if v is not None})


def _named_entries(info: ModelInfo) -> dict[str, object]:
    as_of = _catalogue().as_of
    max_input = info.max_input_tokens or info.context_window_tokens
    return {
        "name": info.label,
        "status": "deprecated" if info.is_shut_down(as_of) else None,
        "release_date": info.release_date and info.release_date.isoformat(),
        "last_updated": info.last_updated and info.last_updated.isoformat(),
        "open_weights": info.open_weights,
        "max_input_tokens": max_input,
        "max_output_tokens": info.max_output_tokens,
        "reasoning_effort_levels": list(info.reasoning_efforts or ()) or None,
        "reasoning_effort_default": info.default_reasoning_effort,
    }


def _ability_entries(info: ModelInfo) -> dict[str, object]:
    has = info.capabilities.__contains__
    images = has("image_input")
    temperature = info.supports_temperature == "always" or (
        info.supports_temperature == "with_effort_none" and info.default_reasoning_effort == "none"
    )
    return {
        "text_inputs": True,
        "image_inputs": images,
        "image_url_inputs": images,
        "image_tool_message": images,
        "pdf_inputs": has("file_input"),
        "pdf_tool_message": has("file_input"),
        "audio_inputs": has("audio_input"),
        "video_inputs": False,
        "text_outputs": True,
        "image_outputs": False,
        "audio_outputs": has("audio_output"),
        "video_outputs": False,
        "attachment": images,
        "reasoning_output": has("reasoning"),
        "tool_calling": has("tools"),
        "tool_choice": has("tools"),
        "tool_call_streaming": has("tools"),
        "structured_output": has("structured_output"),
        "temperature": temperature,
    }


class ModelCatalog:
    """The models that this package knows. Instances are cheap and share the data."""

    @property
    def as_of(self) -> date:
        """The day for which the facts hold."""
        return _catalogue().as_of

    def get(self, model: str) -> ModelInfo:
        """Describe a model.

        A dated snapshot (`gpt-4.1-2025-04-14`) or a fine-tuned model (`ft:gpt-4.1-...:org::id`) is
        described by its base model; case and blanks around the name make no difference. Any other
        name gives a `ModelInfo` with `known=False`.
        """
        return _catalogue().get(model)

    def list(self, *, include_shut_down: bool = True) -> list[ModelInfo]:
        """List the known models, newest first; those shut down today can be left out."""
        models = [self.get(name) for name in _catalogue().names]
        return [info for info in models if include_shut_down or not info.is_shut_down()]

    def is_supported(self, model: str) -> bool:
        """Whether the catalogue knows the model, shut down or not."""
        return self.get(model).known


class _Catalogue:
    """The parsed data file; every model is built once."""

    def __init__(self, raw: Mapping[str, object]) -> None:
        self.as_of = date.fromisoformat(cast("str", raw["as_of"]))
        self._families = cast("Mapping[str, Mapping[str, object]]", raw["families"])
        self._models = cast("Mapping[str, Mapping[str, object]]", raw["models"])
        self.names = tuple(self._models)
        self._infos: dict[str, ModelInfo] = {}

    def get(self, model: str) -> ModelInfo:
        info = self._infos.get(model)
        if info is None:
            name = model.strip().lower()
            info = self._build(name)
            if not info.known and name != model:
                return ModelInfo(model)
            if info.fine_tuned:
                return replace(info, name=model.strip())
            if info.known:
                self._infos[name] = info
        return info

    def _build(self, model: str) -> ModelInfo:
        if model in self._models:
            return _info(model, self._facts(model))
        if model.startswith("ft:"):
            base = self.get(model.split(":")[1])
            return replace(base, name=model, base=base.base or base.name, fine_tuned=True)
        undated = _DATE_SUFFIX.sub("", model)
        if undated in self._models:
            return replace(self.get(undated), name=model, base=undated)
        return ModelInfo(model)

    def _facts(self, name: str) -> dict[str, object]:
        """Merge what a model says with what it inherits."""
        own = self._models[name]
        like = cast("str", own["like"])
        family = like.removeprefix("family:")
        inherited = self._facts(like) if family == like else self._families[family]
        return {**inherited, **own}


@cache
def _catalogue() -> _Catalogue:
    import json
    from importlib.resources import files

    text = (files("langchain_tamma_openai") / "data" / "models.json").read_text(encoding="utf-8")
    return _Catalogue(json.loads(text))


_DATES = ("release_date", "last_updated", "shutdown_date")
_SAMPLING = ("supports_temperature", "supports_top_p", "supports_logprobs", "supports_penalties")


def _info(name: str, facts: dict[str, object]) -> ModelInfo:
    values = {
        key: value for key, value in facts.items() if key not in {"like", "profile", "sampling"}
    }
    for key in _DATES:
        if values.get(key) is not None:
            values[key] = date.fromisoformat(cast("str", values[key]))
    for key in ("reasoning_efforts", "prompt_cache_retentions"):
        entries = facts.get(key)
        values[key] = None if entries is None else tuple(cast("list[str]", entries))
    values["capabilities"] = frozenset(cast("list[str]", facts["capabilities"]))
    values["responses_only"] = facts.get("responses_only", False)
    for key in _SAMPLING:
        values[key] = facts.get("sampling")
    profile = cast("dict[str, object]", facts.get("profile", {}))
    return ModelInfo(
        name=name,
        known=True,
        _profile_entries=tuple(profile.items()),
        **values,  # type: ignore[arg-type]  # the keys of the data file are the fields; a test holds them together
    )


def shutdown_warning(model: str, today: date | None = None) -> str | None:
    """Say that a model has been shut down and what OpenAI names in its place; None if it lives."""
    info = ModelCatalog().get(model)
    if not info.is_shut_down(today):
        return None
    instead = f"use {info.successor} instead" if info.successor else f"see {_DEPRECATIONS_URL}"
    return f"OpenAI shut {model} down on {info.shutdown_date}, so requests for it fail: {instead}."


_warned_models: set[str] = set()


def warn_if_shut_down(model: str) -> None:
    """Warn, once per model and process, that a model has been shut down. Never raises."""
    if model in _warned_models:
        return
    message = shutdown_warning(model)
    if message is None:
        return
    _warned_models.add(model)
    try:
        warnings.warn(message, UserWarning, stacklevel=3)
    except UserWarning:
        # Warnings are errors here; the model may still exist behind another base URL.
        logger.warning(message)


def _today() -> date:
    return datetime.now(UTC).date()
