"""The tool loop: one answer, four ways to get there, and limits that hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.messages.tool import invalid_tool_call, tool_call, tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from mock_api import Json, MockAPI, chunk, completion, text_events, usage_chunk
from pydantic import BaseModel, Field

from langchain_tamma_openai import ConfigurationError
from langchain_tamma_openai.tools.executor import ToolExecutor
from langchain_tamma_openai.tools.loop import (
    ToolLoopResult,
    arun_tool_loop,
    astream_tool_loop,
    run_tool_loop,
    stream_tool_loop,
)
from langchain_tamma_openai.tools.loop_state import LoopLimits, LoopState, cost_of

Loop: TypeAlias = Callable[..., ToolLoopResult]


class Scripted(BaseChatModel):
    """Gives its answers in order, whole or in chunks, and keeps what it was asked."""

    answers: list[AIMessage]
    asked: list[list[BaseMessage]] = Field(default_factory=list)
    offered: list[Any] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, AIMessage]:
        self.offered.append(list(tools))
        return self.bind(tools=list(tools), **kwargs)

    def _next(self, messages: list[BaseMessage]) -> AIMessage:
        self.asked.append(list(messages))
        return self.answers[len(self.asked) - 1]

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._next(messages))])

    def _stream(
        self, messages: list[BaseMessage], *_: Any, **__: Any
    ) -> Iterator[ChatGenerationChunk]:
        answer = self._next(messages)
        for letter in answer.text:
            yield ChatGenerationChunk(message=AIMessageChunk(content=letter))
        calls = [*answer.tool_calls, *answer.invalid_tool_calls]
        pieces = [
            tool_call_chunk(name=c["name"], args=_text(c["args"]), id=c["id"], index=i)
            for i, c in enumerate(calls)
        ]
        yield ChatGenerationChunk(
            message=AIMessageChunk(
                content="",
                tool_call_chunks=pieces,
                usage_metadata=answer.usage_metadata,
                response_metadata=answer.response_metadata,
                chunk_position="last",
            )
        )


def _text(args: Any) -> str:
    import json

    return args if isinstance(args, str) else json.dumps(args)


def run_streamed(*args: Any, **options: Any) -> ToolLoopResult:
    *shown, result = stream_tool_loop(*args, **options)
    return _last(shown, result)


def run_async(*args: Any, **options: Any) -> ToolLoopResult:
    return asyncio.run(arun_tool_loop(*args, **options))


def run_astreamed(*args: Any, **options: Any) -> ToolLoopResult:
    async def collect() -> list[Any]:
        return [event async for event in astream_tool_loop(*args, **options)]

    *shown, result = asyncio.run(collect())
    return _last(shown, result)


def _last(shown: list[Any], result: Any) -> ToolLoopResult:
    """The result, after a check that what was shown is what the conversation holds."""
    assert isinstance(result, ToolLoopResult)
    results = [event for event in shown if isinstance(event, ToolMessage)]
    kept = [message for message in result.messages if isinstance(message, ToolMessage)]
    assert results == kept[len(kept) - len(results) :]
    text = "".join(event.text for event in shown if isinstance(event, AIMessageChunk))
    assert result.answer is None or not shown or text.endswith(result.answer.text)
    return result


LOOPS: dict[str, Loop] = {
    "run": run_tool_loop,
    "arun": run_async,
    "stream": run_streamed,
    "astream": run_astreamed,
}
every_loop = pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def asks(*calls: Any, cost: str | None = "0.01", tokens: int = 10) -> AIMessage:
    """An answer that calls tools."""
    return says("", *calls, cost=cost, tokens=tokens)


def says(text: str, *calls: Any, cost: str | None = "0.01", tokens: int = 10) -> AIMessage:
    facts = {"cost": {"input_usd": cost, "output_usd": "0" if cost else None, "total_usd": cost}}
    return AIMessage(
        text,
        tool_calls=[c for c in calls if c["type"] == "tool_call"],
        invalid_tool_calls=[c for c in calls if c["type"] == "invalid_tool_call"],
        usage_metadata={"input_tokens": tokens, "output_tokens": 1, "total_tokens": tokens + 1},
        response_metadata=facts,
    )


def plus(a: int, b: int, number: str = "c1") -> Any:
    return tool_call(name="add", args={"a": a, "b": b}, id=number)


def shape(messages: list[BaseMessage]) -> list[tuple[str, str]]:
    return [(message.type.replace("AIMessageChunk", "ai"), message.text) for message in messages]


@every_loop
def test_it_runs_tools_until_the_model_answers(loop: Loop) -> None:
    model = Scripted(answers=[asks(plus(1, 2), plus(3, 4, "c2")), asks(plus(3, 7)), says("Ten.")])
    result = loop(model, "Add.", [add])
    assert shape(result.messages) == [
        ("human", "Add."),
        ("ai", ""),
        ("tool", "3"),
        ("tool", "7"),
        ("ai", ""),
        ("tool", "10"),
        ("ai", "Ten."),
    ]
    assert result.answer is not None
    assert result.answer.text == "Ten."
    assert (result.iterations, result.stopped) == (3, "answer")
    assert len(model.asked) == 3
    assert model.offered == [[add]]


@every_loop
def test_tokens_and_cost_are_those_of_the_whole_loop(loop: Loop) -> None:
    model = Scripted(
        answers=[asks(plus(1, 2), cost="0.1", tokens=100), says("3", cost="0.2", tokens=200)]
    )
    result = loop(model, "Add.", [add])
    assert result.cost_usd == Decimal("0.3")
    assert result.usage is not None
    assert (result.usage["input_tokens"], result.usage["total_tokens"]) == (300, 302)


@every_loop
def test_an_unknown_cost_makes_the_sum_unknown(loop: Loop) -> None:
    model = Scripted(answers=[asks(plus(1, 2), cost=None), says("3")])
    assert loop(model, "Add.", [add]).cost_usd is None


@every_loop
def test_the_iteration_limit_makes_no_further_request_and_leaves_no_call_open(loop: Loop) -> None:
    model = Scripted(answers=[asks(plus(i, i)) for i in range(5)])
    result = loop(model, "Add.", [add], 2)
    assert (result.stopped, result.iterations, result.answer) == ("iterations", 2, None)
    assert len(model.asked) == 2
    assert [kind for kind, _ in shape(result.messages)] == ["human", "ai", "tool", "ai", "tool"]


@every_loop
def test_an_answer_at_the_last_allowed_request_is_an_answer(loop: Loop) -> None:
    model = Scripted(answers=[asks(plus(1, 2)), says("3")])
    assert loop(model, "Add.", [add], max_iterations=2).stopped == "answer"


@every_loop
def test_the_cost_limit_stops_the_next_request(loop: Loop) -> None:
    model = Scripted(answers=[asks(plus(i, i), cost="0.3") for i in range(5)])
    result = loop(model, "Add.", [add], max_cost_usd=0.5)
    assert (result.stopped, result.iterations, result.cost_usd) == ("cost", 2, Decimal("0.6"))


@every_loop
def test_under_a_cost_limit_an_unknown_cost_stops(loop: Loop) -> None:
    model = Scripted(answers=[asks(plus(1, 1), cost=None), says("never")])
    result = loop(model, "Add.", [add], max_cost_usd=Decimal(5))
    assert (result.stopped, result.iterations, result.cost_usd) == ("cost", 1, None)


@every_loop
def test_when_time_is_up_nothing_is_started_and_a_second_run_takes_it_up(loop: Loop) -> None:
    ran: list[int] = []

    def mark(n: int) -> str:
        """Mark."""
        ran.append(n)
        return "marked"

    class Slow(Scripted):
        def _next(self, messages: list[BaseMessage]) -> AIMessage:
            import time

            time.sleep(0.05)
            return super()._next(messages)

    call = tool_call(name="mark", args={"n": 1}, id="c1")
    result = loop(Slow(answers=[asks(call), says("never")]), "Go.", [mark], timeout_s=0.02)
    assert (result.stopped, result.iterations, ran) == ("time", 1, [])
    again = loop(Scripted(answers=[says("Done.")]), result.messages, [mark])
    assert (again.stopped, again.iterations, ran) == ("answer", 1, [1])
    assert [kind for kind, _ in shape(again.messages)] == ["human", "ai", "tool", "ai"]


@every_loop
def test_a_tool_gets_no_more_time_than_the_loop_has_left(loop: Loop) -> None:
    async def sleep() -> str:
        """Sleep."""
        await asyncio.sleep(30)
        return "late"

    model = Scripted(answers=[asks(tool_call(name="sleep", args={}, id="c1")), says("never")])
    result = loop(model, "Sleep.", [sleep], timeout_s=0.3)
    assert (result.stopped, result.iterations) == ("time", 1)
    assert "did not finish within" in result.messages[-1].text


@every_loop
def test_it_resumes_where_calls_are_still_open(loop: Loop) -> None:
    messages: list[BaseMessage] = [
        HumanMessage("Add."),
        asks(plus(1, 2, "c1"), plus(3, 4, "c2")),
        ToolMessage("3", tool_call_id="c1"),
    ]
    given = list(messages)
    result = loop(Scripted(answers=[says("Done.")]), messages, [add])
    assert shape(result.messages)[2:] == [("tool", "3"), ("tool", "7"), ("ai", "Done.")]
    assert messages == given


@every_loop
def test_a_finished_conversation_makes_no_request(loop: Loop) -> None:
    model = Scripted(answers=[])
    result = loop(model, [HumanMessage("Hi"), AIMessage("Hello")], [add])
    assert (result.stopped, result.iterations, result.usage) == ("answer", 0, None)
    assert result.answer is not None
    assert result.cost_usd == 0


@every_loop
def test_a_result_goes_on_with_another_question(loop: Loop) -> None:
    first = loop(Scripted(answers=[says("Hello.")]), "Hi", [add])
    model = Scripted(answers=[says("Fine.")])
    second = loop(model, [*first.messages, HumanMessage("How are you?")], [add])
    assert shape(second.messages)[-2:] == [("human", "How are you?"), ("ai", "Fine.")]


@every_loop
def test_invalid_and_unknown_calls_are_answered_and_the_model_recovers(loop: Loop) -> None:
    cut = invalid_tool_call(name="add", args='{"a": [', id="c1", error="The arguments are cut.")
    unknown = tool_call(name="subtract", args={}, id="c2")
    wrong = tool_call(name="add", args={"a": "x"}, id="c3")
    model = Scripted(answers=[asks(cut), asks(unknown), asks(wrong), says("I give up.")])
    result = loop(model, "Add.", [add])
    assert result.stopped == "answer"
    errors = [m for m in result.messages if isinstance(m, ToolMessage)]
    assert [(m.tool_call_id, m.status) for m in errors] == [
        ("c1", "error"),
        ("c2", "error"),
        ("c3", "error"),
    ]
    assert "Tools: add" in errors[1].text


@every_loop
def test_any_form_of_input_is_taken(loop: Loop) -> None:
    prompt = ChatPromptTemplate([("system", "Be kind."), ("human", "{q}")])
    for given in (
        prompt.invoke({"q": "Hi"}),
        [("system", "Be kind."), ("human", "Hi")],
        [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}],
        [SystemMessage("Be kind."), HumanMessage("Hi")],
    ):
        model = Scripted(answers=[says("Hello.")])
        loop(model, given, [add])
        assert shape(model.asked[0]) == [("system", "Be kind."), ("human", "Hi")]


@every_loop
def test_tools_may_be_bound_already(loop: Loop) -> None:
    model = Scripted(answers=[asks(plus(1, 2)), says("3")])
    bound = model.bind_tools([add], tool_choice="auto")
    assert loop(bound, "Add.", executor=ToolExecutor([add])).stopped == "answer"
    assert len(model.offered) == 1


@every_loop
def test_handlers_of_the_executor_are_offered_when_no_tools_are_given(loop: Loop) -> None:
    model = Scripted(answers=[asks(plus(1, 2)), says("3")])
    result = loop(model, "Add.", executor=ToolExecutor([add], timeout_s=5))
    assert result.stopped == "answer"
    assert [made.name for made in model.offered[0]] == ["add"]


@every_loop
def test_a_definition_runs_by_the_handler_of_its_name(loop: Loop) -> None:
    class Add(BaseModel):
        """Add."""

        a: int
        b: int

    call = tool_call(name="Add", args={"a": 1, "b": 2}, id="c1")
    model = Scripted(answers=[asks(call), says("3")])
    executor = ToolExecutor({"Add": lambda a, b: a + b})
    result = loop(model, "Add.", [Add, {"type": "web_search"}], executor=executor)
    assert shape(result.messages)[2] == ("tool", "3")
    assert model.offered == [[Add, {"type": "web_search"}]]
    with pytest.raises(ConfigurationError, match=r"tools: got \['Add'\]"):
        loop(model, "Add.", [Add])


@every_loop
@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"max_iterations": 0}, "max_iterations"),
        ({"max_iterations": True}, "max_iterations"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"max_cost_usd": 0}, "max_cost_usd"),
        ({"max_cost_usd": "1"}, "max_cost_usd"),
        ({"max_cost_usd": float("nan")}, "max_cost_usd"),
    ],
)
def test_a_wrong_limit_is_refused_before_any_request(loop: Loop, options: Json, field: str) -> None:
    model = Scripted(answers=[])
    with pytest.raises(ConfigurationError, match=f"^{field}: got"):
        loop(model, "Hi", [add], **options)
    assert model.asked == []


@every_loop
def test_without_tools_it_is_a_plain_call(loop: Loop) -> None:
    assert loop(Scripted(answers=[says("Hello.")]), "Hi").stopped == "answer"


class Names(BaseCallbackHandler):
    def __init__(self) -> None:
        self.seen: list[tuple[str, Any]] = []

    def on_chat_model_start(self, *_: Any, tags: Any = None, **__: Any) -> None:
        self.seen.append(("model", tags))

    def on_tool_start(self, *_: Any, tags: Any = None, **__: Any) -> None:
        self.seen.append(("tool", tags))


@every_loop
def test_the_config_reaches_models_and_tools(loop: Loop) -> None:
    names = Names()
    model = Scripted(answers=[asks(plus(1, 2)), says("3")])
    loop(model, "Add.", [add], config={"callbacks": [names], "tags": ["t"]})
    assert [(kind, "t" in tags) for kind, tags in names.seen] == [
        ("model", True),
        ("tool", True),
        ("model", True),
    ]


def test_a_stream_shows_chunks_results_and_the_result_in_order() -> None:
    model = Scripted(answers=[asks(plus(1, 2)), says("Hi")])
    events = list(stream_tool_loop(model, "Add.", [add]))
    kinds = [type(event).__name__ for event in events]
    assert kinds[-1] == "ToolLoopResult"
    assert kinds.index("ToolMessage") < len(kinds) - 2
    assert [e.text for e in events[:-1] if isinstance(e, AIMessageChunk) and e.text] == ["H", "i"]


async def test_an_abandoned_stream_closes_the_models_stream() -> None:
    closed = asyncio.Event()

    class Endless(Scripted):
        async def _astream(self, *_: Any, **__: Any) -> AsyncIterator[ChatGenerationChunk]:
            try:
                while True:
                    yield ChatGenerationChunk(message=AIMessageChunk(content="x"))
            finally:
                closed.set()

    events = astream_tool_loop(Endless(answers=[]), "Go.")
    async for _ in events:
        break
    await events.aclose()  # type: ignore[attr-defined]
    assert closed.is_set()


# --- our own model over a mock API ---------------------------------------------------------------


def _call(name: str, arguments: str) -> Json:
    return {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}}


def _api(*scripts: tuple[str, str] | str) -> MockAPI:
    """Answers with calls of these tools, then with these texts, streamed when asked so."""

    def reply(script: tuple[str, str] | str) -> Callable[[Json], Any]:
        def answer(body: Json) -> Any:
            if isinstance(script, str):
                message: Json = {"content": script}
                return text_events(script) if body.get("stream") else completion(message)
            call = _call(*script)
            if not body.get("stream"):
                return completion({"content": None, "tool_calls": [call]}, "tool_calls")
            return [
                chunk({"role": "assistant", "tool_calls": [{"index": 0, **call}]}),
                chunk({}, "tool_calls"),
                usage_chunk(),
            ]

        return answer

    return MockAPI(*[reply(script) for script in scripts])


@every_loop
def test_our_model_recovers_and_counts_every_request(loop: Loop) -> None:
    api = _api(("add", '{"a": 1, "b"'), ("nope", "{}"), ("add", '{"a": 1, "b": 2}'), "Three.")
    result = loop(api.tamma(use_responses_api=False), "Add.", [add])
    assert result.answer is not None
    assert result.answer.text == "Three."
    assert [m.status for m in result.messages if isinstance(m, ToolMessage)] == [
        "error",
        "error",
        "success",
    ]
    assert result.usage is not None
    assert result.usage["total_tokens"] == 60
    assert result.cost_usd is not None
    assert result.cost_usd > 0
    sent = api.bodies[-1]["messages"]
    asked = [c["id"] for m in sent for c in m.get("tool_calls") or ()]
    answered = [m["tool_call_id"] for m in sent if m["role"] == "tool"]
    assert asked == answered


# --- decisions without a model -------------------------------------------------------------------


def test_the_clock_decides_when_time_is_up() -> None:
    now = [100.0]
    state = LoopState([HumanMessage("Hi")], LoopLimits(timeout_s=5), clock=lambda: now[0])
    assert (state.stop(), state.time_left_s()) == (None, 5)
    now[0] = 105.0
    assert state.stop() == "time"
    assert LoopState([], LoopLimits()).time_left_s() is None


def test_the_cost_of_another_packages_answer_comes_from_its_tokens() -> None:
    usage: Any = {"input_tokens": 1_000_000, "output_tokens": 0, "total_tokens": 1_000_000}
    named = AIMessage("x", usage_metadata=usage, response_metadata={"model_name": "gpt-6.1-sol"})
    assert cost_of(named) is not None
    assert cost_of(AIMessage("x", usage_metadata=usage)) is None
    assert (
        cost_of(AIMessage("x", response_metadata={"cost": "odd", "model_name": "gpt-6.1-sol"}))
        is None
    )
