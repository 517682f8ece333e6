"""A Redis for tests, under names of its own, and a way to lose it without stopping it."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import pytest
import redis

URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/0")


def require_redis() -> None:
    """Skip the test where there is no Redis; on CI that is a failure."""
    try:
        with redis.Redis.from_url(URL, socket_connect_timeout=1) as client:
            client.ping()
    except redis.RedisError as exc:
        reason = f"these tests need a Redis at {URL} ({exc})"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@contextmanager
def namespace() -> Iterator[str]:
    """Name a place in Redis and clear it afterwards."""
    require_redis()
    name = f"test-{secrets.token_hex(8)}"
    try:
        yield name
    finally:
        with redis.Redis.from_url(URL) as client:
            for key in client.scan_iter(f"{name}:*", count=1000):
                client.delete(key)


class Proxy:
    """A way to Redis that can be cut and mended."""

    def __init__(self) -> None:
        parts = urlsplit(URL)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 6379)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}{parts.path}"
        self._pairs: list[socket.socket] = []
        self._lock = threading.Lock()
        self._open = True
        self.accepted = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self._connect(near)

    def _connect(self, near: socket.socket) -> None:
        with self._lock:
            if not self._open:
                near.close()
                return
            far = socket.create_connection(self._target)
            self._pairs += [near, far]
        for source, target in ((near, far), (far, near)):
            threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """Break all connections and refuse new ones."""
        with self._lock:
            self._open = False
            pairs, self._pairs = self._pairs, []
        for end in pairs:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def mend(self) -> None:
        """Let connections through again."""
        self._open = True

    def close(self) -> None:
        """End."""
        self.cut()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
