"""Plain answers: the message out, beside what `ChatOpenAI` makes of the same bytes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from mock_api import ALL_WAYS, PLAIN_WAYS, USAGE, Json, MockAPI, Way, completion, text_events
from peer import pair, seen

from langchain_tamma_openai import ChatTammaOpenAI

LOGPROBS = {
    "content": [{"token": "Hi", "logprob": -0.25, "bytes": [72, 105], "top_logprobs": []}],
    "refusal": None,
}
CALL_F = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
CALL_G = {"id": "c2", "type": "function", "function": {"name": "g", "arguments": '{"b": "è"}'}}
CUT_CALL = {"id": "c3", "type": "function", "function": {"name": "h", "arguments": '{"b": '}}
AUDIO = {"id": "audio_1", "data": "AAAA", "expires_at": 1_800_000_000, "transcript": "Hi"}
CITATION = {
    "type": "url_citation",
    "url_citation": {"url": "https://a", "title": "t", "start_index": 0, "end_index": 1},
}

# ChatOpenAI warns when it adds up details that a server left out.
FULL_USAGE = {
    **USAGE,
    "prompt_tokens_details": dict.fromkeys(
        ("audio_tokens", "cache_write_tokens", "cached_tokens", "image_tokens", "text_tokens"), 2
    ),
    "completion_tokens_details": {**USAGE["completion_tokens_details"], "text_tokens": 4},
}


def choice(index: int = 0, **fields: Any) -> Json:
    message = {"role": "assistant", "content": f"Answer {index}", "refusal": None}
    head = {"index": index, "message": message, "logprobs": None, "finish_reason": "stop"}
    return {**head, **fields}


def calls(*tool_calls: Json) -> Json:
    return completion({"content": None, "tool_calls": list(tool_calls)}, "tool_calls")


ANSWERS: dict[str, Json] = {
    "text": completion(),
    "empty text": completion({"content": ""}),
    "null content": completion({"content": None}),
    "refusal": completion({"content": None, "refusal": "I cannot help with that."}),
    "audio": completion({"content": None, "audio": AUDIO}),
    "legacy function": completion(
        {"content": None, "function_call": {"name": "f", "arguments": "{}"}}, "function_call"
    ),
    "tool call": calls(CALL_F),
    "parallel tool calls": calls(CALL_F, CALL_G),
    "a whole and a cut tool call": calls(CALL_F, CUT_CALL),
    "text and tool call": completion({"content": "Let me see", "tool_calls": [CALL_F]}),
    "logprobs": completion(choices=[choice(logprobs=LOGPROBS)]),
    "flex": completion(service_tier="flex"),
    "priority": completion(service_tier="priority"),
    "scale": completion(service_tier="scale"),
    "no tier": completion(service_tier=None),
    "no usage": completion(usage=None),
    "usage with new entries": completion(usage={**USAGE, "cost": 0.25, "is_byok": False}),
    "usage without details": completion(
        usage={"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    ),
    "usage with null details": completion(
        usage={**USAGE, "prompt_tokens_details": None, "completion_tokens_details": None}
    ),
    "usage with cache writes": completion(
        usage={**USAGE, "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 3}}
    ),
    "length": completion(finish_reason="length"),
    "content filter": completion({"content": ""}, "content_filter"),
    "new finish reason": completion(finish_reason="paused"),
    "no fingerprint": completion(system_fingerprint=None),
    "annotations": completion({"annotations": [CITATION]}),
    "unknown fields": completion({"reasoning_content": "hm", "x": 1}, provider="p", x=[1]),
    "message with name and id": completion({"name": "bob", "id": "msg_1"}),
    "n=3": completion(choices=[choice(index) for index in range(3)]),
}


@pytest.mark.parametrize("output_version", [None, "v0", "v1"])
@pytest.mark.parametrize("name", ANSWERS)
def test_answer_is_the_one_of_chat_openai(name: str, output_version: str | None) -> None:
    api = MockAPI(ANSWERS[name])
    theirs, ours = (model.invoke("Hi") for model in pair(api, output_version=output_version))
    assert seen(ours) == seen(theirs)
    sent_by_them, sent_by_us = api.bodies
    assert sent_by_us == sent_by_them


@pytest.mark.parametrize("way", PLAIN_WAYS.values(), ids=PLAIN_WAYS)
@pytest.mark.parametrize("name", ["text", "parallel tool calls", "refusal", "audio", "flex"])
def test_every_plain_way_gives_the_same_answer(name: str, way: Way) -> None:
    api = MockAPI(ANSWERS[name])
    theirs, ours = (way(model, "Hi") for model in pair(api))
    assert seen(ours) == seen(theirs)
    assert seen(ours) == seen(api.tamma().invoke("Hi"))


def test_response_headers_are_added_when_asked() -> None:
    theirs, ours = (
        model.invoke("Hi") for model in pair(MockAPI(completion()), include_response_headers=True)
    )
    assert ours.response_metadata["headers"]["x-request-id"] == "req_1"
    assert seen(ours) == seen(theirs)


def test_null_arguments_and_absent_choice_fields_are_read() -> None:
    body = completion(choices=[{"index": 0, "message": {"content": "Hi", "tool_calls": None}}])
    answer = MockAPI(body).tamma().invoke("Hi")
    assert answer.content == "Hi"
    assert answer.response_metadata["finish_reason"] is None
    assert answer.response_metadata["logprobs"] is None


def test_server_without_model_name_is_told_by_the_request() -> None:
    body = {key: value for key, value in completion().items() if key not in ("model", "id")}
    answer = MockAPI(body).tamma().invoke("Hi")
    assert answer.response_metadata["model_name"] == "gpt-6-luna"
    assert "id" not in answer.response_metadata


def test_custom_tool_call_carries_its_input() -> None:
    call = {"id": "c1", "type": "custom", "custom": {"name": "shell", "input": "ls -l"}}
    answer = MockAPI(calls(call)).tamma().invoke("Hi")
    assert answer.tool_calls == [
        {"name": "shell", "args": {"__arg1": "ls -l"}, "id": "c1", "type": "tool_call"}
    ]


# --- several answers, several prompts ---


def test_usage_of_several_answers_is_counted_once() -> None:
    model = MockAPI(ANSWERS["n=3"]).tamma(n=3)
    (generations,) = model.generate([[HumanMessage("Hi")]]).generations
    messages: list[Any] = [getattr(generation, "message", None) for generation in generations]
    assert [message.content for message in messages] == ["Answer 0", "Answer 1", "Answer 2"]
    assert [message.usage_metadata is None for message in messages] == [False, True, True]
    assert ["cost" in message.response_metadata for message in messages] == [True, False, False]


def test_each_of_several_answers_keeps_its_own_finish_reason() -> None:
    body = completion(choices=[choice(0, finish_reason="length"), choice(1, logprobs=LOGPROBS)])
    (generations,) = MockAPI(body).tamma(n=2).generate([[HumanMessage("Hi")]]).generations
    reasons = [(generation.generation_info or {}) for generation in generations]
    assert [info["finish_reason"] for info in reasons] == ["length", "stop"]
    assert [info["logprobs"] for info in reasons] == [None, LOGPROBS]


@pytest.mark.parametrize("prints", [["fp_1", "fp_2"], [None, "fp_2"], [None, None]])
@pytest.mark.parametrize("in_async", [False, True])
def test_llm_output_of_several_prompts_is_added_up(
    prints: list[str | None], *, in_async: bool
) -> None:
    prompts: list[list[BaseMessage]] = [[HumanMessage("Hi")], [HumanMessage("Ho")]]
    outputs = []
    for position in range(2):
        replies = [completion(system_fingerprint=name, usage=FULL_USAGE) for name in prints]
        model = pair(MockAPI(*replies))[position]
        result = asyncio.run(model.agenerate(prompts)) if in_async else model.generate(prompts)
        outputs.append(result.llm_output)
    assert outputs[1] == outputs[0]
    assert outputs[1] is not None
    assert outputs[1]["token_usage"]["prompt_tokens_details"]["cached_tokens"] == 4


def test_llm_outputs_of_different_shape_are_added_up() -> None:
    combine = MockAPI().tamma()._combine_llm_outputs
    details: Json = {"completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 1}}
    combined = combine(
        [
            None,
            {},
            {"token_usage": None},
            {"token_usage": {"completion_tokens": 1}},
            {"token_usage": {**details, "completion_tokens_details": None}},
            {"token_usage": details},
            {"token_usage": details},
        ]
    )
    assert combined == {
        "token_usage": {
            "completion_tokens": 7,
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
        "model_name": "gpt-6-luna",
    }


# --- cost on every answer ---


def two_ways(body: Json) -> Any:
    return text_events() if body.get("stream") else completion()


@pytest.mark.parametrize("way", ALL_WAYS.values(), ids=ALL_WAYS)
def test_every_way_to_call_gives_the_cost(way: Way) -> None:
    answer = way(MockAPI(two_ways).tamma(price_overrides=PRICES), "Hi")
    # 8 fresh and 2 cached tokens in, 5 out: 8 * 1 + 2 * 0.1 and 5 * 4 dollars a million.
    assert answer.response_metadata["cost"] == {
        "input_usd": "0.0000082",
        "output_usd": "0.00002",
        "total_usd": "0.0000282",
        "currency": "USD",
        "pricing_source": "user",
        "estimated": False,
    }


PRICES = {
    "gpt-6-luna-2026-09-22": {
        "input_usd_per_mtok": "1",
        "cached_input_usd_per_mtok": "0.1",
        "output_usd_per_mtok": "4",
    }
}


@pytest.mark.parametrize("way", ALL_WAYS.values(), ids=ALL_WAYS)
def test_cost_follows_the_tier_of_the_answer(way: Way) -> None:
    def reply(tier: str) -> Any:
        return lambda body: (
            [{**event, "service_tier": tier} for event in text_events()]
            if body.get("stream")
            else completion(service_tier=tier)
        )

    def total(tier: str) -> str:
        return str(way(MockAPI(reply(tier)).tamma(), "Hi").response_metadata["cost"]["total_usd"])

    assert float(total("flex")) < float(total("default")) < float(total("priority"))


@pytest.mark.parametrize("way", ALL_WAYS.values(), ids=ALL_WAYS)
def test_unknown_usage_is_an_unknown_cost(way: Way) -> None:
    def reply(body: Json) -> Any:
        return text_events()[:-1] if body.get("stream") else completion(usage=None)

    answer: AIMessage = way(MockAPI(reply).tamma(), "Hi")
    assert answer.usage_metadata is None
    assert answer.content == "Hello"
    assert answer.response_metadata["cost"]["total_usd"] is None


@pytest.mark.filterwarnings("ignore:.*lama:UserWarning")
@pytest.mark.parametrize("way", ALL_WAYS.values(), ids=ALL_WAYS)
def test_unknown_model_is_answered_at_an_unknown_cost(way: Way) -> None:
    def reply(body: Json) -> Any:
        if body.get("stream"):
            return [{**event, "model": "my-lama"} for event in text_events()]
        return completion(model="my-lama")

    model: ChatTammaOpenAI = MockAPI(reply).tamma(model="my-lama")
    cost = way(model, "Hi").response_metadata["cost"]
    assert (cost["total_usd"], cost["pricing_source"]) == (None, None)
