"""`tamma-openai chat`: one question, or a conversation at the terminal."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_tamma_openai.cli import _options, _prompts
from langchain_tamma_openai.cli._errors import WRONG_ARGUMENTS, CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from langchain_tamma_openai import ChatTammaOpenAI
    from langchain_tamma_openai.cli._chat_screen import Screen
    from langchain_tamma_openai.cli._chat_tools import Tool

_STDIN = "-"


def command(
    question: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="QUESTION", help="What to ask; - for standard input. Without it: a session."
        ),
    ] = None,
    model: _options.Model = None,
    system: Annotated[
        str | None,
        typer.Option("--system", "-s", metavar="TEXT", help="System prompt: a text, or its id."),
    ] = None,
    var: _prompts.Variables = None,
    prompt_path: _prompts.Paths = None,
    tool_module: Annotated[
        list[str] | None,
        typer.Option(
            "--tool-module",
            "-t",
            metavar="MODULE",
            help="Let the model call the functions and tools of a module, or of a .py file. "
            "May be repeated.",
        ),
    ] = None,
    max_iterations: Annotated[
        int, typer.Option("--max-iterations", min=1, metavar="N", help="Requests in one turn.")
    ] = 10,
    temperature: Annotated[
        float | None, typer.Option("--temperature", min=0, max=2, help="Sampling temperature.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", min=1, metavar="N", help="Longest answer.")
    ] = None,
    effort: Annotated[
        str | None, typer.Option("--effort", metavar="NAME", help="Reasoning effort.")
    ] = None,
    store: _options.Store = None,
    interactive: Annotated[
        bool, typer.Option("--interactive", "-i", help="A session, also where stdin is a pipe.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Only answers: no costs, no tool calls.")
    ] = False,
    base_url: _options.BaseUrl = None,
    json: _options.Json = False,
) -> None:
    """Ask one question, or talk at the terminal; answers stream, with their cost.

    With QUESTION, or with text piped in, there is one answer: `git diff | tamma-openai chat "Review
    this"`. Otherwise a session begins; /help lists its commands, Ctrl-C stops an answer, Ctrl-D
    ends. --store writes every call to a ledger. --json gives one JSON object a line for each event:
    text, tool_call, tool_result, end, error and, in a session, notice.
    """
    from langchain_tamma_openai.cli._chat_repl import talk, turn
    from langchain_tamma_openai.cli._chat_screen import JsonScreen, TextScreen
    from langchain_tamma_openai.cli._chat_session import Session

    text = None if interactive else _question(question or ())
    screen: Screen = JsonScreen() if json else TextScreen(quiet=quiet)
    with ExitStack() as stack:
        settings: dict[str, object] = {
            "temperature": temperature,
            "max_tokens": max_tokens,
            "reasoning_effort": effort,
            "usage_tracker": _tracker(store, stack),
        }
        make = partial(_model, base_url, settings, prompt_path or (), var or ())
        session = Session(
            make,
            model=model,
            system=system,
            tools=_tools(tool_module),
            max_iterations=max_iterations,
        )
        if text is None:
            _ = session.llm  # what is wrong is said before anything is typed
            talk(session, screen, json=json)
        else:
            turn(session, text, screen)


def _question(words: Sequence[str]) -> str | None:
    """Give what is asked; None when there is a person to ask."""
    asked = " ".join(word for word in words if word != _STDIN).strip()
    if sys.stdin is None or (sys.stdin.isatty() and _STDIN not in words):
        return asked or None
    try:
        piped = sys.stdin.read().strip()
    except UnicodeDecodeError:
        raise CommandError("standard input: is not UTF-8 text") from None
    text = "\n\n".join(part for part in (asked, piped) if part)
    if not text:
        raise CommandError(
            "there is nothing to ask: give a question, pipe a text in, or start at a terminal",
            WRONG_ARGUMENTS,
        )
    return text


def _tools(modules: Sequence[str] | None) -> Sequence[Tool]:
    if not modules:
        return ()
    from langchain_tamma_openai.cli._chat_tools import tools_of

    return tools_of(list(modules))


def _tracker(store: str | None, stack: ExitStack) -> object:
    if not store:
        return None
    from langchain_tamma_openai import UsageTracker

    return stack.enter_context(UsageTracker(_options.store_location(store).url))


def _model(
    base_url: str | None,
    settings: dict[str, object],
    paths: Sequence[Path],
    pairs: Sequence[str],
    name: str | None,
    system: str | None,
) -> ChatTammaOpenAI:
    from langchain_tamma_openai import resolve_system_prompt

    variables = _prompts.variables(pairs, None)
    # An id that nobody knows is told now, and not with the first question.
    prompt = resolve_system_prompt(system, variables, _prompts.registry(paths))
    return _options.chat_model(name, base_url, **settings, system_prompt=prompt)
