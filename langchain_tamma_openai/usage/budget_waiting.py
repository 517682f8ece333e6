"""Waiting for a budget: who is next, and how threads and event loops take the same steps."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

from langchain_tamma_openai.resilience.limits_store import TaskSignal, ThreadSignal

T = TypeVar("T")
Signal = ThreadSignal | TaskSignal


class WaitingRoom:
    """Calls of this process that wait for the same line, in the order they came.

    Only the first of them asks the store; the others sleep until it is their turn.
    """

    def __init__(self) -> None:
        """Start empty."""
        # Reentrant: a call may end from the garbage collector while its thread is in here.
        self._lock = threading.RLock()
        self._lines: dict[str, dict[Signal, None]] = {}

    def join(self, line: str, signal: Signal) -> None:
        """Stand at the end, or keep the place."""
        with self._lock:
            waiting = self._lines.setdefault(line, {})
            waiting[signal] = None
            self._lines[line] = waiting

    def leave(self, line: str, signal: Signal) -> None:
        """Go, and let the next one look."""
        with self._lock:
            waiting = self._lines.get(line, {})
            waiting.pop(signal, None)
            if not waiting:
                self._lines.pop(line, None)
        self.wake(line)

    def is_occupied(self, line: str) -> bool:
        """Say whether anybody waits."""
        return line in self._lines

    def is_first(self, line: str, signal: Signal) -> bool:
        """Say whether nobody stands before this one."""
        with self._lock:
            return self._first(line) in {None, signal}

    def wake(self, line: str) -> None:
        """Let the first one look again."""
        if line not in self._lines:
            return
        with self._lock:
            first = self._first(line)
        if first is not None:
            first.wake()

    def _first(self, line: str) -> Signal | None:
        waiting = self._lines.get(line, {})
        while (first := next(iter(waiting), None)) is not None and not first.alive:
            waiting.pop(first, None)  # its event loop was closed
        return first

    def wake_all(self) -> None:
        """Let the first one of every line look again."""
        with self._lock:
            lines = list(self._lines)
        for line in lines:
            self.wake(line)


class Step(Protocol):
    """One thing to do that may take time; done in a thread, or awaited."""

    def run(self) -> object:
        """Do it."""

    async def arun(self) -> object:
        """Do it without holding up the event loop."""


Steps = Generator[Step, object, T]


class _Answering(ABC, Generic[T]):
    """Lets a generator write ``answer = yield from step`` and know the answer's type."""

    __slots__ = ()

    @abstractmethod
    def run(self) -> T: ...

    @abstractmethod
    async def arun(self) -> T: ...

    def __iter__(self) -> Generator[_Answering[T], T, T]:
        return (yield self)


@dataclass(frozen=True, slots=True)
class Work(_Answering[T]):
    """Asks a store.

    Attributes:
        work: The question.
        is_local: Whether the answer comes from memory, at once.
        undo: Takes back an answer that nobody waits for any more.
    """

    work: Callable[[], T]
    is_local: bool
    undo: Callable[[T], object] | None = None

    def run(self) -> T:
        """Ask and wait."""
        return self.work()

    async def arun(self) -> T:
        """Ask in a thread, unless the answer is at hand."""
        return self.work() if self.is_local else await _in_thread(self.work, self.undo)


@dataclass(frozen=True, slots=True)
class Pause(_Answering[None]):
    """Sleeps until something changes.

    Attributes:
        signal: Ends the sleep.
        seconds: The longest sleep.
    """

    signal: Signal
    seconds: float

    def run(self) -> None:
        """Let the thread sleep."""
        if isinstance(self.signal, ThreadSignal):
            self.signal.pause(self.seconds)

    async def arun(self) -> None:
        """Let the task sleep."""
        if isinstance(self.signal, TaskSignal):
            await self.signal.pause(self.seconds)


@dataclass(frozen=True, slots=True)
class Consult(_Answering[object]):
    """Asks the application's own function.

    Attributes:
        question: Calls it.
    """

    question: Callable[[], object]

    def run(self) -> object:
        """Call it.

        Raises:
            ConfigurationError: It is asynchronous.
        """
        answer = self.question()
        if inspect.isawaitable(answer):
            if inspect.iscoroutine(answer):
                answer.close()
            from langchain_tamma_openai.errors import ConfigurationError

            raise ConfigurationError(
                "on_exceeded: got an async function, which a synchronous call cannot wait for; "
                "pass a plain function, or use the async methods of the model",
                param="on_exceeded",
            )
        return answer

    async def arun(self) -> object:
        """Call it, and await what it returns if that can be awaited."""
        answer = self.question()
        return await answer if isinstance(answer, Awaitable) else answer


def drive(steps: Steps[T]) -> T:
    """Take steps in this thread, one after the other.

    Args:
        steps: What to do.

    Returns:
        What they come to.
    """
    try:
        step = next(steps)
        while True:
            try:
                answer = step.run()
            except BaseException as exc:  # noqa: BLE001 - the steps decide
                step = steps.throw(exc)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        return _value(end)


async def adrive(steps: Steps[T]) -> T:
    """Take steps in this task, one after the other.

    Args:
        steps: What to do.

    Returns:
        What they come to.
    """
    try:
        step = next(steps)
        while True:
            try:
                answer = await step.arun()
            except BaseException as exc:  # noqa: BLE001 - the steps decide
                step = steps.throw(exc)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        return _value(end)


def _value(end: StopIteration) -> T:  # type: ignore[type-var]  # a generator's value has no type
    value: T = end.value
    return value


async def _in_thread(work: Callable[[], T], undo: Callable[[T], object] | None) -> T:
    """Run ``work`` in a thread to its end; undo it if the caller is cancelled meanwhile."""
    errand = _Errand(work, undo)
    loop = asyncio.get_running_loop()
    future = loop.run_in_executor(None, contextvars.copy_context().run, errand.run)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        # The loop may be about to end, so that nothing can be left for it to do later.
        future.add_done_callback(_mark_retrieved)
        errand.desert(loop)
        raise


def _mark_retrieved(future: asyncio.Future[T]) -> None:
    if not future.cancelled():
        future.exception()


class _Errand(Generic[T]):
    """Work in a thread that somebody waits for, or no longer."""

    def __init__(self, work: Callable[[], T], undo: Callable[[T], object] | None) -> None:
        self._work = work
        self._undo = undo
        self._lock = threading.Lock()
        self._deserted = False
        self._done: list[T] = []

    def run(self) -> T:
        result = self._work()
        with self._lock:
            self._done.append(result)
            deserted = self._deserted
        if deserted and self._undo is not None:
            self._undo(result)
        return result

    def desert(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            self._deserted = True
            done = list(self._done)
        if self._undo is None:
            return
        for result in done:
            later(loop, partial(self._undo, result))


def later(loop: asyncio.AbstractEventLoop, work: Callable[[], object]) -> None:
    """Have a thread do something nobody waits for; do it here when there is no thread any more.

    Args:
        loop: The running event loop.
        work: What to do.
    """
    try:
        loop.run_in_executor(None, work)
    except RuntimeError:  # the loop has ended its threads
        work()
