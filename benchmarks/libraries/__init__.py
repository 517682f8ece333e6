"""What is compared, one small adapter file each."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Final, Literal, Protocol, cast

PROMPT: Final = "Say something long about tokens."
MODEL: Final = "gpt-6-luna"
API_KEY: Final = "sk-benchmark-key-that-is-never-checked"

TIMEOUT_S: Final = 600.0
"""Everyone's: a thousand calls at once on a busy machine may wait for longer than the default."""

Api = Literal["completions", "responses"]


class UnsupportedError(Exception):
    """A library cannot do what a case is about."""


class Client(Protocol):
    """One ready client of one API; each method makes one call and gives back what arrived."""

    def invoke(self) -> str:
        """Make a plain call."""

    def stream(self) -> str:
        """Read a stream to its end."""

    async def ainvoke(self) -> str:
        """Make a plain async call."""

    async def astream(self) -> str:
        """Read an async stream to its end."""

    def stream_tools(self) -> list[str]:
        """Read a stream of tool calls; give the arguments of each."""

    async def astream_tools(self) -> list[str]:
        """Read an async stream of tool calls; give the arguments of each."""

    def binding(self, tools: int) -> Callable[[], object]:
        """Give what binds so many tools."""

    def long_history(self, messages: int, tools: int) -> Callable[[], object]:
        """Give a plain call with so many messages and tools."""

    def picture(self, base64_data: str) -> Callable[[], object]:
        """Give a plain call that passes an image."""

    def counter(self) -> Callable[[str], int]:
        """Give what counts the tokens of a text."""

    def settle(self) -> None:
        """Wait for what is done in the background."""

    async def aclose(self) -> None:
        """Give back sockets."""


class Library(Protocol):
    """What a benchmark needs from a library."""

    def load(self) -> None:
        """Import what a program that uses the library imports."""

    def construct(self, base_url: str) -> None:
        """Build what serves sync and async calls, and drop it."""

    def connect(self, base_url: str, api: Api) -> Client:
        """Build a client that is kept."""


def get_library(name: str) -> Library:
    """Import an adapter, but not yet the library behind it.

    Args:
        name: A module of this folder; `features:NAME` is ours with that feature on.
    """
    module, _, feature = name.partition(":")
    found = importlib.import_module(f"libraries.{module}")
    return cast("Library", found.with_feature(feature) if feature else found)
