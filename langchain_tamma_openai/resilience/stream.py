"""Stream integrity: a stream ends whole, or in a typed error that holds what had arrived.

One reader serves sync and async code alike: it is given bytes and gives chunks, and never waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

from langchain_core.messages import AIMessage, AIMessageChunk, message_chunk_to_message

from langchain_tamma_openai.resilience.deadline import DEADLINE

if TYPE_CHECKING:
    from langchain_core.outputs import ChatGenerationChunk

    from langchain_tamma_openai.errors import StreamInterruptedError, TammaError
    from langchain_tamma_openai.resilience.background import Patience
    from langchain_tamma_openai.resilience.deadline import Deadline
    from langchain_tamma_openai.wire.completions import AnswerFacts


_STREAM_BEGINNINGS = (b":", b"data", b"event", b"id", b"retry")
_LONGEST_BEGINNING = 5
_PREVIEW_BYTES = 200


class EventSplitter(Protocol):
    """Splits bytes into event payloads (`wire.sse.SSEDecoder`)."""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the payloads that these bytes complete."""

    def finish(self) -> list[bytes]:
        """Return what an unfinished last event holds."""


class StreamDecoder(Protocol):
    """Turns event payloads into chunks (a decoder of `wire`)."""

    chunks: list[ChatGenerationChunk]

    @property
    def response_id(self) -> str | None:
        """The server's id of the answer, once it is known."""

    @property
    def done(self) -> bool:
        """Whether the server said that the stream is over."""

    @property
    def whole(self) -> bool:
        """Whether the model said why it stopped, so that the answer is complete."""

    @property
    def facts(self) -> AnswerFacts:
        """What pricing needs to know, as far as the stream has told."""

    def decode(self, payload: bytes) -> ChatGenerationChunk | None:
        """Decode one payload."""

    def finish(self) -> ChatGenerationChunk:
        """Return the last chunk."""

    def resume(self) -> None:
        """Expect the rest of the stream on a new connection."""


class StreamReader:
    """Reads one streamed answer from bytes to chunks.

    Attributes:
        started: The first event has come.
        finished: The last chunk has been handed out.
        interruption: What broke the connection, where the stream is to be continued.
        decoder: Decodes the payloads.
        shown: Whether the caller has seen anything; None where every chunk is shown at once.
    """

    def __init__(
        self,
        decoder: StreamDecoder,
        splitter: EventSplitter,
        *,
        model: str,
        on_last: Callable[[ChatGenerationChunk], None],
        stall_limit_s: float | None = None,
        patience: Patience | None = None,
        deadline: Deadline | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start at the first byte of the body.

        Args:
            decoder: Decodes payloads of the API in use.
            splitter: Splits bytes into payloads.
            model: Name of the model, for errors.
            on_last: Completes the last chunk, with its cost for example.
            stall_limit_s: Seconds without any event after which the stream counts as dead, even
                while comments keep the connection alive; None for no limit.
            patience: How long a background answer is waited for; None for any other.
            deadline: When the whole call has to be over; None for never.
            clock: Seconds on a clock that never goes back.
        """
        self.started = False
        self.finished = False
        self.interruption: StreamInterruptedError | None = None
        self.decoder = decoder
        self._splitter = splitter
        self._unread: list[bytes] = []
        self._model = model
        self._on_last = on_last
        self._stall_limit_s = stall_limit_s
        self._patience = patience
        self._deadline = None if deadline is None or deadline.limit_s is None else deadline
        self.shown: bool | None = None
        self._clock = clock
        self._heard_at_s = clock()

    @property
    def response_id(self) -> str | None:
        """Id of an unfinished answer, once the stream has told it."""
        return None if self.finished else self.decoder.response_id

    def restart(self, splitter: EventSplitter) -> None:
        """Go on with the rest of the stream on a new connection.

        Args:
            splitter: A new one: the old connection may have left half an event behind.
        """
        self._splitter = splitter
        self._unread = []
        self._heard_at_s = self._clock()
        self.decoder.resume()

    def given_up(self) -> StreamInterruptedError:
        """Return the error of the last break, after which the stream could not be continued."""
        return self.interruption or self.interrupted("it could not be continued")

    def feed(self, data: bytes) -> Iterator[ChatGenerationChunk]:
        """Yield the chunks that these bytes complete, the last one as soon as it is known.

        Raises:
            StreamInterruptedError: A payload is not what the API sends, or the stream stalled.
            openai.APIError: The server reported an error inside the stream.
        """
        if self.finished:
            return
        if self._patience is not None and self._patience.is_over:
            raise self.out_of_time(self._patience.limit_s, "background_timeout_s")
        if self._deadline is not None and self._deadline.is_over:
            raise self.past_deadline(self._deadline)
        payloads = self._splitter.feed(data)
        if not self.started:
            self._unread.append(data)
            self.started = bool(payloads)
        if self._stall_limit_s is None:
            yield from self._decode(payloads)
            return
        self._watch(heard=bool(payloads))
        yield from self._decode(payloads)
        if payloads:
            # The time the caller took over these chunks is no silence of the server's.
            self._heard_at_s = self._clock()

    def end(self) -> Iterator[ChatGenerationChunk]:
        """Yield what is left once the body has ended.

        Raises:
            StreamInterruptedError: The body ended before the answer did.
            MalformedResponseError: The body was no event stream and no answer either.
        """
        last_words = self._splitter.finish()
        if not self.started and not last_words:
            yield from self._decode_plain(b"".join(self._unread).strip())
        yield from self._decode(last_words, lenient=True)
        if self.finished:
            return
        if not self.decoder.whole:
            raise self.interrupted("it ended before the model had said why it stopped")
        yield self._last()

    def rest(self) -> Iterator[ChatGenerationChunk]:
        """Yield the last chunk of an answer that was whole when its connection broke."""
        if self.whole and not self.finished:
            yield self._last()

    @property
    def whole(self) -> bool:
        """Whether the model has said why it stopped, so that only closing words may be missing."""
        return self.finished or self.decoder.whole

    @property
    def delivered(self) -> bool:
        """Whether the caller has seen anything of the answer."""
        return bool(self.decoder.chunks) if self.shown is None else self.shown

    def past_deadline(self, deadline: Deadline) -> StreamInterruptedError:
        """Make the error of a stream that takes longer than the whole call may.

        Args:
            deadline: The one that is over.
        """
        error = self.out_of_time(deadline.limit_s, deadline.name, code=DEADLINE)
        error.retryable = False
        return error

    def out_of_time(
        self, limit_s: float | None, setting: str, code: str = "background_timeout"
    ) -> StreamInterruptedError:
        """Make the error of an answer that takes longer than the caller waits.

        Args:
            limit_s: How long that is.
            setting: Where it was said.
            code: Our word for it.
        """
        reason = f"it was not whole after {limit_s:g} s (`{setting}`)"
        return self.interrupted(reason, stalled=True, code=code)

    def interrupted(
        self, reason: str, *, stalled: bool = False, code: str | None = None
    ) -> StreamInterruptedError:
        """Make the error that ends this stream, with everything that had arrived.

        Args:
            reason: What happened, for developers.
            stalled: The stream stayed open but silent, or took too long.
            code: Our word for it, in place of the error's own.
        """
        from langchain_tamma_openai import errors

        leaf = errors.StreamStalledError if stalled else errors.StreamInterruptedError
        return leaf(
            f"The stream of {self._model} broke off after {len(self.decoder.chunks)} chunks: "
            f"{reason}. What had arrived is in `partial`.",
            partial=self._partial(),
            usage=self.decoder.facts.usage_metadata,
            delivered=self.delivered,
            model=self._model,
            code=code,
        )

    def interrupted_by(self, cause: TammaError) -> StreamInterruptedError:
        """Make the error that ends this stream because of another one.

        Args:
            cause: The connection's or the server's error.
        """
        from langchain_tamma_openai import errors

        timed_out = isinstance(cause, errors.RequestTimeoutError)
        leaf = errors.StreamStalledError if timed_out else errors.StreamInterruptedError
        return leaf.from_error(
            cause,
            partial=self._partial(),
            usage=self.decoder.facts.usage_metadata,
            delivered=self.delivered,
        )

    def _decode(
        self, payloads: list[bytes], *, lenient: bool = False
    ) -> Iterator[ChatGenerationChunk]:
        decoder = self.decoder
        for payload in payloads:
            if self.finished:
                return
            try:
                chunk = decoder.decode(payload)
            except (AttributeError, LookupError, TypeError, ValueError) as error:
                if lenient:
                    return
                raise self.interrupted(f"an event cannot be read ({error})") from error
            if chunk is not None:
                decoder.chunks.append(chunk)
                yield chunk
            elif decoder.done:
                if not decoder.whole:
                    raise self.interrupted("it ended before the model had said why it stopped")
                yield self._last()

    def _decode_plain(self, body: bytes) -> Iterator[ChatGenerationChunk]:
        """Read the plain answer, or the error, of a server that does not stream."""
        if len(body) < _LONGEST_BEGINNING or body.startswith(_STREAM_BEGINNINGS):
            return
        if not body.startswith(b"{"):
            from langchain_tamma_openai import errors

            shown = errors.redact_secrets(repr(body[:_PREVIEW_BYTES].decode(errors="replace")))
            raise errors.MalformedResponseError(
                f"The server answered with a body that is no event stream: {shown}. Check "
                "`base_url`: it should name an OpenAI-compatible API, usually ending in /v1."
            )
        yield from self._decode([body])

    def _last(self) -> ChatGenerationChunk:
        self.finished = True
        chunk = self.decoder.finish()
        self._on_last(chunk)
        self.decoder.chunks.append(chunk)
        return chunk

    def _watch(self, *, heard: bool) -> None:
        now_s = self._clock()
        if heard:
            self._heard_at_s = now_s
        elif self._stall_limit_s is not None and now_s - self._heard_at_s > self._stall_limit_s:
            raise self.interrupted(
                f"no event came for {self._stall_limit_s:g} s (`stream_chunk_timeout`)",
                stalled=True,
            )

    def _partial(self) -> AIMessage | None:
        if not self.decoder.chunks:
            return None
        first, *others = (chunk.message for chunk in self.decoder.chunks)
        whole = first + [*others, AIMessageChunk(content="", chunk_position="last")]  # noqa: RUF005 - adds messages, not lists
        message = message_chunk_to_message(whole)
        return message if isinstance(message, AIMessage) else None
