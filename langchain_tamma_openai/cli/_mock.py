"""A local mock of the OpenAI API, so that the demo runs without a key and without a network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

LATENCY_MS = 60
CHUNK_DELAY_MS = 40
API_KEY = "sk-local-mock"
STREAMED_TEXT = (
    "A stream hands over each piece as soon as it exists, so reading starts before writing ends. "
    "This text was written in advance; the mock sends it word by word, as a model would."
)


@contextmanager
def local_mock() -> Iterator[str]:
    """Run `llmock` on a free loopback port for the length of a `with` block.

    It is paced a little, so that a stream is seen to stream and a batch to progress.

    Yields:
        The base URL to give to a chat model; any key will do.

    Raises:
        ModuleNotFoundError: `llmock` is not installed; it comes with the `demo` extra.
    """
    from llmock.chaos import ChaosSettings, StreamChaos
    from llmock.scenarios import Match, Reply
    from llmock.testing import LLMockServer

    with LLMockServer(chaos=ChaosSettings(latency_ms=LATENCY_MS)) as server, _no_proxy("127.0.0.1"):
        server.state.stream_chaos = StreamChaos(chunk_delay_ms=CHUNK_DELAY_MS)
        server.state.scenarios.add(Reply(text=STREAMED_TEXT, match=Match(stream=True)))
        yield server.base_url("openai")


@contextmanager
def _no_proxy(host: str) -> Iterator[None]:
    """Keep a proxy of the environment away from `host`."""
    before = {name: os.environ.get(name) for name in ("NO_PROXY", "no_proxy")}
    for name, value in before.items():
        os.environ[name] = f"{value},{host}" if value else host
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
