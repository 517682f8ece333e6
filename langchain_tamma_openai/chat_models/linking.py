"""Hooks of LangChain at which a call's link to its callbacks is sent along, or taken out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage

from langchain_tamma_openai.chat_models.mixin import Mixin

if TYPE_CHECKING:
    from langchain_core.callbacks import (
        AsyncCallbackManagerForLLMRun,
        CallbackManagerForLLMRun,
    )
    from langchain_core.language_models import LanguageModelInput
    from langchain_core.messages import AIMessageChunk, BaseMessage
    from langchain_core.outputs import ChatResult
    from langchain_core.runnables import RunnableConfig

    from langchain_tamma_openai.chat_models.run_link import RunLink
    from langchain_tamma_openai.prompts.model import RenderedPrompt
    from langchain_tamma_openai.usage.model_runs import ModelRuns


LINK = "tamma_run_link"
"""Name under which a run's link travels beside the call's parameters."""


class LinkingMixin(Mixin):
    """Ties each run to its callbacks, whichever way LangChain begins it."""

    if TYPE_CHECKING:
        _runs: ModelRuns | None

        def _rendered_prompt(self) -> RenderedPrompt | None: ...

        def _policies_of_answers(self) -> list[str]: ...

    def stream(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:
        """Stream an answer; see LangChain's `BaseChatModel.stream`."""
        from langchain_tamma_openai.chat_models.run_link import linked

        config, kwargs = linked(config, self.callbacks, kwargs)
        chunks = super().stream(input, config, stop=stop, **kwargs)
        if not self._is_followed(kwargs, is_async=False):
            return chunks
        from langchain_tamma_openai.chat_models.followed import followed

        return followed(chunks, self._runs, kwargs[LINK], self)

    def astream(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        """Stream an answer; see LangChain's `BaseChatModel.astream`."""
        from langchain_tamma_openai.chat_models.run_link import linked

        config, kwargs = linked(config, self.callbacks, kwargs)
        chunks = super().astream(input, config, stop=stop, **kwargs)
        if not self._is_followed(kwargs, is_async=True):
            return chunks
        from langchain_tamma_openai.chat_models.followed import afollowed

        return afollowed(chunks, self._runs, kwargs[LINK], self)

    def _is_followed(self, kwargs: Mapping[str, Any], *, is_async: bool) -> bool:
        """Whether a call is streamed, and somebody hears of it; one that is not tells by itself."""
        if self._runs is None and not kwargs[LINK].is_heard:
            return False
        return self._should_stream(async_api=is_async, **{**kwargs, "stream": True})

    def _generate_with_cache(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        kwargs[LINK] = link = _link(run_manager, is_invoke=True)
        if run_manager is None or (runs := self._runs) is None:
            result = super()._generate_with_cache(messages, stop, run_manager, **kwargs)
            return with_all_calls_in_blocks(result)
        link.watcher = run = runs.begin(run_manager)
        try:
            result = super()._generate_with_cache(messages, stop, run_manager, **kwargs)
            result = with_all_calls_in_blocks(result)
        except BaseException as error:
            run.fail(error)
            raise
        run.finish(result)
        return result

    async def _agenerate_with_cache(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        kwargs[LINK] = link = _link(run_manager, is_invoke=True)
        runs: ModelRuns | None = None if run_manager is None else self._runs
        run = None if runs is None or run_manager is None else runs.begin(run_manager)
        link.watcher = run
        try:
            result = await super()._agenerate_with_cache(messages, stop, run_manager, **kwargs)
            result = with_all_calls_in_blocks(result)
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError):
                link.abandoned(error)
            if run is not None:
                await run.afail(error)
            raise
        if run is not None:
            await run.afinish(result)
        return result

    def _iter_v2_events(self, messages: list[BaseMessage], **kwargs: Any) -> Iterator[Any]:
        self._link_events(kwargs)
        return super()._iter_v2_events(messages, **kwargs)

    def _aiter_v2_events(self, messages: list[BaseMessage], **kwargs: Any) -> AsyncIterator[Any]:
        self._link_events(kwargs)
        return super()._aiter_v2_events(messages, **kwargs)

    def _link_events(self, kwargs: dict[str, Any]) -> None:
        """Tie a run of LangChain's newer events to its callbacks, unless `invoke` has done so."""
        if LINK not in kwargs:
            run_manager = kwargs["run_manager"]
            kwargs[LINK] = _link(run_manager, is_invoke=False)
            if self._runs is not None:
                self._runs.listen(run_manager)

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        text: str = super()._get_llm_string(stop=stop, **_without_link(kwargs))
        # Neither what a registry holds under an id nor our policies are in the serialised model.
        prompt = self._rendered_prompt()
        beside = self._policies_of_answers()
        if prompt is not None:
            beside.append(f"system_prompt:{prompt.hash}")
        return "---".join([text, *beside])

    def _get_invocation_params(
        self, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        return super()._get_invocation_params(stop=stop, **_without_link(kwargs))


def _link(
    run_manager: CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun | None, *, is_invoke: bool
) -> RunLink:
    from langchain_tamma_openai.chat_models.run_link import RunLink

    return RunLink.of(run_manager, is_invoke=is_invoke)


def _without_link(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in kwargs.items() if name != LINK}


def with_all_calls_in_blocks(result: ChatResult) -> ChatResult:
    """Say in the content blocks of plain answers what became of calls that were judged.

    Core makes blocks of an answer of Chat Completions from its valid calls with an id alone. Where
    nothing was judged the blocks stay those of `ChatOpenAI`.

    Args:
        result: The answers.
    """
    for generation in result.generations:
        message = generation.message
        if not isinstance(message, AIMessage) or not isinstance(message.content, list):
            continue
        if message.response_metadata.get("output_version") != "v1":
            continue
        calls = [*message.tool_calls, *message.invalid_tool_calls]
        if not any(_was_judged(call) for call in calls):
            continue
        rest = [block for block in message.content if not _is_call(block)]
        if len(message.content) - len(rest) < len(calls):
            content = [*rest, *(dict(call) for call in calls)]
            generation.message = message.model_copy(update={"content": content})
    return result


def _was_judged(call: Mapping[str, Any]) -> bool:
    """Whether a call has no id to be found by, or was refused for its schema."""
    from langchain_tamma_openai.wire.arguments import NOT_OF_THE_SCHEMA

    return call["id"] is None or str(call.get("error")).startswith(NOT_OF_THE_SCHEMA)


def _is_call(block: object) -> bool:
    return isinstance(block, dict) and block.get("type") in ("tool_call", "invalid_tool_call")
