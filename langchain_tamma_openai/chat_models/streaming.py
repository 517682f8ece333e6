"""Streamed answers: open, read, and go on after a break as the run decides; sync and async."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from langchain_core.outputs import ChatGenerationChunk

from langchain_tamma_openai.chat_models.background import acancelling, aresume, cancelling, resume
from langchain_tamma_openai.transport.body import AsyncReading, Reading
from langchain_tamma_openai.transport.translate import translating

if TYPE_CHECKING:
    import httpx2
    import openai
    from langchain_core.callbacks import (
        AsyncCallbackManagerForLLMRun,
        CallbackManagerForLLMRun,
    )

    from langchain_tamma_openai.chat_models.stream_run import StreamRun


def stream_answer(  # noqa: C901 - one loop: another generator inside would cost time per chunk
    run: StreamRun, run_manager: CallbackManagerForLLMRun | None
) -> Iterator[ChatGenerationChunk]:
    """Yield the chunks of an answer, with retries, recovery and fallbacks.

    Args:
        run: The run.
        run_manager: Told of each chunk, where LangChain does not do so itself.

    Raises:
        StreamInterruptedError: The stream broke, and nothing could be done about it.
        TammaError: Nobody answered.
    """
    while True:
        root, response = _connect(run)
        try:
            with translating(run.call.model), cancelling(run.call, root, run.response_id):
                while True:
                    with run.listening(), Reading(response, run.total) as pieces:
                        for piece in pieces:
                            for chunk in run.feed(piece):
                                if run_manager is not None:
                                    run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                                yield chunk
                            if run.is_finished:
                                break
                        yield from run.end()
                    if run.broken is None:
                        yield from run.rest()
                    if not run.resumes:
                        break
                    response = resume(run.call, root, run.reader, run.retries.policy)
                    run.resumed(response)
        except BaseException as error:
            # Whoever leaves once the answer is whole has had a success.
            run.open_attempt.end(None if run.is_finished else error)
            run.add_estimate(error)
            raise
        run.open_attempt.end(run.broken)
        if run.is_finished:
            return


async def astream_answer(  # noqa: C901 - see its twin
    run: StreamRun, run_manager: AsyncCallbackManagerForLLMRun | None
) -> AsyncIterator[ChatGenerationChunk]:
    """Yield the chunks of an answer, with retries, recovery and fallbacks; see `stream_answer`."""
    while True:
        root, response = await _aconnect(run)
        try:
            with translating(run.call.model):
                async with acancelling(run.call, root, run.response_id):
                    while True:
                        with run.listening():
                            async with AsyncReading(response, run.total) as pieces:
                                async for piece in pieces:
                                    for chunk in run.feed(piece):
                                        if run_manager is not None:
                                            await run_manager.on_llm_new_token(
                                                chunk.text, chunk=chunk
                                            )
                                        yield chunk
                                    if run.is_finished:
                                        break
                                for chunk in run.end():
                                    yield chunk
                        if run.broken is None:
                            for chunk in run.rest():
                                yield chunk
                        if not run.resumes:
                            break
                        response = await aresume(run.call, root, run.reader, run.retries.policy)
                        run.resumed(response)
        except BaseException as error:
            await run.open_attempt.aend(None if run.is_finished else error)
            run.add_estimate(error)
            raise
        await run.open_attempt.aend(run.broken)
        if run.is_finished:
            return


def _connect(run: StreamRun) -> tuple[openai.OpenAI, httpx2.Response]:
    """Open a stream: the first one, the same call again, or another model's."""
    after = run.next_after()
    while True:
        root = run.target._sync_root()
        try:
            response = run.retries.run(lambda: _open(run, root), after)  # noqa: B023 - called at once
        except Exception as error:  # noqa: BLE001 - the run sorts them, and raises the rest
            run.not_opened(error)
            after = None
        else:
            return root, response


async def _aconnect(run: StreamRun) -> tuple[openai.AsyncOpenAI, httpx2.Response]:
    """Open a stream; see `_connect`."""
    after = run.next_after()
    while True:
        root = run.target._async_root()
        try:
            response = await run.retries.arun(lambda: _aopen(run, root), after)  # noqa: B023 - called at once
        except Exception as error:  # noqa: BLE001 - the run sorts them, and raises the rest
            run.not_opened(error)
            after = None
        else:
            return root, response


def _open(run: StreamRun, root: openai.OpenAI) -> httpx2.Response:
    with translating(run.call.model):
        try:
            return _open_once(run, root)
        except Exception as error:
            if not run.asks_otherwise(error):
                raise
        return _open_once(run, root)


async def _aopen(run: StreamRun, root: openai.AsyncOpenAI) -> httpx2.Response:
    with translating(run.call.model):
        try:
            return await _aopen_once(run, root)
        except Exception as error:
            if not run.asks_otherwise(error):
                raise
        return await _aopen_once(run, root)


def _open_once(run: StreamRun, root: openai.OpenAI) -> httpx2.Response:
    attempt = run.attempt()
    attempt.enter()
    response = None
    try:
        response = run.call.open(root, run.retries.deadline)
        attempt.answered(response)
        run.connected(attempt, response)
    except BaseException as error:
        attempt.end(error)
        if response is not None:
            response.close()
        raise
    return response


async def _aopen_once(run: StreamRun, root: openai.AsyncOpenAI) -> httpx2.Response:
    await run.target._awarm(run.call)
    attempt = run.attempt()
    await attempt.aenter()
    response = None
    try:
        response = await run.call.aopen(root, run.retries.deadline)
        await attempt.aanswered(response)
        run.connected(attempt, response)
    except BaseException as error:
        await attempt.aend(error)
        if response is not None:
            await response.aclose()
        raise
    return response
