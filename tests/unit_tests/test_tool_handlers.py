"""Handlers: what they are given, what they may return, how they are registered."""

from __future__ import annotations

from typing import Annotated, Any, cast

import pytest
from langchain_core.messages import ToolMessage
from langchain_core.tools import (
    InjectedToolArg,
    InjectedToolCallId,
    tool,
)
from langgraph.errors import GraphInterrupt
from langgraph.prebuilt import InjectedState, ToolRuntime
from langgraph.types import Command
from pydantic import BaseModel
from tool_runs import Run, add, call, every_run, greet, shout

from langchain_tamma_openai import ConfigurationError, InvalidToolError
from langchain_tamma_openai.tools.executor import ToolExecutor
from langchain_tamma_openai.tools.handlers import HandlerInfo
from langchain_tamma_openai.wire.tools import tools_to_openai

# --- injected arguments ------------------------------------------------------------------------


class Who(BaseModel):
    question: str
    user_id: Annotated[str, InjectedToolArg]


@tool(args_schema=Who)
def whose(question: str, user_id: str) -> str:
    """Tell whose it is."""
    return f"{question} {user_id}"


@tool
def ticket(
    text: str,
    call_id: Annotated[str, InjectedToolCallId],
    team: Annotated[str, InjectedToolArg] = "all",
) -> str:
    """Open a ticket."""
    return f"{text} {call_id} {team}"


@every_run
def test_injected_arguments_come_from_the_program_never_from_the_model(run: Run) -> None:
    executor = ToolExecutor([whose, ticket])
    calls = [
        call("whose", "1", question="q", user_id="mallory"),
        call("ticket", "2", text="t", call_id="forged", team="forged"),
    ]
    first, second = run(executor, calls, injected={"user_id": "ann", "unused": 1})
    assert (first.content, second.content) == ("q ann", "t 2 all")


@every_run
def test_a_missing_injected_argument_is_the_programs_error(run: Run) -> None:
    with pytest.raises(ConfigurationError, match=r"the tool 'whose' needs 'user_id'"):
        run(ToolExecutor([whose]), call("whose", question="q"))


@every_run
def test_null_from_strict_mode_means_not_given(run: Run) -> None:
    def plan(days: int = 3, note: str | None = "none") -> str:
        """Plan."""
        return f"{days} {note}"

    assert run(ToolExecutor([plan]), call("plan", days=None, note=None))[0].content == "3 None"


# --- what tools return -------------------------------------------------------------------------


@every_run
def test_artifacts_are_kept(run: Run) -> None:
    @tool(response_format="content_and_artifact")
    def chart() -> tuple[str, dict[str, int]]:
        """Draw."""
        return "drawn", {"points": 3}

    [answer] = run(ToolExecutor([chart]), call("chart"))
    assert (answer.content, answer.artifact) == ("drawn", {"points": 3})


@every_run
def test_a_tool_may_return_the_message_itself(run: Run) -> None:
    def own(call_id: Annotated[str, InjectedToolCallId]) -> ToolMessage:
        """Answer."""
        return ToolMessage("mine", tool_call_id=call_id)

    assert run(ToolExecutor([own]), call("own")) == [
        ToolMessage("mine", name="own", tool_call_id="c1")
    ]


@every_run
def test_a_command_of_langgraph_is_refused_by_name(run: Run) -> None:
    def hand_over() -> Command[Any]:
        """Hand over."""
        return Command(goto="other")

    with pytest.raises(InvalidToolError, match=r"'hand_over': it returned a Command, which only"):
        run(ToolExecutor([hand_over]), call("hand_over"))


@every_run
def test_an_interrupt_of_langgraph_is_not_an_error(run: Run) -> None:
    def ask_human() -> str:
        """Ask."""
        raise GraphInterrupt

    with pytest.raises(GraphInterrupt):
        run(ToolExecutor([ask_human]), call("ask_human"))


@every_run
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_keyboard_interrupt_is_not_swallowed(run: Run, kind: str) -> None:
    def interrupted() -> str:
        """Be interrupted."""
        raise KeyboardInterrupt

    async def ainterrupted() -> str:
        """Be interrupted."""
        raise KeyboardInterrupt

    executor = ToolExecutor({"x": interrupted if kind == "sync" else ainterrupted})
    with pytest.raises(KeyboardInterrupt):
        run(executor, call("x"))


# --- the register ------------------------------------------------------------------------------


def test_handlers_are_registered_listed_and_taken_out() -> None:
    executor = ToolExecutor()
    executor.register(add, timeout_s=3)
    executor.register("hello", greet, description="Say hello.")
    executor.register(shout)
    assert executor.list_handlers() == [
        HandlerInfo("add", "Add two numbers.", "sync", 3),
        HandlerInfo("hello", "Say hello.", "sync", None),
        HandlerInfo("shout", "Say it loudly.", "async", None),
    ]
    assert [made.name for made in executor.tools] == ["add", "hello", "shout"]
    executor.unregister("add")
    assert [info.name for info in executor.list_handlers()] == ["hello", "shout"]
    assert executor.run(call("hello", name="Bo"))[0].content == "Hello Bo"


def test_a_tool_under_another_name_is_offered_and_answers_under_it() -> None:
    executor = ToolExecutor({"plus": add})
    assert executor.tools[0].name == "plus"
    assert executor.run(call("plus", a=1)) == [ToolMessage("3", name="plus", tool_call_id="c1")]


def test_a_taken_name_is_refused_unless_it_is_to_be_replaced() -> None:
    executor = ToolExecutor([add])
    with pytest.raises(ConfigurationError, match="name: got 'add'"):
        executor.register(add)
    executor.register("add", lambda a: a * 100, replace=True)
    assert executor.run(call("add", a=2))[0].content == "200"


def test_extending_leaves_the_original_as_it_is() -> None:
    base = ToolExecutor([add], timeout_s=7, max_concurrency=2)
    more = base.extended([greet])
    assert [info.name for info in base.list_handlers()] == ["add"]
    assert sorted(info.name for info in more.list_handlers()) == ["add", "greet"]
    assert (more.timeout_s, more.max_concurrency) == (7, 2)


def test_any_callable_is_a_handler() -> None:
    class Counter:
        """Count."""

        async def __call__(self, n: int) -> int:
            return n + 1

    handlers: dict[str, Any] = {"count": Counter(), "upper": lambda text: text.upper()}

    def anything(**kwargs: Any) -> str:
        return str(sorted(kwargs))

    executor = ToolExecutor({**handlers, "anything": anything})
    calls = [call("count", n=1), call("anything", a=1, b=2), call("upper", text="x")]
    assert [m.content for m in executor.run(calls)] == ["2", "['a', 'b']", "X"]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": "1"}, "timeout_s"),
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"handle_errors": "yes"}, "handle_errors"),
        ({"tools": [3]}, "handler"),
        ({"tools": [Who]}, "handler"),
        ({"tools": [add, add]}, "name"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(options: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{field}: got"):
        ToolExecutor(**options)


def test_what_is_not_there_cannot_be_taken_out() -> None:
    with pytest.raises(ConfigurationError, match=r"name: got 'x', must be one of add"):
        ToolExecutor([add]).unregister("x")
    with pytest.raises(ConfigurationError, match="handler"):
        ToolExecutor().register("x", cast("Any", None))


@every_run
def test_state_and_runtime_of_langgraph_are_injected_by_name(run: Run) -> None:
    def recall(key: str, state: Annotated[dict[str, str], InjectedState]) -> str:
        """Recall."""
        return state[key]

    def see(runtime: ToolRuntime[None, Any]) -> str:
        """See."""
        return str(runtime.state)

    executor = ToolExecutor([recall, see])
    offered = [function["function"]["parameters"] for function in tools_to_openai(executor.tools)]
    assert [list(schema["properties"]) for schema in offered] == [["key"], []]
    runtime: ToolRuntime[None, Any] = ToolRuntime(
        state="live",
        context=None,
        config={},
        stream_writer=print,
        tool_call_id=None,
        store=None,
    )
    calls = [
        call("recall", "1", key="a", state={"a": "forged"}),
        call("see", "2", runtime="forged"),
    ]
    first, second = run(executor, calls, injected={"state": {"a": "kept"}, "runtime": runtime})
    assert (first.content, second.content) == ("kept", "live")
