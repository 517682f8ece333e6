"""Model runs while they go on: what is known of each, until its record can be made.

Fed by callback handlers of any kind; knows no callbacks itself. Safe to share between threads.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult

from langchain_tamma_openai.usage.past import began_at, began_s
from langchain_tamma_openai.usage.record import AttemptRecord, UsageRecord
from langchain_tamma_openai.usage.run_labels import label
from langchain_tamma_openai.usage.run_log import RunLog

MAX_OPEN_RUNS = 10_000
"""Runs that never end are forgotten, the oldest first, when there are more."""
_REMEMBERED_ENDS = 10_000


@dataclass(slots=True, kw_only=True, eq=False)
class OpenRun:
    """A model run that has not ended, as far as it is known.

    Attributes:
        run_id: LangChain's id of the run.
        parent_run_id: The run around it.
        root_run_id: The outermost run known.
        started_at: When it began; UTC.
        started_s: The same on the monotonic clock.
        tags: As LangChain gives them.
        metadata: As LangChain gives them; a copy.
        params: The invocation parameters.
        messages: The prompt of a chat model.
        prompts: The prompts of a text-completion model.
        first_token_s: When the first chunk came, on the monotonic clock.
        received: Text of the chunks.
        attempts: HTTP attempts the model told of.
        facts: What only the model knows.
        log: Where the model writes its attempts down.
        has_facts: Whether the model tells of its attempts; one that does not has one unseen.
        companion: Whatever the handler keeps beside the run, such as a span.
    """

    run_id: UUID
    parent_run_id: UUID | None = None
    root_run_id: UUID | None = None
    started_at: datetime = field(default_factory=began_at)
    started_s: float = field(default_factory=began_s)
    tags: Sequence[str] = ()
    metadata: Mapping[str, object] = field(default_factory=dict)
    params: Mapping[str, object] = field(default_factory=dict)
    messages: Sequence[BaseMessage] = ()
    prompts: Sequence[str] = ()
    first_token_s: float | None = None
    received: list[str] = field(default_factory=list)
    attempts: list[AttemptRecord] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)
    log: RunLog | None = None
    has_facts: bool = False
    companion: object = None

    @property
    def requested_model(self) -> str | None:
        """The model that was asked for."""
        params = self.params
        return label(
            params.get("model") or params.get("model_name") or self.metadata.get("ls_model_name")
        )

    @property
    def provider(self) -> str | None:
        """Name of the provider, as LangChain gives it."""
        return label(self.metadata.get("ls_provider"))

    def take_log(self) -> None:
        """Take over what the model wrote down: attempts, and what only it knows."""
        if self.log is not None:
            self.attempts.extend(self.log.finish())
            self.facts.update(self.log.facts)

    def note_token(self, text: str) -> None:
        """Note a chunk that has just come.

        Args:
            text: Its text; may be empty.
        """
        if self.first_token_s is None:
            self.first_token_s = time.perf_counter()
        if text:
            self.received.append(text)


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that has just ended.

    Attributes:
        run: What was known of it.
        record: What it came to.
        response: What the model answered, if anything.
        error: What ended it, if it did not end well.
    """

    run: OpenRun
    record: UsageRecord
    response: LLMResult | None = None
    error: BaseException | None = None


class RunBook:
    """Keeps the open runs and turns each into one record when it ends."""

    def __init__(self, max_open_runs: int = MAX_OPEN_RUNS) -> None:
        """Start without any run.

        Args:
            max_open_runs: How many runs, and how many chains around them, are kept at most.
        """
        self._max_open_runs = max_open_runs
        self._lock = threading.Lock()
        self._open: OrderedDict[UUID, OpenRun] = OrderedDict()
        self._ended: OrderedDict[UUID, None] = OrderedDict()
        self._roots: OrderedDict[UUID, UUID] = OrderedDict()

    def __len__(self) -> int:
        """Count the open runs."""
        return len(self._open)

    # --- the chains around model runs ---

    def open_chain(self, run_id: UUID, parent_run_id: UUID | None) -> None:
        """Note that a chain, tool or retriever began.

        Args:
            run_id: Its id.
            parent_run_id: The run around it.
        """
        with self._lock:
            self._roots[run_id] = self._root_of(parent_run_id) or run_id
            if len(self._roots) > self._max_open_runs:
                self._roots.popitem(last=False)

    def close_chain(self, run_id: UUID) -> None:
        """Forget a chain that has ended.

        Args:
            run_id: Its id.
        """
        with self._lock:
            self._roots.pop(run_id, None)

    def root_of(self, parent_run_id: UUID | None) -> UUID | None:
        """Find the outermost run known around a run; None without a parent.

        Args:
            parent_run_id: The run around it.
        """
        with self._lock:
            return self._root_of(parent_run_id)

    def knows_chain(self, run_id: UUID) -> bool:
        """Whether the chain was seen to begin, and is not known to have ended.

        Args:
            run_id: Its id.
        """
        return run_id in self._roots

    def _root_of(self, parent_run_id: UUID | None) -> UUID | None:
        return None if parent_run_id is None else self._roots.get(parent_run_id, parent_run_id)

    # --- model runs ---

    def open(self, run: OpenRun) -> bool:
        """Take a run that has just begun.

        Args:
            run: The run.

        Returns:
            False when it is known already.
        """
        with self._lock:
            if run.run_id in self._open or run.run_id in self._ended:
                return False
            self._keep(run)
            return True

    def find(self, run_id: UUID) -> OpenRun | None:
        """Find an open run; None when it is not open.

        Args:
            run_id: Its id.
        """
        return self._open.get(run_id)

    def find_or_open(self, run_id: UUID) -> OpenRun | None:
        """Find an open run, or open one whose beginning was missed; None when it has ended.

        Args:
            run_id: Its id.
        """
        with self._lock:
            run = self._open.get(run_id)
            if run is None and run_id not in self._ended:
                run = self._keep(OpenRun(run_id=run_id))
            return run

    def open_inside(self, parent_run_id: UUID) -> list[OpenRun]:
        """List the open runs of a chain.

        Args:
            parent_run_id: The chain.
        """
        with self._lock:
            return [run for run in self._open.values() if run.parent_run_id == parent_run_id]

    def close(self, run_id: UUID) -> OpenRun | None:
        """Take a run out because it ended; None when it had ended before.

        Args:
            run_id: Its id.
        """
        with self._lock:
            if run_id in self._ended:
                return None
            self._ended[run_id] = None
            if len(self._ended) > _REMEMBERED_ENDS:
                self._ended.popitem(last=False)
            return self._open.pop(run_id, None) or OpenRun(run_id=run_id)

    def _keep(self, run: OpenRun) -> OpenRun:
        self._open[run.run_id] = run
        if len(self._open) > self._max_open_runs:
            self._open.popitem(last=False)
        return run
