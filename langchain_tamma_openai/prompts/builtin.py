"""The prompts that come with the package, each a data file; a version never changes its text."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from langchain_tamma_openai.prompts.fields import prompts_of_document
from langchain_tamma_openai.prompts.model import Prompt
from langchain_tamma_openai.prompts.parsing import parse_json
from langchain_tamma_openai.prompts.problems import InvalidPromptError
from langchain_tamma_openai.prompts.shelf import Shelf, filled


@cache
def builtin_shelf() -> Shelf:
    """Give the built-in prompts, read at first use."""
    folder = files("langchain_tamma_openai") / "data" / "prompts"
    prompts: list[tuple[Prompt, str | None]] = []
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".json"):
            found, problems = prompts_of_document(parse_json(file.read_text("utf-8")), file.name)
            if problems:
                raise InvalidPromptError(problems)
            prompts.extend((prompt, file.name) for prompt in found)
    return filled(Shelf(), prompts)[0]
