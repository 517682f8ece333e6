"""The Batch API: what is sent is what `invoke` sends, and what comes back is what it returns."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest
from batch_api import BatchAPI, ok, refused
from langchain_core.messages import AIMessage, SystemMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from mock_api import USAGE, MockAPI
from pydantic import BaseModel

from langchain_tamma_openai import (
    BatchJob,
    BatchState,
    Budget,
    BudgetExceededError,
    ChatTammaOpenAI,
    CostCalculator,
    InvalidParameterError,
    InvalidRequestError,
    MalformedResponseError,
    NotFoundError,
    RateLimitError,
    RequestTimeoutError,
    RetryPolicy,
    TammaError,
    UsageTracker,
    asubmit_batch,
    get_usage_callback,
    no_waiting,
    submit_batch,
)
from langchain_tamma_openai.batch import plan
from langchain_tamma_openai.wire.usage import TokenUsage

INPUTS = [f"Say {number}" for number in range(12)]


class Capital(BaseModel):
    """A capital."""

    city: str


@dataclass
class Colour:
    """Sync or async: the same calls."""

    submit: Callable[..., Any]
    results: Callable[..., Any]
    load: Callable[..., Any]


async def _sync_submit(runnable: Any, *args: Any, **kwargs: Any) -> BatchJob:
    if isinstance(runnable, ChatTammaOpenAI):
        return runnable.submit_batch(*args, **kwargs)
    return submit_batch(runnable, *args, **kwargs)


async def _async_submit(runnable: Any, *args: Any, **kwargs: Any) -> BatchJob:
    if isinstance(runnable, ChatTammaOpenAI):
        return await runnable.asubmit_batch(*args, **kwargs)
    return await asubmit_batch(runnable, *args, **kwargs)


async def _sync_results(job: BatchJob, **kwargs: Any) -> list[Any]:
    return job.results(**kwargs)


async def _async_results(job: BatchJob, **kwargs: Any) -> list[Any]:
    return await job.aresults(**kwargs)


async def _sync_load(*args: Any, **kwargs: Any) -> BatchJob:
    return BatchJob.load(*args, **kwargs)


async def _async_load(*args: Any, **kwargs: Any) -> BatchJob:
    return await BatchJob.aload(*args, **kwargs)


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> Colour:
    if request.param == "sync":
        return Colour(_sync_submit, _sync_results, _sync_load)
    return Colour(_async_submit, _async_results, _async_load)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


async def test_answers_come_in_the_order_of_the_inputs(colour: Colour) -> None:
    api = BatchAPI()
    job = await colour.submit(api.tamma(), INPUTS)
    answers = await colour.results(job)
    assert [answer.text for answer in answers] == INPUTS
    assert all(isinstance(answer, AIMessage) for answer in answers)
    assert len(api.batches) == 1


async def test_each_line_is_the_request_of_invoke(colour: Colour) -> None:
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    api, direct = BatchAPI(), MockAPI()
    given: list[Any] = [[SystemMessage("Be kind."), ("user", "Add 1 and 2")], "Hello"]
    fields: dict[str, Any] = {
        "model": "gpt-4o",
        "temperature": 0.5,
        "max_tokens": 50,
        "system_prompt": "Be brief.",
    }
    await colour.submit(api.tamma(**fields).bind_tools([add]), given, stop=["END"])
    for each in given:
        direct.tamma(**fields).bind_tools([add]).invoke(each, stop=["END"])
    sent = [{k: v for k, v in body.items() if k != "stream"} for body in direct.bodies]
    assert [line["body"] for line in api.lines] == sent
    assert {line["url"] for line in api.lines} == {"/v1/chat/completions"}


async def test_a_failed_request_is_a_typed_error_in_its_place(colour: Colour) -> None:
    def answer(line: dict[str, Any]) -> dict[str, Any] | None:
        text = line["body"]["messages"][-1]["content"]
        if text == "Say 3":
            return refused(line, code="context_length_exceeded", message="Too long.")
        if text == "Say 5":
            return refused(line, 429, code="rate_limit_exceeded", type="rate_limit_error")
        if text == "Say 7":
            return None
        if text == "Say 9":
            error = {"code": "batch_expired", "message": "It took too long."}
            return {"custom_id": line["custom_id"], "response": None, "error": error}
        return ok(line)

    job = await colour.submit(BatchAPI(answer, "expired").tamma(), INPUTS)
    answers = await colour.results(job)
    assert [isinstance(answer, TammaError) for answer in answers] == [
        number in {3, 5, 7, 9} for number in range(12)
    ]
    assert isinstance(answers[3], InvalidRequestError | TammaError)
    assert isinstance(answers[5], RateLimitError)
    assert isinstance(answers[7], TammaError)
    assert answers[7].code == "batch_expired"
    assert isinstance(answers[9], RequestTimeoutError)
    with pytest.raises(TammaError):
        await colour.results(job, return_exceptions=False)


async def test_structured_output_is_parsed_and_a_broken_one_is_its_own_error(
    colour: Colour,
) -> None:
    def answer(line: dict[str, Any]) -> dict[str, Any]:
        is_bad = line["body"]["messages"][-1]["content"] == "Say 1"
        return ok(line, "no JSON" if is_bad else '{"city": "Lisbon"}')

    llm = BatchAPI(answer).tamma()
    structured = llm.with_structured_output(Capital)
    answers = await colour.results(await colour.submit(structured, INPUTS[:3]))
    assert answers[0] == answers[2] == Capital(city="Lisbon")
    assert isinstance(answers[1], MalformedResponseError)
    raw = llm.with_structured_output(Capital, include_raw=True)
    answers = await colour.results(await colour.submit(raw, INPUTS[:3]))
    assert answers[0]["parsed"] == Capital(city="Lisbon")
    assert answers[1]["raw"].text == "no JSON"
    assert answers[1]["parsing_error"] is not None


async def test_chains_with_one_model_work(colour: Colour) -> None:
    chain = (
        ChatPromptTemplate.from_template("Name {thing}") | BatchAPI().tamma() | StrOutputParser()
    )
    answers = await colour.results(await colour.submit(chain, [{"thing": "x"}, {"thing": "y"}]))
    assert answers == ["Name x", "Name y"]


async def test_half_price_is_in_the_ledger_once(colour: Colour) -> None:
    tracker = UsageTracker("memory")
    llm = BatchAPI().tamma(model="gpt-4o", usage_tracker=tracker)
    config = [{"metadata": {"user_id": f"u-{number % 2}"}, "tags": ["t"]} for number in range(12)]
    job = await colour.submit(llm, INPUTS, config)
    with get_usage_callback() as usage:
        answers = await colour.results(job)
    await colour.results(await colour.load(job.id, llm))
    tokens = TokenUsage.from_completions(USAGE)
    half = CostCalculator().cost(tokens, "gpt-4o", batch=True).total_usd
    assert half is not None
    for answer in answers:
        assert Decimal(answer.response_metadata["cost"]["total_usd"]) == half
    summary = tracker.summary(group_by=("user_id",))
    assert summary.total_requests == usage.requests == 12
    assert summary.total_cost_usd == usage.total_cost_usd == half * 12
    assert [group.total_requests for group in summary.groups] == [6, 6]
    assert {record.service_tier for record in tracker.records()} == {"batch"}


async def test_a_job_is_found_again_by_its_own_and_by_the_providers_id(
    colour: Colour, tmp_path: Path
) -> None:
    api = BatchAPI()
    llm = api.tamma()
    job = await colour.submit(llm, INPUTS, job_id="mine")
    again = await colour.load("mine", llm)
    assert (again.id, again.batch_ids) == ("mine", job.batch_ids)
    elsewhere = await colour.load(job.batch_ids[0], llm, journal=tmp_path / "another-machine")
    assert [answer.text for answer in await colour.results(elsewhere)] == INPUTS
    with pytest.raises(NotFoundError):
        await colour.load("batch_unknown", llm)


async def test_the_same_name_and_requests_are_the_same_job(colour: Colour) -> None:
    api = BatchAPI()
    llm = api.tamma()
    first = await colour.submit(llm, INPUTS, job_id="nightly")
    second = await colour.submit(llm, INPUTS, job_id="nightly")
    assert second.batch_ids == first.batch_ids
    assert len(api.batches) == 1
    with pytest.raises(InvalidParameterError, match="other requests"):
        await colour.submit(llm, INPUTS[1:], job_id="nightly")


def _lost() -> None:
    raise httpx2.ReadTimeout("lost")


async def test_a_lost_answer_to_the_creation_is_looked_up(colour: Colour) -> None:
    api = BatchAPI()
    api.faults.append(("batches", _lost, True))
    job = await colour.submit(api.tamma(), INPUTS)
    assert len(api.batches) == 1
    assert job.batch_ids == tuple(api.batches)


async def test_a_creation_that_never_arrived_is_made_again(colour: Colour) -> None:
    api = BatchAPI()
    api.faults.append(("batches", _lost, False))
    job = await colour.submit(api.tamma(), INPUTS)
    assert len(api.batches) == 1
    assert job.batch_ids == tuple(api.batches)


async def test_a_kill_between_creation_and_note_submits_nothing_twice(colour: Colour) -> None:
    class Killed(BaseException):
        pass

    def kill() -> None:
        raise Killed

    api = BatchAPI()
    llm = api.tamma()
    api.faults.append(("batches", kill, True))
    with pytest.raises(Killed):
        await colour.submit(llm, INPUTS, job_id="killed")
    job = await colour.load("killed", llm)
    assert len(api.batches) == 1
    assert [answer.text for answer in await colour.results(job)] == INPUTS


async def test_models_and_sizes_are_split_into_files(
    colour: Colour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "MAX_REQUESTS", 5)
    api = BatchAPI()
    job = await colour.submit(api.tamma(), INPUTS)
    assert sorted(
        len(api.files[b["input_file_id"]].splitlines()) for b in api.batches.values()
    ) == [
        2,
        5,
        5,
    ]
    assert [answer.text for answer in await colour.results(job)] == INPUTS


def test_waiting_reports_progress_and_ends() -> None:
    api = BatchAPI()
    api.pending = 2
    job = api.tamma().submit_batch(INPUTS)
    told: list[BatchState] = []
    status = job.wait(poll_interval_s=0.001, on_progress=lambda each: told.append(each.state))
    assert told == [BatchState.IN_PROGRESS, BatchState.IN_PROGRESS, BatchState.COMPLETED]
    assert (status.done, status.total, status.completed) == (True, 12, 12)


async def test_waiting_has_a_limit() -> None:
    api = BatchAPI()
    api.pending = 10_000
    job = api.tamma().submit_batch(INPUTS)
    with pytest.raises(RequestTimeoutError, match="goes on"):
        job.wait(0.01, poll_interval_s=0.005)
    with pytest.raises(RequestTimeoutError, match="goes on"):
        await job.await_(0.01, poll_interval_s=0.005)


async def test_what_was_answered_before_a_cancellation_is_kept() -> None:
    api = BatchAPI(lambda line: ok(line) if line["custom_id"].endswith("-0") else None)
    api.pending = 1
    job = api.tamma().submit_batch(INPUTS[:3])
    assert job.cancel().state is BatchState.CANCELLED
    answers = job.results()
    assert answers[0].text == "Say 0"
    assert [answer.code for answer in answers[1:]] == ["batch_cancelled"] * 2
    other = BatchAPI()
    other.pending = 1
    assert (await other.tamma().submit_batch(INPUTS).acancel()).done


def test_questions_that_do_no_harm_are_repeated() -> None:
    api = BatchAPI()
    api.faults += [("files", _lost, False), ("batches/batch_2", _lost, False)]
    with no_waiting():
        job = api.tamma(retry=RetryPolicy(max_attempts=2)).submit_batch(INPUTS)
        assert job.wait().done


def test_a_budget_that_does_not_hold_it_stops_it_before_anything_is_sent() -> None:
    api = BatchAPI()
    budget = Budget(limit_usd="0.000001", name="small")
    llm = api.tamma(model="gpt-4o", max_tokens=100, budget=budget)
    with pytest.raises(BudgetExceededError):
        llm.submit_batch(INPUTS)
    assert api.requests == []
    assert budget.status().reserved_usd == 0
    large = Budget(limit_usd=1, name="large")
    api.tamma(model="gpt-4o", max_tokens=100, budget=large).submit_batch(INPUTS)
    assert 0 < (large.status().spent_usd or 0) < 1
    assert large.status().reserved_usd == 0


@pytest.mark.parametrize(
    ("inputs", "fields", "complaint"),
    [
        ([], {}, "the list is empty"),
        (["Hi", []], {}, "messages"),
    ],
)
def test_what_cannot_be_sent_is_refused_before_anything_is(
    inputs: list[Any], fields: dict[str, Any], complaint: str
) -> None:
    api = BatchAPI()
    with pytest.raises(InvalidParameterError, match=complaint):
        api.tamma(**fields).submit_batch(inputs)
    assert api.requests == []


def test_something_without_a_model_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="exactly one"):
        submit_batch(StrOutputParser(), ["Hi"])


def test_notes_can_be_read_by_their_owner_only(tmp_path: Path) -> None:
    BatchAPI().tamma().submit_batch(INPUTS, journal=tmp_path / "notes", job_id="mine")
    notes = tmp_path / "notes" / "mine.json"
    assert notes.stat().st_mode & 0o077 == 0
    assert json.loads(notes.read_text())["parts"][0]["batch_id"]
