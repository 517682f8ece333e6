"""One HTTP attempt of a run: leave to send it, and what is known of it when it is over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from langchain_tamma_openai.chat_models.received import Received
from langchain_tamma_openai.resilience.governors import Ending, finished

if TYPE_CHECKING:
    from types import ModuleType

    import httpx2

    from langchain_tamma_openai.chat_models.calls import Call
    from langchain_tamma_openai.pricing_cost import Cost
    from langchain_tamma_openai.resilience.governors import Passage
    from langchain_tamma_openai.usage.record import AttemptRecord
    from langchain_tamma_openai.usage.run_log import RunLog
    from langchain_tamma_openai.wire.usage import TokenUsage


class Attempt:
    """One attempt. It costs next to nothing where no one governs and no one watches.

    Attributes:
        response: The server's answer, once its headers are there.
        received: What has arrived of the answer.
    """

    __slots__ = (
        "_base_url",
        "_began_at",
        "_call",
        "_log",
        "_number",
        "_over",
        "_passage",
        "_prices",
        "_started_s",
        "first_token_s",
        "received",
        "response",
    )

    def __init__(
        self,
        call: Call,
        *,
        passage: Passage | None = None,
        log: RunLog | None = None,
        base_url: str | None = None,
        prices: Mapping[str, Any] | None = None,
    ) -> None:
        """Prepare; nothing is asked, counted or sent yet.

        Args:
            call: What is sent.
            passage: Leave of the governors; None where there are none.
            log: Where it is written down; None where nobody watches.
            base_url: Root of the API, without anything secret.
            prices: The user's own prices.
        """
        self._call = call
        self._passage = passage
        self._log = log
        self._base_url = base_url
        self._prices = prices
        self._over = False
        self._number = 0
        self.response: httpx2.Response | None = None
        self.received = Received()
        self.first_token_s: float | None = None

    @property
    def _is_watched(self) -> bool:
        return self._log is not None or self._passage is not None

    def enter(self) -> None:
        """Ask for leave, and begin.

        Raises:
            TammaError: A governor refuses; nothing was sent.
        """
        if self._passage is not None:
            self._passage.enter()
        self._begin()

    async def aenter(self) -> None:
        """Ask for leave, and begin; see `enter`."""
        if self._passage is not None:
            await self._passage.aenter()
        self._begin()

    def _begin(self) -> None:
        if not self._is_watched:
            return
        self._began_at = datetime.now(UTC)
        self._started_s = time.monotonic()
        if self._log is not None:
            self._number = self._log.begin(self)

    def answered(self, response: httpx2.Response) -> None:
        """Take the answer, as soon as its headers are there.

        Args:
            response: The answer.
        """
        self.response = response
        if self._passage is not None:
            self._passage.observe(response.headers, response.status_code)

    async def aanswered(self, response: httpx2.Response) -> None:
        """Take the answer, as soon as its headers are there; see `answered`."""
        self.response = response
        if self._passage is not None:
            await self._passage.aobserve(response.headers, response.status_code)

    def token(self) -> None:
        """Note when the first piece of the answer had arrived."""
        if self.first_token_s is None and self._is_watched:
            self.first_token_s = time.monotonic() - self._started_s

    def end(self, error: BaseException | None = None) -> None:
        """Say how it ended; repeating it changes nothing.

        Args:
            error: What ended it; None for a success.
        """
        if (ending := self._end(error)) is not None and self._passage is not None:
            if self.response is None and (refusal := response_of(error)) is not None:
                self._passage.observe(refusal.headers, refusal.status_code)
            self._passage.leave(ending)

    async def aend(self, error: BaseException | None = None) -> None:
        """Say how it ended; see `end`. Counting tokens is left to a thread."""
        try:
            if self._has_to_count(error):
                await finished(asyncio.to_thread(self.received.estimate, self._call))
        finally:
            if (ending := self._end(error)) is not None and self._passage is not None:
                if self.response is None and (refusal := response_of(error)) is not None:
                    await self._passage.aobserve(refusal.headers, refusal.status_code)
                await self._passage.aleave(ending)

    def _has_to_count(self, error: BaseException | None) -> bool:
        """Whether an answer came, or a part of one, that does not say what it used."""
        if self._over or self.response is None or self.response.is_error:
            return False
        if error is None and not self._is_watched:
            return False
        facts = self.received.facts
        return facts is None or facts.tokens is None

    def __enter__(self) -> Self:
        """Use an attempt that has begun for a block, which ends it."""
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        """End it."""
        self.end(error)

    async def __aenter__(self) -> Self:
        """Use an attempt that has begun for a block, which ends it."""
        return self

    async def __aexit__(
        self, _kind: object, error: BaseException | None, _traceback: object
    ) -> None:
        """End it."""
        await self.aend(error)

    def close(self, error: BaseException | None) -> AttemptRecord | None:
        """Describe it for the log that ends before the attempt does; its own end comes later.

        Args:
            error: What ended the run.
        """
        return None if self._over else self._described(error)

    def _end(self, error: BaseException | None) -> Ending | None:
        if self._over or not self._is_watched:
            return None
        if error is None and (answered := self._note_answer()) is not None:
            tokens, cost = answered
            if self._passage is None:
                return None
            return Ending(None, cost_usd=cost.total_usd, tokens=tokens.total_tokens)
        record = self._described(error)
        self._over = True
        if self._log is not None:
            self._log.close_open(self, record)
        if self._passage is None:
            return None
        return Ending(
            error,
            sent=record.delivery != "never_sent",
            cost_usd=None if record.cost is None else record.cost.total_usd,
            tokens=None if record.tokens is None else record.tokens.total_tokens,
        )

    def _note_answer(self) -> tuple[TokenUsage, Cost] | None:
        """Write a measured answer down without making its record; None when it is not one."""
        received = self.received
        facts, cost = received.facts, received.cost
        if self.response is None or facts is None or facts.tokens is None or cost is None:
            return None
        self._over = True
        if self._log is not None:
            answered = _rows().answered
            self._log.close_open(self, answered(self, self._log.run_id, self.response, facts, cost))
        return facts.tokens, cost

    def _described(self, error: BaseException | None) -> AttemptRecord:
        record: AttemptRecord = _rows().attempt_row(self, error)
        return record


@cache
def _rows() -> ModuleType:
    """Load what makes records, with the first attempt that somebody watches."""
    from langchain_tamma_openai.chat_models import attempt_rows

    return attempt_rows


def response_of(error: BaseException | None) -> httpx2.Response | None:
    """Find the answer that an error is about, if it is about one.

    Args:
        error: What ended an attempt.
    """
    response = getattr(error, "response", None)
    return response if hasattr(response, "status_code") else None
