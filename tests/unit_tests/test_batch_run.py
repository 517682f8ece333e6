"""`BatchRun` over a mock API: what it sends, what it writes, when it stops, how it goes on."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mock_api import Json, MockAPI, completion
from responses_api import answered, text_message

from langchain_tamma_openai import (
    BatchConflictError,
    BatchInputError,
    BatchRun,
    BatchSummary,
    Budget,
    ConfigurationError,
    UsageTracker,
)
from langchain_tamma_openai.batch_run import driving
from langchain_tamma_openai.batch_run.files import OutputFiles
from langchain_tamma_openai.batch_run.progress import BatchProgress
from langchain_tamma_openai.batch_run.stopping import StopReason

ANSWER_USD = Decimal("0.00000332")
"""8 tokens in, 2 of the cache and 5 out of gpt-6-luna."""


def echo(body: Json) -> Json:
    """Answer with the last message, on either API."""
    if "messages" in body:
        return completion({"content": f"re: {body['messages'][-1]['content']}"})
    return answered(text_message("re: responses"))


def refusal(status: int, code: str, kind: str = "invalid_request_error") -> httpx2.Response:
    error = {"message": "No.", "type": kind, "param": None, "code": code}
    return httpx2.Response(status, json={"error": error}, headers={"x-request-id": "req_no"})


@dataclass
class Place:
    """Files of a batch, and the API it asks."""

    path: Path
    api: MockAPI = field(default_factory=lambda: MockAPI(echo))

    @property
    def source(self) -> Path:
        return self.path / "in.jsonl"

    @property
    def output(self) -> Path:
        return self.path / "out.jsonl"

    @property
    def journal(self) -> Path:
        return self.path / "out.jsonl.journal"

    @property
    def results(self) -> list[Json]:
        return [json.loads(line) for line in self.output.read_text().splitlines()]

    @property
    def texts(self) -> list[str | None]:
        return [result["text"] for result in self.results]

    @property
    def asked(self) -> list[str]:
        return [body["messages"][-1]["content"] for body in self.api.bodies]

    def write(self, lines: Sequence[object]) -> None:
        self.source.write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    def prepare(self, model: Json | None = None, **options: Any) -> BatchRun:
        llm = self.api.tamma(**(model or {}))
        return BatchRun(llm, self.source, self.output, **{"concurrency": 1, **options})

    def run(self, model: Json | None = None, **options: Any) -> BatchSummary:
        return self.prepare(model, **options).run()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    found = Place(tmp_path)
    found.write(["a", "b", "c", "d"])
    return found


# --- what is sent, and what is written ---


def test_each_form_is_sent_as_it_says(place: Place) -> None:
    user = {"role": "user", "content": "Hello", "odd": 1}
    chat = {"model": "gpt-6-sol", "messages": [user], "max_tokens": 3, "top_k": 1, "metadata": {}}
    responses = {"model": "gpt-6-sol", "input": [{"type": "odd"}], "metadata": {"a": "b"}}
    place.write(
        [
            {"input": "Hello", "max_completion_tokens": 7},
            {"messages": [user], "model": "gpt-6-sol", "metadata": {"user_id": "ann"}},
            {"custom_id": "c", "url": "/v1/chat/completions", "body": chat},
            {"custom_id": "r", "url": "/v1/responses", "body": responses},
            {"input": [{"type": "odd"}]},
        ]
    )
    assert place.run({"system_prompt": "Be kind."}).is_complete
    for body in place.api.bodies:
        body.pop("stream")
    system = {"role": "system", "content": "Be kind."}
    plain = {"role": "user", "content": "Hello"}
    assert place.api.bodies[:2] == [
        {
            "model": "gpt-6-luna",
            "stream": False,
            "max_completion_tokens": 7,
            "messages": [system, plain],
        },
        {"model": "gpt-6-sol", "stream": False, "messages": [system, plain]},
    ]
    # Bodies go as they are, but that the output limit has its present name.
    max_tokens = {"max_completion_tokens": chat.pop("max_tokens")}
    assert place.api.bodies[2] == {**chat, **max_tokens, "stream": False}
    assert place.api.bodies[3] == {**responses, "stream": False}
    assert place.api.bodies[4]["input"] == [{"type": "odd"}]
    assert [request.url.path[-10:] for request in place.api.requests[3:]] == ["/responses"] * 2


def test_a_result_has_what_is_worth_knowing(place: Place) -> None:
    place.write([{"input": "Hello", "id": "a"}, {"input": [{"role": "user", "content": "Hello"}]}])
    summary = place.run()
    chat, responses = place.results
    assert chat == {
        "line": 1,
        "custom_id": "a",
        "response": {
            "status_code": 200,
            "request_id": "req_1",
            "body": completion({"content": "re: Hello"}),
        },
        "error": None,
        "text": "re: Hello",
        "usage": {
            "input_tokens": 10,
            "output_tokens": 5,
            "total_tokens": 15,
            "cached_tokens": 2,
            "cache_write_tokens": 0,
            "reasoning_tokens": 1,
        },
        "cost_usd": str(ANSWER_USD),
        "model": "gpt-6-luna-2026-09-22",
        "attempts": 1,
    }
    assert (responses["text"], responses["custom_id"]) == ("re: responses", None)
    assert responses["response"]["body"]["object"] == "response"
    assert summary.progress.answered == 2
    assert summary.progress.cost_usd == sum(Decimal(each["cost_usd"]) for each in place.results)


def test_the_api_of_a_text_can_be_chosen(place: Place) -> None:
    place.write(["a"])
    assert place.run(api="responses").is_complete
    assert place.api.requests[0].url.path.endswith("/responses")


def test_retries_are_counted(place: Place) -> None:
    place.write(["a"])
    place.api.replies = [refusal(500, "server_error"), echo]
    assert place.run({"max_retries": 1}).is_complete
    assert place.results[0]["attempts"] == 2


def test_records_know_whose_line_it_was(place: Place) -> None:
    place.write([{"input": "a", "metadata": {"user_id": "ann"}}, "b"])
    tracker = UsageTracker()
    assert place.run({"usage_tracker": tracker}, budget_usd=50).is_complete
    records = list(tracker.records())
    assert [record.user_id for record in records] == ["ann", None]
    assert [record.tags for record in records] == [("batch",)] * 2


def test_budgets_of_the_model_hold_too(place: Place) -> None:
    budget = Budget(50, scope="user_id")
    place.write([{"input": "a", "metadata": {"user_id": "ann"}}])
    place.run({"budget": budget}, budget_usd=50)
    assert budget.status(user_id="ann").spent_usd == ANSWER_USD


def test_the_output_can_be_ordered(place: Place) -> None:
    place.write([f"text {number}" for number in range(30)])
    slow_first = iter(range(30))

    async def run() -> None:
        batch = place.prepare(concurrency=8, ordered=True, limit=20)
        await batch.arun()
        await place.prepare(concurrency=8, ordered=True).arun()

    asyncio.run(run())
    assert [result["line"] for result in place.results] == list(range(1, 31))
    assert place.texts == [f"re: text {number}" for number in slow_first]
    assert place.run().progress.asked == 0


# --- lines that cannot be asked, and lines that fail ---


def test_a_bad_line_sends_nothing_and_leaves_nothing(place: Place) -> None:
    place.write(["a", 3, {"id": "x", "input": "b"}, {"id": "x", "input": "c"}])
    with pytest.raises(BatchInputError) as refused:
        place.run()
    assert [bad.line for bad in refused.value.bad_lines] == [2, 4]
    assert "line 4: custom_id: 'x' is that of line 3 as well" in str(refused.value)
    assert place.api.requests == []
    assert list(place.path.iterdir()) == [place.source]


def test_bad_lines_can_be_left_out(place: Place) -> None:
    place.write(["a", 3, "c"])
    summary = place.run(on_bad_line="skip")
    assert (summary.is_complete, summary.bad_count, place.texts) == (True, 1, ["re: a", "re: c"])


def test_bad_lines_can_be_recorded(place: Place) -> None:
    place.write(["a", {"id": "x", "input": 3}, "c"])
    summary = place.run(on_bad_line="record")
    assert (summary.is_complete, summary.progress.failed, summary.progress.left) == (False, 1, 0)
    assert place.results[1]["custom_id"] == "x"
    assert place.results[1]["error"]["code"] == "bad_line"
    assert place.run(on_bad_line="record").progress.asked == 0


def test_a_failure_of_one_line_is_its_result(place: Place) -> None:
    place.api.replies = [echo, refusal(400, "invalid_value"), echo]
    summary = place.run()
    assert summary.reason is StopReason.DONE
    assert (summary.progress.answered, summary.progress.failed) == (3, 1)
    failed = place.results[1]
    assert failed["error"] == {
        "code": "invalid_value",
        "message": "Error code: 400 - No.",
        "kind": "invalid_request",
        "retryable": False,
    }
    assert failed["response"]["status_code"] == 400
    assert failed["response"]["request_id"] == "req_no"
    assert failed["response"]["body"]["error"]["code"] == "invalid_value"
    assert failed["text"] is None


def test_errors_are_asked_again_on_demand(place: Place) -> None:
    place.api.replies = [echo, refusal(400, "invalid_prompt"), echo]
    place.run()
    assert place.run().progress.asked == 0
    summary = place.run(retry_errors=True)
    assert (summary.is_complete, summary.progress.asked, summary.unknown) == (True, 1, ())
    assert sorted(place.texts, key=str) == ["re: a", "re: b", "re: c", "re: d"]
    assert place.asked == ["a", "b", "c", "d", "b"]


def test_too_many_errors_stop_it(place: Place) -> None:
    place.api.replies = [refusal(400, "invalid_prompt")]
    summary = place.run(max_errors=1)
    assert (summary.reason, summary.progress.failed) == (StopReason.ERRORS, 2)
    assert summary.progress.left == 2


@pytest.mark.parametrize(
    "reply",
    [
        refusal(401, "invalid_api_key"),
        refusal(429, "credit_balance_exhausted", "insufficient_quota"),
        refusal(404, "model_not_found"),
        refusal(403, "unsupported_country_region_territory"),
        httpx2.Response(404, text="<html>Nothing here</html>"),
    ],
)
def test_a_failure_that_would_meet_every_line_stops_it(
    place: Place, reply: httpx2.Response
) -> None:
    place.api.replies = [echo, reply]
    summary = place.run({"max_retries": 3})
    assert summary.reason is StopReason.ERROR
    assert summary.message
    assert len(place.api.requests) == 2
    assert place.texts == ["re: a"]
    # The line was refused and not answered, so it is asked as if new.
    place.api.replies = [echo]
    summary = place.run()
    assert (summary.is_complete, summary.unknown) == (True, ())


def test_a_model_that_is_not_there_concerns_its_lines_only(place: Place) -> None:
    lost = {"model": "gpt-lost"}
    place.write([{"input": "a", **lost}, "b", {"input": "c", **lost}, {"input": "d", **lost}])
    place.api.replies = [refusal(404, "model_not_found"), echo]
    summary = place.run()
    assert (summary.reason, summary.progress.failed) == (StopReason.DONE, 3)
    assert place.asked == ["a", "b"]
    assert place.results[2]["error"]["message"].startswith("not asked: the model 'gpt-lost'")


def test_a_server_that_is_not_there_stops_it(place: Place) -> None:
    place.api.replies = [httpx2.ConnectError("refused")]
    summary = place.run(concurrency=2)
    assert summary.reason is StopReason.ERROR
    assert summary.message.startswith("the server cannot be reached: ")
    assert place.results == []
    place.api.replies = [echo]
    summary = place.run()
    assert (summary.is_complete, summary.unknown) == (True, ())


def test_a_server_that_goes_away_stops_it_after_a_while(place: Place) -> None:
    place.write([f"text {number}" for number in range(20)])
    place.api.replies = [echo, httpx2.ConnectError("refused")]
    summary = place.run()
    assert (summary.reason, summary.progress.failed) == (StopReason.ERROR, 4)
    assert summary.progress.failures["connection_failed"].count == 4


def test_what_may_have_arrived_is_a_result(place: Place) -> None:
    place.api.replies = [httpx2.ReadError("reset"), echo]
    summary = place.run()
    assert (summary.reason, summary.progress.failed) == (StopReason.DONE, 1)
    assert place.results[0]["error"]["kind"] == "connection"


# --- going on ---


def test_a_limit_is_for_this_time(place: Place) -> None:
    summary = place.run(limit=3)
    assert (summary.reason, place.texts) == (StopReason.LIMIT, ["re: a", "re: b", "re: c"])
    summary = place.run(limit=3)
    assert (summary.reason, summary.progress.asked) == (StopReason.DONE, 1)
    assert summary.progress.answered_before == 3
    assert summary.progress.cost_usd == 4 * ANSWER_USD


def test_it_can_be_stopped(place: Place) -> None:
    def stop(progress: BatchProgress) -> None:
        if progress.asked == 2:
            batch.stop()

    batch = place.prepare(on_progress=stop)
    assert batch.run().reason is StopReason.STOPPED
    assert place.texts == ["re: a", "re: b"]
    assert place.run().is_complete


def test_it_can_be_stopped_before_it_begins(place: Place) -> None:
    batch = place.prepare()
    batch.stop()
    assert (batch.run().progress.asked, place.texts) == (0, [])


async def test_leaving_it_lets_go_of_its_files(place: Place) -> None:
    leaving = asyncio.create_task(place.prepare().arun())
    await asyncio.sleep(0.001)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    batch = place.prepare()
    assert (await batch.arun()).is_complete
    batch.stop()
    batch.abort()


def test_torn_lines_are_cut_off(place: Place) -> None:
    place.run(limit=2)
    whole = place.output.read_bytes()
    place.output.write_bytes(whole[:-20])
    place.journal.write_bytes(place.journal.read_bytes() + b'{"se')
    summary = place.run()
    assert [each.line for each in summary.unknown] == [2]
    assert place.asked == ["a", "b", "b", "c", "d"]
    assert place.texts == ["re: a", "re: b", "re: c", "re: d"]
    assert place.results[1]["asked_before"] == 1


def test_a_result_that_lacks_the_end_of_its_line_counts(place: Place) -> None:
    place.run(limit=2)
    place.output.write_bytes(place.output.read_bytes()[:-1])
    assert place.run().unknown == ()
    assert place.texts == ["re: a", "re: b", "re: c", "re: d"]


def test_what_was_under_way_is_named(place: Place) -> None:
    place.write([{"id": "x", "input": "a"}, "b"])
    place.run(limit=1)
    journal = [json.loads(line) for line in place.journal.read_text().splitlines()]
    place.journal.write_text("".join(f"{json.dumps(each)}\n" for each in journal[:2]))
    place.output.write_text("")
    told: list[tuple[int, str | None, bool]] = []

    def note(_progress: BatchProgress) -> None:
        told.extend((each.line, each.custom_id, each.asked_again) for each in batch.unknown)

    batch = place.prepare(in_flight="skip", on_progress=note)
    summary = batch.run()
    assert told[0] == (1, "x", False)
    assert (summary.is_complete, summary.progress.left, place.texts) == (False, 1, ["re: b"])
    summary = place.run()
    assert (summary.is_complete, summary.unknown[0].times) == (True, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda place: place.write(["a", "b", "c", "e"]), "with other contents"),
        (lambda place: place.write(["a", "b"]), r"had 4 lines \(16 bytes\), and has 2 \(8 bytes\)"),
        (lambda place: place.output.write_text("mine\n"), "line 1 was not written by a batch"),
        (lambda place: place.journal.unlink(), "there is no journal"),
        (lambda place: place.journal.write_text("mine\n"), "line 1 is not of a journal"),
        (lambda place: place.journal.write_text(""), "there is no journal"),
    ],
)
def test_files_that_have_changed_are_refused(
    place: Place, change: Callable[[Place], object], message: str
) -> None:
    place.run(limit=2)
    change(place)
    with pytest.raises(BatchConflictError, match=message):
        place.run()
    assert len(place.api.requests) == 2


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ({"model": "gpt-6-sol"}, {}),
        ({"system_prompt": "Be kind."}, {}),
        ({}, {"api": "chat"}),
    ],
)
def test_answers_of_other_settings_are_not_mixed_in(
    place: Place, model: Json, options: Json
) -> None:
    place.run(limit=2)
    with pytest.raises(BatchConflictError, match=r"this batch began with None|'gpt-6-luna'"):
        place.run(model, **options)


def test_other_parameters_may_change_and_are_said(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.run(limit=2)
    batch = place.prepare({"temperature": 0.5})
    with caplog.at_level(logging.WARNING):
        assert batch.run().is_complete
    assert batch.changes == (
        "temperature: this batch began with None, got 0.5 for the lines that are left",
    )
    assert batch.changes[0] in caplog.text


def test_two_processes_cannot_have_one_output(place: Place) -> None:
    held = OutputFiles(place.output)
    try:
        with pytest.raises(BatchConflictError, match="another batch is writing there"):
            place.run()
    finally:
        held.close()
    assert place.run().is_complete


def test_what_is_no_file_is_no_output(place: Place) -> None:
    llm = place.api.tamma()
    with pytest.raises(BatchConflictError, match="is no regular file"):
        BatchRun(llm, place.source, os.devnull).run()


def test_no_more_is_made_ready_than_there_are_lines(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []

    class Counted(driving._Worker):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(driving, "_Worker", Counted)
    assert place.run(concurrency=10_000).progress.left == 0
    assert 0 < len(made) < 100


def test_the_input_is_not_written_over(place: Place) -> None:
    link = place.path / "link.jsonl"
    link.symlink_to(place.source)
    with pytest.raises(BatchConflictError, match="is the input"):
        BatchRun(place.api.tamma(), place.source, link).run()


# --- money ---


def bound(place: Place) -> Decimal:
    """The most that one of the lines can cost."""
    high = place.prepare(MAX).estimate().high_usd
    assert high is not None
    return high / 4


MAX: Json = {"max_tokens": 100}


def test_a_budget_stops_it_and_is_kept(place: Place) -> None:
    limit = bound(place) + ANSWER_USD
    summary = place.run(MAX, budget_usd=limit)
    assert summary.reason is StopReason.BUDGET
    assert place.texts == ["re: a", "re: b"]
    assert (summary.budget_limit_usd, summary.budget_spent_usd) == (limit, 2 * ANSWER_USD)
    # Left out, it is the one of before; what does not fit is not noted as sent.
    summary = place.run(MAX)
    assert (summary.reason, summary.progress.asked, summary.unknown) == (StopReason.BUDGET, 0, ())
    summary = place.run(MAX, budget_usd=50)
    assert (summary.is_complete, summary.budget_spent_usd) == (True, 4 * ANSWER_USD)


def test_what_was_under_way_is_charged_at_its_bound(place: Place) -> None:
    most = bound(place)
    place.run(MAX, budget_usd=50, limit=1)
    lines = place.journal.read_text().splitlines(keepends=True)
    sent = next(number for number, line in enumerate(lines) if "sent" in line)
    place.journal.write_text("".join(lines[: sent + 1]))
    place.output.write_text("")
    assert place.run(MAX).budget_spent_usd == most + 4 * ANSWER_USD


def test_a_later_budget_counts_what_was_spent_before(place: Place) -> None:
    place.run(limit=2)
    assert place.run(budget_usd=50).budget_spent_usd == 4 * ANSWER_USD
    assert place.run(budget_usd=50).budget_spent_usd == 4 * ANSWER_USD


def test_a_budget_below_what_is_spent_sends_nothing(place: Place) -> None:
    place.run(budget_usd=50, limit=2)
    summary = place.run(budget_usd=ANSWER_USD)
    assert (summary.reason, summary.progress.asked) == (StopReason.BUDGET, 0)


def test_an_unknown_price_stops_a_budget(place: Place) -> None:
    summary = place.run({"model": "my-model"}, budget_usd=50)
    assert (summary.reason, summary.progress.asked) == (StopReason.BUDGET, 0)
    assert "nobody knows" in summary.message


def test_an_estimate_sends_and_changes_nothing(place: Place) -> None:
    estimate = place.prepare().estimate()
    assert (estimate.total, estimate.left, estimate.unpriced) == (4, 4, 0)
    assert estimate.low_usd is not None
    assert estimate.expected_usd is not None
    assert estimate.high_usd is not None
    assert 0 < estimate.low_usd < estimate.expected_usd < estimate.high_usd
    assert list(place.path.iterdir()) == [place.source]
    assert place.api.requests == []
    place.run(limit=3)
    later = place.prepare().estimate()
    assert (later.answered, later.left) == (3, 1)
    assert place.prepare({"model": "my-model"}, limit=1).output == place.output


def test_an_estimate_says_what_has_no_price(place: Place) -> None:
    estimate = place.prepare({"model": "my-model"}).estimate()
    assert (estimate.unpriced, estimate.expected_usd, estimate.high_usd) == (4, None, None)


@pytest.mark.parametrize(
    "options",
    [
        {"concurrency": 0},
        {"concurrency": True},
        {"limit": 0},
        {"max_errors": -1},
        {"api": "soap"},
        {"on_bad_line": "cry"},
        {"in_flight": "hope"},
        {"budget_usd": "much"},
    ],
)
def test_bad_arguments_are_named(place: Place, options: Json) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        place.prepare(**options)


def test_standard_output_cannot_be_ordered(place: Place) -> None:
    with pytest.raises(ConfigurationError, match="a file when the output is to be ordered"):
        BatchRun(place.api.tamma(), place.source, "-", ordered=True)


def test_an_input_that_is_not_there_is_said(place: Place) -> None:
    place.source.unlink()
    with pytest.raises(FileNotFoundError):
        place.run()
