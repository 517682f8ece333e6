"""Plain answers: ask until somebody answers or nobody will; sync and async."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_core.outputs import ChatResult

from langchain_tamma_openai.chat_models.background import await_answer, wait_for_answer
from langchain_tamma_openai.chat_models.exchange import EXCHANGE
from langchain_tamma_openai.transport.translate import translating

if TYPE_CHECKING:
    import httpx2
    import openai

    from langchain_tamma_openai.chat_models.attempts import Attempt
    from langchain_tamma_openai.chat_models.run import Run


def answer(run: Run) -> ChatResult:
    """Make a plain call, with retries and fallbacks.

    Args:
        run: The run.

    Raises:
        TammaError: Nobody answered.
    """
    with run:
        while True:
            try:
                return run.mark_result(_answer(run, run.target._sync_root()))
            except Exception as error:  # noqa: BLE001 - the fallback policy sorts them, and raises the rest
                run.fall_back(error)


async def aanswer(run: Run) -> ChatResult:
    """Make a plain call, with retries and fallbacks; see `answer`."""
    with run:
        while True:
            try:
                return run.mark_result(await _aanswer(run, run.target._async_root()))
            except Exception as error:  # noqa: BLE001 - the fallback policy sorts them, and raises the rest
                run.fall_back(error)


def _answer(run: Run, root: openai.OpenAI) -> ChatResult:
    if not run.call.runs_in_background:
        return run.retries.run(lambda: _ask(run, root))
    with translating(run.call.model):
        attempt, response = run.retries.run(lambda: _send(run, root))
        with attempt:
            response = wait_for_answer(run.call, root, response, run.retries.policy)
            return _read(run, attempt, response)


async def _aanswer(run: Run, root: openai.AsyncOpenAI) -> ChatResult:
    if not run.call.runs_in_background:
        return await run.retries.arun(lambda: _aask(run, root))
    with translating(run.call.model):
        attempt, response = await run.retries.arun(lambda: _asend(run, root))
        async with attempt:
            response = await await_answer(run.call, root, response, run.retries.policy)
            return _read(run, attempt, response)


def _ask(run: Run, root: openai.OpenAI) -> ChatResult:
    with translating(run.call.model):
        attempt, response = _send(run, root)
        with attempt:
            return _read(run, attempt, response)


async def _aask(run: Run, root: openai.AsyncOpenAI) -> ChatResult:
    with translating(run.call.model):
        attempt, response = await _asend(run, root)
        async with attempt:
            return _read(run, attempt, response)


def _send(run: Run, root: openai.OpenAI) -> tuple[Attempt, httpx2.Response]:
    """Send the request once and return the open attempt with its answer."""
    attempt = run.attempt()
    attempt.enter()
    try:
        response = run.call.send(root, run.retries.deadline)
        attempt.answered(response)
    except BaseException as error:
        attempt.end(error)
        raise
    return attempt, response


async def _asend(run: Run, root: openai.AsyncOpenAI) -> tuple[Attempt, httpx2.Response]:
    """Send the request once and return the open attempt with its answer."""
    await run.target._awarm(run.call)
    attempt = run.attempt()
    await attempt.aenter()
    try:
        if (exchange := EXCHANGE.get()) is not None:
            await exchange.sending()
        response = await run.call.asend(root, run.retries.deadline)
        await attempt.aanswered(response)
    except BaseException as error:
        await attempt.aend(error)
        raise
    return attempt, response


def _read(run: Run, attempt: Attempt, response: httpx2.Response) -> ChatResult:
    attempt.received.body = response.content
    if (exchange := EXCHANGE.get()) is not None:
        exchange.received(response)
    result, facts, cost = run.target._result(run.call, response)
    attempt.received.take(result, facts, cost)
    return result
