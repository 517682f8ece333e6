"""Streams that a model's own tracker hears of, without a handler that LangChain calls per chunk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from uuid import UUID

from langchain_core.callbacks import CallbackManager
from langchain_core.runnables.config import ensure_config

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

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
    chunks: Iterator[AIMessageChunk], runs: ModelRuns, link: RunLink, model: BaseChatModel
) -> Iterator[AIMessageChunk]:
    """Hand a stream on and record its run, however it ends.

    Args:
        chunks: The stream, as LangChain makes it.
        runs: Takes the run.
        link: Ties the run to its callbacks; its id is known.
        model: Whose run it is.
    """
    run = _begin(runs, link, model)
    try:
        yield from chunks
    except BaseException as error:
        if _is_run(link, error):
            run.fail(error)
        raise
    run.finish()


async def afollowed(
    chunks: AsyncIterator[AIMessageChunk], runs: ModelRuns, link: RunLink, model: BaseChatModel
) -> AsyncIterator[AIMessageChunk]:
    """Hand a stream on and record its run, however it ends; see `followed`."""
    run = _begin(runs, link, model)
    try:
        async for chunk in chunks:
            yield chunk
    except BaseException as error:
        try:
            # Where the caller left, LangChain's own generator does not know yet; or an event loop
            # that ends is closing it at the same time, which it says with a RuntimeError.
            with suppress(RuntimeError):
                await cast("AsyncGenerator[AIMessageChunk]", chunks).aclose()
        finally:
            if _is_run(link, error):
                await run.afail(error)
        raise
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
