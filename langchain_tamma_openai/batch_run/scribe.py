"""Appends to the output and the journal of a batch; what waits together shares one flush."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from langchain_tamma_openai.batch_run.files import write_all
from langchain_tamma_openai.batch_run.journal import Event, event_line

if TYPE_CHECKING:
    from langchain_tamma_openai.batch_run.results import BatchResult


class Sink(Protocol):
    """Where results and events go."""

    def append(self, results: bytes, events: bytes) -> None:
        """Write results, then events, and return when both are safe."""


class FileSink:
    """An output and its journal.

    The results are safe before the events that speak of them: after a power cut the journal can
    lag behind the output, but never the other way round.
    """

    def __init__(self, output: int, journal: int, *, fsync: bool) -> None:
        """Append to open files.

        Args:
            output: The output.
            journal: The journal.
            fsync: Whether to wait for the disk; without, a killed process still loses nothing.
        """
        self._files = (output, journal)
        self._fsync = fsync

    def append(self, results: bytes, events: bytes) -> None:
        """Write results, then events; a failed write leaves no part of itself."""
        for descriptor, content in zip(self._files, (results, events), strict=True):
            if content:
                self._append(descriptor, content)

    def _append(self, descriptor: int, content: bytes) -> None:
        length = os.fstat(descriptor).st_size
        try:
            write_all(descriptor, content)
        except OSError:
            os.ftruncate(descriptor, length)
            raise
        if self._fsync:
            os.fsync(descriptor)


class StreamSink:
    """A pipe or a terminal: nothing there can be resumed, so there is no journal."""

    def __init__(self, descriptor: int) -> None:
        """Write to an open file.

        Args:
            descriptor: Standard output.
        """
        self._descriptor = descriptor

    def append(self, results: bytes, events: bytes) -> None:
        """Write results; events are for journals."""
        del events
        write_all(self._descriptor, results)


@dataclass(slots=True)
class _Page:
    """What waits to be written together."""

    is_wanted: bool = False
    results: bytearray = field(default_factory=bytearray)
    events: bytearray = field(default_factory=bytearray)
    written: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Scribe:
    """Writes for all tasks of one event loop, in a thread, page by page."""

    def __init__(self, sink: Sink, head: Callable[[], bytes] | None = None) -> None:
        """Start with an empty page.

        Args:
            sink: Where it all goes.
            head: Gives what stands above the events of each page, as things are at that moment.
        """
        self._head = head
        self._sink = sink
        self._page = _Page()
        self._writing: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "batch-scribe")

    async def note(self, event: Event, line: int) -> None:
        """Write an event, and return when it is safe.

        Args:
            event: What happened.
            line: To which line.

        Raises:
            OSError: It cannot be written.
        """
        self._page.events += event_line(event, line)
        await self._flush()

    async def keep(self, result: BatchResult) -> None:
        """Write a result, and return when it is safe.

        Args:
            result: The result.

        Raises:
            OSError: It cannot be written.
        """
        self._page.results += result.to_json()
        self._page.events += event_line(Event.DONE, result.line)
        await self._flush()

    async def note_head(self) -> None:
        """Write what stands above a page, where there is anything, and return when it is safe.

        Raises:
            OSError: It cannot be written.
        """
        if self._head is not None:
            await self._flush()

    async def _flush(self) -> None:
        written = self._page.written
        self._page.is_wanted = True
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_pages())
        # The page is written for others too, so a task that is cancelled must not take it along.
        await asyncio.shield(written)

    async def _write_pages(self) -> None:
        loop = asyncio.get_running_loop()
        while self._page.is_wanted:
            page, self._page = self._page, _Page()
            head = b"" if self._head is None else self._head()
            content = bytes(page.results), head + page.events
            try:
                await loop.run_in_executor(self._thread, self._sink.append, *content)
            except BaseException as error:  # noqa: BLE001 - told to everyone who waits
                page.written.set_exception(error)
                page.written.exception()  # nobody may be left to hear of it
            else:
                page.written.set_result(None)

    async def close(self) -> None:
        """Write what is left.

        Raises:
            OSError: It cannot be written.
        """
        try:
            if self._writing is not None:
                await self._writing
            if self._head is not None:
                self._sink.append(b"", self._head())
        finally:
            self._thread.shutdown(wait=True)
