"""The demo runs from end to end, with its mock and with a key."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from decimal import Decimal

import pytest
from llmock.pytest_plugin import LLMock

from langchain_tamma_openai.__main__ import main
from langchain_tamma_openai.cli import _mock, demo

STEPS = [
    "A prompt chain",
    "A stream",
    "An agent with a tool",
    "A structured answer",
    "A batch of 20",
]


@pytest.fixture(autouse=True)
def no_key_and_no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(_mock, "LATENCY_MS", 0)
    monkeypatch.setattr(_mock, "CHUNK_DELAY_MS", 0)


def test_demo_without_a_key_says_that_a_mock_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo"]) == 0
    printed = capsys.readouterr().out
    assert "No real model is called: a local mock (llmock) answers" in printed
    assert "\x1b" not in printed
    for number, step in enumerate(STEPS, start=1):
        assert f"\n{number}. {step}" in printed


def test_each_step_and_the_table_agree(capsys: pytest.CaptureFixture[str]) -> None:
    main(["demo"])
    printed = capsys.readouterr().out
    steps = re.findall(
        r"^   = (\d+) calls?, (\d+) tokens in, (\d+) out, \$([\d.]+)$", printed, re.MULTILINE
    )
    assert len(steps) == len(STEPS)
    calls, input_tokens, _, _, output_tokens, _, cost = _cells(printed, "all")
    assert int(calls) == sum(int(step[0]) for step in steps) == 25
    assert int(input_tokens) == sum(int(step[1]) for step in steps)
    assert int(output_tokens) == sum(int(step[2]) for step in steps)
    assert Decimal(cost[1:]) == sum(Decimal(step[3]) for step in steps)
    assert _cells(printed, "gpt-6-luna") == _cells(printed, "all")


def test_json_gives_the_figures_of_each_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["model"], report["mocked"]) == ("gpt-6-luna", True)
    assert [step["step"].split(":")[0] for step in report["steps"]][:3] == STEPS[:3]
    assert sum(step["requests"] for step in report["steps"]) == 25
    costs = [Decimal(step["cost_usd"]) for step in report["steps"]]
    assert Decimal(report["total"]["cost_usd"]) == sum(costs)
    assert report["models"]["gpt-6-luna"] == report["total"]


def test_agent_runs_python_and_batch_shows_progress(capsys: pytest.CaptureFixture[str]) -> None:
    main(["demo"])
    printed = capsys.readouterr().out
    assert "model:  call july_temperature({'city': 'Lisbon'})" in printed
    assert "Python: 23.5 degrees Celsius" in printed
    assert "Ticket(topic='billing', priority='high'" in printed
    assert re.findall(r"(\d+)/20", printed) == ["5", "10", "15", "20"]


def test_with_a_key_the_configured_api_answers(
    llmock: LLMock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.setenv(name, llmock.env()[name])
    assert main(["demo", "--model", "gpt-4o"]) == 0
    printed = capsys.readouterr().out
    assert f"The real API answers: {llmock.base_url()}/\n" in printed
    assert _cells(printed, "gpt-4o")[0] == "25"


def test_an_error_of_the_api_is_one_line(
    llmock: LLMock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.setenv(name, llmock.env()[name])
    llmock.fail(401)
    assert main(["demo"]) == 1
    captured = capsys.readouterr().err
    assert captured.strip().startswith("error: AuthenticationError: ")
    assert captured.strip().count("\n") == 0


def test_an_unknown_price_is_said_to_be_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.warns(UserWarning, match="made-up-model"):
        assert main(["demo", "--model", "made-up-model"]) == 0
    assert _cells(capsys.readouterr().out, "all")[-1] == "unknown"


def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "llmock" else name
    )
    assert main(["demo"]) == 1
    assert "pip install 'langchain-tamma-openai[demo]'" in capsys.readouterr().err


def test_ctrl_c_leaves_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **_given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "_run_steps", interrupted)
    assert main(["demo"]) == 130
    assert capsys.readouterr().err == "\nstopped\n"


@pytest.mark.parametrize("arguments", [[], ["dance"], ["demo", "--unknown"]])
def test_wrong_arguments_end_with_status_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert "Usage: tamma-openai" in capsys.readouterr().err


def test_proxies_are_not_used_for_the_mock_and_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "example.com")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert main(["demo"]) == 0
    assert _environment("NO_PROXY") == "example.com"
    assert _environment("no_proxy") is None


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    command = [sys.executable, "-m", "langchain_tamma_openai", "demo"]
    with subprocess.Popen(  # noqa: S603 - our own command
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline().startswith("ChatTammaOpenAI with ")
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()
    assert process.returncode == 141


def _cells(printed: str, name: str) -> list[str]:
    row = re.search(rf"^   {re.escape(name)}  +(.*)$", printed, re.MULTILINE)
    assert row, printed
    return row[1].split()


def _environment(name: str) -> str | None:
    return os.environ.get(name)
