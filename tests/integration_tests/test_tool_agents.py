"""Agents and loops end to end against a server that breaks tool calls: they recover."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from llmock.pytest_plugin import LLMock

from langchain_tamma_openai import ChatTammaOpenAI
from langchain_tamma_openai.tools.arguments import tool_errors_as_messages
from langchain_tamma_openai.tools.executor import ToolExecutor
from langchain_tamma_openai.tools.loop import arun_tool_loop, run_tool_loop, stream_tool_loop
from langchain_tamma_openai.tools.middleware import ToolCallRecovery

Agent: TypeAlias = Any
Ask: TypeAlias = Callable[[Agent, str], list[BaseMessage]]
RAN: list[str] = []


@tool
def weather(city: str) -> str:
    """Tell the weather of a city."""
    RAN.append(city)
    return f"Sunny in {city}"


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    RAN.clear()


@pytest.fixture
def llm(llmock: LLMock) -> ChatTammaOpenAI:
    assert llmock.url
    return ChatTammaOpenAI(model="gpt-5.4", reasoning_effort="none")


def _invoke(agent: Agent, question: str) -> list[BaseMessage]:
    return list(agent.invoke({"messages": [HumanMessage(question)]})["messages"])


def _ainvoke(agent: Agent, question: str) -> list[BaseMessage]:
    return list(asyncio.run(agent.ainvoke({"messages": [HumanMessage(question)]}))["messages"])


def _stream(agent: Agent, question: str) -> list[BaseMessage]:
    states = list(agent.stream({"messages": [HumanMessage(question)]}, stream_mode="values"))
    return list(states[-1]["messages"])


ASKS: dict[str, Ask] = {"invoke": _invoke, "ainvoke": _ainvoke, "stream": _stream}
every_ask = pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)


def statuses(messages: list[BaseMessage]) -> list[str]:
    return [message.status for message in messages if isinstance(message, ToolMessage)]


def script(llmock: LLMock, broken: str | None) -> None:
    """A call, broken when asked so; another call; an answer."""
    llmock.call_tool("weather", {"city": "Oslo"})
    if broken:
        llmock.break_tool_call(broken)
        llmock.call_tool("weather", {"city": "Oslo"})
    llmock.reply("It is sunny.")


@every_ask
@pytest.mark.parametrize("broken", [None, "malformed_arguments", "unknown_tool"])
def test_an_agent_answers_and_recovers_from_broken_calls(
    llmock: LLMock, llm: ChatTammaOpenAI, ask: Ask, broken: str | None
) -> None:
    script(llmock, broken)
    agent = create_agent(llm, [weather], middleware=[ToolCallRecovery()])
    messages = ask(agent, "What is the weather in Oslo?")
    assert messages[-1].text == "It is sunny."
    assert statuses(messages) == (["error", "success"] if broken else ["success"])
    assert RAN == ["Oslo"]


@every_ask
def test_an_agent_that_never_recovers_ends(llmock: LLMock, llm: ChatTammaOpenAI, ask: Ask) -> None:
    llmock.call_tool("weather", {"city": "Oslo"}, times=None)
    llmock.break_tool_call("malformed_arguments", times=None)
    agent = create_agent(llm, [weather], middleware=[ToolCallRecovery(max_attempts=2)])
    messages = ask(agent, "What is the weather in Oslo?")
    assert statuses(messages) == ["error", "error"]
    assert RAN == []


@every_ask
def test_a_graph_with_langgraphs_tool_node_runs_to_its_end(
    llmock: LLMock, llm: ChatTammaOpenAI, ask: Ask
) -> None:
    script(llmock, "unknown_tool")
    bound = llm.bind_tools([weather])

    def model(state: MessagesState) -> dict[str, Any]:
        answer = bound.invoke(state["messages"])
        return {"messages": [answer, *tool_errors_as_messages(answer)]}

    graph = StateGraph(MessagesState)
    graph.add_node("model", model)
    graph.add_node("tools", ToolNode([weather]))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    messages = ask(graph.compile(), "What is the weather in Oslo?")
    assert messages[-1].text == "It is sunny."
    assert statuses(messages) == ["error", "success"]


@every_ask
def test_the_executor_is_a_node_of_a_graph(llmock: LLMock, llm: ChatTammaOpenAI, ask: Ask) -> None:
    script(llmock, "malformed_arguments")
    executor = ToolExecutor([weather], timeout_s=20)
    bound = llm.bind_tools(executor.tools)

    def model(state: MessagesState) -> dict[str, Any]:
        return {"messages": [bound.invoke(state["messages"])]}

    def tools(state: MessagesState) -> dict[str, Any]:
        last = state["messages"][-1]
        assert isinstance(last, AIMessage)
        return {"messages": executor.run(last)}

    def is_done(state: MessagesState) -> str:
        last = state["messages"][-1]
        assert isinstance(last, AIMessage)
        return "tools" if last.tool_calls or last.invalid_tool_calls else "__end__"

    graph = StateGraph(MessagesState)
    graph.add_node("model", model)
    graph.add_node("tools", tools)
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", is_done)
    graph.add_edge("tools", "model")
    messages = ask(graph.compile(), "What is the weather in Oslo?")
    assert messages[-1].text == "It is sunny."
    assert statuses(messages) == ["error", "success"]


def _run(llm: ChatTammaOpenAI) -> Any:
    return run_tool_loop(llm, "What is the weather in Oslo?", [weather])


def _arun(llm: ChatTammaOpenAI) -> Any:
    return asyncio.run(arun_tool_loop(llm, "What is the weather in Oslo?", [weather]))


def _streamed(llm: ChatTammaOpenAI) -> Any:
    return list(stream_tool_loop(llm, "What is the weather in Oslo?", [weather]))[-1]


@pytest.mark.parametrize("run", [_run, _arun, _streamed])
@pytest.mark.parametrize("broken", [None, "malformed_arguments", "unknown_tool"])
@pytest.mark.parametrize("use_responses_api", [False, True])
def test_the_loop_recovers_and_counts(
    llmock: LLMock,
    run: Callable[[ChatTammaOpenAI], Any],
    broken: str | None,
    use_responses_api: bool,  # noqa: FBT001 - a case
) -> None:
    script(llmock, broken)
    llm = ChatTammaOpenAI(
        model="gpt-5.4", reasoning_effort="none", use_responses_api=use_responses_api
    )
    result = run(llm)
    assert (result.stopped, result.answer.text) == ("answer", "It is sunny.")
    assert statuses(result.messages) == (["error", "success"] if broken else ["success"])
    assert result.iterations == (3 if broken else 2)
    assert result.usage["total_tokens"] > 0
    assert result.cost_usd > 0
    assert RAN == ["Oslo"]


@pytest.mark.parametrize("run", [_run, _arun, _streamed])
@pytest.mark.parametrize("use_responses_api", [False, True])
def test_the_loop_recovers_from_arguments_that_do_not_fit(
    llmock: LLMock,
    run: Callable[[ChatTammaOpenAI], Any],
    use_responses_api: bool,  # noqa: FBT001 - a case
) -> None:
    llmock.call_tool("weather", {"town": 1})
    script(llmock, None)
    llm = ChatTammaOpenAI(
        model="gpt-5.4", reasoning_effort="none", use_responses_api=use_responses_api
    )
    result = run(llm)
    assert (result.stopped, result.answer.text) == ("answer", "It is sunny.")
    assert statuses(result.messages) == ["error", "success"]
    first = next(each for each in result.messages if isinstance(each, ToolMessage))
    assert "'city' is a required property" in first.text
    assert RAN == ["Oslo"]


@every_ask
def test_an_agent_with_recovery_corrects_arguments_that_do_not_fit(
    llmock: LLMock, llm: ChatTammaOpenAI, ask: Ask
) -> None:
    llmock.call_tool("weather", {"town": 1})
    script(llmock, None)
    agent = create_agent(llm, [weather], middleware=[ToolCallRecovery()])
    messages = ask(agent, "What is the weather in Oslo?")
    assert messages[-1].text == "It is sunny."
    assert statuses(messages) == ["error", "success"]
    assert RAN == ["Oslo"]


@every_ask
def test_a_plain_agent_answers_an_unknown_tool_and_ends_at_an_invalid_call(
    llmock: LLMock, llm: ChatTammaOpenAI, ask: Ask
) -> None:
    script(llmock, "unknown_tool")
    agent = create_agent(llm, [weather])
    messages = ask(agent, "What is the weather in Oslo?")
    assert messages[-1].text == "It is sunny."
    assert statuses(messages) == ["error", "success"]
    llmock.call_tool("weather", {"town": 1})
    last = ask(agent, "What is the weather in Oslo?")[-1]
    assert isinstance(last, AIMessage)
    assert [call["name"] for call in last.invalid_tool_calls] == ["weather"]
    assert RAN == ["Oslo"]


@every_ask
def test_an_agent_sends_the_system_prompt_of_its_model(llmock: LLMock, ask: Ask) -> None:
    script(llmock, None)
    llm = ChatTammaOpenAI(
        model="gpt-5.4", reasoning_effort="none", system_prompt="Be brief, {{x}}."
    )
    ask(create_agent(llm, [weather]), "What is the weather in Oslo?")
    for request in llmock.requests:
        first = (request.body.get("messages") or request.body.get("input"))[0]
        assert first["role"] in ("system", "developer")
        assert first["content"] == "Be brief, {{x}}."


def test_a_graph_streams_the_messages_of_a_call_that_must_not_be_run(
    llmock: LLMock, llm: ChatTammaOpenAI
) -> None:
    llmock.call_tool("weather", {"town": 1})
    agent = create_agent(llm, [weather])
    question: Any = {"messages": [HumanMessage("What is the weather in Oslo?")]}
    whole: Any = None
    for chunk, _ in agent.stream(question, stream_mode="messages"):
        whole = chunk if whole is None else whole + chunk
    assert whole.tool_calls == []
    assert "'city' is a required property" in whole.invalid_tool_calls[0]["error"]
