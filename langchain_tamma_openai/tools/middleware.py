"""Lets a LangChain agent recover from tool calls that cannot be run; needs `langchain`."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage

from langchain_tamma_openai.resilience.bounds import check_positive_count
from langchain_tamma_openai.tools.arguments import tool_errors_as_messages

try:
    from langchain.agents.middleware import AgentMiddleware, AgentState, hook_config
    from langgraph.runtime import Runtime
except ImportError as error:
    raise ImportError(
        "ToolCallRecovery is for LangChain agents; install them with pip install langchain"
    ) from error


class ToolCallRecovery(AgentMiddleware):
    """Answers the `invalid_tool_calls` of a model with their reasons and asks it again.

    Without it an agent takes a message whose only call is invalid for the final answer, and sends
    calls without results when only some are invalid, which the API refuses::

        agent = create_agent(llm, tools, middleware=[ToolCallRecovery()])
    """

    def __init__(self, max_attempts: int = 3) -> None:
        """Make the middleware.

        Args:
            max_attempts: How many answers in a row may consist of invalid calls only, before the
                agent ends with the last of them.

        Raises:
            ConfigurationError: It is not a whole number of at least 1.
        """
        super().__init__()
        check_positive_count(max_attempts, "max_attempts")
        self.max_attempts = max_attempts

    @hook_config(can_jump_to=["model"])
    def after_model(
        self,
        state: AgentState[Any],
        runtime: Runtime[None],  # noqa: ARG002 - the signature of the hook
    ) -> dict[str, Any] | None:
        """Answer invalid calls; jump back to the model when there is nothing else to run."""
        return self._answered(state["messages"])

    @hook_config(can_jump_to=["model"])
    async def aafter_model(
        self,
        state: AgentState[Any],
        runtime: Runtime[None],  # noqa: ARG002 - the signature of the hook
    ) -> dict[str, Any] | None:
        """Do the same in an event loop."""
        return self._answered(state["messages"])

    def _answered(self, messages: list[AnyMessage]) -> dict[str, Any] | None:
        last = messages[-1] if messages else None
        if not isinstance(last, AIMessage) or not last.invalid_tool_calls:
            return None
        update: dict[str, Any] = {"messages": tool_errors_as_messages(last)}
        if not last.tool_calls and _failed_in_a_row(messages) < self.max_attempts:
            update["jump_to"] = "model"
        return update


def _failed_in_a_row(messages: list[AnyMessage]) -> int:
    """Count the answers at the end that hold nothing but invalid calls."""
    count = 0
    for message in reversed(messages):
        if isinstance(message, HumanMessage):
            break
        if isinstance(message, AIMessage):
            if message.tool_calls or not message.invalid_tool_calls:
                break
            count += 1
    return count
