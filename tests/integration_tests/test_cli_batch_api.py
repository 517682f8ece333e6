"""`tamma-openai batch --batch-api`: submits, waits, fetches, goes on and cancels."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from batches_server import Killing, serving
from command_line import popen
from fake_batches import Json, answered, chat_answer, echo, question, unanswered

from langchain_tamma_openai import BatchJob, UsageTracker
from langchain_tamma_openai.cli import app

HALF = "0.000075"
LINES: list[Any] = [
    "first",
    {"input": "second", "id": "two", "max_tokens": 7, "metadata": {"user_id": "ann"}},
    {"messages": [{"role": "user", "content": "third"}], "model": "gpt-5-mini"},
    {
        "custom_id": "four",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "gpt-6-luna", "messages": [{"role": "user", "content": "fourth"}]},
    },
    {
        "custom_id": "five",
        "method": "POST",
        "url": "/v1/responses",
        "body": {"model": "gpt-6-luna", "input": "fifth", "metadata": {"shop": "7"}},
    },
]


@pytest.fixture
def api() -> Killing:
    return Killing()


@pytest.fixture(autouse=True)
def _place(api: Killing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with serving(api) as url:
        for name, value in {
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_BASE_URL": url,
            "TAMMA_OPENAI_BATCH_DIR": str(tmp_path / "jobs"),
            "TAMMA_OPENAI_BATCH_POLL_S": "0.01",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        write("in.jsonl", LINES)
        yield


def write(name: str, lines: list[Any]) -> None:
    Path(name).write_text("".join(json.dumps(line) + "\n" for line in lines))


def results(name: str = "out.jsonl") -> list[Json]:
    return [json.loads(line) for line in Path(name).read_text().splitlines()]


def batch(*words: str) -> int:
    return app.run(["batch", *words])


def test_every_form_of_line_is_answered_in_order(
    api: Killing, capsys: pytest.CaptureFixture[str]
) -> None:
    status = batch("in.jsonl", "-o", "out.jsonl", "--batch-api", "--store", "usage.db")
    told = capsys.readouterr()
    assert status == 0, told.err
    found = results()
    assert [each["text"] for each in found] == ["first", "second", "third", "fourth", "fifth"]
    assert [each["line"] for each in found] == [1, 2, 3, 4, 5]
    assert [each["custom_id"] for each in found] == [None, "two", None, "four", "five"]
    assert found[0]["response"]["status_code"] == 200
    assert found[0]["response"]["body"]["choices"][0]["message"]["content"] == "first"
    assert (found[0]["cost_usd"], found[0]["attempts"]) == (HALF, 1)
    assert found[0]["usage"]["total_tokens"] == 1100
    bodies = {question(line["body"]): line["body"] for line in api.lines}
    assert bodies["second"]["max_completion_tokens"] == 7
    assert bodies["fourth"] == LINES[3]["body"]
    assert bodies["fifth"] == LINES[4]["body"]
    assert {batch["endpoint"] for batch in api.batches} == {"/v1/chat/completions", "/v1/responses"}
    assert len(api.batches) == 3
    assert "5 requests, submitted as batch_" in told.err
    assert "5 of 5 lines answered; $" in told.err
    tracker = UsageTracker("sqlite:///usage.db")
    assert {record.user_id for record in tracker.records()} == {None, "ann"}
    assert sum(1 for _ in tracker.records()) == 5
    tracker.close()


def test_the_same_command_goes_on_with_the_same_job(api: Killing) -> None:
    for _ in range(2):
        assert batch("in.jsonl", "-o", "out.jsonl", "--batch-api", "-q") == 0
    assert len(api.batches) == 3
    write("in.jsonl", ["another"])
    assert batch("in.jsonl", "-o", "out.jsonl", "--batch-api", "-q") == 1
    assert len(api.batches) == 3
    assert len(results()) == 5


def test_a_job_is_left_and_fetched_later(api: Killing, capsys: pytest.CaptureFixture[str]) -> None:
    assert batch("in.jsonl", "--batch-api", "--submit-only") == 0
    job_id = capsys.readouterr().out.strip()
    assert BatchJob.ids() == [job_id]
    assert batch("--batch-api", "--resume", job_id, "-o", "out.jsonl", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["job_id"], told["state"], told["completed"]) == (job_id, "completed", 5)
    assert [each["custom_id"] for each in results()] == [None, "two", None, "four", "five"]
    assert Decimal(told["cost_usd"]) == sum(Decimal(each["cost_usd"]) for each in results())
    assert api.count("POST /batches") == 3


def test_a_batch_of_another_machine_is_fetched(
    api: Killing, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("in.jsonl", ["a", "b"])
    assert batch("in.jsonl", "--batch-api", "--submit-only") == 0
    monkeypatch.setenv("TAMMA_OPENAI_BATCH_DIR", "elsewhere")
    assert batch("--resume", api.batches[0]["id"], "-o", "out.jsonl") == 0
    assert [each["text"] for each in results()] == ["a", "b"]
    assert [each["custom_id"] for each in results()] == ["tamma-0", "tamma-1"]


def test_failed_lines_have_their_errors(api: Killing, capsys: pytest.CaptureFixture[str]) -> None:
    def answer(name: str, body: Json) -> Json:
        if question(body) == "bad":
            return answered(name, {"error": {"message": "No.", "code": "nope"}}, 400)
        late = unanswered(name, "batch_expired")
        return late if question(body) == "late" else echo(name, body)

    api.answer = answer
    write("in.jsonl", ["good", "bad", "late"])
    assert batch("in.jsonl", "-o", "-", "--batch-api") == 1
    told = capsys.readouterr()
    good, bad, late = map(json.loads, told.out.splitlines())
    assert (good["text"], good["error"]) == ("good", None)
    assert (bad["error"]["code"], bad["error"]["kind"]) == ("nope", "invalid_request")
    assert bad["response"]["body"]["error"]["message"] == "No."
    assert (bad["cost_usd"], late["cost_usd"]) == ("0", "0")
    assert (late["error"]["code"], late["response"]) == ("batch_expired", None)
    assert "1 of 3 lines answered, 2 failed" in told.err


def test_a_job_is_cancelled_and_what_was_answered_is_fetched(
    api: Killing, capsys: pytest.CaptureFixture[str]
) -> None:
    api.polls = 99
    api.answer = lambda name, _body: (
        answered(name, chat_answer("done"))
        if name == "tamma-0"
        else unanswered(name, "batch_cancelled")
    )
    write("in.jsonl", ["a", "b"])
    batch("in.jsonl", "--batch-api", "--submit-only")
    job_id = capsys.readouterr().out.strip()
    assert batch("--cancel", job_id) == 0
    assert f"job {job_id} is cancelling" in capsys.readouterr().out
    api.polls = 1
    assert batch("--resume", job_id, "-o", "out.jsonl") == 1
    assert [each["text"] for each in results()] == ["done", None]


def test_lines_that_cannot_be_asked_stop_it_or_are_recorded(
    api: Killing, capsys: pytest.CaptureFixture[str]
) -> None:
    write("in.jsonl", ["good", {"nothing": 1}])
    assert batch("in.jsonl", "-o", "out.jsonl", "--batch-api") == 2
    assert "line 2" in capsys.readouterr().err
    assert api.requests == []
    assert batch("in.jsonl", "-o", "out.jsonl", "--batch-api", "--on-bad-line", "record") == 1
    assert [(each["text"], (each["error"] or {}).get("code")) for each in results()] == [
        ("good", None),
        (None, "bad_line"),
    ]


def test_it_is_priced_at_half_and_held_to_a_budget(
    api: Killing, capsys: pytest.CaptureFixture[str]
) -> None:
    write("in.jsonl", ["a"])
    words = ("in.jsonl", "-o", "out.jsonl", "--max-tokens", "1000", "--dry-run", "--json")
    assert batch(*words) == 0
    full = json.loads(capsys.readouterr().out)
    assert batch(*words, "--batch-api") == 0
    half = json.loads(capsys.readouterr().out)
    assert Decimal(half["high_usd"]) * 2 == Decimal(full["high_usd"])
    assert batch("in.jsonl", "-o", "out.jsonl", "--batch-api", "--budget-usd", "0.0000001") == 3
    assert "budget" in capsys.readouterr().err
    assert api.requests == []


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["in.jsonl", "-o", "o", "--batch-api", "--limit", "1"], "--limit: means nothing"),
        (["--batch-api", "-o", "o"], "INPUT: is missing"),
        (["in.jsonl", "--batch-api"], "--output: is missing"),
        (["in.jsonl", "--resume", "x", "-o", "o"], "leave INPUT"),
        (["--resume", "x", "--cancel", "y", "-o", "o"], "give one of them"),
        (["-o", "o"], "INPUT: is missing"),
        (["in.jsonl"], "--output: is missing"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    api: Killing, capsys: pytest.CaptureFixture[str], words: list[str], complaint: str
) -> None:
    assert batch(*words) == 2
    assert complaint in capsys.readouterr().err
    assert api.requests == []


def test_an_unknown_job_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert batch("--resume", "nothing", "-o", "out.jsonl") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: There is no job or batch 'nothing'")


def test_results_of_something_else_are_never_overwritten(api: Killing) -> None:
    Path("out.jsonl").write_text("precious\n")
    assert batch("in.jsonl", "-o", "out.jsonl", "--batch-api") == 1
    assert Path("out.jsonl").read_text() == "precious\n"
    assert api.requests == []


def test_a_killed_command_is_gone_on_with_by_the_same(
    api: Killing, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["batch", "in.jsonl", "-o", "out.jsonl", "--batch-api", "-q"]
    variables = {
        name: os.environ[name]
        for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL")
        if name in os.environ
    }
    variables["TAMMA_OPENAI_BATCH_DIR"] = str(Path("jobs").absolute())
    api.step, api.is_done = "GET /batches/*", True
    with popen(words, variables) as process:
        api.pid = process.pid
        assert process.wait(60) == -9
    assert not Path("out.jsonl").exists()
    monkeypatch.setenv("TAMMA_OPENAI_BATCH_DIR", variables["TAMMA_OPENAI_BATCH_DIR"])
    assert app.run(words) == 0
    assert len(results()) == 5
    assert len(api.batches) == 3
