"""The README and docs promise only what exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import langchain_tamma_openai

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@each_page
def test_relative_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    missing = [x for x in links if "://" not in x and not (page.parent / x).exists()]
    assert missing == []


@each_page
def test_make_targets_that_are_named_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z_]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z_]+)(?=[`\s])", _code(page)))
    assert named - targets == set()


@each_page
def test_names_that_are_imported_exist(page: Path) -> None:
    imports = re.findall(r"from langchain_tamma_openai import ([\w, ]+)", _code(page))
    names = {name.split()[0] for line in imports for name in line.split(",")}
    assert {name for name in names if not hasattr(langchain_tamma_openai, name)} == set()


def _code(page: Path) -> str:
    return "\n".join(
        re.findall(r"```.*?```|`[^`\n]+`", page.read_text(encoding="utf-8"), re.DOTALL)
    )
