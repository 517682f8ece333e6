"""The work of each case, one file per concern. A case prepares, then gives what is measured."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, cast

from canned_http import words_of
from libraries import Api, Client, Library

Operation = Callable[[], object]

_HOMES: Final = ("cold", "calls", "streams", "tool_streams", "concurrency", "bulk", "counting")


class Bench:
    """A library, a server and an event loop; clients are made once and kept."""

    def __init__(self, library: Library, url: str, runner: asyncio.Runner) -> None:
        """Connect nothing yet; the library is not loaded either."""
        self.library = library
        self.url = url
        self._runner = runner
        self._clients: dict[tuple[Api, str], Client] = {}

    def client(self, api: Api = "completions", answer: str = "") -> Client:
        """Give the client for an API whose server gives such answers, such as `chunks-500/`."""
        key = api, answer
        if key not in self._clients:
            self._clients[key] = self.library.connect(f"{self.url}/{answer}v1", api)
        return self._clients[key]

    def run(self, call: Callable[[], Awaitable[object]]) -> object:
        """Run a coroutine in the bench's event loop."""

        async def main() -> object:
            return await call()

        return self._runner.run(main())

    def settle(self) -> None:
        """Wait for what clients do in the background."""
        for client in self._clients.values():
            client.settle()

    async def aclose(self) -> None:
        """Close the clients."""
        for client in self._clients.values():
            await client.aclose()


class _Home(Protocol):
    CASES: dict[str, Callable[[Bench], Operation]]


def prepare(bench: Bench, case: str) -> Operation:
    """Do what comes before a measurement of a case and give what is measured.

    Raises:
        UnsupportedError: The library cannot do it.
        KeyError: There is no such case.
    """
    for home in _HOMES:
        cases = cast("_Home", importlib.import_module(f"workloads.{home}")).CASES
        if case in cases:
            return cases[case](bench)
    raise KeyError(case)


def check_text(text: str, words: int) -> None:
    """See that the canned answer was read to its end."""
    assert text == "".join(words_of(words)), (len(text), text[:40])
