"""The decisions of the tool loop: what comes next and when to stop. No I/O but the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, TypeAlias

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    BaseMessage,
    HumanMessage,
    InvalidToolCall,
    ToolCall,
    ToolMessage,
    convert_to_messages,
)
from langchain_core.messages.ai import UsageMetadata, add_usage
from langchain_core.prompt_values import PromptValue

from langchain_tamma_openai.pricing_cost import Cost, add_usd
from langchain_tamma_openai.resilience.bounds import check_positive_count, check_seconds, refuse

Stopped: TypeAlias = Literal["answer", "iterations", "time", "cost"]
NOT_SPENT = Decimal(0)


@dataclass(frozen=True, slots=True)
class ToolLoopResult:
    """What a tool loop came to.

    Attributes:
        messages: The whole conversation: what was given, then every answer and tool result. Give
            it to the loop again to go on.
        answer: The model's last message when it answered; None when a limit stopped the loop.
        iterations: Requests made to the model.
        stopped: `"answer"`, or the limit that was reached: `"iterations"`, `"time"`, `"cost"`.
        usage: Tokens of all requests of this loop; None when no answer told any.
        cost_usd: Cost of all requests of this loop in US dollars; None when that of any of them
            is not known.
    """

    messages: list[BaseMessage]
    answer: AIMessage | None
    iterations: int
    stopped: Stopped
    usage: UsageMetadata | None
    cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class LoopLimits:
    """When a loop ends at the latest.

    Raises:
        ConfigurationError: A limit is not a positive number.
    """

    max_iterations: int = 10
    max_cost_usd: Decimal | float | None = None
    timeout_s: float | None = None

    def __post_init__(self) -> None:
        """Check the limits."""
        check_positive_count(self.max_iterations, "max_iterations")
        if self.timeout_s is not None:
            check_seconds(self.timeout_s, "timeout_s")
        if self.max_cost_usd is not None and not _is_amount(self.max_cost_usd):
            refuse("max_cost_usd", self.max_cost_usd, "an amount of US dollars greater than 0")

    @property
    def cost_usd(self) -> Decimal | None:
        """The limit as an exact amount."""
        return None if self.max_cost_usd is None else Decimal(str(self.max_cost_usd))


@dataclass(slots=True)
class LoopState:
    """One loop while it runs."""

    messages: list[BaseMessage]
    limits: LoopLimits
    clock: Callable[[], float] = time.monotonic
    iterations: int = 0
    usage: UsageMetadata | None = None
    cost_usd: Decimal | None = NOT_SPENT
    started_at: float = field(init=False)

    def __post_init__(self) -> None:
        """Start the clock."""
        self.started_at = self.clock()

    def pending(self) -> list[ToolCall | InvalidToolCall]:
        """List the calls of the last answer that have no result yet, invalid ones included."""
        answered: set[str] = set()
        for message in reversed(self.messages):
            if isinstance(message, AIMessage):
                calls: list[ToolCall | InvalidToolCall] = [*message.tool_calls]
                calls += message.invalid_tool_calls
                return [call for call in calls if (call["id"] or "") not in answered]
            if not isinstance(message, ToolMessage):
                break
            answered.add(message.tool_call_id)
        return []

    def is_answered(self) -> bool:
        """Tell whether the last message is an answer that calls nothing."""
        return (
            bool(self.messages) and isinstance(self.messages[-1], AIMessage) and not self.pending()
        )

    def stop(self) -> Stopped | None:
        """Say why the next request must not be made, or None when it may."""
        if self.is_answered():
            return "answer"
        if self.iterations >= self.limits.max_iterations:
            return "iterations"
        limit = self.limits.cost_usd
        if limit is not None and (self.cost_usd is None or self.cost_usd >= limit):
            return "cost"
        return "time" if self.is_out_of_time() else None

    def is_out_of_time(self) -> bool:
        """Tell whether nothing more may be started."""
        left = self.time_left_s()
        return left is not None and left <= 0

    def time_left_s(self) -> float | None:
        """Seconds until the time limit; None when there is none."""
        if self.limits.timeout_s is None:
            return None
        return self.limits.timeout_s - (self.clock() - self.started_at)

    def take(self, answer: AIMessage) -> None:
        """Add an answer of the model with what it used and cost."""
        self.messages.append(answer)
        self.iterations += 1
        if answer.usage_metadata is not None:
            self.usage = add_usage(self.usage, answer.usage_metadata)
        self.cost_usd = add_usd(self.cost_usd, cost_of(answer))

    def result(self, stopped: Stopped) -> ToolLoopResult:
        """Sum up."""
        last = self.messages[-1] if stopped == "answer" else None
        return ToolLoopResult(
            messages=list(self.messages),
            answer=last if isinstance(last, AIMessage) else None,
            iterations=self.iterations,
            stopped=stopped,
            usage=self.usage,
            cost_usd=self.cost_usd,
        )


def cost_of(answer: AIMessage) -> Decimal | None:
    """Give what an answer cost in US dollars: as it says itself, else by its tokens and model.

    Args:
        answer: An answer of any LangChain chat model.
    """
    facts = answer.response_metadata
    if "cost" in facts:
        cost = Cost.from_metadata(facts["cost"])
        return cost.total_usd if cost else None
    model = facts.get("model_name") or facts.get("model")
    if answer.usage_metadata is None or not isinstance(model, str):
        return None
    from langchain_tamma_openai.pricing import CostCalculator

    return CostCalculator().cost(answer.usage_metadata, model).total_usd


def conversation(messages: LanguageModelInput) -> list[BaseMessage]:
    """Give the messages of any input a chat model takes, as a new list.

    Args:
        messages: Text, a prompt, or messages in any form LangChain converts.
    """
    if isinstance(messages, str):
        return [HumanMessage(messages)]
    if isinstance(messages, PromptValue):
        return messages.to_messages()
    converted: Sequence[AnyMessage | BaseMessage] = convert_to_messages(messages)
    return list(converted)


def _is_amount(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return False
    amount = Decimal(str(value))
    return amount.is_finite() and amount > 0
