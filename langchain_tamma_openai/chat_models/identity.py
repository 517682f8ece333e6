"""How a model presents itself: to LangChain's serialiser, to traces, to `repr` and to pickle."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from langchain_core.language_models.base import LangSmithParams
from pydantic import SecretStr

from langchain_tamma_openai.chat_models.mixin import Mixin
from langchain_tamma_openai.chat_models.routing import uses_responses_api
from langchain_tamma_openai.chat_models.settings import printable

if TYPE_CHECKING:
    from langchain_core.language_models import ModelProfile

    from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI
    from langchain_tamma_openai.prompts.model import RenderedPrompt

logger = logging.getLogger(__name__)

_SECRETS = {
    "openai_api_key": "OPENAI_API_KEY",
    "admin_api_key": "OPENAI_ADMIN_KEY",
    "webhook_secret": "OPENAI_WEBHOOK_SECRET",
}
# Alive, or derived from the fields.
_NOT_PICKLED: dict[str, Any] = {
    "_clients": None,
    "_governors": None,
    "_runs": None,
    "_fallback_policy": None,
    "_others": {},
    "_rate_limits": {},
}
# Made by the model itself, or long and the same for every instance.
_DERIVED = frozenset({"callbacks", "metadata", "profile"})
_UNREMARKABLE: dict[str, tuple[object, ...]] = {
    "model_kwargs": ({},),
    "stream_chunk_timeout": (120.0,),
    "stream_usage": (True,),
}
_MCP_SECRETS = ("headers", "authorization")


class IdentityMixin(Mixin):
    """Names, serialisation, tracing parameters; nothing secret in any of them."""

    if TYPE_CHECKING:

        @property
        def _default_params(self) -> dict[str, Any]: ...

        def _settle_governors(self) -> None: ...

        def _rendered_prompt(self) -> RenderedPrompt | None: ...

    @property
    def model(self) -> str:
        """Same as `model_name`."""
        return self.model_name

    @property
    def lc_secrets(self) -> dict[str, str]:
        """Fields whose values are never serialised, and the variables they come from."""
        return dict(_SECRETS)

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """Return the place LangChain loads the class from."""
        return ["langchain_tamma_openai", "chat_models"]

    @classmethod
    def lc_id(cls) -> list[str]:
        """Return the serialised identity, known to `load(..., allowed_objects="all")` from now on.

        LangChain's list of trusted integrations names classes one by one; naming the namespace in
        `valid_namespaces` stays necessary.
        """
        from langchain_core.load.load import ALL_SERIALIZABLE_MAPPINGS

        identity = [*cls.get_lc_namespace(), cls.__name__]
        if cls.__module__.startswith("langchain_tamma_openai."):
            ALL_SERIALIZABLE_MAPPINGS.setdefault(tuple(identity), tuple(identity))
        return identity

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Tell LangChain that the model can be serialised."""
        return True

    @property
    def lc_attributes(self) -> dict[str, Any]:
        """Attributes serialised beside the constructor arguments."""
        names = ("openai_organization", "openai_api_base", "openai_proxy")
        given = {name: value for name in names if (value := getattr(self, name))}
        return {**given, **self._stored_prompt()}

    def _stored_prompt(self) -> dict[str, Any]:
        """Store a prompt that is an object as the text it gives: LangChain cannot load objects."""
        if self.system_prompt is None or isinstance(self.system_prompt, str):
            return {}
        from langchain_tamma_openai.errors import PromptError
        from langchain_tamma_openai.prompts.references import looks_like_reference

        try:
            rendered = self._rendered_prompt()
        except PromptError:
            return {}
        if rendered is None or looks_like_reference(rendered.text):
            return {}
        return {"system_prompt": rendered.text, "prompt_variables": None}

    @property
    def _llm_type(self) -> str:
        return "openai-chat"

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Print what was chosen for this model, as it was named, without secrets."""
        shown = dict(super().__repr_args__())
        yield "model", shown.pop("model_name", self.model_name)
        for name, value in shown.items():
            text = printable(str(name), value)
            if name not in _DERIVED and text not in _UNREMARKABLE.get(str(name), ()):
                yield _typed_name(type(self), str(name)), text

    def _repr_html_(self) -> str:
        from langchain_tamma_openai.chat_models.shown import model_html

        return model_html(cast("ChatTammaOpenAI", self), dict(self.__repr_args__()))

    def __getstate__(self) -> dict[Any, Any]:
        """Leave the keys and the open clients out of a pickle."""
        state = super().__getstate__()
        kept = {
            name: None if name in _SECRETS and isinstance(value, SecretStr) else value
            for name, value in state["__dict__"].items()
        }
        if (policy := self._fallback_policy) is not None and policy != policy.without_keys():
            logger.warning(
                "A pickled model has no fallbacks with keys of their own; give it others."
            )
            kept["fallback_models"] = policy.without_keys()
        private = {**(state["__pydantic_private__"] or {}), **_NOT_PICKLED}
        return {**state, "__dict__": kept, "__pydantic_private__": private}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        """Take the keys from the environment of the process that unpickles."""
        super().__setstate__(state)
        for name, variable in _SECRETS.items():
            if self.__dict__.get(name) is None and (value := os.environ.get(variable)):
                self.__dict__[name] = SecretStr(value)
        self._settle_governors()

    def _resolve_model_profile(self) -> ModelProfile | None:
        from langchain_tamma_openai.models import ModelCatalog

        profile = ModelCatalog().get(self.model_name).profile()
        if profile.get("mid_conversation_tools") and not uses_responses_api(self, {}):
            # Only the Responses API adds tools in mid-conversation.
            profile["mid_conversation_tools"] = False
        return profile or None

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name, **self._default_params}

    def _get_invocation_params(
        self, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        inherited = super()._get_invocation_params(stop=stop)
        params = {"model": self.model_name, **inherited, **self._default_params, **kwargs}
        if isinstance(tools := params.get("tools"), list):
            params["tools"] = [_without_mcp_secrets(tool) for tool in tools]
        return params

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        model = kwargs.get("model", self.model_name)
        params = LangSmithParams(ls_provider="openai", ls_model_name=model, ls_model_type="chat")
        params["ls_temperature"] = kwargs.get("temperature", self.temperature)
        limit = kwargs.get("max_tokens", kwargs.get("max_completion_tokens", self.max_tokens))
        if limit:
            params["ls_max_tokens"] = limit
        if ends := stop or kwargs.get("stop", self.stop):
            params["ls_stop"] = [ends] if isinstance(ends, str) else ends
        return params

    def _combine_llm_outputs(self, llm_outputs: list[dict[str, Any] | None]) -> dict[str, Any]:
        outputs = [output for output in llm_outputs if output is not None]
        usage: dict[str, Any] = {}
        for output in outputs:
            usage = _added(usage, output.get("token_usage") or {})
        combined = {"token_usage": usage, "model_name": self.model_name}
        prints = (output.get("system_fingerprint") for output in outputs)
        if fingerprint := next((found for found in prints if found is not None), None):
            combined["system_fingerprint"] = fingerprint
        return combined


def _without_mcp_secrets(tool: object) -> object:
    if not isinstance(tool, Mapping) or tool.get("type") != "mcp":
        return tool
    return {key: "**REDACTED**" if key in _MCP_SECRETS else tool[key] for key in tool}


def _added(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    """Add token counts of any depth; what one side does not count stays as the other has it."""
    total = dict(left)
    for name, value in right.items():
        known = total.get(name)
        if isinstance(value, Mapping):
            total[name] = _added(known if isinstance(known, Mapping) else {}, value)
        elif isinstance(value, int | float):
            total[name] = value + (known if isinstance(known, int | float) else 0)
    return total


def _typed_name(kind: type[Any], name: str) -> str:
    """Name a field as it is typed: `api_key` and not `openai_api_key`."""
    field = kind.model_fields.get(name)
    return field.alias or name if field is not None else name
