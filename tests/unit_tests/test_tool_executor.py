"""The executor: every call answered, in order, in parallel, in time."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.messages.tool import invalid_tool_call
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.tools import (
    StructuredTool,
    ToolException,
)
from tool_runs import ALL, CALLS, Run, add, call, every_run

from langchain_tamma_openai.tools.executor import ToolExecutor


@every_run
def test_every_kind_of_handler_answers_in_the_order_of_the_calls(run: Run) -> None:
    results = run(ToolExecutor(ALL), CALLS)
    assert results == [
        ToolMessage("3", name="add", tool_call_id="1"),
        ToolMessage("HI", name="shout", tool_call_id="2"),
        ToolMessage("Hello Ann", name="greet", tool_call_id="3"),
        ToolMessage("cba", name="reverse", tool_call_id="4"),
    ]


@every_run
def test_calls_come_as_a_message_a_list_or_one_call(run: Run) -> None:
    broken = invalid_tool_call(name="add", args="{", id="9", error="The arguments are cut.")
    message = AIMessage("", tool_calls=[CALLS[0]], invalid_tool_calls=[broken])
    executor = ToolExecutor(ALL)
    assert [m.tool_call_id for m in run(executor, message)] == ["1", "9"]
    assert [m.tool_call_id for m in run(executor, CALLS[0])] == ["1"]
    assert [m.tool_call_id for m in run(executor, [broken, CALLS[0]])] == ["9", "1"]
    assert run(executor, []) == []


@every_run
def test_calls_run_in_parallel_up_to_the_bound(run: Run) -> None:
    together, most, lock = [0], [0], threading.Lock()
    meeting = threading.Barrier(3, timeout=20)

    def wait() -> str:
        """Wait for two others."""
        with lock:
            together[0] += 1
            most[0] = max(most[0], together[0])
        meeting.wait()
        with lock:
            together[0] -= 1
        return "met"

    executor = ToolExecutor([wait], max_concurrency=3)
    calls = [call("wait", str(i)) for i in range(6)]
    assert [m.content for m in run(executor, calls)] == ["met"] * 6
    assert most[0] == 3


@every_run
def test_a_smaller_bound_of_the_config_counts(run: Run) -> None:
    together, most, lock = [0], [0], threading.Lock()

    def count() -> str:
        """Count."""
        with lock:
            together[0] += 1
            most[0] = max(most[0], together[0])
        with lock:
            together[0] -= 1
        return "x"

    run(
        ToolExecutor([count]),
        [call("count", str(i)) for i in range(9)],
        config={"max_concurrency": 1},
    )
    assert most[0] == 1


@every_run
def test_an_unknown_tool_is_answered_with_the_names_there_are(run: Run) -> None:
    [answer] = run(ToolExecutor(ALL), call("subtract"))
    assert answer.status == "error"
    assert answer.content == (
        "Error: there is no tool named 'subtract'. Tools: add, greet, reverse, shout."
    )


@every_run
def test_an_invalid_call_is_answered_with_its_reason_and_never_run(run: Run) -> None:
    broken = invalid_tool_call(name="add", args='{"a": 1', id="c1", error="The arguments are cut.")
    [answer] = run(ToolExecutor(ALL), [broken])
    assert answer.status == "error"
    assert (
        answer.content
        == "Error: The arguments are cut. Call the tool again with corrected arguments."
    )


@every_run
def test_arguments_that_do_not_fit_are_answered_without_running(run: Run) -> None:
    [answer] = run(ToolExecutor(ALL), call("add", a="many"))
    assert answer.status == "error"
    assert "a: Input should be a valid integer" in str(answer.content)
    assert "pydantic" not in str(answer.content)


@every_run
def test_arguments_for_a_plain_json_schema_are_judged_too(run: Run) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    ran: list[Any] = []
    made = StructuredTool(
        name="mcp",
        description="d",
        args_schema=schema,
        func=lambda a: str(ran.append(a)),  # type: ignore[func-returns-value]
    )
    good, bad = run(ToolExecutor([made]), [call("mcp", "1", a=1), call("mcp", "2", a="x")])
    assert (good.status, bad.status, ran) == ("success", "error", [1])
    assert "/a: 'x' is not of type 'integer'" in str(bad.content)


@every_run
def test_an_exception_is_an_answer_without_secrets_or_traceback(run: Run) -> None:
    def leak() -> str:
        """Leak."""
        raise ValueError("bad key sk-proj-abcdefghijklmnop " + "x" * 5000)

    def explain() -> str:
        """Explain."""
        raise ToolException("No such city.")

    def silent() -> str:
        """Fail silently."""
        raise KeyError

    async def stop() -> str:
        """Stop."""
        raise StopAsyncIteration("early")

    executor = ToolExecutor([leak, explain, silent, stop])
    calls = [call("leak"), call("explain"), call("silent"), call("stop")]
    leaked, explained, quiet, stopped = run(executor, calls)
    assert str(leaked.content).startswith("Error: ValueError: bad key sk-*** xxx")
    assert len(leaked.content) < 1100
    assert explained.content == "Error: No such city."
    assert quiet.content == "Error: KeyError"
    assert "early" in str(stopped.content)
    assert {m.status for m in (leaked, explained, quiet, stopped)} == {"error"}


@every_run
def test_errors_can_be_worded_or_raised(run: Run) -> None:
    def fail() -> str:
        """Fail."""
        raise ValueError("no")

    worded = ToolExecutor([fail], handle_errors=lambda error: f"Sorry: {error}")
    assert [m.content for m in run(worded, call("fail"))] == ["Error: Sorry: no"]
    with pytest.raises(ValueError, match="no"):
        run(ToolExecutor([fail], handle_errors=False), call("fail"))


@every_run
def test_a_slow_tool_is_answered_for_and_the_others_are_not_lost(run: Run) -> None:
    release = threading.Event()

    def hang() -> str:
        """Hang."""
        release.wait(20)
        return "late"

    async def sleep() -> str:
        """Sleep."""
        await asyncio.sleep(20)
        return "late"

    executor = ToolExecutor([add])
    executor.register(hang, timeout_s=0.05)
    executor.register(sleep, timeout_s=0.05)
    results = run(executor, [call("hang", "1"), call("add", "2", a=1), call("sleep", "3")])
    release.set()
    assert [m.status for m in results] == ["error", "success", "error"]
    assert results[0].content == "Error: the tool 'hang' did not finish within 0.05 s."


@every_run
def test_the_limit_of_one_run_and_of_the_executor_apply(run: Run) -> None:
    async def sleep() -> str:
        """Sleep."""
        await asyncio.sleep(20)
        return "late"

    assert "0.05 s" in str(run(ToolExecutor([sleep], timeout_s=0.05), call("sleep"))[0].content)
    assert "0.04 s" in str(
        run(ToolExecutor([sleep], timeout_s=9), call("sleep"), timeout_s=0.04)[0].content
    )


@every_run
def test_a_timeout_of_the_tools_own_is_its_error(run: Run) -> None:
    async def ask() -> str:
        """Ask."""
        raise TimeoutError("the database is slow")

    [answer] = run(ToolExecutor([ask], timeout_s=9), call("ask"))
    assert answer.content == "Error: TimeoutError: the database is slow"


# --- cancellation, context, traces -------------------------------------------------------------


async def test_cancelling_cancels_the_tools() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def forever() -> str:
        """Wait."""
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()
        return "never"

    task = asyncio.create_task(ToolExecutor([forever]).arun(call("forever")))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancelled.is_set()


async def test_a_tool_that_cancels_itself_is_answered_for() -> None:
    async def gives_up() -> str:
        """Give up."""
        raise asyncio.CancelledError

    [answer] = await ToolExecutor([gives_up]).arun(call("gives_up"))
    assert answer.status == "error"


async def test_an_error_that_is_raised_cancels_the_others() -> None:
    cancelled = asyncio.Event()

    async def forever() -> str:
        """Wait."""
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()
        return "never"

    async def fail() -> str:
        """Fail."""
        await asyncio.sleep(0)
        raise ValueError("no")

    executor = ToolExecutor([forever, fail], handle_errors=False)
    with pytest.raises(ValueError, match="no"):
        await executor.arun([call("forever", "1"), call("fail", "2")])
    assert cancelled.is_set()


@every_run
def test_context_variables_of_the_caller_reach_the_tools(run: Run) -> None:
    user: contextvars.ContextVar[str] = contextvars.ContextVar("user")

    def who() -> str:
        """Tell who."""
        return user.get()

    async def awho() -> str:
        """Tell who."""
        return user.get()

    user.set("ann")
    assert [m.content for m in run(ToolExecutor([who, awho]), [call("who"), call("awho")])] == [
        "ann",
        "ann",
    ]


class Runs(BaseCallbackHandler):
    def __init__(self) -> None:
        self.tools: list[tuple[str, Any, Any]] = []
        self.errors: list[str] = []
        self.chain: Any = None

    def on_chain_start(self, *_args: Any, run_id: Any, **_kwargs: Any) -> None:
        self.chain = run_id

    def on_tool_start(
        self,
        serialized: Any,
        *_args: Any,
        parent_run_id: Any = None,
        tags: Any = None,
        **_kwargs: Any,
    ) -> None:
        self.tools.append((serialized["name"], parent_run_id, tags))

    def on_tool_error(self, error: BaseException, **_kwargs: Any) -> None:
        self.errors.append(type(error).__name__)


@every_run
def test_callbacks_and_tags_of_the_config_reach_the_runs_of_the_tools(run: Run) -> None:
    runs = Runs()
    config: RunnableConfig = {"callbacks": [runs], "tags": ["t"], "run_name": "once"}
    run(ToolExecutor(ALL), [CALLS[0], CALLS[1], call("add", a="x")], config=config)
    assert sorted(name for name, _, _ in runs.tools) == ["add", "add", "shout"]
    assert all(tags == ["t"] for _, _, tags in runs.tools)
    assert runs.errors == ["ValidationError"]


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_runs_of_tools_nest_under_the_runnable_they_are_called_in(colour: str) -> None:
    runs, executor = Runs(), ToolExecutor(ALL)

    def step(calls: Sequence[Any]) -> list[ToolMessage]:
        return executor.run(calls)

    async def astep(calls: Sequence[Any]) -> list[ToolMessage]:
        return await executor.arun(calls)

    chain = RunnableLambda(step, astep)
    if colour == "sync":
        chain.invoke(CALLS, {"callbacks": [runs]})
    else:
        asyncio.run(chain.ainvoke(CALLS, {"callbacks": [runs]}))
    assert [parent for _, parent, _ in runs.tools] == [runs.chain] * 4


def test_running_leaves_the_threads_own_event_loop_alone() -> None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        ToolExecutor(ALL).run(CALLS)
        assert asyncio.get_event_loop_policy().get_event_loop() is loop
    finally:
        asyncio.set_event_loop(None)
        loop.close()
