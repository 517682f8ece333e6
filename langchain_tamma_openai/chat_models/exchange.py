"""What a batch wants of a call beside its answer: to know when it is sent, and its exact bodies.

A call that is made while `EXCHANGE` is set belongs to it. Nothing of it is in the parameters of the
call, so it is neither traced nor cached.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import httpx2


class Exchange(Protocol):
    """One call, seen from outside.

    Attributes:
        content: `{"messages": [...]}` or `{"input": ...}` to send as it is, in place of what the
            messages of the call would become; None to send those.
    """

    content: Mapping[str, Any] | None

    async def sending(self) -> None:
        """Take note that a request is about to be sent: all governors have let it go."""

    def received(self, response: httpx2.Response) -> None:
        """Take an answer, before it is read.

        Args:
            response: The answer, its body loaded.
        """


EXCHANGE: ContextVar[Exchange | None] = ContextVar("tamma_exchange", default=None)


def with_given_content(payload: dict[str, Any]) -> dict[str, Any]:
    """Put the content that is to be sent as it is into a request.

    Args:
        payload: The request.
    """
    exchange = EXCHANGE.get()
    if exchange is None or exchange.content is None:
        return payload
    return {**payload, **exchange.content}
