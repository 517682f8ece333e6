"""The pages of this project and the fenced blocks on them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_TITLE = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block.

    Attributes:
        line: Line of the page that its first line of code is on, counted from 0.
        language: The word after the fence.
        title: Name of the file it stands for; empty for none.
        code: What is between the fences.
    """

    line: int
    language: str
    title: str
    code: str


def blocks(page: Path) -> Iterator[Block]:
    """Give the fenced blocks of a page in order."""
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        title = _TITLE.search(found[1])
        yield Block(
            line=text.count("\n", 0, found.start(2)),
            language=found[1].split(" ")[0],
            title=title[1] if title else "",
            code=found[2],
        )


def page_id(page: Path) -> str:
    """Name a page in the list of tests."""
    return page.relative_to(ROOT).as_posix()
