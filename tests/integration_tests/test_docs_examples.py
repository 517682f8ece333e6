"""Every Python block of the README and of docs/ runs as printed, against a local mock."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from llmock.pytest_plugin import LLMock

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def _blocks(page: Path) -> Iterator[tuple[int, str]]:
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        yield text.count("\n", 0, found.start(1)), found[1]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(_blocks(page))], ids=lambda page: page.name
)
def test_blocks_of_a_page_run_one_after_another(
    page: Path, llmock: LLMock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert llmock.url
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": page.stem}
    for line, block in _blocks(page):
        # Blank lines in front make a traceback point at the line of the page.
        code = compile("\n" * line + block, str(page), "exec")
        exec(code, names)  # noqa: S102 - our own documentation


def test_readme_example_shows_the_cost_it_promises(
    llmock: LLMock, capsys: pytest.CaptureFixture[str]
) -> None:
    llmock.reply("A token is a piece of text.")
    _, first = next(_blocks(ROOT / "README.md"))
    exec(compile(first, "README.md", "exec"), {})  # noqa: S102 - our own documentation
    printed = capsys.readouterr().out
    assert "A token is a piece of text." in printed
    assert "'currency': 'USD'" in printed
    assert re.search(r"'total_usd': '0\.0000\d+'", printed)
