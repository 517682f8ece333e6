"""Streams that go on to their caller without a handler that LangChain calls for every chunk.

A model's own tracker hears of them here, and handlers that look at no chunk but the first are told
of no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from uuid import UUID

from langchain_core.callbacks import CallbackManager
from langchain_core.runnables.config import ensure_config

from langchain_tamma_openai.chat_models.run_handlers import leave_out, manager_of

if TYPE_CHECKING:
    from types import AsyncGeneratorType, GeneratorType

    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessageChunk

    from langchain_tamma_openai.chat_models.run_link import RunLink
    from langchain_tamma_openai.usage.model_runs import ModelRun, ModelRuns


class _Begun(NamedTuple):
    """What LangChain will know of a run that is about to begin."""

    run_id: UUID
    parent_run_id: UUID | None
    tags: list[str]
    metadata: dict[str, Any]


def followed(
    chunks: Iterator[AIMessageChunk], runs: ModelRuns | None, link: RunLink, model: BaseChatModel
) -> Iterator[AIMessageChunk]:
    """Hand a stream on and record its run, however it ends.

    Args:
        chunks: The stream, as LangChain makes it.
        runs: Takes the run; None where the model has no tracker.
        link: Ties the run to its callbacks; its id is known.
        model: Whose run it is.
    """
    stream = cast("GeneratorType[AIMessageChunk, None, None]", chunks)
    run = None if runs is None else _begin(runs, link, model)
    try:
        for chunk in stream:
            leave_out(manager_of(stream))
            yield chunk
            break
        yield from stream
    except BaseException as error:
        stream.close()  # where the caller left after the first chunk, it does not know yet
        if run is not None and _is_run(link, error):
            run.fail(error)
        raise
    if run is not None:
        run.finish()


async def afollowed(
    chunks: AsyncIterator[AIMessageChunk],
    runs: ModelRuns | None,
    link: RunLink,
    model: BaseChatModel,
) -> AsyncIterator[AIMessageChunk]:
    """Hand a stream on and record its run, however it ends; see `followed`."""
    stream = cast("AsyncGeneratorType[AIMessageChunk, None]", chunks)
    run = None if runs is None else _begin(runs, link, model)
    try:
        async for chunk in stream:
            leave_out(manager_of(stream))
            yield chunk
            break
        async for chunk in stream:
            yield chunk
    except BaseException as error:
        try:
            # Where the caller left, LangChain's own generator does not know yet; or an event loop
            # that ends is closing it at the same time, which it says with a RuntimeError.
            with suppress(RuntimeError):
                await stream.aclose()
        finally:
            if run is not None and _is_run(link, error):
                await run.afail(error)
        raise
    if run is not None:
        await run.afinish()


def _begin(runs: ModelRuns, link: RunLink, model: BaseChatModel) -> ModelRun:
    """Begin a run as LangChain will: with the same parent, tags and metadata."""
    config = ensure_config(link.config)
    manager = CallbackManager.configure(
        config.get("callbacks"),
        model.callbacks,
        inheritable_tags=config.get("tags"),
        local_tags=model.tags,
        inheritable_metadata={**config.get("metadata", {}), **model._get_ls_params()},
        local_metadata=model.metadata,
    )
    begun = _Begun(cast("UUID", link.run_id), manager.parent_run_id, manager.tags, manager.metadata)
    link.watcher = run = runs.begin(begun)
    return run


def _is_run(link: RunLink, error: BaseException) -> bool:
    """Whether LangChain had begun the run; what it refuses before that is none."""
    return link.has_begun or isinstance(error, asyncio.CancelledError)
