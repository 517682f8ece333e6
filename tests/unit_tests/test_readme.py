"""The README and docs promise only what exists."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from docs_pages import PAGES as PAGES_WITH_BLOCKS
from docs_pages import ROOT, blocks, page_id

import langchain_tamma_openai

PAGES = [*PAGES_WITH_BLOCKS, *(ROOT / f"{n}.md" for n in ("CHANGELOG", "CONTRIBUTING", "SECURITY"))]
each_page = pytest.mark.parametrize("page", PAGES, ids=page_id)
RUN_ELSEWHERE = {"python", "console"}
OUTPUT = {"text"}
PARSERS: dict[str, Callable[[str], object]] = {
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
}


@each_page
def test_relative_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    missing = [x for x in links if "://" not in x and not (page.parent / x).exists()]
    assert missing == []


@each_page
def test_make_targets_that_are_named_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z_-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z_-]+)(?=[`\s])", _code(page)))
    assert named - targets == set()


@each_page
def test_names_that_are_imported_exist(page: Path) -> None:
    imports = re.findall(r"from langchain_tamma_openai import ([\w, ]+)", _code(page))
    names = {name.split()[0] for line in imports for name in line.split(",")}
    assert {name for name in names if not hasattr(langchain_tamma_openai, name)} == set()


@each_page
def test_every_block_is_run_or_read_by_a_test_or_is_output(page: Path) -> None:
    languages = {block.language for block in blocks(page)}
    assert languages - RUN_ELSEWHERE - OUTPUT - set(PARSERS) == set()


@each_page
def test_blocks_of_data_can_be_read(page: Path) -> None:
    for block in blocks(page):
        if block.language in PARSERS:
            assert PARSERS[block.language](block.code)


@each_page
def test_extras_that_are_named_exist(page: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = re.findall(r"(?:langchain-tamma-openai|\.)\[([a-z, ]+)\]", _code(page))
    extras = {extra.strip() for names in named for extra in names.split(",")}
    assert extras - set(project["optional-dependencies"]) == set()


def _code(page: Path) -> str:
    return "\n".join(
        re.findall(r"```.*?```|`[^`\n]+`", page.read_text(encoding="utf-8"), re.DOTALL)
    )
