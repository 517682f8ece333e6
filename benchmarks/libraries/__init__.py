"""The libraries that are compared, one small adapter file each."""

from __future__ import annotations

import importlib
from typing import Final, Protocol, cast

PROMPT: Final = "Say something long about tokens."
API_KEY: Final = "sk-benchmark-key-that-is-never-checked"

NAMES: Final = ("tamma", "chat_openai", "sdk")
"""Module names in this folder; the first is ours."""


class Client(Protocol):
    """One ready client; each method makes one call and gives back the answer's text."""

    def invoke(self) -> str:
        """Make a plain call."""

    def stream(self) -> str:
        """Read a stream to its end."""

    async def ainvoke(self) -> str:
        """Make a plain async call."""

    async def astream(self) -> str:
        """Read an async stream to its end."""

    async def aclose(self) -> None:
        """Give back sockets."""


class Library(Protocol):
    """What a benchmark needs from a library."""

    def load(self) -> None:
        """Import what a program that uses the library imports."""

    def construct(self, base_url: str) -> None:
        """Build what serves sync and async calls, and drop it."""

    def connect(self, base_url: str) -> Client:
        """Build a client that is kept."""


def get_library(name: str) -> Library:
    """Import the adapter, but not yet the library behind it."""
    return cast("Library", importlib.import_module(f"libraries.{name}"))
