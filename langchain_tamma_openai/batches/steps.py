"""Runs what a batch job does, in a thread or in an event loop.

Every flow is written once, as a generator of steps that knows no colour; here are the steps, and
the two loops that run them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from langchain_tamma_openai.resilience.retry import Retries, apause, pause
from langchain_tamma_openai.transport.http_library import http_library
from langchain_tamma_openai.transport.send import WireRequest, aopen_stream, open_stream
from langchain_tamma_openai.transport.translate import translating

if TYPE_CHECKING:
    import httpx2
    import openai

    from langchain_tamma_openai.batches.download import Download
    from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Door:
    """Where steps go: the model whose account, clients and retries are used.

    Attributes:
        model: The model.
    """

    model: ChatTammaOpenAI

    def retries(self) -> Retries:
        """Begin the attempts at one request."""
        return Retries(self.model._retry_policy)


class Step(Protocol):
    """Something a flow asks for; its result is sent back into the flow."""

    def run(self, door: Door) -> object:
        """Do it, and wait for it."""

    async def arun(self, door: Door) -> object:
        """Do it without holding up the event loop."""


Flow = Generator[Step, Any, T]


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that is sent from the disk.

    Attributes:
        path: Where it is.
        name: What the server is to call it.
        purpose: What it is for, as the API calls it.
    """

    path: Path
    name: str
    purpose: str = "batch"


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to the API, and its whole answer.

    Attributes:
        method: "get", "post" or "delete".
        path: Below the base URL.
        body: The JSON body.
        query: Query parameters.
        upload: A file to send, in place of a JSON body.
        repeated: Whether it may be sent again by itself when it fails for a passing reason.
    """

    method: str
    path: str
    body: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    upload: Upload | None = None
    repeated: bool = True

    def run(self, door: Door) -> httpx2.Response:
        """Send it."""
        root = door.model._sync_root()
        if not self.repeated:
            return self._once(root)
        return door.retries().run(lambda: self._once(root))

    async def arun(self, door: Door) -> httpx2.Response:
        """Send it."""
        root = door.model._async_root()
        if not self.repeated:
            return await self._aonce(root)
        return await door.retries().arun(lambda: self._aonce(root))

    def _once(self, root: openai.OpenAI) -> httpx2.Response:
        with translating():
            if self.upload is None:
                return cast("httpx2.Response", self._method(root)(**self._arguments()))
            with self.upload.path.open("rb") as file:
                return cast("httpx2.Response", self._method(root)(**self._arguments(file)))

    async def _aonce(self, root: openai.AsyncOpenAI) -> httpx2.Response:
        with translating():
            if self.upload is None:
                return cast("httpx2.Response", await self._method(root)(**self._arguments()))
            with self.upload.path.open("rb") as file:
                return cast("httpx2.Response", await self._method(root)(**self._arguments(file)))

    def _method(self, root: openai.OpenAI | openai.AsyncOpenAI) -> Any:
        return getattr(root, self.method)

    def _arguments(self, file: object = None) -> dict[str, Any]:
        options: dict[str, Any] = {"max_retries": 0}
        if self.query:
            options["params"] = dict(self.query)
        arguments = {"path": self.path, "cast_to": http_library().Response, "options": options}
        if self.method == "get":
            return arguments
        if self.upload is None:
            return {**arguments, "body": dict(self.body) or None}
        options["headers"] = {"Content-Type": "multipart/form-data"}
        files = [("file", (self.upload.name, file, "application/jsonl"))]
        return {**arguments, "body": {"purpose": self.upload.purpose}, "files": files}


@dataclass(frozen=True, slots=True)
class Fetch:
    """A file of the API that is written to the disk as it comes; a cut one goes on where it broke.

    Attributes:
        path: Below the base URL.
        into: Takes the pieces.
    """

    path: str
    into: Download

    def run(self, door: Door) -> None:
        """Fetch it whole."""
        root = door.model._sync_root()
        door.retries().run(lambda: self._once(root))

    async def arun(self, door: Door) -> None:
        """Fetch it whole."""
        root = door.model._async_root()
        await door.retries().arun(lambda: self._aonce(root))

    def _once(self, root: openai.OpenAI) -> None:
        with translating():
            response = open_stream(root, self._request())
            try:
                self.into.begin(response.status_code)
                for piece in response.iter_bytes():
                    self.into.take(piece)
            finally:
                response.close()
            self.into.end()

    async def _aonce(self, root: openai.AsyncOpenAI) -> None:
        with translating():
            response = await aopen_stream(root, self._request())
            try:
                self.into.begin(response.status_code)
                async for piece in response.aiter_bytes():
                    self.into.take(piece)
            finally:
                await response.aclose()
            self.into.end()

    def _request(self) -> WireRequest:
        # Bytes that are counted must be the bytes of the file.
        headers = {"Accept": "application/octet-stream", "Accept-Encoding": "identity"}
        if self.into.size:
            headers["Range"] = f"bytes={self.into.size}-"
        return WireRequest(self.path, {}, {"max_retries": 0, "headers": headers}, "get")


@dataclass(frozen=True, slots=True)
class Pause:
    """Time that passes.

    Attributes:
        delay_s: Seconds.
    """

    delay_s: float

    def run(self, door: Door) -> None:
        """Wait."""
        del door
        pause(self.delay_s)

    async def arun(self, door: Door) -> None:
        """Wait."""
        del door
        await apause(self.delay_s)


@dataclass(frozen=True, slots=True)
class Work:
    """Something on this machine that takes time: files, locks, counting, callbacks.

    Attributes:
        job: What to do.
    """

    job: Callable[[], object]

    def run(self, door: Door) -> object:
        """Do it."""
        del door
        return self.job()

    async def arun(self, door: Door) -> object:
        """Do it in a thread, to its end even where the caller leaves."""
        from langchain_tamma_openai.resilience.governors import finished

        del door
        task = asyncio.ensure_future(asyncio.to_thread(self.job))
        await finished(task)
        return task.result()


def drive(flow: Flow[T], door: Door) -> T:
    """Run a flow in this thread.

    Args:
        flow: The flow.
        door: Where its steps go.
    """
    try:
        step = next(flow)
        while True:
            try:
                found = step.run(door)
            except Exception as error:  # noqa: BLE001 - the flow decides
                step = flow.throw(error)
            else:
                step = flow.send(found)
    except StopIteration as end:
        return cast("T", end.value)
    finally:
        flow.close()


async def adrive(flow: Flow[T], door: Door) -> T:
    """Run a flow in this event loop; see `drive`."""
    try:
        step = next(flow)
        while True:
            try:
                found = await step.arun(door)
            except Exception as error:  # noqa: BLE001 - the flow decides
                step = flow.throw(error)
            else:
                step = flow.send(found)
    except StopIteration as end:
        return cast("T", end.value)
    finally:
        flow.close()
