"""`lint_payload` finds requests that earn a 400, each with its remedy, and no others."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.tool import tool_call
from lint_bad_requests import BAD, HI, TOOL, Json, chat, responses, saying

from langchain_tamma_openai import ChatTammaOpenAI
from langchain_tamma_openai.lint import Problem, lint_payload
from langchain_tamma_openai.models import ModelCatalog, ModelInfo

TODAY = date(2026, 11, 22)
CURRENT = [info for info in ModelCatalog().list() if not info.is_shut_down(TODAY)]
KEY = "sk-" + "x" * 40


def found_at(payload: Json, where: str) -> list[Problem]:
    problems = lint_payload(payload, today=TODAY)
    return [each for each in problems if each.where.startswith(where)]


@pytest.mark.parametrize(("payload", "where"), BAD.values(), ids=BAD.keys())
def test_a_request_that_earns_a_400_is_caught_with_a_remedy(payload: Json, where: str) -> None:
    found = found_at(payload, where)
    assert found
    assert all(each.message and each.remedy and each.code for each in found)


def test_nearly_all_requests_that_earn_a_400_are_errors() -> None:
    caught = sum(
        any(each.severity == "error" for each in found_at(payload, where))
        for payload, where in BAD.values()
    )
    assert len(BAD) >= 60
    assert caught >= 0.95 * len(BAD)


# --- no false alarms -------------------------------------------------------------------------

WEATHER: Json = {
    "name": "weather",
    "description": "Look the weather up",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
SCHEMA: Json = {
    "title": "Answer",
    "type": "object",
    "properties": {"x": {"type": "integer"}},
    "required": ["x"],
    "additionalProperties": False,
}
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)
QUESTION = [SystemMessage("Be brief."), HumanMessage("How warm is it in Lisbon?")]
AFTER_TOOLS = [
    *QUESTION,
    AIMessage(
        "",
        tool_calls=[
            tool_call(name="weather", args={"city": "Lisbon"}, id="call_1"),
            tool_call(name="weather", args={"city": "Porto"}, id="call_2"),
        ],
    ),
    ToolMessage("22", tool_call_id="call_2"),
    ToolMessage("", tool_call_id="call_1"),
]
PICTURE = [
    HumanMessage(
        [
            {"type": "text", "text": "What is it?"},
            {"type": "image", "base64": PIXEL, "mime_type": "image/png"},
            {"type": "image", "url": "https://example.com/a.png"},
        ]
    )
]
LONG_TALK = [
    *QUESTION,
    AIMessage("22 degrees"),
    HumanMessage("And there?", name="ann"),
    AIMessage([{"type": "text", "text": "23", "annotations": []}]),
    HumanMessage("Thank you. " * 200),
]


def _sampling_fits(info: ModelInfo) -> bool:
    when = info.supports_temperature
    return when == "always" or (when == "with_effort_none" and "none" in _efforts(info))


def _efforts(info: ModelInfo) -> tuple[str, ...]:
    return info.reasoning_efforts or ()


def valid_calls(info: ModelInfo) -> dict[str, tuple[list[Any], Json]]:
    """Calls of the chat model that the API takes from this model, by feature."""
    calls: dict[str, tuple[list[Any], Json]] = {
        "plain": (QUESTION, {}),
        "long talk": (LONG_TALK, {}),
        "limit": (QUESTION, {"max_tokens": 500}),
        "stream": (QUESTION, {"stream": True}),
        "metadata": (QUESTION, {"metadata": {"team": "a"}, "store": True, "user": "u1"}),
        "tier": (QUESTION, {"service_tier": "auto"}),
        "defaults": (QUESTION, {"temperature": 1, "top_p": 1}),
        "cache key": (QUESTION, {"prompt_cache_key": "k", "safety_identifier": "s" * 64}),
        "json": (
            [HumanMessage("Answer in JSON")],
            {"response_format": {"type": "json_object"}},
        ),
    }
    for effort in _efforts(info):
        calls[f"effort {effort}"] = (QUESTION, {"reasoning_effort": effort})
    if info.supports_verbosity:
        calls["verbosity"] = (QUESTION, {"verbosity": "low"})
    if info.supports_stop and not info.responses_only:
        calls["stop"] = (QUESTION, {"stop": ["END"], "use_responses_api": False})
    if _sampling_fits(info):
        quiet = {"reasoning_effort": "none"} if _efforts(info) else {}
        if info.open_weights:
            quiet = {}
        calls["sampling"] = (QUESTION, {"temperature": 0.2, "top_p": 0.9, **quiet})
    if "tools" in info.capabilities:
        calls["tools"] = (QUESTION, {"tools": [{"type": "function", "function": WEATHER}]})
        calls["after tools"] = (AFTER_TOOLS, {"tools": [{"type": "function", "function": WEATHER}]})
    if "image_input" in info.capabilities:
        calls["picture"] = (PICTURE, {})
    if "structured_output" in info.capabilities:
        wrapped = {"name": "Answer", "schema": SCHEMA, "strict": True}
        format_ = {"type": "json_schema", "json_schema": wrapped}
        calls["schema"] = (QUESTION, {"response_format": format_})
    return calls


VALID = [
    pytest.param(info.name, messages, kwargs, id=f"{info.name}: {feature}")
    for info in CURRENT
    for feature, (messages, kwargs) in valid_calls(info).items()
]


def test_there_are_enough_valid_requests() -> None:
    assert len(VALID) >= 200


@pytest.mark.parametrize(("model", "messages", "kwargs"), VALID)
def test_a_valid_request_raises_no_alarm(model: str, messages: list[Any], kwargs: Json) -> None:
    kwargs = dict(kwargs)
    llm = ChatTammaOpenAI(
        model=model, api_key=KEY, use_responses_api=kwargs.pop("use_responses_api", None)
    )
    payload = llm._get_request_payload(messages, **kwargs)
    assert lint_payload(payload, messages=messages, today=TODAY) == []
    assert lint_payload(payload, today=TODAY) == []


EXTRA_VALID: dict[str, Json] = {
    "logprobs": chat(logprobs=True, top_logprobs=5, logit_bias={"50256": -100}, seed=7, n=3),
    "four stops": chat(stop=["a", "b", "c", "d"]),
    "forced tool": chat(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "f"}}),
    "tools without effort": chat("gpt-5.4", tools=[TOOL], reasoning_effort="none"),
    "tools on gpt-5.1": chat("gpt-5.1", tools=[TOOL], reasoning_effort="high"),
    "required built-in": responses(tools=[{"type": "web_search"}], tool_choice="required"),
    "a choice of a tool that a server brings": responses(
        tools=[{"type": "mcp", "server_label": "s", "server_url": "https://example.com"}],
        tool_choice={"type": "function", "name": "theirs"},
    ),
    "output of a stored call": responses(
        items=[{"type": "function_call_output", "call_id": "c", "output": "x"}],
        previous_response_id="resp_1",
    ),
    "background": responses(background=True, store=True, stream=True),
    "late window": responses(background=True, background_options={"completion_window": "2h"}),
    "conversation alone": {"model": "gpt-6-luna", "conversation": "conv_1"},
    "stored prompt": {"model": "gpt-6-luna", "prompt": {"id": "pmpt_1"}},
    "text input": {"model": "gpt-6-luna", "input": "Hi"},
    "reasoning options": responses(reasoning={"effort": "max", "summary": "auto"}),
    "cache options": responses(prompt_cache_options={"mode": "explicit", "ttl": "12h"}),
    "speech": chat(
        "gpt-audio", modalities=["text", "audio"], audio={"voice": "alloy", "format": "wav"}
    ),
    "sound": saying(
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
        model="gpt-audio",
    ),
    "developer message": chat("o3", [{"role": "developer", "content": "Be brief"}, *HI]),
    "system in the middle": chat(messages=[*HI, {"role": "system", "content": "x"}, *HI]),
    "assistant last": chat(messages=[*HI, {"role": "assistant", "content": "Well,"}]),
    "a model of the future": chat("gpt-9", temperature=0.3, stop=["x"], reasoning_effort="low"),
    "a dated snapshot": chat("gpt-4.1-2025-04-14", temperature=0.3),
    "a fine-tuned model": chat("ft:gpt-4.1-2025-04-14:acme::1", temperature=0.3),
    "unknown rules of a known model": responses(
        "gpt-6.1-terra", temperature=0.3, reasoning={"effort": "none"}
    ),
    "a big file that is one string": responses(
        items=[
            {
                "role": "user",
                "content": [
                    {
                        "type": "input_file",
                        "filename": "a.pdf",
                        "file_data": f"data:application/pdf;base64,{'A' * 4_000_000}",
                    }
                ],
            }
        ]
    ),
}


@pytest.mark.parametrize("payload", EXTRA_VALID.values(), ids=EXTRA_VALID.keys())
def test_unusual_valid_requests_raise_no_alarm(payload: Json) -> None:
    assert lint_payload(payload, today=TODAY) == []


# --- context window, severity, other servers -------------------------------------------------


def test_text_that_fits_is_no_problem_and_text_that_does_not_is_one() -> None:
    fits = chat("gpt-4", [{"role": "user", "content": "word " * 7_000}], max_tokens=1_000)
    assert lint_payload(fits, today=date(2026, 1, 1)) == []
    (problem,) = lint_payload({**fits, "max_tokens": 2_000}, today=date(2026, 1, 1))
    assert (problem.code, problem.severity) == ("context_overflow", "error")
    assert "trim_messages" in problem.remedy


def test_a_server_that_truncates_by_itself_takes_any_length() -> None:
    long = responses("gpt-4o", [{"role": "user", "content": "word " * 140_000}])
    assert [each.code for each in lint_payload(long, today=TODAY)] == ["context_overflow"]
    assert lint_payload({**long, "truncation": "auto"}, today=TODAY) == []


def test_the_window_of_an_unknown_model_can_be_given() -> None:
    payload = chat("my-model", [{"role": "user", "content": "word " * 5_000}])
    assert lint_payload(payload) == []
    found = lint_payload(payload, context_window_tokens=4_096)
    assert [each.code for each in found] == ["context_overflow"]


def test_a_model_that_is_shut_down_is_a_warning_that_names_the_successor() -> None:
    (problem,) = lint_payload(chat("gpt-4-32k"), today=TODAY)
    assert (problem.code, problem.severity) == ("model_shut_down", "warning")
    assert "gpt-5.6-sol" in problem.remedy


def test_parameters_for_other_servers_are_judged_by_ranges_alone_and_as_warnings() -> None:
    payload = chat("gpt-5", temperature=0.2, top_k=40, stop=["x"], max_tokens=10)
    assert lint_payload(payload, base_url="http://localhost:8000/v1") == []
    (problem,) = lint_payload({**payload, "temperature": 9}, base_url="http://localhost:8000/v1")
    assert (problem.where, problem.severity) == ("temperature", "warning")


def test_every_problem_of_a_request_is_told_at_once() -> None:
    payload = chat("o3", [*HI, {"role": "tool", "tool_call_id": "a", "content": "x"}], n=0)
    payload |= {"temperature": 9, "stop": ["x"], "tool_choice": "auto"}
    found = {each.where for each in lint_payload(payload, today=TODAY)}
    assert found == {"messages[1]", "n", "temperature", "stop", "tool_choice"}


def test_a_problem_shows_no_secret() -> None:
    (problem,) = lint_payload(chat(service_tier=KEY), today=TODAY)
    assert KEY not in str(problem)
