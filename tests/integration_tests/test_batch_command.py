"""`tamma-openai batch`: exit codes, what it says, pipes, and Ctrl-C."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from batches import LINE_USD, begin, pausing, read_lines, seen, task, write_lines
from loopback import LoopbackServer, Reply, Request, json_reply

from langchain_tamma_openai.__main__ import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackServer]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.delenv("TAMMA_OPENAI_STORE", raising=False)
    with LoopbackServer(pausing(0)) as running:
        yield running


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "in.jsonl", [{"id": name, "input": name} for name in "abcd"])


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def batch(server: LoopbackServer, source: object, output: object, *options: str) -> int:
    return main(["batch", str(source), "-o", str(output), "--base-url", server.url, *options])


def refusing(status: int, code: str, text: str = "") -> object:
    """Refuse requests that ask a text, or all."""

    def script(request: Request) -> Reply:
        if text and request.text != text:
            return pausing(0)(request)
        error = {"message": "No.", "type": "invalid_request_error", "param": None, "code": code}
        return json_reply({"error": error}, status)

    return script


def test_all_answered(server: LoopbackServer, source: Path, output: Path, capsys: Capture) -> None:
    assert batch(server, source, output, "--json", "--max-tokens", "9", "--system", "Be kind.") == 0
    told = capsys.readouterr()
    summary = json.loads(told.out)
    assert (summary["reason"], summary["complete"], summary["answered"]) == ("done", True, 4)
    assert summary["exit_status"] == 0
    assert Decimal(summary["cost_usd"]) == 4 * LINE_USD
    assert told.err.startswith("4 of 4 lines answered; $0.0000052 in all")
    assert [result["text"] for result in read_lines(output)] == [
        f"answer to {result['custom_id']}" for result in read_lines(output)
    ]
    body = server.requests[0].body
    assert (body["messages"][0]["content"], body["max_completion_tokens"]) == ("Be kind.", 9)
    assert batch(server, source, output, "--max-tokens", "9", "--system", "Be kind.") == 0
    assert "going on: 4 of 4 lines are answered" in capsys.readouterr().err
    assert len(server.requests) == 4


def test_lines_that_fail(
    server: LoopbackServer, source: Path, output: Path, capsys: Capture
) -> None:
    server.script = refusing(400, "invalid_value", "b")  # type: ignore[assignment]
    assert batch(server, source, output) == 1
    told = capsys.readouterr().err
    assert "3 of 4 lines answered, 1 failed" in told
    assert told.endswith("lines with an error are asked again with --retry-errors\n")
    server.script = pausing(0)
    assert batch(server, source, output, "--retry-errors", "--ordered") == 0
    assert [result["custom_id"] for result in read_lines(output)] == list("abcd")


def test_a_bad_key_stops_it(
    server: LoopbackServer, source: Path, output: Path, capsys: Capture
) -> None:
    server.script = refusing(401, "invalid_api_key")  # type: ignore[assignment]
    assert batch(server, source, output, "-c", "1", "-q") == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "It would meet every line" in told
    assert (len(server.requests), read_lines(output)) == (1, [])


def test_bad_lines(server: LoopbackServer, tmp_path: Path, output: Path, capsys: Capture) -> None:
    source = write_lines(tmp_path / "bad.jsonl", ["a", {"input": 3}, {"inptu": "b"}])
    assert batch(server, source, output) == 2
    told = capsys.readouterr().err
    assert "2 lines cannot be asked; nothing was sent" in told
    assert "leave them out with --on-bad-line skip or record\n" in told
    assert "  line 2: input: got 3, must be a text or a list of items\n  line 3: " in told
    assert (server.requests, output.exists()) == ([], False)
    assert batch(server, source, output, "--on-bad-line", "skip") == 0
    assert "2 lines cannot be asked: line 2" in capsys.readouterr().err


def test_a_budget_that_is_used_up(
    server: LoopbackServer, source: Path, output: Path, capsys: Capture
) -> None:
    options = ("-c", "1", "--max-tokens", "100", "--budget-usd")
    assert batch(server, source, output, *options, "0.000053") == 3
    told = capsys.readouterr().err
    assert "the budget is used up: " in told
    assert 0 < len(read_lines(output)) < 4
    assert batch(server, source, output, *options, "1") == 0
    assert max(seen(server).values()) == 1


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (("--budget-usd", "much"), 2, "--budget-usd: got 'much'"),
        (("--concurrency", "0"), 2, "concurrency"),
        (("--temperature", "nan"), 2, "--temperature"),
        (("--timeout", "-1"), 2, "--timeout"),
        (("--model", "gpt-6-sol"), 1, "model: this batch began with 'gpt-6-luna'"),
        (("--base-url", "nowhere"), 2, "--base-url"),
        (("--store", "memory"), 2, "--store"),
    ],
)
def test_arguments_that_do_not_fit(  # noqa: PLR0917 - fixtures and cases
    server: LoopbackServer,
    source: Path,
    output: Path,
    capsys: Capture,
    options: tuple[str, str],
    status: int,
    message: str,
) -> None:
    assert batch(server, source, output, "--limit", "1") == 0
    assert batch(server, source, output, *options) == status
    assert message in capsys.readouterr().err
    assert len(server.requests) == 1


def test_places_that_are_not_there(
    server: LoopbackServer, source: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert batch(server, tmp_path / "none.jsonl", tmp_path / "out.jsonl") == 1
    assert batch(server, source, tmp_path / "none" / "out.jsonl") == 1
    assert batch(server, source, tmp_path) == 2
    assert batch(server, source, os.devnull) == 2
    assert batch(server, source, "-", "--ordered") == 2
    assert capsys.readouterr().err.count("error: ") == 5


def test_a_dry_run_prices_and_sends_nothing(
    server: LoopbackServer, source: Path, output: Path, capsys: Capture
) -> None:
    assert batch(server, source, output, "--dry-run", "--max-tokens", "100") == 0
    counted, amounts = capsys.readouterr().out.splitlines()
    assert counted.startswith("4 lines, 4 to ask; about 32 tokens of input")
    assert amounts.startswith("at least $0.00")
    assert batch(server, source, output, "--dry-run", "--json") == 0
    estimate = json.loads(capsys.readouterr().out)
    assert Decimal(estimate["low_usd"]) < Decimal(estimate["high_usd"])
    assert (server.requests, output.exists()) == ([], False)


def test_it_reads_and_writes_pipes(
    server: LoopbackServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = "".join(f'{{"id": {number}, "input": "q{number}"}}\n' for number in range(20))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    assert batch(server, "-", "-", "--json") == 0
    told = capfd.readouterr()
    results = [json.loads(line) for line in told.out.splitlines()]
    assert {result["custom_id"] for result in results} == set(map(str, range(20)))
    assert json.loads(told.err.splitlines()[-1])["answered"] == 20


def test_standard_input_can_be_gone_on_with(
    server: LoopbackServer, source: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit, answers in (("1", 1), ("9", 4)):
        given = io.TextIOWrapper(io.BytesIO(source.read_bytes()))
        monkeypatch.setattr(sys, "stdin", given)
        assert batch(server, "-", output, "--limit", limit) == 0
        assert len(read_lines(output)) == len(server.requests) == answers


def test_a_reader_that_goes_away_ends_it(server: LoopbackServer, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", [f"text {number}" for number in range(200)])
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "langchain_tamma_openai", "batch", str(source), "-o", "-"]
    process = subprocess.Popen(  # noqa: S603 - our own program
        [*command, "--base-url", server.url],
        stdout=writing,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)
    _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (141, b"")
    assert len(server.requests) < 200


def test_ctrl_c_waits_for_what_is_under_way(server: LoopbackServer, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", [task(f"line-{number}") for number in range(50)])
    output = tmp_path / "out.jsonl"
    server.script = pausing(*[0.01] * 8, 0.7, 0.7)
    with begin(source, output, server.url, "-c", "2", "--json") as running:
        assert running.reaches(8)
        assert server.sees(lambda: len(server.requests) >= 10)
        running.interrupt()
        assert running.end() == 130
        assert running.summary["reason"] == "stopped"
        assert running.summary["left_in_flight"] == []
        assert running.told.endswith("stopped; run the same command again to go on\n")
        assert "requests under way are waited for" in running.told
    assert len(read_lines(output)) == len(server.requests) < 50
    server.script = pausing(0)
    with begin(source, output, server.url, "--json") as running:
        assert running.end() == 0
        assert running.summary["unknown_outcome"] == []
    assert max(seen(server).values()) == 1


def test_ctrl_c_twice_leaves_what_is_under_way(server: LoopbackServer, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", [task(f"line-{number}") for number in range(10)])
    output = tmp_path / "out.jsonl"
    server.script = pausing(0, 0, 60, 60)
    with begin(source, output, server.url, "-c", "2", "--json") as running:
        assert running.reaches(2)
        assert server.sees(lambda: len(server.requests) == 4)
        running.interrupt()
        assert server.sees(lambda: "waited for" in running.told)
        running.interrupt()
        assert running.end() == 130
        left = running.summary["left_in_flight"]
        assert len(left) == 2
        assert "2 lines are sent, outcome unknown" in running.told
    server.script = pausing(0)
    with begin(source, output, server.url, "--json") as running:
        assert running.end() == 0
        assert [each["line"] for each in running.summary["unknown_outcome"]] == left
    assert len(read_lines(output)) == 10


def test_two_at_once_are_refused(server: LoopbackServer, tmp_path: Path, capsys: Capture) -> None:
    source = write_lines(tmp_path / "in.jsonl", [task(f"line-{number}") for number in range(10)])
    output = tmp_path / "out.jsonl"
    server.script = pausing(0, 60)
    with begin(source, output, server.url, "-c", "1") as running:
        assert running.reaches(1)
        assert batch(server, source, output) == 1
        assert "another batch is writing there" in capsys.readouterr().err
    server.script = pausing(0)
    assert batch(server, source, output, "-q") == 0
