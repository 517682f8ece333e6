"""`tamma-openai prompts render`: a system prompt with its variables filled in."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from langchain_tamma_openai.cli import _options, _output, _prompts


def command(
    prompt: Annotated[str, typer.Argument(metavar="ID", help="Its id, or id@2 for one version.")],
    var: _prompts.Variables = None,
    variables: _prompts.JsonVariables = None,
    path: _prompts.Paths = None,
    no_builtins: _prompts.NoBuiltins = False,
    json: _options.Json = False,
) -> None:
    """Fill in the variables of a system prompt and print it.

    Values come out as they are, in one pass. --json also gives id, version and hash.
    """
    registry = _prompts.registry(path, builtins=not no_builtins)
    rendered = registry.resolve(prompt, _prompts.variables(var, variables))
    if json:
        _output.print_json(asdict(rendered))
    else:
        print(rendered.text)
