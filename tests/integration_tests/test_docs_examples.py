"""Every block of the README and of docs/ that is code runs as printed, against a local mock.

Python blocks of a page run one after another and share their names. A Python block with the title
of a test file is a test file and runs under pytest. In a console block every line that starts a
command of ours runs; installing and `make` are tested elsewhere.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import postgres_places
import pytest
import redis_places
from docs_pages import PAGES, ROOT, Block, blocks, page_id
from llmock.pytest_plugin import LLMock

_COMMAND = "tamma-openai "
_RUN_ELSEWHERE = ("make ", "pip install ", "git clone ", "cd ", "export ", "#")
_SERVICES = re.compile(r"\b(REDIS_URL|LEDGER_URL)\b")


def _code(page: Path) -> list[Block]:
    return [block for block in blocks(page) if block.language in ("python", "console")]


@pytest.fixture(autouse=True)
def _place(llmock: LLMock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the examples an empty folder, and a server for those that name one of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOCAL_LLM_URL", llmock.base_url())
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def services(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give pages that name a service a place of their own in it."""
    page: Path = request.getfixturevalue("page")
    with ExitStack() as stack:
        if _SERVICES.search(page.read_text(encoding="utf-8")):
            stack.enter_context(redis_places.namespace())
            monkeypatch.setenv("REDIS_URL", redis_places.URL)
            monkeypatch.setenv("LEDGER_URL", stack.enter_context(postgres_places.schema()))
        yield


# The mock of the API does not close the files that are uploaded to it.
@pytest.mark.filterwarnings("ignore:Unclosed file <tempfile.Spooled:ResourceWarning")
@pytest.mark.usefixtures("services")
@pytest.mark.parametrize("page", [page for page in PAGES if _code(page)], ids=page_id)
def test_blocks_of_a_page_run_one_after_another(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: dict[str, object] = {"__name__": page.stem}
    for block in _code(page):
        if block.language == "console":
            _run_commands(block, tmp_path, monkeypatch)
        elif block.title.startswith("test_"):
            _run_test_file(block, tmp_path)
        else:
            _run_python(page, block, names, tmp_path)


def _run_python(page: Path, block: Block, names: dict[str, object], folder: Path) -> None:
    if block.title:
        (folder / block.title).write_text(block.code, encoding="utf-8")
    # Blank lines in front make a traceback point at the line of the page.
    code = compile("\n" * block.line + block.code, str(page), "exec")
    exec(code, names)  # noqa: S102 - our own documentation


def _run_test_file(block: Block, folder: Path) -> None:
    (folder / block.title).write_text(block.code, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", block.title]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 - our own documentation
    assert done.returncode == 0, done.stdout + done.stderr


def _run_commands(block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for line in _commands(block):
        if line.startswith(_COMMAND) or f"| {_COMMAND}" in line:
            _run_command(line, folder, monkeypatch)
        else:
            assert line.startswith(_RUN_ELSEWHERE), f"nothing tests this line: {line}"


def _commands(block: Block) -> Iterator[str]:
    """Give the lines of a console block, continued ones joined and remarks left out."""
    for line in block.code.replace("\\\n", " ").splitlines():
        words = line.removeprefix("$ ").split("  #")[0].strip()
        if words:
            yield words


def _run_command(line: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shims = folder / ".bin"
    shims.mkdir(exist_ok=True)
    shim = shims / _COMMAND.strip()
    python = shlex.quote(sys.executable)
    shim.write_text(f'#!/bin/sh\nexec {python} -m langchain_tamma_openai "$@"\n')
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(shims), prepend=":")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    done = subprocess.run(  # noqa: S602 - our own documentation, pipes and all
        line, shell=True, cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def test_readme_example_shows_the_cost_it_promises(
    llmock: LLMock, capsys: pytest.CaptureFixture[str]
) -> None:
    llmock.reply("A token is a piece of text.")
    first = next(block for block in _code(ROOT / "README.md") if block.language == "python")
    exec(compile(first.code, "README.md", "exec"), {})  # noqa: S102 - our own documentation
    printed = capsys.readouterr().out
    assert "A token is a piece of text." in printed
    assert "'currency': 'USD'" in printed
    assert re.search(r"'total_usd': '0\.0000\d+'", printed)
