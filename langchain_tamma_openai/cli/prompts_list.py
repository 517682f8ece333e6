"""`tamma-openai prompts list`: which system prompts there are."""

from __future__ import annotations

from typing import Annotated

import typer

from langchain_tamma_openai.cli import _options, _output, _prompts


def command(
    path: _prompts.Paths = None,
    category: Annotated[
        str | None, typer.Option("--category", "-c", metavar="NAME", help="Only this category.")
    ] = None,
    all_versions: Annotated[
        bool, typer.Option("--all-versions", "-a", help="Every version, not only the latest.")
    ] = False,
    no_builtins: _prompts.NoBuiltins = False,
    json: _options.Json = False,
) -> None:
    """List system prompts: those of the package, and those of your files."""
    registry = _prompts.registry(path, builtins=not no_builtins)
    found = registry.list(category, all_versions=all_versions)
    if json:
        _output.print_json([_prompts.as_json(prompt) for prompt in found])
        return
    if not found:
        known = ", ".join(registry.categories())
        _output.note(f"no prompt fits; the categories are: {known or '(none)'}")
        return
    rows = [
        [one.reference, one.category, ", ".join(one.variables) or None, one.description]
        for one in found
    ]
    _output.print_table(("prompt", "category", "variables", "description"), rows)
