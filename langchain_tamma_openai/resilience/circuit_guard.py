"""One call under the eyes of a governor: `with` around sync code, `async with` around async code.

Nothing is locked while the body runs. A plain `with` serves async code too as long as the storage
is this process's memory; `async with` asks a shared storage in a thread, so that the event loop
goes on.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

from langchain_tamma_openai.resilience.circuit_state import Outcome, Step
from langchain_tamma_openai.resilience.circuit_storage import CircuitStorage

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Gate:
    """Decides about the calls of one key.

    Attributes:
        storage: Keeps the circuit.
        name: The circuit's name there.
        failure: Says which failure an exception is, if it is one that counts.
        refusal: Makes the error of a call that may not go out.
        tell: Hears of every step that changed the state.
    """

    storage: CircuitStorage
    name: str
    failure: Callable[[BaseException], str | None]
    refusal: Callable[[Step], Exception]
    tell: Callable[[Step], None]

    def admit(self) -> Step:
        """Decide whether a call may go out.

        Raises:
            StorageError: Nobody can tell.
        """
        step = self.storage.admit(self.name)
        if step.changed:
            self.tell(step)
        return step

    def settle(self, permit: Step, error: BaseException | None) -> None:
        """Take note of how a call ended; most end well where nothing has failed, and cost nothing.

        Args:
            permit: What `admit` returned.
            error: What ended it; None for a success.
        """
        reason = None if error is None else self.failure(error)
        if reason is not None:
            outcome = Outcome.FAILURE
        else:
            outcome = Outcome.SUCCESS if error is None else Outcome.UNDECIDED
        takes_back = outcome is Outcome.SUCCESS and permit.failures > 0
        if permit.token is not None or outcome is Outcome.FAILURE or takes_back:
            step = self.storage.settle(self.name, permit, outcome, reason or "")
            if step.changed:
                self.tell(step)


class Guard:
    """Watches one call. Use it once."""

    def __init__(self, gate: Gate) -> None:
        """Prepare; nothing is asked yet.

        Args:
            gate: Decides.
        """
        self._gate = gate
        self._permit: Step | None = None

    @property
    def is_probe(self) -> bool:
        """Whether this call finds out if the server is back."""
        return self._permit is not None and self._permit.token is not None

    def succeeded(self) -> None:
        """Count the call as a success now; what happens later no longer counts.

        A stream calls this when its answer is whole, as its reader may leave before the end.
        """
        self._settle(None)

    def __enter__(self) -> Self:
        """Let the call out, or raise the governor's refusal."""
        return self._allow(self._gate.admit())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take note of how the call ended."""
        self._settle(error)

    async def __aenter__(self) -> Self:
        """Let the call out, or raise the governor's refusal."""
        return self._allow(await self._ask())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take note of how the call ended, even while the task is being cancelled."""
        if self._gate.storage.is_remote:
            await _in_thread(partial(self._settle, error))
        else:
            self._settle(error)

    async def _ask(self) -> Step:
        if self._gate.storage.is_remote:
            return await _in_thread(self._gate.admit, self._give_back)
        return self._gate.admit()

    def _allow(self, step: Step) -> Self:
        if not step.allowed:
            raise self._gate.refusal(step)
        self._permit = step
        return self

    def _settle(self, error: BaseException | None) -> None:
        permit, self._permit = self._permit, None
        if permit is not None:
            self._gate.settle(permit, error)

    def _give_back(self, permit: Step) -> None:
        self._gate.settle(permit, asyncio.CancelledError())


async def _in_thread(work: Callable[[], T], undo: Callable[[T], object] | None = None) -> T:
    """Run ``work`` in a thread to its end; undo it there if the caller is cancelled meanwhile."""
    loop = asyncio.get_running_loop()
    future = loop.run_in_executor(None, contextvars.copy_context().run, work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        if undo is not None:
            future.add_done_callback(partial(_undo, loop, undo))
        raise


def _undo(
    loop: asyncio.AbstractEventLoop, undo: Callable[[T], object], future: asyncio.Future[T]
) -> None:
    if not future.cancelled() and future.exception() is None:
        loop.run_in_executor(None, undo, future.result())
