"""`tamma-openai prompts show`: one system prompt, as it was written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from langchain_tamma_openai.cli import _options, _output, _prompts

if TYPE_CHECKING:
    from langchain_tamma_openai.prompts.model import Prompt
    from langchain_tamma_openai.prompts.variables import PromptVariable


def command(
    prompt: Annotated[str, typer.Argument(metavar="ID", help="Its id, or id@2 for one version.")],
    path: _prompts.Paths = None,
    no_builtins: _prompts.NoBuiltins = False,
    json: _options.Json = False,
) -> None:
    """Show a system prompt: what it is, its variables and its text."""
    registry = _prompts.registry(path, builtins=not no_builtins)
    found = registry.get(prompt)
    versions = [one.version for one in registry.versions(found.id)]
    if json:
        _output.print_json({**_prompts.as_json(found), "versions": versions})
        return
    for name, value in _facts(found, ", ".join(map(str, versions))):
        print(f"{name + ':':13}{_output.printable(value)}")
    print()
    print(_output.printable(found.text))


def _facts(prompt: Prompt, versions: str) -> list[tuple[str, str]]:
    facts = [
        ("prompt", prompt.reference),
        ("versions", versions),
        ("name", prompt.name),
        ("category", prompt.category),
        ("description", prompt.description),
        ("hash", prompt.hash),
        *(("variable", _variable(one)) for one in prompt.variables.values()),
    ]
    return [(name, value) for name, value in facts if value]


def _variable(one: PromptVariable) -> str:
    needed = "must be given" if one.default is None else f"default {one.default!r}"
    return f"{one.name} ({needed}) {one.description}".strip()
