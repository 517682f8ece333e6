"""Every command of the tables ends in a clear line and the right code, whatever goes wrong."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import command_line
import pytest
from loopback import Act, LoopbackServer, Reply

from langchain_tamma_openai import UsageTracker, __version__
from langchain_tamma_openai.__main__ import main

COMMANDS = list(command_line.commands())
ASKING = [words for words in COMMANDS if command_line.takes(words, "--base-url")]
WRITING = [("batch",), ("chat",)]
"""Commands whose ledger is made where it is missing."""
READING = [
    words
    for words in COMMANDS
    if (command_line.takes(words, "--store") and words not in WRITING)
    or "?" in command_line.arguments(words, "?")
]
REQUEST = {
    "custom_id": "1",
    "method": "POST",
    "url": "/v1/chat/completions",
    "body": {"model": "gpt-6-luna", "messages": [{"role": "user", "content": "hi"}]},
}

every_command = pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
every_reader = pytest.mark.parametrize("words", READING, ids=" ".join)
every_asker = pytest.mark.parametrize("words", ASKING, ids=" ".join)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in an empty folder, without a key and without retries' waiting."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("TAMMA_OPENAI_STORE", raising=False)
    monkeypatch.setenv("OPENAI_MAX_RETRIES", "0")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO("hello\n"))


@every_command
def test_help_says_what_it_does_and_every_option(
    words: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--help"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.startswith(f"Usage: tamma-openai {' '.join(words)}")
    for parameter in command_line.parameters(words):
        if not getattr(parameter, "hidden", False) and parameter.param_type_name == "option":
            assert parameter.opts[0] in captured.out
            assert parameter.help, f"{parameter.opts[0]} has no help"


def test_help_of_the_program_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    listed = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert {words[0] for words in COMMANDS} <= listed


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"tamma-openai {__version__}\n"


@every_command
def test_an_unknown_option_is_a_wrong_argument(
    words: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--no-such-option"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"Usage: tamma-openai {' '.join(words)}")
    assert "No such option: --no-such-option" in captured.err


@every_command
def test_an_argument_too_many_is_a_clear_line(
    words: Sequence[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    made = command_line.arguments(words, str(tmp_path / "missing.jsonl"))
    many = [str(tmp_path / f"missing{number}.jsonl") for number in range(20)]
    status = main([*words, *made, *many])
    _clear(status, capsys)


@every_reader
def test_a_missing_file_is_named(
    words: Sequence[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    missing = tmp_path / "no-such-file.db"
    options = ["--store", f"sqlite:///{missing}"] if command_line.takes(words, "--store") else []
    status = main([*words, *command_line.arguments(words, str(missing)), *options])
    assert status == 1
    captured = capsys.readouterr()
    assert "no-such-file.db" in captured.out + captured.err
    assert captured.err.startswith("error: ") or words == ("doctor",)
    assert "Traceback" not in captured.err


@every_asker
def test_without_a_key_it_says_how_to_give_one(
    words: Sequence[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status = main([*words, *command_line.arguments(words, _requests(tmp_path))])
    captured = capsys.readouterr()
    assert status in {1, 2}
    assert "OPENAI_API_KEY" in captured.out + captured.err
    assert "Traceback" not in captured.err


@every_asker
def test_without_a_network_it_says_so(
    words: Sequence[str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nobody")
    made = command_line.arguments(words, _requests(tmp_path))
    once = ["--retries", "0"] if command_line.takes(words, "--retries") else []
    status = main([*words, *made, *once, "--base-url", command_line.CLOSED])
    captured = capsys.readouterr()
    assert status == 1
    written = "".join(path.read_text("utf-8") for path in tmp_path.glob("x*"))  # by --output x
    told = captured.out + captured.err + written
    assert re.search("refused|reached|connection", told, re.IGNORECASE)
    assert "Traceback" not in told


@every_asker
def test_ctrl_c_stops_it(words: Sequence[str], tmp_path: Path) -> None:
    silent = Reply([Act.HOLD])
    with LoopbackServer(lambda _request: silent) as server:
        made = command_line.arguments(words, _requests(tmp_path))
        process = command_line.popen(
            [*words, *made, "--base-url", server.url],
            {"OPENAI_API_KEY": "sk-nobody"},
            stdin=subprocess.DEVNULL,
            cwd=tmp_path,
        )
        server.sees(lambda: bool(server.requests) or process.poll() is not None, 20)
        error = _interrupted(process)
    assert "Traceback" not in error
    assert process.returncode in ({130} if server.requests else {1, 2})


def test_every_command_has_json() -> None:
    assert [words for words in COMMANDS if not command_line.takes(words, "--json")] == []


@pytest.mark.parametrize("words", [one for one in COMMANDS if one != ("demo",)], ids=" ".join)
def test_json_is_json_whatever_goes_wrong(
    words: Sequence[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    main([*words, *command_line.arguments(words, str(tmp_path / "missing")), "--json"])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    assert captured.out
    _read_json(captured.out)


@every_command
def test_a_wrong_argument_is_told_as_json(
    words: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--no-such-option", "--json"]) == 2
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert (told["event"], told["exit_status"]) == ("error", 2)
    assert told["message"].startswith("No such option: --no-such-option")
    assert told["message"] in captured.err


def test_a_closed_pipe_ends_every_command_quietly(tmp_path: Path) -> None:
    """The listing is enough: writing and ending are in one place for all commands."""
    for words in (["--help"], ["demo", "--help"]):
        with command_line.popen(words, cwd=tmp_path) as process:
            assert process.stdout
            process.stdout.close()
            assert process.stderr
            assert process.stderr.read() == ""
        assert process.returncode == 141


def test_streams_that_are_closed_or_full_are_no_traceback(tmp_path: Path) -> None:
    program = f"{sys.executable} -m langchain_tamma_openai"
    ends = {
        f"{program} --help >&-": (0, ""),
        f"{program} --help >/dev/full": (1, "error: No space left on device\n"),
        f"{program} nothing 2>&-": (2, ""),
        f"{program} nothing 2>/dev/full": (2, ""),
    }
    for line, expected in ends.items():
        done = subprocess.run(  # noqa: S602 - our own lines
            line,
            shell=True,
            check=False,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=command_line.environment(),
        )
        assert (done.returncode, done.stderr) == expected, line


READING_STDIN = {
    ("chat", "-"): (2, "there is nothing to ask"),
    ("estimate", "-"): (1, "there is nothing to estimate"),
    ("prompts", "render", "translator", "--vars", "-"): (2, "--vars: got '-', must be a JSON"),
    ("batch", "-", "-o", "-"): (0, "0 of 0 lines answered"),
    ("usage", "reconcile", "-", "--store", "usage.db"): (1, "it is empty"),
}
"""What commands say of a standard input that is closed."""


@pytest.mark.parametrize("words", READING_STDIN, ids=" ".join)
def test_a_closed_standard_input_is_an_empty_one(words: Sequence[str], tmp_path: Path) -> None:
    UsageTracker(tmp_path / "usage.db").close()
    done = _shell(f"{' '.join(words)} <&-", tmp_path)
    status, said = READING_STDIN[tuple(words)]
    assert said in done.stderr
    assert (done.returncode, "unexpected" in done.stderr) == (status, False)


@pytest.mark.parametrize("words", list(READING_STDIN)[:3:2] + list(READING_STDIN)[4:], ids=" ".join)
@pytest.mark.parametrize("language", ["C", "C.UTF-8"])
def test_standard_input_that_is_no_text_is_told(
    words: Sequence[str], language: str, tmp_path: Path
) -> None:
    UsageTracker(tmp_path / "usage.db").close()
    program = f"{' '.join(words)} <bytes"
    (tmp_path / "bytes").write_bytes(b"caf\xe9\n")
    done = _shell(program, tmp_path, LC_ALL=language, PYTHONIOENCODING="")
    assert done.returncode == 1
    assert "is not UTF-8 text" in done.stderr
    assert "unexpected" not in done.stderr


def test_ctrl_c_is_not_lost_where_python_cannot_stop(tmp_path: Path) -> None:
    """An exception in a finalizer is only printed, and what was typed would have no effect."""
    (tmp_path / "tool.py").write_text(
        "import signal\n"
        "class Late:\n"
        "    def __del__(self): signal.raise_signal(signal.SIGINT)\n"
        "late = Late()\n"
        "del late\n"
        "import time\n"
        "time.sleep(9)\n"
    )
    done = _shell("chat hello --tool-module tool.py", tmp_path)
    assert (done.returncode, done.stderr) == (130, "\nstopped\n")


def _shell(line: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S602 - our own lines
        f"{sys.executable} -m langchain_tamma_openai {line}",
        shell=True,
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env=command_line.environment(OPENAI_API_KEY="sk-nobody", **variables),
    )


def test_the_program_itself_starts_quickly() -> None:
    """Nothing but the command line is loaded for its help."""
    code = (
        "import sys; from langchain_tamma_openai.__main__ import main; main(['--help']);"
        "print([name for name in sys.modules if name.partition('.')[0] in "
        "{'openai', 'langchain_core', 'sqlalchemy', 'tiktoken', 'llmock'}])"
    )
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env=command_line.environment(),
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_without_the_extra_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError(name='typer')\n")
    done = subprocess.run(
        [sys.executable, "-m", "langchain_tamma_openai", "models"],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=command_line.environment(PYTHONPATH=f"{tmp_path}:{command_line.ROOT}"),
    )
    assert done.returncode == 1
    assert done.stderr == (
        "error: the command line needs a few more packages: "
        "pip install 'langchain-tamma-openai[cli]'\n"
    )


def _interrupted(process: subprocess.Popen[str]) -> str:
    """Press Ctrl-C, again where the first one only asks what is under way to end."""
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(2)
    return process.communicate(timeout=20)[1]


def _requests(folder: Path) -> str:
    path = folder / "requests.jsonl"
    path.write_text(json.dumps(REQUEST) + "\n", encoding="utf-8")
    return str(path)


def _clear(status: int, capsys: pytest.CaptureFixture[str]) -> None:
    error = capsys.readouterr().err
    assert status in {1, 2}
    assert "Traceback" not in error
    assert "error: " in error


def _read_json(text: str) -> None:
    try:
        json.loads(text)
    except json.JSONDecodeError:
        for line in text.splitlines():
            json.loads(line)
