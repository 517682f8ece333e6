"""The fake API of files and batches on the loopback interface, for clients in other processes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from fake_batches import FakeBatches, Reply


class Killing(FakeBatches):
    """Kills the process that sends a request, before or after doing what it asks.

    Attributes:
        step: The request, as "POST /batches"; None for no killing.
        is_done: Whether it is done first.
        pid: The process.
    """

    def __init__(self) -> None:
        super().__init__()
        self.step: str | None = None
        self.is_done = False
        self.pid = 0

    def reply(self, method: str, url: str, headers: dict[str, str], content: bytes) -> Reply | None:
        """Do what a request asks; None where its sender is gone."""
        with _ONE_BY_ONE:
            step = f"{method} {self.path_of(url)}"
            is_last = self.step == step
            if is_last:
                self.step = None
            reply = (
                None if is_last and not self.is_done else self.handle(method, url, headers, content)
            )
            if not is_last:
                return reply
            while not self.pid:  # 0 would mean ourselves, and all others of the group
                time.sleep(0.001)
            os.kill(self.pid, signal.SIGKILL)
            return None


_ONE_BY_ONE = threading.Lock()


@contextmanager
def serving(api: Killing) -> Iterator[str]:
    """Serve it while the block lasts; gives the base URL.

    Args:
        api: What answers.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            content = b"".join(self._body())
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = api.reply(self.command, self.path, headers, content)
            if reply is None:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(reply.data)))
            self.end_headers()
            self.wfile.write(reply.data)

        do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - names that http.server calls

        def _body(self) -> Iterator[bytes]:
            if self.headers.get("transfer-encoding") != "chunked":
                yield self.rfile.read(int(self.headers.get("content-length") or 0))
                return
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
