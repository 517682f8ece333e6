"""`tamma-openai prompts check`: what is wrong with files of prompts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_tamma_openai.cli import _options, _output, _prompts
from langchain_tamma_openai.cli._errors import FAILED

if TYPE_CHECKING:
    from langchain_tamma_openai.prompts.problems import PromptProblem


def command(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Files and directories of prompts.")
    ],
    json: _options.Json = False,
) -> int:
    """Check files of system prompts, as for a commit hook: exit code 1 when one is wrong.

    Every problem is named with file, prompt and field; nothing is loaded or changed.
    """
    from langchain_tamma_openai import PromptRegistry

    found = [(path, PromptRegistry().check(_prompts.existing(path))) for path in paths]
    problems = [problem for _, some in found for problem in some]
    if json:
        _output.print_json([_as_json(problem) for problem in problems])
    else:
        for path, some in found:
            lines = [*map(str, some)] or [_fine(path)]
            print("\n".join(map(_output.printable, lines)))
    return FAILED if problems else 0


def _fine(path: Path) -> str:
    count = len(_prompts.registry([path], builtins=False).list(all_versions=True))
    return f"{path}: {count} fine" if count else f"{path}: holds no prompts"


def _as_json(problem: PromptProblem) -> dict[str, str | None]:
    return {
        "file": problem.file,
        "prompt": problem.prompt,
        "field": problem.field,
        "message": problem.message,
    }
