"""`tamma-openai chat`: one question, a session, tools, a terminal with Ctrl-C and Ctrl-D."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import command_line
import pytest
from loopback import DONE, Act, LoopbackServer, Reply, Request, echo, event, stream_reply

from langchain_tamma_openai import UsageTracker
from langchain_tamma_openai.__main__ import main

Capture = pytest.CaptureFixture[str]
TOOLS = '''
from langchain_core.tools import tool
from textwrap import dedent


def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"{city}: 21 degrees"


@tool
def broken(city: str) -> str:
    """Fail."""
    raise ValueError("no " + city)


def _helper() -> None:
    """Not a tool."""
'''


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_MODEL", "TAMMA_OPENAI_STORE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("OPENAI_MAX_RETRIES", "0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))


def answer(request: Request) -> Reply:
    """Echo; call the tool that the question names; begin a long answer for "slow"."""
    body = request.body
    last = body["messages"][-1]
    if last["role"] == "tool":
        return stream_reply(
            event({"role": "assistant", "content": f"So: {last['content']}"}),
            event({}, "stop"),
            event(None),
            DONE,
        )
    if last["content"].startswith("call "):
        function = {"name": last["content"].split()[1], "arguments": '{"city": "Oslo"}'}
        call = {"index": 0, "id": "call_1", "type": "function", "function": function}
        return stream_reply(
            event({"role": "assistant", "content": None, "tool_calls": [call]}),
            event({}, "tool_calls"),
            event(None),
            DONE,
        )
    if last["content"] == "slow":
        return stream_reply(event({"role": "assistant", "content": "once upon "}), Act.HOLD)
    return echo(request)


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer(answer) as running:
        yield running


def say(server: LoopbackServer, *words: str) -> int:
    return main(["chat", *words, "--base-url", server.url])


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def pipe(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))


def test_the_answer_is_all_that_goes_to_standard_output(
    server: LoopbackServer, capsys: Capture
) -> None:
    assert say(server, "hello", "there") == 0
    captured = capsys.readouterr()
    assert captured.out == "hellothere\n"
    assert captured.err == "[gpt-6-luna: 3 tokens in, 2 out, $0.0000013]\n"
    assert say(server, "hello", "--quiet") == 0
    assert capsys.readouterr().err == ""


def test_what_is_piped_in_is_asked_about(
    server: LoopbackServer, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe(monkeypatch, "a diff", "")
    assert say(server, "Review this") == 0
    pipe(monkeypatch, "alone")
    assert say(server) == 0
    assert server.texts == ["Review this\n\na diff", "alone"]
    assert capsys.readouterr().out.endswith("alone\n")


def test_nothing_to_ask_is_a_wrong_argument(server: LoopbackServer, capsys: Capture) -> None:
    assert say(server) == 2
    assert capsys.readouterr().err.startswith("error: there is nothing to ask")
    assert server.requests == []


def test_settings_reach_the_model(server: LoopbackServer) -> None:
    options = ["--model", "gpt-4.1", "--temperature", "0.5", "--max-tokens", "9", "-s", "Be kind."]
    assert say(server, "hi", *options) == 0
    body = server.requests[0].body
    assert body["model"] == "gpt-4.1"
    assert (body["temperature"], body["max_completion_tokens"]) == (0.5, 9)
    assert body["messages"][0]["content"] == "Be kind."


def test_a_prompt_is_found_by_its_id(server: LoopbackServer, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"id": "mine", "template": "Speak {{language}}."}')
    options = ["-s", "mine", "--path", str(tmp_path / "p.json"), "-v", "language=Polish"]
    assert say(server, "hi", *options) == 0
    assert server.requests[0].body["messages"][0]["content"] == "Speak Polish."


def test_events_are_json_lines(server: LoopbackServer, capsys: Capture) -> None:
    assert say(server, "hello there", "--json") == 0
    captured = capsys.readouterr()
    *pieces, end = events(captured.out)
    assert "".join(piece["text"] for piece in pieces) == "hellothere" == end["text"]
    assert {piece["event"] for piece in pieces} == {"text"}
    assert (end["event"], end["stopped"], end["model"]) == ("end", "answer", "gpt-6-luna")
    assert end["usage"] == end["session"]
    assert end["usage"]["cost_usd"] == "0.0000013"
    assert captured.err == ""


def test_tools_of_a_file_are_run_and_shown(
    server: LoopbackServer, capsys: Capture, tmp_path: Path
) -> None:
    (tmp_path / "my_tools.py").write_text(TOOLS)
    assert say(server, "call weather", "-m", "gpt-4o", "--tool-module", "my_tools.py") == 0
    captured = capsys.readouterr()
    assert captured.out == "So: Oslo: 21 degrees\n"
    assert captured.err.splitlines()[:2] == [
        '[weather {"city": "Oslo"}]',
        "[weather -> Oslo: 21 degrees]",
    ]
    offered = [tool["function"]["name"] for tool in server.requests[0].body["tools"]]
    assert sorted(offered) == ["broken", "weather"]


def test_tools_are_events_too_and_their_errors_go_to_the_model(
    server: LoopbackServer, capsys: Capture, tmp_path: Path
) -> None:
    (tmp_path / "other_tools.py").write_text(TOOLS)
    assert say(server, "call broken", "-m", "gpt-4o", "--tool-module", "other_tools", "--json") == 0
    found = events(capsys.readouterr().out)
    assert [one["event"] for one in found] == ["tool_call", "tool_result", "text", "end"]
    assert (found[0]["name"], found[0]["args"]) == ("broken", {"city": "Oslo"})
    assert found[1]["status"] == "error"
    assert "no Oslo" in found[1]["content"]
    assert found[3]["usage"]["requests"] == 2


@pytest.mark.parametrize(
    ("module", "content", "text"),
    [
        ("missing.py", None, "missing.py: there is no such file"),
        ("no_such_module", None, "cannot be imported (ModuleNotFoundError"),
        ("empty.py", "import json", "has no tools"),
        ("wrong.py", "1 / 0", "cannot be imported (ZeroDivisionError"),
        ("syntax.py", "def", "cannot be imported (SyntaxError"),
        ("leaving.py", "raise SystemExit(7)", "cannot be imported (SystemExit: 7)"),
    ],
)
def test_a_module_without_tools_is_told(
    module: str, content: str | None, text: str, server: LoopbackServer, capsys: Capture
) -> None:
    if content is not None:
        Path(module).write_text(content)
    assert say(server, "hi", "--tool-module", module) == 1
    assert text in capsys.readouterr().err
    assert server.requests == []


def test_calls_are_written_to_the_ledger(server: LoopbackServer, tmp_path: Path) -> None:
    assert say(server, "hi there", "--store", str(tmp_path / "usage.db")) == 0
    with UsageTracker(f"sqlite:///{tmp_path / 'usage.db'}") as tracker:
        assert tracker.summary().total_requests == 1


def test_an_error_of_the_api_ends_one_question(capsys: Capture) -> None:
    assert main(["chat", "hi", "--base-url", command_line.CLOSED]) == 1
    assert capsys.readouterr().err.startswith("error: ConnectionFailedError: ")


def test_a_session_keeps_what_was_said(
    server: LoopbackServer, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe(monkeypatch, "one", "", "two \\", "lines", "/quit", "never")
    assert say(server, "-i") == 0
    said = [[one["content"] for one in request.body["messages"]] for request in server.requests]
    assert said == [["one"], ["one", "one", "two \nlines"]]
    captured = capsys.readouterr()
    assert captured.out.startswith("one\n")
    assert captured.err.endswith("session: 6 tokens in, 4 out, $0.0000026\n")


def test_commands_change_the_session(
    server: LoopbackServer, capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "chat.json"
    lines = ["/model gpt-4o", "/system Be brief.", "one", f"/save {path}", "/clear", "two"]
    pipe(monkeypatch, *lines, f"/load {path}", "/system none", "three", "/cost", "/tools", "/help")
    assert say(server, "-i") == 0
    bodies = [request.body for request in server.requests]
    assert {body["model"] for body in bodies} == {"gpt-4o"}
    assert [[one["content"] for one in body["messages"]] for body in bodies] == [
        ["Be brief.", "one"],
        ["Be brief.", "two"],
        ["one", "one", "three"],
    ]
    told = capsys.readouterr().err
    for text in ("model: gpt-4o", "2 messages saved", "gpt-6-luna: 9 tokens in", "/quit"):
        assert text in told


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("/moddel x", "did you mean /model?"),
        ("/load missing.json", "missing.json: No such file"),
        ("/load broken.json", "is no conversation that /save wrote"),
        ("/save", "name a file"),
        ("/save no/such/folder.json", "No such file"),
        ("/system no-such-prompt-id", "there is none with this id"),
        ("/model  ", "model: gpt-6-luna"),
    ],
)
def test_mistakes_keep_the_session(
    line: str, text: str, server: LoopbackServer, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("broken.json").write_text('{"messages": 1}')
    pipe(monkeypatch, line, "still here")
    assert say(server, "-i") == 0
    captured = capsys.readouterr()
    assert text in captured.err
    assert captured.out == "stillhere\n"


def test_a_line_that_is_no_text_does_not_end_a_session(
    server: LoopbackServer, tmp_path: Path
) -> None:
    words = ["chat", "-i", "--base-url", server.url]
    variables = {"OPENAI_API_KEY": "sk-test", "PYTHONIOENCODING": "utf-8:strict"}
    with command_line.popen(words, variables, cwd=tmp_path) as process:
        assert isinstance(process.stdin, io.TextIOWrapper)
        process.stdin.buffer.write(b"caf\xe9\nagain\n")
        out, error = process.communicate()
    assert (process.returncode, out) == (0, "caf\N{REPLACEMENT CHARACTER}\nagain\n")
    assert "error" not in error


def test_a_turn_that_fails_is_forgotten_and_the_session_goes_on(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    replies = iter([Reply([b'{"error": {"message": "no"}}'], 400)])
    with LoopbackServer(lambda request: next(replies, None) or echo(request)) as server:
        pipe(monkeypatch, "bad", "good")
        assert say(server, "-i", "--json") == 0
        assert [one["content"] for one in server.requests[1].body["messages"]] == ["good"]
    found = events(capsys.readouterr().out)
    assert [one["event"] for one in found] == ["error", "text", "end"]
    assert found[0]["type"] == "InvalidRequestError"


def test_ctrl_c_stops_one_question(server: LoopbackServer, tmp_path: Path) -> None:
    words = ["chat", "slow", "--base-url", server.url]
    options = {"stdin": subprocess.DEVNULL, "cwd": tmp_path}
    with command_line.popen(words, {"OPENAI_API_KEY": "sk-test"}, **options) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.read(9) == "once upon"
        process.send_signal(signal.SIGINT)
        assert process.stderr.read().strip() == "stopped"
    assert process.returncode == 130


def test_a_reader_that_goes_away_ends_it(server: LoopbackServer, tmp_path: Path) -> None:
    words = ["chat", "hello there", "--base-url", server.url]
    options = {"stdin": subprocess.DEVNULL, "cwd": tmp_path}
    with command_line.popen(words, {"OPENAI_API_KEY": "sk-test"}, **options) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


class Terminal:
    """A person at a terminal."""

    def __init__(self, end: int, process: subprocess.Popen[bytes]) -> None:
        self._end = end
        self.process = process
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self._end, text.encode())

    def wait_for(self, text: str, within_s: float = 20) -> str:
        """Read until a text is seen, and give what came before and with it."""
        end_s = time.monotonic() + within_s
        while text not in self.seen:
            left_s = end_s - time.monotonic()
            assert left_s > 0, f"not seen: {text!r} in {self.seen!r}"
            if select.select([self._end], [], [], left_s)[0]:
                self.seen += os.read(self._end, 4096).decode()
        found, self.seen = self.seen.split(text, 1)
        return found + text

    def press_until(self, key: str, text: str) -> None:
        """Press a key until a text is seen.

        One press can be lost: Python's own reading of lines may be about to wait just then.
        """
        for _ in range(20):
            self.type(key)
            if select.select([self._end], [], [], 1)[0]:
                self.seen += os.read(self._end, 4096).decode()
            if text in self.seen:
                break
        self.wait_for(text)


@contextmanager
def terminal(words: list[str], home: Path) -> Iterator[Terminal]:
    """Start the program with a terminal of its own as all three streams."""
    outer, inner = pty.openpty()
    variables = {"OPENAI_API_KEY": "sk-test", "HOME": str(home), "TERM": "dumb", "NO_COLOR": "1"}
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "langchain_tamma_openai", *words],
        stdin=inner,
        stdout=inner,
        stderr=inner,
        cwd=home,
        env=command_line.environment(**variables),
        start_new_session=True,
        preexec_fn=_take_terminal,  # noqa: PLW1509 - the terminal's Ctrl-C has to reach it
    )
    os.close(inner)
    try:
        yield Terminal(outer, process)
    finally:
        process.kill()
        process.wait()
        os.close(outer)


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_ctrl_c_stops_an_answer_and_ctrl_d_the_session(
    server: LoopbackServer, tmp_path: Path
) -> None:
    with terminal(["chat", "--base-url", server.url], tmp_path) as person:
        person.wait_for("Ctrl-D ends")
        person.wait_for("> ")
        person.type("slow\n")
        person.wait_for("once upon ")
        person.type("\x03")
        person.wait_for("[stopped; gpt-6-luna: 8 tokens in, 3 out, about $0.0000023]")
        person.wait_for("> ")
        person.type("half a line")
        # Not before it was read: a terminal forgets what it holds at Ctrl-C, and readline, which
        # was woken for that, takes no Ctrl-C until the next key.
        person.wait_for("half a line")
        person.press_until("\x03", "(Ctrl-D or /quit ends)")
        person.wait_for("> ")
        person.type("go on\n")
        person.wait_for("goon")
        person.wait_for("session about $0.0000036")
        person.wait_for("> ")
        person.type("\x04")
        person.wait_for("session: ")
        assert person.process.wait(20) == 0
    asked = [one["content"] for one in server.requests[-1].body["messages"]]
    assert asked == ["slow", "once upon ", "go on"]
    history = tmp_path / ".local/state/langchain-tamma-openai/chat_history"
    assert history.read_text().split("\n")[-3:-1] == ["slow", "go on"]
    assert history.stat().st_mode & 0o777 == 0o600
