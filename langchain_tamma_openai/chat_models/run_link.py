"""What a model run knows of the call it belongs to: its id, and who listens.

LangChain tells `_stream` neither. The link travels beside the call's parameters under a name of its
own, and is taken out before anything is sent, traced or cached.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.callbacks.manager import ahandle_event, handle_event
from langchain_core.runnables.config import ensure_config
from langchain_core.utils.uuid import uuid7

from langchain_tamma_openai.chat_models.linking import LINK
from langchain_tamma_openai.chat_models.observing import is_in_block
from langchain_tamma_openai.chat_models.run_handlers import sees_tokens
from langchain_tamma_openai.chat_models.tracing import witnessed

if TYPE_CHECKING:
    from langchain_core.callbacks import (
        AsyncCallbackManagerForLLMRun,
        CallbackManagerForLLMRun,
    )
    from langchain_core.callbacks.base import Callbacks
    from langchain_core.runnables import RunnableConfig

    from langchain_tamma_openai.chat_models.calls import Call
    from langchain_tamma_openai.resilience.retry import RetryEvent
    from langchain_tamma_openai.usage.run_log import RunWatcher


@dataclass(slots=True)
class RunLink:
    """Ties a model run to its callbacks.

    Attributes:
        run_id: LangChain's id of the run; None where it is not known.
        run_manager: LangChain's, where it is known.
        config: The call's, where the run manager is not known.
        own_callbacks: The model's own callbacks.
        is_heard: Whether there may be handlers.
        is_invoke: The caller gets the finished message and nothing before.
        watcher: Who writes the run down, beside those who watch it by its id.
        has_begun: Whether LangChain has come to ask for the stream.
    """

    run_id: UUID | None = None
    run_manager: CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun | None = None
    config: RunnableConfig | None = None
    own_callbacks: Callbacks = None
    is_heard: bool = True
    is_invoke: bool = False
    watcher: RunWatcher | None = None
    has_begun: bool = False

    @classmethod
    def of(
        cls,
        run_manager: CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun | None,
        *,
        is_invoke: bool,
    ) -> RunLink:
        """Tie a run to the manager LangChain gave for it.

        Args:
            run_manager: LangChain's.
            is_invoke: Whether the caller gets the finished message and nothing before.
        """
        run_id = None if run_manager is None else run_manager.run_id
        return cls(run_id, run_manager, is_invoke=is_invoke)

    @property
    def shows_only_the_end(self) -> bool:
        """Whether nobody sees a part of the answer before it is whole."""
        if not self.is_invoke:
            return False
        return not any(sees_tokens(cast("Hashable", type(handler))) for handler in self.handlers)

    @property
    def labels(self) -> dict[str, object]:
        """The run's metadata, and the tags that the user gave under "tags"."""
        metadata: Mapping[str, object] | None = None
        tags: list[str] | None = None
        if self.run_manager is not None:
            metadata, tags = self.run_manager.metadata, self.run_manager.tags
        elif self.config is not None:
            merged = ensure_config(self.config)
            metadata, tags = merged.get("metadata"), merged.get("tags")
        from langchain_tamma_openai.usage.run_labels import own_tags

        return {**(metadata or {}), "tags": list(own_tags(tags or ()))}

    @property
    def handlers(self) -> list[BaseCallbackHandler]:
        """LangChain's handlers of the run, where they are known."""
        return [] if self.run_manager is None else self.run_manager.handlers

    def abandoned(self, error: BaseException) -> None:
        """Tell those who write runs down that the caller left; LangChain does not.

        Args:
            error: How.
        """
        for handler in self.handlers:
            end = getattr(handler, "on_run_abandoned", None)
            if end is not None and self.run_id is not None:
                end(self.run_id, error)

    def on_retry(self, event: RetryEvent) -> None:
        """Tell LangChain's handlers of a failure that is about to be repeated.

        Args:
            event: The failure.
        """
        handlers, run_id = self._listeners()
        if handlers:
            handle_event(handlers, "on_retry", "ignore_retry", event.retry_state, run_id=run_id)

    async def aon_retry(self, event: RetryEvent) -> None:
        """Tell LangChain's handlers of a failure that is about to be repeated."""
        handlers, run_id = self._listeners()
        if handlers:
            await ahandle_event(
                handlers, "on_retry", "ignore_retry", event.retry_state, run_id=run_id
            )

    def _listeners(self) -> tuple[list[BaseCallbackHandler], UUID | None]:
        if self.run_manager is not None:
            return self.run_manager.handlers, self.run_id
        if self.run_id is None:
            return [], None
        from langchain_core.callbacks import CallbackManager

        given = (self.config or {}).get("callbacks")
        manager = CallbackManager.configure(given, self.own_callbacks)
        return manager.handlers, self.run_id


def labels_of(call: Call, link: RunLink | None) -> dict[str, object]:
    """Say whom a call is for: "user_id", "model", "tags", and the keys of the run's metadata.

    Args:
        call: What is sent; its `user` stands in for a missing "user_id".
        link: Ties the run to its callbacks.
    """
    labels = {} if link is None else link.labels
    if labels.get("user_id") is None and (user := call.payload.get("user")):
        labels["user_id"] = user
    return {**labels, "model": call.model}


def linked(
    config: RunnableConfig | None, own_callbacks: Callbacks, kwargs: Mapping[str, Any]
) -> tuple[RunnableConfig, dict[str, Any]]:
    """Choose the id of a run that LangChain is about to begin, and send its link along.

    Args:
        config: The caller's configuration.
        own_callbacks: The model's own callbacks.
        kwargs: The call's parameters.

    Returns:
        The configuration with the id, and the parameters with the link.
    """
    run_id = (config or {}).get("run_id") or uuid7()
    chosen: RunnableConfig = {**(config or {}), "run_id": run_id}
    given = ensure_config(chosen).get("callbacks")
    chosen = witnessed(chosen, given, own_callbacks, run_id)
    is_heard = bool(given or own_callbacks or "callbacks" in chosen or is_in_block())
    link = RunLink(run_id, config=chosen, own_callbacks=own_callbacks, is_heard=is_heard)
    return chosen, {**kwargs, LINK: link}
