"""A streamed run: what the caller sees of it, and what follows when it breaks. No I/O.

Nothing is handed out before the first piece that says something (or, where only the finished
message is wanted, before the end), so that a stream that breaks before can begin anew unseen. After
a break in the middle a second answer is compared with what the caller has, and only its rest is
handed out.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from langchain_core.messages.ai import UsageMetadata

from langchain_tamma_openai.chat_models.observing import as_interruption, is_transport_error
from langchain_tamma_openai.chat_models.run import Run, mark
from langchain_tamma_openai.chat_models.run_handlers import leave_out
from langchain_tamma_openai.chat_models.settings import base_url
from langchain_tamma_openai.resilience.deadline import DEADLINE
from langchain_tamma_openai.resilience.recovery import (
    Recovery,
    Regeneration,
    can_regenerate,
    is_passing,
    recovery_for,
)
from langchain_tamma_openai.resilience.stream import StreamReader
from langchain_tamma_openai.transport.body import limit_read

if TYPE_CHECKING:
    from types import TracebackType

    import httpx2
    from langchain_core.messages import AIMessageChunk, BaseMessage
    from langchain_core.outputs import ChatGenerationChunk

    from langchain_tamma_openai.chat_models.attempts import Attempt
    from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI
    from langchain_tamma_openai.chat_models.calls import Call
    from langchain_tamma_openai.chat_models.received import Received
    from langchain_tamma_openai.chat_models.run_link import RunLink
    from langchain_tamma_openai.errors import SafeToDo, StreamInterruptedError


class StreamRun(Run):
    """One run whose answer is streamed.

    Attributes:
        reader: Reads the stream that is open.
        open_attempt: The attempt it belongs to.
        seen: Whether the caller has seen anything of the answer.
        broken: What broke the stream, where something is to be done about it.
        recovery: What that is; None for turning to another model.
    """

    reader: StreamReader
    open_attempt: Attempt

    def __init__(
        self,
        model: ChatTammaOpenAI,
        messages: list[BaseMessage],
        stop: list[str] | None,
        options: dict[str, Any],
        link: RunLink | None,
        *,
        stream_usage: bool | None,
        is_async: bool,
    ) -> None:
        """Prepare the request; see `Run`.

        Args:
            model: The model that was asked.
            messages: The conversation.
            stop: Where to stop generating.
            options: Parameters of the call.
            link: Ties the run to its callbacks.
            stream_usage: Whether to ask for the usage; None for the model's setting.
            is_async: Whether it is driven by an event loop.
        """
        self._stream_usage = stream_usage
        super().__init__(model, messages, stop, options, link, streamed=True, is_async=is_async)
        self.seen = False
        self.broken: StreamInterruptedError | None = None
        self.recovery: Recovery | None = None
        self._holds_all = self.shows_only_the_end
        self._held: list[ChatGenerationChunk] = []
        self._delivered: list[ChatGenerationChunk] = []
        self._regeneration: Regeneration | None = None
        self._compared_to: StreamInterruptedError | None = None

    def _new_call(self, options: Mapping[str, Any]) -> Call:
        call = super()._new_call(options)
        target = self.target
        call.ask_for_usage(
            asked=self._stream_usage, default=target.stream_usage, server=base_url(target)
        )
        return call

    @property
    def is_finished(self) -> bool:
        """Whether the answer is whole."""
        return self.reader.finished

    # --- connections ---

    def next_after(self) -> StreamInterruptedError | None:
        """Say which break the next attempt follows; None for a call made for the first time.

        Raises:
            Exception: The stream of the last model broke, and there is none to turn to.
        """
        if self.repeats:
            return self.broken
        if self.broken is not None:
            self.fall_back(self.broken)
        return None

    def not_opened(self, error: Exception) -> None:
        """Turn to another model after an attempt that gave no stream.

        Args:
            error: What it failed with.

        Raises:
            StreamInterruptedError: The caller has seen a part of an earlier answer.
            Exception: There is no other model.
        """
        if self.seen and self.broken is not None:
            self.add_estimate(self.broken)
            self.broken.safe_to_do = self._safe_after(self.broken, self.broken)
            raise self.broken from error
        self.fall_back(error)
        self.recovery = None

    def asks_otherwise(self, error: Exception) -> bool:
        """Whether the request was changed after the server refused a part that can be left out.

        Args:
            error: The refusal.
        """
        changed = self.call.stop_asking_for_usage(error, server=base_url(self.target))
        if changed and self.log is not None:
            self.log.relabel("retry")
        return changed

    def connected(self, attempt: Attempt, response: httpx2.Response) -> None:
        """Begin to read a stream.

        Args:
            attempt: The attempt that opened it.
            response: The answer at its headers.
        """
        self._limit_reads(response)
        self.open_attempt = attempt
        self.reader = self._new_reader(response)
        attempt.received.decoder = self.reader.decoder
        self._held = []
        self._regeneration = self._compared_to = None
        if self.recovery is Recovery.REGENERATE and self.broken is not None:
            self._compared_to = self.broken
            self._regeneration = Regeneration(self._delivered, self.broken)
        self.broken = self.recovery = None

    def resumed(self, response: httpx2.Response) -> None:
        """Go on with the same stream on a new connection.

        Args:
            response: The answer at its headers.
        """
        self._limit_reads(response)
        self.broken = self.recovery = None

    def response_id(self) -> str | None:
        """Return the id of an unfinished answer that can be asked for."""
        return self.reader.response_id

    def _new_reader(self, response: httpx2.Response) -> StreamReader:
        from langchain_tamma_openai.wire.sse import SSEDecoder

        # The reader must not know the run that knows it: streams would wait for the collector.
        call, target, fallbacks = self.call, self.target, self._fallbacks
        received, notes = self.open_attempt.received, self.notes
        decoder = call.decoder(target._stream_header_info(response), target.output_version)

        def complete(last: ChatGenerationChunk) -> None:
            call.complete(last, decoder)
            target._judge_streamed_tools(last, decoder, call)
            message = cast("AIMessageChunk", last.message)
            received.cost = target._complete(message, decoder.facts, response, call.model)
            mark(message, notes, fallbacks)

        reader = StreamReader(
            decoder,
            SSEDecoder(),
            model=call.model,
            on_last=complete,
            stall_limit_s=target.stream_chunk_timeout or None,
            patience=call.patience if call.runs_in_background else None,
            deadline=self.total,
        )
        reader.shown = self.seen
        return reader

    def _limit_reads(self, response: httpx2.Response) -> None:
        limit_read(response, self.target.stream_chunk_timeout or None)
        if self.call.runs_in_background:
            limit_read(response, self.call.patience.left_s)

    @property
    def resumes(self) -> bool:
        """Whether the stream goes on where it was cut."""
        return self.recovery is Recovery.RESUME

    @property
    def repeats(self) -> bool:
        """Whether the same call is made again."""
        return self.recovery in {Recovery.RESTART, Recovery.REGENERATE}

    # --- chunks ---

    def feed(self, piece: bytes) -> Iterable[ChatGenerationChunk]:
        """Return the chunks that the caller may see now.

        Args:
            piece: Bytes of the body.

        Raises:
            StreamInterruptedError: The stream cannot be read, or differs from what was delivered.
        """
        chunks = self.reader.feed(piece)
        return chunks if self.seen and self._regeneration is None else self._sifted(chunks)

    def end(self) -> Iterable[ChatGenerationChunk]:
        """Return what is left once the body has ended; see `feed`."""
        return self._sifted(self.reader.end())

    def rest(self) -> Iterable[ChatGenerationChunk]:
        """Return the last chunk of an answer that was whole when its connection broke."""
        return self._sifted(self.reader.rest())

    def _sifted(self, chunks: Iterable[ChatGenerationChunk]) -> Iterator[ChatGenerationChunk]:
        for chunk in chunks:
            self.open_attempt.token()
            if self._regeneration is not None:
                yield from self._regenerated(self._regeneration, chunk)
            elif self.seen:
                yield chunk
            else:
                self._held.append(chunk)
                if self.is_finished or (not self._holds_all and _says_something(chunk)):
                    yield from self._released()

    def _released(self) -> Iterator[ChatGenerationChunk]:
        held, self._held = self._held, []
        self.seen = self.reader.shown = True
        if self.log is not None and not self._holds_all:
            self.log.first_token_s = time.perf_counter()
        yield from held[:1]
        if self._link is not None:
            leave_out(self._link.run_manager)
        yield from held[1:]

    def _regenerated(
        self, regeneration: Regeneration, chunk: ChatGenerationChunk
    ) -> Iterator[ChatGenerationChunk]:
        unseen = regeneration.feed(chunk)
        if self.is_finished:
            regeneration.finish()
        self._delivered += unseen
        yield from unseen

    # --- breaks ---

    def listening(self) -> _Listening:
        """Decide what follows from whatever breaks the stream inside a block.

        Returns:
            A context manager. It swallows an error after which the stream goes on, which is then
            in `broken`; any other comes out as a `StreamInterruptedError`.
        """
        return _Listening(self)

    def broke(self, error: Exception) -> None:
        """Decide what follows from an error.

        Args:
            error: What happened while the stream was read.

        Raises:
            StreamInterruptedError: Nothing can be done.
            Exception: The error itself, if it is about something else.
        """
        if self.total.is_over and _is_timeout(error):
            error, cause = self.reader.past_deadline(self.total), error
            error.__cause__ = cause
        interruption = as_interruption(error, self.reader, self.call.model)
        if interruption is None:
            raise error
        if interruption is not error:
            interruption.__cause__ = error
        self.broken = interruption
        self.recovery = self._recovery(interruption, error)
        if self.recovery is Recovery.RAISE and not self._may_turn_to_another():
            interruption.safe_to_do = self._safe_after(interruption, error)
            if interruption is error:
                raise error
            raise interruption from error

    def _recovery(self, interruption: StreamInterruptedError, error: Exception) -> Recovery:
        if interruption is self._compared_to or self.total.is_over:
            return Recovery.RAISE
        can_resume = self._is_lost(interruption, error) and self.call.may_resume(
            self.reader.decoder
        )
        choice = recovery_for(
            self._model.stream_recovery,
            interruption,
            seen=self.seen,
            can_resume=can_resume,
            tries_left=self.retries.attempts_left + can_resume,
        )
        if self.call.runs_in_background and choice is not Recovery.RAISE:
            # The server is still at work: the same call must not be made a second time.
            return Recovery.RESUME if can_resume else Recovery.RAISE
        if choice is Recovery.REGENERATE and not self._can_regenerate():
            return Recovery.RAISE
        granted = choice in {Recovery.RAISE, Recovery.RESUME} or self.retries.grants(interruption)
        return choice if granted else Recovery.RAISE

    @staticmethod
    def _is_lost(interruption: StreamInterruptedError, error: Exception) -> bool:
        """Whether the connection went, and not the answer."""
        return interruption is error or is_transport_error(error)

    def _can_regenerate(self) -> bool:
        if self._regeneration is None:
            self._delivered = list(self.reader.decoder.chunks)
        return can_regenerate(self._delivered)

    def _may_turn_to_another(self) -> bool:
        """Whether another model may be asked, as nothing was seen; the recovery is then None."""
        if self.seen or self._model._fallback_policy is None or self.call.runs_in_background:
            return False
        self.recovery = None
        return True

    def _safe_after(self, interruption: StreamInterruptedError, error: Exception) -> SafeToDo:
        """Say what the caller may still do, where this run does no more about a break."""
        if self._is_lost(interruption, error) and self.call.resume_request(self.reader.decoder):
            return "resume"
        if not self.seen:
            return "retry" if interruption.is_retryable else "nothing"
        if interruption is self._compared_to or interruption.code == DEADLINE:
            return "nothing"
        delivered = self._delivered or self.reader.decoder.chunks
        return "regenerate" if is_passing(interruption) and can_regenerate(delivered) else "nothing"

    def add_estimate(self, error: BaseException) -> None:
        """Have the part that came counted when it is asked for, where the server did not tell.

        Args:
            error: What ended the run; only a broken stream is told of it.
        """
        from langchain_tamma_openai.errors import StreamInterruptedError

        if isinstance(error, StreamInterruptedError) and error.usage is None:
            error.usage = partial(_estimated, self.open_attempt.received, self.call)


def _estimated(received: Received, call: Call) -> UsageMetadata | None:
    tokens = received.estimate(call)
    if tokens is None:
        return None
    return UsageMetadata(
        input_tokens=tokens.input_tokens,
        output_tokens=tokens.output_tokens,
        total_tokens=tokens.total_tokens,
    )


class _Listening:
    """Hands what breaks a stream to its run."""

    __slots__ = ("_run",)

    def __init__(self, run: StreamRun) -> None:
        self._run = run

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        if self._run.reader.whole and is_transport_error(error):
            return True  # the answer is there: how the connection ends no longer matters
        self._run.broke(error)
        return True


def _says_something(chunk: ChatGenerationChunk) -> bool:
    message = chunk.message
    return bool(message.content or message.additional_kwargs or message.tool_call_chunks)  # type: ignore[attr-defined]  # a chunk of an AI message


def _is_timeout(error: Exception) -> bool:
    return isinstance(error, TimeoutError) or type(error).__name__.endswith("Timeout")
