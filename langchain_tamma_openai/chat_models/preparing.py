"""What happens to a call before it becomes a request: prompt, history, parameters, tools.

Each of these is off, or absent, unless a setting asks for it; then nothing here is loaded.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, cast

from langchain_core.messages import AIMessage, AIMessageChunk

from langchain_tamma_openai.chat_models.mixin import Mixin
from langchain_tamma_openai.chat_models.settings import base_url

if TYPE_CHECKING:
    from langchain_core.language_models import LanguageModelInput
    from langchain_core.messages import BaseMessage, ToolCallChunk
    from langchain_core.outputs import ChatGenerationChunk, ChatResult

    from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI
    from langchain_tamma_openai.chat_models.calls import Call
    from langchain_tamma_openai.lint import Problem
    from langchain_tamma_openai.parameters.problems import Api, ParameterPolicy
    from langchain_tamma_openai.prompts.model import RenderedPrompt
    from langchain_tamma_openai.resilience.stream import StreamDecoder
    from langchain_tamma_openai.tools.arguments import ArgumentPolicy

_LEADS_ELSEWHERE = ("http_client", "http_async_client", "provider")
_DECIDES_ANSWERS = (
    "system_prompt_rule",
    "history_policy",
    "tool_argument_policy",
    "adaptive",
)
_SERVER_KEEPS_HISTORY = ("previous_response_id", "conversation")


@dataclass(slots=True)
class Prepared:
    """A call made ready.

    Attributes:
        messages: The conversation with the system prompt, repaired where that was wanted.
        options: The parameters, with those that were chosen for this call.
        notes: What of it the answer's `response_metadata` tells.
        facts: What of it records and traces tell.
    """

    messages: list[BaseMessage]
    options: dict[str, Any]
    notes: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, object] = field(default_factory=dict)


class PreparingMixin(Mixin):
    """System prompts, history, parameters and tool arguments under control."""

    if TYPE_CHECKING:

        @property
        def _default_params(self) -> dict[str, Any]: ...

        def _use_responses_api(self, payload: dict[str, Any]) -> bool: ...

        def _get_request_payload(
            self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
        ) -> dict[str, Any]: ...

    def _settle_preparations(self) -> None:
        """Look at the settings once; called when the model is made.

        Raises:
            ConfigurationError: One of them cannot be used.
            PromptError: The system prompt names one that is not in the registry given with it.
        """
        from langchain_tamma_openai.resilience.bounds import refuse

        if self.adaptive is not None and not hasattr(self.adaptive, "choose"):
            refuse("adaptive", self.adaptive, "an AdaptiveParameters")
        if self.prompt_registry is not None and not hasattr(self.prompt_registry, "resolve"):
            refuse("prompt_registry", self.prompt_registry, "a PromptRegistry")
        if self.prompt_registry is not None and isinstance(self.system_prompt, str):
            from langchain_tamma_openai.prompts.references import looks_like_reference

            if looks_like_reference(self.system_prompt) and (
                self.system_prompt not in self.prompt_registry
            ):
                self._rendered_prompt()

    def with_system_prompt(self, system_prompt: object, /, **variables: object) -> Self:
        """Return a model like this one with another system prompt.

        Args:
            system_prompt: Id of a registered prompt (`"support@3"`, or `"support"` for its latest
                version), a text, or a `SystemPrompt`.
            **variables: A value for each of its variables.

        Raises:
            PromptError: There is no such prompt, or its variables do not fit.
        """
        changes = {"system_prompt": system_prompt, "prompt_variables": variables or None}
        other = self.model_copy(update=changes)
        other._rendered_prompt()
        return other

    def _rendered_prompt(self) -> RenderedPrompt | None:
        if self.system_prompt is None and not self.prompt_variables:
            return None
        from langchain_tamma_openai.prompts.merge import resolve_system_prompt

        return resolve_system_prompt(
            self.system_prompt, self.prompt_variables, self.prompt_registry
        )

    def _policies_of_answers(self) -> list[str]:
        """List what beside the serialised model decides which answer a call gets."""
        given = {name: getattr(self, name) for name in _DECIDES_ANSWERS}
        usual = {name: type(self).model_fields[name].default for name in _DECIDES_ANSWERS}
        return [f"{name}={given[name]!r}" for name in given if given[name] != usual[name]]

    def _prepare(self, messages: list[BaseMessage], options: dict[str, Any]) -> Prepared:
        """Make a call ready; once for all its attempts and fallbacks.

        Args:
            messages: The conversation.
            options: Parameters of the call.

        Raises:
            PromptError: The system prompt cannot be rendered.
            InvalidParameterError: The history would be refused, and the policy is strict.
        """
        prepared = Prepared(messages, options)
        if (rendered := self._rendered_prompt()) is not None:
            from langchain_tamma_openai.prompts.merge import apply_system_prompt

            prepared.messages = apply_system_prompt(
                messages, rendered, rule=self.system_prompt_rule
            )
            prepared.facts.update(rendered.trace_metadata())
        if self.history_policy != "off":
            self._check_history(prepared)
        if self.adaptive is not None:
            self._adapt(prepared)
        return prepared

    def _check_history(self, prepared: Prepared) -> None:
        from langchain_tamma_openai.history_repair import HistoryChecker

        params = {**self._default_params, **prepared.options}
        applied = HistoryChecker(self.history_policy).apply(
            prepared.messages,
            str(params.get("model")),
            api=self._api(params),
            server_keeps_history=self.use_previous_response_id
            or any(params.get(name) for name in _SERVER_KEEPS_HISTORY),
        )
        prepared.messages = applied.messages
        if applied.repairs:
            prepared.notes["history_repairs"] = [each.as_metadata() for each in applied.repairs]

    def _adapt(self, prepared: Prepared) -> None:
        given = {**self._default_params, **prepared.options}
        model = str(given.pop("model", self.model_name))
        explicit = {name: value for name, value in given.items() if name != "stream"}
        choice = self.adaptive.choose(  # type: ignore[union-attr]  # looked at when the model was made
            prepared.messages, explicit, model, self._api({**explicit, "model": model})
        )
        prepared.options = {**choice.params, **prepared.options}
        prepared.notes["adaptive_parameters"] = choice.as_metadata()

    def _api(self, params: dict[str, Any]) -> Api:
        return "responses" if self._use_responses_api(params) else "chat_completions"

    # --- parameters ---

    @property
    def _policy_of_parameters(self) -> ParameterPolicy:
        if self.parameter_policy is not None:
            return self.parameter_policy
        if any(getattr(self, name) is not None for name in _LEADS_ELSEWHERE):
            return "off"  # where such a client leads is not ours to know
        from langchain_tamma_openai.parameters.settings import default_policy

        return default_policy(base_url(self))

    def _left_out(
        self, payload: dict[str, Any], stop: list[str] | None, options: dict[str, Any]
    ) -> dict[str, Any]:
        """Give what was asked for and has no place in the body: `stop` on the Responses API."""
        if "messages" in payload:
            return {}
        asked = stop or options.get("stop") or self.stop or self.model_kwargs.get("stop")
        return {"stop": asked} if asked else {}

    def _judged(
        self, params: dict[str, Any], api: Api, policy: ParameterPolicy
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Judge the parameters of a request, and change them where the policy says so.

        Args:
            params: All parameters of the call.
            api: The API that carries it.
            policy: What to do about a parameter that would be refused.

        Returns:
            The parameters to send, and notes for the answer's `response_metadata`.

        Raises:
            InvalidParameterError: A parameter would be refused, and must not be changed.
        """
        from langchain_tamma_openai.parameters.accepted import ACCEPTED, key_of

        key = key_of(params, api)
        if key in ACCEPTED:
            return params, {}
        from langchain_tamma_openai.parameters.problems import ParameterAdjustedWarning
        from langchain_tamma_openai.parameters.validator import ParameterValidator

        applied = ParameterValidator(policy).decide(params, str(params.get("model")), api)
        if applied.warning is None:
            ACCEPTED.add(key)
            return params, {}
        warnings.warn(applied.warning, ParameterAdjustedWarning, stacklevel=2)
        return applied.params, {
            "parameter_changes": [change.as_metadata() for change in applied.changes]
        }

    # --- tool arguments ---

    def _judge_tools(self, result: ChatResult, call: Call) -> None:
        """Move tool calls of a plain answer aside whose arguments do not fit their schema."""
        tools = call.payload.get("tools")
        if not tools or self.tool_argument_policy == "off":
            return
        for generation in result.generations:
            message = cast("AIMessage", generation.message)
            if message.tool_calls or message.invalid_tool_calls:
                reason = (generation.generation_info or {}).get("finish_reason")
                generation.message = _applied(message, tools, self.tool_argument_policy, reason)

    def _judge_streamed_tools(
        self, last: ChatGenerationChunk, decoder: StreamDecoder, call: Call
    ) -> None:
        """Say on the last chunk which tool calls of the stream must not be run.

        The chunks are merged elsewhere; the merged message reads the verdict there.
        """
        tools = call.payload.get("tools")
        if not tools or self.tool_argument_policy == "off":
            return
        chunks = [cast("AIMessageChunk", chunk.message) for chunk in decoder.chunks]
        calls = [*chunks, cast("AIMessageChunk", last.message)]
        if not any(chunk.tool_call_chunks for chunk in calls):
            return
        from langchain_tamma_openai.wire.verdicts import REPAIRS_KEY, VERDICTS_KEY, verdicts_of

        pieces = _merged_calls(calls)
        whole = _numbered_message(pieces, last, getattr(decoder, "finish_reason", None))
        judged = _applied(whole, tools, self.tool_argument_policy)
        verdicts, repairs = verdicts_of(pieces, whole, judged)
        if verdicts:
            last.message.response_metadata[VERDICTS_KEY] = verdicts
        if repairs:
            last.message.response_metadata[REPAIRS_KEY] = repairs

    # --- all checks, without sending ---

    def lint(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> list[Problem]:
        """Find everything wrong with a call without sending it.

        Parameters, tools and their schemas, the response format, the history, the size of the
        context window, and what the call may cost against the budget.

        Args:
            input: A prompt, messages or a string.
            stop: Where to stop generating.
            **kwargs: Parameters of the call, `tools` among them.

        Returns:
            All problems, each with its remedy; empty when there are none.
        """
        from langchain_tamma_openai.chat_models.linting import lint_call

        return lint_call(cast("ChatTammaOpenAI", self), input, stop, kwargs)


def _applied(
    message: AIMessage,
    tools: Sequence[Mapping[str, Any]],
    policy: ArgumentPolicy,
    finish_reason: str | None = None,
) -> AIMessage:
    from langchain_tamma_openai.tools.arguments import apply_argument_policy
    from langchain_tamma_openai.tools.definitions import tool_schemas

    return apply_argument_policy(message, tool_schemas(tools), policy, finish_reason=finish_reason)


def _merged_calls(chunks: Sequence[AIMessageChunk]) -> list[ToolCallChunk]:
    from langchain_core.utils._merge import merge_lists

    pieces = [list(chunk.tool_call_chunks) for chunk in chunks if chunk.tool_call_chunks]
    return cast("list[ToolCallChunk]", merge_lists(*pieces) or [])


def _numbered_message(
    calls: Sequence[ToolCallChunk], last: ChatGenerationChunk, finish_reason: object
) -> AIMessageChunk:
    """Make a message of nothing but merged calls, and why the stream ended."""
    from langchain_tamma_openai.wire.chunks import StrictAIMessageChunk
    from langchain_tamma_openai.wire.verdicts import numbered

    status = last.message.response_metadata.get("status")
    return StrictAIMessageChunk(
        content="",
        tool_call_chunks=numbered(calls),
        response_metadata={"finish_reason": finish_reason, "status": status},
        chunk_position="last",
    )
