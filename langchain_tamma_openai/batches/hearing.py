"""Who hears of the answers of a job: callbacks, tracers, ledgers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from langchain_core.callbacks import (
    BaseCallbackHandler,
    BaseCallbackManager,
    CallbackManager,
    CallbackManagerForChainRun,
    CallbackManagerForLLMRun,
)
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config, merge_configs

from langchain_tamma_openai.batches.journal import Entry, run_id
from langchain_tamma_openai.batches.preparing import FOR_TRACES, Line
from langchain_tamma_openai.batches.traces import use_past_times
from langchain_tamma_openai.usage.callbacks import UsageCallbackHandler

if TYPE_CHECKING:
    from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI

_RUN_NAME = "openai_batch"


class Audience:
    """Everybody who hears of one job.

    A job that was told of before is told again to the model's own ledger alone, which keeps each
    run once: a ledger that did not hear of it then has it now.
    """

    def __init__(
        self,
        entry: Entry,
        model: ChatTammaOpenAI,
        options: Mapping[str, Any],
        config: RunnableConfig | None,
        lines: list[Line] | None,
    ) -> None:
        """Find them; nobody is told yet.

        Args:
            entry: The job.
            model: Its own callbacks are told.
            options: Parameters of every call.
            config: Callbacks and labels of whoever fetches.
            lines: The inputs; None where they are not in this process.
        """
        self._entry = entry
        self._model = model
        self._config = merge_configs(ensure_config(), config)
        self._is_repeated = entry.is_accounted
        self._shared = _shared_config(lines)
        self._parent: CallbackManagerForChainRun | None = None
        stop = options.get("stop")
        rest = {k: v for k, v in options.items() if k not in {*FOR_TRACES, "stop"}}
        self._about = {
            "invocation_params": model._get_invocation_params(stop=stop, **rest),
            "options": {"stop": stop},
        }
        self._ls_params = dict(model._get_ls_params_with_defaults(stop=stop, **rest))

    @property
    def is_repeated(self) -> bool:
        """Whether everybody but the ledger has heard of it before."""
        return self._is_repeated

    @property
    def wants_messages(self) -> bool:
        """Whether anybody looks at what was asked, beside those who count."""
        handlers = [] if self._is_repeated else [*self._manager().handlers, *self._own_handlers()]
        return any(not isinstance(handler, UsageCallbackHandler) for handler in handlers)

    def begin(self, state: str) -> None:
        """Begin the run around those of all inputs.

        Args:
            state: How the job ended.
        """
        if self._is_repeated:
            return
        manager = self._manager()
        use_past_times(manager)
        inputs = {"job": self._entry.id, "requests": self._entry.requests, "state": state}
        self._parent = manager.on_chain_start(
            {}, inputs, run_id=run_id(self._entry.id), name=_RUN_NAME
        )

    def end(self, outputs: Mapping[str, object], error: BaseException | None) -> None:
        """End it.

        Args:
            outputs: What the job came to.
            error: What went wrong while it was told.
        """
        if self._parent is None:
            return
        if error is None:
            self._parent.on_chain_end(dict(outputs))
        else:
            self._parent.on_chain_error(error)

    def child(self) -> RunnableConfig:
        """Give the configuration of a step that runs here and now, inside of that run."""
        return {"callbacks": [] if self._parent is None else self._parent.get_child()}

    def start(self, position: int, line: Line) -> CallbackManagerForLLMRun:
        """Begin the run of one input.

        Args:
            position: Its place.
            line: The input.
        """
        (run,) = self._manager_for(line).on_chat_model_start(
            self._model._serialized,
            [line.messages],
            run_id=run_id(self._entry.id, position),
            name=line.config.get("run_name"),
            batch_size=1,
            **self._about,
        )
        return run

    def _manager(self) -> CallbackManager:
        """Find everybody who hears of the job as a whole."""
        manager = CallbackManager.configure(
            self._config.get("callbacks"),
            inheritable_tags=self._config.get("tags"),
            inheritable_metadata=self._config.get("metadata"),
        )
        if self._shared is not None:
            _add(manager, self._shared.get("callbacks"))
        return manager

    def _manager_for(self, line: Line) -> CallbackManager:
        """Find everybody who hears of one input."""
        model, config = self._model, line.config
        if self._parent is None:
            return CallbackManager(
                handlers=[],
                parent_run_id=run_id(self._entry.id),
                tags=[*(model.tags or ()), *(config.get("tags") or ())],
                metadata={**(model.metadata or {}), **self._metadata(line)},
            )
        manager = CallbackManager.configure(
            self._parent.get_child(),
            model.callbacks,
            model.verbose,
            config.get("tags"),
            model.tags,
            {**self._metadata(line), **self._ls_params},
            model.metadata,
        )
        if config is not self._shared:
            _add(manager, config.get("callbacks"))
        use_past_times(manager)
        return manager

    def _metadata(self, line: Line) -> dict[str, Any]:
        return {**(line.config.get("metadata") or {}), "batch_job": self._entry.id}

    def _own_handlers(self) -> list[BaseCallbackHandler]:
        return _handlers(self._model.callbacks)


def _shared_config(lines: list[Line] | None) -> RunnableConfig | None:
    """Give the configuration of all inputs, where they have one."""
    if not lines:
        return None
    first = lines[0].config
    return first if all(line.config is first for line in lines) else None


def _handlers(callbacks: object) -> list[BaseCallbackHandler]:
    found = callbacks.handlers if isinstance(callbacks, BaseCallbackManager) else callbacks
    return list(cast("list[BaseCallbackHandler]", found or ()))


def _add(manager: CallbackManager, callbacks: object) -> None:
    for handler in _handlers(callbacks):
        if handler not in manager.handlers:
            manager.add_handler(handler, inherit=True)
