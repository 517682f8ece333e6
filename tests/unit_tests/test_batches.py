"""Jobs of the Batch API: what is sent, and what comes back in the order of the inputs."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import openai
import pytest
from batch_ways import WAYS, Sync
from fake_batches import (
    FakeBatches,
    Json,
    answered,
    chat_answer,
    echo,
    question,
    response_answer,
    unanswered,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from mock_api import MockAPI, completion
from pydantic import BaseModel

from langchain_tamma_openai import (
    BatchAnswerMissingError,
    BatchCancelledError,
    BatchExpiredError,
    BatchJob,
    BatchState,
    ContextOverflowError,
    InvalidParameterError,
    InvalidRequestError,
    MalformedResponseError,
    RateLimitError,
    RefusalError,
    ServerError,
    TammaError,
)
from langchain_tamma_openai.batches import limits


class City(BaseModel):
    """A city."""

    name: str
    people: int


def lookup(city: str) -> str:
    """Look a city up."""
    return city


CITY = '{"name": "Bern", "people": 130000}'


@pytest.fixture(params=[*WAYS.values()], ids=[*WAYS])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Sync:
    return cast("Sync", request.param(tmp_path / "jobs"))


# --- order ---


@pytest.mark.parametrize("responses", [False, True])
def test_results_come_in_the_order_of_the_inputs(way: Sync, responses: bool) -> None:  # noqa: FBT001 - a parameter
    api = FakeBatches()
    api.arrange = lambda lines: lines[::-1]
    job = way.submit(api.model(use_responses_api=responses), ["a", "b", "c"])
    found = way.results(job)
    assert [answer.text for answer in found] == ["a", "b", "c"]
    assert api.lines[0]["url"] == ("/v1/responses" if responses else "/v1/chat/completions")
    assert all(isinstance(answer, AIMessage) for answer in found)


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.sampled_from("abcé"), min_size=1, max_size=30),
    st.integers(1, 7),
    st.integers(400, 900),
    st.randoms(use_true_random=False),
)
def test_inputs_are_split_and_joined_whatever_the_limits(
    tmp_path_factory: pytest.TempPathFactory,
    inputs: list[str],
    most: int,
    size: int,
    random: Any,
) -> None:
    api = FakeBatches()
    api.arrange = lambda lines: random.sample(lines, len(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "LIMITS", limits.BatchLimits(most, size))
        job = api.model().submit_batch(inputs, journal=tmp_path_factory.mktemp("jobs"))
    assert [answer.text for answer in job.results()] == inputs
    for batch in api.batches:
        assert len(api.lines_of(batch)) <= most
        assert len(api.files[batch["input_file_id"]]) <= size
    assert len(api.lines) == len(inputs)
    assert job.status().total == len(inputs)


def test_a_job_of_thousands_keeps_its_order(way: Sync, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LIMITS", limits.BatchLimits(requests=500))
    api = FakeBatches()
    api.arrange = lambda lines: sorted(lines, key=lambda line: line["id"])
    inputs = [f"n{number}" for number in range(1200)]
    job = way.submit(api.model(), (text for text in inputs))
    assert len(job.batch_ids) == 3
    assert [answer.text for answer in way.results(job)] == inputs


def test_each_model_has_a_file_of_its_own(way: Sync) -> None:
    api = FakeBatches()
    chosen = RunnableLambda(lambda text: text) | api.model().bind(model="gpt-5-mini")
    way.results(way.submit(chosen, ["a"]))
    assert {line["body"]["model"] for line in api.lines} == {"gpt-5-mini"}
    assert api.batches[0]["metadata"]["tamma_model"] == "gpt-5-mini"


# --- what is sent ---

ASKED: dict[str, Callable[[Any], Any]] = {
    "plain": lambda llm: llm,
    "tools": lambda llm: llm.bind_tools([lookup], tool_choice="lookup"),
    "stop": lambda llm: llm.bind(stop=["x"]),
    "schema": lambda llm: llm.with_structured_output(City),
    "calling": lambda llm: llm.with_structured_output(City, method="function_calling"),
    "json": lambda llm: llm.with_structured_output(City, method="json_mode"),
    "raw": lambda llm: llm.with_structured_output(City, include_raw=True),
    "config": lambda llm: llm.with_config(tags=["t"]).bind(max_tokens=7),
}
FIELDS: dict[str, Json] = {
    "chat": {},
    "responses": {"use_responses_api": True},
    "prompt": {"system_prompt": "Answer briefly.", "temperature": 0.5, "reasoning_effort": "none"},
    "extra": {"extra_body": {"shop": 7}, "max_tokens": 9, "model_kwargs": {"user": "u1"}},
}
INPUTS: list[Any] = [
    "hello",
    [SystemMessage("s"), HumanMessage("h"), AIMessage("a"), ("user", "b")],
    ChatPromptTemplate.from_messages([("system", "s"), ("user", "{x}")]).invoke({"x": "é"}),
]


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("fields", FIELDS)
@pytest.mark.filterwarnings("ignore::langchain_tamma_openai.ParameterAdjustedWarning")
def test_each_line_holds_the_body_that_invoke_sends(
    asked: str, fields: str, tmp_path: Path
) -> None:
    fake, plain = FakeBatches(), MockAPI(completion({"content": CITY}))
    made = ASKED[asked](fake.model(**FIELDS[fields]))
    same = ASKED[asked](plain.tamma(**FIELDS[fields]))
    for each in INPUTS:
        with suppress(TammaError):  # the answer fits one of the APIs only
            same.invoke(each)
    made.submit_batch(INPUTS, journal=tmp_path)
    sent = [{k: v for k, v in body.items() if k != "stream"} for body in plain.bodies]
    assert [line["body"] for line in fake.lines] == sent


def test_nothing_of_a_binding_is_lost(way: Sync) -> None:
    api = FakeBatches()
    bound = api.model().with_config(tags=["t"]).bind(max_tokens=7).with_config(metadata={"a": 1})
    assert hasattr(bound, "submit_batch")
    way.submit(bound, ["a"])
    assert api.lines[0]["body"]["max_completion_tokens"] == 7


# --- structured output, tools, chains ---


def _answers(text: str) -> Callable[[str, Json], Json]:
    def answer(name: str, body: Json) -> Json:
        make = chat_answer if "messages" in body else response_answer
        return answered(name, make(text))

    return answer


@pytest.mark.parametrize("responses", [False, True])
@pytest.mark.parametrize("loaded", [False, True])
def test_structured_output_is_parsed(way: Sync, responses: bool, loaded: bool) -> None:  # noqa: FBT001 - parameters
    api = FakeBatches(_answers(CITY))
    model = api.model(use_responses_api=responses)
    structured = model.with_structured_output(City)
    job = way.submit(structured, ["a", "b"])
    if loaded:
        job = way.load(job.id, structured)
    assert way.results(job) == [City(name="Bern", people=130_000)] * 2


def test_a_parser_is_made_again_from_the_journal(
    way: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = FakeBatches(_answers(CITY))
    model = api.model()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    for method in ("json_schema", "json_mode"):
        job = way.submit(model.with_structured_output(City, method=method), ["a"])
        again = way.load(job.id)
        monkeypatch.setattr(again, "_model", model)
        assert way.results(again) == [City(name="Bern", people=130_000)]


def test_the_raw_answer_of_a_broken_one_is_kept(way: Sync) -> None:
    api = FakeBatches(_answers("no json"))
    structured = api.model().with_structured_output(City)
    (found,) = way.outcomes(way.submit(structured, ["a"]))
    assert isinstance(found.error, MalformedResponseError)
    assert found.message is not None
    assert found.message.text == "no json"
    assert found.cost_usd == Decimal("0.000075")
    raw = api.model().with_structured_output(City, include_raw=True)
    (both,) = way.results(way.submit(raw, ["a"]))
    assert (both["raw"].text, both["parsed"]) == ("no json", None)
    assert isinstance(both["parsing_error"], MalformedResponseError)


def test_a_refusal_is_an_error_of_its_own(way: Sync) -> None:
    message = {"role": "assistant", "content": None, "refusal": "No."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    api = FakeBatches(lambda name, _body: answered(name, chat_answer("", choices=[choice])))
    (found,) = way.outcomes(way.submit(api.model().with_structured_output(City), ["a"]))
    assert isinstance(found.error, RefusalError)


def test_tool_calls_are_judged_as_usual(way: Sync) -> None:
    def calls(name: str, body: Json) -> Json:
        arguments = "{}" if question(body) == "bad" else '{"city": "Bern"}'
        function = {"name": "lookup", "arguments": arguments}
        call = {"id": "call_1", "type": "function", "function": function}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        return answered(name, chat_answer("", choices=[choice]))

    api = FakeBatches(calls)
    bound = api.model(use_responses_api=False, reasoning_effort="none").bind_tools([lookup])
    job = way.submit(bound, ["good", "bad"])
    for each in (job, way.load(job.id, bound)):
        good, bad = way.results(each)
        assert good.tool_calls[0]["args"] == {"city": "Bern"}
        assert not bad.tool_calls
        assert "city" in bad.invalid_tool_calls[0]["error"]


def test_a_chain_runs_before_and_after_the_model(way: Sync) -> None:
    api = FakeBatches()
    prompt = ChatPromptTemplate.from_messages([("user", "Say {word}")])
    chain = prompt | api.model().bind(max_tokens=5) | StrOutputParser() | str.upper
    job = way.submit(chain, [{"word": "a"}, {"word": "b"}])
    assert way.results(job) == ["SAY A", "SAY B"]


def test_what_has_no_model_or_several_is_refused(tmp_path: Path) -> None:
    api, submit = FakeBatches(), Sync(tmp_path).submit
    llm = api.model()
    runnables: dict[str, Any] = {
        "has no ChatTammaOpenAI": RunnableLambda(str),
        "2 models": llm | StrOutputParser() | llm,
        "fallbacks": llm.with_fallbacks([llm]),
        "beside other steps": {"a": llm, "b": RunnableLambda(str)} | RunnableLambda(str),
    }
    for reason, runnable in runnables.items():
        with pytest.raises(InvalidParameterError, match=reason):
            submit(runnable, ["a"])
    assert api.requests == []


# --- failures ---


def _failing(name: str, body: Json) -> Any:
    text = question(body)
    code = {"message": "too long", "code": "context_length_exceeded", "param": "messages"}
    failures: dict[str, Any] = {
        "overflow": answered(name, {"error": code}, 400),
        "bad": answered(name, {"error": {"message": "bad", "type": "invalid_request_error"}}, 400),
        "busy": answered(name, {"error": {"message": "slow", "code": "rate_limit_exceeded"}}, 429),
        "down": answered(name, "<html>", 500),
        "late": unanswered(name, "batch_expired"),
        "stopped": unanswered(name, "batch_cancelled"),
        "odd": answered(name, "no object"),
        "lost": None,
    }
    return failures.get(text, echo(name, body))


KINDS: dict[str, type[Exception]] = {
    "overflow": ContextOverflowError,
    "bad": InvalidRequestError,
    "busy": RateLimitError,
    "down": ServerError,
    "late": BatchExpiredError,
    "stopped": BatchCancelledError,
    "odd": MalformedResponseError,
    "lost": BatchAnswerMissingError,
}


def test_failures_are_typed_and_stand_in_their_places(way: Sync) -> None:
    api = FakeBatches(_failing)
    inputs = ["good", *KINDS, "fine"]
    job = way.submit(api.model(), inputs)
    found = way.results(job, return_exceptions=True)
    assert [found[0].text, found[-1].text] == ["good", "fine"]
    for text, error in zip(inputs[1:-1], found[1:-1], strict=True):
        assert type(error) is KINDS[text] or isinstance(error, KINDS[text])
        assert isinstance(error, TammaError)
    assert isinstance(found[2], openai.BadRequestError)
    assert found[2].request_id == "req_tamma-2"
    assert found[2].status_code == 400
    with pytest.raises(ContextOverflowError) as raised:
        way.results(job)
    assert "8 of 10 inputs failed, this is input 1" in raised.value.__notes__[0]


def test_what_failed_costs_nothing_and_what_cannot_be_read_is_paid(way: Sync) -> None:
    def answer(name: str, body: Json) -> Any:
        broken = answered(name, {**chat_answer("x"), "choices": "none"})
        return broken if question(body) == "broken" else _failing(name, body)

    job = way.submit(FakeBatches(answer).model(), ["bad", "late", "broken", "good"])
    costs = [found.cost_usd for found in way.outcomes(job)]
    assert costs == [0, 0, Decimal("0.000075"), Decimal("0.000075")]


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        ("completed", BatchAnswerMissingError),
        ("expired", BatchExpiredError),
        ("cancelled", BatchCancelledError),
    ],
)
def test_a_line_without_a_trace_is_explained_by_the_end(
    way: Sync, end: str, kind: type[Exception]
) -> None:
    api = FakeBatches(_failing, end=end)
    good, lost = way.results(way.submit(api.model(), ["a", "lost"]), return_exceptions=True)
    assert good.text == "a"
    assert type(lost) is kind


def test_a_refused_file_says_why_to_each_input(way: Sync) -> None:
    api = FakeBatches(end="failed")
    job = way.submit(api.model(), ["a", "b"])
    problem = {"code": "invalid_json_line", "message": "Not JSON.", "line": 2, "param": None}
    api.batches[0]["errors"] = {"object": "list", "data": [problem]}
    status = way.wait(job)
    assert (status.state, status.problems[0].line) == (BatchState.FAILED, 2)
    errors = way.results(job, return_exceptions=True)
    assert all(isinstance(error, InvalidRequestError) for error in errors)
    assert "(line 2 of its file): Not JSON." in str(errors[0])


def test_a_full_queue_may_be_tried_again_later(way: Sync) -> None:
    api = FakeBatches(end="failed")
    job = way.submit(api.model(), ["a"])
    problem = {"code": "token_limit_exceeded", "message": "Enqueued token limit reached."}
    api.batches[0]["errors"] = {"data": [problem]}
    (error,) = way.results(job, return_exceptions=True)
    assert isinstance(error, RateLimitError)
    assert error.retryable


def test_lines_twice_or_unasked_change_nothing(way: Sync, caplog: pytest.LogCaptureFixture) -> None:
    api = FakeBatches()
    other = answered("tamma-9", chat_answer("unasked"))
    late = answered("tamma-0", chat_answer("second"))
    broken = {"custom_id": None}
    api.arrange = lambda lines: [*lines, late, other, broken, *lines]
    found = way.results(way.submit(api.model(), ["a", "b"]))
    assert [answer.text for answer in found] == ["a", "b"]
    assert "3 lines twice, and 2 that nobody asked for" in caplog.text


def test_an_answer_wins_over_a_failure_of_the_same_input(way: Sync) -> None:
    api = FakeBatches()
    api.arrange = lambda lines: [unanswered("tamma-0", "batch_expired"), *lines]
    assert way.results(way.submit(api.model(), ["a"]))[0].text == "a"


# --- inputs that cannot be sent ---


def test_the_input_that_cannot_be_sent_is_named(way: Sync) -> None:
    api = FakeBatches()
    with pytest.raises(InvalidParameterError) as raised:
        way.submit(api.model(), ["a", []])
    assert "This is about input 1: []" in raised.value.__notes__
    with pytest.raises(InvalidParameterError, match="input 0 cannot be written"):
        way.submit(api.model(), ["a"], extra_body={"x": object()})
    assert api.requests == []
    assert not list(Path(way.store).glob("*.jsonl"))
    assert not list(Path(way.store).glob(".*.new"))


@pytest.mark.parametrize(
    ("kwargs", "reason"),
    [
        ({"inputs": []}, "inputs: there are none"),
        ({"config": [{}, {}]}, "config: got 2 for 1 inputs"),
        ({"extra_headers": {"a": "b"}}, "extra_headers: a request of a batch has none"),
        ({"background": True}, "background: a batch is in the background"),
        ({"job_id": "no/path"}, "job_id: got 'no/path'"),
        ({"job_id": ".hidden"}, "job_id"),
        ({"no_such": 1}, "no_such"),
        ({"journal": 7}, "journal: got 7"),
    ],
)
def test_what_cannot_be_meant_is_refused(way: Sync, kwargs: Json, reason: str) -> None:
    api = FakeBatches()
    with pytest.raises(InvalidParameterError, match=reason):
        way.submit(api.model(), **{"inputs": ["a"], **kwargs})
    assert api.requests == []


def test_a_request_larger_than_a_batch_is_refused(
    way: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LIMITS", limits.BatchLimits(size=300))
    with pytest.raises(InvalidParameterError, match="a whole batch may have 300"):
        way.submit(FakeBatches().model(), ["x" * 300])


# --- what is shown ---


def test_a_job_shows_what_it_is(way: Sync) -> None:
    api = FakeBatches()
    job = way.submit(api.model(), ["a", "b"], job_id="nightly")
    assert repr(job) == "BatchJob('nightly', 2 requests, batches: batch_2)"
    assert BatchJob.ids(journal=way.store) == ["nightly"]
    text = (Path(way.store) / "nightly.job.json").read_text()
    assert "sk-test" not in text
    assert json.loads(text)["is_submitted"]
