"""A server that bills each call by chance, and knows exactly what it billed."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from decimal import Decimal

from accounting import Entry, plain_body, prompt_tokens, stream_events
from loopback import Json, Reply, Request, Step, json_reply

_LIMITS = ("max_completion_tokens", "max_output_tokens")


@dataclass
class Till:
    """Bills the whole prompt and a random part of the output that a call allows.

    Attributes:
        delay_s: Seconds that each answer takes.
        entries: One for each request.
    """

    delay_s: float = 0.01
    entries: list[Entry] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _random: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311 - no secret

    @property
    def usd(self) -> Decimal:
        """All that was billed."""
        return sum((entry.usd for entry in self.entries), Decimal(0))

    @property
    def tokens(self) -> int:
        """All tokens that were billed."""
        return sum(entry.input_tokens + entry.output_tokens for entry in self.entries)

    def __call__(self, request: Request) -> Reply:
        """Answer one request."""
        body = request.body
        api = "chat_completions" if "messages" in body else "responses"
        entry = Entry(api, bool(body.get("stream")), prompt_tokens(body))
        with self._lock:
            entry.output_tokens = self._random.randint(20, _most(body))
            self.entries.append(entry)
        if not entry.streamed:
            answer = {**plain_body(api, "text"), "usage": entry.usage}
            return json_reply(answer, delay_s=self.delay_s)
        events, end = stream_events(api, "text", entry.usage)
        steps: list[Step] = [*events, self.delay_s, *end]
        return Reply(steps, content_type="text/event-stream")


def _most(body: Json) -> int:
    return next(int(body[name]) for name in _LIMITS if name in body)
