"""Waiting for a job, cancelling it, and fetching its files over bad lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from batch_ways import WAYS, Sync
from fake_batches import FakeBatches, Fault, Reply, answered, chat_answer, unanswered

from langchain_tamma_openai import (
    AuthenticationError,
    BatchCancelledError,
    BatchState,
    BatchStatus,
    ConfigurationError,
    ConnectionFailedError,
    RequestTimeoutError,
    ServerError,
)
from langchain_tamma_openai.batches import steps

DOWN = Reply({"error": {"message": "down"}}, 503)


@pytest.fixture(params=[*WAYS.values()], ids=[*WAYS])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Sync:
    return cast("Sync", request.param(tmp_path / "jobs"))


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every pause of a flow, none of which is taken."""
    taken: list[float] = []

    async def apause(delay_s: float) -> None:
        taken.append(delay_s)

    monkeypatch.setattr(steps, "pause", taken.append)
    monkeypatch.setattr(steps, "apause", apause)
    return taken


def test_pauses_grow_to_a_minute(way: Sync, pauses: list[float]) -> None:
    api = FakeBatches(polls=14)
    seen: list[BatchStatus] = []
    status = way.wait(way.submit(api.model(), ["a"]), on_progress=seen.append)
    assert status.state is BatchState.COMPLETED
    assert (status.completed, status.failed, status.pending) == (1, 0, 0)
    assert [each.state for each in seen] == [BatchState.VALIDATING] * 13 + [BatchState.COMPLETED]
    assert len(pauses) == 13
    assert 4.5 <= pauses[0] <= 5.5
    assert 54 <= pauses[-1] <= 66
    assert pauses[3] > pauses[0]


def test_the_api_may_ask_for_longer_pauses(way: Sync, pauses: list[float]) -> None:
    api = FakeBatches(polls=3)
    api.retry_after = "90"
    way.wait(way.submit(api.model(), ["a"]), poll_interval_s=1)
    assert pauses == [90, 90]


def test_a_wait_ends_when_its_time_is_up_and_the_job_goes_on(
    way: Sync, pauses: list[float]
) -> None:
    api = FakeBatches(polls=3)
    job = way.submit(api.model(), ["a"])
    with pytest.raises(RequestTimeoutError, match=r"not ended within 2 s, its state is validating"):
        way.wait(job, 2)
    assert pauses == []
    with pytest.raises(RequestTimeoutError):
        way.results(job, timeout_s=1)
    assert way.results(job)[0].text == "a"


def test_an_outage_is_waited_out(way: Sync, pauses: list[float]) -> None:
    api = FakeBatches(polls=2)
    job = way.submit(api.model(max_retries=0), ["a"])
    api.faults = [Fault("GET /batches/*", DOWN, times=6)]
    assert way.wait(job).done
    assert len(pauses) == 7


def test_an_outage_without_end_is_an_error(way: Sync, pauses: list[float]) -> None:
    api = FakeBatches()
    job = way.submit(api.model(max_retries=0), ["a"])
    api.faults = [Fault("GET /batches/*", DOWN, times=99)]
    with pytest.raises(ServerError):
        way.wait(job)
    assert len(pauses) == 19


def test_a_refused_key_is_an_error_at_once(way: Sync, pauses: list[float]) -> None:
    api = FakeBatches()
    job = way.submit(api.model(), ["a"])
    api.faults = [Fault("GET /batches/*", Reply({"error": {"message": "no"}}, 401))]
    with pytest.raises(AuthenticationError):
        way.wait(job)
    assert pauses == []


@pytest.mark.parametrize("given", [{"timeout_s": 0}, {"poll_interval_s": -1}])
def test_times_that_cannot_be_meant_are_refused(way: Sync, given: Any) -> None:
    job = way.submit(FakeBatches().model(), ["a"])
    with pytest.raises(ConfigurationError, match=next(iter(given))):
        way.wait(job, **given)


def test_what_has_ended_is_not_asked_about_again(way: Sync) -> None:
    api = FakeBatches()
    job = way.submit(api.model(), ["a"])
    assert [way.status(job).done for _ in range(3)] == [True] * 3
    assert api.count("GET /batches/*") == 1


# --- cancelling ---


def test_what_was_answered_before_a_cancellation_is_there_and_billed(way: Sync) -> None:
    def answer(name: str, _body: Any) -> Any:
        if name == "tamma-0":
            return answered(name, chat_answer("done"))
        return unanswered(name, "batch_cancelled")

    api = FakeBatches(answer, polls=9)
    job = way.submit(api.model(), ["a", "b"])
    assert way.cancel(job).state is BatchState.CANCELLING
    api.polls = 1
    done, stopped = way.outcomes(job)
    assert way.status(job).state is BatchState.CANCELLED
    assert done.output.text == "done"
    assert done.cost_usd
    assert isinstance(stopped.error, BatchCancelledError)
    assert stopped.cost_usd == 0


def test_cancelling_what_has_ended_changes_nothing(way: Sync) -> None:
    api = FakeBatches()
    job = way.submit(api.model(), ["a"])
    assert way.cancel(job).state is BatchState.COMPLETED
    assert api.count("POST /batches/*/cancel") == 0


def test_a_job_may_end_while_it_is_cancelled(way: Sync) -> None:
    api = FakeBatches(polls=2)
    job = way.submit(api.model(), ["a"])
    error = Reply({"error": {"message": "Batch has already ended."}}, 409)
    api.faults = [Fault("POST /batches/*/cancel", error, times=3)]
    assert way.cancel(job).state is BatchState.COMPLETED


# --- files over bad lines ---


class Cut(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A body that breaks off after some bytes, with an error or in silence."""

    def __init__(self, data: bytes, error: Exception | None) -> None:
        self.data = data
        self.error = error

    def __iter__(self) -> Any:
        yield self.data
        if self.error is not None:
            raise self.error

    async def __aiter__(self) -> Any:
        for piece in self:
            yield piece


@pytest.mark.parametrize("error", [httpx2.ReadError("cut"), None])
@pytest.mark.parametrize("resumes", [True, False])
def test_a_cut_file_goes_on_where_it_broke(
    way: Sync,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception | None,
    resumes: bool,  # noqa: FBT001 - a parameter
) -> None:
    api = FakeBatches()
    ranges: list[str | None] = []
    respond = api._answered

    def cutting(request: httpx2.Request, content: bytes) -> httpx2.Response:
        if not request.url.path.endswith("/content"):
            return respond(request, content)
        ranges.append(request.headers.get("range"))
        if not resumes:
            request.headers.pop("range", None)
        response = respond(request, content)
        if len(ranges) < 3:
            half = Cut(response.content[: len(response.content) // 2], error)
            return httpx2.Response(response.status_code, stream=half)
        return response

    monkeypatch.setattr(api, "_answered", cutting)
    job = way.submit(api.model(max_retries=2), [f"n{number}" for number in range(40)])
    found = way.results(job)
    assert [answer.text for answer in found] == [f"n{number}" for number in range(40)]
    assert ranges[0] is None
    assert all(each is not None for each in ranges[1:])


def test_a_file_that_stays_cut_is_an_error_and_nothing_is_lost(way: Sync) -> None:
    api = FakeBatches()
    job = way.submit(api.model(max_retries=1), ["a"])
    cut = Reply(content=b'{"custom_id": "tamma-0", "resp')
    api.faults = [Fault("GET /files/*/content", cut, times=2)]
    with pytest.raises(ConnectionFailedError, match="in the middle of a line"):
        way.results(job)
    assert way.results(job)[0].text == "a"


def test_a_file_that_ends_early_between_lines_is_fetched_again(way: Sync) -> None:
    api = FakeBatches()
    job = way.submit(api.model(), ["a", "b"])
    way.wait(job)
    output = api.files[api.batches[0]["output_file_id"]]
    short = Reply(content=output.splitlines(keepends=True)[0])
    api.faults = [Fault("GET /files/*/content", short)]
    assert [answer.text for answer in way.results(job)] == ["a", "b"]
    assert api.count("GET /files/*/content") == 2


def test_lines_that_are_no_json_are_left_out(way: Sync) -> None:
    api = FakeBatches()
    job = way.submit(api.model(), ["a", "b"])
    way.wait(job)
    output = api.batches[0]["output_file_id"]
    api.files[output] = b"\n\xef\xbb\n[1]\nnull\n" + api.files[output] + b"\n\n"
    assert [answer.text for answer in way.results(job)] == ["a", "b"]


def test_files_without_their_last_line_end_are_whole(way: Sync) -> None:
    api = FakeBatches()
    job = way.submit(api.model(), ["a", "b"])
    way.wait(job)
    output = api.batches[0]["output_file_id"]
    api.files[output] = api.files[output].rstrip(b"\n")
    assert [answer.text for answer in way.results(job)] == ["a", "b"]
