"""What a job costs: half the price, once, in ledger, callbacks, traces and budgets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
from batch_ways import WAYS, Sync
from fake_batches import FakeBatches, Fault, Json, Reply, answered, chat_answer, unanswered
from langchain_core.callbacks import BaseCallbackHandler
from mock_api import MockAPI
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from langchain_tamma_openai import (
    BatchJob,
    Budget,
    BudgetExceededError,
    InvalidRequestError,
    OpenAIRateLimiter,
    OpenTelemetryCallbackHandler,
    RunStatus,
    UsageCallbackHandler,
    UsageTracker,
    get_usage_callback,
    no_waiting,
)
from langchain_tamma_openai.batches.journal import run_id
from langchain_tamma_openai.chat_models.passages import upper_bound

NOTHING = Decimal(0)
HALF = Decimal("0.000075")
"""1,000 tokens in and 100 out of gpt-6-luna, at $0.05 and $0.25 a million."""


@pytest.fixture(params=[*WAYS.values()], ids=[*WAYS])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Sync:
    return cast("Sync", request.param(tmp_path / "jobs"))


@pytest.fixture(autouse=True)
def _at_once() -> Iterator[None]:
    with no_waiting():
        yield


# --- messages ---


def test_an_answer_costs_half_of_what_invoke_costs(way: Sync) -> None:
    plain = MockAPI(chat_answer("a")).tamma().invoke("a")
    (answer,) = way.results(way.submit(FakeBatches().model(), ["a"]))
    costs = [each.response_metadata["cost"] for each in (plain, answer)]
    assert Decimal(costs[1]["total_usd"]) * 2 == Decimal(costs[0]["total_usd"])
    assert Decimal(costs[1]["total_usd"]) == HALF
    assert answer.response_metadata["service_tier"] == "batch"
    assert answer.response_metadata["batch"]["custom_id"] == "tamma-0"
    same = {"id", "cost", "service_tier", "batch"}
    metadata = [
        {k: v for k, v in each.response_metadata.items() if k not in same}
        for each in (plain, answer)
    ]
    assert metadata[0] == metadata[1]
    assert plain.usage_metadata == answer.usage_metadata


# --- ledger ---


def test_the_ledger_has_each_request_once_however_often_it_is_fetched(
    way: Sync, tmp_path: Path
) -> None:
    api = FakeBatches()
    tracker = UsageTracker(f"sqlite:///{tmp_path / 'usage.db'}")
    llm = api.model(usage_tracker=tracker)
    configs: list[Any] = [
        {"metadata": {"user_id": f"u{number}", "organization_id": "o"}, "tags": ["nightly"]}
        for number in range(3)
    ]
    job = way.submit(llm, ["a", "b", "c"], configs)
    for each in (job, job, way.load(job.id, llm), way.load(job.batch_ids[0], llm)):
        way.results(each)
    elsewhere = way.load(job.batch_ids[0], llm, journal=tmp_path / "elsewhere")
    way.results(elsewhere)
    # They began at the same moment, so their order in the ledger means nothing.
    records = sorted(tracker.records(), key=lambda record: str(record.user_id))
    assert [record.user_id for record in records] == ["u0", "u1", "u2"]
    assert [record.run_id for record in records] == [run_id(job.id, n) for n in range(3)]
    for record in records:
        assert record.cost is not None
        assert record.cost.total_usd == HALF
        assert (record.organization_id, record.tags) == ("o", ("nightly",))
        assert (record.service_tier, record.api) == ("batch", "chat_completions")
        assert record.metadata["batch_job"] == job.id
        assert record.parent_run_id == run_id(job.id)
        assert (record.status, record.attempts) == (RunStatus.OK, 1)
    assert tracker.summary().total_cost_usd == 3 * HALF
    tracker.close()


def test_records_have_the_times_of_the_batch(way: Sync) -> None:
    api = FakeBatches()
    tracker = UsageTracker()
    way.results(way.submit(api.model(usage_tracker=tracker), ["a"]))
    (record,) = tracker.records()
    created = datetime.fromtimestamp(api.batches[0]["created_at"], UTC)
    assert record.started_at == created
    assert record.latency_s == pytest.approx(60, abs=5)


def test_failures_are_in_the_ledger_and_cost_nothing(way: Sync) -> None:
    def answer(name: str, _body: Json) -> Json:
        if name == "tamma-0":
            return answered(name, {"error": {"message": "bad", "code": "x"}}, 400)
        return unanswered(name, "batch_expired" if name == "tamma-1" else "batch_cancelled")

    tracker = UsageTracker()
    job = way.submit(FakeBatches(answer).model(usage_tracker=tracker), ["a", "b", "c"])
    way.results(job, return_exceptions=True)
    refused, late, stopped = tracker.records()
    assert (refused.status, refused.error_code) == (RunStatus.ERROR, "x")
    assert (late.status, late.error_kind) == (RunStatus.ERROR, "timeout")
    assert stopped.status is RunStatus.CANCELLED
    assert all(each.cost and each.cost.total_usd == 0 for each in (refused, late, stopped))


def test_a_ledger_that_did_not_hear_of_it_has_it_after_the_next_fetch(way: Sync) -> None:
    api = FakeBatches()
    job = way.submit(api.model(), ["a"])
    way.results(job)
    tracker = UsageTracker()
    with get_usage_callback() as usage:
        way.results(way.load(job.id, api.model(usage_tracker=tracker)))
    assert len(list(tracker.records())) == 1
    assert usage.requests == 0


def test_a_fetch_that_breaks_off_is_told_whole_by_the_next(way: Sync) -> None:
    api = FakeBatches()
    tracker = UsageTracker()
    job = way.submit(api.model(usage_tracker=tracker), ["a", "b"])
    api.faults = [Fault("GET /files/*/content", Reply({"error": {"message": "no"}}, 400))]
    with pytest.raises(InvalidRequestError):
        way.results(job)
    assert list(tracker.records()) == []
    way.results(job)
    assert len(list(tracker.records())) == 2


def test_two_threads_fetch_once(tmp_path: Path) -> None:
    api = FakeBatches()
    tracker = UsageTracker()
    job = api.model(usage_tracker=tracker).submit_batch(["a", "b"], journal=tmp_path)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(job.results())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [[answer.text for answer in each] for each in found] == [["a", "b"]] * 4
    assert api.count("GET /files/*/content") == 1
    assert len(list(tracker.records())) == 2


# --- callbacks ---


class Witness(BaseCallbackHandler):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.starts: list[Any] = []
        self.ends: list[Any] = []
        self.errors: list[Any] = []
        self.chains: list[Any] = []

    def on_chain_start(self, *_args: Any, run_id: Any, **kwargs: Any) -> None:
        self.chains.append((run_id, kwargs.get("name")))

    def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
        del serialized
        self.starts.append({"messages": messages, **kwargs})

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        self.ends.append((kwargs["run_id"], response.generations[0][0].message))

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        self.errors.append((kwargs["run_id"], error))


@pytest.mark.parametrize("where", ["submit", "each", "model", "results", "loaded"])
def test_callbacks_hear_of_each_request_under_one_run(way: Sync, where: str) -> None:
    def answer(name: str, _body: Json) -> Json:
        bad = answered(name, {"error": {"message": "bad"}}, 400)
        return bad if name == "tamma-1" else answered(name, chat_answer("a"))

    witness = Witness()
    api = FakeBatches(answer)
    llm = api.model(callbacks=[witness] if where == "model" else None)
    config: Any = {"callbacks": [witness], "metadata": {"user_id": "u"}, "run_name": "n"}
    given = {"submit": config, "each": [config, dict(config)]}.get(where)
    job = way.submit(llm, ["x", "y"], given)
    if where == "loaded":
        job = way.load(job.id, llm)
    fetched = config if where in {"results", "loaded"} else None
    way.results(job, fetched, return_exceptions=True)
    way.results(job, fetched, return_exceptions=True)
    way.results(way.load(job.id, llm), fetched, return_exceptions=True)
    assert [start["run_id"] for start in witness.starts] == [run_id(job.id, n) for n in (0, 1)]
    assert {start["parent_run_id"] for start in witness.starts} == {run_id(job.id)}
    assert [start["messages"][0][0].content for start in witness.starts] == ["x", "y"]
    assert witness.starts[0]["invocation_params"]["model"] == "gpt-6-luna"
    assert witness.ends[0][1].response_metadata["cost"]["total_usd"] == "0.000075"
    assert isinstance(witness.errors[0][1], InvalidRequestError)
    if where in {"submit", "results", "loaded"}:
        assert witness.chains == [(run_id(job.id), "openai_batch")]
    if where == "submit":
        assert witness.starts[0]["name"] == "n"
        assert witness.starts[0]["metadata"]["user_id"] == "u"


def test_a_block_counts_what_is_fetched_in_it_once(way: Sync) -> None:
    api = FakeBatches()
    handler = UsageCallbackHandler()
    job = way.submit(api.model(), ["a", "b"], {"callbacks": [handler]})
    with get_usage_callback() as usage:
        way.results(job)
        way.results(job)
        way.results(way.load(job.id, api.model()))
    assert (usage.requests, usage.total_cost_usd) == (2, 2 * HALF)
    assert handler.totals.total_cost_usd == 2 * HALF


def test_spans_have_the_times_of_the_batch(way: Sync) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    handler = OpenTelemetryCallbackHandler(tracer_provider=provider)
    api = FakeBatches()
    job = way.submit(api.model(), ["a"])
    way.results(job, {"callbacks": [handler]})
    (span,) = exporter.get_finished_spans()
    assert span.start_time == api.batches[0]["created_at"] * 10**9
    assert span.attributes is not None
    assert span.attributes["gen_ai.usage.cost_decimal"] == str(HALF)
    assert span.attributes["openai.response.service_tier"] == "batch"


# --- limits and budgets ---


def test_requests_of_a_batch_do_not_count_against_rate_limits(way: Sync) -> None:
    api = FakeBatches()
    limiter = OpenAIRateLimiter(requests_per_minute=1, tokens_per_minute=5)
    job = way.submit(api.model(rate_limiter=limiter), [f"n{n}" for n in range(9)])
    assert len(way.results(job)) == 9


def _budget(tmp_path: Path, **kwargs: Any) -> Budget:
    return Budget(name="b", store=f"sqlite:///{tmp_path / 'budget.db'}", **kwargs)


@pytest.mark.parametrize("shared", [False, True])
def test_a_budget_holds_the_most_it_can_cost_and_then_what_it_did(
    way: Sync,
    tmp_path: Path,
    shared: bool,  # noqa: FBT001 - a parameter
) -> None:
    budget = _budget(tmp_path, limit_usd=1) if shared else Budget(limit_usd=1)
    api = FakeBatches()
    llm = api.model(budget=budget, max_tokens=1000)
    plain = upper_bound(llm, llm._call([*_messages("a")], None, {}), None).usd
    assert plain is not None
    job = way.submit(llm, ["a", "b"])
    status = budget.status()
    assert status.reserved_usd == plain
    assert status.spent_usd == 0
    again = way.load(job.id, llm) if shared else job
    way.results(again)
    way.results(way.load(job.id, llm))
    status = budget.status()
    assert (status.reserved_usd, status.spent_usd) == (NOTHING, 2 * HALF)
    assert status.spent_tokens == 2200


def _messages(text: str) -> list[Any]:
    from langchain_core.messages import HumanMessage

    return [HumanMessage(text)]


def test_another_process_settles_what_this_one_set_aside(tmp_path: Path) -> None:
    api = FakeBatches()
    first = _budget(tmp_path, limit_usd=1, reservation_ttl_s=0.001, on_abandoned="free")
    job = api.model(budget=first, max_tokens=1000).submit_batch(["a"], journal=tmp_path / "jobs")
    second = _budget(tmp_path, limit_usd=1, reservation_ttl_s=0.001, on_abandoned="free")
    assert second.status().reserved_usd > 0
    llm = api.model(budget=second, max_tokens=1000)
    BatchJob.load(job.id, llm, journal=tmp_path / "jobs").results()
    status = first.status()
    assert (status.reserved_usd, status.spent_usd) == (NOTHING, HALF)


def test_each_user_has_a_budget_of_their_own(way: Sync) -> None:
    budget = Budget(limit_usd=1, scope="user_id")
    llm = FakeBatches().model(budget=budget, max_tokens=10)
    configs: list[Any] = [{"metadata": {"user_id": user}} for user in ("u", "v", "u")]
    way.results(way.submit(llm, ["a", "b", "c"], configs))
    assert budget.status(user_id="u").spent_usd == 2 * HALF
    assert budget.status(user_id="v").spent_usd == HALF


def test_a_batch_that_does_not_fit_is_not_sent(way: Sync) -> None:
    budget = Budget(limit_usd="0.0001", scope="user_id", wait_s=0)
    api = FakeBatches()
    llm = api.model(budget=budget, max_tokens=10)
    configs: list[Any] = [{"metadata": {"user_id": user}} for user in ("u", "v")]
    with pytest.raises(BudgetExceededError):
        way.submit(llm, ["a", "b" * 40_000], configs)
    assert api.requests == []
    assert budget.status(user_id="u").reserved_usd == 0
    assert not list(Path(way.store).glob("*.job*"))


def test_a_refused_batch_gives_its_budget_back(way: Sync) -> None:
    budget = Budget(limit_usd=1)
    api = FakeBatches()
    api.faults = [Fault("POST /batches", Reply({"error": {"message": "no"}}, 400))]
    with pytest.raises(InvalidRequestError):
        way.submit(api.model(budget=budget), ["a"])
    status = budget.status()
    assert (status.reserved_usd, status.spent_usd) == (NOTHING, NOTHING)


def test_a_killed_submission_does_not_reserve_twice(way: Sync, tmp_path: Path) -> None:
    budget = _budget(tmp_path, limit_usd=1)
    api = FakeBatches()
    llm = api.model(budget=budget, max_tokens=1000)
    api.faults = [Fault("POST /batches", KeyboardInterrupt(), is_done=True)]
    with suppress(KeyboardInterrupt):
        way.submit(llm, ["a"], job_id="nightly")
    reserved = budget.status().reserved_usd
    assert reserved > 0
    job = way.submit(llm, ["a"], job_id="nightly")
    assert budget.status().reserved_usd == reserved
    way.results(job)
    assert (budget.status().reserved_usd, budget.status().spent_usd) == (NOTHING, HALF)


def test_the_event_loop_is_free_while_answers_are_read(tmp_path: Path) -> None:
    """Reading, pricing and writing down happen in a thread."""
    api = FakeBatches()
    threads: set[str] = set()

    class Where(BaseCallbackHandler):
        def on_llm_end(self, *_args: Any, **_kwargs: Any) -> None:
            threads.add(threading.current_thread().name)

    async def run() -> None:
        job = await api.model().asubmit_batch(["a"], journal=tmp_path)
        await job.aresults({"callbacks": [Where()]})

    asyncio.run(run())
    assert threads
    assert "MainThread" not in threads
