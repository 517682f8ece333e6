"""`init_chat_model`: LangChain's, and our provider `tamma_openai` beside those it knows."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast, overload

from langchain_core.runnables import Runnable, RunnableConfig, ensure_config

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel, LanguageModelInput
    from langchain_core.messages import AIMessage

__all__ = ["PROVIDER", "ConfigurableChatModel", "init_chat_model"]

PROVIDER = "tamma_openai"
"""Name of our provider; `tamma-openai` means the same."""

Fields = Literal["any"] | list[str] | tuple[str, ...]
_CHOOSING = ("model", "model_provider")


@overload
def init_chat_model(
    model: str,
    *,
    model_provider: str | None = None,
    configurable_fields: None = None,
    config_prefix: str | None = None,
    **kwargs: Any,
) -> BaseChatModel: ...


@overload
def init_chat_model(
    model: None = None,
    *,
    model_provider: str | None = None,
    configurable_fields: None = None,
    config_prefix: str | None = None,
    **kwargs: Any,
) -> ConfigurableChatModel: ...


@overload
def init_chat_model(
    model: str | None = None,
    *,
    model_provider: str | None = None,
    configurable_fields: Fields = ...,
    config_prefix: str | None = None,
    **kwargs: Any,
) -> ConfigurableChatModel: ...


def init_chat_model(
    model: str | None = None,
    *,
    model_provider: str | None = None,
    configurable_fields: Fields | None = None,
    config_prefix: str | None = None,
    **kwargs: Any,
) -> BaseChatModel | ConfigurableChatModel:
    """Make a chat model by name: ours as `tamma_openai:MODEL`, every other as LangChain does.

    Args:
        model: Name of the model, with or without its provider: `tamma_openai:gpt-6-luna`,
            `anthropic:claude-...`. None leaves the choice to the configuration of each call.
        model_provider: The provider, where the name does not hold it.
        configurable_fields: Which arguments the configuration of a call may set:
            `{"configurable": {"model": ...}}`. "any" includes keys and URLs: only where the
            configuration comes from people you trust.
        config_prefix: What the names in the configuration begin with: `first` for `first_model`.
        kwargs: Arguments of the model.

    Raises:
        ConfigurationError: Another provider is asked for, and `langchain` is not installed.
    """
    if not model and not configurable_fields:
        configurable_fields = _CHOOSING
    if config_prefix and not configurable_fields:
        warnings.warn(
            f"config_prefix={config_prefix!r} means nothing without configurable_fields",
            stacklevel=2,
        )
    given = {"model": model, "model_provider": model_provider}
    arguments = {**{name: value for name, value in given.items() if value}, **kwargs}
    if not configurable_fields:
        return _make(arguments)
    return ConfigurableChatModel(arguments, configurable_fields, config_prefix or "")


class ConfigurableChatModel(Runnable["LanguageModelInput", Any]):
    """A chat model that is chosen when it is called, by the configuration of the call.

    Tools and structured output that are bound to it are bound to whatever is chosen. Everything
    else of a chat model is that of the one its defaults make.
    """

    def __init__(
        self,
        arguments: Mapping[str, Any],
        fields: Fields,
        prefix: str = "",
        queue: Sequence[tuple[str, tuple[Any, ...], dict[str, Any]]] = (),
    ) -> None:
        """Keep the defaults.

        Args:
            arguments: Those of `init_chat_model`.
            fields: Which of them a configuration may set.
            prefix: What their names in a configuration begin with.
            queue: What to do with the model once it is made: method and arguments.
        """
        self._arguments = dict(arguments)
        self._fields: Fields = "any" if fields == "any" else tuple(fields)
        self._prefix = f"{prefix}_" if prefix and not prefix.endswith("_") else prefix
        self._queue = tuple(queue)

    def __repr__(self) -> str:
        """Name what is fixed, without values that may be secret."""
        fixed = {name: self._arguments[name] for name in _CHOOSING if name in self._arguments}
        return f"ConfigurableChatModel({fixed!r}, configurable_fields={self._fields!r})"

    # --- which model ---

    def _chosen(self, config: RunnableConfig | None = None) -> Runnable[Any, Any]:
        made: Any = _make({**self._arguments, **self._configured(config)})
        for method, args, kwargs in self._queue:
            made = getattr(made, method)(*args, **kwargs)
        return cast("Runnable[Any, Any]", made)

    def _configured(self, config: RunnableConfig | None) -> dict[str, Any]:
        """Read what a configuration says of our fields."""
        given = ensure_config(config).get("configurable", {})
        found = {
            name.removeprefix(self._prefix): value
            for name, value in given.items()
            if name.startswith(self._prefix)
        }
        if self._fields == "any":
            return {k: v for k, v in found.items() if not k.startswith("__")}
        return {name: value for name, value in found.items() if name in self._fields}

    def _queued(self, method: str, *args: Any, **kwargs: Any) -> ConfigurableChatModel:
        queue = (*self._queue, (method, args, kwargs))
        return ConfigurableChatModel(self._arguments, self._fields, self._prefix, queue)

    def __getattr__(self, name: str) -> Any:
        """Give what the default model has."""
        has_default = bool(self.__dict__.get("_arguments", {}).get("model"))
        if has_default and (not name.startswith("_") or _is_of_chat_models(name)):
            return getattr(self._chosen(), name)
        raise AttributeError(f"{name}: no model is chosen yet, or it has no such attribute")

    @property
    def InputType(self) -> Any:  # noqa: N802 - LangChain's name
        """What a chat model takes, as a type that a schema can be made of."""
        from langchain_core.messages import AnyMessage
        from langchain_core.prompt_values import ChatPromptValueConcrete, StringPromptValue

        return str | StringPromptValue | ChatPromptValueConcrete | list[AnyMessage]

    # --- what is done to it before it is known ---

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, AIMessage]:
        """Bind tools to whatever model is chosen; see `BaseChatModel.bind_tools`."""
        return cast("Runnable[Any, AIMessage]", self._queued("bind_tools", tools, **kwargs))

    def with_structured_output(self, schema: Any, **kwargs: Any) -> Runnable[Any, Any]:
        """Ask whatever model is chosen for a form; see `BaseChatModel.with_structured_output`."""
        return self._queued("with_structured_output", schema, **kwargs)

    def with_config(self, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Fix what a configuration says of our fields, and keep the rest for the model."""
        merged = ensure_config(cast("RunnableConfig", {**(config or {}), **kwargs}))
        ours = self._configured(merged)
        rest: dict[str, Any] = {k: v for k, v in merged.items() if k != "configurable"}
        rest["configurable"] = {
            name: value
            for name, value in merged.get("configurable", {}).items()
            if name.removeprefix(self._prefix) not in ours
        }
        queue = (*self._queue, ("with_config", (), {"config": rest}))
        return ConfigurableChatModel({**self._arguments, **ours}, self._fields, self._prefix, queue)

    # --- calls ---

    def invoke(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Any:
        """Call the chosen model."""
        return self._chosen(config).invoke(input, config, **kwargs)

    async def ainvoke(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Any:
        """Call the chosen model."""
        return await self._chosen(config).ainvoke(input, config, **kwargs)

    def stream(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Iterator[Any]:
        """Stream from the chosen model."""
        return self._chosen(config).stream(input, config, **kwargs)

    async def astream(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[Any]:
        """Stream from the chosen model."""
        async for chunk in self._chosen(config).astream(input, config, **kwargs):
            yield chunk

    def transform(
        self,
        input: Iterator[LanguageModelInput],  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Iterator[Any]:
        """Stream from the chosen model what comes in pieces."""
        return self._chosen(config).transform(input, config, **kwargs)

    async def atransform(
        self,
        input: AsyncIterator[LanguageModelInput],  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[Any]:
        """Stream from the chosen model what comes in pieces."""
        async for chunk in self._chosen(config).atransform(input, config, **kwargs):
            yield chunk

    async def astream_events(  # type: ignore[override]  # core gives each version a type of its own
        self,
        input: Any,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[Any]:
        """Stream the events of the chosen model."""
        async for event in self._chosen(config).astream_events(input, config, **kwargs):
            yield event


def _is_of_chat_models(name: str) -> bool:
    """Whether a private name is one that LangChain asks of every chat model."""
    from langchain_core.language_models import BaseChatModel

    return not name.startswith("__") and hasattr(BaseChatModel, name)


def _make(arguments: Mapping[str, Any]) -> BaseChatModel:
    given = dict(arguments)
    provider = given.pop("model_provider", None)
    model = str(given.pop("model", ""))
    named, separator, name = model.partition(":")
    if provider is None and separator and _is_ours(named):
        provider, model = PROVIDER, name
    if provider is not None and _is_ours(provider):
        return _ours(model, given)
    return _from_langchain(model, provider, given)


def _is_ours(provider: str) -> bool:
    return provider.replace("-", "_").lower() == PROVIDER


def _ours(model: str, given: dict[str, Any]) -> BaseChatModel:
    from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI

    return ChatTammaOpenAI(**({"model": model} if model else {}), **given)


def _from_langchain(model: str, provider: str | None, given: dict[str, Any]) -> BaseChatModel:
    try:
        from langchain.chat_models import init_chat_model as init
    except ModuleNotFoundError as error:
        from langchain_tamma_openai.errors import ConfigurationError

        wanted = f"{provider}:{model}" if provider else model
        raise ConfigurationError(
            f"model: got {wanted!r}, and only {PROVIDER}:MODEL works without LangChain's own "
            "init_chat_model; run: pip install langchain",
            code="missing_package",
            param="model",
        ) from error
    return cast("BaseChatModel", init(model, model_provider=provider, **given))
