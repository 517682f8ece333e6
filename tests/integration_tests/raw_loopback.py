"""A loopback server that keeps the very bytes of requests, and answers with the very bytes told."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

from loopback import Json, completion, text_events

from langchain_tamma_openai import ChatTammaOpenAI

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CLOSE = b"<close>"
"""At the end of an answer: the connection is closed behind it."""


def plain(text: str = "hi", extra: bytes = b"") -> bytes:
    """A whole answer of Chat Completions.

    Args:
        text: What it says.
        extra: Further header lines, each with its end.
    """
    return framed(json.dumps(completion(text)).encode(), b"application/json", extra)


def framed(
    body: bytes, content_type: bytes, extra: bytes = b"", status: bytes = b"200 OK"
) -> bytes:
    """A body with its head."""
    return (
        b"HTTP/1.1 %b\r\ncontent-type: %b\r\n%bcontent-length: %d\r\n\r\n"
        % (status, content_type, extra, len(body))
        + body
    )


def streamed(text: str = "a b") -> bytes:
    """A whole stream of Chat Completions, one event in each HTTP chunk."""
    events = [*text_events(text), b"data: [DONE]\n\n"]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in events)
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    return head + chunks + b"0\r\n\r\n"


def by_kind(request: bytes) -> bytes:
    """A plain answer, or a stream where one was asked for."""
    return streamed("hi") if b'"stream":true' in request else plain()


class RawServer:
    """The server; a thread for each connection.

    Attributes:
        answer: Gives the bytes for the bytes of a request.
        requests: All requests, on which connection each.
    """

    def __init__(
        self,
        answer: Callable[[bytes], bytes] = by_kind,
        context: ssl.SSLContext | None = None,
    ) -> None:
        """Choose how to answer, and whether to speak TLS."""
        self.answer = answer
        self.requests: list[tuple[int, bytes]] = []
        self.connections = 0
        self._context = context
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        """Serve for a block."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Stop."""
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Close all connections, and wait until the clients can know it."""
        for sock in self._sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        self._sockets.clear()
        time.sleep(0.05)

    @property
    def url(self) -> str:
        """Base URL of the API."""
        return f"{'http' if self._context is None else 'https'}://127.0.0.1:{self.port}/v1"

    @property
    def raw(self) -> list[bytes]:
        """The bytes of all requests."""
        return [request for _, request in self.requests]

    @property
    def used(self) -> list[int]:
        """The connections of all requests."""
        return [connection for connection, _ in self.requests]

    def model(self, **fields: object) -> ChatTammaOpenAI:
        """Build a model that talks to this server and does not retry."""
        given: Json = {"model": "gpt-6-luna", "api_key": "sk-test", "max_retries": 0, **fields}
        return ChatTammaOpenAI(base_url=given.pop("base_url", self.url), **given)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        try:
            sock = (
                sock if self._context is None else self._context.wrap_socket(sock, server_side=True)
            )
            self._sockets.append(sock)
            while request := _read(sock):
                self.requests.append((number, request))
                answer = self.answer(request)
                sock.sendall(answer.removesuffix(CLOSE))
                if answer.endswith(CLOSE):
                    break
        except OSError:
            pass
        sock.close()


def _read(sock: socket.socket) -> bytes:
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        if not (piece := sock.recv(65536)):
            return b""
        data += piece
    length = _LENGTH.search(data, 0, end + 2)
    whole = end + 4 + (int(length[1]) if length else 0)
    pieces, size = [data], len(data)
    while size < whole:
        if not (piece := sock.recv(1 << 20)):
            return b""
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Make a certificate for 127.0.0.1; give the server's side and what vouches for it.

    Args:
        folder: Takes the files.
    """
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        f"-subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {cert}"
    )
    subprocess.run(command.split(), check=True, capture_output=True)  # noqa: S603 - our own words
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, cert
