"""Connections that wait for their next request: which one is taken, which ones are given up.

No I/O, and nothing here is done once per connection and request: taking and putting back cost the
same whether one waits or a thousand.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, Protocol, TypeVar

Origin = tuple[str, str, int]
"""Scheme, host and port."""


class Reusable(Protocol):
    """A connection as far as waiting is concerned."""

    origin: Origin

    def is_usable(self) -> bool:
        """Whether the server still holds its end, as far as is known."""


Connection = TypeVar("Connection", bound=Reusable)


class IdleConnections(Generic[Connection]):
    """Takes the one that was used last, and gives up the ones that waited longest."""

    def __init__(self, most: int, expiry_s: float) -> None:
        """Start empty.

        Args:
            most: How many may wait.
            expiry_s: How long one may wait.
        """
        self._most = most
        self._expiry_s = expiry_s
        # Both in the order of waiting, so that the longest is first.
        self._expires_at_s: OrderedDict[Connection, float] = OrderedDict()
        self._by_origin: dict[Origin, OrderedDict[Connection, None]] = {}

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._expires_at_s)

    def put(self, connection: Connection, now_s: float) -> list[Connection]:
        """Let a connection wait; return those to be closed for it.

        Args:
            connection: It has carried an answer to its end.
            now_s: The time.
        """
        self._expires_at_s[connection] = now_s + self._expiry_s
        self._by_origin.setdefault(connection.origin, OrderedDict())[connection] = None
        given_up = self.expired(now_s)
        while len(self) > self._most:
            given_up.append(self._remove(next(iter(self._expires_at_s))))
        return given_up

    def take(self, origin: Origin, now_s: float) -> tuple[Connection | None, list[Connection]]:
        """Take a connection that the server still holds, and those to be closed.

        Args:
            origin: Where it has to lead.
            now_s: The time.
        """
        given_up = self.expired(now_s)
        waiting = self._by_origin.get(origin)
        while waiting:
            connection = self._remove(next(reversed(waiting)))
            if connection.is_usable():
                return connection, given_up
            given_up.append(connection)
        return None, given_up

    def expired(self, now_s: float) -> list[Connection]:
        """Remove and return those that waited too long.

        Args:
            now_s: The time.
        """
        given_up = []
        while self._expires_at_s:
            oldest, expires_at_s = next(iter(self._expires_at_s.items()))
            if expires_at_s > now_s:
                break
            given_up.append(self._remove(oldest))
        return given_up

    def oldest(self) -> Connection | None:
        """Remove and return the one that waited longest."""
        return self._remove(next(iter(self._expires_at_s))) if self._expires_at_s else None

    def forget(self, connection: Connection) -> bool:
        """Remove one that was lost while it waited; False where it did not wait.

        Args:
            connection: It is closed already.
        """
        if connection not in self._expires_at_s:
            return False
        self._remove(connection)
        return True

    def clear(self) -> list[Connection]:
        """Remove and return all."""
        found = list(self._expires_at_s)
        self._expires_at_s.clear()
        self._by_origin.clear()
        return found

    def _remove(self, connection: Connection) -> Connection:
        del self._expires_at_s[connection]
        waiting = self._by_origin[connection.origin]
        del waiting[connection]
        if not waiting:
            del self._by_origin[connection.origin]
        return connection
