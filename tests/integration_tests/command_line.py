"""Every command of the command line, and ways to run one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from langchain_tamma_openai.cli import app

ROOT = Path(__file__).parent.parent.parent
CLOSED = "http://127.0.0.1:9/v1"
"""A port where nobody listens."""
_READ = ("INPUT", "PATH", "FILE")
_NEEDED = {("batch", "source"), ("batch", "output")}
"""Parameters that a command needs unless others stand in for them."""
_OURS = ("OPENAI_", "TAMMA_", "LANGSMITH_", "LANGCHAIN_")


def commands(table: app.Table = app.COMMANDS, *before: str) -> Iterator[tuple[str, ...]]:
    """Give the words of every command, such as `("usage", "summary")`."""
    for name, found in table.items():
        if isinstance(found, str):
            yield *before, name
        else:
            yield from commands(found, *before, name)


def parameters(words: Sequence[str]) -> list[Any]:
    """Give what a command takes, as Typer's parameters."""
    command: Any = typer.main.get_command(_group())
    context: Any = None
    for word in words:
        context = typer.Context(command, parent=context)
        command = command.get_command(context, word)
    return list(command.params)


def _group() -> typer.Typer:
    kind = type("Program", (app.LazyGroup,), {"table": app.COMMANDS})
    program = typer.Typer(cls=kind)
    program.callback()(lambda: None)
    return program


def takes(words: Sequence[str], option: str) -> bool:
    """Whether a command has an option."""
    return any(option in parameter.opts for parameter in parameters(words))


def arguments(words: Sequence[str], path: str) -> list[str]:
    """Make up what a command cannot do without: what it reads is `path`, other texts are "x"."""
    made: list[str] = []
    for parameter in parameters(words):
        needed = parameter.required or (*words, parameter.name) in _NEEDED
        if needed and parameter.param_type_name == "option":
            made += [parameter.opts[0], "x"]
        elif needed:
            made.append(path if str(parameter.metavar).startswith(_READ) else "x")
    return made


def environment(**variables: str) -> dict[str, str]:
    """Give the environment of a process that knows nothing of the one of the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return {**kept, "PYTHONPATH": str(ROOT), **variables}


def popen(
    words: Sequence[str], variables: Mapping[str, str] | None = None, **others: Any
) -> subprocess.Popen[str]:
    """Start the program as a user does; its three streams are pipes unless said otherwise."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "langchain_tamma_openai", *words],
        env=environment(**(variables or {})),
        text=True,
        encoding="utf-8",
        **{**pipes, **others},
    )
