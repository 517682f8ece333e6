"""Reading a stream piece by piece with a time limit on each wait, which loses nothing.

A wait that ran out leaves its read going on, and the next wait takes it up again. The source is
read by one helper only, in one context, and never further than was asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for_futures
from contextvars import copy_context
from enum import Enum
from typing import Final, Generic, TypeVar

T = TypeVar("T")


class Silence(Enum):
    """Why a wait brought nothing."""

    LATE = "late"
    END = "end"


LATE: Final = Silence.LATE
"""Nothing came in time."""
END: Final = Silence.END
"""Nothing will come any more."""


class DirectPuller(Generic[T]):
    """Reads an iterator where it is, without any limit on the wait."""

    def __init__(self, source: Iterator[T]) -> None:
        """Read nothing yet.

        Args:
            source: What to read; closed with the puller if it can be.
        """
        self._source = iter(source)

    def pull(self, timeout_s: float | None) -> T | Silence:
        """Wait for the next item, however long that takes."""
        del timeout_s
        return _next(self._source)

    def close(self) -> None:
        """Close the source."""
        _close(self._source)


class Puller(Generic[T]):
    """Reads an iterator in a thread that ends with it."""

    def __init__(self, source: Iterator[T]) -> None:
        """Read nothing yet.

        Args:
            source: What to read; closed with the puller if it can be.
        """
        self._source = iter(source)
        self._context = copy_context()
        self._thread = ThreadPoolExecutor(1, "chunk-buffer")
        self._pending: Future[T | Silence] | None = None

    def pull(self, timeout_s: float | None) -> T | Silence:
        """Wait for the next item.

        Args:
            timeout_s: Longest wait in seconds; None for no limit.

        Returns:
            The item, `LATE` or `END`.

        Raises:
            Exception: What reading the source raised.
        """
        if self._pending is None:
            self._pending = self._thread.submit(self._context.run, _next, self._source)
        wait_for_futures([self._pending], timeout_s)
        if not self._pending.done():
            return LATE
        done, self._pending = self._pending, None
        return done.result()

    def close(self) -> None:
        """Close the source, as soon as a read that is going on has come back."""
        if self._pending is None:
            self._thread.submit(self._context.run, _close, self._source).result()
        else:
            self._pending.add_done_callback(lambda _: self._context.run(_close, self._source))
        self._thread.shutdown(wait=self._pending is None)


def _next(source: Iterator[T]) -> T | Silence:
    return next(source, END)


def _close(source: object) -> None:
    close = getattr(source, "close", None)
    if close is not None:
        close()


class AsyncPuller(Generic[T]):
    """Reads an async iterator in a task that ends with it."""

    def __init__(self, source: AsyncIterator[T]) -> None:
        """Read nothing yet.

        Args:
            source: What to read; closed with the puller if it can be.
        """
        self._source = aiter(source)
        self._asked: asyncio.Queue[None] = asyncio.Queue()
        self._answers: asyncio.Queue[T | Silence | BaseException] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._is_pending = False

    async def pull(self, timeout_s: float | None) -> T | Silence:
        """Wait for the next item; see `Puller.pull`."""
        if self._task is None:
            self._task = asyncio.create_task(self._read())
        if not self._is_pending:
            self._asked.put_nowait(None)
            self._is_pending = True
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._answers.get()
        except TimeoutError:
            return LATE
        self._is_pending = False
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def aclose(self) -> None:
        """Close the source, a read that is going on included."""
        if self._task is None:
            await self._close_source()
            return
        self._task.cancel()
        (problem,) = await asyncio.gather(self._task, return_exceptions=True)
        if isinstance(problem, Exception):
            raise problem

    async def _read(self) -> None:
        answer: T | Silence | BaseException = LATE
        try:
            while answer is not END:
                await self._asked.get()
                answer = await self._next()
                self._answers.put_nowait(answer)
                if isinstance(answer, BaseException):
                    return
        finally:
            await self._close_source()

    async def _next(self) -> T | Silence | BaseException:
        try:
            return await anext(self._source, END)
        except asyncio.CancelledError as error:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            return error
        except Exception as error:  # noqa: BLE001 - handed to whoever asked
            return error

    async def _close_source(self) -> None:
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await close()
