"""An answer at its head, read over a connection of ours: what the package needs of a response.

It is what the HTTP library's response is, without what nobody asks of a good answer. Where its
body has to be unpacked, or it is an error that somebody may look into, it becomes one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar, cast

from langchain_tamma_openai.transport.http_library import http_library
from langchain_tamma_openai.transport.timeouts import Timeouts, protocol_error

if TYPE_CHECKING:
    import httpx2

    from langchain_tamma_openai.transport.headers import AnswerHeaders
    from langchain_tamma_openai.transport.http1 import Head, Message

_ERROR = 400


class _Carrier(Protocol):
    """A connection as far as its answer is concerned."""

    def get_extra_info(self, name: str) -> object: ...


Carrier = TypeVar("Carrier", bound=_Carrier)


class AnswerBase(Generic[Carrier]):
    """What both colours of an answer share: everything but reading.

    Attributes:
        status_code: Such as 200.
        headers: By name.
        timeouts: Limits of the request's steps; reading looks at "read" before each wait.
        content: The body, once it was read as a whole.
        is_closed: Whether the connection was given back, or given up.
    """

    __slots__ = (
        "_carrier",
        "_give_back",
        "_head",
        "_message",
        "_sent",
        "content",
        "headers",
        "is_closed",
        "status_code",
        "timeouts",
    )

    def __init__(
        self,
        carrier: Carrier,
        message: Message,
        timeouts: Timeouts,
        give_back: Callable[[Carrier, bool], None],
    ) -> None:
        """Take a connection whose answer's head has come.

        Args:
            carrier: The connection.
            message: What was read of the answer; its head is there.
            timeouts: Limits of the request's steps.
            give_back: Takes the connection, and whether it can be used again.
        """
        self._carrier = carrier
        self._message = message
        self._give_back = give_back
        self._sent: Callable[[], httpx2.Request] | None = None
        self.timeouts = timeouts
        self._head = cast("Head", message.head)
        self.status_code = self._head.status
        self.headers: AnswerHeaders = self._head.headers
        self.content = b""
        self.is_closed = False

    @property
    def is_error(self) -> bool:
        """Whether the server refused or failed."""
        return self.status_code >= _ERROR

    @property
    def http_version(self) -> str:
        """Such as `"HTTP/1.1"`."""
        return f"HTTP/{self._head.version.decode('ascii')}"

    @property
    def reason_phrase(self) -> str:
        """Such as `"OK"`."""
        return self._head.reason.decode("ascii", "ignore")

    @property
    def is_packed(self) -> bool:
        """Whether the body is compressed."""
        return bool(self.headers.get("content-encoding", "identity") != "identity")

    @property
    def is_whole(self) -> bool:
        """Whether the body has come to its end on the wire."""
        return self._message.complete

    @property
    def connection(self) -> Carrier:
        """What carries it."""
        return self._carrier

    def remember(self, sent: Callable[[], httpx2.Request]) -> None:
        """Have the request at hand for whoever asks for it later.

        Args:
            sent: Makes it.
        """
        self._sent = sent

    def as_response(self, **given: Any) -> httpx2.Response:
        """Make the HTTP library's response of it.

        Args:
            **given: Its `content` or its `stream`, and its `request` where there is one.
        """
        head = self._head
        if self._sent is not None:
            given.setdefault("request", self._sent())
        response: httpx2.Response = http_library().Response(
            head.status,
            headers=head.raw,
            extensions={
                "http_version": b"HTTP/" + head.version,
                "reason_phrase": head.reason,
                "network_stream": self._carrier,
            },
            **given,
        )
        return response

    def _settle(self, *, reusable: bool) -> None:
        if not self.is_closed:
            self.is_closed = True
            self._give_back(self._carrier, reusable and self._message.allows_reuse)

    def _check(self) -> None:
        if self._message.error is not None:
            raise protocol_error(self._message.error)


class Answer(AnswerBase[Any]):
    """An answer that is read by a thread."""

    __slots__ = ()

    def __iter__(self) -> Iterator[bytes]:
        """Yield the body as it arrives.

        Iterating anew reads on where another iterator stands.
        """
        receive, message, timeouts = self._carrier.receive, self._message, self.timeouts
        try:
            while not self.is_closed and (piece := receive(message, timeouts.get("read"))):
                yield piece
        except Exception:
            self.close()
            raise
        if message.complete:
            self._settle(reusable=True)

    def read(self) -> bytes:
        """Read the whole body."""
        if not self.is_closed:
            try:
                pieces = list(self)
            except BaseException:
                self.close()
                raise
            self.content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return self.content

    def close(self) -> None:
        """Give the connection back if the body came to its end, else hang up."""
        self._settle(reusable=True)


class AsyncAnswer(AnswerBase[Any]):
    """An answer that is read in an event loop; it is its own iterator, as no generator is kept."""

    __slots__ = ()

    def __aiter__(self) -> Self:
        """Iterate over the body as it arrives."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next piece of the body."""
        if self.is_closed:
            raise StopAsyncIteration
        try:
            piece: bytes = await self._carrier.receive(self._message, self.timeouts.get("read"))
        except BaseException:
            self._settle(reusable=False)
            raise
        if not piece:
            self._settle(reusable=True)
            raise StopAsyncIteration
        return piece

    async def aread(self) -> bytes:
        """Read the whole body."""
        if not self.is_closed:
            pieces = [piece async for piece in self]
            self.content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return self.content

    async def aclose(self) -> None:
        """Give the connection back if the body came to its end, else hang up."""
        self._settle(reusable=True)
