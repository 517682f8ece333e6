"""Asks the provider, through the SDK's own methods: the two colours of `steps`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from functools import reduce
from typing import TYPE_CHECKING, Any, cast

from langchain_tamma_openai.batch.steps import Ask, Steps, upload_path
from langchain_tamma_openai.errors import TammaError
from langchain_tamma_openai.resilience.deadline import Deadline
from langchain_tamma_openai.resilience.retry import Retries
from langchain_tamma_openai.transport.translate import translating

if TYPE_CHECKING:
    from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI


def drive(steps: Steps, model: ChatTammaOpenAI) -> None:
    """Ask what the steps want to know until they are at their end.

    Args:
        steps: The questions.
        model: Whose client and retry policy are used.

    Raises:
        TammaError: The provider refuses, or cannot be reached.
    """
    try:
        question = next(steps)
        while True:
            question = _reply(steps, question, model)
    except StopIteration:
        return


def _reply(steps: Steps, question: Ask, model: ChatTammaOpenAI) -> Ask:
    try:
        answer = ask(model, question)
    except TammaError as error:
        return steps.throw(error)
    return steps.send(answer)


async def adrive(steps: Steps, model: ChatTammaOpenAI) -> None:
    """Ask what the steps want to know until they are at their end; see `drive`."""
    try:
        question = next(steps)
        while True:
            try:
                answer = await aask(model, question)
            except TammaError as error:
                question = steps.throw(error)
            else:
                question = steps.send(answer)
    except StopIteration:
        return


def ask(model: ChatTammaOpenAI, question: Ask) -> Any:
    """Ask one question, again where that does no harm and may help.

    Args:
        model: Whose client and retry policy are used.
        question: The question.
    """
    if not question.is_repeatable:
        return _ask_once(model, question)
    return _retries(model).run(lambda: _ask_once(model, question))


async def aask(model: ChatTammaOpenAI, question: Ask) -> Any:
    """Ask one question; see `ask`."""
    if not question.is_repeatable:
        return await _aask_once(model, question)
    return await _retries(model).arun(lambda: _aask_once(model, question))


def _retries(model: ChatTammaOpenAI) -> Retries:
    return Retries(model._retry_policy, None, Deadline(model.total_timeout_s))


def _ask_once(model: ChatTammaOpenAI, question: Ask) -> Any:
    client = model._sync_root().with_options(max_retries=0)
    with translating(), ExitStack() as stack:
        answer = _method(client, question)(**_arguments(question, stack))
        return answer.read() if question.raw else _plain(answer)


async def _aask_once(model: ChatTammaOpenAI, question: Ask) -> Any:
    client = model._async_root().with_options(max_retries=0)
    with translating(), ExitStack() as stack:
        arguments = await asyncio.to_thread(_arguments, question, stack)
        waiting = _method(client, question)(**arguments)
        answer = await waiting
        return await answer.aread() if question.raw else _plain(answer)


def _method(client: object, question: Ask) -> Any:
    return reduce(getattr, question.method.split("."), client)


def _arguments(question: Ask, stack: ExitStack) -> dict[str, Any]:
    """Open the file that is sent; it is read as it goes out."""
    arguments = dict(question.arguments)
    if (path := upload_path(question)) is not None:
        del arguments["upload"]
        arguments["file"] = (path.name, stack.enter_context(path.open("rb")), "application/jsonl")
    return arguments


def _plain(answer: Any) -> Mapping[str, Any]:
    """Give the SDK's object as the JSON it came from; of a list only the page that came."""
    return cast("Mapping[str, Any]", answer.model_dump(mode="json"))
