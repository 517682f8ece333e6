"""`tamma-openai demo`: what the chat model does, and what each part of it costs."""

from __future__ import annotations

import importlib.util
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_tamma_openai.cli import _options, _output
from langchain_tamma_openai.cli._errors import CommandError
from langchain_tamma_openai.cli._screen import Screen

if TYPE_CHECKING:
    from langchain_tamma_openai import ChatTammaOpenAI


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Who answers; `base_url` and `api_key` are None where the environment decides."""

    mocked: bool
    base_url: str | None = None
    api_key: str | None = None


def command(
    model: _options.Model = None,
    mock: Annotated[
        bool, typer.Option("--mock", help="Use the local mock even when OPENAI_API_KEY is set.")
    ] = False,
    json: _options.Json = False,
) -> None:
    """See a chain, a stream, an agent, structured output and a batch, with their cost.

    Runs a prompt chain, a stream, a tool-calling agent, a structured answer and a batch of 20
    through ChatTammaOpenAI, each with its tokens and dollars, and a table of it all at the end.

    Without OPENAI_API_KEY a local mock answers and nothing leaves this machine. With a key the
    real API answers (OPENAI_BASE_URL is respected) and bills you about 25 short calls: with
    gpt-6-luna, well under one cent.
    """
    mocked = mock or not os.environ.get("OPENAI_API_KEY", "").strip()
    if not _has_extra(mocked=mocked):
        raise CommandError(
            "the demo needs a few more packages: pip install 'langchain-tamma-openai[demo]'"
        )
    _run_steps(model, mocked=mocked, as_json=json)


def _has_extra(*, mocked: bool) -> bool:
    needed = ["langchain", "llmock"] if mocked else ["langchain"]
    return all(importlib.util.find_spec(name) for name in needed)


def _run_steps(model_name: str | None, *, mocked: bool, as_json: bool) -> None:
    from langchain_tamma_openai.cli._demo_steps import run_all

    screen = Screen(io.StringIO() if as_json else sys.stdout)
    with _endpoint(mocked=mocked) as endpoint:
        llm = _chat_model(model_name, endpoint)
        _introduce(screen, llm, endpoint)
        figures = run_all(llm, screen)
    if as_json:
        _output.print_json({"model": llm.model_name, "mocked": mocked, **figures})


@contextmanager
def _endpoint(*, mocked: bool) -> Iterator[Endpoint]:
    if not mocked:
        yield Endpoint(mocked=False)
        return
    from langchain_tamma_openai.cli._mock import API_KEY, local_mock

    with local_mock() as base_url:
        yield Endpoint(mocked=True, base_url=base_url, api_key=API_KEY)


def _chat_model(model_name: str | None, endpoint: Endpoint) -> ChatTammaOpenAI:
    from langchain_tamma_openai import ChatTammaOpenAI

    given = {"model": model_name, "base_url": endpoint.base_url, "api_key": endpoint.api_key}
    llm = ChatTammaOpenAI(**{name: value for name, value in given.items() if value is not None})
    # Reasoning would only make these small questions slower and dearer.
    if _can_skip_reasoning(llm.model_name):
        return llm.model_copy(update={"reasoning_effort": "none"})
    return llm


def _can_skip_reasoning(model_name: str) -> bool:
    from langchain_tamma_openai import ModelCatalog

    return "none" in (ModelCatalog().get(model_name).reasoning_efforts or ())


def _introduce(screen: Screen, llm: ChatTammaOpenAI, endpoint: Endpoint) -> None:
    screen.line(f"ChatTammaOpenAI with {llm.model_name}")
    if endpoint.mocked:
        screen.line(
            f"No real model is called: a local mock (llmock) answers at {endpoint.base_url}."
        )
        screen.line(
            "Its words are canned. The dollars are computed: the mock's token counts at the"
        )
        screen.line(f"real prices of {llm.model_name}. Set OPENAI_API_KEY to ask the real API.")
    else:
        screen.line(f"The real API answers: {llm.root_client.base_url}")
        screen.line("It bills these calls: about 25 short ones.")
