"""The Responses API over real connections: cut, silent and abandoned background answers, agents."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from llmock.pytest_plugin import LLMock
from loopback import Act, Json, LoopbackServer, Reply, Request, Step, json_reply, model_at

from langchain_tamma_openai import ChatTammaOpenAI
from langchain_tamma_openai.errors import RequestTimeoutError, StreamInterruptedError
from langchain_tamma_openai.resilience.retry import no_waiting

RECORDED = Path(__file__).parent.parent / "unit_tests" / "recorded"


def recorded_stream(name: str) -> list[bytes]:
    """Return the last recorded stream of a file, event by event."""
    raw = yaml.safe_load(gzip.decompress((RECORDED / f"{name}.yaml.gz").read_bytes()))
    found: bytes = raw["responses"][-1]["body"]["string"]
    body = gzip.decompress(found) if found.startswith(b"\x1f\x8b") else found
    return [block + b"\n\n" for block in body.split(b"\n\n") if block.strip()]


EVENTS = recorded_stream("test_custom_tool")
ID = "resp_1"


def answer(status: str) -> Json:
    part = {"type": "output_text", "text": "Hello", "annotations": []}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [part]}
    output = [message] if status == "completed" else []
    usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    return {"id": ID, "object": "response", "status": status, "output": output, "usage": usage}


class Background:
    """A server that goes on working on an answer whatever happens to connections."""

    def __init__(self, cut_after: list[int], end: Act = Act.DROP) -> None:
        """Cut one connection after the other, each after so many events of its own."""
        self.cut_after = cut_after
        self.end = end
        self.seen: list[str] = []
        self.cancelled = 0

    def __call__(self, request: Request) -> Reply:
        """Answer one request."""
        url = urlsplit(request.target)
        self.seen.append(f"{request.method} {url.path}")
        if url.path.endswith("/cancel"):
            self.cancelled += 1
            return json_reply(answer("cancelled"))
        query = parse_qs(url.query)
        begin = int(query["starting_after"][0]) + 1 if query else 0
        steps: list[Step] = [*EVENTS[begin:]]
        if self.cut_after:
            steps = [*steps[: self.cut_after.pop(0)], self.end]
        return Reply(steps, content_type="text/event-stream")


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    with no_waiting():
        yield


def chunks_of(model: ChatTammaOpenAI, colour: str) -> list[Json]:
    def plainly(chunk: AIMessageChunk) -> Json:
        return {**chunk.model_dump(), "id": None}

    async def collected() -> list[Json]:
        return [plainly(chunk) async for chunk in model.astream("hi", background=True)]

    if colour == "async":
        return asyncio.run(collected())
    return [plainly(chunk) for chunk in model.stream("hi", background=True)]


def over(script: Callable[[Request], Reply], colour: str, **fields: Any) -> list[Json]:
    with LoopbackServer(script) as server:
        return chunks_of(model_at(server.url, use_responses_api=True, **fields), colour)


colours = pytest.mark.parametrize("colour", ["sync", "async"])


@colours
@pytest.mark.parametrize("cut_after", range(1, len(EVENTS)))
def test_a_stream_cut_after_any_event_resumes_to_the_same_chunks(
    colour: str, cut_after: int
) -> None:
    server = Background([cut_after])
    assert over(server, colour) == over(Background([]), colour)
    assert len(server.seen) == 2
    assert server.seen[1].startswith("GET /v1/responses/resp_")


@colours
def test_a_stream_cut_after_every_event_resumes_to_the_same_chunks(colour: str) -> None:
    server = Background([1] * (len(EVENTS) - 1))
    assert over(server, colour) == over(Background([]), colour)
    assert len(server.seen) == len(EVENTS)


@colours
def test_a_silent_stream_resumes_too(colour: str) -> None:
    server = Background([4], end=Act.HOLD)
    whole = over(Background([]), colour)
    assert over(server, colour, stream_chunk_timeout=0.3) == whole
    assert len(server.seen) == 2


@colours
def test_without_background_mode_a_cut_is_an_error_with_what_came(colour: str) -> None:
    with LoopbackServer(Background([7])) as server:
        model = model_at(server.url, use_responses_api=True)

        async def read() -> None:
            async for _ in model.astream("hi"):
                pass

        with pytest.raises(StreamInterruptedError) as caught:
            asyncio.run(read()) if colour == "async" else list(model.stream("hi"))
    assert caught.value.partial is not None
    assert len(server.requests) == 1


@colours
def test_leaving_a_stream_cancels_the_answer_once(colour: str) -> None:
    script = Background([5], end=Act.HOLD)

    async def leave(model: ChatTammaOpenAI) -> None:
        stream = model.astream("hi", background=True)
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]  # LangChain's streams are generators
        for _ in range(200):
            if script.cancelled:
                return
            await asyncio.sleep(0.01)

    with LoopbackServer(script) as server:
        model = model_at(server.url, use_responses_api=True)
        if colour == "async":
            asyncio.run(leave(model))
        else:
            stream = model.stream("hi", background=True)
            next(stream)
            stream.close()  # type: ignore[attr-defined]
        assert server.sees(lambda: script.cancelled > 0)
        assert server.settles_at(server.open_connections)
    assert script.cancelled == 1


def polled(*statuses: str) -> tuple[Callable[[Request], Reply], list[str]]:
    left, seen = list(statuses), []

    def script(request: Request) -> Reply:
        seen.append(f"{request.method} {request.target}")
        if request.target.endswith("/cancel"):
            return json_reply(answer("cancelled"))
        return json_reply(answer(left.pop(0) if len(left) > 1 else left[0]))

    return script, seen


def asked(model: ChatTammaOpenAI, colour: str) -> AIMessage:
    if colour == "async":
        return asyncio.run(model.ainvoke("hi", background=True))
    return model.invoke("hi", background=True)


@colours
def test_a_plain_background_answer_is_asked_for_until_it_is_there(colour: str) -> None:
    script, seen = polled("queued", "in_progress", "in_progress", "completed")
    with LoopbackServer(script) as server:
        model = model_at(server.url, use_responses_api=True)
        assert asked(model, colour).text == "Hello"
    assert seen == ["POST /v1/responses", *["GET /v1/responses/resp_1"] * 3]


@colours
def test_waiting_ends_at_the_limit_and_the_server_is_told(colour: str) -> None:
    script, seen = polled("in_progress")
    with LoopbackServer(script) as server:
        model = model_at(server.url, use_responses_api=True, background_timeout_s=0.2)
        with pytest.raises(RequestTimeoutError, match="background_timeout_s"):
            asked(model, colour)
    assert seen[-1] == "POST /v1/responses/resp_1/cancel"
    assert sum(line.endswith("/cancel") for line in seen) == 1


async def test_cancelling_a_task_cancels_the_answer_once() -> None:
    script, seen = polled("in_progress")
    with LoopbackServer(script) as server:
        model = model_at(server.url, use_responses_api=True)
        task = asyncio.ensure_future(model.ainvoke("hi", background=True))
        assert await asyncio.to_thread(server.sees, lambda: len(seen) > 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert sum(line.endswith("/cancel") for line in seen) == 1


# --- llmock, which speaks the API of its own accord ---


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.mark.parametrize("version", [None, "v0", "responses/v1", "v1"])
def test_an_agent_works_through_its_tools(llmock: LLMock, version: str | None) -> None:
    llmock.call_tool("add", {"a": 1, "b": 2})
    llmock.reply("It is 3.")
    model = ChatTammaOpenAI(model="gpt-6-luna", output_version=version)
    state = create_agent(model, [add]).invoke({"messages": [HumanMessage("1 + 2?")]})
    assert [message.type for message in state["messages"]] == ["human", "ai", "tool", "ai"]
    assert state["messages"][2].content == "3"
    assert state["messages"][3].text == "It is 3."
    assert {record.path for record in llmock.requests} == {"/v1/responses"}


def test_an_agent_streams_through_its_tools(llmock: LLMock) -> None:
    llmock.call_tool("add", {"a": 1, "b": 2})
    llmock.reply("It is 3.")
    agent = create_agent(ChatTammaOpenAI(model="gpt-6-luna", use_responses_api=True), [add])
    question: Any = {"messages": [HumanMessage("1 + 2?")]}
    parts: Any = agent.stream(question, stream_mode="messages")
    texts = [part.text for part, _ in parts if isinstance(part, AIMessageChunk)]
    assert "".join(texts) == "It is 3."


@pytest.mark.parametrize("fault", ["disconnect", "truncate", "corrupt"])
def test_a_broken_stream_is_an_error_with_what_came(llmock: LLMock, fault: str) -> None:
    llmock.reply("one two three four five six seven eight")
    getattr(llmock, fault)(after_chunks=6)
    model = ChatTammaOpenAI(model="gpt-6-luna", use_responses_api=True, max_retries=0)
    with pytest.raises(StreamInterruptedError) as caught:
        list(model.stream("hi"))
    assert caught.value.partial is not None
    assert json.dumps(caught.value.partial.text).strip('"') in "one two three four five six seven"
