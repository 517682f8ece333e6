"""`ChunkBuffer`: joins the small chunks of a stream into sentences.

What to join and when to hand it out is decided by `ChunkJoiner`, which knows no clock and does no
waiting. The sync and the async driver read the stream in a helper (a thread, a task) so that the
timer can fire while no chunk comes; the helper reads only what was asked for and ends with the
stream.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, closing
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.runnables import Runnable, RunnableConfig

from langchain_tamma_openai.chunk_reading import (
    END,
    AsyncPuller,
    DirectPuller,
    Puller,
    Silence,
)
from langchain_tamma_openai.resilience.bounds import (
    check_flag,
    check_positive_count,
    check_seconds,
)

__all__ = ["ChunkBuffer", "ChunkJoiner"]

_SENTENCE_END = re.compile(r"[.!?\u2026][\"'\u201d\u2019)\]*_]*$")
_SENTENCE_INSIDE = re.compile(r"[.!?\u2026][\"'\u201d\u2019)\]*_]*\s|[\u3002\uff01\uff1f\n]")


class ChunkJoiner:
    """Decides what to join and when to hand it out.

    A sentence has ended where a full stop, question or exclamation mark is followed by white space,
    at a line break, and at the marks of Chinese and Japanese. The white space begins the next
    piece, as it begins the next word of the model; so "3.14" stays whole.
    """

    def __init__(self, *, flush_interval_s: float | None, max_chars: int, sentences: bool) -> None:
        """Start with nothing held.

        Args:
            flush_interval_s: Longest time anything is held; None for no limit.
            max_chars: Longest piece; only a single chunk may be longer.
            sentences: Hand out at the end of each sentence.
        """
        self._flush_interval_s = flush_interval_s
        self._max_chars = max_chars
        self._sentences = sentences
        self._held: list[AIMessageChunk] = []
        self._text: list[str] = []
        self._size = 0
        self._due_at_s: float | None = None

    def add(self, chunk: AIMessageChunk, now_s: float) -> Iterator[AIMessageChunk]:
        """Take a chunk and yield what is to be handed out.

        Args:
            chunk: The next one.
            now_s: The present.
        """
        text = chunk.text
        size = _size(chunk, text)
        if self._held and self._ends_before(chunk, text, size):
            yield from self.flush()
        self._held.append(chunk)
        self._text.append(text)
        self._size += size
        if self._size and self._due_at_s is None and self._flush_interval_s is not None:
            self._due_at_s = now_s + self._flush_interval_s
        if self._size >= self._max_chars or self._ends_with(text) or self.wait_s(now_s) == 0:
            yield from self.flush()

    def wait_s(self, now_s: float) -> float | None:
        """Return the seconds until what is held is due; None while nothing is.

        Args:
            now_s: The present.
        """
        return None if self._due_at_s is None else max(0.0, self._due_at_s - now_s)

    def flush(self) -> Iterator[AIMessageChunk]:
        """Yield what is held, joined; nothing when nothing is."""
        held, self._held, self._text = self._held, [], []
        self._size, self._due_at_s = 0, None
        if len(held) == 1:
            yield held[0]
        elif held:
            yield held[0] + held[1:]

    def _ends_before(self, chunk: AIMessageChunk, text: str, size: int) -> bool:
        if isinstance(chunk.content, str) is not isinstance(self._held[-1].content, str):
            return True  # text and blocks merge differently in another order
        if self._size and self._size + size > self._max_chars:
            return True
        if not self._sentences or not text[:1].isspace():
            return False
        return _SENTENCE_END.search("".join(self._text[-4:])) is not None

    def _ends_with(self, text: str) -> bool:
        return self._sentences and _SENTENCE_INSIDE.search(text) is not None


def _size(chunk: AIMessageChunk, text: str) -> int:
    """Count what a reader would wait for; an empty chunk that only carries metadata is nothing."""
    arguments = sum(1 + len(call["args"] or "") for call in chunk.tool_call_chunks)
    other = bool(chunk.content or chunk.additional_kwargs) and not text
    return len(text) + arguments + other


class ChunkBuffer(Runnable[AIMessage, AIMessage]):
    """Joins the small chunks of a stream: ``llm | ChunkBuffer()``.

    A piece is handed out at the end of a sentence, when it would grow too long, when its first
    chunk has been held for ``flush_interval_s`` (also while no other chunk comes), and at the end
    of the stream. The pieces merge to the same message as the chunks: tool calls, usage, metadata
    and ids included. An error comes after what was held. Closing the stream early closes the
    model's.

    A sync stream is read in a thread, one chunk ahead at most, which ends with the stream. Closed
    while it waits for a chunk, it ends when that chunk, or the model's timeout, has come.

    Examples:
        >>> chunks = [AIMessageChunk(content=word) for word in ("Yes", ".", " And", " no", ".")]
        >>> [piece.content for piece in ChunkBuffer().transform(iter(chunks))]
        ['Yes.', ' And no.']
    """

    def __init__(
        self,
        flush_interval_s: float | None = 0.1,
        max_chars: int = 200,
        *,
        sentences: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set it up.

        Args:
            flush_interval_s: Longest time in seconds that anything is held; None for no limit,
                which also needs no thread.
            max_chars: Longest piece; only a single chunk may be longer.
            sentences: Hand out at the end of each sentence.
            clock: Seconds on a clock that never goes back.

        Raises:
            ConfigurationError: A setting is out of range.
        """
        if flush_interval_s is not None:
            check_seconds(flush_interval_s, "flush_interval_s")
        check_positive_count(max_chars, "max_chars")
        check_flag(sentences, "sentences")
        self.flush_interval_s = flush_interval_s
        self.max_chars = max_chars
        self.sentences = sentences
        self._clock = clock

    def invoke(
        self,
        input: AIMessage,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,  # noqa: ARG002 - LangChain's hook
        **kwargs: Any,  # noqa: ARG002 - LangChain's hook
    ) -> AIMessage:
        """Return a whole message as it is.

        Args:
            input: The message.
            config: Not used.
            **kwargs: Not used.
        """
        return input

    def transform(
        self,
        input: Iterator[AIMessage],  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,  # noqa: ARG002 - LangChain's hook
        **kwargs: Any,  # noqa: ARG002 - LangChain's hook
    ) -> Iterator[AIMessage]:
        """Yield the joined chunks of a stream.

        Args:
            input: The stream.
            config: Not used.
            **kwargs: Not used.
        """
        joiner = self._joiner()
        with closing(self._puller(input)) as puller:
            try:
                while (chunk := puller.pull(joiner.wait_s(self._clock()))) is not END:
                    yield from self._take(joiner, chunk)
            except Exception:
                yield from joiner.flush()
                raise
            yield from joiner.flush()

    async def atransform(
        self,
        input: AsyncIterator[AIMessage],  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,  # noqa: ARG002 - LangChain's hook
        **kwargs: Any,  # noqa: ARG002 - LangChain's hook
    ) -> AsyncIterator[AIMessage]:
        """Yield the joined chunks of a stream.

        Args:
            input: The stream.
            config: Not used.
            **kwargs: Not used.
        """
        joiner = self._joiner()
        async with aclosing(AsyncPuller(input)) as puller:
            try:
                while (chunk := await puller.pull(joiner.wait_s(self._clock()))) is not END:
                    for piece in self._take(joiner, chunk):
                        yield piece
            except Exception:
                for piece in joiner.flush():
                    yield piece
                raise
            for piece in joiner.flush():
                yield piece

    def _joiner(self) -> ChunkJoiner:
        return ChunkJoiner(
            flush_interval_s=self.flush_interval_s,
            max_chars=self.max_chars,
            sentences=self.sentences,
        )

    def _puller(self, source: Iterator[AIMessage]) -> Puller[AIMessage] | DirectPuller[AIMessage]:
        return DirectPuller(source) if self.flush_interval_s is None else Puller(source)

    def _take(self, joiner: ChunkJoiner, chunk: AIMessage | Silence) -> Iterator[AIMessage]:
        if isinstance(chunk, AIMessageChunk):
            yield from joiner.add(chunk, self._clock())
            return
        yield from joiner.flush()
        if isinstance(chunk, AIMessage):
            yield chunk
