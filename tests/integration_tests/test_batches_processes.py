"""A job is submitted once and paid once, at whatever step its process is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from batches_server import Killing, serving
from langchain_core.tracers.langchain import LangChainTracer
from langsmith_receiver import receiving, tracing_client
from llmock.pytest_plugin import LLMock

from langchain_tamma_openai import BatchState, Budget, ChatTammaOpenAI, UsageTracker

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
HALF = Decimal("0.000075")
STEPS = [
    ("POST /files", False),
    ("POST /files", True),
    ("POST /batches", False),
    ("POST /batches", True),
    ("GET /batches/*", True),
    ("GET /files/*/content", True),
]


@pytest.fixture
def api() -> Killing:
    return Killing()


@pytest.fixture
def url(api: Killing) -> Iterator[str]:
    with serving(api) as address:
        yield address


class Nursery:
    """Starts processes that have everything loaded."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._write, self._read = process.stdin, process.stdout
        assert self._read.readline() == "ready\n"

    def start(self, url: str, folder: Path, way: str, report: str = "report") -> int:
        """Start one; gives its number."""
        return int(self._ask(f"{url} {folder} {way} {folder / report}"))

    def wait(self) -> tuple[int, int]:
        """Wait for one of them: its number, and how it ended."""
        pid, status = self._ask("wait").split()
        return int(pid), int(status)

    def _ask(self, line: str) -> str:
        print(line, file=self._write, flush=True)
        return self._read.readline()


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    paths = os.pathsep.join((str(ROOT), str(HERE)))
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, str(HERE / "batch_worker.py")],
        env={**os.environ, "PYTHONPATH": paths},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Nursery(process)
        assert process.stdin is not None
        process.stdin.close()


@pytest.mark.parametrize(("step", "is_done"), STEPS)
def test_a_killed_process_is_followed_by_one_that_goes_on(
    api: Killing,
    url: str,
    nursery: Nursery,
    tmp_path: Path,
    *,
    step: str,
    is_done: bool,
) -> None:
    api.step, api.is_done = step, is_done
    api.pid = nursery.start(url, tmp_path, "async" if is_done else "sync")
    assert nursery.wait() == (api.pid, -signal.SIGKILL)
    for way in ("load", "async"):
        nursery.start(url, tmp_path, way)
        assert nursery.wait()[1] == 0
        assert (tmp_path / "report").read_text() == "n0,n1,n2,n3,n4"
    assert len(api.batches) == 1
    assert api.count("POST /batches") == 1
    assert len([name for name in api.names.values() if name.startswith("tamma-")]) == 1
    tracker = UsageTracker(f"sqlite:///{tmp_path / 'usage.db'}")
    assert tracker.summary().total_requests == 5
    assert tracker.summary().total_cost_usd == 5 * HALF
    tracker.close()
    status = Budget(limit_usd=10, name="b", store=f"sqlite:///{tmp_path / 'budget.db'}").status()
    assert (status.reserved_usd, status.spent_usd) == (Decimal(0), 5 * HALF)


def test_processes_that_begin_together_submit_once(
    api: Killing, url: str, nursery: Nursery, tmp_path: Path
) -> None:
    for number, way in enumerate(("sync", "async", "sync")):
        nursery.start(url, tmp_path, way, f"report{number}")
    assert [nursery.wait()[1] for _ in range(3)] == [0] * 3
    told = [(tmp_path / f"report{number}").read_text() for number in range(3)]
    assert told == ["n0,n1,n2,n3,n4"] * 3
    assert len(api.batches) == 1
    tracker = UsageTracker(f"sqlite:///{tmp_path / 'usage.db'}")
    assert tracker.summary().total_requests == 5
    tracker.close()


def test_traces_have_the_price_and_the_times_of_the_batch(
    api: Killing, url: str, tmp_path: Path
) -> None:
    llm = ChatTammaOpenAI(model="gpt-6-luna", api_key="sk-test", base_url=url)
    with receiving() as receiver, tracing_client(receiver) as client:
        job = llm.submit_batch(["a", "b"], {"metadata": {"user_id": "u"}}, journal=tmp_path)
        job.wait(poll_interval_s=0.01)
        job.results({"callbacks": [LangChainTracer(client=client)]})
        client.flush()
        runs = receiver.model_runs()
        parent = next(run for run in receiver.runs.values() if run["run_type"] == "chain")
        assert len(runs) == 2
        for run in runs:
            usage = receiver.metadata(run["id"])["usage_metadata"]
            assert Decimal(str(usage["total_cost"])) == HALF
            assert run["extra"]["metadata"]["user_id"] == "u"
            assert (run["parent_run_id"], run["trace_id"]) == (parent["id"], parent["id"])
            assert run["dotted_order"].startswith(f"{parent['dotted_order']}.")
            assert run["end_time"] > run["start_time"]
        began = datetime.fromtimestamp(api.batches[0]["created_at"], UTC)
        assert runs[0]["start_time"].startswith(began.strftime("%Y-%m-%dT%H:%M:%S"))
        assert runs[0]["dotted_order"].split(".")[1].startswith(began.strftime("%Y%m%dT%H%M%S"))


@pytest.mark.filterwarnings("ignore:Unclosed file <tempfile.Spooled:ResourceWarning")
def test_another_mock_of_the_api_agrees(
    llmock: LLMock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmock.routers import batch

    monkeypatch.setattr(batch, "_BATCH_DELAY", 0.05)
    llm = ChatTammaOpenAI(model="gpt-6-luna", api_key="sk-test", base_url=llmock.base_url())
    job = llm.submit_batch(["a", "b", "c"], journal=tmp_path)
    status = job.wait(30, poll_interval_s=0.05)
    assert (status.state, status.completed) == (BatchState.COMPLETED, 3)
    answers = job.results()
    assert len(answers) == 3
    assert all(answer.text and answer.response_metadata["cost"]["total_usd"] for answer in answers)
